//! Who is asked: a deployment that is picked, and has room and money left. One that is full, or whose
//! budget or provider's budget is spent, is passed over; only where all are, the request is refused.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_admission::{
    Bounds, Demand, Entering, Entry, Full, Limited, NotEntered, OverBudget, Refusal, Room,
};
use dunlin_router::{Catalog, Deployment, DeploymentLimits, Group, NonePicked, Strategy};
use dunlin_state::TAGS;
use dunlin_types::{DeploymentId, Tokens};
use dunlin_upstream::Attempt;

use crate::Proxy;
use crate::response::limits;

/// Who can be asked, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) proxy: &'a Proxy,
    pub(crate) catalog: &'a Catalog,
    pub(crate) demand: &'a Demand,
    /// The number of the config revision.
    pub(crate) revision: u64,
    /// Tokens that it loads a backend with.
    pub(crate) load: Tokens,
    /// The words on the request.
    pub(crate) tags: &'a [String],
    pub(crate) strategy: Strategy,
    /// What it may cost at a deployment.
    pub(crate) cost: &'a (dyn Fn(&Arc<Deployment>) -> Bounds + Sync),
}

/// Why nobody is asked.
pub(crate) enum NotAsked {
    None(NonePicked),
    /// Every deployment that could be asked is full; the one that is the first to have room again.
    Full(Full),
    /// What may be spent on every deployment that could be asked is spent.
    Spent(Vec<OverBudget>),
    Refused(Refusal),
    /// No deployment is for requests with such tags.
    Untagged(Vec<String>),
}

/// Those that were passed over.
#[derive(Default)]
struct Passed {
    full: Option<Full>,
    spent: Vec<OverBudget>,
}

impl Passed {
    fn full(&mut self, this: Full) {
        // One that can never take it is told only where all are such.
        let wait = |of: &Full| (of.too_large.is_some(), of.retry_after);
        let sooner = self.full.is_none_or(|other| wait(&this) < wait(&other));
        self.full = if sooner { Some(this) } else { self.full };
    }

    /// Why nobody is asked, if nobody is left.
    fn why(self) -> Option<NotAsked> {
        let spent = (!self.spent.is_empty()).then_some(NotAsked::Spent(self.spent));
        self.full.map(NotAsked::Full).or(spent)
    }
}

/// Picks a deployment of `group` that has room and money left, one of `tried` only if no other is
/// ready. Where it has neither limits nor budgets, nothing is waited for.
pub(crate) async fn pick(
    asking: Asking<'_>,
    group: &Group,
    tried: &BTreeSet<DeploymentId>,
) -> Result<(Attempt, Option<Entry>), NotAsked> {
    let Asking { proxy, catalog, demand, revision, load, tags, strategy, cost } = asking;
    let mut group = tagged(catalog, group, tags)?;
    let mut passed = Passed::default();
    loop {
        let picked = proxy.0.upstream.start_attempt(&group, strategy, tried, load);
        let attempt = match picked {
            Ok(attempt) => attempt,
            // Who is left and cools down will be back before a budget is.
            Err(none @ NonePicked::AllCoolingDown { .. }) if passed.full.is_none() => {
                return Err(NotAsked::None(none));
            }
            Err(none) => return Err(passed.why().unwrap_or(NotAsked::None(none))),
        };
        let deployment = attempt.deployment();
        if deployment.limits == DeploymentLimits::default() && !has_budget(catalog, deployment) {
            return Ok((attempt, None));
        }
        let DeploymentLimits { requests, tokens, input, output, parallel } = deployment.limits;
        let entering = Entering {
            deployment: &deployment.id,
            provider: &deployment.provider,
            tags,
            room: Room { requests, tokens, input, output, parallel, as_of: revision },
            cost: cost(deployment),
        };
        match proxy.0.admission.enter(entering, demand).await {
            Ok(mut entry) => {
                entry.begin();
                return Ok((attempt, Some(entry)));
            }
            Err(NotEntered::Full(this)) => passed.full(this),
            // A tag is on the request wherever it goes.
            Err(NotEntered::Spent(over)) if over.pot.of == TAGS => {
                return Err(NotAsked::Spent(vec![*over]));
            }
            Err(NotEntered::Spent(over)) => passed.spent.push(*over),
            Err(NotEntered::Refused(refusal)) => return Err(NotAsked::Refused(refusal)),
        }
        group.to_mut().deployments.retain(|other| other.id != deployment.id);
        if group.deployments.is_empty() {
            return Err(passed.why().expect("the last one was passed over"));
        }
    }
}

/// Those of a group that are for requests with these tags.
pub(crate) fn tagged<'g>(
    catalog: &Catalog,
    group: &'g Group,
    tags: &[String],
) -> Result<Cow<'g, Group>, NotAsked> {
    let tagged = catalog.tagged(Cow::Borrowed(group), tags);
    tagged.ok_or_else(|| NotAsked::Untagged(tags.to_vec()))
}

/// Holds what a request may cost of what may be spent at the one deployment that can be asked.
/// Nothing to hold: no entry.
pub(crate) async fn afford(
    proxy: &Proxy,
    catalog: &Catalog,
    deployment: &Deployment,
    tags: &[String],
    demand: &Demand,
) -> Result<Option<Entry>, NotAsked> {
    if !has_budget(catalog, deployment) {
        return Ok(None);
    }
    let entering = Entering {
        deployment: &deployment.id,
        provider: &deployment.provider,
        tags,
        room: Room::default(),
        cost: demand.cost,
    };
    match proxy.0.admission.enter(entering, demand).await {
        Ok(entry) => Ok(Some(entry)),
        Err(NotEntered::Spent(over)) => Err(NotAsked::Spent(vec![*over])),
        Err(NotEntered::Full(full)) => Err(NotAsked::Full(full)),
        Err(NotEntered::Refused(refusal)) => Err(NotAsked::Refused(refusal)),
    }
}

fn has_budget(catalog: &Catalog, deployment: &Deployment) -> bool {
    let some = !(catalog.provider_budgets.is_empty() && catalog.tag_budgets.is_empty());
    some || deployment.budget.is_some()
}

/// What the client of a group is told that is full.
pub(crate) fn message(group: &str, full: &Full) -> String {
    let (name, limit) = (full.name(), full.limit);
    match full.what {
        Limited::MaxParallelRequests => format!(
            "Deployment has all max_parallel_requests slots in use. Deployment \
             model_group={group}, max_parallel_requests={limit}"
        ),
        Limited::Requests | Limited::Tokens => {
            let why = full
                .too_large
                .map_or_else(String::new, |tokens| format!(". {}", limits::too_large(tokens)));
            format!(
                "Deployment over user-defined ratelimit. Deployment model_group={group}, {name} \
                 limit={limit}{why}"
            )
        }
    }
}
