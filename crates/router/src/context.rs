//! What is charged beside tokens, in the words of prices.

use dunlin_ledger::{Context, Service, Units};
use dunlin_llm::{Media, Tier, Tools};

/// How a request was served. `by_picture`: the price is that of one size and quality of pictures.
#[must_use]
pub fn context(media: Media, tier: Option<Tier>, by_picture: bool) -> Context {
    let Media { pictures, pixels, characters, queries, tools, .. } = media;
    let Tools { web_searches, file_searches, code_sessions } = tools;
    let units = Units {
        images_out: pictures,
        // Price lists write what a picture of one size costs as if it was sent.
        images_in: if by_picture { pictures } else { 0 },
        pixels_in: if by_picture { pictures.saturating_mul(pixels) } else { 0 },
        millis_in: media.millis,
        millis_out: media.millis_made,
        characters_in: characters,
        queries,
        web_searches,
        search_size: media.search_size,
        file_searches,
        code_sessions,
        ..Units::default()
    };
    Context { service: service(tier), units }
}

/// Whether a provider tells what each answer cost, tools included: that goes before what is published
/// of its prices.
#[must_use]
pub fn tells_costs(provider: &str) -> bool {
    matches!(provider, "openrouter" | "perplexity" | "xai")
}

/// The tier in the words of prices.
#[must_use]
pub fn service(tier: Option<Tier>) -> Service {
    match tier {
        None | Some(Tier::Standard) => Service::Standard,
        Some(Tier::Flex) => Service::Flex,
        Some(Tier::Priority) => Service::Priority,
        Some(Tier::Ultrafast) => Service::Ultrafast,
        Some(Tier::Batch) => Service::Batch,
    }
}
