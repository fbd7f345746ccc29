//! What of a request each metric sums up.

use dunlin_metrics::Desc;

use crate::{litellm, own};

/// Which requests a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Nobody answered.
    Failed,
    /// A model answered, wholly or in part.
    Answered,
}

/// What is added for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    One,
    Dollars,
    Prompt,
    Completion,
    Tokens,
    Cached,
    CacheWrite,
    Reasoning,
    Estimated,
    Fallbacks,
}

/// A time that is taken of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// From its head to the last byte.
    Whole,
    /// From its head to the first part of a stream.
    ToFirst,
    /// The last attempt, to the last byte.
    Provider,
    /// The last attempt, to the first part of a stream.
    ProviderToFirst,
    /// All but the attempts.
    Overhead,
    /// The provider's, for each token of the answer.
    PerToken,
}

/// What each counter sums up.
pub(crate) static SUMS: &[(&Desc, When, Amount)] = &[
    (&own::REQUESTS, When::Always, Amount::One),
    (&own::SPEND, When::Answered, Amount::Dollars),
    (&own::PROMPT, When::Answered, Amount::Prompt),
    (&own::COMPLETION, When::Answered, Amount::Completion),
    (&own::ESTIMATED, When::Answered, Amount::Estimated),
    (&own::FALLBACKS, When::Always, Amount::Fallbacks),
    (&litellm::TOTAL, When::Always, Amount::One),
    (&litellm::FAILED, When::Failed, Amount::One),
    (&litellm::FAILED_CALLS, When::Failed, Amount::One),
    (&litellm::REQUESTS, When::Answered, Amount::One),
    (&litellm::SPEND, When::Answered, Amount::Dollars),
    (&litellm::TOKENS, When::Answered, Amount::Tokens),
    (&litellm::INPUT, When::Answered, Amount::Prompt),
    (&litellm::OUTPUT, When::Answered, Amount::Completion),
    (&litellm::CACHED, When::Answered, Amount::Cached),
    (&litellm::CREATED, When::Answered, Amount::CacheWrite),
    (&litellm::REASONING, When::Answered, Amount::Reasoning),
    (&litellm::PROVIDER_READ, When::Answered, Amount::Cached),
    (&litellm::PROVIDER_CREATED, When::Answered, Amount::CacheWrite),
];

/// What each histogram is of. All are about answers.
pub(crate) static TIMES: &[(&Desc, Time)] = &[
    (&own::DURATION, Time::Whole),
    (&own::FIRST, Time::ToFirst),
    (&litellm::LATENCY, Time::Whole),
    (&litellm::API_LATENCY, Time::Provider),
    (&litellm::FIRST_TOKEN, Time::ProviderToFirst),
    (&litellm::OVERHEAD, Time::Overhead),
    (&litellm::PER_TOKEN, Time::PerToken),
];

/// What is counted for each attempt, and each group that was tried.
pub(crate) static OF_ATTEMPTS: [&Desc; 6] = [
    &own::ATTEMPTS,
    &litellm::DEPLOYMENT_TOTAL,
    &litellm::DEPLOYMENT_SUCCESS,
    &litellm::DEPLOYMENT_FAILURE,
    &litellm::FALLBACK_SUCCESS,
    &litellm::FALLBACK_FAILURE,
];
