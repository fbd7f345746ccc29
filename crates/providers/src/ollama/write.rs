//! The common form as Ollama's bodies. What steers sampling goes into `options`, and so does
//! whatever has no word here, for that is where LiteLLM's users write `num_ctx` and the like.

use bytes::Bytes;
use dunlin_llm::form::{
    Chat, Effort, Embed, Format, Json, Message, Part, PartKind, Role, Source, Tool, ToolCall,
    ToolChoice,
};
use dunlin_llm::{BadRequest, Dialect};
use serde_json::{Map, Value, json};

/// Fields of the body itself, which are no options.
const TOP: &[&str] =
    &["format", "keep_alive", "raw", "suffix", "system", "template", "think", "truncate"];

/// The body of `/api/chat`.
pub(super) fn chat(chat: &Chat, model: &str) -> Result<Bytes, BadRequest> {
    let mut messages = Vec::with_capacity(chat.messages.len());
    for message in &chat.messages {
        write_message(message, chat, &mut messages)?;
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages.into());
    // Ollama has no way to force a call, and LiteLLM's users know it: only `none` can be kept.
    let tools: Vec<Value> = chat.tools.iter().filter_map(tool).collect();
    if !tools.is_empty() && chat.tool_choice != Some(ToolChoice::None) {
        body.insert("tools".to_owned(), tools.into());
    }
    Ok(finish(chat, model, body))
}

/// The body of `/api/generate`.
pub(super) fn generate(chat: &Chat, model: &str) -> Result<Bytes, BadRequest> {
    let prompt: String = chat.messages.iter().map(Message::text).collect();
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("prompt".to_owned(), prompt.into());
    Ok(finish(chat, model, body))
}

/// The body of `/api/embed`.
pub(super) fn embed(embed: &Embed, model: &str) -> Result<Bytes, BadRequest> {
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("input".to_owned(), embed.texts()?.into());
    if let Some(dimensions) = embed.dimensions {
        body.insert("dimensions".to_owned(), dimensions.into());
    }
    let options = place(embed.other.iter(), Map::new(), &mut body);
    if !options.is_empty() {
        body.insert("options".to_owned(), options.into());
    }
    Ok(bytes(&body))
}

fn finish(chat: &Chat, model: &str, mut body: Map<String, Value>) -> Bytes {
    body.insert("stream".to_owned(), chat.stream.into());
    let format = match &chat.format {
        Some(Format::Json) => Some("json".into()),
        Some(Format::Schema { schema, .. }) => Some(value_of(schema)),
        Some(Format::Text) | None => None,
    };
    if let Some(format) = format {
        body.insert("format".to_owned(), format);
    }
    if let Some(think) = think(chat, model) {
        body.insert("think".to_owned(), think);
    }
    let mut options = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value);
        }
    };
    put("num_predict", chat.max_output.map(Into::into));
    put("temperature", chat.temperature.clone().map(Into::into));
    put("top_p", chat.top_p.clone().map(Into::into));
    put("top_k", chat.top_k.clone().map(Into::into));
    put("seed", chat.seed.clone().map(Into::into));
    put("stop", (!chat.stop.is_empty()).then(|| chat.stop.clone().into()));
    put("presence_penalty", chat.presence_penalty.clone().map(Into::into));
    put("frequency_penalty", chat.frequency_penalty.clone().map(Into::into));
    // A field of another dialect means nothing here.
    let other = chat.other.iter().filter(|_| chat.from == Dialect::OpenAi);
    let options = place(chat.extra.iter().chain(other), options, &mut body);
    if !options.is_empty() {
        body.insert("options".to_owned(), options.into());
    }
    bytes(&body)
}

/// Puts what has no word into the body or among the options, which it returns.
fn place<'a>(
    other: impl Iterator<Item = &'a (String, Json)>,
    mut options: Map<String, Value>,
    body: &mut Map<String, Value>,
) -> Map<String, Value> {
    for (name, json) in other {
        match (name.as_str(), value_of(json)) {
            ("options", Value::Object(more)) => options.extend(more),
            (name, value) if TOP.contains(&name) => {
                body.insert(name.to_owned(), value);
            }
            (name, value) => {
                options.insert(name.to_owned(), value);
            }
        }
    }
    options
}

/// Only gpt-oss knows degrees; others think or do not.
fn think(chat: &Chat, model: &str) -> Option<Value> {
    let reasoning = chat.reasoning.as_ref()?;
    let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget))?;
    if effort == Effort::None || !model.starts_with("gpt-oss") {
        return Some((effort != Effort::None).into());
    }
    Some(match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low".into(),
        Effort::Medium => "medium".into(),
        Effort::High | Effort::Highest => "high".into(),
    })
}

fn tool(tool: &Tool) -> Option<Value> {
    let Tool::Function { name, description, parameters, .. } = tool else { return None };
    let mut function = json!({"name": name});
    if let Some(description) = description {
        function["description"] = description.as_str().into();
    }
    if let Some(parameters) = parameters {
        function["parameters"] = value_of(parameters);
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
            PartKind::Image { .. } => return Err(wrong("images inline, as data: URLs")),
            PartKind::Audio { .. } | PartKind::File { .. } => {
                return Err(wrong("texts and images only"));
            }
            PartKind::RedactedThinking(_) | PartKind::Other(_) => {}
        }
    }
    if !is_said && images.is_empty() && calls.is_empty() && thought.is_empty() {
        return Ok(());
    }
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut wire = json!({"role": role, "content": words(&message.parts)});
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

fn words(parts: &[Part]) -> String {
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
    words.collect()
}

/// Templates of older models name the tool by its name, not by the call.
fn result(call: &str, name: Option<&str>, parts: &[Part], chat: &Chat) -> Value {
    let called = |part: &Part| {
        let PartKind::ToolCall(made) = &part.kind else { return None };
        (made.id == call).then(|| made.name.clone())
    };
    let mut all = chat.messages.iter().flat_map(|message| &message.parts);
    let name = name.map(str::to_owned).or_else(|| all.find_map(called));
    let mut wire = json!({"role": "tool", "content": words(parts), "tool_call_id": call});
    if let Some(name) = name {
        wire["tool_name"] = name.into();
    }
    wire
}

fn tool_call(call: &ToolCall) -> Result<Value, BadRequest> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let arguments: Map<String, Value> = serde_json::from_str(arguments)
        .map_err(|_| wrong("tool calls whose arguments are a JSON object"))?;
    Ok(json!({"id": call.id, "function": {"name": call.name, "arguments": arguments}}))
}

fn wrong(expected: &'static str) -> BadRequest {
    BadRequest::Invalid { route: "ollama", name: "messages".to_owned(), expected }
}

fn value_of(json: &Json) -> Value {
    serde_json::from_str(json.text()).expect("it was parsed before")
}

fn bytes(body: &Map<String, Value>) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("values are always JSON"))
}
