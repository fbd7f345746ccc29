//! Settings that are changed over the API: on every node at once, judged like a file, never lost.

use dunlin_cluster::{Client, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup};

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

async fn get(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Value> {
    setup.cluster.client().get(&setup.cluster.url(node, path)).await?.json()
}

/// Until all of `nodes` answer a model so.
async fn answered(
    setup: &Setup,
    caller: &Client,
    nodes: &[usize],
    model: &str,
    status: u16,
) -> anyhow::Result<()> {
    for &node in nodes {
        wait_until(&format!("node {node} answers {model} with {status}"), SOON, async || {
            let reply = setup.ask(node, caller, &ask(model)).await;
            reply.is_ok_and(|reply| reply.status == status)
        })
        .await?;
    }
    Ok(())
}

fn alias(name: &str) -> Value {
    json!({
        "config_type": "router_settings", "field_name": format!("model_group_alias.{name}"),
        "field_value": "chat",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_in_force_everywhere_and_outlives_the_file_of_a_restarted_node()
-> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let change =
        json!({"router_settings": {"model_group_alias": {"nick": "chat"}, "num_retries": 1}});
    let told: Value = setup.admin(1, "/config/update", change).await?.json()?;
    assert_eq!(
        (&told["message"], &told["revision"]),
        (&json!("Config updated successfully"), &json!(2))
    );
    assert_eq!(setup.ask(1, &caller, &ask("nick")).await?.status, 200, "at once where it was made");
    answered(&setup, &caller, &[0, 1, 2], "nick", 200).await?;

    for (body, words) in [
        (
            json!({"router_settings": {"num_retires": 3, "timeout": "soon"}}),
            "did you mean `num_retries`?",
        ),
        (
            json!({"general_settings": {"master_key": "sk-of-somebody-else"}}),
            "take over the cluster",
        ),
        (json!({"environment_variables": {"LD_PRELOAD": "/tmp/x.so"}}), "where they are started"),
        (json!({"litellm_settings": {"callbacks": ["hooks.instance"]}}), "Python"),
    ] {
        let url = setup.cluster.url(2, "/config/update");
        let refused = setup.cluster.client().post(&url, &body).await?;
        harness::assert_error(
            &refused,
            400,
            json!("bad_request_error"),
            "the config is not changed: ",
        );
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    let diff = get(&setup, 0, "/config/diff").await?;
    let diff = diff["diff"].as_str().expect("a text");
    assert!(diff.contains("model_group_alias: {nick: chat}"), "{diff}");
    let history = get(&setup, 2, "/config/history").await?;
    let newest = &history["revisions"][0];
    assert_eq!((&newest["revision"], &newest["set_over_api"]), (&json!(2), &json!(true)));
    assert!(newest["source"].as_str().is_some_and(|it| it.contains("num_retries")), "{newest}");
    let audit = get(&setup, 0, "/audit?table_name=LiteLLM_Config").await?;
    assert!(audit.to_string().contains("/config/update"), "{audit}");

    setup.cluster.stop(2).await?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    answered(&setup, &caller, &[0, 1, 2], "nick", 200).await?;
    let shown =
        get(&setup, 2, "/config/field/info?config_type=router_settings&field_name=num_retries")
            .await?;
    assert_eq!(shown["field_value"], 1, "the old file has undone nothing");

    let back: Value = setup.admin(1, "/config/rollback", json!({"to": 1})).await?.json()?;
    assert_eq!(back["revision"], 3);
    answered(&setup, &caller, &[0, 1, 2], "nick", 400).await
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_at_the_same_time_are_all_there_and_a_killed_leader_loses_none() -> anyhow::Result<()>
{
    const EDITS: usize = 12;
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let url = |at: usize| setup.cluster.url(others[at % 2], "/config/field/update");
    let urls: Vec<_> = (0..EDITS).map(url).collect();
    let client = setup.cluster.client().clone();
    let edits = urls.into_iter().enumerate().map(|(at, url)| {
        let client = client.clone();
        async move {
            (at, client.post(&url, &alias(&format!("nick-{at}"))).await.map(|reply| reply.status))
        }
    });
    let edits = tokio::task::JoinSet::from_iter(edits);
    // Some are done, some under way.
    wait_until("the first edit is in force", SOON, async || {
        setup.ask(others[0], &caller, &ask("nick-0")).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    setup.cluster.kill(leader).await?;
    let done = edits.join_all().await;
    setup.cluster.wait_leader(SOON).await?;
    for (_, status) in &done {
        assert!(matches!(status, Ok(200 | 409 | 503 | 504)), "{status:?}");
    }
    let all = done.len();
    let made = done.into_iter().filter(|(_, status)| matches!(status, Ok(200)));
    let made: Vec<_> = made.map(|(at, _)| at).collect();
    assert!(made.len() * 2 > all, "most are made: {made:?}");
    for at in made {
        answered(&setup, &caller, &others, &format!("nick-{at}"), 200).await?;
    }
    let after = setup.admin(others[0], "/config/field/update", alias("last")).await?;
    assert_eq!(after.status, 200, "{}", after.body);
    answered(&setup, &caller, &others, "nick-0", 200).await?;
    setup.cluster.restart(leader)?;
    setup.cluster.wait_ready(FORMED).await?;
    answered(&setup, &caller, &[leader], "last", 200).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_change_settings_and_nothing_secret_is_read() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    for path in ["/config/update", "/config/field/update", "/config/field/delete", "/fallback"] {
        let refused = caller.post(&setup.cluster.url(0, path), &alias("x")).await?;
        harness::assert_error(
            &refused,
            401,
            json!("auth_error"),
            "Authentication Error, Only proxy admin",
        );
    }
    let wrong = json!({"model": "chat", "fallback_models": ["caht"]});
    let set = setup.cluster.client().post(&setup.cluster.url(0, "/fallback"), &wrong).await?;
    harness::assert_error(&set, 400, json!("bad_request_error"), "Invalid fallback models");
    assert!(set.body.contains("did you mean `chat`?"), "{}", set.body);
    let added = json!({"model_name": "spare", "litellm_params": {"model": "openai/x", "api_base": "http://127.0.0.1:9", "api_key": "sk-spare"}});
    let refused = setup.cluster.client().post(&setup.cluster.url(0, "/model/new"), &added).await?;
    assert_eq!(refused.status, 400, "loopback is not for the API");
    let spare = json!({"model_name": "spare", "litellm_params": {"model": "openai/x", "api_base": "http://10.1.2.3:9", "api_key": "sk-spare"}});
    assert_eq!(setup.admin(0, "/model/new", spare).await?.status, 200);
    let set: Value = setup
        .admin(0, "/fallback", json!({"model": "chat", "fallback_models": ["spare"]}))
        .await?
        .json()?;
    assert_eq!(set["message"], "Fallback configuration created successfully");
    let shown = get(&setup, 0, "/fallback/chat").await?;
    assert_eq!(shown["fallback_models"], json!(["spare"]));
    let gone = setup.cluster.client().delete(&setup.cluster.url(0, "/fallback/chat")).await?;
    assert_eq!(gone.status, 200, "{}", gone.body);
    let gone = setup.cluster.client().get(&setup.cluster.url(0, "/fallback/chat")).await?;
    assert_eq!(gone.status, 404, "{}", gone.body);

    let yaml = setup.cluster.client().get(&setup.cluster.url(0, "/config/yaml")).await?;
    assert!(yaml.body.contains("model_name: chat") && !yaml.body.contains("sk-"), "{}", yaml.body);
    let listed = get(&setup, 0, "/config/list?config_type=general_settings").await?;
    assert!(listed.as_array().is_some_and(|rows| rows.len() > 20), "{listed}");
    let router = get(&setup, 0, "/router/settings").await?;
    assert!(router["fields"].as_array().is_some_and(|rows| rows.len() > 15), "{router}");
    Ok(())
}
