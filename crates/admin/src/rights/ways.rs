//! Whether a key is wider than another: by its terms, and by where it may go, what it must say and
//! how long it lives.

use dunlin_state::{Key, State, routes};

use crate::error::Error;
use crate::rights::within::{exceeds, told, within};

/// Refuses a key that is wider than another by its terms, by what it must say, by where it may go
/// or by how long it lives.
pub(crate) fn key_within(state: &State, key: &Key, bound: &Key, whose: &str) -> Result<(), Error> {
    let wider = [
        ("allowed_routes", goes_beyond(key, bound)),
        ("enforced_params", says_less(key, bound)),
        ("duration", exceeds(key.expires, bound.expires)),
    ];
    told(&wider, whose)?;
    within(state, &key.terms, &bound.terms, whose)
}

/// The same of a key that is made or changed with another one. That may end before: who has it gets
/// himself a new one in time. And if it calls no model, it is there to make keys that do.
pub(crate) fn made_within(
    state: &State,
    (key, before): (&Key, Option<&Key>),
    calling: &Key,
) -> Result<(), Error> {
    let whose = "the calling key";
    let calls = routes::covers(&calling.routes, "/v1/chat/completions");
    let is_new = |of: fn(&Key) -> &Vec<String>| before.is_none_or(|before| of(before) != of(key));
    let wider = [
        ("allowed_routes", calls && is_new(|key| &key.routes) && goes_beyond(key, calling)),
        ("enforced_params", is_new(|key| &key.required) && says_less(key, calling)),
    ];
    told(&wider, whose)?;
    within(state, &key.terms, &calling.terms, whose)
}

/// Whether a key may call what another may not.
fn goes_beyond(key: &Key, bound: &Key) -> bool {
    let goes = |route: &String| {
        bound.routes.contains(route)
            || (route.starts_with('/')
                && !route.contains('*')
                && routes::covers(&bound.routes, route))
    };
    let stays = !key.routes.is_empty() && key.routes.iter().all(goes);
    !bound.routes.is_empty() && !stays
}

/// Whether requests of a key need not say what those of another must.
fn says_less(key: &Key, bound: &Key) -> bool {
    !bound.required.iter().all(|name| key.required.contains(name))
}

#[cfg(test)]
mod tests {
    use dunlin_types::UnixMillis;

    use super::*;
    use crate::rights::within::tests::refused;

    #[test]
    fn a_key_keeps_its_ways_and_its_end() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let bound = Key {
            routes: texts(&["llm_api_routes", "/key/info"]),
            required: texts(&["user"]),
            expires: Some(UnixMillis(9)),
            ..Key::default()
        };
        let key = |routes: &[&str]| Key { routes: texts(routes), ..bound.clone() };
        for routes in [&["/v1/chat/completions"][..], &["/key/info"], &["llm_api_routes"]] {
            assert!(key_within(&State::new(), &key(routes), &bound, "it").is_ok(), "{routes:?}");
        }
        for routes in [&[][..], &["/key/delete"], &["management_routes"], &["/*"]] {
            refused(key_within(&State::new(), &key(routes), &bound, "it"), "allowed_routes");
        }
        refused(
            key_within(&State::new(), &Key { required: Vec::new(), ..bound.clone() }, &bound, "it"),
            "enforced",
        );
        refused(
            key_within(&State::new(), &Key { expires: None, ..bound.clone() }, &bound, "it"),
            "duration",
        );
        let later = Key { expires: Some(UnixMillis(10)), ..bound.clone() };
        refused(key_within(&State::new(), &later, &bound, "it"), "duration");
        // One that is made with it outlives it, and does no more than it.
        let made = |key: &Key, before: Option<&Key>, calling: &Key| {
            made_within(&State::new(), (key, before), calling)
        };
        assert!(made(&later, None, &bound).is_ok());
        refused(made(&key(&["/key/delete"]), None, &bound), "allowed_routes");
        let silent = Key { required: Vec::new(), ..bound.clone() };
        refused(made(&silent, None, &bound), "enforced_params");
        assert!(made(&silent, Some(&silent), &bound).is_ok(), "it was so before");
        let manager = key(&["management_routes"]);
        assert!(made(&key(&[]), None, &manager).is_ok(), "it is there to make others");
    }
}
