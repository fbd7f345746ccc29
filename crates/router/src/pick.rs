//! Which deployment of a group gets the request, at the moment of sending.
//!
//! Least busy is never the plain minimum over gossip: all nodes would send a whole gossip interval's
//! arrivals to one backend. Two or three are drawn by weight and the least loaded of them wins
//! (Mitzenmacher, "The power of two choices", 2001); ties go to either at random.

use std::collections::BTreeSet;
use std::time::Duration;

use dunlin_types::{DeploymentId, MonoMillis};

use crate::catalog::{Deployment, Group, Strategy};
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
    /// Its backend does not answer: left alone until a probe succeeds.
    pub out: bool,
    /// Requests in flight on its backend, in the whole cluster as far as known.
    pub load: f64,
    /// Its share of full traffic, above 0 up to 1; see [`warmth`].
    pub warmth: f64,
}

/// Why none was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonePicked {
    /// Every deployment lacks something on this node.
    #[error("no deployment of the group is usable on this node")]
    AllParked,
    /// Each was tried for this request.
    #[error("every deployment of the group was tried")]
    AllTried,
    /// Each is left alone, the first one until then.
    #[error("every deployment of the group is cooling down")]
    AllCoolingDown {
        /// When the first one may be tried again.
        until: MonoMillis,
    },
}

/// Picks the index of one of `group`'s deployments. `seen` is in the group's order; `tried` ones
/// are passed over. If no backend answers, they are tried all the same.
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
    let usable = |at: &usize| group.deployments[*at].parked.is_none();
    let usable: Vec<usize> = (0..seen.len()).filter(usable).collect();
    if usable.is_empty() {
        return Err(NonePicked::AllParked);
    }
    let untried = |at: &&usize| !tried.contains(&group.deployments[**at].id);
    let untried: Vec<usize> = usable.iter().filter(untried).copied().collect();
    if untried.is_empty() {
        return Err(NonePicked::AllTried);
    }
    let warm: Vec<usize> =
        untried.iter().filter(|at| seen[**at].cooling_until.is_none()).copied().collect();
    if warm.is_empty() {
        let until = untried.iter().filter_map(|at| seen[*at].cooling_until).min();
        return Err(NonePicked::AllCoolingDown { until: until.expect("all of them cool down") });
    }
    let ready: Vec<usize> = warm.iter().filter(|at| !seen[**at].out).copied().collect();
    let choice = if ready.is_empty() { warm } else { ready };
    let choice = lowest_order(group, choice);
    let mut draw = Draw::new(seed);
    Ok(match strategy {
        Strategy::Shuffle => choice[draw.weighted(&shares(group, &choice, seen))],
        Strategy::LeastBusy => least_busy(group, choice, seen, &mut draw),
    })
}

fn lowest_order(group: &Group, mut choice: Vec<usize>) -> Vec<usize> {
    let order = |at: &usize| group.deployments[*at].order;
    let lowest = choice.iter().map(order).min();
    choice.retain(|at| Some(order(at)) == lowest);
    choice
}

/// The shares of traffic: by the first of `weight`, `rpm`, `tpm` that any deployment sets. One that
/// does not set it gets nothing; if none sets any, all are equal.
fn shares(group: &Group, choice: &[usize], seen: &[Seen]) -> Vec<f64> {
    let measures: [fn(&Deployment) -> Option<f64>; 3] =
        [|d| d.weight.weight, |d| d.weight.rpm, |d| d.weight.tpm];
    let measure = measures
        .into_iter()
        .find(|measure| choice.iter().any(|at| measure(&group.deployments[*at]).is_some()));
    let share = |at: &usize| {
        let set = measure.map_or(Some(1.0), |measure| measure(&group.deployments[*at]));
        set.unwrap_or(0.0) * seen[*at].warmth
    };
    choice.iter().map(share).collect()
}

fn least_busy(group: &Group, mut choice: Vec<usize>, seen: &[Seen], draw: &mut Draw) -> usize {
    let draws = if choice.len() < DRAW_THREE_FROM { 2 } else { 3 };
    let mut shares = shares(group, &choice, seen);
    let mut best: Option<(f64, usize)> = None;
    for _ in 0..draws.min(choice.len()) {
        let drawn = draw.weighted(&shares);
        let (at, share) = (choice.swap_remove(drawn), shares.swap_remove(drawn));
        // One that may take half as much is as busy with half as many.
        let busy = (seen[at].load + 1.0) / if share > 0.0 { share } else { f64::MIN_POSITIVE };
        if best.is_none_or(|(least, _)| busy < least) {
            best = Some((busy, at));
        }
    }
    best.expect("there was a choice").1
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
