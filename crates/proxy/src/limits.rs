//! What a client is told of its limits, in every form that its SDK may read: LiteLLM's for each
//! scope; OpenAI's or Anthropic's, of the limit that is nearest; and the IETF's draft
//! (`draft-ietf-httpapi-ratelimit-headers-10`).

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use dunlin_admission::{LimitStatus, Limited, RateLimited};
use dunlin_llm::Dialect;
use dunlin_types::UnixMillis;

use crate::headers::{self, whole_seconds};

/// What an admitted request took comes back after so long; then all of it is free.
const WINDOW: Duration = Duration::from_mins(1);

/// Tells an admitted request what is left with it.
pub(crate) fn tell(
    told: &mut HeaderMap,
    limits: &[LimitStatus],
    dialect: Dialect,
    now: UnixMillis,
) {
    tell_until(told, limits, WINDOW, dialect, now);
}

/// Tells a refused request which limit it was, and when it would pass.
pub(crate) fn refuse(told: &mut HeaderMap, limited: &RateLimited, dialect: Dialect) {
    let wait = limited.retry_after;
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let now = UnixMillis(limited.reset_at.0.saturating_sub(millis));
    told.extend(headers::retry_after(wait));
    insert(told, "rate_limit_type", limited.what.name());
    insert(told, "reset_at", &headers::utc(limited.reset_at));
    tell_until(told, &[limited.status()], wait, dialect, now);
}

fn tell_until(
    told: &mut HeaderMap,
    limits: &[LimitStatus],
    wait: Duration,
    dialect: Dialect,
    now: UnixMillis,
) {
    if limits.is_empty() {
        return;
    }
    let nearest =
        |what| limits.iter().filter(move |of| of.what == what).min_by_key(|of| of.remaining);
    for limit in limits {
        // Of several tags, the one that is nearest to its limit.
        let of = |other: &&LimitStatus| (other.of, other.what) == (limit.of, limit.what);
        let first = limits.iter().filter(of).min_by_key(|of| of.remaining);
        if first == Some(limit) {
            let (scope, what) = (limit.of.name(), limit.what.name());
            number(told, &format!("x-ratelimit-{scope}-limit-{what}"), limit.limit);
            number(told, &format!("x-ratelimit-{scope}-remaining-{what}"), limit.remaining);
        }
    }
    for what in [Limited::Requests, Limited::Tokens] {
        let Some(limit) = nearest(what) else { continue };
        let what = what.name();
        match dialect {
            Dialect::Anthropic => {
                number(told, &format!("anthropic-ratelimit-{what}-limit"), limit.limit);
                number(told, &format!("anthropic-ratelimit-{what}-remaining"), limit.remaining);
                let at = headers::rfc3339(now, wait);
                insert(told, &format!("anthropic-ratelimit-{what}-reset"), &at);
            }
            Dialect::Gemini | Dialect::OpenAi | Dialect::Responses => {
                number(told, &format!("x-ratelimit-limit-{what}"), limit.limit);
                number(told, &format!("x-ratelimit-remaining-{what}"), limit.remaining);
                insert(told, &format!("x-ratelimit-reset-{what}"), &span(wait));
            }
        }
    }
    let (policies, states) = draft(limits, wait);
    insert(told, "ratelimit-policy", &policies);
    insert(told, "ratelimit", &states);
}

/// The two fields of the IETF's draft.
fn draft(limits: &[LimitStatus], wait: Duration) -> (String, String) {
    let (mut policies, mut states) = (String::new(), String::new());
    for LimitStatus { of, what, limit, remaining } in limits {
        let comma = if policies.is_empty() { "" } else { ", " };
        let name = format!("{comma}\"{}-{}\"", of.name(), what.name());
        let (policy, reset) = match what {
            Limited::Requests | Limited::Tokens => {
                (format!(";w={}", WINDOW.as_secs()), format!(";t={}", whole_seconds(wait)))
            }
            Limited::MaxParallelRequests => {
                (";qu=\"concurrent-requests\"".to_owned(), String::new())
            }
        };
        write!(policies, "{name};q={limit}{policy}").expect("a String takes all");
        write!(states, "{name};r={remaining}{reset}").expect("a String takes all");
    }
    (policies, states)
}

/// A span as OpenAI writes it: `1m0s`, `7s`.
fn span(wait: Duration) -> String {
    match whole_seconds(wait) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}

fn number(told: &mut HeaderMap, name: &str, value: u64) {
    if let Ok(name) = HeaderName::try_from(name) {
        told.insert(name, HeaderValue::from(value));
    }
}

fn insert(told: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        told.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use dunlin_admission::{LimitScope, Rank};

    use super::*;

    fn status(rank: Rank, what: Limited, limit: u64, remaining: u64) -> LimitStatus {
        LimitStatus { of: LimitScope { rank, of_model: false }, what, limit, remaining }
    }

    fn told(dialect: Dialect) -> HeaderMap {
        let limits = [
            status(Rank::Key, Limited::Requests, 100, 40),
            status(Rank::Key, Limited::MaxParallelRequests, 8, 7),
            status(Rank::Team, Limited::Requests, 60, 12),
            status(Rank::Tag, Limited::Tokens, 900, 800),
            status(Rank::Tag, Limited::Tokens, 500, 30),
        ];
        let mut told = HeaderMap::new();
        tell(&mut told, &limits, dialect, UnixMillis(1_795_233_441_000));
        told
    }

    fn assert_told(told: &HeaderMap, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(
                told.get(*name).and_then(|value| value.to_str().ok()),
                Some(*value),
                "{name}"
            );
        }
    }

    #[test]
    fn every_scope_is_told_and_the_nearest_in_the_clients_own_form() {
        let openai = told(Dialect::OpenAi);
        assert_told(
            &openai,
            &[
                ("x-ratelimit-api_key-limit-requests", "100"),
                ("x-ratelimit-api_key-remaining-max_parallel_requests", "7"),
                ("x-ratelimit-team-remaining-requests", "12"),
                ("x-ratelimit-tag-limit-tokens", "500"),
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-remaining-requests", "12"),
                ("x-ratelimit-reset-requests", "1m0s"),
                ("x-ratelimit-remaining-tokens", "30"),
                (
                    "ratelimit-policy",
                    "\"api_key-requests\";q=100;w=60, \
                     \"api_key-max_parallel_requests\";q=8;qu=\"concurrent-requests\", \
                     \"team-requests\";q=60;w=60, \"tag-tokens\";q=900;w=60, \
                     \"tag-tokens\";q=500;w=60",
                ),
            ],
        );
        assert!(!openai.keys().any(|name| name.as_str().starts_with("anthropic-")));
        let anthropic = told(Dialect::Anthropic);
        assert_told(
            &anthropic,
            &[
                ("x-ratelimit-team-limit-requests", "60"),
                ("anthropic-ratelimit-requests-limit", "60"),
                ("anthropic-ratelimit-requests-remaining", "12"),
                ("anthropic-ratelimit-requests-reset", "2026-11-21T03:58:21Z"),
                ("anthropic-ratelimit-tokens-remaining", "30"),
            ],
        );
        assert!(!anthropic.contains_key("x-ratelimit-limit-requests"));
    }

    #[test]
    fn a_refusal_tells_the_true_wait() {
        let limited = RateLimited {
            of: LimitScope { rank: Rank::Team, of_model: true },
            name: "blue".to_owned(),
            model: Some("m".to_owned()),
            what: Limited::Requests,
            limit: 3,
            remaining: 0,
            retry_after: Duration::from_millis(7_200),
            reset_at: UnixMillis(1_795_233_441_000),
        };
        let mut told = HeaderMap::new();
        refuse(&mut told, &limited, Dialect::OpenAi);
        assert_told(
            &told,
            &[
                ("retry-after", "8"),
                ("retry-after-ms", "7200"),
                ("rate_limit_type", "requests"),
                ("reset_at", "2026-11-21 03:57:21 UTC"),
                ("x-ratelimit-model_per_team-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "8s"),
                ("ratelimit", "\"model_per_team-requests\";r=0;t=8"),
            ],
        );
    }
}
