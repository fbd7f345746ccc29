//! `POST /team/block`, `/team/unblock`, `/customer/block` and `/customer/unblock`: refuses all requests
//! for a team or an end user, or lets them in again.

use axum::response::Response;
use dunlin_state::{Change, Command, EntityChanges, Kind, Reply, Seen, State, TermsChanges};
use serde_json::json;
use tracing::info;

use super::{entity_of, ok, sign};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};
use crate::rows::entities::{find, row};
use crate::rows::row::View;
use crate::terms::edit::{Decided, with_organization};
use crate::terms::entity_fields;

/// A path that blocks, or does the contrary.
#[derive(Clone, Copy)]
struct Way {
    path: &'static str,
    kind: Kind,
    blocked: bool,
}

/// An end user's blocking may make it known.
const PATHS: &[Way] = &[
    Way { path: "/team/block", kind: Kind::Team, blocked: true },
    Way { path: "/team/unblock", kind: Kind::Team, blocked: false },
    Way { path: "/customer/block", kind: Kind::EndUser, blocked: true },
    Way { path: "/customer/unblock", kind: Kind::EndUser, blocked: false },
    Way { path: "/end_user/block", kind: Kind::EndUser, blocked: true },
    Way { path: "/end_user/unblock", kind: Kind::EndUser, blocked: false },
];

pub(super) fn add(routes: Routes) -> Routes {
    PATHS.iter().fold(routes, |routes, &Way { path, kind, blocked }| {
        routes.post(path, Who::changing(kind), move |admin, asked| {
            handle(admin, asked, kind, blocked)
        })
    })
}

async fn handle(
    admin: Admin,
    asked: Request,
    kind: Kind,
    blocked: bool,
) -> Result<Response, Error> {
    let names = parse(asked.body()?, kind)?;
    let state = admin.read().await.state;
    let block = |view: &View| {
        let seen = led(&asked, &view.state, kind, &names)?;
        let each = |name| command(&asked, &view.state, (kind, name), blocked);
        let commands = names.iter().map(each).collect();
        Ok(Decided { seen, command: Command::All { commands } })
    };
    let (reply, view) = admin.edit(&asked, state, block).await?;
    info!(entity.kind = kind.name(), entity.names = ?names, blocked, "entities were blocked or unblocked");
    let Reply::All(replies) = reply else { unreachable!("several commands have several replies") };
    let rows: Vec<_> = replies.into_iter().map(|reply| row(&view, &entity_of(reply))).collect();
    Ok(match (kind, blocked) {
        (Kind::EndUser, true) => ok(&json!({"blocked_users": rows})),
        (Kind::EndUser, false) => ok(&json!({"blocked_users": []})),
        (
            Kind::Team
            | Kind::User
            | Kind::Organization
            | Kind::Budget
            | Kind::Tag
            | Kind::AccessGroup,
            _,
        ) => ok(&rows[0]),
    })
}

/// What says that whoever is no admin leads the team.
fn led(asked: &Request, state: &State, kind: Kind, names: &[String]) -> Result<Vec<Seen>, Error> {
    if asked.caller.is_admin() {
        return Ok(Vec::new());
    }
    let mut seen = Vec::new();
    for name in names {
        if !asked.caller.leads(state, kind, name) {
            return Err(forbidden(format!(
                "only admins of team `{name}` may block and unblock it"
            )));
        }
        seen.extend(with_organization(state, &*find(state, kind, name)?));
    }
    Ok(seen)
}

fn parse(mut body: Body, kind: Kind) -> Result<Vec<String>, Error> {
    let (field, names) = if kind == Kind::EndUser {
        ("user_ids", body.require("user_ids", values::texts))
    } else {
        ("team_id", vec![body.require("team_id", values::text)])
    };
    if names.is_empty() {
        body.refuse(field, format!("name at least one in `{field}`"));
    }
    body.finish([field].into_iter())?;
    Ok(names)
}

fn command(
    asked: &Request,
    state: &State,
    (kind, name): (Kind, &String),
    blocked: bool,
) -> Command {
    let mut terms = TermsChanges { blocked: Change::Set(blocked), ..TermsChanges::default() };
    let unknown = kind == Kind::EndUser && blocked && state.entity(kind, name).is_none();
    if !unknown {
        sign(&mut terms, &asked.caller);
    }
    let changes = EntityChanges { terms, ..EntityChanges::default() };
    if unknown {
        let entity = entity_fields::new(kind, name.clone(), changes, asked.caller.maker());
        Command::CreateEntity { entity: Box::new(entity), members: Vec::new() }
    } else {
        Command::UpdateEntity { kind, name: name.clone(), changes: Box::new(changes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::caller::Caller;
    use crate::rights::tests::{asked_by, bearer, world};

    #[test]
    fn who_leads_a_team_or_its_organization_blocks_it() {
        let state = world();
        let may = |asked: &Request, team: &str| {
            led(asked, &state, Kind::Team, &[team.to_owned()]).is_ok()
        };
        for (who, allowed) in [("root", true), ("boss", true), ("lead", true), ("dev", false)] {
            let asked = asked_by(bearer(&state, &format!("sk-{who}")));
            assert_eq!(may(&asked, "t"), allowed, "{who}");
            assert_eq!(may(&asked, "other"), who == "root", "{who}");
        }
    }

    #[test]
    fn an_end_user_that_nobody_knows_can_be_blocked_and_a_team_cannot() {
        let (asked, state) = (asked_by(Caller::Master), world());
        let of = |kind, name: &str| command(&asked, &state, (kind, &name.to_owned()), true);
        assert!(matches!(of(Kind::EndUser, "new"), Command::CreateEntity { .. }));
        assert!(matches!(of(Kind::Team, "new"), Command::UpdateEntity { .. }));
        let body = |text: &str| Body::parse(text.as_bytes()).expect("an object");
        assert!(parse(body(r#"{"user_ids": []}"#), Kind::EndUser).is_err());
        assert_eq!(parse(body(r#"{"team_id": "t"}"#), Kind::Team).expect("a team"), ["t"]);
    }
}
