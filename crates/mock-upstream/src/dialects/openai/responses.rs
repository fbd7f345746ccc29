//! `/v1/responses`: making one, and what can be done with one that is stored.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::logprob;
use super::{CREATED, KEYS, conversations, files, refuse, tier};
use crate::answer::{Answer, Finish, Part, Usage};
use crate::ask::{Ask, Last, MustCall, Tool, text_of};
use crate::dialects::{azure, delete, get, post};
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::shelf::Thing;

mod events;

/// What is said of models that are asked for responses and for nothing else.
const ONLY_HERE: [&str; 5] = ["-codex", "codex-", "computer-use-", "-deep-research", "-pro"];
/// What OpenAI's chats have and its responses refuse to know.
const UNKNOWN: [&str; 15] = [
    "audio",
    "frequency_penalty",
    "functions",
    "logit_bias",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "modalities",
    "n",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "verbosity",
];
/// The smallest bound on tokens that OpenAI takes.
const LEAST_OUTPUT: u64 = 16;
/// What asks for thoughts that only their model can read, how one begins, and all that it says.
const SEALS: &str = "reasoning.encrypted_content";
const SEALED: &str = "gAAAAAmock";
const LOGPROBS: &str = "message.output_text.logprobs";
const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/responses", post(Responses { azure: false }))
        .route("/v1/responses/input_tokens", post(Aside::CountTokens))
        .route("/v1/responses/compact", post(Aside::Compact))
        .route("/v1/responses/{id}", get(Stored::Show).merge(delete(Stored::Delete)))
        .route("/v1/responses/{id}/cancel", post(Stored::Cancel))
        .route("/v1/responses/{id}/input_items", get(Stored::InputItems))
}

#[derive(Clone, Copy)]
pub(in crate::dialects) struct Responses {
    pub(in crate::dialects) azure: bool,
}

impl Route for Responses {
    fn keys(&self) -> Keys {
        if self.azure { azure::KEYS } else { KEYS }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        understand(mock, Ask::of_model(&request.body)?)
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let parts = answer.parts.iter().enumerate();
        let output = parts.map(|(at, part)| item(ask, answer, at, part));
        let response = object(ask, answer, &output.collect::<Vec<_>>());
        if let Some(thing) = conversation(ask).and_then(|id| mock.shelf.find(id)) {
            let said = response["output"].as_array().into_iter().flatten().cloned();
            let new: Vec<Value> = input_items(ask).into_iter().chain(said).collect();
            conversations::add(mock, thing, &new);
        }
        if ask.body["store"] != false {
            let content = Bytes::from(json!(input_items(ask)).to_string());
            let id = response["id"].as_str().expect("it has one").to_owned();
            mock.shelf.put(Thing { id, value: response.clone(), content });
        }
        if ask.stream {
            return Reply::Stream(events::script(answer, &response));
        }
        if ask.flag("background") {
            return Reply::Json(unfinished(&response, "queued"));
        }
        Reply::Said(response)
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        if self.azure { azure::refuse(failure) } else { refuse(mock, failure) }
    }
}

fn understand(mock: &Mock, mut ask: Ask) -> Result<Ask, Failure> {
    let previous = match ask.body["previous_response_id"].as_str() {
        Some(id) => Some(mock.shelf.find(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            Failure::parameter("previous_response_id", message)
        })?),
        None => None,
    };
    let kept = match conversation(&ask) {
        Some(id) => {
            let absent = || Failure::absent("conversation", id);
            conversations::items(&mock.shelf.find(id).ok_or_else(absent)?)
        }
        None => Vec::new(),
    };
    check_fields(&ask.body)?;
    if !(ask.body["input"].is_string() || ask.body["input"].is_array()) {
        return Err(Failure::missing("input"));
    }
    let items = input_items(&ask);
    let before = previous.iter().flat_map(|thing| thing.value["output"].as_array()).flatten();
    let all: Vec<&Value> = before.chain(&kept).chain(&items).collect();
    for (at, item) in items.iter().enumerate() {
        check_item(at, item, &all)?;
        if item["type"] == "reasoning" {
            check_thought(item, items.get(at + 1))?;
        }
    }
    ask.last = items.last().map_or(Last::Other, said);
    let tools = ask.body["tools"].as_array().into_iter().flatten();
    ask.tools = tools.filter_map(offered).collect();
    let choice = &ask.body["tool_choice"];
    ask.must_call = match (choice.as_str(), choice["name"].as_str()) {
        (Some("required"), _) => MustCall::Any,
        (Some("none"), _) => MustCall::Never,
        (_, Some(name)) => MustCall::Named(name.to_owned()),
        _ => MustCall::No,
    };
    ask.one_call = ask.body["parallel_tool_calls"] == false;
    ask.thinks = ask.body["reasoning"]["summary"].is_string();
    let format = &ask.body["text"]["format"];
    ask.schema = match format["type"].as_str() {
        Some("json_schema") => Some(format["schema"].clone()),
        Some("json_object") => Some(json!(true)),
        _ => None,
    };
    let most = ask.body["max_output_tokens"].as_u64();
    ask.max_tokens = most.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
    Ok(ask)
}

/// The conversation that it is said in.
fn conversation(ask: &Ask) -> Option<&str> {
    let said = &ask.body["conversation"];
    said.as_str().or_else(|| said["id"].as_str())
}

/// The input as a list, as it is shown later.
fn input_items(ask: &Ask) -> Vec<Value> {
    match ask.body["input"].as_array() {
        Some(items) => items.clone(),
        None => {
            let content = json!([{"type": "input_text", "text": ask.body["input"]}]);
            vec![json!({"type": "message", "id": "msg_input", "status": "completed",
                "role": "user", "content": content})]
        }
    }
}

/// Whether this model has responses and no chats: OpenAI's are known by their names.
pub(super) fn are_all(model: &str) -> bool {
    let is_dated = |name: &str| model.contains(&format!("{name}-20"));
    ONLY_HERE.iter().any(|part| match part.strip_prefix('-') {
        Some(_) => {
            model.ends_with(part) || is_dated(part) || (*part == "-codex" && model.contains(part))
        }
        None => model.starts_with(part),
    })
}

fn check_fields(body: &Value) -> Result<(), Failure> {
    if let Some(name) = UNKNOWN.iter().find(|name| body.get(**name).is_some()) {
        return Err(Failure::parameter(name, format!("Unknown parameter: '{name}'.")));
    }
    if let Some(most) = body["max_output_tokens"].as_u64().filter(|most| *most < LEAST_OUTPUT) {
        let text = format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= \
             {LEAST_OUTPUT}, but got {most} instead."
        );
        return Err(Failure::parameter("max_output_tokens", text));
    }
    let tools = body["tools"].as_array().into_iter().flatten();
    let nested = tools.enumerate().find(|(_, tool)| tool["function"].is_object());
    nested.map_or(Ok(()), |(at, _)| Err(Failure::missing(&format!("tools[{at}].name"))))
}

/// A thought is the model's own, and something follows it.
fn check_thought(item: &Value, next: Option<&Value>) -> Result<(), Failure> {
    let sealed = &item["encrypted_content"];
    if sealed.as_str().is_some_and(|sealed| sealed != SEALED) {
        let text = "The encrypted content for a reasoning item could not be verified.";
        return Err(Failure::parameter("input", text));
    }
    let is_the_models = next.is_some_and(|next| match next["type"].as_str() {
        Some("message") | None => next["role"] == "assistant",
        Some(kind) => !kind.ends_with("_output"),
    });
    if is_the_models {
        return Ok(());
    }
    let text = "Item of type 'reasoning' was provided without its required following item.";
    Err(Failure::parameter("input", text))
}

fn check_item(at: usize, item: &Value, all: &[&Value]) -> Result<(), Failure> {
    let place = format!("input[{at}]");
    match item["type"].as_str() {
        None | Some("message") => {
            let role = item["role"].as_str().unwrap_or_default();
            if !ROLES.contains(&role) {
                let supported = ROLES.map(|role| format!("'{role}'")).join(", ");
                let text = format!("Invalid value: '{role}'. Supported values are: {supported}.");
                return Err(Failure::parameter(&format!("{place}.role"), text));
            }
        }
        Some(kind @ ("function_call_output" | "custom_tool_call_output")) => {
            let (id, call) = (&item["call_id"], kind.trim_end_matches("_output"));
            if !all.iter().any(|one| one["type"] == call && one["call_id"] == *id) {
                let (id, call) = (id.as_str().unwrap_or_default(), call.replace('_', " "));
                let text = format!("No tool call found for {call} output with call_id {id}.");
                return Err(Failure::parameter("input", text));
            }
        }
        // The items of tools that OpenAI itself runs.
        Some(_) => {}
    }
    Ok(())
}

fn said(item: &Value) -> Last {
    if item["type"].as_str().is_some_and(|kind| kind.ends_with("_output")) {
        return Last::Tool(text_of(&item["output"]));
    }
    if item["role"] == "user" { Last::User(text_of(&item["content"])) } else { Last::Other }
}

fn offered(tool: &Value) -> Option<Tool> {
    let is_called = matches!(tool["type"].as_str(), Some("function" | "custom"));
    let name = tool["name"].as_str().filter(|_| is_called)?.to_owned();
    Some(Tool { name, schema: tool["parameters"].clone() })
}

/// A finished item of the output.
fn item(ask: &Ask, answer: &Answer, at: usize, part: &Part) -> Value {
    let id = &answer.id;
    let tells = |what: &str| {
        ask.body["include"].as_array().is_some_and(|all| all.iter().any(|one| one == what))
    };
    let tools = ask.body["tools"].as_array().into_iter().flatten();
    let is_custom = |name: &str| tools.clone().any(|t| t["type"] == "custom" && t["name"] == name);
    match part {
        Part::Thought(text) => {
            let mut item = json!({"id": format!("rs_{id}i{at}"), "type": "reasoning",
                "summary": [{"type": "summary_text", "text": text.whole()}]});
            if tells(SEALS) {
                item["encrypted_content"] = json!(SEALED);
            }
            item
        }
        Part::Text(_) | Part::Refusal(_) => {
            let mut content = content(part, None);
            if let (Part::Text(text), true) = (part, tells(LOGPROBS)) {
                let tokens = text.runs().flat_map(|(token, times)| (0..times).map(move |_| token));
                content["logprobs"] = tokens.map(logprob).collect();
            }
            json!({"id": format!("msg_{id}i{at}"), "type": "message", "status": "completed",
                "role": "assistant", "content": [content]})
        }
        Part::Call(called) if is_custom(&called.name) => {
            json!({"id": format!("ctc_{}", called.id), "type": "custom_tool_call",
                "status": "completed", "call_id": format!("call_{}", called.id),
                "name": called.name, "input": called.arguments.to_string()})
        }
        Part::Call(called) => json!({"id": format!("fc_{}", called.id), "type": "function_call",
            "status": "completed", "call_id": format!("call_{}", called.id), "name": called.name,
            "arguments": called.arguments.to_string()}),
    }
}

/// The content of a message, or what it is while nothing is said yet.
fn content(part: &Part, text: Option<&str>) -> Value {
    let whole = |said: &crate::answer::Text| text.map_or_else(|| said.whole(), str::to_owned);
    match part {
        Part::Refusal(said) => json!({"type": "refusal", "refusal": whole(said)}),
        Part::Text(said) | Part::Thought(said) => json!({"type": "output_text",
            "text": whole(said), "annotations": [], "logprobs": []}),
        Part::Call(called) => json!({"type": "output_text", "text": whole(&called.json)}),
    }
}

fn object(ask: &Ask, answer: &Answer, output: &[Value]) -> Value {
    let body = &ask.body;
    let or = |key: &str, default: Value| {
        body.get(key).filter(|given| !given.is_null()).cloned().unwrap_or(default)
    };
    let incomplete = match &answer.finish {
        Finish::Length => Some("max_output_tokens"),
        Finish::Filter => Some("content_filter"),
        Finish::Stop | Finish::Tools | Finish::Refusal | Finish::Named(_) => None,
    };
    let status = if incomplete.is_some() { "incomplete" } else { "completed" };
    json!({"id": format!("resp_{}", answer.id), "object": "response",
        "created_at": created_at(body),
        "status": status, "background": or("background", json!(false)), "error": null,
        "incomplete_details": incomplete.map(|reason| json!({"reason": reason})),
        "instructions": body["instructions"], "max_output_tokens": body["max_output_tokens"],
        "model": ask.model, "output": output,
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": body["previous_response_id"],
        "conversation": conversation(ask).map(|id| json!({"id": id})),
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
        "service_tier": tier(ask), "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": or("tool_choice", json!("auto")), "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)), "truncation": or("truncation", json!("disabled")),
        "usage": answer.usage.map(usage), "user": body["user"],
        "metadata": or("metadata", json!({}))})
}

/// When a thing was made: always the same moment, unless its metadata wants another.
pub(super) fn created_at(body: &Value) -> u64 {
    let wanted = body["metadata"]["created_at"].as_str().and_then(|at| at.parse().ok());
    wanted.unwrap_or(CREATED)
}

/// A response that has said nothing yet.
fn unfinished(response: &Value, status: &str) -> Value {
    let mut unfinished = response.clone();
    unfinished["status"] = json!(status);
    unfinished["output"] = json!([]);
    unfinished["usage"] = Value::Null;
    unfinished["incomplete_details"] = Value::Null;
    unfinished
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.thought},
        "total_tokens": usage.prompt + usage.completion,
    })
}

/// What is asked that makes no response.
#[derive(Clone, Copy)]
enum Aside {
    CountTokens,
    Compact,
}

impl Route for Aside {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        Ask::json(&request.body)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        match self {
            Self::CountTokens => Reply::Json(
                json!({"object": "response.input_tokens", "input_tokens": ask.prompt_tokens}),
            ),
            Self::Compact => {
                let id = &answer.id;
                let compaction = json!({"type": "compaction", "id": format!("cmp_{id}"),
                    "encrypted_content": "c2hvcnQ"});
                Reply::Json(json!({"id": format!("resp_{id}"), "object": "response.compaction",
                    "created_at": CREATED, "output": [compaction],
                    "usage": answer.usage.map(usage)}))
            }
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

/// What is asked of a response that was stored.
#[derive(Clone, Copy)]
enum Stored {
    Show,
    Delete,
    Cancel,
    InputItems,
}

impl Route for Stored {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let stream = request.parameter("stream") == Some("true");
        Ok(Ask { id: request.segment(2), stream, ..Ask::default() })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, _: &Answer) -> Reply {
        let Some(mut thing) = mock.shelf.find(&ask.id) else {
            return Reply::Failed(Failure::absent("response", &ask.id));
        };
        match self {
            Self::Show if ask.stream => Reply::Stream(events::again(&thing.value)),
            Self::Show => Reply::Json(thing.value),
            Self::Delete => {
                let deleted = mock.shelf.remove(&ask.id);
                Reply::Json(json!({"id": ask.id, "object": "response", "deleted": deleted}))
            }
            Self::Cancel if thing.value["background"] == true => {
                thing.value = unfinished(&thing.value, "cancelled");
                mock.shelf.put(thing.clone());
                Reply::Json(thing.value)
            }
            Self::Cancel => Reply::Failed(Failure::bad("Cannot cancel a synchronous response.")),
            Self::InputItems => {
                let items = serde_json::from_slice(&thing.content).expect("they were JSON");
                Reply::Json(files::list(items))
            }
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}
