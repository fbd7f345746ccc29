//! What a record comes to, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_journal::{Course, Fault, Whose};
use dunlin_llm::Target;
use dunlin_metrics::{MAX_LABEL_SETS, Metrics};
use dunlin_router::{BackendId, Catalog, Deployment, Group};
use dunlin_state::{Command, CommandId, Entity, Entry, Key, Kind, State};
use dunlin_types::{DeploymentId, Epoch, KeyDigest, NanoUsd, NodeId, UnixMillis};

use super::*;
use crate::{Serving, Settings};

fn deployment(group: &str, provider: &str) -> Arc<Deployment> {
    let base = format!("http://{group}/v1");
    Arc::new(Deployment {
        id: DeploymentId(format!("id-{group}").into()),
        backend: BackendId::new(&base, "up"),
        group: group.into(),
        provider: provider.into(),
        target: Target { api_base: base.into(), model: "up".into(), ..Target::default() },
        weight: Default::default(),
        limits: Default::default(),
        budget: None,
        tags: Arc::default(),
        region: None,
        max_input: None,
        order: 0,
        timeout: Duration::from_secs(1),
        stream_timeout: Duration::from_secs(1),
        keepalive: Default::default(),
        num_retries: None,
        cooldown: None,
        allowed_fails: Default::default(),
        price: Default::default(),
        prices: Arc::default(),
        about: Arc::default(),
        parked: None,
    })
}

/// Two groups, `m` of OpenAI's and `n` of Anthropic's.
fn serving() -> Serving {
    let groups = [("m", "openai"), ("n", "anthropic")].map(|(name, provider)| {
        let deployments = vec![deployment(name, provider)];
        (Arc::from(name), Group { name: name.into(), deployments })
    });
    let catalog = Catalog { groups: groups.into(), ..Catalog::default() };
    Serving { catalog: Arc::new(catalog), settings: Settings::default() }
}

/// So many keys, `sk-0` and on, named `key 0` and on, the first of them of a team.
fn state(keys: u64) -> State {
    let mut state = State::new();
    let team = Entity {
        kind: Kind::Team,
        name: "t1".to_owned(),
        alias: Some("red".to_owned()),
        ..Entity::default()
    };
    let team = Command::CreateEntity { entity: Box::new(team), members: Vec::new() };
    let keys = (0..keys).map(|number| {
        let token = KeyDigest::of(&format!("sk-{number}"));
        let alias = Some(format!("key {number}"));
        Command::CreateKey { key: Box::new(Key { token, alias, ..Key::default() }) }
    });
    for (sequence, command) in (1..).zip([team].into_iter().chain(keys)) {
        let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq: sequence };
        let entry = Entry { id, actor: None, command };
        state.apply(sequence, UnixMillis(1), &entry).expect("applied");
    }
    state
}

/// An answer of `m` to `sk-0` that took 1.5 s, 1 s of it at the provider.
fn record() -> SpendRecord {
    SpendRecord {
        key: Some(KeyDigest::of("sk-0")),
        model: "m".to_owned(),
        deployment: Some(DeploymentId("id-m".into())),
        upstream_model: "up".to_owned(),
        started: UnixMillis(1_000),
        ended: UnixMillis(2_500),
        prompt: Tokens(30),
        completion: Tokens(10),
        cost: NanoUsd(2_000_000_000),
        outcome: Outcome::Success,
        whose: Whose { team: Some("t1".to_owned()), ..Whose::default() },
        course: Course {
            call_type: "acompletion".to_owned(),
            group: Some("m".to_owned()),
            provider: Some("openai".to_owned()),
            attempts: vec![attempt("m", 200, 1_000)],
            ..Course::default()
        },
        ..SpendRecord::default()
    }
}

fn attempt(group: &str, status: u16, duration_ms: u64) -> Attempt {
    Attempt { deployment: DeploymentId(format!("id-{group}").into()), status, duration_ms }
}

/// What is told after all of them: each sample's text, up to its value, and the value.
async fn told(
    state: &State,
    serving: &Serving,
    records: &[SpendRecord],
    unrecorded: Vec<((&'static str, u16), u64)>,
) -> BTreeMap<String, f64> {
    let mut tally = Tally::new(&serving.settings);
    let source = Source { state, serving };
    for (number, record) in (1..).zip(records) {
        tally.count(&source, number, record, MonoMillis(number));
    }
    tally.count_unrecorded(&source, unrecorded);
    let kept = serving.settings.kept.clone();
    read(tally, kept).await
}

async fn read(tally: Tally, kept: Option<Arc<Kept>>) -> BTreeMap<String, f64> {
    let metrics = Metrics::default();
    metrics.add(move |page| {
        page.keep(kept.clone());
        tally.report(page);
    });
    let page = metrics.page().await.expect("a turn");
    let text = std::str::from_utf8(&page).expect("text");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').expect("a value"));
    samples.map(|(sample, value)| (sample.to_owned(), value.parse().expect("a number"))).collect()
}

/// The sum of the samples of a metric in which all these texts stand.
fn sum(told: &BTreeMap<String, f64>, name: &str, with: &[&str]) -> f64 {
    let of_name = told.iter().filter(|(sample, _)| {
        let labels = sample.strip_prefix(name);
        labels.is_some_and(|labels| labels.is_empty() || labels.starts_with('{'))
    });
    let fits = |sample: &String| with.iter().all(|text| sample.contains(text));
    of_name.filter(|(sample, _)| fits(sample)).map(|(_, value)| value).sum()
}

#[tokio::test]
async fn only_the_metrics_and_labels_that_are_wanted_are_told() {
    let (state, mut serving) = (state(1), serving());
    let other = SpendRecord { model: "another".to_owned(), ..record() };
    let records = [record(), other];
    serving.settings.custom = Custom::new(&[], &["prod".to_owned()]);
    let all = told(&state, &serving, &records, vec![(("acompletion", 401), 1)]).await;
    assert_eq!(sum(&all, "litellm_requests_metric_total", &[r#"tag_prod="false""#]), 2.0);
    let unknown = [r#"tag_prod="None""#, r#"status_code="401""#];
    assert_eq!(sum(&all, "litellm_proxy_total_requests_metric_total", &unknown), 1.0);
    let team = BTreeSet::from(["team".to_owned()]);
    let only = BTreeMap::from([("litellm_requests_metric".to_owned(), Some(team))]);
    serving.settings.kept = Some(Arc::new(Kept(only)));
    let few = told(&state, &serving, &records, vec![(("acompletion", 401), 1)]).await;
    let litellms: Vec<_> = few.iter().filter(|(name, _)| name.starts_with("litellm_")).collect();
    assert_eq!(litellms, [(&r#"litellm_requests_metric_total{team="t1"}"#.to_owned(), &2.0)]);
    assert_eq!(sum(&few, "dunlin_requests_total", &[]), 3.0, "ours are always told");
}

#[tokio::test]
async fn an_answer_counts_under_litellms_names_and_labels() {
    let (state, serving) = (state(1), serving());
    let told = told(&state, &serving, &[record(), record()], Vec::new()).await;
    let hash = KeyDigest::of("sk-0").to_string();
    let who = format!(
        "end_user=\"None\",hashed_api_key=\"{hash}\",api_key_alias=\"key 0\",team=\"t1\",\
         team_alias=\"red\",user=\"None\""
    );
    let sample = format!(
        "litellm_spend_metric_total{{{who},model=\"up\",user_email=\"None\",client_ip=\"None\",\
         user_agent=\"None\",requested_model=\"m\",model_id=\"id-m\",api_provider=\"openai\",\
         service_tier=\"None\"}}"
    );
    assert_eq!(told.get(&sample), Some(&4.0), "{told:#?}");
    for (name, with, value) in [
        ("litellm_proxy_total_requests_metric_total", "route=\"/chat/completions\"", 2.0),
        ("litellm_proxy_total_requests_metric_total", "status_code=\"200\"", 2.0),
        ("litellm_proxy_failed_requests_metric_total", "", 0.0),
        ("litellm_requests_metric_total", "model=\"up\"", 2.0),
        ("litellm_total_tokens_metric_total", &who, 80.0),
        ("litellm_input_tokens_metric_total", &who, 60.0),
        ("litellm_output_tokens_metric_total", &who, 20.0),
        ("litellm_input_cached_tokens_metric_total", "", 0.0),
        ("litellm_request_total_latency_metric_sum", "model_group=\"m\"", 3.0),
        ("litellm_request_total_latency_metric_bucket", "le=\"1\"", 0.0),
        ("litellm_request_total_latency_metric_bucket", "le=\"2\"", 2.0),
        ("litellm_llm_api_latency_metric_sum", "api_provider=\"openai\"", 2.0),
        ("litellm_llm_api_time_to_first_token_metric_count", "", 0.0),
        ("litellm_overhead_latency_metric_sum", "api_base=\"http://m/v1\"", 1.0),
        ("litellm_deployment_latency_per_output_token_sum", "litellm_model_name=\"up\"", 0.2),
        ("litellm_deployment_total_requests_total", "model_id=\"id-m\"", 2.0),
        ("litellm_deployment_success_responses_total", "api_base=\"http://m/v1\"", 2.0),
        ("dunlin_requests_total", "call_type=\"acompletion\",outcome=\"success\"", 2.0),
        ("dunlin_spend_usd_total", "", 4.0),
    ] {
        assert!((sum(&told, name, &[with]) - value).abs() < 1e-9, "{name} {with}: {told:#?}");
    }
}

#[tokio::test]
async fn a_stream_is_at_its_provider_until_its_end_and_its_kinds_of_tokens_are_told() {
    let (state, serving) = (state(1), serving());
    let mut stream = record();
    stream.stream = true;
    stream.course.attempts = vec![attempt("m", 429, 100), attempt("m", 200, 400)];
    stream.course.first_token = Some(UnixMillis(1_600));
    stream.cached = Tokens(20);
    stream.kinds.reasoning = Tokens(5);
    // The same, but for what no label says.
    let other = SpendRecord { cached: Tokens(4), ..stream.clone() };
    let told = told(&state, &serving, &[stream, other], Vec::new()).await;
    for (name, value) in [
        ("litellm_llm_api_time_to_first_token_metric_sum", 0.8),
        ("litellm_llm_api_latency_metric_sum", 2.6),
        ("litellm_overhead_latency_metric_sum", 0.2),
        ("dunlin_first_token_seconds_sum", 1.2),
        ("litellm_input_cached_tokens_metric_total", 24.0),
        ("litellm_provider_cache_read_input_tokens_metric_total", 24.0),
        ("litellm_output_reasoning_tokens_metric_total", 10.0),
        ("litellm_deployment_total_requests_total", 4.0),
        ("litellm_deployment_success_responses_total", 2.0),
    ] {
        assert!((sum(&told, name, &[]) - value).abs() < 1e-9, "{name}: {told:#?}");
    }
    let limited = ["exception_status=\"429\"", "exception_class=\"Openai.RateLimitError\""];
    assert_eq!(sum(&told, "litellm_deployment_failure_responses_total", &limited), 2.0);
}

#[tokio::test]
async fn fallbacks_are_told_by_where_they_led_and_how_the_first_group_failed() {
    let (state, serving) = (state(1), serving());
    let mut answered = record();
    answered.deployment = Some(DeploymentId("id-n".into()));
    let course = &mut answered.course;
    (course.group, course.fallbacks) = (Some("n".to_owned()), 1);
    course.attempts = vec![attempt("m", 500, 5), attempt("m", 429, 5), attempt("n", 200, 5)];
    let mut failed = answered.clone();
    failed.outcome = Outcome::Failure;
    failed.course.attempts[2].status = 503;
    let fault = Fault { status: 503, ..Fault::default() };
    failed.fault = Some(Box::new(fault));
    let told = told(&state, &serving, &[answered, failed], Vec::new()).await;
    let led = ["requested_model=\"m\"", "fallback_model=\"n\"", "exception_status=\"429\""];
    assert_eq!(sum(&told, "litellm_deployment_successful_fallbacks_total", &led), 1.0, "{told:#?}");
    assert_eq!(sum(&told, "litellm_deployment_failed_fallbacks_total", &led), 1.0);
    assert_eq!(sum(&told, "dunlin_fallbacks_total", &[]), 2.0);
    let failed = ["exception_status=\"503\"", "requested_model=\"m\""];
    assert_eq!(sum(&told, "litellm_proxy_failed_requests_metric_total", &failed), 1.0);
    assert_eq!(sum(&told, "litellm_requests_metric_total", &[]), 1.0);
}

#[tokio::test]
async fn names_that_anybody_may_invent_are_not_told_and_every_request_is_counted() {
    let (state, serving) = (state(1), serving());
    let refused = |key: Option<KeyDigest>, model: &str, status: u16| SpendRecord {
        key,
        model: model.to_owned(),
        fault: Some(Box::new(Fault { status, ..Fault::default() })),
        course: Course { call_type: "acompletion".to_owned(), ..Course::default() },
        ..SpendRecord::default()
    };
    let records = [
        refused(Some(KeyDigest::of("sk-0")), "invented", 400),
        refused(Some(KeyDigest::of("sk-invented")), "m", 401),
        refused(None, "m", 429),
    ];
    let unrecorded = vec![(("acompletion", 401), 7), (("aembedding", 401), 2)];
    let told = told(&state, &serving, &records, unrecorded).await;
    let total = "litellm_proxy_total_requests_metric_total";
    assert_eq!(sum(&told, total, &[]), 12.0);
    assert_eq!(sum(&told, "litellm_proxy_failed_requests_metric_total", &[]), 12.0);
    assert_eq!(sum(&told, "dunlin_requests_total", &["outcome=\"failure\""]), 12.0);
    assert_eq!(sum(&told, total, &["requested_model=\"other\"", "status_code=\"400\""]), 1.0);
    assert_eq!(sum(&told, total, &["hashed_api_key=\"other\""]), 1.0);
    let master = ["hashed_api_key=\"litellm_proxy_master_key\"", "user=\"default_user_id\""];
    assert_eq!(sum(&told, total, &master), 1.0);
    assert_eq!(sum(&told, total, &["route=\"/embeddings\"", "status_code=\"401\""]), 2.0);
    assert!(!told.keys().any(|sample| sample.contains("invented")), "{told:#?}");
}

#[tokio::test]
async fn more_keys_than_the_bound_are_told_together_and_the_sums_stay_right() {
    let keys = u64::try_from(MAX_LABEL_SETS).expect("small") + 100;
    let (state, serving) = (state(keys), serving());
    let of = |number| SpendRecord { key: Some(KeyDigest::of(&format!("sk-{number}"))), ..record() };
    let mut records: Vec<_> = (0..keys).map(of).collect();
    records.push(of(0));
    let told = told(&state, &serving, &records, Vec::new()).await;
    let name = "litellm_spend_metric_total";
    assert_eq!(sum(&told, name, &[]), 2.0 * (keys as f64 + 1.0));
    assert_eq!(sum(&told, name, &["api_key_alias=\"key 0\""]), 4.0);
    let others = ["hashed_api_key=\"other\"", "model_id=\"id-m\""];
    assert_eq!(sum(&told, name, &others), 200.0);
    let rows = told.keys().filter(|sample| sample.starts_with(name)).count();
    assert_eq!(rows, MAX_LABEL_SETS + 1);
    assert_eq!(sum(&told, "dunlin_metrics_beyond_bound_total", &[name]), 100.0);
}

#[tokio::test]
async fn end_users_are_told_apart_only_if_asked_for() {
    let (state, mut serving) = (state(1), serving());
    let mut record = record();
    record.origin.end_user = Some("alice".to_owned());
    for (asked, user) in [(false, "end_user=\"None\""), (true, "end_user=\"alice\"")] {
        serving.settings.end_users = asked;
        let told = told(&state, &serving, &[record.clone()], Vec::new()).await;
        assert_eq!(sum(&told, "litellm_spend_metric_total", &[user]), 2.0, "{asked}");
    }
}
