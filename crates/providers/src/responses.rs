//! Chats with models that have OpenAI's responses and no chats: what they lack, and the decoder of
//! their streams. Where they are asked, [`openai_compatible`](crate::openai_compatible) says.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::StreamEvent;
use dunlin_llm::form::Chat;
use dunlin_llm::responses::{StreamReader, frames_of_reply};

use crate::frames::{self, Frames, ReadFrame};
use crate::{Params, StreamError, params, reasoning};

/// What a chat has and a response has not.
const LACKS: &[&str] = &[
    "audio",
    "data_sources",
    "enhancements",
    "frequency_penalty",
    "logit_bias",
    "modalities",
    "n",
    "prediction",
    "presence_penalty",
    "seed",
    "stop",
];
/// What a response has and a chat has not. What it keeps is not among it.
const MORE: &[&str] = &[
    "context_management",
    "include",
    "instructions",
    "max_tool_calls",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "store",
    "text",
    "truncation",
];
/// Tools that a server of responses runs by itself, and whose outcome is words. What a client would
/// have to carry out, and pictures, cannot be told in a chat.
const RUN_THERE: &[&str] = &["code_interpreter", "file_search", "mcp"];

/// The parameters of a model that is asked for responses.
pub(crate) fn params(model: &str) -> Params {
    Params::AllBut(match (reasoning::thinks(model), reasoning::has_own_lots(model)) {
        _ if !reasoning::is_openais(model) => &[params::COMPLETIONS_ONLY, LACKS],
        (true, true) => &[params::COMPLETIONS_ONLY, LACKS, reasoning::OWN_LOTS],
        (true, false) => &[params::COMPLETIONS_ONLY, LACKS],
        (false, _) => &[params::COMPLETIONS_ONLY, LACKS, reasoning::ANY_WISH],
    })
}

/// Whether a chat can be given a tool of that type.
pub(crate) fn runs(kind: &str) -> bool {
    kind == "custom" || dunlin_llm::form::is_web_search(kind) || RUN_THERE.contains(&kind)
}

/// Whether the model gives away what it thought, sealed. OpenAI refuses to be asked for it where
/// nothing is thought.
pub(crate) fn seals(chat: &Chat, model: &str) -> bool {
    let is_asked = || chat.reasoning.as_ref().is_some_and(|wish| wish.effort.is_some());
    if reasoning::is_openais(model) { reasoning::thinks(model) } else { is_asked() }
}

/// Without what a server would refuse that knows only OpenAI's words.
pub(crate) fn forget_unknown(chat: &mut Chat, is_known: impl Fn(&str) -> bool) {
    chat.other.retain(|(name, _)| MORE.contains(&&**name) || is_known(name));
    chat.top_k = None;
}

/// Reads events, taken apart into deltas.
#[derive(Default)]
pub(crate) struct ResponseStream(StreamReader);

impl ResponseStream {
    pub(crate) fn translating() -> Frames<Self> {
        Frames::new(Self::default())
    }
}

impl ReadFrame for ResponseStream {
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        self.0.read(frame, events)?;
        let is_last = matches!(events.last(), Some(StreamEvent::Done(_) | StreamEvent::Error(_)));
        Ok(if is_last { Break(()) } else { Continue(()) })
    }

    fn of_whole(&self, body: &[u8]) -> Option<Vec<Bytes>> {
        frames_of_reply(body)
    }

    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        // Half an event is a cut, not nonsense.
        if !rest.trim_ascii().is_empty() {
            let read = self.read(frames::ended(&rest), events).map_err(|_| StreamError::Cut)?;
            if read.is_break() {
                return Ok(());
            }
        }
        Err(StreamError::Cut)
    }
}

#[cfg(test)]
mod tests;
