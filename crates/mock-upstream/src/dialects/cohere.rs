//! Cohere's second version: `/v2/chat`, `/v2/embed`, `/v2/rerank`.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::post;
use crate::answer::{Answer, Called, Finish, Part, Usage};
use crate::ask::{Ask, Last, MustCall, Tool, text_of};
use crate::base64;
use crate::exchange::{Keys, Mock, Place, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::rerank;
use crate::script::{Framing, Script, named_event};
use crate::vector;

const FINISHES: [&str; 4] = ["COMPLETE", "MAX_TOKENS", "TOOL_CALL", "ERROR"];
const ROLES: [&str; 4] = ["user", "assistant", "system", "tool"];
/// What is said before calling a tool.
const PLAN: &str = "I will use a tool.";

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v2/chat", post(Chat))
        .route("/v2/embed", post(Embed))
        .route("/v2/rerank", post(Rerank))
}

const KEYS: Keys = Keys { needed: true, places: &[Place::Bearer] };

fn refuse(failure: &Failure) -> Refusal {
    let body = json!({"id": "refused", "message": failure.message});
    Refusal::new(failure.status, body)
}

#[derive(Clone, Copy)]
struct Chat;

impl Route for Chat {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let mut ask = Ask::of_model(&request.body)?;
        let messages = ask.list("messages")?;
        if messages.is_empty() {
            return Err(Failure::bad("invalid request: messages cannot be empty"));
        }
        for message in messages {
            if !ROLES.contains(&message["role"].as_str().unwrap_or_default()) {
                return Err(Failure::bad("invalid request: invalid role in message"));
            }
            if message["role"] == "tool" && !message["tool_call_id"].is_string() {
                return Err(Failure::bad("invalid request: tool messages need a tool_call_id"));
            }
        }
        ask.last = messages.last().map_or(Last::Other, said);
        let tools = ask.body["tools"].as_array().into_iter().flatten();
        ask.tools = tools.filter_map(|tool| offered(&tool["function"])).collect();
        ask.must_call = match ask.body["tool_choice"].as_str() {
            Some("REQUIRED") => MustCall::Any,
            Some("NONE") => MustCall::Never,
            _ => MustCall::No,
        };
        ask.thinks = ask.body["thinking"]["type"] == "enabled";
        let format = &ask.body["response_format"];
        let json = format["type"] == "json_object";
        ask.schema = json.then(|| format.get("json_schema").cloned().unwrap_or(json!(true)));
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        if ask.stream {
            Reply::Stream(script(ask, answer))
        } else {
            Reply::Said(whole(ask, answer))
        }
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }
}

fn said(message: &Value) -> Last {
    let content = &message["content"];
    match message["role"].as_str() {
        Some("user") => Last::User(text_of(content)),
        Some("tool") => {
            let parts = content.as_array().into_iter().flatten();
            let data: String = parts.filter_map(|part| part["document"]["data"].as_str()).collect();
            Last::Tool(text_of(content) + &data)
        }
        _ => Last::Other,
    }
}

fn offered(function: &Value) -> Option<Tool> {
    let name = function["name"].as_str()?.to_owned();
    Some(Tool { name, schema: function["parameters"].clone() })
}

fn finish(answer: &Answer) -> &str {
    match &answer.finish {
        // It has no word for a refusal.
        Finish::Refusal => "COMPLETE",
        Finish::Stop | Finish::Length | Finish::Tools | Finish::Filter | Finish::Named(_) => {
            answer.finish.word(FINISHES)
        }
    }
}

fn whole(ask: &Ask, answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant"});
    let content: Vec<Value> = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Thought(text) => Some(json!({"type": "thinking", "thinking": text.whole()})),
            Part::Text(text) | Part::Refusal(text) => {
                Some(json!({"type": "text", "text": text.whole()}))
            }
            Part::Call(_) => None,
        })
        .collect();
    if !content.is_empty() {
        message["content"] = json!(content);
    }
    let calls: Vec<Value> =
        answer.calls().map(|called| call(called, &called.arguments.to_string())).collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
        message["tool_plan"] = json!(PLAN);
    }
    if let Some(citation) = citation(ask, answer) {
        message["citations"] = json!([citation]);
    }
    let mut whole = json!({"id": answer.id, "finish_reason": finish(answer), "message": message});
    if let Some(used) = answer.usage {
        whole["usage"] = usage(used);
    }
    whole
}

fn call(called: &Called, arguments: &str) -> Value {
    json!({"id": format!("{}_{}", called.name, called.id), "type": "function",
        "function": {"name": called.name, "arguments": arguments}})
}

/// A citation of the first document, if there are any.
fn citation(ask: &Ask, answer: &Answer) -> Option<Value> {
    let document = ask.body["documents"].get(0)?;
    let text: String = answer.text().chars().take(3).collect();
    let data = document.get("data").cloned().unwrap_or_else(|| json!({"text": document}));
    let source = json!({"type": "document", "id": document["id"].as_str().unwrap_or("doc:0"),
        "document": data});
    Some(json!({"start": 0, "end": text.len(), "text": text, "sources": [source],
        "type": "TEXT_CONTENT"}))
}

fn usage(usage: Usage) -> Value {
    json!({
        "billed_units": {"input_tokens": usage.prompt, "output_tokens": usage.completion},
        "tokens": {"input_tokens": usage.prompt, "output_tokens": usage.completion},
        "cached_tokens": usage.cached,
    })
}

fn script(ask: &Ask, answer: &Answer) -> Script {
    let broken = json!({"type": "message-end", "delta": {"finish_reason": "ERROR",
        "error": "the mock broke"}});
    let mut script = Script::new(Framing::Events, named_event(&broken));
    let opening = json!({"type": "message-start", "id": answer.id, "delta": {"message":
        {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}});
    script.note(named_event(&opening));
    let mut planned = false;
    let mut calls = 0;
    for (index, part) in answer.parts.iter().enumerate() {
        match part {
            Part::Thought(text) | Part::Text(text) | Part::Refusal(text) => {
                let field = if matches!(part, Part::Thought(_)) { "thinking" } else { "text" };
                let content = |content: Value| json!({"message": {"content": content}});
                let start = content(json!({"type": field, field: ""}));
                script.note(at("content-start", index, Some(start)));
                script.say(text, |token| {
                    at("content-delta", index, Some(content(json!({field: token}))))
                });
                if field == "text"
                    && let Some(citation) = citation(ask, answer)
                {
                    let delta = json!({"message": {"citations": citation}});
                    script.note(at("citation-start", 0, Some(delta)));
                    script.note(at("citation-end", 0, None));
                }
                script.note(at("content-end", index, None));
            }
            Part::Call(called) => {
                if !planned {
                    let delta = json!({"message": {"tool_plan": PLAN}});
                    script.note(named_event(&json!({"type": "tool-plan-delta", "delta": delta})));
                    planned = true;
                }
                let delta = |call: Value| Some(json!({"message": {"tool_calls": call}}));
                script.note(at("tool-call-start", calls, delta(call(called, ""))));
                script.say(&called.json, |token| {
                    at("tool-call-delta", calls, delta(json!({"function": {"arguments": token}})))
                });
                script.note(at("tool-call-end", calls, None));
                calls += 1;
            }
        }
    }
    let mut delta = json!({"finish_reason": finish(answer)});
    if let Some(used) = answer.usage {
        delta["usage"] = usage(used);
    }
    let end = json!({"type": "message-end", "id": answer.id, "delta": delta});
    script.note(named_event(&end));
    script.note(bytes::Bytes::from_static(b"data: [DONE]\n\n"));
    script
}

fn at(kind: &str, index: usize, delta: Option<Value>) -> bytes::Bytes {
    let mut event = json!({"type": kind, "index": index});
    if let Some(delta) = delta {
        event["delta"] = delta;
    }
    named_event(&event)
}

#[derive(Clone, Copy)]
struct Embed;

impl Route for Embed {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = Ask::of_model(&request.body)?;
        ask.list("texts")?;
        if !ask.body["input_type"].is_string() {
            return Err(Failure::bad("invalid request: valid input_type must be provided"));
        }
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let texts = ask.body["texts"].as_array().into_iter().flatten();
        let size = ask.body["output_dimension"].as_u64();
        let vectors = texts.map(|text| vector::of(text.as_str().unwrap_or_default(), size));
        let vectors: Vec<Vec<f32>> = vectors.collect();
        let mut embeddings = json!({});
        let float = vec![json!("float")];
        for kind in ask.body["embedding_types"].as_array().unwrap_or(&float) {
            let kind = kind.as_str().unwrap_or_default();
            embeddings[kind] = vectors.iter().map(|vector| encoded(kind, vector)).collect();
        }
        let mut embedded = json!({"id": answer.id, "embeddings": embeddings,
            "texts": ask.body["texts"], "response_type": "embeddings_by_type"});
        if let Some(usage) = answer.usage {
            embedded["meta"] = json!({"api_version": {"version": "2"},
                "billed_units": {"input_tokens": usage.prompt}});
        }
        Reply::Json(embedded)
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }
}

/// A vector in one of the formats; what is asked for bits gets bytes.
fn encoded(kind: &str, vector: &[f32]) -> Value {
    match kind {
        "float" => json!(vector),
        "base64" => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(base64::encode(&bytes))
        }
        #[expect(clippy::cast_possible_truncation, reason = "eighths of at most one")]
        _ => vector.iter().map(|number| (number * 8.0) as i8).collect(),
    }
}

#[derive(Clone, Copy)]
struct Rerank;

impl Route for Rerank {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        rerank::read(request)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        Reply::Json(json!({"id": answer.id, "results": rerank::results(ask, false),
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}}))
    }

    fn refuse(&self, _: &Mock, failure: &Failure) -> Refusal {
        refuse(failure)
    }
}
