//! `POST /team/{team_id}/reset_spend`: what a team has spent in its present period is what is said.

use axum::response::Response;
use dunlin_state::{Command, Kind, Spender};
use dunlin_types::NanoUsd;
use serde_json::json;
use tracing::info;

use super::{ok, reset_key_spend};
use crate::Admin;
use crate::error::Error;
use crate::request::moment::iso;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::find;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/team/{team_id}/reset_spend", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let name = asked.named.as_deref().unwrap_or_default();
    let view = admin.view(admin.read().await.state);
    let team = find(&view.state, Kind::Team, name)?;
    let (before, period) = (view.spent(&team), view.period(&team.terms));
    let to = reset_key_spend::parse(asked.body()?, before)?;
    let whose = Spender::Entity(Kind::Team, name.to_owned());
    let (_, view) = admin.carry_out(&asked, Command::SetSpendOf { whose, period, to }).await?;
    info!(team.id = name, "the spend of team {name} was reset to {to}");
    Ok(ok(&json!({
        "team_id": name,
        "spend": view.spent(&team).as_usd(),
        "previous_spend": before.as_usd(),
        "max_budget": team.terms.max_budget.map(NanoUsd::as_usd),
        "budget_reset_at": view.running(&team.terms).map(|period| iso(period.end)),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::world;
    use crate::rows::row::tests::view_of;

    #[test]
    fn a_team_that_spent_nothing_has_nothing_to_lower() {
        let view = view_of(world());
        let team = find(&view.state, Kind::Team, "t").expect("the team");
        assert_eq!(view.spent(&team), NanoUsd::ZERO);
        let body = crate::request::body::Body::parse(br#"{"reset_to": 1}"#).expect("an object");
        assert!(reset_key_spend::parse(body, view.spent(&team)).is_err());
    }
}
