//! OpenAI's files and batches for models of Vertex AI and of Bedrock: lines are put into the provider's
//! words in a bucket, a job answers them, and what it leaves comes back as OpenAI's lines.

use dunlin_cluster::{Client, http_client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, send_json};

const INPUT: f64 = 3e-7;
const OUTPUT: f64 = 7e-7;

/// What each model's provider calls the places of files.
const MODELS: [(&str, &str); 3] = [("google", "gs"), ("claude", "gs"), ("nova", "s3")];

async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let settings = Settings::default();
    let (secret, mock) = (settings.aws_secret.clone(), MockUpstream::start(settings).await?);
    let root = format!("http://{}", mock.address());
    let google = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s",
        "refresh_token": "r", "token_uri": format!("{root}/token")});
    let vertex =
        format!("vertex_project: p, vertex_credentials: '{google}', gcs_endpoint_url: '{root}'");
    let aws = format!(
        "aws_access_key_id: AKID, aws_secret_access_key: '{secret}', aws_region_name: eu-west-1, \
         s3_endpoint_url: '{root}/s3', s3_region_name: us-east-1"
    );
    let own = format!("{vertex}, gcs_bucket_name: files/own");
    let jobs_of_aws = format!(
        "{aws}, s3_bucket_name: files, s3_output_bucket_name: answers, \
         aws_batch_role_arn: 'arn:aws:iam::1:role/r'"
    );
    let models = [
        ("google", "vertex_ai/gemini-up", own.clone()),
        ("claude", "vertex_ai/claude-up", own),
        ("nova", "bedrock/eu.anthropic.nova-up-v1:0", jobs_of_aws.clone()),
        ("titan", "bedrock/amazon.titan-embed-text-v2:0", jobs_of_aws.clone()),
        ("cohere", "bedrock/cohere.embed-english-v3", jobs_of_aws.clone()),
        ("homeless", "vertex_ai/gemini-up", vertex.clone()),
        ("locked", "vertex_ai/gemini-up", format!("{vertex}, gcs_bucket_name: locked")),
        ("roleless", "bedrock/nova-up", format!("{aws}, s3_bucket_name: files")),
    ];
    let models = models.map(|(name, target, more)| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: '{target}', api_base: '{root}', \
             input_cost_per_token: 1.0e-6, output_cost_per_token: 2.0e-6, \
             input_cost_per_token_batches: {INPUT}, output_cost_per_token_batches: {OUTPUT}, \
             {more}}}\n"
        )
    });
    let config = format!("model_list:\n{}router_settings: {{num_retries: 0}}\n", models.concat());
    harness::start_with(nodes, mock, config).await
}

fn line(custom_id: &str, model: &str, text: &str, more: &Value) -> String {
    let mut body = json!({"model": model, "max_tokens": 20,
        "messages": [{"role": "user", "content": text}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let url = "/v1/chat/completions";
    json!({"custom_id": custom_id, "method": "POST", "url": url, "body": body}).to_string()
}

/// Uploads a form of those fields with a file.
pub(crate) async fn upload(
    setup: &Setup,
    caller: &Client,
    fields: &[(&str, &str)],
    lines: &str,
) -> anyhow::Result<(u16, Value)> {
    let field = |(name, value): &(&str, &str)| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = fields.iter().map(field).collect();
    let body = format!(
        "{fields}--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"my in.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n{lines}\r\n--B--\r\n"
    );
    let request = http_client()?.post(setup.cluster.url(0, "/v1/files")).bearer_auth(caller.key());
    let request = request.header("content-type", "multipart/form-data; boundary=B");
    let answer = request.body(body).send().await?;
    Ok((answer.status().as_u16(), serde_json::from_str(&answer.text().await?)?))
}

pub(crate) fn of(file: &Value) -> Value {
    json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"run": "7"}})
}

async fn make(setup: &Setup, caller: &Client, file: &Value) -> anyhow::Result<Value> {
    let made = caller.post(&setup.cluster.url(0, "/v1/batches"), &of(file)).await?;
    assert_eq!(made.status, 200, "{}", made.body);
    made.json()
}

/// What the lines of an output come to.
fn cost(lines: &[Value]) -> f64 {
    let used = lines.iter().map(|line| {
        let usage = &line["response"]["body"]["usage"];
        let tokens = |name: &str| usage[name].as_f64().unwrap_or_default();
        tokens("prompt_tokens") * INPUT + tokens("completion_tokens") * OUTPUT
    });
    used.sum()
}

async fn spends(setup: &Setup, node: usize, whom: &Client, expected: f64) -> anyhow::Result<()> {
    wait_until(&format!("the key has spent {expected}"), 2 * SOON, async || {
        let info = setup.key_info(node, whom).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await
}

async fn get(setup: &Setup, node: usize, who: &Client, path: &str) -> anyhow::Result<(u16, Value)> {
    send_json(setup, node, who, "GET", path).await
}

/// The lines of a file, as any node tells them to its owner.
async fn lines_of(
    setup: &Setup,
    node: usize,
    owner: &Client,
    file: &Value,
) -> anyhow::Result<Vec<Value>> {
    let id = file.as_str().expect("a file");
    let path = setup.cluster.url(node, &format!("/v1/files/{id}/content"));
    let content = owner.get(&path).await?;
    assert_eq!(content.status, 200, "{}", content.body);
    Ok(content.body.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// A file of two good lines and a bad one, which is its owner's alone.
async fn uploaded(
    setup: &Setup,
    (model, scheme): (&str, &str),
    owner: &Client,
    other: &Client,
) -> anyhow::Result<Value> {
    let lines = [
        line("a", model, "good day", &json!({"user": format!("ann-{model}")})),
        line("B/2", model, "good day to you, too", &json!({"litellm_metadata": {"tags": ["t"]}})),
        line("c", model, "[[status:400]]", &json!({})),
    ];
    let fields = [("purpose", "batch"), ("target_model_names", model)];
    let (status, file) = upload(setup, owner, &fields, &lines.join("\n")).await?;
    assert_eq!(status, 200, "{model}: {file}");
    assert!(file["id"].as_str().is_some_and(|id| id.starts_with("file-dn1")), "{file}");
    let sent = setup.mock.objects(&format!("{scheme}://files/")).pop().expect("an object");
    let sent = String::from_utf8_lossy(&sent).into_owned();
    assert!(sent.lines().count() == 3 && !sent.contains("litellm_metadata"), "{sent}");
    let at = format!("/v1/files/{}", file["id"].as_str().expect("an id"));
    assert_eq!(get(setup, 1, other, &at).await?.0, 404, "it is another's");
    let (_, shown) = get(setup, 1, owner, &at).await?;
    let expected = json!([file["id"], "my_in.jsonl", "batch", sent.len()]);
    let of_file =
        |file: &Value| json!([file["id"], file["filename"], file["purpose"], file["bytes"]]);
    assert_eq!((of_file(&shown), of_file(&file)), (expected.clone(), expected));
    Ok(file)
}

/// Three batches were made of the file, two of which have answered.
async fn listed_and_deleted(
    setup: &Setup,
    (model, owner, other): (&str, &Client, &Client),
    file: &Value,
) -> anyhow::Result<()> {
    let batches = setup.cluster.url(1, "/v1/batches");
    let at = format!("/v1/files/{}", file["id"].as_str().expect("an id"));
    for (who, count) in [(owner, 3), (other, 0)] {
        let (_, list) = get(setup, 1, who, "/v1/batches").await?;
        assert_eq!(list["data"].as_array().map(Vec::len), Some(count), "{list}");
    }
    let master = setup.cluster.client();
    let (_, list) = get(setup, 1, master, &format!("/v1/batches?model={model}&limit=2")).await?;
    assert_eq!((list["data"].as_array().map(Vec::len), &list["has_more"]), (Some(2), &json!(true)));
    let (_, list) = get(setup, 1, master, &format!("/v1/files?model={model}")).await?;
    assert!(list["data"].as_array().is_some_and(|all| !all.is_empty()), "{list}");
    // Each pays for its own lines.
    let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
    let rows: Vec<Value> = owner.get(&rows).await?.json()?;
    let of_ann = rows.iter().filter(|row| row["end_user"] == format!("ann-{model}"));
    assert_eq!(of_ann.count(), 2, "{rows:?}");
    let (status, gone) = send_json(setup, 1, owner, "DELETE", &at).await?;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)), "{gone}");
    assert_eq!(get(setup, 0, owner, &at).await?.0, 404);
    assert_eq!(owner.post(&batches, &of(file)).await?.status, 404, "its input is gone");
    Ok(())
}

/// The errors of a batch are its owner's, on every node, and go with its output.
async fn failed_line_is_in_its_file(
    setup: &Setup,
    owner: &Client,
    other: &Client,
    errors: &Value,
) -> anyhow::Result<()> {
    for node in [0, 1] {
        let failed = lines_of(setup, node, owner, errors).await?;
        let [line] = &failed[..] else { panic!("one has failed: {failed:?}") };
        assert_eq!((&line["custom_id"], &line["response"]), (&json!("c"), &json!(null)));
        assert!(line["error"]["message"].is_string(), "{line}");
    }
    let at = format!("/v1/files/{}", errors.as_str().expect("an id"));
    let (_, shown) = get(setup, 1, owner, &at).await?;
    assert_eq!((&shown["id"], &shown["purpose"]), (errors, &json!("batch_output")), "{shown}");
    assert_eq!(get(setup, 1, other, &format!("{at}/content")).await?.0, 404);
    let (status, refused) = send_json(setup, 0, owner, "DELETE", &at).await?;
    assert!(status == 400 && refused.to_string().contains("output file"), "{refused}");
    Ok(())
}

/// Where no line has an answer there is no output, and the errors are deleted by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn the_errors_of_a_batch_without_answers_can_be_deleted() -> anyhow::Result<()> {
    let setup = start(1).await?;
    for (model, _) in MODELS {
        let owner = setup.make_key(0, json!({})).await?;
        let fields = [("purpose", "batch"), ("target_model_names", model)];
        let bad = line("c", model, "[[status:400]]", &json!({}));
        let (status, file) = upload(&setup, &owner, &fields, &bad).await?;
        assert_eq!(status, 200, "{model}: {file}");
        let made = make(&setup, &owner, &file).await?;
        let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
        let (_, done) = get(&setup, 0, &owner, &path).await?;
        assert_eq!(done["output_file_id"], json!(null), "{done}");
        assert_eq!(lines_of(&setup, 0, &owner, &done["error_file_id"]).await?.len(), 1, "{done}");
        let at = format!("/v1/files/{}", done["error_file_id"].as_str().expect("an id"));
        let (status, gone) = send_json(&setup, 0, &owner, "DELETE", &at).await?;
        assert_eq!((status, &gone["deleted"]), (200, &json!(true)), "{gone}");
        assert_eq!(get(&setup, 0, &owner, &at).await?.0, 404);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_vectors_is_charged_by_its_texts() -> anyhow::Result<()> {
    let setup = start(1).await?;
    for (model, input) in [("titan", json!("good day")), ("cohere", json!(["good", "day"]))] {
        let owner = setup.make_key(0, json!({})).await?;
        let lines = ["1", "2"].map(|id| {
            json!({"custom_id": id, "method": "POST", "url": "/v1/embeddings",
                "body": {"model": model, "input": input}})
            .to_string()
        });
        let (status, file) =
            upload(&setup, &owner, &[("purpose", "batch")], &lines.join("\n")).await?;
        assert_eq!(status, 200, "{file}");
        let batches = setup.cluster.url(0, "/v1/batches");
        let refused = owner.post(&batches, &of(&file)).await?;
        assert!(refused.status == 400 && refused.body.contains("`endpoint`"), "{}", refused.body);
        let mut wish = of(&file);
        wish["endpoint"] = json!("/v1/embeddings");
        let made: Value = owner.post(&batches, &wish).await?.json()?;
        let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
        let (_, done) = get(&setup, 0, &owner, &path).await?;
        assert_eq!(
            (&done["status"], &done["endpoint"], &done["error_file_id"]),
            (&json!("completed"), &json!("/v1/embeddings"), &json!(null)),
            "{done}"
        );
        let told = lines_of(&setup, 0, &owner, &done["output_file_id"]).await?;
        assert_eq!(told.len(), 2, "{told:?}");
        for line in &told {
            let body = &line["response"]["body"];
            assert_eq!((&body["object"], &body["model"]), (&json!("list"), &json!(model)));
            assert!(body["data"][0]["embedding"][0].is_number(), "{line}");
        }
        assert!(cost(&told) > 0.0);
        spends(&setup, 0, &owner, cost(&told)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_chats_is_its_owners_and_is_charged_by_its_lines_once() -> anyhow::Result<()> {
    let setup = start(2).await?;
    for (model, scheme) in MODELS {
        let owner = setup.make_key(0, json!({"models": [model]})).await?;
        let other = setup.make_key(1, json!({})).await?;
        let file = uploaded(&setup, (model, scheme), &owner, &other).await?;
        let batches = setup.cluster.url(1, "/v1/batches");
        assert_eq!(other.post(&batches, &of(&file)).await?.status, 404);
        let made = make(&setup, &owner, &file).await?;
        assert_eq!(
            (&made["status"], &made["metadata"]["run"]),
            (&json!("validating"), &json!("7"))
        );
        assert_eq!(made["input_file_id"], file["id"], "an id is the same wherever it is told");
        let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
        assert_eq!(get(&setup, 0, &other, &path).await?.0, 404);
        let (_, done) = get(&setup, 1, &owner, &path).await?;
        assert_eq!((&done["status"], &done["id"]), (&json!("completed"), &made["id"]), "{done}");
        assert_eq!(done["request_counts"], json!({"total": 3, "completed": 2, "failed": 1}));

        let told = lines_of(&setup, 0, &owner, &done["output_file_id"]).await?;
        let ids: Vec<&Value> = told.iter().map(|line| &line["custom_id"]).collect();
        assert_eq!(ids, ["a", "B/2"], "{told:?}");
        for line in &told {
            let body = &line["response"]["body"];
            assert_eq!((&body["model"], &line["error"]), (&json!(model), &json!(null)), "{line}");
            assert!(body["choices"][0]["message"]["content"].is_string(), "{line}");
        }
        failed_line_is_in_its_file(&setup, &owner, &other, &done["error_file_id"]).await?;
        assert!(cost(&told) > 0.0);
        spends(&setup, 0, &owner, cost(&told)).await?;

        // One that nobody looks at, and one that is stopped.
        make(&setup, &owner, &file).await?;
        spends(&setup, 1, &owner, 2.0 * cost(&told)).await?;
        let stopped = make(&setup, &owner, &file).await?;
        let path = format!("/v1/batches/{}", stopped["id"].as_str().expect("an id"));
        let (_, cancelled) =
            send_json(&setup, 1, &owner, "POST", &format!("{path}/cancel")).await?;
        assert!(["cancelling", "cancelled"].contains(&cancelled["status"].as_str().unwrap_or("")));
        let (_, cancelled) = get(&setup, 0, &owner, &path).await?;
        assert_eq!(
            (&cancelled["status"], &cancelled["output_file_id"]),
            (&json!("cancelled"), &json!(null))
        );

        listed_and_deleted(&setup, (model, &owner, &other), &file).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_batch_is_refused_where_it_is_said() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let good = |model: &str| line("a", model, "good day", &json!({}));
    let batch = ("purpose", "batch");
    let second = |more: Value| format!("{}\n{}", good("google"), line("b", "google", "x", &more));
    let by_provider = ("custom_llm_provider", "vertex_ai");
    for (fields, lines, status, why) in [
        (&[batch, by_provider][..], good("google"), 200, ""),
        (&[batch], good("nova"), 200, ""),
        (&[batch], String::new(), 400, "the file has no lines"),
        (&[batch, by_provider], " \n\n".to_owned(), 400, "the file has no lines"),
        (&[batch], good("google").replace("\"model\"", "\"mode\""), 400, "`body.model`"),
        (&[batch], good("homeless"), 400, "gcs_bucket_name"),
        (&[batch], good("locked"), 403, ""),
        (&[("purpose", "fine-tune"), ("model", "google")], good("google"), 400, "'purpose'"),
        (&[batch], second(json!({"stream": true})), 400, "line 2: "),
        (&[batch], second(json!({"nonsense": 1})), 400, "line 2: "),
        (&[batch], second(json!({"messages": 7})), 400, "line 2: "),
        (
            &[batch],
            good("google").replace("/v1/chat/completions", "/v1/embeddings"),
            400,
            "line 1: ",
        ),
        (&[batch], format!("{}\nno JSON", good("google")), 400, "line 2: "),
    ] {
        let (told, file) = upload(&setup, &caller, fields, &lines).await?;
        assert!(told == status && file.to_string().contains(why), "{why}: {told} {file}");
    }
    let batches = setup.cluster.url(0, "/v1/batches");
    let (_, file) = upload(&setup, &caller, &[batch], &good("roleless")).await?;
    let refused = caller.post(&batches, &of(&file)).await?;
    assert!(refused.body.contains("aws_batch_role_arn"), "{}", refused.body);
    let (_, file) = upload(&setup, &caller, &[batch], &good("google")).await?;
    let mut other = of(&file);
    other["endpoint"] = json!("/v1/embeddings");
    let refused = caller.post(&batches, &other).await?;
    assert!(refused.status == 400 && refused.body.contains("`endpoint`"), "{}", refused.body);

    // The limits of batches hold as everywhere.
    let counted = setup.make_key(0, json!({"tpd_limit": 3})).await?;
    let (_, file) = upload(&setup, &counted, &[batch], &good("google")).await?;
    let refused = counted.post(&batches, &of(&file)).await?;
    assert!(refused.status == 429 && refused.body.contains("TPD limit"), "{}", refused.body);
    let poor = setup.make_key(0, json!({"max_budget": 0})).await?;
    let (_, file) = upload(&setup, &poor, &[batch], &good("nova")).await?;
    assert_eq!(poor.post(&batches, &of(&file)).await?.status, 422);
    Ok(())
}
