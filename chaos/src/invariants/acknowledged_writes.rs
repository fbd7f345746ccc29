//! An acknowledged change of a key is never lost. A change whose answer did not come may or may not
//! take effect, at any time after it was sent: all that can have come of it is allowed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Verdict};
use crate::history::{History, Outcome, Standing};
use crate::workload::{Key, Operation};

pub(super) const INVARIANT: Invariant = Invariant {
    name: "acknowledged-writes",
    promise: "an acknowledged change of a key is never lost",
    check,
};

/// What a key may be by now.
struct Possible {
    now: BTreeSet<Standing>,
    /// Changes that may take effect yet.
    loose: Vec<Operation>,
    last: String,
}

fn check(history: &History) -> Verdict {
    let (writes, _) = history.writes_and_chats();
    let mut keys: BTreeMap<Key, Possible> = BTreeMap::new();
    let (mut acknowledged, mut unknown) = (0, 0);
    for write in writes {
        let operation = write.call.operation;
        let possible = keys.entry(operation.key()).or_insert_with(|| Possible {
            now: BTreeSet::from([Standing::Gone]),
            loose: Vec::new(),
            last: "never touched".to_owned(),
        });
        match write.ended.map(|(_, outcome)| outcome) {
            Some(Outcome::Done { .. }) => {
                acknowledged += 1;
                possible.now = possible.now.iter().map(|from| after(operation, *from)).collect();
                possible.last = format!("{operation:?} was acknowledged to {}", write.name());
            }
            Some(Outcome::Refused(_) | Outcome::Unreached) => {}
            Some(Outcome::Failed { .. } | Outcome::Broken { .. }) | None => {
                unknown += 1;
                possible.loose.push(operation);
            }
        }
        possible.spread();
    }
    let (mut looked_at, mut broken) = (0, Vec::new());
    for (node, sight) in history.sights() {
        for (key, seen) in &sight.keys {
            let Some(possible) = keys.get(key) else { continue };
            looked_at += 1;
            if !possible.now.contains(&seen.standing) {
                let is = seen.standing;
                broken.push(format!("{key} is {is:?} on n{}, but {}", node + 1, possible.last));
            }
        }
    }
    let figure = format!("{acknowledged} acknowledged, {unknown} unknown, 0 lost");
    let lost = broken.len();
    let figure =
        if lost == 0 { figure } else { figure.replace(" 0 lost", &format!(" {lost} lost")) };
    Verdict { looked_at, figure, broken }
}

impl Possible {
    /// Whatever is loose may have happened by now, in any order.
    fn spread(&mut self) {
        loop {
            let from = self.now.clone();
            for operation in &self.loose {
                self.now.extend(from.iter().map(|standing| after(*operation, *standing)));
            }
            if self.now == from {
                return;
            }
        }
    }
}

fn after(operation: Operation, before: Standing) -> Standing {
    match (operation, before) {
        (Operation::Create { .. }, Standing::Gone) => Standing::Open,
        (Operation::Block { .. }, Standing::Open) => Standing::Blocked,
        (Operation::Unblock { .. }, Standing::Blocked) => Standing::Open,
        (Operation::Delete { .. }, _) => Standing::Gone,
        (_, unchanged) => unchanged,
    }
}
