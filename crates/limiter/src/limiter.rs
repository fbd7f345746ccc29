//! One node's whole part in the limits: as the owner of some scopes, as the asker for the others.
//!
//! Nothing here waits or sends: it is told what was asked, answered and not answered, and when.

mod asking;
mod owning;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use dunlin_types::{Epoch, MonoMillis, NodeId};

use crate::account::Run;
use crate::loss::Losses;
use crate::message::Report;
use crate::outbox::Outbox;
use crate::ring::{Ring, ScopeId};
use crate::scope::Scope;

pub use asking::{Decision, Sent};

/// An owner that has not heard the leader for this long may have been replaced unheard. A new
/// owner waits as long, unless every member has confirmed the ring.
pub const FENCE: Duration = Duration::from_secs(2);
/// How long an owner waits for the pasts of nodes that may be dead.
const GATHER: Duration = Duration::from_millis(300);
/// How long a new owner has callers wait for it to know enough, rather than use their shares.
const SOON: Duration = Duration::from_millis(500);
/// From an owner's last "not yet" until the report of what was admitted on it.
const STRAGGLING: Duration = Duration::from_millis(100);
/// How often a silent peer is tried.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// Scopes kept; more are refused. A scope lives for a minute after its last request.
pub const MAX_SCOPES: usize = 1_000_000;
/// Scopes looked at in one [`Limiter::tick`] for being idle.
const SWEPT: usize = 2048;
/// Rings remembered while an owner gathers.
const MOST_RINGS: usize = 16;
/// Nodes that are in no ring any more and still known; with one more, all of them are forgotten.
const MAX_FORMER: usize = 64;

/// The limits as one node knows them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limiter {
    me: NodeId,
    epoch: Epoch,
    /// The ring for which the owned scopes were last complete, and all that came after it. A scope
    /// that this node owns in each of them never left it.
    rings: Vec<Arc<Ring>>,
    gathering: Option<Gathering>,
    leader_heard: MonoMillis,
    scopes: BTreeMap<ScopeId, Scope>,
    /// Scopes with a lease of this node.
    leased: BTreeSet<ScopeId>,
    peers: BTreeMap<NodeId, Peer>,
    swept: Option<ScopeId>,
    losses: Losses,
    /// How many asks of it pulled.
    pulls: u64,
}

/// Waiting to hear what the others admitted in scopes that this node owns since the last ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Gathering {
    /// A lost owner may go on until then.
    not_before: MonoMillis,
    /// Who has not told by then is taken for dead.
    at_most: MonoMillis,
    /// All is told but what was admitted by shares in this very moment.
    complete: Option<MonoMillis>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Peer {
    /// Its life, once it was heard of.
    epoch: Option<Epoch>,
    outbox: Outbox,
    /// Its present sequence of reports, and how many of them were heard.
    run: Run,
    heard: u64,
    /// The last ring it confirmed.
    ring: u64,
    /// It did not answer: when it is tried again.
    silent: Option<MonoMillis>,
    /// When it last asked.
    asked: MonoMillis,
    /// Whether the next ask is to pull, and the last pull that was answered.
    pull: bool,
    pulled: u64,
}

impl Limiter {
    /// The limits of a node that has just started and knows of nobody.
    #[must_use]
    pub fn new(me: NodeId, epoch: Epoch) -> Self {
        Self {
            me,
            epoch,
            rings: vec![Arc::default()],
            gathering: None,
            leader_heard: MonoMillis(0),
            scopes: BTreeMap::new(),
            leased: BTreeSet::new(),
            peers: BTreeMap::new(),
            swept: None,
            losses: Losses::default(),
            pulls: 0,
        }
    }

    /// The ring it goes by.
    #[must_use]
    pub fn ring(&self) -> &Arc<Ring> {
        self.rings.last().expect("there is always a ring")
    }

    /// When the leader, or as the leader a quorum, was last heard.
    pub fn hear_leader(&mut self, at: MonoMillis) {
        self.leader_heard = self.leader_heard.max(at);
    }

    /// The replicated ring changed: scopes move, and what this node admitted in them is told to
    /// their new owners.
    pub fn set_ring(&mut self, ring: Arc<Ring>, now: MonoMillis) {
        let old = Arc::clone(self.ring());
        if ring.version() == old.version() {
            return;
        }
        let missed = ring.without_returned(old.version());
        if let Some(missed) =
            missed.filter(|ring| old.members().iter().any(|node| !ring.has(*node)))
        {
            // Who is there again was away meanwhile, and others owned its scopes.
            self.set_ring(Arc::new(missed), now);
            return self.set_ring(ring, now);
        }
        self.gather(&old, &ring, now);
        for gone in old.members().iter().filter(|node| !ring.has(**node)) {
            if let Some(peer) = self.peers.get_mut(gone) {
                peer.outbox.restart();
            }
        }
        for (id, scope) in &mut self.scopes {
            let owner = ring.owner(*id);
            if owner == old.owner(*id) {
                continue;
            }
            scope.held = None;
            scope.cut = None;
            if let Some(owner) = owner.filter(|owner| *owner != self.me) {
                self.peers.entry(owner).or_default().outbox.add_whole(*id);
            }
        }
        for node in ring.members().iter().filter(|node| **node != self.me) {
            self.peers.entry(*node).or_default().outbox.confirm_ring(ring.version());
        }
        for node in ring.absent().iter().filter(|node| !old.has(**node)) {
            // It may have come back, and nobody has tried since.
            self.peers.entry(*node).or_default().silent = None;
        }
        let is_known = |node: &NodeId| ring.has(*node) || ring.absent().contains(node);
        if self.peers.len() > ring.members().len() + ring.absent().len() + MAX_FORMER {
            self.peers.retain(|node, _| is_known(node) || old.has(*node));
        }
        self.losses.turn(&ring, now);
        self.rings.push(ring);
        self.note_returns();
        if self.rings.len() > MOST_RINGS {
            self.rings.drain(1..MOST_RINGS);
            self.rings[0] = Arc::default();
        }
    }

    fn gather(&mut self, old: &Ring, new: &Ring, now: MonoMillis) {
        let lost = old.members().iter().any(|node| !new.has(*node));
        let (not_before, at_most) = if lost {
            // The lost node may believe for so long that it is the owner.
            (now.plus(FENCE), now.plus(FENCE + GATHER))
        } else if old.members().is_empty() {
            // A fresh start: whoever owned this node's scopes before, they did not move just now.
            (now, now.plus(GATHER))
        } else {
            // A member that has not confirmed the new ring may still be the owner by the old one.
            (now, now.plus(FENCE))
        };
        let before = self.gathering.unwrap_or(Gathering { not_before, at_most, complete: None });
        self.gathering = Some(Gathering {
            not_before: not_before.max(before.not_before),
            at_most: at_most.max(before.at_most),
            complete: None,
        });
    }

    /// Ends the gathering when there is nothing more to wait for.
    fn gathered(&mut self, now: MonoMillis) {
        let Some(gathering) = &mut self.gathering else { return };
        let ring = self.rings.last().expect("there is always a ring");
        let alone = ring.members() == [self.me];
        if gathering.complete.is_none() {
            let told = |node: &NodeId| {
                *node == self.me || self.peers.get(node).is_some_and(|p| p.ring == ring.version())
            };
            let told_or_dead = |node: &NodeId| {
                told(node) || self.peers.get(node).is_some_and(|peer| peer.silent.is_some())
            };
            let all_told = now >= gathering.not_before
                && ring.members().iter().all(told)
                && ring.absent().iter().all(told_or_dead);
            gathering.complete = (all_told || now >= gathering.at_most).then_some(now);
        }
        if gathering.complete.is_some_and(|at| alone || now >= at.plus(STRAGGLING)) {
            let heard = |node: &NodeId| {
                *node == self.me || self.peers.get(node).is_some_and(|p| p.ring == ring.version())
            };
            let owners = self.rings.iter().flat_map(|ring| ring.members()).copied();
            let unheard: BTreeSet<_> = owners.filter(|node| !heard(node)).collect();
            self.losses.replaced(&self.rings, unheard.into_iter().collect(), now);
            self.gathering = None;
            self.rings = vec![Arc::clone(ring)];
        }
    }

    /// Lost nodes that are marked up and have told all that they admitted are lost no more.
    fn note_returns(&mut self) {
        let ring = self.rings.last().expect("there is always a ring");
        let told = |node: &NodeId| {
            ring.has(*node) && self.peers.get(node).is_some_and(|p| p.ring == ring.version())
        };
        let back: Vec<_> =
            self.losses.lost().filter(|node| *node == self.me || told(node)).collect();
        back.into_iter().for_each(|node| self.losses.is_back(node));
    }

    /// What is known of the others, beside the scopes.
    fn known(&mut self, now: MonoMillis) -> (Known<'_>, &mut BTreeMap<ScopeId, Scope>) {
        let Self { me, rings, peers, losses, scopes, .. } = self;
        let ring = rings.last().expect("there is always a ring");
        (Known { me: *me, ring, peers, now, losses }, scopes)
    }

    /// Whether it is worth waiting for this node to know enough.
    fn decides_soon(&self, now: MonoMillis) -> bool {
        let fits = |g: &Gathering| (g.not_before..g.not_before.plus(SOON)).contains(&now);
        self.gathering.is_some_and(|g| g.complete.is_some() || fits(&g)) && !self.fenced(now)
    }

    /// Whether this node may decide for a scope by what it knows.
    fn decides(&mut self, scope: ScopeId, now: MonoMillis) -> bool {
        self.gathered(now);
        !self.fenced(now) && self.rings.iter().all(|ring| ring.owner(scope) == Some(self.me))
    }

    /// Whether the others may have made another node the owner, unheard.
    fn fenced(&self, now: MonoMillis) -> bool {
        let alone = self.ring().members() == [self.me];
        !alone && now.since(self.leader_heard) >= FENCE
    }

    /// Tells a peer that lost the thread everything that concerns it, from the beginning.
    fn tell_again(&mut self, node: NodeId) {
        let Some(ring) = self.rings.last() else { return };
        let outbox = &mut self.peers.entry(node).or_default().outbox;
        outbox.restart();
        for (id, scope) in &mut self.scopes {
            if ring.owner(*id) == Some(node) {
                scope.held = None;
                outbox.add_whole(*id);
            }
        }
        if ring.has(node) {
            outbox.confirm_ring(ring.version());
        }
    }

    fn report(&mut self, scope: ScopeId, at: MonoMillis, report: Report) {
        let Some(owner) = self.ring().owner(scope).filter(|owner| *owner != self.me) else {
            return;
        };
        let outbox = &mut self.peers.entry(owner).or_default().outbox;
        outbox.add(scope, at, report);
        if outbox.overflows() {
            self.tell_again(owner);
        }
    }

    /// What is due: leases end, idle scopes go. Returns the peers to which an ask is due, be it
    /// empty. Call it every 50 ms or so.
    pub fn tick(&mut self, now: MonoMillis) -> Vec<NodeId> {
        self.gathered(now);
        self.end_leases(now);
        self.sweep(now);
        let ring = Arc::clone(self.ring());
        let gathering = self.gathering.is_some();
        let absent = ring.absent().iter().filter(|_| gathering);
        let others = ring.members().iter().chain(absent).copied().filter(|node| *node != self.me);
        let due = others.filter(|node| {
            let peer = self.peers.entry(*node).or_default();
            let untold = gathering && peer.ring != ring.version();
            let wanted = peer.pull || !peer.outbox.is_empty() || untold;
            match &mut peer.silent {
                Some(probe) if now < *probe => false,
                Some(probe) => {
                    *probe = now.plus(PROBE_EVERY);
                    true
                }
                None => wanted,
            }
        });
        due.collect()
    }

    fn end_leases(&mut self, now: MonoMillis) {
        let ended = |id: &&ScopeId| {
            let held = self.scopes.get(*id).and_then(|scope| scope.held.as_ref());
            held.is_none_or(|held| now >= held.until)
        };
        let ended: Vec<_> = self.leased.iter().filter(ended).copied().collect();
        for scope in ended {
            self.close_lease(scope);
        }
    }

    fn sweep(&mut self, now: MonoMillis) {
        let from = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let (known, scopes) = self.known(now);
        let batch: Vec<_> = scopes
            .range_mut((from, Bound::Unbounded))
            .take(SWEPT)
            .map(|(id, scope)| (*id, scope.is_idle(now, &known)))
            .collect();
        self.swept = batch.last().filter(|_| batch.len() == SWEPT).map(|(id, _)| *id);
        for (id, _) in batch.into_iter().filter(|(_, idle)| *idle) {
            self.scopes.remove(&id);
        }
    }

    /// The peers to which an ask is due at once, because a refusal waits for what they have to say.
    #[must_use]
    pub fn to_pull(&self) -> Vec<NodeId> {
        let due = self.peers.iter().filter(|(_, peer)| peer.pull && peer.silent.is_none());
        due.map(|(node, _)| *node).collect()
    }

    /// Whether it owns nothing, and has told the others all that it admitted in what it owned.
    #[must_use]
    pub fn has_handed_over(&self) -> bool {
        let told = |node: &NodeId| self.peers.get(node).is_none_or(|peer| peer.outbox.is_empty());
        let ring = self.ring();
        let mut others = ring.members().iter().filter(|node| **node != self.me);
        (ring.rests(self.me) || !ring.has(self.me)) && others.all(told)
    }

    /// How many scopes are kept.
    #[must_use]
    pub fn scopes(&self) -> usize {
        self.scopes.len()
    }

    /// Of how many of them this node has a lease of another one's.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leased.len()
    }

    /// Whether it waits to hear what was admitted before it became the owner of some.
    #[must_use]
    pub fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }
}

/// What a node knows of the others when it decides for them.
pub(crate) struct Known<'a> {
    me: NodeId,
    ring: &'a Ring,
    peers: &'a BTreeMap<NodeId, Peer>,
    now: MonoMillis,
    pub(crate) losses: &'a Losses,
}

impl Known<'_> {
    /// Whether a node, in that run of its reports, still holds the slots it told of: not if it is
    /// marked down and asks nothing, has begun a new life, or tells its scopes anew.
    pub(crate) fn present(&self, node: NodeId, run: Run) -> bool {
        let lives = |peer: &Peer| self.ring.has(node) || self.now.since(peer.asked) < FENCE;
        let told_now = |peer: &Peer| peer.run == run && lives(peer);
        node == self.me || self.peers.get(&node).is_some_and(told_now)
    }

    /// Whether another node answers, as far as is known.
    pub(crate) fn hears(&self, node: NodeId) -> bool {
        node != self.me && self.peers.get(&node).is_some_and(|peer| peer.silent.is_none())
    }

    /// The last pull that a node answered.
    pub(crate) fn pulled(&self, node: NodeId) -> u64 {
        self.peers.get(&node).map_or(0, |peer| peer.pulled)
    }

    /// When a node last said all that it had to say.
    pub(crate) fn heard(&self, node: NodeId) -> MonoMillis {
        self.peers.get(&node).map_or(MonoMillis(0), |peer| peer.asked)
    }
}
