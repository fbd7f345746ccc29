//! Who asks, and whether they may.

use axum::extract::Request;
use bytes::Bytes;
use dunlin_llm::credentials::{CredentialError, client_key, key_name, virtual_key};
use dunlin_state::Refusal;
use dunlin_types::{KeyDigest, Secret, UnixMillis};
use http::HeaderMap;

use crate::error::Error;
use crate::moment::iso;
use crate::{Admin, MAX_BODY_BYTES, Settings};

/// Who asks.
pub(crate) enum Caller {
    /// The bearer of the master key.
    Master,
    /// The bearer of a virtual key that may be used now.
    Key {
        token: KeyDigest,
        /// As it is shown: `sk-...abcd`.
        name: String,
    },
}

/// What a request shows of its sender.
#[derive(Debug, PartialEq)]
enum Shown {
    Master,
    Key(Secret),
}

impl Admin {
    /// Finds out who asks. A key that this node does not know may be known to the leader.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        let published = self.0.published.load_full().ok_or(Error::NotReady)?;
        let key = match shown(headers, &published.settings).map_err(Error::Credential)? {
            Shown::Master => return Ok(Caller::Master),
            Shown::Key(key) => key,
        };
        let token = virtual_key(&key).map_err(Error::Credential)?;
        let name = key_name(&key);
        let now = self.0.clock.unix();
        let consensus = &self.0.consensus;
        let mut found = consensus.state().authenticate(token, now);
        if matches!(found, Err(Refusal::Unknown)) {
            self.catch_up().await?;
            found = consensus.state().authenticate(token, now);
        }
        match found {
            Ok(_) => Ok(Caller::Key { token, name }),
            Err(refusal) => Err(Error::Credential(credential(refusal, name, token, now))),
        }
    }

    /// Lets only the master key pass.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        route: &'static str,
    ) -> Result<(), Error> {
        match self.identify(headers).await? {
            Caller::Master => Ok(()),
            Caller::Key { name, .. } => Err(Error::NotAdmin { route, key: name }),
        }
    }

    /// The body of a request that only the master key may make. Nothing is read for others.
    pub(crate) async fn admitted_body(
        &self,
        request: Request,
        route: &'static str,
    ) -> Result<Bytes, Error> {
        self.admit(request.headers(), route).await?;
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES).await;
        // It also fails if the client leaves: then nobody reads the answer.
        body.map_err(|_| Error::TooLarge)
    }

    /// Asks the leader for all that was acknowledged; refuses to guess without it.
    async fn catch_up(&self) -> Result<(), Error> {
        let cannot = |reason: String| Error::CannotKnow { reason };
        let _turn = self
            .0
            .unknown_callers
            .try_acquire()
            .map_err(|_| cannot("too many unknown keys are being looked up".to_owned()))?;
        self.0.consensus.barrier().await.map_err(|error| cannot(error.to_string()))
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

fn credential(
    refusal: Refusal,
    name: String,
    digest: KeyDigest,
    now: UnixMillis,
) -> CredentialError {
    match refusal {
        Refusal::Unknown => CredentialError::Unknown { name, digest },
        Refusal::Blocked => CredentialError::Blocked,
        Refusal::HolderBlocked { kind, name } => {
            CredentialError::HolderBlocked { holder: kind.title(), name }
        }
        Refusal::Expired { at } => {
            CredentialError::Expired { name, expired: iso(at), now: iso(now) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_key_is_one_key_in_any_header_and_needed_once_it_is_set() {
        let settings = |master: Option<&str>| Settings {
            master_key: master.map(Secret::new),
            key_header: Some("x-team-key".to_owned()),
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
