//! The counts, and how a record goes into them: what is alike is looked up once, and then only added.

use std::collections::{BTreeMap, HashMap};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use dunlin_journal::{Attempt, Outcome, SpendRecord};
use dunlin_metrics::{Desc, Histogram, Kept, MAX_HISTOGRAMS, Page, Place, Series, is_litellms};
use dunlin_types::{MonoMillis, Tokens};

use crate::labels::{self, Labels, Source};
use crate::measures::{Amount, OF_ATTEMPTS, SUMS, TIMES, Time, When};
use crate::shape::{self, Apart, Shape};
use crate::{Custom, Settings};

/// Shapes that are remembered; beyond this bound, all are looked up again.
const MAX_SHAPES: usize = 4_096;
/// So long after a key, a team or a deployment was renamed its requests are told under the new name.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// All counts of requests.
pub(crate) struct Tally {
    /// The last record that is counted.
    last: u64,
    sums: Vec<Series<f64>>,
    times: Vec<Series<Histogram>>,
    bounds: Arc<[f64]>,
    /// What decides which tables there are, and how their labels are told.
    kept: Option<Arc<Kept>>,
    custom: Custom,
    hasher: RandomState,
    shapes: HashMap<u64, Known>,
    since: MonoMillis,
    /// Refused requests without a record that are counted.
    unrecorded: BTreeMap<(&'static str, u16), u64>,
}

/// Where records of one shape are counted.
struct Known {
    shape: Shape,
    adds: Vec<(usize, Place, Amount)>,
    takes: Vec<(usize, Place, Time)>,
}

impl Tally {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (bounds, kept) = (Arc::clone(&settings.buckets), settings.kept.clone());
        let custom = settings.custom.clone();
        let more = |desc: &Desc| {
            if is_litellms(desc) { Arc::clone(custom.names()) } else { Arc::default() }
        };
        let descs = SUMS.iter().map(|(desc, ..)| *desc).chain(OF_ATTEMPTS);
        let mut sums: Vec<Series<f64>> =
            descs.map(|desc| Series::new(desc).with(&more(desc))).collect();
        // Metrics without labels exist from the start.
        let whole = sums.iter_mut().filter(|series| series.desc().labels.is_empty());
        whole.for_each(|series| {
            series.place(&[], || 0.0);
        });
        let times =
            TIMES.iter().map(|(desc, _)| Series::bounded(desc, MAX_HISTOGRAMS).with(&more(desc)));
        Self {
            last: 0,
            sums,
            times: times.collect(),
            bounds,
            kept,
            custom,
            hasher: RandomState::new(),
            shapes: HashMap::new(),
            since: MonoMillis(0),
            unrecorded: BTreeMap::new(),
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Names may have changed. Other buckets reset the histograms; other labels reset all metrics.
    pub(crate) fn publish(&mut self, settings: &Settings) {
        self.shapes.clear();
        if settings.kept != self.kept || settings.custom != self.custom {
            let (last, unrecorded) = (self.last, std::mem::take(&mut self.unrecorded));
            *self = Self { last, unrecorded, ..Self::new(settings) };
        } else if *settings.buckets != *self.bounds {
            let all = Self::new(settings);
            (self.times, self.bounds) = (all.times, all.bounds);
        }
    }

    /// Counts the next record.
    pub(crate) fn count(
        &mut self,
        source: &Source<'_>,
        number: u64,
        record: &SpendRecord,
        now: MonoMillis,
    ) {
        self.last = number;
        if now.since(self.since) >= REMEMBERED_FOR || self.shapes.len() >= MAX_SHAPES {
            self.shapes.clear();
            self.since = now;
        }
        let apart = Apart::of(source);
        let hash = shape::hash(&self.hasher, record, apart);
        if self.shapes.get(&hash).is_none_or(|known| !known.shape.fits(record)) {
            let known = self.look_up(source, record);
            self.shapes.insert(hash, known);
        }
        let known = &self.shapes[&hash];
        for (table, place, amount) in &known.adds {
            *self.sums[*table].at(*place) += amount.of(record);
        }
        for (table, place, time) in &known.takes {
            self.times[*table].at(*place).observe(time.of(record));
        }
    }

    fn look_up(&mut self, source: &Source<'_>, record: &SpendRecord) -> Known {
        let labels = labels::of(source, record);
        let answered = record.outcome != Outcome::Failure;
        let mut adds = Vec::new();
        for (table, (desc, when, amount)) in SUMS.iter().enumerate() {
            let counts = match when {
                When::Always => true,
                When::Failed => !answered,
                When::Answered => answered,
            };
            let is_told = labels.tells(desc);
            if is_told && counts && (amount.is_usual() || amount.of(record) > 0.0) {
                let place = self.sums[table].place(&labels.of(desc), || 0.0);
                adds.push((table, place, *amount));
            }
        }
        self.look_up_attempts(source, record, &labels, &mut adds);
        let mut takes = Vec::new();
        for (table, (desc, time)) in TIMES.iter().enumerate() {
            if labels.tells(desc) && answered && time.is_taken_of(record) {
                let bounds = Arc::clone(&self.bounds);
                let place = self.times[table].place(&labels.of(desc), || Histogram::new(bounds));
                takes.push((table, place, *time));
            }
        }
        Known { shape: Shape::of(record, Apart::of(source)), adds, takes }
    }

    /// Each attempt counts for its deployment, and each group after the first as a fallback.
    fn look_up_attempts(
        &mut self,
        source: &Source<'_>,
        record: &SpendRecord,
        labels: &Labels,
        adds: &mut Vec<(usize, Place, Amount)>,
    ) {
        let [tried, total, success, failure, fell_back, fell_down] = OF_ATTEMPTS;
        let mut add = |desc: &'static Desc, labels: &Labels| {
            if !labels.tells(desc) {
                return;
            }
            let table = self.sums.iter().position(|series| series.desc() == desc);
            let table = table.expect("each has its table");
            let place = self.sums[table].place(&labels.of(desc), || 0.0);
            adds.push((table, place, Amount::One));
        };
        for Attempt { deployment, status, .. } in &record.course.attempts {
            let mut labels = labels.clone();
            labels.deployment(source, deployment);
            let provider = provider_of(source, record, deployment);
            labels.set("status_code", status.to_string());
            labels.failed(*status, &labels::class(provider.as_deref(), *status, None));
            add(tried, &labels);
            add(total, &labels);
            add(if *status < 300 { success } else { failure }, &labels);
        }
        for (group, before) in fallbacks(source, record) {
            let mut labels = labels.clone();
            labels.set("fallback_model", Arc::clone(&group));
            if let Some(attempt) = before {
                let provider = provider_of(source, record, &attempt.deployment);
                let class = labels::class(provider.as_deref(), attempt.status, None);
                labels.failed(attempt.status, &class);
            }
            let answered = record.outcome != Outcome::Failure
                && record.course.group.as_deref() == Some(&*group);
            add(if answered { fell_back } else { fell_down }, &labels);
        }
    }

    /// Counts refused requests that left no record. `all` are those since the start.
    pub(crate) fn count_unrecorded(
        &mut self,
        source: &Source<'_>,
        all: Vec<((&'static str, u16), u64)>,
    ) {
        for ((call_type, status), times) in all {
            let known = self.unrecorded.insert((call_type, status), times).unwrap_or_default();
            let labels = labels::unrecorded(source, call_type, status);
            let added = SUMS.iter().enumerate();
            let added = added
                .filter(|(_, (_, when, amount))| *when != When::Answered && *amount == Amount::One)
                .filter(|(_, (desc, ..))| labels.tells(desc));
            for (table, (desc, ..)) in added {
                let place = self.sums[table].place(&labels.of(desc), || 0.0);
                *self.sums[table].at(place) += float(times.saturating_sub(known));
            }
        }
    }

    pub(crate) fn report(&self, page: &mut Page) {
        self.sums.iter().for_each(|series| page.sums(series));
        self.times.iter().for_each(|series| page.histograms(series));
    }
}

/// The groups that were tried after the first, with the last attempt before each.
fn fallbacks<'a>(
    source: &'a Source<'_>,
    record: &'a SpendRecord,
) -> Vec<(Arc<str>, Option<&'a Attempt>)> {
    let mut found: Vec<(Arc<str>, Option<&Attempt>)> = Vec::new();
    if record.course.fallbacks == 0 {
        return found;
    }
    let attempts = &record.course.attempts;
    let mut group: Option<&Arc<str>> = None;
    for (at, attempt) in attempts.iter().enumerate() {
        let next = labels::group_of(source, &attempt.deployment);
        let before = at.checked_sub(1).and_then(|at| attempts.get(at));
        match next {
            // The first group may have been one of which nobody could be asked.
            Some(next) if group != Some(next) && (before.is_some() || **next != *record.model) => {
                found.push((Arc::clone(next), before));
            }
            _ => {}
        }
        group = next;
    }
    found
}

fn provider_of(
    source: &Source<'_>,
    record: &SpendRecord,
    deployment: &dunlin_types::DeploymentId,
) -> Option<String> {
    let mut all = source.serving.catalog.deployments();
    let known = all.find(|known| known.id == *deployment);
    known.map(|known| known.provider.to_string()).or_else(|| record.course.provider.clone())
}

impl Amount {
    /// Whether a request that lacks it is told with 0 of it.
    fn is_usual(self) -> bool {
        match self {
            Self::One | Self::Dollars | Self::Prompt | Self::Completion | Self::Tokens => true,
            Self::Cached
            | Self::CacheWrite
            | Self::Reasoning
            | Self::Estimated
            | Self::Fallbacks => false,
        }
    }

    fn of(self, record: &SpendRecord) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Dollars => float(record.cost.0) / 1e9,
            Self::Prompt => float(record.prompt.0),
            Self::Completion => float(record.completion.0),
            Self::Tokens => float(record.prompt.0.saturating_add(record.completion.0)),
            Self::Cached => float(record.cached.0),
            Self::CacheWrite => float(record.kinds.cache_write.0),
            Self::Reasoning => float(record.kinds.reasoning.0),
            Self::Estimated => f64::from(u8::from(record.estimated)),
            Self::Fallbacks => f64::from(record.course.fallbacks),
        }
    }
}

impl Time {
    fn is_taken_of(self, record: &SpendRecord) -> bool {
        let course = &record.course;
        match self {
            Self::Whole => true,
            Self::ToFirst => course.first_token.is_some(),
            Self::Provider | Self::Overhead => !course.attempts.is_empty(),
            Self::ProviderToFirst => course.first_token.is_some() && !course.attempts.is_empty(),
            Self::PerToken => record.completion > Tokens(0) && !course.attempts.is_empty(),
        }
    }

    /// In seconds.
    fn of(self, record: &SpendRecord) -> f64 {
        let whole = record.ended.0.saturating_sub(record.started.0);
        let attempts = &record.course.attempts;
        let last = attempts.last().map_or(0, |attempt| attempt.duration_ms);
        // Of a stream the last attempt is over when its answer begins.
        let streamed =
            record.course.first_token.map_or(0, |first| record.ended.0.saturating_sub(first.0));
        let ms = match self {
            Self::Whole => whole,
            Self::ToFirst => {
                let first = record.course.first_token.map_or(0, |first| first.0);
                first.saturating_sub(record.started.0)
            }
            Self::Provider => last.saturating_add(streamed),
            Self::ProviderToFirst => last,
            Self::Overhead => {
                let asked: u64 = attempts.iter().map(|attempt| attempt.duration_ms).sum();
                whole.saturating_sub(asked.saturating_add(streamed))
            }
            Self::PerToken => {
                return float(last.saturating_add(streamed)) / 1000.0 / float(record.completion.0);
            }
        };
        float(ms) / 1000.0
    }
}

/// Prometheus knows floats only: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
