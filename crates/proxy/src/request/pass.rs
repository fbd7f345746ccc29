//! Client secrets: what a key lends to a browser, which is no place for a key. A secret opens
//! conversations of one model and nothing else, for a few minutes, on every node; whoever has it acts
//! with the rights, limits and budgets of the key as they are at that moment.
//!
//! `ek_dn1` + what [`crate::Ids`] seals: nothing of it is stored.

use axum::http::{HeaderMap, Uri};
use dunlin_llm::credentials::{CredentialError, client_key, key_ending};
use dunlin_llm::realtime::Transcription;
use dunlin_types::{DeploymentId, KeyDigest, Secret, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::bill::refused::Who;
use crate::ids::Ids;
use crate::request::caller::Caller;
use crate::response::error::Refused;
use crate::response::headers;
use crate::{Proxy, Settings};

const PREFIX: &str = "ek_";
/// The first byte of what is sealed: ids have 1 to 5.
const TAG: u8 = 64;
/// What a secret opens.
const ROUTES: [&str; 2] = ["/v1/realtime", "/v1/realtime/calls"];

/// What a secret says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pass {
    /// The key that pays, by its digest; `None` for the master key.
    key: Option<String>,
    /// The one deployment that knows the conversation it was made for.
    deployment: String,
    /// Its model, as clients name it.
    pub(crate) model: String,
    /// The one that writes down what is heard, as its provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<String>,
    /// The provider's own secret.
    upstream: String,
    /// When no conversation can be begun with it any more, in milliseconds.
    ends: u64,
    /// How messages show it.
    #[serde(skip)]
    name: String,
}

impl Pass {
    pub(crate) fn new(
        caller: &Caller,
        (deployment, model): (&DeploymentId, &str),
        upstream: &str,
        ends: UnixMillis,
    ) -> Self {
        Self {
            key: caller.key().map(|caller| caller.token.to_string()),
            deployment: deployment.0.to_string(),
            model: model.to_owned(),
            writer: None,
            upstream: upstream.to_owned(),
            ends: ends.0,
            name: String::new(),
        }
    }

    /// The same of a session that has this written down.
    pub(crate) fn written_by(self, transcription: Option<Transcription>) -> Self {
        let writer = match transcription {
            Some(Transcription::On(model)) => model,
            Some(Transcription::Off) | None => None,
        };
        Self { writer, ..self }
    }

    /// Who writes down what is heard, if that is known.
    pub(crate) fn transcription(&self) -> Option<Transcription> {
        self.writer.clone().map(|model| Transcription::On(Some(model)))
    }

    /// The secret that says it.
    pub(crate) fn seal(&self, ids: &Ids) -> String {
        let mut plain = vec![TAG];
        serde_json::to_writer(&mut plain, self).expect("texts and numbers are JSON");
        ids.sealed(PREFIX, &plain)
    }

    /// What a secret says, whoever shows it and when.
    pub(crate) fn read(ids: &Ids, secret: &Secret) -> Option<Self> {
        let plain = ids.opened(PREFIX, secret.expose()).ok()?;
        let (tag, said) = plain.split_first()?;
        let said: Self = (*tag == TAG).then(|| serde_json::from_slice(said).ok())??;
        Some(Self { name: format!("{PREFIX}...{}", key_ending(secret)), ..said })
    }

    /// The secret that came with a request, if one did.
    pub(crate) fn shown(ids: &Ids, settings: &Settings, headers: &HeaderMap) -> Option<Self> {
        Self::read(ids, &client_key(headers, settings.key_header.as_deref()).ok()?)
    }

    pub(crate) fn deployment(&self) -> DeploymentId {
        DeploymentId(self.deployment.as_str().into())
    }

    /// Who pays, for the record of what is refused.
    pub(crate) fn who(&self) -> Who {
        Who::of(self.key.as_ref().and_then(|key| key.parse().ok()))
    }

    /// What its provider lets in.
    pub(crate) fn upstream(&self) -> Secret {
        Secret::new(self.upstream.as_str())
    }

    /// Who begins something with it.
    pub(crate) async fn begin(&self, proxy: &Proxy, uri: &Uri) -> Result<Caller, Refused> {
        if !opens(uri.path()) {
            let routes = ROUTES.map(str::to_owned).to_vec();
            return Err(Refused::RouteNotAllowed(routes, uri.path().to_owned()));
        }
        let (ends, now) = (UnixMillis(self.ends), proxy.0.clock.unix());
        if now >= ends {
            let (name, expired, now) = (self.name.clone(), headers::utc(ends), headers::utc(now));
            return Err(Refused::Credential(CredentialError::Expired { name, expired, now }));
        }
        self.bearer(proxy, uri).await
    }

    /// Who goes on with what was begun in time.
    pub(crate) async fn bearer(&self, proxy: &Proxy, uri: &Uri) -> Result<Caller, Refused> {
        let Some(key) = &self.key else { return Ok(Caller::Master) };
        let digest: KeyDigest = key.parse().map_err(|_| {
            Refused::Credential(CredentialError::NotVirtual { received: self.name.clone() })
        })?;
        Caller::of_digest(proxy, digest, self.name.clone(), uri).await
    }
}

/// Whether a secret may be shown at that path.
fn opens(path: &str) -> bool {
    let path = path.strip_prefix("/openai").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    ROUTES.iter().any(|route| route.strip_prefix("/v1") == Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_conversations_and_nothing_else() {
        for path in ["/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime/calls"] {
            assert!(opens(path), "{path}");
        }
        for path in [
            "/v1/chat/completions",
            "/v1/realtime/client_secrets",
            "/openai/v1/realtime/calls/rtc_1/hangup",
            "/key/info",
            "/v1/realtime/",
            "/azure/v1/realtime",
            "",
        ] {
            assert!(!opens(path), "{path}");
        }
    }

    #[test]
    fn what_a_secret_says_is_read_by_this_cluster_alone() {
        let ids = |secret: &str| Ids::new(&Secret::new(secret).into());
        let pass = Pass::new(
            &Caller::Master,
            (&DeploymentId("d".into()), "talk"),
            "ek_theirs",
            UnixMillis(7),
        );
        let secret = Secret::new(pass.seal(&ids("a")));
        assert!(secret.expose().starts_with("ek_dn1"));
        let read = Pass::read(&ids("a"), &secret).expect("it was made here");
        assert_eq!((read.model.as_str(), read.ends, &read.key), ("talk", 7, &None));
        assert_eq!((&*read.deployment().0, read.upstream().expose()), ("d", "ek_theirs"));
        assert!(Pass::read(&ids("b"), &secret).is_none());
        assert!(Pass::read(&ids("a"), &Secret::new("ek_dn1")).is_none());
        assert!(Pass::read(&ids("a"), &Secret::new("sk-1")).is_none());
    }
}
