//! What scripts and SDKs rely on in LiteLLM's keys without saying so. The table in
//! `docs/management.md` tells where the rest of it is tested.

use dunlin_cluster::{Client, Reply, http_client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{
    self, INPUT_COST, OUTPUT_COST, SOON, Setup, assert_error, chat_body, deployment,
};

/// `chat`, priced; `free`, which costs nothing; `broken`, whose fallback is `chat`.
async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let free = deployment("free", "openai/upstream-name", &base);
    let free = free.replace(&format!("{INPUT_COST}"), "0").replace(&format!("{OUTPUT_COST}"), "0");
    let config = format!(
        "model_list:\n{}{free}{}router_settings:\n  num_retries: 0\n  fallbacks: [{{broken: [chat]}}]\n",
        deployment("chat", "openai/upstream-name", &base),
        deployment("broken", "openai/upstream-name", "http://127.0.0.1:9/v1"),
    );
    harness::start_with(1, mock, config).await
}

async fn ask(setup: &Setup, caller: &Client, model: &str) -> anyhow::Result<Reply> {
    let mut body = chat_body();
    body["model"] = json!(model);
    Ok(setup.ask(0, caller, &body).await?)
}

async fn updated(setup: &Setup, caller: &Client, fields: Value) -> anyhow::Result<Value> {
    let mut fields = fields;
    fields["key"] = json!(caller.key());
    setup.admin(0, "/key/update", fields).await?;
    setup.key_info(0, caller).await
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_is_a_limit_null_is_none_and_free_models_need_no_budget() -> anyhow::Result<()> {
    let setup = start().await?;
    let spent = setup.make_key(0, json!({"max_budget": 0})).await?;
    let refused = ask(&setup, &spent, "chat").await?;
    assert_error(&refused, 422, json!("budget_exceeded"), "Budget has been exceeded!");
    assert_eq!(ask(&setup, &spent, "free").await?.status, 200, "a free model spends nothing");
    let info = updated(&setup, &spent, json!({"max_budget": null})).await?;
    assert_eq!(info["max_budget"], Value::Null);
    assert_eq!(ask(&setup, &spent, "chat").await?.status, 200);
    for limit in ["rpm_limit", "tpm_limit"] {
        let caller = setup.make_key(0, json!({limit: 0})).await?;
        let refused = ask(&setup, &caller, "chat").await?;
        assert_error(&refused, 429, json!("throttling_error"), "Rate limit exceeded for api_key: ");
        updated(&setup, &caller, json!({limit: null})).await?;
        assert_eq!(ask(&setup, &caller, "chat").await?.status, 200, "{limit}");
    }
    for (models, status) in [(json!([]), 200), (json!(["no-default-models"]), 403)] {
        let caller = setup.make_key(0, json!({"models": models})).await?;
        assert_eq!(ask(&setup, &caller, "chat").await?.status, status, "{models}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_what_it_names_and_metadata_as_a_whole() -> anyhow::Result<()> {
    let setup = start().await?;
    let fields = json!({"key_alias": "app", "metadata": {"a": 1, "b": 2}, "tags": ["x"],
        "model_rpm_limit": {"chat": 5}, "rpm_limit": 9});
    let caller = setup.make_key(0, fields).await?;
    let info = updated(&setup, &caller, json!({"tpm_limit": 100})).await?;
    assert_eq!((&info["rpm_limit"], &info["tpm_limit"]), (&json!(9), &json!(100)));
    assert_eq!((&info["metadata"]["a"], &info["metadata"]["tags"]), (&json!(1), &json!(["x"])));
    let info = updated(&setup, &caller, json!({"metadata": {"c": 3}})).await?;
    let metadata = json!({"c": 3, "tags": ["x"], "model_rpm_limit": {"chat": 5}});
    assert_eq!(info["metadata"], metadata, "it is replaced, but for what the gateway keeps there");
    let info = updated(&setup, &caller, json!({"tags": null, "metadata": null})).await?;
    assert_eq!(info["metadata"], json!({"model_rpm_limit": {"chat": 5}}));
    let url = setup.cluster.url(0, "/key/generate");
    let refused = setup.cluster.client().post(&url, &json!({"key_alias": "app"})).await?;
    assert_error(&refused, 400, json!("bad_request_error"), "Key with alias 'app' already exists.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_in_any_header_and_its_hash_is_no_key() -> anyhow::Result<()> {
    let setup = start().await?;
    let made: Value = setup.admin(0, "/key/generate", json!({})).await?.json()?;
    let (key, token) =
        (made["key"].as_str().expect("a key"), made["token"].as_str().expect("a hash"));
    let (http, url) = (http_client()?, setup.cluster.url(0, "/v1/chat/completions"));
    for header in ["authorization", "api-key", "x-api-key", "x-goog-api-key", "x-litellm-api-key"] {
        let bare = header != "authorization";
        let shown = if bare { key.to_owned() } else { format!("Bearer {key}") };
        let answer = http.post(&url).header(header, shown).json(&chat_body()).send().await?;
        assert_eq!(answer.status().as_u16(), 200, "{header}");
    }
    let by_hash = setup.cluster.client().with_key(token);
    let refused = setup.chat(0, &by_hash).await?;
    let words = "Authentication Error, LiteLLM Virtual Key expected.";
    assert_error(&refused, 401, json!("auth_error"), words);
    let info = setup.key_info(0, &by_hash.with_key(setup.cluster.master_key())).await;
    assert!(info.is_err(), "the master key is no virtual key: it has no row");
    setup.admin(0, "/key/block", json!({"key": token})).await?;
    let blocked = setup.chat(0, &by_hash.with_key(key)).await?;
    assert_error(&blocked, 401, json!("auth_error"), "Authentication Error, Key is blocked.");
    assert_eq!(
        setup.chat(0, setup.cluster.client()).await?.status,
        200,
        "it is not limited either"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_of_the_config_serves_keys_that_may_not_call_it() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({"models": ["broken"]})).await?;
    assert_eq!(ask(&setup, &caller, "chat").await?.status, 403);
    let served = ask(&setup, &caller, "broken").await?;
    assert_eq!(served.status, 200, "{}", served.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_tell_their_status_as_text_and_whose_call_it_was_but_no_model() -> anyhow::Result<()>
{
    let setup = start().await?;
    let (http, url) = (http_client()?, setup.cluster.url(0, "/v1/chat/completions"));
    let spent = setup.make_key(0, json!({"max_budget": 0})).await?;
    let narrow = setup.make_key(0, json!({"models": ["free"]})).await?;
    let limited = setup.make_key(0, json!({"rpm_limit": 0})).await?;
    let unknown = setup.cluster.client().with_key("sk-nobody-has-this-key");
    let blocked = setup.make_key(0, json!({"blocked": true})).await?;
    for (caller, status, param) in [
        (&unknown, 401, Some("key")),
        (&blocked, 401, Some("None")),
        (&narrow, 403, Some("model")),
        (&spent, 422, None),
        (&limited, 429, None),
    ] {
        let call = http.post(&url).header("x-litellm-call-id", "mine").bearer_auth(caller.key());
        let answer = call.json(&chat_body()).send().await?;
        assert_eq!(answer.status().as_u16(), status);
        let headers = answer.headers();
        assert_eq!(headers["x-litellm-call-id"], "mine", "{status}");
        assert!(!headers.contains_key("x-litellm-model-id"), "{status}");
        let told: Value = answer.json().await?;
        let error = &told["error"];
        assert_eq!(error["code"], json!(status.to_string()), "{told}");
        if let Some(param) = param {
            assert_eq!(error["param"], json!(param), "{told}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_end_with_the_calendars_and_a_key_lives_as_long_as_it_says() -> anyhow::Result<()> {
    let setup = start().await?;
    for (duration, ends) in [
        ("24h", "T00:00:00"),
        ("daily", "T00:00:00"),
        ("7d", "T00:00:00"),
        ("30d", "-01T00:00:00"),
        ("1mo", "-01T00:00:00"),
        ("monthly", "-01T00:00:00"),
        ("30min", ":00"),
    ] {
        let fields = json!({"max_budget": 1, "budget_duration": duration});
        let made: Value = setup.admin(0, "/key/generate", fields).await?.json()?;
        let reset = made["budget_reset_at"].as_str().expect("a moment");
        let moment = reset.split(['.', 'Z', '+']).next().unwrap_or_default();
        assert!(moment.ends_with(ends), "{duration}: {reset}");
    }
    let client = setup.cluster.client();
    for bad in ["1y", "30", "soon"] {
        let fields = json!({"duration": bad});
        let refused = client.post(&setup.cluster.url(0, "/key/generate"), &fields).await?;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.body);
    }
    let short = setup.make_key(0, json!({"duration": "2s"})).await?;
    assert_eq!(ask(&setup, &short, "chat").await?.status, 200);
    wait_until("the key is over", SOON, async || {
        ask(&setup, &short, "chat").await.is_ok_and(|reply| {
            reply.status == 401 && reply.body.contains("Authentication Error - Expired Key")
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_three_lets_three_through_and_names_whose_it_is() -> anyhow::Result<()> {
    let setup = start().await?;
    let team = json!({"team_id": "t", "rpm_limit": 3, "models": ["chat", "free"]});
    setup.admin(0, "/team/new", team).await?;
    for (fields, whose) in [
        (json!({"rpm_limit": 3}), "Rate limit exceeded for api_key: "),
        (json!({"rpm_limit": 5, "team_id": "t"}), "Rate limit exceeded for team: t"),
    ] {
        let caller = setup.make_key(0, fields).await?;
        for left in ["2", "1", "0"] {
            let reply = ask(&setup, &caller, "chat").await?;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let scope = if whose.contains("team") { "team" } else { "api_key" };
            let header = format!("x-ratelimit-{scope}-remaining-requests");
            assert_eq!(reply.header(&header), Some(left), "{header}");
        }
        let refused = ask(&setup, &caller, "chat").await?;
        assert_error(&refused, 429, json!("throttling_error"), whose);
        let wait: u64 = refused.header("retry-after").expect("how long").parse()?;
        assert!((50..=60).contains(&wait), "until the first is a minute old: {wait}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teams_key_calls_what_both_list_and_spends_no_budget_of_its_users() -> anyhow::Result<()>
{
    let setup = start().await?;
    let user = json!({"user_id": "ann", "max_budget": 0, "auto_create_key": false});
    setup.admin(0, "/user/new", user).await?;
    let team = json!({"team_id": "t", "models": ["chat", "free"], "model_aliases": {"quick": "hop"},
        "members_with_roles": [{"user_id": "ann", "role": "user"}]});
    setup.admin(0, "/team/new", team).await?;
    let fields = json!({"team_id": "t", "user_id": "ann", "models": ["chat", "broken", "quick"],
        "aliases": {"hop": "chat", "free": "broken"}});
    let caller = setup.make_key(0, fields).await?;
    for (model, status) in [
        // On both lists; on one of them; the team's alias, then the key's; the key's alone.
        ("chat", 200),
        ("broken", 403),
        ("quick", 200),
        ("free", 403),
    ] {
        let reply = ask(&setup, &caller, model).await?;
        assert_eq!(reply.status, status, "{model}: {}", reply.body);
    }
    let url = setup.cluster.url(0, "/v1/models");
    let listed: Value = caller.get(&url).await?.json()?;
    let ids: Vec<&Value> =
        listed["data"].as_array().into_iter().flatten().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["chat"]);
    let own = setup.make_key(0, json!({"user_id": "ann"})).await?;
    let refused = ask(&setup, &own, "chat").await?;
    assert_error(&refused, 422, json!("budget_exceeded"), "ExceededBudget: User=ann over budget.");
    Ok(())
}
