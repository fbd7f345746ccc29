//! When budgets reset and keys expire, from LiteLLM's durations: a number and the beginning of a
//! unit (`30s`, `5m`, `12h`, `7d`, `2w`, `1mo`), or a word. Only the beginning of the unit counts:
//! `30min` is 30 minutes.
//!
//! A budget's period is found from the moment and the day its duration was set, so that all nodes
//! agree on it whenever they look. LiteLLM's sweep goes on from when it last ran; where its rule
//! depends on that (hours that do not divide a day), periods here are counted from midnight.

use dunlin_types::UnixMillis;
use jiff::civil::{Date, Time, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, Timestamp};

const SECONDS_A_DAY: i64 = 86_400;
/// By so much clocks are changed at most.
const CLOCK_CHANGE_MS: u64 = 3_600_000;
/// Periods of several days are counted from here, a Monday, so that weeks begin on Mondays, unless
/// it is known when the duration was set ([`Every::since`]).
const FIRST_DAY: Date = date(1970, 1, 5);

/// Why a text is not a duration here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// Not in the grammar.
    #[error(
        "not a duration: expected a number and a unit, such as 30s, 5m, 12h, 30d, 2w or 1mo, or \
         hourly, daily, weekly, monthly"
    )]
    Unreadable,
    /// Beyond what a calendar holds.
    #[error("too long: it would end after the year 9999")]
    TooLong,
    /// A period of no length.
    #[error("too short: a budget's period is one second at least")]
    Nothing,
    /// Several months.
    #[error("not a budget's period: of months, expected 1mo (or any number of days, such as 90d)")]
    Months,
}

/// Why there is no such calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// Not in the database of zones.
    #[error("`{0}` is not a time zone: expected a name such as UTC, Europe/Berlin or US/Pacific")]
    Zone(String),
    /// Not a time of day.
    #[error("`{0}` is not a time of day: expected HH:MM, such as 06:30, in quotes")]
    Time(String),
}

/// A length of time as people write it. A month has no fixed number of days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Length {
    count: i64,
    unit: Unit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

/// How often a budget resets, by the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Every {
    cycle: Cycle,
    /// Days are counted from the day of this moment.
    since: Option<UnixMillis>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cycle {
    Month,
    Days(i64),
    /// Less than a day, counted from midnight.
    Hours(i64),
    /// Counted from midnight, or from the first day's if longer than a day.
    Seconds(i64),
}

/// From `start` to just before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// Its first moment.
    pub start: UnixMillis,
    /// The first moment of the next one.
    pub end: UnixMillis,
}

/// Where days, weeks and months begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    zone: TimeZone,
    reset_at: Time,
}

impl Length {
    /// From LiteLLM's form.
    ///
    /// # Errors
    /// [`BadDuration::Unreadable`], [`BadDuration::TooLong`].
    pub fn parse(text: &str) -> Result<Self, BadDuration> {
        let text = match text.trim() {
            "hourly" => "1h",
            "daily" => "24h",
            "weekly" => "7d",
            "monthly" => "30d",
            text => text,
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(BadDuration::Unreadable)?;
        let (count, unit) = text.split_at(digits);
        if count.is_empty() {
            return Err(BadDuration::Unreadable);
        }
        let unit = match unit.as_bytes() {
            [b'm', b'o', ..] => Unit::Month,
            [b'm', ..] => Unit::Minute,
            [b's', ..] => Unit::Second,
            [b'h', ..] => Unit::Hour,
            [b'd', ..] => Unit::Day,
            [b'w', ..] => Unit::Week,
            _ => return Err(BadDuration::Unreadable),
        };
        let length = Self { count: count.parse().map_err(|_| BadDuration::TooLong)?, unit };
        length.span()?;
        Ok(length)
    }

    /// The length of a period: not none.
    ///
    /// # Errors
    /// [`BadDuration`].
    pub fn of_period(text: &str) -> Result<Self, BadDuration> {
        let length = Self::parse(text)?;
        if length.count == 0 { Err(BadDuration::Nothing) } else { Ok(length) }
    }

    /// About how many seconds it has, for an order by length: a month is taken for 30 days.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.count.saturating_mul(match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month => 30 * 86_400,
        })
    }

    /// The moment this long after `from`. A month ends on the same day of the next one, or on its
    /// last day.
    ///
    /// # Errors
    /// [`BadDuration::TooLong`].
    pub fn after(&self, from: UnixMillis) -> Result<UnixMillis, BadDuration> {
        let from = moment(from).ok_or(BadDuration::TooLong)?.to_zoned(TimeZone::UTC);
        let end = from.checked_add(self.span()?).map_err(|_| BadDuration::TooLong)?;
        Ok(millis(end.timestamp()))
    }

    /// The period of a budget that began at `start` with its first use and is not bound to the
    /// calendar: the same while it lasts, and one that begins at `at` from then on. A start of 0 is
    /// that of a budget nothing was spent of.
    ///
    /// # Errors
    /// [`BadDuration::TooLong`].
    pub fn rolling(&self, start: UnixMillis, at: UnixMillis) -> Result<Period, BadDuration> {
        let end = self.after(start)?;
        if at < end && start > UnixMillis(0) {
            Ok(Period { start, end })
        } else {
            Ok(Period { start: at, end: self.after(at)? })
        }
    }

    fn span(&self) -> Result<Span, BadDuration> {
        let (span, count) = (Span::new(), self.count);
        let span = match self.unit {
            Unit::Second => span.try_seconds(count),
            Unit::Minute => span.try_minutes(count),
            Unit::Hour => span.try_hours(count),
            Unit::Day => span.try_days(count),
            Unit::Week => span.try_weeks(count),
            Unit::Month => span.try_months(count),
        };
        span.map_err(|_| BadDuration::TooLong)
    }
}

/// When a lifetime that begins at `from` ends.
///
/// # Errors
/// [`BadDuration`].
pub fn expiry(duration: &str, from: UnixMillis) -> Result<UnixMillis, BadDuration> {
    Length::parse(duration)?.after(from)
}

impl Every {
    /// From LiteLLM's form. A day is `1d` or `24h`, a week `7d` or `1w`, a month `30d` or `1mo`.
    ///
    /// # Errors
    /// [`BadDuration`]. LiteLLM takes what it cannot read for a day; here it is refused.
    pub fn parse(text: &str) -> Result<Self, BadDuration> {
        let Length { count, unit } = Length::of_period(text)?;
        let seconds = match unit {
            Unit::Month if count == 1 => return Ok(Self::from(Cycle::Month)),
            Unit::Month => return Err(BadDuration::Months),
            Unit::Day if count == 30 => return Ok(Self::from(Cycle::Month)),
            Unit::Week => count * 7 * SECONDS_A_DAY,
            Unit::Day => count * SECONDS_A_DAY,
            Unit::Hour => count * 3_600,
            Unit::Minute => count * 60,
            Unit::Second => count,
        };
        Ok(Self::from(match seconds {
            days if days % SECONDS_A_DAY == 0 => Cycle::Days(days / SECONDS_A_DAY),
            hours if hours % 3_600 == 0 && hours < SECONDS_A_DAY => Cycle::Hours(hours / 3_600),
            seconds => Cycle::Seconds(seconds),
        }))
    }

    /// The same with periods that are counted from the day of `since`, where the calendar has no
    /// beginning for them.
    #[must_use]
    pub fn since(self, since: Option<UnixMillis>) -> Self {
        Self { since: since.filter(|_| self.is_counted()), ..self }
    }

    /// When a period that began at `start` is over, whatever clocks are changed in it.
    #[must_use]
    pub fn ends(&self, start: UnixMillis) -> UnixMillis {
        let (count, unit) = match self.cycle {
            Cycle::Month => (1, Unit::Month),
            Cycle::Days(days) => (days, Unit::Day),
            Cycle::Hours(hours) => (hours, Unit::Hour),
            Cycle::Seconds(seconds) => (seconds, Unit::Second),
        };
        let shift = if matches!(self.cycle, Cycle::Seconds(_)) { 0 } else { CLOCK_CHANGE_MS };
        let end = Length { count, unit }.after(start).unwrap_or(UnixMillis(u64::MAX));
        UnixMillis(end.0.saturating_add(shift))
    }

    /// Whether the calendar has no beginning for such periods, as for those of 10 days.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        match self.cycle {
            Cycle::Days(days) => !matches!(days, 1 | 7),
            Cycle::Seconds(seconds) => seconds > SECONDS_A_DAY,
            Cycle::Month | Cycle::Hours(_) => false,
        }
    }
}

impl From<Cycle> for Every {
    fn from(cycle: Cycle) -> Self {
        Self { cycle, since: None }
    }
}

impl Default for Calendar {
    /// UTC, and midnight.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, reset_at: Time::midnight() }
    }
}

impl Calendar {
    /// A zone by its name in the IANA database, and the time of day, as `HH:MM`, at which periods
    /// of days, weeks and months begin.
    ///
    /// # Errors
    /// [`BadCalendar`].
    pub fn new(zone: &str, reset_at: &str) -> Result<Self, BadCalendar> {
        let found = match zone {
            "UTC" => Ok(TimeZone::UTC),
            name => TimeZoneDatabase::bundled().get(name),
        };
        let zone = found.map_err(|_| BadCalendar::Zone(zone.to_owned()))?;
        let wrong = || BadCalendar::Time(reset_at.to_owned());
        let (hour, minute) = reset_at.trim().split_once(':').ok_or_else(wrong)?;
        let digits = |text: &str| (1..=2).contains(&text.len()) && !text.starts_with('+');
        if !digits(hour) || !digits(minute) {
            return Err(wrong());
        }
        let (hour, minute) = (hour.parse().ok(), minute.parse().ok());
        let time = hour.zip(minute).and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        Ok(Self { zone, reset_at: time.ok_or_else(wrong)? })
    }

    /// The period that `at` falls into. Where a clock change leaves a beginning out, it is as much
    /// later; where it comes twice, the first counts. So a period near a change may be an hour
    /// longer or shorter, and none is left out or comes twice.
    #[must_use]
    pub fn period(&self, every: Every, at: UnixMillis) -> Period {
        let at = moment(at).unwrap_or(Timestamp::MAX);
        let first = self.first_day(every);
        let (start, end) = match every.cycle {
            Cycle::Month => self.months(at),
            Cycle::Days(days) => self.days(days, first, at),
            Cycle::Hours(hours) => self.hours(hours, at),
            Cycle::Seconds(seconds) => self.seconds(seconds, first, at),
        };
        Period { start: millis(start), end: millis(end) }
    }

    fn first_day(&self, every: Every) -> Date {
        let since = every.since.and_then(moment);
        since.map_or(FIRST_DAY, |since| since.to_zoned(self.zone.clone()).date())
    }

    fn months(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let first = at.to_zoned(self.zone.clone()).date().first_of_month();
        around(at, -1, |months| self.begins(first.saturating_add(Span::new().months(months))))
    }

    fn days(&self, days: i64, first: Date, at: Timestamp) -> (Timestamp, Timestamp) {
        let today = at.to_zoned(self.zone.clone()).date();
        let passed = i64::from((today - first).get_days());
        let block = passed - passed.rem_euclid(days);
        let day = |day: i64| first.saturating_add(SignedDuration::from_hours(24 * day));
        around(at, -1, |blocks| self.begins(day(block.saturating_add(days.saturating_mul(blocks)))))
    }

    fn hours(&self, hours: i64, at: Timestamp) -> (Timestamp, Timestamp) {
        let local = at.to_zoned(self.zone.clone());
        let block = i64::from(local.hour()) / hours;
        let midnight = local.date();
        let tomorrow = midnight.saturating_add(Span::new().days(1));
        around(at, block - 1, |block| match i8::try_from(block * hours) {
            Ok(hour @ 0..24) => self.moment(midnight, Time::constant(hour, 0, 0, 0)),
            Ok(..0) => self.moment(midnight, Time::midnight()),
            Ok(24..) | Err(_) => self.moment(tomorrow, Time::midnight()),
        })
    }

    /// By the seconds that pass, so that no change of clocks makes one longer.
    fn seconds(&self, seconds: i64, first: Date, at: Timestamp) -> (Timestamp, Timestamp) {
        let today = at.to_zoned(self.zone.clone()).date();
        let length = SignedDuration::from_secs(seconds);
        let (from, until) = if seconds < SECONDS_A_DAY {
            let tomorrow = today.saturating_add(Span::new().days(1));
            (self.moment(today, Time::midnight()), self.moment(tomorrow, Time::midnight()))
        } else {
            (self.moment(first, Time::midnight()), Timestamp::MAX)
        };
        let passed = at.duration_since(from).as_secs().div_euclid(seconds);
        let start = from.saturating_add(SignedDuration::from_secs(passed * seconds));
        let start = start.expect("seconds only");
        (start, start.saturating_add(length).expect("seconds only").min(until))
    }

    fn begins(&self, day: Date) -> Timestamp {
        self.moment(day, self.reset_at)
    }

    fn moment(&self, day: Date, time: Time) -> Timestamp {
        let moment = self.zone.to_ambiguous_zoned(day.to_datetime(time)).compatible();
        moment.map_or(Timestamp::MAX, |moment| moment.timestamp())
    }
}

/// The last of the moments up to `at`, and the one that follows.
fn around(at: Timestamp, from: i64, begin: impl Fn(i64) -> Timestamp) -> (Timestamp, Timestamp) {
    let (mut start, mut next) = (begin(from), from + 1);
    loop {
        let end = begin(next);
        if end > at || end == Timestamp::MAX {
            return (start, end);
        }
        (start, next) = (end, next + 1);
    }
}

fn moment(at: UnixMillis) -> Option<Timestamp> {
    i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

fn millis(at: Timestamp) -> UnixMillis {
    UnixMillis(u64::try_from(at.as_millisecond()).unwrap_or_default())
}
