//! What this node believes about its peers: an immutable value, replaced as a whole.

use std::collections::BTreeMap;

use dunlin_types::{Epoch, MonoMillis, NodeId};

use crate::facts::{HealthFact, LoadFact, NodeFact};

/// The peers as last heard. A hint: it may be stale, and nothing that must be right is read from
/// it alone.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// This node, which is not among the peers.
    pub me: NodeId,
    /// Every peer heard of in the last quarter of an hour.
    pub peers: BTreeMap<NodeId, Peer>,
}

/// One peer as last heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Which life of it this is: another one after each of its starts.
    pub epoch: Epoch,
    /// False after about a second of silence.
    pub alive: bool,
    /// When a sign of life last reached this node, by any way. `load` and `health` hold until then: a
    /// peer tells of every change before it falls silent.
    pub heard: MonoMillis,
    /// Who it is. `None` until its first fact arrives.
    pub node: Option<NodeFact>,
    /// How busy it keeps its backends. Empty for a dead peer.
    pub load: LoadFact,
    /// Which backends it could not use. Empty for a dead peer.
    pub health: HealthFact,
}
