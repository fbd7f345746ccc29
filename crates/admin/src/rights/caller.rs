//! Who asks, and whether they may.

use dunlin_admission::Refusal;
use dunlin_llm::credentials::{CredentialError, client_key, key_name, virtual_key};
use dunlin_state::{Entity, Kind, State};
use dunlin_types::{KeyDigest, Secret, UnixMillis};
use http::HeaderMap;

use crate::error::Error;
use crate::request::moment::iso;
use crate::{Admin, Settings};

/// LiteLLM's name for the holder of the master key. No user has it, so it carries no rights.
pub(crate) const MASTER_USER: &str = "default_user_id";

/// Who asks.
pub(crate) enum Caller {
    /// The bearer of the master key.
    Master,
    /// The bearer of a virtual key that may be used now.
    Key(Box<Bearer>),
}

/// The bearer of a virtual key.
pub(crate) struct Bearer {
    pub(crate) caller: dunlin_state::Caller,
    /// As it is shown: `sk-...abcd`.
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// What the user of a key may do everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    Admin,
    /// See everything.
    Viewer,
    /// Change what is its own.
    User,
    /// See what is its own.
    UserViewer,
    /// The key is no known user's: it sees itself.
    None,
}

impl Role {
    /// All names of roles, as users have them.
    pub(crate) const NAMES: &[&str] = &[
        "proxy_admin",
        "proxy_admin_viewer",
        "org_admin",
        "internal_user",
        "internal_user_viewer",
        "team",
        "customer",
    ];

    fn of(user: Option<&Entity>) -> Self {
        let Some(user) = user else { return Self::None };
        match user.role.as_deref() {
            Some("proxy_admin") => Self::Admin,
            Some("proxy_admin_viewer") => Self::Viewer,
            Some("internal_user" | "org_admin") | None => Self::User,
            Some(_) => Self::UserViewer,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Admin => "proxy_admin",
            Self::Viewer => "proxy_admin_viewer",
            Self::User => "internal_user",
            Self::UserViewer => "internal_user_viewer",
            Self::None => "unknown",
        }
    }
}

impl Bearer {
    /// The bearer of a key, with the rights of its user.
    pub(crate) fn of(state: &State, caller: dunlin_state::Caller, name: String) -> Self {
        let user = caller.key.user.as_deref().filter(|user| *user != MASTER_USER);
        let user = user.and_then(|user| state.entity(Kind::User, user));
        Self { role: Role::of(user.map(AsRef::as_ref)), caller, name }
    }

    /// The user whose key it is, if there is one.
    pub(crate) fn user(&self) -> Option<&str> {
        self.caller.key.user.as_deref().filter(|_| self.role != Role::None)
    }
}

impl Caller {
    /// The bearer, unless it has the master key.
    pub(crate) fn bearer(&self) -> Option<&Bearer> {
        match self {
            Self::Master => None,
            Self::Key(bearer) => Some(bearer),
        }
    }

    /// The user who asks, if there is one.
    pub(crate) fn user(&self) -> Option<&str> {
        self.bearer()?.user()
    }

    /// As what is made names its maker.
    pub(crate) fn maker(&self) -> String {
        match self {
            Self::Master => MASTER_USER.to_owned(),
            Self::Key(bearer) => {
                let key = &bearer.caller.key;
                key.user.clone().unwrap_or_else(|| key.token.to_string())
            }
        }
    }
}

/// What a request shows of its sender.
#[derive(Debug, PartialEq)]
enum Shown {
    Master,
    Key(Secret),
}

impl Admin {
    /// Finds out who asks, at the first of these paths; a key may have been given any of them. A key
    /// that this node does not know may be known to the leader.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        paths: &[&str],
    ) -> Result<Caller, Error> {
        let published = self.0.published.load_full().ok_or(Error::NotReady)?;
        let key = match shown(headers, &published.settings).map_err(Error::Credential)? {
            Shown::Master => return Ok(Caller::Master),
            Shown::Key(key) => key,
        };
        let token = virtual_key(&key).map_err(Error::Credential)?;
        let name = key_name(&key);
        let now = self.0.clock.unix();
        match self.0.admission.caller(token, paths).await {
            Ok(caller) => {
                let state = self.0.consensus.state();
                Ok(Caller::Key(Box::new(Bearer::of(&state, caller, name))))
            }
            Err(Refusal::RouteNotAllowed { allowed }) => {
                let path = paths.first().copied().unwrap_or_default().to_owned();
                Err(Error::RouteNotAllowed { allowed, path })
            }
            Err(refusal) => Err(refused(refusal, name, token, now)),
        }
    }
}

fn shown(headers: &HeaderMap, settings: &Settings) -> Result<Shown, CredentialError> {
    match (client_key(headers, settings.key_header.as_deref()), &settings.master_key) {
        (Ok(key), Some(master)) if key == *master => Ok(Shown::Master),
        (Ok(key), Some(_) | None) => Ok(Shown::Key(key)),
        // Without a master key the node listens on loopback only; everyone there is trusted.
        (Err(_), None) => Ok(Shown::Master),
        (Err(error), Some(_)) => Err(error),
    }
}

/// Why the bearer of a key is not let in.
fn refused(refusal: Refusal, name: String, digest: KeyDigest, now: UnixMillis) -> Error {
    Error::Credential(match refusal {
        Refusal::UnknownKey => CredentialError::Unknown { name, digest },
        Refusal::Blocked => CredentialError::Blocked,
        Refusal::HolderBlocked { kind, name } => {
            CredentialError::HolderBlocked { holder: kind.title(), name }
        }
        Refusal::Expired { at } => {
            CredentialError::Expired { name, expired: iso(at), now: iso(now) }
        }
        Refusal::CannotKnow { reason } | Refusal::Overloaded { reason } => {
            return Error::CannotKnow { reason };
        }
        // No limit and no budget is asked who somebody is.
        Refusal::RouteNotAllowed { .. }
        | Refusal::RateLimited(_)
        | Refusal::OverBudget(_)
        | Refusal::NodeFull { .. } => {
            return Error::CannotKnow { reason: refusal.to_string() };
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_key_is_one_key_in_any_header_and_needed_once_it_is_set() {
        let settings = |master: Option<&str>| Settings {
            master_key: master.map(Secret::new),
            key_header: Some("x-team-key".to_owned()),
            ..Settings::default()
        };
        let ask = |name: &'static str, value: &str, master| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header value"));
            shown(&headers, &settings(master))
        };
        let key = |key: &str| Ok(Shown::Key(Secret::new(key)));
        let master = Some("sk-master-0123456789");
        assert_eq!(ask("authorization", "Bearer sk-master-0123456789", master), Ok(Shown::Master));
        assert_eq!(ask("x-team-key", "sk-master-0123456789", master), Ok(Shown::Master));
        assert_eq!(ask("authorization", "Bearer sk-other", master), key("sk-other"));
        assert_eq!(ask("x-nothing", "x", master), Err(CredentialError::Missing));
        assert_eq!(ask("x-nothing", "x", None), Ok(Shown::Master));
        assert_eq!(ask("authorization", "Bearer sk-other", None), key("sk-other"));
    }
}
