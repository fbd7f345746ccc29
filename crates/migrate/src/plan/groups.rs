//! Shared budgets, organizations and teams.

use dunlin_admin_api::values::{self as api, MAX_SINGLE};
use dunlin_admin_api::{ImportKind, Of};
use serde_json::{Map, Value};

use super::Item;
use super::draft::Draft;
use super::terms::number;
use super::world::{Budget, World};
use crate::values;

const BUDGETS: &str = "LiteLLM_BudgetTable";
const ORGANIZATIONS: &str = "LiteLLM_OrganizationTable";
const TEAMS: &str = "LiteLLM_TeamTable";

pub(super) fn budgets(world: &mut World<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for row in world.rows(BUDGETS) {
        let mut draft = Draft::new(world, row);
        let name = draft.text("budget_id").unwrap_or_default().to_owned();
        draft.name("budget_id", "budget_id");
        draft.terms();
        let text = |column| draft.text(column);
        if let (Some(more), Some(until)) =
            (text("temp_budget_increase"), text("temp_budget_expiry"))
        {
            draft.temporary(&number(more), until);
        }
        draft.resets();
        draft.made();
        draft.taken.push("allowed_models");
        draft.idle(Of::Budget, &mut Map::new());
        let models = draft.array("allowed_models");
        if !models.is_empty() {
            draft.changed("allowed_models", "they become the models of the members who have it");
        }
        let duration = draft.fields.get("budget_duration").and_then(Value::as_str);
        let budget = Budget {
            duration: duration.map(str::to_owned),
            resets_at: draft.text("budget_reset_at").and_then(values::moment),
            models,
        };
        let item = draft.done(BUDGETS, ImportKind::Budget, format!("budget `{name}`"));
        if item.way.is_some() {
            world.budgets.insert(name, budget);
        }
        items.push(item);
    }
    items
}

pub(super) fn organizations(world: &mut World<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for row in world.rows(ORGANIZATIONS) {
        let mut draft = Draft::new(world, row);
        let name = draft.text("organization_id").unwrap_or_default().to_owned();
        draft.name("organization_id", "organization_id");
        draft.copy("organization_alias", "organization_alias");
        draft.terms();
        draft.budget_id();
        draft.spend();
        draft.made();
        let metadata = draft.object("metadata");
        draft.metadata(Of::Organization, metadata);
        let object = format!("organization `{name}`");
        let item = draft.done(ORGANIZATIONS, ImportKind::Organization, object);
        if item.way.is_some() {
            world.organizations.insert(name);
        }
        items.push(item);
    }
    items
}

pub(super) fn teams(world: &mut World<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for row in world.rows(TEAMS) {
        let mut draft = Draft::new(world, row);
        let name = draft.text("team_id").unwrap_or_default().to_owned();
        draft.name("team_id", "team_id");
        draft.copy("team_alias", "team_alias");
        draft.members();
        draft.organization();
        draft.terms();
        draft.spend();
        draft.made();
        let permissions = draft.array("team_member_permissions");
        if !permissions.is_empty() {
            draft.put("team_member_permissions", permissions);
        }
        let aliases = draft.text("model_id").and_then(|id| draft.world.aliases.get(id));
        if let Some(aliases) = aliases.filter(|aliases| !aliases.is_empty()).cloned() {
            draft.judged("model_aliases", aliases, api::text_map);
        }
        draft.access_groups();
        let mut metadata = draft.object("metadata");
        if let Some(Value::String(budget)) = metadata.remove("team_member_budget_id") {
            draft.names_budget("team_member_budget_id", &budget);
            draft.scope("default_team_member_models", &budget);
        }
        if let Some(lives) = metadata.remove("team_member_key_duration") {
            draft.put("team_member_key_duration", lives);
        }
        let members = draft.array("default_team_member_models");
        if !members.is_empty() {
            draft.put("default_team_member_models", members);
        }
        draft.metadata(Of::Team, metadata);
        let object = match draft.text("team_alias") {
            Some(alias) => format!("team `{alias}` ({name})"),
            None => format!("team `{name}`"),
        };
        let item = draft.done(TEAMS, ImportKind::Team, object);
        if item.way.is_some() {
            world.teams.insert(name);
        }
        items.push(item);
    }
    items
}

impl Draft<'_, '_> {
    /// The organization whose it is, which must have moved before.
    pub(super) fn organization(&mut self) {
        if let Some(name) = self.text("organization_id") {
            if self.world.organizations.contains(name) {
                self.put("organization_id", name);
            } else {
                let reason = format!("its organization `{name}` does not move");
                self.blocked("organization_id", reason);
            }
        }
    }

    /// Those who are told in the team's row must be readable: each has an item of its own.
    fn members(&mut self) {
        let list = |text: &str| match values::json(text)? {
            Value::Array(members) => Some(members),
            Value::Null => Some(Vec::new()),
            // The column's default.
            Value::Object(none) if none.is_empty() => Some(Vec::new()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
        };
        let listed = self.read("members_with_roles", "a list of members in JSON", list);
        for member in listed.into_iter().flatten() {
            let is_named = |name: &&str| member.get(*name).is_some_and(Value::is_string);
            let named = ["user_id", "user_email"].into_iter().find(is_named);
            let text = |name: &str| member.get(name).and_then(Value::as_str).unwrap_or_default();
            match named {
                Some("user_email")
                    if !self.world.emails.contains_key(&text("user_email").to_lowercase()) =>
                {
                    let reason =
                        format!("left out: no user that moves has `{}`", text("user_email"));
                    self.changed("members_with_roles", reason);
                }
                Some(_) => {}
                None => {
                    self.changed("members_with_roles", format!("left out: {member} names no user"))
                }
            }
        }
        for column in ["members", "admins"] {
            self.array(column);
        }
    }

    /// Members with a budget may be held to some models by it: those go into `field`.
    pub(super) fn scope(&mut self, field: &'static str, budget: &str) {
        let models = self.world.budgets.get(budget).map(|budget| budget.models.clone());
        if let Some(models) = models.filter(|models| !models.is_empty()) {
            self.put(field, models);
        }
    }

    /// Writes the models of access groups out, where there is a list to write them to.
    pub(super) fn access_groups(&mut self) {
        let groups = self.array("access_group_ids");
        let models = self.fields.get("models").and_then(Value::as_array).cloned();
        let (Some(mut models), false) = (models, groups.is_empty()) else { return };
        for group in &groups {
            let Some(named) = self.world.models_of(group) else { continue };
            for model in named.iter().map(|model| Value::from(model.as_str())) {
                if !models.contains(&model) {
                    models.push(model);
                }
            }
        }
        self.put("models", models);
        let reason = "the models that the groups have today are written into `models`";
        self.changed("access_group_ids", reason);
        self.taken.push("access_group_ids");
    }

    /// What is left in the metadata, once LiteLLM's own fields are taken out of it.
    pub(super) fn metadata(&mut self, of: Of, mut metadata: Map<String, Value>) {
        self.idle(of, &mut metadata);
        for hooks in ["logging", "callback_settings"] {
            if metadata.contains_key(hooks) {
                let reason = "left out, as its secrets are LiteLLM's: set the callbacks anew with \
                              POST /team/{team_id}/callback or `metadata.logging`";
                self.changed(&format!("metadata.{hooks}"), reason);
                metadata.remove(hooks);
            }
        }
        for field in ["model_rpm_limit", "model_tpm_limit", "tag_rpm_limit"] {
            let Some(limits) = metadata.get(field).filter(|limits| !limits.is_null()) else {
                continue;
            };
            match api::counts(limits) {
                Ok(limits) => self.bounded(&format!("metadata.{field}"), limits.len(), MAX_SINGLE),
                Err(wrong) => self.refused(&format!("metadata.{field}"), limits, &wrong),
            }
        }
        if !metadata.is_empty() {
            self.put("metadata", metadata);
        }
    }
}
