//! What can go wrong with real nodes and their backends. Each fault is over when it returns.

use std::time::Duration;

use dunlin_mock_upstream as mock;
use tokio::time::sleep;

use super::stage::{FORMED, Stage};
use crate::history::Act;
use crate::random::Random;

/// Pauses shorter and longer than a leader's lease and the mark of a silent node.
const PAUSE_MS: (u64, u64) = (300, 4_000);
const DOWN_MS: (u64, u64) = (500, 3_000);
const ILL_MS: (u64, u64) = (1_500, 3_000);
const LEADER_WITHIN: Duration = Duration::from_secs(20);

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of a node that does not lead.
    KillFollower,
    /// SIGKILL of the leader.
    KillLeader,
    /// SIGSTOP and SIGCONT of any node.
    Pause,
    /// SIGKILL of all nodes.
    RestartAll,
    /// SIGTERM of any node.
    Stop,
    /// A backend's process is gone.
    BackendRefuse,
    /// A backend takes requests and never answers.
    BackendHang,
    /// A backend answers 500.
    BackendFail,
    /// A backend resets connections in the middle of answers.
    BackendReset,
    /// A backend is loading its model.
    BackendLoading,
}

/// All of them, with their names and what is said of each in lists.
pub static ALL: &[(Fault, &str, &str)] = &[
    (Fault::KillFollower, "kill-follower", "SIGKILL of a node that does not lead"),
    (Fault::KillLeader, "kill-leader", "SIGKILL of the leader"),
    (Fault::Pause, "pause", "SIGSTOP, later SIGCONT, of any node"),
    (Fault::RestartAll, "restart-all", "SIGKILL of all nodes at once"),
    (Fault::Stop, "stop", "SIGTERM of any node"),
    (Fault::BackendRefuse, "backend-refuse", "a backend's process is gone"),
    (Fault::BackendHang, "backend-hang", "a backend takes requests and never answers"),
    (Fault::BackendFail, "backend-fail", "a backend answers 500"),
    (Fault::BackendReset, "backend-reset", "a backend resets connections in mid-answer"),
    (Fault::BackendLoading, "backend-loading", "a backend answers 503, loading its model"),
];

impl Fault {
    /// The fault of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, known, _)| *known == name).map(|(fault, ..)| *fault)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let listed = ALL.iter().find(|(fault, ..)| *fault == self);
        listed.map(|(_, name, _)| *name).expect("every fault is listed")
    }

    /// Begins, lasts and is over.
    pub(super) async fn happen(self, stage: &mut Stage, random: &mut Random) -> anyhow::Result<()> {
        let nodes = stage.cluster.nodes().len();
        let any = usize::try_from(random.below(nodes as u64))?;
        match self {
            Self::KillFollower => {
                let leader = stage.cluster.wait_leader(LEADER_WITHIN).await?;
                let step = 1 + usize::try_from(random.below(nodes as u64 - 1))?;
                kill(stage, &[(leader + step) % nodes], random).await
            }
            Self::KillLeader => {
                let leader = stage.cluster.wait_leader(LEADER_WITHIN).await?;
                kill(stage, &[leader], random).await
            }
            Self::RestartAll => kill(stage, &(0..nodes).collect::<Vec<_>>(), random).await,
            Self::Pause => {
                stage.recorder.done(Act::Paused { node: any });
                stage.cluster.pause(any)?;
                wait(random, PAUSE_MS).await;
                stage.cluster.resume(any)?;
                stage.recorder.done(Act::Resumed { node: any });
                Ok(())
            }
            Self::Stop => {
                stage.recorder.done(Act::Stopped { node: any });
                stage.cluster.stop(any).await?;
                wait(random, DOWN_MS).await;
                come_back(stage, &[any]).await
            }
            Self::BackendRefuse => ill(stage, random, mock::Fault::Refuse, "is gone").await,
            Self::BackendHang => ill(stage, random, mock::Fault::Hang, "never answers").await,
            Self::BackendFail => {
                let fault = mock::Fault::Status { code: 500, retry_after: None };
                ill(stage, random, fault, "answers 500").await
            }
            Self::BackendReset => {
                ill(stage, random, mock::Fault::ResetMidStream(2), "breaks answers off").await
            }
            Self::BackendLoading => {
                ill(stage, random, mock::Fault::Loading, "loads its model").await
            }
        }
    }

    /// A list of names, as it is typed.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn list(names: &str) -> Result<Vec<Self>, String> {
        let named = |name: &str| Self::named(name.trim()).ok_or_else(|| name.to_owned());
        names.split(',').map(named).collect()
    }
}

async fn wait(random: &mut Random, (least, most): (u64, u64)) {
    sleep(Duration::from_millis(random.between(least, most))).await;
}

async fn kill(stage: &mut Stage, victims: &[usize], random: &mut Random) -> anyhow::Result<()> {
    for node in victims {
        stage.recorder.done(Act::Killed { node: *node });
        stage.cluster.kill(*node).await?;
    }
    wait(random, DOWN_MS).await;
    come_back(stage, victims).await
}

async fn come_back(stage: &mut Stage, gone: &[usize]) -> anyhow::Result<()> {
    for node in gone {
        stage.cluster.restart(*node)?;
    }
    stage.cluster.wait_ready(FORMED).await?;
    gone.iter().for_each(|node| stage.recorder.done(Act::Back { node: *node }));
    Ok(())
}

/// One backend is ill for a while. What it has taken in may break off when it is over, too.
async fn ill(
    stage: &mut Stage,
    random: &mut Random,
    fault: mock::Fault,
    how: &str,
) -> anyhow::Result<()> {
    let backend = usize::try_from(random.below(stage.backends.len() as u64))?;
    // A process that ends takes its open answers with it.
    let breaks = matches!(fault, mock::Fault::Refuse | mock::Fault::ResetMidStream(_));
    let how = how.to_owned();
    stage.recorder.done(Act::BackendIll { backend, how, breaks });
    stage.backends[backend].set_fault(fault).await;
    wait(random, ILL_MS).await;
    stage.backends[backend].set_fault(mock::Fault::None).await;
    stage.recorder.done(Act::BackendWell { backend });
    Ok(())
}
