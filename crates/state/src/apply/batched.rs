//! Tokens of batches that are about to be made: counted for all who may make so many a day, or for
//! nobody.

use dunlin_types::{EntityId, Line, PotId};

use super::claims;
use crate::claims::Claim;
use crate::command::{Day, Rejected, Reply, UsedBatch};
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

/// What a batch used counts in place of what was counted.
pub(super) fn true_up(state: &mut State, batch: &UsedBatch) -> Result<Reply, Rejected> {
    let UsedBatch { claim, whose, counted, used, day } = batch;
    if let Some((request, made)) = claim {
        let claim = Claim { made: *made, by: None, settled: true };
        if claims::claim(state, *request, claim)? == Reply::Unchanged {
            return Ok(Reply::Unchanged);
        }
    }
    for id in whose {
        state.batched.take_back(*id, *day, counted.saturating_sub(*used));
        if state.batched.is_of(*day) {
            state.batched.add(*id, *day, used.saturating_sub(*counted));
        }
    }
    Ok(Reply::Done)
}
