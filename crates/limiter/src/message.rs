//! What nodes say to each other about limits. A call carries an [`Ask`], its answer an [`Answer`].
//!
//! Reports are numbered within a run and repeated until they are heard, so each takes effect once
//! and in order. Claims may be lost or repeated: they are known by their request.

use dunlin_types::{Epoch, RequestId};
use serde::{Deserialize, Serialize};

use crate::claim::{Amounts, Claim, Refused, Remaining};
use crate::ring::ScopeId;

/// From a node to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The life of the asking node.
    pub epoch: Epoch,
    /// Its unbroken sequence of reports, counted from 1 within its life.
    pub run: u64,
    /// The number of the first report in here, from 1 within the run.
    pub first: u64,
    /// What the peer has not confirmed to have heard. Applied before the claims are decided.
    pub reports: Vec<Dated>,
    /// To be decided by the peer as the owner.
    pub claims: Vec<Claim>,
    /// Scopes of which the peer is asked what it used itself.
    pub questions: Vec<ScopeId>,
    /// Whether the answer is to bring what the asker has not heard.
    #[serde(default)]
    pub pull: bool,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answer {
    /// The life of the answering node.
    pub epoch: Epoch,
    /// The version of the ring it goes by.
    pub ring: u64,
    /// The last report heard of the asker's run; `None`: the run is unknown, begin a new one.
    pub heard: Option<u64>,
    /// One for each claim.
    pub verdicts: Vec<Verdict>,
    /// One for each question.
    pub told: Vec<Amounts>,
    /// What the asker has not heard, if it pulls.
    #[serde(default)]
    pub reports: Option<Reports>,
}

/// What a node has to tell a peer, as an answer brings it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reports {
    /// The answering node's unbroken sequence of reports, as in an [`Ask`].
    pub run: u64,
    /// The number of the first one.
    pub first: u64,
    /// What was not confirmed to be heard.
    pub reports: Vec<Dated>,
}

/// What an owner decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Taken, for a second; the report of the admission makes it last.
    Granted {
        /// What remains.
        remaining: Remaining,
        /// How many more requests the asker may admit within [`crate::LEASE`] of having asked.
        lease: u64,
    },
    /// A limit is too short.
    Refused(Refused),
    /// To be asked again in a moment: the two nodes go by different rings, or the owner is about
    /// to know enough.
    Retry,
    /// The owner does not know enough to decide. Shares are used until it does.
    NotYet,
}

/// A report and its age when it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dated {
    /// In milliseconds.
    pub age_ms: u64,
    /// In which slot of the teller's it is.
    pub second: u64,
    /// What happened then.
    pub report: Report,
}

/// What a node tells the owner of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Report {
    /// A request was admitted, by the owner's word or by a share.
    Admitted {
        /// Of whose limits it took.
        scope: ScopeId,
        /// Which request.
        request: RequestId,
        /// Tokens; 0 where they are not limited.
        tokens: u64,
        /// Whether it holds a slot.
        slot: bool,
    },
    /// A request ended. Dated by its admission.
    Ended {
        /// Of whose limits it took.
        scope: ScopeId,
        /// Which request.
        request: RequestId,
        /// Tokens it took when admitted.
        tokens: u64,
        /// Tokens it used.
        used: u64,
    },
    /// A request was undone before it was used. Dated by its admission.
    Voided {
        /// Of whose limits it took.
        scope: ScopeId,
        /// Which request.
        request: RequestId,
        /// Tokens it took when admitted.
        tokens: u64,
    },
    /// A lease was given back. Dated by its end.
    Closed {
        /// Of which scope.
        scope: ScopeId,
        /// The request that brought the lease.
        lease: RequestId,
        /// How much of it was used.
        used: u64,
    },
    /// All that the node admitted in a scope: replaces what was known of it.
    Past {
        /// The scope.
        scope: ScopeId,
        /// Requests as (the teller's slot, age in ms, amount).
        requests: Vec<(u64, u64, u64)>,
        /// Tokens alike.
        tokens: Vec<(u64, u64, u64)>,
        /// Requests that hold a slot.
        open: Vec<RequestId>,
    },
    /// All scopes that moved to the peer with this ring have been told, and the node goes by it.
    Moved {
        /// The ring's version.
        ring: u64,
    },
}
