//! What events say of input transcription: which model writes down what is heard, and what it used.
//! That is a model beside the one that answers, with a price of its own.

use std::borrow::Cow;

use dunlin_types::Usage;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Bounded, Longest};
use crate::{media, usage};

/// OpenAI's rate for sound that says none.
const HERTZ: u64 = 24_000;
/// A millisecond of sound for telephones: 8,000 samples a second of one byte.
const TELEPHONE: u64 = 8;
/// Where a session says who writes down what is heard, and in which form that comes: now, and in its
/// first version.
const TRANSCRIPTION: [&str; 2] = ["/audio/input/transcription", "/input_audio_transcription"];
const FORMAT: [&str; 2] = ["/audio/input/format", "/input_audio_format"];

/// What a session says of its answers and of what it hears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// How long its answers may be, unless more is said when one is asked for.
    pub longest: Longest,
    /// Who writes down what it hears, if that is said.
    pub transcription: Option<Transcription>,
    /// The bytes of a millisecond of its sound.
    pub bytes_a_milli: Option<u64>,
}

/// Who writes down what is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transcription {
    /// Nobody.
    Off,
    /// A model, by its provider's name, if it is named.
    On(Option<String>),
}

/// What becomes of what is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody began to speak at that millisecond.
    Began(u64),
    /// And stopped.
    Stopped(u64),
    /// It is a turn of the conversation, and is written down.
    Committed,
    /// It has been.
    Written(Transcript),
    /// It cannot be, for that reason.
    Unwritten(String),
}

/// What was written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The tokens, if they are told.
    pub usage: Option<Usage>,
    /// Milliseconds of what was heard, if these are; else 0.
    pub millis: u64,
    /// Bytes of its text.
    pub text_bytes: u64,
}

impl Session {
    /// What `session` says.
    #[must_use]
    pub fn of(session: &Value) -> Self {
        let said = |places: [&str; 2]| places.iter().find_map(|place| session.pointer(place));
        let bounded = Bounded::deserialize(session).ok();
        Self {
            longest: bounded.and_then(Bounded::longest).unwrap_or_default(),
            transcription: said(TRANSCRIPTION).map(|said| {
                let model = said["model"].as_str().map(str::to_owned);
                if said.is_null() { Transcription::Off } else { Transcription::On(model) }
            }),
            bytes_a_milli: said(FORMAT).and_then(bytes_a_milli),
        }
    }

    /// What the session in an event says.
    pub(super) fn read(event: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(event).unwrap_or_default();
        Self::of(&event["session"])
    }
}

/// Such as `{"type": "audio/pcm", "rate": 24000}`, or `pcm16`; others are for telephones.
fn bytes_a_milli(format: &Value) -> Option<u64> {
    let name = format["type"].as_str().or(format.as_str())?;
    let rate = format["rate"].as_u64().unwrap_or(HERTZ);
    let is_pcm = name.ends_with("/pcm") || name == "pcm16";
    Some(if is_pcm { (rate / 1000 * 2).max(1) } else { TELEPHONE })
}

#[derive(Deserialize)]
struct Spoken {
    audio_start_ms: Option<u64>,
    audio_end_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Completed<'a> {
    #[serde(borrow)]
    transcript: Option<Cow<'a, str>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Duration {
    seconds: Option<f64>,
}

impl Heard {
    /// What an event of that kind says; `None` for one of another.
    pub(super) fn read(kind: &str, event: &[u8]) -> Option<Self> {
        let (of_buffer, of_text) = (
            kind.strip_prefix("input_audio_buffer."),
            kind.strip_prefix("conversation.item.input_audio_transcription."),
        );
        match (of_buffer, of_text) {
            (Some("committed"), _) => Some(Self::Committed),
            (Some("speech_started" | "speech_stopped"), _) => {
                let spoken: Spoken = serde_json::from_slice(event).ok()?;
                let began = spoken.audio_start_ms.map(Self::Began);
                began.or(spoken.audio_end_ms.map(Self::Stopped))
            }
            (_, Some("completed")) => Some(Self::Written(Transcript::read(event))),
            (_, Some("failed")) => {
                let event: Value = serde_json::from_slice(event).unwrap_or_default();
                let why = event["error"]["message"].as_str().unwrap_or("it was not transcribed");
                Some(Self::Unwritten(why.to_owned()))
            }
            _ => None,
        }
    }
}

impl Transcript {
    fn read(event: &[u8]) -> Self {
        let Ok(Completed { transcript, usage }) = serde_json::from_slice(event) else {
            return Self::default();
        };
        let counted = usage.map(RawValue::get).unwrap_or_default();
        let lasted = serde_json::from_str::<Duration>(counted).ok();
        let seconds = lasted.and_then(|lasted| lasted.seconds).unwrap_or_default();
        Self {
            usage: usage::read(counted),
            millis: media::whole(seconds * 1000.0),
            text_bytes: transcript.map_or(0, |text| text.len() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::Tokens;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_says_who_writes_down_what_it_hears_in_either_version() {
        let on = |model: &str| Some(Transcription::On(Some(model.to_owned())));
        for (session, transcription, bytes_a_milli) in [
            (json!({"audio": {"input": {"transcription": {"model": "w"}}}}), on("w"), None),
            (json!({"input_audio_transcription": {"model": "w"}}), on("w"), None),
            (
                json!({"audio": {"input": {"transcription": {"language": "en"}}}}),
                Some(Transcription::On(None)),
                None,
            ),
            (json!({"audio": {"input": {"transcription": null}}}), Some(Transcription::Off), None),
            (json!({"voice": "x"}), None, None),
            (json!({"audio": {"input": {"format": {"type": "audio/pcm"}}}}), None, Some(48)),
            (
                json!({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}),
                None,
                Some(32),
            ),
            (json!({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}), None, Some(8)),
            (json!({"input_audio_format": "g711_ulaw"}), None, Some(8)),
            (json!({"input_audio_format": "pcm16"}), None, Some(48)),
            (json!(7), None, None),
        ] {
            let expected = Session { transcription, bytes_a_milli, ..Session::default() };
            assert_eq!(Session::of(&session), expected, "{session}");
            let event = json!({"type": "session.updated", "session": session}).to_string();
            assert_eq!(Session::read(event.as_bytes()), expected, "{event}");
        }
    }

    #[test]
    fn what_becomes_of_what_is_heard_is_read() {
        let written = |usage, millis, text_bytes| {
            Some(Heard::Written(Transcript { usage, millis, text_bytes }))
        };
        let usage = Usage {
            prompt: Tokens(50),
            prompt_audio: Tokens(40),
            completion: Tokens(9),
            ..Usage::default()
        };
        let of_text = "conversation.item.input_audio_transcription";
        for (kind, rest, expected) in [
            ("input_audio_buffer.committed", "", Some(Heard::Committed)),
            ("input_audio_buffer.cleared", "", None),
            (
                "input_audio_buffer.speech_started",
                r#","audio_start_ms":900"#,
                Some(Heard::Began(900)),
            ),
            (
                "input_audio_buffer.speech_stopped",
                r#","audio_end_ms":2100"#,
                Some(Heard::Stopped(2100)),
            ),
            (
                &format!("{of_text}.completed"),
                r#","transcript":"hey","usage":{"type":"tokens","total_tokens":59,
                    "input_tokens":50,"input_token_details":{"text_tokens":10,"audio_tokens":40},
                    "output_tokens":9}"#,
                written(Some(usage), 0, 3),
            ),
            (
                &format!("{of_text}.completed"),
                r#","transcript":"hey","usage":{"type":"duration","seconds":2.5}"#,
                written(None, 2500, 3),
            ),
            (&format!("{of_text}.completed"), r#","transcript":"hey""#, written(None, 0, 3)),
            (&format!("{of_text}.completed"), r#","usage":null"#, written(None, 0, 0)),
            (&format!("{of_text}.delta"), r#","delta":"he""#, None),
            (
                &format!("{of_text}.failed"),
                r#","error":{"code":"audio_unintelligible","message":"no words"}"#,
                Some(Heard::Unwritten("no words".to_owned())),
            ),
            ("response.created", "", None),
        ] {
            let event = format!(r#"{{"type":"{kind}"{rest}}}"#);
            assert_eq!(Heard::read(kind, event.as_bytes()), expected, "{event}");
        }
    }
}
