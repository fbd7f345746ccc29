//! Why a call about what providers keep is refused, in words.

use std::collections::BTreeMap;

use dunlin_store::Unreachable;

use super::bucket::Unread;
use crate::ids::{BadId, Kind};
use crate::response::error::{MAX_SHOWN_ID, Refused};

impl Refused {
    /// An id that says nothing to the caller. Whose it is instead is nobody's business.
    pub(crate) fn no_such(kind: Kind, id: &str, why: BadId) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        Self::NotFound { message: format!("No {} found with id '{id}': {why}.", kind.noun()) }
    }

    /// What an id names is at a deployment that is gone.
    pub(crate) fn homeless(what: &'static str) -> Self {
        let message =
            format!("The deployment that keeps this {what} is no longer in the configuration.");
        Self::NotFound { message }
    }

    /// What the request names is kept for another model.
    pub(crate) fn elsewhere(home: &str, asked: &str) -> Self {
        let message = format!(
            "What the request refers to was made with the model '{home}', and only its provider \
             has it: ask that model, not '{asked}'."
        );
        Self::Unfit { param: "model", message }
    }

    /// Something that is elsewhere than the rest of what a request names.
    pub(crate) fn apart(kind: Kind, id: &str) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        let message =
            format!("The {} '{id}' is at a different provider than the rest.", kind.noun());
        let param = if kind == Kind::Conversation { "conversation" } else { "file_id" };
        Self::Unfit { param, message }
    }

    /// A file of requests without one.
    pub(super) fn no_lines() -> Self {
        let message = "the file has no lines: a batch needs one for each request, such as \
                       `{\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \
                       \"/v1/chat/completions\", \"body\": {\"model\": ...}}`"
            .to_owned();
        Self::Unfit { param: "file", message }
    }

    /// Nobody could answer a request of it.
    pub(super) fn no_model_in_lines() -> Self {
        let message = "no line of the batch names a model, and neither does its upload: each line \
                       needs one in `body.model`"
            .to_owned();
        Self::Unfit { param: "model", message }
    }

    /// A file is at one deployment.
    pub(super) fn several_models(lines: &BTreeMap<String, u64>) -> Self {
        let mut named: Vec<_> = lines.iter().map(|(model, line)| (line, model)).collect();
        named.sort_unstable();
        let shown = named.iter().take(2).map(|(line, model)| {
            let model: String = model.chars().take(MAX_SHOWN_ID).collect();
            format!("; line {line} names '{model}'")
        });
        let message = "a file goes to one model: all lines of a batch must name the same one, and \
                       so must `model` and `target_model_names` if given"
            .to_owned();
        Self::Unfit { param: "model", message: message + &shown.collect::<String>() }
    }

    /// A model whose provider, or not the one that is named, keeps files.
    pub(super) fn keeps_none(model: &str, provider: Option<&str>) -> Self {
        let model: String = model.chars().take(MAX_SHOWN_ID).collect();
        let why = match provider {
            Some(provider) => {
                format!(
                    "has no usable deployment of '{provider}', which is asked for, that keeps files"
                )
            }
            None => {
                "has no usable deployment whose provider keeps files; on Vertex AI and Bedrock \
                     those keep some that have a `gcs_bucket_name` or an `s3_bucket_name`"
                    .to_owned()
            }
        };
        Self::Unfit { param: "model", message: format!("the model '{model}' {why}") }
    }

    /// Its tokens cannot be counted before it is made.
    pub(crate) fn uncounted_batch() -> Self {
        let message =
            "With a tpd_limit, batches of files are made by `/v1/batches`, where their tokens \
                       are counted, and other batches of requests in their own body."
                .to_owned();
        Self::Unfit { param: "input", message }
    }

    /// A budget is to bear what nobody could count.
    pub(crate) fn unread_batch(why: &Unread) -> Self {
        let reason = format!(
            "what a batch costs is counted by its answers, and a budget is to bear it, but {why}"
        );
        if !why.is_for_good() {
            return Self::CannotKnow { reason };
        }
        let message = format!(
            "Not made: {reason}. Have the answers written to a bucket that the gateway's credential \
             may list and read."
        );
        Self::Unfit { param: "output", message }
    }

    /// Nobody takes it.
    pub(super) fn no_home(provider: &str) -> Self {
        let message = format!(
            "no usable deployment of '{provider}' keeps files: name another by \
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

    /// A request names items of more responses than are read for one.
    pub(crate) fn too_many_named(named: usize, most: usize) -> Self {
        let message = format!(
            "The items that this request refers to are of {named} responses, and those of {most} are \
             read for one request at most: send the older items whole, or go on from the last \
             response by `previous_response_id`."
        );
        Self::Unfit { param: "input", message }
    }

    /// A model whose provider keeps no conversations.
    pub(super) fn no_conversations(model: &str) -> Self {
        let model: String = model.chars().take(MAX_SHOWN_ID).collect();
        let message = format!(
            "The provider of '{model}' keeps no conversations: continue from an answer by its id \
             in `previous_response_id`, which works with every model, or name a model whose \
             provider has OpenAI's Responses API."
        );
        Self::Unfit { param: "model", message }
    }

    /// Nobody keeps conversations.
    pub(super) fn no_keeper() -> Self {
        let message = "No usable model has a provider that keeps conversations, as OpenAI and \
                       Azure do (`model_info.mode: responses`): continue from an answer by its id \
                       in `previous_response_id`, which works with every model.";
        Self::Unfit { param: "model", message: message.to_owned() }
    }

    /// Several accounts could keep it, and a conversation is at one.
    pub(super) fn several_keepers(models: &[&str]) -> Self {
        let message = format!(
            "Several providers can keep a conversation, and its responses come from the one that does: \
             name a model of it by `model`, in the body, the query or the header `x-litellm-model`, such \
             as {}.",
            models.join(", ")
        );
        Self::Unfit { param: "model", message }
    }

    /// Only what nobody waits for can be cancelled.
    pub(super) fn not_background() -> Self {
        let message = "Cannot cancel a synchronous response.".to_owned();
        Self::Unfit { param: "id", message }
    }

    /// What cannot be made while nobody waits for it.
    pub(crate) fn background(param: &'static str, why: &str) -> Self {
        let message = format!(
            "A response with `background: true` of this model, whose provider keeps none, {why}."
        );
        Self::Unfit { param, message }
    }

    /// A response that is still being made.
    pub(crate) fn unfinished(id: &str) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        let message = format!(
            "The response '{id}' is not finished: ask again until its status says that it is."
        );
        Self::Unfit { param: "previous_response_id", message }
    }

    /// A response whose end was waited for too long.
    pub(super) fn still_made(id: &str) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        let reason = format!(
            "the response '{id}' is still being made: ask again with `starting_after`, the \
             `sequence_number` of the last event you have"
        );
        Self::CannotKnow { reason }
    }

    /// A query that says something that cannot be.
    pub(super) fn bad_query(param: &'static str, said: &str, expected: &str) -> Self {
        let said: String = said.chars().take(MAX_SHOWN_ID).collect();
        let message = format!("Invalid value for '{param}': '{said}' is not {expected}.");
        Self::Unfit { param, message }
    }

    /// A response whose node does not stop making it.
    pub(super) fn not_stopped(id: &str) -> Self {
        let id: String = id.chars().take(MAX_SHOWN_ID).collect();
        let reason =
            format!("the node that makes the response '{id}' cannot be reached: try again");
        Self::CannotKnow { reason }
    }
}
