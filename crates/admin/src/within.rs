//! Whether terms are wider than others: nobody gives more than he has, and who is no admin does not
//! take off what an admin put on.

use std::collections::BTreeMap;

use dunlin_router::Access;
use dunlin_state::{Entity, Key, ModelBudget, Terms, routes};
use dunlin_types::{NanoUsd, OnLoss};

use crate::error::Error;
use crate::rights::forbidden;

/// How a limit is written that holds only while the model fails.
const DYNAMIC: &str = "\"dynamic\"";

/// Refuses terms that are wider than others.
pub(crate) fn within(terms: &Terms, bound: &Terms, whose: &str) -> Result<(), Error> {
    let most = |terms: &Terms| {
        let more = terms.temporary.map_or(NanoUsd::ZERO, |temporary| temporary.more);
        terms.max_budget.map(|budget| budget + more)
    };
    let renews = renews(terms.budget_duration.as_ref(), bound.budget_duration.as_ref());
    let is = |flag: Option<bool>| flag == Some(true);
    let wider = [
        ("max_budget", exceeds(most(terms), most(bound))),
        ("budget_duration", bound.max_budget.is_some() && renews),
        ("budget_id", bound.budget_id.is_some() && terms.budget_id != bound.budget_id),
        ("budget_limits", exceed(&terms.windows, &bound.windows)),
        ("model_max_budget", model_budgets_exceed(&terms.model_budgets, &bound.model_budgets)),
        ("strict_budget", is(bound.strict) && !is(terms.strict)),
        ("throttle_on_budget_exceeded", is(terms.throttle) && !is(bound.throttle)),
        ("on_loss", loosens(terms.on_loss, bound.on_loss)),
        ("rpm_limit", exceeds(terms.rpm, bound.rpm)),
        ("tpm_limit", exceeds(terms.tpm, bound.tpm)),
        ("tpd_limit", exceeds(tpd(terms), tpd(bound))),
        ("rpm_limit_type", bound.rpm.is_some() && becomes_dynamic("rpm_limit_type", terms, bound)),
        ("tpm_limit_type", bound.tpm.is_some() && becomes_dynamic("tpm_limit_type", terms, bound)),
        ("max_parallel_requests", exceeds(terms.parallel, bound.parallel)),
        ("model_rpm_limit", exceed(&terms.model_rpm, &bound.model_rpm)),
        ("model_tpm_limit", exceed(&terms.model_tpm, &bound.model_tpm)),
        ("tag_rpm_limit", exceed(&terms.tag_rpm, &bound.tag_rpm)),
        ("tags", !bound.tags.iter().all(|tag| terms.tags.contains(tag))),
        ("models", !covers(&bound.models, &terms.models, true)),
    ];
    told(&wider, whose)
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

/// The same of a key: what it must say, where it may go and how long it lives beside.
pub(crate) fn key_within(key: &Key, bound: &Key, whose: &str) -> Result<(), Error> {
    let goes = |route: &String| {
        bound.routes.contains(route)
            || (route.starts_with('/')
                && !route.contains('*')
                && routes::covers(&bound.routes, route))
    };
    let stays = !key.routes.is_empty() && key.routes.iter().all(goes);
    let wider = [
        ("allowed_routes", !bound.routes.is_empty() && !stays),
        ("enforced_params", !bound.required.iter().all(|name| key.required.contains(name))),
        ("duration", exceeds(key.expires, bound.expires)),
    ];
    told(&wider, whose)?;
    within(&key.terms, &bound.terms, whose)
}

fn told(wider: &[(&str, bool)], whose: &str) -> Result<(), Error> {
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

/// Refuses what the owner's own terms would not allow anyway: who reads the key would be misled.
pub(crate) fn bounded(terms: &Terms, owner: &Entity) -> Result<(), Error> {
    let whose = || format!("{} `{}`", owner.kind.name(), owner.name);
    if terms.max_budget.is_some() && exceeds(terms.max_budget, owner.terms.max_budget) {
        return Err(forbidden(format!("max_budget goes beyond that of {}", whose())));
    }
    if covers(&owner.terms.models, &terms.models, false) {
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
fn exceeds<T: PartialOrd>(limit: Option<T>, bound: Option<T>) -> bool {
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

/// Whether a budget might begin anew more often: what never does is the narrowest.
fn renews(duration: Option<&String>, bound: Option<&String>) -> bool {
    duration.is_some() && duration != bound
}

fn becomes_dynamic(field: &str, terms: &Terms, bound: &Terms) -> bool {
    let is = |terms: &Terms| terms.other.get(field).is_some_and(|how| how == DYNAMIC);
    is(terms) && !is(bound)
}

#[cfg(test)]
mod tests {
    use dunlin_state::Temporary;
    use dunlin_types::UnixMillis;

    use super::*;

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

    fn refused(result: Result<(), Error>, field: &str) {
        let Err(Error::Forbidden { reason }) = result else { panic!("{field}: {result:?}") };
        assert!(reason.starts_with(field), "{field}: {reason}");
    }

    #[test]
    fn whatever_bounds_somebody_cannot_be_taken_off() {
        for (field, bound) in bounds() {
            refused(within(&Terms::default(), &bound, "it"), field);
            within(&bound, &bound, "it").unwrap_or_else(|error| panic!("{field}: {error}"));
            within(&bound, &Terms::default(), "it").unwrap_or_else(|e| panic!("{field}: {e}"));
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
            ("max_budget", Terms { temporary, ..budget.1.clone() }, budget),
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
            refused(within(&terms, &bound.1, "it"), field);
        }
        let never = every(&budget.1, "1d");
        assert!(within(&budget.1, &never, "it").is_ok(), "what never begins anew is narrower");
        let guaranteed = Terms { other: kind("guaranteed_throughput"), ..rpm.1.clone() };
        assert!(within(&guaranteed, &rpm.1, "it").is_ok());
    }

    #[test]
    fn a_key_keeps_its_ways_and_its_end() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let bound = Key {
            routes: texts(&["llm_api_routes", "/key/info"]),
            required: texts(&["user"]),
            expires: Some(UnixMillis(9)),
            ..Key::default()
        };
        let key = |routes: &[&str]| Key { routes: texts(routes), ..bound.clone() };
        for routes in [&["/v1/chat/completions"][..], &["/key/info"], &["llm_api_routes"]] {
            assert!(key_within(&key(routes), &bound, "it").is_ok(), "{routes:?}");
        }
        for routes in [&[][..], &["/key/delete"], &["management_routes"], &["/*"]] {
            refused(key_within(&key(routes), &bound, "it"), "allowed_routes");
        }
        refused(
            key_within(&Key { required: Vec::new(), ..bound.clone() }, &bound, "it"),
            "enforced",
        );
        refused(key_within(&Key { expires: None, ..bound.clone() }, &bound, "it"), "duration");
        let later = Key { expires: Some(UnixMillis(10)), ..bound.clone() };
        refused(key_within(&later, &bound, "it"), "duration");
    }
}
