//! By what a request is charged: the price of who answers, and what else than tokens it has.

use std::sync::Arc;

use dunlin_ledger::{Context, Cost, Price, Pricing};
use dunlin_llm::{Endpoint, Media, Tier, Usage};
use dunlin_router::{Deployment, context};
use dunlin_types::{NanoUsd, Tokens};

use crate::attempts::hold::tokens_of_sound;

/// By what a request is charged.
pub(super) struct Tariff {
    pub(super) pricing: Pricing,
    /// What an answer costs beside its tokens.
    pub(super) fee: NanoUsd,
    pub(super) endpoint: Endpoint,
    pub(super) tier: Option<Tier>,
    /// What else than tokens was used.
    pub(super) media: Media,
    /// Whether the price is that of one size and quality of pictures.
    pub(super) by_picture: bool,
    /// Who answers, and which model a tool is to ask there, by the request.
    pub(super) by: Option<Arc<Deployment>>,
    pub(super) tool_model: Option<Box<str>>,
}

impl Tariff {
    /// Before anybody was asked.
    pub(super) fn new(endpoint: Endpoint, tier: Option<Tier>, media: Media) -> Self {
        let (pricing, fee) = (Pricing::default(), NanoUsd::ZERO);
        let (by, tool_model) = (None, None);
        Self { pricing, fee, endpoint, tier, media, by_picture: false, by, tool_model }
    }

    /// What an answer costs for which so much was used, if that `is_estimated`, within so many
    /// milliseconds.
    pub(super) fn cost(&self, used: &Usage, took: u64, is_estimated: bool) -> Cost {
        let mut cost = self.pricing.cost(used, &self.context(took, is_estimated));
        let charged = [&mut cost.input, &mut cost.original, &mut cost.total];
        charged.into_iter().for_each(|amount| *amount += self.fee);
        cost
    }

    /// What is taken to be used where nobody counted. A sound that was sent counts by its length: as
    /// tokens, unless its seconds have a price.
    pub(super) fn estimate(&self, prompt: Tokens, completion: Tokens) -> Usage {
        let text = Usage { prompt, completion, ..Usage::default() };
        match self.heard() {
            0 => text,
            _ if self.pricing.price().is_some_and(Price::has_seconds_sent) => Usage::default(),
            millis => {
                let prompt_audio = tokens_of_sound(millis);
                Usage { prompt: text.prompt + prompt_audio, prompt_audio, ..text }
            }
        }
    }

    /// Milliseconds of sound, as the answer says or else as the file did.
    fn heard(&self) -> u64 {
        if self.media.millis > 0 { self.media.millis } else { self.media.millis_sent }
    }

    /// What was counted: of who makes pictures and does not tell them apart, all is pictures.
    pub(super) fn counted(&self, usage: Usage) -> Usage {
        if self.makes_pictures() && usage.completion_image == Tokens(0) {
            return Usage { completion_image: usage.completion, ..usage };
        }
        usage
    }

    fn makes_pictures(&self) -> bool {
        matches!(self.endpoint, Endpoint::ImageEdits | Endpoint::ImageGenerations)
    }

    /// How the request was served, for its price.
    fn context(&self, took: u64, is_estimated: bool) -> Context {
        let mut media = self.media;
        if is_estimated {
            media.millis = self.heard();
        }
        let price = self.pricing.price();
        let is_sound = media.millis_sent > 0 || media.millis > 0;
        // Tokens were counted that have no price.
        if is_sound && price.is_some_and(Price::is_of_time) {
            media.millis = self.heard();
        }
        if self.endpoint.is_chat() && !is_sound && price.is_some_and(Price::is_of_time) {
            media.millis = took;
        }
        let by_picture =
            self.by_picture || self.makes_pictures() && price.is_some_and(Price::is_of_pictures);
        context(media, self.tier, by_picture)
    }
}
