//! Batches that are made by calls of providers' own APIs: charged once, at batch rates, to the key that
//! made them, whoever reads what they have answered.

use dunlin_cluster::{Client, http_client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, assert_error, deployment, send_json as send};

mod jobs;

const INPUT: f64 = 3e-7;
const OUTPUT: f64 = 7e-7;

async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = format!("http://{}", mock.address());
    let rates = format!(
        "      input_cost_per_token_batches: {INPUT}\n      \
         output_cost_per_token_batches: {OUTPUT}\n"
    );
    let models = [
        ("claude", "anthropic/claude-up", root.clone()),
        ("google", "gemini/gemini-up", root),
        ("own", "openai/own-up", mock.api_base()),
    ];
    let models = models.map(|(name, target, base)| deployment(name, target, &base) + &rates);
    let config = format!("model_list:\n{}router_settings:\n  num_retries: 0\n", models.concat());
    harness::start_with(nodes, mock, config).await
}

const ANTHROPIC: &str = "/anthropic/v1/messages/batches";
const GOOGLE: &str = "/gemini/v1beta/models/google:batchGenerateContent";

/// A batch of Anthropic's, of a request to each of these models.
fn messages(models: &[&str], max_tokens: u64) -> Value {
    let requests = models.iter().enumerate().map(|(at, model)| {
        json!({"custom_id": at.to_string(), "params": {"model": model, "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": "good day"}]}})
    });
    json!({"requests": requests.collect::<Vec<_>>()})
}

fn contents(config: &Value) -> Value {
    let contents = json!([{"role": "user", "parts": [{"text": "good day"}]}]);
    let request = json!({"contents": contents, "generationConfig": config});
    json!({"batch": {"display_name": "x", "input_config": {"requests": {"requests":
        [{"request": request, "metadata": {"key": "1"}}, {"request": request}]}}}})
}

async fn make(setup: &Setup, caller: &Client, path: &str, body: &Value) -> anyhow::Result<Value> {
    let made = caller.post(&setup.cluster.url(0, path), body).await?;
    assert_eq!(made.status, 200, "{path}: {}", made.body);
    made.json()
}

/// What the upstream has, past the gateway.
async fn upstream(setup: &Setup, path: &str) -> anyhow::Result<String> {
    let url = format!("http://{}{path}", setup.mock.address());
    let asked = http_client()?.get(url).header("anthropic-version", "2023-06-01");
    let asked = asked.header("x-api-key", "sk-upstream").header("x-goog-api-key", "sk-upstream");
    Ok(asked.send().await?.error_for_status()?.text().await?)
}

/// What the upstream counts of all answers of a batch.
fn counted(answers: &[Value], names: [&str; 2]) -> f64 {
    let sum = |name: &str| answers.iter().filter_map(|answer| answer[name].as_f64()).sum::<f64>();
    sum(names[0]) * INPUT + sum(names[1]) * OUTPUT
}

async fn spends(setup: &Setup, node: usize, whom: &Client, expected: f64) -> anyhow::Result<()> {
    wait_until(&format!("the key has spent {expected}"), 2 * SOON, async || {
        let info = setup.key_info(node, whom).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await
}

/// What the batches of a key cost, by its records.
async fn records(setup: &Setup, node: usize, whom: &Client) -> anyhow::Result<Vec<f64>> {
    let rows = setup.cluster.url(node, "/spend/logs?summarize=false");
    let rows: Vec<Value> = whom.get(&rows).await?.json()?;
    Ok(rows.iter().filter_map(|row| row["spend"].as_f64()).filter(|spend| *spend > 0.0).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_messages_is_charged_once_to_its_maker_before_it_is_deleted()
-> anyhow::Result<()> {
    let setup = start(2).await?;
    let owner = setup.make_key(0, json!({"models": ["claude"]})).await?;
    let other = setup.make_key(0, json!({})).await?;
    // By our name and by the provider's.
    let made = make(&setup, &owner, ANTHROPIC, &messages(&["claude", "claude-up"], 20)).await?;
    let id = made["id"].as_str().expect("an id").to_owned();
    let (status, batch) = send(&setup, 1, &other, "GET", &format!("{ANTHROPIC}/{id}")).await?;
    assert_eq!((status, &batch["processing_status"]), (200, &json!("ended")), "{batch}");
    assert_eq!(batch["request_counts"]["succeeded"], 2, "both names are known: {batch}");

    let answers = upstream(&setup, &format!("/v1/messages/batches/{id}/results")).await?;
    let answers = answers.lines().map(serde_json::from_str::<Value>);
    let used = answers.map(|line| Ok(line?["result"]["message"]["usage"].clone()));
    let used = used.collect::<anyhow::Result<Vec<Value>>>()?;
    let expected = counted(&used, ["input_tokens", "output_tokens"]);
    // Somebody else deletes it, on another node, before anybody has looked at the answers.
    let (status, gone) = send(&setup, 1, &other, "DELETE", &format!("{ANTHROPIC}/{id}")).await?;
    assert_eq!(status, 200, "{gone}");
    spends(&setup, 0, &owner, expected).await?;

    let made = make(&setup, &owner, ANTHROPIC, &messages(&["claude", "claude-up"], 20)).await?;
    let id = made["id"].as_str().expect("an id").to_owned();
    let path = format!("{ANTHROPIC}/{id}");
    assert_eq!(send(&setup, 1, &owner, "GET", &path).await?.0, 200);
    for node in [0, 1, 0] {
        let results = setup.cluster.url(node, &format!("{path}/results"));
        assert_eq!(owner.get(&results).await?.status, 200);
    }
    spends(&setup, 1, &owner, 2.0 * expected).await?;
    let of_two = records(&setup, 0, &owner).await?;
    assert_eq!(of_two.len(), 2, "each is charged once: {of_two:?}");
    assert_eq!(setup.key_info(0, &other).await?["spend"], 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_charged_though_nobody_looks_and_their_maker_is_dead() -> anyhow::Result<()> {
    let mut setup = start(3).await?;
    let owner = setup.make_key(1, json!({})).await?;
    let google = make(&setup, &owner, GOOGLE, &contents(&json!({}))).await?;
    let claude = make(&setup, &owner, ANTHROPIC, &messages(&["claude"], 20)).await?;
    setup.cluster.kill(0).await?;

    let name = google["name"].as_str().expect("a name");
    let batch: Value = serde_json::from_str(&upstream(&setup, &format!("/v1beta/{name}")).await?)?;
    let answers = batch["response"]["inlinedResponses"]["inlinedResponses"].as_array();
    let used: Vec<Value> = answers
        .into_iter()
        .flatten()
        .map(|answer| answer["response"]["usageMetadata"].clone())
        .collect();
    let expected = counted(&used, ["promptTokenCount", "candidatesTokenCount"]);
    let path = format!("/v1/messages/batches/{}", claude["id"].as_str().expect("an id"));
    upstream(&setup, &path).await?;
    let answer: Value = serde_json::from_str(&upstream(&setup, &format!("{path}/results")).await?)?;
    let used = [answer["result"]["message"]["usage"].clone()];
    let expected = expected + counted(&used, ["input_tokens", "output_tokens"]);
    assert!(expected > 0.0);
    spends(&setup, 1, &owner, expected).await?;
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(harness::FORMED).await?;
    spends(&setup, 0, &owner, expected).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_made_where_it_may_cost_more_than_there_is() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let short = json!({"maxOutputTokens": 9});
    let over = (422, "Budget has been exceeded");
    let strict = |dollars: f64| json!({"max_budget": dollars, "strict_budget": true});
    let cases = [
        (json!({"max_budget": 0}), ANTHROPIC, messages(&["claude"], 9), over),
        (json!({"max_budget": 0}), GOOGLE, contents(&short), over),
        (strict(0.01), ANTHROPIC, messages(&["claude", "claude"], 20_000), over),
        (strict(0.01), GOOGLE, contents(&json!({})), (422, "generationConfig.maxOutputTokens")),
        (strict(0.01), GOOGLE, contents(&short), (200, "")),
        (strict(0.01), ANTHROPIC, messages(&["claude", "claude"], 9), (200, "")),
        (
            json!({"max_budget": null, "tpd_limit": 100}),
            ANTHROPIC,
            messages(&["claude"], 200),
            (429, "TPD limit"),
        ),
        (json!({"tpd_limit": 100_000}), ANTHROPIC, messages(&["claude"], 200), (200, "")),
    ];
    for (mut fields, path, body, (status, why)) in cases {
        fields["key"] = json!(caller.key());
        setup.admin(0, "/key/update", fields).await?;
        let before = setup.mock.stats().requests;
        let reply = caller.post(&setup.cluster.url(0, path), &body).await?;
        assert!(reply.status == status && reply.body.contains(why), "{why}: {}", reply.body);
        let sent = u64::from(status == 200);
        assert!(setup.mock.stats().requests >= before + sent, "{body}");
    }
    let of_file = json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions"});
    let files = setup.cluster.url(0, "/openai_passthrough/v1/batches");
    let refused = caller.post(&files, &of_file).await?;
    assert_error(
        &refused,
        400,
        json!("invalid_request_error"),
        "With a tpd_limit, batches of files",
    );

    let restricted = setup.make_key(0, json!({"models": ["own"]})).await?;
    let url = setup.cluster.url(0, ANTHROPIC);
    let refused = restricted.post(&url, &messages(&["claude"], 9)).await?;
    assert_error(&refused, 403, json!("key_model_access_denied"), "request 1: The requested model");
    Ok(())
}
