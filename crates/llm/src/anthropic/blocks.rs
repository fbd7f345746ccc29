//! Pieces of a turn as Anthropic's content blocks, read and written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Dialect;
use crate::form::{Cache, Json, Part, PartKind, Source, ToolCall, unsealed};
use crate::json::string;

/// Why an address of another cloud's is refused.
const FETCHED: &str = "pictures and documents inline or at https:// addresses: this model's provider \
                       reads none elsewhere, such as at gs:// and s3://";
/// Why a file is refused.
const DOCUMENTS: &str = "files that are pictures, PDF, or texts inline, such as text/plain, text/csv, \
                         text/html and application/json: this model reads no others";
const PDF: &str = "application/pdf";

#[derive(Deserialize)]
pub(super) struct WireCache {
    ttl: Option<String>,
}

impl WireCache {
    pub(super) fn cache(&self) -> Cache {
        if self.ttl.as_deref() == Some("1h") { Cache::Hour } else { Cache::Short }
    }
}

#[derive(Deserialize)]
struct Tag {
    r#type: String,
    cache_control: Option<WireCache>,
}

#[derive(Deserialize)]
struct WireText {
    text: String,
}

#[derive(Deserialize)]
struct WireMedia<'a> {
    #[serde(borrow)]
    source: WireSource<'a>,
    title: Option<String>,
    context: Option<String>,
}

#[derive(Deserialize)]
struct WireSource<'a> {
    r#type: String,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
    file_id: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireThinking {
    #[serde(default)]
    thinking: String,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct WireRedacted {
    data: String,
}

#[derive(Deserialize)]
struct WireToolUse {
    id: String,
    name: String,
    input: Option<Json>,
}

#[derive(Deserialize)]
struct WireToolResult<'a> {
    tool_use_id: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    is_error: Option<bool>,
}

/// Reads a content: a text or a list of blocks. The error says what was expected.
pub(super) fn read_content(content: &RawValue) -> Result<Vec<Part>, &'static str> {
    if let Some(text) = string(content.get()) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    let raws: Vec<&RawValue> = serde_json::from_str(content.get())
        .map_err(|_| "a content that is a text or a list of blocks")?;
    let mut parts = Vec::with_capacity(raws.len());
    for raw in raws {
        read_block(raw, &mut parts)?;
    }
    Ok(parts)
}

fn read_block(raw: &RawValue, out: &mut Vec<Part>) -> Result<(), &'static str> {
    let tag: Tag = serde_json::from_str(raw.get()).map_err(|_| "blocks with a type")?;
    let before = out.len();
    match &*tag.r#type {
        "text" => {
            let WireText { text } = parse(raw, "text blocks with a text")?;
            out.push(Part::text(text));
        }
        "image" => {
            let media: WireMedia<'_> = parse(raw, "image blocks with a source")?;
            let source = media.source.place().ok_or("images as base64, by url or by file_id")?;
            out.push(PartKind::Image { source, detail: None }.into());
        }
        "document" => read_document(parse(raw, "document blocks with a source")?, out)?,
        "thinking" => {
            let WireThinking { thinking, signature } = parse(raw, "thinking blocks with a text")?;
            let signature = signature.filter(|signature| !signature.is_empty());
            out.push(PartKind::Thinking { text: thinking, signature }.into());
        }
        "redacted_thinking" => {
            let WireRedacted { data } = parse(raw, "redacted_thinking blocks with data")?;
            out.push(PartKind::RedactedThinking(data).into());
        }
        "tool_use" => {
            let wire: WireToolUse = parse(raw, "tool_use blocks with an id and a name")?;
            let arguments = wire.input.map_or_else(|| "{}".to_owned(), |i| i.text().to_owned());
            let (id, signature) = unsealed(&wire.id);
            let call = ToolCall { id, name: wire.name, arguments, signature };
            out.push(PartKind::ToolCall(call).into());
        }
        "tool_result" => {
            let wire: WireToolResult<'_> = parse(raw, "tool_result blocks with a tool_use_id")?;
            let parts = wire.content.map(read_content).transpose()?.unwrap_or_default();
            let (call, is_error) = (unsealed(&wire.tool_use_id).0, wire.is_error == Some(true));
            out.push(PartKind::ToolResult { call, name: None, parts, is_error }.into());
        }
        _ => out.push(PartKind::Other(raw.into()).into()),
    }
    if let (Some(cache), true) = (tag.cache_control, out.len() > before) {
        out.last_mut().expect("one was added").cache = Some(cache.cache());
    }
    Ok(())
}

fn parse<'de, T: Deserialize<'de>>(
    raw: &'de RawValue,
    expected: &'static str,
) -> Result<T, &'static str> {
    serde_json::from_str(raw.get()).map_err(|_| expected)
}

/// A document may be a file, a text, or content of its own. What is said of it goes before it.
fn read_document(media: WireMedia<'_>, out: &mut Vec<Part>) -> Result<(), &'static str> {
    let WireMedia { source, title, context } = media;
    let words = |said: [Option<String>; 3]| {
        let said = said.into_iter().flatten().filter(|words| !words.is_empty());
        said.collect::<Vec<_>>().join("\n\n")
    };
    let mut say = |words: String| {
        if !words.is_empty() {
            out.push(Part::text(words));
        }
    };
    match (&*source.r#type, source.content) {
        ("text", _) => say(words([title, context, source.data])),
        ("content", Some(content)) => {
            say(words([title, context, None]));
            out.extend(read_content(content)?);
        }
        _ => {
            let source = source.place();
            let source = source.ok_or("documents as base64, text, by url or by file_id")?;
            say(context.unwrap_or_default());
            out.push(PartKind::File { source, name: title }.into());
        }
    }
    Ok(())
}

impl WireSource<'_> {
    fn place(&self) -> Option<Source> {
        match &*self.r#type {
            "base64" => {
                let (media_type, data) = (self.media_type.clone()?, self.data.clone()?);
                Some(Source::Inline { media_type, data })
            }
            "url" => self.url.clone().map(Source::Url),
            "file" => self.file_id.clone().map(Source::Id),
            _ => None,
        }
    }
}

/// Writes a piece as a block. `None`: it is nothing here, such as a thought without its seal, which
/// the API refuses. The error says what was expected instead.
pub(super) fn write_part(part: &Part, from: Dialect) -> Result<Option<Value>, &'static str> {
    let mut wire = match &part.kind {
        // The API refuses empty texts.
        PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty() => return Ok(None),
        PartKind::Text(text) | PartKind::Refusal(text) => json!({"type": "text", "text": text}),
        PartKind::Image { source, .. } => {
            json!({"type": "image", "source": write_source(source)?})
        }
        PartKind::Audio { .. } => return Err("no audio: this model takes none"),
        PartKind::File { source, name } => write_file(source, name.as_deref())?,
        PartKind::Thinking { text, signature: Some(signature) } => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        PartKind::RedactedThinking(data) => json!({"type": "redacted_thinking", "data": data}),
        PartKind::ToolCall(call) => write_call(call),
        PartKind::ToolResult { call, parts, is_error, .. } => {
            let mut wire = json!({"type": "tool_result", "tool_use_id": plain_id(call)});
            let content = write_parts(parts, from)?;
            if !content.is_empty() {
                wire["content"] = content.into();
            }
            if *is_error {
                wire["is_error"] = true.into();
            }
            wire
        }
        PartKind::Other(json) if from == Dialect::Anthropic => json.value(),
        PartKind::Thinking { signature: None, .. } | PartKind::Other(_) => return Ok(None),
    };
    if let Some(cache) = part.cache {
        wire["cache_control"] = write_cache(cache);
    }
    Ok(Some(wire))
}

pub(super) fn write_parts(parts: &[Part], from: Dialect) -> Result<Vec<Value>, &'static str> {
    parts.iter().filter_map(|part| write_part(part, from).transpose()).collect()
}

pub(super) fn write_cache(cache: Cache) -> Value {
    match cache {
        Cache::Short => json!({"type": "ephemeral"}),
        Cache::Hour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

pub(super) fn write_call(call: &ToolCall) -> Value {
    json!({
        "type": "tool_use",
        "id": plain_id(&call.id),
        "name": call.name,
        "input": input_of(&call.arguments),
    })
}

/// A call for a client, whose id carries the seal of another provider's thought.
pub(super) fn write_sealed_call(call: &ToolCall) -> Value {
    let mut wire = write_call(call);
    if call.signature.is_some() {
        wire["id"] = ToolCall { id: plain_id(&call.id), ..call.clone() }.sealed_id().into();
    }
    wire
}

/// An input is an object. What a model wrote that is none is kept where it can be seen.
fn input_of(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Value::Object(input),
        Ok(_) | Err(_) if arguments.trim().is_empty() => json!({}),
        Ok(_) | Err(_) => json!({"arguments": arguments}),
    }
}

/// The API takes ids of letters, digits, `_` and `-` only.
fn plain_id(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    id.chars().map(plain).collect()
}

fn write_source(source: &Source) -> Result<Value, &'static str> {
    let url = match source {
        Source::Inline { media_type, data } => {
            return Ok(json!({"type": "base64", "media_type": media_type, "data": data}));
        }
        Source::Id(id) if !id.contains("://") => {
            return Ok(json!({"type": "file", "file_id": id}));
        }
        Source::Url(url) | Source::Typed { url, .. } | Source::Id(url) => url,
    };
    let is_fetched = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    if is_fetched { Ok(json!({"type": "url", "url": url})) } else { Err(FETCHED) }
}

/// A picture, a PDF, or a text, which stands in a document as it is.
fn write_file(source: &Source, name: Option<&str>) -> Result<Value, &'static str> {
    let media_type = match source {
        Source::Inline { media_type, .. } | Source::Typed { media_type, .. } => {
            media_type.split(';').next().unwrap_or_default().trim()
        }
        Source::Url(_) | Source::Id(_) => PDF,
    };
    if media_type.starts_with("image/") {
        return Ok(json!({"type": "image", "source": write_source(source)?}));
    }
    let source = match source {
        Source::Inline { data, .. } if is_text(media_type) => {
            let text = decoded(data).ok_or("texts in UTF-8, and files in base64")?;
            json!({"type": "text", "media_type": "text/plain", "data": text})
        }
        source if media_type == PDF => write_source(source)?,
        Source::Inline { .. } | Source::Typed { .. } | Source::Url(_) | Source::Id(_) => {
            return Err(DOCUMENTS);
        }
    };
    let mut wire = json!({"type": "document", "source": source});
    if let Some(name) = name {
        wire["title"] = name.into();
    }
    Ok(wire)
}

fn is_text(media_type: &str) -> bool {
    let texts = ["javascript", "json", "toml", "x-yaml", "xml", "yaml"];
    match media_type.split_once('/') {
        Some(("text", _)) => true,
        Some(("application", kind)) => {
            texts.contains(&kind) || kind.ends_with("+json") || kind.ends_with("+xml")
        }
        Some(_) | None => false,
    }
}

fn decoded(data: &str) -> Option<String> {
    let bytes = STANDARD_NO_PAD.decode(data.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}
