//! A journal at its border: lives, torn tails, settling, reading on from anywhere.

use dunlin_types::{KeyDigest, NanoUsd, RequestId, Tokens, UnixMillis};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{Course, Origin, Outcome};

fn record(number: u128) -> SpendRecord {
    SpendRecord {
        request: RequestId(number),
        key: Some(KeyDigest::of("sk-test")),
        model: "chat".to_owned(),
        deployment: None,
        upstream_model: "llama".to_owned(),
        started: UnixMillis(1),
        ended: UnixMillis(2),
        prompt: Tokens(3),
        cached: Tokens(0),
        completion: Tokens(4),
        cost: NanoUsd(5),
        outcome: Outcome::Success,
        stream: false,
        estimated: false,
        call_id: number.to_string(),
        charged: Vec::new(),
        origin: Origin::default(),
        course: Course::default(),
    }
}

fn open(dir: &TempDir, epoch: u64) -> (Journal, Vec<OlderEpoch>) {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    Journal::open(Config { dir: dir.path().to_owned(), tasks, stop }, Epoch(epoch)).expect("opens")
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
    second.settled(Epoch(1), 4);
    assert_eq!(numbers(&second, 1, 4, 9), [5], "a segment with an unsettled record stays");
    second.settled(Epoch(1), 5);
    assert!(numbers(&second, 1, 0, 9).is_empty());
    second.settled(Epoch(2), 1);
    assert_eq!(second.append(&record(2)).expect("the open segment stays"), 2);
}

#[tokio::test]
async fn a_torn_tail_costs_only_the_torn_record() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=3 {
        journal.append(&record(number)).expect("appends");
    }
    let path = Segment { epoch: Epoch(1), first: 1, records: 0 }.path(dir.path());
    let whole = fs::read(&path).expect("reads");
    let one = whole.len() / 3;
    for (epoch, cut) in (2..).zip([1, one / 2, one - 1, one]) {
        fs::write(&path, &whole[..whole.len() - cut]).expect("writes");
        let (_, older) = open(&dir, epoch);
        assert_eq!(older[0].last, 2, "cut by {cut}");
    }
    let mut flipped = whole.clone();
    flipped[one + record::FRAME_HEAD + 4] ^= 1;
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
