//! Anthropic's API, and whatever else speaks it at an `api_base` of its own: a client's messages
//! are passed on as they are; what clients of other dialects ask goes through the common form.

use bytes::Bytes;
use dunlin_llm::anthropic::{
    Abilities, MessageStyle, Thinking, hosts, parse_count, parse_reply, read_reply,
    without_foreign, write_chat,
};
use dunlin_llm::{ChatReply, ChatRequest, Dialect, Endpoint, Target};
use dunlin_types::{Credential, UnixMillis};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, StatusCode};

use crate::encode::{EncodeError, add_headers, post_without_credential, secret_value};
use crate::params::{self, Params};
use crate::{Provider, ProviderError, StreamDecoder, Variables, relay};

mod betas;
mod stream;

pub use betas::left_out as left_out_betas;
pub(crate) use stream::AnthropicStream;

pub(crate) static PROVIDER: Anthropic = Anthropic;

pub(crate) struct Anthropic;

const SPEAKER: &str = "AnthropicException";
/// What it keeps.
const BATCHES: &str = "/messages/batches";
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// What the common form is written in. The newer one has no sampling parameters any more.
const DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// Tokens of a subscription's login begin so. They are no keys.
const LOGIN_TOKEN: &str = "sk-ant-oat";

/// OpenAI's names of what there is, and Anthropic's own fields. The last one only thinking models
/// have, and the newest of those have not the first three.
const PARAMS: &[&str] = &[
    "temperature",
    "top_k",
    "top_p",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "parallel_tool_calls",
    "response_format",
    "service_tier",
    "speed",
    "stop",
    "tool_choice",
    "tools",
    "reasoning_effort",
];

/// What the newest models have not.
pub(crate) const SAMPLING: &[&str] = &["temperature", "top_k", "top_p"];

impl Provider for Anthropic {
    fn id(&self) -> &'static str {
        "anthropic"
    }

    fn default_base(&self) -> Option<&'static str> {
        Some("https://api.anthropic.com")
    }

    fn speaker(&self) -> &'static str {
        SPEAKER
    }

    fn variables(&self) -> Variables {
        Variables {
            keys: &["ANTHROPIC_API_KEY"],
            bases: &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        }
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn is_strict(&self, _model: &str) -> bool {
        true
    }

    fn params(&self, to: &Target) -> Params {
        let abilities = Abilities::of(&to.model);
        Params::Only(match abilities.thinking {
            Thinking::Never => &PARAMS[..PARAMS.len() - 1],
            Thinking::Adaptive | Thinking::Always if !abilities.samples => {
                &PARAMS[SAMPLING.len()..]
            }
            Thinking::Budgeted | Thinking::Adaptive | Thinking::Always => PARAMS,
        })
    }

    fn forces_calls(&self, to: &Target) -> bool {
        Abilities::of(&to.model).forced_calls
    }

    fn hosts(&self, tool: &str, _to: &Target) -> bool {
        hosts(tool)
    }

    fn counts_tokens(&self) -> bool {
        true
    }

    fn dialect(&self, _to: &Target) -> Option<Dialect> {
        Some(Dialect::Anthropic)
    }

    fn passes(&self, request: &ChatRequest, _to: &Target) -> bool {
        request.endpoint() == Endpoint::Messages
    }

    fn kept_url(&self, to: &Target, route: &str) -> Option<String> {
        let is_kept = route.starts_with(BATCHES);
        is_kept.then(|| relay::url(self.id(), &to.api_base, &format!("/v1{route}"), None))
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        let messages = messages_url(&to.api_base);
        let asked = request.endpoint();
        let (url, body, betas) = if asked == Endpoint::Messages {
            let body = params::bytes(self, request, to, &to.model)?;
            let body = without_foreign(body);
            (messages, body, betas::passed(request))
        } else if asked == Endpoint::CountTokens {
            let body = without_foreign(request.encode_for(&to.model, &[]));
            (messages + "/count_tokens", body, betas::passed(request))
        } else if asked.is_chat() {
            let chat = params::form(self, request, to)?;
            let style = MessageStyle {
                model: Some(&to.model),
                abilities: Abilities::of(&to.model),
                max_output: to.max_output.map(|tokens| tokens.0),
            };
            (messages, write_chat(&chat, style)?, betas::known_or_needed(request, &chat))
        } else {
            let (provider, route) = (self.id(), asked.route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        };
        let mut call = post_without_credential(url, body, to)?;
        betas::add(&mut call, betas)?;
        let own = request
            .headers()
            .get(&VERSION)
            .filter(|_| !asked.is_chat() || asked == Endpoint::Messages);
        let version = own.cloned().unwrap_or(DEFAULT_VERSION);
        call.headers_mut().entry(VERSION).or_insert(version);
        authorize(&mut call, credential)?;
        Ok(call)
    }

    fn authorize(
        &self,
        call: &mut Request<Bytes>,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<(), EncodeError> {
        add_headers(call, to)?;
        call.headers_mut().entry(VERSION).or_insert(DEFAULT_VERSION);
        authorize(call, credential)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        _to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        ProviderError::check(SPEAKER, status, &body)?;
        let asked = request.endpoint();
        let reply = if asked == Endpoint::Messages {
            parse_reply(body)
        } else if asked == Endpoint::CountTokens {
            parse_count(body)
        } else {
            read_reply(&body).map(ChatReply::from)
        };
        reply.map_err(|error| ProviderError::bad_reply(SPEAKER, &error))
    }

    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder> {
        Box::new(if request.endpoint() == Endpoint::Messages {
            AnthropicStream::passing()
        } else {
            let abilities = Abilities::of(&to.model);
            AnthropicStream::translating(params::answers_by_tool(self, request, to, abilities))
        })
    }
}

/// Sends on what a client of Anthropic's asks for beyond the common, as far as Vertex AI knows it.
pub(crate) fn pass_vertex_betas(
    call: &mut Request<Bytes>,
    request: &ChatRequest,
) -> Result<(), EncodeError> {
    betas::add(call, betas::known_at_vertex(request))
}

/// Users give the server's root, its `/v1`, or the whole address.
fn messages_url(api_base: &str) -> String {
    let base = api_base.trim_end_matches('/');
    let base = base.strip_suffix("/messages").unwrap_or(base);
    let base = base.strip_suffix("/v1").unwrap_or(base);
    format!("{base}/v1/messages")
}

/// A key has a header of its own; headers of the operator's own win.
fn authorize(call: &mut Request<Bytes>, credential: &Credential) -> Result<(), EncodeError> {
    let (name, value) = match credential {
        Credential::Token(token) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
        Credential::Key(key) if key.expose().starts_with(LOGIN_TOKEN) => {
            betas::add(call, vec![HeaderValue::from_static("oauth-2025-04-20")])?;
            (AUTHORIZATION, format!("Bearer {}", key.expose()))
        }
        Credential::Key(key) => (API_KEY, key.expose().to_owned()),
        Credential::None | Credential::Aws { .. } => return Ok(()),
    };
    let value = secret_value(name.as_str(), &value)?;
    let has_own =
        call.headers().contains_key(AUTHORIZATION) || call.headers().contains_key(API_KEY);
    if !has_own {
        call.headers_mut().insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
