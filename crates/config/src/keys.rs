//! Every key that LiteLLM knows, section by section, and how it stands here. Words that end in
//! `*` stand for all keys that begin so.

/// How a known setting stands in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does what it says, or needs nothing to be done.
    InForce,
    /// It is accepted and does nothing yet.
    NotYet,
    /// It is accepted, and something else takes its place.
    Replaced(&'static str),
    /// Running without it would be unsafe, so it is an error.
    Refused(&'static str),
}

/// The known keys of one section; each list of words is sorted.
pub(crate) struct Keys {
    pub(crate) section: &'static str,
    in_force: &'static str,
    not_yet: &'static str,
    replaced: &'static [(&'static str, &'static str)],
    refused: &'static [(&'static str, &'static str)],
}

const POSTGRES: &str = "no Postgres is used: keys, spend and config are kept by the cluster itself, \
     replicated to every node";
const REDIS: &str = "no Redis is used: the nodes share limits, load and health among themselves";
const SEGMENTS: &str = "old parts of the request log are deleted automatically, one file at a time";
const COUNTED: &str = "spend is always counted: budgets depend on it";
const HELD: &str = "a request always holds what it may cost: otherwise many requests at once would \
                    overspend a budget";
const LOGGED: &str = "the request log is what spend is settled from, so each request is in it, failed \
     ones too; for a short one set maximum_spend_logs_retention_period";
const TURNS: &str = "a budget resets exactly on time, without a sweep; one without budget_duration \
                     never resets";
const CIPHERS: &str =
    "TLS 1.2 and 1.3 are supported, with the ciphers and curves that rustls considers safe";
const GUARDS: &str = "this version does not run guardrails; check prompts and answers in a service \
                      of your own in front of dunlin, or behind it as the model's api_base";
const MCP: &str = "this version does not serve MCP servers or control the use of their tools; \
                   connect clients to the servers directly";
const PYTHON: &str = "Python code cannot run in dunlin; check callers in a reverse proxy in front of \
     it, or give each caller a key of its own with /key/generate";
const AUDIT: &str = "the audit log is always kept, on every node: read it at /audit or with `dunlin \
     audit`";
pub(crate) const FETCHED: &str = "no prices are fetched when a node starts: they are compiled in; to \
     replace them, download the file and name it in cluster.prices";
const SECRETS: &str = "secrets are read from the environment of the node (os.environ/NAME), not from a \
     secret manager: have them put there before `dunlin serve`, then remove this setting";
const ACCESS: &str = "this access rule is not enforced by this version; enforce it in a firewall or \
     reverse proxy in front of dunlin";

const MOCK: &str = "the provider would be called, and paid, where this says to answer without it; take the \
     deployment out, or point its api_base at a server that answers so";
const REGEX: &str = "no deployment is chosen by regular expressions; have clients send tags \
     (x-litellm-tags), and give the deployment `tags`";

pub(crate) const TOP: Keys = Keys {
    section: "the top level",
    in_force: "callback_settings cluster credential_list environment_variables general_settings include \
        litellm_settings model_list router_settings x-*",
    not_yet: "assistant_settings files_settings finetune_settings prompts \
        search_tools vector_store_registry worker_registry",
    replaced: &[],
    refused: &[
        ("guardrails", GUARDS),
        ("mcp_servers", MCP),
        ("mcp_tools", MCP),
        ("policies", GUARDS),
    ],
};

pub(crate) const CLUSTER: Keys = Keys {
    section: "cluster",
    in_force: "advertise bootstrap_expect data_dir host join keepalive_timeout listen max_staleness name \
        on_stale port prices request_log_max_gb secret",
    not_yet: "",
    replaced: &[],
    refused: &[],
};

pub(crate) const CALLBACK: Keys = Keys {
    section: "an entry of callback_settings",
    in_force: "callback_type endpoint event_types headers log_format message_logging",
    not_yet: "batch_size flush_interval turn_off_message_logging",
    replaced: &[],
    refused: &[],
};

pub(crate) const ENTRY: Keys = Keys {
    section: "a model_list entry",
    in_force: "litellm_params model_info model_name",
    not_yet: "",
    replaced: &[],
    refused: &[],
};

pub(crate) const PASS_THROUGH: Keys = Keys {
    section: "a pass_through_endpoints entry",
    in_force: "auth cost_per_request default_query_params forward_headers headers id \
        include_subpath methods path target timeout",
    not_yet: "",
    replaced: &[],
    refused: &[("guardrails", GUARDS)],
};

pub(crate) const PARAMS: Keys = Keys {
    section: "litellm_params",
    in_force: "additional_drop_params allow_client_keepalive_override allowed_openai_params \
        api_base api_key api_version aws_access_key_id aws_batch_role_arn aws_bedrock_runtime_endpoint \
        aws_external_id aws_profile_name aws_region_name aws_role_name \
        aws_secret_access_key aws_session_name aws_session_token aws_sts_endpoint \
        aws_web_identity_token azure_ad_token azure_scope base_url bucket_name budget_duration \
        cache_control_injection_points cache_creation_input_token_cost \
        cache_creation_input_token_cost_above_1hr cache_read_input_token_cost client_id \
        client_secret configurable_clientside_auth_params cooldown_time custom_llm_provider default_api_key_rpm_limit \
        default_api_key_tpm_limit drop_params extra_body extra_headers gcs_bucket_name gcs_endpoint_url headers \
        input_cost_per_audio_token input_cost_per_character input_cost_per_image \
        input_cost_per_image_token input_cost_per_pixel input_cost_per_query \
        input_cost_per_second input_cost_per_token itpm keepalive_seconds \
        litellm_credential_name max_budget max_parallel_requests max_retries \
        merge_reasoning_content_in_choices model model_id num_retries ocr_cost_per_page order organization otpm \
        output_cost_per_audio_token output_cost_per_character output_cost_per_image \
        output_cost_per_image_token output_cost_per_pixel output_cost_per_reasoning_token \
        output_cost_per_second output_cost_per_token region_name rpm s3_bucket_name s3_encryption_key_id s3_endpoint_url \
        s3_output_bucket_name s3_region_name ssl_certificate ssl_verify \
        stream_timeout tags tenant_id tiered_pricing timeout tpm use_chat_completions_api \
        use_in_pass_through vertex_ai_location vertex_ai_project vertex_credentials \
        vertex_location vertex_project weight",
    not_yet: "adaptive_router_* allowed_model_region assistant_continue_message auto_router_* \
        aws_* azure_* bos_token cache_creation_input_token_cost* \
        cache_read_input_token_cost* caching complete_response complexity_router_* \
        context_window_fallback_dict cost_per_query \
        custom_prompt_dict disable_add_transform_inline_image_block enable_prompt_caching \
        ensure_alternating_roles eos_token fastest_response final_prompt_value \
        force_timeout gcs_* hf_model_name \
        initial_prompt_value input_cost_per_* logger_fn max_agentic_loops \
        max_file_size_mb metadata mock_delay mock_testing_* mock_timeout model_config \
        model_file_id_mapping no-log ocr_cost_per_page* output_cost_per_* preset_cache_key \
        priority prompt_environment prompt_id prompt_label prompt_variables prompt_version \
        provider_specific_header quality_router_* retry_strategy roles \
        s3_* search_tool_name shared_session \
        stream_chunk_size stream_timeout_by_service_tier supports_system_message \
        text_completion timeout_by_service_tier use_client use_litellm_proxy \
        user_continue_message vertex_* watsonx_*",
    replaced: &[],
    refused: &[("guardrails", GUARDS), ("mock_response", MOCK), ("tag_regex", REGEX)],
};

/// Fields of the request body that people set as defaults in `litellm_params`, so that they are
/// not taken for slips of other keys.
pub(crate) const BODY: &str = "chat_template_kwargs dimensions encoding_format frequency_penalty \
     function_call functions guided_json guided_regex input keep_alive logit_bias logprobs \
     max_completion_tokens max_tokens messages min_p min_tokens modalities models n options \
     parallel_tool_calls prediction presence_penalty prompt provider reasoning reasoning_effort \
     repetition_penalty response_format safety_identifier seed service_tier stop store stream \
     stream_options suffix temperature thinking tool_choice tools top_k top_logprobs top_p user \
     verbosity";

pub(crate) const INFO: Keys = Keys {
    section: "model_info",
    in_force: "access_groups allowed_fails allowed_fails_policy base_model blocked cache_creation_input_token_cost \
        cache_creation_input_token_cost_above_1hr cache_read_input_token_cost cooldown_time \
        description health_check_max_tokens health_check_max_tokens_reasoning \
        health_check_model health_check_reasoning_effort health_check_timeout \
        health_check_voice id input_cost_per_audio_token input_cost_per_character \
        input_cost_per_image input_cost_per_image_token input_cost_per_pixel \
        input_cost_per_query input_cost_per_second input_cost_per_token litellm_provider \
        max_input_tokens max_output_tokens max_tokens mode model name ocr_cost_per_page \
        output_cost_per_audio_token output_cost_per_character output_cost_per_image \
        output_cost_per_image_token output_cost_per_pixel output_cost_per_reasoning_token \
        output_cost_per_second output_cost_per_token provider region_name supported_environments \
        supports_* team_id team_public_model_name tier tiered_pricing",
    not_yet: "access_windows \
        cache_creation_input_token_cost* cache_read_input_token_cost* \
        disable_background_health_check discoverable health_check_* input_cost_per_* \
        ocr_cost_per_page* output_cost_per_* ptu_*",
    replaced: &[],
    refused: &[],
};

pub(crate) const ROUTER: Keys = Keys {
    section: "router_settings",
    in_force: "allowed_fails allowed_fails_policy content_policy_fallbacks context_window_fallbacks cooldown_time \
        default_fallbacks default_max_parallel_requests disable_cooldowns \
        enable_pre_call_checks enable_tag_filtering fallbacks max_fallbacks \
        model_group_alias model_group_retry_policy num_retries optional_pre_call_checks provider_budget_config request_timeout retry_after retry_policy \
        routing_strategy routing_strategy_args stream_timeout tag_filtering_match_any timeout",
    not_yet: "alerting_config background_health_check_model_groups \
        cache_responses caching_groups client_ttl debug_level default_litellm_params \
        default_priority deployment_affinity_ttl_seconds enable_health_check_routing \
        enable_weighted_failover \
        health_check_ignore_transient_errors health_check_staleness_threshold \
        polling_interval \
        routing_groups set_verbose tag_routing_prefix",
    replaced: &[
        ("cache_kwargs", REDIS),
        ("redis_db", REDIS),
        ("redis_host", REDIS),
        ("redis_password", REDIS),
        ("redis_port", REDIS),
        ("redis_url", REDIS),
    ],
    refused: &[],
};

pub(crate) const RETRY_POLICY: Keys = Keys {
    section: "retry_policy",
    in_force: "AuthenticationErrorRetries BadGatewayErrorRetries BadRequestErrorRetries \
        ContentPolicyViolationErrorRetries DefaultRetries InternalServerErrorRetries \
        NotFoundErrorRetries RateLimitErrorRetries ServiceUnavailableErrorRetries \
        TimeoutErrorRetries num_retries retry_after",
    not_yet: "",
    replaced: &[],
    refused: &[],
};

pub(crate) const ALLOWED_FAILS_POLICY: Keys = Keys {
    section: "allowed_fails_policy",
    in_force: "AuthenticationErrorAllowedFails BadGatewayErrorAllowedFails \
        BadRequestErrorAllowedFails ContentPolicyViolationErrorAllowedFails \
        InternalServerErrorAllowedFails NotFoundErrorAllowedFails RateLimitErrorAllowedFails \
        ServiceUnavailableErrorAllowedFails TimeoutErrorAllowedFails",
    not_yet: "",
    replaced: &[],
    refused: &[],
};

pub(crate) const STRATEGY_ARGS: Keys = Keys {
    section: "routing_strategy_args",
    in_force: "lowest_latency_buffer",
    not_yet: "max_latency_list_size ttft_percentile ttl",
    replaced: &[],
    refused: &[],
};

/// `router_settings` may stand here as well.
pub(crate) const LITELLM: Keys = Keys {
    section: "litellm_settings",
    in_force: "budget_duration budget_exceeded_status_code budget_exceeded_throttle_percentage \
        budget_reset_time budget_rollover callbacks cost_discount_config \
        cost_margin_config custom_prometheus_metadata_labels custom_prometheus_tags \
        default_internal_user_params default_key_generate_params \
        default_max_internal_user_budget default_soft_budget default_team_params \
        default_team_settings disable_end_user_cost_tracking_prometheus_only drop_params \
        enable_azure_ad_token_refresh enable_end_user_cost_tracking_prometheus_only \
        failure_callback forward_traceparent_to_llm_provider internal_user_budget_duration \
        key_generation_settings max_budget max_end_user_budget max_end_user_budget_id \
        max_internal_user_budget max_user_budget model_alias_map model_group_settings \
        modify_params prometheus_latency_buckets prometheus_metrics_config \
        redact_user_api_key_info require_auth_for_metrics_endpoint ssl_certificate \
        ssl_verify success_callback tag_budget_config timezone turn_off_message_logging \
        upperbound_key_generate_params",
    not_yet: "add_user_information_to_llm_headers audit_log_callbacks cache \
        disable_add_user_agent_to_request_tags disable_aiohttp_transport \
        disable_end_user_cost_tracking disable_streaming_logging disable_token_counter \
        enable_json_schema_validation enable_key_alias_format_validation \
        enable_loadbalancing_on_batch_endpoints enable_preview_features \
        extra_spend_tag_headers force_ipv4 json_logs langfuse_* log_raw_request_response \
        max_ui_session_budget overwrite_user_with_key_hash prometheus_emit_* \
        prometheus_initialize_* public_model_groups redact_messages_in_exceptions \
        service_callback use_chat_completions_url_for_anthropic_messages \
        validate_end_user_id_in_db",
    replaced: &[
        ("cache_params", "answers are not cached by this version, and no Redis is used"),
        ("enable_redis_auth_cache", REDIS),
        ("ssl_ecdh_curve", CIPHERS),
        ("ssl_security_level", CIPHERS),
        ("store_audit_logs", AUDIT),
    ],
    refused: &[
        ("banned_keywords_list", GUARDS),
        ("blocked_user_list", GUARDS),
        ("custom_provider_map", PYTHON),
        ("guardrails", GUARDS),
        ("model_cost_map_url", FETCHED),
        ("post_call_rules", PYTHON),
        ("pre_call_rules", PYTHON),
    ],
};

pub(crate) const GENERAL: Keys = Keys {
    section: "general_settings",
    in_force: "allow_client_side_credentials always_include_stream_usage api_callback_networks api_model_environment \
        api_model_networks apply_user_budget_to_team_keys \
        dangerously_permit_weak_or_unset_master_key disable_adding_master_key_hash_to_db \
        disable_master_key_return drain_endpoint_token enable_drain_endpoint \
        enforce_fallback_model_access enforce_user_param enforced_params \
        fail_closed_rate_limit_enforcement forward_client_headers_to_llm_api \
        forward_openai_org_id global_max_parallel_requests include_call_id_in_error_body \
        key_management_system litellm_key_header_name litellm_license master_key \
        max_parallel_requests max_request_size_mb maximum_spend_logs_retention_period \
        model_alias_map on_loss pass_through_endpoints pass_through_request_timeout \
        reject_clientside_metadata_tags store_model_in_db store_prompts_in_spend_logs \
        token_rate_limit_type use_x_forwarded_for user_header_mappings user_header_name",
    not_yet: "admission_queue_timeout_seconds alert_to_webhook_url alert_type_config alert_types \
        alerting alerting_args alerting_threshold \
        allowed_routes background_health_checks cancel_on_disconnect completion_model \
        custom_auth_run_common_checks dangerously_allow_mock_testing_request_params \
        default_team_disabled disable_retry_on_max_parallel_request_limit_error \
        embedding_model enable_jwt_auth enable_oauth2_auth enable_oauth2_proxy_auth \
        forward_llm_provider_auth_headers health_check_concurrency health_check_details \
        health_check_interval image_generation_model infer_model_from_keys litellm_jwtauth \
        max_in_flight_requests_per_worker max_queued_requests_per_worker \
        max_response_size_mb missing_session_id model_list_healthy_only moderation_model \
        public_routes role_permissions service_account_settings spend_report_frequency \
        trusted_proxy_ranges ui_access_mode use_client_credentials_pass_through_routes",
    replaced: &[
        ("allow_requests_on_db_unavailable", POSTGRES),
        ("coordination_redis", REDIS),
        ("database_*", POSTGRES),
        ("database_url", POSTGRES),
        ("disable_budget_reservation", HELD),
        ("disable_error_logs", LOGGED),
        ("disable_prisma_schema_update", POSTGRES),
        ("disable_reset_budget", TURNS),
        ("disable_spend_logs", LOGGED),
        ("disable_spend_updates", COUNTED),
        ("maximum_spend_logs_cleanup_cron", SEGMENTS),
        ("maximum_spend_logs_retention_interval", SEGMENTS),
        ("proxy_batch_write_at", POSTGRES),
        ("proxy_budget_rescheduler_*", TURNS),
        ("proxy_config_reload_interval_seconds", "a changed config is on every node at once"),
        ("supported_db_objects", POSTGRES),
        ("use_redis_transaction_buffer", REDIS),
        ("use_shared_health_check", REDIS),
        ("user_api_key_cache_*", "keys are looked up in memory on every node, nothing expires"),
    ],
    refused: &[
        ("admin_only_routes", ACCESS),
        ("allowed_ips", ACCESS),
        ("custom_auth", PYTHON),
        ("custom_key_generate", PYTHON),
        ("custom_sso", PYTHON),
        ("custom_ui_sso_sign_in_handler", PYTHON),
        ("key_management_settings", SECRETS),
    ],
};

/// Where a key may be looked for that stands in the wrong section.
pub(crate) const SECTIONS: &[&Keys] =
    &[&ROUTER, &LITELLM, &GENERAL, &CLUSTER, &PARAMS, &INFO, &ENTRY, &TOP];

/// All sections.
#[cfg(test)]
pub(crate) const ALL: &[&Keys] = &[
    &TOP,
    &ENTRY,
    &PARAMS,
    &INFO,
    &ROUTER,
    &RETRY_POLICY,
    &ALLOWED_FAILS_POLICY,
    &STRATEGY_ARGS,
    &LITELLM,
    &GENERAL,
    &CALLBACK,
    &PASS_THROUGH,
    &CLUSTER,
];

/// Names in `callbacks` that block requests rather than report them.
pub(crate) const GUARD_CALLBACKS: &str = "aporia_prompt_injection azure_content_safety \
     banned_keywords blocked_user_check detect_prompt_injection google_text_moderation \
     hide_secrets lakera_prompt_injection llamaguard_moderations llmguard_moderations \
     openai_moderations presidio";

impl Keys {
    pub(crate) fn standing(&self, key: &str) -> Option<Standing> {
        let listed = |words: &str| words.split_whitespace().any(|word| word == key);
        let begun = |word: &str| word.strip_suffix('*').is_some_and(|start| key.starts_with(start));
        let of = |pairs: &'static [(&str, &'static str)]| {
            pairs.iter().find(|(word, _)| *word == key || begun(word)).map(|(_, text)| *text)
        };
        if listed(self.in_force) {
            Some(Standing::InForce)
        } else if listed(self.not_yet) || self.not_yet.split_whitespace().any(begun) {
            Some(Standing::NotYet)
        } else if let Some(by) = of(self.replaced) {
            Some(Standing::Replaced(by))
        } else if let Some(reason) = of(self.refused) {
            Some(Standing::Refused(reason))
        } else {
            self.in_force.split_whitespace().any(begun).then_some(Standing::InForce)
        }
    }

    /// The keys that are accepted and do nothing yet.
    #[cfg(test)]
    pub(crate) fn absent(&self) -> Vec<&'static str> {
        self.not_yet.split_whitespace().collect()
    }

    /// All keys with a name of their own.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static str> {
        let pairs = self.replaced.iter().chain(self.refused).map(|(word, _)| *word);
        let listed = self.in_force.split_whitespace().chain(self.not_yet.split_whitespace());
        listed.chain(pairs).filter(|word| !word.ends_with('*'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_sorted_and_gives_a_key_one_standing() {
        for keys in ALL {
            let pairs = |pairs: &'static [(&'static str, _)]| pairs.iter().map(|(word, _)| *word);
            let tables: [Vec<&str>; 4] = [
                keys.in_force.split_whitespace().collect(),
                keys.not_yet.split_whitespace().collect(),
                pairs(keys.replaced).collect(),
                pairs(keys.refused).collect(),
            ];
            for table in &tables {
                assert!(table.is_sorted(), "{}: {table:?}", keys.section);
            }
            let mut all: Vec<&str> = tables.concat();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{}: a key stands in two tables", keys.section);
        }
    }

    #[test]
    fn known_keys_are_not_slips_of_each_other_in_a_body() {
        for word in BODY.split_whitespace() {
            assert!(PARAMS.standing(word).is_none(), "{word} is a setting, not a body field");
        }
    }
}
