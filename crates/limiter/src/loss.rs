//! What becomes of limits while nodes are lost: dead or cut off, nobody who is left can tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_types::{MonoMillis, NodeId};

use crate::bucket::WINDOW;
use crate::ring::{Ring, ScopeId};

/// How long it may take until the others know that a node is lost: the silence until it is marked
/// down, an election before it, and the way of the mark to the owner.
const NOTICED: Duration = Duration::from_secs(10);

/// What a node knows of losses. Only limits with [`dunlin_types::OnLoss::Share`] go by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Losses {
    /// Since when this node takes part.
    since: Option<MonoMillis>,
    /// Nodes that may admit unheard, and of how many each knows at least.
    lost: BTreeMap<NodeId, u64>,
    replaced: Vec<Replaced>,
}

/// Owners that were replaced and have not told what they admitted themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Replaced {
    /// By these they may have owned.
    rings: Vec<Arc<Ring>>,
    owners: Vec<NodeId>,
    /// They decided for nobody from then on.
    at: MonoMillis,
}

impl Losses {
    /// The ring changed: who is marked down counts as lost until `is_back` says that it is back and
    /// has told all that it admitted, or until it is removed.
    pub(crate) fn turn(&mut self, ring: &Ring, now: MonoMillis) {
        self.since.get_or_insert(now);
        for (node, among) in ring.absent().iter().zip(ring.among()) {
            let known = self.lost.entry(*node).or_insert(*among);
            *known = (*known).min(*among);
        }
        self.lost.retain(|node, _| ring.has(*node) || ring.absent().contains(node));
    }

    pub(crate) fn is_back(&mut self, node: NodeId) {
        self.lost.remove(&node);
    }

    pub(crate) fn lost(&self) -> impl Iterator<Item = NodeId> {
        self.lost.keys().copied()
    }

    /// What of `limit` is left to those who are not lost.
    pub(crate) fn part(&self, limit: u64) -> u64 {
        if limit == u64::MAX {
            return limit;
        }
        let shares = self.lost.values().map(|among| limit / among.max(&1));
        limit.saturating_sub(shares.sum())
    }

    /// This node decides from `at` on for scopes that `owners` may have owned by one of `rings`.
    pub(crate) fn replaced(&mut self, rings: &[Arc<Ring>], owners: Vec<NodeId>, at: MonoMillis) {
        self.replaced.retain(|known| at < known.at.plus(WINDOW));
        if !owners.is_empty() {
            self.replaced.push(Replaced { rings: rings.to_vec(), owners, at });
        }
    }

    /// When the scope was last taken over from an owner that had not told what it admitted, if what
    /// it admitted may not have come back yet.
    pub(crate) fn taken_over(&self, scope: ScopeId, now: MonoMillis) -> Option<MonoMillis> {
        let fresh = self.replaced.iter().rev().filter(|known| now < known.at.plus(WINDOW));
        let owned = |known: &&Replaced| {
            let owners = known.rings.iter().filter_map(|ring| ring.owner(scope));
            owners.into_iter().any(|owner| known.owners.contains(&owner))
        };
        fresh.into_iter().find(owned).map(|known| known.at)
    }

    /// Whether a node that has not heard the leader since `heard` may use its share: all that the
    /// others took before they knew that they have lost it has come back.
    pub(crate) fn is_apart(&self, heard: MonoMillis, now: MonoMillis) -> bool {
        let since = self.since.map_or(now, |since| since.max(heard));
        now >= since.plus(WINDOW + NOTICED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By then whatever the others took while they did not know of its loss has come back. Nodes that
    /// serve nobody after a minute without a majority never get there.
    #[test]
    fn a_lost_node_uses_its_share_70_s_after_it_was_last_heard_or_began() {
        let ring = Ring::new(1, (1..=3).map(NodeId).collect());
        for (began, heard) in [(5_000, 20_000), (20_000, 5_000), (20_000, 0)] {
            let mut losses = Losses::default();
            assert!(!losses.is_apart(MonoMillis(0), MonoMillis(1_000_000)), "it takes no part");
            losses.turn(&ring, MonoMillis(began));
            let is_apart = |at| losses.is_apart(MonoMillis(heard), MonoMillis(at));
            assert!(!is_apart(89_999) && is_apart(90_000), "{began}, {heard}");
        }
    }

    #[test]
    fn a_node_that_begins_anew_leaves_a_lost_one_the_share_that_it_goes_by() {
        let members: Vec<_> = (1..=3).map(NodeId).collect();
        let ring = |among| Ring::new(5, members.clone()).beside_of(vec![(NodeId(4), among)]);
        for (among, part) in [(4, 225), (3, 200)] {
            let mut losses = Losses::default();
            losses.turn(&ring(among), MonoMillis(0));
            assert_eq!(losses.part(300), part, "one of {among}");
            losses.turn(&Ring::new(6, members.clone()), MonoMillis(0));
            assert_eq!(losses.part(300), 300, "it was removed");
        }
    }
}
