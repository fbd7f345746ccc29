//! Numbers that the configuration gives for classes of errors: LiteLLM's `retry_policy` and
//! `allowed_fails_policy`.

/// A class of errors, as LiteLLM's policies name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// 400, and what else is the request's fault.
    BadRequest,
    /// 401.
    Authentication,
    /// 408.
    Timeout,
    /// 429.
    RateLimit,
    /// A provider's filter stopped the prompt or the answer.
    ContentPolicy,
    /// 500, and no answer at all.
    Internal,
    /// 503 and 529.
    Unavailable,
    /// 502.
    BadGateway,
    /// 404.
    NotFound,
}

impl ErrorClass {
    /// All of them, with what their names begin with in a policy.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::BadRequest, "BadRequestError"),
        (Self::Authentication, "AuthenticationError"),
        (Self::Timeout, "TimeoutError"),
        (Self::RateLimit, "RateLimitError"),
        (Self::ContentPolicy, "ContentPolicyViolationError"),
        (Self::Internal, "InternalServerError"),
        (Self::Unavailable, "ServiceUnavailableError"),
        (Self::BadGateway, "BadGatewayError"),
        (Self::NotFound, "NotFoundError"),
    ];

    /// The class of an answer, as far as its status tells.
    #[must_use]
    pub fn of_status(code: u16) -> Option<Self> {
        Some(match code {
            400 | 413 | 422 => Self::BadRequest,
            401 => Self::Authentication,
            404 => Self::NotFound,
            408 => Self::Timeout,
            429 => Self::RateLimit,
            502 => Self::BadGateway,
            503 | 529 => Self::Unavailable,
            _ if code >= 500 => Self::Internal,
            _ => return None,
        })
    }
}

/// A number for some of the classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByError([Option<u32>; ErrorClass::ALL.len()]);

impl ByError {
    /// Gives a class its number.
    pub fn set(&mut self, class: ErrorClass, number: u32) {
        self.0[class as usize] = Some(number);
    }

    /// The number of a class, if it has one.
    #[must_use]
    pub fn of(&self, class: ErrorClass) -> Option<u32> {
        self.0[class as usize]
    }
}

/// How often another attempt is made: LiteLLM's `retry_policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After errors of a class, whatever else speaks against another attempt.
    pub by_error: ByError,
    /// `DefaultRetries`: after all others that are worth another attempt.
    pub others: Option<u32>,
}

/// Failures in a cooldown before a deployment is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowedFails {
    /// `allowed_fails`.
    pub count: Option<u32>,
    /// `allowed_fails_policy`.
    pub policy: Option<ByError>,
}

/// LiteLLM's `allowed_fails` where only a policy is set, for what that does not name.
const ALLOWED_BESIDE_A_POLICY: u32 = 3;

impl AllowedFails {
    /// Whether anything is set: else LiteLLM's percentage rule holds.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.count.is_some() || self.policy.is_some()
    }

    /// How many may be before one of that status counts too much.
    #[must_use]
    pub fn of(&self, code: u16) -> Option<u32> {
        let Some(policy) = self.policy else { return self.count };
        let named = ErrorClass::of_status(code).and_then(|class| policy.of(class));
        named.or(self.count).or(Some(ALLOWED_BESIDE_A_POLICY))
    }

    /// Whether the policy says how many of that status may be.
    #[must_use]
    pub fn names(&self, code: u16) -> bool {
        let named =
            |policy: ByError| ErrorClass::of_status(code).and_then(|class| policy.of(class));
        self.policy.and_then(named).is_some()
    }

    /// These, where the deployment has them; else those of all.
    #[must_use]
    pub fn or(self, of_all: Self) -> Self {
        if self.is_set() { self } else { of_all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_stands_at_its_own_place() {
        for (at, (class, _)) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
        }
    }

    #[test]
    fn a_policy_goes_before_the_count_of_all_failures() {
        let mut policy = ByError::default();
        policy.set(ErrorClass::RateLimit, 100);
        let both = AllowedFails { count: Some(1), policy: Some(policy) };
        assert_eq!([both.of(429), both.of(500)], [Some(100), Some(1)]);
        let policy = AllowedFails { count: None, policy: Some(policy) };
        assert_eq!([policy.of(429), policy.of(500)], [Some(100), Some(3)]);
        assert_eq!(AllowedFails::default().of(429), None, "by percentage");
    }
}
