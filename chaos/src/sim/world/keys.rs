//! The run's keys as the nodes know them.

use dunlin_state::{Book, Command, CommandId, Day, Entry, Key as StateKey, State, Symbol, Terms};
use dunlin_types::{ClusterId, EntityId, Epoch, KeyDigest, NanoUsd, OnLoss, UnixMillis};

use crate::history::{KeySight, Standing};
use crate::sim::node::id_of;
use crate::sim::replica::Slot;
use crate::sim::settler;
use crate::workload::{Key, Operation};

/// What a node's state says of a key.
pub(super) fn sight(state: &State, key: Key) -> KeySight {
    let digest = digest(key);
    let standing = match state.key(&digest) {
        None => Standing::Gone,
        Some(key) if key.terms.blocked == Some(true) => Standing::Blocked,
        Some(_) => Standing::Open,
    };
    let spent = state.key(&digest).map(|key| {
        let spent = state.key_spend(&digest);
        assert_eq!(spent_by_day(state, key.id), spent, "the daily totals are of the same requests");
        spent
    });
    KeySight { standing, spent }
}

fn spent_by_day(state: &State, key: EntityId) -> NanoUsd {
    let days = state.days();
    let symbol = days.symbol(&settler::name(key)).unwrap_or(Symbol::OTHER);
    let rows = days.rows(Book::Keys, Day(0), Day(u32::MAX));
    rows.filter(|(_, of, _)| of.key == symbol).map(|(_, _, totals)| totals.cost).sum()
}

pub(super) fn digest(key: Key) -> KeyDigest {
    KeyDigest::of(&format!("sk-{}", key.0))
}

/// What every cluster's log begins with: its name and its members.
pub(super) fn first_log(nodes: usize) -> Vec<Slot> {
    let form = Command::FormCluster { cluster: ClusterId(1) };
    let add = |index| Command::AddNode { node: id_of(index), address: format!("node-{index}:1") };
    let commands = std::iter::once(form).chain((0..nodes).map(add));
    let slot = |(seq, command): (u64, Command)| {
        let id = CommandId { node: id_of(0), epoch: Epoch(0), seq };
        Slot { term: 1, at: UnixMillis(1), entry: Some(Entry { id, actor: None, command }) }
    };
    (1..).zip(commands).map(slot).collect()
}

pub(super) fn command(operation: Operation) -> Command {
    let token = digest(operation.key());
    match operation {
        Operation::Chat { .. } => panic!("a chat is no command"),
        Operation::Create { key, allowed } => Command::CreateKey {
            key: Box::new(StateKey {
                token,
                name: format!("sk-...{}", key.0),
                alias: Some(key.to_string()),
                terms: Terms {
                    rpm: allowed.requests,
                    parallel: allowed.parallel,
                    on_loss: allowed.shared.then_some(OnLoss::Share),
                    ..Terms::default()
                },
                created_by: "chaos".to_owned(),
                ..StateKey::default()
            }),
        },
        Operation::Block { .. } => Command::SetBlocked { token, blocked: true },
        Operation::Unblock { .. } => Command::SetBlocked { token, blocked: false },
        Operation::Delete { .. } => Command::DeleteKeys { tokens: vec![token] },
    }
}
