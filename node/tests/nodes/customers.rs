//! End users that nobody made: the default budget holds for each of them, however many there are.

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, assert_error};

#[tokio::test(flavor = "multi_thread")]
async fn an_end_user_that_nobody_made_has_the_default_budget() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "{}litellm_settings:\n  max_end_user_budget: 0.00005\n  max_end_user_budget_id: customers\n",
        harness::chat_config(&mock.api_base())
    );
    let setup = harness::start_with(3, mock, config).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let body = |user: &str| {
        let mut body = harness::chat_body();
        body["max_tokens"] = json!(8);
        body["user"] = json!(user);
        body
    };
    let mut node = 0;
    wait_until("the end user's budget is spent", SOON, async || {
        node = (node + 1) % 3;
        let reply = setup.ask(node, &caller, &body("ann")).await.expect("an answer");
        if !reply.ok() {
            let message = "ExceededBudget: End User=ann over budget. Spend=";
            assert_error(&reply, 422, json!("budget_exceeded"), message);
            assert!(reply.body.contains("Budget=5e-05"), "{}", reply.body);
        }
        !reply.ok()
    })
    .await?;
    for node in 0..3 {
        let refused = setup.ask(node, &caller, &body("ann")).await?;
        assert_eq!(refused.status, 422, "{}", refused.body);
        let other = setup.ask(node, &caller, &body(&format!("bob-{node}"))).await?;
        assert_eq!(other.status, 200, "{}", other.body);
    }
    let path = "/customer/info?end_user_id=ann";
    let info = setup.cluster.client().get(&setup.cluster.url(1, path)).await?;
    let info: Value = info.json()?;
    assert!(info["spend"].as_f64().is_some_and(|spend| spend > 0.0), "{info}");

    // A shared budget that is made later takes the place of the plain default.
    let shared = json!({"budget_id": "customers", "max_budget": 1.0});
    setup.admin(0, "/budget/new", shared).await?;
    wait_until("the shared budget holds", SOON, async || {
        setup.ask(2, &caller, &body("ann")).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_users_requests_stay_in_its_region_and_have_its_model() -> anyhow::Result<()> {
    let (eu, us) = (
        MockUpstream::start(Settings::default()).await?,
        MockUpstream::start(Settings::default()).await?,
    );
    let placed = |model: &str, region: &str, mock: &MockUpstream| {
        let params = harness::deployment(model, "openai/upstream-name", &mock.api_base());
        format!("{params}      region_name: {region}\n")
    };
    let unknown = harness::deployment("chat", "openai/upstream-name", &us.api_base());
    let config = format!(
        "model_list:\n{}{}{}{unknown}",
        placed("chat", "eu", &eu),
        placed("chat", "us", &us),
        placed("far", "eastus2", &us)
    );
    let setup = harness::start_with(1, us, config).await?;
    let customer = json!({"user_id": "ann", "allowed_model_region": "eu", "default_model": "chat"});
    setup.admin(0, "/customer/new", customer).await?;
    let info = setup.cluster.url(0, "/customer/info?end_user_id=ann");
    let info: Value = setup.cluster.client().get(&info).await?.json()?;
    assert_eq!(info["allowed_model_region"], "eu", "{info}");
    assert_eq!(info["default_model"], "chat", "{info}");

    let caller = setup.make_key(0, json!({})).await?;
    let asked = async |model: Option<&str>| {
        let mut body = harness::chat_body();
        body["user"] = json!("ann");
        match model {
            Some(model) => body["model"] = json!(model),
            None => drop(body.as_object_mut().and_then(|body| body.remove("model"))),
        }
        setup.ask(0, &caller, &body).await
    };
    for model in [Some("chat"), None, Some("far"), Some("chat"), None, Some("chat")] {
        let reply = asked(model).await?;
        assert_eq!(reply.status, 200, "{model:?}: {}", reply.body);
    }
    assert_eq!((eu.requests().len(), setup.mock.requests().len()), (6, 0));

    let without = json!({"user_id": "ann", "default_model": null});
    setup.admin(0, "/customer/update", without).await?;
    let refused = "litellm.BadRequestError: You passed in model=far. There are no healthy";
    assert_error(&asked(Some("far")).await?, 400, json!("invalid_request_error"), refused);
    assert_eq!(asked(None).await?.status, 400);
    // A provider's own path is no way around.
    let below = setup.cluster.url(0, "/openai/v1/chat/completions");
    let mut body = harness::chat_body();
    (body["user"], body["model"]) = (json!("ann"), json!("far"));
    let reply = caller.post(&below, &body).await?;
    assert_error(&reply, 400, json!("invalid_request_error"), refused);
    let free = json!({"user_id": "ann", "allowed_model_region": null});
    setup.admin(0, "/customer/update", free).await?;
    assert_eq!(asked(Some("far")).await?.status, 200);
    Ok(())
}
