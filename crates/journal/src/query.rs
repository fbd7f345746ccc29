//! Which records are asked for, and in which order.

use dunlin_types::{DeploymentId, Epoch, KeyDigest, NanoUsd, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::index::{Block, Word};
use crate::{Outcome, SpendRecord};

/// Where a record is among all of the cluster's: what happened later comes later. No two are at the
/// same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// When its request began.
    pub started: UnixMillis,
    /// The node that served it.
    pub node: NodeId,
    /// In which of its lives.
    pub epoch: Epoch,
    /// Its number in that life.
    pub number: u64,
}

/// Who paid for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payer {
    /// The master key.
    Master,
    /// A key.
    Key(KeyDigest),
}

/// What is asked for. All that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// The request began at this time or later.
    pub from: Option<UnixMillis>,
    /// The request began before this time.
    pub before: Option<UnixMillis>,
    /// The id of the answer, or the one that the client was told of the call.
    pub id: Option<String>,
    /// Who paid.
    pub payer: Option<Payer>,
    /// Whose key it was.
    pub user: Option<String>,
    /// The key's team.
    pub team: Option<String>,
    /// The key's organization.
    pub organization: Option<String>,
    /// The client's own user.
    pub end_user: Option<String>,
    /// One of the request's tags.
    pub tag: Option<String>,
    /// What several requests have in common.
    pub session: Option<String>,
    /// The model as it was asked for, the group that answered, or the name upstream.
    pub model: Option<String>,
    /// Who served it.
    pub deployment: Option<DeploymentId>,
    /// Whether the answer was delivered whole.
    pub failed: Option<bool>,
    /// The status of what the client was told instead of an answer.
    pub fault_status: Option<u16>,
    /// An attempt at an answer ended with this status, whatever the client was told in the end.
    pub attempt_status: Option<u16>,
    /// It cost this much or more.
    pub min_cost: Option<NanoUsd>,
    /// It cost this much or less.
    pub max_cost: Option<NanoUsd>,
    /// What the asker may see. `None`: everything.
    pub seen_by: Option<Seen>,
}

/// What of the log someone may see: all that one of these is true of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The key paid.
    pub key: Option<KeyDigest>,
    /// The user's key paid.
    pub user: Option<String>,
    /// A key of one of the teams paid.
    pub teams: Vec<String>,
    /// A key of one of the organizations paid.
    pub organizations: Vec<String>,
}

/// What records are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// When the request began. Only this order can be gone on with from a position.
    #[default]
    Started,
    /// When it ended.
    Ended,
    /// How long it took.
    Duration,
    /// What it cost.
    Cost,
    /// How many tokens it used.
    Tokens,
}

/// Which records, and how many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Which.
    pub filters: Filters,
    /// By what.
    pub order: Order,
    /// From the least on.
    pub ascending: bool,
    /// Only what comes after this place, in the order of [`Order::Started`].
    pub after: Option<Position>,
    /// At most so many.
    pub limit: usize,
    /// With what was said in them.
    pub said: bool,
    /// Tell also how many there are in all.
    pub count: bool,
}

impl Filters {
    /// Whether a record is asked for.
    #[must_use]
    pub fn wants(&self, record: &SpendRecord) -> bool {
        let is = |wanted: &Option<String>, has: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| has.as_ref() == Some(wanted))
        };
        self.wants_time(record.started)
            && self.id.as_ref().is_none_or(|id| has_id(record, id))
            && self.payer.is_none_or(|payer| payer == payer_of(record))
            && is(&self.user, &record.whose.user)
            && is(&self.team, &record.whose.team)
            && is(&self.organization, &record.whose.organization)
            && is(&self.end_user, &record.origin.end_user)
            && is(&self.session, &record.origin.session)
            && self.tag.as_ref().is_none_or(|tag| record.origin.tags.contains(tag))
            && self.model.as_ref().is_none_or(|model| has_model(record, model))
            && self.deployment.as_ref().is_none_or(|it| record.deployment.as_ref() == Some(it))
            && self.failed.is_none_or(|failed| record.failed() == failed)
            && self.fault_status.is_none_or(|status| {
                record.fault.as_ref().is_some_and(|fault| fault.status == status)
            })
            && self.attempt_status.is_none_or(|status| {
                record.course.attempts.iter().any(|attempt| attempt.status == status)
            })
            && self.min_cost.is_none_or(|least| record.cost >= least)
            && self.max_cost.is_none_or(|most| record.cost <= most)
            && self.seen_by.as_ref().is_none_or(|seen| seen.sees(record))
    }

    /// Whether nothing but a time is asked for.
    pub(crate) fn is_time_only(&self) -> bool {
        *self == Self { from: self.from, before: self.before, ..Self::default() }
    }

    fn wants_time(&self, began: UnixMillis) -> bool {
        self.from.is_none_or(|from| began >= from)
            && self.before.is_none_or(|before| began < before)
    }

    /// Whether records of the time may be in a block.
    pub(crate) fn may_be_in(&self, block: &Block) -> bool {
        self.from.is_none_or(|from| block.until >= from)
            && self.before.is_none_or(|before| block.from < before)
    }

    /// Whether all records of a block are of the time.
    pub(crate) fn covers(&self, block: &Block) -> bool {
        self.wants_time(block.from) && self.wants_time(block.until)
    }

    /// Whether a segment with these words may have what is asked for.
    pub(crate) fn may_match(&self, words: &Filter) -> bool {
        let named = [
            (Word::Id, &self.id),
            (Word::User, &self.user),
            (Word::Team, &self.team),
            (Word::Organization, &self.organization),
            (Word::EndUser, &self.end_user),
            (Word::Tag, &self.tag),
            (Word::Session, &self.session),
        ];
        let has = |kind: Word, word: &[u8]| words.may_have(kind as u8, word);
        named
            .iter()
            .all(|(kind, name)| name.as_ref().is_none_or(|name| has(*kind, name.as_bytes())))
            && match &self.payer {
                None => true,
                Some(Payer::Master) => has(Word::Key, &[]),
                Some(Payer::Key(key)) => has(Word::Key, key.as_bytes()),
            }
    }

    /// Whether it asks for words that segments have lists of.
    pub(crate) fn has_words(&self) -> bool {
        !self.may_match(&Filter::default())
    }
}

impl Seen {
    fn sees(&self, record: &SpendRecord) -> bool {
        let among = |names: &[String], name: &Option<String>| {
            name.as_ref().is_some_and(|name| names.contains(name))
        };
        (self.key.is_some() && record.key == self.key)
            || (self.user.is_some() && record.whose.user == self.user)
            || among(&self.teams, &record.whose.team)
            || among(&self.organizations, &record.whose.organization)
    }
}

impl SpendRecord {
    /// Whether the client was told of a failure, or got less than the whole for want of an upstream.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.outcome == Outcome::Failure || self.fault.is_some()
    }
}

impl Order {
    /// What is compared first, before the position.
    #[must_use]
    pub fn rank(self, record: &SpendRecord) -> u64 {
        match self {
            Self::Started => record.started.0,
            Self::Ended => record.ended.0,
            Self::Duration => record.ended.0.saturating_sub(record.started.0),
            Self::Cost => record.cost.0,
            Self::Tokens => (record.prompt + record.completion).0,
        }
    }
}

fn payer_of(record: &SpendRecord) -> Payer {
    record.key.map_or(Payer::Master, Payer::Key)
}

fn has_id(record: &SpendRecord, id: &str) -> bool {
    record.call_id == id || record.answer_id.as_deref() == Some(id)
}

fn has_model(record: &SpendRecord, model: &str) -> bool {
    record.model == model
        || record.upstream_model == model
        || record.course.group.as_deref() == Some(model)
}
