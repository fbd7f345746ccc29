//! The log of a node that is away stays on two other nodes: a node with a copy sends the others
//! what they lack, so that disks may be lost one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_types::{MonoMillis, NodeId};

use crate::copier::{BACKFILL_AFTER, Holds, ranked};
use crate::{Records, Shared};

/// So many nodes are to hold the log of one that is away.
const HOLDERS: usize = 2;
/// How often it is looked who is away and what their holders lack.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A node whose log is held here and that is not there.
struct Away {
    since: MonoMillis,
    /// What those who are to hold its log hold of it; `None` until they have said so.
    held: BTreeMap<NodeId, Option<Holds>>,
}

/// Copies on until the node stops.
pub(crate) async fn run(records: Records) {
    let shared = &records.0;
    let mut away = BTreeMap::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.copy_on(&mut away).await;
    }
}

impl Shared {
    /// Of nodes that have been away for [`BACKFILL_AFTER`], whether they are members or not.
    async fn copy_on(self: &Arc<Self>, away: &mut BTreeMap<NodeId, Away>) {
        let (now, alive, serving) = (self.clock.mono(), self.alive(), self.serving());
        let mut held = self.copies.nodes();
        held.retain(|node| *node != self.me && !alive.contains(node));
        away.retain(|node, _| held.contains(node));
        for node in held {
            away.entry(node).or_insert_with(|| Away { since: now, held: BTreeMap::new() });
        }
        let mut single = 0;
        for (of, known) in away {
            let holders = holders(self.me, *of, &serving);
            known.held.retain(|node, _| holders.contains(node));
            let is_due = now.since(known.since) >= BACKFILL_AFTER;
            for to in &holders {
                let held = known.held.entry(*to).or_default();
                if is_due {
                    self.send(*of, *to, held, true).await;
                }
            }
            let lacks = known.held.values().map(|held| self.lacks(*of, held.as_ref()));
            single += lacks.min().unwrap_or_else(|| self.lacks(*of, None));
        }
        self.single.is(single);
    }
}

/// Those who are to hold the log of node `of` beside this one.
fn holders(me: NodeId, of: NodeId, serving: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let others = ranked(of, serving.iter().copied().filter(|node| *node != of)).into_iter();
    others.take(HOLDERS).filter(|node| *node != me).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_holder_sends_to_the_same_two_nodes_and_never_to_itself() {
        let nodes: BTreeSet<_> = (1..=5).map(NodeId).collect();
        let first = ranked(NodeId(3), nodes.iter().copied().filter(|node| *node != NodeId(3)));
        for me in nodes.iter().copied().filter(|node| *node != NodeId(3)) {
            let expected: Vec<_> =
                first[..HOLDERS].iter().copied().filter(|node| *node != me).collect();
            assert_eq!(holders(me, NodeId(3), &nodes), expected, "on {me}");
        }
        let two = BTreeSet::from([NodeId(1), NodeId(2)]);
        assert_eq!(holders(NodeId(1), NodeId(3), &two), [NodeId(2)]);
        assert!(holders(NodeId(1), NodeId(3), &BTreeSet::from([NodeId(1)])).is_empty());
    }
}
