//! Whether what a change was decided by is still as it was.

use dunlin_types::UnixMillis;

use crate::command::{Rejected, Seen};
use crate::state::{Holder, State};

pub(super) fn check(state: &State, seen: &[Seen]) -> Result<(), Rejected> {
    for seen in seen {
        let (what, updated_at) = match state.holders.get(&seen.id) {
            Some(Holder::Key(token)) => {
                let key = state.keys.get(token);
                ("the key".to_owned(), key.map(|key| key.updated_at))
            }
            // A change of a membership is one of its group.
            Some(Holder::Entity(kind, name) | Holder::Member { kind, group: name, .. }) => {
                let entity = state.entity(*kind, name);
                (format!("{} `{name}`", kind.name()), entity.map(|entity| entity.updated_at))
            }
            None => ("what was to be changed".to_owned(), None),
        };
        if updated_at != Some(seen.updated_at) {
            return Err(Rejected::ChangedInBetween { what });
        }
    }
    Ok(())
}

/// The time of a change of what was last changed at `before`, or never, at 0: each change has its own.
pub(super) fn time(state: &State, before: UnixMillis) -> UnixMillis {
    if before == UnixMillis(0) { state.at } else { state.at.max(UnixMillis(before.0 + 1)) }
}
