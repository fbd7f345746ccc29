//! Budgets that are shared, and those who refer to them.

use dunlin_state::Entity;
use dunlin_types::{NanoUsd, UnixMillis};

use super::*;
use crate::rights::tests::made;
use crate::rows::row::tests::state_after;

/// A state with one shared budget `b`.
pub(crate) fn state_with(terms: Terms) -> State {
    let name = "b".to_owned();
    let budget = Entity { kind: Kind::Budget, name, terms, ..Entity::default() };
    state_after([made(budget, Vec::new())])
}

/// Terms that refer to it.
pub(crate) fn referring() -> Terms {
    Terms { budget_id: Some("b".to_owned()), ..Terms::default() }
}

fn map<T>(name: &str, limit: T) -> BTreeMap<String, T> {
    BTreeMap::from([(name.to_owned(), limit)])
}

#[test]
fn what_is_ones_own_holds_before_what_is_shared_as_requests_are_checked() {
    let shared = Terms {
        max_budget: Some(NanoUsd(9)),
        rpm: Some(9),
        parallel: Some(9),
        strict: Some(true),
        model_rpm: [map("a", 9), map("b", 9)].into_iter().flatten().collect(),
        windows: map("1d", NanoUsd(9)),
        ..Terms::default()
    };
    let state = state_with(shared);
    let own = Terms {
        rpm: Some(5),
        model_rpm: map("a", 5),
        windows: map("1h", NanoUsd(5)),
        ..referring()
    };
    let held = in_force(&state, &own);
    assert_eq!((held.max_budget, held.rpm), (Some(NanoUsd(9)), Some(5)));
    assert_eq!((held.parallel, held.strict), (Some(9), Some(true)));
    assert_eq!(held.windows, own.windows, "one of its own, and the shared ones are not looked at");
    // What requests are checked by says the same.
    let key = dunlin_state::Key { terms: own, ..crate::rows::row::tests::bare("sk-abcd") };
    let payers = state.payers(&std::sync::Arc::new(key));
    let payer = payers.last().expect("the key itself");
    assert_eq!((payer.rpm(), payer.parallel()), (held.rpm, held.parallel));
    for model in ["a", "b", "c"] {
        assert_eq!(payer.model_limits(model).0, held.model_rpm.get(model).copied(), "{model}");
    }
    let budgets = payer.budgets(&"a".into(), UnixMillis(0));
    let limits: Vec<_> = budgets.iter().map(|budget| (budget.limit, budget.strict)).collect();
    assert_eq!(limits, [(NanoUsd(9), true), (NanoUsd(5), true)]);
    assert_eq!(in_force(&state, &Terms::default()), Terms::default());
}

#[test]
fn a_shared_budget_decides_about_what_it_sets() {
    let shared = Terms { max_budget: Some(NanoUsd(9)), rpm: Some(9), ..Terms::default() };
    for (field, governed) in [
        ("max_budget", true),
        ("budget_duration", true),
        ("rpm_limit", true),
        ("rpm_limit_type", true),
        ("tpm_limit", false),
        ("budget_limits", false),
        ("models", false),
    ] {
        assert_eq!(governs(&shared, field), governed, "{field}");
    }
}
#[test]
fn a_default_gives_way_to_a_budget_that_is_named_later_and_what_was_asked_for_does_not() {
    let shared = Terms { max_budget: Some(NanoUsd(9)), rpm: Some(9), ..Terms::default() };
    let state = state_with(shared);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let filled = |fields: &[&str]| Terms {
        max_budget: Some(NanoUsd(50)),
        budget_duration: Some("1d".to_owned()),
        rpm: Some(5),
        tpm: Some(7),
        defaulted: names(fields),
        ..Terms::default()
    };
    let named = TermsChanges { budget_id: Change::Set("b".to_owned()), ..Default::default() };
    let unknown = TermsChanges { budget_id: Change::Set("?".to_owned()), ..Default::default() };
    let asked = TermsChanges { max_budget: Change::Set(NanoUsd(1)), ..named.clone() };
    let all = ["budget_duration", "max_budget", "rpm_limit", "tpm_limit"];
    for (changes, defaulted, then, left) in [
        (&named, &all[..], (None, None, None, Some(7)), &["tpm_limit"][..]),
        (&named, &all[2..], (Some(50), Some("1d"), None, Some(7)), &["tpm_limit"]),
        (&named, &[], (Some(50), Some("1d"), Some(5), Some(7)), &[]),
        (&asked, &all, (Some(1), None, None, Some(7)), &["tpm_limit"]),
        (&unknown, &all, (Some(50), Some("1d"), Some(5), Some(7)), &all),
        (&TermsChanges::default(), &all, (Some(50), Some("1d"), Some(5), Some(7)), &all),
    ] {
        let (before, mut changes) = (filled(defaulted), changes.clone());
        put_before_defaults(&mut changes, &before, &state);
        let key = dunlin_state::Key { terms: before, ..Default::default() };
        let key = key.changed(dunlin_state::KeyChanges { terms: changes, ..Default::default() });
        let terms = &key.terms;
        let found = (terms.max_budget, terms.budget_duration.as_deref(), terms.rpm, terms.tpm);
        assert_eq!(found, (then.0.map(NanoUsd), then.1, then.2, then.3), "{defaulted:?}");
        assert_eq!(terms.defaulted, names(left), "{defaulted:?}");
    }
}
