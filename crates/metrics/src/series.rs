//! Values of one metric by their labels, of which there are a bounded number, whatever clients send.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::desc::Desc;

/// Label sets of one metric. Those that come later are told under `other`: first with the labels that
/// say who asks replaced, and beyond as many of those, with all of them.
pub const MAX_LABEL_SETS: usize = 2_000;
/// The same of a histogram: each of its label sets is some twenty lines of a page.
pub const MAX_HISTOGRAMS: usize = 500;
/// Stands for values of labels that are not told apart.
pub const OTHER: &str = "other";

/// Labels whose values come from clients: they are dropped first.
const OF_CALLERS: &[&str] = &[
    "api_key_alias",
    "client_ip",
    "end_user",
    "hashed_api_key",
    "requested_model",
    "team",
    "team_alias",
    "user",
    "user_agent",
    "user_email",
];

/// The values of one metric, each with its labels.
#[derive(Debug)]
pub struct Series<V> {
    desc: &'static Desc,
    /// Labels beside those of the metric.
    more: Arc<[String]>,
    most: usize,
    places: BTreeMap<Box<[Arc<str>]>, usize>,
    rows: Vec<(Box<[Arc<str>]>, V)>,
    beyond: u64,
}

/// Where a label set's value is, for as long as its table lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

impl<V> Series<V> {
    /// An empty table.
    #[must_use]
    pub fn new(desc: &'static Desc) -> Self {
        Self::bounded(desc, MAX_LABEL_SETS)
    }

    /// One with a bound of its own, no larger than [`MAX_LABEL_SETS`].
    #[must_use]
    pub fn bounded(desc: &'static Desc, most: usize) -> Self {
        let most = most.min(MAX_LABEL_SETS);
        let more = Arc::default();
        Self { desc, more, most, places: BTreeMap::new(), rows: Vec::new(), beyond: 0 }
    }

    /// The same, empty, with labels beside those of the metric. They are told apart by who asks.
    #[must_use]
    pub fn with(self, more: &Arc<[String]>) -> Self {
        Self { more: Arc::clone(more), ..Self::bounded(self.desc, self.most) }
    }

    /// The names of the labels beside those of the metric.
    pub(crate) fn more(&self) -> &[String] {
        &self.more
    }

    /// What it is.
    #[must_use]
    pub fn desc(&self) -> &'static Desc {
        self.desc
    }

    /// The place of a label set, or of what it is told under. A value that is new begins as `empty`.
    pub fn place(&mut self, labels: &[Arc<str>], empty: impl FnOnce() -> V) -> Place {
        let own = self.desc.labels;
        assert_eq!(labels.len(), own.len() + self.more.len(), "{}", self.desc.name);
        if let Some(place) = self.places.get(labels) {
            return Place(*place);
        }
        if self.rows.len() < self.most {
            return self.begin(labels.into(), empty());
        }
        self.beyond += 1;
        let other: Arc<str> = OTHER.into();
        let is_of_caller = |at| own.get(at).is_none_or(|name| OF_CALLERS.contains(name));
        let anybody: Box<[_]> = labels
            .iter()
            .enumerate()
            .map(|(at, value)| if is_of_caller(at) { &other } else { value })
            .map(Arc::clone)
            .collect();
        if let Some(place) = self.places.get(&anybody) {
            return Place(*place);
        }
        if self.rows.len() < 2 * self.most {
            return self.begin(anybody, empty());
        }
        let anything: Box<[_]> = labels.iter().map(|_| Arc::clone(&other)).collect();
        match self.places.get(&anything) {
            Some(place) => Place(*place),
            None => self.begin(anything, empty()),
        }
    }

    fn begin(&mut self, labels: Box<[Arc<str>]>, value: V) -> Place {
        let place = self.rows.len();
        self.places.insert(labels.clone(), place);
        self.rows.push((labels, value));
        Place(place)
    }

    /// The value at a place.
    pub fn at(&mut self, place: Place) -> &mut V {
        &mut self.rows[place.0].1
    }

    /// How often a label set was looked for that is told under `other`.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// All values and their labels.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Vec<&str>, &V)> {
        self.rows.iter().map(|(labels, value)| (labels.iter().map(AsRef::as_ref).collect(), value))
    }
}

/// How many values lie below each bound.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: Arc<[f64]>,
    /// One more than there are bounds: the last are above all.
    counts: Box<[u64]>,
    sum: f64,
}

impl Histogram {
    /// An empty one. The bounds ascend.
    #[must_use]
    pub fn new(bounds: Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len() + 1].into();
        Self { bounds, counts, sum: 0.0 }
    }

    /// One more value.
    pub fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    pub(crate) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}
