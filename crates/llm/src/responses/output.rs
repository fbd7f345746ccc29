//! The items of an answer, read into the common form: for clients that speak of chats to a model that
//! has only responses.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::form::{
    Choice, Citation, Finish, Json, Part, PartKind, Reply, Source, ToolCall, custom_arguments,
    openais_seal,
};
use crate::json::string;
use crate::openai::UpstreamError;
use crate::reply::BadReply;
use crate::responses::native::{failure, used};

/// A finished item, or one that has only begun.
pub(super) enum Item {
    Message(Vec<Content>),
    /// What was thought, perhaps only its summary, and its seal.
    Thought {
        text: String,
        seal: Option<String>,
    },
    Call(Call),
    Picture(PartKind),
    /// What a server did by itself, or what chats have no word for.
    Other,
}

/// A call of a function, or of a tool that takes any text.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text, or the text itself.
    pub(super) input: String,
    pub(super) is_custom: bool,
}

/// A part of a message.
#[derive(Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) refusal: String,
    #[serde(default)]
    pub(super) annotations: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) logprobs: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) data: String,
    #[serde(default)]
    pub(super) transcript: String,
}

impl Content {
    /// What is said aloud in it, if anything is.
    pub(super) fn sound(&mut self) -> Option<PartKind> {
        let [data, transcript] = [&mut self.data, &mut self.transcript].map(std::mem::take);
        let is_any = !(data.is_empty() && transcript.is_empty());
        is_any.then(|| PartKind::spoken(data, transcript))
    }
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireMessage {
    content: Option<Vec<Content>>,
}

#[derive(Deserialize)]
struct WireThought {
    summary: Option<Vec<Content>>,
    content: Option<Vec<Content>>,
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct WireCall {
    call_id: Option<String>,
    id: Option<String>,
    name: String,
    arguments: Option<String>,
    input: Option<String>,
}

#[derive(Deserialize)]
struct WirePicture {
    result: Option<String>,
    output_format: Option<String>,
}

impl Item {
    /// Items of other kinds may hold anything.
    pub(super) fn read(raw: &RawValue) -> serde_json::Result<Self> {
        let kind: Kind<'_> = serde_json::from_str(raw.get())?;
        Ok(match &*kind.r#type {
            "message" => {
                let wire: WireMessage = serde_json::from_str(raw.get())?;
                Self::Message(wire.content.unwrap_or_default())
            }
            "reasoning" => {
                let wire: WireThought = serde_json::from_str(raw.get())?;
                // Open models show what they think; OpenAI's sum it up.
                let texts = |parts: Option<Vec<Content>>| {
                    let texts = parts.into_iter().flatten().map(|part| part.text);
                    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
                };
                let summary = texts(wire.summary);
                let text = if summary.is_empty() { texts(wire.content) } else { summary };
                let seal = wire.encrypted_content.filter(|seal| !seal.is_empty());
                Self::Thought { text, seal: seal.map(openais_seal) }
            }
            kind @ ("function_call" | "custom_tool_call") => {
                let wire: WireCall = serde_json::from_str(raw.get())?;
                let is_custom = kind == "custom_tool_call";
                let input = if is_custom { wire.input } else { wire.arguments };
                let (input, name) = (input.unwrap_or_default(), wire.name);
                let mut ids = [wire.call_id, wire.id].into_iter().flatten();
                let id = ids.find(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{name}"));
                Self::Call(Call { id, name, input, is_custom })
            }
            "image_generation_call" => {
                let wire: WirePicture = serde_json::from_str(raw.get())?;
                wire.result.map_or(Self::Other, |data| {
                    let format = wire.output_format.as_deref().unwrap_or("png");
                    let source = Source::Inline { media_type: format!("image/{format}"), data };
                    Self::Picture(PartKind::Image { source, detail: None })
                })
            }
            _ => Self::Other,
        })
    }
}

/// A source that has an address. `before` characters of the answer's text come before its part.
pub(super) fn citation(annotation: &Value, before: u64) -> Option<Citation> {
    let text = |name: &str| Some(annotation[name].as_str()?.to_owned());
    let url = text("url").filter(|_| annotation["type"] == "url_citation")?;
    let at = |name: &str| Some(annotation[name].as_u64()?.saturating_add(before));
    let words = at("start_index").zip(at("end_index")).map(|(start, end)| start..end);
    Some(Citation {
        words: words.filter(|words| !words.is_empty()),
        title: text("title").unwrap_or_default(),
        url: Some(url),
        ..Citation::default()
    })
}

/// How likely each piece of a text was, in the form of chats. `None`: it is not said.
pub(super) fn likely(logprobs: Option<Vec<Value>>) -> Option<Json> {
    let content = logprobs.filter(|all| !all.is_empty())?;
    Some(Json::of(&json!({"content": content, "refusal": null})))
}

/// Why an answer ended.
pub(super) fn finish(incomplete: Option<&Incomplete>, calls: bool) -> Finish {
    let Some(Incomplete { reason }) = incomplete else {
        return if calls { Finish::ToolCalls } else { Finish::Stop };
    };
    match reason.as_deref() {
        Some("max_output_tokens" | "max_tokens") => Finish::Length,
        Some("content_filter") => Finish::ContentFilter,
        Some(other) => Finish::Other(other.to_owned()),
        None => Finish::Other("incomplete".to_owned()),
    }
}

/// Why an answer is not whole.
#[derive(Default, Deserialize)]
pub(super) struct Incomplete {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    created_at: Option<u64>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    service_tier: Option<String>,
}

/// Reads a whole response into the common form. One that failed is the provider's error.
///
/// # Errors
/// It is none, or it is not over.
pub fn read_reply(body: &[u8]) -> Result<Result<Reply, UpstreamError>, BadReply> {
    let wire: Wire<'_> = serde_json::from_slice(body)?;
    let incomplete = match wire.status.as_deref() {
        Some("completed") => None,
        Some("incomplete") => Some(wire.incomplete_details.unwrap_or_default()),
        Some("failed") => return Ok(Err(failure(wire.error))),
        Some("cancelled") => return Ok(Err(cancelled())),
        Some(_) | None => return Err(BadReply::Unended),
    };
    let items = wire.output.ok_or(BadReply::Empty)?;
    let items = items.into_iter().map(Item::read).collect::<Result<Vec<_>, _>>()?;
    let mut choice = Choice {
        index: 0,
        parts: Vec::new(),
        finish: Finish::Stop,
        logprobs: None,
        citations: Vec::new(),
    };
    let mut characters = 0;
    items.into_iter().for_each(|item| add(&mut choice, item, &mut characters));
    let calls = choice.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    choice.finish = finish(incomplete.as_ref(), calls);
    Ok(Ok(Reply {
        id: wire.id,
        created: wire.created_at,
        model: wire.model,
        choices: vec![choice],
        usage: used(wire.usage, body),
        service_tier: wire.service_tier,
        served_in: None,
        system_fingerprint: None,
    }))
}

pub(super) fn cancelled() -> UpstreamError {
    let message = "the response was cancelled".to_owned();
    UpstreamError { message, ..UpstreamError::default() }
}

fn add(choice: &mut Choice, item: Item, characters: &mut u64) {
    let mut add = |kind: PartKind| choice.parts.push(kind.into());
    match item {
        Item::Message(contents) => {
            for mut content in contents {
                choice.parts.extend(content.sound().map(Part::from));
                let Content { text, refusal, annotations, logprobs, .. } = content;
                let cited = annotations.into_iter().flatten();
                choice.citations.extend(cited.filter_map(|of| citation(&of, *characters)));
                *characters += text.chars().count() as u64;
                if !text.is_empty() {
                    choice.parts.push(Part::text(text));
                }
                if !refusal.is_empty() {
                    choice.parts.push(PartKind::Refusal(refusal).into());
                }
                choice.logprobs = choice.logprobs.take().or(likely(logprobs));
            }
        }
        Item::Thought { text, seal: Some(seal) } if text.is_empty() => {
            add(PartKind::RedactedThinking(seal));
        }
        Item::Thought { text, seal: None } if text.is_empty() => {}
        Item::Thought { text, seal: signature } => add(PartKind::Thinking { text, signature }),
        Item::Call(Call { id, name, input, is_custom }) => {
            let arguments = if is_custom { custom_arguments(&input) } else { input };
            add(PartKind::ToolCall(ToolCall { id, name, arguments, signature: None }));
        }
        Item::Picture(picture) => add(picture),
        Item::Other => {}
    }
}

/// The one event of a stream that says what `body` does, a whole response. `None`: it is none.
#[must_use]
pub fn frames_of_reply(body: &[u8]) -> Option<Vec<bytes::Bytes>> {
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(borrow)]
        status: &'a RawValue,
    }
    let response: &RawValue = serde_json::from_slice(body).ok()?;
    let peek: Peek<'_> = serde_json::from_str(response.get()).ok()?;
    let kind = json!(format!("response.{}", string(peek.status.get())?));
    // One frame is one line, and a whole answer may be written in many.
    let response: Value = serde_json::from_str(response.get()).ok()?;
    Some(vec![format!("data: {{\"type\":{kind},\"response\":{response}}}\n\n").into()])
}
