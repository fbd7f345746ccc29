//! What is stored as its row in answers: what is in force, what is kept, and LiteLLM's defaults for
//! the rest.

mod limits;

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_admin_api::{RawJson, Row};
use dunlin_admission::EndUsers;
use dunlin_callbacks::{FIELD, OwnCallback};
use dunlin_ledger::{Calendar, Every, Period};
use dunlin_state::{Entity, Key, Kind, Member, Renewal, State, Terms};
use dunlin_types::{EntityId, Line, NanoUsd, PotId, UnixMillis};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::request::moment::iso;
use crate::rights::permissions;
use crate::terms::entity_fields::KEY_DURATION;
use crate::terms::fields::{self, Of};

/// A state, as it is shown at some moment.
pub(crate) struct View {
    pub(crate) state: Arc<State>,
    /// Where budgets' periods begin.
    pub(crate) calendar: Calendar,
    /// Whether the budgets of users bind their teams' keys, too.
    pub(crate) binds_users_of_teams: bool,
    /// What binds end users who have no budget of their own.
    pub(crate) end_users: EndUsers,
    /// What a new key has that is asked for without.
    pub(crate) key_defaults: BTreeMap<String, String>,
    /// `budget_rollover`: what was overspent counts for the next period, too.
    pub(crate) rollover: bool,
    pub(crate) now: UnixMillis,
}

/// What LiteLLM's key rows hold besides, and no request sets.
const CONSTANT: &[(&str, &str)] = &[
    ("model_spend", "{}"),
    ("object_permission_id", "null"),
    ("soft_budget_cooldown", "false"),
    ("last_active", "null"),
    ("rotation_count", "0"),
    ("last_rotation_at", "null"),
    ("key_rotation_at", "null"),
];

/// The same of LiteLLM's other rows.
fn constant(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Team => &[
            ("litellm_model_table", "null"),
            ("model_id", "null"),
            ("model_spend", "{}"),
            ("object_permission_id", "null"),
        ],
        Kind::User => &[
            ("model_spend", "{}"),
            ("object_permission_id", "null"),
            ("organization_id", "null"),
            ("team_id", "null"),
        ],
        Kind::Organization => &[("model_spend", "{}"), ("object_permission_id", "null")],
        Kind::EndUser => &[("object_permission_id", "null")],
        Kind::Tag => &[("model_info", "null")],
        Kind::Budget | Kind::AccessGroup => &[],
    }
}

impl View {
    /// The row of a key, with its token and without the clear key.
    pub(crate) fn key(&self, key: &Key) -> Row {
        let mut row = self.terms(Of::Key, key.id, &key.terms);
        row.extend(CONSTANT.iter().map(|(name, text)| ((*name).to_owned(), raw(text))));
        put(&mut row, "total_spend", &self.state.total_spend(key.id).cost.as_usd());
        put(&mut row, "key_name", &key.name);
        put(&mut row, "key_alias", &key.alias);
        put(&mut row, "token", &key.token);
        put(&mut row, "expires", &key.expires.map(iso));
        put(&mut row, "aliases", &key.aliases);
        put(&mut row, "user_id", &key.user);
        put(&mut row, "team_id", &key.team);
        put(&mut row, "organization_id", &key.organization);
        put(&mut row, "allowed_routes", &key.routes);
        put(&mut row, "enforced_params", &key.required);
        if let Some(by) = &key.limited_by {
            put(&mut row, "limited_by", by);
        }
        made(&mut row, (key.created_at, &key.created_by), key.updated_at);
        row
    }

    /// What a team, user, ... has in common: its name under `id_name`, terms, times.
    pub(crate) fn entity(&self, entity: &Entity, id_name: &str) -> Row {
        let mut row = self.terms(Of::Entity(entity.kind), entity.id, &self.binding(entity));
        let constant = constant(entity.kind).iter();
        row.extend(constant.map(|(name, text)| ((*name).to_owned(), raw(text))));
        put(&mut row, id_name, &entity.name);
        made(&mut row, (entity.created_at, &entity.created_by), entity.updated_at);
        row
    }

    /// The row of a user.
    pub(crate) fn user(&self, user: &Entity) -> Row {
        let mut row = self.entity(user, "user_id");
        put(&mut row, "user_email", &user.email);
        put(&mut row, "user_alias", &user.alias);
        put(&mut row, "user_role", &user.role);
        let groups = |kind| -> Vec<&str> {
            self.state.memberships(kind, &user.name).map(|(name, _)| name).collect()
        };
        put(&mut row, "teams", &groups(Kind::Team));
        put(&mut row, "organizations", &groups(Kind::Organization));
        let organizations = self.state.memberships(Kind::Organization, &user.name);
        let organizations = organizations.filter_map(|(name, member)| {
            let organization = self.state.entity(Kind::Organization, name)?;
            Some(self.membership(organization, member))
        });
        put(&mut row, "organization_memberships", &organizations.collect::<Vec<_>>());
        row
    }

    /// The row of a team.
    pub(crate) fn team(&self, team: &Entity) -> Row {
        let mut row = self.entity(team, "team_id");
        put(&mut row, "team_alias", &team.alias);
        put(&mut row, "organization_id", &team.organization);
        put(&mut row, "model_aliases", &team.aliases);
        put(&mut row, "blocked", &team.terms.blocked.unwrap_or_default());
        put(&mut row, "team_member_permissions", &permissions(team));
        let members: Vec<_> = self.state.members(Kind::Team, &team.name).collect();
        let of_role = |role: &str| -> Vec<&str> {
            let of_role = members.iter().filter(|member| member.role == role);
            of_role.map(|member| member.user.as_str()).collect()
        };
        put(&mut row, "admins", &of_role("admin"));
        put(&mut row, "members", &of_role("user"));
        let with_roles: Vec<_> = members.iter().map(|member| self.with_role(member)).collect();
        put(&mut row, "members_with_roles", &with_roles);
        let each = &team.member;
        put(&mut row, "default_team_member_models", &each.models);
        put(&mut row, "team_member_budget", &each.max_budget.map(NanoUsd::as_usd));
        put(&mut row, "team_member_budget_duration", &each.budget_duration);
        put(&mut row, KEY_DURATION, &each.other.get(KEY_DURATION).map(|text| raw(text)));
        put(&mut row, "team_member_rpm_limit", &each.rpm);
        put(&mut row, "team_member_tpm_limit", &each.tpm);
        row
    }

    /// The row of an organization.
    pub(crate) fn organization(&self, organization: &Entity) -> Row {
        let mut row = self.entity(organization, "organization_id");
        put(&mut row, "organization_alias", &organization.alias);
        let members = self.state.members(Kind::Organization, &organization.name);
        let members: Vec<_> = members.map(|member| self.membership(organization, member)).collect();
        put(&mut row, "members", &members);
        let teams = self
            .state
            .entities(Kind::Team)
            .filter(|team| team.organization.as_ref() == Some(&organization.name));
        let teams: Vec<_> = teams.map(|team| self.team(team)).collect();
        put(&mut row, "teams", &teams);
        row
    }

    fn with_role(&self, member: &Member) -> Value {
        let user = self.state.entity(Kind::User, &member.user);
        let email = user.and_then(|user| user.email.as_deref());
        json!({"user_id": member.user, "user_email": email, "role": member.role})
    }

    /// The row of a budget.
    pub(crate) fn budget(&self, budget: &Entity) -> Row {
        let mut row = self.entity(budget, "budget_id");
        for name in
            ["spend", "models", "blocked", "metadata", "litellm_budget_table", "tags", "budgets"]
        {
            row.remove(name);
        }
        row
    }

    /// A membership, with what it spent of the group's budget for it.
    pub(crate) fn membership(&self, group: &Entity, member: &Member) -> Row {
        let terms = &of_member(&group.member, &member.terms);
        let id = match group.kind {
            Kind::Organization => "organization_id",
            Kind::Team
            | Kind::User
            | Kind::EndUser
            | Kind::Budget
            | Kind::Tag
            | Kind::AccessGroup => "team_id",
        };
        let (spend, period) = self.spend(member.id, terms);
        let shared = self.shared(terms);
        let limits = match shared {
            Some(budget) => {
                let mut row = self.budget(&budget);
                put(&mut row, "allowed_models", &terms.models);
                json!(row)
            }
            None if terms == &Terms::default() => Value::Null,
            None => json!({
                "allowed_models": terms.models,
                "budget_id": null,
                "max_budget": terms.max_budget.map(NanoUsd::as_usd),
                "budget_duration": terms.budget_duration,
                "budget_reset_at": period.map(|period| iso(period.end)),
                "rpm_limit": terms.rpm,
                "tpm_limit": terms.tpm,
            }),
        };
        let mut row = Row::new();
        put(&mut row, "user_id", &member.user);
        put(&mut row, id, &group.name);
        put(&mut row, "role", &member.role);
        put(&mut row, "user_role", &member.role);
        put(&mut row, "budget_id", &terms.budget_id);
        put(&mut row, "spend", &spend.as_usd());
        self.put_withheld(&mut row, member.id, period);
        put(&mut row, "total_spend", &self.state.total_spend(member.id).cost.as_usd());
        put(&mut row, "litellm_budget_table", &limits);
        row
    }

    fn terms(&self, of: Of, id: EntityId, terms: &Terms) -> Row {
        let defaults = fields::other(of).map(|field| (field.name, field.unset()));
        let kept = terms.other.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let kept = kept.filter(|(name, _)| *name != FIELD);
        let shown = defaults.chain(kept).map(|(name, text)| (name.to_owned(), raw(text)));
        let mut row: Row = shown.collect();
        let (spend, period) = self.spend(id, terms);
        put(&mut row, "spend", &spend.as_usd());
        self.put_withheld(&mut row, id, period);
        put(&mut row, "budget_reset_at", &period.map(|period| iso(period.end)));
        put(&mut row, "models", &terms.models);
        put(&mut row, "blocked", &terms.blocked);
        put(&mut row, "max_budget", &terms.max_budget.map(NanoUsd::as_usd));
        put(&mut row, "soft_budget", &terms.soft_budget.map(NanoUsd::as_usd));
        put(&mut row, "budget_duration", &terms.budget_duration);
        put(&mut row, "budget_limits", &windows(terms));
        put(&mut row, "model_max_budget", &model_budgets(terms));
        self.put_budgets(&mut row, id, terms);
        put(&mut row, "budget_id", &terms.budget_id);
        put(&mut row, "rpm_limit", &terms.rpm);
        put(&mut row, "tpm_limit", &terms.tpm);
        put(&mut row, "max_parallel_requests", &terms.parallel);
        put(&mut row, "model_rpm_limit", &terms.model_rpm);
        put(&mut row, "model_tpm_limit", &terms.model_tpm);
        put(&mut row, "tags", &terms.tags);
        put(&mut row, "throttle_on_budget_exceeded", &terms.throttle.unwrap_or_default());
        if !terms.tag_rpm.is_empty() || of == Of::Key {
            put(&mut row, "tag_rpm_limit", &terms.tag_rpm);
        }
        put(&mut row, "metadata", &metadata(terms));
        let shared = self.shared(terms).map(|budget| self.budget(&budget));
        put(&mut row, "litellm_budget_table", &shared);
        if let Some(more) = terms.temporary {
            put(&mut row, "temp_budget_increase", &more.more.as_usd());
            put(&mut row, "temp_budget_expiry", &iso(more.until));
        }
        if let Some(strict) = terms.strict {
            put(&mut row, "strict_budget", &strict);
        }
        if let Some(on_loss) = terms.on_loss {
            put(&mut row, "on_loss", &on_loss.name());
        }
        row
    }

    /// The budget row that terms refer to.
    pub(crate) fn shared(&self, terms: &Terms) -> Option<Arc<Entity>> {
        self.state.entity(Kind::Budget, terms.budget_id.as_ref()?).cloned()
    }

    /// The main budget of terms, or of those that they share, and how long its period is.
    pub(crate) fn main_budget(&self, terms: &Terms) -> (Option<NanoUsd>, Option<String>) {
        let shared = self.shared(terms);
        let shared = shared.as_ref().map(|budget| &budget.terms);
        let limit = terms.max_budget.or(shared.and_then(|shared| shared.max_budget));
        let duration = terms.budget_duration.as_ref();
        let duration = duration.or(shared.and_then(|shared| shared.budget_duration.as_ref()));
        (limit, duration.cloned())
    }

    /// What is spent in the period of `now`, and that period.
    fn spend(&self, id: EntityId, terms: &Terms) -> (NanoUsd, Option<Period>) {
        let period = self.running(terms);
        let pot = PotId { of: id, line: Line::Main };
        let (spent, since) = self.state.spend(&pot);
        // What was spent without periods counts for the first one.
        let is_over = since > UnixMillis(0) && since < self.state.begun(&pot, period);
        if !is_over {
            return (spent, period);
        }
        let limit = self.state.limit_of(&pot).or_else(|| self.main_budget(terms).0);
        (self.carried(&pot, self.every(terms), limit, period), period)
    }

    /// What was spent beyond its limit in the period before this one, if it counts for this one, too.
    pub(crate) fn carried(
        &self,
        pot: &PotId,
        every: Option<Every>,
        limit: Option<NanoUsd>,
        period: Option<Period>,
    ) -> NanoUsd {
        let (spent, since) = self.state.spend(pot);
        let last = period.and_then(|period| period.start.0.checked_sub(1)).map(UnixMillis);
        let last = every.zip(last).map(|(every, last)| self.calendar.period(every, last).start);
        let counts = self.rollover && last == Some(since);
        NanoUsd(limit.filter(|_| counts).map_or(0, |limit| spent.0.saturating_sub(limit.0)))
    }

    /// What lies on nodes that do not serve, of the main budget's period that is running: beside what
    /// is spent, and only where there is any.
    fn put_withheld(&self, row: &mut Row, id: EntityId, period: Option<Period>) {
        let withheld = self.withheld(id, period);
        if withheld > NanoUsd::ZERO {
            put(row, "withheld", &withheld.as_usd());
        }
    }

    fn withheld(&self, id: EntityId, period: Option<Period>) -> NanoUsd {
        let pot = PotId { of: id, line: Line::Main };
        let is_over = self.state.spend(&pot).1 < self.state.begun(&pot, period);
        if is_over { NanoUsd::ZERO } else { self.state.withheld(&pot) }
    }

    /// What lies on nodes that do not serve, of a main budget's present period.
    pub(crate) fn withheld_of(&self, id: EntityId, terms: &Terms) -> NanoUsd {
        self.withheld(id, self.running(terms))
    }

    /// When the present period of terms began; 0 if they have no periods.
    pub(crate) fn period(&self, terms: &Terms) -> UnixMillis {
        self.running(terms).map_or(UnixMillis(0), |period| period.start)
    }

    /// The present period of terms, if they have periods.
    pub(crate) fn running(&self, terms: &Terms) -> Option<Period> {
        Some(self.calendar.period(self.every(terms)?, self.now))
    }

    fn every(&self, terms: &Terms) -> Option<Every> {
        let shared = self.shared(terms);
        let shared = shared.as_ref().and_then(|budget| budget.terms.renewal());
        let Renewal { every, since } = terms.renewal().or(shared)?;
        // Terms that are not in force yet begin with their first day.
        Renewal { every, since: since.or(Some(self.now)) }.read()
    }

    /// What an entity has spent in its present period.
    pub(crate) fn spent(&self, entity: &Entity) -> NanoUsd {
        let now = self.state.entity(entity.kind, &entity.name);
        now.map_or(NanoUsd::ZERO, |entity| self.spend(entity.id, &self.binding(entity)).0)
    }

    /// What a key has spent in its present period.
    pub(crate) fn key_spend(&self, key: &Key) -> NanoUsd {
        self.spend(key.id, &key.terms).0
    }
}

fn made(row: &mut Row, (at, by): (UnixMillis, &str), updated: UnixMillis) {
    put(row, "created_at", &iso(at));
    put(row, "created_by", &by);
    put(row, "updated_at", &iso(updated));
    if !row.contains_key("updated_by") {
        put(row, "updated_by", &by);
    }
}

/// The terms of a member: its own, then its group's for members. The order is that of
/// `dunlin_state::Payer`.
pub(crate) fn of_member(group: &Terms, own: &Terms) -> Terms {
    let mut all = own.clone();
    if all.models.is_empty() {
        all.models.clone_from(&group.models);
    }
    if all.budget_duration.is_none() {
        all.budget_duration.clone_from(&group.budget_duration);
        all.budget_since = group.budget_since;
    }
    all.max_budget = all.max_budget.or(group.max_budget);
    all.budget_id = all.budget_id.or_else(|| group.budget_id.clone());
    all.rpm = all.rpm.or(group.rpm);
    all.tpm = all.tpm.or(group.tpm);
    all
}

fn windows(terms: &Terms) -> Option<Vec<Value>> {
    let window = |(duration, budget): (&String, NanoUsd)| json!({"budget_duration": duration, "max_budget": budget.as_usd()});
    Some(terms.windows_by_length().into_iter().map(window).collect())
        .filter(|windows: &Vec<_>| !windows.is_empty())
}

fn model_budgets(terms: &Terms) -> BTreeMap<&str, Value> {
    let budgets = terms.model_budgets.iter().map(|(model, budget)| {
        let mut told = json!({
            "max_budget": budget.max_budget.map(NanoUsd::as_usd),
            "budget_duration": budget.duration,
        });
        for (name, limit) in [("rpm_limit", budget.rpm), ("tpm_limit", budget.tpm)] {
            if let Some(limit) = limit {
                told[name] = limit.into();
            }
        }
        (model.as_str(), told)
    });
    budgets.collect()
}

/// LiteLLM keeps what it has no columns for in the metadata.
fn metadata(terms: &Terms) -> Value {
    let kept = terms.other.get("metadata").and_then(|text| serde_json::from_str(text).ok());
    let mut metadata: serde_json::Map<String, Value> = kept.unwrap_or_default();
    if let Some(callbacks) = terms.other.get(FIELD) {
        metadata.insert(FIELD.to_owned(), OwnCallback::shown(callbacks));
    }
    if !terms.tags.is_empty() {
        metadata.insert("tags".to_owned(), json!(terms.tags));
    }
    if terms.throttle == Some(true) {
        metadata.insert("throttle_on_budget_exceeded".to_owned(), Value::Bool(true));
    }
    for (name, limits) in [
        ("model_rpm_limit", &terms.model_rpm),
        ("model_tpm_limit", &terms.model_tpm),
        ("tag_rpm_limit", &terms.tag_rpm),
    ] {
        if !limits.is_empty() {
            metadata.insert(name.to_owned(), json!(limits));
        }
    }
    Value::Object(metadata)
}

/// Puts a field into a row, in the place of what is there under the name.
pub(crate) fn put(row: &mut Row, name: &str, value: &(impl Serialize + ?Sized)) {
    let value = serde_json::value::to_raw_value(value).expect("plain data with text keys");
    row.insert(name.to_owned(), value);
}

/// Text that was checked to be JSON before it was kept.
fn raw(text: &str) -> RawJson {
    RawValue::from_string(text.to_owned()).expect("kept fields are JSON")
}

#[cfg(test)]
pub(crate) mod tests;
