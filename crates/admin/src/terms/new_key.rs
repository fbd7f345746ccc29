//! A new key out of a request: its fields, the config's defaults and bounds, and the command.

use std::collections::BTreeMap;

use dunlin_ledger::expiry;
use dunlin_llm::credentials::key_name;
use dunlin_state::routes::CLASSES;
use dunlin_state::{Change, Command, Key, KeyChanges, Kind, Spender, State, Terms, TermsChanges};
use dunlin_types::{KeyDigest, NanoUsd, Secret, UnixMillis};
use serde_json::Value;

use crate::Settings;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::naming;
use crate::request::values::{self, Wrong, senseless};
use crate::rights::caller::Caller;
use crate::rows::row::View;
use crate::terms::defaults::Defaulted;
use crate::terms::entity_fields::KEY_DURATION;
use crate::terms::fields::{self, Of};
use crate::terms::shared;
use crate::terms::{self, none_if_empty};

/// The fields of a key that are in force, beside those of all who spend.
const FIELDS: &[&str] = &[
    "aliases",
    "allowed_routes",
    "duration",
    "enforced_params",
    "key",
    "key_alias",
    "organization_id",
    "spend",
    "team_id",
    "user_id",
];

/// LiteLLM's word for a key that never expires.
const NEVER: &str = "-1";

/// What a request says about a key.
#[derive(Debug)]
pub(crate) struct KeyFields {
    pub(crate) changes: KeyChanges,
    /// The lifetime as it was written.
    pub(crate) duration: Option<String>,
    /// What it has spent from now on.
    pub(crate) spend: Option<NanoUsd>,
}

/// Reads all but the `key` itself from `body`. `more` are the names of fields that were taken before.
pub(crate) fn read(mut body: Body, now: UnixMillis, more: &[&str]) -> Result<KeyFields, Error> {
    if body.peek("expires").is_some_and(|expires| !expires.is_null()) {
        let reason = "is told, not set: `duration` says how long a key lives, such as `30d`";
        body.fault("expires", senseless(reason.to_owned()));
    }
    let mut terms = terms::read(&mut body);
    let routes = routes(&mut body);
    let duration = none_if_empty(body.take("duration", values::text));
    let mut changes = KeyChanges {
        alias: named(&mut body, "key_alias"),
        aliases: body.take("aliases", values::text_map),
        team: none_if_empty(body.take("team_id", values::text)),
        user: named(&mut body, "user_id"),
        organization: none_if_empty(body.take("organization_id", values::text)),
        routes,
        required: body.take("enforced_params", values::texts),
        ..KeyChanges::default()
    };
    let spend = body.take("spend", values::usd).value();
    let (other, guards) = fields::read(&mut body, Of::Key);
    terms.other.extend(other);
    changes.terms = terms;
    let duration = match duration {
        Change::Keep => None,
        Change::Clear => {
            changes.expires = Change::Clear;
            None
        }
        Change::Set(text) if text == NEVER => {
            changes.expires = Change::Clear;
            None
        }
        Change::Set(text) => {
            match expiry(&text, now) {
                Ok(ends) if ends <= now => {
                    body.refuse("duration", format!("duration: `{text}` would expire at once"));
                }
                Ok(ends) => changes.expires = Change::Set(ends),
                Err(bad) => body.refuse("duration", format!("duration: `{text}` is {bad}")),
            }
            Some(text)
        }
    };
    let own = FIELDS.iter().chain(terms::FIELDS).chain(more).copied();
    body.finish(own.chain(fields::other(Of::Key).map(|field| field.name)))?;
    if guards.is_empty() {
        Ok(KeyFields { changes, duration, spend })
    } else {
        Err(Error::NotEnforced { fields: guards })
    }
}

/// A name that is chosen for a key, and how long it may be.
fn named(body: &mut Body, field: &'static str) -> Change<String> {
    if let Some(Value::String(name)) = body.peek(field) {
        body.check_name(field, &name);
    }
    none_if_empty(body.take(field, values::name))
}

/// `allowed_routes`, else those of the `key_type`.
fn routes(body: &mut Body) -> Change<Vec<String>> {
    let of_type = match body.peek("key_type") {
        None => Change::Keep,
        Some(Value::Null) => Change::Clear,
        Some(kind) => key_type(&kind).map_or_else(
            |wrong| {
                body.fault("key_type", wrong);
                Change::Keep
            },
            Change::Set,
        ),
    };
    match (body.take("allowed_routes", route_list), of_type) {
        (Change::Keep, Change::Set(routes)) => Change::Set(routes),
        (Change::Set(listed), Change::Set(routes)) if listed.is_empty() => Change::Set(routes),
        (listed, _) => listed,
    }
}

fn key_type(value: &Value) -> Result<Vec<String>, Wrong> {
    let class = match value.as_str() {
        Some("default") => return Ok(Vec::new()),
        Some("llm_api") => "llm_api_routes",
        Some("management") => "management_routes",
        Some("read_only") => "info_routes",
        Some(_) | None => {
            let reason = "expected llm_api, management, read_only or default";
            return Err(senseless(reason.to_owned()));
        }
    };
    Ok(vec![class.to_owned()])
}

fn route_list(value: &Value) -> Result<Vec<String>, Wrong> {
    let routes = values::texts(value)?;
    let strange = |route: &&String| !route.starts_with('/') && !CLASSES.contains(&route.as_str());
    match routes.iter().find(strange) {
        Some(route) => {
            let classes = CLASSES.join(", ");
            Err(senseless(format!("`{route}` is neither a path nor one of {classes}")))
        }
        None => Ok(routes),
    }
}

/// A key that is to be made.
pub(crate) struct NewKey {
    pub(crate) clear: Secret,
    pub(crate) key: Key,
    pub(crate) duration: Option<String>,
    /// What of it the config says.
    pub(crate) defaulted: Defaulted,
    spend: Option<NanoUsd>,
}

impl NewKey {
    /// The key that `body` asks for. Without an owner, it belongs to its creator.
    pub(crate) fn read(
        mut body: Body,
        settings: &Settings,
        caller: &Caller,
        (state, now): (&State, UnixMillis),
    ) -> Result<Self, Error> {
        fill_duration(&mut body, state);
        let mut new = Self::without_owner(body, settings, caller, (state, now))?;
        if new.key.user.is_none() {
            new.key.user = Some(caller.maker());
        }
        Ok(new)
    }

    /// The same, of no user unless it is told.
    pub(crate) fn without_owner(
        mut body: Body,
        settings: &Settings,
        caller: &Caller,
        (state, now): (&State, UnixMillis),
    ) -> Result<Self, Error> {
        let defaulted = Defaulted::of_key(&mut body, settings, state);
        let chosen = body.take("key", values::text);
        let KeyFields { changes, duration, spend } = read(body, now, &[])?;
        check_bounds(&settings.key_bounds, &changes, (&Key::default(), state), now)?;
        let clear = match chosen {
            Change::Set(key) => naming::chosen(key)?,
            Change::Keep | Change::Clear => naming::draw(),
        };
        if settings.master_key.as_ref() == Some(&clear) {
            // It would outlive the master key's rotation.
            let reason = "Invalid key format: it is the master key.".to_owned();
            return Err(Error::BadField { name: "key", reason });
        }
        let new = Key {
            token: KeyDigest::of(clear.expose()),
            name: key_name(&clear),
            created_by: caller.maker(),
            ..Key::default()
        };
        let mut key = new.changed(changes);
        key.terms.defaulted = defaulted.gives_way();
        Ok(Self { clear, key, duration, defaulted, spend })
    }

    /// What makes it.
    pub(crate) fn commands(&self, view: &View) -> Vec<Command> {
        let (whose, period) = (Spender::Key(self.key.token), view.period(&self.key.terms));
        let spent = self.spend.map(|to| Command::SetSpendOf { whose, period, to });
        let make = Command::CreateKey { key: Box::new(self.key.clone()) };
        [make].into_iter().chain(spent).collect()
    }
}

/// A member's key lives as long as its team says, if the request does not say.
fn fill_duration(body: &mut Body, state: &State) {
    let Some(Value::String(team)) = body.peek("team_id") else { return };
    let team = state.entity(Kind::Team, &team);
    let lives = team.and_then(|team| team.member.other.get(KEY_DURATION));
    let lives = lives.and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(lives) = lives.filter(|_| !body.has("duration")) {
        body.put("duration", &lives);
    }
}

/// Refuses changes of a key that go beyond the config's `upperbound_key_generate_params`, be it by the
/// shared budget that they name.
pub(crate) fn check_bounds(
    bounds: &BTreeMap<String, String>,
    changes: &KeyChanges,
    (before, state): (&Key, &State),
    now: UnixMillis,
) -> Result<(), Error> {
    if bounds.is_empty() {
        return Ok(());
    }
    let mut body = Body::parse(b"{}").expect("an object");
    body.fill(bounds);
    let most = read(body, now, &[])?.changes;
    let ends = |duration: &Change<String>| match duration {
        Change::Set(text) => expiry(text, now).map_or(Change::Keep, Change::Set),
        Change::Clear => Change::Clear,
        Change::Keep => Change::Keep,
    };
    let after = before.clone().changed(changes.clone());
    let (of, to) = (&with_shared(&changes.terms, &after.terms, state), &most.terms);
    let TermsChanges { max_budget, rpm, tpm, parallel, budget_duration, .. } = of;
    let beyond = [
        ("max_budget", beyond(max_budget, &to.max_budget)),
        ("rpm_limit", beyond(rpm, &to.rpm)),
        ("tpm_limit", beyond(tpm, &to.tpm)),
        ("max_parallel_requests", beyond(parallel, &to.parallel)),
        ("budget_duration", beyond(&ends(budget_duration), &ends(&to.budget_duration))),
        ("duration", beyond(&changes.expires, &most.expires)),
    ];
    match beyond.into_iter().find(|(_, beyond)| *beyond) {
        Some((name, _)) => {
            let told = bounds.get(name).map_or("none", String::as_str);
            let reason = format!(
                "{name} is over the maximum of {told} that litellm_settings.\
                 upperbound_key_generate_params sets"
            );
            Err(Error::BadField { name, reason })
        }
        None => Ok(()),
    }
}

/// Changes with what a shared budget that they name gives to where there is nothing of the key's own.
fn with_shared(changes: &TermsChanges, after: &Terms, state: &State) -> TermsChanges {
    fn set<T: Clone>(change: &mut Change<T>, own: Option<&T>, held: Option<&T>) {
        if let (None, Some(held)) = (own, held) {
            *change = Change::Set(held.clone());
        }
    }
    let mut all = changes.clone();
    if matches!(changes.budget_id, Change::Set(_)) {
        let held = shared::in_force(state, after);
        set(&mut all.max_budget, after.max_budget.as_ref(), held.max_budget.as_ref());
        set(&mut all.rpm, after.rpm.as_ref(), held.rpm.as_ref());
        set(&mut all.tpm, after.tpm.as_ref(), held.tpm.as_ref());
        set(&mut all.parallel, after.parallel.as_ref(), held.parallel.as_ref());
        let (own, held) = (after.budget_duration.as_ref(), held.budget_duration.as_ref());
        set(&mut all.budget_duration, own, held);
    }
    all
}

/// No limit is beyond any; what stays was checked when it was set.
fn beyond<T: PartialOrd>(change: &Change<T>, most: &Change<T>) -> bool {
    match (change, most) {
        (Change::Set(value), Change::Set(most)) => value > most,
        (Change::Clear, Change::Set(_)) => true,
        (Change::Keep, _) | (_, Change::Keep | Change::Clear) => false,
    }
}

#[cfg(test)]
mod tests;
