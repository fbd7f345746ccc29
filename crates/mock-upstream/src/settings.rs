//! What a mock upstream is like while it is healthy.

use std::net::Ipv4Addr;
use std::time::Duration;

/// How a healthy mock answers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address it listens on.
    pub host: Ipv4Addr,
    /// The port there; 0 takes a free one.
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
    /// The one key it takes; another is a 401. `None`: any key.
    pub key: Option<String>,
    /// The secret that Bedrock's signatures are checked against.
    pub aws_secret: String,
    /// The longest prompt it takes, in tokens. `None`: any.
    pub context: Option<u64>,
    /// How many requests it answers at a time; the others wait in line. `None`: all.
    pub slots: Option<usize>,
    /// Of how many requests it keeps account, from the first one on.
    pub accounts: usize,
    /// What sets it apart from OpenAI's own servers.
    pub habits: Vec<Habit>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST,
            port: 0,
            models: None,
            first_byte: Duration::ZERO,
            tokens_per_second: None,
            tokens: 16,
            jitter: 0.0,
            seed: 0,
            key: None,
            aws_secret: "mock-secret".to_owned(),
            context: None,
            slots: None,
            accounts: 0,
            habits: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }
}

/// A way of servers that speak OpenAI's dialect with an accent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// 400 on `stream_options`, as servers older than it do.
    NoStreamOptions,
    /// 400 on `"encoding_format": null`, as vLLM does.
    NoNullEncoding,
    /// No usage in any answer.
    NoUsage,
    /// Lines of event streams end in CR LF.
    CrLf,
    /// Errors and the words for a prompt too long as vLLM has them; an empty `/health`.
    Vllm,
    /// Errors as Hugging Face's text-generation-inference has them.
    Tgi,
    /// Errors as llama.cpp's server has them.
    LlamaCpp,
}
