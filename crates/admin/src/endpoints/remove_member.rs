//! `POST /team/member_delete` and `DELETE /organization/member_delete`: a user leaves. Its keys of that
//! team go with it.

use axum::response::Response;
use dunlin_state::{Command, Kind, State};
use dunlin_types::KeyDigest;
use tracing::info;

use super::ok;
use crate::Admin;
use crate::body::Body;
use crate::entities::{find, row};
use crate::entity_fields::id_name;
use crate::error::Error;
use crate::members::{NAMED_BY, OfGroup};
use crate::routes::{Asked, DELETE, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/team/member_delete", Who::Users, |admin, asked| handle(admin, asked, Kind::Team))
        .add(DELETE, "/organization/member_delete", Who::Users, |admin, asked| {
            handle(admin, asked, Kind::Organization)
        })
}

async fn handle(admin: Admin, asked: Asked, kind: Kind) -> Result<Response, Error> {
    let one = parse(asked.body()?, kind)?;
    let (view, user) = one.for_leader(&admin, &asked).await?;
    let tokens = keys_left(&view.state, kind, &one.group, &user);
    info!(entity.kind = kind.name(), entity.name = one.group, user, "a member left");
    let leave = Command::RemoveMembers { kind, name: one.group.clone(), users: vec![user] };
    let keys = (!tokens.is_empty()).then_some(Command::DeleteKeys { tokens });
    let commands = [leave].into_iter().chain(keys).collect();
    let (_, view) = admin.carry_out(&asked, Command::All { commands }).await?;
    Ok(ok(&row(&view, &*find(&view.state, kind, &one.group)?)))
}

fn parse(mut body: Body, kind: Kind) -> Result<OfGroup, Error> {
    let one = OfGroup::read(&mut body, kind);
    body.finish([id_name(kind)].into_iter().chain(NAMED_BY.iter().copied()))?;
    Ok(one)
}

/// The keys of a group that are the user's.
fn keys_left(state: &State, kind: Kind, group: &str, user: &str) -> Vec<KeyDigest> {
    let keys = state.keys().filter(|key| {
        let owner = match kind {
            Kind::Team => &key.team,
            Kind::Organization => &key.organization,
            Kind::User | Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => &None,
        };
        owner.as_deref() == Some(group) && key.user.as_deref() == Some(user)
    });
    keys.map(|key| key.token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::{bare, state_after};

    #[test]
    fn only_the_users_keys_of_that_team_go() {
        let team = dunlin_state::Entity { name: "t".to_owned(), ..Default::default() };
        let make = Command::CreateEntity { entity: Box::new(team), members: Vec::new() };
        let keys = [("sk-both", true, true), ("sk-team", false, true), ("sk-user", true, false)];
        let keys = keys.map(|(clear, of_user, of_team)| {
            let mut key = bare(clear);
            key.user = of_user.then(|| "ann".to_owned());
            key.team = of_team.then(|| "t".to_owned());
            Command::CreateKey { key: Box::new(key) }
        });
        let state = state_after([make].into_iter().chain(keys));
        let left = keys_left(&state, Kind::Team, "t", "ann");
        assert_eq!(left, [KeyDigest::of("sk-both")]);
        let body = Body::parse(br#"{"team_id": "t"}"#).expect("an object");
        assert!(parse(body, Kind::Team).is_err(), "nobody is named");
    }
}
