//! Vertex AI: Google's own models, Anthropic's, and those that it serves in OpenAI's dialect.

use bytes::Bytes;
use dunlin_llm::anthropic::{self, Abilities, MessageStyle, parse_reply};
use dunlin_llm::form::{Chat, Json};
use dunlin_llm::gemini::{self, read_predictions, write_instances};
use dunlin_llm::openai::{ChatStyle, read_reply, write_chat};
use dunlin_llm::{ChatReply, ChatRequest, Dialect, Endpoint, Target, edit};
use dunlin_types::{Credential, UnixMillis};
use http::{Request, StatusCode};

use crate::anthropic::{AnthropicStream, pass_vertex_betas};
use crate::encode::{EncodeError, post_without_credential};
use crate::gemini::authorize;
use crate::google::{self, Generation, GoogleStream, escaped};
use crate::params::{self, Params};
use crate::stream::OpenAiStream;
use crate::{Provider, ProviderError, StreamDecoder, Variables};

pub(crate) static PROVIDER: VertexAi = VertexAi { id: "vertex_ai", version: "v1" };
pub(crate) static BETA: VertexAi = VertexAi { id: "vertex_ai_beta", version: "v1beta1" };

const SPEAKER: &str = "VertexAIException";
/// What bodies for Anthropic's models hold instead of the model's name.
const ANTHROPIC_VERSION: &str = "vertex-2023-10-16";

pub(crate) struct VertexAi {
    id: &'static str,
    version: &'static str,
}

/// In whose words a model is asked, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Publisher {
    Google,
    /// Of Google's, tuned by the user: its name is a number.
    Tuned,
    Anthropic,
    /// With a path of its own, in OpenAI's dialect.
    Mistral,
    /// Behind the endpoint that all of OpenAI's dialect share, as `publisher/model`.
    Open,
}

impl Publisher {
    fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Tuned
        } else if name.starts_with("claude") {
            Self::Anthropic
        } else if begins(&["mistral", "ministral", "codestral"]) {
            Self::Mistral
        } else if model.contains('/') && !model.starts_with("google/") {
            Self::Open
        } else {
            Self::Google
        }
    }
}

/// What batch jobs call a model, if it has some.
pub(crate) fn in_jobs(model: &str) -> Option<String> {
    let name = model.rsplit('/').next().unwrap_or(model);
    match Publisher::of(model) {
        Publisher::Google => Some(format!("publishers/google/models/{name}")),
        Publisher::Anthropic => Some(format!("publishers/anthropic/models/{name}")),
        Publisher::Tuned | Publisher::Mistral | Publisher::Open => None,
    }
}

impl VertexAi {
    fn address(&self, to: &Target, verb: &str) -> Result<String, EncodeError> {
        let base = to.api_base.trim_end_matches('/');
        let path = base.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        // A base that leads to a model is whole, as LiteLLM has it.
        if path.is_some_and(|(_, path)| !matches!(path, "v1" | "v1beta1")) {
            return Ok(format!("{base}:{verb}"));
        }
        let base =
            if path.is_some() { base.to_owned() } else { format!("{base}/{}", self.version) };
        let publisher = Publisher::of(&to.model);
        let name = escaped(to.model.rsplit('/').next().unwrap_or(&to.model));
        let Some(project) = &to.project else {
            // Whoever shows a key needs no project, for Google's models only.
            let has_key = to.api_key.is_some() && publisher == Publisher::Google;
            let needed = "a project: set vertex_project, or the variable VERTEXAI_PROJECT";
            let path = has_key.then(|| format!("{base}/publishers/google/models/{name}:{verb}"));
            return path.ok_or(EncodeError::WrongCredential { provider: self.id, needed });
        };
        let location = to.region.as_deref().unwrap_or("us-central1");
        let place = format!("{base}/projects/{}/locations/{}", escaped(project), escaped(location));
        Ok(match publisher {
            Publisher::Google => format!("{place}/publishers/google/models/{name}:{verb}"),
            Publisher::Tuned => format!("{place}/endpoints/{name}:{verb}"),
            Publisher::Anthropic => format!("{place}/publishers/anthropic/models/{name}:{verb}"),
            Publisher::Mistral => format!("{place}/publishers/mistralai/models/{name}:{verb}"),
            Publisher::Open => format!("{place}/endpoints/openapi/chat/completions"),
        })
    }

    fn chat(
        &self,
        request: &ChatRequest,
        to: &Target,
    ) -> Result<(&'static str, Bytes), EncodeError> {
        let raw = if request.stream() { "streamRawPredict" } else { "rawPredict" };
        Ok(match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => {
                (google::verb(request), google::chat_body(self, request, to, false)?)
            }
            Publisher::Anthropic if request.endpoint() == Endpoint::Messages => {
                let mut with = to.clone();
                let version = Json::of(&ANTHROPIC_VERSION).text().into();
                with.body_defaults.push(("anthropic_version".into(), version));
                // The path names the model, and a second name is refused.
                let body = params::bytes(self, request, &with, &to.model)?;
                (raw, anthropic::without_foreign(edit::without(body, &["model"])))
            }
            Publisher::Anthropic => {
                let mut chat = params::form(self, request, to)?;
                let version = ("anthropic_version".to_owned(), Json::of(&ANTHROPIC_VERSION));
                chat.extra.push(version);
                let style = MessageStyle {
                    model: None,
                    abilities: Abilities::of(&to.model),
                    max_output: to.max_output.map(|tokens| tokens.0),
                };
                (raw, anthropic::write_chat(&chat, style)?)
            }
            Publisher::Mistral | Publisher::Open => {
                let body = if passes_openai(request) {
                    params::bytes(self, request, to, &to.model)?
                } else {
                    let mut chat = params::form(self, request, to)?;
                    chat.show_results_beside();
                    write_chat(&chat, &to.model, ChatStyle::COMPATIBLE)
                };
                (raw, body)
            }
        })
    }

    fn chat_reply(
        request: &ChatRequest,
        to: &Target,
        body: Bytes,
    ) -> Result<ChatReply, dunlin_llm::BadReply> {
        match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => google::chat_reply(request, body),
            Publisher::Anthropic if request.endpoint() == Endpoint::Messages => parse_reply(body),
            Publisher::Anthropic => anthropic::read_reply(&body).map(ChatReply::from),
            Publisher::Mistral | Publisher::Open if passes_openai(request) => {
                ChatReply::parse(body).and_then(ChatReply::answering)
            }
            Publisher::Mistral | Publisher::Open => {
                read_reply(&body).map(ChatReply::from).and_then(ChatReply::answering)
            }
        }
    }
}

fn passes_openai(request: &ChatRequest) -> bool {
    request.endpoint() == Endpoint::ChatCompletions
}

impl Provider for VertexAi {
    fn id(&self) -> &'static str {
        self.id
    }

    /// It depends on the location.
    fn default_base(&self) -> Option<&'static str> {
        None
    }

    fn speaker(&self) -> &'static str {
        SPEAKER
    }

    fn variables(&self) -> Variables {
        Variables { keys: &[], bases: &["VERTEXAI_API_BASE", "VERTEX_API_BASE"] }
    }

    fn is_strict(&self, model: &str) -> bool {
        Publisher::of(model) == Publisher::Anthropic
    }

    fn restricts_tools(&self, chat: &Chat, to: &Target) -> bool {
        self.dialect(to) == Some(Dialect::Gemini) && google::restricts_tools(chat, &to.model)
    }

    fn hosts(&self, tool: &str, to: &Target) -> bool {
        match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => gemini::hosts(tool),
            Publisher::Anthropic => anthropic::hosts(tool),
            Publisher::Mistral | Publisher::Open => false,
        }
    }

    fn hosts_beside_functions(&self, to: &Target) -> bool {
        !matches!(Publisher::of(&to.model), Publisher::Google | Publisher::Tuned)
    }

    fn forces_calls(&self, to: &Target) -> bool {
        Publisher::of(&to.model) != Publisher::Anthropic || Abilities::of(&to.model).forced_calls
    }

    fn params(&self, to: &Target) -> Params {
        match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => {
                Params::Only(Generation::of(&to.model).params())
            }
            Publisher::Anthropic => crate::anthropic::PROVIDER.params(to),
            Publisher::Mistral | Publisher::Open => Params::All,
        }
    }

    fn dialect(&self, to: &Target) -> Option<Dialect> {
        Some(match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => Dialect::Gemini,
            Publisher::Anthropic => Dialect::Anthropic,
            Publisher::Mistral | Publisher::Open => Dialect::OpenAi,
        })
    }

    fn passes(&self, request: &ChatRequest, to: &Target) -> bool {
        match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => google::passes(request),
            Publisher::Anthropic => request.endpoint() == Endpoint::Messages,
            Publisher::Mistral | Publisher::Open => passes_openai(request),
        }
    }

    fn encode(
        &self,
        request: &ChatRequest,
        to: &Target,
        credential: &Credential,
        _now: UnixMillis,
    ) -> Result<Request<Bytes>, EncodeError> {
        let asked = request.endpoint();
        let (verb, body) = if asked.is_chat() {
            self.chat(request, to)?
        } else if asked == Endpoint::Embeddings {
            ("predict", write_instances(&google::embed(self, request, to)?)?)
        } else {
            let (provider, route) = (self.id, asked.route());
            return Err(EncodeError::UnsupportedEndpoint { provider, route });
        };
        let mut call = post_without_credential(self.address(to, verb)?, body, to)?;
        if Publisher::of(&to.model) == Publisher::Anthropic && asked == Endpoint::Messages {
            pass_vertex_betas(&mut call, request)?;
        }
        authorize(&mut call, credential)?;
        Ok(call)
    }

    fn decode(
        &self,
        request: &ChatRequest,
        to: &Target,
        status: StatusCode,
        body: Bytes,
    ) -> Result<ChatReply, ProviderError> {
        ProviderError::check(SPEAKER, status, &body)?;
        let reply = if request.endpoint() == Endpoint::Embeddings {
            read_predictions(&body).map(|embedded| google::vectors(request, embedded))
        } else {
            Self::chat_reply(request, to, body)
        };
        reply.map_err(|error| ProviderError::bad_reply(SPEAKER, &error))
    }

    fn stream(&self, request: &ChatRequest, to: &Target) -> Box<dyn StreamDecoder> {
        match Publisher::of(&to.model) {
            Publisher::Google | Publisher::Tuned => Box::new(GoogleStream::answering(request)),
            Publisher::Anthropic if request.endpoint() == Endpoint::Messages => {
                Box::new(AnthropicStream::passing())
            }
            Publisher::Anthropic => {
                let abilities = anthropic::Abilities::of(&to.model);
                let by_tool = params::answers_by_tool(self, request, to, abilities);
                Box::new(AnthropicStream::translating(by_tool))
            }
            Publisher::Mistral | Publisher::Open if passes_openai(request) => {
                Box::new(OpenAiStream::passing(request))
            }
            Publisher::Mistral | Publisher::Open => Box::new(OpenAiStream::translating(request)),
        }
    }
}
