//! What a rate is for: the unit it counts, the prompt's length above which it applies, and the
//! service tier. Named as LiteLLM names its price keys.

/// What is counted, each with a rate of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A prompt token of no special kind.
    Input,
    /// A prompt token read from the provider's cache.
    CacheRead,
    /// The same, of audio.
    CacheReadAudio,
    /// The same, of an image.
    CacheReadImage,
    /// A prompt token written to the provider's cache for its usual time.
    CacheWrite,
    /// A prompt token written to the provider's cache for an hour.
    CacheWrite1h,
    /// The same, for twelve hours.
    CacheWrite12h,
    /// A prompt token of audio.
    InputAudio,
    /// A prompt token of an image.
    InputImage,
    /// A completion token of no special kind.
    Output,
    /// A completion token of reasoning.
    Reasoning,
    /// A completion token of audio.
    OutputAudio,
    /// A completion token of an image.
    OutputImage,
    /// A second of audio or video sent.
    InputSecond,
    /// A second of audio or video made.
    OutputSecond,
    /// A character sent.
    InputCharacter,
    /// A character made.
    OutputCharacter,
    /// A whole image sent.
    InputPicture,
    /// A whole image made.
    OutputPicture,
    /// A pixel sent.
    InputPixel,
    /// A pixel made.
    OutputPixel,
    /// A query to rerank or search.
    Query,
    /// A page read.
    Page,
    /// A search of the web made by a chat model, at the middle context size.
    WebSearch,
    /// A search in files made by a chat model.
    FileSearch,
    /// A container in which a chat model ran code.
    CodeSession,
    /// A search of the web at the low context size, where that has a rate of its own.
    WebSearchLow,
    /// The same at the high one.
    WebSearchHigh,
    /// A search of maps made by a chat model.
    MapSearch,
}

/// How soon the provider answers, which some sell at other rates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Service {
    /// The usual.
    #[default]
    Standard,
    /// Later and cheaper.
    Flex,
    /// Sooner and dearer.
    Priority,
    /// In a batch, within hours.
    Batch,
    /// Sooner still than with priority.
    Ultrafast,
}

/// Where a rate stands in a price sheet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rate {
    /// The unit.
    pub kind: Kind,
    /// The rate is for requests with more prompt tokens than this; zero: for all.
    pub above: u64,
    /// The service tier.
    pub service: Service,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Self; 29] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheReadAudio,
        Self::CacheReadImage,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::CacheWrite12h,
        Self::InputAudio,
        Self::InputImage,
        Self::Output,
        Self::Reasoning,
        Self::OutputAudio,
        Self::OutputImage,
        Self::InputSecond,
        Self::OutputSecond,
        Self::InputCharacter,
        Self::OutputCharacter,
        Self::InputPicture,
        Self::OutputPicture,
        Self::InputPixel,
        Self::OutputPixel,
        Self::Query,
        Self::Page,
        Self::WebSearch,
        Self::FileSearch,
        Self::CodeSession,
        Self::WebSearchLow,
        Self::WebSearchHigh,
        Self::MapSearch,
    ];

    /// LiteLLM's name for its rate in US dollars. Searches of the web have none of their own: they
    /// stand in a map.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Input => "input_cost_per_token",
            Self::CacheRead => "cache_read_input_token_cost",
            Self::CacheReadAudio => "cache_read_input_audio_token_cost",
            Self::CacheReadImage => "cache_read_input_image_token_cost",
            Self::CacheWrite => "cache_creation_input_token_cost",
            Self::CacheWrite1h => "cache_creation_input_token_cost_above_1hr",
            Self::CacheWrite12h => "cache_creation_input_token_cost_above_12hr",
            Self::InputAudio => "input_cost_per_audio_token",
            Self::InputImage => "input_cost_per_image_token",
            Self::Output => "output_cost_per_token",
            Self::Reasoning => "output_cost_per_reasoning_token",
            Self::OutputAudio => "output_cost_per_audio_token",
            Self::OutputImage => "output_cost_per_image_token",
            Self::InputSecond => "input_cost_per_second",
            Self::OutputSecond => "output_cost_per_second",
            Self::InputCharacter => "input_cost_per_character",
            Self::OutputCharacter => "output_cost_per_character",
            Self::InputPicture => "input_cost_per_image",
            Self::OutputPicture => "output_cost_per_image",
            Self::InputPixel => "input_cost_per_pixel",
            Self::OutputPixel => "output_cost_per_pixel",
            Self::Query => "input_cost_per_query",
            Self::Page => "ocr_cost_per_page",
            Self::WebSearch => "search_context_cost_per_query",
            // Whatever it is called, LiteLLM charges it for one.
            Self::FileSearch => "file_search_cost_per_1k_calls",
            Self::CodeSession => "code_interpreter_cost_per_session",
            Self::WebSearchLow => "search_context_size_low",
            Self::WebSearchHigh => "search_context_size_high",
            Self::MapSearch => "google_maps_grounding_cost_per_query",
        }
    }

    /// True for what has no key of its own.
    fn is_in_a_map(self) -> bool {
        matches!(self, Self::WebSearch | Self::WebSearchLow | Self::WebSearchHigh)
    }

    /// True for what is part of the prompt's tokens.
    pub(crate) fn is_of_prompt(self) -> bool {
        Self::Input <= self && self <= Self::InputImage
    }

    /// True for what is part of the completion's tokens.
    pub(crate) fn is_of_completion(self) -> bool {
        Self::Output <= self && self <= Self::OutputImage
    }
}

impl Service {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::Flex, Self::Priority, Self::Batch, Self::Ultrafast];

    /// The tier that a request or an answer names in `service_tier`. A name without a rate of its
    /// own, such as `auto`, is the usual.
    #[must_use]
    pub fn named(tier: &str) -> Self {
        match tier {
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "batch" => Self::Batch,
            "ultrafast" => Self::Ultrafast,
            _ => Self::Standard,
        }
    }

    /// The end of LiteLLM's keys for it.
    fn suffix(self) -> &'static str {
        match self {
            Self::Standard => "",
            Self::Flex => "_flex",
            Self::Priority => "_priority",
            Self::Batch => "_batches",
            Self::Ultrafast => "_ultrafast",
        }
    }
}

impl Rate {
    /// The usual rate for a unit.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self { kind, above: 0, service: Service::Standard }
    }

    /// LiteLLM's key for it.
    #[must_use]
    pub fn key(self) -> String {
        let Self { kind, above, service } = self;
        let above = match above {
            0 => String::new(),
            tokens if tokens % 1000 == 0 => format!("_above_{}k_tokens", tokens / 1000),
            tokens => format!("_above_{tokens}_tokens"),
        };
        format!("{}{above}{}", kind.key(), service.suffix())
    }

    /// From one of LiteLLM's keys, such as `input_cost_per_token_above_200k_tokens_priority`.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let by_length = |kind: &Kind| kind.key().len();
        let begun = Kind::ALL.into_iter().filter(|kind| key.starts_with(kind.key()));
        let kind = begun.max_by_key(by_length).filter(|kind| !kind.is_in_a_map())?;
        let mut rest = key.strip_prefix(kind.key())?;
        let mut rate = Self::of(kind);
        // Both orders are in use: `_above_200k_tokens_priority` and `_priority_above_200k_tokens`.
        while !rest.is_empty() {
            let mut tiers = Service::ALL.into_iter().skip(1);
            if let Some(tier) = tiers.find(|tier| rest.starts_with(tier.suffix())) {
                rate.service = tier;
                rest = &rest[tier.suffix().len()..];
            } else {
                let (count, after) = rest.strip_prefix("_above_")?.split_once("_tokens")?;
                rate.above = match count.strip_suffix('k') {
                    Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
                    None => count.parse().ok()?,
                };
                rest = after;
            }
        }
        Some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_found_by_its_key() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_in_a_map()) {
            for service in Service::ALL {
                for above in [0, 200_000, 1234] {
                    let rate = Rate { kind, above, service };
                    assert_eq!(Rate::from_key(&rate.key()), Some(rate));
                }
            }
        }
    }

    #[test]
    fn the_kinds_stand_in_their_order() {
        assert!(Kind::ALL.is_sorted(), "each once, none forgotten between its neighbours");
    }

    #[test]
    fn litellms_keys_are_understood_and_others_are_not() {
        let rate = |kind, above, service| Some(Rate { kind, above, service });
        let cases = [
            ("input_cost_per_token", rate(Kind::Input, 0, Service::Standard)),
            ("input_cost_per_token_flex", rate(Kind::Input, 0, Service::Flex)),
            ("output_cost_per_token_batches", rate(Kind::Output, 0, Service::Batch)),
            (
                "cache_creation_input_token_cost_above_1hr",
                rate(Kind::CacheWrite1h, 0, Service::Standard),
            ),
            (
                "cache_creation_input_token_cost_above_200k_tokens",
                rate(Kind::CacheWrite, 200_000, Service::Standard),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                rate(Kind::CacheWrite1h, 200_000, Service::Standard),
            ),
            (
                "input_cost_per_token_above_272k_tokens_priority",
                rate(Kind::Input, 272_000, Service::Priority),
            ),
            (
                "input_cost_per_token_priority_above_200k_tokens",
                rate(Kind::Input, 200_000, Service::Priority),
            ),
            ("output_cost_per_image", rate(Kind::OutputPicture, 0, Service::Standard)),
            ("output_cost_per_image_token", rate(Kind::OutputImage, 0, Service::Standard)),
            ("ocr_cost_per_page", rate(Kind::Page, 0, Service::Standard)),
            (
                "cache_creation_input_token_cost_above_12hr_above_272k_tokens_flex",
                rate(Kind::CacheWrite12h, 272_000, Service::Flex),
            ),
            ("cache_creation_input_token_cost_above_13hr", None),
            ("google_maps_grounding_cost_per_query", rate(Kind::MapSearch, 0, Service::Standard)),
            ("input_cost_per_token_ultrafast", rate(Kind::Input, 0, Service::Ultrafast)),
            ("input_cost_per_audio_per_second", None),
            ("output_cost_per_second_1080p", None),
            ("input_cost_per_tokens", None),
            ("search_context_cost_per_query", None),
            ("", None),
        ];
        for (key, expected) in cases {
            assert_eq!(Rate::from_key(key), expected, "{key}");
        }
    }
}
