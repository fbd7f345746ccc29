//! `POST /key/{key}/reset_spend`: what a key has spent in its present period is what is said.

use axum::response::Response;
use dunlin_state::{Command, Spender};
use dunlin_types::NanoUsd;
use serde_json::json;
use tracing::info;

use super::{key_named, ok};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::moment::iso;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/{key}/reset_spend", Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let key = key_named(&read.state, asked.named.as_deref().unwrap_or_default())?;
    // Its own user would spend without end.
    if !asked.caller.is_admin() && !asked.caller.leads_owner(&read.state, &key) {
        return Err(Error::NotYours);
    }
    let view = admin.view(read.state);
    let (before, period) = (view.key_spend(&key), view.period(&key.terms));
    let to = parse(asked.body()?, before)?;
    let whose = Spender::Key(key.token);
    let (_, view) = admin.carry_out(&asked, Command::SetSpendOf { whose, period, to }).await?;
    info!(key.id = %key.token, "the spend of key {} was reset to {to}", key.name);
    Ok(ok(&json!({
        "key_hash": key.token,
        "spend": view.key_spend(&key).as_usd(),
        "previous_spend": before.as_usd(),
        "max_budget": key.terms.max_budget.map(NanoUsd::as_usd),
        "budget_reset_at": view.running(&key.terms).map(|period| iso(period.end)),
    })))
}

/// As in LiteLLM, spend is only lowered.
pub(super) fn parse(mut body: Body, before: NanoUsd) -> Result<NanoUsd, Error> {
    let to = body.require("reset_to", values::usd);
    if to > before {
        let reason = format!("reset_to is {to}, but the spend is {before}: it can only be lowered");
        body.refuse("reset_to", reason);
    }
    body.finish(["reset_to"].into_iter())?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spend_is_lowered_and_never_raised() {
        let to = |text: &str| {
            parse(Body::parse(text.as_bytes()).expect("an object"), NanoUsd(2_000_000_000))
        };
        assert_eq!(to(r#"{"reset_to": 0}"#).expect("an amount"), NanoUsd::ZERO);
        assert_eq!(to(r#"{"reset_to": 1.5}"#).expect("an amount"), NanoUsd(1_500_000_000));
        assert!(matches!(to(r#"{"reset_to": 3}"#), Err(Error::BadField { name: "reset_to", .. })));
        assert!(matches!(to("{}"), Err(Error::Invalid(_))));
        assert!(matches!(to(r#"{"reset_to": -1}"#), Err(Error::Invalid(_))));
    }
}
