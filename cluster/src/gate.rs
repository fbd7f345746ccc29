//! A gate before a node: the others call the node through it, so that it can be cut off from their
//! calls while it goes on calling them. Datagrams go past it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Dropped, it is shut for ever.
pub(crate) struct Gate {
    address: SocketAddr,
    shut: watch::Sender<bool>,
    _keeper: JoinSet<()>,
}

impl Gate {
    /// An open gate on a free port before what listens at `to`, now or later.
    pub(crate) fn before(to: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for a gate")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (shut, is_shut) = watch::channel(false);
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(listener, (Ipv4Addr::LOCALHOST, to).into(), is_shut));
        Ok(Self { address, shut, _keeper: keeper })
    }

    /// Where the others find the node.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts it, which breaks what goes through, or opens it again.
    pub(crate) fn shut(&self, shut: bool) {
        self.shut.send_replace(shut);
    }
}

async fn keep(listener: tokio::net::TcpListener, to: SocketAddr, mut shut: watch::Receiver<bool>) {
    let mut passing = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((from, _)) = accepted
                && !*shut.borrow()
            {
                passing.spawn(pass(from, to));
            },
            changed = shut.changed() => match changed {
                Ok(()) if *shut.borrow() => passing.abort_all(),
                Ok(()) => {}
                Err(_) => return,
            },
            Some(_) = passing.join_next() => {}
        }
    }
}

/// How a connection ends is told to both ends by its end.
async fn pass(mut from: TcpStream, to: SocketAddr) {
    if let Ok(mut node) = TcpStream::connect(to).await {
        drop(copy_bidirectional(&mut from, &mut node).await);
    }
}
