//! The settings that people set over the API, as forms and lists show them: what kind of value each
//! takes, what holds without it, what it does.

/// What kind of value a setting takes, in LiteLLM's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// `true` or `false`.
    Boolean,
    /// A map.
    Dictionary,
    /// A number.
    Float,
    /// A whole number.
    Integer,
    /// A list.
    List,
    /// A text.
    String,
}

impl FieldKind {
    /// As LiteLLM says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "Boolean",
            Self::Dictionary => "Dictionary",
            Self::Float => "Float",
            Self::Integer => "Integer",
            Self::List => "List",
            Self::String => "String",
        }
    }
}

/// One setting that is in force in this version.
#[derive(Clone, Copy, Debug)]
pub struct SettingField {
    /// In its section.
    pub name: &'static str,
    /// What it takes.
    pub kind: FieldKind,
    /// JSON of what holds where it is not set.
    pub default: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The words that it takes; empty: any value of its kind.
    pub options: &'static [&'static str],
}

impl SettingField {
    /// Why only a file may set it.
    #[must_use]
    pub fn of_files(&self) -> Option<&'static str> {
        crate::edit::of_files(self.name)
    }
}

const fn field(
    name: &'static str,
    kind: FieldKind,
    default: &'static str,
    about: &'static str,
) -> SettingField {
    SettingField { name, kind, default, about, options: &[] }
}

use FieldKind::{Boolean, Dictionary, Float, Integer, List, String};

/// `general_settings`.
pub const GENERAL_FIELDS: &[SettingField] = &[
    field(
        "allow_client_side_credentials",
        Boolean,
        "false",
        "A request may bring a provider's key of its client's own.",
    ),
    field(
        "always_include_stream_usage",
        Boolean,
        "false",
        "Streams tell their usage whether the client asks or not.",
    ),
    field(
        "api_callback_networks",
        List,
        "[\"public\"]",
        "The networks in which receivers of request records may be that are set over the API.",
    ),
    field(
        "api_model_environment",
        List,
        "[]",
        "The variables of the nodes that models and credentials set over the API may name.",
    ),
    field(
        "api_model_networks",
        List,
        "[\"public\", \"private\"]",
        "The networks that models set over the API may call.",
    ),
    field(
        "apply_user_budget_to_team_keys",
        Boolean,
        "false",
        "A user's own budget binds the keys of teams too.",
    ),
    field(
        "dangerously_permit_weak_or_unset_master_key",
        Boolean,
        "false",
        "A master key that anybody can guess, or none, is permitted.",
    ),
    field(
        "disable_adding_master_key_hash_to_db",
        Boolean,
        "false",
        "Calls by the master key are logged under no hash; here they never are.",
    ),
    field(
        "disable_master_key_return",
        Boolean,
        "false",
        "No answer tells the master key; here none ever does.",
    ),
    field(
        "drain_endpoint_token",
        String,
        "null",
        "What `x-drain-token` must hold, where a node is drained without an admin's key.",
    ),
    field(
        "enable_drain_endpoint",
        Boolean,
        "false",
        "A node may be drained by GET /health/drain without an admin's key.",
    ),
    field(
        "enforce_fallback_model_access",
        Boolean,
        "false",
        "A fallback is taken only if the key may call it itself.",
    ),
    field("enforce_user_param", Boolean, "false", "A request must say who its user is."),
    field("enforced_params", List, "[]", "What the body of every request must have."),
    field(
        "fail_closed_rate_limit_enforcement",
        Boolean,
        "false",
        "Limits refuse what cannot be counted while nodes are lost: as `on_loss: closed`.",
    ),
    field(
        "forward_client_headers_to_llm_api",
        Boolean,
        "false",
        "A client's own x- headers go along to the provider.",
    ),
    field(
        "forward_openai_org_id",
        Boolean,
        "false",
        "A client's openai-organization goes along to the provider.",
    ),
    field(
        "global_max_parallel_requests",
        Integer,
        "null",
        "The most requests at the same time on one node.",
    ),
    field(
        "include_call_id_in_error_body",
        Boolean,
        "false",
        "An error's body has the id of its call.",
    ),
    SettingField {
        options: &["local"],
        ..field(
            "key_management_system",
            String,
            "null",
            "Where os.environ/NAME is looked up; here in the node's environment alone.",
        )
    },
    field("litellm_key_header_name", String, "null", "One more header that may hold the key."),
    field("litellm_license", String, "null", "Not needed: nothing is behind a licence."),
    field("master_key", String, "null", "The key that may do everything."),
    field(
        "max_parallel_requests",
        Integer,
        "null",
        "The most requests at the same time of a key that has no limit of its own.",
    ),
    field("max_request_size_mb", Float, "32", "The longest request body, in MB."),
    field(
        "maximum_spend_logs_retention_period",
        String,
        "null",
        "How long the request log is kept, such as `30d`.",
    ),
    field("model_alias_map", Dictionary, "{}", "Other names of models."),
    SettingField {
        options: &["full", "share", "closed", "open"],
        ..field("on_loss", String, "\"full\"", "What limits do while nodes are lost.")
    },
    field("pass_through_endpoints", List, "[]", "Paths that are passed on to other servers."),
    field(
        "pass_through_request_timeout",
        Float,
        "600",
        "How long a call that is passed on may take, in seconds.",
    ),
    field(
        "reject_clientside_metadata_tags",
        Boolean,
        "false",
        "A request may not have tags of its own.",
    ),
    field("store_model_in_db", Boolean, "true", "Models and settings may be set over the API."),
    field(
        "store_prompts_in_spend_logs",
        Boolean,
        "false",
        "The request log keeps what was asked and answered.",
    ),
    SettingField {
        options: &["total", "input", "output"],
        ..field(
            "token_rate_limit_type",
            String,
            "\"total\"",
            "Which tokens count against token limits.",
        )
    },
    field("use_x_forwarded_for", Boolean, "false", "The proxy in front tells where a client is."),
    field("user_header_mappings", List, "[]", "The headers that name the end user or the user."),
    field("user_header_name", String, "null", "The header that names the end user."),
];

/// `router_settings`.
pub const ROUTER_FIELDS: &[SettingField] = &[
    field("allowed_fails", Integer, "3", "Failures in a minute before a deployment is left alone."),
    field("allowed_fails_policy", Dictionary, "{}", "The same by what went wrong."),
    field(
        "content_policy_fallbacks",
        List,
        "[]",
        "Models to try when a provider refuses the content.",
    ),
    field("context_window_fallbacks", List, "[]", "Models to try when a prompt is too long."),
    field(
        "cooldown_time",
        Float,
        "5",
        "How long a deployment that fails is left alone, in seconds.",
    ),
    field(
        "default_fallbacks",
        List,
        "[]",
        "Models to try for any model without fallbacks of its own.",
    ),
    field(
        "default_max_parallel_requests",
        Integer,
        "null",
        "The most requests at the same time to a deployment that has no limit of its own.",
    ),
    field("disable_cooldowns", Boolean, "false", "No deployment is left alone."),
    field(
        "enable_pre_call_checks",
        Boolean,
        "false",
        "A deployment is not sent what is longer than its model takes.",
    ),
    field(
        "enable_tag_filtering",
        Boolean,
        "false",
        "Deployments are chosen by the tags of requests.",
    ),
    field("fallbacks", List, "[]", "Models to try when a model fails."),
    field("max_fallbacks", Integer, "5", "The most models that are tried after the first."),
    field(
        "model_group_alias",
        Dictionary,
        "{}",
        "Other names of models; a hidden one is not listed.",
    ),
    field(
        "model_group_retry_policy",
        Dictionary,
        "{}",
        "How often a request is tried again, by model and by what went wrong.",
    ),
    field(
        "num_retries",
        Integer,
        "2",
        "How often a request is tried again at other deployments of its model.",
    ),
    field("optional_pre_call_checks", List, "[]", "Checks before a deployment is called."),
    field(
        "provider_budget_config",
        Dictionary,
        "{}",
        "What may be spent at each provider in a period.",
    ),
    field("request_timeout", Float, "6000", "How long a request may take, in seconds."),
    field(
        "retry_after",
        Float,
        "0",
        "The shortest wait before a request is tried again, in seconds.",
    ),
    field(
        "retry_policy",
        Dictionary,
        "{}",
        "How often a request is tried again, by what went wrong.",
    ),
    SettingField {
        options: &[
            "cost-based-routing",
            "lar1",
            "latency-based-routing",
            "least-busy",
            "simple-shuffle",
            "usage-based-routing",
            "usage-based-routing-v2",
        ],
        ..field(
            "routing_strategy",
            String,
            "\"simple-shuffle\"",
            "How a deployment of a model is picked.",
        )
    },
    field(
        "routing_strategy_args",
        Dictionary,
        "{}",
        "For latency-based-routing: how much slower a deployment may be than the fastest.",
    ),
    field("stream_timeout", Float, "null", "How long a stream may take, in seconds."),
    field(
        "tag_filtering_match_any",
        Boolean,
        "true",
        "One of a request's tags is enough for a deployment.",
    ),
    field("timeout", Float, "null", "How long one attempt may take, in seconds."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::keys;

    #[test]
    fn every_setting_in_force_is_told_and_no_other() {
        for (fields, known) in [(GENERAL_FIELDS, &keys::GENERAL), (ROUTER_FIELDS, &keys::ROUTER)] {
            let told: BTreeSet<_> = fields.iter().map(|field| field.name).collect();
            let in_force: BTreeSet<_> = known
                .words()
                .filter(|word| known.standing(word) == Some(keys::Standing::InForce))
                .collect();
            assert_eq!(told, in_force, "{}", known.section);
            assert!(fields.is_sorted_by_key(|field| field.name), "{}", known.section);
            for field in fields {
                serde_json::from_str::<serde_json::Value>(field.default).expect(field.name);
            }
        }
    }
}
