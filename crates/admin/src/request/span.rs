//! From which day to which, as queries say it. Days are those of UTC.

use dunlin_state::{DAYS_KEPT, Day};
use dunlin_types::UnixMillis;
use jiff::Span as Length;
use jiff::civil::{Date, date};

use crate::error::Error;
use crate::routes::Request;

const FIRST: Date = date(1970, 1, 1);

/// From one day to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Day,
    pub(crate) to: Day,
}

impl Span {
    /// The last `days` days, the present one included.
    pub(crate) fn last(days: u32, now: UnixMillis) -> Self {
        let to = Day::of(now);
        Self { from: Day((to.0 + 1).saturating_sub(days)), to }
    }

    /// From the parameters `start_date` and `end_date`, which must be there, or `last_days`, which
    /// LiteLLM does not know.
    pub(crate) fn read(asked: &Request, now: UnixMillis) -> Result<Self, Error> {
        let given = Self::given(asked)?;
        given.map_or_else(|| Self::read_last(asked, now)?.ok_or_else(missing), Ok)
    }

    /// The same, or the last `days` days if neither is there.
    pub(crate) fn read_or_last(asked: &Request, days: u32, now: UnixMillis) -> Result<Self, Error> {
        let given = Self::given(asked)?;
        let last = || Ok(Self::read_last(asked, now)?.unwrap_or_else(|| Self::last(days, now)));
        given.map_or_else(last, Ok)
    }

    fn read_last(asked: &Request, now: UnixMillis) -> Result<Option<Self>, Error> {
        let Some(text) = asked.param("last_days") else { return Ok(None) };
        match text.parse() {
            Ok(days @ 1..=DAYS_KEPT) => Ok(Some(Self::last(days, now))),
            Ok(_) | Err(_) => {
                let reason = format!("last_days: `{text}` is not a number from 1 to {DAYS_KEPT}");
                Err(Error::BadField { name: "last_days", reason })
            }
        }
    }

    fn given(asked: &Request) -> Result<Option<Self>, Error> {
        let (from, to) = match (asked.param("start_date"), asked.param("end_date")) {
            (Some(from), Some(to)) => (from, to),
            (None, None) => return Ok(None),
            (Some(_), None) | (None, Some(_)) => return Err(missing()),
        };
        let (from, to) = (parse("start_date", from)?, parse("end_date", to)?);
        if from > to {
            let reason = format!("start_date {} is after end_date {}", text(from), text(to));
            return Err(Error::BadField { name: "start_date", reason });
        }
        Ok(Some(Self { from, to }))
    }
}

fn missing() -> Error {
    let reason = "Please provide start_date and end_date, each as YYYY-MM-DD".to_owned();
    Error::BadField { name: "start_date", reason }
}

fn parse(name: &'static str, text: &str) -> Result<Day, Error> {
    // A date in another form may be another date.
    let day = Some(text).filter(|text| text.len() == "YYYY-MM-DD".len());
    let day = day.and_then(|text| text.parse::<Date>().ok());
    let day = day.and_then(|day| FIRST.until(day).ok());
    day.and_then(|passed| u32::try_from(passed.get_days()).ok()).map(Day).ok_or_else(|| {
        let reason = format!(
            "{name}: `{text}` is not a day: expected YYYY-MM-DD, from 1970-01-01 on, such as \
             2026-03-31"
        );
        Error::BadField { name, reason }
    })
}

fn date_of(day: Day) -> Date {
    let passed = Length::new().try_days(i64::from(day.0));
    passed.ok().and_then(|passed| FIRST.checked_add(passed).ok()).unwrap_or(Date::MAX)
}

/// A day as `YYYY-MM-DD`.
pub(crate) fn text(day: Day) -> String {
    date_of(day).to_string()
}

/// A day as the charts of LiteLLM's UI label it: `Jan 22`.
pub(crate) fn label(day: Day) -> String {
    date_of(day).strftime("%b %d").to_string()
}

/// A day as a moment in LiteLLM's form.
pub(crate) fn midnight(day: Day) -> String {
    format!("{}T00:00:00+00:00", text(day))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rights::caller::Caller;
    use crate::rights::tests::asked_by;

    /// A request by a caller that may see everything.
    pub(crate) fn asked(query: &str) -> Request {
        asked_as(Caller::Master, query)
    }

    pub(crate) fn asked_as(caller: Caller, query: &str) -> Request {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Request { query, ..asked_by(caller) }
    }

    #[test]
    fn days_are_read_and_written_alike() {
        let span = Span::read(&asked("start_date=1970-01-02&end_date=2026-03-01"), UnixMillis(0));
        let span = span.expect("two days");
        assert_eq!(span, Span { from: Day(1), to: Day(20_513) });
        assert_eq!((text(span.to), label(span.to)), ("2026-03-01".to_owned(), "Mar 01".to_owned()));
        assert_eq!(midnight(span.from), "1970-01-02T00:00:00+00:00");
        let now = UnixMillis(Day(20_513).start().0 + 7);
        let last = Span::read_or_last(&asked(""), 30, now).expect("the last ones");
        assert_eq!(last, Span { from: Day(20_484), to: Day(20_513) });
        let named = Span::read(&asked("last_days=2"), now).expect("two days");
        assert_eq!(named, Span { from: Day(20_512), to: Day(20_513) });
    }

    #[test]
    fn what_is_no_span_of_days_is_refused_with_the_way_out() {
        for (query, told) in [
            ("", "Please provide start_date and end_date"),
            ("start_date=2026-01-01", "Please provide start_date and end_date"),
            ("start_date=2026-02-30&end_date=2026-03-01", "start_date: `2026-02-30` is not a day"),
            ("start_date=2026-02-01&end_date=01.03.2026", "end_date: `01.03.2026` is not a day"),
            (
                "start_date=1969-12-31&end_date=2026-03-01",
                "start_date: `1969-12-31` is not a day: expected YYYY-MM-DD, from 1970-01-01 on",
            ),
            ("start_date=2026-02-01T00:00&end_date=2026-03-01", "start_date: `2026-02-01T00:00`"),
            ("last_days=63", "last_days: `63` is not a number from 1 to 62"),
            (
                "start_date=2026-03-02&end_date=2026-03-01",
                "start_date 2026-03-02 is after end_date",
            ),
        ] {
            let refused = Span::read(&asked(query), UnixMillis(0)).expect_err(query);
            assert!(matches!(refused, Error::BadField { .. }), "{query}");
            assert!(refused.told().starts_with(told), "{query}: {}", refused.told());
        }
    }
}
