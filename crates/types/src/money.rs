//! Money and tokens. Amounts are integer nano-dollars; prices are integer pico-dollars a token,
//! second, image or page, fine enough for every published price and exact in sums.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// An amount of money in 10⁻⁹ US dollars. Additions saturate at about 18 billion dollars.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount in dollars, for JSON answers only; never for arithmetic.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "shown to people and JSON clients")]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// Why a text is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number; NaN and infinities are none.
    #[error("it is not a decimal number")]
    Unreadable,
    /// Below zero.
    #[error("it is negative")]
    Negative,
    /// Above what is counted in nano-dollars.
    #[error("it is more than 18 billion dollars")]
    TooMuch,
}

impl std::str::FromStr for NanoUsd {
    type Err = AmountError;

    /// Reads US dollars as JSON writes numbers: `5`, `0.25`, `1.5e-05`. Exact to the nano-dollar; what
    /// is below is rounded half up.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().map_err(|_| AmountError::Unreadable)?;
        let (negative, number) = match number.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(AmountError::Unreadable);
        }
        // The digit of the nano-dollars, counted from the first digit of all.
        let point = i64::try_from(whole.len()).unwrap_or(i64::MAX);
        let kept = point.saturating_add(i64::from(exponent)).saturating_add(9);
        let mut nano: u64 = 0;
        for (at, digit) in (0_i64..).zip(&digits) {
            let digit = u64::from(digit - b'0');
            let more = match at.cmp(&kept) {
                std::cmp::Ordering::Less => nano.checked_mul(10).and_then(|n| n.checked_add(digit)),
                std::cmp::Ordering::Equal => nano.checked_add(u64::from(digit >= 5)),
                std::cmp::Ordering::Greater => break,
            };
            nano = more.ok_or(AmountError::TooMuch)?;
        }
        let shown = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        for _ in shown..kept.min(shown.saturating_add(40)) {
            nano = nano.checked_mul(10).ok_or(AmountError::TooMuch)?;
        }
        if negative && nano > 0 { Err(AmountError::Negative) } else { Ok(Self(nano)) }
    }
}

impl Add for NanoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A number of tokens.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Tokens(pub u64);

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// A price in 10⁻¹² US dollars a token, or whatever else is counted.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct PicoUsd(pub u64);

/// Why a number is not a price.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{usd} is not a price: expected 0 to 1000 US dollars a unit")]
pub struct PriceError {
    /// The number as given.
    pub usd: f64,
}

impl PicoUsd {
    /// The price in dollars, for JSON answers only; never for arithmetic.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "shown to people and JSON clients")]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// The price from LiteLLM's form, US dollars a unit, rounded to the nearest pico-dollar.
    ///
    /// # Errors
    /// Negative, not a number, or above 1000 dollars a unit.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    pub fn from_usd(usd: f64) -> Result<Self, PriceError> {
        if (0.0..=1000.0).contains(&usd) {
            Ok(Self((usd * 1e12).round() as u64))
        } else {
            Err(PriceError { usd })
        }
    }

    /// What so many units cost in 10⁻¹² dollars. Sum these first and round once, with
    /// [`PicoUsd::round_to_nano`].
    #[must_use]
    pub fn times(self, units: u64) -> u128 {
        u128::from(self.0) * u128::from(units)
    }

    /// Pico-dollars to nano-dollars, half rounded up; saturates.
    #[must_use]
    pub fn round_to_nano(pico: u128) -> NanoUsd {
        NanoUsd(u64::try_from(pico.saturating_add(500) / 1000).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_price_gives_the_recorded_cost() {
        let input = PicoUsd::from_usd(1e-6).expect("a price");
        let output = PicoUsd::from_usd(2e-6).expect("a price");
        let pico = input.times(9) + output.times(3);
        assert_eq!(PicoUsd::round_to_nano(pico), NanoUsd(15_000));
    }

    #[test]
    fn what_is_not_a_price_is_refused() {
        for usd in [-1e-9, f64::NAN, f64::INFINITY, 1e4] {
            assert!(PicoUsd::from_usd(usd).is_err(), "{usd}");
        }
    }

    #[test]
    fn dollars_are_read_to_the_nano_dollar() {
        for (text, nano) in [
            ("5", Ok(5_000_000_000)),
            ("0", Ok(0)),
            ("-0.0", Ok(0)),
            ("0.1", Ok(100_000_000)),
            ("0.000000001", Ok(1)),
            ("0.0000000005", Ok(1)),
            ("0.0000000004", Ok(0)),
            ("1.5e-05", Ok(15_000)),
            ("1E3", Ok(1_000_000_000_000)),
            ("0.30000000000000004", Ok(300_000_000)),
            ("18446744073.709551615", Ok(u64::MAX)),
            ("18446744073.709551616", Err(AmountError::TooMuch)),
            ("1e300", Err(AmountError::TooMuch)),
            ("0e999", Ok(0)),
            ("1e-999", Ok(0)),
            ("-1", Err(AmountError::Negative)),
            ("NaN", Err(AmountError::Unreadable)),
            ("inf", Err(AmountError::Unreadable)),
            ("", Err(AmountError::Unreadable)),
            ("1.2.3", Err(AmountError::Unreadable)),
            ("5 dollars", Err(AmountError::Unreadable)),
        ] {
            assert_eq!(text.parse(), nano.map(NanoUsd), "{text}");
        }
    }
}
