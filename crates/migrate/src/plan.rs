//! From the rows of a dump to the rows that are sent to a cluster, with what changes on the way and
//! what has no place here.

mod config;
mod doubles;
mod draft;
mod groups;
mod keys;
mod members;
mod models;
mod spenders;
mod terms;
mod users;
mod world;

use std::fmt;
use std::sync::Arc;

use dunlin_admin_api::RawJson;
use dunlin_ledger::Calendar;
use dunlin_types::{Secret, UnixMillis};

use crate::dump::{Content, Dump};
use crate::tables::{self, Use};
use world::World;

/// By what a dump is judged.
#[derive(Clone, Debug)]
pub struct Options {
    /// The present.
    pub now: UnixMillis,
    /// Where budgets' periods begin here.
    pub calendar: Calendar,
    /// Under which models and credentials are stored.
    pub salt: Option<Secret>,
    /// The master key, which is no virtual key.
    pub master: Option<Secret>,
    /// Rows with a guard that this version does not enforce are taken without it, not left out.
    pub drop_guards: bool,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As it was named.
    pub file: Arc<str>,
    /// From 1.
    pub line: u64,
}

/// What there is to say of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// As LiteLLM names it; empty where the whole row is meant.
    pub field: String,
    /// Why, for people.
    pub reason: String,
}

/// What becomes of a row or a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It moves as it is.
    Kept,
    /// It moves, and some of it is different here.
    Changed(Vec<Finding>),
    /// It does not move.
    Unsupported(Vec<Finding>),
    /// It need not move.
    Needless(String),
}

/// A row of the dump, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Of which table.
    pub table: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it is, for people.
    pub object: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What is sent to the cluster, if it moves.
    pub way: Option<Way>,
}

/// How a row gets to the cluster. As JSON, which is a tenth of the size: a plan may hold a million.
#[derive(Clone)]
pub enum Way {
    /// With others, as a [`dunlin_admin_api::ImportRow`].
    Import(RawJson),
    /// By a request of its own that makes such a thing: the path, and the body. It holds secrets.
    Post(&'static str, RawJson),
}

/// Without the bodies: they hold secrets.
impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import(_) => "Import",
            Self::Post(path, _) => path,
        })
    }
}

/// A table whose rows are not looked at one by one.
#[derive(Clone, Debug)]
pub struct TableNote {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// Where they begin.
    pub place: Option<Place>,
    /// What becomes of them.
    pub outcome: Outcome,
}

/// A setting of the config file.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a dump.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In an order in which nothing is named before it is there.
    pub items: Vec<Item>,
    /// By name.
    pub tables: Vec<TableNote>,
    /// Columns that this version does not know and in which something stands, each once: table and
    /// column.
    pub strange: Vec<(String, String)>,
    /// Tables of something else.
    pub foreign: usize,
    /// The version of the database, as the dump tells it.
    pub made_by: Option<String>,
}

impl Plan {
    /// Whether something does not move.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        let unsupported = |outcome: &Outcome| matches!(outcome, Outcome::Unsupported(_));
        self.items.iter().any(|item| unsupported(&item.outcome))
            || self.tables.iter().any(|table| unsupported(&table.outcome))
            || !self.strange.is_empty()
    }
}

/// Plans the move of a dump.
#[must_use]
pub fn plan(dump: &Dump, options: &Options) -> Plan {
    let mut world = World::of(dump, options);
    let mut items = groups::budgets(&mut world);
    items.extend(groups::organizations(&mut world));
    items.extend(users::users(&mut world));
    items.extend(groups::teams(&mut world));
    items.extend(members::of_organizations(&mut world));
    items.extend(members::of_teams(&mut world));
    items.extend(spenders::tags(&mut world));
    items.extend(spenders::end_users(&mut world));
    items.extend(keys::keys(&mut world));
    // Models name credentials.
    items.extend(models::credentials(&world));
    items.extend(models::models(&world));
    items.extend(config::settings(&world));
    items.extend(world.doubles.iter().map(|double| double.item(&world)));
    for (name, content) in &dump.tables {
        let Some(table) = tables::find(name) else { continue };
        items.extend(faults(&world, table.name, content));
    }
    let ours = |name: &str| tables::find(name).is_some() || name.starts_with("LiteLLM_");
    Plan {
        tables: notes(&world),
        strange: strange(dump),
        foreign: dump.tables.keys().filter(|name| !ours(name)).count(),
        made_by: dump.made_by.clone(),
        items,
    }
}

fn strange(dump: &Dump) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, content) in &dump.tables {
        all.extend(content.strange.iter().map(|column| (name.clone(), column.to_string())));
    }
    all
}

/// Rows that are damaged.
fn faults(world: &World<'_>, table: &'static str, content: &Content) -> Vec<Item> {
    let item = |(file, line, why): &(usize, u64, String)| Item {
        table,
        place: world.place(*file, *line),
        object: "a row".to_owned(),
        outcome: Outcome::Unsupported(vec![Finding {
            field: String::new(),
            reason: format!("the row cannot be read: {why}"),
        }]),
        way: None,
    };
    content.faults.iter().map(item).collect()
}

/// What is read into the rows that refer to it.
const JOINED: &[&str] =
    &["LiteLLM_AccessGroupTable", "LiteLLM_ModelTable", "LiteLLM_ObjectPermissionTable"];

fn notes(world: &World<'_>) -> Vec<TableNote> {
    let mut notes = Vec::new();
    for (name, content) in &world.dump.tables {
        let unsupported = |reason: &str| {
            Outcome::Unsupported(vec![Finding { field: String::new(), reason: reason.to_owned() }])
        };
        let outcome = match tables::find(name).map(|table| table.r#use) {
            Some(Use::Read) if JOINED.contains(&name.as_str()) => {
                Outcome::Needless("it is read into the rows that refer to it".to_owned())
            }
            Some(Use::Read) => continue,
            Some(Use::Needless(why)) => Outcome::Needless(why.to_owned()),
            Some(Use::Unsupported(why)) => unsupported(why),
            None if name.starts_with("LiteLLM_") => {
                unsupported("this version does not know the table")
            }
            None => continue,
        };
        if content.count > 0 {
            let place = content.first.map(|(file, line)| world.place(file, line));
            notes.push(TableNote { name: name.clone(), rows: content.count, place, outcome });
        }
    }
    notes
}
