//! The right to charge what was made while nobody waited for it.

use dunlin_types::RequestId;

use crate::claims::Claim;
use crate::command::{Rejected, Reply};
use crate::state::State;

/// Gives the right to charge a thing to the first who asks for it, as often as they ask.
pub(super) fn claim(
    state: &mut State,
    request: RequestId,
    Claim { made, by, settled }: Claim,
) -> Result<Reply, Rejected> {
    if by.is_some() && state.claims.claimant(request) == by {
        return Ok(Reply::Done);
    }
    // A provider's clock may be ahead; what is of tomorrow would be remembered too long.
    let made = made.min(state.at);
    if state.claims.refuse(request, made, state.at) {
        return Ok(Reply::Unchanged);
    }
    state.claims.insert(request, Claim { made, by, settled }, state.at);
    Ok(Reply::Done)
}
