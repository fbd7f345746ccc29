//! How openraft is set up here: its types over ours, and its timing. Node ids are plain `u64` in
//! its eyes; they become [`dunlin_types::NodeId`] again at the edge of this crate.

use std::fmt;
use std::sync::Arc;

use dunlin_state::Entry;
use dunlin_types::UnixMillis;
use openraft::impls::BasicNode;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

openraft::declare_raft_types!(
    /// openraft's types, as this cluster uses them. A committed entry answers nothing: its outcome
    /// is learned where it is applied.
    pub(crate) Types:
        D = Stamped,
        R = (),
        NodeId = u64,
        Node = BasicNode,
);

pub(crate) type Raft = openraft::Raft<Types, Machine>;
pub(crate) type LogEntry = openraft::type_config::alias::EntryOf<Types>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<Types>;
pub(crate) type Membership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(crate) type Metrics = openraft::metrics::RaftMetrics<Types>;

/// A command as it stands in the log: the leader said when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stamped {
    pub(crate) at: UnixMillis,
    pub(crate) entry: Arc<Entry>,
}

impl fmt::Display for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {:?}", self.entry.id)
    }
}

/// How often the leader speaks. A follower that misses it for the lease (the longest election
/// timeout) and then one more timeout stands for election.
pub(crate) const HEARTBEAT_MS: u64 = 50;
const ELECTION_MS: (u64, u64) = (250, 400);
/// A snapshot of tens of megabytes over a slow link; openraft's own 200 ms is far too short.
const INSTALL_SNAPSHOT_MS: u64 = 10_000;

pub(crate) fn config() -> Arc<openraft::Config> {
    let config = openraft::Config {
        cluster_name: "dunlin".to_owned(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS.0,
        election_timeout_max: ELECTION_MS.1,
        install_snapshot_timeout: INSTALL_SNAPSHOT_MS,
        enable_pre_vote: Some(true),
        // Snapshots and purges go by bytes, not by entries: see `compaction.rs`.
        snapshot_policy: openraft::SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // A peer that comes back must not wait long for its first entry.
        backoff: "20ms 40ms 80ms ..400ms".to_owned(),
        ..openraft::Config::default()
    };
    Arc::new(config.validate().expect("the constants above are consistent"))
}
