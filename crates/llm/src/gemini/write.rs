//! The common form, written as the body of Google's `generateContent`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::fields::{Members, Natives, is_hosted_tool};
use super::media;
use super::wire::{
    CallingConfig, ContentOut, Declaration, FunctionCall, FunctionResponse, GenerationConfig,
    Part as WirePart, ThinkingConfig,
};
use crate::Dialect;
use crate::fields::camel;
use crate::form::{
    Chat, Effort, Format, Json, Part, PartKind, Reasoning, Role, Tool, ToolCall, ToolChoice,
    in_base64, seal_of_redacted,
};
use crate::json::members;

/// What Google's models and services differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatStyle {
    /// Calls and results carry ids, results may hold media, and the first call of a turn needs a
    /// seal: from the third generation on. Older models refuse ids.
    pub strict_calls: bool,
    /// How the wish for thought is said.
    pub thinking: Thinking,
    /// The service knows `serviceTier`.
    pub service_tier: bool,
}

/// How much thought is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// In tokens.
    Budget {
        /// The least that is thought at all.
        least: u64,
        /// It cannot be left out: the least is thought where none is asked for.
        always: bool,
    },
    /// In words, of which the model may or may not know `minimal`.
    Level {
        /// It does.
        minimal: bool,
    },
}

/// How the tool begins that declares functions.
const FUNCTIONS: &str = r#"{"functionDeclarations""#;
/// What Google takes for a seal where a history comes from another model.
const NO_SEAL: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// Writes the body.
#[must_use]
pub fn write_chat(chat: &Chat, style: ChatStyle) -> Bytes {
    let natives = Natives::of(chat);
    let mut body = Members::default();
    body.put("contents", &contents(chat, style));
    let system = chat.messages.iter().filter(|message| message.role == Role::System);
    let system: Vec<Json> = system
        .flat_map(|message| &message.parts)
        .filter_map(|part| Some(Json::of(&json!({"text": part.as_text()?}))))
        .collect();
    if !system.is_empty() {
        body.put("systemInstruction", &ContentOut { role: None, parts: system });
    }
    let tools = tools(chat, &natives);
    if !tools.is_empty() {
        body.put("tools", &tools);
    }
    let is_declared = |tool: &Json| tool.text().starts_with(FUNCTIONS);
    let has_functions = tools.iter().any(is_declared);
    if let Some(choice) = chat.tool_choice.as_ref().filter(|_| has_functions) {
        body.put("toolConfig", &json!({"functionCallingConfig": calling(choice, chat)}));
    }
    let mut config = Members::of(&Json::of(&generation_config(chat, style)));
    natives.put_into_config(&mut config);
    if !config.is_empty() {
        body.put("generationConfig", &config);
    }
    let tier = chat.service_tier.as_deref().filter(|tier| !matches!(*tier, "auto" | "default"));
    if let Some(tier) = tier.filter(|_| style.service_tier) {
        body.put("serviceTier", &tier);
    }
    natives.put_into_body(&mut body);
    Bytes::from(serde_json::to_vec(&body).expect("JSON of JSON's pieces"))
}

fn contents(chat: &Chat, style: ChatStyle) -> Vec<ContentOut> {
    let mut out: Vec<ContentOut> = Vec::with_capacity(chat.messages.len());
    let mut names = BTreeMap::new();
    for message in chat.messages.iter().filter(|message| message.role != Role::System) {
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        let parts = turn(&message.parts, chat.from, style, &mut names);
        match out.last_mut() {
            // Google wants the turns to alternate.
            Some(last) if last.role == Some(role) => last.parts.extend(parts),
            Some(_) | None if parts.is_empty() => {}
            Some(_) | None => out.push(ContentOut { role: Some(role), parts }),
        }
    }
    if out.is_empty() {
        // It refuses a prompt without a turn.
        out.push(ContentOut { role: Some("user"), parts: vec![Json::of(&json!({"text": " "}))] });
    }
    out
}

/// The parts of a turn. `names` are those of the calls so far, by their ids.
fn turn<'c>(
    parts: &'c [Part],
    from: Dialect,
    style: ChatStyle,
    names: &mut BTreeMap<&'c str, &'c str>,
) -> Vec<Json> {
    let mut out = Vec::with_capacity(parts.len());
    let mut needs_seal = style.strict_calls;
    // A thought without text is the seal of the words behind it.
    let mut seal: Option<&str> = None;
    for part in parts {
        let mut wire = match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => words(text),
            PartKind::Image { source, .. } => media::part_of(source, None, true),
            PartKind::Audio { data, format, .. } => media::audio(data, format),
            PartKind::File { source, name } => media::part_of(source, name.as_deref(), false),
            PartKind::Thinking { text, signature: Some(signature) } if text.is_empty() => {
                flush(&mut seal, &mut out);
                seal = Some(signature);
                continue;
            }
            PartKind::Thinking { text, .. } if text.is_empty() => continue,
            PartKind::Thinking { text, signature } => WirePart {
                thought: Some(true),
                thought_signature: signature.clone(),
                ..words(text)
            },
            PartKind::ToolCall(call) => {
                names.insert(&call.id, &call.name);
                let wire = tool_call(call, style, needs_seal);
                needs_seal = false;
                wire
            }
            PartKind::ToolResult { call, name, parts, is_error } => {
                let name = names.get(call.as_str()).copied().or(name.as_deref()).unwrap_or(call);
                tool_result((call, name), parts, *is_error, style, &mut out);
                continue;
            }
            PartKind::Other(json) if from == Dialect::Gemini => {
                // It has its seal in it.
                seal.take_if(|seal| json.text().contains(*seal));
                flush(&mut seal, &mut out);
                out.push(json.clone());
                continue;
            }
            PartKind::RedactedThinking(_) | PartKind::Other(_) => continue,
        };
        if wire.text.is_some() && wire.thought.is_none() {
            wire.thought_signature = seal.take().map(str::to_owned);
        } else {
            flush(&mut seal, &mut out);
        }
        out.push(Json::of(&wire));
    }
    flush(&mut seal, &mut out);
    out
}

fn words(text: &str) -> WirePart {
    WirePart { text: Some(text.to_owned()), ..WirePart::default() }
}

/// A seal that no words follow.
fn flush(seal: &mut Option<&str>, out: &mut Vec<Json>) {
    if let Some(seal) = seal.take() {
        out.push(Json::of(&WirePart { thought_signature: Some(seal.to_owned()), ..words("") }));
    }
}

fn tool_call(call: &ToolCall, style: ChatStyle, needs_seal: bool) -> WirePart {
    let seal = call.signature.clone().or(needs_seal.then(|| NO_SEAL.to_owned()));
    let function_call = FunctionCall {
        id: style.strict_calls.then(|| call.id.clone()),
        name: call.name.clone(),
        args: Some(arguments(&call.arguments)),
        ..FunctionCall::default()
    };
    WirePart { function_call: Some(function_call), thought_signature: seal, ..WirePart::default() }
}

/// What a model said, for a client of Google's.
pub(super) fn said(parts: &[Part]) -> Vec<Json> {
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let wire = match &part.kind {
            PartKind::ToolCall(call) => called(call),
            // A seal comes behind its thought or before its words.
            PartKind::Thinking { text, signature } => WirePart {
                thought: Some(true),
                thought_signature: signature.as_deref().map(in_base64),
                ..words(text)
            },
            PartKind::RedactedThinking(data) => WirePart {
                thought: Some(true),
                thought_signature: Some(in_base64(&seal_of_redacted(data))),
                ..words("")
            },
            PartKind::Text(text) | PartKind::Refusal(text) => words(text),
            PartKind::Image { source, .. } => media::part_of(source, None, true),
            PartKind::Audio { data, format, transcript } => {
                if !transcript.is_empty() {
                    out.push(Json::of(&words(transcript)));
                }
                if data.is_empty() {
                    continue;
                }
                media::audio(data, format)
            }
            PartKind::File { source, name } => media::part_of(source, name.as_deref(), false),
            PartKind::ToolResult { .. } | PartKind::Other(_) => continue,
        };
        out.push(Json::of(&wire));
    }
    out
}

/// A call, for a client of Google's.
pub(super) fn called(call: &ToolCall) -> WirePart {
    let style = ChatStyle {
        strict_calls: true,
        thinking: Thinking::Level { minimal: true },
        service_tier: false,
    };
    let wire = tool_call(call, style, false);
    WirePart { thought_signature: wire.thought_signature.as_deref().map(in_base64), ..wire }
}

/// Google takes only objects. What a model wrote that is none is kept in one.
fn arguments(text: &str) -> Json {
    match Json::parse(text) {
        Ok(json) if json.is_object() => json,
        Ok(_) | Err(_) if text.trim().is_empty() => Json::of(&json!({})),
        Ok(_) | Err(_) => Json::of(&json!({"arguments": text})),
    }
}

fn tool_result(
    (call, name): (&str, &str),
    parts: &[Part],
    is_error: bool,
    style: ChatStyle,
    out: &mut Vec<Json>,
) {
    let text: String = parts.iter().filter_map(Part::as_text).collect();
    let object = Json::parse(&text).ok().filter(|json| json.is_object() && !is_error);
    let member = if is_error { "error" } else { "content" };
    let response = object.unwrap_or_else(|| Json::of(&json!({ member: text })));
    let media = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Image { source, .. } => Some(media::part_of(source, None, true)),
        PartKind::Audio { data, format, .. } => Some(media::audio(data, format)),
        PartKind::File { source, name } => Some(media::part_of(source, name.as_deref(), false)),
        PartKind::Text(_)
        | PartKind::Refusal(_)
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => None,
    });
    let media: Vec<WirePart> = media.collect();
    let (inside, beside) = if style.strict_calls { (media, vec![]) } else { (vec![], media) };
    let response = FunctionResponse {
        id: style.strict_calls.then(|| call.to_owned()),
        name: name.to_owned(),
        response: Some(response),
        parts: inside,
    };
    out.push(Json::of(&WirePart { function_response: Some(response), ..WirePart::default() }));
    out.extend(beside.iter().map(Json::of));
}

fn tools(chat: &Chat, natives: &Natives<'_>) -> Vec<Json> {
    let mut declared = Vec::new();
    let mut hosted = Vec::new();
    for tool in &chat.tools {
        match tool {
            Tool::Function { name, description, parameters, strict: _, cache: _ } => {
                declared.push(Declaration {
                    name: name.clone(),
                    description: description.clone(),
                    parameters: None,
                    parameters_json_schema: parameters.clone(),
                });
            }
            Tool::Hosted(json) => hosted.extend(hosted_tool(json, chat)),
        }
    }
    hosted.extend(natives.searches().then(|| Json::of(&json!({"googleSearch": {}}))));
    // Google refuses them beside each other; its newest models take both only from a client that
    // sends back what its tools did, for which no other dialect has a place.
    if chat.from != Dialect::Gemini && !hosted.is_empty() {
        if chat.may_call_functions() {
            hosted.clear();
        } else {
            declared.clear();
        }
    }
    let mut tools = Vec::new();
    if !declared.is_empty() {
        let mut functions = Members::default();
        functions.put("functionDeclarations", &declared);
        tools.push(Json::of(&functions));
    }
    tools.extend(hosted);
    tools
}

/// A tool that Google runs itself: in its own words, or in those that others have for the same.
fn hosted_tool(json: &Json, chat: &Chat) -> Option<Json> {
    if chat.from == Dialect::Gemini { Some(json.clone()) } else { own_tool(json) }
}

/// True if a tool that another dialect's client names is one that Google runs.
#[must_use]
pub fn runs(tool: &Json) -> bool {
    own_tool(tool).is_some()
}

fn own_tool(json: &Json) -> Option<Json> {
    let members = members(json.text()).ok()?;
    if members.iter().any(|member| is_hosted_tool(&camel(&member.name))) {
        return Some(json.clone());
    }
    let kind = members.iter().find(|member| member.name == "type")?;
    let google = googles(&crate::json::string(kind.value)?)?;
    Some(Json::of(&json!({ google: {} })))
}

/// Google's word for a tool that others run too, by how their types of it begin.
fn googles(kind: &str) -> Option<&'static str> {
    let same = ["web_search", "code_", "web_fetch", "url_context"];
    let google = ["googleSearch", "codeExecution", "urlContext", "urlContext"];
    same.iter().position(|start| kind.starts_with(start)).map(|at| google[at])
}

/// Whether a tool that a server runs can be had here, by its type in others' words.
#[must_use]
pub fn hosts(kind: &str) -> bool {
    googles(kind).is_some()
}

fn calling(choice: &ToolChoice, chat: &Chat) -> CallingConfig {
    let allowed = || chat.allowed.iter().flatten().cloned().collect();
    let (mode, names) = match choice {
        // A choice of the model's among some of the functions has a word of its own.
        ToolChoice::Auto if chat.allowed.is_some() => ("VALIDATED", allowed()),
        // What Google runs itself cannot be chosen.
        ToolChoice::Auto | ToolChoice::Hosted(_) => ("AUTO", vec![]),
        ToolChoice::None => ("NONE", vec![]),
        ToolChoice::Required => ("ANY", allowed()),
        ToolChoice::Named(name) => ("ANY", vec![name.clone()]),
    };
    CallingConfig { mode: Some(mode.to_owned()), allowed_function_names: names }
}

fn generation_config(chat: &Chat, style: ChatStyle) -> GenerationConfig {
    let (mime_type, schema) = match &chat.format {
        Some(Format::Json) => (Some("application/json"), None),
        Some(Format::Schema { schema, .. }) => (Some("application/json"), Some(schema.clone())),
        Some(Format::Text) | None => (None, None),
    };
    GenerationConfig {
        temperature: chat.temperature.clone(),
        top_p: chat.top_p.clone(),
        top_k: chat.top_k.clone(),
        candidate_count: chat.n,
        max_output_tokens: chat.max_output,
        stop_sequences: (!chat.stop.is_empty()).then(|| chat.stop.clone()),
        seed: chat.seed.clone(),
        presence_penalty: chat.presence_penalty.clone(),
        frequency_penalty: chat.frequency_penalty.clone(),
        response_logprobs: chat.logprobs,
        logprobs: chat.top_logprobs,
        response_mime_type: mime_type.map(str::to_owned),
        response_schema: None,
        response_json_schema: schema,
        thinking_config: chat.reasoning.as_ref().map(|wish| thinking(wish, style.thinking)),
    }
}

/// Who asks for thought sees it, as LiteLLM has it.
fn thinking(wish: &Reasoning, style: Thinking) -> ThinkingConfig {
    let shown = wish.effort != Some(Effort::None) && wish.budget != Some(0);
    let config = ThinkingConfig { include_thoughts: Some(shown), ..ThinkingConfig::default() };
    let budget = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    match (style, wish.effort, wish.budget) {
        (_, None, Some(tokens)) | (Thinking::Budget { .. }, Some(_), Some(tokens)) => {
            ThinkingConfig { thinking_budget: Some(budget(tokens)), ..config }
        }
        (Thinking::Budget { least, always }, Some(effort), None) => {
            let tokens = match effort {
                Effort::None if !always => 0,
                Effort::None | Effort::Minimal => least,
                Effort::Low | Effort::Medium | Effort::High | Effort::Highest | Effort::Most => {
                    effort.budget()
                }
            };
            ThinkingConfig { thinking_budget: Some(budget(tokens)), ..config }
        }
        (Thinking::Level { minimal }, Some(effort), _) => {
            let level = match effort {
                Effort::None | Effort::Minimal if minimal => "minimal",
                Effort::None | Effort::Minimal | Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High | Effort::Highest | Effort::Most => "high",
            };
            ThinkingConfig { thinking_level: Some(level.to_owned()), ..config }
        }
        (_, None, None) => config,
    }
}
