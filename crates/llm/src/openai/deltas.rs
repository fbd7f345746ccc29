//! OpenAI's stream frames, read into pieces of the common form.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

use super::calls::{WireCall, WireCalled, made_id};
use super::content::Content;
use super::details::{self, Detail, Open};
use super::error::{FAILED, UpstreamError};
use super::media::{Sound, pictures};
use super::reply::{finish_named, stopped_by};
use super::sources::{Listed, Source, Sources};
use super::{annotations, read_frame};
use crate::form::{Delta, Finish, Json, SoundForm, unsealed};
use crate::sse;
use crate::stream::{BadFrame, StreamEvent};
use crate::tier::Tier;
use crate::usage;

#[derive(Deserialize)]
struct WireChunk<'a> {
    #[serde(default, deserialize_with = "crate::lenient::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    model: Option<String>,
    choices: Option<Vec<WireChoice>>,
    usage: Option<usage::Wire>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    service_tier: Option<String>,
    citations: Option<Listed<String>>,
    search_results: Option<Listed<Source>>,
    /// Of a failure.
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
    base_resp: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireChoice {
    index: Option<u32>,
    delta: Option<WireDelta>,
    /// Some servers have whole messages' name for it.
    message: Option<WireDelta>,
    text: Option<String>,
    logprobs: Option<Json>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    finish_reason: Option<String>,
    /// Which of the client's texts came.
    #[serde(default, deserialize_with = "crate::lenient::text")]
    stop_reason: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    matched_stop: Option<String>,
}

impl WireChoice {
    /// Why it did not end, if it says so where others say why they did.
    fn failure(&self) -> Option<UpstreamError> {
        let word = self.finish_reason.as_deref().filter(|word| FAILED.contains(word))?;
        Some(UpstreamError { message: word.to_owned(), ..UpstreamError::default() })
    }
}

#[derive(Deserialize, Default)]
struct WireDelta {
    content: Option<Content>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    reasoning_details: Option<Value>,
    #[serde(default, deserialize_with = "pieces")]
    tool_calls: Option<Vec<WireCall>>,
    function_call: Option<WireCalled>,
    annotations: Option<Value>,
    images: Option<Value>,
    audio: Option<Value>,
}

/// Pieces of calls; older TGI has the only one by itself.
fn pieces<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<WireCall>>, D::Error> {
    let Some(said) = Option::<Box<RawValue>>::deserialize(from)? else { return Ok(None) };
    let read = if said.get().starts_with('{') {
        serde_json::from_str(said.get()).map(|only| vec![only])
    } else {
        serde_json::from_str(said.get())
    };
    read.map(Some).map_err(D::Error::custom)
}

/// A call that has begun.
#[derive(Debug)]
struct Begun {
    choice: u32,
    /// As its server counts. Some have one index for all calls: another id is another call there.
    index: u32,
    id: Option<String>,
}

/// What must be remembered between the frames of one stream.
#[derive(Debug, Default)]
pub struct DeltaReader {
    started: bool,
    /// The answer's id.
    answer: Option<String>,
    /// Empty, with room for those of the next frame.
    deltas: Vec<Delta>,
    /// Calls that have begun.
    calls: Vec<Begun>,
    /// Sources beside the answer, and what has been said that may refer to them.
    sources: Sources,
    said: BTreeMap<u32, String>,
    /// Choices whose sources were told with their words.
    annotated: BTreeSet<u32>,
    sounds: BTreeMap<u32, SoundForm>,
    /// The thought of each choice that is told in details.
    details: BTreeMap<u32, Open>,
}

/// What a frame says of the choices of its answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// It is about some.
    pub any: bool,
    /// So many of them end.
    pub ended: u64,
}

impl Choices {
    /// Of a frame that passes.
    #[must_use]
    pub fn of(event: &StreamEvent) -> Self {
        let StreamEvent::Chunk(chunk) = event else { return Self::default() };
        Self { any: chunk.has_choices(), ended: chunk.ended() }
    }
}

impl DeltaReader {
    /// Reads a frame as [`Splitter`](crate::sse::Splitter) yields it.
    ///
    /// # Errors
    /// It is no chunk, and no other frame that a stream may have.
    pub fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<Choices, BadFrame> {
        let (frame, data) = sse::in_one_line(frame);
        let data = data.map_or(&[][..], |data| &frame[data.range()]);
        let chunk = serde_json::from_slice::<WireChunk<'_>>(data);
        let is_chunk = |chunk: &WireChunk<'_>| {
            let is_any = chunk.choices.is_some() || chunk.usage.is_some() || chunk.id.is_some();
            let may_fail = chunk.base_resp.is_some() && chunk.choices.is_none();
            let is_error = chunk.error.is_some() || chunk.object.as_deref() == Some("error");
            is_any && !is_error && !(may_fail && chunk.usage.is_none())
        };
        match chunk {
            Ok(chunk) if is_chunk(&chunk) => {
                let said = chunk.choices.as_deref().unwrap_or_default();
                let ended = said.iter().filter(|choice| choice.finish_reason.is_some());
                let choices = Choices { any: !said.is_empty(), ended: ended.count() as u64 };
                let failure = said.iter().find_map(WireChoice::failure);
                self.chunk(chunk, events)?;
                events.extend(failure.map(StreamEvent::Error));
                Ok(choices)
            }
            // The end, an error, a comment, or nothing of the kind.
            chunk => match (read_frame(frame.clone())?, chunk.err()) {
                (StreamEvent::Chunk(_), Some(error)) => Err(error.into()),
                (StreamEvent::Chunk(_), None) => Ok(Choices::default()),
                (event, _) => {
                    events.push(event);
                    Ok(Choices::default())
                }
            },
        }
    }

    fn chunk(
        &mut self,
        chunk: WireChunk<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), BadFrame> {
        let mut out = std::mem::take(&mut self.deltas);
        if !std::mem::replace(&mut self.started, true) {
            self.answer.clone_from(&chunk.id);
            out.push(Delta::Start { id: chunk.id, model: chunk.model, usage: None });
        }
        let (citations, search_results) = (chunk.citations, chunk.search_results);
        self.sources.update(Sources { citations, search_results });
        for choice in chunk.choices.into_iter().flatten() {
            self.choice(choice, &mut out)?;
        }
        out.extend(chunk.service_tier.as_deref().and_then(Tier::named).map(Delta::Served));
        out.extend(chunk.usage.and_then(usage::Wire::usage).map(Delta::Usage));
        events.extend(out.drain(..).map(StreamEvent::Delta));
        self.deltas = out;
        Ok(())
    }

    fn choice(&mut self, wire: WireChoice, out: &mut Vec<Delta>) -> Result<(), BadFrame> {
        let choice = wire.index.unwrap_or(0);
        let delta = wire.delta.or(wire.message).unwrap_or_default();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (words, thoughts) = delta.content.map(Content::split).unwrap_or_default();
        let thought = said(delta.reasoning_content.or(delta.reasoning).or(Some(thoughts)));
        let details = details::read(delta.reasoning_details);
        let thought = thought.filter(|_| !details.iter().any(Detail::has_words));
        out.extend(thought.map(|text| Delta::Thinking { choice, text }));
        let is_over =
            !words.is_empty() || delta.tool_calls.is_some() || wire.finish_reason.is_some();
        if !details.is_empty() || is_over {
            self.think(choice, details, is_over, out);
        }
        if let Some(text) = said(wire.text.or(Some(words))) {
            self.said.entry(choice).or_default().push_str(&text);
            out.push(Delta::Text { choice, text });
        }
        out.extend(pictures(delta.images).map(|media| Delta::Media { choice, media }));
        let sound =
            Sound::spoken(delta.audio).map(|more| self.sounds.entry(choice).or_default().fit(more));
        out.extend(sound.map(|media| Delta::Media { choice, media }));
        out.extend(said(delta.refusal).map(|text| Delta::Refusal { choice, text }));
        let logprobs = wire.logprobs.filter(Json::is_object);
        out.extend(logprobs.map(|logprobs| Delta::Logprobs { choice, logprobs }));
        let mut citations = annotations::read(delta.annotations);
        if !citations.is_empty() {
            self.annotated.insert(choice);
        }
        if wire.finish_reason.is_some() && !self.annotated.contains(&choice) {
            let text = self.said.remove(&choice).unwrap_or_default();
            citations = self.sources.cited(&text);
        }
        out.extend(citations.into_iter().map(|citation| Delta::Citation { choice, citation }));
        let old = delta.function_call.map(WireCall::from);
        for (at, call) in (0..).zip(delta.tool_calls.into_iter().flatten().chain(old)) {
            self.call(choice, call.index.unwrap_or(at), call, out)?;
        }
        if let Some(word) = wire.finish_reason.filter(|word| !FAILED.contains(&&**word)) {
            let is_call = self.calls.iter().any(|begun| begun.choice == choice);
            let named = finish_named(&word);
            let finish = if is_call && named == Finish::Stop {
                Finish::ToolCalls
            } else {
                stopped_by(named, wire.stop_reason.or(wire.matched_stop))
            };
            out.push(Delta::Finish { choice, finish });
        }
        Ok(())
    }

    fn think(&mut self, choice: u32, more: Vec<Detail>, is_over: bool, out: &mut Vec<Delta>) {
        if more.is_empty() && !self.details.contains_key(&choice) {
            return;
        }
        let open = self.details.entry(choice).or_default();
        more.into_iter().for_each(|detail| open.take(choice, detail, out));
        if is_over {
            open.close(choice, out);
        }
    }

    fn call(
        &mut self,
        choice: u32,
        index: u32,
        mut wire: WireCall,
        out: &mut Vec<Delta>,
    ) -> Result<(), BadFrame> {
        let (seal, id, called) = (wire.seal(), wire.given_id(), wire.function);
        let (name, arguments) = called.map_or((None, None), |f| (f.name, f.arguments));
        let name = name.filter(|name| !name.is_empty());
        let call = match self.begun(choice, index, id.as_deref().filter(|_| name.is_some())) {
            Some(call) => call,
            None => {
                let call = self.calls.iter().filter(|begun| begun.choice == choice).count();
                let call = u32::try_from(call).unwrap_or(u32::MAX);
                self.calls.push(Begun { choice, index, id: id.clone() });
                let name = name.ok_or(BadFrame::Unnamed)?;
                let id = id.unwrap_or_else(|| made_id(self.answer.as_deref(), choice, call));
                let (id, behind_id) = unsealed(&id);
                out.push(Delta::ToolCall { choice, call, id, name, signature: seal.or(behind_id) });
                call
            }
        };
        let arguments = arguments.filter(|text| !text.is_empty());
        out.extend(arguments.map(|text| Delta::Arguments { choice, call, text }));
        Ok(())
    }

    /// The number of the call that a piece is of, if that has begun. One with a name and an id of
    /// its own begins another.
    fn begun(&self, choice: u32, index: u32, named: Option<&str>) -> Option<u32> {
        let calls = self.calls.iter().filter(|begun| begun.choice == choice);
        let (call, begun) = (0..).zip(calls).filter(|(_, begun)| begun.index == index).last()?;
        let ids = named.zip(begun.id.as_deref());
        ids.is_none_or(|(named, begun)| named == begun).then_some(call)
    }
}
