//! The common form as Ollama's bodies. What steers sampling goes into `options`, and so does
//! whatever has no word here, for that is where LiteLLM's users write `num_ctx` and the like.

use bytes::Bytes;
use dunlin_llm::form::{
    Chat, Effort, Embed, Format, Json, Message, Part, PartKind, Role, Source, Tool, ToolCall,
    ToolChoice,
};
use dunlin_llm::{BadRequest, Dialect};
use serde_json::{Value, json};

use crate::body::{Body, arguments, own_fields, wrong_messages};

/// Between texts of one turn, which has room for one.
const LINE: &str = "\n";

/// Fields of the body itself, which are no options.
const TOP: &[&str] = &[
    "context",
    "format",
    "images",
    "keep_alive",
    "raw",
    "shift",
    "suffix",
    "system",
    "template",
    "think",
    "truncate",
];

/// The body of `/api/chat`.
pub(super) fn chat(chat: &Chat, model: &str) -> Result<Bytes, BadRequest> {
    let mut messages = Vec::with_capacity(chat.messages.len());
    for message in &chat.messages {
        write_message(message, chat, &mut messages)?;
    }
    let mut body = Body::default();
    body.put("model", model);
    body.put("messages", messages);
    // Ollama has no way to force a call, and LiteLLM's users know it: only `none` can be kept.
    let tools: Vec<Value> = chat.tools.iter().filter_map(tool).collect();
    if !tools.is_empty() && chat.tool_choice != Some(ToolChoice::None) {
        body.put("tools", tools);
    }
    Ok(finish(chat, model, body))
}

/// The body of `/api/generate`.
pub(super) fn generate(chat: &Chat, model: &str) -> Bytes {
    let prompt: String = chat.messages.iter().map(Message::text).collect();
    let mut body = Body::default();
    body.put("model", model);
    body.put("prompt", prompt);
    finish(chat, model, body)
}

/// The body of `/api/embed`.
pub(super) fn embed(embed: &Embed, model: &str) -> Result<Bytes, BadRequest> {
    let mut body = Body::default();
    body.put("model", model);
    body.put("input", embed.texts()?);
    body.put_some("dimensions", embed.dimensions);
    place(embed.other.iter(), Body::default(), &mut body);
    Ok(body.finish())
}

fn finish(chat: &Chat, model: &str, mut body: Body) -> Bytes {
    body.put("stream", chat.stream);
    match &chat.format {
        Some(Format::Json) => body.put("format", "json"),
        Some(Format::Schema { schema, .. }) => body.put("format", schema.value()),
        Some(Format::Text) | None => {}
    }
    body.put_some("think", think(chat, model));
    body.put_some("logprobs", chat.logprobs);
    body.put_some("top_logprobs", chat.top_logprobs);
    let mut options = Body::default();
    options.put_some("num_predict", chat.max_output);
    options.put_some("temperature", chat.temperature.clone());
    options.put_some("top_p", chat.top_p.clone());
    options.put_some("top_k", chat.top_k.clone());
    options.put_some("seed", chat.seed.clone());
    options.put_some("stop", (!chat.stop.is_empty()).then(|| chat.stop.clone()));
    options.put_some("presence_penalty", chat.presence_penalty.clone());
    options.put_some("frequency_penalty", chat.frequency_penalty.clone());
    place(own_fields(chat), options, &mut body);
    body.finish()
}

/// Puts what has no word into the body or among the options, and the options into the body.
fn place<'a>(fields: impl Iterator<Item = &'a (String, Json)>, mut options: Body, body: &mut Body) {
    for (name, json) in fields {
        match (name.as_str(), json.value()) {
            ("options", Value::Object(more)) => options.0.extend(more),
            (name, value) if TOP.contains(&name) => body.put(name, value),
            (name, value) => options.put(name, value),
        }
    }
    body.put_object("options", options);
}

/// Only gpt-oss knows degrees; others think or do not. A model that cannot is refused where it is told
/// to, and one that can thinks unasked: so a wish that clients of other dialects have of every model is
/// not said.
fn think(chat: &Chat, model: &str) -> Option<Value> {
    let reasoning = chat.reasoning.as_ref()?;
    let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget))?;
    if effort == Effort::None {
        return Some(false.into());
    }
    if !model.rsplit('/').next().is_some_and(|name| name.starts_with("gpt-oss")) {
        return (chat.from == Dialect::OpenAi).then_some(true.into());
    }
    Some(match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low".into(),
        Effort::Medium => "medium".into(),
        Effort::High | Effort::Highest | Effort::Most => "high".into(),
    })
}

fn tool(tool: &Tool) -> Option<Value> {
    let Tool::Function { name, description, parameters, .. } = tool else { return None };
    let mut function = json!({"name": name});
    if let Some(description) = description {
        function["description"] = description.as_str().into();
    }
    if let Some(parameters) = parameters {
        function["parameters"] = parameters.value();
    }
    Some(json!({"type": "function", "function": function}))
}

fn write_message(message: &Message, chat: &Chat, out: &mut Vec<Value>) -> Result<(), BadRequest> {
    let (mut thought, mut images, mut calls) = (String::new(), Vec::new(), Vec::new());
    let mut is_said = false;
    for part in &message.parts {
        match &part.kind {
            PartKind::Text(_) | PartKind::Refusal(_) => is_said = true,
            PartKind::Thinking { text, .. } => thought += text,
            PartKind::Image { source: Source::Inline { data, .. }, .. } => {
                images.push(Value::from(data.as_str()));
            }
            PartKind::ToolCall(call) => calls.push(tool_call(call)?),
            PartKind::ToolResult { call, name, parts, .. } => {
                out.push(result(call, name.as_deref(), parts, chat));
            }
            PartKind::Image { .. } => return Err(wrong_messages("images inline, as data: URLs")),
            PartKind::Audio { .. } | PartKind::File { .. } => {
                return Err(wrong_messages("texts and images only for this model"));
            }
            PartKind::RedactedThinking(_) | PartKind::Other(_) => {}
        }
    }
    if !is_said && images.is_empty() && calls.is_empty() && thought.is_empty() {
        return Ok(());
    }
    let (role, between) = match message.role {
        Role::System => ("system", LINE),
        Role::User => ("user", LINE),
        // What it said was cut in pieces where others know sources or thoughts.
        Role::Assistant => ("assistant", ""),
    };
    let mut wire = json!({"role": role, "content": words(&message.parts, between)});
    if !thought.is_empty() {
        wire["thinking"] = thought.into();
    }
    if !images.is_empty() {
        wire["images"] = images.into();
    }
    if !calls.is_empty() {
        wire["tool_calls"] = calls.into();
    }
    out.push(wire);
    Ok(())
}

/// All that is said, with `between` between what stood apart, unless white space does.
fn words(parts: &[Part], between: &str) -> String {
    let words = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => Some(text.as_str()),
        PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => None,
    });
    let is_space = char::is_whitespace;
    words.fold(String::new(), |mut said, text| {
        if !said.is_empty() && !said.ends_with(is_space) && !text.starts_with(is_space) {
            said += between;
        }
        said + text
    })
}

/// Templates of older models name the tool by its name, not by the call.
fn result(call: &str, name: Option<&str>, parts: &[Part], chat: &Chat) -> Value {
    let called = |part: &Part| {
        let PartKind::ToolCall(made) = &part.kind else { return None };
        (made.id == call).then(|| made.name.clone())
    };
    let mut all = chat.messages.iter().flat_map(|message| &message.parts);
    let name = name.map(str::to_owned).or_else(|| all.find_map(called));
    let mut wire = json!({"role": "tool", "content": words(parts, LINE), "tool_call_id": call});
    if let Some(name) = name {
        wire["tool_name"] = name.into();
    }
    wire
}

fn tool_call(call: &ToolCall) -> Result<Value, BadRequest> {
    let arguments = arguments(&call.arguments)?;
    Ok(json!({"id": call.id, "function": {"name": call.name, "arguments": arguments}}))
}
