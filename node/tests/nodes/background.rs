//! Responses that nobody waits for, of a model whose provider keeps none: the node that was asked
//! makes them, every node tells how they stand, and they fail if it dies.

use std::time::Duration;

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup, assert_error};

/// A node that works on a response is given up after 10 s of silence.
const GIVEN_UP: Duration = Duration::from_secs(30);

fn ask(input: &str) -> Value {
    json!({"model": "chat", "input": input, "background": true, "metadata": {"a": "b"}})
}

/// Has a response begun, which is queued then.
async fn begin(setup: &Setup, node: usize, caller: &Client, input: &str) -> anyhow::Result<String> {
    let reply = caller.post(&setup.cluster.url(node, "/v1/responses"), &ask(input)).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let queued: Value = reply.json()?;
    let told = (&queued["status"], &queued["background"], &queued["store"], &queued["output"]);
    assert_eq!(told, (&json!("queued"), &json!(true), &json!(true), &json!([])), "{queued}");
    assert_eq!(queued["metadata"], json!({"a": "b"}));
    Ok(queued["id"].as_str().expect("an id").to_owned())
}

async fn call(
    setup: &Setup,
    node: usize,
    caller: &Client,
    method: &str,
    path: &str,
) -> anyhow::Result<(u16, Value)> {
    harness::send_json(setup, node, caller, method, &format!("/v1/responses/{path}")).await
}

async fn is(setup: &Setup, node: usize, caller: &Client, id: &str, status: &str) -> bool {
    let read = call(setup, node, caller, "GET", id).await;
    read.is_ok_and(|(_, response)| response["status"] == status)
}

async fn ends(
    setup: &Setup,
    node: usize,
    caller: &Client,
    id: &str,
    status: &str,
    within: Duration,
) -> anyhow::Result<Value> {
    let what = format!("node {node} says that the response is {status}");
    wait_until(&what, within, async || is(setup, node, caller, id, status).await).await?;
    Ok(call(setup, node, caller, "GET", id).await?.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_made_while_nobody_waits_and_told_by_every_node() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let id = begin(&setup, 0, &owner, "[[delay:3000]] [[say:good day]] one").await?;
    for node in 0..3 {
        let (status, read) = call(&setup, node, &owner, "GET", &id).await?;
        assert_eq!((status, &read["status"]), (200, &json!("in_progress")), "{read}");
    }
    let next = json!({"model": "chat", "input": "two", "previous_response_id": id});
    let early = owner.post(&setup.cluster.url(1, "/v1/responses"), &next).await?;
    assert_error(&early, 400, json!("invalid_request_error"), "The response 'resp_dn1");

    let done = ends(&setup, 1, &owner, &id, "completed", SOON).await?;
    assert_eq!(done["output"][0]["content"][0]["text"], "good day");
    assert_eq!((&done["id"], &done["background"]), (&json!(id), &json!(true)));
    for node in [0, 2] {
        assert_eq!(call(&setup, node, &owner, "GET", &id).await?, (200, done.clone()));
    }
    let late = owner.post(&setup.cluster.url(2, "/v1/responses"), &next).await?;
    assert_eq!(late.status, 200, "{}", late.body);
    let (status, again) = call(&setup, 2, &owner, "POST", &format!("{id}/cancel")).await?;
    assert_eq!((status, &again["status"]), (200, &json!("completed")), "it is over");
    let spent = wait_until("it is charged", SOON, async || {
        let info = setup.key_info(1, &owner).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| spend > 0.0)
    });
    spent.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_cancelled_and_deleted_from_any_node_and_fails_with_its_provider()
-> anyhow::Result<()> {
    let setup = harness::start(2).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let id = begin(&setup, 0, &owner, "[[delay:60000]] one").await?;
    let (status, told) = call(&setup, 1, &owner, "POST", &format!("{id}/cancel")).await?;
    assert_eq!((status, &told["status"]), (200, &json!("cancelled")), "{told}");
    for node in 0..2 {
        assert!(is(&setup, node, &owner, &id, "cancelled").await, "node {node}");
    }
    let id = begin(&setup, 0, &owner, "[[delay:60000]] two").await?;
    assert_eq!(call(&setup, 1, &owner, "DELETE", &id).await?.0, 200);
    assert_eq!(call(&setup, 0, &owner, "GET", &id).await?.0, 404);

    let id = begin(&setup, 0, &owner, "[[status:500]] three").await?;
    let failed = ends(&setup, 1, &owner, &id, "failed", SOON).await?;
    assert_eq!(failed["error"]["code"], "server_error", "{failed}");
    let message = failed["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("litellm.InternalServerError"), "{failed}");

    let mut body = ask("four");
    body["store"] = json!(false);
    let refused = owner.post(&setup.cluster.url(0, "/v1/responses"), &body).await?;
    let begins = "A response with `background: true`";
    assert_error(&refused, 400, json!("invalid_request_error"), begins);
    assert_eq!(refused.json::<Value>()?["error"]["param"], "store");
    let (status, told) = call(&setup, 0, &owner, "GET", &format!("{id}?stream=true")).await?;
    assert_eq!((status, &told["error"]["param"]), (400, &json!("stream")), "{told}");
    Ok(())
}

/// The events of a stream that has come to its end.
fn events(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event is JSON")).collect()
}

async fn again(
    setup: &Setup,
    node: usize,
    caller: &Client,
    id: &str,
    after: u64,
) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/responses/{id}?stream=true&starting_after={after}");
    let (status, body) = harness::send(setup, node, caller, "GET", &path).await?;
    assert_eq!(status, 200, "{body}");
    Ok(events(&body))
}

/// What an event that ends a stream says: its type, the response's status, its number.
fn ending(event: &Value) -> (&str, &str, Option<u64>) {
    (
        event["type"].as_str().unwrap_or_default(),
        event["response"]["status"].as_str().unwrap_or_default(),
        event["sequence_number"].as_u64(),
    )
}

/// Begins a stream, hears its first events and leaves: gives its id.
async fn leave(setup: &Setup, node: usize, caller: &Client, input: &str) -> anyhow::Result<String> {
    let mut body = ask(input);
    body["stream"] = json!(true);
    let url = setup.cluster.url(node, "/v1/responses");
    let asked = dunlin_cluster::http_client()?.post(url).bearer_auth(caller.key()).json(&body);
    let mut answer = asked.send().await?;
    assert_eq!(answer.status(), 200);
    let mut heard = String::new();
    while events(heard.rsplit_once("\n\n").map_or("", |(whole, _)| whole)).len() < 2 {
        let more = tokio::time::timeout(SOON, answer.chunk()).await??.expect("there is more");
        heard += std::str::from_utf8(&more)?;
    }
    let first = &events(&heard)[0];
    assert_eq!(
        (&first["type"], &first["response"]["status"], &first["sequence_number"]),
        (&json!("response.created"), &json!("queued"), &json!(0)),
        "it is told at once: {first}"
    );
    Ok(first["response"]["id"].as_str().expect("an id").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_need_wait_for_is_taken_up_again_anywhere() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let id = leave(&setup, 0, &owner, "[[delay:2000]] [[say:good day]] one").await?;
    let here = again(&setup, 0, &owner, &id, 1).await?;
    let numbers: Vec<_> = here.iter().map(|event| event["sequence_number"].as_u64()).collect();
    let expected: Vec<_> = (2..here.len() as u64 + 2).map(Some).collect();
    assert_eq!(numbers, expected, "each once, in order: {here:?}");
    assert_eq!(here[0]["type"], "response.in_progress");
    let last = here.last().expect("an end");
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "good day");
    assert_eq!(last["response"]["id"], json!(id));
    for node in [1, 2] {
        assert_eq!(again(&setup, node, &owner, &id, 1).await?, here, "node {node}");
    }
    let (status, read) = call(&setup, 1, &owner, "GET", &id).await?;
    assert_eq!((status, &read["status"]), (200, &json!("completed")), "{read}");
    let next = json!({"model": "chat", "input": "two", "previous_response_id": id});
    let next = owner.post(&setup.cluster.url(2, "/v1/responses"), &next).await?;
    assert_eq!(next.status, 200, "{}", next.body);
    let stranger = setup.make_key(0, json!({})).await?;
    let path = format!("/v1/responses/{id}?stream=true");
    assert_eq!(harness::send(&setup, 1, &stranger, "GET", &path).await?.0, 404);

    // Heard on another node while it is made.
    let id = leave(&setup, 0, &owner, "[[delay:2000]] [[say:and night]] three").await?;
    let there = again(&setup, 1, &owner, &id, 0).await?;
    assert_eq!(there.last().expect("an end")["type"], "response.completed");

    let id = leave(&setup, 0, &owner, "[[status:500]] four").await?;
    ends(&setup, 1, &owner, &id, "failed", SOON).await?;
    let failed = again(&setup, 2, &owner, &id, 1).await?;
    let last = failed.last().expect("an end");
    assert_eq!(ending(last), ("response.failed", "failed", Some(2)), "{failed:?}");
    assert_eq!(last["response"]["error"]["code"], "server_error");
    assert_eq!(again(&setup, 0, &owner, &id, 2).await?, Vec::<Value>::new(), "it has been heard");

    let id = leave(&setup, 0, &owner, "[[say:good day to you]] [[fault:reset 2]] five").await?;
    ends(&setup, 1, &owner, &id, "failed", SOON).await?;
    let broken = again(&setup, 2, &owner, &id, 1).await?;
    let last = broken.last().expect("an end");
    let count = broken.len() as u64 + 1;
    assert_eq!(ending(last), ("response.failed", "failed", Some(count)), "{broken:?}");
    assert!(broken.iter().all(|event| event["type"] != "error"), "{broken:?}");

    let id = leave(&setup, 0, &owner, "[[say:good day]] [[finish:length]]").await?;
    ends(&setup, 1, &owner, &id, "incomplete", SOON).await?;
    let cut = again(&setup, 2, &owner, &id, 1).await?;
    assert_eq!(ending(cut.last().expect("an end")).0, "response.incomplete");

    let id = leave(&setup, 0, &owner, "[[delay:60000]] six").await?;
    let cancel = async {
        ends(&setup, 1, &owner, &id, "in_progress", SOON).await?;
        call(&setup, 1, &owner, "POST", &format!("{id}/cancel")).await
    };
    let (live, cancelled) = tokio::join!(again(&setup, 0, &owner, &id, 1), cancel);
    let (status, told) = cancelled?;
    assert_eq!((status, &told["status"]), (200, &json!("cancelled")), "{told}");
    let live = live?;
    assert_eq!(
        live.iter().map(ending).collect::<Vec<_>>(),
        [("response.failed", "cancelled", Some(2))]
    );
    for node in 0..3 {
        assert_eq!(again(&setup, node, &owner, &id, 1).await?, live, "node {node}");
    }
    let (status, told) =
        call(&setup, 1, &owner, "GET", &format!("{id}?stream=true&starting_after=abc")).await?;
    assert_eq!((status, &told["error"]["param"]), (400, &json!("starting_after")), "{told}");
    assert!(told["error"]["message"].as_str().is_some_and(|said| said.contains("'abc'")), "{told}");

    let lost = leave(&setup, 0, &owner, "[[delay:60000]] seven").await?;
    setup.cluster.kill(0).await?;
    let told = tokio::time::timeout(GIVEN_UP, again(&setup, 1, &owner, &lost, 1)).await??;
    assert_eq!(ending(told.last().expect("an end")), ("response.failed", "failed", Some(2)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_whose_node_dies_has_failed_and_says_so() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let lost = begin(&setup, 0, &owner, "[[delay:60000]] one").await?;
    setup.cluster.kill(0).await?;
    for node in [1, 2] {
        let (status, read) = call(&setup, node, &owner, "GET", &lost).await?;
        assert_eq!((status, &read["status"]), (200, &json!("in_progress")), "it may be back");
    }
    let failed = ends(&setup, 1, &owner, &lost, "failed", GIVEN_UP).await?;
    let message = failed["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("is gone, and the answer with it"), "{failed}");
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(FORMED).await?;
    for node in 0..3 {
        let failed = ends(&setup, node, &owner, &lost, "failed", SOON).await?;
        let message = failed["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("stopped before it was finished"), "{failed}");
    }

    // One that is told to stop makes its responses first.
    let kept = begin(&setup, 0, &owner, "[[delay:3000]] [[say:in time]] two").await?;
    setup.cluster.stop(0).await?;
    let done = ends(&setup, 1, &owner, &kept, "completed", SOON).await?;
    assert_eq!(done["output"][0]["content"][0]["text"], "in time");
    Ok(())
}

/// As answers that are waited for do: after a fallback by the name of who answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_names_the_model_that_made_it() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: 0\n  fallbacks: [{{chat: [well]}}]\n",
        harness::deployment("chat", "hosted_vllm/sick-up", "http://127.0.0.1:9/v1"),
        harness::deployment("well", "hosted_vllm/well-up", &mock.api_base()),
    );
    let setup = harness::start_with(1, mock, config).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let waited = json!({"model": "chat", "input": "hi"});
    let waited = owner.post(&setup.cluster.url(0, "/v1/responses"), &waited).await?;
    assert_eq!(waited.json::<Value>()?["model"], "well-up", "{}", waited.body);
    let id = begin(&setup, 0, &owner, "hi").await?;
    let done = ends(&setup, 0, &owner, &id, "completed", SOON).await?;
    assert_eq!(done["model"], "well-up", "{done}");
    let mut streamed = ask("hi");
    streamed["stream"] = json!(true);
    let streamed = owner.post(&setup.cluster.url(0, "/v1/responses"), &streamed).await?;
    let last = streamed.body.lines().rfind(|line| line.starts_with("data: ")).expect("an event");
    let last: Value = serde_json::from_str(last.trim_start_matches("data: "))?;
    assert_eq!(last["response"]["model"], "well-up", "{last}");
    Ok(())
}
