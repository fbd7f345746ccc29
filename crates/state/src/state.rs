//! The state itself: what is held, and how it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_limiter::Ring;
use dunlin_types::{ClusterId, Epoch, KeyDigest, NanoUsd, NodeId, UnixMillis};
use imbl::OrdMap;

use crate::caller::{Caller, Refusal};
use crate::command::Key;
use crate::deleted::Deleted;
use crate::results::Results;
use crate::snapshot::{ConfigRevision, Member, Spent};

/// Everything that all nodes agree on. A clone is a few pointers.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) applied: u64,
    pub(crate) at: UnixMillis,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) keys: OrdMap<KeyDigest, Arc<Key>>,
    pub(crate) aliases: OrdMap<String, KeyDigest>,
    pub(crate) deleted: Deleted,
    /// Of keys and of deleted keys; absent is nothing. Apart from the keys, which change seldom.
    pub(crate) spent: OrdMap<KeyDigest, Spent>,
    /// Of keys that are neither: long deleted, or never made here.
    pub(crate) unclaimed: Spent,
    pub(crate) members: OrdMap<NodeId, Member>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) settled: OrdMap<NodeId, (Epoch, u64)>,
    pub(crate) config: Arc<Vec<ConfigRevision>>,
    pub(crate) results: Results,
}

impl State {
    /// The state before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of the last applied entry.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The time of the last applied command. Never goes back.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        self.at
    }

    /// The cluster's name; `None` before it is formed.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// The key with that hash.
    #[must_use]
    pub fn key(&self, token: &KeyDigest) -> Option<&Arc<Key>> {
        self.keys.get(token)
    }

    /// The key with that alias.
    #[must_use]
    pub fn key_by_alias(&self, alias: &str) -> Option<&Arc<Key>> {
        self.keys.get(self.aliases.get(alias)?)
    }

    /// All keys, in the order of their hashes.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    /// What a key has spent, as far as it is settled.
    #[must_use]
    pub fn spend(&self, token: &KeyDigest) -> NanoUsd {
        self.spent.get(token).map_or(NanoUsd::ZERO, |spent| spent.cost)
    }

    /// All that was ever settled: of keys, of deleted keys, and of what is no key any more.
    #[must_use]
    pub fn total_spent(&self) -> Spent {
        let mut total = self.unclaimed;
        self.spent.values().for_each(|spent| total.add(*spent));
        total
    }

    /// Whether the key with that hash may be used at `now`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn authenticate(&self, token: KeyDigest, now: UnixMillis) -> Result<Caller, Refusal> {
        let key = self.keys.get(&token).ok_or(Refusal::Unknown)?;
        if key.blocked == Some(true) {
            return Err(Refusal::Blocked);
        }
        match key.expires {
            Some(at) if at <= now => Err(Refusal::Expired { at }),
            Some(_) | None => Ok(Caller { token, key: Arc::clone(key) }),
        }
    }

    /// The cluster's nodes, down ones included.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<NodeId, Member> {
        self.members.iter().map(|(node, member)| (*node, member.clone())).collect()
    }

    /// Who owns which scope.
    #[must_use]
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The last settled record of a node's journal, and of which life; zeros before the first.
    #[must_use]
    pub fn settled(&self, node: NodeId) -> (Epoch, u64) {
        self.settled.get(&node).copied().unwrap_or_default()
    }

    /// The newest config revision.
    #[must_use]
    pub fn config(&self) -> Option<&ConfigRevision> {
        self.config.last()
    }

    /// All config revisions, oldest first.
    pub fn config_history(&self) -> impl DoubleEndedIterator<Item = &ConfigRevision> {
        self.config.iter()
    }
}
