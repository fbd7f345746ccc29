//! OpenAI's responses: passed on to a provider that has them, bridged to one that has only chats.
//! An id works on every node, for its owner only, and after a restart.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, Setup, assert_error};

/// `own` has responses and `bridged` has not; both are one mock.
async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let own = harness::deployment("own", "openai/upstream-name", &mock.api_base());
    let bridged = harness::deployment("bridged", "openai/upstream-name", &mock.api_base());
    let config = format!("model_list:\n{own}    model_info: {{mode: responses}}\n{bridged}");
    harness::start_with(nodes, mock, config).await
}

async fn respond(
    setup: &Setup,
    node: usize,
    caller: &Client,
    body: &Value,
) -> anyhow::Result<Reply> {
    Ok(caller.post(&setup.cluster.url(node, "/v1/responses"), body).await?)
}

/// The data of a stream's events.
fn events(reply: &Reply) -> Vec<Value> {
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event is JSON")).collect()
}

/// The body of the last request that the upstream got.
fn sent(setup: &Setup) -> (String, Value) {
    let request = setup.mock.last_request().expect("there was one");
    let body = serde_json::from_slice(&request.body).unwrap_or_default();
    (request.path, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_passes_to_who_has_them_and_is_a_chat_elsewhere() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.cluster.client();
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    for (model, path) in [("own", "/v1/responses"), ("bridged", "/v1/chat/completions")] {
        let ask = json!({"model": model, "input": "hi"});
        let reply = respond(&setup, 0, caller, &ask).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        let response: Value = reply.json()?;
        assert_eq!((&response["model"], &response["status"]), (&json!(model), &json!("completed")));
        assert!(reply.header("x-litellm-response-cost").is_some_and(|cost| cost != "0.0"));
        assert_eq!(sent(&setup).0, path);

        let called =
            json!({"model": model, "input": "hi", "tools": tools, "tool_choice": "required"});
        let called: Value = respond(&setup, 0, caller, &called).await?.json()?;
        let items = called["output"].as_array().expect("a list");
        assert!(items.iter().any(|item| item["type"] == "function_call"), "{called}");

        let ask = json!({"model": model, "input": "hi", "stream": true});
        let streamed = events(&respond(&setup, 0, caller, &ask).await?);
        let last = streamed.last().expect("an event");
        assert_eq!(last["type"], "response.completed");
        let created = &streamed[0]["response"];
        for key in ["id", "model"] {
            assert_eq!(created[key], last["response"][key], "{key} stays the same");
        }
        assert_eq!(last["response"]["model"], model);
    }
    let foreign = json!({"model": "own", "input": "hi", "previous_response_id": "resp_0123"});
    let refused = respond(&setup, 0, caller, &foreign).await?;
    let message = "No response found with id 'resp_0123': the id was not made by this gateway";
    assert_error(&refused, 404, json!("invalid_request_error"), message);
    let kept = json!({"model": "bridged", "input": "hi", "previous_response_id": "resp_0123"});
    assert_eq!(respond(&setup, 0, caller, &kept).await?.status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_on_any_node_for_its_owner_only() -> anyhow::Result<()> {
    let mut setup = start(3).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let other = setup.make_key(1, json!({})).await?;
    let ask = json!({"model": "own", "input": "hi"});
    let first: Value = respond(&setup, 0, &owner, &ask).await?.json()?;
    let id = first["id"].as_str().expect("an id").to_owned();
    let go_on = json!({"model": "own", "input": "and?", "previous_response_id": id});

    let second = respond(&setup, 1, &owner, &go_on).await?;
    assert_eq!(second.status, 200, "{}", second.body);
    let second: Value = second.json()?;
    assert_eq!(second["previous_response_id"], json!(id), "the client's own id");
    let upstream = sent(&setup).1["previous_response_id"].as_str().expect("an id").to_owned();
    assert_ne!(upstream, id, "the provider gets the id that it gave");

    let refused = respond(&setup, 2, &other, &go_on).await?;
    assert_error(&refused, 404, json!("invalid_request_error"), "No response found with id");
    assert_eq!(respond(&setup, 2, setup.cluster.client(), &go_on).await?.status, 200, "the master");
    let elsewhere = json!({"model": "bridged", "input": "and?", "previous_response_id": id});
    assert_eq!(respond(&setup, 2, &owner, &elsewhere).await?.status, 400);
    let mut damaged = id.clone().into_bytes();
    damaged[40] ^= 1;
    let damaged = String::from_utf8(damaged)?;
    let broken = json!({"model": "own", "input": "and?", "previous_response_id": damaged});
    assert_eq!(respond(&setup, 1, &owner, &broken).await?.status, 404);

    setup.cluster.stop(0).await?;
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(FORMED).await?;
    let third = respond(&setup, 0, &owner, &go_on).await?;
    assert_eq!(third.status, 200, "{}", third.body);
    Ok(())
}
