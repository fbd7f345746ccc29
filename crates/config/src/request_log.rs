//! What the file says of the request log: what goes on record and how long it is kept.

use std::time::Duration;

use dunlin_ledger::expiry;
use dunlin_types::UnixMillis;

use crate::report::Report;
use crate::tree::{Map, Node};

const RETENTION: &str = "maximum_spend_logs_retention_period";

/// The request log of each node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLog {
    /// `store_prompts_in_spend_logs`, unless `turn_off_message_logging`: prompts and answers go on
    /// record.
    pub keeps_said: bool,
    /// `turn_off_message_logging`: they are on no disk at all.
    pub redacts: bool,
    /// `maximum_spend_logs_retention_period`: older records go.
    pub age: Option<Duration>,
}

/// Reads `general_settings` and `litellm_settings`.
pub(crate) fn read(root: &Map, report: &mut Report) -> RequestLog {
    let empty = Map::default();
    let section = |name: &str| root.get(name).and_then(Node::as_map).unwrap_or(&empty);
    let (general, litellm) = (section("general_settings"), section("litellm_settings"));
    let mut flag = |of: &str, map: &Map, name: &str| {
        report.flag(&format!("{of}.{name}"), map.get(name)).unwrap_or_default()
    };
    let stored = flag("general_settings", general, "store_prompts_in_spend_logs");
    let silent = flag("litellm_settings", litellm, "turn_off_message_logging");
    let age = age(general.get(RETENTION), report);
    RequestLog { keeps_said: stored && !silent, redacts: silent, age }
}

fn age(node: Option<&Node>, report: &mut Report) -> Option<Duration> {
    let name = format!("general_settings.{RETENTION}");
    let text = report.text(&name, node)?;
    // From the first day of a January: a month has 31 days.
    match expiry(text, UnixMillis(0)) {
        Ok(end) if end > UnixMillis(0) => Some(Duration::from_millis(end.0)),
        Ok(_) | Err(_) => {
            let node = node.expect("it was read");
            report.wrong_value(&name, node, "must be a time such as 30d, 12h or 1mo")
        }
    }
}
