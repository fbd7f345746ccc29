//! A provider that speaks OpenAI's dialect: the client's body, edited in place, is its body.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_llm::{ChatReply, ChatRequest};
use http::{Request, StatusCode};

use crate::encode::{EncodeError, Endpoint, post};
use crate::stream::OpenAiStream;
use crate::{Provider, ProviderError, StreamDecoder};

/// What tells one compatible provider from another.
pub(crate) struct OpenAiCompatible {
    pub(crate) id: &'static str,
    pub(crate) speaker: &'static str,
    pub(crate) default_base: Option<&'static str>,
    pub(crate) base: Base,
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

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Endpoint<'_>,
    ) -> Result<Request<Bytes>, EncodeError> {
        let url = self.base(to.api_base).into_owned() + request.endpoint().upstream_path();
        post(url, request.encode_for(to.upstream_model, to.body_defaults), to)
    }

    fn decode(&self, status: StatusCode, body: Bytes) -> Result<ChatReply, ProviderError> {
        if status.is_success() {
            ChatReply::parse(body).map_err(|error| ProviderError::bad_reply(self.speaker, &error))
        } else {
            Err(ProviderError::response(self.speaker, status, &body))
        }
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::<OpenAiStream>::default()
    }
}
