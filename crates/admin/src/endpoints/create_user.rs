//! `POST /user/new`: makes a user, lets it join its teams, and makes its first key unless
//! `auto_create_key` is false.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Command, Entity, Kind, Spender};
use tracing::info;

use super::{create_key, entity_of, ok};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::caller::MASTER_USER;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::{View, put};
use crate::terms::defaults::Defaulted;
use crate::terms::entity_fields::{self, EntityFields};
use crate::terms::members::{check_role, joined_teams, joins};
use crate::terms::model_names::{Whose, in_terms};
use crate::terms::new_key::NewKey;

/// What is said of the first key, beside the user's own terms, which bound it.
const OF_KEY: &[&str] = &["key_alias", "duration", "aliases", "key_type", "allowed_routes"];

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/user/new", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let mut body = asked.body()?;
    let published = admin.settings()?;
    let state = admin.knowing(&body).await;
    let defaults = ("default_internal_user_params", &published.settings.user_defaults);
    let mut defaulted = Defaulted::default();
    defaulted.fill(&mut body, &state, defaults);
    let NewUser { mut user, groups, spend, key } = read(body, &asked.caller.maker())?;
    user.terms.defaulted = defaulted.gives_way();
    let now = admin.0.clock.unix();
    let settings = &published.settings;
    let key = key.map(|body| NewKey::read(body, settings, &asked.caller, (&state, now)));
    let key = key.transpose()?;
    let make = Command::CreateEntity { entity: Box::new(user.clone()), members: Vec::new() };
    let join = groups.into_iter().map(|(kind, name, role)| joins((kind, name), &user.name, role));
    let view = admin.view(admin.0.consensus.state());
    let (whose, period) =
        (Spender::Entity(Kind::User, user.name.clone()), view.period(&user.terms));
    let spent = spend.map(|to| Command::SetSpendOf { whose, period, to });
    let make_key = key.as_ref().map(|key| key.commands(&view)).unwrap_or_default();
    let commands = [make].into_iter().chain(join).chain(spent).chain(make_key).collect();
    let (reply, view) = admin.carry_out(&asked, Command::All { commands }).await?;
    let user = entity_of(reply);
    info!(user.id = user.name, "user {} was created", user.name);
    let mut row = answer(&view, &user, key.as_ref());
    admin.put_warnings(&mut row, &asked.caller, &in_terms(&user.terms), Whose::entity(&user));
    Ok(ok(&row))
}

struct NewUser {
    user: Entity,
    /// The teams and organizations that it joins, in what role.
    groups: Vec<(Kind, String, String)>,
    spend: Option<dunlin_types::NanoUsd>,
    /// The request for its key.
    key: Option<Body>,
}

fn read(mut body: Body, by: &str) -> Result<NewUser, Error> {
    let name = entity_fields::name_of(&mut body, Kind::User);
    if name == MASTER_USER {
        body.refuse("user_id", format!("`{MASTER_USER}` stands for the master key"));
    }
    let automatic = body.take("auto_create_key", values::flag).value().unwrap_or(true);
    let mut teams = joined_teams(&mut body);
    let one = body.take("team_id", values::text).value().filter(|team| !team.is_empty());
    let mut of_key = Body::parse(b"{}").expect("an object");
    // Without a key there is nothing for them to bound.
    for field in OF_KEY.iter().filter(|_| automatic) {
        if let Some(value) = body.peek(field) {
            of_key.put(field, &value);
            body.drop(field);
        }
    }
    of_key.put("user_id", &name);
    if let Some(team) = &one {
        of_key.put("team_id", team);
        if !teams.iter().any(|(known, _)| known == team) {
            teams.push((team.clone(), "user".to_owned()));
        }
    }
    let organizations = body.take("organizations", values::texts).value().unwrap_or_default();
    let more = ["auto_create_key", "organizations", "team_id"];
    let more: Vec<_> = OF_KEY.iter().copied().chain(more).collect();
    let EntityFields { changes, spend } = entity_fields::read(body, Kind::User, &more)?;
    let user = entity_fields::new(Kind::User, name, changes, by.to_owned());
    let role = |user: &Entity| user.role.clone().filter(|role| check_role(JOINED, role).is_ok());
    let role = role(&user).unwrap_or_else(|| "internal_user".to_owned());
    let teams = teams.into_iter().map(|(name, role)| (Kind::Team, name, role));
    let organizations = organizations.into_iter().map(|name| (JOINED, name, role.clone()));
    let groups = teams.chain(organizations).collect();
    Ok(NewUser { user, groups, spend, key: automatic.then_some(of_key) })
}

/// What a new user joins beside teams, in its own role where that is one there.
const JOINED: Kind = Kind::Organization;

fn answer(view: &View, user: &Entity, key: Option<&NewKey>) -> Row {
    let mut row = match key {
        Some(new) => {
            let key = view.state.key(&new.key.token).map_or(&new.key, AsRef::as_ref);
            create_key::answer(view, key, new)
        }
        None => {
            let mut row = Row::new();
            put(&mut row, "key", "");
            row
        }
    };
    // What both have is the user's: it bounds the key.
    row.extend(view.user(user));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<NewUser, Error> {
        read(Body::parse(text.as_bytes())?, "default_user_id")
    }

    #[test]
    fn a_user_comes_with_a_key_and_in_its_teams() {
        let new =
            of(r#"{"user_id": "ann", "user_email": "a@b.c", "max_budget": 5, "key_alias": "first",
                "teams": ["t", {"team_id": "lead", "user_role": "admin"}], "duration": "1d",
                "organizations": ["o"]}"#);
        let Ok(new) = new else { panic!("a user") };
        assert_eq!(new.user.email.as_deref(), Some("a@b.c"));
        let groups: Vec<_> =
            new.groups.iter().map(|(_, name, role)| (name.as_str(), role.as_str())).collect();
        assert_eq!(groups, [("t", "user"), ("lead", "admin"), ("o", "internal_user")]);
        let key = new.key.expect("a key");
        assert_eq!(key.peek("user_id"), Some("ann".into()));
        assert_eq!(key.peek("key_alias"), Some("first".into()));
        assert!(!key.has("max_budget"), "the user's budget is the user's");
        assert!(of(r#"{"auto_create_key": false}"#).is_ok_and(|new| new.key.is_none()));
    }

    #[test]
    fn nobody_gets_the_master_keys_name() {
        assert!(matches!(of(r#"{"user_id": "default_user_id"}"#), Err(Error::BadField { .. })));
        assert!(matches!(of(r#"{"teams": [5]}"#), Err(Error::Invalid(_))));
    }
}
