//! The run's keys as the nodes know them.

use dunlin_state::{Command, CommandId, Entry, Key as StateKey, State, Terms};
use dunlin_types::{ClusterId, Epoch, KeyDigest, UnixMillis};

use crate::history::{KeySight, Standing};
use crate::sim::node::id_of;
use crate::sim::replica::Slot;
use crate::workload::{Key, Operation};

/// What a node's state says of a key.
pub(super) fn sight(state: &State, key: Key) -> KeySight {
    let digest = digest(key);
    let standing = match state.key(&digest) {
        None => Standing::Gone,
        Some(key) if key.terms.blocked == Some(true) => Standing::Blocked,
        Some(_) => Standing::Open,
    };
    KeySight { standing, spent: state.key(&digest).map(|_| state.key_spend(&digest)) }
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
        Slot { term: 1, at: UnixMillis(1), entry: Some(Entry { id, command }) }
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
