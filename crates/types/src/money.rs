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
}
