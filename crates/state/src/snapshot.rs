//! The log format, the other half: the whole state as one JSON document. Written and read by any
//! version that knows its `format`, that of the log up to it; the content is ordered, so equal states
//! give equal bytes.

mod days;
mod rows;

use std::sync::Arc;

use dunlin_limiter::Ring;
use dunlin_types::{ClusterId, EntityId, Epoch, KeyDigest, NodeId, RequestId, UnixMillis};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::AuditDocument;
use crate::batched::Batched;
use crate::claims::Claims;
use crate::command::{Day, Entity, Key, Kind, Member, Resource};
use crate::format::Format;
use crate::past::{Past, Pasts};
use crate::settled::Settled;
use crate::state::{Holder, Members, State};
use days::DaysRow;
pub use rows::{ClusterNode, ConfigRevision, FormerCluster, RemovedNode, Spent};
use rows::{LifeRow, PotRow};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: Format,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    format_held: bool,
    applied: u64,
    at: UnixMillis,
    cluster: Option<ClusterId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former_clusters: Vec<FormerCluster>,
    numbered: u64,
    keys: Vec<Arc<Key>>,
    former: Vec<(KeyDigest, KeyDigest, UnixMillis)>,
    entities: Vec<Arc<Entity>>,
    members: Vec<(Kind, String, Vec<Arc<Member>>)>,
    pots: Vec<PotRow>,
    spent: Vec<(EntityId, Spent)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<DaysRow>,
    nodes: Vec<(NodeId, ClusterNode)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<(NodeId, RemovedNode)>,
    ring_version: u64,
    settled: Vec<(NodeId, Arc<Settled>)>,
    leased: Vec<(NodeId, Epoch, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pasts: Vec<(NodeId, Past)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<(RequestId, UnixMillis)>,
    /// Who has them, of those who said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claimants: Vec<(RequestId, u64)>,
    /// Which of them are not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims_unsettled: Vec<RequestId>,
    #[serde(default, skip_serializing_if = "is_zero")]
    claims_forgotten: UnixMillis,
    /// Tokens of batches, and of which day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batched: Option<(Day, Vec<(EntityId, u64)>)>,
    config: Vec<ConfigRevision>,
    #[serde(default, skip_serializing_if = "AuditDocument::is_empty")]
    audit: AuditDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed_under: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Arc<Resource>>,
    #[serde(default, skip_serializing_if = "is_never")]
    resources_version: u64,
    results: Vec<LifeRow>,
}

fn is_zero(at: &UnixMillis) -> bool {
    *at == UnixMillis::default()
}

fn is_never(index: &u64) -> bool {
    *index == 0
}

/// Why bytes are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BadSnapshot {
    /// It is damaged, or none.
    #[error("the snapshot is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("the snapshot has format {found}, this version reads up to {}", Format::NEWEST)]
    Newer {
        /// Its format.
        found: u32,
    },
    /// A version before the first release wrote it.
    #[error(
        "the snapshot has format {found}, of before the first release; this version reads from {}",
        Format::FIRST
    )]
    Older {
        /// Its format.
        found: u32,
    },
}

impl State {
    /// The whole state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let document = Document {
            format: self.format,
            format_held: self.format_held,
            applied: self.applied,
            at: self.at,
            cluster: self.cluster,
            former_clusters: self.former_clusters.to_vec(),
            numbered: self.numbered,
            keys: self.keys.values().cloned().collect(),
            former: self.former.iter().map(|(old, (new, until))| (*old, *new, *until)).collect(),
            entities: self.entities.values().flat_map(OrdMap::values).cloned().collect(),
            members: self.member_rows().collect(),
            pots: self.pots.iter().map(PotRow::of).collect(),
            spent: self.spent.iter().map(|(id, spent)| (*id, *spent)).collect(),
            days: DaysRow::of(&self.days),
            nodes: self.nodes.iter().map(|(node, known)| (*node, known.clone())).collect(),
            removed: self.removed.iter().map(|(node, one)| (*node, one.clone())).collect(),
            ring_version: self.ring.version(),
            settled: self.settled.iter().map(|(node, one)| (*node, Arc::clone(one))).collect(),
            leased: self.leased.iter().map(|(node, (epoch, to))| (*node, *epoch, *to)).collect(),
            pasts: self.pasts.rows(),
            claims: self.claims.iter().collect(),
            claimants: self.claims.claimants().collect(),
            claims_unsettled: self.claims.unsettled().collect(),
            claims_forgotten: self.claims.forgotten(),
            batched: self.batched_row(),
            config: self.config.to_vec(),
            audit: self.audit.document(),
            sealed_under: self.sealed_under.clone(),
            resources: self.resources.values().flat_map(OrdMap::values).cloned().collect(),
            resources_version: self.resources_version,
            results: self.results.lives().map(LifeRow::of).collect(),
        };
        serde_json::to_vec(&document).expect("a state is plain data")
    }

    /// The state that [`State::snapshot`] wrote.
    ///
    /// # Errors
    /// [`BadSnapshot`].
    pub fn restore(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format: found } = serde_json::from_slice(bytes)?;
        if found > Format::NEWEST.0 {
            return Err(BadSnapshot::Newer { found });
        }
        if found < Format::FIRST.0 {
            return Err(BadSnapshot::Older { found });
        }
        let document: Document = serde_json::from_slice(bytes)?;
        let alias = |key: &Arc<Key>| Some((key.alias.clone()?, key.token));
        let leased = document.leased.into_iter();
        let mut state = Self {
            format: document.format,
            format_held: document.format_held,
            applied: document.applied,
            at: document.at,
            cluster: document.cluster,
            former_clusters: Arc::new(document.former_clusters),
            numbered: document.numbered,
            aliases: document.keys.iter().filter_map(alias).collect(),
            keys: document.keys.into_iter().map(|key| (key.token, key)).collect(),
            former: document.former.into_iter().map(|(old, new, at)| (old, (new, at))).collect(),
            pots: document.pots.into_iter().map(PotRow::into_pot).collect(),
            spent: document.spent.into_iter().collect(),
            days: document.days.map(DaysRow::into_days).unwrap_or_default(),
            nodes: document.nodes.into_iter().collect(),
            removed: document.removed.into_iter().collect(),
            settled: document.settled.into_iter().collect(),
            leased: leased.map(|(node, epoch, to)| (node, (epoch, to))).collect(),
            pasts: Pasts::restore(document.pasts),
            claims: Claims::restore(
                document.claims,
                document.claimants,
                &document.claims_unsettled,
                document.claims_forgotten,
            ),
            batched: document.batched.map_or_else(Batched::default, |(day, tokens)| Batched {
                day,
                tokens: tokens.into_iter().collect(),
            }),
            config: Arc::new(document.config),
            audit: document.audit.into_log(),
            sealed_under: document.sealed_under,
            resources_version: document.resources_version,
            results: document.results.into_iter().map(LifeRow::into_life).collect(),
            ..Self::default()
        };
        for entity in document.entities {
            state.unique.add(&entity);
            state.met.extend(entity.met.map(|seen| (seen, entity.name.clone())));
            state.entities.entry(entity.kind).or_default().insert(entity.name.clone(), entity);
        }
        for (kind, group, members) in document.members {
            let by_user = members.into_iter().map(|member| (member.user.clone(), member));
            state.members.entry(kind).or_default().insert(group, by_user.collect());
        }
        for resource in document.resources {
            let of_kind = state.resources.entry(resource.kind).or_default();
            of_kind.insert(resource.id.clone(), resource);
        }
        state.holders = state.all_holders().collect();
        state.turn_ring(document.ring_version);
        Ok(state)
    }

    /// Names the whole state: nodes that applied the same log have the same digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.snapshot()).into()
    }

    /// Makes the ring of the members that are up, as of the entry at `version`.
    pub(crate) fn turn_ring(&mut self, version: u64) {
        let up = self.nodes.iter().filter(|(_, node)| node.down.is_none());
        let absent = self.nodes.iter().filter(|(_, node)| node.down.is_some());
        let absent = absent.map(|(id, node)| (*id, node.among)).collect();
        let resting = self.nodes.iter().filter(|(_, node)| node.resting).map(|(id, _)| *id);
        let ring = Ring::new(version, up.map(|(id, _)| *id).collect()).beside_of(absent);
        let ring = ring.resting(resting.collect());
        let since = self.nodes.iter().map(|(id, node)| (*id, node.since));
        self.ring = Arc::new(since.fold(ring, |ring, (id, since)| ring.since(id, since)));
    }

    fn batched_row(&self) -> Option<(Day, Vec<(EntityId, u64)>)> {
        let Batched { day, tokens } = &self.batched;
        let rows: Vec<_> = tokens.iter().map(|(id, sum)| (*id, *sum)).collect();
        (!rows.is_empty()).then_some((*day, rows))
    }

    fn member_rows(&self) -> impl Iterator<Item = (Kind, String, Vec<Arc<Member>>)> {
        self.members.iter().flat_map(|(kind, groups)| {
            let row = |(name, members): (&String, &Members)| {
                (*kind, name.clone(), members.values().cloned().collect())
            };
            groups.iter().map(row)
        })
    }

    fn all_holders(&self) -> impl Iterator<Item = (EntityId, Holder)> {
        let keys = self.keys.values().map(|key| (key.id, Holder::Key(key.token)));
        let entities = self.entities.values().flat_map(OrdMap::values);
        let entities = entities.map(|e| (e.id, Holder::Entity(e.kind, e.name.clone())));
        let members = self.member_rows().flat_map(|(kind, group, members)| {
            members.into_iter().map(move |member| {
                let (group, user) = (group.clone(), member.user.clone());
                (member.id, Holder::Member { kind, group, user })
            })
        });
        keys.chain(entities).chain(members).collect::<Vec<_>>().into_iter()
    }
}
