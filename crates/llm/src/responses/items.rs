//! The items of a conversation, as a client sends them and as an answer holds them.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::form::{
    Citation, Json, Message, Part, PartKind, Role, Source, ToolCall, custom_arguments,
    of_openais_seal, seal_of_redacted, unsealed,
};
use crate::json::string;
use crate::parse::BadRequest;
use crate::responses::calls::{BuiltIn, function_name};
use crate::responses::compaction::told;
use crate::responses::read::invalid;
use crate::responses::tools::found;

#[derive(Deserialize)]
struct WireItem<'a> {
    r#type: Option<String>,
    role: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    call_id: Option<String>,
    id: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    operation: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<Vec<&'a RawValue>>,
    execution: Option<String>,
    status: Option<String>,
    input: Option<String>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    summary: Option<Vec<WireText>>,
    encrypted_content: Option<String>,
    result: Option<String>,
    output_format: Option<String>,
    code: Option<String>,
    outputs: Option<Vec<WireOutcome>>,
    error: Option<Value>,
}

/// What a piece of code printed.
#[derive(Deserialize)]
struct WireOutcome {
    logs: Option<String>,
}

#[derive(Deserialize)]
struct WireText {
    text: Option<String>,
}

#[derive(Deserialize)]
struct WireContent {
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    detail: Option<String>,
    file_id: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
    filename: Option<String>,
    input_audio: Option<WireAudio>,
    data: Option<String>,
    transcript: Option<String>,
}

#[derive(Deserialize)]
struct WireAudio {
    data: String,
    format: String,
}

/// Reads `input`: a text, or items. Calls and thoughts around an assistant's words are one turn of
/// it, as chats have it; so are the results of calls.
pub(super) fn read_input(text: &str) -> Result<Vec<Message>, BadRequest> {
    if let Some(text) = string(text) {
        return Ok(vec![Message::of_text(Role::User, text)]);
    }
    let raws: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| invalid("input", "a text or a list of items"))?;
    let mut messages: Vec<Message> = Vec::with_capacity(raws.len());
    for (at, raw) in raws.into_iter().enumerate() {
        let wrong = |expected| invalid(&format!("input[{at}]"), expected);
        let item: WireItem<'_> =
            serde_json::from_str(raw.get()).map_err(|_| wrong("an item with a type"))?;
        let message = match read_item(item) {
            Ok(message) => message,
            Err(Unread::Item(expected)) => return Err(wrong(expected)),
            Err(Unread::Kind(kind)) => {
                return Err(invalid(&format!("input[{at}]: {kind}"), KNOWN));
            }
        };
        let Some(message) = message else { continue };
        match messages.last_mut() {
            Some(last) if is_one_turn(last, &message) => last.parts.extend(message.parts),
            Some(_) | None => messages.push(message),
        }
    }
    Ok(messages)
}

fn is_one_turn(last: &Message, next: &Message) -> bool {
    let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult { .. });
    match (last.role, next.role) {
        (Role::Assistant, Role::Assistant) => true,
        (Role::User, Role::User) => {
            last.parts.iter().all(is_result) && next.parts.iter().all(is_result)
        }
        (Role::System | Role::User | Role::Assistant, _) => false,
    }
}

/// Why an item cannot be read.
enum Unread {
    /// It is not as it should be.
    Item(&'static str),
    /// It, or a part of it, is of a type that cannot be told to other models.
    Kind(String),
}

impl From<&'static str> for Unread {
    fn from(expected: &'static str) -> Self {
        Self::Item(expected)
    }
}

const KNOWN: &str = "items and parts of types that this model's provider has a word for";

/// `None` for an item that says nothing to a model.
fn read_item(item: WireItem<'_>) -> Result<Option<Message>, Unread> {
    let of = |role, kind| Ok(Some(turn(role, kind)));
    let kind = item.r#type.as_deref().unwrap_or("message");
    if let Some(tool) = BuiltIn::of_call(kind) {
        return Ok(built_in_call(tool, item)?.map(|call| turn(Role::Assistant, call)));
    }
    if let Some(tool) = BuiltIn::of_output(kind) {
        return Ok(built_in_output(tool, item)?.map(|said| turn(Role::User, said)));
    }
    match kind {
        "message" => read_message(item).map(Some),
        "function_call" | "custom_tool_call" => {
            let name = item.name.ok_or("a call with a name")?;
            let name = function_name(item.namespace.as_deref(), &name);
            let id = item.call_id.or(item.id).ok_or("a call with a call_id")?;
            let custom = item.input.map(|input| custom_arguments(&input));
            let arguments = item.arguments.map(words).or(custom).unwrap_or_default();
            of(Role::Assistant, called(&id, name, arguments))
        }
        "function_call_output" | "custom_tool_call_output" => {
            let call = item.call_id.ok_or("a call's output with its call_id")?;
            let (call, _) = unsealed(&call);
            let parts = item.output.map(read_content).transpose()?.unwrap_or_default();
            of(Role::User, PartKind::ToolResult { call, name: None, parts, is_error: false })
        }
        "reasoning" => {
            let texts = item.summary.into_iter().flatten().filter_map(|summary| summary.text);
            let text: Vec<String> = texts.collect();
            // Another model's seal means nothing: a conversation may have changed its model.
            let seal = item.encrypted_content.filter(|seal| of_openais_seal(seal).is_none());
            if text.is_empty() && seal.is_none() {
                return Ok(None);
            }
            of(Role::Assistant, PartKind::thought(text.join("\n\n"), seal))
        }
        "compaction" | "compaction_summary" => {
            let told = item.encrypted_content.as_deref().and_then(told);
            let told = told.ok_or(
                "a compaction that was made for this model: only its maker can read another's",
            )?;
            Ok(Some(Message::of_text(Role::User, told)))
        }
        "item_reference" => {
            Err("items whole, or references to items of responses that are stored here".into())
        }
        "image_generation_call" => match item.result {
            Some(data) => {
                let media_type =
                    format!("image/{}", item.output_format.as_deref().unwrap_or("png"));
                let source = Source::Inline { media_type, data };
                of(Role::Assistant, PartKind::Image { source, detail: None })
            }
            None => Ok(None),
        },
        "code_interpreter_call" | "mcp_call" => {
            let text = traced(item);
            of(Role::Assistant, PartKind::Text(text))
        }
        // A trace of what a server did, whose outcome is told in the words around it.
        "file_search_call" | "mcp_list_tools" | "web_search_call" => Ok(None),
        // Its tools are read with the others.
        "additional_tools" => Ok(None),
        kind => Err(Unread::Kind(kind.to_owned())),
    }
}

fn turn(role: Role, kind: PartKind) -> Message {
    Message { role, name: None, parts: vec![kind.into()] }
}

fn read_message(item: WireItem<'_>) -> Result<Message, Unread> {
    let role = match item.role.as_deref() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(_) | None => {
            return Err("a message of the user, assistant, system or developer".into());
        }
    };
    let content = item.content.ok_or("a message with a content")?;
    Ok(Message { role, name: None, parts: read_content(content)? })
}

/// A text, or what else is said as JSON.
fn words(raw: &RawValue) -> String {
    string(raw.get()).map_or_else(|| raw.get().to_owned(), Into::into)
}

fn called(id: &str, name: String, arguments: String) -> PartKind {
    let (id, signature) = unsealed(id);
    PartKind::ToolCall(ToolCall { id, name, arguments, signature })
}

/// A call of one of OpenAI's tools. `None`: a server ran it, whose outcome is told around it.
fn built_in_call(tool: BuiltIn, item: WireItem<'_>) -> Result<Option<PartKind>, Unread> {
    let said = match tool {
        BuiltIn::ToolSearch if item.execution.as_deref() != Some("client") => return Ok(None),
        BuiltIn::ToolSearch => item.arguments,
        BuiltIn::Shell | BuiltIn::LocalShell => item.action,
        BuiltIn::ApplyPatch => item.operation,
    };
    let arguments = said.map(words).ok_or("a call with its arguments, action or operation")?;
    let id = item.call_id.or(item.id).ok_or("a call with a call_id")?;
    Ok(Some(called(&id, tool.kind().to_owned(), arguments)))
}

/// What came of it.
fn built_in_output(tool: BuiltIn, item: WireItem<'_>) -> Result<Option<PartKind>, Unread> {
    let by_client = item.execution.as_deref() == Some("client");
    let said = match tool {
        BuiltIn::ToolSearch if !by_client => return Ok(None),
        BuiltIn::ToolSearch => found(&item.tools.unwrap_or_default()),
        BuiltIn::Shell | BuiltIn::LocalShell | BuiltIn::ApplyPatch => {
            item.output.map(words).or(item.status.clone()).unwrap_or_default()
        }
    };
    let is_error = tool == BuiltIn::ApplyPatch && item.status.as_deref() == Some("failed");
    // The output of a local shell names its call by `id`.
    let call = item.call_id.or(item.id).ok_or("a call's output with its call_id")?;
    let (call, _) = unsealed(&call);
    let parts = vec![Part::text(said)];
    Ok(Some(PartKind::ToolResult { call, name: None, parts, is_error }))
}

/// What a server ran and what came of it, in words, for a model that did not run it.
fn traced(item: WireItem<'_>) -> String {
    let arguments = item.arguments.map(words).unwrap_or_default();
    let call = item.name.map(|name| format!("{name}({arguments})"));
    let ran =
        item.code.map(|code| format!("python\n{code}")).or(call.map(|call| format!("\n{call}")));
    let printed = item.outputs.into_iter().flatten().filter_map(|outcome| outcome.logs);
    let failed = item.error.filter(|error| !error.is_null()).map(|error| error.to_string());
    let told = item.output.and_then(|told| string(told.get())).map(Into::into);
    let outcomes = printed.chain(told).chain(failed).map(|outcome| format!("\n{outcome}"));
    let blocks = ran.into_iter().chain(outcomes).map(|block| format!("```{block}\n```"));
    blocks.collect::<Vec<_>>().join("\n")
}

fn read_content(content: &RawValue) -> Result<Vec<Part>, Unread> {
    if let Some(text) = string(content.get()) {
        return Ok(vec![Part::text(text)]);
    }
    let raws: Vec<&RawValue> =
        serde_json::from_str(content.get()).map_err(|_| "a content of text or parts")?;
    raws.into_iter().map(read_part).collect()
}

fn read_part(raw: &RawValue) -> Result<Part, Unread> {
    let part: WireContent =
        serde_json::from_str(raw.get()).map_err(|_| "parts with a type and its member")?;
    let kind = match &*part.r#type {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            PartKind::Text(part.text.ok_or("text parts with a text")?)
        }
        "refusal" => PartKind::Refusal(part.refusal.ok_or("refusals with a refusal")?),
        "input_image" => {
            let url = part.image_url.as_deref().map(Source::of_url);
            let source = url.or(part.file_id.map(Source::Id));
            let source = source.ok_or("images with an image_url or a file_id")?;
            PartKind::Image { source, detail: part.detail }
        }
        "input_file" => {
            let name = part.filename.as_deref();
            let data = part.file_data.as_deref().map(|data| Source::of_file_data(data, name));
            let source = data.or(part.file_url.map(Source::Url)).or(part.file_id.map(Source::Id));
            let source = source.ok_or("files with file_data, a file_url or a file_id")?;
            PartKind::File { source, name: part.filename }
        }
        "input_audio" => {
            let WireAudio { data, format } =
                part.input_audio.ok_or("audio with its data and format")?;
            PartKind::sound(data, format)
        }
        // What was said aloud: its words, if they are told.
        "output_audio" => match (part.transcript.filter(|words| !words.is_empty()), part.data) {
            (Some(transcript), _) => PartKind::Text(transcript),
            (None, data) => {
                let data = data.ok_or("output_audio with a transcript or data")?;
                PartKind::spoken(data, String::new())
            }
        },
        kind => return Err(Unread::Kind(kind.to_owned())),
    };
    Ok(kind.into())
}

/// The item of a thought that only its provider can read.
pub(super) fn redacted(id: &str, data: &str) -> Value {
    reasoning(id, "", Some(&seal_of_redacted(data)))
}

/// The item of a thought. Its text goes out as its summary, which is what clients show.
pub(super) fn reasoning(id: &str, text: &str, signature: Option<&str>) -> Value {
    let summary: Vec<Value> = if text.is_empty() { Vec::new() } else { vec![summary_text(text)] };
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if let Some(signature) = signature {
        item["encrypted_content"] = signature.into();
    }
    item
}

/// The item of a picture that the model made. `None`: it is somewhere else.
pub(super) fn picture(id: &str, source: &Source) -> Option<Value> {
    let Source::Inline { media_type, data } = source else { return None };
    let format = media_type.strip_prefix("image/").unwrap_or(media_type);
    Some(json!({
        "id": id,
        "type": "image_generation_call",
        "status": "completed",
        "output_format": format,
        "result": data,
    }))
}

pub(super) fn summary_text(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// The item of an assistant's words.
pub(super) fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

/// What a model said aloud.
pub(super) fn output_audio(data: &str, transcript: &str) -> Value {
    json!({"type": "output_audio", "data": data, "transcript": transcript})
}

pub(super) fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

/// The same with the sources of its words, and how likely they were.
pub(super) fn cited_text(text: &str, annotations: &[Value], logprobs: &[Value]) -> Value {
    let mut part = output_text(text);
    part["annotations"] = annotations.into();
    part["logprobs"] = logprobs.into();
    part
}

/// How likely each piece of a text was, as chats have it, which is how responses have it too.
pub(super) fn likely(logprobs: &Json) -> Vec<Value> {
    #[derive(Deserialize)]
    struct Wire {
        content: Option<Vec<Value>>,
    }
    let wire = serde_json::from_str::<Wire>(logprobs.text()).ok();
    wire.and_then(|wire| wire.content).unwrap_or_default()
}

/// `None` for a source without an address, of which there is no form. `before` characters of the
/// answer's text come before the part. Clients' schemas ask for numbers even where the words are not
/// known: then they are those of no words.
pub(super) fn annotation(citation: &Citation, before: u64) -> Option<Value> {
    let Citation { words, title, url, .. } = citation;
    let words = words.clone().unwrap_or_default();
    let [start, end] = [words.start, words.end].map(|at| at.saturating_sub(before));
    Some(json!({"type": "url_citation", "start_index": start, "end_index": end, "title": title,
        "url": url.as_ref()?}))
}

pub(super) fn refusal(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}
