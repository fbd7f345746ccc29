//! A budget whose duration is changed while a period runs: what was spent in it counts on, and only the
//! reset moves.

use dunlin_ledger::{Calendar, Every, Period};
use dunlin_types::UnixMillis;

use super::*;
use crate::Format;
use crate::command::{Grant, Terms, TermsChanges};

/// Noon of a Tuesday, the 10th of February 1970, in seconds.
const NOON: u64 = 40 * 86_400 + 43_200;

fn pot() -> PotId {
    PotId { of: EntityId(1_000), line: Line::Main }
}

/// The period that runs at that second by the calendar.
fn runs(every: &str, second: u64) -> Period {
    let every = Every::parse(every).expect("a duration").since(Some(UnixMillis(NOON * 1_000)));
    Calendar::default().period(every, UnixMillis(second * 1_000))
}

/// A key with a budget of such a duration, of which 60 were spent at noon.
fn spent(every: Option<&str>) -> Script {
    let mut script = Script::default();
    let terms = Terms {
        max_budget: Some(NanoUsd(100)),
        budget_duration: every.map(str::to_owned),
        ..Terms::default()
    };
    let made = Key { terms, ..*key("sk-a", None) };
    for command in [
        Command::RaiseFormat { to: Format::NEWEST },
        Command::AddNode { node: NODE, address: "n1:1".to_owned() },
        Command::CreateKey { key: Box::new(made) },
    ] {
        script.run(command).expect("accepted");
    }
    script.seq = NOON;
    let period = every.map_or(UnixMillis(0), |every| runs(every, NOON).start);
    let Command::Settle { charges, .. } = settle(1, 0, 1, 60) else { unreachable!("spend") };
    let charges = charges.into_iter().map(|charge| Charge { period, ..charge }).collect();
    let (days, claimed) = (DaySums::default(), Vec::new());
    let settled =
        Command::Settle { node: NODE, epoch: Epoch(1), from: 0, to: 1, charges, days, claimed };
    script.run(settled).expect("settled");
    script
}

fn change(script: &mut Script, to: Option<&str>) {
    let budget_duration = to.map_or(Change::Clear, |to| Change::Set(to.to_owned()));
    let terms = TermsChanges { budget_duration, ..TermsChanges::default() };
    let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
    script.run(Command::UpdateKey { token: KeyDigest::of("sk-a"), changes }).expect("known");
}

/// What counts as spent at that second, once a node asked for money.
fn counted(script: &mut Script, every: Option<&str>, second: u64) -> u64 {
    script.seq = second;
    let period = every.map(|every| runs(every, second + 1));
    let period = script.state.begun(&pot(), period);
    let (least, amount) = (NanoUsd(1), NanoUsd(1));
    let (limit, window, carries) = (None, None, None);
    let grants = vec![Grant { pot: pot(), period, least, amount, limit, window, carries }];
    let returns = Vec::new();
    let asked = Command::Lease { node: NODE, epoch: Epoch(1), number: second, returns, grants };
    script.run(asked).expect("granted");
    let held = script.state.pot(&pot()).expect("there is one");
    assert!(!held.leases.is_empty(), "{every:?}: money is granted in its period");
    held.settled.0
}

#[test]
fn what_was_spent_counts_until_the_next_period_by_the_new_duration() {
    let durations = [None, Some("1h"), Some("1d"), Some("7d"), Some("10d"), Some("30d")];
    for before in durations {
        for after in durations {
            let mut script = spent(before);
            let what = format!("{before:?} to {after:?}");
            script.seq = NOON + 60;
            change(&mut script, after);
            assert_eq!(counted(&mut script, after, NOON + 120), 60, "{what}");
            let read = State::restore(&script.state.snapshot()).expect("a snapshot");
            assert_eq!(read.digest(), script.state.digest(), "{what}");
            let Some(every) = after else { continue };
            let ends = runs(every, NOON + 120).end.0 / 1_000;
            assert_eq!(counted(&mut script, after, ends - 2), 60, "{what}: to its end");
            assert_eq!(counted(&mut script, after, ends + 1), 0, "{what}: behind it");
        }
    }
}

#[test]
fn what_was_spent_in_a_period_that_is_over_is_not_brought_back() {
    let mut script = spent(Some("1d"));
    script.seq = NOON + 2 * 86_400;
    change(&mut script, Some("30d"));
    assert_eq!(counted(&mut script, Some("30d"), NOON + 2 * 86_400 + 60), 0);
    let mut script = spent(Some("30d"));
    script.seq = NOON + 40 * 86_400;
    change(&mut script, Some("1d"));
    assert_eq!(counted(&mut script, Some("1d"), NOON + 40 * 86_400 + 60), 0);
}

#[test]
fn it_counts_however_often_the_duration_is_changed_and_whoever_shares_it() {
    let mut script = spent(Some("30d"));
    for (at, every) in [(1, "7d"), (2, "1d"), (3, "30d"), (4, "1d")] {
        script.seq = NOON + at * 60;
        change(&mut script, Some(every));
    }
    assert_eq!(counted(&mut script, Some("1d"), NOON + 300), 60);
}
