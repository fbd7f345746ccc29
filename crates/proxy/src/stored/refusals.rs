//! Why a call about what providers keep is refused, in words.

use crate::error::Refused;
use crate::ids::Kind;

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

    /// Lists are for the master key.
    pub(super) fn unlisted(kind: Kind) -> Self {
        let noun = kind.noun();
        let message = format!(
            "whose a {noun} is stands in its id alone, so that only the master key may list them: \
             keep the ids"
        );
        Self::Forbidden { message }
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
