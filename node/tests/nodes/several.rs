//! A chat that names several models: each answers, or the first does.

use std::time::Duration;

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, assert_error};

/// `quick` and `other` answer at once, `slow` long after every test.
async fn start() -> anyhow::Result<(Setup, MockUpstream)> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let slow = Settings { first_byte: Duration::from_secs(600), ..Settings::default() };
    let slow = MockUpstream::start(slow).await?;
    let models = [
        harness::deployment("quick", "openai/upstream-one", &mock.api_base()),
        harness::deployment("other", "openai/upstream-two", &mock.api_base()),
        harness::deployment("slow", "openai/upstream-name", &slow.api_base()),
    ];
    let config = format!("model_list:\n{}router_settings:\n  num_retries: 0\n", models.concat());
    Ok((harness::start_with(1, mock, config).await?, slow))
}

fn body(models: &str, fields: Value) -> Value {
    let mut body = json!({"model": models, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("too"));
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_models_answers_for_itself() -> anyhow::Result<()> {
    let (setup, _slow) = start().await?;
    let key = setup.make_key(0, json!({"models": ["quick", "other"]})).await?;
    let reply = setup.ask(0, &key, &body("quick, other,nobody", json!({}))).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let call = reply.header("x-litellm-call-id").expect("an id").to_owned();
    let answers: Vec<Value> = serde_json::from_str(&reply.body)?;
    let models: Vec<&Value> = answers.iter().map(|answer| &answer["model"]).collect();
    assert_eq!(models, [&json!("quick"), &json!("other"), &Value::Null], "{}", reply.body);
    assert_eq!(answers[2]["error"]["code"], "403", "{}", reply.body);
    let records = setup.records(0)?;
    let row = |model: &str| {
        let found = records.iter().find(|record| record["model"] == model);
        found.unwrap_or_else(|| panic!("no row of {model}")).clone()
    };
    for (number, model) in [(1, "quick"), (2, "other")] {
        let row = row(model);
        assert_eq!(row["call_id"], format!("{call}-{number}"));
        assert!(row["cost"].as_u64().is_some_and(|cost| cost > 0), "{row}");
    }
    let spent =
        row("quick")["cost"].as_u64().unwrap_or(0) + row("other")["cost"].as_u64().unwrap_or(0);
    dunlin_cluster::wait_until("the key has spent both", SOON, async || {
        let info = setup.key_info(0, &key).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (spend * 1e9 - spent as f64).abs() < 0.5)
    })
    .await?;

    let alone = setup.ask(0, &key, &body("nobody,slow", json!({}))).await?;
    assert_error(&alone, 403, json!("key_model_access_denied"), "");
    let streamed = setup.ask(0, &key, &body("quick,other", json!({"stream": true}))).await?;
    assert_error(
        &streamed,
        400,
        json!("invalid_request_error"),
        "The answers of several models are a list",
    );
    let many = setup.ask(0, &key, &body(&["quick"; 9].join(","), json!({}))).await?;
    assert_error(&many, 400, json!("invalid_request_error"), "9 models are named");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fastest_of_several_models_is_the_answer() -> anyhow::Result<()> {
    let (setup, slow) = start().await?;
    let caller = setup.cluster.client();
    for stream in [false, true] {
        let fields = json!({"fastest_response": true, "stream": stream});
        let reply = setup.ask(0, caller, &body("slow,quick", fields)).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("x-litellm-fastest_response_batch_completion"), Some("True"));
        assert!(reply.body.contains(r#""model":"quick""#), "{}", reply.body);
        assert_eq!(reply.body.ends_with("data: [DONE]\n\n"), stream, "{}", reply.body);
    }
    let sent = setup.mock.last_request().expect("there was one");
    assert!(!String::from_utf8_lossy(&sent.body).contains("fastest"), "it is for the gateway");
    // Who lost is cancelled, on record and free.
    let rows = setup.records(0)?;
    let lost: Vec<&Value> = rows.iter().filter(|row| row["model"] == "slow").collect();
    assert_eq!(lost.len(), 2, "{rows:?}");
    for row in lost {
        assert_eq!((&row["cost"], &row["fault"]["kind"]), (&json!(0), &json!("outpaced")), "{row}");
    }
    dunlin_cluster::wait_until("nothing is asked of the slow one", SOON, async || {
        slow.stats().in_flight == 0
    })
    .await?;
    let race = json!({"fastest_response": true});
    let reply = setup.ask(0, caller, &body("nobody,quick", race.clone())).await?;
    assert_eq!(reply.status, 200, "a failure is no answer: {}", reply.body);
    setup.mock.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    for fields in [json!({}), race.clone()] {
        let reply = setup.ask(0, caller, &body("quick,nobody", fields)).await?;
        assert_eq!(reply.status, 500, "the failure of the first one: {}", reply.body);
    }
    let unclear = body("quick,slow", json!({"fastest_response": "yes"}));
    let refused = setup.ask(0, caller, &unclear).await?;
    let text = "fastest_response is true or false, not `\"yes\"`";
    assert_error(&refused, 400, json!("invalid_request_error"), text);

    let left = body("slow,slow", race);
    tokio::select! {
        reply = setup.ask(0, caller, &left) => panic!("they are slow: {reply:?}"),
        _ = slow.until(|stats| stats.in_flight == 2) => {}
    }
    dunlin_cluster::wait_until("a client that left is told from an answer", SOON, async || {
        let rows = setup.records(0).unwrap_or_default();
        rows.iter().filter(|row| row["fault"]["kind"] == "client_disconnected").count() == 2
    })
    .await
}
