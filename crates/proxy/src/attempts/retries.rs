//! Whether a failure is answered with another attempt.

use dunlin_providers::Cause;
use dunlin_router::{ErrorClass, Group, RetryPolicy};
use dunlin_upstream::Failure;

/// The same request elsewhere, or here once more: only where that may help.
pub(crate) fn is_worth_retrying(
    group: &Group,
    failure: &Failure,
    another_is_ready: bool,
    has_fallbacks: bool,
) -> bool {
    let cause = failure.error.cause;
    if matches!(cause, Cause::Unauthorized | Cause::Forbidden) {
        // Another deployment has another credential.
        group.deployments.len() > 1
    } else if cause == Cause::RateLimited {
        another_is_ready || !has_fallbacks
    } else {
        cause.retryable()
    }
}

/// How many further attempts a policy allows after a failure, and whether it names that kind of
/// failure: then nothing else speaks against them.
pub(super) fn by_policy(policy: &RetryPolicy, cause: Cause) -> (Option<u32>, bool) {
    let named = class_of(cause).and_then(|class| policy.by_error.of(class));
    (named.or(policy.others), named.is_some())
}

/// What LiteLLM's policies call it. None: another attempt would end the same.
fn class_of(cause: Cause) -> Option<ErrorClass> {
    Some(match cause {
        Cause::BadRequest | Cause::TooLarge | Cause::Unprocessable => ErrorClass::BadRequest,
        Cause::Unauthorized => ErrorClass::Authentication,
        Cause::NotFound => ErrorClass::NotFound,
        Cause::Timeout => ErrorClass::Timeout,
        Cause::RateLimited => ErrorClass::RateLimit,
        Cause::ContentPolicy => ErrorClass::ContentPolicy,
        Cause::Internal | Cause::Connection | Cause::BadReply => ErrorClass::Internal,
        Cause::BadGateway => ErrorClass::BadGateway,
        Cause::Unavailable | Cause::Overloaded => ErrorClass::Unavailable,
        Cause::Other(code) if code >= 500 => ErrorClass::Internal,
        Cause::Forbidden
        | Cause::Conflict
        | Cause::ContextWindow
        | Cause::Unsendable
        | Cause::UnsupportedParams
        | Cause::Misconfigured
        | Cause::Other(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use dunlin_router::ByError;

    use super::*;

    #[test]
    fn a_policy_counts_by_what_went_wrong() {
        let mut by_error = ByError::default();
        by_error.set(ErrorClass::BadRequest, 3);
        by_error.set(ErrorClass::RateLimit, 0);
        let policy = RetryPolicy { by_error, others: Some(1) };
        assert_eq!(by_policy(&policy, Cause::BadRequest), (Some(3), true));
        assert_eq!(by_policy(&policy, Cause::Unsendable), (Some(1), false), "it was not asked");
        assert_eq!(by_policy(&policy, Cause::RateLimited), (Some(0), true));
        assert_eq!(by_policy(&policy, Cause::Internal), (Some(1), false));
        assert_eq!(by_policy(&policy, Cause::ContextWindow), (Some(1), false));
        assert_eq!(by_policy(&RetryPolicy::default(), Cause::Internal), (None, false));
    }
}
