//! Batches of messages at our own address: their maker's alone, by the code that passes on those below
//! `/anthropic`; and whoever is told that a batch is over is told after it was charged.

use dunlin_cluster::{Client, http_client};
use serde_json::{Value, json};

use super::lines::{ANTHROPIC, messages, start};
use crate::harness::{Setup, send_json};
use crate::responses::{line, upload};

const OURS: &str = "/v1/messages/batches";
const PASSED: &str = "/openai_passthrough/v1/batches";

/// What the batches of a key cost, by its records as they are.
async fn records(setup: &Setup, node: usize, whom: &Client) -> anyhow::Result<usize> {
    let rows = setup.cluster.url(node, "/spend/logs?summarize=false");
    let rows: Vec<Value> = whom.get(&rows).await?.json()?;
    Ok(rows.iter().filter(|row| row["spend"].as_f64().is_some_and(|spend| spend > 0.0)).count())
}

async fn make(setup: &Setup, whom: &Client, path: &str) -> anyhow::Result<String> {
    let made = whom.post(&setup.cluster.url(0, path), &messages(&[json!({}), json!({})])).await?;
    assert_eq!(made.status, 200, "{path}: {}", made.body);
    let made: Value = made.json()?;
    assert_eq!(
        (&made["processing_status"], &made["results_url"]),
        (&json!("in_progress"), &json!(null))
    );
    Ok(made["id"].as_str().expect("an id").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_messages_is_its_makers_alone() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let owner = setup.make_key(0, json!({"models": ["claude"]})).await?;
    let other = setup.make_key(0, json!({})).await?;
    let id = make(&setup, &owner, OURS).await?;
    assert!(id.starts_with("msgbatch_dn1"), "{id}");
    let path = format!("{OURS}/{id}");
    for (method, suffix) in [("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")]
    {
        let (status, refused) =
            send_json(&setup, 1, &other, method, &format!("{path}{suffix}")).await?;
        let is_theirs = refused["type"] == "error" && refused["error"]["type"] == "not_found_error";
        assert!(status == 404 && is_theirs, "{method} {suffix}: {refused}");
    }
    for caller in [&owner, setup.cluster.client()] {
        let (status, batch) = send_json(&setup, 1, caller, "GET", &path).await?;
        assert_eq!((status, &batch["processing_status"]), (200, &json!("ended")), "{batch}");
        assert_eq!(batch["request_counts"]["succeeded"], 2, "{batch}");
        assert_eq!(
            (&batch["id"], &batch["results_url"]),
            (&json!(id), &json!(format!("{path}/results")))
        );
        assert_eq!(records(&setup, 0, &owner).await?, 1, "it is charged before anybody is told");
    }
    let results = owner.get(&setup.cluster.url(0, &format!("{path}/results"))).await?;
    assert_eq!((results.status, results.body.lines().count()), (200, 2), "{}", results.body);
    assert!(results.body.contains("custom_id"), "{}", results.body);

    let second = make(&setup, &owner, OURS).await?;
    let (status, page) = send_json(&setup, 1, &owner, "GET", &format!("{OURS}?limit=1")).await?;
    let page_is = (&page["data"][0]["id"], &page["last_id"], &page["has_more"]);
    assert_eq!((status, page_is), (200, (&json!(second), &json!(second), &json!(true))), "{page}");
    let next = format!("{OURS}?limit=1&after_id={second}");
    let (_, page) = send_json(&setup, 1, &owner, "GET", &next).await?;
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!(id), &json!(false)), "{page}");
    let (_, page) = send_json(&setup, 1, &other, "GET", OURS).await?;
    assert_eq!(page["data"], json!([]), "{page}");
    let (status, cancelled) =
        send_json(&setup, 1, &owner, "POST", &format!("{OURS}/{second}/cancel")).await?;
    assert_eq!((status, &cancelled["id"]), (200, &json!(second)), "{cancelled}");
    let (status, deleted) = send_json(&setup, 1, &owner, "DELETE", &path).await?;
    assert_eq!((status, &deleted["id"]), (200, &json!(id)), "{deleted}");
    assert_eq!(send_json(&setup, 0, &owner, "GET", &path).await?.0, 404);
    assert_eq!(send_json(&setup, 0, &owner, "GET", &format!("{OURS}/msgbatch_01")).await?.0, 404);

    let url = setup.cluster.url(0, OURS);
    for (said, told) in [(json!({"model": "own"}), "model=own"), (json!({"user": 7}), "'user'")] {
        let refused = other.post(&url, &messages(&[json!({}), said])).await?;
        let body: Value = refused.json()?;
        let message = body["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((refused.status, &body["type"]), (400, &json!("error")), "{body}");
        assert!(message.starts_with("request 2: ") && message.contains(told), "{message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_that_a_batch_is_over_is_told_after_it_was_charged() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let path = format!("{ANTHROPIC}/{}", make(&setup, &owner, ANTHROPIC).await?);
    let (_, batch) = send_json(&setup, 1, setup.cluster.client(), "GET", &path).await?;
    assert_eq!(batch["processing_status"], "ended", "{batch}");
    assert_eq!(records(&setup, 1, &owner).await?, 1);
    assert_eq!(batch["results_url"], format!("{path}/results"), "the client's key stays here");
    for place in [format!("{path}/results"), format!("/anthropic{path}/results")] {
        let answers = setup.cluster.client().get(&setup.cluster.url(0, &place)).await?;
        assert_eq!((answers.status, answers.body.lines().count()), (200, 2), "{place}");
    }

    let (status, file) = upload(&setup, &owner, line("own")).await?;
    assert_eq!(status, 200, "{file}");
    // Whatever the provider's clock says of it: the mock's stands still.
    let times = [json!({"created_at": crate::responses::now()}), json!({})];
    for (charged, metadata) in (2..).zip(times) {
        let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
            "completion_window": "24h", "metadata": metadata});
        let made = owner.post(&setup.cluster.url(0, "/v1/batches"), &body).await?;
        let made: Value = made.json()?;
        let path = format!("/v1/batches/{}", made["id"].as_str().expect("an id"));
        let (_, batch) = send_json(&setup, 1, &owner, "GET", &path).await?;
        assert_eq!(batch["status"], "completed", "{batch}");
        assert_eq!(records(&setup, 1, &owner).await?, charged, "{metadata}");
    }
    // So is who lists them below a prefix, or with the master key.
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    for (charged, path) in [(4, PASSED), (5, "/v1/batches")] {
        assert_eq!(owner.post(&setup.cluster.url(0, "/v1/batches"), &body).await?.status, 200);
        let (_, page) = send_json(&setup, 1, setup.cluster.client(), "GET", PASSED).await?;
        for batch in page["data"].as_array().into_iter().flatten() {
            // It is over once the mock has been asked.
            let id = batch["id"].as_str().expect("an id");
            let url = format!("http://{}/v1/batches/{id}", setup.mock.address());
            http_client()?.get(url).bearer_auth("sk-upstream").send().await?.error_for_status()?;
        }
        let (status, page) = send_json(&setup, 1, setup.cluster.client(), "GET", path).await?;
        assert_eq!(status, 200, "{page}");
        assert_eq!(records(&setup, 1, &owner).await?, charged, "{page}");
    }
    Ok(())
}
