//! Guards that an admin sets are in force: who may call which models, and what a member may spend.

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, assert_error, deployment};

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let config = format!(
        "model_list:\n{}{}",
        deployment("chat", "openai/upstream-name", &base),
        deployment("other", "openai/upstream-name", &base),
    );
    harness::start_with(1, mock, config).await
}

async fn ask(setup: &Setup, caller: &Client, model: &str, user: &str) -> anyhow::Result<Reply> {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": model, "messages": messages, "user": user, "max_tokens": 8});
    Ok(setup.ask(0, caller, &body).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_end_users_are_held_to_their_models() -> anyhow::Result<()> {
    let setup = start().await?;
    let team = json!({"team_id": "t", "default_team_member_models": ["other"],
        "members_with_roles": [{"role": "user", "user_id": "bob"}]});
    setup.admin(0, "/team/new", team).await?;
    let ann = json!({"team_id": "t", "member": {"role": "user", "user_id": "ann"},
        "allowed_models": ["chat"]});
    setup.admin(0, "/team/member_add", ann).await?;
    let key_of = |user: &str| setup.make_key(0, json!({"team_id": "t", "user_id": user}));
    let (ann, bob) = (key_of("ann").await?, key_of("bob").await?);
    for (caller, may, may_not) in [(&ann, "chat", "other"), (&bob, "other", "chat")] {
        assert_eq!(ask(&setup, caller, may, "x").await?.status, 200);
        let refused = ask(&setup, caller, may_not, "x").await?;
        let kind = json!("team_member_model_access_denied");
        assert_error(&refused, 403, kind, "The requested model");
    }
    let info = setup.cluster.client().get(&setup.cluster.url(0, "/team/info?team_id=t")).await?;
    let info: Value = info.json()?;
    assert_eq!(info["team_info"]["default_team_member_models"], json!(["other"]));
    let memberships = info["team_memberships"].as_array().expect("a list").clone();
    let of = |user: &str| {
        let mut all = memberships.iter();
        let found = all.find(|member| member["user_id"] == user).expect("a member");
        found["litellm_budget_table"]["allowed_models"].clone()
    };
    assert_eq!((of("ann"), of("bob")), (json!(["chat"]), json!(["other"])));

    setup.admin(0, "/customer/new", json!({"user_id": "eve", "models": ["chat"]})).await?;
    let free = setup.make_key(0, json!({})).await?;
    assert_eq!(ask(&setup, &free, "chat", "eve").await?.status, 200);
    assert_eq!(ask(&setup, &free, "other", "x").await?.status, 200);
    let refused = ask(&setup, &free, "other", "eve").await?;
    assert_error(&refused, 403, json!("customer_model_access_denied"), "The requested model");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_spends_no_more_in_its_organization_than_it_may() -> anyhow::Result<()> {
    let setup = start().await?;
    let organization = json!({"organization_id": "o", "organization_alias": "O"});
    setup.admin(0, "/organization/new", organization).await?;
    let ann = json!({"organization_id": "o", "max_budget_in_organization": 0.00005,
        "member": {"role": "internal_user", "user_id": "ann"}});
    setup.admin(0, "/organization/member_add", ann).await?;
    let fields = |user: &str| json!({"organization_id": "o", "user_id": user});
    let ann = setup.make_key(0, fields("ann")).await?;
    let bob = setup.make_key(0, fields("bob")).await?;
    wait_until("the member's budget is spent", SOON, async || {
        let reply = ask(&setup, &ann, "chat", "x").await.expect("an answer");
        if !reply.ok() {
            let message = "Budget has been exceeded! User=ann in Organization=o Current cost: ";
            assert_error(&reply, 422, json!("budget_exceeded"), message);
        }
        !reply.ok()
    })
    .await?;
    assert_eq!(ask(&setup, &bob, "chat", "x").await?.status, 200);
    wait_until("the spend is shown", SOON, async || {
        let url = setup.cluster.url(0, "/organization/info?organization_id=o");
        let info = setup.cluster.client().get(&url).await.expect("an answer");
        let info: Value = info.json().expect("JSON");
        info["members"][0]["spend"].as_f64().is_some_and(|spend| spend > 0.0)
    })
    .await
}
