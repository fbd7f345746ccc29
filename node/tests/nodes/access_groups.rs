//! Groups of models that are made over the API: keys that name one call its models, on every node.

use dunlin_cluster::{Client, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup};

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

async fn start() -> anyhow::Result<Setup> {
    let mock = dunlin_mock_upstream::MockUpstream::start(Default::default()).await?;
    let entry = |model: &str| harness::deployment(model, "openai/upstream-name", &mock.api_base());
    let own = "    model_info: {access_groups: [of-file]}\n";
    let config = format!("model_list:\n{}{}{}{own}", entry("a"), entry("b"), entry("c"));
    harness::start_with(3, mock, config).await
}

/// Until every node lets a caller call just these models.
async fn may_call(setup: &Setup, caller: &Client, models: [bool; 3]) -> anyhow::Result<()> {
    for node in 0..3 {
        for (model, may) in ["a", "b", "c"].into_iter().zip(models) {
            let status = if may { 200 } else { 403 };
            wait_until(&format!("node {node} answers {model} with {status}"), SOON, async || {
                let reply = setup.ask(node, caller, &ask(model)).await;
                reply.is_ok_and(|reply| reply.status == status)
            })
            .await?;
        }
    }
    Ok(())
}

async fn change(setup: &Setup, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
    let url = setup.cluster.url(1, path);
    let request = dunlin_cluster::http_client()?.request(method.parse()?, url).json(&body);
    let reply = request.bearer_auth(setup.cluster.master_key()).send().await?;
    let (status, body) = (reply.status(), reply.text().await?);
    anyhow::ensure!(status == 200, "{method} {path}: {status} {body}");
    Ok(serde_json::from_str(&body)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_opens_its_models_to_keys_and_closes_them_on_all_nodes() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({"models": ["beta"]})).await?;
    may_call(&setup, &caller, [false; 3]).await?;
    let made = change(
        &setup,
        "POST",
        "/access_group/new",
        json!({"access_group": "beta", "model_names": ["a", "b"]}),
    )
    .await?;
    assert_eq!((&made["model_names"], &made["models_updated"]), (&json!(["a", "b"]), &json!(2)));
    may_call(&setup, &caller, [true, true, false]).await?;
    let url = setup.cluster.url(2, "/access_group/new");
    for (body, status, words) in [
        (
            json!({"access_group": "beta", "model_names": ["a"]}),
            409,
            "Access group 'beta' already exists",
        ),
        (json!({"access_group": "of-file", "model_names": ["a"]}), 409, "already exists"),
        (json!({"access_group": "x", "model_names": ["gone"]}), 400, "Model(s) not found: gone"),
        (json!({"access_group": "x"}), 400, "Either model_names or model_ids"),
    ] {
        let refused = setup.cluster.client().post(&url, &body).await?;
        assert_eq!(refused.status, status, "{}", refused.body);
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    change(&setup, "PUT", "/access_group/beta/update", json!({"model_names": ["c"]})).await?;
    may_call(&setup, &caller, [false, false, true]).await?;
    let info: Value = setup
        .cluster
        .client()
        .get(&setup.cluster.url(2, "/access_group/beta/info"))
        .await?
        .json()?;
    assert_eq!((&info["model_names"], &info["deployment_count"]), (&json!(["c"]), &json!(1)));

    change(&setup, "PUT", "/access_group/beta/budget", json!({"max_budget": 5})).await?;
    let gone = change(&setup, "DELETE", "/access_group/beta/delete", json!({})).await?;
    assert_eq!(gone["models_updated"], 1, "{gone}");
    may_call(&setup, &caller, [false; 3]).await?;
    let again =
        setup.cluster.client().delete(&setup.cluster.url(0, "/access_group/beta/delete")).await?;
    assert_eq!(again.status, 404, "{}", again.body);
    let of_file = setup
        .cluster
        .client()
        .delete(&setup.cluster.url(0, "/access_group/of-file/delete"))
        .await?;
    assert_eq!(of_file.status, 400, "{}", of_file.body);
    assert!(of_file.body.contains("change it there"), "{}", of_file.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_takes_models_of_the_api_and_of_the_file() -> anyhow::Result<()> {
    let setup = start().await?;
    let model = json!({
        "model_name": "d", "model_info": {"access_groups": ["of-file", "own"]},
        "litellm_params": {"model": "openai/x", "api_base": "http://10.1.2.3:9", "api_key": "sk-d"},
    });
    change(&setup, "POST", "/model/new", model).await?;
    let told = change(&setup, "PUT", "/access_group/of-file/update", json!({"model_names": ["a"]}))
        .await?;
    assert!(told["warnings"].to_string().contains(": c"), "the file's own stays: {told}");
    let caller = setup.make_key(0, json!({"models": ["of-file"]})).await?;
    may_call(&setup, &caller, [true, false, true]).await?;
    let gone = change(&setup, "DELETE", "/access_group/own/delete", json!({})).await?;
    assert_eq!(gone["models_updated"], 1, "the model that named it: {gone}");
    let list: Value =
        setup.cluster.client().get(&setup.cluster.url(1, "/access_group/list")).await?.json()?;
    let names: Vec<_> = list["access_groups"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["access_group"].clone())
        .collect();
    assert_eq!(names, ["of-file"]);
    Ok(())
}
