//! The common form, written as the body of an OpenAI chat.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::calls::googles_call;
use super::details;
use crate::Dialect;
use crate::form::{
    Chat, Format, Json, Message, Part, PartKind, Role, Source, Tool, ToolCall, ToolChoice,
    WebSearch,
};

/// What OpenAI's responses and its chats mean alike, and the common form has no word for.
const SHARED: &[&str] =
    &["moderation", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"];

/// What compatible servers differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ChatStyle {
    /// The bound is called `max_completion_tokens`; most servers know only `max_tokens`.
    pub max_completion_tokens: bool,
    /// Cache points are passed on in the content, as OpenRouter and LiteLLM take them.
    pub cache_points: bool,
    /// Instructions may come in the middle; templates of many models refuse that.
    pub late_instructions: bool,
    /// How thoughts are sent back.
    pub thoughts: Thoughts,
    /// Thoughts are sent back as OpenRouter's `reasoning_details`.
    pub details: bool,
    /// Seals of calls are sent back as Google's compatible server has them; most refuse them.
    pub googles_seals: bool,
}

/// What a server takes of thoughts in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Thoughts {
    /// Nothing: most refuse them.
    #[default]
    None,
    /// `reasoning_content`, which it shows its models again.
    Taken,
    /// The same, and beside calls of tools it must be there.
    Wanted,
    /// A part of the content, as Mistral has them.
    Parts,
}

impl ChatStyle {
    /// What every compatible server takes.
    pub const COMPATIBLE: Self = Self {
        max_completion_tokens: false,
        cache_points: false,
        late_instructions: false,
        thoughts: Thoughts::None,
        details: false,
        googles_seals: false,
    };
    /// OpenAI's own.
    pub const OPENAI: Self =
        Self { max_completion_tokens: true, late_instructions: true, ..Self::COMPATIBLE };
}

/// Writes the body for a provider that knows the model as `model`.
#[must_use]
pub fn write_chat(chat: &Chat, model: &str, style: ChatStyle) -> Bytes {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", Some(model.into()));
    put("messages", Some(messages(chat, style).into()));
    let bound = if style.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    put(bound, chat.max_output.map(Into::into));
    put("temperature", chat.temperature.clone().map(Into::into));
    put("top_p", chat.top_p.clone().map(Into::into));
    put("top_k", chat.top_k.clone().map(Into::into));
    put("n", chat.n.map(Into::into));
    put("seed", chat.seed.clone().map(Into::into));
    put("presence_penalty", chat.presence_penalty.clone().map(Into::into));
    put("frequency_penalty", chat.frequency_penalty.clone().map(Into::into));
    put("stop", (!chat.stop.is_empty()).then(|| chat.stop.clone().into()));
    put("logprobs", chat.logprobs.map(Into::into));
    put("top_logprobs", chat.top_logprobs.map(Into::into));
    put("logit_bias", chat.logit_bias.as_ref().map(Json::value));
    put("response_format", chat.format.as_ref().map(format));
    let effort = chat.reasoning.as_ref().and_then(|reasoning| {
        reasoning.effort.or(reasoning.budget.map(crate::form::Effort::of_budget))
    });
    put("reasoning_effort", effort.map(|effort| effort.word().into()));
    put("verbosity", chat.verbosity.clone().map(Into::into));
    put("service_tier", chat.service_tier.clone().map(Into::into));
    put("user", chat.short_user().map(Into::into));
    put("web_search_options", chat.tools.iter().find_map(|tool| search_options(tool, chat)));
    let tools: Vec<Value> = chat.tools.iter().filter_map(|tool| self::tool(tool, chat)).collect();
    let has_tools = !tools.is_empty();
    put("tools", has_tools.then(|| tools.into()));
    let choice = chat.tool_choice.as_ref().filter(|_| has_tools);
    let choice = choice.map(|it| allowed(chat, it).unwrap_or_else(|| tool_choice(it)));
    put("tool_choice", choice);
    put("parallel_tool_calls", chat.parallel_tool_calls.filter(|_| has_tools).map(Into::into));
    let other = chat.other.iter().filter(|(name, _)| match chat.from {
        Dialect::OpenAi => true,
        Dialect::Responses => SHARED.contains(&&**name),
        Dialect::Anthropic | Dialect::Gemini => false,
    });
    for (name, value) in other.chain(&chat.extra) {
        put(name, Some(value.value()));
    }
    if chat.stream {
        put("stream", Some(true.into()));
        let wish = json!({"include_usage": true});
        put("stream_options", Some(wish).filter(|_| !chat.hides_usage));
    }
    Bytes::from(serde_json::to_vec(&body).expect("values are always JSON"))
}

fn format(format: &Format) -> Value {
    let mut wire = json!({"type": format.kind()});
    if let Some(schema) = format.schema_members() {
        wire["json_schema"] = schema.into();
    }
    wire
}

fn tool(tool: &Tool, chat: &Chat) -> Option<Value> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache: _ } => {
            let mut function = json!({"name": name});
            if let Some(description) = description {
                function["description"] = description.as_str().into();
            }
            if let Some(parameters) = parameters {
                function["parameters"] = parameters.value();
            }
            if let Some(strict) = strict {
                function["strict"] = (*strict).into();
            }
            Some(json!({"type": "function", "function": function}))
        }
        Tool::Hosted(json) => (chat.from == Dialect::OpenAi).then(|| json.value()),
    }
}

/// Where responses have a tool, chats have an option.
fn search_options(tool: &Tool, chat: &Chat) -> Option<Value> {
    let Tool::Hosted(json) = tool else { return None };
    let search = WebSearch::of(json).filter(|_| chat.from == Dialect::Responses)?;
    let mut options = json!({});
    if let Some(size) = &search.search_context_size {
        options["search_context_size"] = size.as_str().into();
    }
    if let Some(place) = search.place() {
        options["user_location"] = json!({"type": "approximate", "approximate": place});
    }
    Some(options)
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        // What its server runs cannot be chosen.
        ToolChoice::Auto | ToolChoice::Hosted(_) => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

/// Which of several functions may be called this time, if not all may.
fn allowed(chat: &Chat, choice: &ToolChoice) -> Option<Value> {
    let names = chat.allowed.as_ref()?;
    let mode = tool_choice(choice);
    let tools = names.iter().map(|name| tool_choice(&ToolChoice::Named(name.clone())));
    let allowed = json!({"mode": mode, "tools": tools.collect::<Vec<_>>()});
    let is_open = matches!(choice, ToolChoice::Auto | ToolChoice::Required);
    is_open.then(|| json!({"type": "allowed_tools", "allowed_tools": allowed}))
}

fn messages(chat: &Chat, style: ChatStyle) -> Vec<Value> {
    let mut out = Vec::with_capacity(chat.messages.len());
    let mut begun = false;
    for message in &chat.messages {
        match message.role {
            Role::System if begun && !style.late_instructions && chat.from != Dialect::OpenAi => {
                let said = Message { role: Role::User, ..message.clone() };
                instructions_or_user(&said, chat, style, &mut out);
                join_users(&mut out);
            }
            Role::System | Role::User => instructions_or_user(message, chat, style, &mut out),
            Role::Assistant => out.push(assistant(message, chat, style)),
        }
        begun |= message.role != Role::System;
    }
    out
}

/// Makes one of the last two messages if both are texts of a user's: many templates want turns.
fn join_users(out: &mut Vec<Value>) {
    let is_text = |wire: &Value| wire["role"] == "user" && wire["content"].is_string();
    if let [.., before, last] = &mut out[..]
        && is_text(before)
        && is_text(last)
        && let (Value::String(text), Some(more)) =
            (&mut before["content"], last["content"].as_str())
    {
        text.push_str("\n\n");
        text.push_str(more);
        out.pop();
    }
}

/// Results of tools are messages of their own, before what the user adds.
fn instructions_or_user(message: &Message, chat: &Chat, style: ChatStyle, out: &mut Vec<Value>) {
    let (results, rest): (Vec<&Part>, Vec<&Part>) =
        message.parts.iter().partition(|part| matches!(part.kind, PartKind::ToolResult { .. }));
    let is_only_results = !results.is_empty() && rest.is_empty();
    for part in results {
        let PartKind::ToolResult { call, parts, .. } = &part.kind else { continue };
        let parts: Vec<&Part> = parts.iter().collect();
        out.push(json!({
            "role": "tool",
            "tool_call_id": call,
            "content": content(&parts, chat, style),
        }));
    }
    if is_only_results {
        return;
    }
    let role = if message.role == Role::System { "system" } else { "user" };
    let mut wire = json!({"role": role, "content": content(&rest, chat, style)});
    if let Some(name) = &message.name {
        wire["name"] = name.as_str().into();
    }
    out.push(wire);
}

fn assistant(message: &Message, chat: &Chat, style: ChatStyle) -> Value {
    let mut calls = Vec::new();
    let mut said = Vec::new();
    let mut refusal = None;
    let mut thought = String::new();
    for part in &message.parts {
        match &part.kind {
            PartKind::ToolCall(call) if style.googles_seals => calls.push(googles_call(call)),
            PartKind::ToolCall(call) => calls.push(tool_call(call)),
            PartKind::Refusal(text) => refusal = Some(text.as_str()),
            PartKind::Thinking { text, .. } => thought.push_str(text),
            PartKind::RedactedThinking(_) => {}
            PartKind::Text(_)
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::ToolResult { .. }
            | PartKind::Other(_) => said.push(part),
        }
    }
    let mut content = if said.is_empty() { Value::Null } else { content(&said, chat, style) };
    if style.thoughts == Thoughts::Parts && !thought.is_empty() {
        content = with_thought(&thought, content);
    }
    let mut wire = json!({"role": "assistant", "content": content});
    if let Some(refusal) = refusal {
        wire["refusal"] = refusal.into();
    }
    match style.thoughts {
        Thoughts::Taken | Thoughts::Wanted if !thought.is_empty() => {
            wire["reasoning_content"] = thought.into();
        }
        // None at all would be refused.
        Thoughts::Wanted if !calls.is_empty() => wire["reasoning_content"] = " ".into(),
        Thoughts::None | Thoughts::Taken | Thoughts::Wanted | Thoughts::Parts => {}
    }
    let told = message.parts.iter().filter(|_| style.details);
    let told: Vec<Value> = told.filter_map(|part| details::of_part(&part.kind)).collect();
    if !told.is_empty() {
        wire["reasoning_details"] = told.into();
    }
    if !calls.is_empty() {
        wire["tool_calls"] = calls.into();
    }
    if let Some(name) = &message.name {
        wire["name"] = name.as_str().into();
    }
    wire
}

/// A content that begins with a thought.
fn with_thought(thought: &str, content: Value) -> Value {
    let text = |text: Value| json!({"type": "text", "text": text});
    let mut parts = vec![json!({"type": "thinking", "thinking": [text(thought.into())]})];
    if content.is_string() {
        parts.push(text(content));
    } else if let Value::Array(more) = content {
        parts.extend(more);
    }
    parts.into()
}

pub(super) fn tool_call(call: &ToolCall) -> Value {
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

/// A text where that says all, as every server takes it; else a list of parts. The texts of another
/// dialect are joined as vLLM joins them for templates that take no lists.
fn content(parts: &[&Part], chat: &Chat, style: ChatStyle) -> Value {
    let has_cache_point = style.cache_points && parts.iter().any(|part| part.cache.is_some());
    let is_foreign = chat.from != Dialect::OpenAi;
    let is_written = |part: &&Part| !(is_foreign && matches!(part.kind, PartKind::Other(_)));
    let written = parts.iter().copied().filter(is_written);
    let texts: Option<Vec<&str>> = written.map(Part::as_text).collect();
    match texts {
        Some(texts) if (is_foreign || texts.len() <= 1) && !has_cache_point => {
            texts.join("\n").into()
        }
        Some(_) | None => {
            parts.iter().filter_map(|part| self::part(part, chat, style)).collect::<Vec<_>>().into()
        }
    }
}

fn part(part: &Part, chat: &Chat, style: ChatStyle) -> Option<Value> {
    let mut wire = match &part.kind {
        PartKind::Text(text) => json!({"type": "text", "text": text}),
        PartKind::Refusal(refusal) => json!({"type": "refusal", "refusal": refusal}),
        PartKind::Image { source, detail } => {
            let mut image = json!({"url": source.url()?});
            if let Some(detail) = detail {
                image["detail"] = detail.as_str().into();
            }
            json!({"type": "image_url", "image_url": image})
        }
        PartKind::Audio { data, format, .. } => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        PartKind::File { source, name } => {
            let mut file = match source {
                Source::Id(id) => json!({"file_id": id}),
                Source::Url(_) | Source::Typed { .. } | Source::Inline { .. } => {
                    json!({"file_data": source.url()})
                }
            };
            if let Some(name) = name {
                file["filename"] = name.as_str().into();
            }
            json!({"type": "file", "file": file})
        }
        PartKind::Other(json) if chat.from == Dialect::OpenAi => json.value(),
        PartKind::Thinking { .. }
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => return None,
    };
    if let Some(cache) = part.cache.filter(|_| style.cache_points) {
        wire["cache_control"] = match cache {
            crate::form::Cache::Short => json!({"type": "ephemeral"}),
            crate::form::Cache::Hour => json!({"type": "ephemeral", "ttl": "1h"}),
        };
    }
    Some(wire)
}
