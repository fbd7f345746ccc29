//! `POST /key/delete`: deletes keys by text, hash or alias. Those that do not exist are skipped,
//! unless none does.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use dunlin_admin_api::DeletedKeys;
use dunlin_state::{Change, Command, Reply};
use dunlin_types::KeyDigest;
use tracing::info;

use super::{Routes, ok};
use crate::body::{self, Body};
use crate::error::Error;
use crate::{Admin, naming};

const PATH: &str = "/key/delete";

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, post(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    let body = admin.admitted_body(request, PATH).await?;
    let asked = parse(&body)?;
    let state = if asked.aliases.is_empty() {
        admin.0.consensus.state()
    } else {
        // The alias may have been given on another node a moment ago.
        admin.read().await.state
    };
    let named = asked.resolve(&state);
    let tokens: Vec<_> = named.iter().map(|(_, token)| *token).collect();
    if tokens.is_empty() {
        return Err(Error::NoSuchKey { name: "keys" });
    }
    let reply = admin.0.consensus.propose(Command::DeleteKeys { tokens }).await?;
    let Reply::Deleted(deleted) = reply else { unreachable!("a deletion answers with the keys") };
    for token in &deleted {
        info!(key.id = %token, "a key was deleted");
    }
    Ok(ok(&answer(named, &deleted)))
}

#[derive(Debug, PartialEq)]
struct Asked {
    keys: Vec<String>,
    aliases: Vec<String>,
}

fn parse(bytes: &[u8]) -> Result<Asked, Error> {
    let mut body = Body::parse(bytes)?;
    let mut list = |name| match body.take(name, body::texts) {
        Change::Set(list) => list,
        Change::Keep | Change::Clear => Vec::new(),
    };
    let asked = Asked { keys: list("keys"), aliases: list("key_aliases") };
    body.finish(["keys", "key_aliases"].into_iter())?;
    if asked.keys.is_empty() && asked.aliases.is_empty() {
        let reason = "name at least one key in `keys` or `key_aliases`".to_owned();
        return Err(Error::BadField { name: "keys", reason });
    }
    Ok(asked)
}

impl Asked {
    /// Each name that may be a key's, with the key's hash.
    fn resolve(self, state: &dunlin_state::State) -> Vec<(String, KeyDigest)> {
        let by_key = self.keys.into_iter().filter_map(|named| {
            let token = naming::digest_of(&named)?;
            Some((named, token))
        });
        let by_alias = self.aliases.into_iter().filter_map(|alias| {
            let token = state.key_by_alias(&alias)?.token;
            Some((alias, token))
        });
        by_key.chain(by_alias).collect()
    }
}

fn answer(named: Vec<(String, KeyDigest)>, deleted: &[KeyDigest]) -> DeletedKeys {
    let gone = named.into_iter().filter(|(_, token)| deleted.contains(token));
    DeletedKeys { deleted_keys: gone.map(|(named, _)| named).collect() }
}

#[cfg(test)]
mod tests {
    use dunlin_state::{CommandId, Entry};
    use dunlin_types::{Epoch, NodeId, UnixMillis};

    use super::*;
    use crate::row::tests::bare;

    #[test]
    fn keys_are_named_in_three_ways_and_answered_as_they_were_named() {
        let mut state = dunlin_state::State::new();
        let mut key = bare("sk-aliased");
        key.alias = Some("app".to_owned());
        let create = Entry {
            id: CommandId { node: NodeId(1), epoch: Epoch(1), seq: 1 },
            command: Command::CreateKey { key: Box::new(key) },
        };
        state.apply(1, UnixMillis(0), &create).expect("a new key");

        let hash = KeyDigest::of("sk-b").to_string();
        let body = format!(
            r#"{{"keys": ["sk-a", "{hash}", "neither"], "key_aliases": ["app", "unused"]}}"#
        );
        let named = parse(body.as_bytes()).expect("names").resolve(&state);
        let tokens: Vec<_> = named.iter().map(|(_, token)| *token).collect();
        assert_eq!(tokens, ["sk-a", "sk-b", "sk-aliased"].map(KeyDigest::of));
        let deleted = [KeyDigest::of("sk-b"), KeyDigest::of("sk-aliased")];
        assert_eq!(answer(named, &deleted).deleted_keys, [hash, "app".to_owned()]);
    }

    #[test]
    fn nothing_named_is_a_mistake() {
        for body in ["{}", r#"{"keys": []}"#, r#"{"keys": null, "key_aliases": null}"#] {
            let refused = parse(body.as_bytes());
            assert!(matches!(refused, Err(Error::BadField { name: "keys", .. })), "{body}");
        }
    }
}
