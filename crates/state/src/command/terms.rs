//! The terms of a spender: models, budgets, limits. Keys, teams, users and all the others have the
//! same ones.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_ledger::{Every, Length};
use dunlin_types::{NanoUsd, OnLoss, UnixMillis};
use serde::{Deserialize, Serialize};

use super::change::{Change, unset};

/// A budget for one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelBudget {
    /// The most it may spend on the model in a period.
    pub max_budget: Option<NanoUsd>,
    /// How long a period is, as it was written; without it, for ever.
    pub duration: Option<String>,
    /// Requests of the model in any 60 s.
    pub rpm: Option<u64>,
    /// Tokens of the model in any 60 s.
    pub tpm: Option<u64>,
}

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal<'a> {
    /// The length of a period, as it was written.
    pub every: &'a str,
    /// From when on periods are counted that the calendar has no beginning for.
    pub since: Option<UnixMillis>,
}

impl<'a> Renewal<'a> {
    /// By a duration of which nobody knows since when it holds.
    #[must_use]
    pub const fn of(every: &'a str) -> Self {
        Self { every, since: None }
    }

    /// The same, read; `None` for a duration that cannot be read, which no admin can set.
    #[must_use]
    pub fn read(&self) -> Option<Every> {
        Every::parse(self.every).ok().map(|every| every.since(self.since))
    }
}

/// More budget for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temporary {
    /// How much is added.
    pub more: NanoUsd,
    /// Until when.
    pub until: UnixMillis,
}

/// The terms of a spender.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// What it may call; empty means everything.
    #[serde(skip_serializing_if = "unset")]
    pub models: Vec<String>,
    /// True: refused. `None` if that was never decided, which lets it in.
    #[serde(skip_serializing_if = "unset")]
    pub blocked: Option<bool>,
    /// The most it may spend in a period. Zero lets nothing through.
    #[serde(skip_serializing_if = "unset")]
    pub max_budget: Option<NanoUsd>,
    /// Spending more is told, not refused.
    #[serde(skip_serializing_if = "unset")]
    pub soft_budget: Option<NanoUsd>,
    /// How long a period is, as it was written; without it, for ever.
    #[serde(skip_serializing_if = "unset")]
    pub budget_duration: Option<String>,
    /// When that was set, if its periods are counted from that day ([`Every::is_counted`]); set when
    /// the change is applied, unless the period was begun elsewhere.
    #[serde(skip_serializing_if = "unset")]
    pub budget_since: Option<UnixMillis>,
    /// Further budgets beside the main one, by their duration.
    #[serde(skip_serializing_if = "unset")]
    pub windows: BTreeMap<String, NanoUsd>,
    /// Budgets for single models.
    #[serde(skip_serializing_if = "unset")]
    pub model_budgets: BTreeMap<String, ModelBudget>,
    /// The budget row whose terms hold where it has none of its own.
    #[serde(skip_serializing_if = "unset")]
    pub budget_id: Option<String>,
    /// More budget for a while.
    #[serde(skip_serializing_if = "unset")]
    pub temporary: Option<Temporary>,
    /// True: a request that could spend more than is left is refused.
    #[serde(skip_serializing_if = "unset")]
    pub strict: Option<bool>,
    /// True: once its main budget is spent, its limits of a minute shrink and it is not refused.
    #[serde(skip_serializing_if = "unset")]
    pub throttle: Option<bool>,
    /// Requests in any 60 s.
    #[serde(skip_serializing_if = "unset")]
    pub rpm: Option<u64>,
    /// Tokens in any 60 s.
    #[serde(skip_serializing_if = "unset")]
    pub tpm: Option<u64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "unset")]
    pub parallel: Option<u64>,
    /// What its limits do while nodes are lost.
    #[serde(skip_serializing_if = "unset")]
    pub on_loss: Option<OnLoss>,
    /// Requests in any 60 s for single models.
    #[serde(skip_serializing_if = "unset")]
    pub model_rpm: BTreeMap<String, u64>,
    /// Tokens in any 60 s for single models.
    #[serde(skip_serializing_if = "unset")]
    pub model_tpm: BTreeMap<String, u64>,
    /// A key's requests in any 60 s with single words on them.
    #[serde(skip_serializing_if = "unset")]
    pub tag_rpm: BTreeMap<String, u64>,
    /// Words that go onto each of its requests.
    #[serde(skip_serializing_if = "unset")]
    pub tags: Vec<String>,
    /// The fields that nobody asked for: a default of the config's filled them, as requests call them.
    #[serde(skip_serializing_if = "unset")]
    pub defaulted: BTreeSet<String>,
    /// Every other field of LiteLLM's object, stored and echoed: name, JSON text.
    #[serde(skip_serializing_if = "unset")]
    pub other: BTreeMap<String, String>,
}

/// What changes of [`Terms`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TermsChanges {
    /// See [`Terms::models`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub models: Change<Vec<String>>,
    /// See [`Terms::blocked`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub blocked: Change<bool>,
    /// See [`Terms::max_budget`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub max_budget: Change<NanoUsd>,
    /// See [`Terms::soft_budget`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub soft_budget: Change<NanoUsd>,
    /// See [`Terms::budget_duration`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub budget_duration: Change<String>,
    /// See [`Terms::windows`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub windows: Change<BTreeMap<String, NanoUsd>>,
    /// See [`Terms::model_budgets`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub model_budgets: Change<BTreeMap<String, ModelBudget>>,
    /// See [`Terms::budget_id`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub budget_id: Change<String>,
    /// See [`Terms::temporary`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub temporary: Change<Temporary>,
    /// See [`Terms::strict`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub strict: Change<bool>,
    /// See [`Terms::throttle`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub throttle: Change<bool>,
    /// See [`Terms::rpm`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub rpm: Change<u64>,
    /// See [`Terms::tpm`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub tpm: Change<u64>,
    /// See [`Terms::parallel`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub parallel: Change<u64>,
    /// See [`Terms::on_loss`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub on_loss: Change<OnLoss>,
    /// See [`Terms::model_rpm`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub model_rpm: Change<BTreeMap<String, u64>>,
    /// See [`Terms::model_tpm`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub model_tpm: Change<BTreeMap<String, u64>>,
    /// See [`Terms::tag_rpm`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub tag_rpm: Change<BTreeMap<String, u64>>,
    /// See [`Terms::tags`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub tags: Change<Vec<String>>,
    /// See [`Terms::defaulted`].
    #[serde(skip_serializing_if = "Change::keeps")]
    pub defaulted: Change<BTreeSet<String>>,
    /// See [`Terms::other`]: only these names change.
    #[serde(skip_serializing_if = "unset")]
    pub other: BTreeMap<String, Change<String>>,
}

impl Terms {
    /// Makes `changes`.
    pub(crate) fn change(&mut self, changes: TermsChanges) {
        changes.models.on_plain(&mut self.models);
        changes.blocked.on(&mut self.blocked);
        changes.max_budget.on(&mut self.max_budget);
        changes.soft_budget.on(&mut self.soft_budget);
        let before = self.budget_duration.clone();
        changes.budget_duration.on(&mut self.budget_duration);
        self.budget_since = self.budget_since.filter(|_| self.budget_duration == before);
        changes.windows.on_plain(&mut self.windows);
        changes.model_budgets.on_plain(&mut self.model_budgets);
        changes.budget_id.on(&mut self.budget_id);
        changes.temporary.on(&mut self.temporary);
        changes.strict.on(&mut self.strict);
        changes.throttle.on(&mut self.throttle);
        changes.rpm.on(&mut self.rpm);
        changes.tpm.on(&mut self.tpm);
        changes.parallel.on(&mut self.parallel);
        changes.on_loss.on(&mut self.on_loss);
        changes.model_rpm.on_plain(&mut self.model_rpm);
        changes.model_tpm.on_plain(&mut self.model_tpm);
        changes.tag_rpm.on_plain(&mut self.tag_rpm);
        changes.tags.on_plain(&mut self.tags);
        changes.defaulted.on_plain(&mut self.defaulted);
        for (name, change) in changes.other {
            match change {
                Change::Keep => {}
                Change::Clear => drop(self.other.remove(&name)),
                Change::Set(value) => drop(self.other.insert(name, value)),
            }
        }
    }

    /// Counts periods from the day of `at`, if these are counted from a day and were not yet.
    pub fn begin(&mut self, at: UnixMillis) {
        if self.budget_since.is_none() {
            let every = self.budget_duration.as_ref().and_then(|text| Every::parse(text).ok());
            self.budget_since = every.filter(Every::is_counted).map(|_| at);
        }
    }

    /// The main budget's duration, and since when its periods are counted.
    #[must_use]
    pub fn renewal(&self) -> Option<Renewal<'_>> {
        let every = self.budget_duration.as_deref()?;
        Some(Renewal { every, since: self.budget_since })
    }

    /// The budgets beside the main one, the shortest first: so they are shown and checked.
    #[must_use]
    pub fn windows_by_length(&self) -> Vec<(&String, NanoUsd)> {
        let mut all: Vec<_> = self.windows.iter().map(|(every, most)| (every, *most)).collect();
        if all.len() > 1 {
            let seconds = |every: &str| Length::parse(every).map_or(i64::MAX, |of| of.seconds());
            all.sort_by_cached_key(|(every, _)| seconds(every));
        }
        all
    }

    /// How much text they hold, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        let other = self.other.iter().map(|(name, value)| name.len() + value.len());
        let models = self.models.iter().chain(&self.tags).chain(&self.defaulted);
        let models = models.chain(self.windows.keys()).chain(self.model_budgets.keys());
        let limited = self.model_rpm.keys().chain(self.model_tpm.keys()).chain(self.tag_rpm.keys());
        let single = [&self.budget_id, &self.budget_duration].into_iter().flatten();
        let texts = models.chain(limited).chain(single).map(String::len);
        other.chain(texts).sum()
    }
}
