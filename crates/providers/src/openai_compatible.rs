//! A provider that speaks OpenAI's dialect: the client's body, edited in place, is its body; what
//! clients of other dialects ask goes through the common form.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_llm::openai::{ChatStyle, read_reply, write_chat};
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Target};
use dunlin_types::{Credential, UnixMillis};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};

use crate::encode::{EncodeError, post};
use crate::params;
use crate::stream::OpenAiStream;
use crate::{Provider, ProviderError, StreamDecoder};

/// What tells one compatible provider from another.
pub(crate) struct OpenAiCompatible {
    pub(crate) id: &'static str,
    pub(crate) speaker: &'static str,
    pub(crate) default_base: Option<&'static str>,
    pub(crate) base: Base,
    pub(crate) style: ChatStyle,
    /// True: it has a plain completions endpoint; else those are asked as chats.
    pub(crate) completions: bool,
}

/// How a configured base URL is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// As it is given.
    AsGiven,
    /// `/v1` is added if it is missing: users give the server's root.
    WithV1,
}

impl OpenAiCompatible {
    fn base<'a>(&self, api_base: &'a str) -> Cow<'a, str> {
        let base = api_base.trim_end_matches('/');
        match self.base {
            Base::WithV1 if !base.ends_with("/v1") => Cow::Owned(format!("{base}/v1")),
            Base::WithV1 | Base::AsGiven => Cow::Borrowed(base),
        }
    }

    /// What the provider is asked for. Where that is what the client asked, its bytes are sent.
    fn asked(&self, request: &ChatRequest) -> Endpoint {
        match request.endpoint() {
            Endpoint::Completions if self.completions => Endpoint::Completions,
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::GenerateContent
            | Endpoint::Messages
            | Endpoint::Responses
            | Endpoint::StreamGenerateContent => Endpoint::ChatCompletions,
            asked @ (Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::ImageEdits
            | Endpoint::ImageGenerations
            | Endpoint::Moderations
            | Endpoint::Rerank
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations) => asked,
        }
    }

    fn passes(&self, request: &ChatRequest) -> bool {
        self.asked(request) == request.endpoint()
    }
}

impl Provider for OpenAiCompatible {
    fn id(&self) -> &'static str {
        self.id
    }

    fn default_base(&self) -> Option<&'static str> {
        self.default_base
    }

    fn speaker(&self) -> &'static str {
        self.speaker
    }

    fn params(&self, _model: &str) -> Option<&'static [&'static str]> {
        None
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        if self.asked(request) == Endpoint::CountTokens {
            let (provider, route) = (self.id, request.endpoint().route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        }
        let body = if self.passes(request) {
            request.encode_for(&to.model, &to.body_defaults)
        } else {
            write_chat(&params::form(self, request, to)?, &to.model, self.style)
        };
        let url = self.base(&to.api_base).into_owned() + self.asked(request).route();
        let mut call = post(url, body, to, credential)?;
        if let Some(form) = request.content_type() {
            let form = HeaderValue::from_str(form).expect("it came in as a header's text");
            call.headers_mut().insert(CONTENT_TYPE, form);
            call.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        Ok(call)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        _to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        if !status.is_success() {
            return Err(ProviderError::response(self.speaker, status, &body));
        }
        let reply = if self.passes(request) {
            ChatReply::parse(body)
        } else {
            read_reply(&body).map(ChatReply::from)
        };
        reply.map_err(|error| ProviderError::bad_reply(self.speaker, &error))
    }

    fn stream(&self, request: &ChatRequest, _to: &Target) -> Box<dyn StreamDecoder> {
        Box::new(if self.passes(request) {
            OpenAiStream::passing()
        } else {
            OpenAiStream::translating()
        })
    }
}
