//! What a request asks of the gateway itself, in its body or its headers. None of it goes upstream.

use std::time::Duration;

use http::HeaderMap;

use crate::fallbacks::{self, FallbackMap};
use crate::json::string;
use crate::parse::BadRequest;

/// The longest timeout a client can ask for; longer ones become this.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most retries and fallbacks a client can ask for; more become this.
const MAX_ATTEMPTS: u32 = 100;

/// The most parameters that a client can name: each is looked for in the whole body.
const MAX_NAMES: usize = 64;

/// A client's wishes. `None`: not said, so the configuration decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Attempts after the first, per group; at most 100.
    pub num_retries: Option<u32>,
    /// Bound on one attempt, from 1 ms to 24 h.
    pub timeout: Option<Duration>,
    /// Bound on the wait for a stream's first chunk, from 1 ms to 24 h.
    pub stream_timeout: Option<Duration>,
    /// How often something is heard while a stream is silent; zero for never.
    pub keepalive: Option<Duration>,
    /// Models to try, in order, instead of the configured ones.
    pub fallbacks: Option<FallbackMap>,
    /// Likewise after a prompt that is too long for a model.
    pub context_window_fallbacks: Option<FallbackMap>,
    /// Likewise after what a provider's filter stopped.
    pub content_policy_fallbacks: Option<FallbackMap>,
    /// How many groups may be tried after the first; at most 100.
    pub max_fallbacks: Option<u32>,
    /// True: no fallbacks, not even configured ones.
    pub disable_fallbacks: bool,
    /// Whether thoughts go into the content of OpenAI's chats.
    pub merges_thoughts: Option<bool>,
    /// Parameters that the provider does not have are left out.
    pub drop_params: bool,
    /// Paths of what is always left out; at most 64.
    pub additional_drop_params: Vec<String>,
    /// Parameters that are passed whatever the provider is known to have; at most 64.
    pub allowed_openai_params: Vec<String>,
}

impl Extras {
    /// No wishes, and no fallbacks whatever is configured.
    pub const ALONE: Self = Self {
        num_retries: None,
        timeout: None,
        stream_timeout: None,
        keepalive: None,
        fallbacks: None,
        context_window_fallbacks: None,
        content_policy_fallbacks: None,
        max_fallbacks: None,
        disable_fallbacks: true,
        merges_thoughts: None,
        drop_params: false,
        additional_drop_params: Vec::new(),
        allowed_openai_params: Vec::new(),
    };

    /// These, completed by what the headers say: `x-litellm-timeout`, `x-litellm-stream-timeout`
    /// and `x-litellm-num-retries`. The body wins.
    ///
    /// # Errors
    /// A header is not the number it should be.
    pub fn with_headers(&self, headers: &HeaderMap) -> Result<Self, BadRequest> {
        if !any_of_ours(headers) {
            return Ok(self.clone());
        }
        let said = Self {
            timeout: header(headers, "x-litellm-timeout", SECONDS, seconds)?,
            stream_timeout: header(headers, "x-litellm-stream-timeout", SECONDS, seconds)?,
            num_retries: header(headers, "x-litellm-num-retries", COUNT, count)?,
            keepalive: header(headers, "x-litellm-keepalive-seconds", PAUSE, pause)?,
            ..Self::default()
        };
        Ok(self.clone().bounded_like(&said))
    }

    /// The bound on the wait for an answer, or for a stream's first chunk.
    #[must_use]
    pub fn bound(&self, stream: bool) -> Option<Duration> {
        self.stream_timeout.filter(|_| stream).or(self.timeout)
    }

    /// These, with the bounds of `others` where they set none.
    #[must_use]
    pub fn bounded_like(mut self, others: &Self) -> Self {
        self.timeout = self.timeout.or(others.timeout);
        self.stream_timeout = self.stream_timeout.or(others.stream_timeout);
        self.num_retries = self.num_retries.or(others.num_retries);
        self.keepalive = self.keepalive.or(others.keepalive);
        self
    }

    /// Takes one member of the body; `null` says nothing. The error is what was expected instead.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        if value == "null" {
            return Ok(());
        }
        // LiteLLM takes numbers in quotes too.
        let text = string(value);
        let number = text.as_deref().unwrap_or(value);
        match name {
            "num_retries" => self.num_retries = Some(count(number).ok_or(COUNT)?),
            "max_fallbacks" => self.max_fallbacks = Some(count(number).ok_or(COUNT)?),
            "timeout" => self.timeout = Some(seconds(number).ok_or(SECONDS)?),
            "stream_timeout" => self.stream_timeout = Some(seconds(number).ok_or(SECONDS)?),
            "request_timeout" => {
                let timeout = seconds(number).ok_or(SECONDS)?;
                self.timeout.get_or_insert(timeout);
            }
            "keepalive_seconds" => self.keepalive = Some(pause(number).ok_or(PAUSE)?),
            "disable_fallbacks" => self.disable_fallbacks = value.parse().or(Err("a boolean"))?,
            "merge_reasoning_content_in_choices" => {
                self.merges_thoughts = Some(value.parse().or(Err("a boolean"))?);
            }
            "drop_params" => self.drop_params = value.parse().or(Err("a boolean"))?,
            "additional_drop_params" => self.additional_drop_params = names(value)?,
            "allowed_openai_params" => self.allowed_openai_params = names(value)?,
            "fallbacks" => self.fallbacks = Some(fallbacks::read(value)?),
            "context_window_fallbacks" => {
                self.context_window_fallbacks = Some(fallbacks::read(value)?);
            }
            "content_policy_fallbacks" => {
                self.content_policy_fallbacks = Some(fallbacks::read(value)?);
            }
            _ => unreachable!("`fields` sends only the names above"),
        }
        Ok(())
    }

    /// Takes fallbacks in Anthropic's form, which are ours where no provider carries them out.
    pub(crate) fn take_either(&mut self, value: &str) -> Result<(), &'static str> {
        self.fallbacks = fallbacks::read_either(value)?;
        Ok(())
    }
}

/// Whether there is any header that is meant for the gateway: most requests have none, and need not
/// be searched for each.
pub(crate) fn any_of_ours(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-litellm-"))
}

const COUNT: &str = "a whole number of 0 or more";
const PAUSE: &str = "a number of seconds of 0 or more";
const SECONDS: &str = "a positive number of seconds";

fn names(value: &str) -> Result<Vec<String>, &'static str> {
    let names: Option<Vec<String>> = serde_json::from_str(value).ok();
    names.filter(|names| names.len() <= MAX_NAMES).ok_or("a list of at most 64 names")
}

fn count(text: &str) -> Option<u32> {
    text.trim().parse::<u32>().ok().map(|count| count.min(MAX_ATTEMPTS))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    if seconds > 0.0 && seconds.is_finite() {
        let bounded = seconds.clamp(0.001, MAX_TIMEOUT.as_secs_f64());
        Some(Duration::from_secs_f64(bounded))
    } else {
        None
    }
}

fn pause(text: &str) -> Option<Duration> {
    let is_none = text.trim().parse::<f64>().is_ok_and(|seconds| seconds == 0.0);
    if is_none { Some(Duration::ZERO) } else { seconds(text) }
}

fn header<T>(
    headers: &HeaderMap,
    name: &'static str,
    expected: &'static str,
    read: fn(&str) -> Option<T>,
) -> Result<Option<T>, BadRequest> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let read = value.to_str().ok().and_then(read);
    read.map(Some).ok_or(BadRequest::BadHeader { name, expected })
}
