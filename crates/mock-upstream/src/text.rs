//! The bytes of answers, in the three shapes of OpenAI's endpoints.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completion,
    Embedding,
}

/// What an answer says.
pub(crate) struct Writer<'a> {
    pub(crate) kind: Kind,
    pub(crate) model: &'a str,
    pub(crate) prompt_tokens: u64,
    pub(crate) tokens: u32,
    /// Bytes of text to say besides the tokens.
    pub(crate) filler: usize,
}

const TOKEN: &str = "tok ";
const ID: &str = "mock-1";

impl Writer<'_> {
    /// A whole answer.
    pub(crate) fn whole(&self, usage: bool) -> BytesMut {
        let text = TOKEN.repeat(self.tokens as usize) + &"x".repeat(self.filler);
        let content = match self.kind {
            Kind::Chat => json!([{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text}}]),
            Kind::Completion => json!([{"index": 0, "finish_reason": "stop", "text": text}]),
            Kind::Embedding => json!([{"object": "embedding", "index": 0,
                "embedding": [0.25, -0.5, 0.125]}]),
        };
        let (object, list) = match self.kind {
            Kind::Chat => ("chat.completion", "choices"),
            Kind::Completion => ("text_completion", "choices"),
            Kind::Embedding => ("list", "data"),
        };
        let mut body = json!({"id": ID, "object": object, "created": 1_700_000_000,
            "model": self.model, list: content});
        if usage {
            body["usage"] = self.usage();
        }
        BytesMut::from(body.to_string().as_bytes())
    }

    /// The frame of one token, the same for all tokens.
    pub(crate) fn token_frame(&self) -> Bytes {
        let text = TOKEN.to_owned() + &"x".repeat(self.filler / self.tokens.max(1) as usize);
        let choice = match self.kind {
            Kind::Completion => json!({"index": 0, "text": text, "finish_reason": null}),
            Kind::Chat | Kind::Embedding => {
                json!({"index": 0, "delta": {"content": text}, "finish_reason": null})
            }
        };
        self.frame(&json!([choice]), None)
    }

    /// The frames after the last token: the finish, the usage if it is wanted, and the end.
    pub(crate) fn ending(&self, usage: bool) -> Bytes {
        let finish = match self.kind {
            Kind::Completion => json!([{"index": 0, "text": "", "finish_reason": "stop"}]),
            Kind::Chat | Kind::Embedding => {
                json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])
            }
        };
        let mut frames = BytesMut::from(&self.frame(&finish, None)[..]);
        if usage {
            frames.extend_from_slice(&self.frame(&json!([]), Some(self.usage())));
        }
        frames.extend_from_slice(b"data: [DONE]\n\n");
        frames.freeze()
    }

    fn frame(&self, choices: &Value, usage: Option<Value>) -> Bytes {
        let object = match self.kind {
            Kind::Completion => "text_completion",
            Kind::Chat | Kind::Embedding => "chat.completion.chunk",
        };
        let mut chunk = json!({"id": ID, "object": object, "created": 1_700_000_000,
            "model": self.model, "choices": choices});
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    }

    fn usage(&self) -> Value {
        let completion = match self.kind {
            Kind::Embedding => 0,
            Kind::Chat | Kind::Completion => u64::from(self.tokens),
        };
        json!({"prompt_tokens": self.prompt_tokens, "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion})
    }
}
