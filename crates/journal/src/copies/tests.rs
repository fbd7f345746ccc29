//! Copies at their border: what is added is what was there, whatever is in the way.

use tempfile::TempDir;

use super::*;
use crate::{Query, SpendRecord, search};

const ORIGIN: NodeId = NodeId(7);
const NAME: Name = (Epoch(1), 1);

fn frames(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let record = |number: u64| SpendRecord {
        call_id: number.to_string(),
        started: UnixMillis(number),
        ended: UnixMillis(number),
        ..SpendRecord::default()
    };
    numbers.flat_map(|number| frame::encode(&record(number)).expect("short")).collect()
}

/// The first piece of a segment.
fn first(numbers: std::ops::Range<u64>) -> Vec<u8> {
    [&frame::HEAD[..], &frames(numbers)].concat()
}

fn ids(copies: &Copies) -> Vec<String> {
    let query = Query { limit: 1_000, ascending: true, ..Query::default() };
    let found = search(&copies.shelves(&BTreeSet::new()), &query, &|| false).expect("reads");
    assert!(found.rows.iter().all(|row| row.at.node == ORIGIN));
    found.rows.into_iter().map(|row| row.record.call_id).collect()
}

fn expected(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[test]
fn pieces_make_a_copy_that_a_restart_finds_again() {
    let dir = TempDir::new().expect("a folder");
    let open = || Copies::open(dir.path().to_owned()).expect("opens");
    let copies = open();
    let (one, two) = (first(1..11), frames(11..301));
    let held = copies.add(ORIGIN, NAME, 0, &one).expect("taken");
    assert_eq!(held, one.len() as u64);
    copies.add(ORIGIN, NAME, held, &two).expect("taken");
    assert_eq!(ids(&copies), expected(1..301));
    assert_eq!(copies.runs()[&ORIGIN], [(Epoch(1), 1, 300)]);
    let all = (one.len() + two.len()) as u64;
    assert_eq!(open().held(ORIGIN).segments, [(Epoch(1), 1, all)]);
    // A crash in the midst of a write leaves a torn end: the next piece begins before it.
    let path = Segment::new(NAME).path(&dir.path().join(ORIGIN.to_string()));
    let mut torn = fs::read(&path).expect("reads");
    torn.extend(&frames(301..302)[..20]);
    fs::write(&path, torn).expect("writes");
    let copies = open();
    copies.add(ORIGIN, NAME, all, &frames(301..311)).expect("taken");
    assert_eq!(ids(&copies), expected(1..311));
    assert_eq!(ids(&open()), expected(1..311));
    assert!(copies.shelves(&BTreeSet::from([ORIGIN])).is_empty());
}

#[test]
fn a_piece_that_does_not_fit_or_is_damaged_changes_nothing() {
    let dir = TempDir::new().expect("a folder");
    let copies = Copies::open(dir.path().to_owned()).expect("opens");
    let one = first(1..11);
    let held = copies.add(ORIGIN, NAME, 0, &one).expect("taken");
    let next = frames(11..21);
    for offset in [0, held - 1, held + 1] {
        let refused = copies.add(ORIGIN, NAME, offset, &next).expect_err("elsewhere");
        assert!(matches!(refused, NotTaken::Elsewhere { .. }), "{offset}");
    }
    let mut flipped = next.clone();
    flipped[next.len() - 3] ^= 1;
    let other = copies.add(ORIGIN, (Epoch(1), 99), 0, b"dunlinj1 and frames").expect_err("unread");
    assert!(matches!(other, NotTaken::Form));
    for damaged in [&flipped[..], &next[..next.len() - 1]] {
        let refused = copies.add(ORIGIN, NAME, held, damaged).expect_err("damaged");
        assert!(matches!(refused, NotTaken::Damaged));
    }
    assert_eq!(ids(&copies), expected(1..11));
}

#[test]
fn what_goes_is_not_wanted_again() {
    let dir = TempDir::new().expect("a folder");
    let copies = Copies::open(dir.path().to_owned()).expect("opens");
    let size = first(1..11).len() as u64;
    for number in [1, 11, 21] {
        let name = (Epoch(1), number);
        copies.add(ORIGIN, name, 0, &first(number..number + 10)).expect("taken");
    }
    // Later numbers have more digits.
    let bytes = size + 40;
    copies.sweep(Bounds { age: None, bytes }, UnixMillis(100));
    assert_eq!(ids(&copies), expected(11..31), "twice as much as of one's own");
    assert_eq!(copies.held(ORIGIN).gone, Some((Epoch(1), 1)));
    let age = Some(std::time::Duration::from_millis(75));
    copies.sweep(Bounds { age, bytes }, UnixMillis(100));
    assert_eq!(ids(&copies), expected(21..31));
    assert_eq!(copies.held(ORIGIN).gone, Some((Epoch(1), 11)));
    let files = fs::read_dir(dir.path().join(ORIGIN.to_string())).expect("reads");
    assert_eq!(files.count(), 1);
}

#[test]
fn who_looks_does_not_wait_for_a_slow_disk() {
    let dir = TempDir::new().expect("a folder");
    let copies = Copies::open(dir.path().to_owned()).expect("opens");
    copies.add(NodeId(8), NAME, 0, &first(1..11)).expect("taken");
    // A file that cannot be opened for as long as nobody reads it.
    let folder = dir.path().join(ORIGIN.to_string());
    fs::create_dir_all(&folder).expect("a folder");
    let slow = Segment::new(NAME).path(&folder);
    let made = std::process::Command::new("mkfifo").arg(&slow).status().expect("runs");
    assert!(made.success());
    let writing = copies.clone();
    let adding = std::thread::spawn(move || writing.add(ORIGIN, NAME, 0, &first(1..11)).is_err());
    let (told, hears) = std::sync::mpsc::channel();
    let looking = copies.clone();
    std::thread::spawn(move || {
        // The other thread has begun to write by then, or will not have a lock either.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let nodes = looking.nodes().len();
        let held = looking.held(NodeId(8)).segments.len();
        told.send((nodes, held)).ok();
    });
    let looked = hears.recv_timeout(std::time::Duration::from_secs(30));
    assert!(!adding.is_finished(), "it is still writing");
    let _reader = fs::File::open(&slow).expect("opens");
    assert!(adding.join().expect("ends"), "what is no file is cut to no length");
    assert_eq!(looked, Ok((1, 1)));
}
