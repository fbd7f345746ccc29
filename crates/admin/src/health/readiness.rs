//! Whether this node should be sent requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_seal::Sealer;
use dunlin_state::State;
use tokio::sync::OnceCell;
use tracing::warn;

use crate::Admin;

/// How long a probe waits for the leader. Probes give up after a second or two themselves.
const PROBE_PATIENCE: Duration = Duration::from_millis(800);

/// How many tries of three seconds to ask a leader a node makes when it starts, until it says that
/// it is ready without one. It serves from what it holds anyway, and where all nodes are as alone, a
/// probe must not take the last one out of service.
const LEADERLESS_TRIES: u32 = 3;

/// A leader that was not heard for so long is lost. A leader counts by its quorum: one that restarts
/// takes itself for the leader still.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(2);

/// Of a node that can open nothing of what the cluster has sealed.
pub const WRONG_SECRET: &str = "this node's cluster secret (DUNLIN_CLUSTER_SECRET or `cluster.secret`) is not the one under \
     which its data was sealed, so that it cannot serve: start it again with the secret that the \
     other nodes have, and while that is being changed with the former one too, as \
     DUNLIN_CLUSTER_SECRET_PREVIOUS";

/// What has been reached once and is not asked again.
#[derive(Default)]
pub(crate) struct Readiness {
    /// This node has held all that the cluster had acknowledged, once since it started. It may
    /// fall behind later: then its own staleness rules decide, not a probe that takes all nodes
    /// out of service at once.
    caught_up: OnceCell<()>,
    /// There has been no leader to catch up with since this node started.
    leaderless: AtomicBool,
}

/// Why a node is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    #[error(
        "this node is draining: other nodes take its clients until `dunlin drain --undo` or a \
         restart"
    )]
    Draining,
    #[error("this node has not formed or joined a cluster yet")]
    NotFormed,
    #[error("the cluster has not made this node a member yet")]
    NotMember,
    #[error("this node has not caught up with the cluster since it started")]
    Behind,
    #[error("no config is in force on this node yet")]
    NoConfig,
    #[error("{WRONG_SECRET}")]
    WrongSecret,
    #[error(
        "this node has heard no majority of the cluster for longer than max_staleness, and cannot \
         find another node to pass requests on to"
    )]
    Stale,
}

impl Admin {
    /// Catches up with the cluster, so that a probe that comes first when the leader is gone finds
    /// it done.
    pub async fn become_ready(&self) {
        let consensus = &self.0.consensus;
        consensus.formed().await;
        let Readiness { caught_up, leaderless } = &self.0.readiness;
        let mut tries = 0;
        while caught_up.get_or_try_init(|| consensus.barrier()).await.is_err() {
            let heard = consensus.leader_heard();
            let is_led = heard.is_some_and(|at| self.0.clock.mono().since(at) < LOST_AFTER);
            tries = if is_led { 0 } else { tries + 1 };
            let gives_up = tries >= LEADERLESS_TRIES;
            let gave_up = leaderless.swap(gives_up, Ordering::Relaxed);
            // One without a config serves nobody, and says why.
            if gives_up && !gave_up && self.0.published.load().is_some() {
                warn!(
                    "no leader can be reached: this node serves from the state it had when it \
                     stopped; keys blocked or deleted since then still work here until it hears a \
                     majority"
                );
            }
            tokio::time::sleep(PROBE_PATIENCE).await;
        }
    }

    /// Whether this node should be sent requests.
    pub async fn is_ready(&self) -> bool {
        self.ready().await.is_ok()
    }

    /// The reason why this node should not be sent requests, if there is one.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        let consensus = &self.0.consensus;
        if self.0.admission.is_draining() {
            return Err(NotReady::Draining);
        }
        if consensus.cluster().is_none() {
            return Err(NotReady::NotFormed);
        }
        if !consensus.state().nodes().contains_key(&self.0.config.me) {
            return Err(NotReady::NotMember);
        }
        if self.0.published.load().is_none()
            && is_sealed_elsewhere(&consensus.state(), &self.0.config.sealer)
        {
            return Err(NotReady::WrongSecret);
        }
        let Readiness { caught_up, leaderless } = &self.0.readiness;
        let caught_up = caught_up.get_or_try_init(|| consensus.barrier());
        match tokio::time::timeout(PROBE_PATIENCE, caught_up).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) if leaderless.load(Ordering::Relaxed) => {}
            Ok(Err(_)) | Err(_) => return Err(NotReady::Behind),
        }
        if self.0.published.load().is_none() {
            return Err(NotReady::NoConfig);
        }
        let max_staleness = self.0.config.max_staleness;
        if max_staleness.is_some_and(|most| consensus.staleness() > most)
            && consensus.fresh_nodes().await.is_empty()
        {
            return Err(NotReady::Stale);
        }
        Ok(())
    }
}

/// Whether the newest config is sealed under a secret that this node does not know.
#[must_use]
pub fn is_sealed_elsewhere(state: &State, sealer: &Sealer) -> bool {
    let newest = state.config().filter(|newest| !newest.sealed.is_empty());
    newest.is_some_and(|newest| sealer.is_of_another(&newest.sealed))
}
