//! What one node knows of its cluster: `GET /cluster/status`.

use dunlin_types::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

/// The cluster as the answering node sees it. Other nodes may see it differently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The node that answers.
    pub node: NodeId,
    /// Its release.
    pub version: String,
    /// Its cluster; none until it has formed or joined one.
    pub cluster: Option<ClusterId>,
    /// The node it considers the leader; `None` while it knows of no leader with a majority.
    pub leader: Option<NodeId>,
    /// Set while it hears no majority of the voters: nothing can be decided then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_majority: Option<NoMajority>,
    /// The Raft term it is in.
    pub term: u64,
    /// The index of the last log entry it has applied.
    pub applied: u64,
    /// The config revision its state holds; 0 before the first.
    pub config_revision: u64,
    /// The format of the replicated log.
    #[serde(default)]
    pub log_format: LogFormat,
    /// All members, by id.
    pub members: Vec<MemberStatus>,
    /// Nodes that were removed for good, by id; the last 1,000.
    #[serde(default)]
    pub removed: Vec<RemovedMember>,
    /// How far a change of the cluster secret has come.
    #[serde(default)]
    pub secret: SecretStatus,
    /// All backends of the config, by name.
    pub backends: Vec<BackendStatus>,
}

/// What it is to a node that it hears no majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoMajority {
    /// For how long, in s; since it started, if it has heard none since.
    pub for_s: u64,
    /// For how long it still serves clients by what it knows, in s; 0: it refuses them. None: as long
    /// as it has to, as nothing can be decided without it, or as it was told to.
    pub serves_for_s: Option<u64>,
}

/// Which format the replicated log has: what only newer ones have waits until it is raised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFormat {
    /// The one in force; 0 from a node of an older version.
    pub format: u32,
    /// The newest that the answering node knows.
    pub newest: u32,
    /// Whether it is raised only when somebody says so.
    pub held: bool,
    /// Members of which it is not known that they know the newest.
    pub waits_for: Vec<NodeId>,
}

/// How far a change of the cluster secret has come, as the answering node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretStatus {
    /// Names this node's secret; tells nothing of it.
    pub current: String,
    /// Names the one whose place it takes; none: this node knows one only.
    pub previous: Option<String>,
    /// So many config revisions, models and credentials are sealed under another one than the current.
    pub sealed_under_others: u64,
    /// Members of which it is not known that they know the current one.
    pub unknown_to: Vec<NodeId>,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its id.
    pub id: NodeId,
    /// Where other nodes reach it, `host:port`.
    pub address: String,
    /// Where clients reach it, as it gossips it; none until it was heard.
    pub api_address: Option<String>,
    /// Its part in the consensus.
    pub role: MemberRole,
    /// Whether gossip hears it.
    pub alive: bool,
    /// Whether the cluster has marked it down: it owns no limits until the mark is lifted.
    pub down: bool,
    /// Whether it says that it serves requests.
    pub ready: bool,
    /// Whether it says that it leaves its clients to other nodes.
    #[serde(default)]
    pub draining: bool,
    /// The config revision it works by, as it last said; 0 before the first.
    #[serde(default)]
    pub config_revision: u64,
    /// How far its clock is ahead of the cluster's time, in ms, as it last said; below zero: behind.
    /// In steps of 100 ms.
    #[serde(default)]
    pub clock_skew_ms: i64,
    /// Whether it has another master key than the answering node, at the same config revision.
    #[serde(default)]
    pub other_master_key: bool,
    /// Whether it has another table of prices than the answering node.
    #[serde(default)]
    pub other_prices: bool,
}

/// A node that was a member and was removed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedMember {
    /// Its id.
    pub id: NodeId,
    /// Where other nodes reached it, `host:port`.
    pub address: String,
    /// When it was removed, in ISO 8601.
    pub at: String,
    /// Who removed it.
    pub by: String,
    /// What it was granted of budgets and has not settled, in dollars: nobody else can spend it until
    /// the budgets' periods end or it is reclaimed.
    pub withheld_usd: f64,
    /// Whether that was given free.
    pub reclaimed: bool,
}

/// A member's part in the consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// The voter that the others follow.
    Leader,
    /// Votes, and follows the leader.
    Voter,
    /// Holds the state and does not vote.
    Learner,
    /// Listed, but not yet or no longer part of the consensus.
    Outside,
}

/// A backend: one provider endpoint that deployments share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackendStatus {
    /// Its base URL.
    pub backend: String,
    /// The model that is asked for there; empty from a node of an older version.
    #[serde(default)]
    pub upstream_model: String,
    /// The model names it serves.
    pub models: Vec<String>,
    /// Requests that the answering node has open with it.
    pub in_flight: u32,
    /// Requests that the whole cluster is believed to have open with it, decayed by age.
    pub load: f64,
    /// `ready`, or why it gets no requests now.
    pub state: String,
}
