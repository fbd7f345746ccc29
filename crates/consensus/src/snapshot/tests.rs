//! A snapshot is taken whole, of this cluster and undamaged, or not at all.

use dunlin_types::{MonoMillis, UnixMillis};
use openraft::testing::log_id;

use super::*;
use crate::raft::Types;

fn core(index: u64) -> Core {
    let mut state = State::new();
    state.skip(index);
    Core { state, last: Some(log_id::<Types>(1, 7, index)), membership: Membership::default() }
}

fn open(dir: &tempfile::TempDir, cluster: u128) -> Result<Snapshots, Error> {
    let still = Clock::new(|| UnixMillis(1), || MonoMillis(1));
    Snapshots::open(dir.path().join("snapshot"), ClusterId(cluster), still)
}

#[test]
fn what_is_kept_comes_back_and_an_older_one_does_not_replace_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = open(&dir, 9).expect("made");
    assert_eq!(snapshots.read().expect("read"), None);
    for index in [20, 10] {
        let core = core(index);
        let file = snapshots.encode(&core).expect("encoded");
        snapshots.keep(core.last, &file).expect("kept");
    }
    let again = open(&dir, 9).expect("opened");
    assert_eq!(again.last(), core(20).last);
    let file = again.read().expect("read").expect("there");
    assert_eq!(again.bytes(), file.len() as u64);
    let found = again.parse(&file).expect("whole");
    assert_eq!((found.last, found.state.applied()), (core(20).last, 20));
}

#[test]
fn every_damage_and_every_stranger_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = open(&dir, 9).expect("made");
    let file = snapshots.encode(&core(20)).expect("encoded");
    for at in 0..file.len() {
        let mut damaged = file.to_vec();
        damaged[at] ^= 0x10;
        assert!(snapshots.parse(&damaged).is_err(), "byte {at}");
        assert!(snapshots.parse(&file[..at]).is_err(), "cut at {at}");
    }
    let other = open(&tempfile::tempdir().expect("a directory"), 8).expect("made");
    let refusal = other.parse(&file).err().expect("refused").to_string();
    assert!(refusal.contains("it is of cluster"), "{refusal}");

    snapshots.keep(core(20).last, &file[..file.len() - 1]).expect("written");
    let refusal = open(&dir, 9).err().expect("refused").to_string();
    assert!(refusal.contains("its checksum does not match"), "{refusal}");
}

/// A node that was set back to an older version must not be told to throw its state away.
#[test]
fn a_snapshot_of_another_version_is_refused_and_stays() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 3] = [
        ("it is of format 9", |file| file[11] = 9),
        ("the snapshot has format 9", |file| replace(file, b"\"format\":2", b"\"format\":9")),
        ("unknown field `number3d`", |file| replace(file, b"\"numbered\"", b"\"number3d\"")),
    ];
    for (expected, change) in changes {
        let dir = tempfile::tempdir().expect("a directory");
        let snapshots = open(&dir, 9).expect("made");
        let mut file = snapshots.encode(&core(20)).expect("encoded").to_vec();
        change(&mut file);
        let crc = crc32fast::hash(&file[CHECKED_FROM..]).to_be_bytes();
        file[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&crc);
        let why = snapshots.parse(&file).err().expect("refused");
        let told = snapshots.unread(why).to_string();
        assert!(told.contains(expected), "{told}");
        assert!(told.contains("Nothing is lost") && !told.contains("move the data"), "{told}");
    }
}

fn replace(file: &mut [u8], from: &[u8], to: &[u8]) {
    let at = file.windows(from.len()).position(|part| part == from).expect("it is there");
    file[at..at + to.len()].copy_from_slice(to);
}
