//! `POST /key/block`: refuses a key until it is unblocked.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use dunlin_state::Command;
use tracing::info;

use super::{Routes, key_of, ok};
use crate::body::{self, Body};
use crate::error::Error;
use crate::{Admin, naming, row};

const PATH: &str = "/key/block";

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, post(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    let body = admin.admitted_body(request, PATH).await?;
    set(&admin, parse(&body, true)?).await
}

/// Carries out [`Command::SetBlocked`]; the answer is the key's row.
pub(super) async fn set(admin: &Admin, command: Command) -> Result<Response, Error> {
    let key = key_of(admin.0.consensus.propose(command).await?);
    info!(key.id = %key.token, key.blocked = key.terms.blocked, "whether key {} is let in was set", key.name);
    Ok(ok(&row::of(&key, admin.0.consensus.state().key_spend(&key.token))))
}

/// The change of the key that the request names.
pub(super) fn parse(bytes: &[u8], blocked: bool) -> Result<Command, Error> {
    let mut body = Body::parse(bytes)?;
    let named = body.require("key", body::text);
    body.finish(["key"].into_iter())?;
    let token = naming::digest_of(&named).ok_or(Error::NoSuchKey { name: "key" })?;
    Ok(Command::SetBlocked { token, blocked })
}

#[cfg(test)]
mod tests {
    use dunlin_types::KeyDigest;

    use super::*;

    #[test]
    fn a_key_is_blocked_by_its_text_or_its_hash() {
        let token = KeyDigest::of("sk-a");
        for named in ["sk-a".to_owned(), token.to_string()] {
            let command = parse(format!(r#"{{"key": "{named}"}}"#).as_bytes(), true);
            assert_eq!(command.expect("a command"), Command::SetBlocked { token, blocked: true });
        }
        assert!(matches!(parse(br#"{"keys": ["sk-a"]}"#, true), Err(Error::Invalid(_))));
    }
}
