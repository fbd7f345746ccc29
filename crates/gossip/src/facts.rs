//! What a node tells its peers about itself: one key, one struct of JSON per fact.
//!
//! Unknown fields are skipped and missing ones take a default, so that neighbouring releases
//! understand each other. A value that cannot be read is skipped and counted, never fatal.

use std::collections::BTreeMap;

use dunlin_router::BackendId;
use dunlin_types::ClusterId;
use serde::{Deserialize, Serialize};

/// One thing a node publishes. A newer fact of the same kind replaces the older one.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Who and where the node is.
    Node(NodeFact),
    /// How busy it keeps its backends.
    Load(LoadFact),
    /// Which backends it could not use.
    Health(HealthFact),
}

/// Who and where a node is, and how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFact {
    /// Where peers call it: host and port.
    pub cluster_address: String,
    /// Where clients call it: host and port.
    pub api_address: String,
    /// Its release.
    pub version: String,
    /// The highest format of the replicated log it knows.
    pub format: u32,
    /// Whether it takes requests.
    pub ready: bool,
    /// The config revision it serves.
    pub config_revision: u64,
    /// The log index it has applied.
    pub applied: u64,
    /// Its cluster, once it has one.
    pub cluster: Option<ClusterId>,
}

/// How busy a node keeps its backends. Idle backends are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadFact {
    /// By backend.
    pub backends: BTreeMap<BackendId, BackendLoad>,
}

/// One node's share of a backend's load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendLoad {
    /// Requests sent and not yet finished.
    pub in_flight: u32,
    /// Tokens those requests may still take, as estimated.
    pub tokens: u64,
}

/// The backends a node could not use lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthFact {
    /// By backend.
    pub backends: BTreeMap<BackendId, Reported>,
}

/// What a node saw of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Connections are refused or fail.
    Unreachable,
    /// The backend asked to be left alone.
    RateLimited {
        /// For how many milliseconds from the publishing of this fact.
        for_ms: u64,
    },
}
