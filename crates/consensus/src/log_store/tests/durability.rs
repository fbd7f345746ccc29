//! Syncs counted against acknowledgements, with a disk whose syncs are let through one by one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use openraft::type_config::TypeConfigExt;

use super::*;

/// A disk that announces each sync and waits for leave to do it.
struct Gate {
    announced: std_mpsc::Receiver<()>,
    leave: std_mpsc::Sender<io::Result<()>>,
    syncs: Arc<AtomicU64>,
}

fn gate() -> (Gate, SyncData) {
    let (announce, announced) = std_mpsc::channel();
    let (leave, left) = std_mpsc::channel();
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&syncs);
    let sync_data: SyncData = Box::new(move |file| {
        counted.fetch_add(1, Ordering::SeqCst);
        announce.send(()).map_err(io::Error::other)?;
        left.recv().map_err(io::Error::other)??;
        file.sync_data()
    });
    (Gate { announced, leave, syncs }, sync_data)
}

impl Gate {
    /// Waits until a sync begins.
    fn sync_begins(&self, which: &str) {
        let begun = self.announced.recv_timeout(Duration::from_secs(30));
        assert!(begun.is_ok(), "no sync: {which}");
    }
}

type Flushed = openraft::type_config::alias::OneshotReceiverOf<Types, Result<(), io::Error>>;

async fn append(store: &mut LogStore, index: u64) -> Flushed {
    let (flushed, when) = Types::oneshot();
    store.append([entry(index, 10)], IOFlushed::signal(flushed)).await.expect("queued");
    when
}

/// Opens a log on a gated disk; the sync of a new log's owner is let through.
fn gated(bench: &Bench) -> (Gate, LogStore) {
    let (gate, sync_data) = gate();
    gate.leave.send(Ok(())).expect("sent");
    let store = bench.open_as(with_sync(sync_data)).expect("opened");
    gate.sync_begins("the owner is synced");
    (gate, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_before_its_sync_and_waiting_entries_share_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let (gate, mut store) = gated(&bench);

    let mut first = append(&mut store, 0).await;
    gate.sync_begins("a sync begins");
    assert!(futures::poll!(&mut first).is_pending(), "not durable yet");
    assert_eq!(indexes(&store, 0..1).await, [0], "but readable");
    let mut waiting = Vec::new();
    for index in 1..=20 {
        waiting.push(append(&mut store, index).await);
    }
    gate.leave.send(Ok(())).expect("sent");
    first.await.expect("told").expect("durable");

    gate.sync_begins("one more sync begins");
    for flushed in &mut waiting {
        assert!(futures::poll!(flushed).is_pending(), "they wait for the second one");
    }
    gate.leave.send(Ok(())).expect("sent");
    for flushed in waiting {
        flushed.await.expect("told").expect("durable");
    }
    assert_eq!(gate.syncs.load(Ordering::SeqCst), 3, "owner, first, all others together");

    let vote = Vote::new(4, 7);
    {
        let mut voter = std::pin::pin!(store.save_vote(&vote));
        assert!(futures::poll!(voter.as_mut()).is_pending());
        gate.sync_begins("a vote is synced");
        assert!(futures::poll!(voter.as_mut()).is_pending(), "not before the sync");
        gate.leave.send(Ok(())).expect("sent");
        voter.await.expect("durable");
    }
    // The last sync, at the end.
    gate.leave.send(Ok(())).expect("sent");
    bench.close(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_is_reported_ends_the_node_and_is_not_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path().join("raft"));
    let (gate, mut store) = gated(&bench);
    let flushed = append(&mut store, 0).await;
    gate.sync_begins("a sync begins");
    let later = append(&mut store, 1).await;
    gate.leave.send(Err(io::Error::other("the disk is gone"))).expect("sent");
    let failure = flushed.await.expect("told").expect_err("not durable");
    assert!(failure.to_string().contains("the disk is gone"), "{failure}");
    bench.stop.cancelled().await;
    assert!(later.await.is_err(), "never acknowledged");
    bench.close(store).await;
    assert_eq!(gate.syncs.load(Ordering::SeqCst), 2, "the owner's and the failed one");
}
