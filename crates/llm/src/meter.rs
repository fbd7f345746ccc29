//! Watches the bytes of an answer that passes untouched, for what it used: the tokens it counts, in
//! any provider's words, the model it names, and the id that it has.
//!
//! Counts are merged over the frames of a stream: each member that is said again replaces what was
//! said before. However the bytes are cut, the result is the same.

use bytes::{Buf, Bytes, BytesMut};
use dunlin_types::Usage;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::value::RawValue;

use crate::json;
use crate::sse::{self, MAX_FRAME_BYTES, Splitter};
use crate::tier::Tier;

mod counts;
mod course;
mod skim;
mod written;

use counts::Counts;
use course::Course;
use skim::Skim;

/// A longer event passes without being metered: the last one of OpenAI's responses repeats all of
/// them. Of a longer answer in one piece, long members are not read.
pub const MAX_METERED_BYTES: usize = 8 << 20;

/// A longer id is none.
const MAX_ID_BYTES: usize = 256;

/// A frame of a stream that counts nothing, in a form that is not known, is taken for a token.
const BYTES_A_FRAME: u64 = 4;

/// The meter of one answer.
#[derive(Debug)]
pub struct Meter {
    form: Form,
    counts: Counts,
    model: Option<String>,
    id: Option<String>,
    frames: u64,
    /// Those in an answer that was read whole.
    pictures: Option<u64>,
    /// Bytes of text, and those of them that came after the last count.
    text_bytes: u64,
    uncounted: u64,
    course: Course,
}

/// How an answer is cut into JSON texts.
#[derive(Debug)]
enum Form {
    /// One text, or an array of them.
    Json(BytesMut),
    /// The same, longer than is held.
    Long(Skim),
    Events(Splitter),
    /// One text a line.
    Lines(BytesMut),
    /// Frames of `application/vnd.amazon.eventstream`.
    Amazon(BytesMut),
    /// Protocol Buffers, in which hardly anything is not text.
    Protobuf,
    /// Its first bytes tell.
    Unlabelled,
    /// Sound, images and the like count nothing.
    Media,
    /// It cannot be read, or has grown over the bound.
    Blind,
}

impl Form {
    fn events() -> Self {
        Self::Events(Splitter::with_frames_of(MAX_METERED_BYTES))
    }

    /// Of an answer that begins so.
    fn of(begin: &[u8]) -> Self {
        match begin.trim_ascii_start() {
            [] => Self::Unlabelled,
            [b'{' | b'[', ..] => Self::Json(BytesMut::new()),
            [b'd', b'a', b't', b'a', b':', ..] | [b'e', b'v', b'e', b'n', b't', b':', ..] => {
                Self::events()
            }
            _ => Self::Media,
        }
    }
}

impl Meter {
    /// The meter for an answer with these headers.
    #[must_use]
    pub fn new(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let kind = text(CONTENT_TYPE).split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let form = match kind.as_str() {
            _ if !matches!(text(CONTENT_ENCODING), "" | "identity") => Form::Blind,
            "text/event-stream" => Form::events(),
            "application/x-ndjson" | "application/jsonl" | "application/stream+json" => {
                Form::Lines(BytesMut::new())
            }
            "application/vnd.amazon.eventstream" => Form::Amazon(BytesMut::new()),
            kind if kind.ends_with("json") => Form::Json(BytesMut::new()),
            kind if kind.contains("protobuf") => Form::Protobuf,
            _ => Form::Media,
        };
        Self::begin(form, Counts::of_headers(headers))
    }

    fn begin(form: Form, counts: Counts) -> Self {
        let course = Course::default();
        let (model, id) = (None, None);
        let pictures = None;
        Self { form, counts, model, id, frames: 0, pictures, text_bytes: 0, uncounted: 0, course }
    }

    /// The same for an answer that may be text though its headers do not say so.
    #[must_use]
    pub fn of_unlabelled(headers: &HeaderMap) -> Self {
        let mut meter = Self::new(headers);
        if meter.is_of_media() {
            meter.form = Form::Unlabelled;
        }
        meter
    }

    /// What one JSON text says, as a whole answer.
    #[must_use]
    pub fn of_json(text: &str) -> Self {
        let mut meter = Self::begin(Form::Media, Counts::default());
        meter.json(text.as_bytes());
        meter
    }

    /// Looks at the next bytes.
    pub fn push(&mut self, read: &Bytes) {
        if matches!(self.form, Form::Unlabelled) {
            self.form = Form::of(read);
        }
        let whole = match &mut self.form {
            Form::Unlabelled | Form::Media | Form::Blind => true,
            Form::Protobuf => {
                self.text_bytes += read.len() as u64;
                self.uncounted += read.len() as u64;
                true
            }
            Form::Json(held) if held.len() + read.len() <= MAX_METERED_BYTES => {
                held.extend_from_slice(read);
                true
            }
            Form::Json(held) => {
                let mut skim = Skim::default();
                let fits = skim.push(held, MAX_METERED_BYTES) && skim.push(read, MAX_METERED_BYTES);
                self.form = Form::Long(skim);
                fits
            }
            Form::Long(skim) => skim.push(read, MAX_METERED_BYTES),
            Form::Events(_) => self.events(read),
            Form::Lines(_) => self.lines(read),
            Form::Amazon(_) => self.amazon(read),
        };
        if !whole {
            self.form = Form::Blind;
        }
    }

    /// The answer is at its end.
    pub fn finish(&mut self) {
        match std::mem::replace(&mut self.form, Form::Media) {
            Form::Json(held) => {
                self.json(&held);
                self.pictures = Some(self.counts.pictures());
            }
            Form::Long(skim) => {
                let (left, words) = skim.finish();
                self.json(&left);
                self.text_bytes += words;
                self.uncounted += if self.counts.usage().is_none() { words } else { 0 };
            }
            Form::Events(mut splitter) => self.frame(splitter.rest()),
            Form::Lines(held) => self.read(&held),
            form @ (Form::Amazon(_)
            | Form::Protobuf
            | Form::Unlabelled
            | Form::Media
            | Form::Blind) => {
                self.form = form;
            }
        }
    }

    /// What was counted so far; `None` if nothing was.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.counts.usage()
    }

    /// The service tier that the answer says it was served in.
    #[must_use]
    pub fn tier(&self) -> Option<Tier> {
        self.counts.tier()
    }

    /// The model that the answer names.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The answer's id: the first that it names.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The frames of a stream so far: about a token each.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The pictures of an answer in one piece that is at its end, as Google's `predict` gives them.
    #[must_use]
    pub fn pictures(&self) -> Option<u64> {
        self.pictures
    }

    /// Bytes of text so far, and how many of them came after the last count. What is in no form that
    /// is known has as many as its frames are taken for.
    #[must_use]
    pub fn text(&self) -> (u64, u64) {
        match self.text_bytes {
            0 if self.usage().is_none() => {
                (self.frames * BYTES_A_FRAME, self.frames * BYTES_A_FRAME)
            }
            all => (all, self.uncounted),
        }
    }

    /// The event in which a stream says that it has failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.course.failure()
    }

    /// Whether it ended before its end: a stream without its last event, in a dialect that has one.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.course.is_cut()
    }

    /// Whether the answer is a sound, a picture or the like, of which it reads nothing.
    #[must_use]
    pub fn is_of_media(&self) -> bool {
        matches!(self.form, Form::Media)
    }

    /// Whether it cannot know what was used.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        matches!(self.form, Form::Blind)
    }

    fn events(&mut self, read: &Bytes) -> bool {
        let Form::Events(splitter) = &mut self.form else { return true };
        splitter.push(read.clone());
        loop {
            let Form::Events(splitter) = &mut self.form else { return true };
            match splitter.next_frame() {
                Ok(Some(frame)) => self.frame(frame),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn frame(&mut self, frame: Bytes) {
        let (frame, data) = sse::in_one_line(frame);
        if let Some(data) = data {
            self.event(&frame[data.range()]);
        }
    }

    /// One of the texts of a stream.
    fn event(&mut self, text: &[u8]) {
        self.frames += 1;
        self.course.event(text);
        self.read(text);
    }

    fn lines(&mut self, read: &Bytes) -> bool {
        let Form::Lines(held) = &mut self.form else { return true };
        let mut held = std::mem::take(held);
        held.extend_from_slice(read);
        while let Some(end) = memchr::memchr(b'\n', &held) {
            let line = held.split_to(end + 1);
            // A bound that holds however the bytes are cut.
            if line.len() > MAX_FRAME_BYTES {
                return false;
            }
            self.event(&line);
        }
        let fits = held.len() <= MAX_FRAME_BYTES;
        self.form = Form::Lines(held);
        fits
    }

    fn amazon(&mut self, read: &Bytes) -> bool {
        const PRELUDE: usize = 12;
        const CHECKSUM: usize = 4;
        let Form::Amazon(held) = &mut self.form else { return true };
        let mut held = std::mem::take(held);
        held.extend_from_slice(read);
        while held.len() >= PRELUDE {
            let mut prelude = &held[..];
            let (length, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
            let payload = PRELUDE.saturating_add(headers)..length.saturating_sub(CHECKSUM);
            if length > MAX_FRAME_BYTES || payload.start > payload.end {
                return false;
            }
            if held.len() < length {
                break;
            }
            let frame = held.split_to(length);
            if memchr::memmem::find(&frame[PRELUDE..payload.start], b":exception-type").is_some() {
                self.course.fail(&frame[payload.clone()]);
            }
            self.event(&frame[payload]);
        }
        self.form = Form::Amazon(held);
        true
    }

    /// A whole body. Gemini streams an array of what else it sends as events.
    fn json(&mut self, body: &[u8]) {
        let body = body.trim_ascii();
        let is_array = body.first() == Some(&b'[');
        let end = if is_array { b']' } else { b'}' };
        if (is_array || body.first() == Some(&b'{')) && body.last() != Some(&end) {
            self.course.cut();
        }
        if !is_array {
            return self.read(body);
        }
        for item in serde_json::from_slice::<Vec<&RawValue>>(body).unwrap_or_default() {
            self.read(item.get().as_bytes());
        }
    }

    fn read(&mut self, text: &[u8]) {
        let Ok(text) = str::from_utf8(text) else { return };
        let written = self.text_bytes;
        let counts = self.object(text, true);
        let written = self.text_bytes - written;
        self.uncounted = if counts { 0 } else { self.uncounted + written };
    }

    /// Reads the members of an object, and of those that events wrap theirs in. Whether they count
    /// what was used.
    fn object(&mut self, text: &str, wraps: bool) -> bool {
        let mut counts = false;
        for member in json::members(text).unwrap_or_default() {
            if wraps {
                self.text_bytes += written::bytes(&member.name, member.value);
            }
            counts |= match &*member.name {
                "model" | "modelVersion" => {
                    let model = json::string(member.value).filter(|model| !model.is_empty());
                    self.model = model.map(Into::into).or(self.model.take());
                    false
                }
                "id" | "responseId" if self.id.is_none() => {
                    let id = json::string(member.value);
                    let id = id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()));
                    self.id = id.map(Into::into);
                    false
                }
                "response" | "message" | "delta" | "interaction" if wraps => {
                    self.object(member.value, false)
                }
                name => self.counts.read(name, member.value),
            };
        }
        counts
    }
}

#[cfg(test)]
mod tests;
