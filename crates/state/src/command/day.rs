//! What was used on which day as it is logged: sums by who used it, and of what.

use std::collections::BTreeMap;

use dunlin_types::{NanoUsd, Tokens, UnixMillis};
use serde::{Deserialize, Serialize};

use super::change::unset;

/// The longest name in daily totals, in bytes: of a longer one the beginning is kept. Clients invent
/// names of models, tags and end users.
pub const MAX_DAY_NAME_BYTES: usize = 256;
const MS_A_DAY: u64 = 24 * 60 * 60 * 1000;

/// A day in UTC, counted from 1970-01-01.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Day(pub u32);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub fn of(at: UnixMillis) -> Self {
        Self(u32::try_from(at.0 / MS_A_DAY).unwrap_or(u32::MAX))
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self) -> UnixMillis {
        UnixMillis(u64::from(self.0) * MS_A_DAY)
    }
}

/// Who used something, and of what. A request counts once without tag and end user, and once more
/// for each of its tags and for its end user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    bound(
        serialize = "T: Serialize + Default + PartialEq",
        deserialize = "T: Deserialize<'de> + Default"
    )
)]
pub struct Facets<T> {
    /// Whom the request names as its user.
    #[serde(skip_serializing_if = "unset")]
    pub end_user: T,
    /// A word on the request.
    #[serde(skip_serializing_if = "unset")]
    pub tag: T,
    /// The hash of the key; none for the master key.
    #[serde(skip_serializing_if = "unset")]
    pub key: T,
    /// The key's team.
    #[serde(skip_serializing_if = "unset")]
    pub team: T,
    /// The key's user.
    #[serde(skip_serializing_if = "unset")]
    pub user: T,
    /// The key's or its team's organization.
    #[serde(skip_serializing_if = "unset")]
    pub organization: T,
    /// The model as the client named it, or the fallback that answered.
    #[serde(skip_serializing_if = "unset")]
    pub group: T,
    /// The model's name at the provider.
    #[serde(skip_serializing_if = "unset")]
    pub model: T,
    /// The provider.
    #[serde(skip_serializing_if = "unset")]
    pub provider: T,
    /// What was asked for, in LiteLLM's words, such as `acompletion`.
    #[serde(skip_serializing_if = "unset")]
    pub call: T,
}

impl<T> Facets<T> {
    /// The same, borrowed.
    pub fn as_ref(&self) -> Facets<&T> {
        Facets {
            end_user: &self.end_user,
            tag: &self.tag,
            key: &self.key,
            team: &self.team,
            user: &self.user,
            organization: &self.organization,
            group: &self.group,
            model: &self.model,
            provider: &self.provider,
            call: &self.call,
        }
    }

    /// The same with each part put otherwise.
    pub fn map<U>(self, mut put: impl FnMut(T) -> U) -> Facets<U> {
        Facets {
            end_user: put(self.end_user),
            tag: put(self.tag),
            key: put(self.key),
            team: put(self.team),
            user: put(self.user),
            organization: put(self.organization),
            group: put(self.group),
            model: put(self.model),
            provider: put(self.provider),
            call: put(self.call),
        }
    }
}

/// How much was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Totals {
    /// The cost.
    #[serde(skip_serializing_if = "unset")]
    pub cost: NanoUsd,
    /// Tokens of prompts, cached ones included.
    #[serde(skip_serializing_if = "unset")]
    pub prompt: Tokens,
    /// Of those: read from the provider's cache.
    #[serde(skip_serializing_if = "unset")]
    pub cached: Tokens,
    /// Of those: written to the provider's cache.
    #[serde(skip_serializing_if = "unset")]
    pub cache_write: Tokens,
    /// Tokens of answers.
    #[serde(skip_serializing_if = "unset")]
    pub completion: Tokens,
    /// Requests that were answered, in part at least.
    #[serde(skip_serializing_if = "unset")]
    pub successful: u64,
    /// Requests that were not.
    #[serde(skip_serializing_if = "unset")]
    pub failed: u64,
}

impl Totals {
    /// Both together.
    pub fn add(&mut self, more: &Self) {
        self.cost += more.cost;
        self.prompt = self.prompt + more.prompt;
        self.cached = self.cached + more.cached;
        self.cache_write = self.cache_write + more.cache_write;
        self.completion = self.completion + more.completion;
        self.successful = self.successful.saturating_add(more.successful);
        self.failed = self.failed.saturating_add(more.failed);
    }

    /// Requests, answered or not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.successful.saturating_add(self.failed)
    }

    /// Tokens of prompts and of answers.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        self.prompt + self.completion
    }
}

/// What a stretch of a node's journal adds to the daily totals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaySums {
    /// Each name once; rows refer to them by place, from 1. 0 is none.
    names: Vec<String>,
    rows: Vec<DayRow>,
}

/// What was used on one day, by one and the same, of one and the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayRow {
    day: Day,
    of: Facets<u32>,
    sum: Totals,
}

impl DaySums {
    /// Sums of what was used, by day and by all that tells one use from another.
    pub fn of<'a>(used: impl IntoIterator<Item = (Day, Facets<Option<&'a str>>, Totals)>) -> Self {
        let mut sums: BTreeMap<_, Totals> = BTreeMap::new();
        for (day, of, totals) in used {
            let of = of.map(|name| name.map(beginning).filter(|name| !name.is_empty()));
            sums.entry((day, of)).or_default().add(&totals);
        }
        let (mut names, mut places) = (Vec::new(), BTreeMap::new());
        let mut place = |name: Option<&'a str>| {
            name.map_or(0, |name| {
                *places.entry(name).or_insert_with(|| {
                    names.push(name.to_owned());
                    u32::try_from(names.len()).expect("a command has far fewer names")
                })
            })
        };
        let row = |((day, of), sum): ((Day, Facets<Option<&'a str>>), Totals)| DayRow {
            day,
            of: of.map(&mut place),
            sum,
        };
        let rows = sums.into_iter().map(row).collect();
        Self { names, rows }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (Day, Facets<u32>, &Totals)> {
        self.rows.iter().map(|row| (row.day, row.of, &row.sum))
    }
}

/// As much of a name as is kept.
pub(crate) fn beginning(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_DAY_NAME_BYTES)]
}
