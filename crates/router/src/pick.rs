//! Which deployment of a group gets the request, at the moment of sending.
//!
//! Least busy is never the plain minimum over gossip: all nodes would send a whole gossip interval's
//! arrivals to one backend. Two or three are drawn, and the least loaded for its weight wins
//! (Mitzenmacher, "The power of two choices", 2001); ties go to either at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_ledger::Pricing;
use dunlin_types::{DeploymentId, MonoMillis, Tokens};

use crate::catalog::{Deployment, Group, Strategy, Weight};
use crate::draw::Draw;

/// Groups of at least this many ready deployments draw three instead of two.
const DRAW_THREE_FROM: usize = 6;
/// A backend that came back takes its full share after this long.
const SLOW_START: Duration = Duration::from_secs(10);
/// The share it begins with.
const SLOW_START_SHARE: f64 = 0.1;

/// What is known of one deployment now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// It failed or was told to wait: left alone until then.
    pub cooling_until: Option<MonoMillis>,
    /// A peer says that its backend asked to be left alone: used when nothing better is left.
    pub rumoured: bool,
    /// Its backend does not answer: left alone until a probe succeeds.
    pub out: bool,
    /// Requests in flight on its backend, in the whole cluster as far as known.
    pub load: f64,
    /// Its share of full traffic, above 0 up to 1; see [`warmth`].
    pub warmth: f64,
    /// Tokens that this node has sent it in the current minute. Read only where the strategy asks.
    pub used: Tokens,
    /// How long it takes to answer such a request. `None`: not known, or not asked.
    pub latency: Option<Duration>,
}

impl Seen {
    /// Whether nothing speaks against it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.cooling_until.is_none() && !self.rumoured && !self.out
    }
}

/// Why none was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonePicked {
    /// Every deployment lacks something on this node.
    #[error("no deployment of the group is usable on this node")]
    AllParked,
    /// Each is left alone, the first one until then.
    #[error("every deployment of the group is cooling down")]
    AllCoolingDown {
        /// When the first one may be tried again.
        until: MonoMillis,
    },
}

/// Picks the index of one of `group`'s deployments. `seen` is in the group's order. The last to be
/// picked is one that does not answer; before it one without a share of the traffic, one that was
/// `tried`, one that is rumoured to be limited.
///
/// # Errors
/// [`NonePicked`].
pub fn pick(
    group: &Group,
    strategy: Strategy,
    seen: &[Seen],
    tried: &BTreeSet<DeploymentId>,
    seed: u64,
) -> Result<usize, NonePicked> {
    assert_eq!(seen.len(), group.deployments.len(), "one sight for each deployment");
    let mut choice: Vec<usize> =
        (0..seen.len()).filter(|at| group.deployments[*at].parked.is_none()).collect();
    let first_until = choice.iter().map(|at| seen[*at].cooling_until).min();
    if let Some(until) = first_until.ok_or(NonePicked::AllParked)? {
        return Err(NonePicked::AllCoolingDown { until });
    }
    choice.retain(|at| seen[*at].cooling_until.is_none());
    if let [only] = *choice {
        return Ok(only);
    }
    let shares = shares(group, strategy);
    let rank = |at: usize| {
        let deployment = &group.deployments[at];
        let was_tried = tried.contains(&deployment.id);
        (seen[at].out, shares[at] <= 0.0, was_tried, seen[at].rumoured, deployment.order)
    };
    let best = choice.iter().map(|at| rank(*at)).min();
    choice.retain(|at| Some(rank(*at)) == best);
    // Where nobody has a share, all are equal.
    let share = |at: usize| seen[at].warmth * if shares[at] > 0.0 { shares[at] } else { 1.0 };
    let mut draw = Draw::new(seed);
    Ok(match strategy {
        Strategy::Shuffle => drawn(&choice, share, &mut draw),
        // One that may take half as much is as busy with half as many.
        Strategy::LeastBusy => {
            least_busy(choice, |at| (seen[at].load + 1.0) / share(at), &mut draw)
        }
        Strategy::Cheapest => {
            let least = choice.iter().map(|at| rate(&group.deployments[*at])).min();
            choice.retain(|at| Some(rate(&group.deployments[*at])) == least);
            drawn(&choice, share, &mut draw)
        }
        Strategy::LeastUsed => {
            let least = choice.iter().map(|at| seen[*at].used).min();
            choice.retain(|at| Some(seen[*at].used) == least);
            drawn(&choice, share, &mut draw)
        }
        Strategy::Fastest { within, .. } => {
            let least = choice.iter().filter_map(|at| seen[*at].latency).min();
            let most = least.map(|least| least.mul_f64(1.0 + within));
            // One that is not known is as good as the fastest: else it would stay unknown.
            choice.retain(|at| seen[*at].latency.is_none_or(|own| Some(own) <= most));
            drawn(&choice, share, &mut draw)
        }
    })
}

/// What a token in and one out cost there. Whose price nobody knows is the dearest, as in LiteLLM.
fn rate(of: &Deployment) -> u128 {
    match &of.price {
        Pricing::Free => 0,
        Pricing::Unpriced => u128::MAX,
        Pricing::Priced(price) => {
            let (input, output) = price.listed();
            input.times(1) + output.times(1)
        }
    }
}

/// One of those that are as good as each other.
fn drawn(choice: &[usize], share: impl Fn(usize) -> f64, draw: &mut Draw) -> usize {
    let shares: Vec<f64> = choice.iter().map(|at| share(*at)).collect();
    choice[draw.weighted(&shares)]
}

/// Each deployment's share of the traffic of its order, whoever is ready of it. All strategies but
/// the shuffle know only `weight`. The shuffle goes by the first of `weight`, `rpm`, `tpm` that any
/// of that order sets: one that does not set it gets nothing; if none sets any, all are equal.
fn shares(group: &Group, strategy: Strategy) -> Vec<f64> {
    let all = || group.deployments.iter();
    let measures = |deployment: &Deployment| {
        let Weight { weight, rpm, tpm } = deployment.weight;
        [weight, rpm, tpm]
    };
    if strategy != Strategy::Shuffle {
        return all().map(|deployment| deployment.weight.weight.unwrap_or(1.0)).collect();
    }
    let mut measured_by: BTreeMap<u32, usize> = BTreeMap::new();
    for deployment in all() {
        let measures = measures(deployment);
        let first = measures.iter().position(Option::is_some).unwrap_or(measures.len());
        let by = measured_by.entry(deployment.order).or_insert(first);
        *by = first.min(*by);
    }
    let share = |deployment: &Arc<Deployment>| {
        let measure = measures(deployment).get(measured_by[&deployment.order]).copied();
        measure.map_or(1.0, |measure| measure.unwrap_or(0.0))
    };
    all().map(share).collect()
}

fn least_busy(mut choice: Vec<usize>, busy: impl Fn(usize) -> f64, draw: &mut Draw) -> usize {
    let draws = if choice.len() < DRAW_THREE_FROM { 2 } else { 3 };
    let drawn = (0..draws.min(choice.len())).map(|_| choice.swap_remove(draw.below(choice.len())));
    drawn.min_by(|a, b| busy(*a).total_cmp(&busy(*b))).expect("there was a choice")
}

/// How much of a peer's count of `age` still holds, when a request takes `mean_service`: the part
/// of the counted requests that are still running if they end at random.
#[must_use]
pub fn decay(age: Duration, mean_service: Duration) -> f64 {
    let service = mean_service.as_secs_f64().max(0.001);
    (-age.as_secs_f64() / service).exp()
}

/// The share of full traffic for a backend that has been ready again for `since`; 1 for one that
/// was never away.
#[must_use]
pub fn warmth(since: Option<Duration>) -> f64 {
    let grown = since.map_or(1.0, |since| since.as_secs_f64() / SLOW_START.as_secs_f64());
    grown.clamp(SLOW_START_SHARE, 1.0)
}

#[cfg(test)]
mod tests;
