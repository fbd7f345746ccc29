//! Request records reach those who are to be told of them, whatever the receivers do, and say no more
//! than they may.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::receiver::{HANGS_UP, Receiver};
use crate::harness::{self, FORMED, Setup};

/// Records wait for 5 s for others, and the machine is busy.
const TOLD: Duration = Duration::from_secs(20);
/// Far less than a record waits for others.
const AT_ONCE: Duration = Duration::from_secs(4);

async fn start(nodes: usize, settings: &str) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base()) + settings;
    harness::start_with(nodes, mock, config).await
}

/// Every request is told to `receiver` as JSON.
fn generic(receiver: &Receiver) -> String {
    format!(
        "litellm_settings:\n  callbacks: [generic_api]\ncallback_settings:\n  generic_api:\n    \
         endpoint: {}/records\n    headers: {{x-source: dunlin}}\n",
        receiver.url()
    )
}

/// A chat with headers; gives its call id.
async fn chat(
    setup: &Setup,
    node: usize,
    key: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> anyhow::Result<String> {
    let url = setup.cluster.url(node, "/v1/chat/completions");
    let request = dunlin_cluster::http_client()?.post(url).bearer_auth(key).json(body);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await?;
    let id = answer.headers().get("x-litellm-call-id").map(|id| id.to_str().map(str::to_owned));
    let _text = answer.text().await?;
    Ok(id.transpose()?.unwrap_or_default())
}

fn by_call(records: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        let id = record["litellm_call_id"].as_str().unwrap_or_default().to_owned();
        found.entry(id).or_default().push(record);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_told_once_and_no_more_than_may_be() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let setup = start(2, &generic(&receiver)).await?;
    let key = setup.make_key(0, json!({"key_alias": "ci"})).await?;
    let said =
        |words: &str| json!({"model": "chat", "messages": [{"role": "user", "content": words}]});
    let mut streamed = said("kingfisher");
    streamed["stream"] = true.into();
    let whole = chat(&setup, 0, key.key(), &said("kingfisher"), &[]).await?;
    let stream = chat(&setup, 1, key.key(), &streamed, &[]).await?;
    let redacted = [("x-litellm-enable-message-redaction", "true")];
    let redacted = chat(&setup, 0, key.key(), &said("nightjar"), &redacted).await?;
    let disabled = [("x-litellm-disable-callbacks", "langfuse,Generic_API")];
    let disabled = chat(&setup, 0, key.key(), &said("nightjar"), &disabled).await?;
    let mut nowhere = said("x");
    nowhere["model"] = "no-such-model".into();
    chat(&setup, 0, key.key(), &nowhere, &[]).await?;
    let told = receiver.wait(4, TOLD, Receiver::records).await?;
    let refused = told.iter().filter(|one| one["status"] == "failure").count();
    assert_eq!((told.len(), refused), (4, 1), "{told:#?}");
    let told = by_call(told);
    assert!(told.values().all(|same| same.len() == 1), "each once");
    assert!(!told.contains_key(&disabled), "its client wanted it so");
    let of = |id: &str| &told[id][0];
    assert_eq!(of(&whole)["messages"][0]["content"], "kingfisher");
    assert!(of(&whole)["response"]["choices"][0]["message"]["content"].is_string());
    assert!(of(&stream)["response"]["choices"][0]["message"]["content"].is_string());
    assert_eq!((&of(&stream)["stream"], &of(&whole)["stream"]), (&json!(true), &json!(false)));
    assert_eq!(of(&redacted)["messages"][0]["content"], "redacted-by-litellm");
    assert_eq!(of(&whole)["metadata"]["user_api_key_alias"], "ci");
    assert!(of(&whole)["response_cost"].as_f64().is_some_and(|cost| cost > 0.0));
    let posts = receiver.posted();
    assert!(posts.len() <= 3, "they go in batches: {}", posts.len());
    assert!(posts.iter().all(|post| post.head.contains("x-source: dunlin")));
    assert!(!format!("{posts:?}").contains("nightjar"), "nobody is told of it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_a_receiver_is_ill_or_away_or_its_node_stops() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let mut setup = start(1, &generic(&receiver)).await?;
    let key = setup.make_key(0, json!({})).await?;
    receiver.says(503);
    for _ in 0..3 {
        chat(&setup, 0, key.key(), &harness::chat_body(), &[]).await?;
    }
    wait_until("it was sent to in vain", TOLD, async || receiver.refused() > 0).await?;
    receiver.says(HANGS_UP);
    let before = receiver.refused();
    wait_until("it is tried again", TOLD, async || receiver.refused() > before).await?;
    receiver.says(200);
    receiver.wait(3, TOLD, Receiver::records).await?;
    for _ in 0..4 {
        chat(&setup, 0, key.key(), &harness::chat_body(), &[]).await?;
    }
    let page = setup.cluster.client().get(&setup.cluster.url(0, "/metrics/")).await?;
    assert!(page.body.contains(r#"dunlin_callback_sent_total{callback="generic_api"} 3"#));
    assert!(page.body.contains(r#"dunlin_callback_failed_total{callback="generic_api"} 0"#));
    setup.cluster.stop(0).await?;
    let told = receiver.wait(7, AT_ONCE, Receiver::records).await?;
    assert_eq!(by_call(told).len(), 7, "each once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_keeps_no_node_from_stopping() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    receiver.says(500);
    let mut setup = start(1, &generic(&receiver)).await?;
    let key = setup.make_key(0, json!({})).await?;
    chat(&setup, 0, key.key(), &harness::chat_body(), &[]).await?;
    let log = setup.cluster.nodes()[0].log().to_owned();
    let stopping = tokio::time::timeout(Duration::from_secs(10), setup.cluster.stop(0)).await;
    stopping.expect("it stops")?;
    let log = std::fs::read_to_string(log)?;
    assert!(log.contains("1 request records were not accepted by"), "{log}");
    receiver.says(200);
    setup.cluster.restart(0)?;
    receiver.wait(1, FORMED + TOLD, Receiver::records).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_had_not_sent_it_sends_after_its_next_start() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let port = receiver.port();
    let mut setup = start(1, &generic(&receiver)).await?;
    let key = setup.make_key(0, json!({})).await?;
    let body = harness::chat_body();
    for _ in 0..2 {
        chat(&setup, 0, key.key(), &body, &[]).await?;
    }
    receiver.wait(2, TOLD, Receiver::records).await?;
    let kept = setup.dir().join(setup.cluster.nodes()[0].name()).join("callbacks.json");
    let is_kept = async || {
        let kept = std::fs::read(&kept).ok().and_then(|text| serde_json::from_slice(&text).ok());
        kept.is_some_and(|kept: Value| kept["read"]["number"] == 2 && kept["waiting"] == json!({}))
    };
    wait_until("it is kept that they were sent", TOLD, is_kept).await?;
    drop(receiver);
    let mut owed = Vec::new();
    // It is killed again before the receiver is back.
    for life in 0..2 {
        let disabled = [("x-litellm-disable-callbacks", "generic_api")];
        chat(&setup, 0, key.key(), &body, &disabled).await?;
        for _ in 0..=life {
            owed.push(chat(&setup, 0, key.key(), &body, &[]).await?);
        }
        setup.cluster.kill(0).await?;
        setup.cluster.restart(0)?;
        setup.cluster.wait_ready(FORMED).await?;
    }
    let receiver = Receiver::start_at(port).await?;
    receiver.wait(owed.len(), TOLD, Receiver::records).await?;
    let last = chat(&setup, 0, key.key(), &body, &[]).await?;
    owed.push(last);
    let told = receiver.wait(owed.len(), TOLD, Receiver::records).await?;
    let of_first = told.iter().find(|one| one["litellm_call_id"] == *owed[0]).expect("it is there");
    assert_eq!((&of_first["messages"], &of_first["stream"]), (&Value::Null, &json!(false)));
    assert!(of_first["metadata"]["dunlin_request_id"].is_string(), "{of_first}");
    let told = by_call(told);
    assert_eq!(told.len(), owed.len(), "nobody else is told of: {told:#?}");
    assert!(owed.iter().all(|id| told[id].len() == 1), "each, and once: it was away");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn langfuse_and_a_collector_are_told_in_their_own_words() -> anyhow::Result<()> {
    let (langfuse, collector) = (Receiver::start().await?, Receiver::start().await?);
    let setup = start(
        1,
        &format!(
            "environment_variables:\n  LANGFUSE_HOST: {}\n  LANGFUSE_PUBLIC_KEY: pk-1\n  \
             LANGFUSE_SECRET_KEY: sk-1\n  OTEL_EXPORTER_OTLP_ENDPOINT: {}\nlitellm_settings:\n  \
             callbacks: [langfuse, otel]\ncallback_settings:\n  otel: {{message_logging: false}}\n",
            langfuse.url(),
            collector.url()
        ),
    )
    .await?;
    let key = setup.make_key(0, json!({})).await?;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut body = harness::chat_body();
    body["messages"][0]["content"] = "kingfisher".into();
    body["metadata"] = json!({"trace_id": "t-1", "generation_name": "greeting"});
    chat(&setup, 0, key.key(), &body, &[("traceparent", parent)]).await?;
    let batches = |receiver: &Receiver| receiver.posted().into_iter().map(|one| one.body).collect();
    let told = langfuse.wait(1, TOLD, batches).await?;
    let batch = &told[0]["batch"];
    assert_eq!(
        (&batch[0]["type"], &batch[0]["body"]["id"]),
        (&json!("trace-create"), &json!("t-1"))
    );
    let generation = &batch[1]["body"];
    assert_eq!((&generation["traceId"], &generation["name"]), (&json!("t-1"), &json!("greeting")));
    assert_eq!(generation["input"]["messages"][0]["content"], "kingfisher");
    let posted = &langfuse.posted()[0];
    assert!(posted.head.starts_with("post /api/public/ingestion "), "{}", posted.head);
    let told = collector.wait(1, TOLD, batches).await?;
    let span = &told[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(span["name"], "chat chat");
    assert!(!told[0].to_string().contains("kingfisher"), "it gets no messages");
    assert!(collector.posted()[0].head.starts_with("post /v1/traces "));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_has_receivers_of_its_own_and_their_secrets_are_nowhere() -> anyhow::Result<()> {
    let (all, red, key_of_blue) =
        (Receiver::start().await?, Receiver::start().await?, Receiver::start().await?);
    let open = "general_settings:\n  api_callback_networks: [loopback]\n";
    let setup = start(2, &(generic(&all) + open)).await?;
    for team in ["red", "blue"] {
        setup.admin(0, "/team/new", json!({"team_id": team})).await?;
    }
    let vars = |to: &Receiver| json!({"generic_logger_endpoint": to.url(), "generic_logger_headers": "x-secret=kingfisher"});
    let callback =
        |to: &Receiver| json!({"callback_name": "generic_api", "callback_vars": vars(to)});
    let set = setup.admin(0, "/team/red/callback", callback(&red)).await?;
    assert!(!set.body.contains("kingfisher") && set.body.contains("***"), "{}", set.body);
    let twice = setup.cluster.client();
    let twice = twice.post(&setup.cluster.url(1, "/team/red/callback"), &callback(&red)).await?;
    assert_eq!(twice.status, 400, "{}", twice.body);
    assert!(twice.body.contains("already exists in team_callback_settings"), "{}", twice.body);
    let shown = setup.cluster.client().get(&setup.cluster.url(1, "/team/red/callback")).await?;
    let shown: Value = shown.json()?;
    assert_eq!(shown["data"]["success_callbacks"], json!(["generic_api"]));
    assert_eq!(shown["data"]["callback_vars"]["generic_logger_headers"], "***");
    let of_red = setup.make_key(0, json!({"team_id": "red"})).await?;
    let logging =
        json!({"team_id": "blue", "metadata": {"logging": [callback(&key_of_blue)], "a": 1}});
    let of_blue = setup.make_key(0, logging).await?;
    let info = setup.key_info(1, &of_blue).await?;
    assert_eq!(info["metadata"]["logging"][0]["callback_vars"]["generic_logger_headers"], "***");
    assert_eq!(info["metadata"]["a"], 1);
    let nobodys = setup.make_key(0, json!({})).await?;
    for (node, caller) in [(0, &of_red), (1, &of_red), (0, &of_blue), (1, &nobodys)] {
        chat(&setup, node, caller.key(), &harness::chat_body(), &[]).await?;
    }
    red.wait(2, TOLD, Receiver::records).await?;
    key_of_blue.wait(1, TOLD, Receiver::records).await?;
    let others = all.wait(1, TOLD, Receiver::records).await?;
    assert_eq!((others.len(), red.records().len(), key_of_blue.records().len()), (1, 2, 1));
    assert!(red.posted().iter().all(|post| post.head.contains("x-secret: kingfisher")));
    assert!(!setup.stores("kingfisher")?, "it is sealed on every disk");
    let audit = setup.cluster.client().get(&setup.cluster.url(0, "/audit")).await?;
    assert!(audit.body.contains("generic_logger_headers") && !audit.body.contains("kingfisher"));
    let health = of_blue.post(&setup.cluster.url(0, "/key/health"), &json!({})).await?;
    let health: Value = health.json()?;
    assert_eq!(health["logging_callbacks"]["status"], "healthy", "{health}");
    assert_eq!(key_of_blue.records().len(), 2, "it was sent a test");
    let health = of_red.post(&setup.cluster.url(1, "/key/health"), &json!({})).await?;
    let health: Value = health.json()?;
    assert_eq!(health["logging_callbacks"]["callbacks"], json!(["generic_api"]), "{health}");
    assert_eq!(red.records().len(), 3, "a team's are tried where the key has none");
    setup.admin(0, "/team/red/disable_logging", json!({})).await?;
    chat(&setup, 0, of_red.key(), &harness::chat_body(), &[]).await?;
    all.wait(2, TOLD, Receiver::records).await?;
    assert_eq!(red.records().len(), 3, "it is told of nothing any more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_set_is_refused_and_what_is_in_force_is_told() -> anyhow::Result<()> {
    let receiver = Receiver::start().await?;
    let setup = start(1, &generic(&receiver)).await?;
    let (admin, url) = (setup.cluster.client(), |path: &str| setup.cluster.url(0, path));
    setup.admin(0, "/team/new", json!({"team_id": "red"})).await?;
    let someone = setup.make_key(0, json!({})).await?;
    let with = |vars: Value| json!({"callback_name": "langfuse", "callback_vars": vars});
    for (body, words) in [
        (json!({"callback_name": "langfus"}), "did you mean `langfuse`?"),
        (json!({"callback_name": "datadog"}), "served are generic_api, langfuse, otel"),
        (with(json!({"langfuse_public_key": "os.environ/HOME"})), "environment of the nodes"),
        (with(json!({"langfuse_public_key": "pk"})), "langfuse_secret_key is not set"),
    ] {
        let reply = admin.post(&url("/team/red/callback"), &body).await?;
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.body.contains(words), "{words}: {}", reply.body);
    }
    let other = someone.post(&url("/team/red/callback"), &json!({"callback_name": "otel"})).await?;
    assert!(matches!(other.status, 401 | 403), "{}", other.body);
    // Loopback is no public network: what a key or a team names is not there.
    let here = json!({"callback_name": "generic_api",
        "callback_vars": {"generic_logger_endpoint": receiver.url()}});
    let key = json!({"metadata": {"logging": [here.clone()]}});
    for (path, body) in [("/key/generate", key), ("/team/red/callback", here)] {
        let refused = admin.post(&url(path), &body).await?;
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        assert!(
            refused.body.contains("general_settings.api_callback_networks"),
            "{}",
            refused.body
        );
    }
    assert_eq!(receiver.posted().len(), 0);
    let told: Value = admin.get(&url("/health/services?service=generic_api")).await?.json()?;
    assert_eq!(told["status"], "success", "{told}");
    assert_eq!(receiver.posted()[0].body[0]["model"], "dunlin-test");
    receiver.says(503);
    let ill = admin.get(&url("/health/services?service=generic_api")).await?;
    assert!(ill.status == 500 && ill.body.contains("503"), "{}", ill.body);
    for (path, at, value) in [
        ("/callbacks/list", "/success_and_failure/0", json!("generic_api")),
        ("/active/callbacks", "/num_callbacks", json!(1)),
        ("/get/config/callbacks", "/callbacks/0/variables/GENERIC_LOGGER_HEADERS", json!("***")),
        ("/callbacks/configs", "/1/id", json!("langfuse")),
    ] {
        let told: Value = admin.get(&url(path)).await?.json()?;
        assert_eq!(told.pointer(at), Some(&value), "{path}: {told}");
    }
    let log = std::fs::read_to_string(setup.cluster.nodes()[0].log())?;
    assert!(!log.contains("not yet in force"), "{log}");
    Ok(())
}
