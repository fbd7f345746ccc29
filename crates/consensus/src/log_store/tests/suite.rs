//! openraft's own suite for stores, over the real log and the real state machine.

use dunlin_types::{Clock, MonoMillis, UnixMillis};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};

use super::*;
use crate::machine::{Machine, Published};
use crate::snapshot::Snapshots;

struct Builder;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<Types>> {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Bench::new(dir.path().join("raft")).open();
        let still = Clock::new(|| UnixMillis(1), || MonoMillis(1));
        let folder = dir.path().join("snapshot");
        let snapshots = Snapshots::open(folder, OWNER.cluster, still).expect("made");
        let me = (OWNER.node, Epoch(1));
        let machine = Machine::open(me, Arc::new(snapshots), Arc::new(Published::new()));
        Ok((dir, store, machine.expect("opened")))
    }
}

#[tokio::test]
async fn the_store_passes_openrafts_suite() {
    Suite::test_all(Builder).await.expect("passed");
}
