//! The price of a model and the cost of what was used of it.

use dunlin_types::{NanoUsd, PicoUsdPerToken, Usage};

/// What a model costs a token. A model without a price is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Price {
    /// For each prompt token.
    pub input: PicoUsdPerToken,
    /// For each completion token.
    pub output: PicoUsdPerToken,
}

impl Price {
    /// The cost of `usage`, rounded half up to the nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        PicoUsdPerToken::round_to_nano(
            self.input.times(usage.prompt) + self.output.times(usage.completion),
        )
    }

    /// True when nothing that uses this model can ever cost anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::Tokens;

    use super::*;

    #[test]
    fn a_cost_is_rounded_once_after_its_parts_are_summed() {
        let half_a_nano = PicoUsdPerToken(500);
        let price = Price { input: half_a_nano, output: half_a_nano };
        let cost =
            price.cost(&Usage { prompt: Tokens(1), completion: Tokens(1), ..Usage::default() });
        assert_eq!(cost, NanoUsd(1), "0.5 + 0.5 is 1, not 1 + 1");
    }
}
