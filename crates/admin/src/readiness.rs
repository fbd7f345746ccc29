//! Whether this node should be sent requests.

use std::time::Duration;

use tokio::sync::OnceCell;

use crate::Admin;

/// How long a probe waits for the leader. Probes give up after a second or two themselves.
const PROBE_PATIENCE: Duration = Duration::from_millis(800);

/// What has been reached once and is not asked again.
#[derive(Default)]
pub(crate) struct Readiness {
    /// This node has held all that the cluster had acknowledged, once since it started. It may
    /// fall behind later: then its own staleness rules decide, not a probe that takes all nodes
    /// out of service at once.
    caught_up: OnceCell<()>,
}

/// Why a node is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("this node has not formed or joined a cluster yet")]
    NotFormed,
    #[error("the cluster has not made this node a member yet")]
    NotMember,
    #[error("this node has not caught up with the cluster since it started")]
    Behind,
    #[error("no config is in force on this node yet")]
    NoConfig,
}

impl Admin {
    /// Catches up with the cluster, so that a probe that comes first when the leader is gone finds
    /// it done.
    pub async fn become_ready(&self) {
        let consensus = &self.0.consensus;
        consensus.formed().await;
        let caught_up = &self.0.readiness.caught_up;
        while caught_up.get_or_try_init(|| consensus.barrier()).await.is_err() {
            tokio::time::sleep(PROBE_PATIENCE).await;
        }
    }

    /// Whether this node should be sent requests.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        let consensus = &self.0.consensus;
        if consensus.status().cluster.is_none() {
            return Err(NotReady::NotFormed);
        }
        if !consensus.state().nodes().contains_key(&self.0.config.me) {
            return Err(NotReady::NotMember);
        }
        let caught_up = self.0.readiness.caught_up.get_or_try_init(|| consensus.barrier());
        match tokio::time::timeout(PROBE_PATIENCE, caught_up).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(NotReady::Behind),
        }
        if self.0.published.load().is_none() {
            return Err(NotReady::NoConfig);
        }
        Ok(())
    }
}
