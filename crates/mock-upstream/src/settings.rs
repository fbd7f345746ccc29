//! What a mock upstream is like, and what can go wrong with it.

use std::time::Duration;

/// How a healthy mock answers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The models it has; any other is a 404. `None`: every name is a model.
    pub models: Option<Vec<String>>,
    /// The wait before the first byte of an answer.
    pub first_byte: Duration,
    /// How fast an answer is written. `None`: at once. A whole answer takes as long as a stream.
    pub tokens_per_second: Option<f64>,
    /// The length of an answer in tokens, unless `max_tokens` is less.
    pub tokens: u32,
    /// The wait before the first byte varies by this share of itself, from 0 to 1.
    pub jitter: f64,
    /// Decides how waits vary: the same seed and order of requests, the same waits.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            models: None,
            first_byte: Duration::ZERO,
            tokens_per_second: None,
            tokens: 16,
            jitter: 0.0,
            seed: 0,
        }
    }
}

/// What is wrong with the mock, from one moment to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The process is gone: connections break, new ones are refused.
    Refuse,
    /// Answers with an error.
    Status {
        /// The status.
        code: u16,
        /// The `retry-after` header, in seconds.
        retry_after: Option<u64>,
    },
    /// Takes requests, health checks too, and never answers.
    Hang,
    /// Resets the connection after this many chunks of a stream, or half-way through a whole answer.
    /// The client may not get to see all that was sent before.
    ResetMidStream(u32),
    /// Ends a stream after this many chunks as if it were whole, but without `[DONE]`.
    CutMidStream(u32),
    /// Sends an error event after this many chunks of a stream.
    ErrorMidStream(u32),
    /// 503 on all routes: the model is being loaded.
    Loading,
    /// Answers without usage, even where it is asked for.
    MissingUsage,
    /// 404: the model has another name.
    WrongName,
    /// This much more before the first byte.
    SlowFirstToken(Duration),
    /// A 200 whose JSON breaks off in the middle.
    TruncatedJson,
    /// An answer with this many bytes of text.
    HugeReply(usize),
}
