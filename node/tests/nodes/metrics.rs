//! What Prometheus reads of real nodes: who may read it, that it is of one node and asks no other, and
//! that its counts are those of what was done.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use dunlin_cluster::{Client, Reply};
use serde_json::json;

use crate::harness::{self, SOON, Setup};

/// A page as a Prometheus server reads it: the samples by name, each with its labels.
#[derive(Debug)]
struct Page(BTreeMap<String, Vec<Sample>>);

/// The labels of a sample, and its value.
type Sample = (BTreeMap<String, String>, f64);

impl Page {
    /// Reads the text format, strictly: each sample has a type that was told before.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut samples: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut types: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let (name, kind) = told.split_once(' ').context("a type")?;
                ensure!(types.insert(name, kind).is_none(), "{name} is told twice");
            } else if !line.starts_with("# HELP ") {
                let (sample, value) = line.rsplit_once(' ').context("a value")?;
                let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
                let ends = ["_bucket", "_sum", "_count"];
                let base = ends.iter().find_map(|end| name.strip_suffix(end));
                let is_histogram = base.and_then(|base| types.get(base)) == Some(&"histogram");
                ensure!(types.contains_key(name) || is_histogram, "{name} has no type");
                let labels = read_labels(labels.strip_suffix('}').context("labels")?)?;
                let known = samples.entry(name.to_owned()).or_default();
                ensure!(known.iter().all(|(other, _)| *other != labels), "twice: {line}");
                known.push((labels, value.parse()?));
            }
        }
        Ok(Self(samples))
    }

    /// The sum of all samples of a name that have these labels.
    fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let samples = self.0.get(name).map(Vec::as_slice).unwrap_or_default().iter();
        let fits = |labels: &BTreeMap<String, String>| {
            wanted.iter().all(|(name, value)| labels.get(*name).is_some_and(|has| has == value))
        };
        samples.filter(|(labels, _)| fits(labels)).map(|(_, value)| value).sum()
    }

    /// The one sample of a name.
    fn one(&self, name: &str) -> f64 {
        let samples = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(samples.len(), 1, "{name}");
        samples[0].1
    }
}

fn read_labels(mut rest: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").context("a label")?;
        let mut value = String::new();
        let mut chars = behind.char_indices();
        let end = loop {
            match chars.next().context("an end of a value")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().context("what is escaped")?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        ensure!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        rest = behind[end + 1..].trim_start_matches(',');
    }
    Ok(labels)
}

async fn get(setup: &Setup, node: usize, caller: &Client, path: &str) -> anyhow::Result<Reply> {
    Ok(caller.get(&setup.cluster.url(node, path)).await?)
}

/// What a node tells.
async fn read(setup: &Setup, node: usize) -> anyhow::Result<Page> {
    let reply = get(setup, node, setup.cluster.client(), "/metrics/").await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.body);
    Page::parse(&reply.body)
}

/// Reads until what is told fits.
async fn until(
    setup: &Setup,
    nodes: &[usize],
    fits: impl Fn(&[Page]) -> bool,
) -> anyhow::Result<Vec<Page>> {
    let mut last = Vec::new();
    let waiting = async {
        loop {
            last.clear();
            for node in nodes {
                last.push(read(setup, *node).await?);
            }
            if fits(&last) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(SOON, waiting).await {
        Ok(read) => read.map(|()| last),
        Err(_) => anyhow::bail!("never: {last:#?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_key_reads_the_metrics_and_others_hear_why_not() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let admin = setup.cluster.client().clone();
    let key = setup.make_key(0, json!({})).await?;
    let barred = setup.make_key(0, json!({"allowed_routes": ["llm_api_routes"]})).await?;
    let allowed = setup.make_key(0, json!({"allowed_routes": ["/metrics"]})).await?;
    for caller in [&admin, &key, &allowed] {
        let reply = get(&setup, 0, caller, "/metrics/").await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let kind = reply.header("content-type").unwrap_or_default().to_owned();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    }
    let stranger = admin.with_key("sk-nobody-0123456789abcdef");
    for (caller, says) in [(&stranger, "Invalid"), (&barred, "not allowed to call this route")] {
        for path in ["/metrics", "/metrics/"] {
            let reply = get(&setup, 0, caller, path).await?;
            let told: String = reply.json().context("a JSON string")?;
            assert_eq!(reply.status, 401, "{told}");
            assert!(told.starts_with("Unauthorized access to metrics endpoint: "), "{told}");
            assert!(told.contains(says), "{told}");
        }
    }
    let moved = get(&setup, 0, &key, "/metrics").await?;
    assert_eq!((moved.status, moved.header("location")), (307, Some("metrics/")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_open_to_everyone_if_the_config_says_so() -> anyhow::Result<()> {
    let mock = dunlin_mock_upstream::MockUpstream::start(Default::default()).await?;
    let open = "litellm_settings:\n  callbacks: [prometheus]\n  \
                require_auth_for_metrics_endpoint: false\n";
    let config = harness::chat_config(&mock.api_base()) + open;
    let setup = harness::start_with(1, mock, config).await?;
    let nobody = setup.cluster.client().with_key("");
    let moved = get(&setup, 0, &nobody, "/metrics").await?;
    assert_eq!((moved.status, moved.header("location")), (307, Some("metrics/")));
    let page = get(&setup, 0, &nobody, "/metrics/").await?;
    assert_eq!(page.status, 200, "{}", page.body);
    Page::parse(&page.body)?;
    let log = std::fs::read_to_string(setup.cluster.nodes()[0].log())?;
    assert!(!log.contains("not yet in force"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_tells_of_itself_and_three_make_a_cluster() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let all = [0, 1, 2];
    let pages = until(&setup, &all, |pages| {
        let peers = |page: &Page| page.sum("dunlin_gossip_peers", &[("state", "alive")]);
        pages.iter().all(|page| peers(page) == 2.0 && page.one("dunlin_raft_has_leader") == 1.0)
    })
    .await?;
    let total = |pages: &[Page], name: &str| pages.iter().map(|page| page.one(name)).sum::<f64>();
    assert_eq!(total(&pages, "dunlin_raft_is_leader"), 1.0);
    for page in &pages {
        assert_eq!(page.sum("dunlin_raft_members", &[("kind", "voter")]), 3.0);
        assert_eq!(page.sum("dunlin_raft_role", &[]), 1.0);
        assert_eq!(page.one("dunlin_config_revision"), 1.0);
        assert!(page.one("dunlin_raft_applied_index") > 0.0);
        assert!(page.one("process_resident_memory_bytes") > 1e6);
        assert!(page.one("dunlin_staleness_seconds") < 2.0);
        assert_eq!(page.sum("dunlin_backend_up", &[("upstream_model", "upstream-name")]), 1.0);
    }
    let caller = setup.make_key(0, json!({})).await?;
    for node in [0, 0, 0, 1, 1, 2] {
        ensure!(setup.chat(node, &caller).await?.ok(), "a chat failed");
    }
    let pages = until(&setup, &all, |pages| {
        total(pages, "dunlin_spend_unsettled_records") == 0.0
            && total(pages, "dunlin_requests_in_flight") == 0.0
    })
    .await?;
    let told: Vec<_> = pages
        .iter()
        .map(|page| {
            let answered = page.sum("dunlin_attempts_total", &[("outcome", "answered")]);
            let settled = page.one("dunlin_spend_settled_records_total");
            (page.one("dunlin_journal_records_total"), settled, answered)
        })
        .collect();
    assert_eq!(told, [(3.0, 3.0, 3.0), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0)]);

    check_spend(&setup, &pages, &caller).await?;

    // Without a quorum what is left tells of itself still, and a node that restarts counts anew.
    setup.cluster.kill(1).await?;
    setup.cluster.kill(2).await?;
    let pages = until(&setup, &[0], |pages| {
        pages[0].one("dunlin_raft_has_leader") == 0.0
            && pages[0].sum("dunlin_gossip_peers", &[("state", "dead")]) == 2.0
    })
    .await?;
    assert_eq!(pages[0].one("dunlin_journal_records_total"), 3.0);
    ensure!(setup.chat(0, &caller).await?.ok(), "a chat failed");
    let pages =
        until(&setup, &[0], |pages| pages[0].one("dunlin_spend_unsettled_records") == 1.0).await?;
    assert_eq!(pages[0].one("dunlin_journal_records_total"), 4.0);
    for node in [1, 2] {
        setup.cluster.restart(node)?;
    }
    setup.cluster.wait_ready(harness::FORMED).await?;
    let pages =
        until(&setup, &all, |pages| total(pages, "dunlin_spend_unsettled_records") == 0.0).await?;
    assert_eq!(total(&pages, "dunlin_journal_records_total"), 4.0, "two begin at 0 again");
    Ok(())
}

/// Under LiteLLM's names and ours: what six chats have cost is what the cluster says it is.
async fn check_spend(setup: &Setup, pages: &[Page], caller: &Client) -> anyhow::Result<()> {
    let sum = |name: &str, with: &[(&str, &str)]| -> f64 {
        pages.iter().map(|page| page.sum(name, with)).sum()
    };
    let info = setup.key_info(0, caller).await?;
    let spend = info["spend"].as_f64().context("a spend")?;
    let token = dunlin_types::KeyDigest::of(caller.key()).to_string();
    let ours = [("hashed_api_key", &*token), ("requested_model", "chat"), ("team", "None")];
    for (name, value) in [
        ("litellm_spend_metric_total", spend),
        ("litellm_requests_metric_total", 6.0),
        ("litellm_proxy_total_requests_metric_total", 6.0),
        ("litellm_request_total_latency_metric_count", 6.0),
    ] {
        let told = sum(name, &ours);
        assert!((told - value).abs() < 1e-9 && value > 0.0, "{name}: {told}, not {value}");
    }
    assert!((sum("dunlin_spend_usd_total", &[]) - spend).abs() < 1e-9);
    assert_eq!(sum("litellm_deployment_state", &[]), 0.0);
    let attempts = sum("litellm_deployment_success_responses_total", &[("model_group", "chat")]);
    assert_eq!(attempts, 6.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_counted_be_it_a_refusal_a_failure_or_a_stream_that_broke()
-> anyhow::Result<()> {
    let mock = dunlin_mock_upstream::MockUpstream::start(Default::default()).await?;
    let config = harness::chat_config(&mock.api_base())
        + "litellm_settings:\n  enable_end_user_cost_tracking_prometheus_only: true\n  \
           prometheus_latency_buckets: [0.5, 60]\n";
    let setup = harness::start_with(1, mock, config).await?;
    let poor = setup.make_key(0, json!({"max_budget": 0, "key_alias": "poor"})).await?;
    let rich = setup.make_key(0, json!({"max_budget": 5, "key_alias": "rich"})).await?;
    let mut sent = 0.0;
    let mut ask = async |caller: &Client, model: &str, status: u16| -> anyhow::Result<()> {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": model, "messages": messages, "user": "alice"});
        let reply = setup.ask(0, caller, &body).await?;
        assert_eq!(reply.status, status, "{}", reply.body);
        sent += 1.0;
        Ok(())
    };
    ask(&rich, "chat", 200).await?;
    ask(&poor, "chat", 422).await?;
    ask(&rich, "nothing", 400).await?;
    // Of one key so many are on record in a second; the others are counted all the same.
    let stranger = setup.cluster.client().with_key("sk-nobody-0123456789abcdef");
    for _ in 0..30 {
        ask(&stranger, "chat", 401).await?;
    }
    let fault = dunlin_mock_upstream::Fault::Status { code: 500, retry_after: None };
    setup.mock.set_fault_for(fault, 1).await;
    ask(&rich, "chat", 500).await?;

    let name = "litellm_proxy_total_requests_metric_total";
    let pages = until(&setup, &[0], |pages| pages[0].sum(name, &[]) == sent).await?;
    let told = |with: &[(&str, &str)]| pages[0].sum(name, with);
    assert_eq!(told(&[("status_code", "200"), ("end_user", "alice")]), 1.0);
    assert_eq!(told(&[("status_code", "401")]), 30.0);
    assert_eq!(told(&[("status_code", "422"), ("api_key_alias", "poor")]), 1.0);
    assert_eq!(told(&[("status_code", "400"), ("requested_model", "other")]), 1.0);
    assert_eq!(told(&[("status_code", "500"), ("api_key_alias", "rich")]), 1.0);
    let page = &pages[0];
    let failed = "litellm_proxy_failed_requests_metric_total";
    assert_eq!(page.sum(failed, &[("exception_class", "BudgetExceededError")]), 1.0);
    assert_eq!(page.sum(failed, &[]), sent - 1.0);
    assert_eq!(page.sum("dunlin_requests_total", &[]), sent);
    assert_eq!(page.sum("dunlin_http_responses_total", &[("class", "4xx")]), 32.0);
    let buckets = page.sum("litellm_request_total_latency_metric_bucket", &[("le", "60")]);
    assert_eq!(buckets, 1.0);
    assert_eq!(page.sum("litellm_api_key_max_budget_metric", &[("api_key_alias", "rich")]), 5.0);
    let left = page.sum("litellm_remaining_api_key_budget_metric", &[("api_key_alias", "rich")]);
    assert!(left > 4.9 && left <= 5.0, "{left}");
    assert!(page.sum("dunlin_refusals_total", &[("reason", "over_budget")]) >= 1.0);
    let failing = "litellm_deployment_state";
    assert_eq!(page.sum(failing, &[("litellm_model_name", "upstream-name")]), 1.0);
    Ok(())
}
