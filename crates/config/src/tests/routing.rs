//! How deployments are chosen, what follows from failures, and what of LiteLLM's own names is sent.

use dunlin_llm::form::{Cache, CachePlace, CachePoint, Role};
use dunlin_router::{AllowedFails, ErrorClass, Region, Strategy, TagFilter};

use super::*;
use crate::Forwarded;

const MODEL: &str = "model_list:\n- model_name: m\n  litellm_params:\n    model: openai/gpt-4o\n";

fn with(settings: &str) -> Loaded {
    loaded(&format!("{MODEL}{settings}"))
}

#[test]
fn every_strategy_is_the_one_it_says() {
    let strategy = |name: &str| {
        let settings = format!("router_settings: {{routing_strategy: {name}}}\n");
        assert!(!said(&format!("{MODEL}{settings}")).contains("not yet"), "{name}");
        with(&settings).catalog.strategy
    };
    assert_eq!(strategy("simple-shuffle"), Strategy::Shuffle);
    assert_eq!(strategy("least-busy"), Strategy::LeastBusy);
    assert_eq!(strategy("cost-based-routing"), Strategy::Cheapest);
    assert_eq!(strategy("usage-based-routing"), Strategy::LeastUsed);
    assert_eq!(strategy("usage-based-routing-v2"), Strategy::LeastUsed);
    let fastest = |within| Strategy::Fastest { within, stream: false };
    assert_eq!(strategy("latency-based-routing"), fastest(0.0));
    let near = "router_settings: {routing_strategy: latency-based-routing, \
                routing_strategy_args: {lowest_latency_buffer: 0.5, ttl: 9}}\n";
    assert_eq!(with(near).catalog.strategy, fastest(0.5));
    assert!(said(&format!("{MODEL}{near}")).contains("routing_strategy_args.ttl"));
    let learned = format!("{MODEL}router_settings: {{routing_strategy: lar1}}\n");
    let note = "not yet in force: routing_strategy lar1 (simple-shuffle is used)";
    assert!(said(&learned).contains(note), "{}", said(&learned));
}

#[test]
fn a_strategy_that_measures_keeps_rpm_and_tpm() {
    let limits = |strategy: &str| {
        let settings = format!("    rpm: 7\nrouter_settings: {{routing_strategy: {strategy}}}\n");
        deployment(&with(&settings), "m", 0).limits.requests
    };
    assert_eq!(limits("simple-shuffle"), None, "a weight");
    assert_eq!(limits("usage-based-routing-v2"), Some(7));
}

#[test]
fn policies_are_read_by_class_for_all_and_for_groups() {
    let settings = "router_settings:\n  retry_policy: {RateLimitErrorRetries: 5, DefaultRetries: 1}\n  \
                    model_group_retry_policy: {m: {BadRequestErrorRetries: 0}}\n  \
                    allowed_fails_policy: {InternalServerErrorAllowedFails: 9}\n";
    let catalog = with(settings).catalog;
    let policy = catalog.retry_policy("other").expect("one for all");
    assert_eq!(policy.by_error.of(ErrorClass::RateLimit), Some(5));
    assert_eq!((policy.by_error.of(ErrorClass::Timeout), policy.others), (None, Some(1)));
    let own = catalog.retry_policy("m").expect("its own");
    assert_eq!(own.by_error.of(ErrorClass::BadRequest), Some(0));
    assert_eq!(own.by_error.of(ErrorClass::RateLimit), None, "its own goes before that of all");
    assert_eq!(catalog.retry.allowed_fails.of(500), Some(9));
    let own = with("  model_info: {allowed_fails: 7}\n");
    let allowed = AllowedFails { count: Some(7), policy: None };
    assert_eq!(deployment(&own, "m", 0).allowed_fails, allowed);
    let slip = format!("{MODEL}router_settings: {{retry_policy: {{TimeoutErrorRetires: 1}}}}\n");
    assert!(said(&slip).contains("did you mean `TimeoutErrorRetries`?"), "{}", said(&slip));
}

#[test]
fn tags_and_the_length_of_prompts_are_checked_where_asked_for() {
    let settings = "    tags: [free, default]\n  model_info: {max_input_tokens: 100}\n\
                    router_settings: {enable_tag_filtering: true, enable_pre_call_checks: true}\n";
    let config = with(settings);
    assert_eq!(config.catalog.tag_filter, Some(TagFilter { any: true }));
    assert!(config.catalog.checks_length);
    let one = deployment(&config, "m", 0);
    assert_eq!(names(one.tags.iter()), ["free", "default"]);
    assert_eq!(one.max_input, Some(Tokens(100)));
    let published = with("");
    assert_eq!(published.catalog.tag_filter, None);
    assert_eq!(deployment(&published, "m", 0).max_input, Some(Tokens(128_000)));
    let refused = format!("{MODEL}    tag_regex: ['^User-Agent: x']\n");
    assert!(said(&refused).contains("litellm_params.tag_regex is refused"), "{}", said(&refused));
}

#[test]
fn a_deployment_is_where_it_is_said_to_be_or_where_it_is_asked() {
    let region = |own: &str| deployment(&with(own), "m", 0).region;
    assert_eq!(region(""), None);
    assert_eq!(region("    region_name: eu\n"), Some(Region::Eu));
    assert_eq!(region("    region_name: eastus2\n"), Some(Region::Us));
    assert_eq!(region("  model_info: {region_name: eu}\n"), Some(Region::Eu));
}

/// What a provider does not know it may refuse, and none knows these.
#[test]
fn no_name_of_litellms_own_is_sent_to_a_provider() {
    let own = "    cache_control_injection_points: [{location: message, role: system}]\n    \
               no-log: true\n    priority: 1\n    metadata: {a: b}\n    mock_timeout: true\n    \
               litellm_trace_id: t\n    use_litellm_proxy: true\n    prompt_id: p\n    \
               prompt_variables: {}\n    hf_model_name: h\n    roles: {}\n    \
               allowed_model_region: eu\n    s3_bucket_name: b\n    tags: [t]\n    \
               _target_order: 1\n    top_k: 5\n    anything_else: 1\n";
    let config = with(own);
    let sent = deployment(&config, "m", 0).target.body_defaults;
    assert_eq!(names(sent.iter().map(|(name, _)| name)), ["top_k", "anything_else"]);
    let said = said(&format!("{MODEL}{own}"));
    for name in ["no-log", "priority", "metadata", "_target_order"] {
        assert!(said.contains(&format!("litellm_params.{name}")), "{name}: {said}");
    }
}

#[test]
fn cache_points_demands_and_forwarded_headers_are_read() {
    let settings = "    cache_control_injection_points:\n    - {location: message, role: system}\n    \
                    - {location: message, index: -1, control: {type: ephemeral, ttl: 1h}}\n    \
                    - {location: tool_config}\n\
                    general_settings:\n  enforce_user_param: true\n  enforced_params: [user, metadata.run]\n  \
                    reject_clientside_metadata_tags: true\n  always_include_stream_usage: true\n  \
                    include_call_id_in_error_body: true\n  forward_openai_org_id: true\n\
                    litellm_settings:\n  model_group_settings: {forward_client_headers_to_llm_api: [m]}\n";
    let config = with(settings);
    let target = deployment(&config, "m", 0).target;
    let point = |at, cache| CachePoint { at, cache };
    let expected = [
        point(CachePlace::Role(Role::System), Cache::Short),
        point(CachePlace::Message(-1), Cache::Hour),
        point(CachePlace::Tools, Cache::Short),
    ];
    assert_eq!(target.cache_points, expected);
    assert!(target.forwards_headers);
    let settings = config.settings;
    assert_eq!((settings.demands.user, settings.demands.no_tags), (true, true));
    assert_eq!(settings.demands.params, ["user", "metadata.run"]);
    assert!(settings.always_tells_usage && settings.names_call_in_errors);
    let forwarded = Forwarded { own: true, organization: true, trace: false };
    assert_eq!(settings.forwarded, forwarded);
    let wrong = format!("{MODEL}    cache_control_injection_points: [{{location: message}}]\n");
    assert!(said(&wrong).contains("must have an index or a known role"), "{}", said(&wrong));
    let mock = format!("{MODEL}    mock_response: hi\n");
    assert!(said(&mock).contains("litellm_params.mock_response is refused"), "{}", said(&mock));
}

#[test]
fn what_requests_may_bring_is_said_for_a_model_or_for_all() {
    let clients = |loaded: &Loaded| deployment(loaded, "m", 0).target.clients;
    let none = with("");
    assert!(!none.catalog.takes_client_keys && !clients(&none).key);
    let list = "    configurable_clientside_auth_params:\n    - api_key\n    \
                - api_base: ^https://[^/]*\\.ai/v1$\n    - api_base\n";
    let one = with(list);
    assert!(one.catalog.takes_client_keys && clients(&one).key);
    assert_eq!(clients(&one).bases.len(), 1);
    assert!(!clients(&one).networks.allows("127.0.0.1".parse().expect("an address")));
    let note = "configurable_clientside_auth_params: api_base without a pattern";
    assert!(said(&format!("{MODEL}{list}")).contains(note));
    let bad = format!("{MODEL}    configurable_clientside_auth_params: [{{api_base: \"(\"}}]\n");
    assert!(said(&bad).contains("has a pattern that is none"), "{}", said(&bad));
    let all = with("general_settings: {allow_client_side_credentials: true}\n");
    assert!(all.catalog.takes_client_keys && clients(&all).key && clients(&all).bases.is_empty());
    assert!(!clients(&one).is_needed, "`OPENAI_API_KEY` is set");
    let unset = Environment::new(BTreeMap::from([(
        "LITELLM_MASTER_KEY".to_owned(),
        "sk-long-enough-to-be-safe".to_owned(),
    )]));
    for key in ["", "    api_key: os.environ/NOT_SET\n"] {
        let keyless = load(&document(&format!("{MODEL}{key}{list}")), &unset, &options()).loaded;
        let keyless = deployment(&keyless.expect("it loads"), "m", 0);
        assert!(keyless.parked.is_some() && keyless.target.clients.is_needed, "{key}");
    }
}
