//! A key that was blocked or deleted is refused soon after, on every node that is connected.

use super::{Invariant, Verdict};
use crate::history::{History, Outcome, Traced, Troubles};
use crate::workload::{Key, Operation};

pub(super) const INVARIANT: Invariant = Invariant {
    name: "blocked-keys",
    promise: "a blocked or deleted key is refused on connected nodes within the bound",
    check,
};

fn check(history: &History) -> Verdict {
    let troubles = Troubles::of(history);
    let (writes, chats) = history.writes_and_chats();
    let (mut looked_at, mut latest, mut broken) = (0, 0, Vec::new());
    for chat in chats {
        let Some(since) = refused_since(&writes, chat.call.operation.key(), chat.sent) else {
            continue;
        };
        let Some(bound) = troubles.spread_ms(chat.call.node, since, chat.sent) else { continue };
        looked_at += 1;
        let late = chat.sent - since;
        if chat.admitted.is_some() {
            latest = latest.max(late);
            if late > bound {
                let key = chat.call.operation.key();
                let name = chat.name();
                broken.push(format!("{name}: {key} was let in {late} ms after its block"));
            }
        }
    }
    let bound = history.bounds.spread_ms;
    let figure = format!("{looked_at} asked; let in {latest} ms late at most, {bound} allowed");
    Verdict { looked_at, figure, broken }
}

/// Since when a key must be refused at `at`, by the last change that was acknowledged: unless
/// another one that lets it in may have overtaken it.
fn refused_since(writes: &[Traced<'_>], key: Key, at: u64) -> Option<u64> {
    let ours = writes.iter().filter(|traced| traced.call.operation.key() == key);
    let mut since = None;
    for write in ours.filter(|traced| traced.sent <= at) {
        let done = write.ended.filter(|(end, _)| *end <= at);
        match write.call.operation {
            Operation::Chat { .. } => {}
            Operation::Create { .. } | Operation::Unblock { .. } => match done {
                Some((_, Outcome::Refused(_) | Outcome::Unreached)) => {}
                Some((_, Outcome::Done { .. })) => since = None,
                // It may take effect at any time.
                Some((_, Outcome::Failed { .. } | Outcome::Broken { .. })) | None => return None,
            },
            Operation::Block { .. } | Operation::Delete { .. } => {
                if let Some((end, Outcome::Done { .. })) = done {
                    since = since.or(Some(end));
                }
            }
        }
    }
    since
}
