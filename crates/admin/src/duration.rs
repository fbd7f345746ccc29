//! Lifetimes, in LiteLLM's grammar: a number and the beginning of a unit (`30s`, `5m`, `12h`,
//! `7d`, `2w`, `1mo`), or a word. Only the beginning counts: `30min` is 30 minutes.

use dunlin_types::UnixMillis;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Why a text is not a lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadDuration {
    #[error(
        "not a duration: expected a number and a unit, such as 30s, 5m, 12h, 30d, 2w or 1mo, or \
         hourly, daily, weekly, monthly"
    )]
    Unreadable,
    #[error("too long: it would end after the year 9999")]
    TooLong,
}

/// When a lifetime of `text` that begins `now` ends. A month ends on the same day of the next one,
/// or on its last day.
pub(crate) fn ends(text: &str, now: UnixMillis) -> Result<UnixMillis, BadDuration> {
    let now = i64::try_from(now.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let now = now.ok_or(BadDuration::TooLong)?.to_zoned(TimeZone::UTC);
    let end = now.checked_add(span(text)?).map_err(|_| BadDuration::TooLong)?;
    Ok(UnixMillis(u64::try_from(end.timestamp().as_millisecond()).expect("later than now")))
}

fn span(text: &str) -> Result<Span, BadDuration> {
    let text = match text.trim() {
        "hourly" => "1h",
        "daily" => "24h",
        "weekly" => "7d",
        "monthly" => "30d",
        text => text,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(BadDuration::Unreadable)?;
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(BadDuration::Unreadable);
    }
    let number: i64 = number.parse().map_err(|_| BadDuration::TooLong)?;
    let span = Span::new();
    let span = match unit.as_bytes() {
        [b'm', b'o', ..] => span.try_months(number),
        [b'm', ..] => span.try_minutes(number),
        [b's', ..] => span.try_seconds(number),
        [b'h', ..] => span.try_hours(number),
        [b'd', ..] => span.try_days(number),
        [b'w', ..] => span.try_weeks(number),
        _ => return Err(BadDuration::Unreadable),
    };
    span.map_err(|_| BadDuration::TooLong)
}

/// A moment as LiteLLM writes it: ISO 8601 in UTC, with microseconds. Older Pythons read six
/// digits of a second, or three, and no other number of them.
pub(crate) fn iso(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.6}", at.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        let at: Timestamp = text.parse().expect("a moment");
        UnixMillis(u64::try_from(at.as_millisecond()).expect("after 1970"))
    }

    #[test]
    fn lifetimes_end_where_litellm_users_expect() {
        let cases = [
            ("30s", "2027-01-31T12:00:30Z"),
            ("30min", "2027-01-31T12:30:00Z"),
            ("1h", "2027-01-31T13:00:00Z"),
            ("hourly", "2027-01-31T13:00:00Z"),
            ("1d", "2027-02-01T12:00:00Z"),
            ("2weeks", "2027-02-14T12:00:00Z"),
            ("1mo", "2027-02-28T12:00:00Z"),
            ("13months", "2028-02-29T12:00:00Z"),
            ("monthly", "2027-03-02T12:00:00Z"),
            ("0s", "2027-01-31T12:00:00Z"),
        ];
        for (text, end) in cases {
            let ends = ends(text, at("2027-01-31T12:00:00Z"));
            assert_eq!(ends, Ok(at(end)), "{text}");
        }
    }

    #[test]
    fn what_is_no_lifetime_is_refused() {
        for text in ["", "30", "d", "1y", "-1d", "1.5h", " ", "d30"] {
            assert_eq!(ends(text, UnixMillis(0)), Err(BadDuration::Unreadable), "{text}");
        }
        for text in ["9999999999d", "99999999999999999999s", "99999mo"] {
            assert_eq!(ends(text, UnixMillis(0)), Err(BadDuration::TooLong), "{text}");
        }
    }
}
