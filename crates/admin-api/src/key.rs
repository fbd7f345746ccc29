//! Keys, as LiteLLM's key endpoints show them.

use std::collections::BTreeMap;

use dunlin_types::KeyDigest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON value as its text.
pub type RawJson = Box<RawValue>;

/// Asks for a key: the fields most clients set. The server knows all of LiteLLM's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GenerateKey {
    /// A name for people, unique among all keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_alias: Option<String>,
    /// How long it is valid, such as `30d`; for ever if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The models it may call; empty for all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Requests in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm_limit: Option<u64>,
    /// Tokens in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm_limit: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel_requests: Option<u64>,
}

/// Names one key: `/key/block`, `/key/unblock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRef {
    /// The clear key, or its hash as 64 hex digits.
    pub key: String,
}

/// Names the keys to delete: `/key/delete`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteKeys {
    /// Clear keys or hashes.
    #[serde(default)]
    pub keys: Option<Vec<String>>,
    /// Aliases.
    #[serde(default)]
    pub key_aliases: Option<Vec<String>>,
}

/// What was deleted, each as it was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedKeys {
    /// Keys, hashes or aliases.
    pub deleted_keys: Vec<String>,
}

/// A key's row. The clear `key` is there once, in the answer that made it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyRow {
    /// The clear key when it is made; the key as it was named when it is updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How it is shown: `sk-...` and its last four characters.
    pub key_name: String,
    /// A name for people.
    pub key_alias: Option<String>,
    /// SHA-256 of the clear key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<KeyDigest>,
    /// The same as `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<KeyDigest>,
    /// Settled spend in US dollars.
    pub spend: f64,
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
    /// A JSON object of the admin's own; its `tags` are the key's.
    pub metadata: RawJson,
    /// When it was made, ISO 8601 in UTC.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it last changed, ISO 8601 in UTC.
    pub updated_at: String,
    /// LiteLLM's other fields. Lost on reading.
    #[serde(flatten, skip_deserializing)]
    pub other: BTreeMap<String, RawJson>,
}

/// The answer of `/key/info`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The key as it was named; the hash if the caller asked about its own.
    pub key: String,
    /// Its row, without the token.
    pub info: KeyRow,
}

/// One page of `/key/list`.
#[derive(Debug, Clone, Serialize)]
pub struct KeyList {
    /// The keys on this page.
    pub keys: Vec<ListedKey>,
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
    Row(Box<KeyRow>),
}
