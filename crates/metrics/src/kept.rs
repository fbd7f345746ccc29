//! Which of LiteLLM's metrics an operator wants, and with which labels. Our own are always told.

use std::collections::{BTreeMap, BTreeSet};

use crate::desc::Desc;

/// What LiteLLM's metrics begin with.
const LITELLM: &str = "litellm_";

/// LiteLLM's metrics that are told, by their names with or without `_total`, and the labels of
/// each; all labels where none are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(pub BTreeMap<String, Option<BTreeSet<String>>>);

impl Kept {
    /// Whether a metric is told.
    #[must_use]
    pub fn tells(&self, desc: &Desc) -> bool {
        !is_litellms(desc) || self.labels(desc).is_some()
    }

    /// Whether it is told with a label.
    #[must_use]
    pub fn keeps(&self, desc: &Desc, label: &str) -> bool {
        !is_litellms(desc) || self.labels(desc).flatten().is_none_or(|kept| kept.contains(label))
    }

    /// Whether some of its labels are left out.
    pub(crate) fn reduces(&self, desc: &Desc) -> bool {
        is_litellms(desc) && self.labels(desc).flatten().is_some()
    }

    fn labels(&self, desc: &Desc) -> Option<Option<&BTreeSet<String>>> {
        let short = || desc.name.strip_suffix("_total").and_then(|name| self.0.get(name));
        self.0.get(desc.name).or_else(short).map(Option::as_ref)
    }
}

/// Whether a metric has LiteLLM's name.
#[must_use]
pub fn is_litellms(desc: &Desc) -> bool {
    desc.name.starts_with(LITELLM)
}
