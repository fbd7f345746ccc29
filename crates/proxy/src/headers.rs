//! The response headers that LiteLLM's users read, and the responses themselves.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use dunlin_admission::{LimitStatus, Rank};
use dunlin_llm::Dialect;
use dunlin_router::Deployment;
use dunlin_types::{NanoUsd, UnixMillis};

use crate::attempts::{Answered, GroupFailed};
use crate::bill::Settled;
use crate::caller::Caller;
use crate::chat::Call;
use crate::framing::Framing;
use crate::{Proxy, limits, names, prefixed};

/// As many headers as an answer usually has, and a few.
const USUAL: usize = 48;
/// Longer ids of the client's are replaced by one of ours.
const MAX_CALL_ID: usize = 256;
/// The provider's own limits, which carry no scope in their names.
const PROVIDER_LIMITS: [&str; 6] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// The client's own id for this call.
pub(crate) fn client_call_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(names::CALL_ID)?.to_str().ok()?;
    (!id.is_empty() && id.len() <= MAX_CALL_ID).then(|| id.to_owned())
}

/// What a client is told beside the answer, as it becomes known.
///
/// Also how long the upstreams took.
#[derive(Clone)]
pub(crate) struct Told(HeaderMap, Duration);

impl Told {
    /// The limits of everyone the request spends for, and what is left of them.
    pub(crate) fn of_admission(call: &Call, caller: &Caller, limits: &[LimitStatus]) -> Self {
        let mut told = Self(HeaderMap::with_capacity(USUAL), Duration::ZERO);
        if let Some(caller) = caller.key() {
            key_limits(&mut told.0, caller);
        }
        limits::tell(&mut told.0, limits, call.endpoint.dialect(), call.started);
        told
    }

    /// How the answer was come by.
    pub(crate) fn attempts(mut self, answered: &Answered) -> Self {
        let Answered { group, retries, max_retries, fallbacks, upstream, .. } = answered;
        if *retries > 0 {
            self.number(names::MAX_RETRIES, Some((*max_retries).into()));
        }
        self.text(names::MODEL_GROUP, group);
        self.number(names::ATTEMPTED_RETRIES, Some((*retries).into()));
        self.number(names::ATTEMPTED_FALLBACKS, Some((*fallbacks).into()));
        self.1 = *upstream;
        self
    }

    /// The bound that the client set on its wait, in seconds.
    pub(crate) fn bound(mut self, asked: Option<Duration>) -> Self {
        bound(&mut self.0, asked);
        self
    }

    /// What the key had spent before this request, for answers whose cost is not known yet.
    pub(crate) fn key_spend(mut self, spend: Option<NanoUsd>) -> Self {
        self.text(names::KEY_SPEND, &spend.map(usd).unwrap_or_default());
        self
    }

    /// Who answered, and what the provider said beside its answer.
    pub(crate) fn answered(
        mut self,
        proxy: &Proxy,
        call: &Call,
        by: &Deployment,
        provider: &HeaderMap,
    ) -> Self {
        let took = proxy.0.clock.mono().since(call.began);
        let overhead = took.saturating_sub(self.1);
        identify(&mut self.0, call);
        self.text(names::MODEL_ID, &by.id.0);
        self.text(names::MODEL_NAME, &format!("{}/{}", by.provider, by.target.model));
        self.text(names::MODEL_REGION, by.target.region.as_deref().unwrap_or_default());
        self.text(
            names::MODEL_API_BASE,
            by.backend.api_base().split('?').next().unwrap_or_default(),
        );
        self.text(names::VERSION, env!("CARGO_PKG_VERSION"));
        self.text(names::RESPONSE_DURATION_MS, &millis(took));
        self.text(names::OVERHEAD_DURATION_MS, &millis(overhead));
        let is_limit = |name: &HeaderName| PROVIDER_LIMITS.contains(&name.as_str());
        if provider.keys().any(is_limit) {
            // Theirs or ours, never some of each.
            PROVIDER_LIMITS.iter().for_each(|name| drop(self.0.remove(*name)));
        }
        for (name, value) in provider {
            if let Some(prefixed) = prefixed::name(name) {
                self.0.insert(prefixed, value.clone());
            }
            if is_limit(name) {
                self.0.insert(name.clone(), value.clone());
            }
        }
        self
    }

    /// Whose credential was lent to a call of a provider's own API.
    pub(crate) fn lent(mut self, call: &Call, by: &Deployment) -> Self {
        self.text(names::MODEL_ID, &by.id.0);
        self.text(names::MODEL_API_BASE, by.backend.api_base());
        self.called(call)
    }

    /// Which call it is.
    pub(crate) fn called(mut self, call: &Call) -> Self {
        self.text(names::CALL_ID, &call.call_id);
        self.text(names::VERSION, env!("CARGO_PKG_VERSION"));
        self
    }

    /// What it cost, part by part, and what the key has spent with it. Parts that are nothing are
    /// left out, but for input and output.
    pub(crate) fn cost(mut self, settled: Settled) -> Self {
        let cost = settled.cost;
        self.text(names::RESPONSE_COST, &usd(cost.total));
        if cost.original > NanoUsd::ZERO {
            self.text(names::RESPONSE_COST_ORIGINAL, &usd(cost.original));
            self.text(names::RESPONSE_COST_INPUT, &usd(cost.input));
            self.text(names::RESPONSE_COST_OUTPUT, &usd(cost.output));
        }
        let parts = [
            (names::RESPONSE_COST_TOOL_USAGE, cost.tools),
            (names::RESPONSE_COST_CACHE_READ, cost.cache_read),
            (names::RESPONSE_COST_CACHE_CREATION, cost.cache_creation),
            (names::RESPONSE_COST_REASONING, cost.reasoning),
            (names::RESPONSE_COST_DISCOUNT_AMOUNT, cost.discount),
            (names::RESPONSE_COST_MARGIN_AMOUNT, cost.margin),
        ];
        for (name, part) in parts.into_iter().filter(|(_, part)| *part > NanoUsd::ZERO) {
            self.text(name, &usd(part));
        }
        if settled.unpriced {
            self.text(names::UNPRICED, "true");
        }
        if let Some(spend) = settled.key_spend {
            self.text(names::KEY_SPEND, &usd(spend));
        }
        self
    }

    fn text(&mut self, name: HeaderName, value: &str) {
        insert(&mut self.0, name, value);
    }

    fn number(&mut self, name: HeaderName, value: Option<u64>) {
        if let Some(value) = value {
            self.0.insert(name, HeaderValue::from(value));
        }
    }
}

/// The limits that a key has, of its own or by the budget it refers to.
pub(crate) fn key_limits(told: &mut HeaderMap, caller: &dunlin_state::Caller) {
    let key = caller.payers.iter().find(|payer| payer.rank == Rank::Key);
    let key = key.expect("a key pays for its requests");
    let limits = [(names::KEY_RPM_LIMIT, key.rpm()), (names::KEY_TPM_LIMIT, key.tpm())];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            told.insert(name, HeaderValue::from(limit));
        }
    }
}

/// In milliseconds.
fn millis(took: Duration) -> String {
    decimal(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), 6)
}

/// Inserts a value if it is one that a header can carry; empty ones are left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !value.is_empty()
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}

fn respond(
    status: StatusCode,
    mut told: HeaderMap,
    kind: &'static str,
    body: Body,
) -> Response<Body> {
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = told;
    response
}

/// A whole answer.
pub(crate) fn json(told: Told, body: Bytes) -> Response<Body> {
    respond(StatusCode::OK, told.0, "application/json", Body::from(body))
}

/// A whole answer that nobody but this node gave.
pub(crate) fn plain_json(body: Bytes) -> Response<Body> {
    respond(StatusCode::OK, HeaderMap::new(), "application/json", Body::from(body))
}

/// An answer that passes as it comes, of the provider's own kind.
pub(crate) fn passing(told: Told, provider: &HeaderMap, body: Body) -> Response<Body> {
    let mut response = respond(StatusCode::OK, told.0, "application/json", body);
    for name in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
        if let Some(value) = provider.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// An answer that is another server's in all but what is told beside it.
pub(crate) fn relayed(
    told: Told,
    status: StatusCode,
    fields: HeaderMap,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response.headers_mut().extend(told.0);
    response
}

/// A streamed answer, which no proxy on the way should hold back.
pub(crate) fn event_stream(told: Told, framing: Framing, body: Body) -> Response<Body> {
    let mut told = told.0;
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    told.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    respond(StatusCode::OK, told, framing.content_type(), body)
}

/// No answer.
pub(crate) fn error(told: HeaderMap, code: u16, body: Bytes) -> Response<Body> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, told, "application/json", Body::from(body))
}

/// The id of the call, also where SDKs of the client's dialect look for it.
fn identify(told: &mut HeaderMap, call: &Call) {
    insert(told, names::CALL_ID, &call.call_id);
    let theirs = match call.endpoint.dialect() {
        Dialect::Anthropic => names::ANTHROPIC_REQUEST_ID,
        Dialect::Gemini | Dialect::OpenAi | Dialect::Responses => names::REQUEST_ID,
    };
    insert(told, theirs, &call.call_id);
}

/// The bound that the client set on its wait, in seconds.
pub(crate) fn bound(told: &mut HeaderMap, asked: Option<Duration>) {
    if let Some(asked) = asked {
        insert(told, names::TIMEOUT, &format!("{:?}", asked.as_secs_f64()));
    }
}

/// What every failure carries.
pub(crate) fn of_failure(told: &mut HeaderMap, call: &Call, key_spend: Option<NanoUsd>) {
    identify(told, call);
    insert(told, names::RESPONSE_COST, "0");
    if let Some(spend) = key_spend {
        insert(told, names::KEY_SPEND, &usd(spend));
    }
}

/// When to come back, in whole seconds, and for OpenAI's SDKs in milliseconds.
pub(crate) fn retry_after(wait: Duration) -> HeaderMap {
    let mut told = HeaderMap::new();
    told.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    told.insert(HeaderName::from_static("retry-after-ms"), HeaderValue::from(millis));
    told
}

/// An upstream's own `Retry-After` goes under its prefix, as LiteLLM has it.
pub(crate) fn upstream_retry_after(mut told: HeaderMap, failed: &GroupFailed) -> HeaderMap {
    if let GroupFailed::Attempt { failure, .. } = failed
        && let Some(wait) = failure.retry_after
    {
        let name = HeaderName::from_static("llm_provider-retry-after");
        told.insert(name, HeaderValue::from(whole_seconds(wait)));
    }
    told
}

/// Rounded up: who comes back then is not too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// A moment as LiteLLM writes it: `2026-11-21 03:57:21 UTC`.
pub(crate) fn utc(at: UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A moment and `wait` more, as Anthropic writes it: `2026-11-21T03:57:21Z`.
pub(crate) fn rfc3339(now: UnixMillis, wait: Duration) -> String {
    let wait = i64::try_from(whole_seconds(wait)).unwrap_or(i64::MAX);
    let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX).saturating_add(wait);
    let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Dollars in the form of Python's `repr`, which scripts compare as text: `1.5e-05`.
pub(crate) fn usd(amount: NanoUsd) -> String {
    match amount.0 {
        0 => "0.0".to_owned(),
        nanos @ ..LEAST_DECIMAL => scientific(nanos),
        nanos @ ..MOST_EXACT => decimal(nanos, 9),
        _ => format!("{:?}", amount.as_usd()),
    }
}

/// From here on, in nano-dollars, Python writes no exponent.
const LEAST_DECIMAL: u64 = 100_000;
/// Beyond 15 digits a float is not what was put into it.
const MOST_EXACT: u64 = 1_000_000_000_000_000;

/// A few nano-dollars as `1.5e-05`.
fn scientific(nanos: u64) -> String {
    let digits = nanos.to_string();
    let exponent = 10 - digits.len();
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}e-{exponent:02}")
}

/// `units` of which 10^`places` are one: `12.345`, and `2.0`.
fn decimal(units: u64, places: u32) -> String {
    let one = 10_u64.pow(places);
    let (whole, mut part) = (units / one, units % one);
    let mut text = String::with_capacity(MAX_DIGITS + 1);
    push_number(&mut text, whole);
    text.push('.');
    let mut place = one / 10;
    // At least one digit, and no zeros at the end.
    loop {
        text.push(char::from(b'0' + u8::try_from(part / place).unwrap_or_default()));
        part %= place;
        place /= 10;
        if part == 0 {
            return text;
        }
    }
}

/// Digits of the largest number.
const MAX_DIGITS: usize = 20;

/// A number without the ways of `fmt`, which every answer would go a dozen times.
pub(crate) fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut first = MAX_DIGITS - 1;
    loop {
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
        first -= 1;
    }
    text.push_str(std::str::from_utf8(&digits[first..]).expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_python_writes_it() {
        let cases = [
            (0, "0.0"),
            (15_000, "1.5e-05"),
            (9_000, "9e-06"),
            (1, "1e-09"),
            (100_000, "0.0001"),
            (1_234_567_890, "1.23456789"),
            (2_000_000_000, "2.0"),
            (10_000, "1e-05"),
            (99_999, "9.9999e-05"),
            (1_000_000_000_000_001, "1000000.000000001"),
        ];
        for (nano, text) in cases {
            assert_eq!(usd(NanoUsd(nano)), text);
        }
    }

    #[test]
    fn moments_and_waits_are_written_as_litellm_writes_them() {
        assert_eq!(utc(UnixMillis(1_795_233_441_000)), "2026-11-21 03:57:21 UTC");
        assert_eq!(whole_seconds(Duration::from_millis(7001)), 8);
        assert_eq!(whole_seconds(Duration::from_secs(7)), 7);
    }
}
