//! What a client is told whose request every group that was tried failed.

use std::time::Duration;

use dunlin_admission::Refusal;
use dunlin_llm::openai::ErrorBody;
use dunlin_llm::{Dialect, Endpoint};
use dunlin_providers::Cause;
use dunlin_router::NonePicked;
use dunlin_state::Payer;

use super::{Unanswered, of_failure, own};
use crate::attempts::GroupFailed;
use crate::attempts::entry;
use crate::response::{budget, headers, limits, words};

impl Unanswered {
    /// How long the first deployment that failed had, for a stream or for a whole answer.
    pub(super) fn bound(&self, stream: bool) -> Option<Duration> {
        self.failures.iter().find_map(|(_, failed)| {
            let GroupFailed::Attempt { failure, .. } = failed else { return None };
            let by = &failure.deployment;
            Some(if stream { by.stream_timeout } else { by.timeout })
        })
    }

    pub(super) fn body(&self) -> ErrorBody {
        let ((group, first), rest) = self.failures.split_first().expect("a group was tried");
        // The client learns the first group's error, and of the fallbacks what became of them.
        let mut body = first.body();
        let words = &mut body.message;
        *words += &format!("\n\nLiteLLM: model group '{group}' failed with the error above.");
        if rest.is_empty() {
            *words += " No fallback was attempted.";
        }
        for (group, failed) in rest {
            *words += &format!(" Fallback to {group} also failed: {}", failed.body().message);
        }
        if let GroupFailed::Attempt { retries: retries @ 1.., max_retries, .. } = first {
            *words +=
                &format!(" LiteLLM Retried: {retries} times, LiteLLM Max Retries: {max_retries}");
        }
        body
    }
}

impl GroupFailed {
    pub(super) fn body(&self) -> ErrorBody {
        match self {
            Self::Attempt { failure, .. } => of_failure(failure),
            Self::NotCovered(refusal) => not_covered(refusal),
            Self::NonePicked { none: NonePicked::AllCoolingDown { .. }, wait, .. } => own(
                429,
                "all_deployments_in_cooldown",
                format!(
                    "No deployments available for selected model, Try again in {} seconds.",
                    headers::whole_seconds(*wait)
                ),
            ),
            Self::Unfit(bad) => bad.into(),
            Self::Full { group, full } => own(429, "throttling_error", entry::message(group, full)),
            Self::Spent(spent) => {
                let entity = spent.first().map(budget::entity);
                ErrorBody { kind: None, entity, ..own(429, "", budget::all_spent(spent)) }
            }
            Self::Untagged { group, tags } => {
                let message = words::untagged(group, tags);
                ErrorBody { kind: None, ..own(401, "", message) }
            }
            Self::TooLong { group, too_long } => {
                own(400, "invalid_request_error", words::too_long(group, too_long))
            }
            Self::Uncounted(refusal) => own(503, "service_unavailable", refusal.to_string()),
            Self::NonePicked { none, parked, .. } => {
                let reason = parked.as_ref().map(|reason| format!(": {reason}"));
                let message = format!("{none}{}", reason.unwrap_or_default());
                own(503, "service_unavailable", message)
            }
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NonePicked { none: NonePicked::AllCoolingDown { .. }, wait, .. } => Some(*wait),
            Self::Full { full, .. } => full.too_large.is_none().then_some(full.retry_after),
            Self::Uncounted(_) => Some(Duration::from_secs(1)),
            Self::NonePicked { .. }
            | Self::Attempt { .. }
            | Self::NotCovered(_)
            | Self::Spent(_)
            | Self::Untagged { .. }
            | Self::TooLong { .. }
            | Self::Unfit(_) => None,
        }
    }
}

/// Why a fallback is not tried: what is for its model alone does not admit the request.
fn not_covered(refusal: &Refusal) -> ErrorBody {
    match refusal {
        Refusal::OverBudget(over) => {
            let key = over.payer.as_ref().map(Payer::name).unwrap_or_default();
            own(over.status, "budget_exceeded", budget::message(over, &key, "max_tokens"))
        }
        Refusal::RateLimited(limited) => own(429, "throttling_error", limits::message(limited)),
        Refusal::UnknownKey
        | Refusal::Blocked
        | Refusal::RouteNotAllowed { .. }
        | Refusal::HolderBlocked { .. }
        | Refusal::Expired { .. }
        | Refusal::NodeFull { .. }
        | Refusal::CannotKnow { .. }
        | Refusal::Overloaded { .. } => own(503, "service_unavailable", refusal.to_string()),
    }
}

/// Claude Code compacts a conversation when it reads these words, whichever provider answers.
pub(super) fn too_long_for(endpoint: Endpoint, unanswered: &Unanswered, body: &mut ErrorBody) {
    const WORDS: &str = "prompt is too long";
    let is_too_long = match unanswered.failures.first() {
        Some((_, GroupFailed::Attempt { failure, .. })) => {
            failure.error.cause == Cause::ContextWindow
        }
        Some((_, GroupFailed::TooLong { .. })) => true,
        Some(_) | None => false,
    };
    if is_too_long && endpoint.dialect() == Dialect::Anthropic && !body.message.contains(WORDS) {
        body.message.insert_str(0, &format!("{WORDS}: "));
    }
}
