//! What rows of a dump refer to, found by name; and what of it moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::doubles::{self, Double};
use super::{Options, Place};
use crate::dump::{Dump, Row};
use crate::values::{self, Moment};

/// What others need to know of a shared budget.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    pub(super) duration: Option<String>,
    pub(super) resets_at: Option<Moment>,
    /// The models to which it holds the members who have it; empty for all.
    pub(super) models: Vec<String>,
}

/// A dump, and what is known of it so far.
pub(super) struct World<'d> {
    pub(super) dump: &'d Dump,
    pub(super) options: &'d Options,
    files: Vec<Arc<str>>,
    /// Rows that are not read: others with their ids were.
    pub(super) doubles: Vec<Double<'d>>,
    /// Those that move.
    pub(super) budgets: BTreeMap<String, Budget>,
    pub(super) organizations: BTreeSet<String>,
    pub(super) teams: BTreeSet<String>,
    /// Users that do not move: what holds for them would not hold for their keys.
    pub(super) users_left: BTreeSet<String>,
    /// The same for members: team and user.
    pub(super) members_left: BTreeSet<(String, String)>,
    /// Who has which address.
    pub(super) emails: BTreeMap<String, String>,
    /// Who signs in elsewhere by which id.
    pub(super) sso_ids: BTreeMap<String, String>,
    /// What sets of permissions hold, by their ids; those that hold nothing are not there.
    permissions: BTreeMap<String, Value>,
    /// The models of access groups, by their ids.
    access_groups: BTreeMap<String, Vec<String>>,
    /// Teams' own names for models, by the ids that teams refer to.
    pub(super) aliases: BTreeMap<String, Map<String, Value>>,
}

impl<'d> World<'d> {
    pub(super) fn of(dump: &'d Dump, options: &'d Options) -> Self {
        let mut world = Self {
            dump,
            options,
            files: dump.files.iter().map(|name| Arc::from(name.as_str())).collect(),
            doubles: doubles::find(dump),
            budgets: BTreeMap::new(),
            organizations: BTreeSet::new(),
            teams: BTreeSet::new(),
            users_left: BTreeSet::new(),
            members_left: BTreeSet::new(),
            emails: BTreeMap::new(),
            sso_ids: BTreeMap::new(),
            permissions: BTreeMap::new(),
            access_groups: BTreeMap::new(),
            aliases: BTreeMap::new(),
        };
        world.permissions = world
            .rows("LiteLLM_ObjectPermissionTable")
            .filter_map(|row| Some((row.get("object_permission_id")?.to_owned(), grants(row)?)))
            .collect();
        let models = |row: &Row| row.get("access_model_names").and_then(values::array);
        world.access_groups = world
            .rows("LiteLLM_AccessGroupTable")
            .filter_map(|row| Some((row.get("access_group_id")?.to_owned(), models(row)?)))
            .collect();
        let names = |row: &Row| match values::json(row.get("aliases")?)? {
            Value::Object(names) => Some(names),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        };
        world.aliases = world
            .rows("LiteLLM_ModelTable")
            .filter_map(|row| Some((row.get("id")?.to_owned(), names(row)?)))
            .collect();
        world
    }

    /// The rows of a table, each once.
    pub(super) fn rows(&self, table: &str) -> impl Iterator<Item = &'d Row> + use<'d> {
        let doubles = doubles::places(&self.doubles, table);
        let rows = self.dump.tables.get(table).map(|content| content.rows.iter().enumerate());
        let rows = rows.into_iter().flatten();
        rows.filter(move |(at, _)| !doubles.contains(at)).map(|(_, row)| row)
    }

    pub(super) fn place(&self, file: usize, line: u64) -> Place {
        Place { file: Arc::clone(&self.files[file]), line }
    }

    /// What a set of permissions holds; none if it holds nothing.
    pub(super) fn permission(&self, id: &str) -> Option<&Value> {
        self.permissions.get(id)
    }

    /// The models of an access group.
    pub(super) fn models_of(&self, group: &str) -> Option<&[String]> {
        self.access_groups.get(group).map(Vec::as_slice)
    }
}

/// The lists of a set of permissions that are not empty.
fn grants(row: &Row) -> Option<Value> {
    const LISTS: &[&str] = &[
        "agent_access_groups",
        "agents",
        "blocked_tools",
        "mcp_access_groups",
        "mcp_servers",
        "mcp_toolsets",
        "models",
        "search_tools",
        "skills",
        "vector_stores",
    ];
    let list = |name: &&'static str| {
        let items = row.get(name).and_then(values::array).filter(|items| !items.is_empty())?;
        Some(((*name).to_owned(), Value::from(items)))
    };
    let tools = row.get("mcp_tool_permissions").and_then(values::json);
    let tools = tools.filter(|tools| tools.as_object().is_some_and(|tools| !tools.is_empty()));
    let tools = tools.map(|tools| ("mcp_tool_permissions".to_owned(), tools));
    let held: Map<String, Value> = LISTS.iter().filter_map(list).chain(tools).collect();
    (!held.is_empty()).then_some(Value::Object(held))
}
