//! Calls to providers: picks a deployment at the moment of sending, counts what is in flight,
//! carries the bytes, and learns the backends' health from how each call ends.
//!
//! Does not know clients, keys or money. Invariants: a raised in-flight count falls on drop,
//! whatever happened; dropping a call or a stream cancels it upstream at once; nothing is retried
//! here. Read `call.rs` for one attempt, `table.rs` for what is remembered between attempts.

mod attempt;
mod bucket;
mod call;
mod converse;
mod error;
mod kept;
mod metrics;
mod pace;
mod passage;
mod pieces;
mod probe;
mod relay;
mod rumours;
mod sight;
mod stream;
mod table;
mod tell;
mod unpacked;
mod upload;

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dunlin_egress::Egress;
pub use dunlin_egress::OutOfReach;
use dunlin_gossip::Gossip;
use dunlin_identity::Identity;
use dunlin_llm::Target;
use dunlin_metrics::vital;
use dunlin_router::{Catalog, Deployment, Group, NonePicked, Retry, Seen, Strategy, pick};
use dunlin_types::{Clock, DeploymentId, Tokens};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

pub use attempt::Attempt;
pub use call::{Answer, Bounds, Whole};
pub use converse::{Conversation, Opening, Talking};
pub use error::{Failure, hiding};
pub use kept::MAX_OBJECTS;
pub use metrics::METRICS;
pub use passage::Passage;
pub use relay::{Relay, Relayed};
pub use sight::{BackendStatus, Condition};
pub use stream::{Long, Stream};
pub use upload::{Fault, Progress, Upload};

use rumours::Rumours;
use sight::Sight;
use table::{Backend, Table};

/// An answer in one piece up to this long is held, so that its headers can tell what it cost. A longer
/// one that is to be translated is an error: its own bytes would mean nothing to the client.
pub const MAX_HELD_REPLY_BYTES: usize = 32 << 20;

/// What calls to providers need of their node.
#[derive(Clone)]
pub struct Config {
    /// The way out of the node.
    pub egress: Egress,
    /// Credentials that change.
    pub identity: Identity,
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
    egress: Egress,
    identity: Identity,
    table: Table,
    attempts: metrics::Attempts,
    rumours: ArcSwap<Rumours>,
    tasks: TaskTracker,
}

impl Upstream {
    /// Starts probing, telling peers and hearing them, on the current runtime.
    #[must_use]
    pub fn start(config: &Config, clock: Clock, gossip: Gossip) -> Self {
        let shared = Shared {
            clock,
            gossip,
            egress: config.egress.clone(),
            identity: config.identity.clone(),
            table: Table::default(),
            attempts: metrics::Attempts::default(),
            rumours: ArcSwap::default(),
            tasks: config.tasks.clone(),
        };
        let upstream = Self(Arc::new(shared));
        let ends = || {
            let stop = config.stop.clone();
            move || stop.cancel()
        };
        config.tasks.spawn(vital(probe::run(upstream.clone(), config.stop.clone()), ends()));
        config.tasks.spawn(vital(tell::run(upstream.clone(), config.stop.clone()), ends()));
        config.tasks.spawn(vital(rumours::run(upstream.clone(), config.stop.clone()), ends()));
        config.tasks.spawn(sweep(config.egress.clone(), config.stop.clone()));
        upstream
    }

    /// Serves a new config revision: what is known of backends that stay is kept. Says what cannot
    /// be called, and begins to fetch credentials, on the current runtime.
    pub fn publish(&self, catalog: &Catalog) {
        self.0.table.keep_only(catalog);
        let all = catalog.deployments();
        for deployment in all.filter(|deployment| deployment.parked.is_none()) {
            let target = &deployment.target;
            if let Err(error) = self.0.egress.client(&target.tls, &target.networks) {
                warn!(model = %deployment.group, "cannot call a deployment: {error}");
            }
            if let Some(source) = deployment.target.identity.clone() {
                let identity = self.0.identity.clone();
                // Ahead of the first call; if it fails, `identity` says so.
                self.0.tasks.spawn(async move { identity.current(&source).await.is_ok() });
            }
        }
    }

    /// Whether calls to a deployment could go anywhere, as far as can be told now.
    ///
    /// # Errors
    /// Its address is in no network that it may reach.
    pub async fn could_go(&self, target: &Target) -> Result<(), OutOfReach> {
        match target.api_base.parse() {
            Ok(address) => self.0.egress.look(&address, &target.networks).await,
            // Parked for want of an address.
            Err(_) => Ok(()),
        }
    }

    /// Picks a deployment of `group`, one of `tried` only if no other is ready, and counts it as in
    /// flight in the same step. Nothing may be awaited between this and [`Upstream::call`] but room by
    /// the deployment's own limits.
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
        let picked = pick(group, strategy, &self.seen(group, strategy), tried, rand::random())?;
        let deployment = Arc::clone(&group.deployments[picked]);
        if strategy == Strategy::LeastUsed {
            self.0.table.uses(&deployment.id, tokens, self.0.clock.mono());
        }
        let backend = self.0.table.backend(&deployment.backend);
        let usable = group.deployments.iter().filter(|deployment| deployment.parked.is_none());
        let alone = usable.count() == 1;
        Ok(Attempt::new(deployment, backend, alone, tokens, self.0.clock.mono()))
    }

    /// Counts a call of one deployment as in flight, whatever is known of it. Of one that is not in the
    /// catalog nothing is remembered. Nothing may be awaited between this and the call.
    #[must_use]
    pub fn attempt_at(&self, deployment: &Arc<Deployment>, tokens: Tokens) -> Attempt {
        let backend = self.0.table.known(&deployment.backend);
        let backend = backend.unwrap_or_else(|| Arc::new(Backend::new()));
        Attempt::new(Arc::clone(deployment), backend, true, tokens, self.0.clock.mono())
    }

    /// Whether the next pick would be one that is not among `tried` and could take a request now.
    #[must_use]
    pub fn has_ready(
        &self,
        group: &Group,
        strategy: Strategy,
        tried: &BTreeSet<DeploymentId>,
    ) -> bool {
        let seen = self.seen(group, strategy);
        // The seed decides only between equals.
        pick(group, strategy, &seen, tried, 0).is_ok_and(|picked| {
            seen[picked].is_ready() && !tried.contains(&group.deployments[picked].id)
        })
    }

    /// Whether a deployment of a group is left alone, or has failed within the last minute, as far as
    /// this node knows.
    #[must_use]
    pub fn is_failing(&self, group: &Group) -> bool {
        let now = self.0.clock.mono();
        let has_failed =
            |deployment: &Arc<Deployment>| self.0.table.has_failed(&deployment.id, now);
        group.deployments.iter().any(has_failed)
            || !self.seen(group, Strategy::Shuffle).iter().all(Seen::is_ready)
    }

    /// Every backend of the catalog as this node sees it, in the order of their ids.
    #[must_use]
    pub fn backends(&self, catalog: &Catalog) -> Vec<BackendStatus> {
        self.look(|sight| sight.backends(catalog))
    }

    /// How every deployment of the catalog stands, as this node sees it.
    #[must_use]
    pub fn conditions(&self, catalog: &Catalog) -> Vec<(Arc<Deployment>, Condition)> {
        self.look(|sight| {
            let all = catalog.deployments();
            all.map(|one| (Arc::clone(one), sight.condition(one))).collect()
        })
    }

    /// How often a deployment was left alone for a while, since it came into the catalog, by the
    /// status that brought it about.
    #[must_use]
    pub fn cooled_down(&self, deployment: &DeploymentId) -> Vec<(u16, u64)> {
        self.0.table.cooled_down(deployment)
    }

    fn seen(&self, group: &Group, strategy: Strategy) -> Vec<Seen> {
        self.look(|sight| sight.of(group, strategy))
    }

    fn look<T>(&self, see: impl FnOnce(Sight<'_>) -> T) -> T {
        let Shared { table, gossip, rumours, clock, .. } = &*self.0;
        see(Sight { table, view: &gossip.view(), rumours: &rumours.load(), now: clock.mono() })
    }

    /// Takes note of how an attempt ended.
    fn observe(&self, attempt: &Attempt, outcome: dunlin_router::Outcome, retry: &Retry) {
        self.0.attempts.ended(outcome);
        // A client's own key, or its server, says nothing of the operator's.
        if attempt.deployment.target.is_clients {
            return;
        }
        self.0.table.observe(attempt, outcome, retry, self.0.clock.mono());
    }
}

/// Has idle connections closed, for as long as the node lives.
async fn sweep(egress: Egress, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(dunlin_egress::SWEEP_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        egress.sweep();
    }
}
