//! What clients are told in headers: those that LiteLLM's users read, and SDKs.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use dunlin_admission::{LimitStatus, Rank};
use dunlin_ledger::Pricing;
use dunlin_llm::{ChatRequest, Dialect};
use dunlin_providers::{left_out, left_out_betas};
use dunlin_router::Deployment;
use dunlin_types::{Line, NanoUsd, UnixMillis};
use tracing::debug;

use crate::Proxy;
use crate::attempts::{Answered, GroupFailed};
use crate::bill::Settled;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::figure::{millis, usd};
use crate::response::headers::whole_seconds;
use crate::response::lines::Lines;
use crate::response::{limits, names, prefixed};

/// Longer ids of the client's are replaced by one of ours.
const MAX_CALL_ID: usize = 256;
const VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
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

/// What a client is told beside the answer, as it becomes known; also how long the upstreams took.
#[derive(Clone)]
pub(crate) struct AnswerHeaders {
    lines: Lines,
    upstream: Duration,
}

impl AnswerHeaders {
    /// The limits of everyone the request spends for, and what is left of them.
    pub(crate) fn of_admission(call: &Call, caller: &Caller, limits: &[LimitStatus]) -> Self {
        let mut lines = Lines::with_room();
        if let Some(caller) = caller.key() {
            key_limits(&mut lines, caller, call.started);
        }
        limits::tell(&mut lines, limits, call.endpoint.dialect(), call.started);
        Self { lines, upstream: Duration::ZERO }
    }

    /// How the answer was come by.
    pub(crate) fn attempts(mut self, answered: &Answered) -> Self {
        let Answered { group, retries, max_retries, fallbacks, upstream, .. } = answered;
        if *retries > 0 {
            self.lines.number(names::MAX_RETRIES, (*max_retries).into());
        }
        self.lines.text(names::MODEL_GROUP, group);
        self.lines.number(names::ATTEMPTED_RETRIES, (*retries).into());
        self.lines.number(names::ATTEMPTED_FALLBACKS, (*fallbacks).into());
        self.upstream = *upstream;
        self
    }

    /// The bound that the client set on its wait, in seconds.
    pub(crate) fn bound(mut self, asked: Option<Duration>) -> Self {
        bound(&mut self.lines, asked);
        self
    }

    /// Of an answer of `by` whose cost is not known yet: what the key had spent before this request,
    /// and whether nobody will know.
    pub(crate) fn uncounted(self, key_spend: NanoUsd, by: &Deployment) -> Self {
        let mut told = self.spending(key_spend);
        told.unpriced(by.price == Pricing::Unpriced);
        told
    }

    /// What the key had spent before this request.
    pub(crate) fn spending(mut self, key_spend: NanoUsd) -> Self {
        self.lines.figure(names::KEY_SPEND, &usd(key_spend));
        self
    }

    fn unpriced(&mut self, unpriced: bool) {
        if unpriced {
            self.lines.text(names::UNPRICED, "true");
        }
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
        let overhead = took.saturating_sub(self.upstream);
        identify(&mut self.lines, call);
        self.lines.text(names::MODEL_ID, &by.id.0);
        self.lines.written(names::MODEL_NAME, |room| {
            for part in [&*by.provider, "/", &*by.target.model] {
                room.extend_from_slice(part.as_bytes());
            }
        });
        self.lines.text(names::MODEL_REGION, by.target.region.as_deref().unwrap_or_default());
        self.lines.text(
            names::MODEL_API_BASE,
            by.backend.api_base().split('?').next().unwrap_or_default(),
        );
        self.lines.value(names::VERSION, VERSION);
        self.lines.figure(names::RESPONSE_DURATION_MS, &millis(took));
        self.lines.figure(names::OVERHEAD_DURATION_MS, &millis(overhead));
        let is_limit = |name: &HeaderName| PROVIDER_LIMITS.contains(&name.as_str());
        if provider.keys().any(is_limit) {
            // Theirs or ours, never some of each.
            PROVIDER_LIMITS.into_iter().for_each(|name| self.lines.remove(name));
        }
        let names = prefixed::names();
        for (name, value) in provider {
            if let Some(prefixed) = names.of(name) {
                self.lines.value(prefixed, value.clone());
            }
            if is_limit(name) {
                self.lines.value(name.clone(), value.clone());
            }
        }
        self
    }

    /// The tools that `by` could not be given, and the names of what is tried out that mean nothing to
    /// it.
    pub(crate) fn left_out(mut self, chat: &ChatRequest, by: &Deployment) -> Self {
        let Some(provider) = dunlin_providers::find(&by.provider) else { return self };
        let betas = left_out_betas(provider, chat, &by.target);
        if !betas.is_empty() {
            self.lines.text(names::LEFT_OUT_BETAS, &betas.join(", "));
        }
        let tools = left_out(provider, chat, &by.target);
        if !tools.is_empty() {
            debug!(deployment.id = %by.id, ?tools, "a model does without tools of its request");
            self.lines.text(names::LEFT_OUT_TOOLS, &tools.join(", "));
        }
        self
    }

    /// Whose credential was lent to a call of a provider's own API.
    pub(crate) fn lent(mut self, call: &Call, by: &Deployment) -> Self {
        self.lines.text(names::MODEL_ID, &by.id.0);
        self.lines.text(names::MODEL_API_BASE, by.backend.api_base());
        self.called(call)
    }

    /// Which call it is.
    pub(crate) fn called(mut self, call: &Call) -> Self {
        self.lines.text(names::CALL_ID, &call.call_id);
        self.lines.value(names::VERSION, VERSION);
        self
    }

    /// The deployments of accounts whose part of the answer is missing.
    pub(crate) fn missing(mut self, missing: &[String]) -> Self {
        if !missing.is_empty() {
            self.lines.text(names::COMPLETE, "false");
            self.lines.text(names::MISSING_DEPLOYMENTS, &missing.join(", "));
        }
        self
    }

    /// What it cost, part by part, and what the key has spent with it. Parts that are nothing are
    /// left out, but for input and output.
    pub(crate) fn cost(mut self, settled: Settled) -> Self {
        let cost = settled.cost;
        self.lines.figure(names::RESPONSE_COST, &usd(cost.total));
        if cost.original > NanoUsd::ZERO {
            self.lines.figure(names::RESPONSE_COST_ORIGINAL, &usd(cost.original));
            self.lines.figure(names::RESPONSE_COST_INPUT, &usd(cost.input));
            self.lines.figure(names::RESPONSE_COST_OUTPUT, &usd(cost.output));
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
            self.lines.figure(name, &usd(part));
        }
        if cost.margin_millionths > 0 {
            // A share is written as an amount of dollars is: 0.1 for 10 %.
            let share = NanoUsd(u64::from(cost.margin_millionths) * 1_000);
            self.lines.figure(names::RESPONSE_COST_MARGIN_PERCENT, &usd(share));
        }
        self.unpriced(settled.unpriced);
        if let Some(spend) = settled.key_spend {
            self.lines.figure(names::KEY_SPEND, &usd(spend));
        }
        self
    }

    /// All of it.
    pub(crate) fn into_map(self) -> HeaderMap {
        self.lines.into_map()
    }
}

/// The limits that a key has at `now`, of its own or by the budget it refers to, with what the budget
/// has more for a while.
pub(crate) fn key_limits(told: &mut Lines, caller: &dunlin_state::Caller, now: UnixMillis) {
    let key = caller.payers.iter().find(|payer| payer.rank == Rank::Key);
    let key = key.expect("a key pays for its requests");
    let limits = [(names::KEY_RPM_LIMIT, key.rpm()), (names::KEY_TPM_LIMIT, key.tpm())];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            told.number(name, limit);
        }
    }
    if let Some(budget) = key.limit(&Line::Main, now) {
        told.figure(names::KEY_MAX_BUDGET, &usd(budget));
    }
}

/// The id of the call, also where SDKs of the client's dialect look for it.
fn identify(told: &mut Lines, call: &Call) {
    told.text(names::CALL_ID, &call.call_id);
    let theirs = match call.endpoint.dialect() {
        Dialect::Anthropic => names::ANTHROPIC_REQUEST_ID,
        Dialect::Gemini | Dialect::OpenAi | Dialect::Responses => names::REQUEST_ID,
    };
    told.text(theirs, &call.call_id);
}

/// The bound that the client set on its wait, in seconds.
pub(crate) fn bound(told: &mut Lines, asked: Option<Duration>) {
    if let Some(asked) = asked {
        told.text(names::TIMEOUT, &format!("{:?}", asked.as_secs_f64()));
    }
}

/// What every failure carries.
pub(crate) fn of_failure(told: &mut Lines, call: &Call, key_spend: Option<NanoUsd>) {
    identify(told, call);
    told.text(names::RESPONSE_COST, "0");
    if let Some(spend) = key_spend {
        told.figure(names::KEY_SPEND, &usd(spend));
    }
}

/// When to come back, in whole seconds, and for OpenAI's SDKs in milliseconds.
pub(crate) fn retry_after(told: &mut Lines, wait: Duration) {
    told.number(header::RETRY_AFTER, whole_seconds(wait));
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    told.number(HeaderName::from_static("retry-after-ms"), millis);
}

/// An upstream's own `Retry-After` goes under its prefix, as LiteLLM has it.
pub(crate) fn upstream_retry_after(told: &mut Lines, failed: &GroupFailed) {
    if let GroupFailed::Attempt { failure, .. } = failed
        && let Some(wait) = failure.retry_after
    {
        let name = HeaderName::from_static("llm_provider-retry-after");
        told.number(name, whole_seconds(wait));
    }
}
