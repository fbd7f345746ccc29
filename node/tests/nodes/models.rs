//! Models and credentials that are set over the API: on every node at once, through deaths and
//! restarts, sealed at rest, and never a way into the nodes.

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup, error_of};

const SECRET: &str = "sk-a-key-of-a-provider-0123456789";

fn config(api_base: &str) -> String {
    harness::chat_config(api_base)
        + "general_settings:\n  store_model_in_db: true\n  api_model_networks: [loopback]\n"
}

async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = config(&mock.api_base());
    harness::start_with(nodes, mock, config).await
}

fn model(setup: &Setup, name: &str, id: &str) -> Value {
    json!({
        "model_name": name,
        "litellm_params": {
            "model": "openai/upstream-name",
            "api_base": setup.mock.api_base(),
            "api_key": SECRET,
        },
        "model_info": {"id": id},
    })
}

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

/// Waits until a node answers a chat with `model` in that way.
async fn until(setup: &Setup, node: usize, model: &str, status: u16) -> anyhow::Result<()> {
    let what = format!("{model} is answered {status} by node {node}");
    wait_until(&what, SOON, async || {
        let reply = setup.ask(node, setup.cluster.client(), &ask(model)).await;
        reply.is_ok_and(|reply| reply.status == status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_set_on_one_node_serves_on_all_and_outlives_the_leader_and_restarts()
-> anyhow::Result<()> {
    let mut setup = start(3).await?;
    let made: Value = setup.admin(0, "/model/new", model(&setup, "added", "m-1")).await?.json()?;
    assert_eq!((&made["model_id"], &made["model_info"]["db_model"]), (&json!("m-1"), &json!(true)));
    let here = setup.ask(0, setup.cluster.client(), &ask("added")).await?;
    assert_eq!(here.status, 200, "at once where it was made: {}", here.body);
    for node in [1, 2] {
        until(&setup, node, "added", 200).await?;
    }
    let client = setup.cluster.client().clone();
    let told = client.get(&setup.cluster.url(1, "/model/info?litellm_model_id=m-1")).await?;
    let row: Value = told.json()?;
    assert_eq!(row["data"][0]["model_info"]["created_by"], "default_user_id");
    for reply in [&told.body, &made.to_string()] {
        assert!(!reply.contains(SECRET), "a secret is shown: {reply}");
    }

    let leader = setup.cluster.wait_leader(FORMED).await?;
    setup.cluster.kill(leader).await?;
    let [one, other] = [(leader + 1) % 3, (leader + 2) % 3];
    setup.cluster.wait_leader(FORMED).await?;
    setup.admin(one, "/model/new", model(&setup, "later", "m-2")).await?;
    until(&setup, other, "later", 200).await?;
    until(&setup, other, "added", 200).await?;

    setup.cluster.kill_all().await?;
    for node in 0..3 {
        setup.cluster.restart(node)?;
    }
    setup.cluster.wait_ready(FORMED).await?;
    for node in 0..3 {
        until(&setup, node, "added", 200).await?;
        until(&setup, node, "later", 200).await?;
    }

    let renamed =
        json!({"model_name": "renamed", "model_info": {"id": "m-1"}, "litellm_params": {}});
    setup.admin(2, "/model/update", renamed).await?;
    setup.admin(1, "/model/delete", json!({"id": "m-2"})).await?;
    for node in 0..3 {
        until(&setup, node, "renamed", 200).await?;
        until(&setup, node, "added", 400).await?;
        until(&setup, node, "later", 400).await?;
    }
    setup.admin(0, "/model/block", json!({"model_id": "m-1"})).await?;
    let parked = setup.ask(0, setup.cluster.client(), &ask("renamed")).await?;
    assert!(parked.status >= 400, "{}", parked.body);
    setup.admin(0, "/model/unblock", json!({"model_id": "m-1"})).await?;
    until(&setup, 0, "renamed", 200).await?;

    let other_key = json!({
        "model_info": {"id": "m-1"},
        "litellm_params": {"api_key": format!("{SECRET}-2"), "rpm": 7},
    });
    setup.admin(2, "/model/update", other_key).await?;
    let path = setup.cluster.url(1, "/audit?table_name=LiteLLM_ProxyModelTable&object_id=m-1");
    let rows: Value = client.get(&path).await?.json()?;
    let newest = &rows["audit_logs"][0];
    let (was, is) = (&newest["before_value"], &newest["updated_values"]);
    let names: Vec<_> = is.as_object().expect("fields").keys().collect();
    assert_eq!(names, ["litellm_params.api_key", "litellm_params.rpm"], "{newest}");
    assert_eq!((&was["litellm_params.rpm"], &is["litellm_params.rpm"]), (&Value::Null, &json!(7)));
    assert_ne!(was["litellm_params.api_key"], is["litellm_params.api_key"], "that it changed");
    assert_eq!(newest["object_alias"], "renamed");
    assert!(!rows.to_string().contains(SECRET), "{rows}");

    setup.cluster.stop_all().await?;
    assert!(setup.stores("m-1")?, "the search finds what is not sealed");
    assert!(!setup.stores(SECRET)?, "a provider's key is readable in a data directory");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn models_share_a_credential_which_changes_for_all_of_them() -> anyhow::Result<()> {
    let setup = start(3).await?;
    let values = json!({"api_base": setup.mock.api_base(), "api_key": SECRET});
    let credential = json!({"credential_name": "a/b", "credential_values": values});
    setup.admin(0, "/credentials", credential).await?;
    let params = json!({"model": "openai/upstream-name", "litellm_credential_name": "a/b"});
    let model =
        json!({"model_name": "shared", "litellm_params": params, "model_info": {"id": "s"}});
    setup.admin(1, "/model/new", model).await?;
    until(&setup, 2, "shared", 200).await?;

    let client = setup.cluster.client().clone();
    let at = |node: usize, path: &str| setup.cluster.url(node, path);
    let listed = client.get(&at(2, "/credentials")).await?;
    assert!(listed.body.contains("sk****89") && !listed.body.contains(SECRET), "{}", listed.body);
    let used = client.delete(&at(0, "/credentials/a%2Fb")).await?;
    assert_eq!(used.status, 409, "{}", used.body);
    assert!(used.body.contains("`shared` (s)"), "{}", used.body);

    let nowhere = json!({"credential_values": {"api_base": "http://127.0.0.1:9"}});
    assert!(client.patch(&at(0, "/credentials/a%2Fb"), &nowhere).await?.ok());
    let reply = setup.ask(0, &client, &ask("shared")).await?;
    assert!(reply.status >= 500, "{}", reply.body);
    assert!(client.get(&at(0, "/credentials/by_name/a%2Fb")).await?.body.contains("127.0.0.1:9"));

    setup.admin(0, "/model/delete", json!({"id": "s"})).await?;
    assert!(client.delete(&at(1, "/credentials/a%2Fb")).await?.ok());
    assert_eq!(client.get(&at(1, "/credentials/by_name/a%2Fb")).await?.status, 404);
    Ok(())
}

/// Path, body, status, and words of the reason.
fn wrong(base: &str) -> Vec<(&'static str, Value, u16, &'static str)> {
    let with = |params: Value| json!({"model_name": "m", "litellm_params": params});
    vec![
        ("/model/new", json!({}), 422, ""),
        ("/model/new", with(json!({"model": "openai/a", "rpn": 5})), 400, "did you mean `rpm`?"),
        ("/model/new", with(json!({"api_base": base})), 400, "has no litellm_params.model"),
        ("/model/new", with(json!({"model": "nobody/a"})), 400, "which provider serves"),
        (
            "/model/new",
            with(json!({"model": "openai/a", "api_base": "nope"})),
            400,
            "cannot be called",
        ),
        (
            "/model/new",
            with(json!({"model": "openai/a", "api_base": "http://169.254.169.254/v1"})),
            400,
            "api_model_networks",
        ),
        (
            "/model/new",
            with(json!({"model": "openai/a", "api_base": base, "api_key": "os.environ/HOME"})),
            400,
            "api_model_environment",
        ),
        ("/model/new", with(json!({"model": "openai/a", "ssl_certificate": "/x"})), 400, "file"),
        (
            "/model/new",
            with(json!({"model": "openai/a", "litellm_credential_name": "none"})),
            400,
            "no credential `none`",
        ),
        ("/model/update", json!({"litellm_params": {}}), 400, "model_info.id"),
        ("/model/update", json!({"model_info": {"id": "x"}}), 404, "does not exist"),
        ("/model/delete", json!({"id": "x"}), 400, "not found in db"),
        ("/credentials", json!({"credential_name": "c"}), 400, "Credential values are required"),
        ("/config/rollback", json!({"to": 9}), 404, "no config revision 9"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_with_the_reason_and_changes_nothing() -> anyhow::Result<()>
{
    let setup = start(1).await?;
    let client = setup.cluster.client().clone();
    for (path, body, status, words) in wrong(&setup.mock.api_base()) {
        let reply = client.post(&setup.cluster.url(0, path), &body).await?;
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.body);
        assert!(reply.body.contains(words), "{path} {body}: {}", reply.body);
        if status != 422 {
            error_of(&reply)?;
        }
    }
    setup.admin(0, "/model/new", model(&setup, "m", "one")).await?;
    let again =
        client.post(&setup.cluster.url(0, "/model/new"), &model(&setup, "m", "one")).await?;
    assert_eq!(again.status, 409, "{}", again.body);
    let key = setup.make_key(0, json!({})).await?;
    let refused = key.post(&setup.cluster.url(0, "/model/new"), &model(&setup, "m", "two")).await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    let listed = client.get(&setup.cluster.url(0, "/v1/models")).await?;
    assert_eq!(listed.body.matches("\"id\"").count(), 2, "chat and m: {}", listed.body);
    let in_file = client.get(&setup.cluster.url(0, "/model/info")).await?;
    let rows: Value = in_file.json()?;
    let mut rows = rows["data"].as_array().expect("rows").iter();
    let file = rows.find(|row| row["model_info"]["db_model"] == false).expect("chat");
    let id = file["model_info"]["id"].as_str().expect("an id");
    let reply = client.post(&setup.cluster.url(0, "/model/delete"), &json!({"id": id})).await?;
    assert!(reply.body.contains("Model in config"), "{}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_into_the_node_is_not_connected_to() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base());
    let setup = harness::start_with(1, mock, config).await?;
    let client = setup.cluster.client().clone();
    let local = setup.mock.api_base().replace("127.0.0.1", "localhost");
    for base in [setup.mock.api_base(), local, "http://2130706433:80/v1".to_owned()] {
        let body = json!({"model_name": "m", "litellm_params":
            {"model": "openai/a", "api_base": base, "api_key": "k"}});
        let reply = client.post(&setup.cluster.url(0, "/model/new"), &body).await?;
        assert_eq!(reply.status, 400, "{base}: {}", reply.body);
        assert!(reply.body.contains("api_model_networks"), "{base}: {}", reply.body);
    }
    Ok(())
}
