//! One simulated node: takes what comes, changes what it holds, says what to do next. What is on
//! its disk outlives its process.

use std::collections::BTreeMap;

use dunlin_limiter::{Answer, Ask, Claim, ScopeId, Taken};
use dunlin_state::{Command, CommandId, Entry, Rejected, Reply, State};
use dunlin_types::{
    EntityId, Epoch, KeyDigest, MonoMillis, NanoUsd, NodeId, RequestId, UnixMillis,
};

use super::limits::Limits;
use super::replica::{Append, Appended, Replica, Slot};
use super::settler::{Journal, Record, Settler};
use crate::history::{CallId, Outcome, Refusal, What};

const BEAT_MS: u64 = 50;
/// Beats between two looks at the journal.
const SETTLE_BEATS: u64 = 4;
const PROPOSE_AGAIN_MS: u64 = 300;
const PROPOSE_FOR_MS: u64 = 3_000;
/// A member that was silent for so long is marked down, and up again when it is heard.
const DOWN_AFTER_MS: u64 = 2_000;
const HEARD_WITHIN_MS: u64 = 500;
/// Commands between two snapshots.
const SNAPSHOT_EVERY: u64 = 400;

/// Now, as one node's clocks have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) mono: MonoMillis,
    pub(crate) unix: UnixMillis,
}

/// From node to node.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Ask { call: u64, ask: Ask },
    Answer { call: u64, answer: Answer },
    Append(Append),
    Appended(Appended),
    Propose(Entry),
}

/// From a node to itself, later.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    Beat {
        number: u64,
    },
    Decide {
        claim: Claim,
        deadline: MonoMillis,
    },
    GivenUp {
        call: u64,
    },
    SurveyOver {
        survey: u64,
    },
    /// The upstream's answer is whole.
    Answered {
        request: RequestId,
    },
    /// The client has all of it.
    Told {
        request: RequestId,
    },
    ProposeAgain {
        sequence: u64,
    },
}

/// What a node wants done.
#[derive(Debug, Default)]
pub(crate) struct Todo {
    pub(crate) sends: Vec<(usize, Message)>,
    pub(crate) timers: Vec<(u64, Timer)>,
    pub(crate) events: Vec<What>,
}

impl Todo {
    pub(crate) fn send(&mut self, to: usize, message: Message) {
        self.sends.push((to, message));
    }

    pub(crate) fn after(&mut self, wait_ms: u64, timer: Timer) {
        self.timers.push((wait_ms, timer));
    }

    fn ended(&mut self, call: CallId, outcome: Outcome) {
        self.events.push(What::Ended { call, outcome, stream: None });
    }
}

/// Ids that are not their indices, so that one cannot pass for the other.
pub(crate) fn id_of(index: usize) -> NodeId {
    NodeId((index as u64 + 1) * 0x1_0001)
}

pub(crate) fn index_of(id: NodeId) -> usize {
    usize::try_from(id.0 / 0x1_0001 - 1).expect("few nodes")
}

/// A chat as its client sends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chat {
    pub(crate) call: CallId,
    pub(crate) key: KeyDigest,
    pub(crate) tokens: u64,
    pub(crate) lasts_ms: u64,
    pub(crate) cost: NanoUsd,
}

pub(crate) struct Node {
    index: usize,
    epoch: Epoch,
    pub(crate) replica: Replica,
    journal: Journal,
    snapshot: Option<Vec<u8>>,
    life: Option<Life>,
}

/// What ends with the process.
struct Life {
    state: State,
    limits: Limits,
    settler: Settler,
    serving: BTreeMap<RequestId, Serving>,
    proposals: BTreeMap<u64, Proposal>,
    proposed: u64,
    ready: bool,
}

struct Serving {
    chat: Chat,
    key: EntityId,
    taken: Option<Taken>,
}

struct Proposal {
    entry: Entry,
    call: Option<CallId>,
    deadline: MonoMillis,
}

impl Node {
    pub(crate) fn new(index: usize, log: Vec<Slot>) -> Self {
        let (journal, snapshot, life) = (Journal::new(), None, None);
        let replica = Replica::begin(log);
        Self { index, epoch: Epoch(0), replica, journal, snapshot, life }
    }

    fn id(&self) -> NodeId {
        id_of(self.index)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.life.is_some()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.ready)
    }

    /// What it holds; while it lives.
    pub(crate) fn state(&self) -> Option<&State> {
        self.life.as_ref().map(|life| &life.state)
    }

    /// Requests it has open.
    pub(crate) fn open(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.serving.len())
    }

    /// Who owns a key's limits, as this node knows it.
    pub(crate) fn owner(&self, key: &KeyDigest) -> Option<usize> {
        let life = self.life.as_ref()?;
        let scope = ScopeId::of(life.state.key(key)?.id, None);
        life.limits.owner(scope).map(index_of)
    }

    /// The process begins.
    pub(crate) fn start(&mut self, now: Moment, todo: &mut Todo) {
        self.epoch = Epoch(self.epoch.0 + 1);
        let restored = self.snapshot.as_deref().map(State::restore);
        let state = restored.map_or_else(State::new, |state| state.expect("its own snapshot"));
        self.replica.crash(usize::try_from(state.applied()).expect("a short log"));
        let mut limits = Limits::new(self.id(), self.epoch);
        limits.set_ring(state.ring(), now.mono);
        self.life = Some(Life {
            settler: Settler::new(self.id(), self.epoch, &self.journal),
            limits,
            state,
            serving: BTreeMap::new(),
            proposals: BTreeMap::new(),
            proposed: 0,
            ready: false,
        });
        todo.after(1, Timer::Beat { number: 0 });
    }

    /// The process is gone.
    pub(crate) fn kill(&mut self) {
        self.life = None;
        self.replica.crash(self.replica.commit());
    }

    pub(crate) fn hear(&mut self, from: usize, message: Message, now: Moment, todo: &mut Todo) {
        let Some(life) = &mut self.life else { return };
        match message {
            Message::Ask { call, ask } => {
                let answer = life.limits.answer(from, &ask, now.mono, todo);
                todo.send(from, Message::Answer { call, answer });
            }
            Message::Answer { call, answer } => {
                life.limits.answered(call, &answer, now.mono, todo);
                self.let_in(todo);
            }
            Message::Append(append) => {
                let appended = self.replica.append(from, append, now.mono.0);
                todo.send(from, Message::Appended(appended));
                self.apply(now, todo);
            }
            Message::Appended(appended) => {
                self.replica.appended(from, &appended);
                self.apply(now, todo);
            }
            Message::Propose(entry) if self.replica.leads() => {
                self.replica.propose(Some(entry), now.unix);
                self.send_appends(now, todo);
            }
            // It does not lead any more: whoever asked will ask again.
            Message::Propose(_) => {}
        }
    }

    pub(crate) fn wake(&mut self, timer: Timer, now: Moment, todo: &mut Todo) {
        let Some(life) = &mut self.life else { return };
        match timer {
            Timer::Beat { number } => self.beat(number, now, todo),
            Timer::Decide { claim, deadline } => {
                life.limits.decide(claim, deadline, now.mono, todo);
            }
            Timer::GivenUp { call } => life.limits.given_up(call, now.mono, todo),
            Timer::SurveyOver { survey } => life.limits.survey_over(survey, now.mono, todo),
            Timer::Answered { request } => {
                let Some(Serving { chat, key, taken }) = life.serving.get(&request) else { return };
                // On record before the last byte leaves.
                let Chat { cost, tokens, .. } = *chat;
                self.journal.entry(self.epoch).or_default().push(Record { key: *key, cost });
                if let Some(taken) = taken {
                    life.limits.ended(taken, tokens, now.mono, todo);
                }
                todo.after(2, Timer::Told { request });
            }
            Timer::Told { request } => {
                if let Some(Serving { chat, .. }) = life.serving.remove(&request) {
                    todo.ended(chat.call, Outcome::Done { cost: chat.cost });
                }
            }
            Timer::ProposeAgain { sequence } => self.propose_again(sequence, now, todo),
        }
        self.let_in(todo);
    }

    fn beat(&mut self, number: u64, now: Moment, todo: &mut Todo) {
        todo.after(BEAT_MS, Timer::Beat { number: number + 1 });
        self.send_appends(now, todo);
        self.watch_members(now);
        self.apply(now, todo);
        let heard = self.replica.leader_heard(now.mono.0).map(MonoMillis);
        let Some(life) = &mut self.life else { return };
        life.limits.tick(heard, now.mono, todo);
        if life.ready && number.is_multiple_of(SETTLE_BEATS) {
            let due = life.settler.due(&self.journal, &life.state, now.mono.0);
            if let Some(command) = due {
                self.propose(command, None, now, todo);
            }
        }
    }

    fn send_appends(&self, now: Moment, todo: &mut Todo) {
        for (peer, append) in self.replica.appends(now.mono.0) {
            todo.send(peer, Message::Append(append));
        }
    }

    /// The leader marks who is silent, and who is back. One that was marked down before it was elected
    /// stays so, longer than a real one: it serves all the while.
    fn watch_members(&mut self, now: Moment) {
        let Some(life) = self.life.as_mut().filter(|_| self.replica.leads()) else { return };
        let members = life.state.nodes();
        for (peer, silence) in self.replica.silences(now.mono.0) {
            let node = id_of(peer);
            let down = members.get(&node).is_some_and(|member| member.down.is_some());
            let command = match silence {
                DOWN_AFTER_MS.. if !down => Command::MarkDown { node },
                ..=HEARD_WITHIN_MS if down => Command::MarkUp { node },
                _ => continue,
            };
            life.proposed += 1;
            let id = CommandId { node: id_of(self.index), epoch: self.epoch, seq: life.proposed };
            self.replica.propose(Some(Entry { id, actor: None, command }), now.unix);
        }
    }

    /// Has a command committed; `call` waits for it.
    pub(crate) fn propose(
        &mut self,
        command: Command,
        call: Option<CallId>,
        now: Moment,
        todo: &mut Todo,
    ) {
        let (node, epoch) = (self.id(), self.epoch);
        let Some(life) = &mut self.life else { return };
        life.proposed += 1;
        let sequence = life.proposed;
        let entry = Entry { id: CommandId { node, epoch, seq: sequence }, actor: None, command };
        let deadline = now.mono.plus(std::time::Duration::from_millis(PROPOSE_FOR_MS));
        life.proposals.insert(sequence, Proposal { entry, call, deadline });
        self.propose_again(sequence, now, todo);
    }

    fn propose_again(&mut self, sequence: u64, now: Moment, todo: &mut Todo) {
        let Some(life) = &mut self.life else { return };
        let Some(proposal) = life.proposals.get(&sequence) else { return };
        if now.mono >= proposal.deadline {
            if let Some(call) = proposal.call {
                let why = "no answer in time: the change may still take effect".to_owned();
                todo.ended(call, Outcome::Failed { status: 503, why });
            }
            life.proposals.remove(&sequence);
            return;
        }
        let entry = proposal.entry.clone();
        todo.after(PROPOSE_AGAIN_MS, Timer::ProposeAgain { sequence });
        match self.replica.leader() {
            Some(leader) if leader == self.index && self.replica.leads() => {
                self.replica.propose(Some(entry), now.unix);
                self.send_appends(now, todo);
            }
            Some(leader) if leader != self.index => todo.send(leader, Message::Propose(entry)),
            Some(_) | None => {}
        }
    }

    /// Applies what is committed.
    fn apply(&mut self, now: Moment, todo: &mut Todo) {
        let Some(life) = &mut self.life else { return };
        let commit = self.replica.commit() as u64;
        while life.state.applied() < commit {
            let index = life.state.applied() + 1;
            let slot = self.replica.slot(usize::try_from(index).expect("a short log"));
            let Some(entry) = &slot.entry else {
                life.state.skip(index);
                continue;
            };
            let result = life.state.apply(index, slot.at, entry);
            if (entry.id.node, entry.id.epoch) == (id_of(self.index), self.epoch)
                && let Some(proposal) = life.proposals.remove(&entry.id.seq)
                && let Some(call) = proposal.call
            {
                todo.ended(call, told(result));
            }
            if index % SNAPSHOT_EVERY == 0 {
                self.snapshot = Some(life.state.snapshot());
            }
        }
        life.limits.set_ring(life.state.ring(), now.mono);
        let caught_up = self.replica.caught_up_at.is_some_and(|at| at as u64 <= commit);
        life.ready |= caught_up;
    }

    /// A client asks for an answer. A node that has not caught up does not listen.
    pub(crate) fn chat(&mut self, chat: Chat, now: Moment, todo: &mut Todo) {
        let Some(life) = self.life.as_mut().filter(|life| life.ready) else {
            todo.ended(chat.call, Outcome::Unreached);
            return;
        };
        let caller = match life.state.authenticate(chat.key, &[], now.unix) {
            Ok(caller) => caller,
            Err(refusal) => {
                let refusal = match refusal {
                    dunlin_state::Refusal::Unknown => Refusal::Unknown,
                    dunlin_state::Refusal::Blocked => Refusal::Blocked,
                    dunlin_state::Refusal::RouteNotAllowed { .. }
                    | dunlin_state::Refusal::HolderBlocked { .. }
                    | dunlin_state::Refusal::Expired { .. } => {
                        panic!("keys here have no end, no owner and no list of routes")
                    }
                };
                todo.ended(chat.call, Outcome::Refused(refusal));
                return;
            }
        };
        let limits = dunlin_limiter::Limits {
            requests: caller.key.terms.rpm,
            tokens: caller.key.terms.tpm,
            parallel: caller.key.terms.parallel,
            on_loss: caller.key.terms.on_loss.unwrap_or_default(),
            as_of: caller.key.updated_at.0,
        };
        let request = RequestId(u128::from(chat.call.0));
        life.serving.insert(request, Serving { chat, key: caller.key.id, taken: None });
        if limits.is_none() {
            serve(&chat, todo);
        } else {
            let scope = ScopeId::of(caller.key.id, None);
            let claim = Claim { scope, request, tokens: chat.tokens, limits };
            life.limits.claim(claim, now.mono, todo);
            self.let_in(todo);
        }
    }

    /// Goes on with requests whose limits are decided.
    fn let_in(&mut self, todo: &mut Todo) {
        let Some(life) = &mut self.life else { return };
        for (request, taken) in std::mem::take(&mut life.limits.decided) {
            let serving = life.serving.get_mut(&request).expect("it waits for its limits");
            let chat = serving.chat;
            if let Some(taken) = taken {
                serving.taken = Some(taken);
                serve(&chat, todo);
            } else {
                life.serving.remove(&request);
                todo.ended(chat.call, Outcome::Refused(Refusal::Limited));
            }
        }
    }
}

fn serve(chat: &Chat, todo: &mut Todo) {
    let request = RequestId(u128::from(chat.call.0));
    todo.events.push(What::Admitted { call: chat.call, request: request.to_string() });
    todo.after(chat.lasts_ms, Timer::Answered { request });
}

fn told(result: Result<Reply, Rejected>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done { cost: NanoUsd::ZERO },
        Err(Rejected::Forgotten) => {
            Outcome::Failed { status: 503, why: Rejected::Forgotten.to_string() }
        }
        Err(_) => Outcome::Refused(Refusal::Rejected),
    }
}
