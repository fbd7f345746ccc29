//! Tokens of batches by the day.

use std::collections::BTreeMap;

use super::*;
use crate::command::{Day, Terms, UsedBatch};

const DAY: u64 = 24 * 60 * 60 * 1000;

fn may_make(limit: u64) -> Terms {
    let other = BTreeMap::from([("tpd_limit".to_owned(), limit.to_string())]);
    Terms { other, ..Terms::default() }
}

/// A key that may make 100 a day, one that may make any, and a team that may make 120.
fn world() -> (Script, [EntityId; 3]) {
    let mut script = Script::default();
    let terms = [may_make(100), Terms::default()];
    for (name, terms) in ["sk-a", "sk-b"].into_iter().zip(terms) {
        let key = Box::new(Key { terms, ..*key(name, None) });
        script.run(Command::CreateKey { key }).expect("new");
    }
    let (kind, name, terms) = (Kind::Team, "t".to_owned(), may_make(120));
    let entity = Box::new(Entity { kind, name, terms, ..Entity::default() });
    script.run(Command::CreateEntity { entity, members: Vec::new() }).expect("new");
    let key = |name| script.state.key(&KeyDigest::of(name)).expect("made").id;
    let ids = [key("sk-a"), key("sk-b"), script.state.entity(Kind::Team, "t").expect("made").id];
    (script, ids)
}

#[test]
fn a_batch_counts_for_all_who_are_limited_or_for_nobody() {
    let (mut script, [a, b, team]) = world();
    let count = |whose: &[EntityId], tokens| Command::CountBatch { whose: whose.to_vec(), tokens };
    let counted = Ok(Reply::CountedOn(Day(0)));
    assert_eq!(script.run(count(&[a, team], 60)), counted);
    assert_eq!(script.run(count(&[b, team], 50)), counted);
    let (tokens, limit, used, day) = (20, 120, 110, Day(0));
    let refused = Err(Rejected::TooManyTokens { of: team, tokens, limit, used, day });
    assert_eq!(script.run(count(&[a, b, team], 20)), refused);
    assert_eq!(script.run(count(&[a], 40)), counted, "what was refused is counted for nobody");
    assert!(script.run(count(&[a], 1)).is_err());
    assert_eq!(script.run(count(&[a], 0)), counted, "nothing is within every limit");
    assert_eq!(script.run(count(&[EntityId(77)], 9)), counted, "who is gone has no limit");
    assert_eq!(script.state.batched.tokens.len(), 2, "who has no limit has no row");
}

#[test]
fn a_day_that_is_over_is_forgotten_and_what_was_not_made_comes_back() {
    let (mut script, [a, _, team]) = world();
    let run = |script: &mut Script, at: u64, command: Command| {
        script.seq += 1;
        let id = CommandId { node: NODE, epoch: Epoch(1), seq: script.seq };
        script.state.apply(script.seq, UnixMillis(at), &Entry { id, actor: None, command })
    };
    let count = |whose: &[EntityId], tokens| Command::CountBatch { whose: whose.to_vec(), tokens };
    let uncount = |counted, day| {
        let (whose, day) = (vec![a, team], Day(day));
        let batch = Box::new(UsedBatch { whose, counted, day, ..UsedBatch::default() });
        Command::TrueUpBatch { batch }
    };
    assert_eq!(run(&mut script, DAY - 1, count(&[a, team], 100)), Ok(Reply::CountedOn(Day(0))));
    assert!(run(&mut script, DAY - 1, count(&[a], 1)).is_err());
    run(&mut script, DAY - 1, uncount(30, 0)).expect("given back");
    assert_eq!(run(&mut script, DAY - 1, count(&[a], 30)), Ok(Reply::CountedOn(Day(0))));
    assert_eq!(run(&mut script, DAY, count(&[a], 100)), Ok(Reply::CountedOn(Day(1))));
    run(&mut script, DAY, uncount(100, 0)).expect("of a day that is over, nothing comes back");
    assert!(run(&mut script, DAY, count(&[a], 1)).is_err());
    let restored = State::restore(&script.state.snapshot()).expect("its own");
    assert_eq!(restored.batched, script.state.batched);
    run(&mut script, DAY, uncount(100, 1)).expect("given back");
    assert!(script.state.batched.tokens.is_empty());
}

#[test]
fn what_a_batch_used_counts_in_place_of_what_it_might_have_used_and_only_once() {
    let (mut script, [a, _, team]) = world();
    let count = |tokens| Command::CountBatch { whose: vec![a, team], tokens };
    let true_up = |batch: u128, counted, used, day| {
        let claim = Some((RequestId(batch), UnixMillis(1)));
        let (whose, day) = (vec![a, team], Day(day));
        let batch = Box::new(UsedBatch { claim, whose, counted, used, day });
        Command::TrueUpBatch { batch }
    };
    let used = |script: &Script| [a, team].map(|id| script.state.batched.of(id, Day(0)));
    script.run(count(60)).expect("within");
    script.run(count(30)).expect("within");
    assert_eq!(script.run(true_up(1, 60, 10, 0)), Ok(Reply::Done));
    assert_eq!(used(&script), [40, 40]);
    assert_eq!(script.run(true_up(1, 60, 10, 0)), Ok(Reply::Unchanged), "whoever comes later");
    assert_eq!(used(&script), [40, 40]);
    assert_eq!(script.run(true_up(2, 30, 130, 0)), Ok(Reply::Done));
    assert_eq!(used(&script), [140, 140], "it used more");
    assert!(script.run(count(1)).is_err());
    assert_eq!(script.run(true_up(3, 0, 50, 7)), Ok(Reply::Done));
    assert_eq!(used(&script), [140, 140], "of another day");
    assert_eq!(script.run(true_up(4, 500, 0, 0)), Ok(Reply::Done));
    assert!(script.state.batched.tokens.is_empty(), "never less than nothing");
}
