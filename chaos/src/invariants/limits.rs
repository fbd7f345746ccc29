//! Never more than N requests of a key in any 60 s, over all nodes, but for what the head of
//! `dunlin-limiter` allows: when nodes die or are cut off, what they admitted themselves; while
//! one stalls or messages are lost, the shares of those that wait for it. Of a shared limit only a
//! node that dies may have had more: it may be back, and the owner, before anybody notices.
//!
//! A real client knows only when it sent and when the answer began. A minute counts what was surely
//! in it, so that nothing is called broken that may be right.

use std::collections::BTreeMap;

use super::{Invariant, Verdict};
use crate::history::{History, Ill, Outcome, Traced, Trouble, Troubles};
use crate::workload::{Allowed, Key, Operation};

pub(super) const INVARIANT: Invariant = Invariant {
    name: "limits",
    promise: "at most N requests of a key in any 60 s, and what dead and cut off nodes admitted",
    check,
};

const WINDOW_MS: u64 = 60_000;
/// How long an owner that is cut off goes on, and a new one waits.
const FENCE_MS: u64 = 2_000;

/// A request that was let in, between two moments.
struct Admission {
    node: usize,
    sent: u64,
    at: u64,
}

fn check(history: &History) -> Verdict {
    let troubles = Troubles::of(history);
    let calls = history.calls();
    let allowed = allowed(&calls);
    let mut admitted: BTreeMap<Key, Vec<Admission>> = BTreeMap::new();
    for chat in calls.iter().filter(|traced| allowed.contains_key(&traced.call.operation.key())) {
        let Some((at, _)) = chat.admitted.filter(|_| !chat.call.operation.is_write()) else {
            continue;
        };
        let admission = Admission { node: chat.call.node, sent: chat.sent, at };
        admitted.entry(chat.call.operation.key()).or_default().push(admission);
    }
    let (mut looked_at, mut figures, mut broken) = (0, Vec::new(), Vec::new());
    for (key, admissions) in &admitted {
        let limit = limit_of(&allowed, *key);
        looked_at += admissions.len();
        let Allowed { shared, .. } = allowed[key];
        let windows =
            admissions.iter().map(|a| Minute::from(a.sent, admissions, &troubles, shared));
        let Some(worst) = windows.max_by_key(|m| (m.over(limit, history), m.counted)) else {
            continue;
        };
        let most = worst.allowed(limit, history);
        figures.push(format!("{key}: {} of {limit}{}", worst.all, worst.note(limit, history)));
        if worst.over(limit, history) > 0 {
            broken.push(format!(
                "{key}: {} requests in the minute from {} ms on; {most} are allowed, {} more were \
                 admitted by nodes that died or were cut off",
                worst.counted,
                worst.from,
                worst.all - worst.counted
            ));
        }
    }
    broken.extend(apart(history, &troubles, &admitted, &allowed));
    Verdict { looked_at, figure: figures.join("; "), broken }
}

/// What each key may use that has a limit of requests and was made for sure.
fn allowed(calls: &[Traced<'_>]) -> BTreeMap<Key, Allowed> {
    let made = calls.iter().filter_map(|traced| match (traced.call.operation, traced.ended) {
        (Operation::Create { key, allowed }, Some((_, Outcome::Done { .. }))) => {
            allowed.requests.map(|_| (key, allowed))
        }
        _ => None,
    });
    made.collect()
}

fn limit_of(allowed: &BTreeMap<Key, Allowed>, key: Key) -> u64 {
    allowed[&key].requests.expect("it was made with one")
}

/// What was surely admitted within one minute.
struct Minute {
    from: u64,
    all: u64,
    /// Without what nodes admitted before they died, or before they were connected again.
    counted: u64,
    /// Nodes make do with their shares.
    stalled: bool,
    /// On the wire when a node was lost.
    wire: u64,
}

impl Minute {
    fn from(from: u64, admissions: &[Admission], troubles: &Troubles, shared: bool) -> Self {
        let to = from + WINDOW_MS;
        let counts =
            |trouble: &&Trouble| !shared || matches!(trouble.ill, Ill::Killed | Ill::Stopped);
        let during: Vec<&Trouble> = troubles.during(from, to - 1).filter(counts).collect();
        let mut minute = Self { from, all: 0, counted: 0, stalled: false, wire: 0 };
        minute.stalled = during.iter().any(|t| matches!(t.ill, Ill::Paused | Ill::Lossy));
        let call_ms = troubles.bounds().call_ms;
        for one in admissions.iter().filter(|a| a.sent >= from && a.at < to) {
            minute.all += 1;
            if during.iter().any(|t| t.forgets(one, troubles.bounds().rejoin_ms)) {
                continue;
            }
            minute.counted += 1;
            let near = |t: &&Trouble| t.ill != Ill::Lossy && one.at.abs_diff(t.from) <= call_ms;
            minute.wire += u64::from(during.iter().any(near));
        }
        minute
    }

    fn allowed(&self, limit: u64, history: &History) -> u64 {
        let nodes = history.nodes as u64;
        let shares = if self.stalled { limit - limit / nodes } else { 0 };
        limit + shares + self.wire
    }

    fn over(&self, limit: u64, history: &History) -> u64 {
        self.counted.saturating_sub(self.allowed(limit, history))
    }

    fn note(&self, limit: u64, history: &History) -> String {
        let lost = self.all - self.counted;
        let more = self.allowed(limit, history) - limit;
        match (lost, more) {
            (0, 0) => String::new(),
            _ => format!(" (+{lost} of lost nodes, +{more} allowed)"),
        }
    }
}

impl Trouble {
    /// Whether others may not know that `one` was admitted.
    fn forgets(&self, one: &Admission, rejoin_ms: u64) -> bool {
        let last = match self.ill {
            Ill::Killed | Ill::Stopped => self.from,
            Ill::Paused | Ill::CutOff => self.until.saturating_add(rejoin_ms),
            Ill::Lossy => return false,
        };
        one.node == self.node && one.sent <= last
    }
}

/// A node that is cut off keeps to its share of each limit.
fn apart(
    history: &History,
    troubles: &Troubles,
    admitted: &BTreeMap<Key, Vec<Admission>>,
    allowed: &BTreeMap<Key, Allowed>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let cuts = troubles.during(0, u64::MAX).filter(|trouble| trouble.ill == Ill::CutOff);
    for cut in cuts {
        let (from, to) = (cut.from + FENCE_MS + 2 * troubles.bounds().call_ms, cut.until);
        let mut others: Vec<usize> = troubles.during(cut.from, to).map(|t| t.node).collect();
        others.retain(|node| *node != cut.node);
        others.sort_unstable();
        others.dedup();
        // Members that are down have no share.
        let members = (history.nodes - others.len()).max(1) as u64;
        for (key, admissions) in admitted {
            let share = limit_of(allowed, *key).div_ceil(members);
            let ours = admissions.iter().filter(|a| a.node == cut.node);
            let ours: Vec<u64> =
                ours.filter(|a| a.sent >= from && a.at < to).map(|a| a.sent).collect();
            let within =
                |start: u64| ours.iter().filter(move |at| (start..start + WINDOW_MS).contains(at));
            let most = ours.iter().map(|start| within(*start).count() as u64).max().unwrap_or(0);
            if most > share {
                let node = cut.node + 1;
                broken.push(format!(
                    "n{node}, cut off, admitted {most} of {key}; its share is {share}"
                ));
            }
        }
    }
    broken
}
