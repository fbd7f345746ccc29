//! The nodes together: what is done to them, and what is waited for.

use std::time::Duration;

use anyhow::{Context, bail};
use dunlin_admin_api::ClusterStatus;
use rustix::process::Signal;

use crate::apart::Apart;
use crate::client::Client;
use crate::node::Node;
use crate::wait_until;

/// A node that is asked to stop has this long: it drains, settles and leaves.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Started nodes, by index from 0. Dropping it kills them.
pub struct Cluster {
    nodes: Vec<Node>,
    client: Client,
    secret: String,
    apart: Option<Apart>,
}

impl Cluster {
    pub(crate) fn new(
        nodes: Vec<Node>,
        client: Client,
        secret: String,
        apart: Option<Apart>,
    ) -> Self {
        Self { nodes, client, secret, apart }
    }

    /// All nodes, running or not.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The URL of a path of one node's API.
    #[must_use]
    pub fn url(&self, node: usize, path: &str) -> String {
        self.nodes[node].url(path)
    }

    /// A caller with the master key.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a virtual key, asked of the first node, with the fields of `asked`.
    ///
    /// # Errors
    /// The node does not answer, or refuses.
    pub async fn make_key(&self, asked: &serde_json::Value) -> anyhow::Result<String> {
        #[derive(serde::Deserialize)]
        struct Made {
            key: String,
        }
        let reply = self.client.post(&self.url(0, "/key/generate"), asked).await?;
        if !reply.ok() {
            bail!("no key was made: status {}: {}", reply.status, reply.body);
        }
        let Made { key } = reply.json()?;
        Ok(key)
    }

    /// The generated master key.
    #[must_use]
    pub fn master_key(&self) -> &str {
        self.client.key()
    }

    /// The generated cluster secret, for one more node.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The indices of the nodes that have not ended.
    pub fn running(&mut self) -> Vec<usize> {
        let nodes = self.nodes.iter_mut().enumerate();
        nodes.filter_map(|(index, node)| node.is_running().then_some(index)).collect()
    }

    /// `GET /cluster/status` of one node.
    ///
    /// # Errors
    /// It does not answer, or not with 200.
    pub async fn status(&self, node: usize) -> anyhow::Result<ClusterStatus> {
        let reply = self.client.get(&self.url(node, "/cluster/status")).await?;
        if !reply.ok() {
            bail!("{}: status {}: {}", self.nodes[node].name(), reply.status, reply.body);
        }
        reply.json()
    }

    /// Waits until every running node is ready, sees all running nodes alive, and knows the same
    /// leader.
    ///
    /// # Errors
    /// A node ended, or `within` has passed; the error shows the ends of the logs.
    pub async fn wait_ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let running = self.running();
        let cluster = &*self;
        let met = wait_until("all nodes are ready and have met", within, async || {
            cluster.have_met(&running).await
        });
        met.await.with_context(|| self.log_tails())?;
        if self.running().len() < running.len() {
            bail!("a node ended\n{}", self.log_tails());
        }
        Ok(())
    }

    async fn have_met(&self, running: &[usize]) -> bool {
        let mut leaders = Vec::new();
        for &node in running {
            let ready = self.client.get(&self.url(node, "/health/readiness")).await;
            if !ready.is_ok_and(|reply| reply.ok()) {
                return false;
            }
            let Ok(status) = self.status(node).await else { return false };
            if status.members.iter().filter(|member| member.alive).count() < running.len() {
                return false;
            }
            leaders.push(status.leader);
        }
        leaders.first().is_some_and(Option::is_some) && leaders.windows(2).all(|w| w[0] == w[1])
    }

    /// The index of the node that all running nodes hold for the leader; none while they differ.
    pub async fn leader(&mut self) -> Option<usize> {
        let mut leader = None;
        let mut at = None;
        for node in self.running() {
            let status = self.status(node).await.ok()?;
            let seen = status.leader?;
            if *leader.get_or_insert(seen) != seen {
                return None;
            }
            if status.node == seen {
                at = Some(node);
            }
        }
        at
    }

    /// Waits until the running nodes agree on a leader among themselves and gives its index.
    ///
    /// # Errors
    /// `within` has passed; the error shows the ends of the logs.
    pub async fn wait_leader(&mut self, within: Duration) -> anyhow::Result<usize> {
        let mut found = None;
        let cluster = &mut *self;
        let waiting = wait_until("the running nodes agree on a leader", within, async || {
            found = cluster.leader().await;
            found.is_some()
        });
        waiting.await.with_context(|| self.log_tails())?;
        found.context("a leader was seen")
    }

    /// Asks one node to stop (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// It was not running, ended badly, or took more than 15 s.
    pub async fn stop(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].signal(Signal::TERM)?;
        self.nodes[node].ended(STOP_WITHIN).await
    }

    /// Ends one node at once (SIGKILL).
    ///
    /// # Errors
    /// It was not running.
    pub async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].kill().await
    }

    /// Freezes one node (SIGSTOP): its sockets stay, nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].signal(Signal::STOP)
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].signal(Signal::CONT)
    }

    /// Sets a variable of a node's environment from its next start on, or takes it away.
    pub fn set_environment(&mut self, node: usize, name: &str, value: Option<&str>) {
        self.nodes[node].set_environment(name, value);
    }

    /// Has the calls of the others not reach one node, or reach it again. Its own calls and gossip
    /// pass, so that it is not missed; as the leader it would hardly notice.
    ///
    /// # Errors
    /// It was started without a gate: see [`crate::Launcher::gated`].
    pub fn deafen(&self, node: usize, deaf: bool) -> anyhow::Result<()> {
        self.nodes[node].gate()?.shut(deaf);
        Ok(())
    }

    /// Takes one node from the others, whatever they say to each other and however, or brings it
    /// back. Clients and upstreams reach it, and it them.
    ///
    /// # Errors
    /// The nodes are not apart: see [`crate::Launcher::apart`].
    pub async fn cut(&self, node: usize, cut: bool) -> anyhow::Result<()> {
        self.apart.as_ref().context("the nodes share one network")?.cut(node, cut).await
    }

    /// Starts a node again that has ended, with its old data and ports.
    ///
    /// # Errors
    /// It is running, or the process cannot be started.
    pub fn restart(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].start()
    }

    /// Asks all running nodes to stop, at the same time, and waits for them.
    ///
    /// # Errors
    /// The first failure, after all have ended.
    pub async fn stop_all(&mut self) -> anyhow::Result<()> {
        let running = self.running();
        for &node in &running {
            self.nodes[node].signal(Signal::TERM)?;
        }
        let mut outcome = Ok(());
        for node in running {
            outcome = outcome.and(self.nodes[node].ended(STOP_WITHIN).await);
        }
        outcome
    }

    /// Ends all running nodes at once, as a power cut would, except that the kernel's page cache
    /// survives.
    ///
    /// # Errors
    /// A node cannot be killed.
    pub async fn kill_all(&mut self) -> anyhow::Result<()> {
        for node in self.running() {
            self.nodes[node].kill().await?;
        }
        Ok(())
    }

    /// The last lines of every node's log, for error messages.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let tail = |node: &Node| format!("--- {}\n{}", node.name(), node.log_tail());
        self.nodes.iter().map(tail).collect::<Vec<_>>().join("\n")
    }
}
