//! `GET /key/info`: one key's row. Any key may ask about itself; users about theirs.

use axum::response::Response;
use dunlin_admin_api::KeyInfo;
use dunlin_state::State;
use dunlin_types::KeyDigest;

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::naming;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/key/info", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let (named, token) = whose(&read.state, &asked.caller, asked.param("key"))?;
    let info = answer(&admin.view(read.state.clone()), named, &token);
    Ok(ok_as_of(&read, &info.ok_or(Error::NoSuchKey { name: "key" })?))
}

/// The key asked about: as it was named, and its hash.
fn whose(
    state: &State,
    caller: &Caller,
    named: Option<&str>,
) -> Result<(String, KeyDigest), Error> {
    let own = caller.bearer().map(|bearer| bearer.caller.token);
    let Some(named) = named else {
        // The master key is no virtual key: it has no row.
        let own = own.ok_or(Error::NoSuchKey { name: "key" })?;
        return Ok((own.to_string(), own));
    };
    match naming::digest_of(named).and_then(|token| state.key_named(&token)) {
        Some(key) if caller.sees_key(state, key) => Ok((named.to_owned(), key.token)),
        None if caller.sees_all() => Err(Error::NoSuchKey { name: "key" }),
        // Who may not see it learns nothing about whether it is there.
        Some(_) | None => Err(Error::NotYours),
    }
}

fn answer(view: &View, named: String, token: &KeyDigest) -> Option<KeyInfo> {
    let mut info = view.key_in_force(view.state.key(token)?);
    info.remove("token");
    Some(KeyInfo { key: named, info })
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rights::tests::bearer;
    use crate::rows::row::tests::{bare, state_after, view_of};

    #[test]
    fn a_key_may_ask_about_itself_only() {
        let make =
            ["sk-aaaa", "sk-bbbb"].map(|clear| Command::CreateKey { key: Box::new(bare(clear)) });
        let state = state_after(make);
        let own = KeyDigest::of("sk-aaaa");
        let me = bearer(&state, "sk-aaaa");
        let ask = |caller: &Caller, named: Option<&str>| whose(&state, caller, named);
        assert_eq!(ask(&me, None).expect("itself"), (own.to_string(), own));
        assert_eq!(ask(&me, Some("sk-aaaa")).expect("itself"), ("sk-aaaa".to_owned(), own));
        let hash = own.to_string();
        assert_eq!(ask(&me, Some(&hash)).expect("itself"), (hash.clone(), own));
        for other in ["sk-bbbb", "sk-none", "nonsense"] {
            assert!(matches!(ask(&me, Some(other)), Err(Error::NotYours)), "{other}");
        }
        let any = ask(&Caller::Master, Some("sk-aaaa")).expect("any");
        assert_eq!(any, ("sk-aaaa".to_owned(), own));
        for none in [None, Some("sk-none"), Some("nonsense")] {
            assert!(matches!(ask(&Caller::Master, none), Err(Error::NoSuchKey { .. })), "{none:?}");
        }
    }

    #[test]
    fn the_row_shows_neither_key_nor_token() {
        let make = Command::CreateKey { key: Box::new(bare("sk-abcd")) };
        let view = view_of(state_after([make]));
        let info = answer(&view, "sk-abcd".to_owned(), &KeyDigest::of("sk-abcd")).expect("a key");
        let told = serde_json::to_value(info).expect("JSON");
        assert_eq!(told["key"], "sk-abcd");
        assert!(told["info"].get("token").is_none() && told["info"].get("key").is_none());
    }
}
