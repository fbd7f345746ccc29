//! The attempts at an answer: a group's deployments one after the other, then the next group, until
//! the first part of an answer is at hand.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dunlin_llm::{ChatRequest, Extras};
use dunlin_providers::Cause;
use dunlin_router::{Candidates, Catalog, Deployment, Group, NonePicked, retry_wait};
use dunlin_types::{DeploymentId, Tokens};
use dunlin_upstream::{Answer, Bounds, Failure};

use crate::Proxy;
use crate::error::{Failed, Unanswered};

/// An answer, and how it was come by.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    /// The group that answered.
    pub(crate) group: Arc<str>,
    /// Attempts after the first, in that group.
    pub(crate) retries: u32,
    /// Groups that failed before it.
    pub(crate) fallbacks: u32,
    /// How long the upstreams took, waits between attempts included.
    pub(crate) upstream: Duration,
}

/// Why a group gave no answer.
pub(crate) enum GroupFailed {
    /// The last attempt's failure, and how many attempts came before it.
    Attempt { failure: Box<Failure>, retries: u32, max_retries: u32 },
    /// Nobody could be asked.
    NonePicked { none: NonePicked, wait: Duration, parked: Option<Arc<str>> },
}

impl GroupFailed {
    /// The groups that are tried after such a failure of the first one, if not its fallbacks.
    fn instead<'c>(&self, candidates: &'c Candidates<'_>) -> Option<&'c [Cow<'c, Group>]> {
        let Self::Attempt { failure, .. } = self else { return None };
        let special = match failure.error.cause {
            Cause::ContextWindow => &candidates.context_window,
            Cause::ContentPolicy => &candidates.content_policy,
            Cause::BadRequest
            | Cause::Unauthorized
            | Cause::Forbidden
            | Cause::NotFound
            | Cause::Timeout
            | Cause::Conflict
            | Cause::TooLarge
            | Cause::Unprocessable
            | Cause::RateLimited
            | Cause::Internal
            | Cause::BadGateway
            | Cause::Unavailable
            | Cause::Overloaded
            | Cause::Connection
            | Cause::BadReply
            | Cause::UnsupportedParams
            | Cause::Misconfigured
            | Cause::Other(_) => return None,
        };
        special.as_deref()
    }
}

/// Tries the groups in order.
pub(crate) async fn run(
    proxy: &Proxy,
    catalog: &Catalog,
    candidates: &Candidates<'_>,
    chat: &ChatRequest,
    extras: &Extras,
) -> Result<Answered, Failed> {
    let has_fallbacks = candidates.groups.len() > 1;
    let began = proxy.0.clock.mono();
    let mut failures = Vec::new();
    let mut groups: &[_] = &candidates.groups;
    while let Some((group, rest)) = groups.split_first() {
        let fallbacks = u32::try_from(failures.len()).unwrap_or(u32::MAX);
        let asking = Asking { proxy, catalog, group, chat, extras, has_fallbacks };
        match asking.run().await {
            Ok((answer, retries)) => {
                let upstream = proxy.0.clock.mono().since(began);
                let group = Arc::clone(&group.name);
                return Ok(Answered { answer, group, retries, fallbacks, upstream });
            }
            Err(failed) => {
                let instead = if failures.is_empty() { failed.instead(candidates) } else { None };
                groups = instead.unwrap_or(rest);
                failures.push((Arc::clone(&group.name), failed));
            }
        }
    }
    Err(Failed::from(Unanswered { failures }))
}

/// One group being asked.
struct Asking<'a> {
    proxy: &'a Proxy,
    catalog: &'a Catalog,
    group: &'a Group,
    chat: &'a ChatRequest,
    extras: &'a Extras,
    has_fallbacks: bool,
}

impl Asking<'_> {
    async fn run(&self) -> Result<(Answer, u32), GroupFailed> {
        let upstream = &self.proxy.0.upstream;
        let tokens = self.chat.prompt_estimate() + self.chat.max_output().unwrap_or(Tokens(0));
        let mut tried: BTreeSet<DeploymentId> = BTreeSet::new();
        let mut retries = 0;
        loop {
            let attempt = upstream.start_attempt(self.group, self.catalog.strategy, &tried, tokens);
            let attempt = attempt.map_err(|none| self.none_picked(none))?;
            let deployment = Arc::clone(attempt.deployment());
            let max_retries = self.max_retries(&deployment);
            let called = upstream.call(attempt, self.chat, self.bounds(&deployment)).await;
            let failure = match called {
                Ok(answer) => return Ok((answer, retries)),
                Err(failure) => failure,
            };
            tried.insert(deployment.id.clone());
            let another_is_ready = upstream.has_ready(self.group, self.catalog.strategy, &tried);
            if retries >= max_retries || !self.is_worth_retrying(&failure, another_is_ready) {
                let failure = Box::new(failure);
                return Err(GroupFailed::Attempt { failure, retries, max_retries });
            }
            retries += 1;
            let retry = &self.catalog.retry;
            let asked = failure.retry_after;
            let wait = retry_wait(retry, retries + 1, another_is_ready, asked, rand::random());
            tokio::time::sleep(wait).await;
        }
    }

    fn max_retries(&self, deployment: &Deployment) -> u32 {
        let configured = deployment.num_retries.unwrap_or(self.catalog.retry.num_retries);
        self.extras.num_retries.unwrap_or(configured)
    }

    fn bounds(&self, deployment: &Deployment) -> Bounds {
        let asked = if self.chat.stream() { self.extras.stream_timeout } else { None };
        let asked = asked.or(self.extras.timeout);
        let configured =
            if self.chat.stream() { deployment.stream_timeout } else { deployment.timeout };
        let first = asked.unwrap_or(configured);
        Bounds { first, client_bound: asked.is_some(), retry: self.catalog.retry }
    }

    /// The same request elsewhere, or here once more: only where that may help.
    fn is_worth_retrying(&self, failure: &Failure, another_is_ready: bool) -> bool {
        match failure.error.cause {
            Cause::Unauthorized | Cause::Forbidden => self.group.deployments.len() > 1,
            Cause::RateLimited => another_is_ready || !self.has_fallbacks,
            Cause::BadRequest
            | Cause::NotFound
            | Cause::TooLarge
            | Cause::Unprocessable
            | Cause::ContextWindow
            | Cause::ContentPolicy
            | Cause::UnsupportedParams => false,
            Cause::Timeout
            | Cause::Conflict
            | Cause::Internal
            | Cause::BadGateway
            | Cause::Unavailable
            | Cause::Overloaded
            | Cause::Connection
            | Cause::BadReply
            | Cause::Misconfigured
            | Cause::Other(_) => failure.error.cause.retryable(),
        }
    }

    fn none_picked(&self, none: NonePicked) -> GroupFailed {
        let wait = match none {
            NonePicked::AllCoolingDown { until } => until.since(self.proxy.0.clock.mono()),
            NonePicked::AllParked => Duration::ZERO,
        };
        let parked = self.group.deployments.iter().find_map(|deployment| deployment.parked.clone());
        GroupFailed::NonePicked { none, wait, parked }
    }
}
