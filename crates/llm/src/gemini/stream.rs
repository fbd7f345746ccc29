//! Google's streams: each frame is a small answer, and the last of each candidate says why it ended.
//! There is no word for the end of the stream: it is whole if it closes after that.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::grounding::{self, Searches};
use super::partial::Partial;
use super::read::read_said;
use super::reply::{Calls, finish_named, read_logprobs, wire_parts};
use super::usage;
use super::wire::{Candidate, Part as WirePart, Response, list_or_one};
use crate::form::{Citation, Delta, Part, PartKind};
use crate::openai::UpstreamError;
use crate::sse;
use crate::stream::{BadFrame, Chunk, StreamEvent};

/// Reads the frames of one stream.
#[derive(Default)]
pub struct StreamReader {
    started: bool,
    calls: Option<Calls>,
    /// Candidates that have begun and not ended.
    open: Vec<u32>,
    /// How often each has called a function.
    called: BTreeMap<u32, u32>,
    /// Calls whose arguments are being streamed, one of a candidate.
    partial: BTreeMap<u32, Partial>,
    ended_any: bool,
    searches: Searches,
    /// What each candidate has said and which sources it has named, for clients that are told them in
    /// another form: sources are named by the bytes of the words that went before, and a later frame
    /// repeats those of an earlier one.
    told: Option<BTreeMap<u32, Told>>,
}

#[derive(Default)]
struct Told {
    text: String,
    cited: Vec<Citation>,
}

/// The frames of a stream that says what `body` does: a whole answer, or the list of small ones that
/// Google gives whoever does not ask for events. `None`: it is neither.
#[must_use]
pub fn frames_of_reply(body: &[u8]) -> Option<Vec<Bytes>> {
    let whole: &RawValue = serde_json::from_slice(body).ok()?;
    let answers = list_or_one(whole).ok()?;
    let is_answer = |answer: &&RawValue| {
        serde_json::from_str::<Response<'_>>(answer.get()).is_ok_and(|response| {
            response.candidates.is_some() || response.prompt_feedback.is_some()
        })
    };
    // Line ends lie only between the pieces of JSON.
    let frame =
        |answer: &RawValue| format!("data: {}\n\n", answer.get().replace(['\r', '\n'], " "));
    let is_any = answers.iter().any(is_answer);
    is_any.then(|| answers.into_iter().map(|answer| Bytes::from(frame(answer))).collect())
}

impl StreamReader {
    /// True if the stream may close: all that began has said why it ended.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ended_any && self.open.is_empty()
    }

    /// A frame for a client of Google's, which gets its bytes.
    ///
    /// # Errors
    /// It has data that is no answer.
    pub fn pass(&mut self, frame: Bytes) -> Result<StreamEvent, BadFrame> {
        let (frame, Some(data)) = sse::in_one_line(frame.clone()) else {
            return Ok(StreamEvent::Comment(frame));
        };
        let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
        let mut deltas = Vec::new();
        if let Some(error) = self.deltas(text, &mut deltas)? {
            return Ok(StreamEvent::Error(error));
        }
        Ok(StreamEvent::Chunk(Chunk {
            model: None,
            id: None,
            usage: deltas.iter().filter_map(Delta::usage).next_back(),
            usage_at: None,
            tells_usage: deltas.iter().any(|delta| delta.usage().is_some()),
            has_choices: true,
            ended: deltas.iter().filter(|delta| matches!(delta, Delta::Finish { .. })).count()
                as u64,
            text_bytes: deltas.iter().map(Delta::text_bytes).sum(),
            tier: deltas.iter().filter_map(Delta::service_tier).next_back(),
            frame,
        }))
    }

    /// A frame for a client that speaks another dialect.
    ///
    /// # Errors
    /// It has data that is no answer.
    pub fn read(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), BadFrame> {
        let (frame, Some(data)) = sse::in_one_line(frame) else { return Ok(()) };
        let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
        let mut deltas = Vec::new();
        self.told.get_or_insert_default();
        let error = self.deltas(text, &mut deltas)?;
        events.extend(deltas.into_iter().map(StreamEvent::Delta));
        events.extend(error.map(StreamEvent::Error));
        Ok(())
    }

    fn deltas(
        &mut self,
        text: &str,
        out: &mut Vec<Delta>,
    ) -> Result<Option<UpstreamError>, BadFrame> {
        let response: Response<'_> = serde_json::from_str(text)?;
        if response.error.is_some() {
            return Ok(Some(UpstreamError::read(text)));
        }
        if response.says_nothing() {
            return Ok(UpstreamError::told(text));
        }
        let calls = Calls::new(response.response_id.as_deref());
        self.calls.get_or_insert(calls);
        if !std::mem::replace(&mut self.started, true) {
            let (id, model) = (response.response_id, response.model_version);
            out.push(Delta::Start { id, model, usage: None });
        }
        for (at, candidate) in (0..).zip(response.candidates.into_iter().flatten()) {
            self.candidate(at, candidate, out)?;
        }
        if response.prompt_feedback.is_some_and(|said| said.block_reason.is_some()) {
            self.ended_any = true;
            let finish = crate::form::Finish::ContentFilter;
            out.push(Delta::Finish { choice: 0, finish });
        }
        let tier = response.usage_metadata.as_ref().and_then(usage::Wire::tier);
        out.extend(tier.map(Delta::Served));
        let usage = response.usage_metadata.and_then(usage::Wire::usage);
        out.extend(usage.map(|usage| Delta::Usage(self.searches.counted_in(usage))));
        Ok(None)
    }

    fn candidate(
        &mut self,
        at: u32,
        candidate: Candidate<'_>,
        out: &mut Vec<Delta>,
    ) -> serde_json::Result<()> {
        let choice = candidate.index.unwrap_or(at);
        self.searches = self.searches.or_more(Searches::of(candidate.grounding_metadata));
        if !self.open.contains(&choice) {
            self.open.push(choice);
        }
        for (mut wire, raw) in wire_parts(candidate.content.as_ref())? {
            if wire.function_call.is_some() {
                self.call(choice, &mut wire, out);
                continue;
            }
            let mut parts = Vec::new();
            let told = self.told.as_mut().map(|told| told.entry(choice).or_default());
            if let (Some(told), Some(text)) = (told, wire.text.as_deref())
                && wire.thought != Some(true)
            {
                told.text.push_str(text);
            }
            let thinks = wire.thought == Some(true);
            read_said(wire, raw, &mut parts);
            parts.into_iter().for_each(|part| said(choice, thinks, part, out));
        }
        let logprobs = candidate.logprobs_result.map(read_logprobs);
        out.extend(logprobs.map(|logprobs| Delta::Logprobs { choice, logprobs }));
        self.cite(choice, (candidate.grounding_metadata, candidate.citation_metadata), out);
        if let Some(word) = candidate.finish_reason {
            self.end_call(choice, out);
            self.open.retain(|open| *open != choice);
            self.ended_any = true;
            let finish = finish_named(&word, self.called.contains_key(&choice));
            out.push(Delta::Finish { choice, finish });
        }
        Ok(())
    }
}

impl StreamReader {
    /// A call, or a piece of one. Only the first piece has its name.
    fn call(&mut self, choice: u32, wire: &mut WirePart, out: &mut Vec<Delta>) {
        let Some(said) = &mut wire.function_call else { return };
        let (pieces, whole) = (std::mem::take(&mut said.partial_args), said.args.clone());
        let goes_on = said.will_continue == Some(true);
        if !said.name.is_empty() || !self.partial.contains_key(&choice) {
            self.end_call(choice, out);
            let calls = self.calls.as_mut().expect("made with the first frame");
            let made = calls.take(wire).expect("it is a call");
            let (id, name, signature) = (made.id, made.name, made.signature);
            let called = self.called.entry(choice).or_default();
            let call = *called;
            *called += 1;
            out.push(Delta::ToolCall { choice, call, id, name, signature });
            if pieces.is_empty() && !goes_on {
                out.push(Delta::Arguments { choice, call, text: made.arguments });
                return;
            }
            self.partial.insert(choice, Partial::new(call));
        }
        if let Some(partial) = self.partial.get_mut(&choice) {
            partial.take(whole.as_ref(), pieces);
        }
        if !goes_on {
            self.end_call(choice, out);
        }
    }

    /// Tells the arguments of a call that is whole.
    fn end_call(&mut self, choice: u32, out: &mut Vec<Delta>) {
        if let Some(partial) = self.partial.remove(&choice) {
            out.push(Delta::Arguments { choice, call: partial.call, text: partial.text() });
        }
    }

    fn cite(
        &mut self,
        choice: u32,
        (found, repeated): (Option<&RawValue>, Option<&RawValue>),
        out: &mut Vec<Delta>,
    ) {
        if found.is_none() && repeated.is_none() {
            return;
        }
        let Some(told) = &mut self.told else { return };
        let told = told.entry(choice).or_default();
        for citation in grounding::read(found, repeated, &[Some(&told.text)]) {
            if !told.cited.contains(&citation) {
                told.cited.push(citation.clone());
                out.push(Delta::Citation { choice, citation });
            }
        }
    }
}

fn said(choice: u32, of_thought: bool, part: Part, out: &mut Vec<Delta>) {
    match part.kind {
        PartKind::Text(text) => out.push(Delta::Text { choice, text }),
        PartKind::Thinking { text, signature } => {
            if !text.is_empty() {
                out.push(Delta::Thinking { choice, text });
            }
            let seal = |signature| Delta::Signature { choice, signature, of_thought };
            out.extend(signature.map(seal));
        }
        media @ (PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. }) => {
            out.push(Delta::Media { choice, media });
        }
        // Nothing in a stream of another dialect could carry them.
        PartKind::Refusal(_)
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => {}
    }
}
