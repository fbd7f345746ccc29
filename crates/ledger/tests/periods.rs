//! Periods and lifetimes as LiteLLM's users expect them, on days of 23 and 25 hours, too.

use dunlin_ledger::{BadCalendar, BadDuration, Calendar, Every, Length, Period, expiry};
use dunlin_types::UnixMillis;
use jiff::Timestamp;
use proptest::prelude::*;

fn at(text: &str) -> UnixMillis {
    let at: Timestamp = text.parse().expect("a moment");
    UnixMillis(u64::try_from(at.as_millisecond()).expect("after 1970"))
}

fn calendar(zone: &str, reset_at: &str) -> Calendar {
    Calendar::new(zone, reset_at).expect("there is such a zone and time")
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
        assert_eq!(expiry(text, at("2027-01-31T12:00:00Z")), Ok(at(end)), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    for text in ["", "30", "d", "1y", "-1d", "1.5h", " ", "d30"] {
        assert_eq!(expiry(text, UnixMillis(0)), Err(BadDuration::Unreadable), "{text}");
        assert_eq!(Every::parse(text), Err(BadDuration::Unreadable), "{text}");
    }
    for text in ["9999999999d", "99999999999999999999s", "99999mo"] {
        assert_eq!(expiry(text, UnixMillis(0)), Err(BadDuration::TooLong), "{text}");
    }
    let cases = [("0s", BadDuration::Nothing), ("2mo", BadDuration::Months)];
    for (text, expected) in cases {
        assert_eq!(Every::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn periods_begin_and_end_by_the_calendar() {
    // zone, begins at, every, a moment, start, end
    let cases = "\
        UTC 00:00 1d 2026-11-25T22:30:00Z 2026-11-25T00:00:00Z 2026-11-26T00:00:00Z
        UTC 00:00 24h 2026-11-25T00:00:00Z 2026-11-25T00:00:00Z 2026-11-26T00:00:00Z
        UTC 00:00 daily 2026-11-24T23:59:59.999Z 2026-11-24T00:00:00Z 2026-11-25T00:00:00Z
        UTC 06:30 1d 2026-11-25T06:29:00Z 2026-11-24T06:30:00Z 2026-11-25T06:30:00Z
        UTC 06:30 1d 2026-11-25T06:30:00Z 2026-11-25T06:30:00Z 2026-11-26T06:30:00Z
        UTC 00:00 7d 2026-11-25T22:30:00Z 2026-11-23T00:00:00Z 2026-11-30T00:00:00Z
        UTC 00:00 1w 2026-11-30T00:00:00Z 2026-11-30T00:00:00Z 2026-12-07T00:00:00Z
        UTC 06:30 weekly 2026-11-30T06:00:00Z 2026-11-23T06:30:00Z 2026-11-30T06:30:00Z
        UTC 00:00 30d 2026-11-25T22:30:00Z 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z
        UTC 00:00 1mo 2027-02-28T23:59:59Z 2027-02-01T00:00:00Z 2027-03-01T00:00:00Z
        UTC 06:30 monthly 2027-01-01T00:00:00Z 2026-12-01T06:30:00Z 2027-01-01T06:30:00Z
        UTC 06:30 1h 2026-11-25T22:30:00Z 2026-11-25T22:00:00Z 2026-11-25T23:00:00Z
        UTC 00:00 6h 2026-11-25T22:30:00Z 2026-11-25T18:00:00Z 2026-11-26T00:00:00Z
        UTC 00:00 5h 2026-11-25T22:30:00Z 2026-11-25T20:00:00Z 2026-11-26T00:00:00Z
        UTC 00:00 15min 2026-11-25T22:44:00Z 2026-11-25T22:30:00Z 2026-11-25T22:45:00Z
        UTC 00:00 90m 2026-11-25T22:44:00Z 2026-11-25T22:30:00Z 2026-11-26T00:00:00Z
        UTC 00:00 30s 2026-11-25T22:44:31Z 2026-11-25T22:44:30Z 2026-11-25T22:45:00Z
        UTC 00:00 14d 2026-11-25T22:44:31Z 2026-11-23T00:00:00Z 2026-12-07T00:00:00Z
        UTC 00:00 3d 2026-11-25T22:44:31Z 2026-11-25T00:00:00Z 2026-11-28T00:00:00Z
        UTC 00:00 36h 2026-11-25T22:44:31Z 2026-11-25T00:00:00Z 2026-11-26T12:00:00Z
        Asia/Tokyo 00:00 1d 2026-11-25T14:59:59Z 2026-11-24T15:00:00Z 2026-11-25T15:00:00Z
        Asia/Kolkata 00:00 1h 2026-11-25T14:45:00Z 2026-11-25T14:30:00Z 2026-11-25T15:30:00Z
        America/New_York 00:00 30d 2026-12-01T04:59:00Z 2026-11-01T04:00:00Z 2026-12-01T05:00:00Z
        Europe/Berlin 00:00 1d 2026-03-29T12:00:00Z 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z
        Europe/Berlin 02:30 1d 2026-03-29T12:00:00Z 2026-03-29T01:30:00Z 2026-03-30T00:30:00Z
        Europe/Berlin 00:00 1d 2026-10-25T12:00:00Z 2026-10-24T22:00:00Z 2026-10-25T23:00:00Z
        Europe/Berlin 02:30 1d 2026-10-25T01:15:00Z 2026-10-25T00:30:00Z 2026-10-26T01:30:00Z
        Europe/Berlin 00:00 1h 2026-10-25T01:15:00Z 2026-10-25T00:00:00Z 2026-10-25T02:00:00Z
        Europe/Berlin 00:00 12h 2026-10-25T12:15:00Z 2026-10-25T11:00:00Z 2026-10-25T23:00:00Z
        Europe/Berlin 00:00 15m 2026-10-25T01:20:00Z 2026-10-25T01:15:00Z 2026-10-25T01:30:00Z
        America/Sao_Paulo 00:00 1d 2018-11-04T12:00:00Z 2018-11-04T03:00:00Z 2018-11-05T02:00:00Z";
    for case in cases.lines() {
        let words: Vec<&str> = case.split_whitespace().collect();
        let [zone, reset_at, every, moment, start, end] = words[..] else { panic!("{case}") };
        let every = Every::parse(every).expect("a period");
        let period = calendar(zone, reset_at).period(every, at(moment));
        assert_eq!(period, Period { start: at(start), end: at(end) }, "{case}");
    }
}

#[test]
fn days_that_no_calendar_counts_are_counted_from_the_day_they_were_set() {
    // zone, every, set at, a moment, start, end
    let cases = "\
        UTC 90d 2026-11-26T18:22:00Z 2026-11-26T18:22:00Z 2026-11-26T00:00:00Z 2027-02-24T00:00:00Z
        UTC 90d 2026-11-26T18:22:00Z 2027-02-24T00:00:00Z 2027-02-24T00:00:00Z 2027-05-25T00:00:00Z
        UTC 10d 2026-11-26T00:00:00Z 2026-12-05T23:59:59Z 2026-11-26T00:00:00Z 2026-12-06T00:00:00Z
        UTC 2w 2026-11-26T18:22:00Z 2026-11-26T18:22:00Z 2026-11-26T00:00:00Z 2026-12-10T00:00:00Z
        UTC 36h 2026-11-26T18:22:00Z 2026-11-26T18:22:00Z 2026-11-26T00:00:00Z 2026-11-27T12:00:00Z
        UTC 10d 2026-12-06T00:00:00Z 2026-11-30T00:00:00Z 2026-11-26T00:00:00Z 2026-12-06T00:00:00Z
        Europe/Berlin 5d 2026-10-24T22:30:00Z 2026-10-27T00:00:00Z 2026-10-24T22:00:00Z 2026-10-29T23:00:00Z
        UTC 7d 2026-11-26T18:22:00Z 2026-11-26T18:22:00Z 2026-11-23T00:00:00Z 2026-11-30T00:00:00Z
        UTC 30d 2026-11-26T18:22:00Z 2026-11-26T18:22:00Z 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z";
    for case in cases.lines() {
        let words: Vec<&str> = case.split_whitespace().collect();
        let [zone, every, set, moment, start, end] = words[..] else { panic!("{case}") };
        let every = Every::parse(every).expect("a period").since(Some(at(set)));
        let period = calendar(zone, "00:00").period(every, at(moment));
        assert_eq!(period, Period { start: at(start), end: at(end) }, "{case}");
    }
}

#[test]
fn what_is_no_zone_or_time_is_refused() {
    for zone in ["Europe/Nowhere", "", "CET+1", "../UTC"] {
        assert_eq!(Calendar::new(zone, "00:00"), Err(BadCalendar::Zone(zone.to_owned())));
    }
    for time in ["24:00", "6", "06:60", "", "06:30:00", "+6:30", "-1:00", "٠٦:30"] {
        assert_eq!(Calendar::new("UTC", time), Err(BadCalendar::Time(time.to_owned())));
    }
    assert_eq!(Calendar::new("UTC", "00:00"), Ok(Calendar::default()));
}

#[test]
fn a_rolling_period_begins_with_its_first_use() {
    let hour = Length::parse("1h").expect("an hour");
    let (start, end) = (at("2026-11-25T22:44:31Z"), at("2026-11-25T23:44:31Z"));
    let period = Period { start, end };
    assert_eq!(hour.rolling(UnixMillis(0), start), Ok(period), "never used before");
    assert_eq!(hour.rolling(start, UnixMillis(end.0 - 1)), Ok(period));
    assert_eq!(hour.rolling(start, end).expect("in time").start, end);
}

proptest! {
    /// Every moment is in its period, and all moments of a period agree on it: no moment is in
    /// two, and none is in none.
    #[test]
    fn periods_follow_each_other(
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana",
            "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo",
        ]),
        reset_at in prop::sample::select(vec!["00:00", "02:30", "23:59"]),
        every in prop::sample::select(vec![
            "1s", "7s", "15m", "90m", "1h", "5h", "12h", "36h", "1d", "3d", "7d", "30d", "100d",
        ]),
        moment in 1_000_000_000_000u64..2_000_000_000_000,
        within in 0u64..1_000_000,
    ) {
        let calendar = calendar(zone, reset_at);
        let every = Every::parse(every).expect("a period");
        let period = calendar.period(every, UnixMillis(moment));
        prop_assert!(period.start.0 <= moment && moment < period.end.0);
        let length = period.end.0 - period.start.0;
        let other = UnixMillis(period.start.0 + length * within / 1_000_000);
        prop_assert_eq!(calendar.period(every, other), period);
        let last = UnixMillis(period.end.0 - 1);
        prop_assert_eq!(calendar.period(every, last), period);
        prop_assert_eq!(calendar.period(every, period.end).start, period.end);
    }
}
