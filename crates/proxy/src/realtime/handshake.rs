//! The handshake with a provider: a deployment that has room is asked, another one after a failure
//! that may not be another's. Nothing has been said yet, so nothing is said twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::HeaderMap;
use dunlin_admission::{Demand, Entry};
use dunlin_router::{Deployment, Group, retry_wait};
use dunlin_types::{DeploymentId, Secret, Tokens};
use dunlin_upstream::{Conversation, Opening};

use crate::attempts::entry;
use crate::attempts::retries::is_worth_retrying;
use crate::attempts::{GroupFailed, not_asked};
use crate::bill::Bill;
use crate::realtime::turns;
use crate::response::error::{Failed, Unanswered};
use crate::{Proxy, Serving};

/// What is sent, and by which configuration.
pub(super) struct Handshake<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) serving: &'a Serving,
    pub(super) group: &'a Group,
    /// What a conversation takes of a deployment's limits.
    pub(super) demand: &'a Demand,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// What lets the client in instead of the deployment's credential.
    pub(super) secret: Option<&'a Secret>,
}

/// A conversation that can begin.
pub(super) struct OpenedConversation {
    pub(super) conversation: Conversation,
    pub(super) with: Arc<Deployment>,
    /// Its place there, for as long as it lasts.
    pub(super) place: Option<Entry>,
}

impl Handshake<'_> {
    /// Asks until somebody accepts. What was tried goes on the bill.
    pub(super) async fn open(&self, bill: &mut Bill) -> Result<OpenedConversation, Failed> {
        let Self { proxy, serving, group, demand, query, headers, secret } = *self;
        let opening = Opening { query, headers, secret };
        let (upstream, clock) = (&proxy.0.upstream, &proxy.0.clock);
        let (catalog, revision) = (&*serving.catalog, serving.settings.revision);
        let (retry, load, tags) = (catalog.retry, Tokens(0), &*bill.tags().to_vec());
        let cost = &turns::cost;
        let strategy = catalog.strategy;
        let asking = entry::Asking { proxy, catalog, demand, revision, load, tags, strategy, cost };
        let mut tried: BTreeSet<DeploymentId> = BTreeSet::new();
        let mut retries = 0;
        loop {
            let picked = entry::pick(asking, group, &tried).await;
            let (attempt, place) = picked.map_err(|why| not_asked(proxy, group, why))?;
            let (with, began) = (Arc::clone(attempt.deployment()), clock.mono());
            let opened = upstream.converse(attempt, opening, with.timeout, retry).await;
            let took = clock.mono().since(began);
            let failure = match opened {
                Ok(conversation) => {
                    bill.attempted(&with, 101, took);
                    return Ok(OpenedConversation { conversation, with, place });
                }
                Err(failure) => failure,
            };
            bill.attempted(&with, failure.error.cause.status(), took);
            tried.insert(with.id.clone());
            let another_is_ready = upstream.has_ready(group, strategy, &tried);
            let max_retries = with.num_retries.unwrap_or(retry.num_retries);
            if retries >= max_retries
                || !is_worth_retrying(group, &failure, another_is_ready, false)
            {
                let failure = Box::new(failure);
                let failed = GroupFailed::Attempt { failure, retries, max_retries };
                let failures = vec![(Arc::clone(&group.name), failed)];
                return Err(Failed::from(Unanswered { failures }));
            }
            retries += 1;
            let asked = failure.retry_after;
            let wait = retry_wait(&retry, retries + 1, another_is_ready, asked, rand::random());
            tokio::time::sleep(wait).await;
        }
    }
}
