//! The answers of a job as lines of OpenAI's output.

use bytes::Bytes;
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Meter, Stamp, Target, parse, tokens_in};
use dunlin_types::{Tokens, Usage};
use http::StatusCode;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use sha2::{Digest, Sha256};

use super::names;
use crate::{Provider, ProviderError};

/// What a line says beside the answer.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The model's name for the client.
    pub model: &'a str,
    /// The object that holds the answer, and which line of it that is: no other has both.
    pub object: &'a str,
    /// From 1.
    pub number: u64,
    /// When it was written, in seconds since 1970.
    pub made: u64,
}

/// What a line of a job's output says.
pub(super) struct Found<'l> {
    /// The client's name of the request.
    pub(super) custom_id: Option<String>,
    pub(super) outcome: Outcome<'l>,
}

impl Found<'_> {
    /// Whether no model has answered. What one has, and nobody can read, is charged.
    pub(super) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Refused { .. })
    }
}

/// What a model has answered.
pub(super) struct Answer<'l> {
    pub(super) body: &'l str,
    /// The name of a model that answers in this form.
    pub(super) model: &'static str,
    /// What was asked, as far as it matters to the answer.
    pub(super) asked: ChatRequest,
}

impl<'l> Answer<'l> {
    /// Any chat of OpenAI's is asked: nothing of it matters but the dialect, and the names of tools in
    /// what the provider repeats of the `request`.
    pub(super) fn chat(body: &'l str, model: &'static str, request: Option<&str>) -> Self {
        let asked = parse(Endpoint::ChatCompletions, names::asked(request), None);
        Self { body, model, asked: asked.expect("it is a chat") }
    }

    /// Vectors of those texts.
    pub(super) fn vectors(body: &'l str, model: &'static str, texts: &[String]) -> Option<Self> {
        let asked = Bytes::from(json!({"model": "m", "input": texts}).to_string());
        Some(Self { body, model, asked: parse(Endpoint::Embeddings, asked, None).ok()? })
    }

    fn read(&self, provider: &dyn Provider) -> Result<ChatReply, ProviderError> {
        let Self { body, model, asked } = self;
        let to = Target { model: (*model).into(), ..Target::default() };
        let body = Bytes::copy_from_slice(body.as_bytes());
        let reply = provider.decode(asked, &to, StatusCode::OK, body)?;
        let told = reply.told_to(asked);
        told.map_err(|error| ProviderError::bad_reply(provider.speaker(), &error))
    }
}

pub(super) enum Outcome<'l> {
    Answered(Box<Answer<'l>>),
    /// Why nothing came of the request.
    Refused {
        code: &'static str,
        message: String,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    custom_id: Option<&'a str>,
    response: Option<Response<'a>>,
    error: Option<LineError<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: &'a str,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct LineError<'a> {
    code: &'a str,
    message: &'a str,
}

/// In place of an answer that a model has made, and nobody can read: what it used is charged.
#[derive(Serialize)]
struct Unread<'a> {
    error: UnreadError<'a>,
    usage: Counted,
}

#[derive(Serialize)]
struct UnreadError<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<()>,
    code: &'static str,
}

#[derive(Serialize)]
struct Counted {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// The line for `found`.
pub(super) fn written(
    provider: &dyn Provider,
    found: Option<Found<'_>>,
    told: &Told<'_>,
) -> Vec<u8> {
    let Some(Found { custom_id, outcome }) = found else {
        let message = "the provider's output has a line here that is no answer";
        return refused(None, "bad_line", message, told);
    };
    let custom_id = custom_id.as_deref();
    match outcome {
        Outcome::Refused { code, message } => refused(custom_id, code, &message, told),
        Outcome::Answered(answer) => match answer.read(provider) {
            Ok(reply) => {
                let id = format!("chatcmpl-{}", number(told));
                let stamp =
                    Stamp { model: told.model, id: &id, now: told.made, request: "", turn: None };
                let body = reply.write(answer.asked.endpoint(), stamp);
                line(custom_id, 200, reply.id().unwrap_or(&id), &body, told)
            }
            Err(error) => {
                let usage = Meter::of_json(answer.body).usage().unwrap_or_default();
                unread(custom_id, &error.message, usage, told)
            }
        },
    }
}

/// The line for an answer of so many bytes, which are more than are read.
#[must_use]
pub fn too_long(bytes: u64, told: &Told<'_>) -> Vec<u8> {
    let message =
        format!("the answer to a request has {bytes} bytes, which is too long to be read");
    unread(None, &message, Usage { completion: tokens_in(bytes), ..Usage::default() }, told)
}

fn refused(custom_id: Option<&str>, code: &str, message: &str, told: &Told<'_>) -> Vec<u8> {
    let error = Some(LineError { code, message });
    bytes(&Line { id: id(told), custom_id, response: None, error })
}

fn unread(custom_id: Option<&str>, message: &str, used: Usage, told: &Told<'_>) -> Vec<u8> {
    let Usage { prompt: Tokens(prompt_tokens), completion: Tokens(completion_tokens), .. } = used;
    let total_tokens = prompt_tokens.saturating_add(completion_tokens);
    let usage = Counted { prompt_tokens, completion_tokens, total_tokens };
    let (r#type, code) = ("internal_server_error", "unreadable_answer");
    let error = UnreadError { message, r#type, param: None, code };
    line(custom_id, 502, "", &bytes(&Unread { error, usage }), told)
}

fn line(
    custom_id: Option<&str>,
    status_code: u16,
    request_id: &str,
    body: &[u8],
    told: &Told<'_>,
) -> Vec<u8> {
    let body: &RawValue = serde_json::from_slice(body).expect("it was written as JSON");
    let response = Some(Response { status_code, request_id, body });
    bytes(&Line { id: id(told), custom_id, response, error: None })
}

fn id(told: &Told<'_>) -> String {
    format!("batch_req_{}", number(told))
}

fn number(told: &Told<'_>) -> String {
    hex::encode(&Sha256::digest(format!("{}\n{}", told.object, told.number))[..12])
}

fn bytes(line: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(line).expect("plain data")
}
