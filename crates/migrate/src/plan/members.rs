//! Who belongs to which team and organization. Of a team, the roles stand in its row, the budgets and
//! what was spent in a table of their own.

use std::collections::BTreeMap;

use dunlin_admin_api::ImportKind;
use serde_json::Value;

use super::Item;
use super::draft::Draft;
use super::world::World;
use crate::dump::Row;
use crate::values;

const OF_TEAMS: &str = "LiteLLM_TeamMembership";
const OF_ORGANIZATIONS: &str = "LiteLLM_OrganizationMembership";
const TEAMS: &str = "LiteLLM_TeamTable";
/// The role of who leads a team.
const LEADS: &str = "admin";

pub(super) fn of_organizations(world: &mut World<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for row in world.rows(OF_ORGANIZATIONS) {
        let mut draft = Draft::new(world, row);
        let group = draft.text("organization_id").unwrap_or_default();
        let user = draft.text("user_id").unwrap_or_default();
        draft.organization();
        draft.copy("user_id", "user_id");
        draft.put("role", draft.text("user_role").unwrap_or("internal_user"));
        draft.budget_id();
        draft.spend();
        let object = format!("user `{user}` in organization `{group}`");
        items.push(draft.done(OF_ORGANIZATIONS, ImportKind::OrganizationMember, object));
    }
    items
}

pub(super) fn of_teams(world: &mut World<'_>) -> Vec<Item> {
    let mut memberships: BTreeMap<(String, String), &Row> = BTreeMap::new();
    for row in world.rows(OF_TEAMS) {
        let name = |column| row.get(column).unwrap_or_default().to_owned();
        memberships.insert((name("team_id"), name("user_id")), row);
    }
    let mut items = Vec::new();
    for team in world.rows(TEAMS) {
        let name = team.get("team_id").unwrap_or_default();
        for (user, role) in roles(world, team) {
            let pair = (name.to_owned(), user.clone());
            let membership = memberships.remove(&pair);
            let item = member(world, (team, name), (&user, &role), membership);
            if item.way.is_none() {
                world.members_left.insert(pair);
            }
            items.push(item);
        }
    }
    for ((team, user), row) in memberships {
        let draft = Draft::new(world, row);
        let object = format!("user `{user}` in team `{team}`");
        let budget = draft.text("budget_id").is_some();
        items.push(draft.needless(OF_TEAMS, object, "the team does not name the user as a member"));
        if budget {
            world.members_left.insert((team, user));
        }
    }
    items
}

fn member(
    world: &World<'_>,
    (team, name): (&Row, &str),
    (user, role): (&str, &str),
    membership: Option<&Row>,
) -> Item {
    let table = if membership.is_some() { OF_TEAMS } else { TEAMS };
    let object = format!("user `{user}` in team `{name}`");
    let mut draft = match membership {
        Some(row) => Draft::new(world, row),
        None => Draft::inside(world, team),
    };
    if !world.teams.contains(name) {
        draft.blocked("team_id", format!("its team `{name}` does not move"));
    }
    draft.put("team_id", name);
    draft.put("user_id", user);
    draft.put("role", role);
    if membership.is_some() {
        draft.budget_id();
        draft.scope("models", draft.text("budget_id").unwrap_or_default());
        draft.spend();
    }
    draft.done(table, ImportKind::TeamMember, object)
}

/// The members of a team, and their roles. Old rows have two lists instead.
fn roles(world: &World<'_>, team: &Row) -> BTreeMap<String, String> {
    let mut roles = BTreeMap::new();
    let listed = team.get("members_with_roles").and_then(values::json);
    let listed = listed.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for member in listed {
        let text = |name: &str| member.get(name).and_then(Value::as_str);
        let by_email = || world.emails.get(&text("user_email")?.to_lowercase());
        let user = text("user_id").or_else(|| by_email().map(String::as_str));
        let user = user.filter(|user| *user != super::users::MASTER);
        let Some(user) = user else { continue };
        let role = text("role").unwrap_or("user").to_owned();
        // Who is named twice, by id and by address, leads if either says so.
        if role == LEADS || !roles.contains_key(user) {
            roles.insert(user.to_owned(), role);
        }
    }
    if listed.is_empty() {
        for (column, role) in [("members", "user"), ("admins", LEADS)] {
            let users = team.get(column).and_then(values::array).unwrap_or_default();
            roles.extend(users.into_iter().map(|user| (user, role.to_owned())));
        }
    }
    roles
}
