//! `GET /key/info`: one key's row. Any key may ask about itself; the master key about all.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use dunlin_admin_api::KeyInfo;
use dunlin_types::KeyDigest;

use super::{Routes, ok_as_of, query};
use crate::caller::Caller;
use crate::error::Error;
use crate::{Admin, naming, row};

const PATH: &str = "/key/info";

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, get(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    let caller = admin.identify(request.headers()).await?;
    let named = query(&request).into_iter().find(|(name, _)| name == "key");
    let (named, token) = whose(&caller, named.map(|(_, named)| named))?;
    let read = admin.read().await;
    let info = answer(&read.state, named, &token).ok_or(Error::NoSuchKey { name: "key" })?;
    Ok(ok_as_of(&read, &info))
}

/// The key asked about: as it was named, and its hash.
fn whose(caller: &Caller, named: Option<String>) -> Result<(String, KeyDigest), Error> {
    let asked = named.map(|named| (naming::digest_of(&named), named));
    match (caller, asked) {
        (Caller::Master, Some((Some(token), named))) => Ok((named, token)),
        // The master key is no virtual key: it has no row.
        (Caller::Master, Some((None, _)) | None) => Err(Error::NoSuchKey { name: "key" }),
        (Caller::Key { token, .. }, None) => Ok((token.to_string(), *token)),
        (Caller::Key { token, .. }, Some((asked, named))) if asked == Some(*token) => {
            Ok((named, *token))
        }
        (Caller::Key { .. }, Some(_)) => Err(Error::NotYours),
    }
}

fn answer(state: &dunlin_state::State, named: String, token: &KeyDigest) -> Option<KeyInfo> {
    let mut info = row::of(state.key(token)?, state.key_spend(token));
    info.token = None;
    Some(KeyInfo { key: named, info })
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Charge, Command, CommandId, Entry};
    use dunlin_types::{EntityId, Epoch, Line, NanoUsd, NodeId, PotId, UnixMillis};

    use super::*;

    fn caller(clear: &str) -> Caller {
        Caller::Key { token: KeyDigest::of(clear), name: "sk-...".to_owned() }
    }

    #[test]
    fn a_key_may_ask_about_itself_only() {
        let own = KeyDigest::of("sk-a");
        let ask = |caller: &Caller, named: Option<&str>| whose(caller, named.map(str::to_owned));
        let me = caller("sk-a");
        assert_eq!(ask(&me, None).expect("itself"), (own.to_string(), own));
        assert_eq!(ask(&me, Some("sk-a")).expect("itself"), ("sk-a".to_owned(), own));
        let hash = own.to_string();
        assert_eq!(ask(&me, Some(&hash)).expect("itself"), (hash.clone(), own));
        assert!(matches!(ask(&me, Some("sk-b")), Err(Error::NotYours)));
        assert!(matches!(ask(&me, Some("nonsense")), Err(Error::NotYours)));
        assert_eq!(ask(&Caller::Master, Some("sk-a")).expect("any"), ("sk-a".to_owned(), own));
        assert!(matches!(ask(&Caller::Master, None), Err(Error::NoSuchKey { .. })));
    }

    #[test]
    fn the_row_shows_settled_spend_and_neither_key_nor_token() {
        let mut state = dunlin_state::State::new();
        let token = KeyDigest::of("sk-abcd");
        let (node, epoch) = (NodeId(1), Epoch(1));
        let pot = PotId { of: EntityId(1_000), line: Line::Main };
        let cost = NanoUsd(2_500_000);
        let charges = vec![Charge { pot, period: UnixMillis(0), cost, requests: 1 }];
        let key = Box::new(row::tests::bare("sk-abcd"));
        let commands =
            [Command::CreateKey { key }, Command::Settle { node, epoch, from: 0, to: 1, charges }];
        for (seq, command) in (1..).zip(commands) {
            let entry = Entry { id: CommandId { node, epoch, seq }, command };
            state.apply(seq, UnixMillis(0), &entry).expect("accepted");
        }
        let info = answer(&state, "sk-abcd".to_owned(), &token).expect("a key");
        let told = serde_json::to_value(info).expect("JSON");
        assert_eq!(told["info"]["spend"], serde_json::json!(0.0025));
        assert_eq!(told["key"], "sk-abcd");
        assert!(told["info"].get("token").is_none() && told["info"].get("key").is_none());
        assert!(answer(&state, "sk-x".to_owned(), &KeyDigest::of("sk-x")).is_none());
    }
}
