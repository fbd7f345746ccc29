//! The audit log, as LiteLLM's `/audit` shows it, and what proves it.

use dunlin_types::ChainHash;
use serde::{Deserialize, Serialize};

use crate::RawJson;

/// One change of one thing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The row's number, from 1.
    pub id: String,
    /// When it was done, ISO 8601 in UTC.
    pub updated_at: String,
    /// Who did it: the name an admin gave, else the user; none if a node did.
    pub changed_by: Option<String>,
    /// With which key: its hash, or `litellm_proxy_master_key`.
    pub changed_by_api_key: Option<String>,
    /// `created`, `updated`, `deleted`, `blocked`, `unblocked` or `rotated`.
    pub action: String,
    /// To what kind of thing: LiteLLM's name of its table.
    pub table_name: String,
    /// To which one.
    pub object_id: String,
    /// The changed fields as they were; null of what was made.
    pub before_value: Option<RawJson>,
    /// The changed fields as they are now.
    pub updated_values: RawJson,
    /// As people know the thing.
    pub object_alias: Option<String>,
    /// The address of the user who did it.
    pub changed_by_user_email: Option<String>,
    /// As people know the key it was done with.
    pub changed_by_key_alias: Option<String>,
    /// Whose key it was, whatever name was given.
    pub user_id: Option<String>,
    /// The client's address.
    pub client_ip: Option<String>,
    /// The client's program, as it calls itself.
    pub user_agent: Option<String>,
    /// The path that was called.
    pub route: Option<String>,
    /// The node that was asked.
    pub node_id: String,
    /// The entry of the replicated log.
    pub log_index: u64,
    /// Of the chain up to and with this row.
    pub hash: ChainHash,
}

/// One page of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditPage {
    /// The rows on this page.
    pub audit_logs: Vec<AuditEntry>,
    /// How many match on all pages.
    pub total: usize,
    /// This page's number, from 1.
    pub page: usize,
    /// How many rows are on one.
    pub page_size: usize,
    /// How many pages there are.
    pub total_pages: usize,
    /// So many rows are older than all that are kept here.
    pub dropped: u64,
    /// When the oldest row here was made.
    pub reaches_back_to: Option<String>,
}

/// Whether the rows are what they were when they were chained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditProof {
    /// Whether they all are.
    pub intact: bool,
    /// The first row that is not.
    pub broken_at: Option<u64>,
    /// How many rows were recomputed.
    pub checked: u64,
    /// The number of the last row that is kept no longer; 0 for none.
    pub dropped: u64,
    /// The chain's hash up to that row.
    pub anchor: ChainHash,
    /// The newest row's number.
    pub newest: u64,
    /// The hash of the whole chain. Noted elsewhere, it proves later that no row before it was
    /// changed.
    pub head: ChainHash,
}
