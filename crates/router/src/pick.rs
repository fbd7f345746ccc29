//! Which deployment of a group gets the next attempt.
//!
//! First who may: parked ones never, those that are out only when nobody else is left, those
//! already tried only after the others, and of the rest those of the lowest `order`. Then who
//! does: by weight at random, or the least busy of two or three drawn at random. Never the least
//! busy of all: between two rounds of gossip every node would send everything there.

use std::collections::BTreeSet;
use std::time::Duration;

use dunlin_types::{DeploymentId, MonoMillis};

use crate::catalog::{Deployment, Group, Strategy};
use crate::health::HealthState;

/// A deployment as it looks at the moment of sending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Whether it may take traffic.
    pub state: HealthState,
    /// Requests on its backend, of all nodes: own count plus the peers', decayed.
    pub load: f64,
    /// Tokens those requests may still take.
    pub tokens: f64,
    /// Mean wait for its backend's first byte; `None`: not measured yet.
    pub latency: Option<Duration>,
    /// Its share of traffic after coming back, from above 0 to 1.
    pub warmth: f64,
}

/// Why no deployment can be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonePicked {
    /// All are parked on this node.
    #[error("no deployment of the model can be used on this node")]
    Parked,
    /// All that are not parked were asked, by their own answers, to be left alone.
    #[error("all deployments of the model are cooling down")]
    CoolingDown {
        /// When the first of them may be used again.
        until: MonoMillis,
    },
}

/// How willingly a deployment is taken. Only the lowest class present is drawn from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Fresh,
    /// This request has been there.
    Tried,
    /// Configured without a share of the traffic, while a sibling has one.
    Spare,
    /// Out, as far as known. When all are, each is worth a try.
    Out,
}

/// The index in `group.deployments` of the one to use. `seen` has one entry for each, in the same
/// order. The same `seed` gives the same pick.
///
/// # Errors
/// All are parked or cooling down.
pub fn pick(
    group: &Group,
    strategy: Strategy,
    seen: &[Seen],
    tried: &BTreeSet<DeploymentId>,
    seed: u64,
) -> Result<usize, NonePicked> {
    assert_eq!(group.deployments.len(), seen.len(), "one sight for each deployment");
    let shares = shares(group, strategy);
    let class = |at: usize| match seen[at].state {
        HealthState::Parked | HealthState::CoolingDown { .. } => None,
        HealthState::RumouredBusy { .. } | HealthState::Unreachable => Some(Class::Out),
        HealthState::Ready if shares[at] <= 0.0 => Some(Class::Spare),
        HealthState::Ready if tried.contains(&group.deployments[at].id) => Some(Class::Tried),
        HealthState::Ready => Some(Class::Fresh),
    };
    let rank = |at: usize| Some((class(at)?, group.deployments[at].order));
    let lowest = (0..seen.len()).filter_map(rank).min().ok_or_else(|| none_picked(seen))?;
    let eligible: Vec<usize> = (0..seen.len()).filter(|at| rank(*at) == Some(lowest)).collect();
    let mut random = Random(seed);
    Ok(match (eligible.as_slice(), strategy) {
        ([only], _) => *only,
        (_, Strategy::Shuffle) => random.weighted(&eligible, &shares),
        (_, Strategy::LeastBusy) => least_busy(seen, &shares, eligible, &mut random),
    })
}

fn none_picked(seen: &[Seen]) -> NonePicked {
    let cooling = seen.iter().filter_map(|seen| match seen.state {
        HealthState::CoolingDown { until } => Some(until),
        HealthState::Ready
        | HealthState::RumouredBusy { .. }
        | HealthState::Unreachable
        | HealthState::Parked => None,
    });
    cooling.min().map_or(NonePicked::Parked, |until| NonePicked::CoolingDown { until })
}

/// Each deployment's share of the traffic, relative to its siblings.
fn shares(group: &Group, strategy: Strategy) -> Vec<f64> {
    let all = || group.deployments.iter().map(|to| &**to);
    if strategy == Strategy::LeastBusy {
        // How many requests at once it is good for.
        return all().map(|to| to.weight.weight.unwrap_or(1.0)).collect();
    }
    // LiteLLM's weights: the first measure that any of them sets, missing being none of it.
    let measures: [fn(&Deployment) -> Option<f64>; 3] =
        [|to| to.weight.weight, |to| to.weight.rpm, |to| to.weight.tpm];
    let in_use = || all().filter(|to| to.parked.is_none());
    let measure = measures.iter().find(|measure| in_use().filter_map(measure).any(|x| x > 0.0));
    match measure {
        Some(measure) => all().map(|to| measure(to).unwrap_or_default()).collect(),
        None => vec![1.0; group.deployments.len()],
    }
}

/// More are drawn where that is still far from all of them.
const FEW: usize = 3;
/// Of the drawn, those at most as busy as this share of the group are cold: latency decides
/// between them. Small, because least busy is what was asked for.
const COLD_SHARE: f64 = 0.25;
/// Latencies this much above the best are as good as it.
const LATENCY_TIE: f64 = 1.25;

/// Prequal's rule over a random few: of the cold ones the fastest, else the least busy.
fn least_busy(
    seen: &[Seen],
    shares: &[f64],
    mut eligible: Vec<usize>,
    random: &mut Random,
) -> usize {
    // What its load would be with this request, on the scale of a sibling with share 1. Where none
    // has a share, all are alike.
    let share = |at: usize| if shares[at] > 0.0 { shares[at] } else { 1.0 };
    let busy = |at: usize| (seen[at].load + 1.0) / (share(at) * seen[at].warmth);
    let cold = cold_bound(eligible.iter().map(|at| busy(*at)).collect());
    let drawn = if eligible.len() > FEW { 3 } else { 2 };
    for place in 0..drawn {
        let other = place + random.below(eligible.len() - place);
        eligible.swap(place, other);
    }
    eligible.truncate(drawn);
    if eligible.iter().any(|at| busy(*at) <= cold) {
        eligible.retain(|at| busy(*at) <= cold);
        let known = eligible.iter().filter_map(|at| seen[*at].latency).min();
        let bound = known.map(|fastest| fastest.mul_f64(LATENCY_TIE));
        eligible.retain(|at| seen[*at].latency.is_none_or(|latency| Some(latency) <= bound));
    }
    let order = |a: &usize, b: &usize| {
        busy(*a).total_cmp(&busy(*b)).then(seen[*a].tokens.total_cmp(&seen[*b].tokens))
    };
    // They stand in random order already, so the first of equals is a random one.
    *eligible.iter().min_by(|a, b| order(a, b)).expect("the best is never dropped")
}

fn cold_bound(mut busy: Vec<f64>) -> f64 {
    busy.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a group has some deployments, and the share is below 1"
    )]
    let place = ((busy.len() - 1) as f64 * COLD_SHARE) as usize;
    busy[place]
}

/// SplitMix64: a few good numbers from one seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.next()) * bound as u128) >> 64;
        usize::try_from(scaled).expect("it is below a usize")
    }

    /// One of `eligible`, each as likely as its share; all alike if none has one.
    fn weighted(&mut self, eligible: &[usize], shares: &[f64]) -> usize {
        let total: f64 = eligible.iter().map(|at| shares[*at]).sum();
        if total <= 0.0 {
            return eligible[self.below(eligible.len())];
        }
        #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty for a share")]
        let place = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = place * total;
        let reached = eligible.iter().find(|at| {
            left -= shares[**at];
            left < 0.0
        });
        // Rounding may leave a trace of `left` behind the last one.
        *reached.or(eligible.last()).expect("somebody is eligible")
    }
}

#[cfg(test)]
mod tests;
