//! How a refusal for want of budget is worded: whose budget it is, which of them, how much of it is
//! spent and when it begins anew, in LiteLLM's words as far as it has any.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dunlin_admission::OverBudget;
use dunlin_state::{PROVIDERS, Payer, Rank, TAGS};
use dunlin_types::{Line, NanoUsd};

use crate::headers;

/// The message. `key` is how the caller's key is shown.
pub(crate) fn message(over: &OverBudget, key: &str) -> String {
    let (spent, limit) = (headers::usd(over.spent), headers::usd(over.limit));
    let exceeded = |whose: String| {
        format!("Budget has been exceeded! {whose} Current cost: {spent}, Max budget: {limit}")
    };
    let mut message = match &over.payer {
        None => exceeded("Proxy".to_owned()),
        Some(payer) => match payer.rank {
            Rank::Team => exceeded(format!("Team={}", payer.name())),
            Rank::Organization => exceeded(format!("Organization={}", payer.name())),
            Rank::Tag => exceeded(format!("Tag={}", payer.name())),
            Rank::AccessGroup => exceeded(format!("Model Access Group={}", payer.name())),
            Rank::Member => {
                let name = payer.name();
                let (team, user) = name.split_once(':').unwrap_or((&name, ""));
                exceeded(format!("User={user} in Team={team}"))
            }
            Rank::User => over_budget("User", payer, &spent, &limit),
            Rank::EndUser => over_budget("End User", payer, &spent, &limit),
            Rank::Key => {
                let alias = payer.alias().unwrap_or("None");
                exceeded(format!("Key={alias} ({key})"))
            }
        },
    };
    let which = match &over.pot.line {
        Line::Main => over.duration.as_ref().map(|every| format!("in each {every}")),
        Line::Window(duration) => Some(format!("in the window of {duration}")),
        Line::Model(model) => Some(format!("for the model {model}")),
    };
    if let Some(which) = which {
        let _infallible = write!(message, " ({which})");
    }
    tell_rest(&mut message, over);
    message
}

/// When it begins anew, and what of it is nobody's at the moment.
fn tell_rest(message: &mut String, over: &OverBudget) {
    if let Some(at) = over.resets_at {
        let _infallible = write!(message, ". Budget resets at: {}", headers::utc(at));
    }
    if over.withheld > NanoUsd::ZERO {
        let _infallible = write!(
            message,
            ". {} of it lie with nodes that cannot be reached now",
            headers::usd(over.withheld)
        );
    }
}

fn over_budget(what: &str, payer: &Payer, spent: &str, limit: &str) -> String {
    let name = payer.name();
    format!("ExceededBudget: {what}={name} over budget. Spend={spent}, Budget={limit}")
}

/// The message where what may be spent on every deployment that could be asked is spent.
pub(crate) fn all_spent(spent: &[OverBudget]) -> String {
    // A provider's is named once, however many deployments it has.
    let by_pot: BTreeMap<_, _> = spent.iter().map(|over| (&over.pot, over)).collect();
    let named: Vec<String> = by_pot.into_values().map(crossed).collect();
    format!("No deployments available - crossed budget: {}", named.join(", "))
}

fn crossed(over: &OverBudget) -> String {
    let (spent, limit) = (headers::usd(over.spent), headers::usd(over.limit));
    let name = match &over.pot.line {
        Line::Model(name) | Line::Window(name) => name.as_str(),
        Line::Main => "",
    };
    let mut message = match over.pot.of {
        PROVIDERS => format!("Exceeded budget for provider {name}: {spent} >= {limit}"),
        TAGS => {
            format!("Exceeded budget for tag='{name}', tag_spend={spent}, tag_budget_limit={limit}")
        }
        _ => format!("Exceeded budget for deployment model_id: {name}: {spent} >= {limit}"),
    };
    tell_rest(&mut message, over);
    message
}
