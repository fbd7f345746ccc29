//! The bytes of answers, in the three shapes of OpenAI's endpoints. Written by hand: under load the
//! mock must cost little next to what is measured.

use bytes::Bytes;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completion,
    Embedding,
}

/// What an answer says.
pub(crate) struct Writer<'a> {
    pub(crate) kind: Kind,
    /// The answer's id.
    pub(crate) id: String,
    pub(crate) model: &'a str,
    pub(crate) prompt_tokens: u64,
    pub(crate) tokens: u32,
    /// Bytes of text to say besides the tokens.
    pub(crate) filler: usize,
}

const TOKEN: &str = "tok ";

impl Writer<'_> {
    /// A whole answer.
    pub(crate) fn whole(&self, usage: bool) -> String {
        let text = TOKEN.repeat(self.tokens as usize) + &"x".repeat(self.filler);
        let (object, content) = match self.kind {
            Kind::Chat => (
                "chat.completion",
                format!(
                    r#""choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]"#
                ),
            ),
            Kind::Completion => (
                "text_completion",
                format!(r#""choices":[{{"index":0,"text":"{text}","finish_reason":"stop"}}]"#),
            ),
            Kind::Embedding => (
                "list",
                r#""data":[{"object":"embedding","index":0,"embedding":[0.25,-0.5,0.125]}]"#.into(),
            ),
        };
        self.object(object, &content, usage)
    }

    /// The frame of one token, the same for all tokens.
    pub(crate) fn token_frame(&self) -> Bytes {
        let text = TOKEN.to_owned() + &"x".repeat(self.filler / self.tokens.max(1) as usize);
        Bytes::from(self.frame(&text, "null"))
    }

    /// The frames after the last token: the finish, the usage if it is wanted, and the end.
    pub(crate) fn ending(&self, usage: bool) -> Bytes {
        let mut frames = self.frame("", r#""stop""#);
        if usage {
            let chunk = self.object(self.chunk(), r#""choices":[]"#, true);
            frames.push_str(&format!("data: {chunk}\n\n"));
        }
        frames.push_str("data: [DONE]\n\n");
        Bytes::from(frames)
    }

    fn frame(&self, text: &str, finish: &str) -> String {
        let said = match self.kind {
            Kind::Completion => format!(r#""text":"{text}""#),
            Kind::Chat | Kind::Embedding => format!(r#""delta":{{"content":"{text}"}}"#),
        };
        let choices = format!(r#""choices":[{{"index":0,{said},"finish_reason":{finish}}}]"#);
        format!("data: {}\n\n", self.object(self.chunk(), &choices, false))
    }

    fn chunk(&self) -> &'static str {
        match self.kind {
            Kind::Completion => "text_completion",
            Kind::Chat | Kind::Embedding => "chat.completion.chunk",
        }
    }

    fn object(&self, object: &str, content: &str, usage: bool) -> String {
        let model = serde_json::to_string(self.model).expect("a str is always JSON");
        let usage = if usage { self.usage() } else { String::new() };
        let id = &self.id;
        format!(
            r#"{{"id":"{id}","object":"{object}","created":1700000000,"model":{model},{content}{usage}}}"#
        )
    }

    fn usage(&self) -> String {
        let completion = match self.kind {
            Kind::Embedding => 0,
            Kind::Chat | Kind::Completion => u64::from(self.tokens),
        };
        let (prompt, total) = (self.prompt_tokens, self.prompt_tokens + completion);
        format!(
            r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#
        )
    }
}
