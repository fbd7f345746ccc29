//! Rows from elsewhere: read by the same readers as requests, compared with what is there, and what
//! puts them there.

mod preview;

use std::collections::BTreeSet;

use dunlin_admin_api::{ImportKind, ImportRow, ImportedRow};
use dunlin_state::{Change, Command, Entity, Key, Kind, Member, Spender, State, Terms};
use dunlin_types::{EntityId, KeyDigest, Line, NanoUsd, PotId, Secret, UnixMillis};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::request::body::Body;
use crate::request::values::{self, Wrong, senseless};
use crate::rights::caller::MASTER_USER;
use crate::rows::row::{View, of_member};
use crate::terms::entity_fields::{self, EntityFields, id_name};
use crate::terms::new_key;
use crate::terms::{self, none_if_empty};

pub use preview::Preview;

/// What a row is compared without: whose number it is, and how old.
const INCIDENTAL: &[&str] =
    &["id", "created_at", "updated_at", "created_by", "updated_by", "limited_by", "defaulted"];
/// So many differences are told.
const MOST_TOLD: usize = 8;

/// A row that was read.
pub(crate) struct Candidate {
    what: What,
    /// What it has spent in the period that runs.
    spent: NanoUsd,
    period: UnixMillis,
}

enum What {
    /// A key, and its former texts that work still.
    Key(Box<Key>, Vec<(KeyDigest, UnixMillis)>),
    Entity(Box<Entity>),
    Member(Kind, String, Box<Member>),
}

/// What is to be done for a row.
#[derive(Debug)]
pub(crate) struct Step {
    /// What will have become of it.
    pub(crate) outcome: ImportedRow,
    /// In this order, all or none.
    pub(crate) commands: Vec<Command>,
}

/// What every row may say beside a request's fields.
struct Past {
    created_at: UnixMillis,
    created_by: String,
    /// When the period ends in which it spent.
    ends: Option<UnixMillis>,
}

impl Past {
    fn take(body: &mut Body) -> Self {
        let by = none_if_empty(body.take("created_by", values::text)).value();
        Self {
            created_at: body.take("created_at", terms::moment).value().unwrap_or_default(),
            created_by: by.unwrap_or_else(|| MASTER_USER.to_owned()),
            ends: body.take("budget_reset_at", terms::moment).value(),
        }
    }

    /// Lets periods go on that were counted from a day.
    fn begin(&self, terms: &mut Terms) {
        if let Some(ends) = self.ends {
            terms.begin(ends);
        }
    }

    /// What was spent in the period of `terms` that runs, and when that began.
    fn spent(&self, view: &View, terms: &Terms, spent: Option<NanoUsd>) -> (NanoUsd, UnixMillis) {
        let runs = view.running(terms);
        let over = runs.is_some() && self.ends.is_some_and(|ends| ends <= view.now);
        let spent = spent.filter(|_| !over).unwrap_or(NanoUsd::ZERO);
        (spent, runs.map_or(UnixMillis(0), |period| period.start))
    }
}

impl Candidate {
    /// Reads a row; `master` is no virtual key.
    pub(crate) fn read(
        row: &ImportRow,
        view: &View,
        master: Option<&Secret>,
    ) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(&row.fields).expect("plain data with text keys");
        let mut body = Body::parse(&bytes)?;
        let past = Past::take(&mut body);
        match row.kind {
            ImportKind::Key => key(body, &past, view, master),
            ImportKind::TeamMember => member(body, &past, view, Kind::Team),
            ImportKind::OrganizationMember => member(body, &past, view, Kind::Organization),
            ImportKind::Budget => entity(body, &past, view, Kind::Budget),
            ImportKind::Organization => entity(body, &past, view, Kind::Organization),
            ImportKind::User => entity(body, &past, view, Kind::User),
            ImportKind::Team => entity(body, &past, view, Kind::Team),
            ImportKind::EndUser => entity(body, &past, view, Kind::EndUser),
            ImportKind::Tag => entity(body, &past, view, Kind::Tag),
        }
    }

    /// Compares it with what is there.
    pub(crate) fn step(self, state: &State, overwrite: bool) -> Step {
        let (before, differences) = match &self.what {
            What::Key(key, _) => compare(state.key(&key.token), key.as_ref(), |key| key.id),
            What::Entity(entity) => {
                let before = state.entity(entity.kind, &entity.name);
                compare(before, entity.as_ref(), |entity| entity.id)
            }
            What::Member(kind, group, member) => {
                let before = state.member(*kind, group, &member.user);
                compare(before, member.as_ref(), |member| member.id)
            }
        };
        let spends_alike = before.is_none_or(|of| {
            let (spent, since) = state.spend(&PotId { of, line: Line::Main });
            let spent = if since < self.period { NanoUsd::ZERO } else { spent };
            spent == self.spent
        });
        let outcome = match (before, overwrite) {
            (None, _) if self.shares_a_text(state) => {
                let reason = "a key here already goes by its text, or by a former one";
                ImportedRow::Conflict(reason.to_owned())
            }
            (None, _) => ImportedRow::Made,
            (Some(_), true) if differences.is_empty() && spends_alike => ImportedRow::Unchanged,
            (Some(_), true) => ImportedRow::Replaced,
            (Some(_), false) if differences.is_empty() => ImportedRow::Unchanged,
            (Some(_), false) => {
                ImportedRow::Conflict(format!("it already exists: {}", told(&differences)))
            }
        };
        let commands = match outcome {
            ImportedRow::Made | ImportedRow::Replaced => self.commands(before),
            ImportedRow::Unchanged | ImportedRow::Conflict(_) | ImportedRow::Refused(_) => {
                Vec::new()
            }
        };
        Step { outcome, commands }
    }

    /// Whether it is a key that has a text in common with one here.
    fn shares_a_text(&self, state: &State) -> bool {
        let What::Key(key, former) = &self.what else { return false };
        let mut texts = former.iter().map(|(token, _)| token).chain([&key.token]);
        texts.any(|token| state.key_named(token).is_some())
    }

    fn commands(self, over: Option<EntityId>) -> Vec<Command> {
        let Self { what, spent, period } = self;
        let (mut commands, whose) = match what {
            What::Key(key, former) => {
                let whose = Spender::Key(key.token);
                (put_key(*key, former, over), whose)
            }
            What::Entity(entity) => {
                let whose = Spender::Entity(entity.kind, entity.name.clone());
                (vec![Command::PutEntity { entity, over }], whose)
            }
            What::Member(kind, name, member) => {
                let whose = Spender::Member(kind, name.clone(), member.user.clone());
                (vec![Command::PutMember { kind, name, member, over }], whose)
            }
        };
        if spent > NanoUsd::ZERO || over.is_some() {
            commands.push(Command::SetSpendOf { whose, period, to: spent });
        }
        commands
    }
}

/// A new key has its former texts from having been regenerated: it begins as the oldest of them.
fn put_key(key: Key, former: Vec<(KeyDigest, UnixMillis)>, over: Option<EntityId>) -> Vec<Command> {
    let mut texts: Vec<KeyDigest> = former.iter().map(|(token, _)| *token).collect();
    if over.is_some() || texts.is_empty() {
        return vec![Command::PutKey { key: Box::new(key), over }];
    }
    texts.push(key.token);
    let name = key.name.clone();
    let first = Key { token: texts[0], ..key };
    let mut commands = vec![Command::PutKey { key: Box::new(first), over: None }];
    commands.extend(texts.windows(2).zip(former).map(|(pair, (_, until))| {
        let (token, new, name, grace) = (pair[0], pair[1], name.clone(), Some(until));
        Command::RegenerateKey { token, new, name, grace, changes: Box::default() }
    }));
    commands
}

fn key(
    mut body: Body,
    past: &Past,
    view: &View,
    master: Option<&Secret>,
) -> Result<Candidate, Error> {
    let token = body.require("token", digest);
    let name = none_if_empty(body.take("key_name", values::text)).value();
    let expires = body.take("expires", terms::moment).value();
    let former = body.take("former", former).value().unwrap_or_default();
    if master.is_some_and(|master| KeyDigest::of(master.expose()) == token) {
        body.refuse("token", "it is the master key, which is not a virtual key".to_owned());
    }
    let fields = new_key::read(body, view.now, &[])?;
    let key = Key {
        token,
        name: name.unwrap_or_else(|| "sk-...".to_owned()),
        expires,
        created_at: past.created_at,
        created_by: past.created_by.clone(),
        // It comes with what others have put on it, whoever made it: the dump does not tell.
        limited_by: Some(MASTER_USER.to_owned()),
        ..Key::default()
    };
    let mut key = key.changed(fields.changes);
    past.begin(&mut key.terms);
    let (spent, period) = past.spent(view, &key.terms, fields.spend);
    Ok(Candidate { what: What::Key(Box::new(key), former), spent, period })
}

fn entity(mut body: Body, past: &Past, view: &View, kind: Kind) -> Result<Candidate, Error> {
    // A name that is drawn would be another one the next time.
    if !body.has(id_name(kind)) {
        body.fault(id_name(kind), senseless("Field required".to_owned()));
    }
    let name = entity_fields::name_of(&mut body, kind);
    let shared = none_if_empty(body.take("team_member_budget_id", values::text));
    let EntityFields { mut changes, spend } = entity_fields::read(body, kind, &[])?;
    if !matches!(shared, Change::Keep) {
        changes.member.budget_id = shared;
    }
    let new = entity_fields::new(kind, name, changes, past.created_by.clone());
    let mut entity = Entity { created_at: past.created_at, ..new };
    past.begin(&mut entity.terms);
    let (spent, period) = past.spent(view, &entity.terms, spend);
    Ok(Candidate { what: What::Entity(Box::new(entity)), spent, period })
}

fn member(mut body: Body, past: &Past, view: &View, kind: Kind) -> Result<Candidate, Error> {
    let group = body.require(id_name(kind), values::text);
    let user = body.require("user_id", values::text);
    let role = body.require("role", values::text);
    let changes = terms::read(&mut body);
    if changes.other.contains_key(dunlin_callbacks::FIELD) {
        let reason = "only keys and teams have callbacks, not a membership".to_owned();
        body.refuse("metadata.logging", reason);
    }
    let spend = body.take("spend", values::usd).value();
    body.finish(terms::FIELDS.iter().copied())?;
    let mut member = entity_fields::membership(user, &role, changes);
    past.begin(&mut member.terms);
    let inherited = view.state.entity(kind, &group).map(|group| group.member.clone());
    let terms = of_member(&inherited.unwrap_or_default(), &member.terms);
    let (spent, period) = past.spent(view, &terms, spend);
    Ok(Candidate { what: What::Member(kind, group, Box::new(member)), spent, period })
}

fn digest(value: &Value) -> Result<KeyDigest, Wrong> {
    let text = values::text(value)?;
    text.parse().map_err(|_| senseless("expected the SHA-256 of a key, 64 hex digits".to_owned()))
}

fn former(value: &Value) -> Result<Vec<(KeyDigest, UnixMillis)>, Wrong> {
    let one = |item: &Value| {
        let fields = values::object(item)?;
        let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        Ok((digest(field("token"))?, terms::moment(field("until"))?))
    };
    values::list(value)?.iter().map(one).collect()
}

/// The number of what is there, and in which fields it differs from what is to be.
fn compare<T: Serialize>(
    before: Option<&std::sync::Arc<T>>,
    after: &T,
    id: impl Fn(&T) -> EntityId,
) -> (Option<EntityId>, BTreeSet<String>) {
    let Some(before) = before else { return (None, BTreeSet::new()) };
    let value = |of: &T| serde_json::to_value(of).expect("plain data with text keys");
    let mut differences = BTreeSet::new();
    differ(&value(before), &value(after), &mut differences);
    (Some(id(before)), differences)
}

fn differ(before: &Value, after: &Value, differences: &mut BTreeSet<String>) {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names.into_iter().filter(|name| !INCIDENTAL.contains(&name.as_str())) {
        let (before, after) = (before.get(name), after.get(name));
        let none = Value::Object(serde_json::Map::new());
        match name.as_str() {
            "terms" | "member" | "other" => {
                differ(before.unwrap_or(&none), after.unwrap_or(&none), differences);
            }
            // Of periods that it does not say the end of, those here go on.
            "budget_since" if after.is_none_or(Value::is_null) => {}
            _ if before != after => drop(differences.insert(name.clone())),
            _ => {}
        }
    }
}

fn told(differences: &BTreeSet<String>) -> String {
    let names: Vec<_> = differences.iter().take(MOST_TOLD).map(String::as_str).collect();
    let more = differences.len() - names.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("it differs in {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests;
