//! Gemini on Google AI Studio.

use bytes::Bytes;
use dunlin_llm::form::Chat;
use dunlin_llm::gemini::{self, read_batch, write_batch};
use dunlin_llm::{ChatReply, ChatRequest, Dialect, Endpoint, Target};
use dunlin_types::{Credential, UnixMillis};
use http::header::{AUTHORIZATION, HeaderName};
use http::{Request, StatusCode};

use crate::encode::{EncodeError, post_without_credential, secret_value};
use crate::google::{self, Generation, GoogleStream};
use crate::params::Params;
use crate::{Provider, ProviderError, StreamDecoder, Variables};

pub(crate) static PROVIDER: Gemini = Gemini;

const SPEAKER: &str = "GeminiException";
const KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

pub(crate) struct Gemini;

impl Provider for Gemini {
    fn id(&self) -> &'static str {
        "gemini"
    }

    fn default_base(&self) -> Option<&'static str> {
        Some("https://generativelanguage.googleapis.com")
    }

    fn speaker(&self) -> &'static str {
        SPEAKER
    }

    fn variables(&self) -> Variables {
        Variables { keys: &["GOOGLE_API_KEY", "GEMINI_API_KEY"], bases: &["GEMINI_API_BASE"] }
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn hosts(&self, tool: &str, _to: &Target) -> bool {
        gemini::hosts(tool)
    }

    fn hosts_beside_functions(&self, _to: &Target) -> bool {
        false
    }

    fn restricts_tools(&self, chat: &Chat, to: &Target) -> bool {
        google::restricts_tools(chat, &to.model)
    }

    fn params(&self, to: &Target) -> Params {
        Params::Only(Generation::of(&to.model).params())
    }

    fn dialect(&self, _to: &Target) -> Option<Dialect> {
        Some(Dialect::Gemini)
    }

    fn passes(&self, request: &ChatRequest, _to: &Target) -> bool {
        google::passes(request)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        let model = resource(&to.model);
        let asked = request.endpoint();
        let (verb, body) = if asked == Endpoint::Embeddings {
            let embed = google::embed(self, request, to)?;
            ("batchEmbedContents", write_batch(&embed, &model)?)
        } else if asked.is_chat() {
            (google::verb(request), google::chat_body(self, request, to, true)?)
        } else {
            let (provider, route) = (self.id(), asked.route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        };
        let url = format!("{}/{model}:{verb}", base(&to.api_base));
        let mut call = post_without_credential(url, body, to)?;
        authorize(&mut call, credential)?;
        Ok(call)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        _to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        ProviderError::check(SPEAKER, status, &body)?;
        let reply = if request.endpoint() == Endpoint::Embeddings {
            read_batch(&body).map(|embedded| google::vectors(request, embedded))
        } else {
            google::chat_reply(request, body)
        };
        reply.map_err(|error| ProviderError::bad_reply(SPEAKER, &error))
    }

    fn stream(&self, request: &ChatRequest, _to: &Target) -> Box<dyn StreamDecoder> {
        Box::new(GoogleStream::answering(request))
    }
}

/// Users give the server's root, or a path that ends in the version.
fn base(api_base: &str) -> String {
    let base = api_base.trim_end_matches('/');
    let path = base.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    if path.is_none() { format!("{base}/v1beta") } else { base.to_owned() }
}

/// The model's name in a path: `models/x`, or one that was tuned.
fn resource(model: &str) -> String {
    let (kind, name) = match model.split_once('/') {
        Some((kind @ ("models" | "tunedModels"), name)) => (kind, name),
        Some(_) | None => ("models", model),
    };
    format!("{kind}/{}", google::escaped(name))
}

/// A header of the operator's own wins.
pub(crate) fn authorize(
    call: &mut Request<Bytes>,
    credential: &Credential,
) -> Result<(), EncodeError> {
    let (name, value) = match credential {
        Credential::Key(key) => (KEY, key.expose().to_owned()),
        Credential::Token(token) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
        Credential::None | Credential::Aws { .. } => return Ok(()),
    };
    let value = secret_value(name.as_str(), &value)?;
    let has_own = call.headers().contains_key(AUTHORIZATION) || call.headers().contains_key(KEY);
    if !has_own {
        call.headers_mut().insert(name, value);
    }
    Ok(())
}
