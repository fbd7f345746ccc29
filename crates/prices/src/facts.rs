//! What the table says about one model.

use std::fmt;
use std::str::FromStr;

use dunlin_ledger::{Premiums, Rate, Sheet};
use dunlin_types::PicoUsd;

/// What a model is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Text to sound.
    AudioSpeech,
    /// Sound to text.
    AudioTranscription,
    /// A chat.
    Chat,
    /// A plain completion of a text.
    Completion,
    /// Vectors for texts.
    Embedding,
    /// Images from images.
    ImageEdit,
    /// Images from texts.
    ImageGeneration,
    /// Whether a text is allowed.
    Moderation,
    /// Text from pages.
    Ocr,
    /// A conversation over one connection.
    Realtime,
    /// An order of texts.
    Rerank,
    /// A chat that is served in `OpenAI`'s newer dialect only.
    Responses,
    /// A search of the web.
    Search,
}

impl Mode {
    const ALL: [Self; 13] = [
        Self::AudioSpeech,
        Self::AudioTranscription,
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::ImageEdit,
        Self::ImageGeneration,
        Self::Moderation,
        Self::Ocr,
        Self::Realtime,
        Self::Rerank,
        Self::Responses,
        Self::Search,
    ];

    /// LiteLLM's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AudioSpeech => "audio_speech",
            Self::AudioTranscription => "audio_transcription",
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::ImageEdit => "image_edit",
            Self::ImageGeneration => "image_generation",
            Self::Moderation => "moderation",
            Self::Ocr => "ocr",
            Self::Realtime => "realtime",
            Self::Rerank => "rerank",
            Self::Responses => "responses",
            Self::Search => "search",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// Something that not every model can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ability {
    pub(crate) letter: u8,
    /// LiteLLM's name for it in `/model/info`, such as `supports_vision`.
    pub key: &'static str,
}

const fn ability(letter: u8, key: &'static str) -> Ability {
    Ability { letter, key }
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 18] = [
        ability(b'a', "supports_audio_input"),
        ability(b'A', "supports_audio_output"),
        ability(b'c', "supports_prompt_caching"),
        ability(b'f', "supports_function_calling"),
        ability(b'i', "supports_embedding_image_input"),
        ability(b'j', "supports_response_schema"),
        ability(b'm', "supports_system_messages"),
        ability(b'n', "supports_native_streaming"),
        ability(b'p', "supports_parallel_function_calling"),
        ability(b'P', "supports_pdf_input"),
        ability(b'q', "supports_assistant_prefill"),
        ability(b'r', "supports_reasoning"),
        ability(b't', "supports_tool_choice"),
        ability(b'u', "supports_url_context"),
        ability(b'v', "supports_vision"),
        ability(b'V', "supports_video_input"),
        ability(b'w', "supports_web_search"),
        ability(b'x', "supports_computer_use"),
    ];
}

/// Abilities, a bit each, in the order of [`Ability::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Abilities(u32);

impl Abilities {
    pub(crate) fn add(&mut self, which: impl Fn(&Ability) -> bool) -> bool {
        let position = Ability::ALL.iter().position(which);
        self.0 |= position.map_or(0, |bit| 1 << bit);
        position.is_some()
    }

    fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, a)| a)
    }
}

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().and_then(|part| part.parse::<u16>().ok()).ok_or(());
        let (year, month, day) = (part()?, part()?, part()?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(());
        }
        let small = |number| u8::try_from(number).map_err(|_| ());
        Ok(Self { year, month: small(month)?, day: small(day)? })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// What is known of a model, in the table's keeping.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Facts<'t> {
    /// LiteLLM's name for it, such as `gpt-4o` or `azure/gpt-4o`.
    pub name: &'t str,
    /// Who serves it.
    pub provider: &'t str,
    /// What it is for.
    pub mode: Option<Mode>,
    /// The most tokens of a prompt.
    pub max_input: Option<u64>,
    /// The most tokens of an answer.
    pub max_output: Option<u64>,
    /// The day it ends.
    pub ends: Option<Day>,
    pub(crate) abilities: Abilities,
    /// Its published rates, in order.
    pub rates: &'t [(Rate, PicoUsd)],
    /// All searches of the web that an answer takes cost as one.
    pub searches_once: bool,
    /// What costs more than these rates.
    pub premiums: Premiums,
}

impl Facts<'_> {
    /// What it can do that not every model can.
    pub fn abilities(&self) -> impl Iterator<Item = Ability> {
        self.abilities.iter()
    }

    /// Its published rates as a sheet that can be written on.
    #[must_use]
    pub fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::default();
        for (rate, price) in self.rates {
            sheet.set(*rate, *price);
        }
        if self.searches_once {
            sheet.charge_searches_once();
        }
        sheet.premiums = self.premiums;
        sheet
    }
}
