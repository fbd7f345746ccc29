//! The common form as Cohere's bodies.

use bytes::Bytes;
use dunlin_llm::BadRequest;
use dunlin_llm::form::{
    Chat, Effort, Embed, Format, Json, Message, Part, PartKind, Reasoning, Role, Tool, ToolChoice,
};
use serde_json::{Value, json};

use crate::body::{Body, own_fields, wrong_messages};

/// The body of `/v2/chat`.
pub(super) fn chat(chat: &Chat, model: &str) -> Result<Bytes, BadRequest> {
    let mut body = Body::default();
    let mut messages = Vec::with_capacity(chat.messages.len());
    for message in &chat.messages {
        write_message(message, &mut messages)?;
    }
    body.put("model", model);
    body.put("messages", messages);
    write_tools(chat, &mut body);
    body.put_some("max_tokens", chat.max_output);
    body.put_some("temperature", chat.temperature.clone());
    body.put_some("p", chat.top_p.clone());
    body.put_some("k", chat.top_k.clone());
    body.put_some("seed", chat.seed.clone());
    body.put_some("presence_penalty", chat.presence_penalty.clone());
    body.put_some("frequency_penalty", chat.frequency_penalty.clone());
    body.put_some("stop_sequences", (!chat.stop.is_empty()).then(|| chat.stop.clone()));
    body.put_some("logprobs", chat.logprobs);
    match &chat.format {
        Some(Format::Json) => body.put("response_format", json!({"type": "json_object"})),
        Some(Format::Schema { schema, .. }) => body
            .put("response_format", json!({"type": "json_object", "json_schema": schema.value()})),
        Some(Format::Text) | None => {}
    }
    body.put_some("thinking", chat.reasoning.as_ref().map(thinking));
    for (name, json) in own_fields(chat) {
        body.put(name, json.value());
    }
    body.put("stream", chat.stream);
    Ok(body.finish())
}

/// The body of `/v2/embed`. What the texts are for must be said; LiteLLM's users mean documents.
pub(super) fn embed(embed: &Embed, model: &str) -> Result<Bytes, BadRequest> {
    let mut body = Body::default();
    body.put("model", model);
    body.put("texts", embed.texts()?);
    body.put("input_type", "search_document");
    body.put("embedding_types", vec!["float"]);
    body.put_some("output_dimension", embed.dimensions);
    for (name, json) in &embed.other {
        body.put(name, json.value());
    }
    Ok(body.finish())
}

fn thinking(reasoning: &Reasoning) -> Value {
    let budget = reasoning.budget.or(reasoning.effort.map(Effort::budget));
    match budget {
        Some(0) => json!({"type": "disabled"}),
        Some(tokens) => json!({"type": "enabled", "token_budget": tokens}),
        None => json!({"type": "enabled"}),
    }
}

/// A named tool is the only one there is, and must be called.
fn write_tools(chat: &Chat, body: &mut Body) {
    let wanted = |named: &str| match &chat.tool_choice {
        Some(ToolChoice::Named(name)) => name == named,
        Some(
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Hosted(_),
        )
        | None => true,
    };
    let (mut tools, mut is_strict, mut can_be_strict) = (Vec::new(), false, true);
    for tool in &chat.tools {
        let Tool::Function { name, description, parameters, strict, .. } = tool else { continue };
        if !wanted(name) {
            continue;
        }
        let mut function = Body::default();
        function.put("name", name.as_str());
        function.put_some("description", description.as_deref());
        let empty = || json!({"type": "object", "properties": {}});
        function.put("parameters", parameters.as_ref().map_or_else(empty, Json::value));
        is_strict |= *strict == Some(true);
        can_be_strict &= parameters.as_ref().is_some_and(requires_any);
        tools.push(json!({"type": "function", "function": function.0}));
    }
    if tools.is_empty() {
        return;
    }
    body.put("tools", tools);
    body.put_some("strict_tools", (is_strict && can_be_strict).then_some(true));
    body.put_some(
        "tool_choice",
        match chat.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Named(_)) => Some("REQUIRED"),
            Some(ToolChoice::None) => Some("NONE"),
            Some(ToolChoice::Auto | ToolChoice::Hosted(_)) | None => None,
        },
    );
}

/// A tool whose parameters may all be left out cannot be strict, and none beside it.
fn requires_any(parameters: &Json) -> bool {
    let required = parameters.value()["required"].take();
    required.as_array().is_some_and(|required| !required.is_empty())
}

fn write_message(message: &Message, out: &mut Vec<Value>) -> Result<(), BadRequest> {
    let mut said: Vec<&Part> = Vec::new();
    let mut calls = Vec::new();
    for part in &message.parts {
        match &part.kind {
            PartKind::Text(_) | PartKind::Refusal(_) | PartKind::Image { .. } => said.push(part),
            PartKind::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                calls.push(json!({
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": arguments},
                }));
            }
            PartKind::ToolResult { call, parts, .. } => {
                let content = content(&parts.iter().collect::<Vec<_>>())?;
                out.push(json!({"role": "tool", "tool_call_id": call, "content": content}));
            }
            PartKind::Audio { .. } | PartKind::File { .. } => {
                return Err(wrong_messages("texts and images only for this model"));
            }
            // Thoughts are not asked back.
            PartKind::Thinking { .. } | PartKind::RedactedThinking(_) | PartKind::Other(_) => {}
        }
    }
    if said.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let mut wire = Body::default();
    wire.put(
        "role",
        match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        },
    );
    if calls.is_empty() {
        wire.put("content", content(&said)?);
    } else {
        // What is said before calls is their plan.
        let plan = message.text();
        wire.put_some("tool_plan", (!plan.is_empty()).then_some(plan));
        wire.put("tool_calls", calls);
    }
    out.push(wire.0.into());
    Ok(())
}

/// A text where that says all, else a list of parts.
fn content(parts: &[&Part]) -> Result<Value, BadRequest> {
    let texts: Option<Vec<&str>> = parts.iter().map(|part| part.as_text()).collect();
    if let Some(texts) = texts {
        return Ok(texts.concat().into());
    }
    let part = |part: &&Part| match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => Ok(json!({"type": "text", "text": text})),
        PartKind::Image { source, .. } => {
            let url = source.url().ok_or_else(|| wrong_messages("images by URL or inline"))?;
            Ok(json!({"type": "image_url", "image_url": {"url": url}}))
        }
        PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => Err(wrong_messages("texts and images only for this model")),
    };
    parts.iter().map(part).collect::<Result<Vec<_>, _>>().map(Into::into)
}
