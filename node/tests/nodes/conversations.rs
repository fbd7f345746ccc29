//! Conversations of responses: made at one provider, known by a sealed id, used on every node by their
//! owner, refused where a model has none.

use dunlin_cluster::Client;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, send_json};

/// `own` and `sibling` are of one account that has responses, `bridged` has only chats. With `other`,
/// a second account has responses too.
async fn start(nodes: usize, other: bool) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let keeps = "    model_info: {mode: responses}\n";
    let own = harness::deployment("own", "openai/upstream-name", &base);
    let sibling = harness::deployment("sibling", "openai/another-name", &base);
    let bridged = harness::deployment("bridged", "openai/upstream-name", &base);
    let mut config = format!("model_list:\n{own}{keeps}{sibling}{keeps}{bridged}");
    if other {
        let there = base.replace("127.0.0.1", "localhost");
        let other = harness::deployment("other", "openai/upstream-name", &there);
        config += &format!("{other}{keeps}");
    }
    harness::start_with(nodes, mock, config).await
}

async fn call(
    setup: &Setup,
    node: usize,
    caller: &Client,
    method: &str,
    path: &str,
) -> anyhow::Result<(u16, Value)> {
    send_json(setup, node, caller, method, &format!("/v1/conversations{path}")).await
}

async fn post(
    setup: &Setup,
    node: usize,
    caller: &Client,
    path: &str,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let reply = caller.post(&setup.cluster.url(node, path), body).await?;
    Ok((reply.status, reply.json()?))
}

fn message(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_used_on_every_node_by_its_owner() -> anyhow::Result<()> {
    let setup = start(3, false).await?;
    let owner = setup.make_key(0, json!({})).await?;
    let stranger = setup.make_key(0, json!({})).await?;
    let body = json!({"items": [message("I am Ann")], "metadata": {"a": "b"}, "model": "own"});
    let (status, made) = post(&setup, 0, &owner, "/v1/conversations", &body).await?;
    assert_eq!((status, &made["metadata"]["a"]), (200, &json!("b")), "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("conv_dn1"), "{id}");

    // Of the same account, so it sees the conversation.
    for (node, model, said) in [(1, "own", json!(id)), (2, "sibling", json!({"id": id}))] {
        let ask = json!({"model": model, "input": "[[say:good day]]", "conversation": said});
        let (status, response) = post(&setup, node, &owner, "/v1/responses", &ask).await?;
        assert_eq!((status, &response["conversation"]["id"]), (200, &json!(id)), "{response}");
        let upstream: Value =
            serde_json::from_slice(&setup.mock.last_request().expect("one").body)?;
        let inside = upstream["conversation"].as_str().or(upstream["conversation"]["id"].as_str());
        assert!(inside.is_some_and(|inside| inside.starts_with("conv_") && inside != id));
        let streamed = json!({"model": model, "input": "hi", "conversation": id, "stream": true});
        let streamed = owner.post(&setup.cluster.url(node, "/v1/responses"), &streamed).await?;
        assert!(streamed.body.contains(&id), "{}", streamed.body);
        assert!(!streamed.body.contains(inside.expect("an id")), "{}", streamed.body);
    }
    let (status, items) = call(&setup, 2, &owner, "GET", &format!("/{id}/items?limit=20")).await?;
    let items = items["data"].as_array().expect("a list").clone();
    assert_eq!((status, items.len()), (200, 1 + 4 * 2), "{items:?}");

    let path = format!("/v1/conversations/{id}/items");
    let (_, added) = post(&setup, 1, &owner, &path, &json!({"items": [message("bye")]})).await?;
    let item = added["data"][0]["id"].as_str().expect("an id").to_owned();
    let (status, read) = call(&setup, 0, &owner, "GET", &format!("/{id}/items/{item}")).await?;
    assert_eq!((status, &read["content"]), (200, &json!("bye")));
    let (status, left) = call(&setup, 1, &owner, "DELETE", &format!("/{id}/items/{item}")).await?;
    assert_eq!((status, &left["id"]), (200, &json!(id)), "{left}");
    assert_eq!(call(&setup, 0, &owner, "GET", &format!("/{id}/items/{item}")).await?.0, 404);

    let path = format!("/v1/conversations/{id}");
    let (_, updated) = post(&setup, 2, &owner, &path, &json!({"metadata": {"c": "d"}})).await?;
    assert_eq!(updated["metadata"], json!({"c": "d"}));
    for (caller, status) in [(&owner, 200), (setup.cluster.client(), 200), (&stranger, 404)] {
        let (found, read) = call(&setup, 1, caller, "GET", &format!("/{id}")).await?;
        assert_eq!(found, status, "{read}");
        assert!(status == 404 || read["id"] == json!(id), "{read}");
    }
    let ask = json!({"model": "own", "input": "hi", "conversation": id});
    assert_eq!(post(&setup, 0, &stranger, "/v1/responses", &ask).await?.0, 404);
    let (status, deleted) = call(&setup, 0, &owner, "DELETE", &format!("/{id}")).await?;
    assert_eq!((status, &deleted["deleted"], &deleted["id"]), (200, &json!(true), &json!(id)));
    assert_eq!(call(&setup, 2, &owner, "GET", &format!("/{id}")).await?.0, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_at_the_only_provider_that_keeps_them_or_at_the_one_named()
-> anyhow::Result<()> {
    let setup = start(1, false).await?;
    let master = setup.cluster.client();
    let none = json!({});
    let (status, made) = post(&setup, 0, master, "/v1/conversations", &none).await?;
    assert_eq!((status, &made["object"]), (200, &json!("conversation")), "{made}");
    let id = made["id"].as_str().expect("an id");
    let ask = json!({"model": "bridged", "input": "hi", "conversation": id});
    let (status, refused) = post(&setup, 0, master, "/v1/responses", &ask).await?;
    assert_eq!((status, &refused["error"]["param"]), (400, &json!("model")), "{refused}");
    let ask = json!({"model": "bridged", "input": "hi", "conversation": "conv_1"});
    let (status, refused) = post(&setup, 0, master, "/v1/responses", &ask).await?;
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && said.contains("previous_response_id"), "{refused}");
    let ask = json!({"model": "own", "input": "hi", "conversation": "conv_1"});
    assert_eq!(post(&setup, 0, master, "/v1/responses", &ask).await?.0, 404);
    let bridged = json!({"model": "bridged"});
    let (status, refused) = post(&setup, 0, master, "/v1/conversations", &bridged).await?;
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && said.contains("'bridged' keeps no conversations"), "{refused}");
    let restricted = setup.make_key(0, json!({"models": ["bridged"]})).await?;
    let (status, refused) = post(&setup, 0, &restricted, "/v1/conversations", &none).await?;
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && said.starts_with("No usable model"), "{refused}");

    let setup = start(1, true).await?;
    let master = setup.cluster.client();
    let (status, refused) = post(&setup, 0, master, "/v1/conversations", &none).await?;
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && said.contains("own") && said.contains("other"), "{refused}");
    let named = json!({"model": "own"});
    assert_eq!(post(&setup, 0, master, "/v1/conversations?model=own", &none).await?.0, 200);
    assert_eq!(post(&setup, 0, master, "/v1/conversations", &named).await?.0, 200);
    Ok(())
}
