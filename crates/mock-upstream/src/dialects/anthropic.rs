//! Anthropic's Messages: `/v1/messages`, `/v1/messages/count_tokens` and what is below
//! `/v1/messages/batches`.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::post;
use crate::answer::{Answer, Called, Finish, Part, Text, Usage};
use crate::ask::{Ask, Last, MustCall, Tool, text_of};
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route};
use crate::failure::{Failure, Why};
use crate::record::Recorded;
use crate::script::{Framing, Script, named_event};

mod batches;

const FINISHES: [&str; 4] = ["end_turn", "max_tokens", "tool_use", "refusal"];
/// What a message may hold, besides what the server's own tools leave there.
const BLOCKS: [&str; 10] = [
    "text",
    "image",
    "document",
    "search_result",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "container_upload",
];
/// The version in which sampling parameters are gone.
pub(super) const LATEST: &str = "2026-10-21";
/// The least that may be spent on thoughts.
const MIN_BUDGET: u64 = 1024;
/// Proves nothing: a real one cannot be made up.
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";
/// What nobody but this server could read.
const REDACTED: &str = "bW9jayByZWRhY3RlZA==";
/// Anthropic's own word for it: a message that holds it is thought about unseen.
const UNSEEN: &str = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/messages", post(Messages))
        .route("/v1/messages/count_tokens", post(CountTokens))
        .merge(batches::router())
}

const KEYS: Keys = Keys { needed: true, places: &[Place::Header("x-api-key"), Place::Bearer] };

#[derive(Clone, Copy)]
struct Messages;

#[derive(Clone, Copy)]
struct CountTokens;

impl Route for Messages {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let latest = check_version(request)?;
        let ask = understand(Ask::of_model(&request.body)?)?;
        if latest {
            check_latest(&ask)?;
        }
        check_limits(&ask)?;
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        reply(ask, answer)
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }

    fn id_header(&self) -> &'static str {
        "request-id"
    }
}

impl Route for CountTokens {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let latest = check_version(request)?;
        let ask = understand(Ask::of_model(&request.body)?)?;
        if latest {
            check_latest(&ask)?;
        }
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, _: &Answer) -> Reply {
        Reply::Json(json!({"input_tokens": ask.prompt_tokens}))
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }

    fn id_header(&self) -> &'static str {
        "request-id"
    }
}

fn check_version(request: &Recorded) -> Result<bool, Failure> {
    match request.header("anthropic-version") {
        Some(LATEST) => Ok(true),
        Some("2023-06-01" | "2023-01-01") => Ok(false),
        Some(other) => {
            Err(Failure::bad(format!("anthropic-version: \"{other}\" is not a valid version")))
        }
        None => Err(Failure::bad("anthropic-version: header is required")),
    }
}

/// Checks for what the latest version has no longer.
pub(super) fn check_latest(ask: &Ask) -> Result<(), Failure> {
    for gone in ["temperature", "top_p", "top_k"] {
        if ask.body.get(gone).is_some() {
            return Err(Failure::bad(format!("{gone}: Extra inputs are not permitted")));
        }
    }
    for (at, message) in ask.body["messages"].as_array().into_iter().flatten().enumerate() {
        let blocks = message["content"].as_array().into_iter().flatten();
        for (index, block) in blocks.enumerate() {
            let cited = block["citations"].as_array().is_some_and(|some| !some.is_empty());
            let wrong = match (message["role"].as_str(), block["type"].as_str()) {
                (Some("assistant"), Some("document")) => "document blocks are not allowed here",
                (Some("user"), Some("text")) if cited => "citations are not allowed here",
                _ => continue,
            };
            return Err(Failure::bad(format!("messages.{at}.content.{index}: {wrong}")));
        }
    }
    Ok(())
}

/// Checks the conversation and finds what it is about.
pub(super) fn understand(mut ask: Ask) -> Result<Ask, Failure> {
    let messages = ask.body["messages"].as_array().ok_or_else(|| required("messages"))?;
    let Some(last) = messages.last() else {
        return Err(Failure::bad("messages: at least one message is required"));
    };
    let mut called: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        called = check_message(at, message, &called)?;
    }
    ask.last = match last["role"].as_str() {
        Some("user") => said(&last["content"]),
        _ => Last::Other,
    };
    let tools = ask.body["tools"].as_array().into_iter().flatten();
    let tools = tools.enumerate().map(|(at, tool)| offered(at, tool));
    ask.tools = tools.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let choice = &ask.body["tool_choice"];
    ask.must_call = match choice["type"].as_str() {
        Some("any") => MustCall::Any,
        Some("none") => MustCall::Never,
        Some("tool") => MustCall::Named(choice["name"].as_str().unwrap_or_default().to_owned()),
        _ => MustCall::No,
    };
    ask.one_call = choice["disable_parallel_tool_use"] == true;
    ask.thinks = matches!(ask.body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    let format = &ask.body["output_config"]["format"];
    ask.schema = (format["type"] == "json_schema").then(|| format["schema"].clone());
    Ok(ask)
}

/// Checks what only a request for an answer has.
pub(super) fn check_limits(ask: &Ask) -> Result<(), Failure> {
    let Some(max) = ask.max_tokens else { return Err(required("max_tokens")) };
    if let Some(budget) = ask.body["thinking"]["budget_tokens"].as_u64() {
        if budget < MIN_BUDGET {
            let message =
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
            return Err(Failure::bad(message));
        }
        if budget >= u64::from(max) {
            let message = "`max_tokens` must be greater than `thinking.budget_tokens`.";
            return Err(Failure::bad(message));
        }
    }
    Ok(())
}

fn required(field: &str) -> Failure {
    Failure::bad(format!("{field}: Field required"))
}

/// Checks a message against the calls of the one before; returns its own calls.
fn check_message<'a>(
    at: usize,
    message: &'a Value,
    called: &[&str],
) -> Result<Vec<&'a str>, Failure> {
    let role = message["role"].as_str();
    // A system's message may come in the middle only.
    let known = matches!(role, Some("user" | "assistant")) || role == Some("system") && at > 0;
    if !known {
        let message = format!("messages.{at}.role: Input should be 'user' or 'assistant'");
        return Err(Failure::bad(message));
    }
    if message["content"].is_string() {
        return Ok(Vec::new());
    }
    let blocks = message["content"].as_array();
    let blocks = blocks.ok_or_else(|| required(&format!("messages.{at}.content")))?;
    let mut calls = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let place = format!("messages.{at}.content.{index}");
        let kind = block["type"].as_str().unwrap_or_default();
        if !BLOCKS.contains(&kind) && !kind.ends_with("_tool_result") {
            let message = format!("{place}: Input tag '{kind}' found using 'type' does not match");
            return Err(Failure::bad(message));
        }
        if kind == "text" && block["text"].as_str().is_none_or(str::is_empty) {
            return Err(Failure::bad("messages: text content blocks must be non-empty"));
        }
        let (seal, ours) = match kind {
            "thinking" => ("signature", SIGNATURE),
            "redacted_thinking" => ("data", REDACTED),
            _ => ("", ""),
        };
        if !seal.is_empty() && block[seal] != ours {
            return Err(Failure::bad(format!("{place}: Invalid `{seal}` in `{kind}` block")));
        }
        if kind == "tool_use" {
            calls.push(block["id"].as_str().ok_or_else(|| required(&format!("{place}.id")))?);
        }
        if kind == "tool_result" {
            let id = block["tool_use_id"].as_str();
            let id = id.ok_or_else(|| required(&format!("{place}.tool_use_id")))?;
            if !called.contains(&id) {
                return Err(Failure::bad(format!(
                    "{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                     `tool_result` block must have a corresponding `tool_use` block in the \
                     previous message."
                )));
            }
        }
    }
    Ok(calls)
}

fn said(content: &Value) -> Last {
    let blocks = content.as_array().into_iter().flatten();
    let mut results = blocks.filter(|block| block["type"] == "tool_result").peekable();
    if results.peek().is_none() {
        return Last::User(text_of(content));
    }
    Last::Tool(results.map(|block| text_of(&block["content"])).collect())
}

/// A tool of the client's; the server's own have a `type` and no schema.
fn offered(at: usize, tool: &Value) -> Result<Option<Tool>, Failure> {
    if !matches!(tool["type"].as_str(), None | Some("custom")) {
        return Ok(None);
    }
    let name = tool["name"].as_str().ok_or_else(|| required(&format!("tools.{at}.custom.name")))?;
    let schema = tool["input_schema"].clone();
    if schema["type"] != "object" {
        return Err(required(&format!("tools.{at}.custom.input_schema.type")));
    }
    Ok(Some(Tool { name: name.to_owned(), schema }))
}

pub(super) fn reply(ask: &Ask, answer: &Answer) -> Reply {
    if ask.stream { Reply::Stream(script(ask, answer)) } else { Reply::Said(whole(ask, answer)) }
}

fn whole(ask: &Ask, answer: &Answer) -> Value {
    let content: Vec<Value> = answer.parts.iter().map(|part| block(ask, part)).collect();
    let mut message = message(ask, answer, &json!(content), &json!(finish(answer)));
    if let Some(used) = answer.usage {
        message["usage"] = made_so(ask, usage(used, used.completion));
    }
    message
}

fn message(ask: &Ask, answer: &Answer, content: &Value, stop: &Value) -> Value {
    let details = details(answer).filter(|_| !stop.is_null());
    json!({"id": format!("msg_{}", answer.id), "type": "message", "role": "assistant",
        "model": ask.model, "content": content, "stop_reason": stop, "stop_sequence": null,
        "stop_details": details})
}

/// Why it was refused.
fn details(answer: &Answer) -> Option<Value> {
    let refused = finish(answer) == "refusal";
    refused.then(|| json!({"type": "refusal", "category": null, "explanation": answer.refusal()}))
}

fn finish(answer: &Answer) -> &str {
    match &answer.finish {
        Finish::Refusal => "refusal",
        Finish::Stop | Finish::Length | Finish::Tools | Finish::Filter | Finish::Named(_) => {
            answer.finish.word(FINISHES)
        }
    }
}

fn is_unseen(ask: &Ask) -> bool {
    ask.text().contains(UNSEEN)
}

fn redacted() -> Value {
    json!({"type": "redacted_thinking", "data": REDACTED})
}

fn block(ask: &Ask, part: &Part) -> Value {
    match part {
        Part::Thought(_) if is_unseen(ask) => redacted(),
        Part::Thought(text) => {
            json!({"type": "thinking", "thinking": text.whole(), "signature": SIGNATURE})
        }
        Part::Text(text) | Part::Refusal(text) => {
            json!({"type": "text", "text": text.whole(), "citations": null})
        }
        Part::Call(called) => tool_use(called, &called.arguments),
    }
}

fn tool_use(called: &Called, input: &Value) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_{}", called.id), "name": called.name,
        "input": input})
}

/// Here, what was cached does not count as input.
fn usage(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.prompt - usage.cached - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_written,
            "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": usage.thought.min(output)},
        "service_tier": "standard",
    })
}

/// Usage that says where and how fast an answer was made, as was asked.
fn made_so(ask: &Ask, mut usage: Value) -> Value {
    for name in ["inference_geo", "speed"] {
        if let Some(wish) = ask.body[name].as_str() {
            usage[name] = wish.into();
        }
    }
    usage
}

fn script(ask: &Ask, answer: &Answer) -> Script {
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    let error = named_event(&json!({"type": "error", "error": error}));
    let mut script = Script::new(Framing::Events, error);
    let mut opening = message(ask, answer, &json!([]), &Value::Null);
    if let Some(used) = answer.usage {
        opening["usage"] = made_so(ask, usage(used, 1));
    }
    script.note(named_event(&json!({"type": "message_start", "message": opening})));
    for (index, part) in answer.parts.iter().enumerate() {
        say(&mut script, ask, index, part);
    }
    let mut closing = json!({"type": "message_delta",
        "delta": {"stop_reason": finish(answer), "stop_sequence": null,
            "stop_details": details(answer)}});
    if let Some(used) = answer.usage {
        closing["usage"] = json!({"output_tokens": used.completion});
    }
    script.note(named_event(&closing));
    script.note(named_event(&json!({"type": "message_stop"})));
    script
}

fn say(script: &mut Script, ask: &Ask, index: usize, part: &Part) {
    let (opening, text, kind, field): (Value, &Text, _, _) = match part {
        Part::Thought(text) if is_unseen(ask) => (redacted(), text, "", ""),
        Part::Thought(text) => (
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            text,
            "thinking_delta",
            "thinking",
        ),
        Part::Text(text) | Part::Refusal(text) => {
            (json!({"type": "text", "text": ""}), text, "text_delta", "text")
        }
        Part::Call(called) => {
            (tool_use(called, &json!({})), &called.json, "input_json_delta", "partial_json")
        }
    };
    let opening = json!({"type": "content_block_start", "index": index, "content_block": opening});
    script.note(named_event(&opening));
    if index == 0 {
        script.note(named_event(&json!({"type": "ping"})));
    }
    let delta = |kind: &str, field: &str, value: &str| {
        named_event(&json!({"type": "content_block_delta", "index": index,
            "delta": {"type": kind, field: value}}))
    };
    if kind == "input_json_delta" {
        script.note(delta(kind, field, ""));
    }
    if !kind.is_empty() {
        script.say(text, |token| delta(kind, field, token));
    }
    if kind == "thinking_delta" {
        script.note(delta("signature_delta", "signature", SIGNATURE));
    }
    script.note(named_event(&json!({"type": "content_block_stop", "index": index})));
}

pub(super) fn refuse(failure: &Failure) -> Refusal {
    let message = match failure.why {
        Why::TooLong { prompt, limit } => {
            format!("prompt is too long: {prompt} tokens > {limit} maximum")
        }
        Why::NoKey | Why::WrongKey => "invalid x-api-key".to_owned(),
        Why::Bad(_) | Why::Unknown | Why::Loading | Why::Told => failure.message.clone(),
    };
    let kind = match failure.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    let error = json!({"type": kind, "message": message});
    let body = json!({"type": "error", "error": error, "request_id": "req_refused"});
    Refusal::new(failure.status, body)
}
