//! The fields that can be given on the command line.

use clap::Args;
use serde_json::Value;

use super::noun::Noun;
use crate::failure::{Failure, Result};
use crate::session::Object;

#[derive(Args, Debug)]
pub(super) struct Fields {
    /// A name for people.
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// The models that may be called [default: all].
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// The most that may be spent in a period, in US dollars.
    #[arg(long, value_name = "USD")]
    max_budget: Option<String>,
    /// How long a period is: `1d`, `7d`, `30d`, `1mo` [default: for ever].
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// The budget whose terms hold: `dunlin budget list`.
    #[arg(long, value_name = "ID")]
    budget: Option<String>,
    /// The most requests in any minute, on all nodes together.
    #[arg(long, value_name = "N")]
    rpm: Option<u64>,
    /// The most tokens in any minute, on all nodes together.
    #[arg(long, value_name = "N")]
    tpm: Option<u64>,
    /// The most requests at the same time, on all nodes together.
    #[arg(long, value_name = "N")]
    parallel: Option<u64>,
    /// A team's organization.
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// A user's address.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// What a user may do: proxy_admin, internal_user, ...
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
}

/// Each flag and the field of the API that it sets; that of the alias is the noun's.
const FIELDS: [(&str, &str); 11] = [
    ("alias", ""),
    ("models", "models"),
    ("max-budget", "max_budget"),
    ("every", "budget_duration"),
    ("budget", "budget_id"),
    ("rpm", "rpm_limit"),
    ("tpm", "tpm_limit"),
    ("parallel", "max_parallel_requests"),
    ("organization", "organization_id"),
    ("email", "user_email"),
    ("role", "user_role"),
];

/// The names of the flags.
pub(super) fn flags() -> [&'static str; 11] {
    FIELDS.map(|(flag, _)| flag)
}

impl Fields {
    /// What was given, under the API's names.
    pub(super) fn given(&self, noun: &Noun) -> Result<Object> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let values = [
            text(&self.alias),
            self.models.clone().map(Value::from),
            text(&self.max_budget),
            text(&self.every),
            text(&self.budget),
            self.rpm.map(Value::from),
            self.tpm.map(Value::from),
            self.parallel.map(Value::from),
            text(&self.organization),
            text(&self.email),
            text(&self.role),
        ];
        let mut given = Object::new();
        for ((flag, field), value) in FIELDS.into_iter().zip(values) {
            let Some(value) = value else { continue };
            given.insert(field_of(noun, flag, field)?, value);
        }
        Ok(given)
    }

    /// What was given, and null for what is to be cleared.
    pub(super) fn changes(&self, noun: &Noun, clear: &[String]) -> Result<Object> {
        let mut changes = self.given(noun)?;
        for (flag, field) in
            FIELDS.into_iter().filter(|(flag, _)| clear.iter().any(|it| it == flag))
        {
            if changes.insert(field_of(noun, flag, field)?, Value::Null).is_some() {
                let message = format!("{flag} is set and cleared at once");
                return Err(Failure::usage(message, "do one of the two"));
            }
        }
        if changes.is_empty() {
            let help = "name a field, such as --rpm 60 or --clear max-budget";
            return Err(Failure::usage("nothing is to be changed", help));
        }
        Ok(changes)
    }
}

fn field_of(noun: &Noun, flag: &str, field: &str) -> Result<String> {
    if noun.without.contains(&flag) {
        let message = format!("a {} has no --{flag}", noun.word);
        return Err(Failure::usage(message, "leave it out"));
    }
    Ok(if field.is_empty() { noun.alias.to_owned() } else { field.to_owned() })
}
