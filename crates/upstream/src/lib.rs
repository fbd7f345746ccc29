//! Calls to providers: picks a deployment at the moment of sending, counts what is in flight,
//! carries the bytes, and learns from every end how the backends do.
//!
//! Does not know clients, keys or money. Invariants: a raised in-flight count falls on drop,
//! whatever happened; dropping a call or a stream cancels it upstream at once; nothing is retried
//! here. Read `call.rs` for one attempt, `table.rs` for what is remembered between attempts.

mod attempt;
mod call;
mod client;
mod error;
mod probe;
mod sight;
mod stream;
mod table;
mod tell;

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_gossip::Gossip;
use dunlin_router::{Catalog, Group, NonePicked, Retry, Strategy, pick};
use dunlin_types::{Clock, DeploymentId, Tokens};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use attempt::Attempt;
pub use call::{Answer, Bounds, Whole};
pub use error::Failure;
pub use sight::BackendStatus;
pub use stream::{Long, Stream};

use client::Client;
use table::Table;

/// A non-stream answer up to this long is held, so that its headers can tell what it cost.
pub const MAX_HELD_REPLY_BYTES: usize = 8 << 20;

/// What calls to providers need of their node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the background tasks run.
    pub tasks: TaskTracker,
    /// Ends the background tasks.
    pub stop: CancellationToken,
}

/// The way to the providers. Cheap to clone.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    clock: Clock,
    gossip: Gossip,
    client: Client,
    table: Table,
}

impl Upstream {
    /// Starts probing and telling peers, on the current runtime.
    #[must_use]
    pub fn start(config: &Config, clock: Clock, gossip: Gossip) -> Self {
        let shared = Shared { clock, gossip, client: client::new(), table: Table::default() };
        let upstream = Self(Arc::new(shared));
        config.tasks.spawn(probe::run(upstream.clone(), config.stop.clone()));
        config.tasks.spawn(tell::run(upstream.clone(), config.stop.clone()));
        upstream
    }

    /// Serves a new config revision: what is known of backends that stay is kept.
    pub fn publish(&self, catalog: &Catalog) {
        self.0.table.keep_only(catalog);
    }

    /// Picks a deployment of `group` that is not among `tried`, and counts it as in flight in the
    /// same step. Nothing may be awaited between this and [`Upstream::call`].
    ///
    /// # Errors
    /// [`NonePicked`].
    pub fn start_attempt(
        &self,
        group: &Group,
        strategy: Strategy,
        tried: &BTreeSet<DeploymentId>,
        tokens: Tokens,
    ) -> Result<Attempt, NonePicked> {
        let now = self.0.clock.mono();
        let seen = self.0.table.seen(group, &self.0.gossip.view(), now);
        let picked = pick(group, strategy, &seen, tried, rand::random())?;
        let deployment = Arc::clone(&group.deployments[picked]);
        let backend = self.0.table.backend(&deployment.backend);
        Ok(Attempt::new(deployment, backend, group.deployments.len() == 1, tokens, now))
    }

    /// Whether a deployment of `group` that is not among `tried` could take a request now.
    #[must_use]
    pub fn has_ready(&self, group: &Group, tried: &BTreeSet<DeploymentId>) -> bool {
        let seen = self.0.table.seen(group, &self.0.gossip.view(), self.0.clock.mono());
        group.deployments.iter().zip(&seen).any(|(deployment, seen)| {
            let usable = deployment.parked.is_none() && !tried.contains(&deployment.id);
            usable && !seen.out && seen.cooling_until.is_none()
        })
    }

    /// Every backend of the catalog as this node sees it, in the order of their ids.
    #[must_use]
    pub fn backends(&self, catalog: &Catalog) -> Vec<BackendStatus> {
        sight::all(&self.0.table, catalog, &self.0.gossip.view(), self.0.clock.mono())
    }

    /// Takes note of how an attempt ended.
    fn observe(&self, attempt: &Attempt, outcome: dunlin_router::Outcome, retry: &Retry) {
        self.0.table.observe(attempt, outcome, retry, self.0.clock.mono());
    }
}
