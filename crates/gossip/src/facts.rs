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
    /// Whether it leaves its clients to others: it drains, or is about to stop.
    pub draining: bool,
    /// The config revision it serves.
    pub config_revision: u64,
    /// Fingerprints of the master key in force under that revision, a word for each cluster secret it
    /// knows: two nodes have one in common if their keys are equal. Empty if it says nothing of it.
    pub master_key: String,
    /// The fingerprint of its table of prices. Empty if it says nothing of it.
    pub prices: String,
    /// The names of the cluster secrets it knows: two while one takes the place of the other.
    pub secrets: Vec<String>,
    /// The log index it has applied.
    pub applied: u64,
    /// Its cluster, once it has one.
    pub cluster: Option<ClusterId>,
    /// How far its clock is ahead of the cluster's time, in ms; below zero: behind.
    pub clock_skew_ms: i64,
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

/// The keys under which facts travel.
pub(crate) const NODE: &str = "node";
pub(crate) const LOAD: &str = "load";
pub(crate) const HEALTH: &str = "health";

/// Backends in one fact; the state of all nodes must fit into a datagram or two. Of more, the
/// busiest are told of.
const MAX_BACKENDS: usize = 256;

/// A fact's value could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Fact {
    /// The key and the value that travel.
    pub(crate) fn encode(&self) -> (&'static str, String) {
        match self {
            Fact::Node(fact) => (NODE, json(fact)),
            Fact::Load(fact) => (LOAD, json(&wire_load(fact))),
            Fact::Health(fact) => (HEALTH, json(&wire_health(fact))),
        }
    }
}

impl NodeFact {
    /// Whether the two serve the same config revision under different master keys.
    #[must_use]
    pub fn differs_in_master_key(&self, other: &Self) -> bool {
        self.config_revision == other.config_revision
            && !self
                .master_key
                .split(' ')
                .any(|word| other.master_key.split(' ').any(|w| w == word))
            && !self.master_key.is_empty()
            && !other.master_key.is_empty()
    }

    /// Whether the two price requests by different tables.
    #[must_use]
    pub fn differs_in_prices(&self, other: &Self) -> bool {
        self.prices != other.prices && !self.prices.is_empty() && !other.prices.is_empty()
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(text).map_err(|_| Unreadable)
    }
}

impl LoadFact {
    pub(crate) fn decode(text: &str) -> Result<Self, Unreadable> {
        let wire: Backends<WireLoad> = serde_json::from_str(text).map_err(|_| Unreadable)?;
        let load = |wire: WireLoad| BackendLoad { in_flight: wire.n, tokens: wire.t };
        Ok(Self { backends: wire.into_ids().map(|(id, wire)| (id, load(wire))).collect() })
    }
}

impl HealthFact {
    /// States of a later release are left out.
    pub(crate) fn decode(text: &str) -> Result<Self, Unreadable> {
        let wire: Backends<WireHealth> = serde_json::from_str(text).map_err(|_| Unreadable)?;
        let reported = |wire: WireHealth| match wire.state.as_str() {
            "unreachable" => Some(Reported::Unreachable),
            "rate_limited" => Some(Reported::RateLimited { for_ms: wire.for_ms }),
            _ => None,
        };
        let backends = wire.into_ids().filter_map(|(id, wire)| Some((id, reported(wire)?)));
        Ok(Self { backends: backends.collect() })
    }
}

/// `load` and `health` on the wire. The names inside `load` are short: it is sent most often.
#[derive(Serialize, Deserialize)]
struct Backends<V> {
    #[serde(default = "BTreeMap::new")]
    backends: BTreeMap<String, V>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct WireLoad {
    n: u32,
    t: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct WireHealth {
    state: String,
    #[serde(skip_serializing_if = "is_zero")]
    for_ms: u64,
}

impl<V> Backends<V> {
    fn into_ids(self) -> impl Iterator<Item = (BackendId, V)> {
        self.backends.into_iter().map(|(id, value)| (BackendId(id.into()), value))
    }
}

fn wire_load(fact: &LoadFact) -> Backends<WireLoad> {
    let mut busiest: Vec<_> = fact.backends.iter().collect();
    busiest.sort_by_key(|(_, load)| std::cmp::Reverse((load.in_flight, load.tokens)));
    let told = busiest.into_iter().take(MAX_BACKENDS);
    let wire = |load: &BackendLoad| WireLoad { n: load.in_flight, t: load.tokens };
    Backends { backends: told.map(|(id, load)| (id.to_string(), wire(load))).collect() }
}

fn wire_health(fact: &HealthFact) -> Backends<WireHealth> {
    let wire = |reported: &Reported| match reported {
        Reported::Unreachable => WireHealth { state: "unreachable".to_owned(), for_ms: 0 },
        Reported::RateLimited { for_ms } => {
            WireHealth { state: "rate_limited".to_owned(), for_ms: *for_ms }
        }
    };
    let told = fact.backends.iter().take(MAX_BACKENDS);
    Backends { backends: told.map(|(id, reported)| (id.to_string(), wire(reported))).collect() }
}

fn json(fact: &impl Serialize) -> String {
    serde_json::to_string(fact).expect("maps with text keys and plain fields are JSON")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(name: &str) -> BackendId {
        BackendId(name.into())
    }

    #[test]
    fn facts_of_another_release_are_read_as_far_as_they_are_known() {
        let node = NodeFact::decode(r#"{"version":"9.9","moon":"full"}"#);
        assert_eq!(node, Ok(NodeFact { version: "9.9".to_owned(), ..NodeFact::default() }));

        let load = LoadFact::decode(r#"{"backends":{"a":{"n":3,"t":9,"kv":0.5},"b":{}},"at":1}"#);
        let three = BackendLoad { in_flight: 3, tokens: 9 };
        let expected = [(backend("a"), three), (backend("b"), BackendLoad::default())];
        assert_eq!(load, Ok(LoadFact { backends: expected.into() }));

        let health = HealthFact::decode(
            r#"{"backends":{"a":{"state":"unreachable"},"b":{"state":"possessed"}}}"#,
        );
        let expected = [(backend("a"), Reported::Unreachable)];
        assert_eq!(health, Ok(HealthFact { backends: expected.into() }));
    }

    #[test]
    fn what_is_no_fact_is_unreadable() {
        for text in ["", "7", "[7]", "{\"backends\":7}", "{\"backends\":{\"a\":7}}"] {
            assert_eq!(LoadFact::decode(text), Err(Unreadable), "{text}");
            assert_eq!(HealthFact::decode(text), Err(Unreadable), "{text}");
        }
        assert_eq!(NodeFact::decode("{\"ready\":\"maybe\"}"), Err(Unreadable));
    }

    #[test]
    fn of_too_many_backends_the_busiest_are_told_of() {
        let load = |n: u32| BackendLoad { in_flight: n, tokens: 0 };
        let backends = (0..1000).map(|n| (backend(&format!("b{n:04}")), load(n))).collect();
        let (_, text) = Fact::Load(LoadFact { backends }).encode();
        let told = LoadFact::decode(&text).expect("our own");
        assert_eq!(told.backends.len(), MAX_BACKENDS);
        assert!(told.backends.values().all(|load| load.in_flight >= 744));
    }
}
