//! The JSON of the admin API, shared by the server and its readers: `cluster` and the CLI.
//!
//! Knows no HTTP and no state: which values a field may have is here (`values.rs`); what it means and
//! who may see it, `admin` decides.
//! Unknown fields are ignored on reading, so an older reader can ask a newer node. Read `key.rs`
//! first.

mod audit;
mod cluster;
mod fields;
mod import;
mod key;
mod user;
pub mod values;

pub use audit::{AuditEntry, AuditPage, AuditProof};
pub use cluster::{
    BackendStatus, ClusterStatus, LogFormat, MemberRole, MemberStatus, NoMajority, RemovedMember,
    SecretStatus,
};
pub use fields::{Field, Of, REGIONS, Shape, THROUGHPUTS, idle_fields, warnings_of, why_refused};
pub use import::{Former, Import, ImportKind, ImportRow, Imported, ImportedRow, MAX_IMPORT_ROWS};
pub use key::{DeletedKeys, KeyInfo, KeyList, KeyRow, ListedKey, RawJson, Row};
pub use user::is_address;
