//! The accounts at providers, and what each of them lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use dunlin_providers::ProviderError;
use dunlin_router::{Deployment, Group};
use dunlin_types::Tokens;
use dunlin_upstream::Relay;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{MAX_OBJECT_BYTES, collect, refusal};
use super::home::{DEFAULT_PROVIDER, Home, Wish, keeps};
use super::noted::text;
use super::{Asking, alone, ask};
use crate::ids::Kind;
use crate::request::kept::is_beside;
use crate::response::error::{Failed, Refused};

/// How long an account may take to list what it has.
const LISTED_WITHIN: Duration = Duration::from_secs(30);

/// The deployments of one account. What it keeps is known by the first of them.
pub(super) struct Account(Group);

/// What one account has behind where the client is.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) objects: Vec<Bytes>,
    pub(super) has_more: bool,
}

/// Why an account lists nothing.
pub(super) struct Unlisted {
    /// Its server has no such lists at all: nothing is missing.
    pub(super) keeps_none: bool,
    pub(super) failed: Failed,
}

impl Account {
    /// Those that a wish leads to: all, those of one provider, or that of one model.
    pub(super) fn wished(asking: &Asking<'_>, wish: Wish<'_>) -> Result<Vec<Self>, Failed> {
        let deployments: Vec<Arc<Deployment>> = if wish.models.is_some() {
            Home::find(asking, wish, &BTreeMap::new(), true)?.lenders.group.deployments
        } else {
            let all = asking.serving.catalog.deployments();
            let usable = all.filter(|known| known.parked.is_none());
            usable.filter(|known| is_wished(known, wish.provider)).cloned().collect()
        };
        let mut accounts: Vec<Self> = Vec::new();
        for known in deployments {
            match accounts.iter_mut().find(|account| account.has(&known)) {
                Some(account) => account.0.deployments.push(known),
                None => accounts.push(Self(alone(&known))),
            }
        }
        if accounts.is_empty() {
            return Err(Refused::no_home(wish.provider.unwrap_or(DEFAULT_PROVIDER)).into());
        }
        accounts.sort_by_key(|account| *account.first().provider != *DEFAULT_PROVIDER);
        Ok(accounts)
    }

    /// By which its things are known.
    pub(super) fn first(&self) -> &Arc<Deployment> {
        self.0.deployments.first().expect("an account has a deployment")
    }

    /// Whether that is one of its deployments.
    pub(super) fn has(&self, deployment: &Deployment) -> bool {
        let (first, other) = (&self.first().target, &deployment.target);
        // Clouds have one address for all accounts.
        let is_same = first.identity == other.identity && first.project == other.project;
        is_same && is_beside(self.first(), deployment)
    }

    /// What it lists, as its provider has it.
    pub(super) async fn list(
        &self,
        asking: Asking<'_>,
        kind: Kind,
        query: String,
    ) -> Result<Listed, Unlisted> {
        let reading = self.read(asking, kind, query);
        match tokio::time::timeout(LISTED_WITHIN, reading).await {
            Ok(listed) => listed,
            Err(_) => Err(Unlisted::by(ProviderError::timeout(LISTED_WITHIN, LISTED_WITHIN))),
        }
    }

    async fn read(
        &self,
        asking: Asking<'_>,
        kind: Kind,
        query: String,
    ) -> Result<Listed, Unlisted> {
        let failed = |failed| Unlisted { keeps_none: false, failed };
        let attempt = asking.attempt(&self.0, Tokens(0)).map_err(failed)?;
        let by = Arc::clone(attempt.deployment());
        let path = format!("/{}", kind.collection());
        let asked = Relay { query: Some(query), ..ask(Method::GET, path) };
        let (upstream, retry) = (&asking.proxy.0.upstream, asking.serving.catalog.retry);
        let relayed = upstream.relay_kept(attempt, asked, by.timeout, retry).await;
        let mut relayed = relayed.map_err(|failure| Unlisted::by(failure.error))?;
        if !relayed.status.is_success() {
            let keeps_none = has_no_such(relayed.status);
            let failed = Refused::Answered(Box::new(refusal(relayed, &by).await)).into();
            return Err(Unlisted { keeps_none, failed });
        }
        let body = collect(&mut relayed, MAX_OBJECT_BYTES).await.map_err(Unlisted::by)?;
        let too_long = || failed(Refused::LongAnswer { most: MAX_OBJECT_BYTES }.into());
        let body = body.ok_or_else(too_long)?;
        read_list(&body).ok_or_else(|| {
            let speaker = dunlin_providers::find(&by.provider).map_or("", |known| known.speaker());
            Unlisted::by(ProviderError::lacking(speaker, "the answer is no list"))
        })
    }
}

impl Listed {
    /// Without the object of that id and those before it: some servers list all, whatever they are
    /// asked for.
    pub(super) fn behind(mut self, after: Option<&str>) -> Self {
        let is_it = |object: &Bytes| text(object, "id").as_deref() == after;
        if after.is_some()
            && let Some(at) = self.objects.iter().position(is_it)
        {
            self.objects.drain(..=at);
        }
        self
    }
}

impl Unlisted {
    fn by(error: ProviderError) -> Self {
        let failed = Refused::Answered(Box::new(error)).into();
        Self { keeps_none: false, failed }
    }
}

/// Servers of chats know no lists: vLLM's answer 404, some others 405 or 501.
fn has_no_such(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    )
}

fn is_wished(known: &Deployment, provider: Option<&str>) -> bool {
    provider.is_none_or(|provider| *known.provider == *provider) && keeps(known)
}

fn read_list(body: &Bytes) -> Option<Listed> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        has_more: Option<bool>,
    }
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let objects = wire.data.into_iter().map(|one| body.slice_ref(one.get().as_bytes()));
    Some(Listed { objects: objects.collect(), has_more: wire.has_more == Some(true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_its_objects() {
        let body = Bytes::from_static(
            br#"{"object":"list","data":[{"id":"a"}, {"id":"b"}],"has_more":true}"#,
        );
        let listed = read_list(&body).unwrap();
        assert_eq!(listed.objects, [r#"{"id":"a"}"#, r#"{"id":"b"}"#]);
        assert!(listed.has_more);
        assert_eq!(listed.behind(Some("a")).objects, [r#"{"id":"b"}"#]);
        let bare = read_list(&Bytes::from_static(br#"{"data":[]}"#)).unwrap();
        assert!(bare.objects.is_empty() && !bare.has_more);
        for other in ["", "[]", "{}", r#"{"data":null}"#] {
            assert!(read_list(&Bytes::from_static(other.as_bytes())).is_none(), "{other}");
        }
    }
}
