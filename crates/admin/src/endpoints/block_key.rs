//! `POST /key/block`: refuses a key until it is unblocked.

use axum::response::Response;
use dunlin_state::Command;
use tracing::info;

use super::{key_of, ok};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values;
use crate::rights::forbidden;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/block", Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    set(&admin, &asked, parse(asked.body()?, true)?).await
}

/// Carries out [`Command::SetBlocked`]; the answer is the key's row.
pub(super) async fn set(
    admin: &Admin,
    asked: &Request,
    command: Command,
) -> Result<Response, Error> {
    let Command::SetBlocked { token, blocked } = command else { unreachable!("it was parsed") };
    let state = admin.read().await.state;
    let key = state.key_named(&token);
    // Who merely owns a key that an admin blocked does not unblock it.
    if !asked.caller.is_admin() && !key.is_some_and(|key| asked.caller.leads_owner(&state, key)) {
        let reason = "only admins of a key's team may block and unblock it".to_owned();
        return Err(forbidden(reason));
    }
    let token = key.map_or(token, |key| key.token);
    let command = Command::SetBlocked { token, blocked };
    let (reply, view) = admin.carry_out(asked, command).await?;
    let key = key_of(reply);
    info!(key.id = %key.token, key.blocked = key.terms.blocked, "key {} was blocked or unblocked", key.name);
    Ok(ok(&view.key(&key)))
}

/// The change of the key that the request names.
pub(super) fn parse(mut body: Body, blocked: bool) -> Result<Command, Error> {
    let named = body.require("key", values::text);
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
            let body = format!(r#"{{"key": "{named}"}}"#);
            let command = parse(Body::parse(body.as_bytes()).expect("an object"), true);
            assert_eq!(command.expect("a command"), Command::SetBlocked { token, blocked: true });
        }
        let body = Body::parse(br#"{"keys": ["sk-a"]}"#).expect("an object");
        assert!(matches!(parse(body, true), Err(Error::Invalid(_))));
    }
}
