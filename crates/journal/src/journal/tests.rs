//! A journal at its border: lives, torn tails, settling, reading on from anywhere.

use std::time::Duration;

use dunlin_types::{Clock, KeyDigest, MonoMillis, NanoUsd, RequestId, Tokens, UnixMillis};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::Outcome;

fn record(number: u128) -> SpendRecord {
    SpendRecord {
        request: RequestId(number),
        key: Some(KeyDigest::of("sk-test")),
        model: "chat".to_owned(),
        upstream_model: "llama".to_owned(),
        started: UnixMillis(1),
        ended: UnixMillis(2),
        prompt: Tokens(3),
        completion: Tokens(4),
        cost: NanoUsd(5),
        outcome: Outcome::Success,
        call_id: number.to_string(),
        ..SpendRecord::default()
    }
}

fn open(dir: &TempDir, epoch: u64) -> (Journal, Vec<OlderEpoch>) {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let clock = Clock::new(|| UnixMillis(1), || MonoMillis(1));
    let (dir, bounds) = (dir.path().to_owned(), Bounds::default());
    let config = Config { dir, bounds, clock, tasks, stop };
    Journal::open(config, Epoch(epoch)).expect("opens")
}

fn numbers(journal: &Journal, epoch: u64, after: u64, max: usize) -> Vec<u64> {
    let read = journal.read_after(Epoch(epoch), after, max).expect("reads");
    for (number, spend) in &read {
        assert_eq!(spend.request, RequestId(u128::from(*number)), "a record under its own number");
    }
    read.into_iter().map(|(number, _)| number).collect()
}

#[tokio::test]
async fn a_later_life_reads_what_an_earlier_one_wrote() {
    let dir = TempDir::new().expect("a folder");
    let (first, older) = open(&dir, 1);
    assert_eq!(older, []);
    for number in 1..=5 {
        assert_eq!(first.append(&record(number)).expect("appends"), number as u64);
    }
    drop(first);
    let (second, older) = open(&dir, 2);
    assert_eq!(older, [OlderEpoch { epoch: Epoch(1), last: 5 }]);
    assert_eq!(second.append(&record(1)).expect("appends"), 1, "numbers begin anew");
    assert_eq!(numbers(&second, 1, 0, 3), [1, 2, 3]);
    assert_eq!(numbers(&second, 1, 3, 9), [4, 5], "reads on where it ended");
    assert_eq!(numbers(&second, 1, 1, 2), [2, 3], "reads from anywhere");
    assert_eq!(numbers(&second, 2, 0, 9), [1]);
}

#[tokio::test]
async fn what_is_settled_goes_when_it_is_too_old_or_too_much_and_nothing_else() {
    let day = Duration::from_secs(24 * 60 * 60);
    let dir = TempDir::new().expect("a folder");
    let now = UnixMillis(100 * 24 * 60 * 60 * 1000);
    for (epoch, age) in [(1, 40), (2, 20), (3, 10)] {
        let (journal, _) = open(&dir, epoch);
        let then = UnixMillis(now.0 - age * 24 * 60 * 60 * 1000);
        for number in 1..=5 {
            let record = SpendRecord { started: then, ended: then, ..record(number) };
            journal.append(&record).expect("appends");
        }
    }
    let (journal, older) = open(&dir, 4);
    journal.append(&SpendRecord { started: now, ended: now, ..record(1) }).expect("appends");
    let lives = || journal.segments().iter().map(|(epoch, ..)| epoch.0).collect::<Vec<_>>();
    assert_eq!(older.len(), 3);
    journal.keep(Bounds { age: Some(day), bytes: 0 });
    journal.sweep(now);
    assert_eq!(lives(), [1, 2, 3, 4], "nothing is settled");
    journal.settled(Epoch(1), 4);
    journal.sweep(now);
    assert_eq!(lives(), [1, 2, 3, 4], "a segment with an unsettled record stays");
    journal.settled(Epoch(1), 5);
    journal.settled(Epoch(2), 5);
    journal.settled(Epoch(3), 5);
    journal.settled(Epoch(4), 1);
    journal.keep(Bounds::default());
    journal.sweep(now);
    assert_eq!(lives(), [2, 3, 4], "one is older than 30 days");
    let left = journal.segments().iter().map(|(_, _, bytes)| bytes).sum::<u64>();
    journal.keep(Bounds { age: None, bytes: left - 1 });
    journal.sweep(now);
    assert_eq!(lives(), [3, 4], "the oldest is too much");
    assert!(numbers(&journal, 2, 0, 9).is_empty());
    journal.keep(Bounds { age: Some(Duration::ZERO), bytes: 0 });
    journal.sweep(UnixMillis(now.0 + 1));
    assert_eq!(lives(), [4], "what is being written stays");
    journal.sweep(UnixMillis(now.0 + ROLL_AFTER + 1));
    assert_eq!(journal.segments().iter().map(|one| one.1).collect::<Vec<_>>(), [2], "a day later");
    assert_eq!(journal.append(&record(2)).expect("appends"), 2, "numbers go on");
    let files = fs::read_dir(dir.path()).expect("reads").count();
    assert_eq!(files, 1, "nothing of them is left");
}

/// With an index a start reads no records: it must not believe an index of another file.
#[tokio::test]
async fn an_index_is_believed_only_of_the_file_that_it_was_made_of() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=600 {
        journal.append(&record(number)).expect("appends");
    }
    drop(journal);
    let (journal, _) = open(&dir, 2);
    journal.sync().expect("syncs");
    let path = Segment::new((Epoch(1), 1)).path(dir.path());
    let index = path.with_extension("idx");
    assert!(index.exists());
    let whole = fs::read(&path).expect("reads");
    assert_eq!(open(&dir, 3).1[0].last, 600, "by its index");
    fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    assert_eq!(open(&dir, 4).1[0].last, 300, "the index is another file's");
    fs::write(&path, &whole).expect("writes");
    let mut damaged = fs::read(&index).expect("reads");
    damaged[30] ^= 1;
    fs::write(&index, damaged).expect("writes");
    assert_eq!(open(&dir, 5).1[0].last, 600, "the index is damaged");
}

#[tokio::test]
async fn frames_are_whole_from_wherever_they_are_asked() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=100 {
        journal.append(&record(number)).expect("appends");
    }
    let (name, mut copied) = ((Epoch(1), 1), Vec::new());
    loop {
        // Less than one frame, and a few.
        let max = if copied.is_empty() { 10 } else { 1_000 };
        let frames = journal.frames(name, copied.len() as u64, max).expect("reads");
        if frames.is_empty() {
            break;
        }
        assert!(frames.len() <= 1_000);
        copied.extend(frames);
    }
    let path = Segment::new(name).path(dir.path());
    assert_eq!(copied, fs::read(path).expect("reads"));
    assert!(journal.frames((Epoch(7), 1), 0, 10).is_err(), "no such segment");
}

#[tokio::test]
async fn a_torn_tail_costs_only_the_torn_record() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=3 {
        journal.append(&record(number)).expect("appends");
    }
    let path = Segment::new((Epoch(1), 1)).path(dir.path());
    let whole = fs::read(&path).expect("reads");
    let one = whole.len() / 3;
    for (epoch, cut) in (2..).zip([1, one / 2, one - 1, one]) {
        fs::write(&path, &whole[..whole.len() - cut]).expect("writes");
        let (_, older) = open(&dir, epoch);
        assert_eq!(older[0].last, 2, "cut by {cut}");
    }
    let mut flipped = whole.clone();
    flipped[one + frame::FRAME_HEAD + 4] ^= 1;
    fs::write(&path, &flipped).expect("writes");
    assert_eq!(open(&dir, 9).1[0].last, 1, "damage ends what is believed");
    let mut zeros = whole.clone();
    zeros.extend([0; 64]);
    fs::write(&path, &zeros).expect("writes");
    assert_eq!(open(&dir, 10).1[0].last, 3, "allocated, never written");
}

#[tokio::test]
async fn a_long_segment_is_read_in_pieces() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=3_000 {
        journal.append(&record(number)).expect("appends");
    }
    let mut after = 0;
    while let Some(last) = numbers(&journal, 1, after, 700).last() {
        assert!(*last > after);
        after = *last;
    }
    assert_eq!(after, 3_000);
    assert_eq!(numbers(&journal, 1, 2_500, 3), [2_501, 2_502, 2_503], "without the cursor's help");
}
