//! chitchat's transport with every datagram sealed.
//!
//! chitchat keeps its message codec to itself, so its own UDP socket serves as codec: bound to
//! loopback, it writes each message for a relay socket beside it, which seals the bytes and sends
//! them on; what arrives is opened and goes the other way. The relay takes bytes from that socket
//! only, and messages are taken from that socket only if they came from the relay.
//!
//! Nothing here fails after the start: an error would end chitchat's task, and a datagram more or
//! less is nothing to end for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport, UdpSocket as Codec};
use dunlin_types::NodeId;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use crate::dropped::Drops;
use crate::replay::Replay;
use crate::seal::{OVERHEAD_BYTES, Seal, Stamp, Unopened};

/// The largest payload of a UDP datagram over IPv4.
const MAX_DATAGRAM_BYTES: usize = 65_507;
/// The largest message that can still be sealed into a datagram.
const MAX_PLAIN_BYTES: usize = MAX_DATAGRAM_BYTES - OVERHEAD_BYTES;
/// Over loopback the codec's bytes are there at once, or were dropped.
const CODEC_TIMEOUT: Duration = Duration::from_millis(50);
/// Wait after the system refused to receive.
const RECEIVE_PAUSE: Duration = Duration::from_millis(10);

/// Opens the one sealed socket of a node.
pub(crate) struct SealedTransport {
    /// Bound beforehand, so that a taken port is known at the start. Taken by the first `open`.
    pub(crate) socket: Mutex<Option<UdpSocket>>,
    pub(crate) seal: Arc<Seal>,
    pub(crate) me: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) drops: Arc<Drops>,
}

#[async_trait]
impl Transport for SealedTransport {
    async fn open(&self, _bound_already: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let outer = self.socket.lock().expect("no panic while it is held").take();
        let outer = outer.ok_or_else(|| anyhow::anyhow!("the gossip socket is open already"))?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let codec = Codec::open(loopback).await?;
        let relay = UdpSocket::bind(loopback).await?;
        relay.connect(codec.local_addr()?).await?;
        Ok(Box::new(SealedSocket {
            outer,
            codec,
            relay_address: relay.local_addr()?,
            relay,
            seal: self.seal.clone(),
            me: self.me,
            incarnation: self.incarnation,
            counter: 0,
            replay: Replay::default(),
            drops: self.drops.clone(),
            buffer: vec![0; MAX_DATAGRAM_BYTES],
            decoding: None,
        }))
    }
}

struct SealedSocket {
    outer: UdpSocket,
    codec: Codec,
    relay: UdpSocket,
    relay_address: SocketAddr,
    seal: Arc<Seal>,
    me: NodeId,
    incarnation: u64,
    counter: u64,
    replay: Replay,
    drops: Arc<Drops>,
    buffer: Vec<u8>,
    /// Whose message is with the codec. Kept here because `recv` may be cancelled in between.
    decoding: Option<Source>,
}

/// Where a datagram came from, its size as it came, and the size of the message in it.
#[derive(Clone, Copy)]
struct Source {
    address: SocketAddr,
    bytes: usize,
    plain_bytes: usize,
}

#[async_trait]
impl Socket for SealedSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.outer.local_addr()?)
    }

    async fn send(
        &mut self,
        to: SocketAddr,
        envelope: ChitchatEnvelope,
    ) -> anyhow::Result<SendOutcome> {
        let Some(plain_bytes) = self.encode(envelope).await else {
            Drops::count(&self.drops.unsent);
            return Ok(SendOutcome { num_bytes_sent: 0 });
        };
        if plain_bytes > MAX_PLAIN_BYTES {
            Drops::count(&self.drops.too_large);
            return Ok(SendOutcome { num_bytes_sent: 0 });
        }
        self.counter += 1;
        let stamp = Stamp { sender: self.me, incarnation: self.incarnation, counter: self.counter };
        let mut num_bytes_sent = 0;
        for datagram in self.seal.seal(stamp, rand::random, &self.buffer[..plain_bytes]) {
            num_bytes_sent += self.outer.send_to(&datagram, to).await.unwrap_or_else(|_| {
                Drops::count(&self.drops.unsent);
                0
            });
        }
        Ok(SendOutcome { num_bytes_sent })
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        loop {
            let source = match self.decoding {
                Some(source) => source,
                None => self.receive().await,
            };
            let decoded = timeout(CODEC_TIMEOUT, self.decode(source.plain_bytes)).await;
            self.decoding = None;
            match decoded {
                Ok(Ok(envelope)) => {
                    return Ok(RecvOutcome {
                        from_addr: source.address,
                        envelope,
                        num_bytes_received: source.bytes,
                    });
                }
                Ok(Err(_)) | Err(_) => Drops::count(&self.drops.unreadable),
            }
        }
    }
}

impl SealedSocket {
    /// The message's bytes at the head of `buffer`. `None`: the system would not carry them.
    async fn encode(&mut self, envelope: ChitchatEnvelope) -> Option<usize> {
        // What an attempt that ran out of time left behind would be sent to the wrong peer.
        while self.relay.try_recv(&mut self.buffer).is_ok() {}
        self.codec.send(self.relay_address, envelope).await.ok()?;
        timeout(CODEC_TIMEOUT, self.relay.recv(&mut self.buffer)).await.ok()?.ok()
    }

    /// Waits for a datagram of a peer and hands its message to the codec.
    async fn receive(&mut self) -> Source {
        loop {
            let (bytes, address) = match self.outer.recv_from(&mut self.buffer).await {
                Ok(received) => received,
                // Such as a peer's closed port, reported for a datagram sent before.
                Err(_) => {
                    sleep(RECEIVE_PAUSE).await;
                    continue;
                }
            };
            let Some(plain) = self.open(bytes) else { continue };
            if self.relay.send(&plain).await.is_ok() {
                let source = Source { address, bytes, plain_bytes: plain.len() };
                self.decoding = Some(source);
                return source;
            }
            Drops::count(&self.drops.unreadable);
        }
    }

    fn open(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let refused = match self.seal.open(&self.buffer[..bytes]) {
            Err(Unopened::Malformed) => &self.drops.malformed,
            Err(Unopened::Foreign) => &self.drops.foreign,
            Ok((stamp, _)) if stamp.sender == self.me => &self.drops.own,
            Ok((stamp, _)) if !self.replay.admit(stamp) => &self.drops.replayed,
            Ok((_, plain)) => return Some(plain),
        };
        Drops::count(refused);
        None
    }

    /// The message of this size. One of another size is a straggler, given up on before.
    async fn decode(&mut self, plain_bytes: usize) -> anyhow::Result<ChitchatEnvelope> {
        loop {
            let outcome = self.codec.recv().await?;
            let relayed = outcome.from_addr == self.relay_address;
            if relayed && outcome.num_bytes_received == plain_bytes {
                return Ok(outcome.envelope);
            }
        }
    }
}
