//! `POST /key/generate`: makes a key. The only answer that shows it in clear.

use axum::response::Response;
use dunlin_admin_api::Row;
use dunlin_state::{Command, Key, Kind, State};
use tracing::info;

use super::{key_of, ok};
use crate::Admin;
use crate::error::Error;
use crate::rights::caller::MASTER_USER;
use crate::rights::key_rules::Named;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::{View, put};
use crate::terms::edit::{Decided, owners};
use crate::terms::model_names::{Whose, in_terms, put_warning};
use crate::terms::new_key::NewKey;

const PATH: &str = "/key/generate";

pub(super) fn add(routes: Routes) -> Routes {
    routes.post(PATH, Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let now = admin.0.clock.unix();
    let body = asked.body()?;
    let named = Named::of(&body, &published.settings);
    let state = admin.knowing(&body).await;
    let new = NewKey::read(body, &published.settings, &asked.caller, (&state, now))?;
    make(&admin, &asked, &named, new).await
}

/// Makes a key that the caller may give.
pub(super) async fn make(
    admin: &Admin,
    asked: &Request,
    named: &Named,
    new: NewKey,
) -> Result<Response, Error> {
    let state = admin.judging(asked).await;
    let published = admin.settings()?;
    let give = |view: &View| {
        let may_give = asked.caller.may_give(view, &new.key, None, asked.route);
        may_give.map_err(|error| new.defaulted.explain(error))?;
        named.check(&published.settings, &asked.caller, &view.state, &new.key)?;
        let may_all = asked.caller.is_admin();
        let seen = if may_all { Vec::new() } else { owners(&view.state, &new.key) };
        Ok(Decided { seen, command: Command::All { commands: new.commands(view) } })
    };
    let (reply, view) = admin.edit(asked, state, give).await?;
    let key = key_of(reply);
    info!(key.id = %key.token, key.alias = key.alias, "key {} was created", key.name);
    let mut row = answer(&view, &key, &new);
    let whose = Whose::key(&view.state, &key);
    let mut sent = in_terms(&new.key.terms);
    sent.extend(new.key.aliases.values().map(|name| ("aliases", name.clone())));
    admin.put_warnings(&mut row, &asked.caller, &sent, whose);
    if let Some(warning) = unknown_user(&view.state, &key) {
        put_warning(&mut row, &warning);
    }
    Ok(ok(&row))
}

/// A key may be made for a user who comes later, or whose name was mistyped.
fn unknown_user(state: &State, key: &Key) -> Option<String> {
    let user = key.user.as_deref().filter(|user| *user != MASTER_USER)?;
    state.entity(Kind::User, user).is_none().then(|| {
        format!("user `{user}` does not exist: no user's budget or limits bound this key yet")
    })
}

/// The row with the key in clear.
pub(super) fn answer(view: &View, key: &Key, new: &NewKey) -> Row {
    let mut row = view.key(key);
    put(&mut row, "key", new.clear.expose());
    put(&mut row, "token_id", &key.token);
    put(&mut row, "duration", &new.duration);
    row
}

#[cfg(test)]
mod tests {
    use dunlin_types::{KeyDigest, UnixMillis};
    use serde_json::json;

    use super::*;
    use crate::Settings;
    use crate::request::body::Body;
    use crate::rights::caller::Caller;
    use crate::rows::row::tests::view_of;

    #[test]
    fn a_user_who_does_not_exist_is_named() {
        let of = |user: Option<&str>| {
            let key = Key { user: user.map(Into::into), ..Key::default() };
            unknown_user(&State::new(), &key)
        };
        assert!(of(Some("nosuch")).is_some_and(|said| said.contains("`nosuch` does not exist")));
        assert_eq!((of(None), of(Some(MASTER_USER))), (None, None));
    }

    #[test]
    fn a_key_is_made_of_its_request_and_answered_with_every_field() {
        let body = br#"{"key": "sk-chosen-by-me-1234", "key_alias": "app", "duration": "1h",
            "models": ["gpt-4o"], "rpm_limit": 0, "metadata": {"b": 1.0, "a": 2}, "user_id": "u",
            "max_budget": 10, "budget_duration": "30d"}"#;
        let body = Body::parse(body).expect("an object");
        let new = NewKey::read(
            body,
            &Settings::default(),
            &Caller::Master,
            (&State::new(), UnixMillis(0)),
        );
        let new = new.expect("a key");
        assert_eq!(new.key.expires, Some(UnixMillis(3_600_000)));
        let told = answer(&view_of(State::new()), &new.key, &new);
        let told = serde_json::to_value(told).expect("JSON");
        for (name, value) in [
            ("key", json!("sk-chosen-by-me-1234")),
            ("key_name", json!("sk-...1234")),
            ("token", json!(KeyDigest::of("sk-chosen-by-me-1234"))),
            ("token_id", json!(KeyDigest::of("sk-chosen-by-me-1234"))),
            ("expires", json!("1970-01-01T01:00:00.000000Z")),
            ("duration", json!("1h")),
            ("metadata", json!({"b": 1.0, "a": 2})),
            ("user_id", json!("u")),
            ("created_by", json!("default_user_id")),
            ("rpm_limit", json!(0)),
            ("max_budget", json!(10.0)),
            ("budget_reset_at", json!("1970-02-01T00:00:00.000000Z")),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
    }
}
