//! Jobs of Bedrock and of Vertex AI, whose answers are in buckets: read there with the deployment's own
//! credential, and charged like other batches.

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use super::{INPUT, OUTPUT, counted, make, send, spends};
use crate::harness::{self, SOON, Setup};

const BEDROCK: &str = "/bedrock/model-invocation-job";
const VERTEX: &str = "/vertex_ai/v1/projects/p/locations/us-central1/batchPredictionJobs";

async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let settings = Settings::default();
    let (secret, mock) = (settings.aws_secret.clone(), MockUpstream::start(settings).await?);
    let root = format!("http://{}", mock.address());
    let google = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s",
        "refresh_token": "r", "token_uri": format!("{root}/token")});
    let signed = format!(
        "aws_access_key_id: AKID, aws_secret_access_key: '{secret}', aws_region_name: eu-west-1, \
         s3_endpoint_url: '{root}/s3'"
    );
    let vertex =
        format!("vertex_project: p, vertex_credentials: '{google}', gcs_endpoint_url: '{root}'");
    let models = [
        ("claude", "bedrock/converse/eu.anthropic.claude-up-v1:0", &signed),
        ("google", "vertex_ai/gemini-up", &vertex),
        ("keyless", "vertex_ai/claude-up", &"vertex_project: p, api_key: k".to_owned()),
    ];
    let models = models.map(|(name, target, credential)| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: '{target}', api_base: '{root}', \
             input_cost_per_token: 1.0e-6, output_cost_per_token: 2.0e-6, \
             input_cost_per_token_batches: {INPUT}, output_cost_per_token_batches: {OUTPUT}, \
             {credential}}}\n"
        )
    });
    let config = format!("model_list:\n{}router_settings: {{num_retries: 0}}\n", models.concat());
    let setup = harness::start_with(nodes, mock, config).await?;
    put_inputs(&setup);
    Ok(setup)
}

fn put_inputs(setup: &Setup) {
    let record = |id: &str| {
        json!({"recordId": id, "modelInput": {"anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 9, "messages": [{"role": "user", "content": "good day"}]}})
    };
    let bad = json!({"recordId": "3", "modelInput": {}});
    setup.mock.put_object("s3://in/records.jsonl", lines(&[record("1"), record("2"), bad]));
    let contents = json!([{"role": "user", "parts": [{"text": "good day"}]}]);
    let request = json!({"request": {"contents": contents}});
    let bad = json!({"request": {}});
    setup.mock.put_object("gs://in/requests.jsonl", lines(&[request.clone(), bad, request]));
}

fn lines(all: &[Value]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

fn of_bedrock(model: &str, bucket: &str) -> Value {
    json!({"jobName": "j", "roleArn": "arn:aws:iam::1:role/r", "modelId": model,
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://in/records.jsonl"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": format!("s3://{bucket}/here/")}}})
}

fn of_vertex(model: &str, output: &Value) -> Value {
    json!({"displayName": "j", "model": model, "outputConfig": output,
        "inputConfig": {"instancesFormat": "jsonl",
            "gcsSource": {"uris": ["gs://in/requests.jsonl"]}}})
}

fn to_bucket(bucket: &str) -> Value {
    json!({"predictionsFormat": "jsonl",
        "gcsDestination": {"outputUriPrefix": format!("gs://{bucket}/here")}})
}

fn to_table() -> Value {
    json!({"predictionsFormat": "bigquery", "bigqueryDestination": {"outputUri": "bq://p.d.t"}})
}

/// What the answers of the one job that has left some below `uri` used, once they are there.
async fn left(setup: &Setup, uri: &str, usage: &str, names: [&str; 2]) -> anyhow::Result<f64> {
    wait_until("a job has run", 2 * SOON, async || !setup.mock.objects(uri).is_empty()).await?;
    let objects = setup.mock.objects(uri);
    let all = objects.iter().flat_map(|object| object.split(|byte| *byte == b'\n'));
    let all = all.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let used: Vec<Value> = all.filter_map(|line| line.pointer(usage).cloned()).collect();
    assert_eq!(used.len(), 2, "the third request is refused: {objects:?}");
    Ok(counted(&used, names))
}

/// The records of a key's batches: the model, and what is said of the cost.
async fn records(
    setup: &Setup,
    node: usize,
    whom: &Client,
) -> anyhow::Result<Vec<(String, Value)>> {
    let rows = setup.cluster.url(node, "/spend/logs?summarize=false");
    let rows: Vec<Value> = whom.get(&rows).await?.json()?;
    let said = |row: &Value| {
        let own = &row["metadata"]["dunlin"];
        let model = row["model_group"].as_str().unwrap_or_default().to_owned();
        (model, json!([own["nano_usd"], own["estimated"], own["unpriced"]]))
    };
    let mut found: Vec<_> = rows.iter().map(said).collect();
    found.sort_by_key(|(model, said)| (model.clone(), said.to_string()));
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_charged_by_what_is_in_their_buckets_though_their_maker_is_dead()
-> anyhow::Result<()> {
    let mut setup = start(3).await?;
    let owner = setup.make_key(1, json!({"models": ["claude", "google"]})).await?;
    // By our name, and by the provider's in its own form.
    make(&setup, &owner, BEDROCK, &of_bedrock("claude", "out")).await?;
    let named = "publishers/google/models/google";
    let google = make(&setup, &owner, VERTEX, &of_vertex(named, &to_bucket("out"))).await?;
    assert_eq!(google["model"], "publishers/google/models/gemini-up");
    setup.cluster.kill(0).await?;

    let names = ["input_tokens", "output_tokens"];
    let bedrock = left(&setup, "s3://out/here/", "/modelOutput/usage", names).await?;
    let names = ["promptTokenCount", "candidatesTokenCount"];
    let vertex = left(&setup, "gs://out/here/", "/response/usageMetadata", names).await?;
    assert!(bedrock > 0.0 && vertex > 0.0);
    spends(&setup, 1, &owner, bedrock + vertex).await?;
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(harness::FORMED).await?;
    spends(&setup, 0, &owner, bedrock + vertex).await?;

    let nano = |usd: f64| (usd * 1e9).round();
    let of = |cost: f64| json!([nano(cost) as u64, false, false]);
    let charged = records(&setup, 1, &owner).await?;
    let charged: Vec<_> = charged.into_iter().filter(|(_, said)| said[0] != 0).collect();
    let expected = [("claude".to_owned(), of(bedrock)), ("google".to_owned(), of(vertex))];
    assert_eq!(charged, expected, "once, under the models' public names");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_at_a_job_that_is_over_has_it_charged() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let other = setup.make_key(0, json!({})).await?;
    let made = make(&setup, &owner, BEDROCK, &of_bedrock("claude", "out")).await?;
    let arn = made["jobArn"].as_str().expect("an ARN");
    let path = format!("{BEDROCK}/{}", arn.replace(':', "%3A").replace('/', "%2F"));
    for node in [1, 0, 1] {
        let job: Value = other.get(&setup.cluster.url(node, &path)).await?.json()?;
        assert_eq!(job["status"], "Completed", "{job}");
    }
    let names = ["input_tokens", "output_tokens"];
    let cost = left(&setup, "s3://out/here/", "/modelOutput/usage", names).await?;
    spends(&setup, 1, &owner, cost).await?;
    assert_eq!(setup.key_info(0, &other).await?["spend"], 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_made_for_a_budget_and_is_never_silently_free()
-> anyhow::Result<()> {
    let setup = start(1).await?;
    let bound = setup.make_key(0, json!({"max_budget": 1.0})).await?;
    let counted = setup.make_key(0, json!({"tpd_limit": 1000})).await?;
    let cases = [
        (&bound, BEDROCK, of_bedrock("claude", "locked"), Some("`locked` answers 403")),
        (&bound, VERTEX, of_vertex("google", &to_bucket("locked")), Some("`locked` answers 403")),
        (&bound, VERTEX, of_vertex("google", &to_table()), Some("they are not in a bucket")),
        (&bound, VERTEX, of_vertex("keyless", &to_bucket("out")), Some("an API key opens none")),
        (&counted, BEDROCK, of_bedrock("claude", "out"), Some("With a tpd_limit")),
        (&bound, BEDROCK, of_bedrock("claude", "out"), None),
        (&bound, VERTEX, of_vertex("google", &to_bucket("out")), None),
    ];
    for (caller, path, body, refused) in cases {
        let reply = caller.post(&setup.cluster.url(0, path), &body).await?;
        let status = if refused.is_some() { 400 } else { 200 };
        let is_told = reply.body.contains(refused.unwrap_or_default());
        assert!(reply.status == status && is_told, "{refused:?}: {} {}", reply.status, reply.body);
    }

    let free = setup.make_key(0, json!({})).await?;
    make(&setup, &free, VERTEX, &of_vertex("google", &to_table())).await?;
    // The answers of one that is deleted can be found no more.
    let made = make(&setup, &free, VERTEX, &of_vertex("google", &to_bucket("locked"))).await?;
    let id = made["name"].as_str().and_then(|name| name.rsplit('/').next()).expect("a name");
    let (status, gone) = send(&setup, 0, &free, "DELETE", &format!("{VERTEX}/{id}")).await?;
    assert_eq!(status, 200, "{gone}");
    wait_until("two jobs without answers are on record", 2 * SOON, async || {
        let found = records(&setup, 0, &free).await.unwrap_or_default();
        let unpriced = ("google".to_owned(), json!([0, true, true]));
        found.iter().filter(|record| **record == unpriced).count() == 2
    })
    .await?;
    let unread = async || -> anyhow::Result<u64> {
        let page = setup.cluster.client().get(&setup.cluster.url(0, "/metrics/")).await?;
        let mut lines = page.body.lines();
        let times = lines.find_map(|line| line.strip_prefix("dunlin_batches_unread_total "));
        Ok(times.unwrap_or_default().trim().parse()?)
    };
    let before = unread().await?;
    make(&setup, &free, BEDROCK, &of_bedrock("claude", "locked")).await?;
    wait_until("it is told that a bucket is locked", 2 * SOON, async || {
        unread().await.is_ok_and(|times| times > before)
    })
    .await
}
