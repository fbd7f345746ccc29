//! What one request came to, and what else than tokens it is charged for.

use dunlin_types::{NanoUsd, PicoUsd, SearchSize};

use crate::rate::Service;

/// One whole, in the parts per million that discounts and margins are counted in.
const WHOLE: u32 = 1_000_000;
/// Beyond this no amount fits into [`NanoUsd`]; below it all products here fit into 128 bits.
const MOST_PICO: u128 = 1 << 75;

/// What one request costs, each amount in nano-dollars. `input + output + tools == original` and
/// `original - discount + margin == total`; the other members are parts of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// All that was sent.
    pub input: NanoUsd,
    /// All that was made.
    pub output: NanoUsd,
    /// Searches that the model made, and containers in which it ran code.
    pub tools: NanoUsd,
    /// Of `input`: read from the provider's cache.
    pub cache_read: NanoUsd,
    /// Of `input`: written to the provider's cache.
    pub cache_creation: NanoUsd,
    /// Of `output`: reasoning.
    pub reasoning: NanoUsd,
    /// The sum at the provider's rates.
    pub original: NanoUsd,
    /// Taken off.
    pub discount: NanoUsd,
    /// Put on, after the discount.
    pub margin: NanoUsd,
    /// The share by which that was, beside a fixed amount, in millionths.
    pub margin_millionths: u32,
    /// What is charged.
    pub total: NanoUsd,
}

/// How a request was served, beside its tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// The tier it was served in.
    pub service: Service,
    /// What else was counted.
    pub units: Units,
}

/// What is charged by other counts than tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Units {
    /// Audio or video sent, in milliseconds.
    pub millis_in: u64,
    /// Audio or video made, in milliseconds.
    pub millis_out: u64,
    /// Characters sent.
    pub characters_in: u64,
    /// Characters made.
    pub characters_out: u64,
    /// Images sent. Not charged where their tokens were counted.
    pub images_in: u64,
    /// Images made. Not charged where their tokens were counted.
    pub images_out: u64,
    /// Pixels sent.
    pub pixels_in: u64,
    /// Pixels made.
    pub pixels_out: u64,
    /// Queries to rerank or search.
    pub queries: u64,
    /// Pages read.
    pub pages: u64,
    /// Searches of the web that a chat model made.
    pub web_searches: u64,
    /// How much it looked at of what it found there.
    pub search_size: SearchSize,
    /// Searches in files that it made.
    pub file_searches: u64,
    /// Containers in which it ran code.
    pub code_sessions: u64,
}

/// What an operator takes off a provider's prices and puts on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Adjustment {
    discount_millionths: u32,
    margin_millionths: u32,
    margin_fixed: PicoUsd,
}

/// Why a number is not a discount or a margin.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AdjustmentError {
    /// More than the whole price, or less than nothing.
    #[error("{0} is not a discount: expected 0 to 1, as in 0.05 for 5 %")]
    Discount(f64),
    /// Less than nothing, or a slip.
    #[error("{0} is not a margin: expected 0 to 100, as in 0.1 for 10 %")]
    Margin(f64),
}

impl Adjustment {
    /// With a share of the price taken off.
    ///
    /// # Errors
    /// Not from 0 to 1.
    pub fn with_discount(self, share: f64) -> Result<Self, AdjustmentError> {
        let millionths = millionths(share, 1.0).ok_or(AdjustmentError::Discount(share))?;
        Ok(Self { discount_millionths: millionths, ..self })
    }

    /// With a share of the discounted price put on it.
    ///
    /// # Errors
    /// Not from 0 to 100.
    pub fn with_margin(self, share: f64) -> Result<Self, AdjustmentError> {
        let millionths = millionths(share, 100.0).ok_or(AdjustmentError::Margin(share))?;
        Ok(Self { margin_millionths: millionths, ..self })
    }

    /// With an amount put on each request.
    #[must_use]
    pub fn with_fixed_margin(self, amount: PicoUsd) -> Self {
        Self { margin_fixed: amount, ..self }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn millionths(share: f64, most: f64) -> Option<u32> {
    (0.0..=most).contains(&share).then(|| (share * f64::from(WHOLE)).round() as u32)
}

/// The exact parts of a cost, in pico-dollars.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts {
    pub(crate) input: u128,
    pub(crate) output: u128,
    pub(crate) tools: u128,
    pub(crate) cache_read: u128,
    pub(crate) cache_creation: u128,
    pub(crate) reasoning: u128,
}

impl Parts {
    /// All of it in thousandths of what it was.
    pub(crate) fn raise(&mut self, thousandths: u64) {
        let Self { input, output, tools, cache_read, cache_creation, reasoning } = self;
        for part in [input, output, tools, cache_read, cache_creation, reasoning] {
            *part = part.saturating_mul(thousandths.into()) / 1000;
        }
    }
}

impl Cost {
    /// The two together; the share of the margin is the first one's.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            tools: self.tools + other.tools,
            cache_read: self.cache_read + other.cache_read,
            cache_creation: self.cache_creation + other.cache_creation,
            reasoning: self.reasoning + other.reasoning,
            original: self.original + other.original,
            discount: self.discount + other.discount,
            margin: self.margin + other.margin,
            margin_millionths: self.margin_millionths,
            total: self.total + other.total,
        }
    }

    /// Rounds each total once; a part is what it adds to the rounded sum of those before it, so
    /// that the parts sum to the total.
    pub(crate) fn of(parts: &Parts, adjustment: Adjustment) -> Self {
        let round = PicoUsd::round_to_nano;
        let less = |a: NanoUsd, b: NanoUsd| NanoUsd(a.0 - b.0);
        let two = parts.input.saturating_add(parts.output);
        let sum = two.saturating_add(parts.tools).min(MOST_PICO);
        let (input, two, original) = (round(parts.input), round(two), round(sum));
        let output = less(two, input);
        let cached = round(parts.cache_read.saturating_add(parts.cache_creation));
        let cache_read = round(parts.cache_read);
        let kept = sum * u128::from(WHOLE - adjustment.discount_millionths);
        let discounted = round(kept / u128::from(WHOLE));
        let scale = u128::from(WHOLE) * u128::from(WHOLE);
        let charged = kept * u128::from(WHOLE + adjustment.margin_millionths) / scale;
        let total = round(charged + u128::from(adjustment.margin_fixed.0));
        Self {
            input,
            output,
            tools: less(original, two),
            cache_read,
            cache_creation: less(cached, cache_read),
            reasoning: round(parts.reasoning).min(output),
            original,
            discount: less(original, discounted),
            margin: less(total, discounted),
            margin_millionths: adjustment.margin_millionths,
            total,
        }
    }
}
