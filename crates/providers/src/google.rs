//! What Google's two services share: the dialect, and how its models differ.

use bytes::Bytes;
use dunlin_llm::form::{Chat, Embed, ToolChoice, Vectors};
use dunlin_llm::gemini::{ChatStyle, Embedded, Thinking, pass_reply, read_reply, write_chat};
use dunlin_llm::{BadReply, ChatReply, ChatRequest, Dialect, Target};

use crate::Provider;
use crate::encode::EncodeError;
use crate::params;

mod stream;

pub(crate) use stream::GoogleStream;

/// What all of Google's models have, by OpenAI's names, and what is Google's own.
const BASE: [&str; 23] = [
    "audio",
    "cachedContent",
    "cached_content",
    "generationConfig",
    "labels",
    "logprobs",
    "max_tokens",
    "mediaResolution",
    "media_resolution",
    "modalities",
    "n",
    "response_format",
    "safetySettings",
    "safety_settings",
    "seed",
    "stop",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "web_search_options",
];
const PENALTIES: [&str; 2] = ["frequency_penalty", "presence_penalty"];
const THOUGHT: [&str; 3] = ["reasoning_effort", "thinkingConfig", "thinking_config"];
const TIER: [&str; 1] = ["service_tier"];

static PLAIN: [&str; 26] = joined(joined::<23, 2, 25>(BASE, PENALTIES), TIER);
static THINKING: [&str; 29] = joined(PLAIN, THOUGHT);
static STRICT: [&str; 27] = joined(joined::<23, 3, 26>(BASE, THOUGHT), TIER);

const fn joined<const A: usize, const B: usize, const SUM: usize>(
    a: [&'static str; A],
    b: [&'static str; B],
) -> [&'static str; SUM] {
    assert!(A + B == SUM, "the length of the whole is that of its parts");
    let mut all = [""; SUM];
    let mut at = 0;
    while at < SUM {
        all[at] = if at < A { a[at] } else { b[at - A] };
        at += 1;
    }
    all
}

/// Google's models by what they can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Those before 2.5: they do not think.
    Plain,
    /// 2.5: thought is measured in tokens.
    Thinking,
    /// From 3 on: thought has levels, calls have ids and seals, penalties are gone.
    Strict,
}

impl Generation {
    /// By the name. What is of no known older kind is taken for new.
    pub(crate) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let Some(version) = name.strip_prefix("gemini-") else {
            // Gemma, or a number: a model that was tuned.
            return Self::Plain;
        };
        let is_old =
            ["1.", "2.0", "exp", "pro", "flash"].iter().any(|old| version.starts_with(old));
        if version.starts_with("2.5") || version.ends_with("-latest") {
            Self::Thinking
        } else if is_old {
            Self::Plain
        } else {
            Self::Strict
        }
    }

    pub(crate) fn params(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &PLAIN,
            Self::Thinking => &THINKING,
            Self::Strict => &STRICT,
        }
    }
}

/// A choice among some functions that must be made is known to all models, one that may be made to
/// those of the third generation.
pub(crate) fn restricts_tools(chat: &Chat, model: &str) -> bool {
    chat.tool_choice == Some(ToolChoice::Required) || Generation::of(model) == Generation::Strict
}

fn style(model: &str, service_tier: bool) -> ChatStyle {
    let generation = Generation::of(model);
    let thinking = if generation == Generation::Strict {
        Thinking::Level { minimal: model.contains("flash") }
    } else {
        // The least that LiteLLM asks each model for.
        let least = if model.contains("flash-lite") {
            512
        } else if model.contains("2.5-flash") {
            1
        } else {
            128
        };
        Thinking::Budget { least, always: model.contains("2.5-pro") }
    };
    ChatStyle { strict_calls: generation == Generation::Strict, thinking, service_tier }
}

/// True if client and provider speak alike, so that answers are passed on.
pub(crate) fn passes(request: &ChatRequest) -> bool {
    request.endpoint().dialect() == Dialect::Gemini
}

/// The body of a chat. A client's own bytes are sent if the deployment changes nothing of them.
pub(crate) fn chat_body(
    provider: &dyn Provider,
    request: &ChatRequest,
    to: &Target,
    service_tier: bool,
) -> Result<Bytes, EncodeError> {
    let drops = !params::rules(request, to).always_drop.is_empty();
    if passes(request) && to.body_defaults.is_empty() && !drops {
        return Ok(request.encode_for(&to.model, &[]));
    }
    let chat = params::form(provider, request, to)?;
    Ok(write_chat(&chat, style(&to.model, service_tier)))
}

/// What is done with a model, as the end of a path says it.
pub(crate) fn verb(request: &ChatRequest) -> &'static str {
    if request.stream() { "streamGenerateContent?alt=sse" } else { "generateContent" }
}

/// The answer to a chat.
pub(crate) fn chat_reply(request: &ChatRequest, body: Bytes) -> Result<ChatReply, BadReply> {
    if passes(request) { pass_reply(body) } else { read_reply(&body).map(ChatReply::from) }
}

/// What is asked of an embedding model.
pub(crate) fn embed(
    provider: &dyn Provider,
    request: &ChatRequest,
    to: &Target,
) -> Result<Embed, EncodeError> {
    let mut embed = params::embed(request, to)?;
    let rules = params::rules(request, to);
    const OWN: [&str; 5] = ["autoTruncate", "auto_truncate", "taskType", "task_type", "title"];
    let is_known = |name: &str| OWN.contains(&name);
    let allowed = |name: &str| rules.allow.iter().any(|allow| **allow == *name);
    let unknown = embed.other.iter().map(|(name, _)| name);
    let params: Vec<String> =
        unknown.filter(|name| !is_known(name) && !allowed(name)).cloned().collect();
    if !params.is_empty() && !rules.drop_unsupported {
        let (provider, model) = (provider.id(), to.model.to_string());
        return Err(EncodeError::UnsupportedParams { provider, params, model });
    }
    embed.other.retain(|(name, _)| !params.contains(name));
    Ok(embed)
}

/// The vectors, as the client wants them.
pub(crate) fn vectors(request: &ChatRequest, embedded: Embedded) -> ChatReply {
    let Embedded { vectors, usage } = embedded;
    let encoding = request.vector_encoding().unwrap_or_default();
    let prompt_estimate = request.prompt_estimate();
    Vectors { vectors, encoding, usage, prompt_estimate }.into()
}

/// A name as a part of a path.
pub(crate) fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
