//! The price of a model and the cost of what was used of it.

use std::sync::Arc;

use dunlin_types::{PicoUsd, SearchSize, Tokens, Usage};

use crate::cost::{Adjustment, Context, Cost, Parts, Units};
use crate::premium::Premiums;
use crate::rate::Service;

/// What is known of a model's price. A clone is a pointer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Pricing {
    /// Nothing it does can cost anything, such as a model on one's own machines.
    Free,
    /// It costs this.
    Priced(Arc<Price>),
    /// It costs, and nobody here knows what: charged as nothing, and said to be so.
    #[default]
    Unpriced,
}

/// What a model costs: complete rates for each service and each range of prompt lengths.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Price {
    /// By service; empty where the service costs the usual. Each sorted, the first above zero.
    bands: [Box<[Band]>; 5],
    pub(crate) premiums: Premiums,
    pub(crate) units: UnitRates,
    pub(crate) adjustment: Adjustment,
    /// What the provider says of an answer holds, and this where it says nothing.
    reported: bool,
}

/// The rates of all tokens of requests with more than `above` prompt tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Band {
    pub(crate) above: u64,
    pub(crate) rates: TokenRates,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TokenRates {
    pub(crate) input: PicoUsd,
    pub(crate) cache_read: PicoUsd,
    pub(crate) cache_read_audio: PicoUsd,
    pub(crate) cache_read_image: PicoUsd,
    pub(crate) cache_write: PicoUsd,
    pub(crate) cache_write_1h: PicoUsd,
    pub(crate) cache_write_12h: PicoUsd,
    pub(crate) input_audio: PicoUsd,
    pub(crate) input_image: PicoUsd,
    pub(crate) output: PicoUsd,
    pub(crate) reasoning: PicoUsd,
    pub(crate) output_audio: PicoUsd,
    pub(crate) output_image: PicoUsd,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct UnitRates {
    pub(crate) second_in: PicoUsd,
    pub(crate) second_out: PicoUsd,
    pub(crate) character_in: PicoUsd,
    pub(crate) character_out: PicoUsd,
    pub(crate) image_in: PicoUsd,
    pub(crate) image_out: PicoUsd,
    pub(crate) pixel_in: PicoUsd,
    pub(crate) pixel_out: PicoUsd,
    pub(crate) query: PicoUsd,
    pub(crate) page: PicoUsd,
    pub(crate) web_search: PicoUsd,
    pub(crate) web_search_low: PicoUsd,
    pub(crate) web_search_high: PicoUsd,
    pub(crate) map_search: PicoUsd,
    /// However often a request searched, it did so once.
    pub(crate) searches_once: bool,
    pub(crate) file_search: PicoUsd,
    pub(crate) code_session: PicoUsd,
}

impl Pricing {
    /// The cost of what was used, nothing where no price is known.
    #[must_use]
    pub fn cost(&self, usage: &Usage, context: &Context) -> Cost {
        match self {
            Self::Priced(price) => price.cost(usage, context),
            Self::Unpriced => reported(usage, Adjustment::default()).unwrap_or_default(),
            Self::Free => Cost::default(),
        }
    }

    /// Whether nobody knows what that cost: neither is there a price, or what it costs more the way it
    /// was made, nor did the provider say.
    #[must_use]
    pub fn is_unknown(&self, usage: &Usage) -> bool {
        let is_known = match self {
            Self::Free => true,
            Self::Priced(price) => price.premiums.know(usage.premium),
            Self::Unpriced => false,
        };
        !is_known && usage.reported.is_none()
    }

    /// The same, where what the provider says that an answer cost goes before the published rates.
    #[must_use]
    pub fn or_as_reported(self) -> Self {
        match self {
            Self::Priced(price) => {
                Self::Priced(Arc::new(Price { reported: true, ..Price::clone(&price) }))
            }
            Self::Free | Self::Unpriced => self,
        }
    }

    /// The price, if there is one.
    #[must_use]
    pub fn price(&self) -> Option<&Price> {
        match self {
            Self::Priced(price) => Some(price),
            Self::Free | Self::Unpriced => None,
        }
    }
}

impl From<Price> for Pricing {
    /// A price of nothing is free.
    fn from(price: Price) -> Self {
        if price.is_nothing() { Self::Free } else { Self::Priced(Arc::new(price)) }
    }
}

impl Price {
    pub(crate) fn new(
        bands: [Box<[Band]>; 5],
        premiums: Premiums,
        units: UnitRates,
        adjustment: Adjustment,
    ) -> Self {
        assert!(!bands[Service::Standard as usize].is_empty(), "there is a usual service");
        Self { bands, premiums, units, adjustment, reported: false }
    }

    /// What it takes off and puts on the provider's rates.
    #[must_use]
    pub fn adjustment(&self) -> Adjustment {
        self.adjustment
    }

    /// The cost of what was used.
    #[must_use]
    pub fn cost(&self, usage: &Usage, context: &Context) -> Cost {
        if let Some(cost) = reported(usage, self.adjustment).filter(|_| self.reported) {
            return cost;
        }
        let rates = self.rates(usage.prompt, context.service);
        let mut parts = Parts::default();
        rates.prompt(usage, &mut parts);
        rates.completion(usage, &mut parts);
        parts.raise(self.premiums.of(usage.premium));
        self.units.add(usage, &context.units, &mut parts);
        Cost::of(&parts, self.adjustment)
    }

    /// Whether what is sent is charged by its seconds.
    #[must_use]
    pub fn has_seconds_sent(&self) -> bool {
        self.units.second_in > PicoUsd(0)
    }

    /// Whether what is made is charged by its seconds.
    #[must_use]
    pub fn has_seconds_made(&self) -> bool {
        self.units.second_out > PicoUsd(0)
    }

    /// Whether an answer is charged by the time that it takes: nothing of its tokens is, as operators
    /// price what they rent by the hour.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        self.has_seconds_sent() && self.has_no_tokens()
    }

    /// Whether pictures are charged by what LiteLLM calls their input alone: that rate is for each that
    /// is made.
    #[must_use]
    pub fn is_of_pictures(&self) -> bool {
        let none_made = [self.units.image_out, self.units.pixel_out] == [PicoUsd(0); 2];
        let sent = [self.units.image_in, self.units.pixel_in] != [PicoUsd(0); 2];
        sent && none_made && self.has_no_tokens()
    }

    /// The usual rates of short prompts, input and output, for people.
    #[must_use]
    pub fn listed(&self) -> (PicoUsd, PicoUsd) {
        let rates = self.rates(Tokens(0), Service::Standard);
        (rates.input, rates.output)
    }

    /// The rates of a service by length; the usual ones where it has none of its own.
    pub(crate) fn bands(&self, service: Service) -> &[Band] {
        let [usual, ..] = &self.bands;
        let own = &self.bands[service as usize];
        if own.is_empty() { usual } else { own }
    }

    fn rates(&self, prompt: Tokens, service: Service) -> &TokenRates {
        let bands = self.bands(service);
        let band = bands.iter().rev().find(|band| band.above < prompt.0);
        &band.unwrap_or(&bands[0]).rates
    }

    fn has_no_tokens(&self) -> bool {
        let no_tokens = |band: &Band| band.rates == TokenRates::default();
        self.bands.iter().flatten().all(no_tokens)
    }

    fn is_nothing(&self) -> bool {
        self.has_no_tokens() && self.units == UnitRates::default()
    }
}

/// What the provider says that it cost, and what is taken off and put on that.
fn reported(usage: &Usage, adjustment: Adjustment) -> Option<Cost> {
    let parts = Parts { output: u128::from(usage.reported?.0), ..Parts::default() };
    Some(Cost::of(&parts, adjustment))
}

impl TokenRates {
    /// A token is charged once: as cached, else as written to the cache, else as audio, else as an
    /// image, else as text. Counts that overlap or exceed the whole are cut to what is left.
    fn prompt(&self, usage: &Usage, parts: &mut Parts) {
        let mut left = usage.prompt.0;
        let cached = take(&mut left, usage.cached);
        let written = take(&mut left, usage.cache_write);
        let mut briefly = written;
        let hour = take(&mut briefly, usage.cache_write_1h);
        let half_day = take(&mut briefly, usage.cache_write_12h);
        let mut read = cached;
        let read_audio = take(&mut read, usage.cached_audio);
        let read_image = take(&mut read, usage.cached_image);
        let audio = take(&mut left, less(usage.prompt_audio, read_audio));
        let image = take(&mut left, less(usage.prompt_image, read_image));
        parts.cache_read = self.cache_read.times(read)
            + self.cache_read_audio.times(read_audio)
            + self.cache_read_image.times(read_image);
        parts.cache_creation = self.cache_write.times(briefly)
            + self.cache_write_1h.times(hour)
            + self.cache_write_12h.times(half_day);
        parts.input = parts.cache_read
            + parts.cache_creation
            + self.input_audio.times(audio)
            + self.input_image.times(image)
            + self.input.times(left);
    }

    fn completion(&self, usage: &Usage, parts: &mut Parts) {
        let mut left = usage.completion.0;
        let reasoning = take(&mut left, usage.reasoning);
        let audio = take(&mut left, usage.completion_audio);
        let image = take(&mut left, usage.completion_image);
        parts.reasoning = self.reasoning.times(reasoning);
        parts.output = parts.reasoning
            + self.output_audio.times(audio)
            + self.output_image.times(image)
            + self.output.times(left);
    }
}

fn less(all: Tokens, some: u64) -> Tokens {
    Tokens(all.0.saturating_sub(some))
}

fn take(left: &mut u64, wanted: Tokens) -> u64 {
    let taken = wanted.0.min(*left);
    *left -= taken;
    taken
}

impl UnitRates {
    /// What a provider counts with its tokens and what was seen otherwise are the same things: the
    /// larger count holds.
    pub(crate) fn add(&self, usage: &Usage, units: &Units, parts: &mut Parts) {
        // Who counts an image's tokens does not charge the image again.
        let images_in = if usage.prompt_image == Tokens(0) { units.images_in } else { 0 };
        let images_out = if usage.completion_image == Tokens(0) { units.images_out } else { 0 };
        parts.input = parts
            .input
            .saturating_add(self.second_in.times(units.millis_in) / 1000)
            .saturating_add(self.character_in.times(units.characters_in))
            .saturating_add(self.image_in.times(images_in))
            .saturating_add(self.pixel_in.times(units.pixels_in))
            .saturating_add(self.query.times(units.queries.max(usage.queries)))
            .saturating_add(self.page.times(units.pages.max(usage.pages)));
        parts.output = parts
            .output
            .saturating_add(self.second_out.times(units.millis_out) / 1000)
            .saturating_add(self.character_out.times(units.characters_out))
            .saturating_add(self.image_out.times(images_out))
            .saturating_add(self.pixel_out.times(units.pixels_out));
        let web_search = match units.search_size {
            SearchSize::Low => self.web_search_low,
            SearchSize::Medium => self.web_search,
            SearchSize::High => self.web_search_high,
        };
        let web_searches = units.web_searches.max(usage.web_searches);
        let charged = |count: u64| if self.searches_once { count.min(1) } else { count };
        parts.tools = (web_search.times(charged(web_searches)))
            .saturating_add(self.map_search.times(charged(usage.map_searches)))
            .saturating_add(self.file_search.times(units.file_searches.max(usage.file_searches)))
            .saturating_add(self.code_session.times(units.code_sessions.max(usage.code_sessions)));
    }
}
