//! Keys, as LiteLLM's key endpoints show them.

use std::collections::BTreeMap;

use dunlin_types::KeyDigest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON value as its text.
pub type RawJson = Box<RawValue>;

/// What was deleted, each as it was named.
#[derive(Debug, Clone, Serialize)]
pub struct DeletedKeys {
    /// Keys, hashes or aliases.
    pub deleted_keys: Vec<String>,
}

/// A row as it is written: field names and their JSON.
pub type Row = BTreeMap<String, RawJson>;

/// A key's row as it is read. The clear `key` is there once, in the answer that made it.
#[derive(Debug, Clone, Deserialize)]
pub struct KeyRow {
    /// The clear key when it is made; the key as it was named when it is updated.
    pub key: Option<String>,
    /// How it is shown: `sk-...` and its last four characters.
    pub key_name: String,
    /// A name for people.
    pub key_alias: Option<String>,
    /// SHA-256 of the clear key.
    pub token: Option<KeyDigest>,
    /// Settled spend of the present period in US dollars.
    pub spend: f64,
    /// The most it may spend in a period, in US dollars.
    #[serde(default)]
    pub max_budget: Option<f64>,
    /// How long a period is; for ever if none.
    #[serde(default)]
    pub budget_duration: Option<String>,
    /// When the next period begins, ISO 8601 in UTC.
    #[serde(default)]
    pub budget_reset_at: Option<String>,
    /// When it ends, ISO 8601 in UTC; never if none.
    pub expires: Option<String>,
    /// The models it may call; empty for all.
    pub models: Vec<String>,
    /// Its own names for models.
    pub aliases: BTreeMap<String, String>,
    /// Whether it is refused; `null` if that was never said.
    pub blocked: Option<bool>,
    /// Requests in any minute.
    pub rpm_limit: Option<u64>,
    /// Tokens in any minute.
    pub tpm_limit: Option<u64>,
    /// Requests at the same time.
    pub max_parallel_requests: Option<u64>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// The team whose it is.
    #[serde(default)]
    pub team_id: Option<String>,
    /// The organization whose it is.
    #[serde(default)]
    pub organization_id: Option<String>,
    /// A JSON object of the admin's own; its `tags` are the key's.
    pub metadata: RawJson,
    /// When it was made, ISO 8601 in UTC.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it last changed, ISO 8601 in UTC.
    pub updated_at: String,
}

/// The answer of `/key/info`.
#[derive(Debug, Clone, Serialize)]
pub struct KeyInfo {
    /// The key as it was named; the hash if the caller asked about its own.
    pub key: String,
    /// Its row, without the token.
    pub info: Row,
}

/// One page of `/key/list`; a reader who asked for rows reads rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyList<K = ListedKey> {
    /// The keys on this page.
    pub keys: Vec<K>,
    /// How many there are on all pages.
    pub total_count: usize,
    /// This page's number, from 1.
    pub current_page: usize,
    /// How many pages there are.
    pub total_pages: usize,
}

/// A key in a list.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ListedKey {
    /// Its hash.
    Token(KeyDigest),
    /// Its whole row, if asked for.
    Row(Row),
}
