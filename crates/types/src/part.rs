//! What of a request other models did than the one that was asked, which has them asked by tools of its
//! provider's: they are charged at prices of their own.

use crate::{Tokens, Usage};

/// Models that a request is taken to have beside its own. What more there are count as the last.
const MOST_PARTS: usize = 2;
/// Bytes of a model's name as its provider writes it. A longer one is cut, and has no price then.
const MOST_NAME_BYTES: usize = 63;

/// What one other model used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// Which one. Empty: it is not said, and is the one that the request names.
    pub model: String,
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

/// All of them. Hardly any request has one, and then it takes no memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parts(Vec<Part>);

impl Part {
    /// Of that model, so much, in the words of a request's own.
    #[must_use]
    pub fn of(model: &str, used: &Usage) -> Self {
        Self {
            model: model[..model.floor_char_boundary(MOST_NAME_BYTES)].to_owned(),
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

    fn add(&mut self, more: &Self) {
        let model = std::mem::take(&mut self.model);
        *self = Self { model, ..Self::of("", &self.usage().plus(&more.usage())) };
    }

    fn is_nothing(&self) -> bool {
        self.usage() == Usage::default()
    }
}

impl Parts {
    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.iter()
    }

    /// The same with one more; of a model that is there already, it is added up.
    #[must_use]
    pub fn with(mut self, part: Part) -> Self {
        if part.is_nothing() {
            return self;
        }
        let is_full = self.0.len() == MOST_PARTS;
        let named = self.0.iter().position(|there| there.model == part.model);
        match named.or(is_full.then_some(MOST_PARTS - 1)) {
            Some(at) => self.0[at].add(&part),
            None => self.0.push(part),
        }
        self
    }
}
