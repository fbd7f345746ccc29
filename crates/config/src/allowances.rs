//! Budgets of what is called: of providers, of deployments, and of requests with a tag. Their periods
//! begin with a first use.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_ledger::{Allowance, BadDuration, Length};

use crate::budgets;
use crate::diagnostic::{Code, Diagnostic};
use crate::models::Models;
use crate::report::Report;
use crate::routing::RouterSettings;
use crate::tree::{Map, Node};
use crate::words;

/// The names of an amount and of its period, in the order in which they are looked for.
type Names = (&'static [&'static str], &'static [&'static str]);

const OF_PROVIDERS: Names = (&["budget_limit", "max_budget"], &["time_period", "budget_duration"]);
const OF_TAGS: Names = (&["max_budget", "budget_limit"], &["budget_duration", "time_period"]);
const OF_DEPLOYMENTS: Names = (&["max_budget"], &["budget_duration"]);

pub(crate) type Allowances = BTreeMap<Arc<str>, Allowance>;

/// `provider_budget_config`, by provider.
pub(crate) fn of_providers(
    settings: &RouterSettings<'_>,
    models: &Models,
    report: &mut Report,
) -> Allowances {
    let what = "provider_budget_config";
    let deployments = models.deployments();
    let used: Vec<&str> = deployments.map(|deployment| &*deployment.provider).collect();
    let node = settings.get(what);
    for (key, _) in node.and_then(Node::as_map).into_iter().flat_map(|map| &map.entries) {
        if !used.contains(&key.text.as_str()) {
            let message = format!("{what} has `{}`, but no model is of that provider", key.text);
            let label = words::did_you_mean(&key.text, used.iter().copied());
            report.push(Diagnostic::warning(Code::UnknownModel, message).at(key.place, label));
        }
    }
    each(what, node, OF_PROVIDERS, report)
}

/// `tag_budget_config`, by tag.
pub(crate) fn of_tags(settings: &RouterSettings<'_>, report: &mut Report) -> Allowances {
    let what = "tag_budget_config";
    each(what, settings.get(what), OF_TAGS, report)
}

/// What `litellm_params` lets be spent on a deployment.
pub(crate) fn of_deployment(params: &Map, report: &mut Report) -> Option<Allowance> {
    one("litellm_params", params, OF_DEPLOYMENTS, report)
}

fn each(what: &str, node: Option<&Node>, names: Names, report: &mut Report) -> Allowances {
    let mut all = Allowances::new();
    for (key, node) in report.map(what, node).into_iter().flat_map(|map| &map.entries) {
        let what = format!("{what}.{}", key.text);
        let Some(map) = report.map(&what, Some(node)) else { continue };
        match one(&what, map, names, report) {
            Some(allowance) => drop(all.insert(key.text.as_str().into(), allowance)),
            None if report.has_errors() => {}
            None => {
                let message = format!("{what} has no {}: it limits nothing", names.0[0]);
                report.push(Diagnostic::warning(Code::Missing, message).at(key.place, ""));
            }
        }
    }
    all
}

fn one(what: &str, map: &Map, (amounts, periods): Names, report: &mut Report) -> Option<Allowance> {
    let first = |names: &'static [&'static str]| {
        names.iter().find_map(|name| {
            Some((format!("{what}.{name}"), map.get(name).filter(|node| node.value_is_there())?))
        })
    };
    let (amount, node) = first(amounts)?;
    let most = budgets::dollars(&amount, Some(node), report)?;
    let Some((period, node)) = first(periods) else { return Some(Allowance { most, every: None }) };
    let every = report.text(&period, Some(node))?;
    if let Err(bad) = Length::of_period(every) {
        let diagnostic = Diagnostic::error(Code::WrongValue, format!("{period} is {bad}"));
        let diagnostic = diagnostic.at(node.place, "");
        // It was taken once, and bound nothing.
        match bad {
            BadDuration::Nothing => report.outdated(diagnostic),
            BadDuration::Unreadable | BadDuration::TooLong | BadDuration::Months => {
                report.push(diagnostic);
            }
        }
        return None;
    }
    Some(Allowance { most, every: Some(every.to_owned()) })
}
