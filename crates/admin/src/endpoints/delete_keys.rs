//! `POST /key/delete`: deletes keys by text, hash or alias. Those that do not exist are skipped,
//! unless none does.

use axum::response::Response;
use dunlin_admin_api::DeletedKeys;
use dunlin_state::{Change, Command, Reply};
use dunlin_types::KeyDigest;
use tracing::info;

use super::{check_changes, ok};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/delete", Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let names = parse(asked.body()?)?;
    let state = if names.aliases.is_empty() {
        admin.judging(&asked).await
    } else {
        // The alias may have been given on another node a moment ago.
        admin.read().await.state
    };
    let named = names.resolve(&state);
    let tokens: Vec<_> = named.iter().map(|(_, token)| *token).collect();
    for key in tokens.iter().filter_map(|token| state.key(token)) {
        check_changes(&asked, &state, key)?;
    }
    if tokens.is_empty() {
        return Err(Error::NoSuchKey { name: "keys" });
    }
    let (reply, _) = admin.carry_out(&asked, Command::DeleteKeys { tokens }).await?;
    let Reply::Deleted(deleted) = reply else { unreachable!("a deletion answers with the keys") };
    for token in &deleted {
        info!(key.id = %token, "a key was deleted");
    }
    Ok(ok(&answer(named, &deleted)))
}

#[derive(Debug, PartialEq)]
struct Names {
    keys: Vec<String>,
    aliases: Vec<String>,
}

fn parse(mut body: Body) -> Result<Names, Error> {
    let mut list = |name| match body.take(name, values::texts) {
        Change::Set(list) => list,
        Change::Keep | Change::Clear => Vec::new(),
    };
    let names = Names { keys: list("keys"), aliases: list("key_aliases") };
    body.finish(["keys", "key_aliases"].into_iter())?;
    if names.keys.is_empty() && names.aliases.is_empty() {
        let reason = "name at least one key in `keys` or `key_aliases`".to_owned();
        return Err(Error::BadField { name: "keys", reason });
    }
    Ok(names)
}

impl Names {
    /// Each name that may be a key's, with the key's hash.
    fn resolve(self, state: &dunlin_state::State) -> Vec<(String, KeyDigest)> {
        let by_key = self.keys.into_iter().filter_map(|named| {
            let token = naming::digest_of(&named)?;
            Some((named, state.key_named(&token).map_or(token, |key| key.token)))
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
    use dunlin_types::UnixMillis;

    use super::*;
    use crate::rows::row::tests::{bare, state_after};

    fn read(text: &str) -> Result<Names, Error> {
        parse(Body::parse(text.as_bytes())?)
    }

    #[test]
    fn keys_are_named_in_three_ways_and_answered_as_they_were_named() {
        let mut key = bare("sk-aliased");
        key.alias = Some("app".to_owned());
        let state = state_after([Command::CreateKey { key: Box::new(key) }]);
        let hash = KeyDigest::of("sk-b").to_string();
        let body = format!(
            r#"{{"keys": ["sk-a", "{hash}", "neither"], "key_aliases": ["app", "unused"]}}"#
        );
        let named = read(&body).expect("names").resolve(&state);
        let tokens: Vec<_> = named.iter().map(|(_, token)| *token).collect();
        assert_eq!(tokens, ["sk-a", "sk-b", "sk-aliased"].map(KeyDigest::of));
        let deleted = [KeyDigest::of("sk-b"), KeyDigest::of("sk-aliased")];
        assert_eq!(answer(named, &deleted).deleted_keys, [hash, "app".to_owned()]);
    }

    #[test]
    fn the_former_text_of_a_key_leads_to_it_as_long_as_it_works() {
        let [old, new, gone] = ["sk-old", "sk-new", "sk-gone"].map(KeyDigest::of);
        let regenerate = |token, new, grace| Command::RegenerateKey {
            token,
            new,
            name: "sk-...x".to_owned(),
            grace,
            changes: Box::default(),
        };
        let state = state_after([
            Command::CreateKey { key: Box::new(bare("sk-gone")) },
            regenerate(gone, old, None),
            regenerate(old, new, Some(UnixMillis(u64::MAX))),
        ]);
        let body = format!(r#"{{"keys": ["sk-old", "{old}", "sk-gone"]}}"#);
        let named = read(&body).expect("names").resolve(&state);
        let tokens: Vec<_> = named.iter().map(|(_, token)| *token).collect();
        assert_eq!(tokens, [new, new, gone]);
        assert_eq!(super::super::key_named(&state, "sk-old").expect("the key").token, new);
        assert!(super::super::key_named(&state, "sk-gone").is_err());
    }

    #[test]
    fn nothing_named_is_a_mistake() {
        for body in ["{}", r#"{"keys": []}"#, r#"{"keys": null, "key_aliases": null}"#] {
            let refused = read(body);
            assert!(matches!(refused, Err(Error::BadField { name: "keys", .. })), "{body}");
        }
    }
}
