//! What costs more than the rates of a service say: all tokens of it, by a factor.

use dunlin_types::Premium;

const USUAL: u64 = 1000;
/// A larger factor is a slip.
const MOST: f64 = 100.0;

/// How much dearer it is, in thousandths of the usual. `None`: nobody has published it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Premiums {
    /// What is made in the US alone.
    pub us: Option<u32>,
    /// What is made faster.
    pub fast: Option<u32>,
}

impl Premiums {
    /// Thousandths, from a factor such as 1.1. `None`: it is none.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    pub fn thousandths(factor: f64) -> Option<u32> {
        (1.0..=MOST).contains(&factor).then(|| (factor * 1000.0).round() as u32)
    }

    /// These, and where they say nothing, others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self { us: self.us.or(others.us), fast: self.fast.or(others.fast) }
    }

    /// The thousandths for what was made so.
    pub(crate) fn of(self, Premium { us, fast }: Premium) -> u64 {
        let factor =
            |said: bool, known: Option<u32>| known.filter(|_| said).map_or(USUAL, u64::from);
        factor(us, self.us) * factor(fast, self.fast) / USUAL
    }

    /// Whether it is known what is dearer of it.
    pub(crate) fn know(self, Premium { us, fast }: Premium) -> bool {
        (!us || self.us.is_some()) && (!fast || self.fast.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stack_and_an_unknown_one_is_the_usual() {
        let known = Premiums { us: Some(1100), fast: Some(2000) };
        let [us, both] = [false, true].map(|fast| Premium { us: true, fast });
        assert_eq!([Premium::default(), us, both].map(|said| known.of(said)), [1000, 1100, 2200]);
        let us_alone = Premiums { fast: None, ..known };
        assert_eq!(
            (us_alone.of(both), us_alone.know(both), us_alone.know(us)),
            (1100, false, true)
        );
        assert_eq!(us_alone.or(known), known);
        let factors = [1.1, 6.0, 0.5, -1.0, f64::NAN].map(Premiums::thousandths);
        assert_eq!(factors, [Some(1100), Some(6000), None, None, None]);
    }
}
