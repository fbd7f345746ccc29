//! Cohere by its second API: chats, with tools, pictures and thoughts, vectors and ranks. What
//! an answer cites of documents is told in the client's words.

mod read;
mod whole;
mod write;

use bytes::Bytes;
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, RETURN_DOCUMENTS, Target, edit};
use dunlin_types::{Credential, UnixMillis};
use http::{Request, StatusCode};

use crate::encode::{EncodeError, post};
use crate::frames::Frames;
use crate::params::{self, Params};
use crate::{Provider, ProviderError, StreamDecoder, Variables};

pub(crate) static PROVIDER: Cohere = Cohere { id: "cohere", speaker: "CohereException" };

/// LiteLLM has two names for it.
pub(crate) struct Cohere {
    pub(crate) id: &'static str,
    pub(crate) speaker: &'static str,
}

/// The server's root: LiteLLM's users may give it with a path.
fn root(api_base: &str) -> &str {
    let mut root = api_base.trim_end_matches('/');
    for end in ["/chat", "/embed", "/rerank", "/v1", "/v2"] {
        root = root.strip_suffix(end).unwrap_or(root);
    }
    root
}

impl Cohere {
    /// Clients rank in its own words, of either version. The second gives no documents back: they are
    /// added to its answer.
    fn rank(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
    ) -> Result<Request<Bytes>, EncodeError> {
        let base = to.api_base.trim_end_matches('/');
        let first = base.ends_with("/v1/rerank")
            || (request.ranks_parts() && !base.ends_with("/v2/rerank"));
        let path = if first { "/v1/rerank" } else { "/v2/rerank" };
        let body = params::bytes(self, request, to, &to.model)?;
        let body = if first { body } else { edit::without(body, &[RETURN_DOCUMENTS]) };
        post(root(base).to_owned() + path, body, to, credential)
    }
}

impl Provider for Cohere {
    fn id(&self) -> &'static str {
        self.id
    }

    fn default_base(&self) -> Option<&'static str> {
        Some("https://api.cohere.com")
    }

    fn speaker(&self) -> &'static str {
        self.speaker
    }

    fn variables(&self) -> Variables {
        Variables { keys: &["COHERE_API_KEY", "CO_API_KEY"], bases: &["COHERE_API_BASE"] }
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn params(&self, _to: &Target) -> Params {
        Params::AllBut(&[
            params::OPENAI_ONLY,
            params::COMPLETIONS_ONLY,
            &["logit_bias", "n", "parallel_tool_calls", "top_logprobs"],
        ])
    }

    fn passes(&self, request: &ChatRequest, _to: &Target) -> bool {
        request.endpoint() == Endpoint::Rerank
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        let asked = request.endpoint();
        let (path, body) = if asked == Endpoint::Embeddings {
            ("/v2/embed", write::embed(&params::embed(request, to)?, &to.model)?)
        } else if asked.is_chat() && asked != Endpoint::CountTokens {
            let mut chat = params::form(self, request, to)?;
            chat.show_results_beside();
            ("/v2/chat", write::chat(&chat, &to.model)?)
        } else if asked == Endpoint::Rerank {
            return self.rank(request, to, credential);
        } else {
            return Err(EncodeError::UnsupportedEndpoint {
                provider: self.id,
                route: asked.route(),
            });
        };
        post(root(&to.api_base).to_owned() + path, body, to, credential)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        _to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        ProviderError::check(self.speaker, status, &body)?;
        let reply = if request.endpoint() == Endpoint::Embeddings {
            read::vectors(&body, request).map(ChatReply::from)
        } else if request.endpoint() == Endpoint::Rerank {
            ChatReply::parse(request.with_documents(body))
        } else {
            match read::reply(&body) {
                Ok(Err(failed)) => return Err(ProviderError::event(self.speaker, failed)),
                Ok(Ok(reply)) => Ok(ChatReply::from(reply)),
                Err(bad) => Err(bad),
            }
        };
        reply.map_err(|error| ProviderError::bad_reply(self.speaker, &error))
    }

    fn stream(&self, _request: &ChatRequest, _to: &Target) -> Box<dyn StreamDecoder> {
        Box::new(Frames::new(read::Events::default()))
    }
}

#[cfg(test)]
mod tests;
