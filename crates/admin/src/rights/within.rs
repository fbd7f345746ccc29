//! Whether terms are wider than others: no caller grants more than the caller has, and non-admins
//! do not remove what an admin set.

use std::collections::BTreeMap;

use dunlin_router::Access;
use dunlin_state::{Entity, ModelBudget, State, Temporary, Terms};
use dunlin_types::OnLoss;

use crate::error::Error;
use crate::rights::forbidden;
use crate::terms::shared;

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
pub(crate) mod tests;
