//! The most that may be counted for what a request asks of pictures and sounds, before it is sent: by
//! the sizes, qualities and numbers that it names, and by the lengths of its files.

use dunlin_types::Tokens;

use super::{Picture, SQUARE};
use crate::endpoint::Endpoint;
use crate::request::ChatRequest;
use crate::sound;

/// Tokens of a square of 1024 that OpenAI makes, by its quality; the dearest where that is the model's
/// choice. Others count fewer.
const TOKENS_A_SQUARE: [(&str, u64); 2] = [("low", 272), ("medium", 1_056)];
const MOST_A_SQUARE: u64 = 4_160;
/// The largest picture where its size is the model's choice, in pixels.
const LARGEST: u64 = 1_536 * 1_024;
/// A picture that is sent, looked at as closely as can be.
const TOKENS_A_PICTURE_SENT: u64 = 8_192;
/// Sound is heard in no more than 50 tokens a second.
const MILLIS_A_TOKEN_HEARD: u64 = 20;
/// Nobody says more than 25 tokens a second.
const MILLIS_A_TOKEN_SAID: u64 = 40;
/// What an answer in JSON has around what was said.
const TOKENS_AROUND: u64 = 64;
/// A character is spoken within a second, and there may be pauses of half a minute in all.
const MILLIS_A_CHARACTER: u64 = 1_000;
const PAUSES_MS: u64 = 30_000;

/// The most that may be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MostMedia {
    /// Tokens of the pictures or the sound that is sent.
    pub sent: Tokens,
    /// Tokens of the pictures that are made, or of what was heard.
    pub made: Tokens,
    /// Milliseconds of the sound that is sent.
    pub millis_sent: u64,
    /// Milliseconds of the sound that is made.
    pub millis_made: u64,
}

impl MostMedia {
    /// Of a request; nothing for one that asks for neither.
    #[must_use]
    pub fn of(request: &ChatRequest) -> Self {
        match request.endpoint() {
            Endpoint::ImageEdits | Endpoint::ImageGenerations => {
                let one = Picture::asked(request).map_or(0, |picture| picture.most_tokens());
                let sent = request.files().saturating_mul(TOKENS_A_PICTURE_SENT);
                let made = one.saturating_mul(request.answers());
                Self { sent: Tokens(sent), made: Tokens(made), ..Self::default() }
            }
            Endpoint::Transcriptions | Endpoint::Translations => {
                let file = request.file().unwrap_or_default();
                let millis_sent = sound::most_millis(file, file.len() as u64);
                let made = (millis_sent / MILLIS_A_TOKEN_SAID).saturating_add(TOKENS_AROUND);
                let sent = Tokens(millis_sent.div_ceil(MILLIS_A_TOKEN_HEARD));
                Self { sent, made: Tokens(made), millis_sent, millis_made: 0 }
            }
            Endpoint::Speech => {
                let spoken = request.prompt_characters().saturating_mul(MILLIS_A_CHARACTER);
                Self { millis_made: spoken.saturating_add(PAUSES_MS), ..Self::default() }
            }
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::GenerateContent
            | Endpoint::Messages
            | Endpoint::Moderations
            | Endpoint::Rerank
            | Endpoint::Responses
            | Endpoint::StreamGenerateContent => Self::default(),
        }
    }
}

impl Picture {
    /// The tokens of one of them at most.
    pub(crate) fn most_tokens(&self) -> u64 {
        let known = TOKENS_A_SQUARE.iter().find(|(name, _)| self.quality.as_deref() == Some(*name));
        let a_square = known.map_or(MOST_A_SQUARE, |(_, tokens)| *tokens);
        let pixels = if self.is_sized { self.width * self.height } else { LARGEST };
        let (width, height) = SQUARE;
        // The model may make it larger than it was asked for, never smaller than it counts.
        a_square.saturating_mul(pixels.max(width * height)).div_ceil(width * height)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{parse, parse_upload};

    #[test]
    fn pictures_are_bounded_by_their_number_size_and_quality() {
        let made = |more: &str| {
            let body = format!(r#"{{"model":"m","prompt":"x"{more}}}"#);
            let request = parse(Endpoint::ImageGenerations, Bytes::from(body), None);
            MostMedia::of(&request.expect("a request")).made.0
        };
        for (more, tokens) in [
            // As many as OpenAI says that there are.
            (r#","size":"1024x1024","quality":"high""#, 4_160),
            (r#","size":"1024x1536","quality":"high""#, 6_240),
            (r#","size":"1536x1024","quality":"medium""#, 1_584),
            (r#","size":"1024x1536","quality":"low""#, 408),
            (r#","size":"1024x1024","quality":"low","n":3"#, 3 * 272),
            // The model chooses.
            ("", 6_240),
            (r#","size":"auto","quality":"auto""#, 6_240),
            (r#","size":"256x256","quality":"standard""#, 4_160),
        ] {
            assert_eq!(made(more), tokens, "{more}");
        }
    }

    #[test]
    fn files_are_bounded_by_their_number_and_length() {
        let part = |name: &str, content: &str| {
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{content}\r\n")
        };
        let form = |file: &str, count: usize| {
            let files = part(file, "; filename=\"a\"\r\n\r\nxxxxx").repeat(count);
            let fields = [part("model", "\r\n\r\nm"), part("prompt", "\r\n\r\nx"), files];
            Bytes::from(format!("{}--XX--\r\n", fields.concat()))
        };
        let of = |endpoint, form| {
            let kind = "multipart/form-data; boundary=XX";
            MostMedia::of(&parse_upload(endpoint, form, kind, None).expect("a form"))
        };
        let edit = of(Endpoint::ImageEdits, form("image[]", 2));
        assert_eq!((edit.sent, edit.made), (Tokens(2 * TOKENS_A_PICTURE_SENT), Tokens(6_240)));
        // Five bytes of nobody knows what are no more than a tenth of a second.
        let heard = of(Endpoint::Transcriptions, form("file", 1));
        assert_eq!((heard.millis_sent, heard.sent, heard.made), (100, Tokens(5), Tokens(66)));
        let body = Bytes::from_static(br#"{"model":"m","input":"hi","voice":"a"}"#);
        let spoken = MostMedia::of(&parse(Endpoint::Speech, body, None).expect("a request"));
        assert_eq!(spoken, MostMedia { millis_made: 32_000, ..MostMedia::default() });
    }
}
