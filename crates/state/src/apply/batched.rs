//! Tokens of batches that are about to be made: counted for all who may make so many a day, or for
//! nobody.

use dunlin_types::{EntityId, Line, PotId};

use crate::command::{Day, Rejected, Reply};
use crate::state::State;

/// Counts a batch on the present day.
pub(super) fn count(state: &mut State, whose: &[EntityId], tokens: u64) -> Result<Reply, Rejected> {
    let today = Day::of(state.at);
    let mut limited = Vec::with_capacity(whose.len());
    for id in whose {
        let payer = state.payer_of(&PotId { of: *id, line: Line::Main });
        let Some(limit) = payer.and_then(|payer| payer.tpd()) else { continue };
        let used = state.batched.of(*id, today);
        if tokens > limit.saturating_sub(used) {
            return Err(Rejected::TooManyTokens { of: *id, tokens, limit, used, day: today });
        }
        limited.push(*id);
    }
    for id in limited {
        state.batched.add(id, today, tokens);
    }
    Ok(Reply::CountedOn(today))
}

/// The batch used so many tokens, and others were counted.
pub(super) fn true_up(
    state: &mut State,
    whose: &[EntityId],
    (counted, used): (u64, u64),
    day: Day,
) {
    for id in whose {
        state.batched.take_back(*id, day, counted.saturating_sub(used));
        if state.batched.is_of(day) {
            state.batched.add(*id, day, used.saturating_sub(counted));
        }
    }
}

/// The batch was not made after all.
pub(super) fn take_back(state: &mut State, whose: &[EntityId], tokens: u64, day: Day) -> Reply {
    for id in whose {
        state.batched.take_back(*id, day, tokens);
    }
    Reply::Done
}
