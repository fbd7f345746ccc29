//! Spend is settled exactly once: all that clients were told, and beyond it at most what was open
//! and broke off, each named.

use std::collections::BTreeMap;

use dunlin_types::NanoUsd;

use super::failures::is_unsure;
use super::{Invariant, Verdict};
use crate::history::{History, Outcome};
use crate::workload::Key;

pub(super) const INVARIANT: Invariant = Invariant {
    name: "settled-once",
    promise: "completed <= settled <= completed and what was open when it broke",
    check,
};

#[derive(Default)]
struct Account {
    told: NanoUsd,
    unsure: NanoUsd,
    names: Vec<String>,
}

fn check(history: &History) -> Verdict {
    let mut accounts: BTreeMap<Key, Account> = BTreeMap::new();
    let mut completed = 0;
    for chat in &history.writes_and_chats().1 {
        let account = accounts.entry(chat.call.operation.key()).or_default();
        if let Some((_, Outcome::Done { cost })) = chat.ended {
            account.told += *cost;
            completed += 1;
        } else if is_unsure(chat) {
            account.unsure += chat.call.most;
            account.names.push(chat.name());
        }
    }
    let (mut broken, mut seen) = (Vec::new(), BTreeMap::new());
    for (node, sight) in history.sights() {
        for (key, held) in &sight.keys {
            let Some(spent) = held.spent else { continue };
            let account = accounts.entry(*key).or_default();
            seen.insert(*key, (account.told, spent));
            let (told, most) = (account.told, account.told + account.unsure);
            if !(told..=most).contains(&spent) {
                let names = match account.names.join("; ") {
                    none if none.is_empty() => "none was open".to_owned(),
                    names => names,
                };
                broken.push(format!(
                    "{key} on n{}: settled {spent}, clients were told {told}; open when they \
                     broke: {names}",
                    node + 1
                ));
            }
        }
    }
    let told: NanoUsd = seen.values().map(|(told, _)| *told).sum();
    let settled: NanoUsd = seen.values().map(|(_, settled)| *settled).sum();
    let unsure: usize = accounts.values().map(|account| account.names.len()).sum();
    let figure =
        format!("{completed} completed = {told}, settled {settled}; {unsure} broke while open");
    Verdict { looked_at: seen.len(), figure, broken }
}
