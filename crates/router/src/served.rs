//! What serves a request: the rows whose deployments may answer it, and what they are to answer as,
//! from the provider's name of the model back to ours. So it is the same by whichever name it was asked
//! for.

use std::sync::Arc;

use dunlin_types::Served;

use crate::catalog::{Catalog, Deployment, Group};
use crate::wildcard;

/// What serves a request that goes to `group`, as it was found for that.
#[must_use]
pub fn served(catalog: &Catalog, group: &Group) -> Served {
    let mut served = Served::from(&group.name);
    if group.name.contains('*') {
        group.deployments.iter().for_each(|by| add(&mut served, catalog, by, called_by(by)));
        in_any_case(&mut served, catalog);
    }
    served
}

/// Takes in the patterns that would serve it if it were written in another case, as its provider may
/// read it.
fn in_any_case(served: &mut Served, catalog: &Catalog) {
    let has_upper = |name: &str| name.bytes().any(|byte| byte.is_ascii_uppercase());
    for row in catalog.groups.keys().filter(|row| row.contains('*')) {
        let is_like = |name: &Arc<str>| {
            (has_upper(name) || has_upper(row))
                && wildcard::captures(row, name).is_none()
                && wildcard::matches(row, name)
        };
        if served.names.iter().any(is_like) {
            served.called(row);
        }
    }
}

/// Whether what a pattern serves by that name is known by that name alone, so that what is set for it
/// holds on every path.
#[must_use]
pub fn is_served_as(catalog: &Catalog, group: &Group, name: &str) -> bool {
    let is_so = |by| name_of(catalog, by, called_by(by)).is_some_and(|known| known == name);
    group.name.contains('*') && group.deployments.iter().all(|by| is_so(by))
}

/// Takes in that `by` may serve what its provider calls `model`.
pub(crate) fn add(served: &mut Served, catalog: &Catalog, by: &Deployment, model: &str) {
    served.called(&by.group);
    if let Some(name) = name_of(catalog, by, model) {
        served.called(&name);
    }
}

/// The provider's name for a deployment's model: without what only says how it is to be asked.
pub(crate) fn called_by(by: &Deployment) -> &str {
    let sent = by.target.sent_model();
    let is_plain = !by.provider.starts_with("bedrock") || sent.contains("arn:");
    if is_plain { sent } else { sent.rsplit_once('/').map_or(sent, |(_, id)| id) }
}

/// Our name for what the provider calls `model`, where the row of `by` is a pattern. `None`: it has
/// none, or not one alone.
pub(crate) fn name_of(catalog: &Catalog, by: &Deployment, model: &str) -> Option<String> {
    let row = catalog.groups.get(&by.group).filter(|row| row.name.contains('*'))?;
    let whole = row.deployments.iter().find(|known| known.id == by.id)?;
    if whole.target.model_id.is_some() {
        return None;
    }
    let lower = model.to_ascii_lowercase();
    let pattern = called_by(whole);
    let captured = wildcard::captures(pattern, model);
    let of_any_case = || wildcard::captures(&pattern.to_ascii_lowercase(), &lower);
    let captured = captured.or_else(of_any_case)?;
    let is_one = row.name.matches('*').count() == captured.len();
    is_one.then(|| wildcard::substitute(&row.name, &captured, model))
}

#[cfg(test)]
mod tests;
