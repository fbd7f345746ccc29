//! Ollama by its own API: `/api/chat` for chats, `/api/generate` for plain completions, which may
//! have a suffix, and `/api/embed`. An `api_base` that ends in `/v1` is Ollama's OpenAI endpoint,
//! where the client's bytes pass.

mod read;
mod write;

use bytes::Bytes;
use dunlin_llm::openai::ChatStyle;
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Target};
use dunlin_types::{Credential, UnixMillis};
use http::{Request, StatusCode};

use crate::encode::{EncodeError, post};
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks};
use crate::params::{self, Params};
use crate::{Provider, ProviderError, StreamDecoder, Variables};

pub(crate) static PROVIDER: Ollama = Ollama::named("ollama", "OllamaException");

/// LiteLLM has two names for it.
pub(crate) struct Ollama {
    openai: OpenAiCompatible,
}

impl Ollama {
    pub(crate) const fn named(id: &'static str, speaker: &'static str) -> Self {
        Self {
            openai: OpenAiCompatible {
                id,
                speaker,
                default_base: Some("http://localhost:11434"),
                variables: Variables { keys: &["OLLAMA_API_KEY"], bases: &["OLLAMA_API_BASE"] },
                needs_key: false,
                base: Base::AsGiven,
                style: ChatStyle::COMPATIBLE,
                completions: true,
                lacks: &[],
                quirks: Quirks::NONE,
            },
        }
    }
}

fn speaks_openai(to: &Target) -> bool {
    to.api_base.trim_end_matches('/').ends_with("/v1")
}

impl Provider for Ollama {
    fn id(&self) -> &'static str {
        self.openai.id
    }

    fn default_base(&self) -> Option<&'static str> {
        self.openai.default_base
    }

    fn speaker(&self) -> &'static str {
        self.openai.speaker
    }

    fn variables(&self) -> Variables {
        self.openai.variables
    }

    fn params(&self, _to: &Target) -> Params {
        Params::AllBut(&[
            params::OPENAI_ONLY,
            &["best_of", "echo"],
            &["logit_bias", "n", "parallel_tool_calls"],
        ])
    }

    fn passes(&self, request: &ChatRequest, to: &Target) -> bool {
        speaks_openai(to) && self.openai.passes(request, to)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        if speaks_openai(to) {
            return self.openai.encode(request, to, credential, now);
        }
        let asked = request.endpoint();
        let (path, body) = if asked == Endpoint::Embeddings {
            ("/api/embed", write::embed(&params::embed(request, to)?, &to.model)?)
        } else if asked.is_chat() && asked != Endpoint::CountTokens {
            let mut chat = params::form(self, request, to)?;
            chat.show_results_beside();
            if asked == Endpoint::Completions {
                ("/api/generate", write::generate(&chat, &to.model))
            } else {
                ("/api/chat", write::chat(&chat, &to.model)?)
            }
        } else {
            let (provider, route) = (self.openai.id, asked.route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        };
        let url = to.api_base.trim_end_matches('/').to_owned() + path;
        post(url, body, to, credential)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        if speaks_openai(to) || !status.is_success() {
            return self.openai.decode(request, to, status, body);
        }
        ProviderError::check(self.openai.speaker, status, &body)?;
        let reply = if request.endpoint() == Endpoint::Embeddings {
            read::vectors(&body, request).map(ChatReply::from)
        } else {
            read::reply(&body).map(ChatReply::from)
        };
        reply.map_err(|error| ProviderError::bad_reply(self.openai.speaker, &error))
    }

    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder> {
        if speaks_openai(to) {
            return self.openai.stream(request, to);
        }
        Box::new(read::Lines::default())
    }
}

#[cfg(test)]
mod tests;
