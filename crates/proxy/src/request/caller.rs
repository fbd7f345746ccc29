//! Who asks: the bearer of the master key, or of a key that may be used.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use dunlin_admission::Refusal;
use dunlin_journal::Origin;
use dunlin_llm::credentials::{CredentialError, client_key, key_name, virtual_key};
use dunlin_llm::{Endpoint, Labels, Required, Said, lacking};
use dunlin_router::{Access, Catalog, NoRoute, group};
use dunlin_state::{Payer, Rank};
use dunlin_types::{KeyDigest, NanoUsd, Secret};

use crate::ids::Owner;
use crate::request::body;
use crate::request::origin::only_counts;
use crate::request::pass::Pass;
use crate::response::error::Refused;
use crate::{Proxy, Serving};

/// Who asks.
#[derive(Clone)]
pub(crate) enum Caller {
    /// May call everything, without limits.
    Master,
    /// The bearer of a virtual key.
    Key {
        caller: dunlin_state::Caller,
        /// `sk-...` and the last four characters, for messages.
        name: String,
        /// What the requests of all keys must have in their body.
        demanded: Arc<[String]>,
    },
}

impl Caller {
    /// Finds out by the headers, and whether its key may call the path at all.
    pub(crate) async fn identify(
        proxy: &Proxy,
        serving: &Serving,
        headers: &HeaderMap,
        uri: &Uri,
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
                return match Self::of_key(proxy, &key, uri).await {
                    Err(Refused::Credential(
                        CredentialError::Unknown { .. } | CredentialError::NotVirtual { .. },
                    )) => Ok(Self::Master),
                    found => found,
                };
            }
        };
        let found = Self::of_key(proxy, &key, uri).await?;
        Ok(match found {
            Self::Key { caller, name, .. } => {
                Self::Key { caller, name, demanded: Arc::clone(&settings.demands.params) }
            }
            Self::Master => Self::Master,
        })
    }

    async fn of_key(proxy: &Proxy, key: &Secret, uri: &Uri) -> Result<Self, Refused> {
        match virtual_key(key) {
            Ok(digest) => Self::of_digest(proxy, digest, key_name(key), uri).await,
            Err(error) => match Pass::read(&proxy.0.ids, key) {
                Some(pass) => pass.begin(proxy, uri).await,
                None => Err(Refused::Credential(error)),
            },
        }
    }

    /// The bearer of the key of that digest, if that may call the path; `name` is how messages show it.
    pub(crate) async fn of_digest(
        proxy: &Proxy,
        digest: KeyDigest,
        name: String,
        uri: &Uri,
    ) -> Result<Self, Refused> {
        match proxy.0.admission.caller(digest, &[uri.path()]).await {
            Ok(caller) => Ok(Self::Key { caller, name, demanded: Arc::default() }),
            Err(Refusal::RouteNotAllowed { allowed }) => {
                Err(Refused::RouteNotAllowed(allowed, uri.path().to_owned()))
            }
            Err(refusal) => Err(Refused::caller(refusal, name, digest, proxy.0.clock.unix())),
        }
    }

    /// The request also counts for the end user it names, and for its tags: its own, its key's and
    /// its team's.
    pub(crate) async fn count_for(
        &mut self,
        proxy: &Proxy,
        origin: &mut Origin,
    ) -> Result<(), Refused> {
        let Self::Key { caller, .. } = self else { return Ok(()) };
        for tag in caller.tags() {
            if !origin.tags.contains(&tag) {
                origin.tags.push(tag);
            }
        }
        let end_user = origin.end_user.as_deref();
        let counted = proxy.0.admission.count_for(caller, end_user, &origin.tags).await;
        counted.map_err(|refusal| Refused::admission(refusal, self, proxy.0.clock.unix()))
    }

    /// Refuses a model that the end user may not call, where it was chosen before it was known who that
    /// is.
    pub(crate) fn check_end_user(&self, catalog: &Catalog, model: &str) -> Result<(), Refused> {
        let bounds = |payer: &Payer| payer.rank == Rank::EndUser && !payer.models().is_empty();
        if !self.key().is_some_and(|caller| caller.payers.iter().any(bounds)) {
            return Ok(());
        }
        self.check_model(catalog, model)
    }

    /// Refuses a model that it may not call, or no more.
    pub(crate) fn check_model(&self, catalog: &Catalog, model: &str) -> Result<(), Refused> {
        match group(catalog, self.access(), model) {
            Err(no_route @ (NoRoute::NotAllowed { .. } | NoRoute::OutOfRegion { .. })) => {
                Err(Refused::no_route(no_route, Endpoint::ChatCompletions, self))
            }
            // What no list of models names is bounded elsewhere.
            Ok(_) | Err(NoRoute::Unknown { .. }) => Ok(()),
        }
    }

    /// The key, if it is one.
    pub(crate) fn key(&self) -> Option<&dunlin_state::Caller> {
        match self {
            Self::Master => None,
            Self::Key { caller, .. } => Some(caller),
        }
    }

    /// What it has spent before this request; of the master key that is not kept.
    pub(crate) fn spent(&self, proxy: &Proxy) -> NanoUsd {
        let spent = |key: &dunlin_state::Caller| proxy.0.admission.key_spend(&key.key);
        self.key().map_or(NanoUsd::ZERO, spent)
    }

    /// What is asked instead of a model that is not where the end user's requests must stay.
    pub(crate) fn default_model(&self) -> Option<&str> {
        self.key()?.end_user()?.default_model()
    }

    /// Whose what it makes will be.
    pub(crate) fn owner(&self) -> Owner {
        Owner::of(self.key().map(|caller| &caller.token))
    }

    /// What the key's requests must have in their body: as it says, and as is demanded of all.
    pub(crate) fn required(&self) -> Required<'_> {
        match self {
            Self::Master => [&[], &[]],
            Self::Key { caller, demanded, .. } => [&caller.key.required, demanded],
        }
    }

    /// Whether every body must be read, whosever it is.
    pub(crate) fn requires_params(&self) -> bool {
        self.required().iter().any(|list| !list.is_empty())
    }

    /// Refuses a request whose body of that kind lacks what the key's must have.
    pub(crate) fn check_required(&self, kind: &str, body: &Bytes) -> Result<(), Refused> {
        match lacking(self.required(), kind, body) {
            Some(missing) => Err(Refused::MissingParam(missing.to_owned())),
            None => Ok(()),
        }
    }

    /// What a body that is a provider's to read says to the gateway, and the body without what is the
    /// gateway's alone. What is asked for by it must have what the key's requests must have, unless it
    /// is only `around` requests, each of which must.
    pub(crate) fn said(
        &self,
        head: &Parts,
        body: Bytes,
        around: bool,
    ) -> Result<(Labels, Bytes), Refused> {
        let kind = body::kind(&head.headers);
        if head.method == Method::POST && !around && !only_counts(head.uri.path()) {
            self.check_required(kind, &body)?;
        }
        let said = Said::read(kind, &body).map_err(Refused::BadRequest)?;
        let body = said.passed_on(kind, body);
        Ok((said.labels, body))
    }

    /// Whether anybody has limits that hold only while the model fails.
    pub(crate) fn has_dynamic_limits(&self) -> bool {
        let mut payers = self.key().into_iter().flat_map(|caller| &caller.payers);
        payers.any(|payer| payer.dynamic() != (false, false))
    }

    /// Which models the key may call; `None` for all.
    pub(crate) fn access(&self) -> Option<Access<'_>> {
        self.key().map(dunlin_state::Caller::access)
    }
}
