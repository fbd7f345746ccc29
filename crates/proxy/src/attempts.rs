//! The attempts at an answer: a group's deployments one after the other, then the next group, until
//! the first part of an answer is at hand.

use std::collections::BTreeSet;
use std::slice;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dunlin_admission::{Demand, Full, OverBudget, Refusal};
use dunlin_llm::{BadRequest, ChatRequest, Extras};
use dunlin_providers::Cause;
use dunlin_router::{Candidates, Catalog, Deployment, FailedBy, Group, NonePicked, retry_wait};
use dunlin_types::{DeploymentId, Tokens};
use dunlin_upstream::{Answer, Bounds, Failure};

use crate::Proxy;
use crate::attempts::entry::NotAsked;
pub(crate) use crate::attempts::fitting::TooLong;
use crate::attempts::fitting::fitting;
use crate::attempts::hold::Estimate;
use crate::attempts::retries::{by_policy, is_worth_retrying};
use crate::bill::Bill;
use crate::request::worded::{reads_tokens, worded};
use crate::response::error::{Failed, Unanswered};
use crate::tool_models::{self, served_with};

pub(crate) mod entry;
mod fitting;
pub(crate) mod hold;
pub(crate) mod retries;

/// An answer, and how it was come by.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    /// The group that answered.
    pub(crate) group: Arc<str>,
    /// Attempts after the first, in that group.
    pub(crate) retries: u32,
    /// As many as there could have been.
    pub(crate) max_retries: u32,
    /// Groups that failed before it.
    pub(crate) fallbacks: u32,
    /// How long the upstreams took, waits between attempts included.
    pub(crate) upstream: Duration,
}

/// Whether the client asked for this by a name of its own: it is told it again. After a fallback, or
/// where its body named none, it learns which model answered, as LiteLLM has it.
#[derive(Clone, Copy)]
pub(crate) struct KeptName(bool);

impl KeptName {
    /// `gave_way`: another model was asked instead.
    pub(crate) fn of(chat: &ChatRequest, fallbacks: u32, gave_way: bool) -> Self {
        Self(fallbacks == 0 && !gave_way && !chat.model_from_path())
    }

    /// What the model is called in the answer that `by` gave.
    pub(crate) fn told(self, chat: &ChatRequest, by: &Deployment) -> String {
        if self.0 { chat.model().to_owned() } else { by.target.model.to_string() }
    }
}

/// Why a group gave no answer.
pub(crate) enum GroupFailed {
    /// The last attempt's failure, and how many attempts came before it.
    Attempt { failure: Box<Failure>, retries: u32, max_retries: u32 },
    /// It may cost more than a budget has left.
    NotCovered(Refusal),
    /// Nobody could be asked.
    NonePicked { none: NonePicked, wait: Duration, parked: Option<Arc<str>> },
    /// All that could be asked have been sent all that they may be sent.
    Full { group: Arc<str>, full: Full },
    /// What may be spent on those that could be asked is spent.
    Spent(Vec<OverBudget>),
    /// Nobody could count what they were sent, or put it into words.
    Uncounted(Refusal),
    /// None of its deployments is for requests with such tags.
    Untagged { group: Arc<str>, tags: Vec<String> },
    /// Its prompt is too long for all of them.
    TooLong { group: Arc<str>, too_long: TooLong },
    /// The request, as it changes for this group, is none.
    Unfit(BadRequest),
}

impl GroupFailed {
    fn by(&self) -> FailedBy {
        match self {
            Self::Attempt { failure, .. } if failure.error.cause == Cause::ContextWindow => {
                FailedBy::ContextWindow
            }
            Self::Attempt { failure, .. } if failure.error.cause == Cause::ContentPolicy => {
                FailedBy::ContentPolicy
            }
            Self::TooLong { .. } => FailedBy::ContextWindow,
            Self::Attempt { .. }
            | Self::NotCovered(_)
            | Self::NonePicked { .. }
            | Self::Full { .. }
            | Self::Spent(_)
            | Self::Uncounted(_)
            | Self::Untagged { .. }
            | Self::Unfit(_) => FailedBy::Other,
        }
    }

    /// Nobody of a group was asked.
    fn of(why: NotAsked, group: &Arc<str>, of: &[Arc<Deployment>], proxy: &Proxy) -> Self {
        let none = match why {
            NotAsked::None(none) => none,
            NotAsked::Full(full) => return Self::Full { group: Arc::clone(group), full },
            NotAsked::Spent(spent) => return Self::Spent(spent),
            NotAsked::Refused(refusal) => return Self::Uncounted(refusal),
            NotAsked::Untagged(tags) => return Self::Untagged { group: Arc::clone(group), tags },
        };
        let wait = match none {
            NonePicked::AllCoolingDown { until } => until.since(proxy.0.clock.mono()),
            NonePicked::AllParked => Duration::ZERO,
        };
        let parked = of.iter().find_map(|deployment| deployment.parked.clone());
        Self::NonePicked { none, wait, parked }
    }

    fn retries(&self) -> u32 {
        match self {
            Self::Attempt { retries, .. } => *retries,
            Self::NotCovered(_)
            | Self::NonePicked { .. }
            | Self::Full { .. }
            | Self::Spent(_)
            | Self::Uncounted(_)
            | Self::Untagged { .. }
            | Self::TooLong { .. }
            | Self::Unfit(_) => 0,
        }
    }
}

/// A group's answer, and how many attempts came before it.
struct Given {
    answer: Answer,
    retries: u32,
    max_retries: u32,
}

/// What is asked, and by which configuration.
#[derive(Clone, Copy)]
pub(crate) struct AttemptInput<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) catalog: &'a Catalog,
    pub(crate) chat: &'a ChatRequest,
    pub(crate) extras: &'a Extras,
    /// What it takes of a deployment's limits.
    pub(crate) demand: &'a Demand,
    /// The number of the config revision.
    pub(crate) revision: u64,
}

/// Tries the groups in order, the first of which is held for; one of the others that the budgets do
/// not cover is skipped and named.
pub(crate) async fn run(
    asked: AttemptInput<'_>,
    candidates: &mut Candidates<'_>,
    bill: &mut Bill,
) -> Result<Answered, Failed> {
    let clock = &asked.proxy.0.clock;
    let began = clock.mono();
    let mut failures = Vec::new();
    while let Some(candidate) = candidates.next_group() {
        let group = &*candidate.group;
        let has_fallbacks = candidates.has_fallbacks(&group.name);
        let fallbacks = u32::try_from(failures.len()).unwrap_or(u32::MAX);
        let is_covered = failures.is_empty() && candidate.changes.is_none();
        let asking = Asking { asked, group, has_fallbacks, is_covered };
        match ask(asking, candidate.changes.as_deref(), bill).await {
            Ok(Given { answer, retries, max_retries }) => {
                bill.tried(&group.name, retries, fallbacks);
                let upstream = clock.mono().since(began);
                let group = Arc::clone(&group.name);
                return Ok(Answered { answer, group, retries, max_retries, fallbacks, upstream });
            }
            Err(failed) => {
                bill.tried(&group.name, failed.retries(), fallbacks);
                candidates.failed(&group.name, failed.by());
                failures.push((Arc::clone(&group.name), failed));
            }
        }
    }
    Err(Failed::from(Unanswered { failures }))
}

/// Asks one group, as the request is for it.
async fn ask(
    asking: Asking<'_>,
    changes: Option<&str>,
    bill: &mut Bill,
) -> Result<Given, GroupFailed> {
    let Some(changes) = changes else { return asking.run(bill).await };
    let asked = asking.asked;
    let chat = asked.chat.changed_by(changes).map_err(GroupFailed::Unfit)?;
    let extras = chat.extras().clone().bounded_like(asked.extras);
    let asked = AttemptInput { chat: &chat, extras: &extras, ..asked };
    Asking { asked, ..asking }.run(bill).await
}

/// The failure of a call that only one group could answer, and nobody of it was asked.
pub(crate) fn not_asked(proxy: &Proxy, group: &Group, why: NotAsked) -> Failed {
    only(&group.name, GroupFailed::of(why, &group.name, &group.deployments, proxy))
}

/// The same where it is settled who would be asked.
pub(crate) fn not_afforded(proxy: &Proxy, by: &Deployment, why: NotAsked) -> Failed {
    only(&by.group, GroupFailed::of(why, &by.group, &[], proxy))
}

fn only(group: &Arc<str>, failed: GroupFailed) -> Failed {
    Failed::from(Unanswered { failures: vec![(Arc::clone(group), failed)] })
}

/// One group being asked.
struct Asking<'a> {
    asked: AttemptInput<'a>,
    group: &'a Group,
    has_fallbacks: bool,
    /// What it may cost here is held already.
    is_covered: bool,
}

impl Asking<'_> {
    /// Asks those of the group that the request is for and that take it.
    async fn run(self, bill: &mut Bill) -> Result<Given, GroupFailed> {
        let AttemptInput { proxy, catalog, chat, .. } = self.asked;
        let Group { name, deployments } = self.group;
        let not_asked = |why| GroupFailed::of(why, name, deployments, proxy);
        let tagged = entry::tagged(catalog, self.group, bill.tags()).map_err(not_asked)?;
        let fitting = fitting(proxy, catalog, chat, &tagged).await;
        let group = fitting.map_err(|too_long| {
            let group = Arc::clone(name);
            GroupFailed::TooLong { group, too_long }
        })?;
        Asking { group: &group, ..self }.attempt(bill).await
    }

    async fn attempt(&self, bill: &mut Bill) -> Result<Given, GroupFailed> {
        let AttemptInput { proxy, catalog, chat, demand, revision, .. } = self.asked;
        let (upstream, clock) = (&proxy.0.upstream, &proxy.0.clock);
        if !self.is_covered {
            let cost = hold::bounds(proxy, bill.key(), chat, self.group);
            // The request was let in: what follows it is asked in its place.
            let served = served_with(catalog, None, self.group, chat);
            let served = served.expect("the master key may call all");
            let strained = upstream.is_failing(self.group);
            let demand = Demand { served, cost, strained, ..demand.clone() };
            bill.turn_to(&demand).await.map_err(GroupFailed::NotCovered)?;
        }
        let worded = worded(proxy, chat, self.group).await?;
        let Group { name, deployments } = self.group;
        let not_asked = |why| GroupFailed::of(why, name, deployments, proxy);
        let load = chat.prompt_estimate() + chat.max_output().unwrap_or(Tokens(0));
        let mut tried: BTreeSet<DeploymentId> = BTreeSet::new();
        let (mut retries, mut last) = (0, None);
        let estimate = OnceLock::new();
        let strategy = catalog.strategy.of(chat.stream());
        loop {
            let (key, tags) = (bill.key(), bill.tags());
            let likely = || hold::likely(proxy, key, chat);
            let estimate = || estimate.get_or_init(|| Estimate::new(chat, likely()));
            let cost = &|one: &Arc<Deployment>| {
                hold::both(
                    estimate().at(one),
                    tool_models::bounds(proxy, chat, slice::from_ref(one)),
                )
            };
            let asking =
                entry::Asking { proxy, catalog, demand, revision, load, tags, cost, strategy };
            let picked = entry::pick(asking, self.group, &tried).await;
            // Who was asked and failed says more than that nobody is left to be asked again.
            let (attempt, entry) =
                picked.map_err(|why| last.take().unwrap_or_else(|| not_asked(why)))?;
            bill.enters(entry);
            let deployment = Arc::clone(attempt.deployment());
            let (max_retries, began) = (self.max_retries(&deployment), clock.mono());
            let in_words = worded.as_ref().filter(|_| !reads_tokens(chat, &deployment));
            let chat = in_words.unwrap_or(chat);
            let called = upstream.call(attempt, chat, self.bounds(&deployment)).await;
            let took = clock.mono().since(began);
            let failure = match called {
                Ok(answer) => {
                    bill.attempted(&deployment, 200, took);
                    return Ok(Given { answer, retries, max_retries });
                }
                Err(failure) => failure,
            };
            bill.attempted(&deployment, failure.error.cause.status(), took);
            bill.leaves();
            tried.insert(deployment.id.clone());
            let another_is_ready = upstream.has_ready(self.group, strategy, &tried);
            let (by_policy, is_named) = self.by_policy(failure.error.cause);
            let max_retries = by_policy.unwrap_or(max_retries);
            let is_worth_it = is_named
                || is_worth_retrying(self.group, &failure, another_is_ready, self.has_fallbacks);
            let asked = failure.retry_after;
            let failed = GroupFailed::Attempt { failure: Box::new(failure), retries, max_retries };
            if retries >= max_retries || !is_worth_it {
                return Err(failed);
            }
            last = Some(failed);
            retries += 1;
            let retry = &catalog.retry;
            let wait = retry_wait(retry, retries + 1, another_is_ready, asked, rand::random());
            tokio::time::sleep(wait).await;
        }
    }

    fn by_policy(&self, cause: Cause) -> (Option<u32>, bool) {
        let policy = self.asked.catalog.retry_policy(&self.group.name);
        policy.map_or((None, false), |policy| by_policy(policy, cause))
    }

    fn max_retries(&self, deployment: &Deployment) -> u32 {
        let configured = deployment.num_retries.unwrap_or(self.asked.catalog.retry.num_retries);
        self.asked.extras.num_retries.unwrap_or(configured)
    }

    fn bounds(&self, deployment: &Deployment) -> Bounds {
        let asked = self.asked.extras.bound(self.asked.chat.stream());
        let configured =
            if self.asked.chat.stream() { deployment.stream_timeout } else { deployment.timeout };
        let first = asked.unwrap_or(configured);
        Bounds { first, client_bound: asked.is_some(), retry: self.asked.catalog.retry }
    }
}
