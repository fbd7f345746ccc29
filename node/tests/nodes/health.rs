//! Health checks: the models are really called, few times and for little money, by whoever may call
//! them; what was found is on record on every node.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error};

/// Models of several modes, one of them on a port where nobody listens.
async fn start(nodes: usize, more: &str) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let of = |name: &str, mode: &str| {
        harness::deployment(name, "openai/upstream-name", &mock.api_base())
            + &format!("    model_info: {{mode: {mode}}}\n")
    };
    let config = format!(
        "model_list:\n{}{}{}{}router_settings:\n  num_retries: 0\n{more}",
        harness::deployment("chat", "openai/upstream-name", &mock.api_base()),
        of("vectors", "embedding"),
        of("answers", "responses"),
        harness::deployment("dead", "openai/nobody", "http://127.0.0.1:1/v1"),
    );
    harness::start_with(nodes, mock, config).await
}

async fn get(setup: &Setup, node: usize, caller: &Client, path: &str) -> anyhow::Result<Reply> {
    Ok(caller.get(&setup.cluster.url(node, path)).await?)
}

fn names(told: &Value, side: &str) -> Vec<String> {
    let rows = told[side].as_array().expect("rows").iter();
    let mut names: Vec<_> =
        rows.map(|row| row["model_name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn each_model_is_called_once_for_all_pollers_and_what_was_found_is_on_record_everywhere()
-> anyhow::Result<()> {
    let setup = start(2, "").await?;
    let admin = setup.cluster.client().clone();
    let (first, second) =
        tokio::join!(get(&setup, 0, &admin, "/health"), get(&setup, 0, &admin, "/health"));
    let told: Value = first?.json()?;
    assert_eq!(second?.json::<Value>()?["healthy_count"], told["healthy_count"]);
    assert_eq!(names(&told, "healthy_endpoints"), ["answers", "chat", "vectors"]);
    assert_eq!(names(&told, "unhealthy_endpoints"), ["dead"]);
    assert_eq!((&told["healthy_count"], &told["unhealthy_count"]), (&json!(3), &json!(1)));
    let dead = &told["unhealthy_endpoints"][0];
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("Connection")), "{dead}");
    assert_eq!(dead["api_base"], "http://127.0.0.1:1/v1");
    assert!(!told.to_string().contains("sk-upstream"), "{told}");
    let mut called = setup.mock.requests();
    // A suspect backend is also asked for its models.
    called.retain(|request| request.method == "POST");
    let paths: Vec<_> = called.iter().map(|request| request.path.clone()).collect();
    let to = |end: &str| paths.iter().filter(|path| path.ends_with(end)).count();
    assert_eq!((to("/chat/completions"), to("/embeddings")), (1, 1), "{paths:?}");
    assert_eq!(called.len(), 3, "nobody is asked twice: {paths:?}");

    for node in 0..2 {
        let told: Value = get(&setup, node, &admin, "/health/history").await?.json()?;
        assert_eq!(told["total_records"], json!(4), "{told}");
        let latest: Value = get(&setup, node, &admin, "/health/latest").await?.json()?;
        assert_eq!(latest["total_models"], json!(4), "{latest}");
    }
    let ill = "/health/history?status_filter=unhealthy";
    let told: Value = get(&setup, 1, &admin, ill).await?.json()?;
    let row = &told["health_checks"][0];
    assert_eq!((&row["model_name"], &row["status"]), (&json!("dead"), &json!("unhealthy")));
    assert_eq!(row["checked_by"], "default_user_id");

    // What it cost is spent: by the operator, and shown by its tag.
    let logs = "/spend/logs?summarize=false&tag=litellm-internal-health-check&model=chat";
    let logs: Value = get(&setup, 1, &admin, logs).await?.json()?;
    assert!(logs[0]["spend"].as_f64().is_some_and(|spend| spend > 0.0), "{logs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_its_own_models_checked_and_pays_for_it() -> anyhow::Result<()> {
    let setup = start(1, "").await?;
    let body = json!({"models": ["chat", "dead"], "max_budget": 1});
    let caller = setup.make_key(0, body).await?;
    let reply = get(&setup, 0, &caller, "/health").await?;
    let told: Value = reply.json()?;
    assert_eq!(names(&told, "healthy_endpoints"), ["chat"], "{told}");
    assert_eq!(names(&told, "unhealthy_endpoints"), ["dead"], "{told}");
    assert!(!reply.body.contains("127.0.0.1"), "no address is shown: {}", reply.body);
    let records = setup.records(0)?;
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record["key"].is_string()), "{records:?}");
    for path in ["/health?model=vectors", "/health?model_id=nothing"] {
        let refused = get(&setup, 0, &caller, path).await?;
        assert_error(&refused, 404, json!("not_found_error"), "Model ");
    }
    let refused = get(&setup, 0, &caller, "/health/history").await?;
    assert_eq!(refused.status, 401, "{}", refused.body);

    let poor = setup.make_key(0, json!({"max_budget": 0})).await?;
    // A check of another caller, a moment ago, is answered to all.
    let fresh: Value = get(&setup, 0, &poor, "/health?model=chat").await?.json()?;
    assert_eq!(fresh["healthy_count"], json!(1), "{fresh}");
    let told: Value = get(&setup, 0, &poor, "/health?model=vectors").await?.json()?;
    let row = &told["unhealthy_endpoints"][0];
    assert!(row["error"].as_str().is_some_and(|it| it.starts_with("not checked: ")), "{row}");
    assert_eq!(row["exception_status"], json!(422));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_tested_by_the_rules_of_new_models() -> anyhow::Result<()> {
    let more = "general_settings:\n  api_model_networks: [loopback]\n";
    let setup = start(1, more).await?;
    let test = async |body: Value| -> anyhow::Result<Reply> {
        let path = setup.cluster.url(0, "/health/test_connection");
        Ok(setup.cluster.client().post(&path, &body).await?)
    };
    let told: Value = test(json!({"litellm_params": {"model": "chat"}})).await?.json()?;
    assert_eq!(told["status"], "success", "{told}");
    let params = json!({"model": "openai/any", "api_base": setup.mock.api_base(), "api_key": "k"});
    let told: Value = test(json!({"litellm_params": params, "mode": "embedding"})).await?.json()?;
    assert_eq!(
        (&told["status"], &told["result"]["mode"]),
        (&json!("success"), &json!("embedding"))
    );
    setup.mock.set_fault(Fault::Status { code: 401, retry_after: None }).await;
    let told: Value = test(json!({"litellm_params": {"model": "chat"}})).await?.json()?;
    assert_eq!(told["status"], "error", "what is asked now is found now: {told}");
    assert_eq!(told["result"]["exception_status"], json!(401));
    setup.mock.set_fault(Fault::None).await;
    assert_eq!(setup.chat(0, setup.cluster.client()).await?.status, 200, "a look cools nothing");

    for (params, words) in [
        (json!({"model": "openai/a", "api_base": "http://169.254.169.254/v1"}), "169.254"),
        (json!({"model": "openai/a", "api_key": "os.environ/HOME"}), "HOME"),
        (json!({"model": "nonsense"}), "nonsense"),
    ] {
        let refused = test(json!({"litellm_params": params})).await?;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_how_it_does() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let told: Value = get(&setup, 0, &caller, "/health/readiness/details").await?.json()?;
    assert_eq!((&told["status"], &told["config_revision"]), (&json!("healthy"), &json!(1)));
    let told: Value = get(&setup, 0, &caller, "/health/backlog").await?.json()?;
    assert_eq!(told["in_flight_requests"], json!(0));
    let told: Value = get(&setup, 0, &caller, "/health/shared-status").await?.json()?;
    assert_eq!(told["shared_health_check_enabled"], json!(false));
    let nobody = setup.cluster.client().with_key("");
    let told = get(&setup, 0, &nobody, "/test").await?;
    assert_eq!((told.status, told.body.as_str()), (200, r#"{"route":"/test"}"#));
    let refused = get(&setup, 0, &nobody, "/health").await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    Ok(())
}
