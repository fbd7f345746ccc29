//! A price sheet: the rates a provider publishes, or an operator sets, as they are written. What
//! is not written falls back to something that is; [`Sheet::price`] works that out once.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_types::PicoUsd;

use crate::cost::Adjustment;
use crate::premium::Premiums;
use crate::price::{Band, Price, TokenRates, UnitRates};
use crate::rate::{Kind, Rate, Service};

/// The rates as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sheet {
    rates: BTreeMap<Rate, PicoUsd>,
    searches_once: bool,
    /// What costs more than these rates.
    pub premiums: Premiums,
}

/// A line of a `tiered_pricing` list: the rates of all requests with more prompt tokens than
/// `above`, up to the next line's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tier {
    /// Where its range begins; that many tokens are still the tier's below.
    pub above: u64,
    /// Its rates, by unit.
    pub rates: Vec<(Kind, PicoUsd)>,
}

impl Sheet {
    /// Writes a rate, over the one that was there.
    pub fn set(&mut self, rate: Rate, price: PicoUsd) {
        self.rates.insert(rate, price);
    }

    /// A rate as it is written.
    #[must_use]
    pub fn get(&self, rate: Rate) -> Option<PicoUsd> {
        self.rates.get(&rate).copied()
    }

    /// Charges all searches of the web that an answer takes as one: some sell grounded prompts.
    pub fn charge_searches_once(&mut self) {
        self.searches_once = true;
    }

    /// Whether it does.
    #[must_use]
    pub fn searches_once(&self) -> bool {
        self.searches_once
    }

    /// Writes a tier. Its tokens never mix with the rates of another: what it leaves out costs its
    /// own input or output rate.
    pub fn set_tier(&mut self, tier: &Tier) {
        let given = |kind| tier.rates.iter().find(|(k, _)| *k == kind).map(|(_, price)| *price);
        for (kind, price) in &tier.rates {
            self.set(Rate { kind: *kind, above: tier.above, service: Service::Standard }, *price);
        }
        let fallbacks = [
            (Kind::CacheRead, Kind::Input),
            (Kind::CacheWrite, Kind::Input),
            (Kind::Reasoning, Kind::Output),
        ];
        for (kind, from) in fallbacks {
            if let (None, Some(price)) = (given(kind), given(from)) {
                self.set(Rate { kind, above: tier.above, service: Service::Standard }, price);
            }
        }
    }

    /// Nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    /// The rates as written, in order.
    pub fn rates(&self) -> impl Iterator<Item = (Rate, PicoUsd)> {
        self.rates.iter().map(|(rate, price)| (*rate, *price))
    }

    /// This sheet with an operator's own rates over it. Who sets the rate of prompt tokens sets it
    /// for all of them, at every length and service: published cache rates beside a negotiated
    /// input rate would be neither's price. The same holds for completions, and for each other unit.
    #[must_use]
    pub fn overridden_by(mut self, own: &Self) -> Self {
        let sets = |kind: Kind| own.rates.keys().any(|rate| rate.kind == kind);
        let (prompt, completion) = (sets(Kind::Input), sets(Kind::Output));
        self.rates.retain(|rate, _| {
            let of_whole =
                prompt && rate.kind.is_of_prompt() || completion && rate.kind.is_of_completion();
            !of_whole && !sets(rate.kind)
        });
        self.rates.extend(&own.rates);
        self.premiums = own.premiums.or(self.premiums);
        self
    }

    /// The price: for each service and each range of lengths every rate, with what is not written
    /// taken from what stands in for it.
    #[must_use]
    pub fn price(&self, adjustment: Adjustment) -> Price {
        let bands = Service::ALL.map(|service| self.bands(service));
        Price::new(bands, self.premiums, self.units(), adjustment)
    }

    /// Empty for a service without rates of its own.
    fn bands(&self, service: Service) -> Box<[Band]> {
        if service != Service::Standard && !self.rates.keys().any(|rate| rate.service == service) {
            return Box::default();
        }
        let applies = |rate: &&Rate| rate.service == service || rate.service == Service::Standard;
        let starts: BTreeSet<u64> = self.rates.keys().filter(applies).map(|r| r.above).collect();
        let starts = BTreeSet::from([0]).into_iter().chain(starts.into_iter().filter(|at| *at > 0));
        starts.map(|above| Band { above, rates: self.tokens(above, service) }).collect()
    }

    /// The rate that was last written at or below a length: there the service's own comes first.
    fn find(&self, kind: Kind, above: u64, service: Service) -> Option<PicoUsd> {
        let at = |service: Service| {
            let (low, high) = (Rate { kind, above: 0, service }, Rate { kind, above, service });
            self.rates.range(low..=high).rfind(|(r, _)| r.service == service)
        };
        let own = at(service);
        let usual = at(Service::Standard);
        match (own, usual) {
            (Some((own, _)), Some((usual, price))) if usual.above > own.above => Some(*price),
            (Some((_, price)), _) | (None, Some((_, price))) => Some(*price),
            (None, None) => None,
        }
    }

    fn tokens(&self, above: u64, service: Service) -> TokenRates {
        let find = |kind| self.find(kind, above, service);
        let input = find(Kind::Input).unwrap_or_default();
        let image = find(Kind::OutputImage);
        // Image models publish only what the tokens of their images cost.
        let output = find(Kind::Output).filter(|rate| *rate > PicoUsd(0)).or(image);
        let output = output.unwrap_or_default();
        let cache_read = find(Kind::CacheRead).unwrap_or(input);
        let cache_write = find(Kind::CacheWrite).unwrap_or(input);
        let has_own =
            |kind| self.rates.keys().any(|rate| rate.kind == kind && rate.service == service);
        // A service with an output rate of its own thinks at that rate.
        let reasons_apart =
            service == Service::Standard || has_own(Kind::Reasoning) || !has_own(Kind::Output);
        TokenRates {
            input,
            cache_read,
            cache_read_audio: find(Kind::CacheReadAudio).unwrap_or(cache_read),
            cache_read_image: find(Kind::CacheReadImage).unwrap_or(cache_read),
            cache_write,
            cache_write_1h: find(Kind::CacheWrite1h).unwrap_or(cache_write),
            cache_write_12h: find(Kind::CacheWrite12h).unwrap_or(cache_write),
            input_audio: find(Kind::InputAudio).unwrap_or(input),
            input_image: find(Kind::InputImage).unwrap_or(input),
            output,
            reasoning: find(Kind::Reasoning).filter(|_| reasons_apart).unwrap_or(output),
            output_audio: find(Kind::OutputAudio).unwrap_or(output),
            output_image: image.unwrap_or(output),
        }
    }

    fn units(&self) -> UnitRates {
        let rate = |kind| self.get(Rate::of(kind));
        let rate_or_none = |kind| rate(kind).unwrap_or_default();
        UnitRates {
            // Some transcribers publish their seconds as output only.
            second_in: rate(Kind::InputSecond).unwrap_or(rate_or_none(Kind::OutputSecond)),
            second_out: rate_or_none(Kind::OutputSecond),
            character_in: rate_or_none(Kind::InputCharacter),
            character_out: rate_or_none(Kind::OutputCharacter),
            image_in: rate_or_none(Kind::InputPicture),
            image_out: rate_or_none(Kind::OutputPicture),
            pixel_in: rate_or_none(Kind::InputPixel),
            pixel_out: rate_or_none(Kind::OutputPixel),
            query: rate_or_none(Kind::Query),
            page: rate_or_none(Kind::Page),
            web_search: rate_or_none(Kind::WebSearch),
            web_search_low: rate(Kind::WebSearchLow).unwrap_or(rate_or_none(Kind::WebSearch)),
            web_search_high: rate(Kind::WebSearchHigh).unwrap_or(rate_or_none(Kind::WebSearch)),
            map_search: rate_or_none(Kind::MapSearch),
            searches_once: self.searches_once,
            file_search: rate_or_none(Kind::FileSearch),
            code_session: rate_or_none(Kind::CodeSession),
        }
    }
}
