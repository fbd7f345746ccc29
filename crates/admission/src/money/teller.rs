//! Asks the replicated state for money, one question at a time, and other nodes for what they do not
//! use; gives back what others ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dunlin_ledger::{Answer, Due, Place, Recall, Ticket};
use dunlin_rpc::{CallError, Incoming, Refused, Service};
use dunlin_state::{Command, Grant, Return};
use dunlin_types::{Epoch, NanoUsd, NodeId, PotId, RequestId, UnixMillis};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use super::Money;
use super::restored::Closing;

/// How often leases are looked after while nobody waits.
const TICK: Duration = Duration::from_millis(100);
/// What comes up within this is asked for together.
const LINGER: Duration = Duration::from_millis(2);
/// The pause after a question that found no quorum.
const RETRY: Duration = Duration::from_millis(250);

/// A node that has not answered for so long, twice, is not reached. One that is frozen or cut off is
/// marked down, and not asked any more, in about as long.
const ANSWER: Duration = Duration::from_secs(1);

/// Another node's request waits for money of this pot: a [`Recall`] of one life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    pot: PotId,
    owed: bool,
    late: bool,
    request: RequestId,
    lacks: NanoUsd,
    round: u64,
    period: UnixMillis,
    life: Epoch,
    through: u64,
}

/// What a life has committed: an [`Answer`] to each question, in their order.
#[derive(Debug, Serialize, Deserialize)]
struct Answers {
    life: Epoch,
    committed: Vec<Committed>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Committed {
    least: NanoUsd,
    present: NanoUsd,
}

impl Question {
    fn recall(&self) -> Recall {
        let place = match (self.owed, self.late) {
            (true, _) => Place::Owed,
            (false, true) => Place::Late,
            (false, false) => Place::Gathers,
        };
        Recall {
            pot: self.pot.clone(),
            ticket: Ticket { place, request: self.request },
            lacks: self.lacks,
            round: self.round,
            period: self.period,
            lives: Vec::new(),
        }
    }
}

/// Asks for what is due, for as long as the node lives.
pub(super) async fn tell(money: Money) {
    money.0.consensus.formed().await;
    let mut number = 0;
    loop {
        let is_quiet = tokio::select! {
            () = money.0.wake.notified() => {
                sleep(LINGER).await;
                false
            }
            () = sleep(TICK) => true,
        };
        let now = money.0.clock.mono();
        let due = money.look_at(|purses, state| {
            let rules = money.0.rules.load();
            let view = |pot: &PotId| money.view(state, &rules, pot);
            purses.due(&view, &|pot: &PotId| money.lives(state, pot), now)
        });
        recall(&money, &due.recalls);
        let closing = money.0.to_close.take();
        if due.wants.is_empty() && due.returns.is_empty() && closing.is_none() {
            if is_quiet {
                // What is left to others is left for a time.
                money.freed(&money.purses());
            }
            continue;
        }
        number += 1;
        ask(&money, number, &due, closing.as_ref()).await;
        if let Some(closing) = closing {
            closing.closed(&money);
        }
        let now = money.0.clock.mono();
        let mut purses = money.purses();
        for (pot, _) in &due.wants {
            purses.answered(pot, now);
        }
        for (pot, period, amount) in &due.returns {
            purses.returned(pot, *period, *amount);
        }
        money.freed(&purses);
    }
}

/// Proposes one question until the state shows that it took effect. Its number makes it do so once,
/// whatever becomes of the answers.
async fn ask(money: &Money, number: u64, due: &Due, closing: Option<&Closing>) {
    let (me, epoch) = (money.0.me, money.0.epoch);
    let (rules, state) = (money.0.rules.load_full(), money.0.consensus.state());
    let grant = |(pot, want): &(PotId, dunlin_ledger::Want)| Grant {
        pot: pot.clone(),
        period: want.period,
        least: want.least,
        amount: want.amount,
        limit: rules.told_limit(&state, pot),
        window: rules.config_window(pot),
        carries: rules.carries(&state, pot, want.period),
    };
    let give = |(pot, period, amount): &(PotId, _, _)| Return {
        pot: pot.clone(),
        period: *period,
        amount: *amount,
    };
    let grants: Vec<_> = due.wants.iter().map(grant).collect();
    let returns: Vec<_> = due.returns.iter().map(give).collect();
    while money.0.consensus.state().leased(me) < (epoch, number) {
        let (grants, returns) = (grants.clone(), returns.clone());
        let lease = Command::Lease { node: me, epoch, number, returns, grants };
        let command = match closing {
            Some(closing) => closing.command(money, lease),
            None => lease,
        };
        if let Err(error) = money.0.consensus.propose(command).await {
            debug!(%error, "money is not granted yet");
            sleep(RETRY).await;
        }
    }
}

/// Asks every node with a lease that may have something left. What it gives back comes through the
/// replicated state; what it says tells whether there is enough.
fn recall(money: &Money, recalls: &[Recall]) {
    let mut by_node: BTreeMap<NodeId, Vec<Question>> = BTreeMap::new();
    for recall in recalls {
        for life in &recall.lives {
            let (node, epoch) = life.holder;
            let question = Question {
                pot: recall.pot.clone(),
                owed: recall.ticket.place == Place::Owed,
                late: recall.ticket.place == Place::Late,
                request: recall.ticket.request,
                lacks: recall.lacks,
                round: recall.round,
                period: recall.period,
                life: epoch,
                through: life.through,
            };
            let asked = by_node.entry(node).or_default();
            // Of the lives of a node the last can answer.
            match asked.iter_mut().find(|known| known.pot == question.pot) {
                Some(known) if known.life < epoch => *known = question,
                Some(_) => {}
                None => asked.push(question),
            }
        }
    }
    for (node, questions) in by_node {
        let money_too = money.clone();
        // It ends by itself, after ANSWER at most.
        money.0.tasks.spawn(async move { put(&money_too, node, &questions).await });
    }
    if recalls.iter().any(|recall| recall.lives.is_empty()) {
        // There was nobody to ask, and who waits can be told so.
        money.0.bell.notify_one();
    }
}

async fn put(money: &Money, node: NodeId, questions: &[Question]) {
    let body = Bytes::from(serde_json::to_vec(questions).expect("plain data"));
    let answers = match money.0.rpc.call(node, Service::Money, body, ANSWER).await {
        Ok(body) => serde_json::from_slice::<Answers>(&body).ok(),
        Err(error) => {
            debug!(node.id = %node, %error, "a node was not asked for money");
            if matches!(error, CallError::Busy | CallError::Refused { .. }) {
                // It is there, and is asked again.
                return;
            }
            None
        }
    };
    let answers = answers.filter(|answers| answers.committed.len() == questions.len());
    let mut is_any_whole = false;
    let mut purses = money.purses();
    for (at, question) in questions.iter().enumerate() {
        let answer = answers.as_ref().map(|answers| {
            let Committed { least, present } = answers.committed[at];
            ((node, answers.life), Answer { least, present })
        });
        is_any_whole |= purses.heard(&question.pot, question.round, node, answer);
    }
    drop(purses);
    if is_any_whole {
        money.0.bell.notify_one();
        money.0.wake.notify_one();
    }
}

/// Takes note of what other nodes ask back, and says what is committed.
pub(super) async fn answer(money: Money, mut inbox: mpsc::Receiver<Incoming>) {
    while let Some(incoming) = inbox.recv().await {
        let answer = match serde_json::from_slice::<Vec<Question>>(&incoming.body) {
            Ok(questions) => {
                let answers = answers(&money, incoming.from, &questions);
                money.0.wake.notify_one();
                Ok(Bytes::from(serde_json::to_vec(&answers).expect("plain data")))
            }
            Err(error) => Err(Refused { reason: format!("not a question for money: {error}") }),
        };
        incoming.answer(answer);
    }
}

fn answers(money: &Money, by: NodeId, questions: &[Question]) -> Answers {
    let life = money.0.epoch;
    let now = money.0.clock.mono();
    let committed = money.look_at(|purses, _| {
        let answer = |question: &Question| {
            let through = if question.life == life { question.through } else { 0 };
            let Answer { least, present } = purses.recall(by, &question.recall(), through, now);
            Committed { least, present }
        };
        questions.iter().map(answer).collect()
    });
    Answers { life, committed }
}
