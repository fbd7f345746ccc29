//! The state itself: what is held, and how it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_ledger::{Lease, Period, Pot};
use dunlin_limiter::Ring;
use dunlin_types::{
    ClusterId, EntityId, Epoch, KeyDigest, Line, NanoUsd, NodeId, PotId, RequestId, UnixMillis,
};
use imbl::{OrdMap, OrdSet};

use crate::audit::AuditLog;
use crate::batched::Batched;
use crate::claims::Claims;
use crate::command::{Entity, Key, Kind, Member, Resource, ResourceKind};
use crate::days::Days;
use crate::format::Format;
use crate::past::Pasts;
use crate::payer::PROXY;
use crate::results::Results;
use crate::settled::Settled;
use crate::snapshot::{ClusterNode, ConfigRevision, FormerCluster, RemovedNode, Spent};
use crate::unique::Unique;

/// Who belongs to a group, by `user_id`.
pub(crate) type Members = OrdMap<String, Arc<Member>>;

/// Whose an id is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Key(KeyDigest),
    Entity(Kind, String),
    Member { kind: Kind, group: String, user: String },
}

/// Everything that all nodes agree on. A clone is a few pointers.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) applied: u64,
    pub(crate) at: UnixMillis,
    pub(crate) format: Format,
    pub(crate) format_held: bool,
    pub(crate) cluster: Option<ClusterId>,
    /// Clusters whose majority was lost and from a survivor of which this one comes, oldest first.
    pub(crate) former_clusters: Arc<Vec<FormerCluster>>,
    /// The last number given to an entity.
    pub(crate) numbered: u64,
    pub(crate) keys: OrdMap<KeyDigest, Arc<Key>>,
    pub(crate) aliases: OrdMap<String, KeyDigest>,
    /// Former hashes of regenerated keys that still work: the present one, and until when.
    pub(crate) former: OrdMap<KeyDigest, (KeyDigest, UnixMillis)>,
    pub(crate) entities: OrdMap<Kind, OrdMap<String, Arc<Entity>>>,
    pub(crate) unique: Unique,
    /// End users that nobody made, by when they were last seen.
    pub(crate) met: OrdSet<(UnixMillis, String)>,
    /// By what they belong to: its kind, its name, the user.
    pub(crate) members: OrdMap<Kind, OrdMap<String, Members>>,
    pub(crate) holders: OrdMap<EntityId, Holder>,
    pub(crate) pots: OrdMap<PotId, Arc<Pot>>,
    /// By whom; absent is nothing. Every request counts for [`PROXY`]. Apart from the rows, which
    /// change seldom.
    pub(crate) spent: OrdMap<EntityId, Spent>,
    pub(crate) days: Days,
    pub(crate) nodes: OrdMap<NodeId, ClusterNode>,
    pub(crate) removed: OrdMap<NodeId, RemovedNode>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) settled: OrdMap<NodeId, Arc<Settled>>,
    pub(crate) leased: OrdMap<NodeId, (Epoch, u64)>,
    pub(crate) pasts: Pasts,
    pub(crate) claims: Claims,
    pub(crate) batched: Batched,
    pub(crate) config: Arc<Vec<ConfigRevision>>,
    pub(crate) audit: AuditLog,
    /// The name of the cluster secret under which all is sealed; none: it was never changed.
    pub(crate) sealed_under: Option<String>,
    pub(crate) resources: OrdMap<ResourceKind, OrdMap<String, Arc<Resource>>>,
    /// The index of the last change of any resource.
    pub(crate) resources_version: u64,
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

    /// The format of the log from here on.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether the format is raised only when somebody says so.
    #[must_use]
    pub fn format_is_held(&self) -> bool {
        self.format_held
    }

    /// The cluster's name; `None` before it is formed.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// Clusters whose majority was lost and from a survivor of which this one comes, oldest first. Who
    /// comes back from one of them must not take part.
    #[must_use]
    pub fn former_clusters(&self) -> &[FormerCluster] {
        &self.former_clusters
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

    /// The entity with that name.
    #[must_use]
    pub fn entity(&self, kind: Kind, name: &str) -> Option<&Arc<Entity>> {
        self.entities.get(&kind)?.get(name)
    }

    /// All entities of a kind, in the order of their names.
    pub fn entities(&self, kind: Kind) -> impl Iterator<Item = &Arc<Entity>> {
        self.entities.get(&kind).into_iter().flat_map(OrdMap::values)
    }

    /// The user with that address.
    #[must_use]
    pub fn user_by_email(&self, email: &str) -> Option<&Arc<Entity>> {
        self.entity(Kind::User, self.unique.by_email(email)?)
    }

    /// A user's membership.
    #[must_use]
    pub fn member(&self, kind: Kind, name: &str, user: &str) -> Option<&Arc<Member>> {
        self.members.get(&kind)?.get(name)?.get(user)
    }

    /// Who belongs to a team or an organization, in the order of their `user_id`s.
    pub fn members(&self, kind: Kind, name: &str) -> impl Iterator<Item = &Arc<Member>> {
        let members = self.members.get(&kind).and_then(|groups| groups.get(name));
        members.into_iter().flat_map(OrdMap::values)
    }

    /// The names of the teams or organizations to which a user belongs.
    pub fn memberships(
        &self,
        kind: Kind,
        user: &str,
    ) -> impl Iterator<Item = (&str, &Arc<Member>)> {
        let groups = self.members.get(&kind).into_iter().flatten();
        groups.filter_map(move |(name, members)| Some((name.as_str(), members.get(user)?)))
    }

    /// What an entity has spent since it was made, as far as it is settled.
    #[must_use]
    pub fn total_spend(&self, id: EntityId) -> Spent {
        self.spent.get(&id).copied().unwrap_or_default()
    }

    /// What is spent from a pot in its present period, as far as it is settled, and the start of
    /// that period.
    #[must_use]
    pub fn spend(&self, pot: &PotId) -> (NanoUsd, UnixMillis) {
        self.pots.get(pot).map_or((NanoUsd::ZERO, UnixMillis(0)), |pot| (pot.settled, pot.period))
    }

    /// When the period of a pot began that runs by its duration as `by_calendar`.
    #[must_use]
    pub fn begun(&self, pot: &PotId, by_calendar: Option<Period>) -> UnixMillis {
        let start = by_calendar.map_or(UnixMillis(0), |period| period.start);
        self.pots.get(pot).map_or(start, |pot| pot.begun(by_calendar))
    }

    /// What a key has spent in its present period, as far as it is settled.
    #[must_use]
    pub fn key_spend(&self, token: &KeyDigest) -> NanoUsd {
        self.key(token)
            .map_or(NanoUsd::ZERO, |key| self.spend(&PotId { of: key.id, line: Line::Main }).0)
    }

    /// A pot, once something was granted or spent from it.
    #[must_use]
    pub fn pot(&self, pot: &PotId) -> Option<&Arc<Pot>> {
        self.pots.get(pot)
    }

    /// What was used on which day, as far as it is settled.
    #[must_use]
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// All that was ever settled, whoever spent it.
    #[must_use]
    pub fn total_spent(&self) -> Spent {
        self.total_spend(PROXY)
    }

    /// The cluster's nodes, down ones included.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<NodeId, ClusterNode> {
        self.nodes.iter().map(|(node, known)| (*node, known.clone())).collect()
    }

    /// Nodes that were members and were removed for good, the last 1,000.
    pub fn removed(&self) -> impl Iterator<Item = (NodeId, &RemovedNode)> {
        self.removed.iter().map(|(node, removed)| (*node, removed))
    }

    /// A node that was removed for good.
    #[must_use]
    pub fn removed_node(&self, node: NodeId) -> Option<&RemovedNode> {
        self.removed.get(&node)
    }

    /// What a node was granted and has not settled, of all pots. Looks at each of them.
    #[must_use]
    pub fn granted_to(&self, node: NodeId) -> NanoUsd {
        let leases = self.pots.values().flat_map(|pot| &pot.leases);
        leases.filter(|lease| lease.node == node).map(Lease::unused).sum()
    }

    /// What nodes may have spent and not settled, each that may: what they were granted of all pots, in
    /// periods that are over, too.
    #[must_use]
    pub fn unsettled(&self) -> BTreeMap<NodeId, NanoUsd> {
        let leases = self.pots.values().flat_map(|pot| &pot.leases);
        let granted = leases.map(|lease| (lease.node, lease.unused()));
        let mut unsettled = BTreeMap::new();
        for (node, unused) in granted.chain(self.pasts.unsettled()) {
            *unsettled.entry(node).or_insert(NanoUsd::ZERO) += unused;
        }
        unsettled.retain(|_, unused| *unused > NanoUsd::ZERO);
        unsettled
    }

    /// The same of one spender's pots.
    #[must_use]
    pub fn granted_of(&self, of: EntityId, node: NodeId) -> NanoUsd {
        let leases = self.pots_of(of).flat_map(|(_, pot)| &pot.leases);
        leases.filter(|lease| lease.node == node).map(Lease::unused).sum()
    }

    /// All pots of one spender.
    pub(crate) fn pots_of(&self, of: EntityId) -> impl Iterator<Item = (&PotId, &Arc<Pot>)> {
        let first = PotId { of, line: Line::Main };
        self.pots.range(first..).take_while(move |(pot, _)| pot.of == of)
    }

    /// What of a pot was granted to nodes that do not serve, and is not settled: neither spent nor
    /// free.
    #[must_use]
    pub fn withheld(&self, pot: &PotId) -> NanoUsd {
        let serves = |node, _| self.nodes.get(&node).is_some_and(|member| member.down.is_none());
        self.pots.get(pot).map_or(NanoUsd::ZERO, |pot| pot.withheld(serves))
    }

    /// Who owns which scope.
    #[must_use]
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The last settled record of a node's journal, and of which life; zeros before the first.
    #[must_use]
    pub fn settled(&self, node: NodeId) -> (Epoch, u64) {
        self.settled.get(&node).map(|settled| settled.last()).unwrap_or_default()
    }

    /// How far the journals of members and of removed nodes are settled, as long as those are known.
    pub fn journals(&self) -> impl Iterator<Item = (NodeId, &Settled)> {
        let is_known =
            |node: &NodeId| self.nodes.contains_key(node) || self.removed.contains_key(node);
        let known = self.settled.iter().filter(move |(node, _)| is_known(node));
        known.map(|(node, settled)| (*node, &**settled))
    }

    /// The last of a node's asks for money that took effect, and of which life; zeros before the
    /// first.
    #[must_use]
    pub fn leased(&self, node: NodeId) -> (Epoch, u64) {
        self.leased.get(&node).copied().unwrap_or_default()
    }

    /// Whether the right to charge what was made at `made` is gone.
    #[must_use]
    pub fn is_claimed(&self, request: RequestId, made: UnixMillis) -> bool {
        self.claims.refuse(request, made, self.at)
    }

    /// Whether that right was taken, and what was charged by it is not settled yet.
    #[must_use]
    pub fn is_claim_unsettled(&self, request: RequestId) -> bool {
        self.claims.is_unsettled(request)
    }

    /// True only if no such right was taken, settled or forgotten between this state and the other.
    #[must_use]
    pub fn has_same_claims(&self, other: &Self) -> bool {
        self.claims.is_same(&other.claims)
    }

    /// The newest config revision.
    #[must_use]
    pub fn config(&self) -> Option<&ConfigRevision> {
        self.config.last()
    }

    /// Who changed what.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// All config revisions, oldest first.
    pub fn config_history(&self) -> impl DoubleEndedIterator<Item = &ConfigRevision> {
        self.config.iter()
    }

    /// The name of the cluster secret that the last change of it brought; none: it was never changed.
    #[must_use]
    pub fn sealed_under(&self) -> Option<&str> {
        self.sealed_under.as_deref()
    }

    /// The model or credential with that id.
    #[must_use]
    pub fn resource(&self, kind: ResourceKind, id: &str) -> Option<&Arc<Resource>> {
        self.resources.get(&kind)?.get(id)
    }

    /// All models or credentials that were set over the API, in the order of their ids.
    pub fn resources(&self, kind: ResourceKind) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.get(&kind).into_iter().flat_map(OrdMap::values)
    }

    /// Rises whenever a model or a credential is made, changed or deleted.
    #[must_use]
    pub fn resources_version(&self) -> u64 {
        self.resources_version
    }
}
