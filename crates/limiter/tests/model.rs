//! Every order of messages, deaths, cuts and ring changes in a small cluster, one scope, a few
//! requests: what the nodes admit together stays within what the crate's head says.
//!
//! Time goes by in steps of a second, and only when all that was sent has arrived: claims, surveys and
//! their answers overtake each other, come twice and get lost with their nodes, but are not slower
//! than a step. What nodes tell each other at a step arrives within it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_limiter::{
    Amounts, Answer, Ask, Claim, Decision, Limiter, Limits, Ring, ScopeId, Sent, Verdict,
};
use dunlin_types::{Epoch, MonoMillis, NodeId, OnLoss, RequestId};
use stateright::{Checker, Model, Property, UniformChooser};

const SCOPE: ScopeId = ScopeId(0xDEC1DE);
const STEP: u64 = 1_000;
/// A member is marked down after so many steps of silence.
const SILENCE: u64 = 2;
/// After so long its claims go to shares.
const PATIENCE: u64 = STEP;
/// Steps until the owner of a fresh cluster knows that there is nothing to know.
const WARM_UP: u64 = 2;
/// The first states, breadth first.
const MOST_STATES: usize = 30_000;
/// And so many on random ways to the end.
const WALKED: usize = 100_000;

#[derive(Clone, Debug, Default)]
struct Plan {
    name: &'static str,
    limit: u64,
    on_loss: OnLoss,
    /// Requests that each node may get.
    requests: Vec<usize>,
    /// How many of the nodes are members from the beginning.
    members: usize,
    deaths: usize,
    cuts: usize,
    twice: usize,
    steps: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    now: u64,
    nodes: Vec<Peer>,
    ring: Arc<Ring>,
    wire: BTreeMap<u64, Message>,
    sent: u64,
    twice: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Peer {
    limiter: Limiter,
    lost: Option<Lost>,
    asked: usize,
    calls: BTreeMap<u64, Call>,
    surveys: BTreeMap<u64, Survey>,
    again: Vec<(Claim, u64)>,
    /// When it admitted.
    admitted: Vec<u64>,
}

/// Dead or cut off, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Lost {
    dead: bool,
    at: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Call {
    to: usize,
    sent: Sent,
    at: u64,
    claim: Option<(Claim, u64)>,
    survey: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Survey {
    claim: Claim,
    at: u64,
    waiting: usize,
    told: Vec<Amounts>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Message {
    Asked { to: usize, from: usize, call: u64, ask: Ask },
    Answered { to: usize, from: usize, call: u64, answer: Answer },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Request(usize),
    Again(usize),
    Deliver(u64),
    DeliverTwice(u64),
    Die(usize),
    CutOff(usize),
    Mark(usize),
    Join,
    Learn(usize),
    Step,
}

fn id(node: usize) -> NodeId {
    NodeId((node as u64 + 1) * 0x1_0001)
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0 / 0x1_0001 - 1).expect("few nodes")
}

impl World {
    fn new(plan: &Plan) -> Self {
        let ring = Arc::new(Ring::new(1, (0..plan.members).map(id).collect()));
        let peer = |node| {
            let mut limiter = Limiter::new(id(node), Epoch(1));
            limiter.hear_leader(MonoMillis(1));
            limiter.set_ring(Arc::clone(&ring), MonoMillis(1));
            Peer {
                limiter,
                lost: None,
                asked: 0,
                calls: BTreeMap::new(),
                surveys: BTreeMap::new(),
                again: Vec::new(),
                admitted: Vec::new(),
            }
        };
        let nodes = (0..plan.requests.len()).map(peer).collect();
        let mut world = Self { now: 1, nodes, ring, wire: BTreeMap::new(), sent: 0, twice: 0 };
        (0..WARM_UP).for_each(|_| world.step());
        world
    }

    fn lost(&self, dead: bool) -> usize {
        self.nodes.iter().filter(|peer| peer.lost.is_some_and(|lost| lost.dead == dead)).count()
    }

    fn is_dead(&self, node: usize) -> bool {
        self.nodes[node].lost.is_some_and(|lost| lost.dead)
    }

    fn actions(&self, plan: &Plan) -> Vec<Action> {
        let mut actions = Vec::new();
        let version = self.ring.version();
        let mut all_know = true;
        for (node, peer) in self.nodes.iter().enumerate() {
            let knows = peer.limiter.ring().version() == version;
            all_know &= knows || peer.lost.is_some();
            let is_alone = self.ring.members().len() == 1;
            let silent = peer.lost.is_some_and(|lost| self.now >= lost.at + SILENCE * STEP);
            let is_alive = !self.is_dead(node);
            let may = [
                (is_alive && peer.asked < plan.requests[node], Action::Request(node)),
                (is_alive && !peer.again.is_empty(), Action::Again(node)),
                (peer.lost.is_none() && !knows, Action::Learn(node)),
                (peer.lost.is_none() && self.lost(true) < plan.deaths, Action::Die(node)),
                (peer.lost.is_none() && self.lost(false) < plan.cuts, Action::CutOff(node)),
                (silent && !is_alone && self.ring.has(id(node)), Action::Mark(node)),
            ];
            actions.extend(may.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
        }
        actions.extend(self.wire.keys().map(|message| Action::Deliver(*message)));
        if self.twice < plan.twice {
            actions.extend(self.wire.keys().map(|message| Action::DeliverTwice(*message)));
        }
        let may_join = self.lost(true) + self.lost(false) == 0 && plan.members < self.nodes.len();
        if may_join && version == 1 {
            actions.push(Action::Join);
        }
        if self.wire.is_empty() && all_know && self.now < (WARM_UP + plan.steps) * STEP {
            actions.push(Action::Step);
        }
        actions
    }

    fn act(&mut self, plan: &Plan, action: Action) {
        match action {
            Action::Request(node) => {
                let peer = &mut self.nodes[node];
                peer.asked += 1;
                let request = RequestId((node * 100 + peer.asked) as u128);
                let limits = Limits {
                    requests: Some(plan.limit),
                    on_loss: plan.on_loss,
                    as_of: 1,
                    ..Limits::default()
                };
                let claim = Claim { scope: SCOPE, request, tokens: 0, limits };
                self.admit(node, claim, self.now + PATIENCE);
            }
            Action::Again(node) => {
                let (claim, until) = self.nodes[node].again.remove(0);
                if self.now < until {
                    // Once more at this moment, and then it is out of patience.
                    self.admit(node, claim, self.now);
                } else {
                    self.share(node, claim);
                }
            }
            Action::Deliver(message) => {
                let message = self.wire.remove(&message).expect("on the wire");
                self.deliver(message);
            }
            Action::DeliverTwice(message) => {
                self.twice += 1;
                self.deliver(self.wire[&message].clone());
            }
            Action::Die(node) => {
                self.nodes[node].lost = Some(Lost { dead: true, at: self.now });
                self.nodes[node].calls.clear();
                self.nodes[node].again.clear();
            }
            Action::CutOff(node) => {
                self.nodes[node].lost = Some(Lost { dead: false, at: self.now });
            }
            Action::Mark(node) => {
                let members =
                    self.ring.members().iter().copied().filter(|other| *other != id(node));
                let absent = self.ring.absent().iter().copied().chain([id(node)]).collect();
                let ring = Ring::new(self.ring.version() + 1, members.collect());
                self.ring = Arc::new(ring.beside(absent));
            }
            Action::Join => {
                let all = (0..self.nodes.len()).map(id).collect();
                self.ring = Arc::new(Ring::new(self.ring.version() + 1, all));
            }
            Action::Learn(node) => {
                let ring = Arc::clone(&self.ring);
                self.nodes[node].limiter.set_ring(ring, MonoMillis(self.now));
            }
            Action::Step => self.step(),
        }
    }

    /// Calls that were lost are given up, leaders are heard, and what is due is said.
    fn step(&mut self) {
        self.now += STEP;
        let now = MonoMillis(self.now);
        for node in 0..self.nodes.len() {
            if self.is_dead(node) {
                continue;
            }
            if self.nodes[node].lost.is_none() {
                self.nodes[node].limiter.hear_leader(now);
            }
            for call in std::mem::take(&mut self.nodes[node].calls).into_values() {
                self.nodes[node].limiter.unanswered(id(call.to), now);
                self.unanswered(node, call);
            }
            let told: Vec<u64> = self.wire.keys().copied().collect();
            for peer in self.nodes[node].limiter.tick(now) {
                self.call(node, index(peer), None, None);
            }
            while let Some(message) = self.wire.keys().find(|message| !told.contains(message)) {
                let message = *message;
                let message = self.wire.remove(&message).expect("on the wire");
                self.deliver(message);
            }
        }
    }

    fn admit(&mut self, node: usize, claim: Claim, until: u64) {
        let decision = self.nodes[node].limiter.admit(&claim, MonoMillis(self.now));
        self.decided(node, claim, until, decision);
    }

    fn share(&mut self, node: usize, claim: Claim) {
        let decision = self.nodes[node].limiter.admit_by_share(&claim, MonoMillis(self.now));
        self.decided(node, claim, self.now, decision);
    }

    fn decided(&mut self, node: usize, claim: Claim, until: u64, decision: Decision) {
        match decision {
            Decision::Admitted(..) => self.nodes[node].admitted.push(self.now),
            Decision::AskOwner(owner) => self.call(node, index(owner), Some((claim, until)), None),
            Decision::Soon => self.nodes[node].again.push((claim, until)),
            Decision::AskPeers(peers) => {
                self.sent += 1;
                let (survey, at, waiting) = (self.sent, self.now, peers.len());
                let begun = Survey { claim, at, waiting, told: Vec::new() };
                self.nodes[node].surveys.insert(survey, begun);
                for peer in peers {
                    self.call(node, index(peer), None, Some(survey));
                }
                self.told(node, survey);
            }
            Decision::Refused(_) | Decision::Closed | Decision::NoRing | Decision::TableFull => {}
        }
    }

    fn call(&mut self, from: usize, to: usize, claim: Option<(Claim, u64)>, survey: Option<u64>) {
        let claims = claim.iter().map(|(claim, _)| claim.clone()).collect();
        let questions = survey.iter().map(|_| SCOPE).collect();
        let limiter = &mut self.nodes[from].limiter;
        let (sent, ask) = limiter.ask(id(to), claims, questions, MonoMillis(self.now));
        self.sent += 1;
        let call = Call { to, sent, at: self.now, claim, survey };
        self.nodes[from].calls.insert(self.sent, call);
        let asked = Message::Asked { to, from, call: self.sent, ask };
        self.send(from, to, asked);
    }

    /// What a dead or cut-off node is sent, and what the latter sends, is lost.
    fn send(&mut self, from: usize, to: usize, message: Message) {
        if self.nodes[from].lost.is_none() && self.nodes[to].lost.is_none() {
            self.sent += 1;
            self.wire.insert(self.sent, message);
        }
    }

    fn deliver(&mut self, message: Message) {
        let now = MonoMillis(self.now);
        match message {
            Message::Asked { to, from, call, ask } => {
                if self.nodes[to].lost.is_none() {
                    let answer = self.nodes[to].limiter.answer(id(from), &ask, now);
                    self.send(to, from, Message::Answered { to: from, from: to, call, answer });
                }
            }
            Message::Answered { to, from, call, answer } => {
                let known = self.nodes[to].lost.is_none();
                let Some(call) = self.nodes[to].calls.remove(&call).filter(|_| known) else {
                    return;
                };
                self.nodes[to].limiter.answered(id(from), call.sent, &answer, now);
                self.answered(to, call, &answer);
            }
        }
    }

    fn answered(&mut self, node: usize, call: Call, answer: &Answer) {
        if let Some(survey) = call.survey {
            self.survey_told(node, survey, Some(answer.told[0]));
        }
        let Some((claim, until)) = call.claim else { return };
        match &answer.verdicts[0] {
            Verdict::Granted { lease, .. } => {
                let (asked, now) = (MonoMillis(call.at), MonoMillis(self.now));
                let limiter = &mut self.nodes[node].limiter;
                match limiter.granted(&claim, id(call.to), *lease, asked, now) {
                    Some(_) => self.nodes[node].admitted.push(self.now),
                    None => self.nodes[node].again.push((claim, until)),
                }
            }
            Verdict::Refused(_) => {}
            Verdict::Retry => self.nodes[node].again.push((claim, until)),
            Verdict::NotYet => self.share(node, claim),
        }
    }

    fn unanswered(&mut self, node: usize, call: Call) {
        if let Some(survey) = call.survey {
            self.survey_told(node, survey, None);
        }
        if let Some((claim, _)) = call.claim {
            self.share(node, claim);
        }
    }

    fn survey_told(&mut self, node: usize, survey: u64, told: Option<Amounts>) {
        if let Some(open) = self.nodes[node].surveys.get_mut(&survey) {
            open.told.extend(told);
            open.waiting -= 1;
        }
        self.told(node, survey);
    }

    fn told(&mut self, node: usize, survey: u64) {
        let peer = &mut self.nodes[node];
        if peer.surveys.get(&survey).is_none_or(|open| open.waiting > 0) {
            return;
        }
        let Survey { claim, at, told, .. } = peer.surveys.remove(&survey).expect("just seen");
        peer.limiter.told(&claim, &told, MonoMillis(at), MonoMillis(self.now));
        self.share(node, claim);
    }

    /// All nodes, or those that are left: what the lost one admitted comes on top.
    fn admitted_by_the_rest(&self) -> usize {
        let rest = self.nodes.iter().filter(|peer| peer.lost.is_none());
        rest.map(|peer| peer.admitted.len()).sum()
    }

    /// By all, the lost ones with them.
    fn admitted(&self) -> u64 {
        self.nodes.iter().map(|peer| peer.admitted.len() as u64).sum()
    }

    /// Once a cut-off node has noticed, it admits its share and no more.
    fn keeps_to_its_share(&self, plan: &Plan) -> bool {
        self.nodes.iter().enumerate().all(|(node, peer)| {
            let Some(Lost { dead: false, at }) = peer.lost else { return true };
            let ring = peer.limiter.ring();
            let share = ring.share(SCOPE, plan.limit, id(node));
            let after = peer.admitted.iter().filter(|when| **when >= at + SILENCE * STEP);
            u64::try_from(after.count()).expect("few") <= share
        })
    }
}

impl Model for Plan {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.actions(self));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(self, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the limit holds", |plan: &Plan, world: &World| {
                u64::try_from(world.admitted_by_the_rest()).expect("few") <= plan.limit
            }),
            Property::always(
                "a shared limit holds whatever is lost",
                |plan: &Plan, world: &World| {
                    plan.on_loss != OnLoss::Share || world.admitted() <= plan.limit
                },
            ),
            Property::always("a cut-off node keeps to its share", |plan: &Plan, world: &World| {
                world.keeps_to_its_share(plan)
            }),
            Property::sometimes("the limit is reached", |plan: &Plan, world: &World| {
                u64::try_from(world.admitted_by_the_rest()).expect("few") == plan.limit
            }),
        ]
    }
}

#[test]
fn no_order_of_events_admits_more_than_the_bound() {
    let base = Plan { limit: 2, requests: vec![2, 2, 1], members: 3, steps: 6, ..Plan::default() };
    let plans = [
        Plan { name: "messages come twice", twice: 2, ..base.clone() },
        Plan { name: "a node joins", members: 2, ..base.clone() },
        Plan { name: "a node dies", deaths: 1, ..base.clone() },
        Plan { name: "a node is cut off", cuts: 1, twice: 1, ..base.clone() },
        Plan { name: "a node dies, shared", deaths: 1, on_loss: OnLoss::Share, ..base.clone() },
        Plan { name: "a node is cut off, shared", cuts: 1, on_loss: OnLoss::Share, ..base },
    ];
    for plan in plans {
        let checker = || plan.clone().checker();
        let all = checker().threads(2).target_state_count(MOST_STATES).spawn_bfs().join();
        all.assert_properties();
        let deep = checker().target_state_count(WALKED).spawn_simulation(1, UniformChooser).join();
        deep.assert_properties();
        let (states, depth) = (all.unique_state_count(), all.max_depth());
        let (walked, deepest) = (deep.state_count(), deep.max_depth());
        eprintln!(
            "{}: {states} states, all up to {depth} steps; {walked} more on walks of up to {deepest}",
            plan.name
        );
    }
}
