//! The right to charge what was made while nobody waited for it.

use dunlin_types::{RequestId, UnixMillis};

use crate::command::{Rejected, Reply};
use crate::state::State;

/// Gives the right to charge a thing to the first who asks for it.
pub(super) fn claim(
    state: &mut State,
    request: RequestId,
    made: UnixMillis,
) -> Result<Reply, Rejected> {
    // A provider's clock may be ahead; what is of tomorrow would be remembered too long.
    let made = made.min(state.at);
    if state.claims.refuse(request, made, state.at) {
        return Ok(Reply::Unchanged);
    }
    state.claims.insert(request, made, state.at);
    Ok(Reply::Done)
}
