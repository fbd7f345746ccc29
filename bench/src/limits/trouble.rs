//! What happens to a node at half-time.

use std::time::Duration;

use clap::ValueEnum;
use dunlin_cluster::Cluster;
use tokio::time::sleep;

use super::name;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Nothing.
    Calm,
    /// The limit's owner is killed (-9).
    Kill,
    /// The node through which most requests come in is killed (-9); it does not own the limit.
    KillEntry,
    /// The owner is cut off from the other nodes; clients and the upstream still reach it. Runs in a
    /// network of its own (`unshare`), which needs no root.
    Cut,
    /// The owner stands still (SIGSTOP, later SIGCONT).
    Stall,
}

impl Mode {
    pub(super) fn victim(self, owner: usize, most_used: usize) -> usize {
        if self == Self::KillEntry { most_used } else { owner }
    }

    /// Lets it happen after some time, and gives it in words. A node that is killed stays dead.
    pub(super) async fn happen(
        self,
        cluster: &mut Cluster,
        victim: usize,
        after: Duration,
        away_s: u64,
    ) -> anyhow::Result<String> {
        sleep(after).await;
        let (node, away) = (name(victim), Duration::from_secs(away_s));
        let how = match self {
            Self::Calm => return Ok("nothing".to_owned()),
            Self::Kill | Self::KillEntry => {
                cluster.kill(victim).await?;
                "killed (-9)".to_owned()
            }
            Self::Cut => {
                cluster.cut(victim, true).await?;
                sleep(away).await;
                cluster.cut(victim, false).await?;
                format!("cut off from the others for {away_s} s")
            }
            Self::Stall => {
                cluster.pause(victim)?;
                sleep(away).await;
                cluster.resume(victim)?;
                format!("stopped (SIGSTOP) for {away_s} s")
            }
        };
        Ok(format!("{node} was {how} after {} s", after.as_secs_f64()))
    }
}
