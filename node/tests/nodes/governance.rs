//! Budgets that do not simply refuse, budgets of access groups, and models of single teams, over real
//! nodes.

use std::time::Duration;

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error, deployment};

/// Until all nodes know.
const SOON: Duration = Duration::from_secs(10);

/// The models `chat` and, in the access group `beta`, `other`.
async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let config = format!(
        "model_list:\n{}{}    model_info: {{access_groups: [beta]}}\nlitellm_settings:\n  \
         budget_exceeded_throttle_percentage: 0.2\ngeneral_settings:\n  \
         api_model_networks: [loopback]\n",
        deployment("chat", "openai/upstream-name", &base),
        deployment("other", "openai/upstream-name", &base),
    );
    harness::start_with(nodes, mock, config).await
}

async fn ask(setup: &Setup, node: usize, caller: &Client, model: &str) -> dunlin_cluster::Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    setup.ask(node, caller, &body).await.expect("it answers")
}

/// The answer to a request by any method.
async fn send(
    setup: &Setup,
    method: &str,
    path: &str,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let method = reqwest::Method::from_bytes(method.as_bytes())?;
    let request = dunlin_cluster::http_client()?.request(method, setup.cluster.url(0, path));
    let request = request.bearer_auth(setup.cluster.client().key()).json(body);
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

async fn is_spent(setup: &Setup, node: usize, caller: &Client) -> bool {
    let info = setup.key_info(node, caller).await;
    info.is_ok_and(|info| info["spend"].as_f64() > Some(0.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_budget_is_spent_goes_on_more_slowly() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let fields = json!({"max_budget": 1e-9, "rpm_limit": 10, "throttle_on_budget_exceeded": true});
    let caller = setup.make_key(0, fields).await?;
    assert_eq!(ask(&setup, 0, &caller, "chat").await.status, 200);
    for node in 0..2 {
        wait_until("the budget is spent", SOON, async || is_spent(&setup, node, &caller).await)
            .await?;
    }
    // A fifth of 10 is 2, and one of them is taken.
    let slowed = ask(&setup, 1, &caller, "chat").await;
    assert_eq!(slowed.status, 200, "{}", slowed.body);
    assert_eq!(slowed.header("x-ratelimit-api_key-limit-requests"), Some("2"));
    let refused = ask(&setup, 0, &caller, "chat").await;
    assert_error(&refused, 429, json!("throttling_error"), "Rate limit exceeded for api_key");
    assert!(refused.body.contains("limit: 2 (throttled, its budget is spent)"), "{}", refused.body);

    let update = json!({"key": caller.key(), "throttle_on_budget_exceeded": null});
    setup.admin(0, "/key/update", update).await?;
    assert_eq!(ask(&setup, 0, &caller, "chat").await.status, 422);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_the_models_of_an_access_group_shares_its_budget() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let path = "/access_group/beta/budget";
    let (status, none) = send(&setup, "GET", path, &json!({})).await?;
    assert_eq!((status, &none["budget"]), (200, &Value::Null), "{none}");
    let body = json!({"max_budget": 1e-9, "budget_duration": "30d"});
    let (status, set) = send(&setup, "PUT", path, &body).await?;
    assert_eq!((status, &set["budget"]["budget_duration"]), (200, &json!("30d")), "{set}");
    let (first, second) =
        (setup.make_key(0, json!({})).await?, setup.make_key(0, json!({})).await?);
    assert_eq!(ask(&setup, 0, &first, "other").await.status, 200);
    wait_until("another key is refused", SOON, async || {
        ask(&setup, 1, &second, "other").await.status == 422
    })
    .await?;
    let refused = ask(&setup, 1, &second, "other").await;
    let told = "Budget has been exceeded! Model Access Group=beta";
    assert_error(&refused, 422, json!("budget_exceeded"), told);
    assert_eq!(ask(&setup, 1, &second, "chat").await.status, 200, "a model of no group");
    let (_, list) = send(&setup, "GET", "/access_group/list", &json!({})).await?;
    let group = &list["access_groups"][0];
    assert_eq!((&group["model_names"], &group["deployment_count"]), (&json!(["other"]), &json!(1)));
    assert!(group["spend"].as_f64() > Some(0.0), "{group}");

    let (status, _) = send(&setup, "PUT", path, &json!({"max_budget": 1, "rpm_limit": 3})).await?;
    assert_eq!(status, 422, "it has a budget and nothing else");
    let (status, told) = send(&setup, "PUT", "/access_group/bets/budget", &body).await?;
    assert_eq!(status, 404);
    assert!(told.to_string().contains("did you mean `beta`"), "{told}");
    let (_, gone) = send(&setup, "DELETE", path, &json!({})).await?;
    assert_eq!(gone["budget_deleted"], true);
    let (_, again) = send(&setup, "DELETE", path, &json!({})).await?;
    assert_eq!(again["budget_deleted"], false);
    assert_eq!(ask(&setup, 0, &second, "other").await.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_one_team_is_there_for_its_keys_alone() -> anyhow::Result<()> {
    let setup = start(2).await?;
    for team in ["blue", "red"] {
        setup.admin(0, "/team/new", json!({"team_id": team, "models": ["chat"]})).await?;
    }
    let model = json!({
        "model_name": "model_name_blue_1",
        "litellm_params": {"model": "openai/of-blue", "api_base": setup.mock.api_base(),
            "api_key": "sk-upstream"},
        "model_info": {"id": "own", "team_id": "blue", "team_public_model_name": "secret"},
    });
    let mut stray = model.clone();
    stray["model_info"]["team_id"] = json!("green");
    let (status, told) = send(&setup, "POST", "/model/new", &stray).await?;
    assert_eq!(status, 404, "there is no team green: {told}");
    setup.admin(0, "/model/new", model).await?;
    let blue = setup.make_key(0, json!({"team_id": "blue"})).await?;
    let red = setup.make_key(0, json!({"team_id": "red"})).await?;
    let free = setup.make_key(0, json!({})).await?;
    for node in 0..2 {
        wait_until("the team's key calls it", SOON, async || {
            ask(&setup, node, &blue, "secret").await.status == 200
        })
        .await?;
        for stranger in [&red, &free] {
            for name in ["secret", "own", "model_name_blue_1"] {
                let refused = ask(&setup, node, stranger, name).await;
                assert!(matches!(refused.status, 400 | 403), "{name}: {}", refused.body);
            }
        }
    }
    let models = async |caller: &Client| -> anyhow::Result<String> {
        Ok(caller.get(&setup.cluster.url(1, "/v1/models")).await?.body)
    };
    assert!(models(&blue).await?.contains("\"secret\""));
    assert!(!models(&red).await?.contains("secret") && !models(&free).await?.contains("secret"));
    setup.admin(0, "/model/delete", json!({"id": "own"})).await?;
    wait_until("it is gone", SOON, async || ask(&setup, 1, &blue, "secret").await.status != 200)
        .await
}
