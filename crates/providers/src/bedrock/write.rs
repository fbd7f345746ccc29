//! The common form as Converse's body: what all models have in common has a place there, the rest
//! goes into `additionalModelRequestFields`, in each model's own words.

use bytes::Bytes;
use dunlin_llm::BadRequest;
use dunlin_llm::anthropic::{Abilities, JSON_TOOL, JSON_TOOL_USE, StrictTools, write_thought};
use dunlin_llm::form::{
    Cache, Chat, Effort, Format, Json, Message, Part, PartKind, Role, Source, Tool, ToolChoice,
};
use serde_json::{Value, json};

use super::model;
use crate::body::{Body, arguments, own_fields, wrong_messages};

/// Fields of the body itself; a model's own go elsewhere.
const TOP: &[&str] = &[
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
];

/// The body of Converse and ConverseStream for the model of that id.
pub(super) fn chat(chat: &Chat, id: &str) -> Result<Bytes, BadRequest> {
    let is_claude = model::is_claude(id);
    let mut body = Body::default();
    body.put("messages", messages(chat)?);
    let system = system(chat)?;
    if !system.is_empty() {
        body.put("system", system);
    }
    let abilities = is_claude.then(|| Abilities::of(id));
    let (tools, forced) = tools(chat, id, abilities);
    body.put_object("toolConfig", tools);

    let thought = abilities.map(|abilities| write_thought(chat, abilities, forced));
    let thought = thought.unwrap_or_default();
    let mut inference = Body::default();
    inference.put_some("maxTokens", chat.max_output);
    inference.put_some("stopSequences", (!chat.stop.is_empty()).then(|| chat.stop.clone()));
    let mut more = Body::default();
    // A Claude that thinks draws its own lots.
    if thought.is_empty() && abilities.is_none_or(|abilities| abilities.samples) {
        inference.put_some("temperature", chat.temperature.clone());
        inference.put_some("topP", chat.top_p.clone());
        top_k(chat, id, &mut more);
    }
    thought.iter().for_each(|(name, json)| more.put(name, json.value()));
    if is_claude {
        few_calls(chat, forced, &mut more);
    } else {
        effort(chat, id, &mut more);
    }
    body.put_object("inferenceConfig", inference);
    if let Some(tier) = &chat.service_tier {
        let tier = if tier == "auto" { "default" } else { tier };
        body.put("serviceTier", json!({"type": tier}));
    }
    for (name, json) in own_fields(chat) {
        match (name.as_str(), json.value()) {
            ("additionalModelRequestFields", Value::Object(fields)) => more.0.extend(fields),
            (name, value) if TOP.contains(&name) => body.put(name, value),
            (name, value) => more.put(name, value),
        }
    }
    body.put_object("additionalModelRequestFields", more);
    Ok(body.finish())
}

/// At most one call in an answer, or none: Converse has no word for it, and Claude's own is passed to
/// it.
fn few_calls(chat: &Chat, forced: bool, more: &mut Body) {
    let answers_by_call = matches!(chat.format, Some(Format::Schema { .. } | Format::Json));
    let kind = match &chat.tool_choice {
        Some(ToolChoice::None) if forced => return,
        _ if forced && answers_by_call => json!({"type": "any"}),
        Some(ToolChoice::Auto | ToolChoice::Hosted(_)) | None => json!({"type": "auto"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::None) if shows_forbidden(chat) => {
            return more.put("tool_choice", json!({"type": "none"}));
        }
        Some(ToolChoice::None) => return,
    };
    if chat.parallel_tool_calls == Some(false) && !chat.tools.is_empty() {
        let mut choice = kind;
        choice["disable_parallel_tool_use"] = true.into();
        more.put("tool_choice", choice);
    }
}

fn top_k(chat: &Chat, id: &str, more: &mut Body) {
    let Some(top_k) = &chat.top_k else { return };
    if id.contains("nova") {
        more.put("inferenceConfig", json!({"topK": top_k}));
    } else {
        more.put("top_k", top_k.clone());
    }
}

/// Models of others say how hard to think in words of their own; most know none.
fn effort(chat: &Chat, id: &str, more: &mut Body) {
    let Some(reasoning) = &chat.reasoning else { return };
    let Some(effort) = reasoning.effort.or(reasoning.budget.map(Effort::of_budget)) else { return };
    if id.contains("nova-2") {
        let degree = match effort {
            Effort::None => return more.put("reasoningConfig", json!({"type": "disabled"})),
            Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High | Effort::Highest | Effort::Most => "high",
        };
        let config = json!({"type": "enabled", "maxReasoningEffort": degree});
        more.put("reasoningConfig", config);
    } else if id.contains("gpt-oss") || id.contains("deepseek") {
        more.put("reasoning_effort", effort.word());
    }
}

/// The tools, and whether one must be called. An answer in JSON is asked for by a tool, whose call
/// is read back as the text.
fn tools(chat: &Chat, id: &str, claude: Option<Abilities>) -> (Body, bool) {
    let is_able = claude.is_some_and(|abilities| model::is_strict(id, abilities));
    let all = StrictTools::of(chat, is_able);
    let mut tools: Vec<Value> = Vec::new();
    for tool in &chat.tools {
        let Tool::Function { name, description, parameters, strict, cache } = tool else {
            continue;
        };
        let empty = || json!({"type": "object", "properties": {}});
        let mut spec = Body::default();
        spec.put("name", name.as_str());
        spec.put_some("description", description.as_deref().filter(|words| !words.is_empty()));
        let fitted = all.schema(parameters.as_ref(), *strict);
        spec.put_some("strict", fitted.is_some().then_some(true));
        let schema = fitted.unwrap_or_else(|| parameters.as_ref().map_or_else(empty, Json::value));
        spec.put("inputSchema", json!({"json": schema}));
        tools.push(json!({"toolSpec": spec.0}));
        tools.extend(cache.map(cache_point));
    }
    let format = match &chat.format {
        Some(Format::Schema { schema, .. }) => Some(schema.value()),
        Some(Format::Json) => Some(json!({"type": "object", "additionalProperties": true})),
        Some(Format::Text) | None => None,
    };
    let mut config = Body::default();
    let mut choice = match &chat.tool_choice {
        Some(ToolChoice::Auto | ToolChoice::Hosted(_)) => Some(json!({"auto": {}})),
        Some(ToolChoice::Required) => Some(json!({"any": {}})),
        Some(ToolChoice::Named(name)) => Some(json!({"tool": {"name": name}})),
        // There is no word for it; a history with calls in it needs the tools all the same.
        Some(ToolChoice::None) if !has_calls(chat) => {
            tools.clear();
            None
        }
        Some(ToolChoice::None) | None => None,
    };
    if let Some(schema) = format {
        let thinks = chat.reasoning.as_ref().is_some_and(|r| r.effort != Some(Effort::None));
        let can_force = claude.is_none_or(|abilities| abilities.forced_calls);
        if !thinks && can_force {
            // Beside tools of the client's, either one of them is called or the answer is given.
            let is_alone = tools.is_empty() || chat.tool_choice == Some(ToolChoice::None);
            let answer = || json!({"tool": {"name": JSON_TOOL}});
            choice = Some(if is_alone { answer() } else { json!({"any": {}}) });
        }
        let schema = json!({"json": schema});
        let spec = json!({"name": JSON_TOOL, "description": JSON_TOOL_USE, "inputSchema": schema});
        tools.push(json!({"toolSpec": spec}));
    }
    if tools.is_empty() {
        return (config, false);
    }
    let forced = choice.as_ref().is_some_and(|choice| choice.get("auto").is_none());
    config.put("tools", tools);
    config.put_some("toolChoice", choice);
    (config, forced)
}

/// Whether the tools are shown though none may be called.
pub(super) fn shows_forbidden(chat: &Chat) -> bool {
    chat.tool_choice == Some(ToolChoice::None) && !chat.tools.is_empty() && has_calls(chat)
}

fn has_calls(chat: &Chat) -> bool {
    let mut parts = chat.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part.kind, PartKind::ToolCall(_) | PartKind::ToolResult { .. }))
}

fn cache_point(cache: Cache) -> Value {
    match cache {
        Cache::Short => json!({"cachePoint": {"type": "default"}}),
        Cache::Hour => json!({"cachePoint": {"type": "default", "ttl": "1h"}}),
    }
}

fn system(chat: &Chat) -> Result<Vec<Value>, BadRequest> {
    let mut blocks = Vec::new();
    for message in chat.messages.iter().filter(|message| message.role == Role::System) {
        for part in &message.parts {
            let text = part.as_text().ok_or_else(|| wrong_messages("instructions as texts"))?;
            if !text.trim().is_empty() {
                blocks.push(json!({"text": text}));
            }
            blocks.extend(part.cache.map(cache_point));
        }
    }
    Ok(blocks)
}

/// Turns take turns here: what one side says in a row is one message.
fn messages(chat: &Chat) -> Result<Vec<Value>, BadRequest> {
    let mut turns: Vec<(Role, Vec<Value>)> = Vec::new();
    let mut documents = Vec::new();
    for message in chat.messages.iter().filter(|message| message.role != Role::System) {
        let blocks = blocks(message, &mut documents)?;
        match turns.last_mut() {
            Some((role, said)) if *role == message.role => said.extend(blocks),
            Some(_) | None if blocks.is_empty() => {}
            Some(_) | None => turns.push((message.role, blocks)),
        }
    }
    let turns = turns.into_iter().map(|(role, mut content)| {
        let has =
            |content: &[Value], kind: &str| content.iter().any(|one| one[kind] != Value::Null);
        if has(&content, "document") && !has(&content, "text") {
            // Converse refuses a document that no text goes with.
            content.push(json!({"text": "."}));
        }
        let role = if role == Role::Assistant { "assistant" } else { "user" };
        json!({"role": role, "content": content})
    });
    Ok(turns.collect())
}

fn blocks(message: &Message, documents: &mut Vec<String>) -> Result<Vec<Value>, BadRequest> {
    let mut blocks = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        blocks.extend(block(part, documents)?);
        blocks.extend(part.cache.map(cache_point));
    }
    Ok(blocks)
}

/// `None`: nothing that Bedrock would take.
fn block(part: &Part, documents: &mut Vec<String>) -> Result<Option<Value>, BadRequest> {
    Ok(match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => {
            (!text.trim().is_empty()).then(|| json!({"text": text}))
        }
        PartKind::Image { source, .. } => Some(image(source)?),
        PartKind::File { source, name } => Some(file(source, name.as_deref(), documents)?),
        PartKind::Audio { data, format, .. } => Some(audio(data, format)),
        // A thought without its seal would be refused.
        PartKind::Thinking { text, signature } => signature.as_ref().map(|signature| {
            let text = json!({"text": text, "signature": signature});
            json!({"reasoningContent": {"reasoningText": text}})
        }),
        PartKind::RedactedThinking(data) => {
            Some(json!({"reasoningContent": {"redactedContent": data}}))
        }
        PartKind::ToolCall(call) => {
            let input = arguments(&call.arguments)?;
            Some(json!({"toolUse": {"toolUseId": call.id, "name": call.name, "input": input}}))
        }
        PartKind::ToolResult { call, parts, is_error, .. } => {
            let mut content = Vec::with_capacity(parts.len());
            for part in parts {
                content.extend(block(part, documents)?);
            }
            if content.is_empty() {
                content.push(json!({"text": "(empty)"}));
            }
            let mut result = Body::default();
            result.put("toolUseId", call.as_str());
            result.put("content", content);
            result.put_some("status", is_error.then_some("error"));
            Some(json!({"toolResult": result.0}))
        }
        PartKind::Other(_) => None,
    })
}

/// The type of what is inline, or how its name in S3 ends; and where it is.
fn located(source: &Source) -> Option<(&str, Value)> {
    match source {
        Source::Inline { media_type, data } => Some((media_type, json!({"bytes": data}))),
        Source::Typed { url, media_type } => {
            url.starts_with("s3://").then(|| (&**media_type, json!({"s3Location": {"uri": url}})))
        }
        Source::Url(uri) | Source::Id(uri) => {
            let (_, ending) = uri.strip_prefix("s3://")?.rsplit_once('.')?;
            Some((ending, json!({"s3Location": {"uri": uri}})))
        }
    }
}

/// A picture, or a film, which clients send as one.
fn image(source: &Source) -> Result<Value, BadRequest> {
    let wrong = || wrong_messages("images inline, as data: URLs, or at s3://");
    let (kind, source) = located(source).ok_or_else(wrong)?;
    if let Some(format) = video_format(kind) {
        return Ok(json!({"video": {"format": format, "source": source}}));
    }
    let format = kind.rsplit('/').next().unwrap_or(kind);
    let format = if format == "jpg" { "jpeg" } else { format };
    Ok(json!({"image": {"format": format, "source": source}}))
}

fn audio(data: &str, format: &str) -> Value {
    json!({"audio": {"format": format, "source": {"bytes": data}}})
}

fn video_format(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "flv" | "video/x-flv" => "flv",
        "mkv" | "video/x-matroska" => "mkv",
        "mov" | "video/quicktime" => "mov",
        "mp4" | "video/mp4" => "mp4",
        "mpeg" | "video/mpeg" => "mpeg",
        "mpg" | "video/mpg" => "mpg",
        "3gp" | "video/3gpp" => "three_gp",
        "webm" | "video/webm" => "webm",
        "wmv" | "video/x-ms-wmv" => "wmv",
        _ => return None,
    })
}

fn document_format(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "application/pdf" | "pdf" => "pdf",
        "csv" | "text/csv" => "csv",
        "application/msword" | "doc" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" | "docx" => {
            "docx"
        }
        "application/vnd.ms-excel" | "xls" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" | "xlsx" => "xlsx",
        "html" | "text/html" => "html",
        "text/plain" | "txt" => "txt",
        "md" | "text/markdown" => "md",
        _ => return None,
    })
}

/// A document, or what else a file may be. `names` are those of the documents before it: no two may
/// be alike.
fn file(source: &Source, name: Option<&str>, names: &mut Vec<String>) -> Result<Value, BadRequest> {
    let wrong = || wrong_messages("documents inline, as data: URLs, or at s3://");
    let (kind, place) = located(source).ok_or_else(wrong)?;
    if video_format(kind).is_some() {
        return image(source);
    }
    if let (Source::Inline { data, .. }, Some(format)) = (source, kind.strip_prefix("audio/")) {
        return Ok(audio(data, if format == "mpeg" { "mp3" } else { format }));
    }
    let wrong = || wrong_messages("documents of PDF, CSV, Word, Excel, HTML or text, or videos");
    let format = document_format(kind).ok_or_else(wrong)?;
    let name = document_name(name, names);
    names.push(name.clone());
    Ok(json!({"document": {"format": format, "name": name, "source": place}}))
}

/// Names are part of the prompt, and only these letters may be in them.
fn document_name(name: Option<&str>, names: &[String]) -> String {
    let number = names.len() + 1;
    let kept = |letter: &char| letter.is_ascii_alphanumeric() || " -()[]".contains(*letter);
    let name: String = name.unwrap_or_default().chars().filter(kept).take(180).collect();
    let words: Vec<&str> = name.split(' ').filter(|word| !word.is_empty()).collect();
    let name = if words.is_empty() { format!("document-{number}") } else { words.join(" ") };
    if names.contains(&name) { format!("{name} ({number})") } else { name }
}
