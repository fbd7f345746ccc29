//! Nodes apart: each in a network of its own, with two wires. One leads to clients and upstreams, the
//! other to the other nodes, and that one can be cut.
//!
//! Networks are made by the kernel (namespaces), which asks for rights over the network they hang on.
//! Whoever starts a process with [`alone`] gives it a network in which it has them: no root, and
//! nothing of the machine's own network is touched.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Where upstreams have to listen, for nodes that are apart to reach them.
pub const UPSTREAMS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

/// Where a node is.
pub(crate) struct Place {
    pub(crate) clients: Ipv4Addr,
    pub(crate) peers: Ipv4Addr,
    pub(crate) network: Option<PathBuf>,
}

/// The networks, which end with this process.
pub(crate) struct Apart(());

/// A program that runs in a network of nobody else, with all rights over that; Linux lets any user
/// start one, unless its administrator has forbidden it.
#[must_use]
pub fn alone(program: &Path, arguments: &[OsString]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--"]);
    command.arg(program).args(arguments).kill_on_drop(true);
    command
}

impl Apart {
    /// Networks for so many nodes.
    pub(crate) async fn of(nodes: usize) -> anyhow::Result<Self> {
        let links = Command::new("ip").args(["-o", "link"]).output().await.context("no `ip`")?;
        let links = String::from_utf8_lossy(&links.stdout).lines().count();
        ensure!(
            links == 1,
            "this process has {links} links: only one that is alone makes networks"
        );
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none", "/run"]).status().await?;
        ensure!(mounted.success(), "nothing can be mounted: networks need a place for their names");
        let bridges = format!(
            "link set lo up\nlink add clients type bridge\nlink set clients up\n\
             link add peers type bridge\nlink set peers up\naddr add {UPSTREAMS}/24 dev clients\n"
        );
        ip(None, &bridges).await?;
        for index in 0..nodes {
            let (name, at) = (name(index), Self::place(index));
            let wires = format!(
                "netns add {name}\nlink add c{name} type veth peer name clients netns {name}\n\
                 link add p{name} type veth peer name peers netns {name}\n\
                 link set c{name} master clients up\nlink set p{name} master peers up\n"
            );
            ip(None, &wires).await?;
            let ends = format!(
                "link set lo up\naddr add {}/24 dev clients\naddr add {}/24 dev peers\n\
                 link set clients up\nlink set peers up\n",
                at.clients, at.peers
            );
            ip(Some(&name), &ends).await?;
        }
        Ok(Self(()))
    }

    pub(crate) fn place(index: usize) -> Place {
        let last = u8::try_from(index + 1).expect("few nodes");
        Place {
            clients: Ipv4Addr::new(10, 77, 0, last),
            peers: Ipv4Addr::new(10, 77, 1, last),
            network: Some(Path::new("/run/netns").join(name(index))),
        }
    }

    pub(crate) async fn cut(&self, node: usize, cut: bool) -> anyhow::Result<()> {
        let end = if cut { "down" } else { "up" };
        ip(None, &format!("link set p{} {end}\n", name(node))).await
    }
}

fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

/// Has `ip` do some lines, in a network.
async fn ip(network: Option<&str>, lines: &str) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    if let Some(network) = network {
        command.args(["-n", network]);
    }
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("no `ip`")?;
    let mut input = child.stdin.take().context("it was piped")?;
    input.write_all(lines.as_bytes()).await?;
    drop(input);
    let done = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "`ip` refused: {}\n{lines}", said.trim());
    Ok(())
}
