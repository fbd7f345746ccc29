//! `POST /key/update`: changes the fields that are sent; null clears one.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use dunlin_state::Command;
use dunlin_types::UnixMillis;
use tracing::info;

use super::{Routes, key_of, ok};
use crate::body::{self, Body};
use crate::error::Error;
use crate::{Admin, fields, naming, row};

const PATH: &str = "/key/update";

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, post(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    let body = admin.admitted_body(request, PATH).await?;
    let (named, command) = parse(&body, admin.0.clock.unix())?;
    let key = key_of(admin.0.consensus.propose(command).await?);
    info!(key.id = %key.token, "key {} was changed", key.name);
    let mut row = row::of(&key, admin.0.consensus.state().key_spend(&key.token));
    row.key = Some(named);
    Ok(ok(&row))
}

/// The key as it was named, and the change.
fn parse(bytes: &[u8], now: UnixMillis) -> Result<(String, Command), Error> {
    let mut body = Body::parse(bytes)?;
    let named = body.require("key", body::text);
    let changes = Box::new(fields::read(body, now)?.changes);
    let token = naming::digest_of(&named).ok_or(Error::NoSuchKey { name: "key" })?;
    Ok((named, Command::UpdateKey { token, changes }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dunlin_state::{Change, KeyChanges, TermsChanges};
    use dunlin_types::KeyDigest;

    use super::*;

    #[test]
    fn absent_keeps_null_clears_and_the_rest_is_set() {
        let body = br#"{"key": "sk-a", "rpm_limit": 5, "tpm_limit": null, "duration": null,
            "metadata": {"a": 1}, "tags": null}"#;
        let (named, command) = parse(body, UnixMillis(0)).expect("a change");
        let changes = Box::new(KeyChanges {
            expires: Change::Clear,
            terms: TermsChanges {
                rpm: Change::Set(5),
                tpm: Change::Clear,
                other: BTreeMap::from([
                    ("metadata".to_owned(), Change::Set(r#"{"a": 1}"#.to_owned())),
                    ("tags".to_owned(), Change::Clear),
                ]),
                ..TermsChanges::default()
            },
            ..KeyChanges::default()
        });
        assert_eq!(named, "sk-a");
        assert_eq!(command, Command::UpdateKey { token: KeyDigest::of("sk-a"), changes });
    }

    #[test]
    fn a_key_must_be_named_and_could_exist() {
        assert!(matches!(parse(b"{}", UnixMillis(0)), Err(Error::Invalid(_))));
        let neither = parse(br#"{"key": "neither clear nor hash"}"#, UnixMillis(0));
        assert!(matches!(neither, Err(Error::NoSuchKey { name: "key" })));
    }
}
