//! Who asks: the bearer of the master key, or of a key that may be used.

use axum::http::HeaderMap;
use dunlin_journal::Origin;
use dunlin_llm::credentials::{CredentialError, client_key, key_name, virtual_key};
use dunlin_router::Access;
use dunlin_types::Secret;

use crate::error::Refused;
use crate::ids::Owner;
use crate::{Proxy, Serving};

/// Who asks.
pub(crate) enum Caller {
    /// May call everything, without limits.
    Master,
    /// The bearer of a virtual key.
    Key {
        caller: dunlin_state::Caller,
        /// `sk-...` and the last four characters, for messages.
        name: String,
    },
}

impl Caller {
    /// Finds out by the headers.
    pub(crate) async fn identify(
        proxy: &Proxy,
        serving: &Serving,
        headers: &HeaderMap,
    ) -> Result<Self, Refused> {
        if !serving.ready {
            return Err(Refused::NotReady);
        }
        let settings = &serving.settings;
        let key = match (client_key(headers, settings.key_header.as_deref()), &settings.master_key)
        {
            (Ok(key), Some(master)) if key == *master => return Ok(Self::Master),
            (Ok(key), Some(_)) => key,
            (Err(error), Some(_)) => return Err(Refused::Credential(error)),
            // Without a master key the node listens on loopback and everyone there is trusted; SDKs
            // send a placeholder. Who names a key that exists still gets that key's rights.
            (Err(_), None) => return Ok(Self::Master),
            (Ok(key), None) => {
                return match Self::of_key(proxy, &key).await {
                    Err(Refused::Credential(
                        CredentialError::Unknown { .. } | CredentialError::NotVirtual { .. },
                    )) => Ok(Self::Master),
                    found => found,
                };
            }
        };
        Self::of_key(proxy, &key).await
    }

    async fn of_key(proxy: &Proxy, key: &Secret) -> Result<Self, Refused> {
        let digest = virtual_key(key).map_err(Refused::Credential)?;
        let found = proxy.0.admission.caller(digest).await;
        let name = key_name(key);
        match found {
            Ok(caller) => Ok(Self::Key { caller, name }),
            Err(refusal) => Err(Refused::caller(refusal, name, digest, proxy.0.clock.unix())),
        }
    }

    /// The request counts also for whom it names as its user, and for its tags.
    pub(crate) fn count_for(&mut self, proxy: &Proxy, origin: &Origin) -> Result<(), Refused> {
        let Self::Key { caller, name } = self else { return Ok(()) };
        let (end_user, token) = (origin.end_user.as_deref(), caller.token);
        let counted = proxy.0.admission.count_for(caller, end_user, &origin.tags);
        counted
            .map_err(|refusal| Refused::caller(refusal, name.clone(), token, proxy.0.clock.unix()))
    }

    /// The key, if it is one.
    pub(crate) fn key(&self) -> Option<&dunlin_state::Caller> {
        match self {
            Self::Master => None,
            Self::Key { caller, .. } => Some(caller),
        }
    }

    /// Whose what it makes will be.
    pub(crate) fn owner(&self) -> Owner {
        Owner::of(self.key().map(|caller| &caller.token))
    }

    /// Which models the key may call; `None` for all.
    pub(crate) fn access(&self) -> Option<Access<'_>> {
        let key = &self.key()?.key;
        Some(Access { models: &key.terms.models, aliases: &key.aliases })
    }
}
