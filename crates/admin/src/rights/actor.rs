//! Who asks for a change and from where, as the audit log keeps it.

use axum::extract;
use dunlin_llm::client::{self, Peer};
use dunlin_state::Actor;
use http::{HeaderMap, HeaderName, header};

use crate::Admin;
use crate::error::Error;
use crate::rights::caller::{Caller, MASTER_USER};

/// On whose behalf a platform changes something with an admin's key.
const CHANGED_BY: HeaderName = HeaderName::from_static("litellm-changed-by");
/// The longest name in it: it is kept on every node.
const MAX_CHANGED_BY: usize = 256;
/// As much of a `User-Agent` as is kept.
const MAX_USER_AGENT: usize = 128;

impl Admin {
    /// The sender of `request`.
    pub(crate) fn actor(
        &self,
        caller: &Caller,
        route: &'static str,
        request: &extract::Request,
    ) -> Result<Actor, Error> {
        let Actor { address, .. } = self.nobody(route, request)?;
        Ok(Actor { address, ..actor(caller, route, request.headers())? })
    }

    /// The same of a sender without a key.
    pub(crate) fn nobody(
        &self,
        route: &'static str,
        request: &extract::Request,
    ) -> Result<Actor, Error> {
        let trusts = self.settings()?.settings.trusts_forwarded_for;
        let headers = request.headers();
        let peer = request.extensions().get::<Peer>().copied();
        let address = client::address(peer, client::forwarded(headers), trusts);
        Ok(Actor { address, ..nobody(route, headers) })
    }
}

fn nobody(route: &'static str, headers: &HeaderMap) -> Actor {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Actor {
        // A header's text is ASCII: it may be cut anywhere.
        agent: agent.map(|agent| agent[..agent.len().min(MAX_USER_AGENT)].to_owned()),
        route: route.to_owned(),
        ..Actor::default()
    }
}

fn actor(caller: &Caller, route: &'static str, headers: &HeaderMap) -> Result<Actor, Error> {
    let (user, key) = match caller {
        Caller::Master => (Some(MASTER_USER.to_owned()), None),
        Caller::Key(bearer) => {
            let key = &bearer.caller.key;
            (key.user.clone(), Some(key.token))
        }
    };
    Ok(Actor {
        user,
        key,
        on_behalf_of: if caller.is_admin() { on_behalf_of(headers)? } else { None },
        ..nobody(route, headers)
    })
}

fn on_behalf_of(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(CHANGED_BY) else { return Ok(None) };
    let name = std::str::from_utf8(value.as_bytes()).ok();
    let name = name.filter(|name| name.len() <= MAX_CHANGED_BY && !name.contains('\t'));
    match name {
        Some(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
        None => Err(Error::BadField {
            name: "litellm-changed-by",
            reason: format!(
                "the header `litellm-changed-by` names the author of the change, in at most \
                 {MAX_CHANGED_BY} bytes of text"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::{bearer, world};

    fn of(caller: &Caller, changed_by: &str) -> Result<Actor, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CHANGED_BY, changed_by.parse().expect("a value"));
        headers.insert(header::USER_AGENT, "a".repeat(500).parse().expect("a value"));
        actor(caller, "/key/update", &headers)
    }

    #[test]
    fn an_admin_may_act_for_others_and_nobody_else_may_say_so() {
        let state = world();
        let master = of(&Caller::Master, " boss ").expect("an actor");
        assert_eq!(master.on_behalf_of.as_deref(), Some("boss"));
        assert_eq!((master.user.as_deref(), master.key), (Some("default_user_id"), None));
        assert_eq!(master.agent.map(|agent| agent.len()), Some(MAX_USER_AGENT));
        let root = of(&bearer(&state, "sk-root"), "boss").expect("an actor");
        assert_eq!(root.on_behalf_of.as_deref(), Some("boss"));
        let lead = of(&bearer(&state, "sk-lead"), "boss").expect("an actor");
        assert_eq!((lead.user.as_deref(), lead.on_behalf_of), (Some("lead"), None));
        assert_eq!(lead.key, Some(dunlin_types::KeyDigest::of("sk-lead")));
        assert_eq!(of(&Caller::Master, "").expect("an actor").on_behalf_of, None);
        let long = of(&Caller::Master, &"x".repeat(MAX_CHANGED_BY + 1));
        assert!(matches!(long, Err(Error::BadField { name: "litellm-changed-by", .. })));
    }
}
