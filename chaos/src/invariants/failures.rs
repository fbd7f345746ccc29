//! Chats fail only where they must: on a node that was killed while they were open, or because of a
//! backend that breaks answers off. Who finds nobody has lost nothing and asks another: that is
//! counted, and no failure. A node that answers must serve: clients do not move on from a 503.

use super::{Invariant, Verdict};
use crate::history::{Act, History, Outcome, Traced, Troubles};

pub(super) const INVARIANT: Invariant = Invariant {
    name: "failures",
    promise: "only requests in flight on a killed node fail, or those a backend broke off",
    check,
};

fn check(history: &History) -> Verdict {
    let troubles = Troubles::of(history);
    let breaking = breaking(history);
    let (_, chats) = history.writes_and_chats();
    let (mut killed, mut by_backend, mut broken) = (0, 0, Vec::new());
    let mut unreached = 0;
    for chat in &chats {
        let (node, from, to) = (chat.call.node, chat.sent, chat.end());
        // A node that is gone gives no whole answer, not even one that says so.
        let (why, is_cut) = match chat.ended.map(|(_, outcome)| outcome) {
            Some(Outcome::Done { .. } | Outcome::Refused(_)) => continue,
            Some(Outcome::Unreached) if troubles.was_gone(node, from, to) => {
                unreached += 1;
                continue;
            }
            Some(Outcome::Unreached) => ("was not connected".to_owned(), true),
            Some(Outcome::Failed { status, why }) => {
                (format!("was answered {status}: {why}"), false)
            }
            Some(Outcome::Broken { why }) => (format!("broke: {why}"), true),
            None => ("never ended".to_owned(), true),
        };
        if is_cut && troubles.was_killed(node, from, to) {
            killed += 1;
        } else if breaking.iter().any(|(began, ended)| *began <= to && from <= *ended) {
            by_backend += 1;
        } else {
            broken.push(format!("{} {why}", chat.name()));
        }
    }
    let others = broken.len();
    let figure = format!(
        "{} chats: {killed} failed with their node, {by_backend} by a backend, {others} otherwise; \
         {unreached} found nobody",
        chats.len()
    );
    Verdict { looked_at: chats.len(), figure, broken }
}

/// When some backend broke answers off.
fn breaking(history: &History) -> Vec<(u64, u64)> {
    let mut times: Vec<(u64, u64, usize)> = Vec::new();
    for (at, act) in history.acts() {
        match act {
            Act::BackendIll { backend, breaks: true, .. } => times.push((at, u64::MAX, *backend)),
            Act::BackendWell { backend } => {
                let open = times.iter_mut().filter(|t| t.1 == u64::MAX && t.2 == *backend);
                open.for_each(|time| time.1 = at);
            }
            Act::BackendIll { breaks: false, .. }
            | Act::Killed { .. }
            | Act::Stopped { .. }
            | Act::Back { .. }
            | Act::Paused { .. }
            | Act::Resumed { .. }
            | Act::CutOff { .. }
            | Act::Connected
            | Act::Lossy
            | Act::Steady => {}
        }
    }
    times.into_iter().map(|(from, to, _)| (from, to)).collect()
}

/// Whether a chat may have been booked though its client does not know the cost.
pub(super) fn is_unsure(chat: &Traced<'_>) -> bool {
    match chat.ended.map(|(_, outcome)| outcome) {
        Some(Outcome::Done { .. } | Outcome::Refused(_) | Outcome::Unreached) => false,
        Some(Outcome::Failed { .. } | Outcome::Broken { .. }) | None => true,
    }
}
