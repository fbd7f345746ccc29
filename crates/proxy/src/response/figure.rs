//! Numbers as clients read them, written without the ways of `fmt` and without an allocation: an
//! answer's headers carry two dozen of them.

use std::fmt::{self, Display, Write as _};
use std::ops::Deref;
use std::time::Duration;

use dunlin_types::NanoUsd;

/// As long as the longest, which is a float: `1.7976931348623157e308`.
const LONGEST: usize = 32;
/// From here on, in nano-dollars, Python writes no exponent.
const LEAST_DECIMAL: u64 = 100_000;
/// Beyond 15 digits a float is not what was put into it.
const MOST_EXACT: u64 = 1_000_000_000_000_000;

/// The digits of a number.
pub(crate) struct Figure {
    text: [u8; LONGEST],
    len: usize,
}

/// A whole number.
pub(crate) fn whole(number: u64) -> Figure {
    let mut figure = Figure::EMPTY;
    figure.push_whole(number);
    figure
}

/// In milliseconds: `12.345`.
pub(crate) fn millis(took: Duration) -> Figure {
    decimal(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), 6)
}

/// Dollars in the form of Python's `repr`, which scripts compare as text: `1.5e-05`.
pub(crate) fn usd(amount: NanoUsd) -> Figure {
    match amount.0 {
        0 => decimal(0, 1),
        nanos @ ..LEAST_DECIMAL => scientific(nanos),
        nanos @ ..MOST_EXACT => decimal(nanos, 9),
        _ => {
            let mut figure = Figure::EMPTY;
            write!(figure, "{:?}", amount.as_usd()).expect("it has room for any float");
            figure
        }
    }
}

/// A few nano-dollars as `1.5e-05`.
fn scientific(nanos: u64) -> Figure {
    let digits = whole(nanos);
    let exponent = 10 - digits.len();
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    let mut figure = Figure::EMPTY;
    figure.push(first);
    if !rest.is_empty() {
        figure.push(".");
        figure.push(rest);
    }
    figure.push("e-");
    if exponent < 10 {
        figure.push("0");
    }
    figure.push_whole(u64::try_from(exponent).unwrap_or_default());
    figure
}

/// `units` of which 10^`places` are one: `12.345`, and `2.0`.
fn decimal(units: u64, places: u32) -> Figure {
    let one = 10_u64.pow(places);
    let mut figure = whole(units / one);
    // The one before the part keeps its first zeros.
    let part = whole(one + units % one);
    let digits = part[1..].trim_end_matches('0');
    figure.push(".");
    figure.push(if digits.is_empty() { "0" } else { digits });
    figure
}

impl Figure {
    const EMPTY: Self = Self { text: [0; LONGEST], len: 0 };

    fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    fn push_whole(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number));
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.text[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// The digits and what stands between them: ASCII.
    pub(crate) fn digits(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

impl fmt::Write for Figure {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > LONGEST - self.len {
            return Err(fmt::Error);
        }
        self.push(text);
        Ok(())
    }
}

impl Deref for Figure {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(self.digits()).expect("digits are ASCII")
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_python_writes_it() {
        let cases = [
            (0, "0.0"),
            (15_000, "1.5e-05"),
            (9_000, "9e-06"),
            (1, "1e-09"),
            (100_000, "0.0001"),
            (1_234_567_890, "1.23456789"),
            (2_000_000_000, "2.0"),
            (10_000, "1e-05"),
            (99_999, "9.9999e-05"),
            (1_000_000_000_000_001, "1000000.000000001"),
            (u64::MAX, "18446744073.709553"),
        ];
        for (nano, text) in cases {
            assert_eq!(&*usd(NanoUsd(nano)), text);
        }
    }

    #[test]
    fn numbers_and_spans_are_written_in_digits() {
        for number in [0, 7, 10, 60_000, u64::MAX] {
            assert_eq!(&*whole(number), number.to_string());
        }
        assert_eq!(&*millis(Duration::from_micros(12_345)), "12.345");
        assert_eq!(&*millis(Duration::from_secs(2)), "2000.0");
        assert_eq!(&*millis(Duration::MAX), "18446744073709.551615");
    }
}
