//! Settled spend: each stretch of each node's journal counts exactly once.

use dunlin_types::{Epoch, NodeId};

use super::{Rejected, Reply};
use crate::command::KeySpend;
use crate::state::State;

/// Counts records `after.1 + 1 ..= to` of life `after.0` of `node`'s journal, if they are the next.
pub(super) fn settle(
    state: &mut State,
    node: NodeId,
    after: (Epoch, u64),
    to: u64,
    spends: &[KeySpend],
) -> Result<Reply, Rejected> {
    let known = state.settled(node);
    let next_of_this_life = after == known;
    let first_of_a_newer_life = after.0 > known.0 && after.1 == 0;
    if !(next_of_this_life || first_of_a_newer_life) || to <= after.1 {
        return Ok(Reply::Unchanged);
    }
    for spend in spends {
        // Spend of a key that is gone for good has nobody left to count it for.
        let known = state.keys.contains_key(&spend.key) || state.deleted.contains_key(&spend.key);
        if known {
            let spent = state.spent.entry(spend.key).or_default();
            spent.cost += spend.cost;
            spent.requests += spend.requests;
        }
    }
    state.settled.insert(node, (after.0, to));
    Ok(Reply::Done)
}
