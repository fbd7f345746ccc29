//! Every check catches what it is for, and lets a right run pass: histories made by hand.

use std::collections::BTreeMap;

use dunlin_types::NanoUsd;

use super::judge;
use crate::history::{
    Act, Call, CallId, History, KeySight, Outcome, Refusal, Sight, Standing, StreamEnd, What,
};
use crate::report::{Judgement, Report};
use crate::workload::{Allowed, Key, Operation};

const COST: NanoUsd = NanoUsd(1_500);
const KEY: Key = Key(0);

/// A run of three nodes in the making. What the nodes should hold in the end goes along.
struct Run {
    history: History,
    keys: BTreeMap<Key, KeySight>,
    calls: u64,
}

impl Run {
    /// One key with a limit, made on the first node.
    fn new() -> Self {
        Self::with_key(false)
    }

    fn with_key(shared: bool) -> Self {
        let mut run = Self { history: History::new(3), keys: BTreeMap::new(), calls: 0 };
        let allowed = Allowed { requests: Some(5), parallel: None, shared };
        run.write(0, 0, Operation::Create { key: KEY, allowed }, Standing::Open);
        run
    }

    fn sent(&mut self, at: u64, node: usize, operation: Operation) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        self.history.add(at, What::Sent(Call { id, node, operation, most: COST }));
        id
    }

    fn ended(&mut self, at: u64, call: CallId, outcome: Outcome, stream: Option<StreamEnd>) {
        self.history.add(at, What::Ended { call, outcome, stream });
    }

    fn write(&mut self, at: u64, node: usize, operation: Operation, standing: Standing) {
        let call = self.sent(at, node, operation);
        self.ended(at + 10, call, Outcome::Done { cost: NanoUsd::ZERO }, None);
        let spent = self.keys.get(&operation.key()).and_then(|key| key.spent);
        let spent = Some(spent.unwrap_or_default());
        self.keys.insert(operation.key(), KeySight { standing, spent });
    }

    fn chat(&mut self, at: u64, node: usize, outcome: Outcome) {
        self.stream(at, node, outcome, None);
    }

    fn stream(&mut self, at: u64, node: usize, outcome: Outcome, stream: Option<StreamEnd>) {
        let operation = Operation::Chat { key: KEY, stream: stream.is_some(), tokens: 3 };
        let call = self.sent(at, node, operation);
        if matches!(outcome, Outcome::Done { .. } | Outcome::Broken { .. }) {
            self.history.add(at + 1, What::Admitted { call, request: format!("r{}", call.0) });
        }
        if let Outcome::Done { cost } = outcome {
            let key = self.keys.get_mut(&KEY).expect("it was made");
            key.spent = key.spent.map(|spent| spent + cost);
        }
        self.ended(at + 2, call, outcome, stream);
    }

    fn act(&mut self, at: u64, act: Act) {
        self.history.add(at, What::Done(act));
    }

    /// All nodes are looked at, after `alter` has changed what the last one holds.
    fn end(mut self, alter: impl FnOnce(&mut Sight)) -> History {
        let keys = self.keys.clone();
        let sight = Sight { applied: 9, digest: None, keys, in_flight: 0 };
        let mut last = sight.clone();
        alter(&mut last);
        for (node, sight) in [sight.clone(), sight, last].into_iter().enumerate() {
            self.history.add(200_000, What::Seen { node, sight });
        }
        self.history
    }
}

fn done() -> Outcome {
    Outcome::Done { cost: COST }
}

fn broken() -> Outcome {
    Outcome::Broken { why: "reset".to_owned() }
}

#[track_caller]
fn check(history: &History, broken: &[&str]) {
    let judged = judge(history);
    let found: Vec<_> = judged.iter().filter(|(_, verdict)| !verdict.broken.is_empty()).collect();
    let names: Vec<&str> = found.iter().map(|(invariant, _)| invariant.name).collect();
    assert_eq!(names, broken, "{found:#?}", found = found.iter().map(|f| &f.1).collect::<Vec<_>>());
}

#[test]
fn a_run_that_shows_nothing_is_unknown_and_not_held() {
    let report = Report::of(&Run::new().end(|_| ()), 7, String::new());
    let text = report.text();
    assert_eq!(report.verdict, Judgement::Unknown, "{text}");
    assert!(report.unknown().any(|name| name == "failures"), "nobody chatted: {text}");
    assert!(report.unknown().all(|name| name != "agreement"), "every node was looked at: {text}");
    assert!(text.contains("unknown, for nothing happened: "), "{text}");
}

#[test]
fn a_right_run_passes() {
    let mut run = Run::new();
    for number in 0..5 {
        run.chat(2_000 + number * 10, usize::try_from(number % 3).expect("small"), done());
    }
    run.chat(2_100, 0, Outcome::Refused(Refusal::Limited));
    run.act(3_000, Act::Killed { node: 1 });
    run.chat(3_500, 1, Outcome::Unreached);
    run.act(9_000, Act::Back { node: 1 });
    run.write(20_000, 2, Operation::Block { key: KEY }, Standing::Blocked);
    run.chat(20_100, 0, Outcome::Refused(Refusal::Blocked));
    check(&run.end(|_| {}), &[]);
}

#[test]
fn a_lost_write_is_caught() {
    let lost = |sight: &mut Sight| {
        sight.keys.get_mut(&KEY).expect("made").standing = Standing::Gone;
    };
    check(&Run::new().end(lost), &["acknowledged-writes", "agreement"]);
}

#[test]
fn an_unknown_write_may_or_may_not_be_done_but_alike_everywhere() {
    let unknown = |standing| {
        let mut run = Run::new();
        let call = run.sent(50, 0, Operation::Block { key: KEY });
        run.ended(3_050, call, broken(), None);
        run.keys.get_mut(&KEY).expect("made").standing = standing;
        run
    };
    check(&unknown(Standing::Open).end(|_| {}), &[]);
    check(&unknown(Standing::Blocked).end(|_| {}), &[]);
    check(&unknown(Standing::Gone).end(|_| {}), &["acknowledged-writes"]);
    let differs = |sight: &mut Sight| {
        sight.keys.get_mut(&KEY).expect("made").standing = Standing::Blocked;
    };
    check(&unknown(Standing::Open).end(differs), &["agreement"]);
}

#[test]
fn nodes_that_differ_or_are_missing_are_caught() {
    check(&Run::new().end(|sight| sight.applied = 8), &["agreement"]);
    let mut history = Run::new().end(|_| {});
    history.events.pop();
    check(&history, &["agreement"]);
}

#[test]
fn a_blocked_key_that_is_let_in_late_is_caught() {
    let late = |at: u64, troubled: bool| {
        let mut run = Run::new();
        run.write(5_000, 0, Operation::Block { key: KEY }, Standing::Blocked);
        if troubled {
            run.act(5_500, Act::CutOff { nodes: vec![2] });
        }
        run.chat(at, 2, done());
        run.end(|_| {})
    };
    check(&late(5_900, false), &[]);
    check(&late(6_100, false), &["blocked-keys"]);
    check(&late(6_100, true), &[]);
}

#[test]
fn a_deleted_key_that_is_let_in_late_is_caught() {
    let mut run = Run::new();
    run.write(5_000, 0, Operation::Delete { key: KEY }, Standing::Gone);
    run.chat(9_000, 1, done());
    check(&run.end(|_| {}), &["blocked-keys"]);
}

#[test]
fn counts_that_stay_and_calls_that_hang_are_caught() {
    check(&Run::new().end(|sight| sight.in_flight = 1), &["counts"]);
    let mut run = Run::new();
    run.sent(100, 0, Operation::Chat { key: KEY, stream: false, tokens: 1 });
    check(&run.end(|_| {}), &["counts", "failures"]);
}

#[test]
fn a_failure_on_a_living_node_is_caught() {
    let failed = Outcome::Failed { status: 500, why: "oh".to_owned() };
    for (node, outcome, expected) in [
        (1, broken(), &[][..]),
        (1, Outcome::Unreached, &[]),
        (1, failed.clone(), &["failures"]),
        (2, broken(), &["failures"]),
        (2, failed.clone(), &["failures"]),
        (2, Outcome::Unreached, &["failures"]),
    ] {
        let mut run = Run::new();
        run.act(2_000, Act::Killed { node: 1 });
        run.chat(2_000, node, outcome);
        run.act(4_000, Act::Back { node: 1 });
        check(&run.end(|_| {}), expected);
    }
    for (breaks, expected) in [(true, &[][..]), (false, &["failures"])] {
        let mut run = Run::new();
        run.act(2_000, Act::BackendIll { backend: 0, how: "resets".to_owned(), breaks });
        run.chat(2_500, 0, failed.clone());
        run.act(3_000, Act::BackendWell { backend: 0 });
        check(&run.end(|_| {}), expected);
    }
}

#[test]
fn one_too_many_in_a_minute_is_caught() {
    let minute = |times: [u64; 6]| {
        let mut run = Run::new();
        times.iter().for_each(|at| run.chat(*at, 0, done()));
        run.end(|_| {})
    };
    check(&minute([2_000, 2_010, 2_020, 2_030, 2_040, 61_990]), &["limits"]);
    check(&minute([2_000, 2_010, 2_020, 2_030, 2_040, 62_001]), &[]);
}

#[test]
fn what_lost_nodes_admitted_is_allowed_and_no_more() {
    for (before, after, expected) in [(4, 5, &[][..]), (0, 6, &["limits"])] {
        let mut run = Run::new();
        (0..before).for_each(|number| run.chat(2_000 + number * 10, 1, done()));
        run.act(10_000, Act::Killed { node: 1 });
        (0..after).for_each(|number| run.chat(20_000 + number * 10, 2, done()));
        run.act(40_000, Act::Back { node: 1 });
        check(&run.end(|_| {}), expected);
    }
    // Cut off, a node has a third of five, rounded up.
    for (admitted, expected) in [(2, &[][..]), (3, &["limits"])] {
        let mut run = Run::new();
        run.act(10_000, Act::CutOff { nodes: vec![1] });
        (0..admitted).for_each(|number| run.chat(20_000 + number * 10, 1, done()));
        run.act(40_000, Act::Connected);
        check(&run.end(|_| {}), expected);
    }
}

#[test]
fn of_a_shared_limit_a_lost_node_may_not_have_more() {
    for (shared, expected) in [(false, &[][..]), (true, &["limits"])] {
        let mut run = Run::with_key(shared);
        (0..4).for_each(|number| run.chat(2_000 + number * 10, 1, done()));
        run.act(10_000, Act::CutOff { nodes: vec![1] });
        (0..2).for_each(|number| run.chat(20_000 + number * 10, 2, done()));
        run.act(40_000, Act::Connected);
        check(&run.end(|_| {}), expected);
    }
}

#[test]
fn a_new_key_that_is_refused_late_is_caught() {
    for (node, at, expected) in
        [(0, 12, &["new-keys"][..]), (1, 900, &[]), (1, 1_100, &["new-keys"])]
    {
        let mut run = Run::new();
        run.chat(at, node, Outcome::Refused(Refusal::Unknown));
        check(&run.end(|_| {}), expected);
    }
}

#[test]
fn spend_that_is_lost_or_doubled_is_caught_and_named() {
    let settled = |spent: u64, in_flight: bool| {
        let mut run = Run::new();
        run.chat(2_000, 0, done());
        if in_flight {
            run.act(3_000, Act::Killed { node: 1 });
            run.chat(3_000, 1, broken());
            run.act(5_000, Act::Back { node: 1 });
        }
        run.keys.get_mut(&KEY).expect("made").spent = Some(NanoUsd(spent));
        run.end(|_| {})
    };
    check(&settled(COST.0, true), &[]);
    check(&settled(2 * COST.0, true), &[]);
    check(&settled(COST.0 - 1, false), &["settled-once"]);
    check(&settled(2 * COST.0, false), &["settled-once"]);
    let doubled = settled(3 * COST.0, true);
    check(&doubled, &["settled-once"]);
    let judged = judge(&doubled);
    let said = judged.iter().flat_map(|(_, verdict)| &verdict.broken);
    assert!(said.clone().any(|text| text.contains("request r3")), "{:?}", said.collect::<Vec<_>>());
}

#[test]
fn a_broken_stream_that_looks_whole_is_caught() {
    let whole = StreamEnd { done: true, error: false, complete: true, tokens: 3, expected: 3 };
    for (end, expected) in [
        (whole, &[][..]),
        (StreamEnd { tokens: 2, ..whole }, &["streams"]),
        (StreamEnd { error: true, ..whole }, &["streams"]),
        (StreamEnd { done: false, ..whole }, &["streams"]),
        (StreamEnd { done: false, error: true, ..whole }, &[]),
        (StreamEnd { done: false, complete: false, tokens: 1, ..whole }, &[]),
        (StreamEnd { done: false, complete: false, tokens: 4, ..whole }, &["streams"]),
    ] {
        let mut run = Run::new();
        run.stream(2_000, 0, done(), Some(end));
        check(&run.end(|_| {}), expected);
    }
}
