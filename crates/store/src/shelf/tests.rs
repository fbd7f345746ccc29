//! What one node holds: over restarts, damage, the end of its time and the end of its room.

use tempfile::TempDir;

use super::*;

const ROOMY: Bounds = Bounds { segment_bytes: 1000, bytes: 100_000, bodies: 1000 };
const NOW: UnixMillis = UnixMillis(1000);
const LATER: UnixMillis = UnixMillis(2000);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &TempDir, bounds: Bounds) -> Shelf {
    Shelf::open(folder.path().join("store"), bounds, NOW).expect("it opens")
}

fn entry(id: u128, until: UnixMillis) -> Entry {
    Entry { id: RequestId(id), label: None, made: NOW, until }
}

fn found(shelf: &Shelf, id: u128) -> Found {
    shelf.get(RequestId(id), NOW).expect("it can be read")
}

fn body(text: &'static str) -> Found {
    Found::Body(Bytes::from_static(text.as_bytes()))
}

fn segments(folder: &TempDir) -> Vec<PathBuf> {
    let dir = fs::read_dir(folder.path().join("store")).expect("a folder");
    let mut paths: Vec<_> = dir.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn what_was_put_is_there_after_a_restart_until_its_time_is_over() {
    let folder = folder();
    for life in 0..2 {
        let shelf = open(&folder, ROOMY);
        if life == 0 {
            shelf.put(entry(1, LATER), b"one").expect("room");
            shelf.put(entry(2, LATER), b"two").expect("room");
            shelf.put(entry(2, LATER), b"more").expect("room");
            shelf.put(entry(3, LATER), b"").expect("room");
            shelf.put(entry(4, LATER), b"deleted").expect("room");
            shelf.delete(RequestId(4), LATER).expect("room");
            shelf.put(entry(4, LATER), b"a late copy").expect("room");
            shelf.sync().expect("a disk");
        }
        assert_eq!(found(&shelf, 1), body("one"), "life {life}");
        assert_eq!(found(&shelf, 2), body("more"), "the last one holds");
        assert_eq!(found(&shelf, 3), body(""));
        assert_eq!(found(&shelf, 4), Found::Deleted, "nothing brings it back");
        assert_eq!(found(&shelf, 5), Found::Missing);
        assert_eq!(shelf.get(RequestId(1), LATER).expect("readable"), Found::Missing);
    }
    let shelf = open(&folder, ROOMY);
    shelf.expire(LATER);
    assert_eq!(segments(&folder), Vec::<PathBuf>::new(), "what is over takes no room");
    shelf.put(entry(6, UnixMillis(3000)), b"six").expect("room");
    assert_eq!(found(&shelf, 6), body("six"), "and there is a segment for what comes");
}

#[test]
fn a_torn_or_damaged_tail_costs_no_other_body() {
    for damage in [-1_i64, -4, -40, 0] {
        let folder = folder();
        let shelf = open(&folder, ROOMY);
        shelf.put(entry(1, LATER), b"one").expect("room");
        shelf.put(entry(2, LATER), b"two").expect("room");
        drop(shelf);
        let path = segments(&folder).pop().expect("a segment");
        let mut bytes = fs::read(&path).expect("readable");
        if damage == 0 {
            *bytes.last_mut().expect("bytes") ^= 1;
        } else {
            let length = i64::try_from(bytes.len()).expect("short") + damage;
            bytes.truncate(usize::try_from(length).expect("positive"));
        }
        fs::write(&path, bytes).expect("writable");
        let shelf = open(&folder, ROOMY);
        assert_eq!(found(&shelf, 1), body("one"), "{damage}");
        match damage {
            0 => assert!(shelf.get(RequestId(2), NOW).is_err(), "damage is told"),
            _ => assert_eq!(found(&shelf, 2), Found::Missing, "{damage}"),
        }
        shelf.put(entry(3, LATER), b"three").expect("room");
        assert_eq!(found(&open(&folder, ROOMY), 3), body("three"), "{damage}");
    }
}

#[test]
fn beyond_the_bounds_the_oldest_go_first() {
    let long = [b'x'; 600];
    for bounds in [Bounds { bytes: 3000, ..ROOMY }, Bounds { bodies: 4, ..ROOMY }] {
        let folder = folder();
        let shelf = open(&folder, bounds);
        for id in 1..=20 {
            shelf.put(entry(id, LATER), &long).expect("room");
        }
        assert_eq!(found(&shelf, 1), Found::Missing);
        assert_eq!(found(&shelf, 20), Found::Body(Bytes::copy_from_slice(&long)));
        assert!(segments(&folder).len() <= 3, "{bounds:?}");
        let again = open(&folder, bounds);
        assert_eq!(found(&again, 20), Found::Body(Bytes::copy_from_slice(&long)));
    }
}

#[test]
fn notes_are_found_by_their_label_until_they_are_deleted() {
    let folder = folder();
    let note = |id: u128, label: u128, made: u64| Entry {
        label: Some(Label(label)),
        made: UnixMillis(made),
        ..entry(id, LATER)
    };
    let ids = |shelf: &Shelf, label: u128, most: usize| -> Vec<u128> {
        let found = shelf.labelled(Label(label), NOW, most);
        found.into_iter().map(|entry| entry.id.0).collect()
    };
    for life in 0..2 {
        let shelf = open(&folder, ROOMY);
        if life == 0 {
            for (id, label, made) in [(1, 7, 30), (2, 7, 10), (3, 8, 20), (4, 7, 20), (2, 7, 40)] {
                shelf.put(note(id, label, made), b"{}").expect("room");
            }
            shelf.delete(RequestId(4), LATER).expect("room");
        }
        assert_eq!(ids(&shelf, 7, 9), [2, 1], "the newest first, life {life}");
        assert_eq!((ids(&shelf, 7, 1), ids(&shelf, 8, 9)), (vec![2], vec![3]));
        assert_eq!(ids(&shelf, 9, 9), Vec::<u128>::new());
        assert!(shelf.labelled(Label(7), LATER, 9).is_empty(), "their time is over");
    }
    let shelf = open(&folder, Bounds { bodies: 3, segment_bytes: 1, ..ROOMY });
    shelf.put(note(9, 7, 50), b"{}").expect("room");
    shelf.put(note(10, 7, 60), b"{}").expect("room");
    assert_eq!(ids(&shelf, 7, 9), [10, 9], "who made room is not listed");
}
