//! A streamed answer, event by event, each with the bytes it came in.

use bytes::Bytes;
use dunlin_types::Usage;

use crate::edit;
use crate::form::Delta;
use crate::json::{self, Span, cut, splice_string};
use crate::openai::UpstreamError;
use crate::sse::{self, Data};
use crate::tier::Tier;

/// One thing a provider's stream said. A stream's pieces are either all chunks, where the client
/// speaks the provider's dialect, or all deltas.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// A piece of the answer, as it came.
    Chunk(Chunk),
    /// A piece of the answer in the common form.
    Delta(Delta),
    /// A frame without data, such as a keep-alive. Passed on as it is.
    Comment(Bytes),
    /// The answer is whole. The frame that said so, such as `data: [DONE]`; empty beside deltas.
    Done(Bytes),
    /// The provider gave up in the middle. Nothing useful follows.
    Error(UpstreamError),
    /// The same, said in an event that clients of its dialect know for an end of its own.
    Failed(UpstreamError, Box<Chunk>),
}

/// Why a frame is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Its data is not UTF-8.
    #[error("a frame of the stream is not UTF-8")]
    NotUtf8,
    /// It calls nobody knows what.
    #[error("a frame of the stream calls a tool without its name")]
    Unnamed,
    /// It holds something that the client's dialect has no form for.
    #[error("the stream holds {what}, which {route} has no form for")]
    Untold {
        /// What it is.
        what: &'static str,
        /// What the client asked.
        route: &'static str,
    },
    /// Its data is neither `[DONE]` nor a JSON object.
    #[error("a frame of the stream is not a chunk: {reason}")]
    NotAChunk {
        /// The parser's words.
        reason: String,
    },
}

impl From<serde_json::Error> for BadFrame {
    fn from(error: serde_json::Error) -> Self {
        Self::NotAChunk { reason: json::why(&error) }
    }
}

/// A piece of a streamed answer: one whole frame, line ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub(crate) frame: Bytes,
    pub(crate) model: Option<Span>,
    pub(crate) id: Option<Span>,
    pub(crate) usage: Option<Usage>,
    /// The member to cut for a client that did not ask for usage: providers that are asked by the
    /// gateway put one, if only a null, into every chunk.
    pub(crate) usage_at: Option<Span>,
    /// It has a usage, whatever that says.
    pub(crate) tells_usage: bool,
    pub(crate) has_choices: bool,
    pub(crate) text_bytes: u64,
    /// How many of the choices end here.
    pub(crate) ended: u64,
    pub(crate) tier: Option<Tier>,
}

impl Chunk {
    /// The frame for the client, under the name it knows the model by. `None`: the frame carries
    /// only usage, and the client did not ask for it.
    #[must_use]
    pub fn write(&self, model: &str, wants_usage: bool) -> Option<Bytes> {
        if self.tells_usage && !self.has_choices && !wants_usage {
            return None;
        }
        let unasked = self.usage_at.filter(|_| !wants_usage);
        let named = |frame: &Bytes| match self.model {
            Some(at) => splice_string(frame, at, model),
            None => frame.clone(),
        };
        Some(match (unasked, self.model) {
            (None, _) => named(&self.frame),
            // The later place is changed first, so that the earlier one still lies where it did.
            (Some(usage), Some(model)) if model.start > usage.start => {
                cut(&named(&self.frame), usage)
            }
            (Some(usage), _) => named(&cut(&self.frame, usage)),
        })
    }

    /// The frame's data: one JSON object.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        let Data::Line(span) = sse::data(&self.frame) else {
            unreachable!("a chunk was read from one line of data")
        };
        &self.frame[span.range()]
    }

    /// The answer's id, the same in all its chunks.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.and_then(|span| std::str::from_utf8(&self.frame[span.range()]).ok())
    }

    /// When the provider says that it began, in seconds: OpenAI's chunks all do. Reads the frame again.
    #[must_use]
    pub fn created(&self) -> Option<u64> {
        edit::member(self.data(), "created")?.parse().ok()
    }

    /// What the whole answer used, as far as the provider says so in this chunk.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage.clone()
    }

    /// Whether the chunk has a usage, even one that counts nothing.
    #[must_use]
    pub fn tells_usage(&self) -> bool {
        self.tells_usage
    }

    /// The service tier that the answer is served in, if the provider says so in this chunk.
    #[must_use]
    pub fn service_tier(&self) -> Option<Tier> {
        self.tier
    }

    /// False for a frame that has no choices in it, such as the usage frame.
    #[must_use]
    pub fn has_choices(&self) -> bool {
        self.has_choices
    }

    /// How many answers end here: of an OpenAI chat those that say why.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// Bytes of output text, unescaped: content, reasoning and tool calls. For
    /// [`tokens_in`](crate::tokens_in) when no usage comes.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }
}
