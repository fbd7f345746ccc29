//! One reading of all metrics: the sources write on it, and it becomes text.

use std::collections::BTreeMap;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::desc::{Desc, Kind};
use crate::process;
use crate::series::{Histogram, MAX_LABEL_SETS, Series};

/// What Prometheus is told at one moment.
#[derive(Default)]
pub struct Page {
    families: BTreeMap<&'static str, Family>,
}

struct Family {
    desc: &'static Desc,
    rows: Vec<Metric>,
    /// Rows of this page that were too many.
    left_out: u64,
    /// How often its table has told something under `other`, since the start.
    beyond: u64,
}

impl Page {
    /// The value of something that goes up and down, for one label set. Beyond [`MAX_LABEL_SETS`] of
    /// them it is left out.
    pub fn gauge(&mut self, desc: &'static Desc, labels: &[&str], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        self.put(desc, labels, Kind::Gauge, |row| row.set_gauge(gauge));
    }

    /// The same for a whole number.
    pub fn level(&mut self, desc: &'static Desc, labels: &[&str], value: impl TryInto<u64>) {
        self.gauge(desc, labels, float(value.try_into().unwrap_or(u64::MAX)));
    }

    /// How often something has happened since the node's start.
    pub fn count(&mut self, desc: &'static Desc, labels: &[&str], times: u64) {
        self.sum(desc, labels, float(times));
    }

    /// A sum since the node's start.
    pub fn sum(&mut self, desc: &'static Desc, labels: &[&str], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        self.put(desc, labels, Kind::Counter, |row| row.set_counter(counter));
    }

    /// A distribution.
    pub fn histogram(&mut self, desc: &'static Desc, labels: &[&str], value: &Histogram) {
        let told = told(value);
        self.put(desc, labels, Kind::Histogram, |row| row.set_histogram(told));
    }

    /// All sums of a table.
    pub fn sums(&mut self, series: &Series<f64>) {
        series.rows().for_each(|(labels, value)| self.sum(series.desc(), &labels, *value));
        self.family(series.desc()).beyond += series.beyond();
    }

    /// All distributions of a table.
    pub fn histograms(&mut self, series: &Series<Histogram>) {
        series.rows().for_each(|(labels, value)| self.histogram(series.desc(), &labels, value));
        self.family(series.desc()).beyond += series.beyond();
    }

    /// By metric, what was left out of this page, and what its table has told under `other` since the
    /// start.
    pub(crate) fn beyond_bounds(&self) -> Vec<(&'static str, u64, u64)> {
        let all = self.families.iter();
        let all = all.map(|(name, family)| (*name, family.left_out, family.beyond));
        all.filter(|(_, left_out, beyond)| left_out + beyond > 0).collect()
    }

    fn family(&mut self, desc: &'static Desc) -> &mut Family {
        let empty = || Family { desc, rows: Vec::new(), left_out: 0, beyond: 0 };
        self.families.entry(desc.name).or_insert_with(empty)
    }

    fn put(
        &mut self,
        desc: &'static Desc,
        labels: &[&str],
        kind: Kind,
        set: impl FnOnce(&mut Metric),
    ) {
        assert_eq!((kind, labels.len()), (desc.kind, desc.labels.len()), "{}", desc.name);
        let family = self.family(desc);
        let most = if kind == Kind::Gauge { MAX_LABEL_SETS } else { MAX_ROWS };
        if family.rows.len() >= most {
            family.left_out += 1;
            return;
        }
        let pairs = desc.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut row = Metric::from_label(pairs.collect());
        set(&mut row);
        family.rows.push(row);
    }

    /// The page as text, with what the system says of the process.
    pub(crate) fn write(self) -> String {
        let families = self.families.into_values().filter(|family| !family.rows.is_empty());
        let mut all: Vec<_> = families.map(Family::told).collect();
        all.extend(process::families());
        let text = TextEncoder::new().encode_to_string(&all);
        text.expect("a text takes all, and no family is empty or without a name")
    }
}

/// A table has at most so many: those of its own, those under `other`, and one for the rest.
const MAX_ROWS: usize = 2 * MAX_LABEL_SETS + 1;

impl Family {
    fn told(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.desc.name.to_owned());
        family.set_help(self.desc.help.to_owned());
        family.set_field_type(match self.desc.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(self.rows);
        family
    }
}

fn told(value: &Histogram) -> prometheus::proto::Histogram {
    let mut below = 0;
    let buckets = value.bounds().iter().zip(value.counts()).map(|(bound, count)| {
        below += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut told = prometheus::proto::Histogram::default();
    told.set_bucket(buckets.collect());
    told.set_sample_sum(value.sum());
    told.set_sample_count(value.count());
    told
}

/// Prometheus knows floats only: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn float(number: u64) -> f64 {
    number as f64
}
