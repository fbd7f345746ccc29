//! A metric's description: name, help text and labels.

/// How a metric's values are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows from 0 at the node's start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many values lie below each of some bounds; grows from 0 at the node's start.
    Histogram,
}

impl Kind {
    /// Prometheus' word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric. Its unit is the end of its name: base units, `_total` for what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Desc {
    /// Its name.
    pub name: &'static str,
    /// How its values are to be read.
    pub kind: Kind,
    /// What it says, in a sentence or two.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

impl Desc {
    /// Something that is counted.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, kind: Kind::Counter, help, labels }
    }

    /// Something that goes up and down.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, kind: Kind::Gauge, help, labels }
    }

    /// Something of which there is much, and its distribution matters.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, kind: Kind::Histogram, help, labels }
    }
}
