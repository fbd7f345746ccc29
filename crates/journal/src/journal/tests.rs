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

fn append(journal: &Journal, record: SpendRecord) -> u64 {
    journal.append(&Arc::new(record)).expect("appends")
}

fn open(dir: &TempDir, epoch: u64) -> (Journal, Vec<OlderEpoch>) {
    Journal::open(config(dir), Epoch(epoch)).expect("opens")
}

fn config(dir: &TempDir) -> Config {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let clock = Clock::new(|| UnixMillis(1), || MonoMillis(1));
    Config { dir: dir.path().to_owned(), bounds: Bounds::default(), clock, tasks, stop }
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
        assert_eq!(append(&first, record(number)), number as u64);
    }
    drop(first);
    let (second, older) = open(&dir, 2);
    assert_eq!(older, [OlderEpoch { epoch: Epoch(1), last: 5 }]);
    assert_eq!(append(&second, record(1)), 1, "numbers begin anew");
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
            append(&journal, record);
        }
    }
    let (journal, older) = open(&dir, 4);
    append(&journal, SpendRecord { started: now, ended: now, ..record(1) });
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
    assert_eq!(append(&journal, record(2)), 2, "numbers go on");
    let files = fs::read_dir(dir.path()).expect("reads").count();
    assert_eq!(files, 1, "nothing of them is left");
}

/// With an index a start reads no records: it must not believe an index of another file.
#[tokio::test]
async fn an_index_is_believed_only_of_the_file_that_it_was_made_of() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=600 {
        append(&journal, record(number));
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
    assert_eq!(open(&dir, 4).1[0].last, 301, "the index is another file's");
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
        append(&journal, record(number));
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
        append(&journal, record(number));
    }
    let path = Segment::new((Epoch(1), 1)).path(dir.path());
    let whole = fs::read(&path).expect("reads");
    let head = frame::HEAD.len();
    let one = (whole.len() - head) / 3;
    for (epoch, cut) in (2..).zip([1, one / 2, one - 1, one]) {
        fs::write(&path, &whole[..whole.len() - cut]).expect("writes");
        let (_, older) = open(&dir, epoch);
        assert_eq!(older[0].last, 2, "cut by {cut}");
    }
    let mut flipped = whole.clone();
    flipped[head + one + frame::FRAME_HEAD + 4] ^= 1;
    fs::write(&path, &flipped).expect("writes");
    assert_eq!(open(&dir, 9).1[0].last, 1, "damage ends what is believed");
    let mut zeros = whole.clone();
    zeros.extend([0; 64]);
    fs::write(&path, &zeros).expect("writes");
    assert_eq!(open(&dir, 10).1[0].last, 3, "allocated, never written");
    // Of the first write of all only a part has reached the disk.
    for (epoch, torn) in (11..).zip([&whole[..head - 1], &whole[..head + 5], &[0; 64]]) {
        fs::write(&path, torn).expect("writes");
        assert_eq!(open(&dir, epoch).1, [], "{torn:?}");
    }
}

/// What another version wrote, such as JSON, may not be settled yet: it is named and stays.
#[tokio::test]
async fn a_segment_of_another_form_is_named_and_left_alone() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    append(&journal, record(1));
    let path = Segment::new((Epoch(1), 1)).path(dir.path());
    let newer = [b"dunlinj9", &fs::read(&path).expect("reads")[8..]].concat();
    let json = br#"{"request":"00000000000000000000000000000007","model":"chat"}"#;
    let length = u32::try_from(json.len()).expect("short");
    let older = [&length.to_le_bytes()[..], &crc32fast::hash(json).to_le_bytes(), json].concat();
    for other in [newer, older] {
        fs::write(&path, &other).expect("writes");
        let refused = Journal::open(config(&dir), Epoch(2)).err().expect("refused");
        assert!(matches!(&refused, Error::Form { .. }), "{refused:?}");
        assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
        assert_eq!(fs::read(&path).expect("reads"), other);
    }
}

#[tokio::test]
async fn a_long_segment_is_read_in_pieces() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(&dir, 1);
    for number in 1..=3_000 {
        append(&journal, record(number));
    }
    let mut after = 0;
    while let Some(last) = numbers(&journal, 1, after, 700).last() {
        assert!(*last > after);
        after = *last;
    }
    assert_eq!(after, 3_000);
    assert_eq!(numbers(&journal, 1, 2_500, 3), [2_501, 2_502, 2_503], "without the cursor's help");
}
