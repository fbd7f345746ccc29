//! Sends this node's journal to another one, piece by piece, as it is written: what was written last
//! first, what a new partner lacks of older segments behind it and slowly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_journal::Held;
use dunlin_rpc::Service;
use dunlin_types::{Epoch, MonoMillis, NodeId};
use tracing::debug;

use crate::wire::{Call, Piece};
use crate::{COPY_EVERY, Records, Shared};

/// The most bytes of one piece, unless a single record is longer.
const PIECE_BYTES: usize = 1 << 20;
/// How long the partner may take to write a piece.
const PATIENCE: Duration = Duration::from_secs(5);
/// The last pieces of a node that stops are sent within this time, or stay on its own disk only.
const FAREWELL: Duration = Duration::from_secs(1);
/// A partner that stays for this long is sent older segments, too: a node that restarts is soon back.
pub(crate) const BACKFILL_AFTER: Duration = Duration::from_secs(60);
/// The pause between two pieces of older segments: they are sent at some 20 MiB a second at most.
const BACKFILL_PAUSE: Duration = Duration::from_millis(50);

type Name = (Epoch, u64);

/// Who holds this node's copy.
struct Partner {
    node: NodeId,
    since: MonoMillis,
    /// What it holds; `None` until it has said so.
    held: Option<Holds>,
}

/// What a node holds of another one's log.
pub(crate) struct Holds {
    bytes: BTreeMap<Name, u64>,
    gone: Option<Name>,
}

/// Copies until the node stops, and then once more.
pub(crate) async fn run(records: Records) {
    let shared = &records.0;
    let mut partner: Option<Partner> = None;
    let mut ticks = tokio::time::interval(COPY_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let copying = async {
        loop {
            ticks.tick().await;
            let chosen = shared.choose();
            if chosen != partner.as_ref().map(|partner| partner.node) {
                let since = shared.clock.mono();
                partner = chosen.map(|node| Partner { node, since, held: None });
            }
            if let Some(partner) = &mut partner {
                shared.copy(partner).await;
            }
            let held = partner.as_ref().and_then(|partner| partner.held.as_ref());
            shared.uncopied.is(uncopied(&shared.journal.segments(), held));
        }
    };
    shared.stop.run_until_cancelled(copying).await;
    if let Some(partner) = &mut partner
        && tokio::time::timeout(FAREWELL, shared.copy(partner)).await.is_err()
    {
        debug!(node.id = %partner.node, "the last records are on this node's disk only");
    }
}

impl Shared {
    /// Who is to hold the copy: of those who serve and seem to be there always the same one.
    fn choose(&self) -> Option<NodeId> {
        ranked(self.me, self.serving()).into_iter().find(|node| *node != self.me)
    }

    /// Sends what the partner lacks, as far as it is its turn.
    async fn copy(self: &Arc<Self>, partner: &mut Partner) {
        let settled_in = self.clock.mono().since(partner.since) >= BACKFILL_AFTER;
        self.send(self.me, partner.node, &mut partner.held, settled_in).await;
    }

    /// Sends what `to` lacks of the log of node `of`, which is this one's or a copy: all, or what was
    /// written last and what is being sent.
    pub(crate) async fn send(
        self: &Arc<Self>,
        of: NodeId,
        to: NodeId,
        held: &mut Option<Holds>,
        all: bool,
    ) {
        if held.is_none() {
            *held = self.ask_held(of, to).await;
        }
        let Some(holds) = held else { return };
        while let Some(next) = next(&self.segments(of), holds, all) {
            let Some(frames) = self.frames(of, &next).await else { return };
            let Next { segment, offset, newest } = next;
            let body = Call::Add(Piece { of, segment, offset, frames }).encode();
            let added = self.rpc.call(to, Service::Records, body, PATIENCE).await;
            let Some(now) = added.ok().and_then(|body| serde_json::from_slice(&body).ok()) else {
                debug!(node.id = %to, log.of = %of, "a piece of a log was not copied");
                *held = None;
                return;
            };
            holds.bytes.insert(segment, now);
            if !newest || of != self.me {
                tokio::time::sleep(BACKFILL_PAUSE).await;
            }
        }
    }

    /// What of the log of node `of`, which is this one's or a copy, `held` lacks, in bytes.
    pub(crate) fn lacks(&self, of: NodeId, held: Option<&Holds>) -> u64 {
        uncopied(&self.segments(of), held)
    }

    async fn ask_held(&self, of: NodeId, to: NodeId) -> Option<Holds> {
        let body = Call::Held(of).encode();
        let answer = self.rpc.call(to, Service::Records, body, PATIENCE).await;
        let held: Held = serde_json::from_slice(&answer.ok()?).ok()?;
        let bytes = held.segments.into_iter();
        let bytes = bytes.map(|(epoch, first, bytes)| ((epoch, first), bytes)).collect();
        Some(Holds { bytes, gone: held.gone })
    }

    fn segments(&self, of: NodeId) -> Vec<(Epoch, u64, u64)> {
        if of == self.me { self.journal.segments() } else { self.copies.held(of).segments }
    }

    async fn frames(self: &Arc<Self>, of: NodeId, next: &Next) -> Option<Bytes> {
        let (shared, segment, offset) = (Arc::clone(self), next.segment, next.offset);
        let read = move || {
            if of == shared.me {
                shared.journal.frames(segment, offset, PIECE_BYTES)
            } else {
                shared.copies.frames(of, segment, offset, PIECE_BYTES)
            }
        };
        // One that has gone meanwhile needs no copy.
        let frames = tokio::task::spawn_blocking(read).await.ok()?.ok()?;
        (!frames.is_empty()).then(|| Bytes::from(frames))
    }
}

/// The next piece to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Next {
    segment: Name,
    offset: u64,
    /// It belongs to the newest segment.
    newest: bool,
}

/// The bytes that a partner does not hold and wants.
fn uncopied(segments: &[(Epoch, u64, u64)], held: Option<&Holds>) -> u64 {
    let lacks = |(epoch, first, bytes): &(Epoch, u64, u64)| {
        let segment = (*epoch, *first);
        let Some(held) = held else { return *bytes };
        let has = held.bytes.get(&segment).copied().unwrap_or_default();
        if held.gone.is_none_or(|gone| segment > gone) { bytes.saturating_sub(has) } else { 0 }
    };
    segments.iter().map(lacks).sum()
}

/// Newest first; a segment of which the partner has nothing only if all are wanted.
fn next(segments: &[(Epoch, u64, u64)], held: &Holds, all: bool) -> Option<Next> {
    let mut written = segments.iter().rev().filter(|(_, _, bytes)| *bytes > 0);
    let newest = written.clone().next().map(|(epoch, first, _)| (*epoch, *first));
    written.find_map(|(epoch, first, bytes)| {
        let segment = (*epoch, *first);
        let offset = held.bytes.get(&segment).copied().unwrap_or_default();
        let newest = Some(segment) == newest;
        let is_turn = newest || offset > 0 || all;
        let wanted = is_turn && held.gone.is_none_or(|gone| segment > gone);
        (wanted && offset < *bytes).then_some(Next { segment, offset, newest })
    })
}

/// The nodes that should hold the log of node `of`, in order of preference. Rendezvous hashing: a
/// node keeps its place when others come or go.
pub(crate) fn ranked(of: NodeId, nodes: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
    let mut ranked: Vec<_> = nodes.into_iter().collect();
    ranked.sort_by_key(|node| std::cmp::Reverse((mix(of.0 ^ mix(node.0)), node.0)));
    ranked
}

/// SplitMix64's finish: each bit of the result depends on all.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeId; 5] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

    #[test]
    fn a_node_keeps_its_partner_unless_that_one_goes() {
        let choose = |me, nodes: &[NodeId]| {
            let others = nodes.iter().copied().filter(|node| *node != me);
            ranked(me, others).first().copied()
        };
        for me in NODES {
            let partner = choose(me, &NODES).expect("there are others");
            assert_ne!(partner, me);
            let without = |gone| NODES.into_iter().filter(|node| *node != gone).collect::<Vec<_>>();
            for gone in NODES.into_iter().filter(|node| *node != partner) {
                assert_eq!(choose(me, &without(gone)), Some(partner), "{me} without {gone}");
            }
            let next = choose(me, &without(partner));
            assert_eq!(next, ranked(me, NODES).into_iter().filter(|node| *node != me).nth(1));
        }
        assert_eq!(choose(NodeId(1), &[NodeId(1)]), None);
    }

    #[test]
    fn what_was_written_last_is_sent_first_and_what_is_gone_never() {
        let (one, two) = (Epoch(1), Epoch(2));
        let segments = [(one, 1, 100), (one, 50, 60), (two, 1, 30), (two, 9, 0)];
        let holds =
            |bytes: &[(Name, u64)], gone| Holds { bytes: bytes.iter().copied().collect(), gone };
        let piece = |segment, offset, newest| Some(Next { segment, offset, newest });
        let cases = [
            (holds(&[], None), false, piece((two, 1), 0, true)),
            (holds(&[((two, 1), 20)], None), false, piece((two, 1), 20, true)),
            (holds(&[((two, 1), 30)], None), false, None),
            (holds(&[((two, 1), 30)], None), true, piece((one, 50), 0, false)),
            (holds(&[((two, 1), 30), ((one, 50), 7)], None), false, piece((one, 50), 7, false)),
            (holds(&[((two, 1), 30)], Some((one, 50))), true, None),
            (holds(&[((two, 1), 30)], Some((one, 1))), true, piece((one, 50), 0, false)),
        ];
        for (held, all, expected) in cases {
            assert_eq!(next(&segments, &held, all), expected, "{:?} {all}", held.bytes);
        }
        assert_eq!(uncopied(&segments, None), 190);
        let some = holds(&[((two, 1), 20), ((one, 50), 60)], Some((one, 1)));
        assert_eq!(uncopied(&segments, Some(&some)), 10);
    }
}
