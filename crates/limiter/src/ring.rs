//! Who owns which scope: rendezvous hashing (Thaler and Ravishankar, 1998) over the members that
//! serve. A member that leaves moves only its own scopes.

use dunlin_types::{EntityId, NodeId};
use serde::{Deserialize, Serialize};

/// What limits are counted for: a key, a team, a user, or one of them with one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeId(pub u128);

impl ScopeId {
    /// The scope of an entity, or of what it may use of one model: all limits of it are counted in
    /// one place. Of two models, each must have a scope of its own; by FNV-1a (Fowler, Noll and Vo)
    /// they have, but for one pair in 2^64.
    #[must_use]
    pub fn of(entity: EntityId, model: Option<&str>) -> Self {
        let byte = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        let hash = |model: &str| model.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, byte);
        Self(u128::from(entity.0) << 64 | u128::from(model.map_or(0, hash)))
    }
}

/// The serving members at one version of the replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ring {
    version: u64,
    members: Vec<NodeId>,
    /// Since which version each of them has been one without a break; 0 if nobody said.
    since: Vec<u64>,
    absent: Vec<NodeId>,
    /// Of how many nodes each absent one knows at least.
    among: Vec<u64>,
    /// Members that own nothing.
    resting: Vec<NodeId>,
}

impl Ring {
    /// A ring of `members`; `version` is the log index of the entry that made it.
    #[must_use]
    pub fn new(version: u64, mut members: Vec<NodeId>) -> Self {
        members.sort_unstable();
        members.dedup();
        let since = vec![0; members.len()];
        let (absent, among, resting) = Default::default();
        Self { version, members, since, absent, among, resting }
    }

    /// The same with members that leave what they owned to the others, as long as there are others.
    /// They serve on, ask and tell like all, and keep their shares.
    #[must_use]
    pub fn resting(self, mut resting: Vec<NodeId>) -> Self {
        resting.retain(|node| self.has(*node));
        if resting.len() == self.members.len() {
            resting.clear();
        }
        resting.sort_unstable();
        Self { resting, ..self }
    }

    /// Whether `node` serves and owns nothing.
    #[must_use]
    pub fn rests(&self, node: NodeId) -> bool {
        self.resting.binary_search(&node).is_ok()
    }

    /// The same, whose member `node` was added or marked up by the entry at `version`.
    #[must_use]
    pub fn since(mut self, node: NodeId, version: u64) -> Self {
        if let Ok(index) = self.members.binary_search(&node) {
            self.since[index] = version;
        }
        self
    }

    /// What it was, as far as its members go, before those came back who were away at some time
    /// after `version`; `None` if none was.
    pub(crate) fn without_returned(&self, version: u64) -> Option<Self> {
        let last = self.since.iter().copied().filter(|since| *since > version).max()?;
        let stayed = self.members.iter().zip(&self.since).filter(|(_, since)| **since <= version);
        let members = stayed.map(|(node, _)| *node).collect();
        let away = self.members.iter().zip(&self.since).filter(|(_, since)| **since > version);
        let away = away.map(|(node, _)| *node).chain(self.absent.iter().copied()).collect();
        let missed = || Self::new(last - 1, members).beside(away).resting(self.resting.clone());
        (last > version + 1).then(missed)
    }

    /// The same beside nodes that are marked down. They own nothing and have no share, but one that
    /// lives may serve: it admits by the owners' word until it is marked up.
    #[must_use]
    pub fn beside(self, absent: Vec<NodeId>) -> Self {
        let nodes = (self.members.len() + absent.len()) as u64;
        self.beside_of(absent.into_iter().map(|node| (node, nodes)).collect())
    }

    /// The same, each with how many nodes there were when it was marked down, itself included: it
    /// may still go by that.
    #[must_use]
    pub fn beside_of(self, absent: Vec<(NodeId, u64)>) -> Self {
        let (absent, among) = absent.into_iter().unzip();
        Self { absent, among, ..self }
    }

    /// The log index of the entry that made it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The serving members in ascending order.
    #[must_use]
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// The nodes that are marked down.
    #[must_use]
    pub fn absent(&self) -> &[NodeId] {
        &self.absent
    }

    /// Of each of them, how many nodes there were when it was marked down.
    pub(crate) fn among(&self) -> &[u64] {
        &self.among
    }

    /// What each node may use of `amount` while nodes are lost: those who are left have what these
    /// do not have, with the remainder.
    pub(crate) fn least_share(&self, amount: u64) -> u64 {
        amount / ((self.members.len() + self.absent.len()) as u64).max(1)
    }

    /// The member that counts for `scope`; `None` while nobody serves.
    #[must_use]
    pub fn owner(&self, scope: ScopeId) -> Option<NodeId> {
        let owners = self.members.iter().copied().filter(|node| !self.rests(*node));
        owners.max_by_key(|node| (score(scope, *node), *node))
    }

    /// All members, the owner first, then who would own `scope` if those before were gone.
    #[must_use]
    pub fn order(&self, scope: ScopeId) -> Vec<NodeId> {
        let mut order = self.members.clone();
        let rank = |node: &NodeId| (!self.rests(*node), score(scope, *node), *node);
        order.sort_by_key(|node| std::cmp::Reverse(rank(node)));
        order
    }

    /// Whether `node` serves.
    #[must_use]
    pub fn has(&self, node: NodeId) -> bool {
        self.members.binary_search(&node).is_ok()
    }

    /// What `node` may use of `amount` while nobody decides for all: an equal part, and of the
    /// remainder by rendezvous order. All shares sum to `amount`; a stranger has none.
    #[must_use]
    pub fn share(&self, scope: ScopeId, amount: u64, node: NodeId) -> u64 {
        if !self.has(node) {
            return 0;
        }
        let rank = |node| (score(scope, node), node);
        let before = self.members.iter().filter(|other| rank(**other) > rank(node)).count() as u64;
        let members = self.members.len() as u64;
        amount / members + u64::from(before < amount % members)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the scope")]
fn score(scope: ScopeId, node: NodeId) -> u64 {
    mix(mix(mix(node.0) ^ (scope.0 as u64)) ^ ((scope.0 >> 64) as u64))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every input bit moves every output bit.
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaving_member_moves_only_its_own_scopes_and_shares_are_even() {
        let members: Vec<_> = (1..=5).map(NodeId).collect();
        let whole = Ring::new(1, members.clone());
        let without = Ring::new(2, members[..4].to_vec());
        let mut owned = [0_u32; 5];
        for number in 0..10_000_u128 {
            let scope = ScopeId((number << 64) | (number * 7));
            let owner = whole.owner(scope).expect("members");
            owned[usize::try_from(owner.0).expect("small") - 1] += 1;
            assert_eq!(whole.order(scope)[0], owner);
            if owner != NodeId(5) {
                assert_eq!(without.owner(scope), Some(owner));
            } else {
                assert_eq!(without.owner(scope), Some(whole.order(scope)[1]));
            }
        }
        assert!(owned.iter().all(|count| (1800..2200).contains(count)), "{owned:?}");
    }

    #[test]
    fn shares_sum_to_the_whole_and_strangers_have_none() {
        let ring = Ring::new(1, vec![NodeId(7), NodeId(8), NodeId(9)]);
        for amount in 0..100 {
            let shares = ring.members().iter().map(|node| ring.share(ScopeId(5), amount, *node));
            assert_eq!(shares.sum::<u64>(), amount);
        }
        assert_eq!(ring.share(ScopeId(5), 90, NodeId(1)), 0);
    }

    #[test]
    fn owners_are_the_same_in_every_release() {
        let ring = Ring::new(1, (1..=3).map(NodeId).collect());
        let owners: Vec<u64> = (0..12).filter_map(|n| Some(ring.owner(ScopeId(n))?.0)).collect();
        assert_eq!(owners, [1, 2, 2, 1, 3, 2, 2, 1, 2, 2, 3, 2]);
    }
}
