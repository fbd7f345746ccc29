//! The message of a refusal for want of budget: whose budget it is, which one, how much of it is
//! spent and when it resets, in LiteLLM's words where it has any.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dunlin_admission::OverBudget;
use dunlin_llm::openai::Entity;
use dunlin_state::{DEPLOYMENTS, PROVIDERS, Payer, Rank, TAGS};
use dunlin_types::{Line, NanoUsd};

use crate::response::figure::usd;
use crate::response::headers;

/// The message. `key` is how the caller's key is shown, and `bound` the field by which a request
/// bounds its answer.
pub(crate) fn message(over: &OverBudget, key: &str, bound: &str) -> String {
    let (spent, limit) = (usd(over.spent), usd(over.limit));
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
            Rank::OrganizationMember => {
                let name = payer.name();
                let (organization, user) = name.split_once(':').unwrap_or((&name, ""));
                exceeded(format!("User={user} in Organization={organization}"))
            }
            Rank::User => over_budget("User", payer, &spent, &limit),
            Rank::EndUser => over_budget("End User", payer, &spent, &limit),
            Rank::Key => exceeded(match payer.alias() {
                Some(alias) => format!("Key={alias} ({key})"),
                None => format!("Key={key}"),
            }),
        },
    };
    let each = over.duration.as_ref().map(|every| format!("in each {every}"));
    let which = match &over.pot.line {
        Line::Main => each,
        Line::Window(duration) => Some(format!("in the window of {duration}")),
        Line::Model(model) => {
            let each = each.map(|each| format!(" {each}")).unwrap_or_default();
            Some(format!("for the model {model}{each}"))
        }
    };
    if let Some(which) = which {
        let _infallible = write!(message, " ({which})");
    }
    tell_rest(&mut message, over, bound);
    message
}

/// Why something is left but not enough, when the budget resets, and how much of it is held and
/// withheld.
fn tell_rest(message: &mut String, over: &OverBudget, bound: &str) {
    let gone = over.spent + over.held + over.withheld;
    let left = NanoUsd(over.limit.0.saturating_sub(gone.0));
    if let Some(could_cost) = over.could_cost.filter(|_| left > NanoUsd::ZERO) {
        let _infallible = write!(
            message,
            ". This request could cost up to ${}, ${} is left, and the budget is strict: send \
             {bound}, or a smaller one, to bound what it can cost",
            usd(could_cost),
            usd(left)
        );
    }
    if let Some(at) = over.resets_at {
        let _infallible = write!(message, ". Budget resets at: {}", headers::utc(at));
    }
    if over.held > NanoUsd::ZERO {
        let held = usd(over.held);
        let _infallible = write!(message, ". ${held} is held by requests under way");
    }
    if over.withheld > NanoUsd::ZERO {
        let _infallible =
            write!(message, ". ${} lies on nodes that cannot be reached now", usd(over.withheld));
    }
}

fn over_budget(what: &str, payer: &Payer, spent: &str, limit: &str) -> String {
    let name = payer.name();
    format!("ExceededBudget: {what}={name} over budget. Spend={spent}, Budget={limit}")
}

/// Whose budget it is, for programs: a key by its hash, a member by its team and user.
pub(crate) fn entity(over: &OverBudget) -> Entity {
    let of = |kind, id: String| Entity { kind, id };
    let Some(payer) = &over.payer else {
        return match (over.pot.of, &over.pot.line) {
            (PROVIDERS, Line::Model(name)) => of("provider", name.clone()),
            (DEPLOYMENTS, Line::Model(id)) => of("deployment", id.clone()),
            (TAGS, Line::Model(tag)) => of("tag", tag.clone()),
            _ => of("proxy", "proxy".to_owned()),
        };
    };
    of(kind(payer.rank), payer.name())
}

/// What kind of entity has a budget or a limit.
pub(crate) fn kind(rank: Rank) -> &'static str {
    match rank {
        Rank::Team => "team",
        Rank::Organization => "organization",
        Rank::Tag => "tag",
        Rank::AccessGroup => "model_access_group",
        Rank::User => "user",
        Rank::Member => "team_member",
        Rank::OrganizationMember => "organization_member",
        Rank::EndUser => "end_user",
        Rank::Key => "key",
    }
}

/// The message where what may be spent on every deployment that could be asked is spent.
pub(crate) fn all_spent(spent: &[OverBudget]) -> String {
    // A provider's is named once, however many deployments it has.
    let by_pot: BTreeMap<_, _> = spent.iter().map(|over| (&over.pot, over)).collect();
    let named: Vec<String> = by_pot.into_values().map(crossed).collect();
    format!("No deployments available - crossed budget: {}", named.join(", "))
}

fn crossed(over: &OverBudget) -> String {
    // What is held counts in the comparison that LiteLLM's words make.
    let (spent, limit) = (usd(over.spent + over.held), usd(over.limit));
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
    tell_rest(&mut message, over, "max_tokens");
    message
}

#[cfg(test)]
mod tests {
    use dunlin_state::PROXY;
    use dunlin_types::PotId;

    use super::*;

    #[test]
    fn a_strict_budget_that_is_not_spent_says_what_the_request_could_cost() {
        let over = |could_cost, spent| OverBudget {
            payer: None,
            pot: PotId { of: PROXY, line: Line::Main },
            duration: None,
            limit: NanoUsd(100_000_000),
            spent: NanoUsd(spent),
            held: NanoUsd::ZERO,
            withheld: NanoUsd::ZERO,
            could_cost,
            resets_at: None,
            status: 422,
        };
        let begins = "Budget has been exceeded! Proxy Current cost: 0.0, Max budget: 0.1";
        let strict = over(Some(NanoUsd(1_310_720_000)), 0);
        let told = message(&strict, "sk-...abcd", "max_tokens");
        let rest = told.strip_prefix(begins).expect("LiteLLM's beginning");
        assert!(rest.contains("could cost up to $1.31072, $0.1 is left"), "{rest}");
        assert!(rest.contains("send max_tokens"), "{rest}");
        let google = message(&strict, "sk-...abcd", "generationConfig.maxOutputTokens");
        assert!(google.contains("send generationConfig.maxOutputTokens"), "{google}");
        assert_eq!(message(&over(None, 0), "sk-...abcd", "max_tokens"), begins, "not a strict one");
        let spent = over(Some(NanoUsd(1_310_720_000)), 100_000_000);
        let spent = message(&spent, "sk-...abcd", "max_tokens");
        assert!(!spent.contains("could cost"), "{spent}");
        let held = OverBudget { held: NanoUsd(70_000_000), ..over(None, 30_000_000) };
        let told = message(&held, "sk-...abcd", "max_tokens");
        let expected = "Budget has been exceeded! Proxy Current cost: 0.03, Max budget: 0.1. $0.07 \
                        is held by requests under way";
        assert_eq!(told, expected, "what is held is not said to be spent");
        assert_eq!(entity(&held).kind, "proxy");
        let of = PotId { of: DEPLOYMENTS, line: Line::Model("d".to_owned()) };
        let deployment = entity(&OverBudget { pot: of, ..held });
        assert_eq!((deployment.kind, deployment.id.as_str()), ("deployment", "d"));
    }
}
