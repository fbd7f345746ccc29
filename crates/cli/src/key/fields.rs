//! The fields of a key that can be given on the command line.

use clap::Args;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::session::Object;
use crate::terms::{self, Flag, TERMS, Terms, named};

#[derive(Args, Debug)]
pub(super) struct Fields {
    /// A display name; it must be unique.
    #[arg(long, value_name = "NAME", value_parser = named)]
    alias: Option<String>,
    /// The key's own names for models.
    #[arg(long, value_name = "NAME=MODEL,...", value_delimiter = ',', value_parser = pair)]
    aliases: Option<Vec<(String, String)>>,
    /// How long the key is valid from now on: `30m`, `12h`, `30d`, `2w`, `1mo` [default: for ever].
    #[arg(long, value_name = "TIME", value_parser = named)]
    duration: Option<String>,
    /// The user who owns it.
    #[arg(long, value_name = "ID", value_parser = named)]
    user: Option<String>,
    /// The team that owns it.
    #[arg(long, value_name = "ID", value_parser = named)]
    team: Option<String>,
    /// Your own JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    metadata: Option<Value>,
    #[command(flatten)]
    terms: Terms,
}

/// The flags beside those of [`Terms`].
const OWN: [Flag; 6] = [
    ("alias", "key_alias"),
    ("aliases", "aliases"),
    ("duration", "duration"),
    ("user", "user_id"),
    ("team", "team_id"),
    ("metadata", "metadata"),
];

pub(super) fn all() -> impl Iterator<Item = Flag> {
    OWN.into_iter().chain(TERMS)
}

/// The names of the flags.
pub(super) fn flags() -> Vec<&'static str> {
    terms::names(all())
}

impl Fields {
    /// The given fields, under the API's names.
    pub(super) fn given(&self) -> Result<Object> {
        let own = [
            self.alias.clone().map(Value::from),
            self.aliases.as_deref().map(once_each).transpose()?,
            self.duration.clone().map(Value::from),
            self.user.clone().map(Value::from),
            self.team.clone().map(Value::from),
            self.metadata.clone(),
        ];
        let named = all().zip(own.into_iter().chain(self.terms.values()));
        Ok(named.filter_map(|((_, field), value)| Some((field.to_owned(), value?))).collect())
    }

    /// The given fields, and null for those to clear.
    pub(super) fn changes(&self, clear: &[String]) -> Result<Object> {
        terms::changes(self.given()?, clear, |flag| {
            let found = all().find(|(name, _)| *name == flag);
            Ok(found.expect("clap lets only flags through").1.to_owned())
        })
    }
}

/// Names with one model each.
fn once_each(pairs: &[(String, String)]) -> Result<Value> {
    let mut models = Object::new();
    for (name, model) in pairs {
        if models.insert(name.clone(), model.as_str().into()).is_some() {
            let message = format!("--aliases: `{name}` is given twice");
            return Err(Failure::usage(message, "a name stands for one model"));
        }
    }
    Ok(Value::Object(models))
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, model)| !name.is_empty() && !model.is_empty());
    let (name, model) = pair.ok_or("expected NAME=MODEL")?;
    Ok((name.to_owned(), model.to_owned()))
}

fn object(text: &str) -> std::result::Result<Value, String> {
    let object: serde_json::Result<Object> = serde_json::from_str(text);
    let help = "it is a JSON object, quoted for the shell, such as '{\"app\": \"crm\"}'";
    object.map(Value::Object).map_err(|error| format!("{help}: {error}"))
}
