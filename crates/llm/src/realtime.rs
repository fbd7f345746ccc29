//! Events of OpenAI's realtime conversations, as far as a gateway must know them.

use std::borrow::Cow;

use dunlin_types::{Tokens, Usage};
use serde::Deserialize;

mod transcripts;

pub use transcripts::{Heard, Session, Transcript, Transcription};

/// What an event of the server's says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A model begins to answer.
    Begun,
    /// It says so many bytes of text.
    Text(u64),
    /// Its answer is over. What it used, if that is told.
    Done(Option<Usage>),
    /// How the session is from here on.
    Session(Session),
    /// Something becomes of what was heard.
    Heard(Heard),
    /// Something that was asked for is not done.
    Refused,
    /// Anything else.
    Other,
}

/// How long an answer may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Longest {
    /// So many tokens at most.
    Tokens(Tokens),
    /// As long as the model likes.
    #[default]
    Any,
}

impl Longest {
    /// The most tokens, if they are told.
    #[must_use]
    pub fn tokens(self) -> Option<Tokens> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Any => None,
        }
    }
}

/// What of a response or a session says how long its answers may be; the older name is the second.
#[derive(Deserialize)]
struct Bounded {
    max_output_tokens: Option<Most>,
    max_response_output_tokens: Option<Most>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Most {
    Tokens(u64),
    Word(String),
}

impl Bounded {
    fn longest(self) -> Option<Longest> {
        let most = self.max_output_tokens.or(self.max_response_output_tokens)?;
        Some(match most {
            Most::Tokens(tokens) => Longest::Tokens(Tokens(tokens)),
            Most::Word(_inf) => Longest::Any,
        })
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Response {
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(default)]
    input_token_details: Details,
    #[serde(default)]
    output_token_details: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: u64,
    cached_tokens_details: Cached,
    audio_tokens: u64,
    image_tokens: u64,
    reasoning_tokens: u64,
}

/// How much of what was cached is not text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Cached {
    audio_tokens: u64,
    image_tokens: u64,
}

/// Reads one event; what is none is nothing to a gateway.
#[must_use]
pub fn read_event(text: &[u8]) -> Event {
    let Ok(event) = serde_json::from_slice::<Wire<'_>>(text) else { return Event::Other };
    match &*event.kind {
        "response.created" => Event::Begun,
        "error" => Event::Refused,
        "response.done" => Event::Done(event.response.and_then(|done| done.usage?.read())),
        // `response.output_text.delta`, `response.output_audio_transcript.delta` and older names.
        kind if kind.ends_with("text.delta") || kind.ends_with("transcript.delta") => {
            Event::Text(event.delta.map_or(0, |delta| delta.len() as u64))
        }
        "session.created"
        | "session.updated"
        | "transcription_session.created"
        | "transcription_session.updated" => Event::Session(Session::read(text)),
        kind => Heard::read(kind, text).map_or(Event::Other, Event::Heard),
    }
}

/// What an event of the client's asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An answer, as long as this; `None`: as the session says.
    Answer(Option<Longest>),
    /// That the session be another.
    Session(Session),
    /// That the sound so far be a turn of the conversation.
    Commit,
    /// That this sound be heard.
    Sound,
    /// Anything else.
    Other,
}

/// How long the answer may be that an event asks for. However badly that is written, a provider may
/// give it.
fn longest_of(text: &[u8]) -> Option<Longest> {
    #[derive(Deserialize)]
    struct Wanted {
        response: Bounded,
    }
    serde_json::from_slice::<Wanted>(text).ok()?.response.longest()
}

/// Reads one event of the client's.
#[must_use]
pub fn read_asked(text: &[u8]) -> Asked {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let Ok(Wire { kind }) = serde_json::from_slice(text) else { return Asked::Other };
    match &*kind {
        "response.create" => Asked::Answer(longest_of(text)),
        "session.update" | "transcription_session.update" => Asked::Session(Session::read(text)),
        "input_audio_buffer.commit" => Asked::Commit,
        "input_audio_buffer.append" => Asked::Sound,
        _ => Asked::Other,
    }
}

impl Counts {
    fn read(self) -> Option<Usage> {
        let (input, output) = (self.input_token_details, self.output_token_details);
        Some(Usage {
            prompt: Tokens(self.input_tokens?),
            cached: Tokens(input.cached_tokens),
            cached_audio: Tokens(input.cached_tokens_details.audio_tokens),
            cached_image: Tokens(input.cached_tokens_details.image_tokens),
            prompt_audio: Tokens(input.audio_tokens),
            prompt_image: Tokens(input.image_tokens),
            completion: Tokens(self.output_tokens?),
            completion_audio: Tokens(output.audio_tokens),
            reasoning: Tokens(output.reasoning_tokens),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_by(model: &str) -> Session {
        let transcription = Some(Transcription::On(Some(model.to_owned())));
        Session { transcription, ..Session::default() }
    }

    #[test]
    fn what_an_event_says_is_read() {
        let usage = Usage {
            prompt: Tokens(30),
            cached: Tokens(4),
            cached_audio: Tokens(3),
            prompt_audio: Tokens(10),
            completion: Tokens(7),
            completion_audio: Tokens(5),
            ..Usage::default()
        };
        for (event, said) in [
            (
                r#"{"event_id":"e","type":"response.created","response":{"usage":null}}"#,
                Event::Begun,
            ),
            (r#"{"type":"response.output_text.delta","delta":"\u00e9a"}"#, Event::Text(3)),
            (r#"{"type":"response.audio_transcript.delta","delta":"ab"}"#, Event::Text(2)),
            (r#"{"type":"response.output_audio.delta","delta":"AAAA"}"#, Event::Other),
            (
                r#"{"type":"response.done","response":{"usage":{"total_tokens":37,"input_tokens":30,
                    "output_tokens":7,"input_token_details":{"text_tokens":20,"audio_tokens":10,
                    "cached_tokens":4,"cached_tokens_details":{"text_tokens":1,"audio_tokens":3}},
                    "output_token_details":{"text_tokens":2,"audio_tokens":5}}}}"#,
                Event::Done(Some(usage)),
            ),
            (r#"{"type":"response.done","response":{"status":"failed"}}"#, Event::Done(None)),
            (r#"{"type":"error"}"#, Event::Refused),
            (r#"{"type":"session.updated"}"#, Event::Session(Session::default())),
            (
                r#"{"type":"session.updated","session":{"max_response_output_tokens":"inf"}}"#,
                Event::Session(Session::default()),
            ),
            (
                r#"{"type":"session.updated","session":{"max_output_tokens":9,"tools":[]}}"#,
                Event::Session(Session {
                    longest: Longest::Tokens(Tokens(9)),
                    ..Session::default()
                }),
            ),
            (
                r#"{"type":"transcription_session.created",
                    "session":{"input_audio_transcription":{"model":"w"}}}"#,
                Event::Session(written_by("w")),
            ),
            (r#"{"type":"input_audio_buffer.committed"}"#, Event::Heard(Heard::Committed)),
            (r#"{"type":"conversation.item.added"}"#, Event::Other),
            ("nonsense", Event::Other),
        ] {
            assert_eq!(read_event(event.as_bytes()), said, "{event}");
        }
    }

    #[test]
    fn a_client_asks_in_whatever_way_json_is_written() {
        for (event, asked) in [
            (r#"{"type":"response.create"}"#, Asked::Answer(None)),
            (r#"{"response":{"type":"x"}, "type" : "response\u002ecreate"}"#, Asked::Answer(None)),
            (r#"{"type":"response.create","response":{},"response":7}"#, Asked::Answer(None)),
            (
                r#"{"type":"response.create","response":{"max_output_tokens":5}}"#,
                Asked::Answer(Some(Longest::Tokens(Tokens(5)))),
            ),
            (
                r#"{"type":"response.create","response":{"max_response_output_tokens":"inf"}}"#,
                Asked::Answer(Some(Longest::Any)),
            ),
            (r#"{"type":"response.cancel","event_id":"response.create"}"#, Asked::Other),
            (r#"{"type":["response.create"]}"#, Asked::Other),
            ("response.create", Asked::Other),
            (
                r#"{"type":"session\u002eupdate","session":{"audio":{"input":
                    {"transcription":{"mod\u0065l":"w"}}}}}"#,
                Asked::Session(written_by("w")),
            ),
            (
                r#"{"type":"transcription_session.update","session":
                    {"input_audio_transcription":{"model":"w"}}}"#,
                Asked::Session(written_by("w")),
            ),
            (r#"{"type":"session.update"}"#, Asked::Session(Session::default())),
            (r#"{"type":"input_audio_buffer.commit"}"#, Asked::Commit),
            (r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#, Asked::Sound),
        ] {
            assert_eq!(read_asked(event.as_bytes()), asked, "{event}");
        }
    }
}
