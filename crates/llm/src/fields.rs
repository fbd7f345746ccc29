//! What each top-level field of a request is to the gateway. Whatever is not named here belongs to
//! the provider and is passed on untouched.

use crate::endpoint::{Dialect, Endpoint};

/// What is done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Model,
    Stream,
    Prompt,
    MaxTokens,
    /// The newer name, which wins over `max_tokens`.
    MaxCompletionTokens,
    /// A number of answers: `n` or `best_of`.
    Choices,
    /// Read by `Labels`.
    Label(Label),
    /// Passed on.
    Upstream,
    /// Read by `Extras`, not passed on.
    Extra,
    /// A wish or an internal of the gateway without meaning to a provider: not passed on.
    Dropped,
    /// A control of LiteLLM's that is not enforced here.
    Guard,
    /// A credential or an address: only the operator chooses those.
    Refused,
}

/// Which part of a request's labels a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// `user`, passed on.
    User,
    /// `safety_identifier`, passed on.
    SafetyIdentifier,
    /// The provider's own `metadata`, passed on.
    Foreign,
    /// The gateway's, not passed on.
    Ours,
}

pub(crate) fn role(endpoint: Endpoint, name: &str) -> Role {
    if endpoint.dialect() == Dialect::Gemini {
        return gemini_role(endpoint, name);
    }
    match name {
        // The provider's own there, if it knows them at all.
        "max_completion_tokens" | "n" | "best_of" if endpoint.dialect() == Dialect::Anthropic => {
            Role::Upstream
        }
        "metadata" if matches!(endpoint.dialect(), Dialect::Anthropic | Dialect::Responses) => {
            Role::Label(Label::Foreign)
        }
        "model" => Role::Model,
        "stream" if endpoint.is_chat() => Role::Stream,
        "max_tokens" => Role::MaxTokens,
        "max_completion_tokens" => Role::MaxCompletionTokens,
        "max_output_tokens" if endpoint == Endpoint::Responses => Role::MaxCompletionTokens,
        "n" | "best_of" => Role::Choices,
        "user" => Role::Label(Label::User),
        "safety_identifier" => Role::Label(Label::SafetyIdentifier),
        _ if name == endpoint.prompt_field() => Role::Prompt,
        _ => gateways_role(name),
    }
}

/// The path names the model and says whether the answer streams.
fn gemini_role(endpoint: Endpoint, name: &str) -> Role {
    match name {
        "model" => Role::Dropped,
        "user" => Role::Label(Label::User),
        "safety_identifier" => Role::Label(Label::SafetyIdentifier),
        _ if name == endpoint.prompt_field() => Role::Prompt,
        _ => gateways_role(name),
    }
}

/// What is none of the dialect's may be the gateway's.
pub(crate) fn gateways_role(name: &str) -> Role {
    match name {
        "metadata" | "litellm_metadata" | "litellm_session_id" | "litellm_trace_id" | "tags" => {
            Role::Label(Label::Ours)
        }
        "num_retries"
        | "timeout"
        | "request_timeout"
        | "stream_timeout"
        | "content_policy_fallbacks"
        | "context_window_fallbacks"
        | "fallbacks"
        | "max_fallbacks"
        | "disable_fallbacks"
        | "keepalive_seconds"
        | "merge_reasoning_content_in_choices"
        | "drop_params"
        | "additional_drop_params"
        | "allowed_openai_params" => Role::Extra,
        _ if REFUSED.binary_search(&name).is_ok() => Role::Refused,
        "guardrails" | "policies" => Role::Guard,
        // Whoever tests with them is to know that nothing was tested.
        _ if name.starts_with("mock_testing_") => Role::Guard,
        _ if is_dropped(name) => Role::Dropped,
        _ => Role::Upstream,
    }
}

/// Whether a field is the gateway's own, whoever wrote it: no provider is sent it.
#[must_use]
pub fn is_gateways_own(name: &str) -> bool {
    gateways_role(name) != Role::Upstream
}

/// Whether a provider is sent what has that name in a request that is passed on as it is: of those
/// that nobody here knows, what a chat's would be.
pub(crate) fn is_passed_on(endpoint: Option<Endpoint>, name: &str) -> bool {
    match role(endpoint.unwrap_or(Endpoint::ChatCompletions), name) {
        Role::Label(Label::Ours) | Role::Extra | Role::Dropped | Role::Guard | Role::Refused => {
            false
        }
        Role::Model
        | Role::Stream
        | Role::Prompt
        | Role::MaxTokens
        | Role::MaxCompletionTokens
        | Role::Choices
        | Role::Label(Label::User | Label::SafetyIdentifier | Label::Foreign)
        | Role::Upstream => true,
    }
}

/// Whether a value asks for something.
pub(crate) fn is_set(value: &str) -> bool {
    !matches!(value, "null" | "false" | "[]" | "{}")
}

/// Whether a wish comes true though nobody carries it out: what is asked once is not repeated, and
/// what is answered later has no streams and falls back on nobody.
pub(crate) fn is_met_alone(name: &str, value: &str) -> bool {
    let is_met = matches!(
        name,
        "disable_fallbacks" | "keepalive_seconds" | "max_fallbacks" | "stream_timeout"
    );
    is_met || !is_set(value) || (name == "num_retries" && value == "0")
}

/// True if `name` is `camel_case`, which Google also spells with underscores.
pub(crate) fn is_spelled(name: &str, camel_case: &str) -> bool {
    name == camel_case || (name.contains('_') && camel(name) == camel_case)
}

/// A name with underscores as Google's JSON has it.
pub(crate) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut words = name.split('_');
    out.extend(words.next());
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// Sorted.
const REFUSED: &[&str] = &[
    "api_base",
    "api_key",
    "aws_access_key_id",
    "aws_bedrock_runtime_endpoint",
    "aws_secret_access_key",
    "aws_session_token",
    "azure_ad_token",
    "base_url",
    "litellm_credential_name",
    "vertex_credentials",
];

/// Sorted.
const DROPPED: &[&str] = &[
    "_target_order",
    "cache",
    "cache_control_injection_points",
    "caching",
    "callbacks",
    "custom_llm_provider",
    "disable_global_guardrails",
    "enable_tag_filtering",
    "extra_headers",
    "failure_callback",
    "fastest_response",
    "headers",
    "max_retries",
    "model_info",
    "no-log",
    "priority",
    "proxy_server_request",
    "secret_fields",
    "specific_deployment",
    "ssl_verify",
    "success_callback",
    "target_model_names",
    "tiered_pricing",
];

fn is_dropped(name: &str) -> bool {
    DROPPED.binary_search(&name).is_ok()
        || name.starts_with("mock_")
        || name.starts_with("litellm_")
        // Where a client's own records go to, with its credentials there.
        || name.starts_with("langfuse_")
        || name.starts_with("langsmith_")
        // Prices: a client does not set its own.
        || name.contains("_cost_per_")
        || name.contains("_token_cost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_searched() {
        assert!(REFUSED.is_sorted() && DROPPED.is_sorted());
    }
}
