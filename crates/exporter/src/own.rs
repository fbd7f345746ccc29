//! Our own metrics of requests. No label has a value that clients choose.

use dunlin_metrics::Desc;

pub(crate) static REQUESTS: Desc = Desc::counter(
    "dunlin_requests_total",
    "Requests that ended on this node, including refused ones, by kind of call and outcome: \
     `success`, `partial` (a stream that broke, or whose client left) or `failure`.",
    &["call_type", "outcome"],
);
pub(crate) static SPEND: Desc =
    Desc::counter("dunlin_spend_usd_total", "Cost of those requests, in dollars.", &[]);
pub(crate) static PROMPT: Desc =
    Desc::counter("dunlin_prompt_tokens_total", "Prompt tokens, including cached ones.", &[]);
pub(crate) static COMPLETION: Desc =
    Desc::counter("dunlin_completion_tokens_total", "Answer tokens.", &[]);
pub(crate) static ESTIMATED: Desc = Desc::counter(
    "dunlin_requests_estimated_total",
    "Requests whose tokens are estimated because the provider reported none.",
    &[],
);
pub(crate) static DURATION: Desc = Desc::histogram(
    "dunlin_request_duration_seconds",
    "Duration of answered requests, from their head to their last byte.",
    &["call_type"],
);
pub(crate) static FIRST: Desc = Desc::histogram(
    "dunlin_first_token_seconds",
    "Time of streams from their head to the first part of the answer.",
    &["call_type"],
);
pub(crate) static ATTEMPTS: Desc = Desc::counter(
    "dunlin_provider_attempts_total",
    "Attempts of recorded requests, by provider and status; a status also stands for a missing \
     answer.",
    &["api_provider", "status_code"],
);
pub(crate) static FALLBACKS: Desc = Desc::counter(
    "dunlin_fallbacks_total",
    "Groups of deployments that failed before another one was tried.",
    &[],
);

/// The metrics of this file.
pub(crate) static METRICS: &[&Desc] = &[
    &REQUESTS,
    &SPEND,
    &PROMPT,
    &COMPLETION,
    &ESTIMATED,
    &DURATION,
    &FIRST,
    &ATTEMPTS,
    &FALLBACKS,
];
