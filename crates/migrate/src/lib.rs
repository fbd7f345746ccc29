//! What of a LiteLLM installation moves to dunlin: reads a dump of its database, and plans what is
//! kept, what is changed, and what has no place here.
//!
//! Knows no files and no network: lines come in ([`Dump`]), a [`Plan`] goes out, and its caller
//! sends its rows to a cluster. A dump may be many times larger than memory: what is not needed is
//! counted and forgotten line by line. Invariants: every row of a relevant table is in the plan
//! exactly once, with its line; a row that would be less guarded than before is never planned
//! unless that was requested; no text of a plan shows a secret. Read `dump.rs`, then `plan.rs`.

mod csv;
mod dump;
mod plan;
mod report;
mod secrets;
mod sql;
mod tables;
mod values;

pub use csv::CsvReader;
pub use dump::{Dump, Unreadable};
pub use plan::{Finding, Item, Options, Outcome, Place, Plan, Setting, TableNote, Way, plan};
pub use report::{json, text};
pub use sql::SqlReader;
