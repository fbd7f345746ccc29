//! openraft's calls to its peers, over `rpc`. The addresses are `addresses.rs`'s business.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use dunlin_rpc::{CallError, Rpc, Service};
use dunlin_types::NodeId;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::addresses::Addresses;
use crate::cluster_time::LocalTime;
use crate::freshness::Word;
use crate::machine::Snapshot;
use crate::node::Node;
use crate::raft::{Types, Vote};
use crate::wire::{self, ChunkHead, ChunkTaken};

/// How long a peer may take to make entries durable. openraft would give it one heartbeat, which
/// a busy disk exceeds; a timed-out append is sent again and makes it busier.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);
/// A snapshot travels in pieces well below the largest message.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Makes a caller for each peer.
pub(crate) struct Network {
    pub(crate) rpc: Rpc,
    pub(crate) me: u64,
    /// Owns this, through its log.
    pub(crate) node: Weak<Node>,
    pub(crate) addresses: Arc<Addresses>,
}

/// Calls one peer.
pub(crate) struct Peer {
    rpc: Rpc,
    me: u64,
    node: Weak<Node>,
    target: u64,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        self.addresses.suggest(NodeId(target), &node.addr);
        Peer { rpc: self.rpc.clone(), me: self.me, node: Weak::clone(&self.node), target }
    }
}

impl Peer {
    async fn call(
        &self,
        kind: RPCTypes,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RPCError<Types>> {
        let left = |node: Arc<Node>| node.removed.borrow().is_some();
        if self.node.upgrade().is_some_and(left) {
            // It must not lead those who do not know yet what became of their cluster.
            return Err(unreadable("this node has left its cluster".to_owned()));
        }
        match self.rpc.call(NodeId(self.target), Service::Raft, body, timeout).await {
            Ok(answer) => Ok(answer),
            Err(e @ CallError::WrongCluster { theirs: Some(theirs), superseded: true, .. }) => {
                if let Some(node) = self.node.upgrade() {
                    node.leave_for(theirs);
                }
                Err(RPCError::Unreachable(Unreachable::new(&e)))
            }
            Err(CallError::TimedOut { after }) => Err(RPCError::Timeout(Timeout {
                action: kind,
                id: self.me,
                target: self.target,
                timeout: after,
            })),
            Err(
                e @ (CallError::Unreachable { .. }
                | CallError::UnknownPeer { .. }
                | CallError::Lost { .. }
                | CallError::Refused { .. }
                | CallError::WrongCluster { .. }
                | CallError::WrongSecret { .. }
                | CallError::WrongTarget { .. }
                | CallError::Itself
                | CallError::Busy
                | CallError::TooLarge { .. }
                | CallError::Stopping),
            ) => Err(RPCError::Unreachable(Unreachable::new(&e))),
        }
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        kind: RPCTypes,
        tag: u8,
        message: &impl Serialize,
        timeout: Duration,
    ) -> Result<A, RPCError<Types>> {
        let answer = self.call(kind, wire::tagged(tag, message), timeout).await?;
        wire::decode(&answer).map_err(unreadable)
    }

    /// What this node, as the leader, says of itself now; `None` before the peer has answered.
    fn word(&self) -> Option<Word> {
        let node = self.node.upgrade()?;
        let echo = node.freshness.echo(NodeId(self.target))?;
        let quorum_age = node.running()?.quorum_age()?;
        Some(Word {
            echo,
            quorum_age,
            applied: *node.published.applied().borrow(),
            time: node.time(),
        })
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
        timeout: Duration,
    ) -> Result<Vote, RPCError<Types>> {
        let (last, file) = (snapshot.meta.last_log_id, snapshot.snapshot);
        let total = file.len() as u64;
        let mut offset = 0;
        for data in file.chunks(CHUNK_BYTES) {
            let head = ChunkHead { vote, last, offset, total };
            offset += data.len() as u64;
            let body = wire::chunk(&head, data);
            let answer = self.call(RPCTypes::InstallSnapshot, body, timeout).await?;
            match wire::decode(&answer).map_err(unreadable)? {
                ChunkTaken::More => {}
                ChunkTaken::Installed(vote) => return Ok(vote),
            }
        }
        let reason = "the peer took the whole snapshot and asked for more";
        Err(RPCError::Unreachable(Unreachable::from_string(reason)))
    }
}

fn unreadable(reason: String) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let heartbeat = rpc.entries.is_empty();
        let timeout = if heartbeat { option.hard_ttl() } else { APPEND_TIMEOUT };
        let body = wire::append(&rpc, self.word());
        let sent = self.node.upgrade().map(|node| node.clock.mono());
        let answer = self.call(RPCTypes::AppendEntries, body, timeout).await?;
        let (from, answer) = wire::decode_appended(&answer).map_err(unreadable)?;
        if let Some((node, sent)) = self.node.upgrade().zip(sent) {
            let here = LocalTime::now(&node.clock);
            node.freshness.answered(NodeId(self.target), from.moment);
            node.time.told(NodeId(self.target), from.clock, sent, here);
        }
        Ok(answer)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask(RPCTypes::Vote, wire::VOTE, &rpc, option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask(RPCTypes::Vote, wire::PRE_VOTE, &rpc, option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot, option.hard_ttl()) => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(e) => Err(StreamingError::from(e)),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        self.ask(RPCTypes::TransferLeader, wire::TRANSFER_LEADER, &req, option.hard_ttl()).await
    }
}
