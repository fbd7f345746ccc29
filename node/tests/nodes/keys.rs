//! A key made on one node is a key on all; a change to it holds everywhere within a second.

use dunlin_cluster::{Client, Reply, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, SPREAD, Setup, assert_error};

/// Waits until every node answers the caller as wanted, for at most the promised second.
async fn everywhere(
    setup: &Setup,
    caller: &Client,
    what: &str,
    wanted: impl Fn(&Reply) -> bool,
) -> anyhow::Result<()> {
    for node in 0..setup.cluster.nodes().len() {
        wait_until(&format!("{what} on node {node}"), SPREAD, async || {
            setup.chat(node, caller).await.is_ok_and(|reply| wanted(&reply))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_on_one_node_works_on_the_others_at_once() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    for maker in 0..3 {
        let alias = format!("made-on-{maker}");
        let caller = setup.make_key(maker, json!({"key_alias": alias})).await?;
        for node in 0..3 {
            let reply = setup.chat(node, &caller).await?;
            assert_eq!(reply.status, 200, "made on {maker}, used on {node}: {}", reply.body);
            assert_eq!(setup.key_info(node, &caller).await?["key_alias"], json!(alias));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_key_stops_everywhere_within_a_second_and_comes_back() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    everywhere(&setup, &caller, "the key works", Reply::ok).await?;

    setup.admin(1, "/key/block", json!({"key": caller.key()})).await?;
    everywhere(&setup, &caller, "the key is refused", |reply| reply.status == 401).await?;
    let refused = setup.chat(2, &caller).await?;
    assert_error(&refused, 401, json!("auth_error"), "Authentication Error, Key is blocked.");

    setup.admin(2, "/key/unblock", json!({"key": caller.key()})).await?;
    everywhere(&setup, &caller, "the key works again", Reply::ok).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_stops_everywhere_within_a_second() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "short-lived"})).await?;
    everywhere(&setup, &caller, "the key works", Reply::ok).await?;
    setup.admin(2, "/key/delete", json!({"keys": [caller.key()]})).await?;
    everywhere(&setup, &caller, "the key is unknown", |reply| reply.status == 401).await?;
    let refused = setup.chat(0, &caller).await?;
    let message = "Authentication Error, Invalid proxy server token passed.";
    assert_error(&refused, 401, json!("token_not_found_in_db"), message);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_expires_on_all_nodes_and_no_earlier() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"duration": "3s"})).await?;
    assert_eq!(setup.chat(1, &caller).await?.status, 200);
    for node in 0..3 {
        wait_until("the key expires", SOON, async || {
            setup.chat(node, &caller).await.is_ok_and(|reply| reply.status == 401)
        })
        .await?;
        let refused = setup.chat(node, &caller).await?;
        assert_error(&refused, 401, json!("expired_key"), "Authentication Error - Expired Key.");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_holds_on_every_node() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"metadata": {"team": "a"}})).await?;
    setup.admin(1, "/key/update", json!({"key": caller.key(), "models": ["other"]})).await?;
    everywhere(&setup, &caller, "the model is refused", |reply| reply.status == 403).await?;
    let refused = setup.chat(2, &caller).await?;
    let message = "The requested model 'chat' is not available for this API key";
    assert_error(&refused, 403, json!("key_model_access_denied"), message);

    let aliases = json!({"key": caller.key(), "models": [], "aliases": {"mine": "chat"}});
    setup.admin(0, "/key/update", aliases).await?;
    everywhere(&setup, &caller, "the model is allowed", Reply::ok).await?;
    let body = json!({"model": "mine", "messages": [{"role": "user", "content": "hi"}]});
    let reply = setup.ask(2, &caller, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(setup.key_info(2, &caller).await?["metadata"]["team"], json!("a"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_was_given_is_echoed_and_its_secret_is_shown_once() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let fields = json!({
        "key_alias": "app", "models": ["chat"], "rpm_limit": 100, "tpm_limit": 100_000,
        "max_parallel_requests": 9, "user_id": "u1", "metadata": {"a": [1, 2]}, "duration": "30d",
    });
    let reply = setup.admin(0, "/key/generate", fields.clone()).await?;
    let made: Value = reply.json()?;
    let key = made["key"].as_str().expect("the clear key").to_owned();
    assert!(key.starts_with("sk-"));
    let caller = setup.cluster.client().with_key(&key);
    let info = setup.key_info(0, &caller).await?;
    for answer in [&made, &info] {
        for name in ["key_alias", "models", "rpm_limit", "tpm_limit", "max_parallel_requests"] {
            assert_eq!(answer[name], fields[name], "{name} in {answer}");
        }
        assert_eq!(answer["user_id"], json!("u1"));
        assert_eq!(answer["metadata"]["a"], json!([1, 2]));
        assert!(answer["expires"].is_string());
    }
    assert!(!info.to_string().contains(&key), "the clear key is shown again: {info}");
    assert_eq!(made["key_name"], json!(format!("sk-...{}", &key[key.len() - 4..])));

    let list = setup.cluster.client().get(&setup.cluster.url(0, "/key/list")).await?;
    let list: Value = list.json()?;
    assert_eq!(list["keys"], json!([made["token"]]));
    assert_eq!(list["total_count"], json!(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let url = setup.cluster.url(0, "/key/generate");
    let caller = setup.make_key(0, json!({"key_alias": "taken"})).await?;
    let duplicate = setup.cluster.client().post(&url, &json!({"key_alias": "taken"})).await?;
    assert_eq!(duplicate.status, 400, "{}", duplicate.body);

    // A guard that is not there must not look as if it were.
    let guarded = setup.cluster.client().post(&url, &json!({"guardrails": ["pii"]})).await?;
    assert_eq!(guarded.status, 400, "{}", guarded.body);
    assert!(guarded.body.contains("guardrails"), "{}", guarded.body);
    for unknown in [json!({"team_id": "none"}), json!({"budget_id": "none"})] {
        let refused = setup.cluster.client().post(&url, &unknown).await?;
        assert_eq!(refused.status, 404, "{}", refused.body);
    }

    // LiteLLM ignores what it does not know; here the log tells.
    setup.make_key(0, json!({"a_field_of_our_own": 1})).await?;
    wait_until("the log names what was ignored", SOON, async || {
        setup.cluster.log_tails().contains("a_field_of_our_own")
    })
    .await?;

    let not_admin = caller.post(&url, &json!({})).await?;
    assert_error(&not_admin, 401, json!("auth_error"), "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn spend_is_the_price_of_the_tokens_and_shows_on_every_node() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut expected = 0.0;
    for node in [0, 1, 2, 2] {
        let reply = setup.chat(node, &caller).await?;
        let usage = &reply.json::<Value>()?["usage"];
        let tokens = |name: &str| usage[name].as_f64().expect("a count of tokens");
        let cost = tokens("prompt_tokens") * INPUT_COST + tokens("completion_tokens") * OUTPUT_COST;
        let told: f64 = reply.header("x-litellm-response-cost").expect("a cost").parse()?;
        assert!((told - cost).abs() < 1e-9, "told {told}, priced {cost}");
        expected += cost;
    }
    assert!(expected > 0.0);
    for node in 0..3 {
        wait_until(&format!("node {node} shows a spend of {expected}"), SOON, async || {
            let info = setup.key_info(node, &caller).await;
            let spend = info.ok().and_then(|info| info["spend"].as_f64());
            spend.is_some_and(|spend| (spend - expected).abs() < 1e-9)
        })
        .await?;
    }
    Ok(())
}
