//! Whether terms are wider than others: no caller grants more than the caller has, and non-admins
//! do not remove what an admin set.

use std::collections::BTreeMap;

use dunlin_router::Access;
use dunlin_state::{Entity, ModelBudget, State, Temporary, Terms};
use dunlin_types::OnLoss;

use crate::error::Error;
use crate::rights::forbidden;
use crate::shared;

/// How a limit is written that holds only while the model fails.
const DYNAMIC: &str = "\"dynamic\"";

/// Refuses terms that are wider than others. Of both, what counts is what holds: their own, or that of
/// the shared budget they refer to.
pub(crate) fn within(
    state: &State,
    terms: &Terms,
    bound: &Terms,
    whose: &str,
) -> Result<(), Error> {
    let leaves = bound.budget_id.is_some() && terms.budget_id != bound.budget_id;
    if let Some(field) = shared::shadowed(state, terms, bound) {
        let budget = bound.budget_id.as_deref().unwrap_or_default();
        return Err(forbidden(format!(
            "{field} is set by the shared budget `{budget}` of {whose}, and a value of its own \
             would replace it"
        )));
    }
    let (terms, bound) = (&shared::in_force(state, terms), &shared::in_force(state, bound));
    let has_budget = bound.max_budget.is_some();
    let renews = renews(terms.budget_duration.as_ref(), bound.budget_duration.as_ref());
    let is = |flag: Option<bool>| flag == Some(true);
    let wider = [
        ("budget_id", leaves),
        ("max_budget", exceeds(terms.max_budget, bound.max_budget)),
        ("temp_budget_increase", has_budget && adds(terms.temporary, bound.temporary)),
        ("budget_duration", has_budget && renews),
        ("budget_limits", exceed(&terms.windows, &bound.windows)),
        ("model_max_budget", model_budgets_exceed(&terms.model_budgets, &bound.model_budgets)),
        ("strict_budget", is(bound.strict) && !is(terms.strict)),
        ("throttle_on_budget_exceeded", is(terms.throttle) && !is(bound.throttle)),
        ("on_loss", loosens(terms.on_loss, bound.on_loss)),
        ("rpm_limit", exceeds(terms.rpm, bound.rpm)),
        ("tpm_limit", exceeds(terms.tpm, bound.tpm)),
        ("tpd_limit", exceeds(tpd(terms), tpd(bound))),
        ("rpm_limit_type", becomes_dynamic("rpm_limit_type", rpms(bound), terms, bound)),
        ("tpm_limit_type", becomes_dynamic("tpm_limit_type", tpms(bound), terms, bound)),
        ("max_parallel_requests", exceeds(terms.parallel, bound.parallel)),
        ("model_rpm_limit", exceed(&model_rpms(terms), &model_rpms(bound))),
        ("model_tpm_limit", exceed(&model_tpms(terms), &model_tpms(bound))),
        ("tag_rpm_limit", exceed(&terms.tag_rpm, &bound.tag_rpm)),
        ("tags", !bound.tags.iter().all(|tag| terms.tags.contains(tag))),
        ("models", !covers(&bound.models, &terms.models, true)),
    ];
    told(&wider, whose)
}

/// Whether more budget is added for a while, or for a longer one.
fn adds(temporary: Option<Temporary>, bound: Option<Temporary>) -> bool {
    temporary.is_some_and(|adds| {
        bound.is_none_or(|bound| adds.more > bound.more || adds.until > bound.until)
    })
}

/// Limits of single models: those of their own, then those beside the models' budgets.
fn by_model(
    limits: &BTreeMap<String, u64>,
    budgets: &BTreeMap<String, ModelBudget>,
    of: fn(&ModelBudget) -> Option<u64>,
) -> BTreeMap<String, u64> {
    let beside = budgets.iter().filter_map(|(model, budget)| Some((model.clone(), of(budget)?)));
    beside.chain(limits.iter().map(|(model, limit)| (model.clone(), *limit))).collect()
}

fn model_rpms(terms: &Terms) -> BTreeMap<String, u64> {
    by_model(&terms.model_rpm, &terms.model_budgets, |budget| budget.rpm)
}

fn model_tpms(terms: &Terms) -> BTreeMap<String, u64> {
    by_model(&terms.model_tpm, &terms.model_budgets, |budget| budget.tpm)
}

/// Whether there are limits of requests.
fn rpms(terms: &Terms) -> bool {
    terms.rpm.is_some() || !model_rpms(terms).is_empty()
}

/// Whether there are limits of tokens.
fn tpms(terms: &Terms) -> bool {
    terms.tpm.is_some() || !model_tpms(terms).is_empty()
}

/// Tokens of batches a day.
fn tpd(terms: &Terms) -> Option<u64> {
    terms.other.get("tpd_limit")?.parse().ok()
}

/// Whether limits may let more through while nodes are lost than `bound` has it. What holds unless
/// it is said is the config's.
fn loosens(on_loss: Option<OnLoss>, bound: Option<OnLoss>) -> bool {
    let is_tight = |on_loss| matches!(on_loss, Some(OnLoss::Share | OnLoss::Closed));
    on_loss != bound && (is_tight(bound) || !is_tight(on_loss))
}

pub(crate) fn told(wider: &[(&str, bool)], whose: &str) -> Result<(), Error> {
    match wider.iter().find(|(_, wider)| *wider) {
        Some((field, _)) => Err(forbidden(beyond(field, whose))),
        None => Ok(()),
    }
}

fn beyond(field: &str, whose: &str) -> String {
    match field {
        "tags" | "enforced_params" => format!("{field} must keep all those of {whose}"),
        "strict_budget" => format!("{field} must stay true like that of {whose}"),
        _ => format!("{field} goes beyond that of {whose}"),
    }
}

/// Refuses a team that lists models which its organization lacks: its keys could not call them, as
/// each must be on the lists of both. What a team had before stays.
pub(crate) fn within_organization(
    team: &Entity,
    before: Option<&Entity>,
    organization: Option<&Entity>,
) -> Result<(), Error> {
    let Some(organization) = organization else { return Ok(()) };
    let stays = before.is_some_and(|before| {
        before.organization == team.organization && before.terms.models == team.terms.models
    });
    let bound = &organization.terms.models;
    let beyond = |model: &&String| !covers(bound, std::slice::from_ref(*model), false);
    match team.terms.models.iter().find(beyond) {
        Some(model) if !stays => {
            // LiteLLM's words.
            let reason = format!(
                "Model '{model}' not in organization's allowed models. Organization allowed \
                 models={bound:?}. Organization: {}",
                organization.name
            );
            Err(Error::BadField { name: "models", reason })
        }
        Some(_) | None => Ok(()),
    }
}

/// A limit by its field.
type Limit = (&'static str, fn(&Terms) -> Option<u64>);

/// Refuses what the owner's own terms would not allow anyway: who reads the key would be misled.
/// What they were `before` under the same owner may stay.
pub(crate) fn bounded(
    state: &State,
    terms: &Terms,
    before: Option<&Terms>,
    owner: &Entity,
) -> Result<(), Error> {
    let whose = || format!("{} `{}`", owner.kind.name(), owner.name);
    let budget = |terms: &Terms| shared::in_force(state, terms).max_budget;
    let asked = budget(terms).filter(|asked| before.and_then(budget) != Some(*asked));
    if asked.is_some() && exceeds(asked, budget(&owner.terms)) {
        return Err(forbidden(format!("max_budget goes beyond that of {}", whose())));
    }
    let limits: [Limit; 3] = [
        ("rpm_limit", |terms| terms.rpm),
        ("tpm_limit", |terms| terms.tpm),
        ("max_parallel_requests", |terms| terms.parallel),
    ];
    for (field, of) in limits {
        let limit = |terms: &Terms| of(&shared::in_force(state, terms));
        let asked = limit(terms).filter(|asked| before.and_then(limit) != Some(*asked));
        if asked.is_some() && exceeds(asked, limit(&owner.terms)) {
            return Err(forbidden(format!("{field} goes beyond that of {}", whose())));
        }
    }
    let stays = before.is_some_and(|before| before.models == terms.models);
    if stays || covers(&owner.terms.models, &terms.models, false) {
        return Ok(());
    }
    Err(forbidden(format!("models go beyond those of {}", whose())))
}

/// Whether each model listed is among others. `all`: whether to list none, or all of the team's, is
/// to list all there are.
pub(crate) fn covers(bound: &[String], models: &[String], all: bool) -> bool {
    let aliases = BTreeMap::new();
    let bound = Access::of(bound, &aliases);
    if !bound.is_restricted() {
        return true;
    }
    let narrow = |model: &String| {
        model == "no-default-models"
            || (model == "all-team-models" && !all)
            || bound.models.contains(model)
            || (!model.contains('*') && bound.allows(&[model]))
    };
    !(models.is_empty() && all) && models.iter().all(narrow)
}

/// A limit that is none is more than any.
pub(crate) fn exceeds<T: PartialOrd>(limit: Option<T>, bound: Option<T>) -> bool {
    match (limit, bound) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(limit), Some(bound)) => limit > bound,
    }
}

/// The same of limits by name.
fn exceed<T: PartialOrd + Copy>(
    limits: &BTreeMap<String, T>,
    bounds: &BTreeMap<String, T>,
) -> bool {
    bounds.iter().any(|(name, bound)| exceeds(limits.get(name).copied(), Some(*bound)))
}

fn model_budgets_exceed(
    budgets: &BTreeMap<String, ModelBudget>,
    bounds: &BTreeMap<String, ModelBudget>,
) -> bool {
    let nothing = ModelBudget::default();
    bounds.iter().any(|(model, bound)| {
        let of = budgets.get(model).unwrap_or(&nothing);
        let renews = renews(of.duration.as_ref(), bound.duration.as_ref());
        exceeds(of.max_budget, bound.max_budget)
            || (bound.max_budget.is_some() && renews)
            || exceeds(of.rpm, bound.rpm)
            || exceeds(of.tpm, bound.tpm)
    })
}

/// Whether a budget might reset more often: one that never resets is the narrowest.
fn renews(duration: Option<&String>, bound: Option<&String>) -> bool {
    duration.is_some() && duration != bound
}

fn becomes_dynamic(field: &str, is_limited: bool, terms: &Terms, bound: &Terms) -> bool {
    let is = |terms: &Terms| terms.other.get(field).is_some_and(|how| how == DYNAMIC);
    is_limited && is(terms) && !is(bound)
}

#[cfg(test)]
pub(crate) mod tests {
    use dunlin_types::{NanoUsd, UnixMillis};

    use super::*;
    use crate::shared::tests::{referring, state_with};

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
        let every = |of: &Terms, every: &str| Terms {
            budget_duration: Some(every.to_owned()),
            ..of.clone()
        };
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
            (
                "budget_limits",
                Terms { windows: map("1h", NanoUsd(5)), ..Terms::default() },
                windows,
            ),
            (
                "budget_limits",
                Terms { windows: map("1d", NanoUsd(6)), ..Terms::default() },
                windows,
            ),
            ("model_max_budget", of_model(|b| b.max_budget = Some(NanoUsd(6))), models),
            ("model_max_budget", of_model(|b| b.duration = Some("1h".to_owned())), models),
            ("rpm_limit", Terms { rpm: Some(6), ..Terms::default() }, rpm),
            ("rpm_limit_type", Terms { other: kind("dynamic"), ..rpm.1.clone() }, rpm),
            (
                "throttle_on_budget_exceeded",
                Terms { throttle: Some(true), ..budget.1.clone() },
                budget,
            ),
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
                (
                    "budget_duration",
                    Terms { budget_duration: Some("1d".to_owned()), ..referring() },
                ),
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
}
