//! What follows from failures of a class: `retry_policy`, `model_group_retry_policy` and
//! `allowed_fails_policy`.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_router::{AllowedFails, ByError, ErrorClass, RetryPolicy};

use crate::check::{self, Unknown};
use crate::keys::{self, Keys};
use crate::report::Report;
use crate::routing::RouterSettings;
use crate::tree::{Map, Node};

/// LiteLLM cannot tell this value of `allowed_fails` from none, so it means none here too.
const ALLOWED_FAILS_UNSET: u32 = 3;

/// `retry_policy`. Its flat form, which says the same as the settings beside it, is not one.
pub(crate) fn retry(settings: &RouterSettings<'_>, report: &mut Report) -> Option<RetryPolicy> {
    policy("retry_policy", settings.get("retry_policy"), report)
}

/// `model_group_retry_policy`.
pub(crate) fn retry_of_groups(
    settings: &RouterSettings<'_>,
    report: &mut Report,
) -> BTreeMap<Arc<str>, RetryPolicy> {
    let what = "model_group_retry_policy";
    let groups = report.map(what, settings.get(what)).into_iter().flat_map(|map| &map.entries);
    let read = groups.filter_map(|(group, node)| {
        let policy = policy(&format!("{what}.{}", group.text), Some(node), report)?;
        Some((group.text.as_str().into(), policy))
    });
    read.collect()
}

fn policy(what: &str, node: Option<&Node>, report: &mut Report) -> Option<RetryPolicy> {
    let map = known(what, node, &keys::RETRY_POLICY, report)?;
    let others = report.count(&format!("{what}.DefaultRetries"), map.get("DefaultRetries"));
    let by_error = by_error(what, map, "Retries", report);
    let policy = RetryPolicy { by_error, others };
    (policy != RetryPolicy::default()).then_some(policy)
}

/// `allowed_fails` and `allowed_fails_policy` of a section.
pub(crate) fn allowed_fails(
    section: &str,
    (count, policy): (Option<&Node>, Option<&Node>),
    report: &mut Report,
) -> AllowedFails {
    let count: Option<u32> = report.count(&format!("{section}allowed_fails"), count);
    let what = format!("{section}allowed_fails_policy");
    let map = known(&what, policy, &keys::ALLOWED_FAILS_POLICY, report);
    let policy = map.map(|map| by_error(&what, map, "AllowedFails", report));
    AllowedFails { count: count.filter(|fails| *fails != ALLOWED_FAILS_UNSET), policy }
}

/// The map, once its keys have been checked.
fn known<'n>(
    what: &str,
    node: Option<&'n Node>,
    keys: &Keys,
    report: &mut Report,
) -> Option<&'n Map> {
    let map = report.map(what, node)?;
    for (key, node) in &map.entries {
        check::one(&[keys], key, node, Unknown::Warned, report);
    }
    Some(map)
}

fn by_error(what: &str, map: &Map, ending: &str, report: &mut Report) -> ByError {
    let mut numbers = ByError::default();
    for (class, name) in ErrorClass::ALL {
        let key = format!("{name}{ending}");
        if let Some(number) = report.count(&format!("{what}.{key}"), map.get(&key)) {
            numbers.set(class, number);
        }
    }
    numbers
}
