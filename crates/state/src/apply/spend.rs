//! Settled spend: each stretch of each node's journal counts exactly once.

use dunlin_types::{Epoch, NodeId};

use crate::command::{KeySpend, Rejected, Reply};
use crate::snapshot::Spent;
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
    for KeySpend { key, cost, requests } in spends {
        let known = state.keys.contains_key(key) || state.deleted.contains(key);
        let account =
            if known { state.spent.entry(*key).or_default() } else { &mut state.unclaimed };
        account.add(Spent { cost: *cost, requests: *requests });
    }
    state.settled.insert(node, (after.0, to));
    Ok(Reply::Done)
}
