//! AWS Bedrock: every model's chats by Converse, signed or with a Bedrock API key, and vectors of
//! Titan and Cohere by InvokeModel.

mod embed;
mod frames;
mod model;
mod read;
mod stream;
mod whole;
mod write;

use bytes::Bytes;
use dunlin_llm::anthropic::Abilities;
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Target, edit};
use dunlin_types::{Credential, UnixMillis};
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode};

pub(crate) use model::{region, sent_id};

use crate::anthropic::SAMPLING;
use crate::encode::{EncodeError, post};
use crate::params::{self, Params};
use crate::sigv4::{self, Keys, Scope};
use crate::{Provider, ProviderError, StreamDecoder, Variables};

pub(crate) static PROVIDER: Bedrock = Bedrock { id: "bedrock", speaker: "BedrockException" };

/// What is called for an answer in pieces.
const STREAM: &str = "converse-stream";

/// LiteLLM has two names for it.
pub(crate) struct Bedrock {
    pub(crate) id: &'static str,
    pub(crate) speaker: &'static str,
}

/// What no model here has, by OpenAI's names.
const LACKS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "modalities",
    "n",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "store",
    "top_logprobs",
    "verbosity",
    "web_search_options",
];

impl Bedrock {
    /// What is called and the body.
    fn call(
        &self,
        request: &ChatRequest,
        to: &Target,
    ) -> Result<(&'static str, Bytes), EncodeError> {
        let (asked, model) = (request.endpoint(), model::id(&to.model));
        if asked == Endpoint::Embeddings {
            return Ok(("invoke", embed::write(&params::embed(request, to)?, model)?));
        }
        if !asked.is_chat() || asked == Endpoint::CountTokens {
            let (provider, route) = (self.id, asked.route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        }
        let chat = params::form(self, request, to)?;
        // Only Claude can be told that it must not call what it is shown.
        let is_deaf = !model::is_claude(model) && write::shows_forbidden(&chat);
        if is_deaf && !params::rules(request, to).drop_unsupported {
            let (provider, params) = (self.id, vec!["tool_choice".to_owned()]);
            let model = to.model.to_string();
            return Err(EncodeError::UnsupportedParams { provider, params, model });
        }
        let body = write::chat(&chat, model)?;
        let is_whole =
            model::streams_no_tools(model) && edit::member(&body, "toolConfig").is_some();
        let streams = request.stream() && !is_whole;
        Ok((if streams { STREAM } else { "converse" }, body))
    }
}

impl Provider for Bedrock {
    fn id(&self) -> &'static str {
        self.id
    }

    /// Each region has its own.
    fn default_base(&self) -> Option<&'static str> {
        None
    }

    fn speaker(&self) -> &'static str {
        self.speaker
    }

    fn variables(&self) -> Variables {
        Variables { keys: &["AWS_BEARER_TOKEN_BEDROCK"], bases: &["AWS_BEDROCK_RUNTIME_ENDPOINT"] }
    }

    fn is_strict(&self, _model: &str) -> bool {
        true
    }

    fn params(&self, to: &Target) -> Params {
        let id = model::id(&to.model);
        // Claude's word for it is among the fields of its own.
        if !model::is_claude(id) {
            Params::AllBut(&[params::COMPLETIONS_ONLY, LACKS, &["parallel_tool_calls"]])
        } else if Abilities::of(id).samples {
            Params::AllBut(&[params::COMPLETIONS_ONLY, LACKS])
        } else {
            Params::AllBut(&[params::COMPLETIONS_ONLY, LACKS, SAMPLING])
        }
    }

    fn forces_calls(&self, to: &Target) -> bool {
        let id = model::id(&to.model);
        !model::is_claude(id) || Abilities::of(id).forced_calls
    }

    fn split(&self, request: &ChatRequest, to: &Target) -> Result<Vec<ChatRequest>, EncodeError> {
        if request.endpoint() != Endpoint::Embeddings {
            return Ok(Vec::new());
        }
        Ok(embed::split(request, &params::embed(request, to)?, model::id(&to.model))?)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        let (verb, body) = self.call(request, to)?;
        let base = to.api_base.trim_end_matches('/');
        let id = sent_id(to);
        let url = format!("{base}/model/{}/{verb}", sigv4::path_segment(id));
        let mut call = post(url, body, to, credential)?;
        if verb == STREAM {
            let frames = HeaderValue::from_static("application/vnd.amazon.eventstream");
            call.headers_mut().insert(ACCEPT, frames);
        }
        match credential {
            Credential::Key(_) | Credential::Token(_) => {}
            Credential::Aws { access_key_id, secret_access_key, session_token } => {
                let session_token = session_token.as_ref();
                let keys = Keys { access_key_id, secret_access_key, session_token };
                let region = model::region(to);
                sigv4::sign(&mut call, keys, Scope { service: "bedrock", region }, now)?;
            }
            Credential::None => {
                let needed = "AWS keys, or a Bedrock API key as api_key";
                return Err(EncodeError::WrongCredential { provider: self.id, needed });
            }
        }
        Ok(call)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        ProviderError::check(self.speaker, status, &body)?;
        let reply = if request.endpoint() == Endpoint::Embeddings {
            embed::read(&body, request, model::id(&to.model)).map(ChatReply::from)
        } else {
            read::reply(&body).map(ChatReply::from)
        };
        reply.map_err(|error| ProviderError::bad_reply(self.speaker, &error))
    }

    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder> {
        let abilities = Abilities { schemas: false, ..Abilities::of(model::id(&to.model)) };
        Box::new(stream::Frames::new(params::answers_by_tool(self, request, to, abilities)))
    }
}

#[cfg(test)]
mod tests;
