//! Rows from elsewhere, as `POST /dunlin/import` takes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// So many rows are taken at a time.
pub const MAX_IMPORT_ROWS: usize = 500;

/// What is to be imported, in an order in which nothing is named before it is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    /// The rows, at most [`MAX_IMPORT_ROWS`].
    pub rows: Vec<ImportRow>,
    /// Rows that differ from what is there take its place; else they are told and left out.
    #[serde(default)]
    pub overwrite: bool,
    /// Tells what would become of the rows, and does nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportRow {
    /// What it is.
    pub kind: ImportKind,
    /// The fields that the API's own request for such a thing has, and beside them: `created_at`,
    /// `created_by`, `budget_reset_at` of the period in which `spend` was spent; of a key `token`,
    /// `key_name`, `expires` and `former`; of a team `team_member_budget_id`; of a membership
    /// `user_id`, `role` and the name of the group.
    pub fields: Map<String, Value>,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportKind {
    /// Terms that others share.
    Budget,
    /// An organization.
    Organization,
    /// A user.
    User,
    /// A team.
    Team,
    /// That a user belongs to an organization.
    OrganizationMember,
    /// That a user belongs to a team.
    TeamMember,
    /// A customer's customer.
    EndUser,
    /// A word on requests.
    Tag,
    /// A key, by its hash.
    Key,
}

/// A former text of a key that still works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Former {
    /// Its SHA-256.
    pub token: String,
    /// Until when, ISO 8601.
    pub until: String,
}

/// What became of the rows, in their order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Imported {
    /// One for each row.
    pub rows: Vec<ImportedRow>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum ImportedRow {
    /// It is there from now on.
    Made,
    /// It was there, the same. What it has spent since is untouched.
    Unchanged,
    /// It has taken the place of another.
    Replaced,
    /// Another is there: what differs.
    Conflict(String),
    /// It cannot be taken: why.
    Refused(String),
}
