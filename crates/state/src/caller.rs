//! Whether a key may be used, and who pays for it.

use std::sync::Arc;

use dunlin_router::Access;
use dunlin_types::{KeyDigest, UnixMillis};

use crate::command::{Entity, Key, Kind};
use crate::payer::{Payer, Rank};
use crate::routes;
use crate::state::State;

/// Who asks: a key that may be used now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The hash of the key.
    pub token: KeyDigest,
    /// The key.
    pub key: Arc<Key>,
    /// Whose terms hold for its requests, in the order in which they are checked; it is the last.
    pub payers: Vec<Payer>,
    /// Tags with a request limit per 60 s.
    pub limited_tags: Vec<(String, u64)>,
}

/// Why a key may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state holds no such key.
    #[error("the key is not known")]
    Unknown,
    /// An administrator blocked it.
    #[error("the key is blocked")]
    Blocked,
    /// Its `allowed_routes` hold none of the paths at which it asks.
    #[error("the key may not call this path")]
    RouteNotAllowed {
        /// What it may call.
        allowed: Vec<String>,
    },
    /// An administrator blocked whose it is.
    #[error("the {} `{name}` of the key is blocked", kind.name())]
    HolderBlocked {
        /// What is blocked.
        kind: Kind,
        /// Which one.
        name: String,
    },
    /// Its time is over.
    #[error("the key expired at {at:?}")]
    Expired {
        /// When.
        at: UnixMillis,
    },
}

impl Caller {
    /// Its request has these words on it.
    pub fn tag(&mut self, tags: &[String]) {
        let limits = &self.key.terms.tag_rpm;
        let limited = tags.iter().filter_map(|tag| Some((tag.clone(), *limits.get(tag)?)));
        self.limited_tags = if limits.is_empty() { Vec::new() } else { limited.collect() };
    }

    /// Which models it may call. Tags bound nothing, nor do memberships of organizations; an end user
    /// bounds where they are.
    #[must_use]
    pub fn access(&self) -> Access<'_> {
        let mut access = Access::of(&self.key.terms.models, &self.key.aliases);
        access.team = self.key.team.as_deref();
        access.region = self.end_user().and_then(Entity::region);
        for (bound, payer) in access.bounds.iter_mut().zip(self.above()) {
            *bound = payer.models();
            if payer.rank == Rank::Team {
                access.team_aliases = payer.entity().map(|team| &team.aliases);
            }
        }
        access
    }

    /// The payer whose list is number `number` in [`Caller::access`]; 0 is the key's own.
    #[must_use]
    pub fn lister(&self, number: usize) -> Option<&Payer> {
        self.above().nth(number.checked_sub(1)?)
    }

    /// The payers that bound what the key may call.
    fn above(&self) -> impl Iterator<Item = &Payer> {
        self.payers.iter().filter(|payer| match payer.rank {
            Rank::Team | Rank::Organization | Rank::User | Rank::Member | Rank::EndUser => true,
            Rank::Tag | Rank::AccessGroup | Rank::OrganizationMember | Rank::Key => false,
        })
    }

    /// The words that its key and its team put onto each request.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        let team = self.payers.iter().find(|payer| payer.rank == Rank::Team);
        let team = team.and_then(|payer| payer.entity());
        let of_team = team.into_iter().flat_map(|team| &team.terms.tags);
        let mut tags = self.key.terms.tags.clone();
        for tag in of_team {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        tags
    }
}

impl State {
    /// Whether the key with that hash may be used at `now` for one of the paths `asked`; for none, it
    /// is used for nothing new. Of several faults the first in this order is told.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn authenticate(
        &self,
        token: KeyDigest,
        asked: &[&str],
        now: UnixMillis,
    ) -> Result<Caller, Refusal> {
        let key = self.key_or_former(&token, now).ok_or(Refusal::Unknown)?;
        if key.terms.blocked == Some(true) {
            return Err(Refusal::Blocked);
        }
        if let Some(at) = key.expires.filter(|at| *at <= now) {
            return Err(Refusal::Expired { at });
        }
        if !asked.is_empty() && !asked.iter().any(|path| routes::covers(&key.routes, path)) {
            return Err(Refusal::RouteNotAllowed { allowed: key.routes.clone() });
        }
        let payers = self.payers(key);
        for payer in &payers {
            if let Some((kind, name)) = payer.blocked() {
                return Err(Refusal::HolderBlocked { kind, name: name.to_owned() });
            }
        }
        Ok(Caller { token: key.token, key: Arc::clone(key), payers, limited_tags: Vec::new() })
    }

    /// The key that a request to change or to show one names by that hash.
    #[must_use]
    pub fn key_named(&self, token: &KeyDigest) -> Option<&Arc<Key>> {
        self.key_or_former(token, self.at)
    }

    /// A regenerated key is known by its former hash for a while.
    fn key_or_former(&self, token: &KeyDigest, now: UnixMillis) -> Option<&Arc<Key>> {
        self.keys.get(token).or_else(|| {
            let (present, until) = self.former.get(token)?;
            self.keys.get(present).filter(|_| now < *until)
        })
    }
}
