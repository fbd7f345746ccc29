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

/// The same, or so long before `now`: `30s`, `10m`, `2h`, `7d`, `2w`.
pub(crate) fn read(text: &str, now: UnixMillis) -> Option<UnixMillis> {
    ago(text, now).or_else(|| parse(text))
}

/// The moment that lies as long before `now` as `text` says.
pub(crate) fn ago(text: &str, now: UnixMillis) -> Option<UnixMillis> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let back = count.parse::<u64>().ok()?.checked_mul(seconds)?.checked_mul(1_000)?;
    Some(UnixMillis(now.0.saturating_sub(back)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_such_or_by_how_long_ago_it_was() {
        let now = UnixMillis(1_800_000_000_000);
        for (text, before) in [("30s", 30), ("10m", 600), ("2h", 7_200), ("1w", 604_800), ("0s", 0)]
        {
            assert_eq!(read(text, now), Some(UnixMillis(now.0 - before * 1_000)), "{text}");
        }
        assert_eq!(read("99999999w", now), Some(UnixMillis(0)), "before all time");
        assert_eq!(read("2027-01-15", now), Some(UnixMillis(1_799_971_200_000)));
        for none in ["m", "10", "10 m", "-5m", "10min", "soon", "99999999999999999999d"] {
            assert_eq!(read(none, now), None, "{none}");
        }
    }
}
