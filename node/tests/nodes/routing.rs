//! Which deployment a request goes to, what is demanded of it, and what goes along with it.

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error};

/// Two deployments of `m`, each at a mock of its own, under these settings.
async fn start(params: [&str; 2], settings: &str) -> anyhow::Result<(Setup, [MockUpstream; 2])> {
    let one = MockUpstream::start(Settings::default()).await?;
    let two = MockUpstream::start(Settings::default()).await?;
    let entry = |mock: &MockUpstream, params: &str| {
        format!(
            "- model_name: m\n  litellm_params: {{model: openai/up, api_key: k, api_base: '{}', \
             {params}}}\n",
            mock.api_base()
        )
    };
    let entries = [entry(&one, params[0]), entry(&two, params[1])].concat();
    let setup = harness::start_with(1, one.clone(), format!("model_list:\n{entries}{settings}"));
    Ok((setup.await?, [one, two]))
}

fn chat(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn counts(mocks: &[MockUpstream; 2]) -> [u64; 2] {
    [mocks[0].stats().requests, mocks[1].stats().requests]
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_choose_the_deployment_on_every_way_in() -> anyhow::Result<()> {
    let settings = "router_settings: {enable_tag_filtering: true, num_retries: 0}\n";
    let (setup, mocks) = start(["tags: [free]", "tags: [paid]"], settings).await?;
    let master = setup.cluster.client();
    for _ in 0..4 {
        let reply = setup.ask(0, master, &chat(json!({"tags": ["paid"]}))).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(counts(&mocks), [0, 4]);
    let of_key = setup.make_key(0, json!({"tags": ["free"]})).await?;
    assert_eq!(setup.ask(0, &of_key, &chat(json!({}))).await?.status, 200);
    assert_eq!(counts(&mocks), [1, 4], "the key's tag is the request's");
    let text = "Not allowed to access model due to tags configuration";
    let refused = setup.ask(0, master, &chat(json!({"tags": ["other"]}))).await?;
    assert_error(&refused, 401, Value::Null, text);
    let of_key = setup.make_key(0, json!({"tags": ["other"]})).await?;
    let own = setup.cluster.url(0, "/openai/v1/chat/completions");
    let refused = of_key.post(&own, &chat(json!({}))).await?;
    assert_eq!(refused.status, 401, "a provider's own API: {}", refused.body);
    assert_eq!(counts(&mocks), [1, 4]);
    let unnamed = setup.cluster.url(0, "/openai/v1/models");
    let refused = of_key.get(&unnamed).await?;
    assert_error(&refused, 401, Value::Null, text);
    assert!(!refused.body.contains("model=m"), "it named none: {}", refused.body);
    let paid = setup.make_key(0, json!({"tags": ["paid"]})).await?;
    let lent = paid.get(&unnamed).await?;
    assert_eq!(lent.header("x-litellm-model-api-base"), Some(&*mocks[1].api_base()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_model_is_named_nobody_is_asked_who_is_down() -> anyhow::Result<()> {
    let settings = "router_settings: {num_retries: 0}\n";
    let (setup, mocks) = start(["weight: 1", "weight: 1"], settings).await?;
    let unnamed = setup.cluster.url(0, "/openai/v1/models");
    let list = async || setup.cluster.client().get(&unnamed).await;
    let first = list().await?;
    assert_eq!(
        (first.status, first.header("x-litellm-model-api-base")),
        (200, Some(&*mocks[0].api_base()))
    );
    mocks[0].set_fault(Fault::Refuse).await;
    assert_eq!(list().await?.status, 500, "nobody knows yet");
    for _ in 0..3 {
        let reply = list().await?;
        let lender = reply.header("x-litellm-model-api-base");
        assert_eq!((reply.status, lender), (200, Some(&*mocks[1].api_base())), "{}", reply.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_no_deployment_takes_is_sent_to_none() -> anyhow::Result<()> {
    let settings = "  model_info: {id: small, max_input_tokens: 20}\n\
                    router_settings: {enable_pre_call_checks: true, num_retries: 0}\n";
    let (setup, mocks) = start(["rpm: 1000", "rpm: 1000"], settings).await?;
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(40)}]});
    for _ in 0..4 {
        let reply = setup.ask(0, setup.cluster.client(), &chat(long.clone())).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(counts(&mocks), [4, 0], "the second one takes 20 tokens");
    let mut to_small = chat(long);
    to_small["model"] = "small".into();
    let refused = setup.ask(0, setup.cluster.client(), &to_small).await?;
    let text = "litellm.ContextWindowExceededError: the prompt has";
    assert_error(&refused, 400, json!("invalid_request_error"), text);
    assert_eq!(counts(&mocks), [4, 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_how_often_a_request_is_tried_again() -> anyhow::Result<()> {
    let settings = "router_settings:\n  num_retries: 0\n  disable_cooldowns: true\n  \
                    retry_policy: {BadRequestErrorRetries: 2, InternalServerErrorRetries: 0}\n";
    let (setup, mocks) = start(["rpm: 1000", "rpm: 1000"], settings).await?;
    let ask = async |code: u16| {
        for mock in &mocks {
            mock.set_fault(Fault::Status { code, retry_after: None }).await;
        }
        let before: u64 = counts(&mocks).iter().sum();
        let reply = setup.ask(0, setup.cluster.client(), &chat(json!({}))).await?;
        anyhow::Ok((reply.status, counts(&mocks).iter().sum::<u64>() - before))
    };
    assert_eq!(ask(400).await?, (400, 3));
    assert_eq!(ask(500).await?, (500, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_demanded_of_all_requests_is_demanded_on_every_way_in() -> anyhow::Result<()> {
    let settings = "general_settings:\n  enforce_user_param: true\n  enforced_params: [seed]\n  \
                    reject_clientside_metadata_tags: true\n  include_call_id_in_error_body: true\n";
    let (setup, _) = start(["rpm: 1000", "rpm: 1000"], settings).await?;
    let key = setup.make_key(0, json!({})).await?;
    let well = chat(json!({"user": "u", "seed": 1}));
    let ask = async |path: &str, more: Value| {
        let mut body = well.clone();
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        key.post(&setup.cluster.url(0, path), &body).await
    };
    let chats = "/v1/chat/completions";
    assert_eq!(ask(chats, json!({})).await?.status, 200);
    for path in [chats, "/v1/messages", "/openai/v1/chat/completions"] {
        let refused = ask(path, json!({"user": null, "max_tokens": 9})).await?;
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        assert!(refused.body.contains("param=user"), "{path}: {}", refused.body);
    }
    let refused = ask(chats, json!({"seed": null})).await?;
    assert!(refused.body.contains("param=seed"), "{}", refused.body);
    let by_header = dunlin_cluster::http_client()?.post(setup.cluster.url(0, chats));
    let by_header = by_header.bearer_auth(key.key()).header("x-litellm-tags", "t").json(&well);
    assert_eq!(by_header.send().await?.status().as_u16(), 400, "a header is no way around");
    let refused = ask(chats, json!({"metadata": {"tags": ["t"]}})).await?;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let stranger = setup.cluster.client().with_key("sk-nobody");
    let unknown = stranger.post(&setup.cluster.url(0, chats), &json!({})).await?;
    assert_eq!(unknown.status, 401, "{}", unknown.body);
    for reply in [refused, unknown] {
        let error: Value = reply.json()?;
        let call = reply.header("x-litellm-call-id");
        assert_eq!(error["error"]["litellm_call_id"].as_str(), call, "{}", reply.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_go_along_and_streams_tell_their_usage_where_that_is_asked_for()
-> anyhow::Result<()> {
    let settings = "general_settings: {always_include_stream_usage: true}\n\
                    litellm_settings: {model_group_settings: \
                    {forward_client_headers_to_llm_api: [m]}}\n";
    let (setup, mocks) = start(["weight: 1", "weight: 0"], settings).await?;
    let url = setup.cluster.url(0, "/v1/chat/completions");
    let request =
        dunlin_cluster::http_client()?.post(url).bearer_auth(setup.cluster.client().key());
    let request = request.header("x-mine", "yes").header("x-stainless-os", "no");
    let request = request.header("x-litellm-tags", "t").json(&chat(json!({"stream": true})));
    let body = request.send().await?.text().await?;
    assert!(body.contains("\"usage\""), "{body}");
    let sent = mocks[0].last_request().expect("one was sent");
    assert_eq!(sent.headers.get("x-mine").and_then(|value| value.to_str().ok()), Some("yes"));
    assert!(!sent.headers.contains_key("x-stainless-os"));
    assert!(!sent.headers.contains_key("x-litellm-tags"));
    for path in ["/v1/chat/completions", "/openai/v1/chat/completions"] {
        for (wish, is_told) in [(json!({}), true), (json!({"include_usage": false}), false)] {
            let body = chat(json!({"stream": true, "stream_options": wish}));
            let reply = setup.cluster.client().post(&setup.cluster.url(0, path), &body).await?;
            assert_eq!(
                reply.body.contains("\"usage\":{"),
                is_told,
                "{path} {body}: {}",
                reply.body
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_marked_for_their_providers_cache() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n- model_name: m\n  litellm_params:\n    model: anthropic/claude-sonnet-4-5\n    \
         api_key: k\n    api_base: '{}'\n    cache_control_injection_points:\n    \
         - {{location: message, role: system}}\n    - {{location: message, index: -1}}\n",
        format_args!("http://{}", mock.address())
    );
    let setup = harness::start_with(1, mock.clone(), config).await?;
    let messages = json!([
        {"role": "system", "content": "long rules"},
        {"role": "user", "content": "hi"},
    ]);
    let reply = setup.ask(0, setup.cluster.client(), &chat(json!({"messages": messages}))).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sent: Value = serde_json::from_slice(&mock.last_request().expect("one was sent").body)?;
    let mark = json!({"type": "ephemeral"});
    assert_eq!(sent["system"][0]["cache_control"], mark, "{sent}");
    assert_eq!(sent["messages"][0]["content"][0]["cache_control"], mark, "{sent}");
    Ok(())
}
