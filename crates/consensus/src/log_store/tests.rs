//! What the log promises: openraft's own suite, no acknowledgement before its sync, nothing
//! acknowledged lost by a power cut, and nothing lost or damaged taken for good.

mod durability;
mod power_cut;
mod suite;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dunlin_state::{Command, CommandId, Entry};
use dunlin_types::{Epoch, UnixMillis};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::storage::RaftLogStorageExt;

use super::*;
use crate::raft::Stamped;

const OWNER: Owner = Owner { node: dunlin_types::NodeId(7), cluster: dunlin_types::ClusterId(9) };

fn log_id(term: u64, index: u64) -> LogId {
    openraft::testing::log_id::<Types>(term, 7, index)
}

/// An entry with about `bytes` of content.
fn entry(index: u64, bytes: usize) -> LogEntry {
    let id = CommandId { node: OWNER.node, epoch: Epoch(1), seq: index };
    let command = Command::SetAddress { node: OWNER.node, address: "x".repeat(bytes) };
    let entry = Arc::new(Entry { id, actor: None, command });
    LogEntry::new(log_id(1, index), EntryPayload::Normal(Stamped { at: UnixMillis(index), entry }))
}

/// A log in a directory, whose writer can be waited for.
struct Bench {
    dir: PathBuf,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Bench {
    fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    fn open_as(&self, opening: Opening) -> Result<LogStore, Error> {
        // A thread of sled's own may let go of the directory a moment after the writer has ended.
        let db = std::fs::File::open(self.dir.join("db"));
        let is_held = || db.as_ref().is_ok_and(|db| db.try_lock().is_err());
        let looks = (0..2_000).take_while(|_| is_held());
        looks.for_each(|_| std::thread::sleep(Duration::from_millis(5)));
        drop(db);
        LogStore::open(&self.dir, opening, &self.tasks, self.stop.clone())
    }

    fn open(&self) -> LogStore {
        self.open_as(Opening::new(OWNER, false)).expect("opened")
    }

    /// Ends the writer, so that the directory can be opened again.
    async fn close(&self, store: LogStore) {
        drop(store);
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    fn refusal(&self, opening: Opening) -> String {
        self.open_as(opening).err().expect("refused").to_string()
    }
}

fn with_sync(sync_data: SyncData) -> Opening {
    Opening { sync_data, ..Opening::new(OWNER, false) }
}

async fn fill(store: &mut LogStore, range: std::ops::Range<u64>, bytes: usize) {
    store.blocking_append(range.map(|index| entry(index, bytes))).await.expect("appended");
}

async fn indexes(store: &LogStore, range: std::ops::Range<u64>) -> Vec<u64> {
    let entries = store.reader().try_get_log_entries(range).await.expect("readable");
    entries.iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn a_log_comes_back_as_it_was_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let mut store = bench.open();
    fill(&mut store, 0..40, 100).await;
    // Longer than a piece, and than the file sled would move it to if it were in one.
    fill(&mut store, 40..44, 300_000).await;
    store.save_committed(Some(log_id(1, 30))).await.expect("saved");
    store.truncate_after(Some(log_id(1, 41))).await.expect("truncated");
    fill(&mut store, 42..50, 10).await;
    store.purge(log_id(1, 9)).await.expect("purged");
    store.save_vote(&Vote::new_committed(3, 7)).await.expect("saved");
    bench.close(store).await;

    let mut store = bench.open_as(Opening::new(OWNER, true)).expect("opened");
    assert_eq!(indexes(&store, 0..100).await, Vec::from_iter(10..50));
    let state = store.get_log_state().await.expect("a state");
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (Some(log_id(1, 9)), Some(log_id(1, 49)))
    );
    assert_eq!(store.read_committed().await.expect("read"), Some(log_id(1, 30)));
    assert_eq!(store.reader().read_vote().await.expect("read"), Some(Vote::new_committed(3, 7)));
    let long = store.reader().try_get_log_entries(40..41).await.expect("read").remove(0);
    assert_eq!(long.to_string(), entry(40, 300_000).to_string());
    let blobs = std::fs::read_dir(bench.dir.join("blobs")).expect("sled's directory");
    assert_eq!(blobs.count(), 0, "sled keeps values in files it never syncs");
    bench.close(store).await;
}

#[tokio::test]
async fn what_has_left_the_memory_is_read_from_the_disk_in_bounded_messages() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let mut store = bench.open();
    for index in 0..24 {
        fill(&mut store, index..index + 1, 1_000_000).await;
    }
    assert!(store.reader().tail().recent_from() > 5, "the memory is bounded");
    assert_eq!(indexes(&store, 0..24).await, Vec::from_iter(0..24));
    let message = store.reader().limited_get_log_entries(0, 24).await.expect("read");
    assert_eq!(message.len(), 4, "a message holds at most 4 MiB");
    assert_eq!(store.reader().index_before_last(2_500_000), Some(20));
    bench.close(store).await;
}

#[tokio::test]
async fn a_log_of_another_or_poorer_than_the_certificate_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let empty = || Opening::new(OWNER, true);
    assert!(bench.refusal(empty()).contains("the record of whose log this is"));

    let mut store = bench.open();
    fill(&mut store, 0..10, 10).await;
    bench.close(store).await;
    let other = Owner { node: dunlin_types::NodeId(8), ..OWNER };
    let foreign = bench.refusal(Opening::new(other, true));
    assert!(foreign.contains("belongs to node 0000000000000007"), "{foreign}");
    let store = bench.open();
    let check = |term, committed, snapshot_end| {
        let floor = Floor { term, committed };
        let checked = store.reader().check(&bench.dir, floor, snapshot_end);
        checked.map_err(|refusal| refusal.to_string())
    };
    let expect = |checked: Result<(), String>, words: &str| {
        let refusal = checked.expect_err("refused");
        assert!(refusal.contains(words), "{refusal}");
    };
    assert_eq!(check(0, 10, 0), Ok(()));
    assert_eq!(check(0, 11, 11), Ok(()), "what is in the snapshot is not lost");
    expect(check(0, 11, 0), "ends before entry 10, but 11 were committed");
    expect(check(2, 0, 0), "it had voted in term 2");
    bench.close(store).await;
}

#[tokio::test]
async fn the_certificate_vouches_only_for_what_is_durable() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let mut store = bench.open();
    fill(&mut store, 0..10, 10).await;
    let reader = store.reader();
    store.save_committed(Some(log_id(1, 9))).await.expect("saved");
    assert_eq!(reader.floor().committed, 10);
    // Committed by others before this disk has it; then cut off and replaced.
    let sequence = reader.tail().append(vec![(entry(10, 10), 99), (entry(11, 10), 99)]);
    reader.tail().committed = Some(log_id(1, 11));
    assert_eq!(reader.floor().committed, 10);
    reader.tail().truncate_after(Some(log_id(1, 9)));
    reader.tail().append(vec![(entry(10, 10), 99)]);
    reader.tail().confirm(sequence);
    assert_eq!(reader.floor().committed, 10, "the first one was confirmed, the second was not");
    reader.tail().purge(log_id(1, 9));
    assert!(reader.check(&bench.dir, Floor::default(), 9).is_err(), "no snapshot replaces it");
    drop(reader);
    bench.close(store).await;
}

/// As [`damage_is_found_at_the_start`], but that nothing of it is damaged.
#[tokio::test]
async fn a_log_of_another_version_is_refused_and_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let mut store = bench.open();
    fill(&mut store, 0..4, 10).await;
    bench.close(store).await;
    let db = sled::open(&bench.dir).expect("sled opens");
    let value = db.get(record::key(3, 0)).expect("read").expect("there");
    let text = String::from_utf8(value[4..].to_vec()).expect("JSON");
    let later: serde_json::Value =
        serde_json::from_str(&text.replace("SetAddress", "SetAbode")).expect("JSON");
    db.insert(record::key(3, 0), record::seal(&later).expect("sealed")).expect("inserted");
    db.flush().expect("flushed");
    drop(db);
    let said = bench.refusal(Opening::new(OWNER, true));
    assert!(said.contains("entry 3") && said.contains("unknown variant `SetAbode`"), "{said}");
    assert!(said.contains("Nothing is lost") && !said.contains("joins as a new one"), "{said}");
}

#[tokio::test]
async fn damage_is_found_at_the_start() {
    type Damage = fn(&sled::Db);
    let cases: [(&str, Damage); 3] = [
        ("entry 4 is missing", |db| {
            db.remove(record::key(4, 0)).expect("removed");
        }),
        ("entry 3: its checksum does not match", |db| {
            let mut value = db.get(record::key(3, 0)).expect("read").expect("there").to_vec();
            let middle = value.len() / 2;
            value[middle] ^= 1;
            db.insert(record::key(3, 0), value).expect("inserted");
        }),
        ("entry 10: its checksum does not match", |db| {
            db.remove(record::key(10, 1)).expect("removed");
        }),
    ];
    for (expected, damage) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let bench = Bench::new(dir.path().join("raft"));
        let mut store = bench.open();
        fill(&mut store, 0..10, 10).await;
        fill(&mut store, 10..11, 9000).await;
        bench.close(store).await;
        let db = sled::open(&bench.dir).expect("sled opens");
        damage(&db);
        db.flush().expect("flushed");
        drop(db);
        let said = bench.refusal(Opening::new(OWNER, true));
        assert!(said.contains(expected) && said.contains("joins as a new one"), "{said}");
    }
}
