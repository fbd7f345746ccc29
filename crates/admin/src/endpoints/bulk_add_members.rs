//! `POST /team/bulk_member_add`: many users, or all there are, join a team. Who cannot is told beside
//! who did.

use axum::response::Response;
use dunlin_state::{Kind, State, TermsChanges};
use serde_json::json;

use super::add_members::join;
use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, row};
use crate::terms::entity_fields::{self, Named};
use crate::terms::members::{check_leads, check_role, finish, read_terms};
use crate::terms::model_names::{Whose, in_list};

/// Each joins by a command of its own.
const MAX_MEMBERS: usize = 500;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/team/bulk_member_add", Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let Wanted { team, members, all, terms } = parse(asked.body()?)?;
    let view = admin.view(admin.read().await.state);
    check_leads(&asked, &view, &*find(&view.state, Kind::Team, &team)?)?;
    let members =
        if all && asked.caller.is_admin() { all_others(&view.state, &team)? } else { members };
    let mut results = Vec::new();
    for member in &members {
        let joined =
            join(&admin, &asked, (Kind::Team, &team), vec![member.clone()], terms.clone()).await;
        let error = joined.err().map(|error| error.told());
        results.push(json!({
            "user_id": member.user,
            "user_email": member.email,
            "success": error.is_none(),
            "error": error,
        }));
    }
    let done = results.iter().filter(|result| result["success"] == true).count();
    let view = admin.view(admin.0.consensus.state());
    let updated = view.state.entity(Kind::Team, &team).map(|team| row(&view, team));
    let listed = in_list("allowed_models", &terms.models);
    let group = view.state.entity(Kind::Team, &team);
    let whose = group.map(|group| Whose::entity(group)).unwrap_or_default();
    let warnings = admin.warnings(&asked.caller, &listed, whose);
    let mut answer = json!({
        "team_id": team,
        "results": results,
        "total_requested": members.len(),
        "successful_additions": done,
        "failed_additions": members.len() - done,
        "updated_team": updated,
    });
    if !warnings.is_empty() {
        answer["warnings"] = warnings.into();
    }
    Ok(ok(&answer))
}

struct Wanted {
    team: String,
    members: Vec<Named>,
    all: bool,
    terms: TermsChanges,
}

fn named(user: &str) -> Named {
    Named { user: Some(user.to_owned()), email: None, role: "user".to_owned() }
}

/// All users who are no members yet.
fn all_others(state: &State, team: &str) -> Result<Vec<Named>, Error> {
    let users = state.entities(Kind::User);
    let others = users.filter(|user| state.member(Kind::Team, team, &user.name).is_none());
    let others: Vec<Named> = others.map(|user| named(&user.name)).collect();
    if others.len() > MAX_MEMBERS {
        let (all, name) = (others.len(), "all_users");
        let reason = format!("{all} users would join, and {MAX_MEMBERS} can at a time: name them");
        return Err(Error::BadField { name, reason });
    }
    Ok(others)
}

fn parse(mut body: Body) -> Result<Wanted, Error> {
    let team = body.require("team_id", values::text);
    let all = body.take("all_users", values::flag).value().unwrap_or_default();
    let members = body.take("members", entity_fields::members).value().unwrap_or_default();
    let (terms, guards) = read_terms(&mut body, Kind::Team);
    if !all && (members.is_empty() || members.len() > MAX_MEMBERS) {
        body.refuse("members", format!("1 to {MAX_MEMBERS} members can be added at a time"));
    }
    for wrong in members.iter().filter_map(|named| check_role(Kind::Team, &named.role).err()) {
        body.fault("members", wrong);
    }
    finish(body, ["team_id", "all_users", "members"].into_iter(), guards)?;
    Ok(Wanted { team, members, all, terms })
}

#[cfg(test)]
mod tests {
    use dunlin_state::Entity;

    use super::*;
    use crate::rights::tests::{made, member};
    use crate::rows::row::tests::state_after;

    #[test]
    fn someone_joins_or_everyone() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        let two = of(r#"{"team_id": "t", "members": [{"user_id": "a"}, {"user_id": "b"}]}"#);
        assert_eq!(two.ok().map(|wanted| wanted.members.len()), Some(2));
        assert!(of(r#"{"team_id": "t", "all_users": true}"#).is_ok_and(|wanted| wanted.all));
        assert!(of(r#"{"team_id": "t"}"#).is_err());
    }

    #[test]
    fn everyone_joins_who_is_no_member_or_nobody() {
        let users = |count: usize| {
            let user = |number: usize| Entity {
                kind: Kind::User,
                name: format!("u{number}"),
                ..Entity::default()
            };
            (0..count).map(user).map(|user| made(user, Vec::new()))
        };
        let team = || Entity { kind: Kind::Team, name: "t".to_owned(), ..Entity::default() };
        let fits =
            state_after(users(MAX_MEMBERS + 1).chain([made(team(), vec![member("u0", "user")])]));
        assert_eq!(all_others(&fits, "t").map(|others| others.len()).ok(), Some(MAX_MEMBERS));
        let more = state_after(users(MAX_MEMBERS + 1).chain([made(team(), Vec::new())]));
        assert!(all_others(&more, "t").is_err());
    }
}
