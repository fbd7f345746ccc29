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
    let refusal = other.parse(&file).err().expect("refused");
    assert!(refusal.contains("it is of cluster"), "{refusal}");

    snapshots.keep(core(20).last, &file[..file.len() - 1]).expect("written");
    let refusal = open(&dir, 9).err().expect("refused").to_string();
    assert!(refusal.contains("its checksum does not match"), "{refusal}");
}
