//! What a bill is about, as far as it is known before there is an answer.

use dunlin_journal::Origin;
use dunlin_llm::{ChatRequest, Media, Tier};
use dunlin_types::Tokens;

/// What a bill is about.
pub(crate) struct About<'a> {
    /// The model asked for, as the client named it.
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    pub(crate) prompt_estimate: Tokens,
    /// The service tier that is asked for.
    pub(crate) tier: Option<Tier>,
    pub(crate) media: Media,
    /// The model that a tool is to ask.
    pub(crate) tool_model: Option<&'a str>,
    pub(crate) origin: Origin,
}

impl<'a> About<'a> {
    pub(crate) fn of(chat: &'a ChatRequest, origin: Origin) -> Self {
        Self {
            model: chat.model(),
            stream: chat.stream(),
            prompt_estimate: chat.prompt_estimate(),
            tier: chat.service_tier(),
            media: Media::asked(chat),
            tool_model: chat.tool_models().names().last(),
            origin,
        }
    }

    /// A call that is passed on: of a provider's own API, about something that one keeps, or of an
    /// address that the configuration names.
    pub(crate) fn relayed(model: &'a str, prompt_estimate: Tokens, origin: Origin) -> Self {
        let (tier, media, tool_model) = (None, Media::default(), None);
        Self { model, stream: false, prompt_estimate, tier, media, tool_model, origin }
    }
}
