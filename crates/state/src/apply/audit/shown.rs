//! Things as the audit log shows them: LiteLLM's field names, what is set, no secrets. How a value is
//! written is for ever, because it is hashed: money in dollars, digit by digit; times in milliseconds.

use std::collections::BTreeMap;

use dunlin_types::{ChainHash, EntityId, Line, NanoUsd, NodeId, PotId};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::mask;
use crate::audit::Action;
use crate::command::{Entity, Key, Kind, Member, Resource, ResourceKind, SettingChange, Terms};
use crate::snapshot::{ClusterNode, ConfigRevision, RemovedNode};
use crate::state::{Holder, State};

/// A longer value is shown by its length and hash, so that no row is large.
const MAX_VALUE_BYTES: usize = 2_048;
/// So many settings one row tells of.
const MAX_SETTINGS: usize = 50;
/// The row names the author of the change.
const NOT_SHOWN: &str = "updated_by";

/// Fields that are set, by name: JSON texts.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What differs, on both sides; null where it is not set.
    pub(super) fn unlike(mut self, mut other: Self) -> (Self, Self) {
        let names: Vec<_> = self.0.keys().chain(other.0.keys()).cloned().collect();
        for name in names {
            let unset = || "null".to_owned();
            if self.0.get(&name) == other.0.get(&name) {
                self.0.remove(&name);
                other.0.remove(&name);
            } else {
                self.0.entry(name.clone()).or_insert_with(unset);
                other.0.entry(name).or_insert_with(unset);
            }
        }
        (self, other)
    }

    /// What it is called that just these fields changed to what they are.
    pub(super) fn action(&self) -> Action {
        let only = |name: &str| self.0.len() == 1 && self.0.contains_key(name);
        if self.0.contains_key("token") {
            Action::Rotated
        } else if !only("blocked") {
            Action::Updated
        } else if self.0["blocked"] == "true" {
            Action::Blocked
        } else {
            Action::Unblocked
        }
    }

    /// A JSON object.
    pub(super) fn text(&self) -> String {
        let field = |(name, value): (&String, &String)| {
            // A credential has more in it than secrets.
            let named = name.strip_prefix("credential_values.").unwrap_or(name);
            // A key's own is its hash.
            let value = if name == "token" { value.clone() } else { mask::field(named, value) };
            let value = if value.len() <= MAX_VALUE_BYTES { value } else { long(&value) };
            format!("{}:{value}", json!(name))
        };
        format!("{{{}}}", self.0.iter().map(field).collect::<Vec<_>>().join(","))
    }

    fn put(&mut self, name: &str, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("plain data with text keys");
        if !matches!(text.as_str(), "null" | "[]" | "{}") {
            self.0.insert(name.to_owned(), text);
        }
    }

    fn put_usd(&mut self, name: &str, amount: Option<NanoUsd>) {
        self.0.extend(amount.map(|amount| (name.to_owned(), usd(amount))));
    }
}

fn usd(NanoUsd(nano): NanoUsd) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    let shortest = text.trim_end_matches('0');
    if shortest.ends_with('.') { format!("{shortest}0") } else { shortest.to_owned() }
}

fn long(text: &str) -> String {
    let hash = hex::encode(Sha256::digest(text));
    json!(format!("{} bytes, SHA-256 {hash}", text.len())).to_string()
}

/// The key, entity or membership with a number, as it is in `state`.
pub(super) fn holder(state: &State, id: EntityId) -> Option<Fields> {
    let mut fields = match state.holders.get(&id)? {
        Holder::Key(token) => key(state.key(token)?),
        Holder::Entity(kind, name) => entity(state.entity(*kind, name)?),
        Holder::Member { kind, group, user } => member(state.member(*kind, group, user)?),
    };
    let (spend, _) = state.spend(&PotId { of: id, line: Line::Main });
    fields.put_usd("spend", Some(spend).filter(|spend| *spend > NanoUsd::ZERO));
    Some(fields)
}

fn key(key: &Key) -> Fields {
    let mut fields = Fields::default();
    terms(&mut fields, &key.terms);
    fields.put("token", &key.token);
    fields.put("key_name", &key.name);
    fields.put("key_alias", &key.alias);
    fields.put("aliases", &key.aliases);
    fields.put("expires", &key.expires);
    fields.put("team_id", &key.team);
    fields.put("user_id", &key.user);
    fields.put("organization_id", &key.organization);
    fields.put("allowed_routes", &key.routes);
    fields.put("enforced_params", &key.required);
    fields.put("limited_by", &key.limited_by);
    fields
}

fn entity(entity: &Entity) -> Fields {
    let mut fields = Fields::default();
    terms(&mut fields, &entity.terms);
    let (id, alias) = match entity.kind {
        Kind::Team => ("team_id", "team_alias"),
        Kind::User => ("user_id", "user_alias"),
        Kind::EndUser => ("user_id", "alias"),
        Kind::Organization => ("organization_id", "organization_alias"),
        Kind::Budget => ("budget_id", "alias"),
        Kind::Tag => ("name", "alias"),
        Kind::AccessGroup => ("access_group_id", "alias"),
    };
    // Beside its own name, what it refers to.
    fields.put(id, &entity.name);
    fields.put(alias, &entity.alias);
    fields.put("user_email", &entity.email);
    fields.put("user_role", &entity.role);
    if entity.kind != Kind::Organization {
        fields.put("organization_id", &entity.organization);
    }
    fields.put("model_aliases", &entity.aliases);
    let mut each = Fields::default();
    terms(&mut each, &entity.member);
    for (name, value) in each.0 {
        let name = if name == "max_budget" { "budget".to_owned() } else { name };
        fields.0.insert(format!("team_member_{name}"), value);
    }
    fields
}

fn member(member: &Member) -> Fields {
    let mut fields = Fields::default();
    terms(&mut fields, &member.terms);
    fields.put("user_id", &member.user);
    fields.put("role", &member.role);
    fields
}

fn terms(fields: &mut Fields, terms: &Terms) {
    let other = terms.other.iter().filter(|(name, _)| name.as_str() != NOT_SHOWN);
    for (name, text) in other.filter(|(_, text)| text.as_str() != "null") {
        fields.0.insert(name.clone(), text.clone());
    }
    fields.put("models", &terms.models);
    fields.put("blocked", &terms.blocked);
    fields.put_usd("max_budget", terms.max_budget);
    fields.put_usd("soft_budget", terms.soft_budget);
    fields.put("budget_duration", &terms.budget_duration);
    let windows = terms.windows.iter().map(|(every, most)| {
        format!(r#"{{"budget_duration":{},"max_budget":{}}}"#, json!(every), usd(*most))
    });
    listed(fields, "budget_limits", ('[', ']'), windows.collect());
    let models = terms.model_budgets.iter().map(|(model, budget)| {
        let mut told = Fields::default();
        told.put_usd("max_budget", budget.max_budget);
        told.put("budget_duration", &budget.duration);
        told.put("rpm_limit", &budget.rpm);
        told.put("tpm_limit", &budget.tpm);
        format!("{}:{}", json!(model), told.text())
    });
    listed(fields, "model_max_budget", ('{', '}'), models.collect());
    fields.put("budget_id", &terms.budget_id);
    fields.put_usd("temp_budget_increase", terms.temporary.map(|more| more.more));
    fields.put("temp_budget_expiry", &terms.temporary.map(|more| more.until));
    fields.put("strict_budget", &terms.strict);
    fields.put("throttle_on_budget_exceeded", &terms.throttle);
    fields.put("rpm_limit", &terms.rpm);
    fields.put("tpm_limit", &terms.tpm);
    fields.put("max_parallel_requests", &terms.parallel);
    fields.put("on_loss", &terms.on_loss);
    fields.put("model_rpm_limit", &terms.model_rpm);
    fields.put("model_tpm_limit", &terms.model_tpm);
    fields.put("tag_rpm_limit", &terms.tag_rpm);
    fields.put("tags", &terms.tags);
}

fn listed(fields: &mut Fields, name: &str, (open, close): (char, char), items: Vec<String>) {
    if !items.is_empty() {
        fields.0.insert(name.to_owned(), format!("{open}{}{close}", items.join(",")));
    }
}

/// A config revision by its hash: its content is not shown here.
pub(super) fn revision(revision: &ConfigRevision) -> Fields {
    let mut fields = Fields::default();
    fields.put("revision", &revision.revision);
    fields.put("hash", &revision.hash);
    fields.put("source", &revision.source);
    fields
}

/// What became of settings. Of more than [`MAX_SETTINGS`] the rest is not told one by one.
pub(super) fn settings(changes: &[SettingChange], before: &mut Fields, after: &mut Fields) {
    let is_json = |text: &&String| serde_json::from_str::<&RawValue>(text).is_ok();
    for change in changes.iter().take(MAX_SETTINGS) {
        for (fields, text) in [(&mut *before, &change.before), (&mut *after, &change.after)] {
            let text = text.as_ref().filter(is_json);
            fields.0.extend(text.map(|text| (change.setting.clone(), text.clone())));
        }
    }
    if changes.len() > MAX_SETTINGS {
        after.put("more_settings", &(changes.len() - MAX_SETTINGS));
    }
}

/// A model, a credential or an access group by its name, and what may be seen of its content.
pub(super) fn resource(resource: &Resource) -> Fields {
    let shown = resource.shown.iter().filter(|(_, text)| text.as_str() != "null");
    let mut fields = Fields(shown.map(|(name, text)| (name.clone(), text.clone())).collect());
    let name = match resource.kind {
        ResourceKind::Model => "model_name",
        ResourceKind::Credential => "credential_name",
        ResourceKind::AccessGroup => "access_group",
    };
    fields.put(name, &resource.name);
    fields
}

pub(super) fn node(node: &ClusterNode) -> Fields {
    let mut fields = Fields::default();
    fields.put("address", &node.address);
    fields
}

pub(super) fn removed(node: &RemovedNode) -> Fields {
    let mut fields = Fields::default();
    fields.put("reclaimed_at", &node.reclaimed);
    fields
}

pub(super) fn draining(draining: bool) -> Fields {
    let mut fields = Fields::default();
    fields.put("draining", &draining);
    fields
}

pub(super) fn format(state: &State) -> Fields {
    let mut fields = Fields::default();
    fields.put("format", &state.format);
    fields.put("held", &state.format_held);
    fields
}

/// What a node has of someone's budgets.
pub(super) fn granted(node: NodeId, amount: NanoUsd) -> Fields {
    let mut fields = Fields::default();
    fields.put_usd(&format!("granted_to_{node}"), Some(amount));
    fields
}

/// What stands for rows that are too many.
pub(super) fn more(count: usize, hash: ChainHash) -> Fields {
    let mut fields = Fields::default();
    fields.put("count", &count);
    fields.put("hash", &hash);
    fields
}
