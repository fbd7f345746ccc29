//! Limits and budgets as flags: the same for keys, teams, users and shared budgets.

use clap::Args;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::session::Object;

/// A flag and the field of the API that it sets.
pub(crate) type Flag = (&'static str, &'static str);

#[derive(Args, Debug)]
pub(crate) struct Terms {
    /// The models that may be called [default: all].
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',', value_parser = named)]
    models: Option<Vec<String>>,
    /// The budget for a period, in US dollars; 0 allows no spend.
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    max_budget: Option<String>,
    /// The budget's period: `1d`, `7d`, `30d`, `1mo` [default: for ever].
    #[arg(long, value_name = "TIME", value_parser = named)]
    every: Option<String>,
    /// A budget in US dollars that is only logged when exceeded, never enforced.
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    soft_budget: Option<String>,
    /// The shared budget to use: see `dunlin budget list`.
    #[arg(long, value_name = "ID", value_parser = named)]
    budget: Option<String>,
    /// Admit a request only if its highest possible cost is left in the budget. The budget is then
    /// never overspent; requests should set `max_tokens`.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    strict_budget: Option<bool>,
    /// Limit of requests in any minute, over all nodes together.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = limit)]
    rpm: Option<u64>,
    /// Limit of tokens in any minute, over all nodes together.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = limit)]
    tpm: Option<u64>,
    /// Limit of parallel requests, over all nodes together.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = limit)]
    parallel: Option<u64>,
    /// What a node does about these limits when it cannot reach the node that counts them: full,
    /// share, closed, open.
    #[arg(long, value_name = "WHAT", value_parser = named)]
    on_loss: Option<String>,
    /// Tags added to each request, for reports and for tag budgets.
    #[arg(long, value_name = "TAG,...", value_delimiter = ',', value_parser = named)]
    tags: Option<Vec<String>>,
}

/// The flags of [`Terms`], in their order.
pub(crate) const TERMS: [Flag; 11] = [
    ("models", "models"),
    ("max-budget", "max_budget"),
    ("every", "budget_duration"),
    ("soft-budget", "soft_budget"),
    ("budget", "budget_id"),
    ("strict-budget", "strict_budget"),
    ("rpm", "rpm_limit"),
    ("tpm", "tpm_limit"),
    ("parallel", "max_parallel_requests"),
    ("on-loss", "on_loss"),
    ("tags", "tags"),
];

impl Terms {
    /// The given values, in the order of [`TERMS`].
    pub(crate) fn values(&self) -> [Option<Value>; 11] {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        [
            self.models.clone().map(Value::from),
            text(&self.max_budget),
            text(&self.every),
            text(&self.soft_budget),
            text(&self.budget),
            self.strict_budget.map(Value::from),
            self.rpm.map(Value::from),
            self.tpm.map(Value::from),
            self.parallel.map(Value::from),
            text(&self.on_loss),
            self.tags.clone().map(Value::from),
        ]
    }
}

/// A name or a text that is there: an unset variable of a script must not stand for none.
pub(crate) fn named(text: &str) -> std::result::Result<String, &'static str> {
    let help = "it is empty: leave it out for none; an update takes a field away with --clear";
    if text.trim().is_empty() { Err(help) } else { Ok(text.to_owned()) }
}

/// A number of requests or tokens.
fn limit(text: &str) -> std::result::Result<u64, &'static str> {
    let help = "a limit is a whole number from 0 on; there is none without the flag, and an update \
                takes one away with --clear";
    text.parse().map_err(|_| help)
}

/// The names of flags.
pub(crate) fn names(flags: impl IntoIterator<Item = Flag>) -> Vec<&'static str> {
    flags.into_iter().map(|(flag, _)| flag).collect()
}

/// Adds null for the fields to clear: field names by their flags.
pub(crate) fn changes(
    mut given: Object,
    clear: &[String],
    field_of: impl Fn(&str) -> Result<String>,
) -> Result<Object> {
    for flag in clear {
        if given.insert(field_of(flag)?, Value::Null).is_some_and(|before| !before.is_null()) {
            let message = format!("{flag} is both set and cleared");
            return Err(Failure::usage(message, "do one of the two"));
        }
    }
    if given.is_empty() {
        let help = "name a field, such as --rpm 60 or --clear max-budget";
        return Err(Failure::usage("there is nothing to change", help));
    }
    Ok(given)
}
