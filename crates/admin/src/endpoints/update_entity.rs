//! `POST /team/update` and its like: changes the fields that are sent; null clears one.

use std::sync::Arc;

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Command, Entity, Kind, Seen, Spender};
use serde_json::json;
use tracing::info;

use super::create_entity::{organization_of, told_tag};
use super::{entity_of, ok, sign};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::forbidden;
use crate::rights::within::within_organization;
use crate::routes::{OfKind, PATCH, POST, Request, Routes};
use crate::rows::entities::{find, row, unknown, user_named};
use crate::rows::row::View;
use crate::terms::edit::{Decided, with_organization};
use crate::terms::entity_fields::{self, EntityFields, id_name};
use crate::terms::members::{joined_teams, joins};
use crate::terms::model_names::{Whose, in_changes, put_warning};
use crate::terms::shared;

const PATHS: &[OfKind] = &[
    OfKind { method: POST, path: "/team/update", kind: Kind::Team },
    OfKind { method: POST, path: "/user/update", kind: Kind::User },
    OfKind { method: POST, path: "/customer/update", kind: Kind::EndUser },
    OfKind { method: POST, path: "/end_user/update", kind: Kind::EndUser },
    OfKind { method: PATCH, path: "/organization/update", kind: Kind::Organization },
    OfKind { method: POST, path: "/budget/update", kind: Kind::Budget },
    OfKind { method: POST, path: "/tag/update", kind: Kind::Tag },
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.changing(PATHS, handle)
}

async fn handle(admin: Admin, asked: Request, kind: Kind) -> Result<Response, Error> {
    let body = asked.body()?;
    let Changed { entity, view, row } = carry_out(&admin, &asked, body, kind).await?;
    Ok(match kind {
        Kind::Team => ok(&json!({"team_id": entity.name, "data": row})),
        Kind::User => ok(&json!({"user_id": entity.name, "data": row})),
        Kind::Tag => ok(&told_tag(&view, &entity, "updated")),
        Kind::EndUser | Kind::Organization | Kind::Budget | Kind::AccessGroup => ok(&row),
    })
}

const MEMBERS_STAY: &str = "members_with_roles: an update leaves the members as they are: \
                            /team/member_add and /team/member_delete change them";

/// An entity that was changed.
pub(super) struct Changed {
    entity: Arc<Entity>,
    view: View,
    pub(super) row: Row,
}

/// Changes an entity as far as the caller may.
pub(super) async fn carry_out(
    admin: &Admin,
    asked: &Request,
    mut body: Body,
    kind: Kind,
) -> Result<Changed, Error> {
    // The address of a user may have been given on another node a moment ago.
    let state = admin.read().await.state;
    let by_email = kind == Kind::User && !body.has("user_id");
    let name = if by_email {
        let email = body.peek("user_email");
        let email = email.as_ref().and_then(serde_json::Value::as_str).ok_or_else(|| {
            let reason = "user_id: name the user that is to be changed, here or in user_email";
            Error::BadField { name: "user_id", reason: reason.to_owned() }
        })?;
        user_named(&state, None, Some(email)).ok_or_else(|| unknown(kind, email))?.name.clone()
    } else {
        body.require(id_name(kind), values::text)
    };
    let teams = if kind == Kind::User { joined_teams(&mut body) } else { Vec::new() };
    let members = body.peek("members_with_roles").filter(|_| kind == Kind::Team);
    let fields = entity_fields::read(body, kind, &[])?;
    let change = |view: &View| decide(asked, view, (kind, &name), (fields.clone(), &teams));
    let (reply, view) = admin.edit(asked, state, change).await?;
    let entity = entity_of(reply);
    info!(entity.kind = kind.name(), entity.name = entity.name, "an entity was changed");
    let mut row = row(&view, &entity);
    let sent = in_changes(&fields.changes);
    admin.put_warnings(&mut row, &asked.caller, &sent, Whose::entity(&entity));
    if members.is_some_and(|members| !members.is_null()) {
        put_warning(&mut row, MEMBERS_STAY);
    }
    Ok(Changed { entity, view, row })
}

/// The change, as far as the caller may make it where things are as in `view`.
fn decide(
    asked: &Request,
    view: &View,
    (kind, name): (Kind, &str),
    (fields, teams): (EntityFields, &[(String, String)]),
) -> Result<Decided, Error> {
    let (EntityFields { mut changes, spend }, state) = (fields, &view.state);
    let before = find(state, kind, name)?;
    let mut seen = Vec::new();
    if shared::put_before_defaults(&mut changes.terms, &before.terms, state) {
        seen.push(Seen::from(&*before));
    }
    let after = Entity::clone(&before).changed(changes.clone());
    if !asked.caller.is_admin() {
        if !asked.caller.leads(state, kind, name) {
            return Err(forbidden(format!(
                "only admins of {} `{name}` may change it",
                kind.name()
            )));
        }
        if spend.is_some() || !changes.aliases.keeps() {
            return Err(forbidden("only an admin may set spend and model_aliases".to_owned()));
        }
        asked.caller.may_grow(state, Some(&before), &after)?;
    }
    if kind == Kind::Team {
        within_organization(&after, Some(&before), organization_of(state, &after))?;
        seen = with_organization(state, &before);
        seen.extend(organization_of(state, &after).map(Seen::from));
    }
    sign(&mut changes.terms, &asked.caller);
    let (name, period) = (name.to_owned(), view.period(&after.terms));
    let whose = Spender::Entity(kind, name.clone());
    let spent = spend.map(|to| Command::SetSpendOf { whose, period, to });
    let is_new = |(team, _): &&(String, String)| state.member(Kind::Team, team, &name).is_none();
    let join =
        |(team, role): &(String, String)| joins((Kind::Team, team.clone()), &name, role.clone());
    let join: Vec<_> = teams.iter().filter(is_new).map(join).collect();
    let update = Command::UpdateEntity { kind, name, changes: Box::new(changes) };
    let commands = [update].into_iter().chain(join).chain(spent).collect();
    Ok(Decided { seen, command: Command::All { commands } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Who;

    #[test]
    fn only_teams_are_changed_by_others_than_admins() {
        for &OfKind { path, kind, .. } in PATHS {
            assert_eq!(Who::changing(kind) == Who::Users, kind == Kind::Team, "{path}");
        }
    }

    #[test]
    fn a_user_joins_the_teams_that_it_is_not_in_yet() {
        let teams = ["t", "other"].map(|team| (team.to_owned(), "user".to_owned()));
        let fields = entity_fields::read(Body::parse(b"{}").expect("an object"), Kind::User, &[]);
        let fields = (fields.expect("nothing else"), teams.as_slice());
        let view = crate::rows::row::tests::view_of(crate::rights::tests::world());
        let asked = crate::rights::tests::asked_by(crate::rights::caller::Caller::Master);
        let decided = decide(&asked, &view, (Kind::User, "dev"), fields).expect("an admin asks");
        let Command::All { commands } = decided.command else { panic!("several commands") };
        let [Command::UpdateEntity { .. }, Command::AddMembers { name, members, .. }] = &*commands
        else {
            panic!("one team more: {commands:?}")
        };
        assert_eq!((name.as_str(), members[0].user.as_str()), ("other", "dev"));
    }
}
