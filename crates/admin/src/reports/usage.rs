//! The daily totals as a caller may see them, and how what they name is told.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_state::{Book, Day, Days, Facets, Key, Kind, State, Symbol, Terms, Totals};
use dunlin_types::{EntityId, KeyDigest, NanoUsd};
use serde_json::{Value, json};

use crate::reports::log_query::MASTER;
use crate::request::naming;
use crate::request::span::Span;
use crate::rights::caller::Caller;
use crate::routes::Request;
use crate::rows::row::View;

/// How LiteLLM calls the team, user, ... of what has none.
pub(crate) const UNASSIGNED: &str = "Unassigned";

/// One row: a day, who used what, and how much.
pub(crate) type Used<'a> = (Day, &'a Facets<Symbol>, &'a Totals);

/// The rows of a book that a caller may see: its own, its keys', those of the teams and
/// organizations that it leads.
pub(crate) fn rows<'a>(
    state: &'a State,
    caller: &'a Caller,
    book: Book,
    span: Span,
) -> impl Iterator<Item = Used<'a>> {
    let mut sight = Sight::of(state, caller);
    state.days().rows(book, span.from, span.to).filter(move |(_, of, _)| sight.sees(of))
}

/// What a caller may see, as far as it was asked.
struct Sight<'a> {
    state: &'a State,
    caller: &'a Caller,
    user: Option<Symbol>,
    known: BTreeMap<(Option<Kind>, Symbol), bool>,
}

impl<'a> Sight<'a> {
    fn of(state: &'a State, caller: &'a Caller) -> Self {
        let user = caller.user().and_then(|user| state.days().symbol(user));
        Self { state, caller, user, known: BTreeMap::new() }
    }

    fn sees(&mut self, of: &Facets<Symbol>) -> bool {
        self.caller.sees_all()
            || self.user == Some(of.user)
            || self.looks(None, of.key)
            || self.looks(Some(Kind::Team), of.team)
            || self.looks(Some(Kind::Organization), of.organization)
    }

    fn looks(&mut self, kind: Option<Kind>, symbol: Symbol) -> bool {
        let (state, caller) = (self.state, self.caller);
        *self.known.entry((kind, symbol)).or_insert_with(|| {
            let Some(name) = named(state.days(), symbol) else { return false };
            match kind {
                Some(kind) => caller.leads(state, kind, name),
                None => key(state, name).is_some_and(|key| caller.sees_key(state, key)),
            }
        })
    }
}

/// A name of something that exists or did.
fn named(days: &Days, symbol: Symbol) -> Option<&str> {
    if symbol == Symbol::OTHER { None } else { days.name(symbol) }
}

fn key<'s>(state: &'s State, token: &str) -> Option<&'s Key> {
    state.key(&token.parse::<KeyDigest>().ok()?).map(AsRef::as_ref)
}

/// Names that a parameter lists, separated by commas, as rows call them; of nothing that has a row
/// if none is known. `None`: the parameter is not there.
pub(crate) fn listed(asked: &Request, days: &Days, param: &str) -> Option<BTreeSet<Symbol>> {
    let names = asked.param(param)?.split(',').map(str::trim);
    Some(names.filter_map(|name| symbol(days, name)).collect())
}

/// The same for keys: each in clear or by its hash.
pub(crate) fn listed_keys(asked: &Request, days: &Days, param: &str) -> Option<BTreeSet<Symbol>> {
    let names = asked.param(param)?.split(',').map(str::trim);
    Some(names.filter_map(|name| key_symbol(days, name)).collect())
}

/// How rows call a key that is named in clear or by its hash.
pub(crate) fn key_symbol(days: &Days, name: &str) -> Option<Symbol> {
    match naming::digest_of(name) {
        Some(digest) => days.symbol(&digest.to_string()),
        None if name == MASTER => Some(Symbol::NONE),
        None => None,
    }
}

fn symbol(days: &Days, name: &str) -> Option<Symbol> {
    if name == UNASSIGNED { Some(Symbol::NONE) } else { days.symbol(name) }
}

/// Which of a row's parts tells one of a kind from another.
pub(crate) fn part(kind: Kind, of: &Facets<Symbol>) -> Symbol {
    match kind {
        Kind::Team => of.team,
        Kind::User => of.user,
        Kind::Organization => of.organization,
        Kind::EndUser => of.end_user,
        Kind::Tag => of.tag,
        Kind::Budget | Kind::AccessGroup => Symbol::NONE,
    }
}

/// The sums of rows by one of their parts, those that cost most first.
pub(crate) fn ranked<'a>(
    rows: impl Iterator<Item = Used<'a>>,
    part: impl Fn(&Facets<Symbol>) -> Symbol,
) -> Vec<(Symbol, Totals)> {
    let mut sums: BTreeMap<Symbol, Totals> = BTreeMap::new();
    for (_, of, totals) in rows {
        sums.entry(part(of)).or_default().add(totals);
    }
    let mut ranked: Vec<_> = sums.into_iter().collect();
    ranked.sort_by_key(|(symbol, totals)| (std::cmp::Reverse(totals.cost), *symbol));
    ranked
}

impl View {
    /// The name of a team, user, ...
    pub(crate) fn used_by(&self, symbol: Symbol) -> String {
        self.state.days().name(symbol).unwrap_or(UNASSIGNED).to_owned()
    }

    /// The alias of a team, organization, ...: the present one, or the last one of what is gone.
    pub(crate) fn used_by_alias(&self, kind: Kind, symbol: Symbol) -> Option<&str> {
        let days = self.state.days();
        let present = self.state.entity(kind, named(days, symbol)?);
        let present = present.map(|entity| entity.alias.as_deref());
        present.unwrap_or_else(|| days.last_alias(Some(kind), symbol))
    }

    /// The hash of a key.
    pub(crate) fn used_with(&self, symbol: Symbol) -> String {
        self.state.days().name(symbol).unwrap_or(MASTER).to_owned()
    }

    /// A key that exists.
    pub(crate) fn key_used(&self, symbol: Symbol) -> Option<&Key> {
        key(&self.state, named(self.state.days(), symbol)?)
    }

    /// The alias of a key: the present one, or the last one of a key that is gone.
    pub(crate) fn used_with_alias(&self, symbol: Symbol) -> Option<&str> {
        match self.key_used(symbol) {
            Some(key) => key.alias.as_deref(),
            None => self.state.days().last_alias(None, symbol),
        }
    }

    /// What LiteLLM tells of a key beside what was used with it, and how its budget stands. `of` is a
    /// row of it: a key that is gone was its team's and its user's.
    pub(crate) fn key_metadata(&self, of: &Facets<Symbol>) -> Value {
        let days = self.state.days();
        let key = self.key_used(of.key);
        let last = |symbol| named(days, symbol).map(str::to_owned);
        let mut told = json!({
            "key_alias": self.used_with_alias(of.key),
            "team_id": key.map_or_else(|| last(of.team), |key| key.team.clone()),
            "user_id": key.map_or_else(|| last(of.user), |key| key.user.clone()),
            "key_exists": key.is_some(),
        });
        if let Some(key) = key {
            told["key_name"] = json!(key.name);
            told["budget"] = self.budget_of(key.id, &key.terms, self.key_spend(key));
        }
        told
    }

    /// The same of a team, user, organization, tag or end user.
    pub(crate) fn entity_metadata(&self, kind: Kind, symbol: Symbol) -> Value {
        let mut told = json!({});
        if let Some(alias) = self.used_by_alias(kind, symbol) {
            told[alias_name(kind)] = json!(alias);
        }
        let entity = named(self.state.days(), symbol).and_then(|it| self.state.entity(kind, it));
        if let Some(entity) = entity {
            told["budget"] = self.budget_of(entity.id, &self.binding(entity), self.spent(entity));
            if let Some(email) = &entity.email {
                told["user_email"] = json!(email);
            }
        }
        told
    }

    /// How a main budget stands in its present period; null without one.
    fn budget_of(&self, id: EntityId, terms: &Terms, spent: NanoUsd) -> Value {
        let (limit, duration) = self.main_budget(terms);
        let Some(limit) = limit else { return Value::Null };
        let withheld = self.withheld_of(id, terms);
        let mut told = json!({
            "max_budget": limit.as_usd(),
            "spend": spent.as_usd(),
            "left": NanoUsd(limit.0.saturating_sub((spent + withheld).0)).as_usd(),
            "budget_duration": duration,
        });
        if withheld > NanoUsd::ZERO {
            told["withheld"] = json!(withheld.as_usd());
        }
        told
    }
}

fn alias_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Team => "team_alias",
        Kind::User => "user_alias",
        Kind::Organization => "organization_alias",
        Kind::EndUser | Kind::Budget | Kind::Tag | Kind::AccessGroup => "alias",
    }
}

#[cfg(test)]
pub(crate) mod tests;
