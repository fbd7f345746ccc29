//! Who may do what, asked from outside: a key does no more than its user may, and goes where its list
//! of routes leads.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error};

/// A user of a role, with a key.
async fn user(setup: &Setup, name: &str, role: &str) -> anyhow::Result<Client> {
    let body = json!({"user_id": name, "user_role": role});
    let made: Value = setup.admin(0, "/user/new", body).await?.json()?;
    Ok(setup.cluster.client().with_key(made["key"].as_str().expect("a key")))
}

async fn post(setup: &Setup, caller: &Client, path: &str, body: Value) -> anyhow::Result<Reply> {
    Ok(caller.post(&setup.cluster.url(0, path), &body).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_do_what_they_may_and_no_more() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let root = user(&setup, "root", "proxy_admin").await?;
    let auditor = user(&setup, "auditor", "proxy_admin_viewer").await?;
    let dev = user(&setup, "dev", "internal_user").await?;
    let reader = user(&setup, "reader", "internal_user_viewer").await?;
    let bare = setup.make_key(0, json!({})).await?;

    let team = json!({"team_id": "t", "members_with_roles": [{"role": "admin", "user_id": "dev"}],
        "models": ["chat"]});
    assert_eq!(post(&setup, &root, "/team/new", team.clone()).await?.status, 200);
    for (caller, status) in [(&auditor, 401), (&dev, 403), (&reader, 401), (&bare, 401)] {
        let refused = post(&setup, caller, "/team/new", json!({"team_id": "x"})).await?;
        assert_eq!(refused.status, status, "{}", refused.body);
    }
    let refused = post(&setup, &bare, "/key/generate", json!({})).await?;
    let words = "Authentication Error, Only proxy admin can be used to generate";
    assert_error(&refused, 401, json!("auth_error"), words);

    // A team's admin makes its keys, within what the team has; others are none of its business.
    for (body, status) in [
        (json!({"team_id": "t"}), 200),
        (json!({"team_id": "t", "models": ["gpt-5"]}), 403),
        (json!({"user_id": "root"}), 403),
        (json!({}), 200),
    ] {
        let reply = post(&setup, &dev, "/key/generate", body.clone()).await?;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
    }
    for (caller, seen) in [(&root, 7), (&auditor, 7), (&dev, 3), (&reader, 1), (&bare, 1)] {
        let list = caller.get(&setup.cluster.url(0, "/key/list")).await?;
        let list: Value = list.json()?;
        assert_eq!(list["total_count"], json!(seen), "{list}");
    }
    let none = bare.get(&setup.cluster.url(0, "/team/info?team_id=t")).await?;
    assert_eq!(none.status, 403, "{}", none.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_where_its_routes_lead_and_has_what_its_requests_need() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let looks = setup.make_key(0, json!({"key_type": "read_only"})).await?;
    let refused = setup.chat(0, &looks).await?;
    let words = "Virtual key is not allowed to call this route.";
    assert_error(&refused, 403, json!("auth_error"), words);
    assert!(looks.get(&setup.cluster.url(0, "/key/info")).await?.ok());

    let talks = setup.make_key(0, json!({"key_type": "llm_api"})).await?;
    assert_eq!(setup.chat(0, &talks).await?.status, 200);
    assert_eq!(talks.get(&setup.cluster.url(0, "/key/info")).await?.status, 403);

    let named = setup.make_key(0, json!({"enforced_params": ["user"]})).await?;
    let refused = setup.chat(0, &named).await?;
    let words = "BadRequest please pass param=user in request body";
    assert_error(&refused, 400, json!("invalid_request_error"), words);
    let mut body = harness::chat_body();
    body["user"] = json!("ann");
    assert_eq!(setup.ask(0, &named, &body).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regenerated_key_is_the_same_with_another_text() -> anyhow::Result<()> {
    let setup = harness::start(2).await?;
    let old = setup.make_key(0, json!({"key_alias": "app", "max_budget": 5})).await?;
    let body = json!({"grace_period": "1h", "max_budget": 7});
    let path = format!("/key/{}/regenerate", old.key());
    let made: Value = setup.admin(1, &path, body).await?.json()?;
    let new = setup.cluster.client().with_key(made["key"].as_str().expect("a key"));
    assert_eq!((&made["key_alias"], &made["max_budget"]), (&json!("app"), &json!(7.0)));
    for caller in [&old, &new] {
        assert_eq!(setup.chat(1, caller).await?.status, 200);
    }
    let made: Value = setup.admin(1, "/key/regenerate", json!({"key": new.key()})).await?.json()?;
    assert!(made["key"].is_string());
    assert_eq!(setup.chat(1, &new).await?.status, 401, "without grace the old text ends at once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_says_who_makes_keys_and_a_teams_admin_changes_all_of_its_own()
-> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "litellm_settings:\n  key_generation_settings:\n    team_key_generation:\n      \
         allowed_team_member_roles: [admin]\n      required_params: [tags]\n    \
         personal_key_generation:\n      allowed_user_roles: [proxy_admin]\n{}",
        harness::chat_config(&mock.api_base())
    );
    let setup = harness::start_with(1, mock, config).await?;
    let dev = user(&setup, "dev", "internal_user").await?;
    let member = json!({"role": "admin", "user_id": "dev"});
    setup.admin(0, "/team/new", json!({"team_id": "t", "members_with_roles": [member]})).await?;
    for (body, words) in [
        (json!({}), Some("Personal key creation has been restricted by admin.")),
        (json!({"team_id": "t"}), Some("Required param tags not in data")),
        (json!({"team_id": "t", "tags": ["a"], "key_alias": "one"}), None),
    ] {
        let reply = post(&setup, &dev, "/key/generate", body.clone()).await?;
        match words {
            Some(words) => assert_error(&reply, 400, json!("bad_request_error"), words),
            None => assert_eq!(reply.status, 200, "{body}: {}", reply.body),
        }
    }
    let admins = setup.make_key(0, json!({"team_id": "t", "key_alias": "two"})).await?;
    let other = setup.make_key(0, json!({})).await?;

    let path = "/team/key/bulk_update";
    let all = json!({"team_id": "t", "all_keys_in_team": true, "update_fields": {"rpm_limit": 7}});
    let told: Value = post(&setup, &dev, path, all.clone()).await?.json()?;
    assert_eq!(told["total_requested"], json!(2), "{told}");
    assert_eq!(told["successful_updates"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(setup.key_info(0, &admins).await?["rpm_limit"], json!(7));
    let named = json!({"team_id": "t", "key_ids": [admins.key(), other.key()],
        "update_fields": {"rpm_limit": 8}});
    let told: Value = post(&setup, &dev, path, named).await?.json()?;
    assert_eq!(told["failed_updates"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(setup.key_info(0, &admins).await?["rpm_limit"], json!(8));
    assert_eq!(setup.key_info(0, &other).await?["rpm_limit"], Value::Null);
    assert_eq!(post(&setup, &other, path, all).await?.status, 401, "it is nobody's");
    let owner =
        json!({"team_id": "t", "all_keys_in_team": true, "update_fields": {"team_id": "x"}});
    assert_eq!(post(&setup, &dev, path, owner).await?.status, 422);
    Ok(())
}
