//! Teams, users and their keys: LiteLLM's calls, asked on one node and in force on the others.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error, deployment};

/// A cluster with the models `chat` and `other`, the second of which is in the access group `beta`.
async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let config = format!(
        "model_list:\n{}{}    model_info: {{access_groups: [beta]}}\nlitellm_settings:\n  \
         default_key_generate_params: {{rpm_limit: 1000}}\n  \
         upperbound_key_generate_params: {{max_budget: 100}}\n",
        deployment("chat", "openai/upstream-name", &base),
        deployment("other", "openai/upstream-name", &base),
    );
    harness::start_with(nodes, mock, config).await
}

async fn made(setup: &Setup, node: usize, path: &str, body: Value) -> anyhow::Result<Value> {
    setup.admin(node, path, body).await?.json()
}

async fn read(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Value> {
    let reply = setup.cluster.client().get(&setup.cluster.url(node, path)).await?;
    anyhow::ensure!(reply.ok(), "GET {path}: {} {}", reply.status, reply.body);
    reply.json()
}

async fn ask(setup: &Setup, node: usize, caller: &Client, model: &str) -> anyhow::Result<Reply> {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    Ok(setup.ask(node, caller, &body).await?)
}

fn key_of(setup: &Setup, made: &Value) -> Client {
    setup.cluster.client().with_key(made["key"].as_str().expect("the clear key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_bounds_its_keys_and_takes_them_with_it() -> anyhow::Result<()> {
    let setup = start(3).await?;
    let team = made(
        &setup,
        0,
        "/team/new",
        json!({
            "team_alias": "QA Bots", "models": ["chat"], "max_budget": 50, "budget_duration": "30d",
            "members_with_roles": [{"role": "admin", "user_id": "ann"}, {"role": "user", "user_id": "bob"}],
            "model_aliases": {"mine": "chat"}
        }),
    )
    .await?;
    let id = team["team_id"].as_str().expect("an id").to_owned();
    assert_eq!(team["max_budget"], json!(50.0));
    assert!(team["budget_reset_at"].is_string(), "{team}");

    let key = made(&setup, 1, "/key/generate", json!({"team_id": id, "models": []})).await?;
    assert_eq!((&key["team_id"], &key["rpm_limit"]), (&json!(id), &json!(1000)));
    let caller = key_of(&setup, &key);
    assert_eq!(ask(&setup, 2, &caller, "chat").await?.status, 200);
    assert_eq!(ask(&setup, 2, &caller, "mine").await?.status, 200);
    let refused = ask(&setup, 2, &caller, "other").await?;
    assert_error(&refused, 403, json!("team_model_access_denied"), "The requested model 'other'");
    let by = format!("It is not among the models of the team `{id}`.");
    assert!(refused.body.contains(&by), "{by} in {}", refused.body);

    made(&setup, 0, "/team/model/add", json!({"team_id": id, "models": ["beta"]})).await?;
    assert_eq!(ask(&setup, 0, &caller, "other").await?.status, 200);
    made(&setup, 0, "/team/model/delete", json!({"team_id": id, "models": ["beta"]})).await?;
    assert_eq!(ask(&setup, 0, &caller, "other").await?.status, 403);

    made(&setup, 0, "/team/block", json!({"team_id": id})).await?;
    let refused = ask(&setup, 0, &caller, "chat").await?;
    assert_error(&refused, 401, json!("auth_error"), "Authentication Error, Team=");
    made(&setup, 0, "/team/unblock", json!({"team_id": id})).await?;
    assert_eq!(ask(&setup, 0, &caller, "chat").await?.status, 200);

    let member = json!({"team_id": id, "member": {"role": "user", "user_email": "new@example.com"},
        "max_budget_in_team": 5});
    let joined = made(&setup, 1, "/team/member_add", member).await?;
    assert_eq!(joined["updated_users"][0]["user_email"], "new@example.com");
    made(&setup, 1, "/team/member_delete", json!({"team_id": id, "user_id": "bob"})).await?;
    let none = json!({"team_id": id, "members_with_roles": []});
    let updated = made(&setup, 1, "/team/update", none).await?;
    let warning = updated["data"]["warnings"].to_string();
    assert!(warning.contains("/team/member_delete"), "{updated}");
    let info = read(&setup, 2, &format!("/team/info?team_id={id}")).await?;
    assert_eq!(info["keys"].as_array().map(Vec::len), Some(1));
    let members = info["team_info"]["members_with_roles"].as_array().expect("members");
    assert_eq!(members.len(), 2, "{info}");

    let gone = made(&setup, 2, "/team/delete", json!({"team_ids": [id]})).await?;
    assert_eq!(gone["deleted_keys"], json!([key["token"]]));
    assert_eq!(ask(&setup, 2, &caller, "chat").await?.status, 401);
    let path = setup.cluster.url(2, &format!("/team/info?team_id={id}"));
    assert_eq!(setup.cluster.client().get(&path).await?.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_keys_and_bounds_them() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let user = json!({"user_id": "ann", "user_email": "ann@example.com",
        "user_role": "internal_user", "models": ["chat"], "max_budget": 10});
    let ann = made(&setup, 0, "/user/new", user.clone()).await?;
    let caller = key_of(&setup, &ann);
    assert_eq!(ask(&setup, 1, &caller, "chat").await?.status, 200);
    assert_eq!(ask(&setup, 1, &caller, "other").await?.status, 403);
    let again = setup.cluster.client().post(&setup.cluster.url(1, "/user/new"), &user).await?;
    assert_eq!(again.status, 409, "{}", again.body);
    let info = read(&setup, 1, "/user/info?user_id=ann").await?;
    assert_eq!(info["user_info"]["max_budget"], json!(10.0));
    assert_eq!(info["keys"].as_array().map(Vec::len), Some(1));
    let list = read(&setup, 1, "/user/list?role=internal_user").await?;
    assert_eq!((&list["total"], &list["users"][0]["user_id"]), (&json!(1), &json!("ann")));

    let update = json!({"user_id": "ann", "models": [], "max_budget": null});
    let updated = made(&setup, 0, "/user/update", update).await?;
    assert_eq!(updated["data"]["max_budget"], Value::Null);
    assert_eq!(ask(&setup, 0, &caller, "other").await?.status, 200);
    let gone = made(&setup, 0, "/user/delete", json!({"user_ids": ["ann"]})).await?;
    assert_eq!(gone, json!(1));
    assert_eq!(ask(&setup, 0, &caller, "chat").await?.status, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_customers_organizations_and_tags_live_their_lives() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let budget = json!({"budget_id": "free", "max_budget": 1, "budget_duration": "1d"});
    made(&setup, 0, "/budget/new", budget).await?;
    let customer = json!({"user_id": "ishaan", "budget_id": "free"});
    let customer = made(&setup, 0, "/customer/new", customer).await?;
    assert_eq!(customer["litellm_budget_table"]["max_budget"], json!(1.0));
    let unknown = json!({"user_id": "x", "budget_id": "none"});
    let url = setup.cluster.url(0, "/end_user/new");
    let refused = setup.cluster.client().post(&url, &unknown).await?;
    assert_eq!(refused.status, 404, "{}", refused.body);
    made(&setup, 0, "/customer/block", json!({"user_ids": ["ishaan"]})).await?;
    let info = read(&setup, 0, "/customer/info?end_user_id=ishaan").await?;
    assert_eq!(info["blocked"], json!(true));
    let budgets = made(&setup, 0, "/budget/info", json!({"budgets": ["free"]})).await?;
    assert_eq!(budgets[0]["budget_id"], "free");
    let url = setup.cluster.url(0, "/budget/delete");
    let in_use = setup.cluster.client().post(&url, &json!({"id": "free"})).await?;
    assert_eq!(in_use.status, 400, "{}", in_use.body);

    let organization = json!({"organization_id": "o", "organization_alias": "Acme"});
    made(&setup, 0, "/organization/new", organization).await?;
    made(&setup, 0, "/team/new", json!({"team_id": "t", "organization_id": "o"})).await?;
    let info = read(&setup, 0, "/organization/info?organization_id=o").await?;
    assert_eq!(info["teams"][0]["team_id"], "t");
    let tag = json!({"name": "prod", "description": "in production", "max_budget": 5});
    made(&setup, 0, "/tag/new", tag).await?;
    let tags = made(&setup, 0, "/tag/info", json!({"names": ["prod"]})).await?;
    assert_eq!(tags["prod"]["max_budget"], json!(5.0));
    Ok(())
}
