//! Why a call about what providers keep is refused, in words.

use dunlin_store::Unreachable;

use crate::error::{MAX_SHOWN_ID, Refused};

impl Refused {
    /// A file is at one deployment.
    pub(super) fn several_models() -> Self {
        let message = "a file goes to one model: all lines of a batch name the same, and so do \
                       `model` and `target_model_names` if they are given"
            .to_owned();
        Self::Unfit { param: "model", message }
    }

    /// Nobody takes it.
    pub(super) fn no_home(provider: &str) -> Self {
        let message = format!(
            "no deployment of '{provider}' that keeps files may be used here: name one by \
             `target_model_names`, `model` or `custom_llm_provider`"
        );
        Self::Unfit { param: "custom_llm_provider", message }
    }

    /// A response that was stored, and is not there any more.
    pub(crate) fn gone(id: &str, why: &str) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        let message = format!(
            "No response found with id '{id}': {why}. Send the whole conversation instead of \
             `previous_response_id`."
        );
        Self::NotFound { message }
    }

    /// A response that is stored where nobody can be asked at the moment.
    pub(crate) fn out_of_reach(id: &str, unreachable: &Unreachable) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        let away: Vec<&str> = unreachable.away.iter().map(|(_, reason)| &**reason).collect();
        let reason = format!(
            "the response '{id}' is stored on nodes that cannot be asked now ({}): try again, or \
             send the whole conversation instead of `previous_response_id`",
            away.join("; ")
        );
        Self::CannotKnow { reason }
    }

    /// Only what nobody waits for can be cancelled.
    pub(super) fn not_background() -> Self {
        let message = "Cannot cancel a synchronous response.".to_owned();
        Self::Unfit { param: "id", message }
    }

    /// A page of a list that cannot be.
    pub(super) fn bad_page(why: &str) -> Self {
        Self::Unfit { param: "limit", message: why.to_owned() }
    }

    /// What only a server that has responses itself can do.
    pub(super) fn no_responses(model: &str, route: &str) -> Self {
        let message = format!(
            "the provider of '{model}' has no responses of its own, so that /responses/{route} \
             cannot be asked of it"
        );
        Self::Unfit { param: "model", message }
    }
}
