//! A data directory is one node, in one place, with all it ever made durable.

use std::fs;
use std::process::Command;

use super::*;

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn refusal(dir: &Path) -> String {
    Identity::open(dir).expect_err("refused").to_string()
}

#[test]
fn the_id_stays_and_the_epoch_counts_up() {
    let dir = temporary();
    let first = Identity::open(dir.path()).expect("a new node");
    let node = first.node;
    assert_eq!(first.epoch, Epoch(1));
    drop(first);
    let second = Identity::open(dir.path()).expect("the same node");
    assert_eq!((second.node, second.epoch), (node, Epoch(2)));
}

#[test]
fn one_process_at_a_time() {
    let dir = temporary();
    let _held = Identity::open(dir.path()).expect("a new node");
    assert!(refusal(dir.path()).contains("in use by another"));
}

#[test]
fn a_copied_directory_is_refused_until_the_copy_is_declared_the_original() {
    let dir = temporary();
    let original = dir.path().join("a");
    let copy = dir.path().join("b");
    let node = Identity::open(&original).expect("a new node").node;
    let status = Command::new("cp").arg("-a").arg(&original).arg(&copy).status();
    assert!(status.expect("cp runs").success());
    assert!(refusal(&copy).contains(&format!("a copy of the data directory of node {node}")));
    fs::remove_file(copy.join(LOCK)).expect("the way out");
    assert_eq!(Identity::open(&copy).expect("adopted").node, node);
    Identity::open(&original).expect("the original is untouched");
}

#[test]
fn a_lost_log_or_certificate_is_refused() {
    let dir = temporary();
    let mut identity = Identity::open(dir.path()).expect("a new node");
    identity
        .amend(|c| {
            c.stored = true;
            c.standing.cluster = Some(ClusterId(7));
        })
        .expect("written");
    drop(identity);
    assert!(refusal(dir.path()).contains("the whole log is gone"));

    fs::create_dir(dir.path().join(LOG)).expect("a log");
    fs::remove_file(dir.path().join("identity.json")).expect("lost");
    assert!(refusal(dir.path()).contains("no birth certificate"));
}

#[test]
fn a_flipped_bit_in_the_certificate_is_noticed() {
    let dir = temporary();
    drop(Identity::open(dir.path()).expect("a new node"));
    let path = dir.path().join("identity.json");
    let text = fs::read_to_string(&path).expect("text").replace("\"epoch\":1", "\"epoch\":0");
    fs::write(&path, text).expect("written");
    assert!(refusal(dir.path()).contains("checksum does not match"));
}
