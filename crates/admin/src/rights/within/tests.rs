//! Each bound holds by itself, and what was before may stay.

use dunlin_types::{NanoUsd, UnixMillis};

use super::*;
use crate::terms::shared::tests::{referring, state_with};

/// Where there are no shared budgets.
fn alone(terms: &Terms, bound: &Terms) -> Result<(), Error> {
    within(&State::new(), terms, bound, "it")
}

fn map<T>(name: &str, value: T) -> BTreeMap<String, T> {
    BTreeMap::from([(name.to_owned(), value)])
}

/// One way in which terms bound somebody.
fn bounds() -> Vec<(&'static str, Terms)> {
    let none = Terms::default;
    let budget = ModelBudget { max_budget: Some(NanoUsd(5)), ..ModelBudget::default() };
    vec![
        ("max_budget", Terms { max_budget: Some(NanoUsd(5)), ..none() }),
        ("budget_id", Terms { budget_id: Some("b".to_owned()), ..none() }),
        ("budget_limits", Terms { windows: map("1d", NanoUsd(5)), ..none() }),
        ("model_max_budget", Terms { model_budgets: map("m", budget), ..none() }),
        ("strict_budget", Terms { strict: Some(true), ..none() }),
        ("rpm_limit", Terms { rpm: Some(5), ..none() }),
        ("tpm_limit", Terms { tpm: Some(5), ..none() }),
        ("tpd_limit", Terms { other: map("tpd_limit", "5".to_owned()), ..none() }),
        ("max_parallel_requests", Terms { parallel: Some(5), ..none() }),
        ("model_rpm_limit", Terms { model_rpm: map("m", 5), ..none() }),
        ("model_tpm_limit", Terms { model_tpm: map("m", 5), ..none() }),
        ("tag_rpm_limit", Terms { tag_rpm: map("t", 5), ..none() }),
        ("tags", Terms { tags: vec!["t".to_owned()], ..none() }),
        ("models", Terms { models: vec!["m".to_owned()], ..none() }),
        ("on_loss", Terms { on_loss: Some(OnLoss::Share), ..none() }),
    ]
}

pub(crate) fn refused(result: Result<(), Error>, field: &str) {
    let Err(Error::Forbidden { reason }) = result else { panic!("{field}: {result:?}") };
    assert!(reason.starts_with(field), "{field}: {reason}");
}

#[test]
fn whatever_bounds_somebody_cannot_be_taken_off() {
    for (field, bound) in bounds() {
        refused(alone(&Terms::default(), &bound), field);
        alone(&bound, &bound).unwrap_or_else(|error| panic!("{field}: {error}"));
        alone(&bound, &Terms::default()).unwrap_or_else(|e| panic!("{field}: {e}"));
    }
}

#[test]
fn nor_can_it_be_loosened() {
    let [budget, shared, windows, models, _, rpm, ..] = &bounds()[..] else { panic!("bounds") };
    let every =
        |of: &Terms, every: &str| Terms { budget_duration: Some(every.to_owned()), ..of.clone() };
    let temporary = Some(Temporary { more: NanoUsd(1), until: UnixMillis(9) });
    let kind = |kind: &str| map("rpm_limit_type", format!("{kind:?}"));
    let of_model = |change: fn(&mut ModelBudget)| {
        let mut terms = models.1.clone();
        terms.model_budgets.values_mut().for_each(change);
        terms
    };
    for (field, terms, bound) in [
        ("temp_budget_increase", Terms { temporary, ..budget.1.clone() }, budget),
        ("budget_duration", every(&budget.1, "1d"), budget),
        ("budget_id", Terms { budget_id: Some("c".to_owned()), ..Terms::default() }, shared),
        ("budget_limits", Terms { windows: map("1h", NanoUsd(5)), ..Terms::default() }, windows),
        ("budget_limits", Terms { windows: map("1d", NanoUsd(6)), ..Terms::default() }, windows),
        ("model_max_budget", of_model(|b| b.max_budget = Some(NanoUsd(6))), models),
        ("model_max_budget", of_model(|b| b.duration = Some("1h".to_owned())), models),
        ("rpm_limit", Terms { rpm: Some(6), ..Terms::default() }, rpm),
        ("rpm_limit_type", Terms { other: kind("dynamic"), ..rpm.1.clone() }, rpm),
        ("throttle_on_budget_exceeded", Terms { throttle: Some(true), ..budget.1.clone() }, budget),
    ] {
        refused(alone(&terms, &bound.1), field);
    }
    let never = every(&budget.1, "1d");
    assert!(alone(&budget.1, &never).is_ok(), "what never begins anew is narrower");
    let guaranteed = Terms { other: kind("guaranteed_throughput"), ..rpm.1.clone() };
    assert!(alone(&guaranteed, &rpm.1).is_ok());
}

#[test]
fn more_budget_for_a_while_stays_for_a_while() {
    let of = |budget, more, until| Terms {
        max_budget: Some(NanoUsd(budget)),
        temporary: Some(Temporary { more: NanoUsd(more), until: UnixMillis(until) }),
        ..Terms::default()
    };
    let bound = of(5, 5, 9);
    for (field, terms) in [
        ("temp_budget_increase", of(5, 5, 10)),
        ("temp_budget_increase", of(5, 6, 9)),
        ("max_budget", Terms { temporary: None, ..of(10, 0, 0) }),
        ("max_budget", of(6, 4, 9)),
    ] {
        refused(alone(&terms, &bound), field);
    }
    assert!(alone(&of(5, 4, 8), &bound).is_ok());
    assert!(alone(&Terms { temporary: None, ..bound.clone() }, &bound).is_ok());
}

#[test]
fn a_key_has_no_more_of_a_limit_than_its_owner() {
    let mut owner = Entity { name: "t".to_owned(), ..Entity::default() };
    owner.terms = Terms { rpm: Some(5), tpm: Some(5), parallel: Some(5), ..Terms::default() };
    let state = State::new();
    for (field, terms) in [
        ("rpm_limit", Terms { rpm: Some(6), ..Terms::default() }),
        ("tpm_limit", Terms { tpm: Some(6), ..Terms::default() }),
        ("max_parallel_requests", Terms { parallel: Some(6), ..Terms::default() }),
    ] {
        refused(bounded(&state, &terms, None, &owner), field);
        assert!(bounded(&state, &terms, Some(&terms), &owner).is_ok(), "it stays");
    }
    assert!(bounded(&state, &owner.terms, None, &owner).is_ok());
    assert!(bounded(&state, &Terms::default(), None, &owner).is_ok(), "the owner's holds");
}

#[test]
fn a_models_limit_beside_its_budget_is_not_set_aside() {
    let limited = ModelBudget { rpm: Some(5), tpm: Some(5), ..ModelBudget::default() };
    let bound = Terms { model_budgets: map("m", limited), ..Terms::default() };
    let with = |model_rpm, model_tpm| Terms { model_rpm, model_tpm, ..bound.clone() };
    refused(alone(&with(map("m", 6), BTreeMap::new()), &bound), "model_rpm_limit");
    refused(alone(&with(BTreeMap::new(), map("m", 6)), &bound), "model_tpm_limit");
    assert!(alone(&with(map("m", 4), map("other", 6)), &bound).is_ok());
}

#[test]
fn what_a_shared_budget_sets_is_not_set_beside_it() {
    let every = Some("30d".to_owned());
    let budget = ModelBudget { max_budget: Some(NanoUsd(9)), ..ModelBudget::default() };
    let dynamic = |by: &str| map(by, DYNAMIC.to_owned());
    let shared = || Terms {
        max_budget: Some(NanoUsd(9)),
        budget_duration: every.clone(),
        windows: map("1d", NanoUsd(9)),
        model_budgets: map("m", budget.clone()),
        strict: Some(true),
        rpm: Some(9),
        tpm: Some(9),
        parallel: Some(9),
        model_rpm: map("m", 9),
        model_tpm: map("m", 9),
        on_loss: Some(OnLoss::Closed),
        ..Terms::default()
    };
    let state = state_with(shared());
    for more in [8, 9, 10] {
        let other = ModelBudget { max_budget: Some(NanoUsd(more)), ..ModelBudget::default() };
        for (field, terms) in [
            ("max_budget", Terms { max_budget: Some(NanoUsd(more)), ..referring() }),
            ("budget_duration", Terms { budget_duration: Some("1d".to_owned()), ..referring() }),
            ("budget_duration", Terms { budget_duration: every.clone(), ..referring() }),
            ("budget_limits", Terms { windows: map("1d", NanoUsd(more)), ..referring() }),
            ("model_max_budget", Terms { model_budgets: map("m", other), ..referring() }),
            ("strict_budget", Terms { strict: Some(false), ..referring() }),
            ("on_loss", Terms { on_loss: Some(OnLoss::Open), ..referring() }),
            ("rpm_limit", Terms { rpm: Some(more), ..referring() }),
            ("tpm_limit", Terms { tpm: Some(more), ..referring() }),
            ("max_parallel_requests", Terms { parallel: Some(more), ..referring() }),
            ("model_rpm_limit", Terms { model_rpm: map("m", more), ..referring() }),
            ("model_tpm_limit", Terms { model_tpm: map("m", more), ..referring() }),
            ("rpm_limit_type", Terms { other: dynamic("rpm_limit_type"), ..referring() }),
            ("tpm_limit_type", Terms { other: dynamic("tpm_limit_type"), ..referring() }),
            ("throttle", Terms { throttle: Some(true), ..referring() }),
            ("temp", {
                let temporary = Temporary { more: NanoUsd(1), until: UnixMillis(9) };
                Terms { temporary: Some(temporary), ..referring() }
            }),
            ("budget_id", Terms::default()),
            ("budget_id", Terms { budget_id: None, ..shared() }),
        ] {
            refused(within(&state, &terms, &referring(), "it"), field);
        }
    }
    assert!(within(&state, &referring(), &referring(), "it").is_ok());
    let free = Terms { tags: vec!["t".to_owned()], ..referring() };
    assert!(within(&state, &free, &referring(), "it").is_ok(), "what it does not set is free");
    // Whose bound is not shared may not trade it for a wider one that is.
    let bound = Terms { rpm: Some(5), ..Terms::default() };
    refused(within(&state, &referring(), &bound, "it"), "rpm_limit");
    let narrower = Terms { rpm: Some(5), ..referring() };
    assert!(within(&state, &narrower, &bound, "it").is_ok());
}
