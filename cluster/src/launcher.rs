//! From a config text to running nodes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::apart::{Apart, Place};
use crate::client::Client;
use crate::cluster::Cluster;
use crate::gate::Gate;
use crate::node::{Node, Plan};
use crate::{ports, wait_until};

/// A port may be taken between finding it free and the node binding it.
const TRIES: usize = 3;
/// How long a node may take until it listens or has ended. Generous: a debug build on a busy
/// machine.
const LISTEN_WITHIN: Duration = Duration::from_secs(20);

/// What to start. The nodes are equal: one config, one cluster secret, one master key.
pub struct Launcher {
    /// The `dunlin` binary.
    pub binary: PathBuf,
    /// Where data, logs and the config file go; exists and is empty.
    pub dir: PathBuf,
    /// The text of the config file.
    pub config: String,
    /// How many nodes. One node gets no cluster flags: it is a cluster of its own.
    pub nodes: usize,
    /// The API port of the first node, the next ones follow; by default any free ones.
    pub first_port: Option<u16>,
    /// Environment of the nodes; beats the two generated secrets. Nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// The log filter of the nodes.
    pub log: String,
    /// The node that the others call through a gate, which [`Cluster::deafen`] shuts.
    pub gated: Option<usize>,
    /// Each node in a network of its own, from which [`Cluster::cut`] takes it: for a process that
    /// [`crate::alone`] has started.
    pub apart: bool,
}

impl Launcher {
    /// Three nodes on free ports.
    #[must_use]
    pub fn new(binary: PathBuf, dir: PathBuf, config: String) -> Self {
        let log = "info".to_owned();
        let (first_port, environment, gated, apart) = (None, Vec::new(), None, false);
        Self { binary, dir, config, nodes: 3, first_port, environment, log, gated, apart }
    }

    /// Starts the processes and returns when each listens. They may not have met yet:
    /// [`Cluster::wait_ready`] waits for that.
    ///
    /// # Errors
    /// A node ended or did not listen within 20 s; the error shows the end of its log.
    pub async fn start(self) -> anyhow::Result<Cluster> {
        assert!(self.nodes > 0, "a cluster has nodes");
        fs::write(self.dir.join("config.yaml"), &self.config)
            .with_context(|| format!("cannot write into {}", self.dir.display()))?;
        let master_key = format!("sk-{}", random_hex());
        let secret = random_hex();
        let client = Client::new(&master_key)?;
        let apart = match self.apart {
            true => Some(Apart::of(self.nodes).await?),
            false => None,
        };
        let mut failure = anyhow::anyhow!("no try was made");
        for _ in 0..TRIES {
            let mut nodes = self.plan(&master_key, &secret)?;
            match listen(&mut nodes, &client).await {
                Ok(()) => return Ok(Cluster::new(nodes, client, secret, apart)),
                Err(error) => failure = error,
            }
            if self.first_port.is_some() || !nodes.iter().any(lost_its_port) {
                break;
            }
            drop(nodes);
            self.forget()?;
        }
        Err(failure)
    }

    fn plan(&self, master_key: &str, secret: &str) -> anyhow::Result<Vec<Node>> {
        let free = ports::free_ports(2 * self.nodes)?;
        let (api, cluster) = free.split_at(self.nodes);
        let api: Vec<u16> = match self.first_port {
            Some(first) => (0..self.nodes).map(|i| first + u16_of(i)).collect(),
            None => api.to_vec(),
        };
        let places: Vec<Place> = (0..self.nodes).map(|index| self.place(index)).collect();
        let addresses: Vec<String> =
            places.iter().zip(cluster).map(|(at, port)| format!("{}:{port}", at.peers)).collect();
        let mut environment = vec![
            ("LITELLM_MASTER_KEY".to_owned(), master_key.to_owned()),
            ("DUNLIN_CLUSTER_SECRET".to_owned(), secret.to_owned()),
        ];
        environment.extend(self.environment.iter().cloned());
        let node = |(index, api_port): (usize, u16)| {
            let name = format!("n{}", index + 1);
            let gated = self.gated == Some(index);
            let gate = gated.then(|| Gate::before(cluster[index])).transpose()?;
            let listen = &addresses[index];
            let advertise =
                gate.as_ref().map_or_else(|| listen.clone(), |gate| gate.address().to_string());
            let Place { clients, network, .. } = &places[index];
            let api = format!("{clients}:{api_port}");
            Ok(Node::new(Plan {
                arguments: self.arguments(&name, &api, (listen, &advertise), &addresses),
                log: self.dir.join(format!("{name}.log")),
                binary: self.binary.clone(),
                environment: environment.clone(),
                network: network.clone(),
                api,
                gate,
                name,
            }))
        };
        api.into_iter().enumerate().map(node).collect()
    }

    fn place(&self, index: usize) -> Place {
        if self.apart {
            return Apart::place(index);
        }
        let loopback = Ipv4Addr::LOCALHOST;
        Place { clients: loopback, peers: loopback, network: None }
    }

    fn arguments(
        &self,
        name: &str,
        api: &str,
        (listen, advertise): (&str, &str),
        all: &[String],
    ) -> Vec<String> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let (host, port) = api.rsplit_once(':').expect("an address has a port");
        let mut flags = vec![
            ("--config", path("config.yaml")),
            ("--host", host.to_owned()),
            ("--port", port.to_owned()),
            ("--data-dir", path(name)),
            ("--log", self.log.clone()),
        ];
        if all.len() > 1 {
            flags.push(("--cluster-listen", listen.to_owned()));
            flags.push(("--advertise", advertise.to_owned()));
            flags.push(("--join", all.join(",")));
            flags.push(("--bootstrap-expect", all.len().to_string()));
        }
        let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        std::iter::once("serve".to_owned()).chain(flags).collect()
    }

    /// Removes what a failed start left, so that the next one begins from nothing.
    fn forget(&self) -> anyhow::Result<()> {
        for index in 0..self.nodes {
            let data = self.dir.join(format!("n{}", index + 1));
            if data.is_dir() {
                fs::remove_dir_all(&data)?;
            }
        }
        Ok(())
    }
}

async fn listen(nodes: &mut [Node], client: &Client) -> anyhow::Result<()> {
    for node in &mut *nodes {
        node.start()?;
    }
    for node in nodes {
        let url = node.url("/health/liveliness");
        let what = format!("{} listens", node.name());
        let mut ended = false;
        wait_until(&what, LISTEN_WITHIN, async || {
            ended = !node.is_running();
            ended || client.get(&url).await.is_ok()
        })
        .await
        .with_context(|| node.log_tail())?;
        if ended {
            bail!("{} ended at its start\n{}", node.name(), node.log_tail());
        }
    }
    Ok(())
}

fn lost_its_port(node: &Node) -> bool {
    node.log_tail().to_lowercase().contains("in use")
}

fn u16_of(index: usize) -> u16 {
    u16::try_from(index).expect("fewer nodes than ports")
}

/// 32 hex digits from the system's randomness.
fn random_hex() -> String {
    format!("{:032x}", rand::random::<u128>())
}
