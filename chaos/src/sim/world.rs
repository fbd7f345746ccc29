//! The world around the simulated nodes: one clock, one network, the clients, the faults. Takes the
//! next thing that happens, has the node do its part, and sees to what comes of it.

mod election;
mod keys;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use dunlin_types::{Epoch, MonoMillis, NanoUsd, UnixMillis};

use super::faults::{self, Fault, OVER_MS, Planned};
use super::node::{Chat, Message, Moment, Node, Timer, Todo};
use crate::history::{Act, Call, CallId, History, Outcome, Sight, What};
use crate::random::Random;
use crate::workload::{Key, Operation, STANDING, Workload};

/// Longest way of a message; of one in [`Fault::Lossy`] times.
const DELAY_MS: u64 = 20;
const LATE_MS: u64 = 300;
/// A command or an entry may come a second time long after the first.
const AGAIN_MS: u64 = 1_500;
/// How long clients keep to a node in a run where they do.
const LEAN_MS: u64 = 9_000;
const ELECTION_EVERY_MS: u64 = 50;
/// The first client comes when there is a leader.
const OPEN_MS: u64 = 1_500;
/// After the last fault: when nothing more is written, asked; when slots are tried; the end.
const WRITES_MS: u64 = OVER_MS + 8_000;
const CHATS_MS: u64 = OVER_MS + 10_000;
const TRY_SLOTS_MS: u64 = OVER_MS + 16_000;
const END_MS: u64 = OVER_MS + 21_000;

/// What can happen next.
enum Happening {
    Heard {
        from: usize,
        to: usize,
        message: Message,
    },
    Wake {
        node: usize,
        epoch: Epoch,
        timer: Timer,
    },
    /// A client comes to a node.
    Client {
        node: usize,
    },
    Asked {
        node: usize,
        chat: Chat,
    },
    Admin,
    Written {
        node: usize,
        call: CallId,
        operation: Operation,
    },
    Election,
    Begins(usize),
    Over(usize),
    TrySlots,
}

/// A node and what the world knows of it.
struct Seat {
    node: Node,
    /// How many faults hold it down, and still.
    down: u32,
    paused: u32,
    /// What waits until it goes on.
    parked: Vec<Happening>,
    was_ready: bool,
    mono_offset: u64,
    unix_offset: u64,
}

pub(super) struct World {
    now: u64,
    random: Random,
    workload: Workload,
    seats: Vec<Seat>,
    queue: BTreeMap<(u64, u64), Happening>,
    next: u64,
    plan: Vec<Planned>,
    /// Faults in force, with whom they met.
    active: BTreeMap<usize, Vec<usize>>,
    cut: BTreeSet<(usize, usize)>,
    history: History,
    open: BTreeMap<CallId, (usize, Operation)>,
    tries: BTreeSet<CallId>,
    missing_slots: BTreeMap<usize, u64>,
    calls: u64,
    gap_ms: u64,
    /// All clients of a key go to one node, for a while.
    leans: bool,
    leaderless: Option<(u64, u64)>,
    begun: Vec<Operation>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let nodes = usize::try_from(random.between(3, 5)).expect("few nodes");
        let plan = faults::plan(&mut random.fork(), nodes);
        let log = keys::first_log(nodes);
        let seat = |index| Seat {
            node: Node::new(index, log.clone()),
            down: 0,
            paused: 0,
            parked: Vec::new(),
            was_ready: false,
            mono_offset: 1_000_000 * (index as u64 + 1),
            unix_offset: random.below(400),
        };
        let seats = (0..nodes).map(seat).collect();
        let gap_ms = *random.pick(&[25, 60, 90, 120, 160]).expect("some");
        let leans = random.percent(50);
        let mut workload = Workload::new(random.fork().below(u64::MAX));
        let mut begun = workload.begin();
        begun.reverse();
        Self {
            now: 0,
            random,
            workload,
            seats,
            queue: BTreeMap::new(),
            next: 0,
            plan,
            active: BTreeMap::new(),
            cut: BTreeSet::new(),
            history: History { streams: false, ..History::new(nodes) },
            open: BTreeMap::new(),
            tries: BTreeSet::new(),
            missing_slots: BTreeMap::new(),
            calls: 0,
            gap_ms,
            leans,
            leaderless: None,
            begun,
        }
    }

    pub(super) fn run(mut self) -> History {
        for node in 0..self.seats.len() {
            self.start(node);
            self.after(OPEN_MS + 2_000, Happening::Client { node });
        }
        self.after(OPEN_MS, Happening::Admin);
        self.after(0, Happening::Election);
        self.after(TRY_SLOTS_MS, Happening::TrySlots);
        for index in 0..self.plan.len() {
            let Planned { at, until, .. } = self.plan[index];
            self.after(at, Happening::Begins(index));
            self.after(until, Happening::Over(index));
        }
        while let Some(entry) = self.queue.first_entry().filter(|e| e.key().0 <= END_MS) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = END_MS;
        self.look();
        self.history
    }

    fn after(&mut self, wait_ms: u64, happening: Happening) {
        self.next += 1;
        self.queue.insert((self.now + wait_ms, self.next), happening);
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(node) = happening.of_node()
            && self.seats[node].paused > 0
        {
            self.seats[node].parked.push(happening);
            return;
        }
        match happening {
            Happening::Heard { from, to, message } => self.heard(from, to, message),
            Happening::Wake { node, epoch, timer } => {
                if self.seats[node].node.epoch() == epoch {
                    self.with(node, |node, now, todo| node.wake(timer, now, todo));
                }
            }
            Happening::Client { node } => self.client(node),
            Happening::Asked { node, chat } => {
                self.with(node, |node, now, todo| node.chat(chat, now, todo));
            }
            Happening::Admin => self.admin(),
            Happening::Written { node, call, operation } => {
                let command = keys::command(operation);
                self.with(node, |node, now, todo| node.propose(command, Some(call), now, todo));
            }
            Happening::Election => self.election(),
            Happening::Begins(index) => self.begins(index),
            Happening::Over(index) => self.over(index),
            Happening::TrySlots => self.try_slots(),
        }
    }

    /// Has a node do something and sees to what it wants done.
    fn with(&mut self, index: usize, act: impl FnOnce(&mut Node, Moment, &mut Todo)) {
        let moment = self.moment(index);
        let mut todo = Todo::default();
        let seat = &mut self.seats[index];
        act(&mut seat.node, moment, &mut todo);
        let epoch = seat.node.epoch();
        if seat.node.is_ready() && !seat.was_ready {
            seat.was_ready = true;
            self.history.add(self.now, What::Done(Act::Back { node: index }));
        }
        for (wait_ms, timer) in todo.timers {
            self.after(wait_ms, Happening::Wake { node: index, epoch, timer });
        }
        for (to, message) in todo.sends {
            self.send(index, to, message);
        }
        for event in todo.events {
            self.told(event);
        }
    }

    fn moment(&self, index: usize) -> Moment {
        let Seat { mono_offset, unix_offset, .. } = self.seats[index];
        let unix = UnixMillis(1_700_000_000_000 + self.now + unix_offset);
        Moment { mono: MonoMillis(self.now + mono_offset), unix }
    }

    fn start(&mut self, index: usize) {
        self.seats[index].was_ready = false;
        self.with(index, Node::start);
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let lossy = self.active.keys().any(|index| self.plan[*index].fault == Fault::Lossy);
        if lossy && self.random.percent(15) {
            return;
        }
        let longest = if lossy && self.random.percent(30) { LATE_MS } else { DELAY_MS };
        if self.random.percent(5) {
            let is_log = !matches!(message, Message::Ask { .. } | Message::Answer { .. });
            let longest = if is_log && self.random.percent(50) { AGAIN_MS } else { longest };
            let delay = 1 + self.random.below(longest);
            self.after(delay, Happening::Heard { from, to, message: message.clone() });
        }
        let delay = 1 + self.random.below(longest);
        self.after(delay, Happening::Heard { from, to, message });
    }

    fn heard(&mut self, from: usize, to: usize, message: Message) {
        if self.seats[to].node.is_alive() {
            self.with(to, |node, now, todo| node.hear(from, message, now, todo));
        } else if let Message::Ask { call, .. } = message {
            // A dead process refuses the connection, which takes as long as any message.
            let epoch = self.seats[from].node.epoch();
            let timer = Timer::GivenUp { call };
            self.after(1 + DELAY_MS, Happening::Wake { node: from, epoch, timer });
        }
    }

    fn client(&mut self, node: usize) {
        if self.now >= CHATS_MS {
            return;
        }
        let wait = 1 + self.random.below(2 * self.gap_ms);
        self.after(wait, Happening::Client { node });
        let operation = self.workload.chat();
        let lasts_ms = match self.random.below(20) {
            0 => self.random.between(800, 3_000),
            _ => self.random.between(10, 300),
        };
        let node = if self.leans { self.leaned_to(operation.key()) } else { node };
        self.ask(node, operation, lasts_ms);
    }

    fn leaned_to(&self, key: Key) -> usize {
        let mut drawn = Random::new((u64::from(key.0) << 32) | (self.now / LEAN_MS));
        usize::try_from(drawn.below(self.seats.len() as u64)).expect("few nodes")
    }

    fn ask(&mut self, node: usize, operation: Operation, lasts_ms: u64) -> CallId {
        let Operation::Chat { key, tokens, .. } = operation else { panic!("a chat") };
        let cost = NanoUsd(500 + 1_000 * tokens);
        let call = self.sent(node, operation, cost);
        let chat = Chat { call, key: keys::digest(key), tokens, lasts_ms, cost };
        if self.seats[node].node.is_alive() {
            self.happen(Happening::Asked { node, chat });
        } else {
            self.told(What::Ended { call, outcome: Outcome::Unreached, stream: None });
        }
        call
    }

    fn admin(&mut self) {
        if self.now >= WRITES_MS || !self.open.values().all(|(_, op)| !op.is_write()) {
            return;
        }
        let operation = self.begun.last().copied().unwrap_or_else(|| self.workload.write());
        let node = usize::try_from(self.random.below(self.seats.len() as u64)).expect("few");
        let call = self.sent(node, operation, NanoUsd::ZERO);
        if self.seats[node].node.is_ready() {
            self.happen(Happening::Written { node, call, operation });
        } else {
            self.told(What::Ended { call, outcome: Outcome::Unreached, stream: None });
        }
    }

    fn sent(&mut self, node: usize, operation: Operation, most: NanoUsd) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        self.open.insert(id, (node, operation));
        self.history.add(self.now, What::Sent(Call { id, node, operation, most }));
        id
    }

    /// A client is told something.
    fn told(&mut self, event: What) {
        if let What::Ended { call, outcome, .. } = &event {
            let (_, operation) = self.open.remove(call).expect("a call ends once");
            if operation.is_write() {
                let done = matches!(outcome, Outcome::Done { .. });
                if done {
                    self.workload.written(operation);
                    self.begun.pop();
                }
                let wait = self.random.between(30, 600);
                self.after(if self.begun.is_empty() { wait } else { 20 }, Happening::Admin);
            }
            if self.tries.remove(call) && !matches!(outcome, Outcome::Done { .. }) {
                let owner = self.seats[0].node.owner(&keys::digest(operation.key())).unwrap_or(0);
                *self.missing_slots.entry(owner).or_default() += 1;
            }
        }
        self.history.add(self.now, event);
    }

    /// All slots of the limited keys are taken at once, to see that all had come back.
    fn try_slots(&mut self) {
        for (key, allowed) in (0..).map(Key).zip(STANDING) {
            for slot in 0..allowed.parallel.unwrap_or(0) {
                let node = usize::try_from(slot).expect("few slots") % self.seats.len();
                let call = self.ask(node, Operation::Chat { key, stream: false, tokens: 1 }, 2_000);
                self.tries.insert(call);
            }
        }
    }

    fn look(&mut self) {
        for (index, seat) in self.seats.iter().enumerate() {
            let Some(state) = seat.node.state() else { continue };
            let missing = self.missing_slots.get(&index).copied().unwrap_or(0);
            let sight = Sight {
                applied: state.applied(),
                digest: Some(format!("{:02x?}", state.digest())),
                keys: self.workload.keys().map(|key| (key, keys::sight(state, key))).collect(),
                in_flight: seat.node.open() as u64 + missing,
            };
            self.history.add(self.now, What::Seen { node: index, sight });
        }
    }
}

impl Happening {
    /// Whose process it needs.
    fn of_node(&self) -> Option<usize> {
        match self {
            Self::Heard { to: node, .. }
            | Self::Wake { node, .. }
            | Self::Asked { node, .. }
            | Self::Written { node, .. } => Some(*node),
            Self::Client { .. }
            | Self::Admin
            | Self::Election
            | Self::Begins(_)
            | Self::Over(_)
            | Self::TrySlots => None,
        }
    }
}
