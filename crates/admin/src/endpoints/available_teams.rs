//! `GET /team/available`: the teams that the config lets users join by themselves, by
//! `/team/member_add`, and that the caller has not joined.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Entity, Kind};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::row;
use crate::rows::row::{View, put};

/// What of a team others may see: not its members, what it spends, nor what is noted about it.
const SHOWN: &[&str] = &[
    "blocked",
    "budget_duration",
    "created_at",
    "max_budget",
    "max_parallel_requests",
    "models",
    "organization_id",
    "rpm_limit",
    "team_alias",
    "team_id",
    "team_member_budget",
    "tpm_limit",
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/team/available", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let open = admin.settings()?.settings.available_teams.clone();
    let view = admin.view(admin.read().await.state);
    Ok(ok(&answer(&view, &asked.caller, &open)))
}

fn answer(view: &View, caller: &Caller, open: &[String]) -> Vec<Row> {
    let joined = |team: &str| {
        caller.user().is_some_and(|user| view.state.member(Kind::Team, team, user).is_some())
    };
    let teams = open.iter().filter(|team| !joined(team));
    teams.filter_map(|team| Some(shown(view, view.state.entity(Kind::Team, team)?))).collect()
}

fn shown(view: &View, team: &Entity) -> Row {
    let mut told = row(view, team);
    told.retain(|field, _| SHOWN.contains(&field.as_str()));
    put(&mut told, "members_with_roles", &[(); 0]);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::{bearer, world};
    use crate::rows::row::tests::view_of;

    #[test]
    fn what_is_open_and_there_is_listed_for_those_who_have_not_joined() {
        let open = ["t", "other", "gone"].map(str::to_owned);
        let view = view_of(world());
        let seen_by = |caller: &Caller| -> Vec<String> {
            let rows = answer(&view, caller, &open);
            rows.iter().map(|row| row["team_id"].get().trim_matches('"').to_owned()).collect()
        };
        assert_eq!(seen_by(&Caller::Master), ["t", "other"]);
        assert_eq!(seen_by(&bearer(&view.state, "sk-boss")), ["t", "other"]);
        assert_eq!(seen_by(&bearer(&view.state, "sk-dev")), ["other"]);
        let rows = answer(&view, &Caller::Master, &open);
        assert_eq!(rows[0]["members_with_roles"].get(), "[]");
        assert!(!rows[0].contains_key("spend") && !rows[0].contains_key("members"));
        assert!(answer(&view, &Caller::Master, &[]).is_empty());
    }
}
