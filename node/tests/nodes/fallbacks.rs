//! Another model instead: after a prompt that is too long, after any other failure.

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_too_long_goes_to_the_model_kept_for_it() -> anyhow::Result<()> {
    let small = MockUpstream::start(Settings { context: Some(50), ..Settings::default() }).await?;
    let big = MockUpstream::start(Settings::default()).await?;
    let other = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}{}router_settings:\n  num_retries: 0\n  fallbacks: [{{small: [other]}}]\n  \
         context_window_fallbacks: [{{small: [big]}}]\n",
        deployment("small", "openai/small", &small.api_base()),
        deployment("big", "openai/big", &big.api_base()),
        deployment("other", "openai/other", &other.api_base()),
    );
    let setup = harness::start_with(1, small.clone(), config).await?;
    let ask = async |text: String| {
        let body = json!({"model": "small", "messages": [{"role": "user", "content": text}]});
        setup.ask(0, setup.cluster.client(), &body).await
    };
    let reply = ask("word ".repeat(400)).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((big.stats().requests, other.stats().requests), (1, 0));
    small.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    let reply = ask("hi".to_owned()).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((big.stats().requests, other.stats().requests), (1, 1));
    let mut body = json!({"model": "small", "messages": [{"role": "user", "content": "hi"}]});
    body["disable_fallbacks"] = true.into();
    assert_eq!(setup.ask(0, setup.cluster.client(), &body).await?.status, 500);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_may_change_the_request_and_has_fallbacks_itself() -> anyhow::Result<()> {
    let sick = MockUpstream::start(Settings::default()).await?;
    let well = MockUpstream::start(Settings::default()).await?;
    sick.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    let config = format!(
        "model_list:\n{}{}{}router_settings:\n  num_retries: 0\n  fallbacks:\n  \
         - a: [{{model: b, temperature: 0.5}}]\n  - b: [c]\n",
        deployment("a", "openai/a-up", &sick.api_base()),
        deployment("b", "openai/b-up", &sick.api_base()),
        deployment("c", "openai/c-up", &well.api_base()),
    );
    let setup = harness::start_with(1, sick.clone(), config).await?;
    let mut body = json!({"model": "a", "n": 1, "messages": [{"role": "user", "content": "hi"}]});
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("x-litellm-model-group"), Some("c"));
    assert_eq!(reply.header("x-litellm-attempted-fallbacks"), Some("2"));
    let sent = sick.last_request().expect("b was asked");
    let expected =
        r#"{"model":"b-up","n":1,"messages":[{"content":"hi","role":"user"}],"temperature":0.5}"#;
    let (sent, expected): (Value, Value) =
        (serde_json::from_slice(&sent.body)?, serde_json::from_str(expected)?);
    assert_eq!(sent, expected);

    let other = json!([{"role": "user", "content": "shorter"}]);
    body["fallbacks"] = json!([{"model": "c", "messages": other, "timeout": 5}]);
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sent: Value = serde_json::from_slice(&well.last_request().expect("c was asked").body)?;
    assert_eq!(sent, json!({"model": "c-up", "n": 1, "messages": other}));
    // What a key may not call, a request of it may not fall back to.
    let caller = setup.make_key(0, json!({"models": ["a"]})).await?;
    assert_eq!(setup.ask(0, &caller, &body).await?.status, 403);
    body["fallbacks"] = json!([{"model": "c", "api_key": "sk-mine"}]);
    assert_eq!(setup.ask(0, setup.cluster.client(), &body).await?.status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_on_whose_behalf_and_how_it_went() -> anyhow::Result<()> {
    let sick = MockUpstream::start(Settings::default()).await?;
    let well = MockUpstream::start(Settings::default()).await?;
    sick.set_fault(Fault::Status { code: 503, retry_after: None }).await;
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: 0\n  fallbacks: [{{a: [b]}}]\n\
         general_settings:\n  user_header_name: X-Employee\n",
        deployment("a", "openai/a-up", &sick.api_base()),
        deployment("b", "hosted_vllm/b-up", &well.api_base()),
    );
    let setup = harness::start_with(1, sick.clone(), config).await?;
    let body = json!({
        "model": "a", "stream": true, "tags": ["one"], "user": "in-the-body",
        "messages": [{"role": "user", "content": "hi"}],
        "metadata": {"tags": ["two"], "spend_logs_metadata": {"cost_centre": 7}},
    });
    let reply = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/v1/chat/completions"))
        .bearer_auth(setup.cluster.master_key())
        .header("x-employee", "e-1")
        .header("x-litellm-tags", "three")
        .header("x-litellm-session-id", "s-1")
        .header("user-agent", "tester/1")
        .json(&body)
        .send()
        .await?;
    assert!(reply.text().await?.ends_with("data: [DONE]\n\n"));
    let sent: Value = serde_json::from_slice(&well.last_request().expect("b was asked").body)?;
    assert_eq!((sent.get("tags"), sent.get("metadata")), (None, None));
    assert_eq!(sent["user"], "in-the-body");
    let records = setup.records(0)?;
    let [record] = &records[..] else { panic!("one request, {records:?}") };
    let expected = json!({
        "end_user": "e-1", "tags": ["one", "two", "three"], "session": "s-1",
        "spend_metadata": r#"{"cost_centre":7}"#, "ip": "127.0.0.1", "user_agent": "tester/1",
    });
    assert_eq!(record["origin"], expected);
    let course = &record["course"];
    assert_eq!(
        [&course["call_type"], &course["group"], &course["provider"], &course["fallbacks"]],
        [&json!("acompletion"), &json!("b"), &json!("hosted_vllm"), &json!(1)]
    );
    let statuses = course["attempts"].as_array().map(|attempts| {
        attempts.iter().map(|attempt| attempt["status"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(statuses, Some(vec![json!(503), json!(200)]));
    let (first, ended) = (course["first_token"].as_u64(), record["ended"].as_u64());
    assert!(first.is_some() && first <= ended, "{record}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_model_alone_binds_a_fallback_to_it() -> anyhow::Result<()> {
    let sick = MockUpstream::start(Settings::default()).await?;
    let well = MockUpstream::start(Settings::default()).await?;
    sick.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    let config = format!(
        "model_list:\n{}{}{}router_settings:\n  num_retries: 0\n",
        deployment("a", "openai/a-up", &sick.api_base()),
        deployment("b", "openai/b-up", &well.api_base()),
        deployment("c", "openai/c-up", &well.api_base()),
    );
    let setup = harness::start_with(1, sick.clone(), config).await?;
    let ask = |model: &str, fallbacks: &[&str]| {
        json!({
            "model": model, "fallbacks": fallbacks, "max_tokens": 5,
            "messages": [{"role": "user", "content": "hi"}],
        })
    };
    for terms in [
        json!({"model_max_budget": {"b": {"max_budget": 0}}}),
        json!({"model_rpm_limit": {"b": 0}}),
        json!({"model_tpm_limit": {"b": 1}}),
    ] {
        let caller = setup.make_key(0, terms.clone()).await?;
        let reply = setup.ask(0, &caller, &ask("a", &["b"])).await?;
        assert_eq!(reply.status, 500, "{terms}: {}", reply.body);
        let told: Value = serde_json::from_str(&reply.body)?;
        let message = told["error"]["message"].to_string();
        assert!(message.contains("Fallback to b also failed"), "{terms}: {message}");
        let why = ["(for the model b)", "Rate limit exceeded for model_per_key"];
        assert!(why.iter().any(|why| message.contains(why)), "{terms}: {message}");
        // Named once more, it is asked about once more.
        let mut again = ask("a", &[]);
        again["fallbacks"] = json!(["b", {"model": "b", "temperature": 0.5}]);
        assert_eq!(setup.ask(0, &caller, &again).await?.status, 500, "{terms}");
        // The next one is another.
        let reply = setup.ask(0, &caller, &ask("a", &["b", "c"])).await?;
        assert_eq!(reply.status, 200, "{terms}: {}", reply.body);
        assert_eq!(reply.header("x-litellm-model-group"), Some("c"));
    }
    assert_eq!(well.stats().requests, 3, "c's alone");
    // What it takes is taken of the model that answers, and of none that does not.
    let terms = json!({
        "model_rpm_limit": {"a": 2, "b": 1},
        "model_max_budget": {"a": {"max_budget": 1}, "b": {"max_budget": 1}},
    });
    let caller = setup.make_key(0, terms).await?;
    assert_eq!(setup.ask(0, &caller, &ask("a", &["b"])).await?.status, 200);
    assert_eq!(setup.ask(0, &caller, &ask("b", &[])).await?.status, 429, "its one is used");
    assert_eq!(setup.ask(0, &caller, &ask("a", &[])).await?.status, 500);
    assert_eq!(setup.ask(0, &caller, &ask("a", &[])).await?.status, 429, "both were sent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_failure_is_told_where_nobody_is_left_to_be_asked() -> anyhow::Result<()> {
    let sick = [
        MockUpstream::start(Settings::default()).await?,
        MockUpstream::start(Settings::default()).await?,
    ];
    let [one, other] = [&sick[0], &sick[1]].map(MockUpstream::api_base);
    let pair = deployment("a", "openai/up", &one) + &deployment("a", "openai/up", &other);
    let lone = deployment("b", "openai/up", &other);
    let config = format!("model_list:\n{pair}{lone}");
    for (code, kind) in [(401, "authentication_error"), (429, "throttling_error")] {
        for mock in &sick {
            mock.set_fault(Fault::Status { code, retry_after: None }).await;
        }
        let setup = harness::start_with(1, sick[0].clone(), config.clone()).await?;
        let mut body = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]});
        let reply = setup.ask(0, setup.cluster.client(), &body).await?;
        let error = harness::error_of(&reply)?;
        assert_eq!((reply.status, &error["type"]), (code, &json!(kind)), "{error}");
        assert_eq!(reply.header("retry-after"), None, "the provider said none");
        let told = error["message"].as_str().unwrap_or_default();
        assert!(told.contains("LiteLLM Retried: 1 times"), "{told}");

        // The next request finds nobody from the start, and is told so.
        body["fallbacks"] = json!(["b"]);
        let reply = setup.ask(0, setup.cluster.client(), &body).await?;
        let error = harness::error_of(&reply)?;
        assert_eq!(error["type"], "all_deployments_in_cooldown", "{error}");
    }
    Ok(())
}
