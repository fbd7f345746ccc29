//! The simulation: nodes that do with a `Limiter` what the edge does, over a network of seeds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_limiter::{
    Amounts, Answer, Ask, Claim, Decision, Limiter, Limits, Refused, Remaining, Ring, ScopeId,
    Sent, Taken, Verdict,
};
use dunlin_types::{Epoch, MonoMillis, NodeId, RequestId};

const SCOPE: ScopeId = ScopeId(0xDEC1DE);
/// Longest way of a message.
const DELAY_MS: u64 = 20;
/// As at the edge.
pub(crate) const PATIENCE_MS: u64 = 900;
const PEERS_PATIENCE_MS: u64 = 50;

/// What each node is asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Demand {
    pub(crate) limits: Limits,
    /// Mean time between two requests to one node.
    pub(crate) each_ms: u64,
    /// Longest life of a request.
    pub(crate) lasts_ms: u64,
    /// One in so many is undone before it is used; 0: none.
    pub(crate) undone: u64,
}

pub(crate) struct Simulation {
    now: u64,
    random: u64,
    demand: Demand,
    ring: Arc<Ring>,
    nodes: BTreeMap<NodeId, Node>,
    events: BTreeMap<(u64, u64), Event>,
    next: u64,
    log: Vec<Admitted>,
    asked: usize,
    undone: usize,
    closed: usize,
    apart: Option<NodeId>,
    only: Option<NodeId>,
    patience_ms: u64,
    /// Nodes that stand still, and until when.
    still: BTreeMap<NodeId, u64>,
    /// Nodes whose requests come at another pace than the others': the mean time between two.
    paces: BTreeMap<NodeId, u64>,
}

struct Node {
    epoch: Epoch,
    /// It hears no leader until it knows this ring.
    deaf_until: u64,
    /// `None`: it is dead.
    limiter: Option<Limiter>,
    calls: BTreeMap<u64, Call>,
    surveys: BTreeMap<u64, Survey>,
}

struct Call {
    to: NodeId,
    sent: Sent,
    at: u64,
    claim: Option<(Claim, u64)>,
    survey: Option<u64>,
}

struct Survey {
    claim: Claim,
    asked: u64,
    waiting: usize,
    told: Vec<Amounts>,
}

struct Admitted {
    at: u64,
    node: NodeId,
    tokens: u64,
    ended: u64,
}

enum Event {
    Request { node: NodeId, epoch: Epoch },
    Decide { node: NodeId, claim: Claim, deadline: u64 },
    Asked { to: NodeId, from: NodeId, call: u64, ask: Ask },
    Answered { to: NodeId, call: u64, answer: Answer },
    GivenUp { node: NodeId, call: u64 },
    SurveyOver { node: NodeId, survey: u64 },
    Ended { node: NodeId, epoch: Epoch, taken: Taken, used: u64 },
    Voided { node: NodeId, epoch: Epoch, taken: Taken },
    Tick { node: NodeId, epoch: Epoch },
    Ring { node: NodeId, ring: Arc<Ring> },
}

impl Event {
    /// To whom it happens.
    fn node(&self) -> NodeId {
        match self {
            Self::Request { node, .. }
            | Self::Decide { node, .. }
            | Self::Asked { to: node, .. }
            | Self::Answered { to: node, .. }
            | Self::GivenUp { node, .. }
            | Self::SurveyOver { node, .. }
            | Self::Ended { node, .. }
            | Self::Voided { node, .. }
            | Self::Tick { node, .. }
            | Self::Ring { node, .. } => *node,
        }
    }
}

pub(crate) fn nodes(count: u64) -> Vec<NodeId> {
    (1..=count).map(|n| NodeId(n * 0x1_0001)).collect()
}

impl Simulation {
    pub(crate) fn new(seed: u64, count: u64, demand: Demand) -> Self {
        let ring = Arc::new(Ring::new(1, nodes(count)));
        let mut simulation = Self {
            now: 1,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1CE,
            demand,
            ring: Arc::clone(&ring),
            nodes: BTreeMap::new(),
            events: BTreeMap::new(),
            next: 0,
            log: Vec::new(),
            asked: 0,
            undone: 0,
            closed: 0,
            apart: None,
            only: None,
            patience_ms: PATIENCE_MS,
            still: BTreeMap::new(),
            paces: BTreeMap::new(),
        };
        for id in nodes(count) {
            simulation.start(id, Epoch(1));
        }
        simulation
    }

    fn start(&mut self, id: NodeId, epoch: Epoch) {
        let mut limiter = Limiter::new(id, epoch);
        limiter.hear_leader(MonoMillis(self.now));
        limiter.set_ring(Arc::clone(&self.ring), MonoMillis(self.now));
        let (calls, surveys) = (BTreeMap::new(), BTreeMap::new());
        self.nodes
            .insert(id, Node { epoch, deaf_until: 0, limiter: Some(limiter), calls, surveys });
        self.after(1, Event::Tick { node: id, epoch });
        self.after(1, Event::Request { node: id, epoch });
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn owner(&self) -> NodeId {
        self.ring.owner(SCOPE).expect("members")
    }

    pub(crate) fn not_owner(&self) -> NodeId {
        self.ring.order(SCOPE)[1]
    }

    /// Clients talk to this node only.
    pub(crate) fn only_through(&mut self, node: Option<NodeId>) {
        self.only = node;
    }

    /// Clients talk to this node at a pace of its own.
    pub(crate) fn pace(&mut self, node: NodeId, each_ms: u64) {
        self.paces.insert(node, each_ms);
    }

    /// How long an owner may take before shares are used.
    pub(crate) fn wait_for_owners(&mut self, patience_ms: u64) {
        self.patience_ms = patience_ms;
    }

    /// The node stands still for so long: what comes to it waits.
    pub(crate) fn stand_still(&mut self, node: NodeId, lasts_ms: u64) {
        self.still.insert(node, self.now + lasts_ms);
    }

    /// The node dies; two seconds later it is marked down.
    pub(crate) fn crash(&mut self, id: NodeId) {
        self.node(id).limiter = None;
        for admitted in self.log.iter_mut().filter(|a| a.node == id) {
            admitted.ended = admitted.ended.min(self.now);
        }
        self.set_ring_after(2_000, self.ring_without(id));
    }

    fn ring_without(&self, id: NodeId) -> Ring {
        let members = self.ring.members().iter().copied().filter(|node| *node != id).collect();
        let absent = self.ring.absent().iter().copied().chain([id]).collect();
        Ring::new(self.ring.version() + 1, members).beside(absent)
    }

    fn ring_with(&self, id: NodeId) -> Ring {
        let members = self.ring.members().iter().copied().chain([id]).collect();
        let absent = self.ring.absent().iter().copied().filter(|node| *node != id).collect();
        let version = self.ring.version() + 1;
        Ring::new(version, members).beside(absent).since(id, version)
    }

    /// A node that was cut off is connected again and, a moment later, marked up. It hears the leader
    /// once it knows what had been decided; `at_once` it learns all of that with its being marked up.
    pub(crate) fn reconnect(&mut self, id: NodeId, at_once: bool) {
        self.apart = None;
        let ring = Arc::clone(&self.ring);
        self.node(id).deaf_until = ring.version();
        if !at_once {
            let wait = self.below(40);
            self.after(wait, Event::Ring { node: id, ring });
        }
        self.set_ring_after(50, self.ring_with(id));
    }

    /// A new node.
    pub(crate) fn join(&mut self, id: NodeId) {
        self.start(id, Epoch(1));
        let among = self.nodes.len() as u64 - 1;
        let absent = self.ring.absent().iter().map(|node| (*node, among)).collect();
        let members = self.ring.members().iter().copied().chain([id]).collect();
        self.set_ring_after(0, Ring::new(self.ring.version() + 1, members).beside_of(absent));
    }

    pub(crate) fn restart(&mut self, id: NodeId) {
        let epoch = Epoch(self.node(id).epoch.0 + 1);
        self.start(id, epoch);
        self.set_ring_after(100, self.ring_with(id));
    }

    /// The node hears nobody and nobody hears it; two seconds later the others mark it down.
    pub(crate) fn cut_off(&mut self, id: NodeId) {
        self.apart = Some(id);
        self.set_ring_after(2_000, self.ring_without(id));
    }

    /// From now on these nodes, and no others, are marked down, though they live.
    pub(crate) fn mark_down(&mut self, absent: &[NodeId]) {
        let serving = self.nodes.keys().copied().filter(|node| !absent.contains(node)).collect();
        self.set_ring(Ring::new(self.ring.version() + 1, serving).beside(absent.to_vec()));
    }

    pub(crate) fn set_ring(&mut self, ring: Ring) {
        self.set_ring_after(0, ring);
    }

    /// Nodes learn of it at different moments.
    fn set_ring_after(&mut self, after: u64, ring: Ring) {
        self.ring = Arc::new(ring);
        let mut ids: Vec<_> = self.nodes.keys().copied().collect();
        ids.retain(|node| Some(*node) != self.apart);
        for node in ids {
            let wait = after + self.below(80);
            let ring = Arc::clone(&self.ring);
            self.after(wait, Event::Ring { node, ring });
        }
    }

    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            match self.still.get(&event.node()).filter(|until| **until > at) {
                Some(until) => self.after(*until - at, event),
                None => self.happen(event),
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let now = MonoMillis(self.now);
        match event {
            Event::Request { node, epoch } => self.request(node, epoch),
            Event::Decide { node, claim, deadline } => self.decide(node, claim, deadline),
            Event::Asked { to, from, call, ask } => {
                if let Some(limiter) = &mut self.node(to).limiter {
                    let answer = limiter.answer(from, &ask, now);
                    self.send(to, from, Event::Answered { to: from, call, answer });
                    self.pull(to);
                }
            }
            Event::Answered { to, call, answer } => self.answered(to, call, &answer),
            Event::GivenUp { node, call } => self.given_up(node, call),
            Event::SurveyOver { node, survey } => self.survey_over(node, survey),
            Event::Ended { node, epoch, taken, used } => {
                let node_now = self.node(node);
                let limiter = node_now.limiter.as_mut().filter(|_| node_now.epoch == epoch);
                if let Some(tell) = limiter.and_then(|limiter| limiter.ended(&taken, used, now)) {
                    self.call(node, tell, None, None);
                }
            }
            Event::Voided { node, epoch, taken } => {
                let node_now = self.node(node);
                let limiter = node_now.limiter.as_mut().filter(|_| node_now.epoch == epoch);
                if let Some(tell) = limiter.and_then(|limiter| limiter.voided(&taken, now)) {
                    self.call(node, tell, None, None);
                }
            }
            Event::Tick { node, epoch } => self.tick(node, epoch),
            Event::Ring { node, ring } => {
                if let Some(limiter) = &mut self.node(node).limiter
                    && ring.version() > limiter.ring().version()
                {
                    limiter.set_ring(ring, now);
                }
            }
        }
    }

    fn request(&mut self, id: NodeId, epoch: Epoch) {
        if self.node(id).limiter.is_none() || self.node(id).epoch != epoch {
            return;
        }
        let each_ms = self.paces.get(&id).copied().unwrap_or(self.demand.each_ms);
        let wait = 1 + self.below(2 * each_ms);
        self.after(wait, Event::Request { node: id, epoch });
        if self.only.is_none_or(|only| only == id) {
            self.next += 1;
            let request = RequestId(u128::from(self.next));
            let tokens = 10 + self.below(400);
            let claim = Claim { scope: SCOPE, request, tokens, limits: self.demand.limits };
            self.decide(id, claim, self.now + self.patience_ms);
        }
    }

    fn decide(&mut self, id: NodeId, claim: Claim, deadline: u64) {
        let now = MonoMillis(self.now);
        let Some(limiter) = &mut self.node(id).limiter else { return };
        let decision = limiter.admit(&claim, now);
        self.decided(id, claim, deadline, decision);
    }

    fn decided(&mut self, id: NodeId, claim: Claim, deadline: u64, decision: Decision) {
        match decision {
            Decision::Admitted(taken, _) => self.admit(id, taken),
            Decision::Refused(refused) => self.refused(id, claim, deadline, &refused),
            Decision::AskOwner(owner) => self.call(id, owner, Some((claim, deadline)), None),
            Decision::Soon => self.retry(id, claim, deadline),
            Decision::AskPeers(peers) => self.survey(id, claim, &peers),
            Decision::Closed => self.closed += 1,
            Decision::TableFull | Decision::NoRing => panic!("there is room and a ring"),
        }
    }

    fn admit(&mut self, node: NodeId, taken: Taken) {
        if self.demand.undone > 0 && self.below(self.demand.undone) == 0 {
            let (epoch, wait) = (self.node(node).epoch, self.below(2 * DELAY_MS));
            self.undone += 1;
            return self.after(wait, Event::Voided { node, epoch, taken });
        }
        let lasts = self.below(self.demand.lasts_ms);
        let used = self.below(taken.tokens + 1);
        let epoch = self.node(node).epoch;
        let ended = self.now + lasts;
        let tokens = if self.demand.limits.tokens.is_some() { used } else { 0 };
        self.log.push(Admitted { at: self.now, node, tokens, ended });
        self.after(lasts, Event::Ended { node, epoch, taken, used });
    }

    fn call(&mut self, from: NodeId, to: NodeId, claim: Option<(Claim, u64)>, survey: Option<u64>) {
        let now = MonoMillis(self.now);
        self.asked += usize::from(claim.is_some());
        let claims = claim.iter().map(|(claim, _)| claim.clone()).collect();
        let questions = survey.iter().map(|_| SCOPE).collect();
        let limiter = self.node(from).limiter.as_mut().expect("it lives");
        let (sent, ask) = limiter.ask(to, claims, questions, now);
        self.next += 1;
        let (call, at) = (self.next, self.now);
        self.node(from).calls.insert(call, Call { to, sent, at, claim, survey });
        // A dead node's connections are refused, which takes as long as any message.
        let dead = self.node(to).limiter.is_none();
        self.after(
            if dead { 2 * DELAY_MS } else { self.patience_ms },
            Event::GivenUp { node: from, call },
        );
        if self.below(20) == 0 {
            self.send(from, to, Event::Asked { to, from, call, ask: ask.clone() });
        }
        self.send(from, to, Event::Asked { to, from, call, ask });
    }

    fn answered(&mut self, id: NodeId, call: u64, answer: &Answer) {
        let now = MonoMillis(self.now);
        let node = self.node(id);
        let Some(Call { to, sent, at, claim, survey }) = node.calls.remove(&call) else { return };
        let Some(limiter) = &mut node.limiter else { return };
        limiter.answered(to, sent, answer, now);
        if let Some(survey) = survey {
            self.survey_told(id, survey, Some(answer.told[0]));
        }
        let Some((claim, deadline)) = claim else { return };
        match &answer.verdicts[0] {
            Verdict::Granted { lease, .. } => {
                let limiter = self.node(id).limiter.as_mut().expect("it lives");
                match limiter.granted(&claim, to, *lease, MonoMillis(at), now) {
                    Some(taken) => self.admit(id, taken),
                    None => self.retry(id, claim, deadline),
                }
            }
            Verdict::Refused(refused) => self.refused(id, claim, deadline, refused),
            Verdict::Retry => self.retry(id, claim, deadline),
            Verdict::NotYet => self.share(id, claim),
        }
    }

    fn refused(&mut self, node: NodeId, claim: Claim, deadline: u64, refused: &Refused) {
        assert!(refused.retry_after > Duration::ZERO);
        if refused.doubted && self.now < deadline {
            self.pull(node);
            self.after(20, Event::Decide { node, claim, deadline });
        }
    }

    fn pull(&mut self, node: NodeId) {
        let due = self.node(node).limiter.as_ref().expect("it lives").to_pull();
        due.into_iter().for_each(|peer| self.call(node, peer, None, None));
    }

    fn retry(&mut self, node: NodeId, claim: Claim, deadline: u64) {
        if self.now < deadline {
            self.after(20, Event::Decide { node, claim, deadline });
        } else {
            self.share(node, claim);
        }
    }

    fn given_up(&mut self, id: NodeId, call: u64) {
        let now = MonoMillis(self.now);
        let node = self.node(id);
        let Some(Call { to, claim, survey, .. }) = node.calls.remove(&call) else { return };
        let Some(limiter) = &mut node.limiter else { return };
        limiter.unanswered(to, now);
        if let Some(survey) = survey {
            self.survey_told(id, survey, None);
        }
        if let Some((claim, _)) = claim {
            self.share(id, claim);
        }
    }

    fn share(&mut self, id: NodeId, claim: Claim) {
        let now = MonoMillis(self.now);
        let limiter = self.node(id).limiter.as_mut().expect("it lives");
        let decision = limiter.admit_by_share(&claim, now);
        self.decided(id, claim, self.now, decision);
    }

    fn survey(&mut self, id: NodeId, claim: Claim, peers: &[NodeId]) {
        self.next += 1;
        let (survey, asked, waiting) = (self.next, self.now, peers.len());
        let begun = Survey { claim, asked, waiting, told: Vec::new() };
        self.node(id).surveys.insert(survey, begun);
        for peer in peers {
            self.call(id, *peer, None, Some(survey));
        }
        let over = if peers.is_empty() { 0 } else { PEERS_PATIENCE_MS };
        self.after(over, Event::SurveyOver { node: id, survey });
    }

    fn survey_told(&mut self, id: NodeId, survey: u64, told: Option<Amounts>) {
        let Some(open) = self.node(id).surveys.get_mut(&survey) else { return };
        open.told.extend(told);
        open.waiting -= 1;
        if open.waiting == 0 {
            self.survey_over(id, survey);
        }
    }

    fn survey_over(&mut self, id: NodeId, survey: u64) {
        let now = MonoMillis(self.now);
        let node = self.node(id);
        let Some(Survey { claim, asked, told, .. }) = node.surveys.remove(&survey) else { return };
        let Some(limiter) = &mut node.limiter else { return };
        limiter.told(&claim, &told, MonoMillis(asked), now);
        self.share(id, claim);
    }

    fn tick(&mut self, id: NodeId, epoch: Epoch) {
        let now = MonoMillis(self.now);
        let hears = self.apart != Some(id);
        let node = self.node(id);
        let deaf_until = node.deaf_until;
        let Some(limiter) = node.limiter.as_mut().filter(|_| node.epoch == epoch) else { return };
        if hears && limiter.ring().version() >= deaf_until {
            limiter.hear_leader(now);
        }
        for peer in limiter.tick(now) {
            self.call(id, peer, None, None);
        }
        self.after(50, Event::Tick { node: id, epoch });
    }

    fn send(&mut self, from: NodeId, to: NodeId, event: Event) {
        let cut = self.apart.is_some_and(|apart| (apart == from) != (apart == to));
        if !cut {
            let delay = 1 + self.below(DELAY_MS);
            self.after(delay, event);
        }
    }

    fn after(&mut self, wait: u64, event: Event) {
        self.next += 1;
        self.events.insert((self.now + wait, self.next), event);
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node")
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound.max(1)
    }

    pub(crate) fn admitted(&self) -> usize {
        self.log.len()
    }

    pub(crate) fn closed(&self) -> usize {
        self.closed
    }

    pub(crate) fn undone(&self) -> usize {
        self.undone
    }

    /// What remains, by the owner, after one request of a single token.
    pub(crate) fn probe(&mut self) -> Remaining {
        let (now, owner) = (MonoMillis(self.now), self.owner());
        let (request, limits) = (RequestId(0), self.demand.limits);
        let claim = Claim { scope: SCOPE, request, tokens: 1, limits };
        let limiter = self.node(owner).limiter.as_mut().expect("it lives");
        let Decision::Admitted(_, remaining) = limiter.admit(&claim, now) else {
            panic!("the owner decides and has room");
        };
        remaining
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked
    }

    pub(crate) fn admitted_between(&self, from: u64, to: u64) -> usize {
        self.log.iter().filter(|a| (from..to).contains(&a.at)).count()
    }

    pub(crate) fn admitted_between_by(
        &self,
        from: u64,
        to: u64,
        counts: impl Fn(NodeId) -> bool,
    ) -> usize {
        self.log.iter().filter(|a| (from..to).contains(&a.at) && counts(a.node)).count()
    }

    pub(crate) fn most_in_a_minute(&self) -> u64 {
        self.most(|_| 1)
    }

    pub(crate) fn most_in_a_minute_of(&self, counts: impl Fn(NodeId) -> bool) -> u64 {
        self.most(|a| u64::from(counts(a.node)))
    }

    /// Looks only at what was admitted from then on.
    pub(crate) fn forget_before(&mut self, at: u64) {
        self.log.retain(|a| a.at >= at);
    }

    pub(crate) fn most_tokens_in_a_minute(&self) -> u64 {
        self.most(|a| a.tokens)
    }

    fn most(&self, amount: impl Fn(&Admitted) -> u64) -> u64 {
        let (mut sum, mut most, mut oldest) = (0, 0, 0);
        for newest in &self.log {
            sum += amount(newest);
            while self.log[oldest].at + 60_000 <= newest.at {
                sum -= amount(&self.log[oldest]);
                oldest += 1;
            }
            most = most.max(sum);
        }
        most
    }

    pub(crate) fn most_at_once(&self) -> usize {
        let open = |at| self.log.iter().filter(|a| a.at <= at && at < a.ended).count();
        self.log.iter().map(|a| open(a.at)).max().unwrap_or(0)
    }
}
