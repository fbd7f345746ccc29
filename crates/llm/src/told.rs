//! What the gateway has counted itself, put into an answer whose provider does not say what it used.

use bytes::Bytes;
use dunlin_types::Usage;
use memchr::memmem;

use crate::endpoint::{Dialect, Endpoint, Stamp};
use crate::sse::{self, Data};
use crate::usage::usage_json;
use crate::{anthropic, edit, gemini, openai, responses};

impl Dialect {
    /// The member of an answer that tells its usage, and its JSON text.
    fn usage_member(self, usage: &Usage) -> (&'static str, String) {
        match self {
            Self::Anthropic => ("usage", anthropic::usage_json(usage).to_string()),
            Self::Gemini => ("usageMetadata", gemini::usage_json(usage).to_string()),
            Self::OpenAi => ("usage", usage_json(usage).to_string()),
            Self::Responses => ("usage", responses::usage_json(usage).to_string()),
        }
    }

    /// The body of a whole answer, telling this.
    pub(crate) fn told_in_body(self, body: Bytes, usage: &Usage) -> Bytes {
        let (name, json) = self.usage_member(usage);
        edit::with(body, name, &json)
    }
}

impl Endpoint {
    /// The frame in which a stream's answer ends, telling this. In OpenAI's chats that is a frame of
    /// its own: see [`Endpoint::usage_frame`].
    #[must_use]
    pub fn told_in_frame(self, frame: Bytes, usage: &Usage) -> Bytes {
        let dialect = self.dialect();
        let Data::Line(span) = sse::data(&frame) else { return frame };
        let data = frame.slice(span.range());
        let data = match dialect {
            Dialect::OpenAi => return frame,
            Dialect::Anthropic | Dialect::Gemini => dialect.told_in_body(data, usage),
            Dialect::Responses => {
                let Some(response) = edit::member(&data, "response") else { return frame };
                let response = Bytes::copy_from_slice(response.as_bytes());
                let told = dialect.told_in_body(response, usage);
                let told = std::str::from_utf8(&told).expect("text put into text").to_owned();
                edit::with(data, "response", &told)
            }
        };
        Bytes::from([&frame[..span.start], &data, &frame[span.end..]].concat())
    }

    /// A usage frame of OpenAI's, which has no choices: with an empty one, as LiteLLM has it, for
    /// clients that look at the first choice of every frame.
    #[must_use]
    pub fn with_empty_choice(self, frame: Bytes) -> Bytes {
        const NAME: &[u8] = br#""choices":"#;
        let choice = if self == Self::ChatCompletions {
            &br#"[{"index":0,"delta":{}}]"#[..]
        } else if self == Self::Completions {
            br#"[{"index":0,"text":"","logprobs":null,"finish_reason":null}]"#
        } else {
            return frame;
        };
        let Some(at) = memmem::find(&frame, NAME).map(|at| at + NAME.len()) else { return frame };
        let value = frame[at..].trim_ascii_start();
        let Some(rest) = value.strip_prefix(b"[").map(<[u8]>::trim_ascii_start) else {
            return frame;
        };
        let Some(rest) = rest.strip_prefix(b"]") else { return frame };
        Bytes::from([&frame[..at], choice, rest].concat())
    }

    /// The frame that comes before the end of a stream of OpenAI's whose client asked for it; `id` is
    /// what the stream's other frames have. `None`: in this dialect another frame tells it.
    #[must_use]
    pub fn usage_frame(self, stamp: Stamp<'_>, id: Option<&str>, usage: &Usage) -> Option<Bytes> {
        let is_openais = matches!(self, Self::ChatCompletions | Self::Completions);
        is_openais.then(|| openai::usage_frame(self, stamp, id, usage))
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::Tokens;
    use serde_json::{Value, json};

    use super::*;

    fn usage() -> Usage {
        Usage { prompt: Tokens(9), completion: Tokens(3), ..Usage::default() }
    }

    fn told(endpoint: Endpoint, frame: &'static str) -> (String, Value) {
        let frame = endpoint.told_in_frame(Bytes::from_static(frame.as_bytes()), &usage());
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let (head, data) = text.split_once("data: ").unwrap();
        (head.to_owned(), serde_json::from_str(data).unwrap())
    }

    #[test]
    fn the_last_frame_of_each_dialect_tells_what_was_counted_here() {
        let (head, last) = told(
            Endpoint::Messages,
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":null}\n\n",
        );
        assert_eq!(head, "event: message_delta\n");
        assert_eq!(
            (&last["usage"]["input_tokens"], &last["usage"]["output_tokens"]),
            (&json!(9), &json!(3))
        );
        let (_, last) = told(
            Endpoint::Responses,
            "event: response.completed\ndata: {\"response\":{\"id\":\"r\",\"usage\":null},\"type\":\"response.completed\"}\n\n",
        );
        assert_eq!(
            (&last["response"]["id"], &last["response"]["usage"]["total_tokens"]),
            (&json!("r"), &json!(12))
        );
        let (_, last) = told(
            Endpoint::StreamGenerateContent,
            "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
        );
        assert_eq!(last["usageMetadata"]["totalTokenCount"], 12);
    }

    #[test]
    fn a_usage_frame_has_a_choice() {
        let (chat, text) = (Endpoint::ChatCompletions, Endpoint::Completions);
        for (endpoint, frame, told) in [
            (
                chat,
                r#"{"choices":[],"usage":{}}"#,
                r#"{"choices":[{"index":0,"delta":{}}],"usage":{}}"#,
            ),
            (chat, r#"{"choices": [ ] }"#, r#"{"choices":[{"index":0,"delta":{}}] }"#),
            (
                text,
                r#"{"choices":[]}"#,
                r#"{"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]}"#,
            ),
            (chat, r#"{"choices":null}"#, r#"{"choices":null}"#),
            (chat, r#"{"usage":{}}"#, r#"{"usage":{}}"#),
        ] {
            assert_eq!(endpoint.with_empty_choice(Bytes::from(frame)), told, "{frame}");
        }
    }

    #[test]
    fn a_chat_of_openais_has_a_frame_for_it() {
        let stamp = Stamp { model: "m", id: "x", now: 7, request: "", turn: None };
        let chat =
            Endpoint::ChatCompletions.usage_frame(stamp, Some("chatcmpl-1"), &usage()).unwrap();
        assert_eq!(
            chat,
            "data: {\"id\":\"chatcmpl-1\",\"created\":7,\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"completion_tokens\":3,\"prompt_tokens\":9,\"total_tokens\":12}}\n\n"
        );
        let text = Endpoint::Completions.usage_frame(stamp, None, &usage()).unwrap();
        let choices = br#""choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]"#;
        assert!(memmem::find(&text, choices).is_some(), "{text:?}");
        assert_eq!(Endpoint::Messages.usage_frame(stamp, None, &usage()), None);
    }
}
