//! How moments are shown and read.

use dunlin_types::UnixMillis;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A moment as LiteLLM writes it: ISO 8601 in UTC, with microseconds. Older Pythons read six
/// digits of a second, or three, and no other number of them.
pub(crate) fn iso(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.6}", at.unwrap_or(Timestamp::MAX))
}

/// A moment as clients write it: with a zone, or in UTC; a day is its beginning.
pub(crate) fn parse(text: &str) -> Option<UnixMillis> {
    let zoned = text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let at = zoned.or_else(|| Some(local()?.timestamp()))?;
    u64::try_from(at.as_millisecond()).ok().map(UnixMillis)
}
