//! What a request must hold before it is sent: the most that it can cost.

use dunlin_types::{NanoUsd, PicoUsd, Premium, Tokens, Usage};

use crate::cost::{Cost, Parts, Units};
use crate::price::{Band, Price, Pricing, TokenRates};
use crate::rate::{Kind, Service};

/// What is known of a request's cost before it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ask<'a> {
    /// Its prompt, exact or at most.
    pub prompt: Tokens,
    /// What it may be answered with: the number of answers times the most of each.
    pub output: Tokens,
    /// The kinds of token that may occur beside plain ones and thought: an hour's cache if it asks
    /// for one, audio if it sends or wants it.
    pub kinds: &'a [Kind],
    /// What else will be counted, such as images to be made and the searches it allows.
    pub units: Units,
    /// The service it asks for. The usual is thought possible, too: where the other is not to be
    /// had, providers fall back to it.
    pub service: Service,
    /// Whether it asks to be made faster. It may be made in the US without asking.
    pub fast: bool,
}

impl Pricing {
    /// The most a request can cost; nothing where no price is known.
    #[must_use]
    pub fn most(&self, ask: &Ask<'_>) -> NanoUsd {
        self.price().map_or(NanoUsd::ZERO, |price| price.most(ask))
    }
}

impl Price {
    /// The most a request can cost: every token at the dearest rate that may apply to it, and all
    /// fees. Not less than [`Price::cost`] of any use within what was asked.
    #[must_use]
    pub fn most(&self, ask: &Ask<'_>) -> NanoUsd {
        let dearest = |usual: [Kind; 2], is_of: fn(Kind) -> bool| {
            let kinds = ask.kinds.iter().copied().filter(|kind| is_of(*kind)).chain(usual);
            kinds.map(|kind| self.dearest(kind, ask)).max().unwrap_or_default()
        };
        let input = dearest([Kind::Input, Kind::CacheRead], Kind::is_of_prompt);
        let output = dearest([Kind::Output, Kind::Reasoning], Kind::is_of_completion);
        let mut parts = Parts {
            input: input.times(ask.prompt.0),
            output: output.times(ask.output.0),
            ..Parts::default()
        };
        parts.raise(self.premiums.of(Premium { us: true, fast: ask.fast }));
        self.units.add(&Usage::default(), &ask.units, &mut parts);
        Cost::of(&parts, self.adjustment).total
    }

    /// Of all lengths up to the prompt's: it may turn out shorter, never longer.
    fn dearest(&self, kind: Kind, ask: &Ask<'_>) -> PicoUsd {
        let bands = |service| {
            self.bands(service)
                .iter()
                .filter(move |band: &&Band| band.above == 0 || band.above < ask.prompt.0)
        };
        let both = bands(ask.service).chain(bands(Service::Standard));
        both.map(|band| band.rates.of(kind)).max().unwrap_or_default()
    }
}

impl TokenRates {
    /// The rate of a kind of token; nothing for what is no token.
    fn of(&self, kind: Kind) -> PicoUsd {
        match kind {
            Kind::Input => self.input,
            Kind::CacheRead => self.cache_read,
            Kind::CacheReadAudio => self.cache_read_audio,
            Kind::CacheReadImage => self.cache_read_image,
            Kind::CacheWrite => self.cache_write,
            Kind::CacheWrite1h => self.cache_write_1h,
            Kind::CacheWrite12h => self.cache_write_12h,
            Kind::InputAudio => self.input_audio,
            Kind::InputImage => self.input_image,
            Kind::Output => self.output,
            Kind::Reasoning => self.reasoning,
            Kind::OutputAudio => self.output_audio,
            Kind::OutputImage => self.output_image,
            Kind::InputSecond
            | Kind::OutputSecond
            | Kind::InputCharacter
            | Kind::OutputCharacter
            | Kind::InputPicture
            | Kind::OutputPicture
            | Kind::InputPixel
            | Kind::OutputPixel
            | Kind::Query
            | Kind::Page
            | Kind::WebSearch
            | Kind::FileSearch
            | Kind::CodeSession
            | Kind::WebSearchLow
            | Kind::WebSearchHigh
            | Kind::MapSearch => PicoUsd(0),
        }
    }
}
