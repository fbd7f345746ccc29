//! `/v1/audio/transcriptions`, `/v1/audio/translations` and `/v1/audio/speech`.

use std::sync::Arc;

use axum::Router;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use super::{KEYS, error_frame, refuse, with_usage};
use crate::answer::{Answer, Part};
use crate::ask::{Ask, Last};
use crate::dialects::post;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::form;
use crate::record::Recorded;
use crate::script::{Framing, Script, event};

/// The head of a frame of MPEG audio of 128 kbit/s and 44.1 kHz, and how long such a frame is.
const MP3_FRAME: ([u8; 4], usize) = ([0xff, 0xfb, 0x90, 0x64], 417);
/// Samples per second of a wave, of two bytes each.
const RATE: u32 = 24_000;
/// The bytes of a tenth of a second.
const TENTH: u32 = RATE * 2 / 10;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/audio/transcriptions", post(Transcribe))
        .route("/v1/audio/translations", post(Transcribe))
        .route("/v1/audio/speech", post(Speak))
}

#[derive(Clone, Copy)]
struct Transcribe;

impl Route for Transcribe {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = form::read(request, "file")?;
        if ask.model.is_empty() {
            return Err(Failure::missing("model"));
        }
        if ask.file.is_empty() {
            return Err(Failure::parameter("file", "The audio file is empty."));
        }
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let text = answer.text();
        if ask.stream {
            return Reply::Stream(script(answer));
        }
        match ask.body["response_format"].as_str() {
            Some("text") => Reply::Bytes("text/plain; charset=utf-8", format!("{text}\n").into()),
            Some("srt") => Reply::Bytes(
                "text/plain; charset=utf-8",
                format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n").into(),
            ),
            Some("vtt") => Reply::Bytes(
                "text/plain; charset=utf-8",
                format!("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n").into(),
            ),
            Some("verbose_json") => Reply::Said(json!({"task": "transcribe",
                "language": "english", "duration": 1.0, "text": text,
                "segments": [{"id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": text,
                    "tokens": [1], "temperature": 0.0, "avg_logprob": -0.25,
                    "compression_ratio": 1.0, "no_speech_prob": 0.0}],
                "usage": {"type": "duration", "seconds": 1}})),
            _ => {
                let usage = answer.usage.map(|usage| {
                    json!({"type": "tokens", "input_tokens": usage.prompt,
                        "output_tokens": usage.completion,
                        "total_tokens": usage.prompt + usage.completion,
                        "input_token_details": {"text_tokens": 0, "audio_tokens": usage.prompt}})
                });
                Reply::Said(with_usage(json!({"text": text}), usage))
            }
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

fn script(answer: &Answer) -> Script {
    let mut script = Script::new(Framing::Events, error_frame());
    for part in &answer.parts {
        if let Part::Text(text) = part {
            script.say(text, |token| {
                event(&json!({"type": "transcript.text.delta", "delta": token}))
            });
        }
    }
    script.note(event(&json!({"type": "transcript.text.done", "text": answer.text()})));
    script
}

#[derive(Clone, Copy)]
struct Speak;

impl Route for Speak {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = Ask::of_model(&request.body)?;
        for needed in ["input", "voice"] {
            if ask.body[needed].is_null() {
                return Err(Failure::missing(needed));
            }
        }
        let last = Last::User(ask.body["input"].as_str().unwrap_or_default().to_owned());
        Ok(Ask { last, ..ask })
    }

    /// Silence.
    fn reply(&self, _: &Mock, ask: &Ask, _: &Answer) -> Reply {
        match ask.body["response_format"].as_str() {
            Some("wav") => Reply::Bytes("audio/wav", wave()),
            Some("pcm") => Reply::Bytes("audio/pcm", vec![0; TENTH as usize].into()),
            _ => {
                let (head, length) = MP3_FRAME;
                let mut frame = head.to_vec();
                frame.resize(length, 0);
                Reply::Bytes("audio/mpeg", frame.into())
            }
        }
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

fn wave() -> Bytes {
    let mut wave = BytesMut::new();
    wave.put_slice(b"RIFF");
    wave.put_u32_le(36 + TENTH);
    wave.put_slice(b"WAVEfmt ");
    wave.put_u32_le(16);
    // Plain samples, one channel.
    wave.put_u16_le(1);
    wave.put_u16_le(1);
    wave.put_u32_le(RATE);
    wave.put_u32_le(RATE * 2);
    wave.put_u16_le(2);
    wave.put_u16_le(16);
    wave.put_slice(b"data");
    wave.put_u32_le(TENTH);
    wave.put_bytes(0, TENTH as usize);
    wave.freeze()
}
