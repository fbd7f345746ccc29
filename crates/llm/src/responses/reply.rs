//! A whole answer as a response object.

use bytes::Bytes;
use dunlin_types::Usage;
use serde_json::{Map, Value, json};

use crate::endpoint::{Endpoint, Stamp};
use crate::form::{Choice, Citation, Finish, PartKind, Reply};
use crate::json::members;
use crate::responses::items::{
    annotation, cited_text, likely, message, output_audio, picture, reasoning, redacted, refusal,
};
use crate::responses::references::item_id;
use crate::responses::tools::client_tools;
use crate::tier::Tier;

/// The fields of a request that its response repeats, and what they are if they were not sent.
const REPEATED: &[(&str, &str)] = &[
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", r#""default""#),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// How far a response is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// Why it is not whole.
    Incomplete(&'static str),
}

impl Status {
    pub(super) fn of(finish: &Finish) -> Self {
        match finish {
            Finish::Length => Self::Incomplete("max_output_tokens"),
            Finish::ContentFilter | Finish::Refusal => Self::Incomplete("content_filter"),
            Finish::Other(_) => Self::Incomplete("other"),
            Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Pause => {
                Self::Completed
            }
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

/// The response object with `output`, served in `tier` where that is known.
pub(super) fn response(
    stamp: Stamp<'_>,
    status: Status,
    output: Vec<Value>,
    usage: Option<&Usage>,
    tier: Option<Tier>,
) -> Value {
    let mut wire = Map::new();
    let previous = stamp.turn.and_then(|turn| turn.previous.clone());
    let is_stored = stamp.turn.is_some_and(|turn| turn.id.is_some());
    let id = stamp.answer_id(Endpoint::Responses, None);
    wire.insert("id".to_owned(), id.into());
    wire.insert("object".to_owned(), "response".into());
    wire.insert("created_at".to_owned(), stamp.now.into());
    wire.insert("status".to_owned(), status.word().into());
    wire.insert("error".to_owned(), Value::Null);
    let incomplete = match status {
        Status::Incomplete(reason) => json!({"reason": reason}),
        Status::InProgress | Status::Completed => Value::Null,
    };
    wire.insert("incomplete_details".to_owned(), incomplete);
    wire.insert("previous_response_id".to_owned(), previous.into());
    wire.insert("model".to_owned(), stamp.model.into());
    wire.insert("output".to_owned(), output.into());
    let sent = members(stamp.request).unwrap_or_default();
    for (name, default) in REPEATED {
        let sent = sent.iter().find(|member| member.name == *name && member.value != "null");
        let value = sent.map_or(*default, |member| member.value);
        // What cannot be taken apart, such as half of a character, cannot be repeated.
        let value = serde_json::from_str(value).or_else(|_| serde_json::from_str(default));
        let value = value.expect("a default is JSON");
        wire.insert((*name).to_owned(), value);
    }
    if let Some(tier) = tier {
        wire.insert("service_tier".to_owned(), tier.word().into());
    }
    wire.insert("store".to_owned(), is_stored.into());
    wire.insert("usage".to_owned(), usage.map_or(Value::Null, usage_json));
    Value::Object(wire)
}

pub(crate) fn usage_json(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt.0,
        "input_tokens_details": {
            "cached_tokens": usage.cached.0,
            "cache_write_tokens": usage.cache_write.0,
        },
        "output_tokens": usage.completion.0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.0},
        "total_tokens": usage.total().0,
    })
}

/// Writes the answer; of several choices the first.
#[must_use]
pub(crate) fn write_reply(reply: &Reply, stamp: Stamp<'_>) -> Bytes {
    let choice = reply.choices.first();
    let status = choice.map_or(Status::Completed, |choice| Status::of(&choice.finish));
    let output = choice.map(|choice| output(choice, stamp, status)).unwrap_or_default();
    let response = response(stamp, status, output, reply.usage.as_ref(), reply.tier());
    Bytes::from(serde_json::to_vec(&response).expect("values are always JSON"))
}

fn output(choice: &Choice, stamp: Stamp<'_>, status: Status) -> Vec<Value> {
    let (mut items, mut content) = (Vec::new(), Vec::new());
    let tools = client_tools(stamp.request);
    let (mut before, mut cited) = (0, choice.citations.iter().collect::<Vec<_>>());
    // Of the first text: no provider that tells them has two.
    let mut logprobs = choice.logprobs.as_ref().map(likely).unwrap_or_default();
    for (at, part) in choice.parts.iter().enumerate() {
        match &part.kind {
            PartKind::Text(text) => {
                let end = before + text.chars().count() as u64;
                // Where the words are not known, the source is the first text's.
                let is_here = |citation: &&Citation| {
                    citation.words.as_ref().is_none_or(|words| words.start < end)
                };
                let (here, later) = cited.into_iter().partition(is_here);
                cited = later;
                let here: Vec<&Citation> = here;
                let here = here.into_iter().filter_map(|citation| annotation(citation, before));
                let likely = std::mem::take(&mut logprobs);
                content.push(cited_text(text, &here.collect::<Vec<_>>(), &likely));
                before = end;
            }
            PartKind::Refusal(text) => content.push(refusal(text)),
            PartKind::Thinking { text, signature } => {
                close_message(&mut items, &mut content, stamp, status);
                items.push(reasoning(&item_id("rs", stamp, at), text, signature.as_deref()));
            }
            PartKind::RedactedThinking(data) => {
                close_message(&mut items, &mut content, stamp, status);
                items.push(redacted(&item_id("rs", stamp, at), data));
            }
            PartKind::ToolCall(call) => {
                close_message(&mut items, &mut content, stamp, status);
                let tool = tools.called(&call.name);
                let id = item_id(tool.id_prefix(), stamp, at);
                items.push(tool.item(&id, status.word(), call));
            }
            PartKind::Image { source, .. } => {
                close_message(&mut items, &mut content, stamp, status);
                items.extend(picture(&item_id("ig", stamp, at), source));
            }
            PartKind::Audio { data, transcript, .. } => {
                content.push(output_audio(data, transcript));
            }
            PartKind::File { .. } | PartKind::ToolResult { .. } | PartKind::Other(_) => {}
        }
    }
    close_message(&mut items, &mut content, stamp, status);
    items
}

fn close_message(
    items: &mut Vec<Value>,
    content: &mut Vec<Value>,
    stamp: Stamp<'_>,
    status: Status,
) {
    if !content.is_empty() {
        let id = item_id("msg", stamp, items.len());
        items.push(message(&id, status.word(), &std::mem::take(content)));
    }
}
