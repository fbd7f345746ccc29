//! Refusals that may come too early: what an ended request gives back is told to the owner with the
//! next call, and its client may ask at another node before that.
//!
//! An owner that is about to refuse has the nodes that may have given back what lacks say at once
//! what it has not heard ([`Ask::pull`](crate::Ask::pull)), and the claim is to be asked again in a
//! moment. So a client that sends one request after the other is bound by what it uses, wherever it
//! sends them. Who is admitted waits for nobody and no end of a request waits for its owner: only a
//! refusal costs one more exchange.

use std::time::Duration;

use dunlin_types::{MonoMillis, NodeId, RequestId};

/// How long the others may take to say what they gave back.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a claim that is asked again is known to have been doubted before.
const KEPT: Duration = Duration::from_millis(250);
/// Doubted claims of a scope; more are refused at once, so that a flood of refusals costs few calls.
const MOST: usize = 8;

/// Claims of a scope that would be refused by what its owner knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Doubts(Vec<Doubt>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Doubt {
    node: NodeId,
    request: RequestId,
    /// The first pull that brings all that was given back before the claim was made.
    pull: u64,
    since: MonoMillis,
}

impl Doubts {
    /// The pull that the refusal of a claim waits for, `next` if it was not yet refused. `None`: it
    /// has waited for long enough, or too many do.
    pub(crate) fn waits_for(
        &mut self,
        (node, request): (NodeId, RequestId),
        next: u64,
        now: MonoMillis,
    ) -> Option<u64> {
        self.0.retain(|doubt| now < doubt.since.plus(KEPT));
        let known = self.0.iter().find(|doubt| (doubt.node, doubt.request) == (node, request));
        if let Some(doubt) = known {
            return Some(doubt.pull).filter(|_| now < doubt.since.plus(PATIENCE));
        }
        if self.0.len() >= MOST {
            return None;
        }
        self.0.push(Doubt { node, request, pull: next, since: now });
        Some(next)
    }

    /// The claim is decided.
    pub(crate) fn end(&mut self, node: NodeId, request: RequestId) {
        self.0.retain(|doubt| (doubt.node, doubt.request) != (node, request));
    }
}
