//! The fields of teams, users and budgets that have flags.

use clap::Args;
use serde_json::Value;

use super::noun::Noun;
use crate::failure::{Failure, Result};
use crate::session::Object;
use crate::terms::{self, Flag, TERMS, Terms, named};

#[derive(Args, Debug)]
pub(super) struct Fields {
    /// A display name.
    #[arg(long, value_name = "NAME", value_parser = named)]
    alias: Option<String>,
    /// A team's organization.
    #[arg(long, value_name = "ID", value_parser = named)]
    organization: Option<String>,
    /// A user's email address.
    #[arg(long, value_name = "ADDRESS", value_parser = named)]
    email: Option<String>,
    /// What a user may do: proxy_admin, internal_user, ...
    #[arg(long, value_name = "ROLE", value_parser = named)]
    role: Option<String>,
    #[command(flatten)]
    terms: Terms,
}

/// The flags beside those of [`Terms`]; the field of the alias is the noun's.
const OWN: [Flag; 4] = [
    ("alias", ""),
    ("organization", "organization_id"),
    ("email", "user_email"),
    ("role", "user_role"),
];

pub(super) fn all() -> impl Iterator<Item = Flag> {
    OWN.into_iter().chain(TERMS)
}

/// The names of the flags that a noun has.
pub(super) fn flags(noun: &Noun) -> Vec<&'static str> {
    terms::names(all().filter(|(flag, _)| !noun.without.contains(flag)))
}

impl Fields {
    /// The given fields, under the API's names.
    pub(super) fn given(&self, noun: &Noun) -> Result<Object> {
        let own = [&self.alias, &self.organization, &self.email, &self.role];
        let own = own.map(|value| value.clone().map(Value::from));
        let mut given = Object::new();
        for ((flag, _), value) in all().zip(own.into_iter().chain(self.terms.values())) {
            let Some(value) = value else { continue };
            given.insert(field_of(noun, flag)?, value);
        }
        Ok(given)
    }

    /// The given fields, and null for those to clear.
    pub(super) fn changes(&self, noun: &Noun, clear: &[String]) -> Result<Object> {
        terms::changes(self.given(noun)?, clear, |flag| field_of(noun, flag))
    }
}

fn field_of(noun: &Noun, flag: &str) -> Result<String> {
    if noun.without.contains(&flag) {
        let message = format!("a {} has no --{flag}", noun.word);
        return Err(Failure::usage(message, "leave it out"));
    }
    let (_, field) = all().find(|(name, _)| *name == flag).expect("only flags are looked for");
    Ok(if field.is_empty() { noun.alias.to_owned() } else { field.to_owned() })
}
