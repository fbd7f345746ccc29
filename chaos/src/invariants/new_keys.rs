//! A key that was made works: at once where it was made, soon on every connected node.

use super::{Invariant, Verdict};
use crate::history::{History, Outcome, Refusal, Traced, Troubles};
use crate::workload::{Key, Operation};

pub(super) const INVARIANT: Invariant = Invariant {
    name: "new-keys",
    promise: "a new key works at once where it was made, and everywhere within the bound",
    check,
};

fn check(history: &History) -> Verdict {
    let troubles = Troubles::of(history);
    let (writes, chats) = history.writes_and_chats();
    let (mut looked_at, mut latest, mut broken) = (0, 0, Vec::new());
    for chat in chats {
        let key = chat.call.operation.key();
        let Some((made_at, made_on)) = open_since(&writes, key, &chat) else { continue };
        let Some(spread) = troubles.spread_ms(chat.call.node, made_at, chat.sent) else { continue };
        let bound = if made_on == chat.call.node { 0 } else { spread };
        looked_at += 1;
        let late = chat.sent - made_at;
        let refused = chat.ended.is_some_and(|(_, outcome)| {
            *outcome == Outcome::Refused(Refusal::Unknown)
                || *outcome == Outcome::Refused(Refusal::Blocked)
        });
        if refused {
            latest = latest.max(late);
            if late >= bound {
                let name = chat.name();
                broken.push(format!("{name}: {key} was refused {late} ms after it was made"));
            }
        }
    }
    let bound = history.bounds.spread_ms;
    let figure = format!("{looked_at} asked; refused {latest} ms late at most, {bound} allowed");
    Verdict { looked_at, figure, broken }
}

/// When and where a key was made that no other change can have touched before `chat` was over.
fn open_since(writes: &[Traced<'_>], key: Key, chat: &Traced<'_>) -> Option<(u64, usize)> {
    let ours = |traced: &&Traced<'_>| traced.call.operation.key() == key;
    let mut found = None;
    for write in writes.iter().filter(ours).filter(|write| write.sent <= chat.end()) {
        match (write.call.operation, write.ended) {
            (Operation::Create { .. }, Some((at, Outcome::Done { .. }))) if at <= chat.sent => {
                found = Some((at, write.call.node));
            }
            _ => return None,
        }
    }
    found
}
