//! What happened in one run, simulated or real, on one clock: what clients sent and were told, what
//! was done to the cluster, and what every node held at the end. It is all an invariant may know.

mod troubles;

use std::collections::BTreeMap;
use std::fmt;

use dunlin_types::NanoUsd;

use crate::workload::{Key, Operation};
pub use troubles::{Ill, Trouble, Troubles};

/// One run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// How many nodes there were.
    pub nodes: usize,
    /// How long things may take there.
    pub bounds: Bounds,
    /// Whether answers are bytes that can break off; simulated ones are not.
    pub streams: bool,
    /// In order of time.
    pub events: Vec<Event>,
}

/// What the promises allow, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For a change to be on all connected nodes.
    pub spread_ms: u64,
    /// More for it while a leader may have to be found.
    pub election_ms: u64,
    /// For a node that is back to hold what it missed and to have told what it did.
    pub rejoin_ms: u64,
    /// For a call that one node sends to another while both are well.
    pub call_ms: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { spread_ms: 1_000, election_ms: 2_000, rejoin_ms: 1_500, call_ms: 250 }
    }
}

/// Something happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Milliseconds since the run began.
    pub at: u64,
    /// What.
    pub what: What,
}

/// Names a call of a client within its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {}", self.0)
    }
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// A client is about to send.
    Sent(Call),
    /// A chat was let in: its limits are taken.
    Admitted {
        /// Which call.
        call: CallId,
        /// The id the node gave it.
        request: String,
    },
    /// The client knows what came of it.
    Ended {
        /// Which call.
        call: CallId,
        /// What came of it.
        outcome: Outcome,
        /// How the answer ended, if it was streamed.
        stream: Option<StreamEnd>,
    },
    /// Something was done to the cluster or its surroundings.
    Done(Act),
    /// What a node held at the end.
    Seen {
        /// Which node.
        node: usize,
        /// What it held.
        sight: Sight,
    },
}

/// What a client asks of a node.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub id: CallId,
    /// Of which node, from 0.
    pub node: usize,
    /// What it asks for.
    pub operation: Operation,
    /// The most it can cost.
    pub most: NanoUsd,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, and the client knows the cost.
    Done {
        /// What the client was told; nothing for admin writes.
        cost: NanoUsd,
    },
    /// It was refused and not done.
    Refused(Refusal),
    /// No connection was made: it was not sent.
    Unreached,
    /// An answer that says that something is wrong. An admin write may still take effect.
    Failed {
        /// The HTTP status.
        status: u16,
        /// In words.
        why: String,
    },
    /// The answer did not come, or not to its end. It may have been done.
    Broken {
        /// In words.
        why: String,
    },
}

/// Why a node did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A limit is used up.
    Limited,
    /// The key is blocked.
    Blocked,
    /// There is no such key.
    Unknown,
    /// The state does not allow it.
    Rejected,
}

/// How a streamed answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// `[DONE]` was the last thing said.
    pub done: bool,
    /// An error event was seen.
    pub error: bool,
    /// The connection said that the answer is complete.
    pub complete: bool,
    /// Tokens that came.
    pub tokens: u64,
    /// Tokens there should have been.
    pub expected: u64,
}

/// What is done to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A process is gone without a word.
    Killed {
        /// Which node.
        node: usize,
    },
    /// A process was asked to stop.
    Stopped {
        /// Which node.
        node: usize,
    },
    /// A node that was gone serves again.
    Back {
        /// Which node.
        node: usize,
    },
    /// A process stands still.
    Paused {
        /// Which node.
        node: usize,
    },
    /// It goes on.
    Resumed {
        /// Which node.
        node: usize,
    },
    /// Nodes are cut off from the others, in one direction at least.
    CutOff {
        /// Which nodes.
        nodes: Vec<usize>,
    },
    /// They are connected again.
    Connected,
    /// Messages are lost and late.
    Lossy,
    /// No more.
    Steady,
    /// A backend is sick.
    BackendIll {
        /// Which one.
        backend: usize,
        /// How.
        how: String,
        /// Whether answers may break off or fail.
        breaks: bool,
    },
    /// A backend is well.
    BackendWell {
        /// Which one.
        backend: usize,
    },
}

/// What a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The index of the last command it applied.
    pub applied: u64,
    /// Names all that it holds, where that can be had.
    pub digest: Option<String>,
    /// What it says of each key of the run.
    pub keys: BTreeMap<Key, KeySight>,
    /// Requests and slots that it counts though nobody is served.
    pub in_flight: u64,
}

/// What a node says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeySight {
    /// Whether it works.
    pub standing: Standing,
    /// What it spent; not known of a deleted key everywhere.
    pub spent: Option<NanoUsd>,
}

/// What may become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It was never made, or deleted.
    Gone,
    /// It works.
    Open,
    /// It is refused.
    Blocked,
}

/// A call and all that is known of it.
#[derive(Clone, Debug)]
pub struct Traced<'a> {
    /// The call.
    pub call: &'a Call,
    /// When it was sent.
    pub sent: u64,
    /// When it was let in, and under which id.
    pub admitted: Option<(u64, &'a str)>,
    /// When it ended and how; `None`: it has not.
    pub ended: Option<(u64, &'a Outcome)>,
    /// How its stream ended.
    pub stream: Option<StreamEnd>,
}

impl History {
    /// A run of so many nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self { nodes, streams: true, ..Self::default() }
    }

    /// Adds what happened at a moment that is not before the last one.
    pub fn add(&mut self, at: u64, what: What) {
        self.events.push(Event { at, what });
    }

    /// All calls, in the order in which they were sent.
    #[must_use]
    pub fn calls(&self) -> Vec<Traced<'_>> {
        let mut found: BTreeMap<CallId, Traced<'_>> = BTreeMap::new();
        for event in &self.events {
            match &event.what {
                What::Sent(call) => {
                    let (admitted, ended, stream) = (None, None, None);
                    let traced = Traced { call, sent: event.at, admitted, ended, stream };
                    found.insert(call.id, traced);
                }
                What::Admitted { call, request } => {
                    if let Some(traced) = found.get_mut(call) {
                        traced.admitted = Some((event.at, request));
                    }
                }
                What::Ended { call, outcome, stream } => {
                    if let Some(traced) = found.get_mut(call) {
                        traced.ended = Some((event.at, outcome));
                        traced.stream = *stream;
                    }
                }
                What::Done(_) | What::Seen { .. } => {}
            }
        }
        let mut calls: Vec<_> = found.into_values().collect();
        calls.sort_by_key(|traced| traced.sent);
        calls
    }

    /// All calls: what the admin wrote, and what was chatted.
    #[must_use]
    pub fn writes_and_chats(&self) -> (Vec<Traced<'_>>, Vec<Traced<'_>>) {
        self.calls().into_iter().partition(|traced| traced.call.operation.is_write())
    }

    /// The nodes' last sights.
    pub fn sights(&self) -> impl Iterator<Item = (usize, &Sight)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Seen { node, sight } => Some((*node, sight)),
            What::Sent(_) | What::Admitted { .. } | What::Ended { .. } | What::Done(_) => None,
        })
    }

    /// What was done to the cluster, and when.
    pub fn acts(&self) -> impl Iterator<Item = (u64, &Act)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Done(act) => Some((event.at, act)),
            What::Sent(_) | What::Admitted { .. } | What::Ended { .. } | What::Seen { .. } => None,
        })
    }
}

impl Traced<'_> {
    /// When it was over for its client.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.ended.map_or(u64::MAX, |(at, _)| at)
    }

    /// For people: which call, of which node, and its request's id.
    #[must_use]
    pub fn name(&self) -> String {
        let node = self.call.node + 1;
        let request = self.admitted.map_or(String::new(), |(_, id)| format!(", request {id}"));
        format!("{} to n{node} at {} ms{request}", self.call.id, self.sent)
    }
}
