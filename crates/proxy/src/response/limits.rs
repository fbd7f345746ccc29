//! What a client is told of its limits, in every form that its SDK may read: LiteLLM's for each
//! scope; OpenAI's or Anthropic's, of the limit that is nearest; and the IETF's draft
//! (`draft-ietf-httpapi-ratelimit-headers-10`).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderName, HeaderValue};
use bytes::BytesMut;
use dunlin_admission::{Counted, Full, LimitStatus, Limited, RateLimited};
use dunlin_llm::Dialect;
use dunlin_llm::openai::Entity;
use dunlin_types::UnixMillis;

use crate::response::budget;
use crate::response::figure::whole;
use crate::response::headers::{self, whole_seconds};
use crate::response::lines::Lines;
use crate::response::told::retry_after;

/// What an admitted request took comes back after so long; then all of it is free.
const WINDOW: Duration = Duration::from_mins(1);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Tells an admitted request what is left with it.
pub(crate) fn tell(told: &mut Lines, limits: &[LimitStatus], dialect: Dialect, now: UnixMillis) {
    tell_until(told, limits, Some(WINDOW), dialect, now);
}

/// Tells a refused request which limit it was, and when it would pass.
pub(crate) fn refuse(told: &mut Lines, limited: &RateLimited, dialect: Dialect) {
    let wait = limited.retry_after;
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let now = UnixMillis(limited.reset_at.0.saturating_sub(millis));
    told.text(HeaderName::from_static("rate_limit_type"), limited.what.name());
    if (is_closed(limited) || limited.too_large.is_some()) && limited.batch.is_none() {
        // As the SDKs of OpenAI and Anthropic ask for: no repetition helps.
        told.value(SHOULD_RETRY, HeaderValue::from_static("false"));
        tell_until(told, &[limited.status()], None, dialect, now);
        return;
    }
    retry_after(told, wait);
    told.text(HeaderName::from_static("reset_at"), &headers::utc(limited.reset_at));
    if limited.batch.is_some() {
        // The others are told of limits of a minute.
        return;
    }
    tell_until(told, &[limited.status()], Some(wait), dialect, now);
}

/// Whether it lets nothing through, however long one waits.
fn is_closed(limited: &RateLimited) -> bool {
    limited.limit == 0
}

/// `wait`: until all of the limits is back; `None`: never.
fn tell_until(
    told: &mut Lines,
    limits: &[LimitStatus],
    wait: Option<Duration>,
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
            let [most, rest] = of_scope(limit.of.name(), limit.what.name());
            told.number(most, limit.limit);
            told.number(rest, limit.remaining);
        }
    }
    for what in [Limited::Requests, Limited::Tokens] {
        let Some(limit) = nearest(what) else { continue };
        let figures = (limit.limit, limit.remaining);
        tell_nearest(told, (what, figures), wait, dialect, now);
    }
    told.written(POLICY, |field| policies(field, limits));
    told.written(STATE, |field| states(field, limits, wait.map(whole_seconds)));
}

/// Tells a request that no deployment has room for of the limit that is the first to let it through:
/// it is the provider's in the client's eyes, and has no scope. Tokens of prompts or of answers alone,
/// and requests at once, have no such names.
pub(crate) fn full(told: &mut Lines, full: &Full, dialect: Dialect, now: UnixMillis) {
    let Full { what, only, too_large, limit, remaining, retry_after } = *full;
    let counts_all = only.is_none_or(|only| only == Counted::Total);
    let wait = too_large.is_none().then_some(retry_after);
    if wait.is_none() {
        told.value(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if what != Limited::MaxParallelRequests && counts_all {
        tell_nearest(told, (what, (limit, remaining)), wait, dialect, now);
    }
}

/// In the words of the client's SDK: a limit, what is left of it, and when it is back.
fn tell_nearest(
    told: &mut Lines,
    (what, (limit, remaining)): (Limited, (u64, u64)),
    wait: Option<Duration>,
    dialect: Dialect,
    now: UnixMillis,
) {
    let [most, rest, reset] = of_dialect(dialect, what);
    told.number(most, limit);
    told.number(rest, remaining);
    let Some(wait) = wait else { return };
    match dialect {
        Dialect::Anthropic => told.text(reset, &headers::rfc3339(now, wait)),
        Dialect::Gemini | Dialect::OpenAi | Dialect::Responses => {
            told.written(reset, |field| span(field, whole_seconds(wait)));
        }
    }
}

/// LiteLLM's names for a scope's limit, and for what is left of it.
fn of_scope(scope: &'static str, what: &'static str) -> [HeaderName; 2] {
    type Names = BTreeMap<(&'static str, &'static str), [HeaderName; 2]>;
    /// Made once; a scope has one of a few names.
    static MADE: LazyLock<ArcSwap<Names>> = LazyLock::new(ArcSwap::default);
    if let Some(names) = MADE.load().get(&(scope, what)) {
        return names.clone();
    }
    let name = |part| {
        let name = HeaderName::try_from(format!("x-ratelimit-{scope}-{part}-{what}"));
        name.expect("a scope's name is made for headers")
    };
    let names = [name("limit"), name("remaining")];
    MADE.rcu(|made| {
        let mut made = Names::clone(made);
        made.insert((scope, what), names.clone());
        made
    });
    names
}

/// What a dialect's SDKs call the nearest limit, what is left of it, and when all of it is back.
fn of_dialect(dialect: Dialect, what: Limited) -> [HeaderName; 3] {
    const fn names(of: [&'static str; 3]) -> [HeaderName; 3] {
        let [most, rest, reset] = of;
        [
            HeaderName::from_static(most),
            HeaderName::from_static(rest),
            HeaderName::from_static(reset),
        ]
    }
    const REQUESTS: [HeaderName; 3] = names([
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ]);
    const TOKENS: [HeaderName; 3] = names([
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ]);
    const ANTHROPIC_REQUESTS: [HeaderName; 3] = names([
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ]);
    const ANTHROPIC_TOKENS: [HeaderName; 3] = names([
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ]);
    match (dialect == Dialect::Anthropic, what == Limited::Tokens) {
        (false, false) => REQUESTS,
        (false, true) => TOKENS,
        (true, false) => ANTHROPIC_REQUESTS,
        (true, true) => ANTHROPIC_TOKENS,
    }
}

/// The IETF's draft: the limits.
fn policies(field: &mut BytesMut, limits: &[LimitStatus]) {
    for limit in limits {
        one_of(field, limit, "q=", limit.limit);
        match limit.what {
            Limited::Requests | Limited::Tokens => put(field, ";w=", WINDOW.as_secs()),
            Limited::MaxParallelRequests => {
                field.extend_from_slice(b";qu=\"concurrent-requests\"");
            }
        }
    }
}

/// The IETF's draft: what is left of them, and for how many seconds.
fn states(field: &mut BytesMut, limits: &[LimitStatus], back: Option<u64>) {
    for limit in limits {
        one_of(field, limit, "r=", limit.remaining);
        let is_of_minute = limit.what != Limited::MaxParallelRequests;
        if let Some(back) = back.filter(|_| is_of_minute) {
            put(field, ";t=", back);
        }
    }
}

/// Begins another limit in a field of the draft.
fn one_of(field: &mut BytesMut, limit: &LimitStatus, letter: &str, number: u64) {
    let comma = if field.is_empty() { "\"" } else { ", \"" };
    for part in [comma, limit.of.name(), "-", limit.what.name(), "\";"] {
        field.extend_from_slice(part.as_bytes());
    }
    put(field, letter, number);
}

fn put(field: &mut BytesMut, before: &str, number: u64) {
    field.extend_from_slice(before.as_bytes());
    field.extend_from_slice(whole(number).digits());
}

/// A span as OpenAI writes it: `1m0s`, `7s`.
fn span(field: &mut BytesMut, seconds: u64) {
    if seconds >= 60 {
        put(field, "", seconds / 60);
        field.extend_from_slice(b"m");
    }
    put(field, "", seconds % 60);
    field.extend_from_slice(b"s");
}

/// Why a limit is smaller than it was set.
const THROTTLED: &str = " (throttled, its budget is spent)";

/// Whose limit it is, for programs.
pub(crate) fn entity(limited: &RateLimited) -> Entity {
    Entity { kind: budget::kind(limited.of.rank), id: limited.name.clone() }
}

/// Why no repetition helps.
pub(crate) fn too_large(tokens: u64) -> String {
    format!(
        "Request too large: its prompt and the longest answer that it allows are about {tokens} tokens, \
         more than the whole limit. Shorten the prompt or lower max_tokens"
    )
}

/// What a client is told of the limit that refused its request.
pub(crate) fn message(limited: &RateLimited) -> String {
    let throttled = if limited.throttled { THROTTLED } else { "" };
    let until = if is_closed(limited) {
        "A limit of 0 admits nothing until an admin sets another".to_owned()
    } else if let Some(tokens) = limited.too_large {
        too_large(tokens)
    } else {
        format!("Limit resets at: {}", headers::utc(limited.reset_at))
    };
    let (of, id) = (limited.of.name(), limited.id());
    if let Some(tokens) = limited.batch {
        return format!(
            "Batch rate limit exceeded for {of}: {id}. Batch contains {tokens} tokens but only {} \
             tokens remaining out of {} TPD limit. {until}",
            limited.remaining, limited.limit,
        );
    }
    format!(
        "Rate limit exceeded for {of}: {id}. Limit type: {}. Current limit: {}{throttled}, Remaining: \
         {}. {until}",
        limited.what.name(),
        limited.limit,
        limited.remaining,
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use dunlin_admission::{LimitScope, Part, Rank};

    use super::*;

    fn status(rank: Rank, what: Limited, limit: u64, remaining: u64) -> LimitStatus {
        LimitStatus { of: LimitScope { rank, part: Part::All }, what, limit, remaining }
    }

    fn told(dialect: Dialect) -> HeaderMap {
        let limits = [
            status(Rank::Key, Limited::Requests, 100, 40),
            status(Rank::Key, Limited::MaxParallelRequests, 8, 7),
            status(Rank::Team, Limited::Requests, 60, 12),
            status(Rank::Tag, Limited::Tokens, 900, 800),
            status(Rank::Tag, Limited::Tokens, 500, 30),
        ];
        let mut told = Lines::default();
        tell(&mut told, &limits, dialect, UnixMillis(1_795_233_441_000));
        told.into_map()
    }

    #[test]
    fn a_full_deployment_is_told_as_a_provider_would() {
        let tell = |what, only| {
            let retry_after = Duration::from_secs(7);
            let this = Full { what, only, too_large: None, limit: 9, remaining: 2, retry_after };
            let mut told = Lines::default();
            full(&mut told, &this, Dialect::OpenAi, UnixMillis(0));
            told.into_map()
        };
        assert_told(
            &tell(Limited::Tokens, None),
            &[
                ("x-ratelimit-limit-tokens", "9"),
                ("x-ratelimit-remaining-tokens", "2"),
                ("x-ratelimit-reset-tokens", "7s"),
            ],
        );
        assert_eq!(tell(Limited::Tokens, Some(Counted::Input)), HeaderMap::new());
        assert_eq!(tell(Limited::MaxParallelRequests, None), HeaderMap::new());
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

    fn told_of(limited: &RateLimited, dialect: Dialect) -> HeaderMap {
        let mut told = Lines::default();
        refuse(&mut told, limited, dialect);
        told.into_map()
    }

    fn refused(limit: u64) -> RateLimited {
        RateLimited {
            of: LimitScope { rank: Rank::Team, part: Part::Model },
            name: "blue".to_owned(),
            only: Some("m".to_owned()),
            throttled: false,
            what: Limited::Requests,
            batch: None,
            too_large: None,
            limit,
            remaining: 0,
            retry_after: Duration::from_millis(7_200),
            reset_at: UnixMillis(1_795_233_441_000),
        }
    }

    #[test]
    fn a_limit_of_zero_names_no_time_to_come_back() {
        let limited = refused(0);
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let told = told_of(&limited, dialect);
            let names = || told.keys().map(HeaderName::as_str);
            let of_time = |name: &str| name.contains("reset") || name.contains("retry-after");
            assert_eq!(names().find(|name| of_time(name)), None);
            assert_told(
                &told,
                &[
                    ("x-should-retry", "false"),
                    ("rate_limit_type", "requests"),
                    ("x-ratelimit-model_per_team-limit-requests", "0"),
                    ("ratelimit", "\"model_per_team-requests\";r=0"),
                ],
            );
        }
        let message = message(&limited);
        assert!(message.ends_with("A limit of 0 admits nothing until an admin sets another"));
        assert!(!message.contains("resets"), "{message}");
    }

    #[test]
    fn a_request_that_never_fits_names_no_time_to_come_back() {
        let limited = RateLimited { what: Limited::Tokens, too_large: Some(700), ..refused(500) };
        let told = told_of(&limited, Dialect::OpenAi);
        assert_told(&told, &[("x-should-retry", "false"), ("rate_limit_type", "tokens")]);
        assert!(!told.contains_key("retry-after") && !told.contains_key("reset_at"));
        let message = message(&limited);
        assert!(message.contains("Current limit: 500") && message.contains("about 700 tokens"));
    }

    #[test]
    fn a_batch_hears_of_its_day_and_of_no_minute() {
        let limited = RateLimited { batch: Some(700), remaining: 40, ..refused(500) };
        let told = told_of(&limited, Dialect::OpenAi);
        assert_told(&told, &[("retry-after", "8"), ("reset_at", "2026-11-21 03:57:21 UTC")]);
        assert!(!told.keys().any(|name| name.as_str().contains("ratelimit-")));
        let expected = "Batch rate limit exceeded for model_per_team: blue:m. Batch contains 700 \
                        tokens but only 40 tokens remaining out of 500 TPD limit. Limit resets at: \
                        2026-11-21 03:57:21 UTC";
        assert_eq!(message(&limited), expected);
    }

    #[test]
    fn a_refusal_tells_the_true_wait() {
        let limited = refused(3);
        assert!(message(&limited).ends_with("Limit resets at: 2026-11-21 03:57:21 UTC"));
        let told = told_of(&limited, Dialect::OpenAi);
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
