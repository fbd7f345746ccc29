//! What of a request other models did than the one that was asked, which has them asked by tools of its
//! provider's: they are charged at prices of their own.

use std::fmt;

use crate::{Tokens, Usage};

/// Models that a request is taken to have beside its own. What more there are count as the last.
const MOST_PARTS: usize = 2;

/// A model's name as its provider writes it, kept in place. A longer one is cut, and has no price then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ModelName {
    bytes: [u8; Self::MOST_BYTES],
    length: u8,
}

/// What one other model used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// Which one. Empty: it is not said, and is the one that the request names.
    pub model: ModelName,
    /// As in [`Usage`].
    pub prompt: Tokens,
    /// Of `prompt`.
    pub cached: Tokens,
    /// Of `prompt`.
    pub cache_write: Tokens,
    /// Of `cache_write`.
    pub cache_write_1h: Tokens,
    /// Of `prompt`.
    pub prompt_image: Tokens,
    /// As in [`Usage`].
    pub completion: Tokens,
    /// Of `completion`.
    pub completion_image: Tokens,
}

/// All of them; the first ones are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parts([Part; MOST_PARTS]);

impl ModelName {
    const MOST_BYTES: usize = 63;

    /// The name, as far as there is room.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = &name[..name.floor_char_boundary(Self::MOST_BYTES)];
        let mut bytes = [0; Self::MOST_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Self { bytes, length: u8::try_from(name.len()).expect("it is below 64") }
    }

    /// The same as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length.into()]).expect("it was made of text")
    }
}

impl Default for ModelName {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Part {
    /// Of that model, so much, in the words of a request's own.
    #[must_use]
    pub fn of(model: &str, used: &Usage) -> Self {
        Self {
            model: ModelName::new(model),
            prompt: used.prompt,
            cached: used.cached,
            cache_write: used.cache_write,
            cache_write_1h: used.cache_write_1h,
            prompt_image: used.prompt_image,
            completion: used.completion,
            completion_image: used.completion_image,
        }
    }

    /// The same in the words of a request's own.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            prompt: self.prompt,
            cached: self.cached,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            prompt_image: self.prompt_image,
            completion: self.completion,
            completion_image: self.completion_image,
            ..Usage::default()
        }
    }

    fn is_nothing(&self) -> bool {
        self.usage() == Usage::default()
    }
}

impl Parts {
    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.iter().filter(|part| !part.is_nothing())
    }

    /// The same with one more; of a model that is there already, it is added up.
    #[must_use]
    pub fn with(mut self, part: Part) -> Self {
        let fits = |there: &Part| there.is_nothing() || there.model == part.model;
        let at = self.0.iter().position(fits).unwrap_or(MOST_PARTS - 1);
        let there = self.0[at];
        let model = if there.is_nothing() { part.model } else { there.model };
        self.0[at] = Part { model, ..Part::of("", &there.usage().plus(&part.usage())) };
        self
    }
}
