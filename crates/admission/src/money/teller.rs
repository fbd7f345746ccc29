//! Asks the replicated state for money, one question at a time, and other nodes for what they do not
//! use; gives back what others ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dunlin_ledger::{Due, Ticket};
use dunlin_rpc::{Incoming, Refused, Service};
use dunlin_state::{Command, Grant, Return};
use dunlin_types::{NodeId, PotId, RequestId};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use super::{Money, PATIENCE};

/// How often leases are looked after while nobody waits.
const TICK: Duration = Duration::from_millis(100);
/// What comes up within this is asked for together.
const LINGER: Duration = Duration::from_millis(2);
/// The pause after a question that found no quorum.
const RETRY: Duration = Duration::from_millis(250);

/// Another node's request waits for money of this pot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Recall {
    pot: PotId,
    late: bool,
    request: RequestId,
}

/// Asks for what is due, for as long as the node lives.
pub(super) async fn tell(money: Money) {
    money.0.consensus.formed().await;
    let mut number = 0;
    loop {
        tokio::select! {
            () = money.0.wake.notified() => sleep(LINGER).await,
            () = sleep(TICK) => {}
        }
        let now = money.0.clock.mono();
        let due = money.look(|purses, view| purses.due(view, now));
        recall(&money, &due.recalls);
        if due.wants.is_empty() && due.returns.is_empty() {
            continue;
        }
        number += 1;
        ask(&money, number, &due).await;
        let now = money.0.clock.mono();
        let mut purses = money.purses();
        for (pot, _) in &due.wants {
            purses.answered(pot, now);
        }
        for (pot, period, amount) in &due.returns {
            purses.returned(pot, *period, *amount);
        }
        drop(purses);
        money.0.moved.send_replace(());
    }
}

/// Proposes one question until the state shows that it took effect. Its number makes it do so once,
/// whatever becomes of the answers.
async fn ask(money: &Money, number: u64, due: &Due) {
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
        let command = Command::Lease { node: me, epoch, number, returns, grants };
        if let Err(error) = money.0.consensus.propose(command).await {
            debug!(%error, "money is not granted yet");
            sleep(RETRY).await;
        }
    }
}

/// Asks every node with a lease that may have something left. What it gives back comes through the
/// replicated state: nobody waits for the answer.
fn recall(money: &Money, recalls: &[(PotId, Ticket)]) {
    let state = money.0.consensus.state();
    let mut by_node: BTreeMap<NodeId, Vec<Recall>> = BTreeMap::new();
    for (pot, ticket) in recalls {
        let leases = state.pot(pot).map_or(&[][..], |held| &held.leases);
        for lease in leases.iter().filter(|lease| lease.node != money.0.me) {
            let Ticket { late, request } = *ticket;
            let recall = Recall { pot: pot.clone(), late, request };
            let asked = by_node.entry(lease.node).or_default();
            if !asked.contains(&recall) {
                asked.push(recall);
            }
        }
    }
    for (node, recalls) in by_node {
        let rpc = money.0.rpc.clone();
        let body = Bytes::from(serde_json::to_vec(&recalls).expect("plain data"));
        // It ends by itself, within the patience.
        money.0.tasks.spawn(async move {
            if let Err(error) = rpc.call(node, Service::Money, body, PATIENCE).await {
                debug!(node.id = %node, %error, "a node was not asked for money");
            }
        });
    }
}

/// Takes note of what other nodes ask back.
pub(super) async fn answer(money: Money, mut inbox: mpsc::Receiver<Incoming>) {
    while let Some(incoming) = inbox.recv().await {
        let answer = match serde_json::from_slice::<Vec<Recall>>(&incoming.body) {
            Ok(recalls) => {
                let ticket = |Recall { pot, late, request }| (pot, Ticket { late, request });
                let recalls: Vec<_> = recalls.into_iter().map(ticket).collect();
                money.purses().recall(&recalls, money.0.clock.mono());
                money.0.wake.notify_one();
                Ok(Bytes::new())
            }
            Err(error) => Err(Refused { reason: format!("not a question for money: {error}") }),
        };
        incoming.answer(answer);
    }
}
