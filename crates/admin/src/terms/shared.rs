//! Shared budgets, as those who refer to one have them: its terms hold where they have none of their
//! own, field by field.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_state::{Change, Kind, State, Terms, TermsChanges};

/// A field that a shared budget may set, whether terms do, and what clears it in changes that keep it,
/// and tells whether they did.
type Field = (&'static str, fn(&Terms) -> bool, fn(&mut TermsChanges) -> bool);

const FIELDS: &[Field] = &[
    ("max_budget", |terms| terms.max_budget.is_some(), |all| clear(&mut all.max_budget)),
    ("soft_budget", |terms| terms.soft_budget.is_some(), |all| clear(&mut all.soft_budget)),
    (
        "budget_duration",
        |terms| terms.budget_duration.is_some(),
        |all| clear(&mut all.budget_duration),
    ),
    ("budget_limits", |terms| !terms.windows.is_empty(), |all| clear(&mut all.windows)),
    (
        "model_max_budget",
        |terms| !terms.model_budgets.is_empty(),
        |all| clear(&mut all.model_budgets),
    ),
    ("strict_budget", |terms| terms.strict.is_some(), |all| clear(&mut all.strict)),
    (
        "throttle_on_budget_exceeded",
        |terms| terms.throttle.is_some(),
        |all| clear(&mut all.throttle),
    ),
    ("on_loss", |terms| terms.on_loss.is_some(), |all| clear(&mut all.on_loss)),
    ("rpm_limit", |terms| terms.rpm.is_some(), |all| clear(&mut all.rpm)),
    ("tpm_limit", |terms| terms.tpm.is_some(), |all| clear(&mut all.tpm)),
    (
        "tpd_limit",
        |terms| terms.other.contains_key("tpd_limit"),
        |all| clear_other(all, "tpd_limit"),
    ),
    (
        "rpm_limit_type",
        |terms| terms.other.contains_key("rpm_limit_type"),
        |all| clear_other(all, "rpm_limit_type"),
    ),
    (
        "tpm_limit_type",
        |terms| terms.other.contains_key("tpm_limit_type"),
        |all| clear_other(all, "tpm_limit_type"),
    ),
    ("max_parallel_requests", |terms| terms.parallel.is_some(), |all| clear(&mut all.parallel)),
    ("model_rpm_limit", |terms| !terms.model_rpm.is_empty(), |all| clear(&mut all.model_rpm)),
    ("model_tpm_limit", |terms| !terms.model_tpm.is_empty(), |all| clear(&mut all.model_tpm)),
];

fn clear<T>(change: &mut Change<T>) -> bool {
    let keeps = change.keeps();
    if keeps {
        *change = Change::Clear;
    }
    keeps
}

fn clear_other(changes: &mut TermsChanges, name: &str) -> bool {
    clear(changes.other.entry(name.to_owned()).or_default())
}

/// The fields among these that a shared budget may set.
pub(crate) fn known<'n>(names: impl Iterator<Item = &'n String>) -> BTreeSet<String> {
    names.filter(|name| FIELDS.iter().any(|(known, ..)| known == name)).cloned().collect()
}

/// Has what nobody asked for give way to the shared budget that changes name: what a default filled
/// is cleared where that budget decides. What is changed was asked for from then on. Whether there is
/// any such change.
pub(crate) fn put_before_defaults(
    changes: &mut TermsChanges,
    before: &Terms,
    state: &State,
) -> bool {
    let shared = match &changes.budget_id {
        Change::Set(name) => state.entity(Kind::Budget, name).cloned(),
        Change::Keep | Change::Clear => None,
    };
    let mut defaulted = before.defaulted.clone();
    for (name, _, clear) in FIELDS.iter().filter(|(name, ..)| before.defaulted.contains(*name)) {
        let mut cleared = changes.clone();
        let was_kept = clear(&mut cleared);
        let gives_way = shared.as_ref().is_some_and(|shared| governs(&shared.terms, name));
        if was_kept && gives_way {
            *changes = cleared;
        }
        if !was_kept || gives_way {
            defaulted.remove(*name);
        }
    }
    let is_less = defaulted != before.defaulted;
    if is_less {
        changes.defaulted = Change::Set(defaulted);
    }
    is_less
}

/// Whether a shared budget with these terms decides about a field of whoever refers to it: it sets
/// that, or what the field would change.
pub(crate) fn governs(shared: &Terms, field: &str) -> bool {
    let sets = |name: &str| FIELDS.iter().any(|(known, sets, _)| *known == name && sets(shared));
    match field {
        "budget_duration" => sets(field) || sets("max_budget"),
        "rpm_limit_type" => sets(field) || sets("rpm_limit") || sets("model_rpm_limit"),
        "tpm_limit_type" => sets(field) || sets("tpm_limit") || sets("model_tpm_limit"),
        _ => sets(field),
    }
}

/// The first field that terms set, that `bound` does not, and about which the shared budget of both
/// decides: it would be in the budget's place, also once that is tightened.
pub(crate) fn shadowed(state: &State, terms: &Terms, bound: &Terms) -> Option<&'static str> {
    let shared = of(state, bound).filter(|_| terms.budget_id == bound.budget_id)?;
    let shadows = |(name, sets, _): &&Field| sets(terms) && !sets(bound) && governs(shared, name);
    FIELDS.iter().find(shadows).map(|(name, ..)| *name)
}

/// The terms that hold: one's own, then those of the shared budget. The order is that of
/// `dunlin_state::Payer`.
pub(crate) fn in_force(state: &State, terms: &Terms) -> Terms {
    let mut all = terms.clone();
    let Some(shared) = of(state, terms) else { return all };
    or(&mut all.max_budget, shared.max_budget.as_ref());
    or(&mut all.soft_budget, shared.soft_budget.as_ref());
    or(&mut all.budget_duration, shared.budget_duration.as_ref());
    or(&mut all.temporary, shared.temporary.as_ref());
    or(&mut all.strict, shared.strict.as_ref());
    or(&mut all.throttle, shared.throttle.as_ref());
    or(&mut all.on_loss, shared.on_loss.as_ref());
    or(&mut all.rpm, shared.rpm.as_ref());
    or(&mut all.tpm, shared.tpm.as_ref());
    or(&mut all.parallel, shared.parallel.as_ref());
    if all.windows.is_empty() {
        all.windows.clone_from(&shared.windows);
    }
    add(&mut all.model_budgets, &shared.model_budgets);
    add(&mut all.model_rpm, &shared.model_rpm);
    add(&mut all.model_tpm, &shared.model_tpm);
    for name in ["tpd_limit", "rpm_limit_type", "tpm_limit_type"] {
        if let (false, Some(text)) = (all.other.contains_key(name), shared.other.get(name)) {
            all.other.insert(name.to_owned(), text.clone());
        }
    }
    all
}

fn of<'s>(state: &'s State, terms: &Terms) -> Option<&'s Terms> {
    state.entity(Kind::Budget, terms.budget_id.as_ref()?).map(|budget| &budget.terms)
}

fn or<T: Clone>(own: &mut Option<T>, shared: Option<&T>) {
    if own.is_none() {
        *own = shared.cloned();
    }
}

fn add<T: Clone>(own: &mut BTreeMap<String, T>, shared: &BTreeMap<String, T>) {
    for (name, value) in shared {
        own.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
pub(crate) mod tests;
