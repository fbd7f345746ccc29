//! What a client is told that asked for what is not there, where it takes more than a word.

use std::sync::Arc;

use dunlin_llm::openai::ErrorBody;
use dunlin_router::Region;

use crate::attempts::TooLong;
use crate::response::error::own;

pub(crate) const NO_MODEL_NAMED: &str = "This API key is restricted to certain models, and the request names none: name one in `model`.";

pub(crate) const NO_TAGS: &str = "Client-side tags are not allowed here \
     (general_settings.reject_clientside_metadata_tags): the key and its team have the tags.";

pub(crate) const BAD_FRAMING: &str = "the chunks of the request body are not framed as \
     `Transfer-Encoding: chunked` has it: each is its length in hexadecimal digits, CRLF, so many \
     bytes, CRLF; the last one has the length 0";

pub(crate) const OWN_KEY_IN_BACKGROUND: &str = "a response in the background is asked after with this gateway's own credential: leave out \
     background, or api_key";
pub(crate) const OWN_KEY_FOR_SEVERAL: &str =
    "a key goes to one provider: name one model, or leave out api_key";

pub(crate) fn no_lender(prefix: &str, provider: &str) -> String {
    format!(
        "no deployment provides a credential for /{prefix}: add one to model_list whose \
         litellm_params.model begins with {provider}/ (use_in_pass_through: true prefers it)"
    )
}

/// A request of a batch names a model that no such provider's deployment has.
pub(crate) fn no_such_lender(model: &str, provider: &str, known: &[Arc<str>]) -> String {
    let near = near(model, known);
    format!(
        "Invalid model name passed in model={model}: no deployment of {provider}/ has it.{near}"
    )
}

/// A request of a batch names a model that is not where those before it are.
pub(crate) fn other_account(model: &str) -> String {
    format!(
        "the model '{model}' is at another account than the other models of the batch: make one \
         batch for each"
    )
}

pub(crate) fn unknown_model(model: &str, route: &str, patterns: bool) -> String {
    if patterns {
        format!(
            "litellm.BadRequestError: You passed in model={model}. There are no healthy \
             deployments for this model: no configured name or pattern matches it. Call \
             `/v1/models` to view available models for your key."
        )
    } else {
        format!(
            "{route}: Invalid model name passed in model={model}. Call `/v1/models` to view \
             available models for your key."
        )
    }
}

pub(crate) fn out_of_region(model: &str, region: Region) -> String {
    format!(
        "litellm.BadRequestError: You passed in model={model}. There are no healthy deployments for \
         this model in allowed_model_region={} of the end user: none has such a region_name.",
        region.name()
    )
}

/// Which of the `known` models an unknown one is a slip of, as the end of a message: at most two
/// letters apart, one for short names.
pub(crate) fn near(model: &str, known: &[Arc<str>]) -> String {
    let most = if model.len() <= 5 { 1 } else { 2 };
    let apart = known.iter().map(|known| (strsim::osa_distance(model, known), known));
    let nearest = apart.filter(|(letters, _)| (1..=most).contains(letters)).min();
    nearest.map(|(_, known)| format!(" Did you mean `{known}`?")).unwrap_or_default()
}

pub(crate) fn route_not_allowed(allowed: &[String], path: &str) -> ErrorBody {
    let message = format!(
        "Virtual key is not allowed to call this route. Only allowed to call routes: {allowed:?}. \
         Tried to call route: {path}"
    );
    ErrorBody { param: Some("None".to_owned()), ..own(403, "auth_error", message) }
}

pub(crate) fn missing_param(name: &str) -> ErrorBody {
    let message =
        format!("BadRequest please pass param={name} in request body. This is a required param");
    own(400, "invalid_request_error", message)
}

/// A model that `whose` list of models lacks: that of a key, a team, ..., which `kind` says.
pub(crate) fn not_allowed(model: &str, kind: &str, whose: &str) -> ErrorBody {
    let message = format!(
        "The requested model '{model}' is not available for this API key, or the model name is \
         invalid. Check the models available to you and try again. It is not among the models of \
         {whose}."
    );
    let refused = own(403, &format!("{kind}_model_access_denied"), message);
    ErrorBody { param: Some("model".to_owned()), ..refused }
}

pub(crate) fn node_full(limit: u64) -> String {
    format!(
        "Max parallel request limit reached. Hit Global Limit: Limit={limit}, current: {limit} \
         (general_settings.global_max_parallel_requests, on each node)"
    )
}

pub(crate) fn untagged(group: &str, tags: &[String]) -> String {
    format!(
        "Not allowed to access model due to tags configuration. Passed model={group} and \
         tags={tags:?}: no deployment has such a tag or is tagged `default`."
    )
}

pub(crate) fn too_long(group: &str, too_long: &TooLong) -> String {
    let (tokens, most) = (too_long.tokens.0, too_long.most.0);
    format!(
        "litellm.ContextWindowExceededError: the prompt has {tokens} tokens, and no deployment of \
         {group} takes more than {most} (enable_pre_call_checks)"
    )
}
