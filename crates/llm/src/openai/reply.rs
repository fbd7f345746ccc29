//! OpenAI's whole answers, read into the common form and written from it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::annotations;
use super::calls::{Calls, WireCall, WireCalled, called, made_id};
use super::content::Content;
use super::details::{self, Detail};
use super::likely;
use super::media::{Sound, image, pictures, sound};
use super::sources::{Listed, Source, Sources};
use crate::endpoint::{Endpoint, Stamp};
use crate::form::{Choice, Finish, Json, Part, PartKind, Reply, joined_sound};
use crate::reply::BadReply;
use crate::usage::{self, usage_json};

#[derive(Deserialize)]
struct WireReply {
    #[serde(default, deserialize_with = "crate::lenient::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    created: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    model: Option<String>,
    choices: Option<Vec<WireChoice>>,
    usage: Option<usage::Wire>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    service_tier: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    system_fingerprint: Option<String>,
    citations: Option<Listed<String>>,
    search_results: Option<Listed<Source>>,
}

#[derive(Deserialize)]
struct WireChoice {
    index: Option<u32>,
    message: Option<WireMessage>,
    text: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    finish_reason: Option<String>,
    /// Which of the client's texts came, as vLLM calls it, and SGLang.
    #[serde(default, deserialize_with = "crate::lenient::text")]
    stop_reason: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    matched_stop: Option<String>,
    logprobs: Option<Json>,
}

#[derive(Deserialize, Default)]
struct WireMessage {
    content: Option<Content>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    reasoning_details: Option<Value>,
    tool_calls: Option<Vec<WireCall>>,
    function_call: Option<WireCalled>,
    annotations: Option<Value>,
    images: Option<Value>,
    audio: Option<Value>,
}

/// Reads the answer of an OpenAI-compatible chat or completion.
///
/// # Errors
/// It is none.
pub fn read_reply(body: &[u8]) -> Result<Reply, BadReply> {
    let wire: WireReply = serde_json::from_slice(body)?;
    let sources = Sources { citations: wire.citations, search_results: wire.search_results };
    let choices = (0..).zip(wire.choices.into_iter().flatten());
    let id = wire.id.as_deref();
    let choices = choices.map(|(at, choice)| read_choice(id, at, choice, &sources));
    let choices = choices.collect::<Result<_, _>>()?;
    Ok(Reply {
        id: wire.id,
        created: wire.created,
        model: wire.model,
        choices,
        usage: wire.usage.and_then(usage::Wire::usage),
        service_tier: wire.service_tier,
        served_in: None,
        system_fingerprint: wire.system_fingerprint,
    })
}

fn read_choice(
    answer: Option<&str>,
    at: u32,
    choice: WireChoice,
    sources: &Sources,
) -> Result<Choice, BadReply> {
    if choice.message.is_none() && choice.text.is_none() {
        return Err(BadReply::Empty);
    }
    let index = choice.index.unwrap_or(at);
    let message = choice.message.unwrap_or_default();
    let mut parts: Vec<Part> = Vec::new();
    let (words, thoughts) = message.content.map(Content::split).unwrap_or_default();
    let details = details::read(message.reasoning_details);
    let has_words = details.iter().any(Detail::has_words);
    let thought = message.reasoning_content.or(message.reasoning).or(Some(thoughts));
    if let Some(text) = thought.filter(|text| !text.is_empty() && !has_words) {
        parts.push(PartKind::Thinking { text, signature: None }.into());
    }
    parts.extend(details.into_iter().map(Detail::part));
    let text = choice.text.or(Some(words)).filter(|text| !text.is_empty());
    let mut citations = annotations::read(message.annotations);
    if let (true, Some(text)) = (citations.is_empty(), &text) {
        citations = sources.cited(text);
    }
    parts.extend(text.map(Part::text));
    parts.extend(pictures(message.images).map(Part::from));
    parts.extend(Sound::spoken(message.audio).map(Part::from));
    parts.extend(message.refusal.map(|refusal| PartKind::Refusal(refusal).into()));
    let old = message.function_call.map(WireCall::from);
    for (number, mut call) in (0..).zip(message.tool_calls.into_iter().flatten().chain(old)) {
        let id = call.given_id().unwrap_or_else(|| made_id(answer, index, number));
        call.id = Some(id);
        let call = call.call().flatten().ok_or(BadReply::Unnamed)?;
        parts.push(PartKind::ToolCall(call).into());
    }
    let is_call = parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let finish = match choice.finish_reason.as_deref().map(finish_named) {
        // Some servers say `stop` where they call.
        Some(Finish::Stop) | None if is_call => Finish::ToolCalls,
        Some(finish) => stopped_by(finish, choice.stop_reason.or(choice.matched_stop)),
        None => return Err(BadReply::Unended),
    };
    let logprobs = choice.logprobs;
    Ok(Choice { index, parts, finish, logprobs, citations })
}

/// OpenAI's word for why an answer ended, and its kin of compatible servers.
pub(super) fn finish_named(word: &str) -> Finish {
    match word {
        "stop" | "eos" | "eos_token" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence(None),
        // vLLM ends what goes on repeating itself.
        "length"
        | "max_tokens"
        | "model_length"
        | "model_context_window_exceeded"
        | "repetition" => Finish::Length,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "sensitive" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}

/// The same where the server says which text ended it. Some have another word for the end there.
pub(super) fn stopped_by(finish: Finish, stop: Option<String>) -> Finish {
    let is_word = |stop: &str| ["end_turn", "eos", "stop"].contains(&stop);
    match stop.filter(|stop| !is_word(stop)) {
        Some(stop) if matches!(finish, Finish::Stop | Finish::StopSequence(None)) => {
            Finish::StopSequence(Some(stop))
        }
        Some(_) | None => finish,
    }
}

/// OpenAI's word for why an answer ended.
pub(super) fn finish_word(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Pause => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
        Finish::Other(word) => word,
    }
}

/// Writes an answer as a chat completion.
#[must_use]
pub(crate) fn write_reply(reply: &Reply, stamp: Stamp<'_>) -> Bytes {
    let calls = Calls::of(stamp.request);
    let choices = reply.choices.iter().map(|choice| {
        let mut wire = json!({
            "finish_reason": calls.finish_word(&choice.finish),
            "index": choice.index,
            "message": message(&choice.parts, &calls, stamp),
        });
        cite(&mut wire["message"], choice);
        if let Some(logprobs) = &choice.logprobs {
            wire["logprobs"] = serde_json::from_str(logprobs.text()).expect("parsed before");
        }
        wire
    });
    write(reply, stamp, "chat.completion", Endpoint::ChatCompletions, choices.collect())
}

/// Says where the words of a message come from.
fn cite(message: &mut Value, choice: &Choice) {
    let cited: Vec<Value> = choice.citations.iter().filter_map(annotations::write).collect();
    if !cited.is_empty() {
        message["annotations"] = cited.into();
    }
    let text = message["content"].as_str().unwrap_or_default();
    let blocks = annotations::blocks(text, &choice.citations);
    if !blocks.is_empty() {
        message["provider_specific_fields"] = json!({"citations": blocks});
    }
}

/// Writes an answer as a plain completion.
#[must_use]
pub(crate) fn write_text_reply(reply: &Reply, stamp: Stamp<'_>) -> Bytes {
    let choices = reply.choices.iter().map(|choice| {
        let text: String = choice.parts.iter().filter_map(Part::as_text).collect();
        let finish = finish_word(&choice.finish);
        let logprobs = choice.logprobs.as_ref().map(|said| likely::of_texts(said, &mut 0));
        json!({"finish_reason": finish, "index": choice.index, "logprobs": logprobs, "text": text})
    });
    write(reply, stamp, "text_completion", Endpoint::Completions, choices.collect())
}

fn write(
    reply: &Reply,
    stamp: Stamp<'_>,
    object: &str,
    endpoint: Endpoint,
    choices: Vec<Value>,
) -> Bytes {
    let mut wire = Map::new();
    let id = stamp.answer_id(endpoint, reply.id.as_deref());
    wire.insert("id".to_owned(), id.into());
    wire.insert("created".to_owned(), reply.created.unwrap_or(stamp.now).into());
    wire.insert("model".to_owned(), stamp.model.into());
    wire.insert("object".to_owned(), object.into());
    if let Some(fingerprint) = &reply.system_fingerprint {
        wire.insert("system_fingerprint".to_owned(), fingerprint.as_str().into());
    }
    wire.insert("choices".to_owned(), choices.into());
    if let Some(usage) = &reply.usage {
        wire.insert("usage".to_owned(), usage_json(usage));
    }
    if let Some(tier) = &reply.service_tier {
        wire.insert("service_tier".to_owned(), tier.as_str().into());
    }
    Bytes::from(serde_json::to_vec(&wire).expect("values are always JSON"))
}

/// Thoughts go out as LiteLLM has them: their text, and the blocks to be sent back.
fn message(parts: &[Part], style: &Calls, stamp: Stamp<'_>) -> Value {
    let (mut text, mut thought) = (None::<String>, None::<String>);
    let (mut calls, mut blocks, mut refusal) = (Vec::new(), Vec::new(), None);
    let (mut images, mut sounds, mut spoken) = (Vec::new(), Vec::new(), String::new());
    for part in parts {
        match &part.kind {
            PartKind::Text(more) => text.get_or_insert_default().push_str(more),
            PartKind::Refusal(words) => refusal = Some(words.as_str()),
            PartKind::Thinking { text, signature } => {
                thought.get_or_insert_default().push_str(text);
                if let Some(signature) = signature {
                    blocks.push(
                        json!({"type": "thinking", "thinking": text, "signature": signature}),
                    );
                }
            }
            PartKind::RedactedThinking(data) => {
                blocks.push(json!({"type": "redacted_thinking", "data": data}));
            }
            PartKind::ToolCall(call) => calls.push(call),
            PartKind::Image { source, .. } => images.push(image(images.len(), source)),
            PartKind::Audio { data, transcript, .. } => {
                sounds.push(data);
                spoken.push_str(transcript);
            }
            PartKind::File { .. } | PartKind::ToolResult { .. } | PartKind::Other(_) => {}
        }
    }
    let mut wire = json!({"content": text, "role": "assistant"});
    if let Some(thought) = thought {
        wire["reasoning_content"] = thought.into();
    }
    if !images.is_empty() {
        wire["images"] = images.into();
    }
    if !sounds.is_empty() {
        wire["audio"] = sound(&joined_sound(&sounds), &spoken, stamp);
    }
    if !blocks.is_empty() {
        wire["thinking_blocks"] = blocks.into();
    }
    if let Some(refusal) = refusal {
        wire["refusal"] = refusal.into();
    }
    match calls.first() {
        Some(call) if style.are_legacy => wire["function_call"] = called(call),
        Some(_) => {
            let calls: Vec<Value> = calls.into_iter().map(|call| style.sealed(call)).collect();
            wire["tool_calls"] = calls.into();
        }
        None => {}
    }
    wire
}
