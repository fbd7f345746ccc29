//! The fields of a key that can be given on the command line: those that the cluster enforces or
//! keeps.

use clap::Args;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::session::Object;

#[derive(Args, Debug)]
pub(super) struct Fields {
    /// A name for people; no two keys have the same.
    #[arg(long, value_name = "NAME")]
    alias: Option<String>,
    /// The models it may call [default: all].
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// Its own names for models.
    #[arg(long, value_name = "NAME=MODEL,...", value_delimiter = ',', value_parser = pair)]
    aliases: Option<Vec<(String, String)>>,
    /// How long it lives from now on: `30m`, `12h`, `30d`, `2w`, `1mo` [default: for ever].
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// The most requests in any minute, on all nodes together.
    #[arg(long, value_name = "N")]
    rpm: Option<u64>,
    /// The most tokens in any minute, on all nodes together.
    #[arg(long, value_name = "N")]
    tpm: Option<u64>,
    /// The most requests at the same time, on all nodes together.
    #[arg(long, value_name = "N")]
    parallel: Option<u64>,
    /// Whose it is.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The team whose it is.
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// The most it may spend in a period, in US dollars.
    #[arg(long, value_name = "USD")]
    max_budget: Option<String>,
    /// How long a period is: `1d`, `7d`, `30d`, `1mo` [default: for ever].
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// The budget whose terms hold: `dunlin budget list`.
    #[arg(long, value_name = "ID")]
    budget: Option<String>,
    /// A JSON object of your own.
    #[arg(long, value_name = "JSON", value_parser = object)]
    metadata: Option<Value>,
}

/// Each flag and the field of the API that it sets.
const FIELDS: [(&str, &str); 13] = [
    ("alias", "key_alias"),
    ("models", "models"),
    ("aliases", "aliases"),
    ("duration", "duration"),
    ("rpm", "rpm_limit"),
    ("tpm", "tpm_limit"),
    ("parallel", "max_parallel_requests"),
    ("user", "user_id"),
    ("team", "team_id"),
    ("max-budget", "max_budget"),
    ("every", "budget_duration"),
    ("budget", "budget_id"),
    ("metadata", "metadata"),
];

/// The names of the flags.
pub(super) fn flags() -> [&'static str; 13] {
    FIELDS.map(|(flag, _)| flag)
}

impl Fields {
    /// What was given, under the API's names.
    pub(super) fn given(&self) -> Object {
        let pairs = |pairs: &Vec<(String, String)>| pairs.iter().cloned().collect::<Value>();
        let values = [
            self.alias.clone().map(Value::from),
            self.models.clone().map(Value::from),
            self.aliases.as_ref().map(pairs),
            self.duration.clone().map(Value::from),
            self.rpm.map(Value::from),
            self.tpm.map(Value::from),
            self.parallel.map(Value::from),
            self.user.clone().map(Value::from),
            self.team.clone().map(Value::from),
            self.max_budget.clone().map(Value::from),
            self.every.clone().map(Value::from),
            self.budget.clone().map(Value::from),
            self.metadata.clone(),
        ];
        let named = FIELDS.into_iter().zip(values);
        named.filter_map(|((_, field), value)| Some((field.to_owned(), value?))).collect()
    }

    /// What was given, and null for what is to be cleared.
    pub(super) fn changes(&self, clear: &[String]) -> Result<Object> {
        let mut changes = self.given();
        for (flag, field) in
            FIELDS.into_iter().filter(|(flag, _)| clear.iter().any(|it| it == flag))
        {
            if changes.insert(field.to_owned(), Value::Null).is_some() {
                let message = format!("{flag} is set and cleared at once");
                return Err(Failure::usage(message, "do one of the two"));
            }
        }
        if changes.is_empty() {
            let help = "name a field, such as --rpm 60 or --clear models";
            return Err(Failure::usage("nothing is to be changed", help));
        }
        Ok(changes)
    }
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, model)| !name.is_empty() && !model.is_empty());
    let (name, model) = pair.ok_or("expected NAME=MODEL")?;
    Ok((name.to_owned(), model.to_owned()))
}

fn object(text: &str) -> std::result::Result<Value, String> {
    let object: Object = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Value::Object(object))
}
