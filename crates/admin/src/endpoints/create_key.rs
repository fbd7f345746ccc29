//! `POST /key/generate`: makes a key. The only answer that shows it in clear.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use dunlin_admin_api::KeyRow;
use dunlin_llm::credentials::key_name;
use dunlin_state::{Change, Command, Key};
use dunlin_types::{KeyDigest, NanoUsd, Secret, UnixMillis};
use tracing::info;

use super::{Routes, key_of, ok};
use crate::body::{self, Body};
use crate::error::Error;
use crate::{Admin, fields, naming, row};

const PATH: &str = "/key/generate";
/// LiteLLM's name for whoever holds the master key.
const MASTER_USER: &str = "default_user_id";

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, post(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    let body = admin.admitted_body(request, PATH).await?;
    let NewKey { clear, key, duration } = parse(&body, admin.0.clock.unix())?;
    if admin.0.is_master_key(&clear) {
        // It would outlive the master key's rotation.
        let reason = "Invalid key format: it is the master key.".to_owned();
        return Err(Error::BadField { name: "key", reason });
    }
    let reply = admin.0.consensus.propose(Command::CreateKey { key: Box::new(key) }).await?;
    let key = key_of(reply);
    info!(key.id = %key.token, key.alias = key.alias, "key {} was made", key.name);
    Ok(ok(&answer(&key, &clear, duration)))
}

struct NewKey {
    clear: Secret,
    key: Key,
    duration: Option<String>,
}

fn parse(bytes: &[u8], now: UnixMillis) -> Result<NewKey, Error> {
    let mut body = Body::parse(bytes)?;
    let chosen = body.take("key", body::text);
    let fields::KeyFields { changes, duration } = fields::read(body, now)?;
    let clear = match chosen {
        Change::Set(key) => naming::chosen(key)?,
        Change::Keep | Change::Clear => naming::draw(),
    };
    let new = Key {
        token: KeyDigest::of(clear.expose()),
        name: key_name(&clear),
        created_by: MASTER_USER.to_owned(),
        ..Key::default()
    };
    let mut key = new.changed(changes);
    let owner = || format!("\"{MASTER_USER}\"");
    key.terms.other.entry("user_id".to_owned()).or_insert_with(owner);
    Ok(NewKey { clear, key, duration })
}

fn answer(key: &Key, clear: &Secret, duration: Option<String>) -> KeyRow {
    let mut row = row::of(key, NanoUsd::ZERO);
    row.key = Some(clear.expose().to_owned());
    row.token_id = row.token;
    row.other.insert("duration".to_owned(), row::to_raw(&duration));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_of_its_request_and_answered_with_every_field() {
        let body = br#"{"key": "sk-chosen-by-me-1234", "key_alias": "app", "duration": "1h",
            "models": ["gpt-4o"], "rpm_limit": 0, "metadata": {"b": 1.0, "a": 2}, "user_id": "u"}"#;
        let NewKey { clear, key, duration } = parse(body, UnixMillis(0)).expect("a key");
        assert_eq!(key.expires, Some(UnixMillis(3_600_000)));
        assert_eq!(key.terms.rpm, Some(0), "0 is a limit, not the absence of one");
        let told = serde_json::to_value(answer(&key, &clear, duration)).expect("JSON");
        for (name, value) in [
            ("key", serde_json::json!("sk-chosen-by-me-1234")),
            ("key_name", serde_json::json!("sk-...1234")),
            ("token", serde_json::json!(KeyDigest::of("sk-chosen-by-me-1234"))),
            ("token_id", serde_json::json!(KeyDigest::of("sk-chosen-by-me-1234"))),
            ("expires", serde_json::json!("1970-01-01T01:00:00.000000Z")),
            ("duration", serde_json::json!("1h")),
            ("metadata", serde_json::json!({"b": 1.0, "a": 2})),
            ("user_id", serde_json::json!("u")),
            ("created_by", serde_json::json!("default_user_id")),
            ("max_budget", serde_json::json!(null)),
            ("litellm_budget_table", serde_json::json!(null)),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
    }

    #[test]
    fn an_empty_request_makes_a_key_for_everything_and_for_ever() {
        let NewKey { clear, key, .. } = parse(b"{}", UnixMillis(0)).expect("a key");
        assert_eq!(key.token, KeyDigest::of(clear.expose()));
        assert!(key.terms.models.is_empty() && key.expires.is_none() && key.terms.rpm.is_none());
        assert_eq!(key.terms.other["user_id"], "\"default_user_id\"");
    }

    #[test]
    fn a_bad_lifetime_is_refused_with_its_name() {
        let refused = parse(br#"{"duration": "1y"}"#, UnixMillis(0));
        assert!(matches!(refused, Err(Error::BadField { name: "duration", .. })));
    }
}
