//! One reading of all metrics: the sources write on it, and it becomes text.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::desc::{Desc, Kind};
use crate::kept::Kept;
use crate::process;
use crate::series::{Histogram, MAX_LABEL_SETS, Series};

/// What Prometheus is told at one moment.
#[derive(Default)]
pub struct Page {
    families: BTreeMap<&'static str, Family>,
    kept: Option<Arc<Kept>>,
}

struct Family {
    desc: &'static Desc,
    rows: Vec<Metric>,
    /// Where the row of a label set is, if labels are left out so that several may come to one.
    places: BTreeMap<Vec<String>, usize>,
    /// Rows of this page that were too many.
    left_out: u64,
    /// How often its table has told something under `other`, since the start.
    beyond: u64,
}

/// A value as it is told.
enum Value {
    Gauge(f64),
    Counter(f64),
    Histogram(prometheus::proto::Histogram),
}

impl Page {
    /// From here on, only these of LiteLLM's metrics and labels are written; without `kept`, all.
    pub fn keep(&mut self, kept: Option<Arc<Kept>>) {
        self.kept = kept;
    }

    /// The value of something that goes up and down, for one label set. Beyond [`MAX_LABEL_SETS`] of
    /// them it is left out.
    pub fn gauge(&mut self, desc: &'static Desc, labels: &[&str], value: f64) {
        self.put((desc, &[]), labels, Value::Gauge(value));
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
        self.put((desc, &[]), labels, Value::Counter(value));
    }

    /// A distribution.
    pub fn histogram(&mut self, desc: &'static Desc, labels: &[&str], value: &Histogram) {
        self.put((desc, &[]), labels, Value::Histogram(told(value)));
    }

    /// All sums of a table.
    pub fn sums(&mut self, series: &Series<f64>) {
        let of = (series.desc(), series.more());
        series.rows().for_each(|(labels, value)| self.put(of, &labels, Value::Counter(*value)));
        self.family(series.desc()).beyond += series.beyond();
    }

    /// All distributions of a table.
    pub fn histograms(&mut self, series: &Series<Histogram>) {
        let of = (series.desc(), series.more());
        let rows = series.rows();
        rows.for_each(|(labels, value)| self.put(of, &labels, Value::Histogram(told(value))));
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
        let empty =
            || Family { desc, rows: Vec::new(), places: BTreeMap::new(), left_out: 0, beyond: 0 };
        self.families.entry(desc.name).or_insert_with(empty)
    }

    fn put(&mut self, (desc, more): (&'static Desc, &[String]), values: &[&str], value: Value) {
        let kind = value.kind();
        let count = desc.labels.len() + more.len();
        assert_eq!((kind, values.len()), (desc.kind, count), "{}", desc.name);
        let kept = self.kept.clone();
        if kept.as_ref().is_some_and(|kept| !kept.tells(desc)) {
            return;
        }
        let keeps = |name: &str| kept.as_ref().is_none_or(|kept| kept.keeps(desc, name));
        let names = desc.labels.iter().copied().chain(more.iter().map(String::as_str));
        let labels: Vec<_> = names.zip(values).filter(|(name, _)| keeps(name)).collect();
        let may_meet = kept.as_ref().is_some_and(|kept| kept.reduces(desc));
        let family = self.family(desc);
        let set = || labels.iter().map(|(_, value)| (**value).to_owned()).collect::<Vec<_>>();
        if let Some(known) = may_meet.then(|| family.places.get(&set()).copied()).flatten() {
            value.add_to(&mut family.rows[known]);
            return;
        }
        let most = if kind == Kind::Gauge { MAX_LABEL_SETS } else { MAX_ROWS };
        if family.rows.len() >= most {
            family.left_out += 1;
            return;
        }
        if may_meet {
            family.places.insert(set(), family.rows.len());
        }
        let pairs = labels.iter().map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((**value).to_owned());
            pair
        });
        let mut row = Metric::from_label(pairs.collect());
        value.add_to(&mut row);
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

impl Value {
    fn kind(&self) -> Kind {
        match self {
            Self::Gauge(_) => Kind::Gauge,
            Self::Counter(_) => Kind::Counter,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    /// Into an empty row, or one that is told by the same labels: sums add up, of the others the last
    /// one holds.
    fn add_to(self, row: &mut Metric) {
        match self {
            Self::Gauge(value) => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                row.set_gauge(gauge);
            }
            Self::Counter(value) => {
                let mut counter = Counter::default();
                counter.set_value(value + row.get_counter().get_value());
                row.set_counter(counter);
            }
            Self::Histogram(value) => row.set_histogram(value),
        }
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
