//! AWS's Bedrock: `/model/{id}/converse`, `converse-stream`, `invoke` and
//! `invoke-with-response-stream`.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{anthropic, post};
use crate::answer::{Answer, Finish, Part, Usage};
use crate::ask::{Ask, Last, MustCall, Tool};
use crate::base64;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::{Failure, Why};
use crate::record::Recorded;
use crate::script::{Framing, Piece, Script};
use crate::vector;

mod bucket;
mod jobs;
mod message;
mod signature;

const FINISHES: [&str; 4] = ["end_turn", "max_tokens", "tool_use", "content_filtered"];
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/model/{id}/converse", post(Converse { stream: false, signed: true }))
        .route("/model/{id}/converse-stream", post(Converse { stream: true, signed: true }))
        .route("/model/{id}/invoke", post(Invoke { stream: false, signed: true }))
        .route(
            "/model/{id}/invoke-with-response-stream",
            post(Invoke { stream: true, signed: true }),
        )
        .merge(jobs::router())
        .merge(bucket::router())
}

#[derive(Clone, Copy)]
struct Converse {
    stream: bool,
    /// False: within a job.
    signed: bool,
}

impl Route for Converse {
    /// The signature is checked instead.
    fn keys(&self) -> Keys {
        Keys { needed: false, places: &[] }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        if self.signed {
            signature::check(mock, request)?;
        }
        let ask = Ask::json(&request.body)?;
        understand(Ask { model: request.segment(1), stream: self.stream, ..ask })
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if ask.stream { Reply::Stream(script(answer)) } else { Reply::Said(whole(answer)) }
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }

    fn id_header(&self) -> &'static str {
        "x-amzn-requestid"
    }
}

fn understand(mut ask: Ask) -> Result<Ask, Failure> {
    let messages = ask.list("messages")?;
    let (first, last) = (messages.first(), messages.last());
    if first.is_none_or(|first| first["role"] != "user") {
        return Err(Failure::bad(
            "A conversation must start with a user message. Try again with a conversation that \
             starts with a user message.",
        ));
    }
    let mut called: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        if at > 0 && message["role"] == messages[at - 1]["role"] {
            return Err(Failure::bad(
                "A conversation must alternate between user and assistant roles.",
            ));
        }
        called = check_message(&ask, at, message, &called)?;
    }
    ask.last = last.map_or(Last::Other, said);
    let tools = ask.body["toolConfig"]["tools"].as_array().into_iter().flatten();
    ask.tools = tools.filter_map(|tool| offered(&tool["toolSpec"])).collect();
    let choice = &ask.body["toolConfig"]["toolChoice"];
    ask.must_call = match choice["tool"]["name"].as_str() {
        Some(name) => MustCall::Named(name.to_owned()),
        None if choice.get("any").is_some() => MustCall::Any,
        None => MustCall::No,
    };
    let most = ask.body["inferenceConfig"]["maxTokens"].as_u64();
    ask.max_tokens = most.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
    let thinking = &ask.body["additionalModelRequestFields"]["thinking"]["type"];
    ask.thinks = matches!(thinking.as_str(), Some("enabled" | "adaptive"));
    Ok(ask)
}

/// Checks a message against the calls of the one before; returns its own calls.
fn check_message<'a>(
    ask: &Ask,
    at: usize,
    message: &'a Value,
    called: &[&str],
) -> Result<Vec<&'a str>, Failure> {
    let blocks = message["content"].as_array();
    let blocks = blocks.ok_or_else(|| {
        Failure::bad(format!("messages.{at}.content: expected a list of content blocks"))
    })?;
    let results: Vec<&Value> = blocks.iter().filter_map(|block| block.get("toolResult")).collect();
    let calls: Vec<&Value> = blocks.iter().filter_map(|block| block.get("toolUse")).collect();
    if !(results.is_empty() && calls.is_empty()) && ask.body.get("toolConfig").is_none() {
        return Err(Failure::bad(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    if results.len() > called.len() {
        return Err(Failure::bad(format!(
            "The number of toolResult blocks at messages.{at}.content exceeds the number of \
             toolUse blocks of previous turn."
        )));
    }
    let answered = |id: &str| results.iter().any(|result| result["toolUseId"] == id);
    if let Some(id) = called.iter().find(|id| !answered(id)) {
        return Err(Failure::bad(format!(
            "Expected toolResult blocks at messages.{at}.content for the following Ids: {id}"
        )));
    }
    Ok(calls.into_iter().filter_map(|call| call["toolUseId"].as_str()).collect())
}

fn said(message: &Value) -> Last {
    let blocks = message["content"].as_array().into_iter().flatten();
    let mut results = blocks.filter_map(|block| block.get("toolResult")).peekable();
    if results.peek().is_none() {
        return Last::User(crate::ask::text_of(&message["content"]));
    }
    let parts = results.flat_map(|result| result["content"].as_array().into_iter().flatten());
    let text = |part: &Value| {
        part["text"].as_str().map_or_else(|| part["json"].to_string(), str::to_owned)
    };
    Last::Tool(parts.map(text).collect())
}

fn offered(tool: &Value) -> Option<Tool> {
    let name = tool["name"].as_str()?.to_owned();
    Some(Tool { name, schema: tool["inputSchema"]["json"].clone() })
}

fn stop_reason(answer: &Answer) -> &str {
    match &answer.finish {
        Finish::Refusal => "content_filtered",
        Finish::Stop | Finish::Length | Finish::Tools | Finish::Filter | Finish::Named(_) => {
            answer.finish.word(FINISHES)
        }
    }
}

fn whole(answer: &Answer) -> Value {
    let content = answer.parts.iter().map(|part| match part {
        Part::Thought(text) => json!({"reasoningContent":
            {"reasoningText": {"text": text.whole(), "signature": SIGNATURE}}}),
        Part::Text(text) | Part::Refusal(text) => json!({"text": text.whole()}),
        Part::Call(called) => json!({"toolUse": {"toolUseId": tool_use_id(&called.id),
            "name": called.name, "input": called.arguments}}),
    });
    let content: Vec<Value> = content.collect();
    let mut whole = json!({"output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(answer), "metrics": {"latencyMs": 1}});
    if let Some(used) = answer.usage {
        whole["usage"] = usage(used);
    }
    whole
}

fn tool_use_id(id: &str) -> String {
    format!("tooluse_{id}")
}

/// Here, what was cached does not count as input.
fn usage(usage: Usage) -> Value {
    json!({
        "inputTokens": usage.prompt - usage.cached - usage.cache_written,
        "outputTokens": usage.completion,
        "totalTokens": usage.prompt + usage.completion,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_written,
    })
}

fn script(answer: &Answer) -> Script {
    let mut script = Script::new(Framing::Binary, broken());
    script.note(message::event("messageStart", &json!({"role": "assistant"})));
    for (index, part) in answer.parts.iter().enumerate() {
        say(&mut script, index, part);
    }
    script.note(message::event("messageStop", &json!({"stopReason": stop_reason(answer)})));
    let mut metadata = json!({"metrics": {"latencyMs": 1}});
    if let Some(used) = answer.usage {
        metadata["usage"] = usage(used);
    }
    script.note(message::event("metadata", &metadata));
    script
}

/// The events of a model's own stream, each in a message of AWS's.
fn in_messages(script: Script) -> Script {
    let message = |piece: Piece| {
        let text = String::from_utf8_lossy(&piece.bytes);
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let messages = data.map(|data| {
            message::event("chunk", &json!({"bytes": base64::encode(data.as_bytes())}))
        });
        let bytes = messages.collect::<Vec<_>>().concat();
        Piece { bytes: bytes.into(), ..piece }
    };
    let pieces = script.pieces.into_iter().map(message).collect();
    Script { pieces, ..Script::new(Framing::Binary, broken()) }
}

/// How a stream says that it goes no further.
fn broken() -> Bytes {
    let told = json!({"message": "the mock broke", "originalStatusCode": 500,
        "originalMessage": "the mock broke"});
    message::exception("modelStreamErrorException", &told)
}

fn say(script: &mut Script, index: usize, part: &Part) {
    let delta = |delta: Value| {
        message::event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}))
    };
    match part {
        Part::Thought(text) => {
            script.say(text, |token| delta(json!({"reasoningContent": {"text": token}})));
            script.note(delta(json!({"reasoningContent": {"signature": SIGNATURE}})));
        }
        Part::Text(text) | Part::Refusal(text) => {
            script.say(text, |token| delta(json!({"text": token})));
        }
        Part::Call(called) => {
            let start = json!({"contentBlockIndex": index, "start": {"toolUse":
                {"toolUseId": tool_use_id(&called.id), "name": called.name}}});
            script.note(message::event("contentBlockStart", &start));
            script.say(&called.json, |token| delta(json!({"toolUse": {"input": token}})));
        }
    }
    script.note(message::event("contentBlockStop", &json!({"contentBlockIndex": index})));
}

fn refuse(failure: &Failure) -> Refusal {
    let (status, kind) = match (&failure.why, failure.status) {
        (Why::NoKey, _) => (403, "MissingAuthenticationTokenException"),
        (Why::WrongKey, _) => (403, "InvalidSignatureException"),
        (Why::Loading, _) => (429, "ModelNotReadyException"),
        (_, 403) => (403, "AccessDeniedException"),
        (_, 404) => (404, "ResourceNotFoundException"),
        (_, 408) => (408, "ModelTimeoutException"),
        (_, 424) => (424, "ModelErrorException"),
        (_, 429) => (429, "ThrottlingException"),
        (_, 503) => (503, "ServiceUnavailableException"),
        (_, status @ 400..500) => (status, "ValidationException"),
        (_, status) => (status, "InternalServerException"),
    };
    let message = match failure.why {
        Why::TooLong { .. } => "Input is too long for requested model.",
        Why::NoKey | Why::WrongKey | Why::Bad(_) | Why::Unknown | Why::Loading | Why::Told => {
            &failure.message
        }
    };
    let header = Some(("x-amzn-errortype", kind));
    Refusal { header, ..Refusal::new(status, json!({ "message": message })) }
}

/// A model's own body: embeddings of Titan and Cohere, messages of Anthropic.
#[derive(Clone, Copy)]
struct Invoke {
    stream: bool,
    /// False: within a job.
    signed: bool,
}

impl Route for Invoke {
    fn keys(&self) -> Keys {
        Keys { needed: false, places: &[] }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        if self.signed {
            signature::check(mock, request)?;
        }
        let model = request.segment(1);
        let ask = Ask::json(&request.body)?;
        let body = &ask.body;
        if model.contains("anthropic.") {
            match body["anthropic_version"].as_str() {
                Some(anthropic::LATEST) => anthropic::check_latest(&ask)?,
                Some("bedrock-2023-05-31") => {}
                _ => return Err(Failure::bad("anthropic_version: Field required")),
            }
            let ask = anthropic::understand(Ask { model, ..ask })?;
            let ask = Ask { stream: self.stream, ..ask };
            anthropic::check_limits(&ask)?;
            return Ok(ask);
        }
        let fits = model.contains("titan-embed") && body["inputText"].is_string()
            || model.contains("cohere.embed")
                && body["texts"].is_array()
                && body["input_type"].is_string();
        if !fits {
            return Err(Failure::bad("Malformed input request, please reformat your input."));
        }
        Ok(Ask { model, ..ask })
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if ask.model.contains("anthropic.") {
            let reply = anthropic::reply(ask, answer);
            return if let Reply::Stream(script) = reply {
                Reply::Stream(in_messages(script))
            } else {
                reply
            };
        }
        if let Some(text) = ask.body["inputText"].as_str() {
            let vector = vector::of(text, ask.body["dimensions"].as_u64());
            return Reply::Json(json!({"embedding": vector, "embeddingsByType": {"float": vector},
                "inputTextTokenCount": ask.prompt_tokens}));
        }
        let texts = ask.body["texts"].as_array().into_iter().flatten();
        let vectors = texts.map(|text| vector::of(text.as_str().unwrap_or_default(), None));
        let vectors: Vec<_> = vectors.collect();
        let (kind, embeddings) = if ask.body["embedding_types"].is_array() {
            ("embeddings_by_type", json!({"float": vectors}))
        } else {
            ("embeddings_floats", json!(vectors))
        };
        Reply::Json(json!({"id": answer.id, "texts": ask.body["texts"], "response_type": kind,
            "embeddings": embeddings}))
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }

    fn id_header(&self) -> &'static str {
        "x-amzn-requestid"
    }
}
