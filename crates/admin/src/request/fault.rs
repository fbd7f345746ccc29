//! What is wrong with a request, in FastAPI's shape, which LiteLLM's clients know.

use std::collections::BTreeSet;

use dunlin_admin_api::values::{Step, Wrong};
use serde::Serialize;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    pub(super) r#type: &'static str,
    loc: Vec<Step>,
    msg: String,
}

impl Fault {
    /// A fault of the field or parameter `name` in `part` of the request.
    pub(crate) fn of(part: &str, name: &str, r#type: &'static str, msg: impl Into<String>) -> Self {
        let loc = vec![Step::Name(part.to_owned()), Step::Name(name.to_owned())];
        Self { r#type, loc, msg: msg.into() }
    }

    /// As one line of text.
    pub(crate) fn told(&self) -> String {
        let step = |step: &Step| match step {
            Step::Name(name) => name.clone(),
            Step::Index(index) => index.to_string(),
        };
        let place: Vec<_> = self.loc.iter().skip(1).map(step).collect();
        format!("{}: {}", place.join("."), self.msg)
    }

    /// A fault of the body as a whole.
    pub(super) fn of_body(r#type: &'static str, msg: impl Into<String>) -> Self {
        Self { r#type, loc: vec![Step::Name("body".to_owned())], msg: msg.into() }
    }

    /// A fault of the value of the body's field `name`.
    pub(super) fn of_value(name: &str, wrong: Wrong) -> Self {
        let mut fault = Self::of("body", name, wrong.r#type, wrong.msg);
        fault.loc.extend(wrong.at);
        fault
    }
}

/// Which known name an unknown one is a slip of: at most two letters apart, one for short names.
pub(crate) fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = if name.len() <= 5 { 1 } else { 2 };
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .min()
        .map(|(_, known)| known)
}

/// Which known limit or budget an unknown name means: one of the same words in any order, whether or
/// not it says that it is the most. `rpm`, `limit_rpm` and `max_rpm` all mean `rpm_limit`.
pub(crate) fn guard_meant<'a>(
    name: &str,
    mut known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let said = words(name);
    known.find(|known| *known != name && !said.is_empty() && words(known) == said)
}

fn words(name: &str) -> BTreeSet<&str> {
    name.split('_').filter(|word| !matches!(*word, "limit" | "max" | "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_or_budget_by_another_name_is_known() {
        let known = ["max_budget", "budget_duration", "rpm_limit", "tpm_limit", "models"];
        for (name, expected) in [
            ("rpm", Some("rpm_limit")),
            ("limit_rpm", Some("rpm_limit")),
            ("max_rpm", Some("rpm_limit")),
            ("tpm", Some("tpm_limit")),
            ("budget", Some("max_budget")),
            ("budget_limit", Some("max_budget")),
            ("rpm_limit", None),
            ("team_budget", None),
            ("max_limit", None),
            ("model", None),
        ] {
            assert_eq!(guard_meant(name, known.into_iter()), expected, "{name}");
        }
    }
}
