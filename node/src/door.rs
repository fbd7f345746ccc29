//! When clients are let in. The port is taken first, so that one in use stops the start; it refuses
//! connections until the node can serve, because clients of a name with several addresses go to the
//! next one when a connection is refused, and not when they are answered 503.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::watch;
use tracing::warn;

/// A node that cannot serve yet listens then all the same: whoever looks must see that it lives and
/// what it waits for.
const LISTEN_WITHIN: Duration = Duration::from_secs(10);
/// Connections that wait in the kernel to be accepted; further ones are dropped, and tried again by
/// their clients' kernels.
const BACKLOG: u32 = 1024;

/// A port that is taken and does not listen yet.
pub(crate) struct Door {
    socket: TcpSocket,
    name: String,
}

impl Door {
    /// Takes the first address of `host` that can be had.
    pub(crate) async fn take(host: &str, port: u16) -> anyhow::Result<Self> {
        let name = format!("{host}:{port}");
        let addresses = lookup_host((host, port)).await;
        let addresses = addresses.with_context(|| format!("cannot serve clients on {name}"))?;
        let mut taken = Err(std::io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            taken = bind(address);
            if taken.is_ok() {
                break;
            }
        }
        let socket = taken.with_context(|| {
            format!(
                "cannot serve clients on {name} (another --port may be free, or another --host)"
            )
        })?;
        Ok(Self { socket, name })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Listens once `able` says so, or [`LISTEN_WITHIN`] has passed.
    pub(crate) async fn open(self, able: watch::Receiver<bool>) -> anyhow::Result<TcpListener> {
        self.open_within(able, LISTEN_WITHIN).await
    }

    async fn open_within(
        self,
        mut able: watch::Receiver<bool>,
        within: Duration,
    ) -> anyhow::Result<TcpListener> {
        let able = able.wait_for(|able| *able);
        if tokio::time::timeout(within, able).await.is_err() {
            warn!(
                "this node listens, but cannot serve everything yet: /health/readiness says what \
                 it is waiting for"
            );
        }
        let listening = self.socket.listen(BACKLOG);
        listening.with_context(|| format!("cannot serve clients on {}", self.name))
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the node's last life may linger; another listener is refused all the same.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_port_is_taken_at_once_and_listens_when_the_node_is_able_or_late() {
        const NEVER: Duration = Duration::from_secs(3600);
        for (able, within) in [(true, NEVER), (false, Duration::ZERO)] {
            let door = Door::take("127.0.0.1", 0).await.expect("a free port");
            let address = door.address().expect("bound");
            assert!(TcpStream::connect(address).await.is_err(), "refused until then");
            let (_tell, told) = watch::channel(able);
            let _listener = door.open_within(told, within).await.expect("it listens");
            TcpStream::connect(address).await.expect("it listens");
            let other = Door::take("127.0.0.1", address.port()).await.err().expect("in use");
            assert!(format!("{other:#}").contains("in use"), "{other:#}");
        }
    }
}
