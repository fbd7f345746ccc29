//! Labels of requests that the operator names: `custom_prometheus_tags` and
//! `custom_prometheus_metadata_labels`.

use std::sync::Arc;

use dunlin_journal::SpendRecord;
use dunlin_state::State;
use serde_json::Value;

/// Labels beside those that LiteLLM's metrics of requests have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Custom {
    names: Arc<[String]>,
    sources: Arc<[From]>,
}

/// Where a label comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// Names on the way into the metadata of the key and of the request.
    Metadata(Vec<String>),
    /// A request's tag; a `*` stands for any text.
    Tag(String),
}

impl Custom {
    /// Of the settings: paths such as `metadata.team.lead`, and tags. What would have the name of a
    /// label before it is left out.
    #[must_use]
    pub fn new(metadata: &[String], tags: &[String]) -> Self {
        let path = |text: &String| {
            let path = text.strip_prefix("metadata.").unwrap_or(text);
            let path = path.split('.').map(str::to_owned).collect();
            (name(text), From::Metadata(path))
        };
        let tag = |tag: &String| (name(&format!("tag_{tag}")), From::Tag(tag.clone()));
        let mut all: Vec<(String, From)> = Vec::new();
        for (name, source) in metadata.iter().map(path).chain(tags.iter().map(tag)) {
            if all.iter().all(|(known, _)| *known != name) {
                all.push((name, source));
            }
        }
        let (names, sources): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        Self { names: names.into(), sources: sources.into() }
    }

    /// The labels' names.
    pub(crate) fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What a request has for each of them; none: nothing.
    pub(crate) fn values(&self, state: &State, record: &SpendRecord) -> Vec<Option<String>> {
        let sent = parsed(record.origin.spend_metadata.as_deref());
        let key = record.key.as_ref().and_then(|token| state.key(token));
        let kept = parsed(key.and_then(|key| key.terms.other.get("metadata")).map(String::as_str));
        let value = |source: &From| match source {
            From::Metadata(path) => [&sent, &kept].into_iter().flatten().find_map(|metadata| {
                let found = path.iter().try_fold(metadata, |value, name| value.get(name))?;
                found.as_str().map(str::to_owned)
            }),
            From::Tag(tag) => {
                let has = record.origin.tags.iter().any(|known| fits(tag, known));
                Some(has.to_string())
            }
        };
        self.sources.iter().map(value).collect()
    }
}

fn parsed(text: Option<&str>) -> Option<Value> {
    serde_json::from_str(text?).ok()
}

fn fits(pattern: &str, tag: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == tag,
        Some((head, tail)) => tag.strip_prefix(head).is_some_and(|rest| {
            let mut cuts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            cuts.any(|at| fits(tail, &rest[at..]))
        }),
    }
}

/// As Prometheus takes names of labels.
fn name(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = text.chars().map(letter).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_made_of_metadata_and_tags() {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let custom = Custom::new(
            &texts(&["metadata.team.lead", "cost-center", "metadata.none"]),
            &texts(&["prod", "User-Agent: curl/*"]),
        );
        let names = [
            "metadata_team_lead",
            "cost_center",
            "metadata_none",
            "tag_prod",
            "tag_User_Agent__curl__",
        ];
        assert_eq!(custom.names().to_vec(), names);
        let mut record = SpendRecord::default();
        record.origin.spend_metadata =
            Some(r#"{"team": {"lead": "ann"}, "cost-center": "7", "none": 3}"#.to_owned());
        record.origin.tags = texts(&["User-Agent: curl/8.1"]);
        let values = custom.values(&State::new(), &record);
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        assert_eq!(values, [Some("ann"), Some("7"), None, Some("false"), Some("true")]);
    }
}
