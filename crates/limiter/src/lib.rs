//! Limits decided in pure code: which node counts, how much is taken, when it comes back.
//!
//! A limit of N in a minute is a bucket whose tokens come back 60 s after they were taken
//! (`bucket.rs`). All limits of a key, a team, ... form one scope. The scope's owner, chosen by
//! rendezvous hashing over the replicated ring (`ring.rs`), takes from all of them or from none.
//! Every node keeps an account of what it admitted itself (`account.rs`) and reports it to the
//! owner; a new owner gets the accounts of all nodes. While an owner is silent, each node admits
//! within its share. Hot scopes are leased in small parts. Does not know HTTP, keys, time or
//! sockets: its caller says who said what, and when.
//!
//! What all nodes together admit in any 60 s under a limit of N:
//! - at most N, while no node dies and none is cut off; also while the ring grows and shrinks, and
//!   by nodes that came back and serve before they are marked up;
//! - when an owner dies: also what the dead node itself admitted in that minute, and the grants and
//!   reports that were in flight;
//! - under a partition: also each share, N / members, of the nodes without quorum, and, once, what
//!   such a node admitted as an owner in the [`FENCE`] before it noticed;
//! - when an owner stalls longer than its callers wait: also their shares.
//!
//! This is the default. A limit can choose otherwise ([`dunlin_types::OnLoss`]): `share` admits at
//! most N whatever is lost, `closed` has no shares, and `open` has no bound where no owner is
//! reached.
//!
//! A request may be under several scopes, each with its own owner. It claims them all at once, and
//! what it took from some is undone if another refuses ([`Limiter::voided`]). Once the undo is
//! heard of, the request has taken nothing.
//!
//! What a request did not use of its tokens, and its slot, are free for a client that has its answer,
//! wherever it asks next (`doubt.rs`).
//!
//! A request of more tokens than the whole limit is refused however long it waits. What a request
//! uses beyond its claim is a debt of its key: it is admitted and comes back like everything else.
//!
//! Read `limiter.rs` first, then `scope.rs`; `tests/cluster.rs` shows the promises at work.

mod account;
mod bucket;
mod claim;
mod doubt;
mod limiter;
mod loss;
mod message;
mod outbox;
mod ring;
mod scope;

use std::time::Duration;

pub use account::Taken;
pub use bucket::{Bucket, WINDOW};
pub use claim::{Amounts, Claim, Limited, Limits, Refused, Remaining};
pub use limiter::{Decision, FENCE, Limiter, MAX_SCOPES, Sent};
pub use message::{Answer, Ask, Dated, Report, Reports, Verdict};
pub use ring::{Ring, ScopeId};

/// How long a lease may be used, from the moment it was asked for.
pub const LEASE: Duration = Duration::from_millis(500);
/// How long a grant lasts that nobody confirms.
pub const UNCONFIRMED: Duration = Duration::from_secs(1);
/// How long a share is used before the other nodes are asked again.
pub const CUT_LASTS: Duration = Duration::from_secs(1);
