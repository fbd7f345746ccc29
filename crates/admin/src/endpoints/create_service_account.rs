//! `POST /key/service-account/generate`: makes a key that is a team's and no user's.

use axum::response::Response;
use dunlin_state::Key;
use serde_json::{Map, Value};

use super::create_key;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::fault::Fault;
use crate::request::naming;
use crate::rights::key_rules::Named;
use crate::routes::{Request, Routes, Who};
use crate::terms::new_key::NewKey;

const PATH: &str = "/key/service-account/generate";

pub(super) fn add(routes: Routes) -> Routes {
    routes.post(PATH, Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let body = asked.body()?;
    check(&body)?;
    let published = admin.settings()?;
    let named = Named::of(&body, &published.settings);
    let (state, now) = (admin.knowing(&body).await, admin.0.clock.unix());
    let known = (&*state, now);
    let mut new = NewKey::without_owner(body, &published.settings, &asked.caller, known)?;
    new.key.user = None;
    sign(&mut new.key);
    create_key::make(&admin, &asked, &named, new).await
}

/// LiteLLM knows a service account by a name in the metadata.
fn sign(key: &mut Key) {
    let kept = key.terms.other.get("metadata").and_then(|text| serde_json::from_str(text).ok());
    let mut metadata: Map<String, Value> = kept.unwrap_or_default();
    let named = metadata.get("service_account_id").is_some_and(Value::is_string);
    if !named {
        let name = key.alias.clone().unwrap_or_else(naming::draw_id);
        metadata.insert("service_account_id".to_owned(), name.into());
        key.terms.other.insert("metadata".to_owned(), Value::Object(metadata).to_string());
    }
}

fn check(body: &Body) -> Result<(), Error> {
    if body.peek("team_id").is_some_and(|team| team.as_str().is_some_and(|team| !team.is_empty())) {
        return Ok(());
    }
    let msg = "team_id is required for service account keys";
    Err(Error::Invalid(vec![Fault::of("body", "team_id", "missing", msg)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_in_its_metadata_by_its_alias_unless_it_names_itself() {
        for (kept, expected) in [
            (None, r#"{"service_account_id":"robot"}"#),
            (Some(r#"{"a":1}"#), r#"{"a":1,"service_account_id":"robot"}"#),
            (Some(r#"{"service_account_id":"own"}"#), r#"{"service_account_id":"own"}"#),
        ] {
            let mut key = Key { alias: Some("robot".to_owned()), ..Key::default() };
            let kept = kept.map(|kept| ("metadata".to_owned(), kept.to_owned()));
            key.terms.other.extend(kept);
            sign(&mut key);
            assert_eq!(key.terms.other["metadata"], expected);
        }
    }

    #[test]
    fn a_service_account_is_a_teams() {
        let check = |text: &str| check(&Body::parse(text.as_bytes()).expect("an object"));
        assert!(check(r#"{"team_id": "t"}"#).is_ok());
        for text in ["{}", r#"{"team_id": null}"#, r#"{"team_id": ""}"#, r#"{"team_id": 5}"#] {
            assert!(matches!(check(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
