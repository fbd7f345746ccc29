//! How moments are shown.

use dunlin_types::UnixMillis;
use jiff::Timestamp;

/// A moment as LiteLLM writes it: ISO 8601 in UTC, with microseconds. Older Pythons read six
/// digits of a second, or three, and no other number of them.
pub(crate) fn iso(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.6}", at.unwrap_or(Timestamp::MAX))
}
