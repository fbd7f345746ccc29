//! Responses over a WebSocket, with a real client: each turn is a request of its own, whoever serves
//! its model, and turns that are stored nowhere go on as long as the connection lasts.

use std::time::Duration;

use anyhow::Context;
use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use futures::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::sockets::{self, Socket, next};
use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, Setup, deployment};

/// `own` has responses and `bridged` has not; both are one mock.
async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let own = deployment("own", "openai/upstream-name", &mock.api_base());
    let bridged = deployment("bridged", "openai/upstream-name", &mock.api_base());
    let config = format!(
        "model_list:\n{own}    model_info: {{mode: responses}}\n{bridged}general_settings:\n  \
         max_request_size_mb: 1\n"
    );
    harness::start_with(1, mock, config).await
}

async fn connect(setup: &Setup, caller: &Client) -> Result<Socket, Error> {
    let bearer = format!("Bearer {}", caller.key());
    sockets::connect(setup, "/v1/responses", &[("authorization", &bearer)]).await
}

async fn say(socket: &mut Socket, mut turn: Value) -> anyhow::Result<()> {
    turn["type"] = json!("response.create");
    Ok(socket.send(Message::text(turn.to_string())).await?)
}

/// The last event of one turn.
async fn ask(socket: &mut Socket, turn: Value) -> anyhow::Result<Value> {
    say(socket, turn).await?;
    loop {
        let event = next(socket).await?.map_err(|code| anyhow::anyhow!("ended with {code}"))?;
        match event["type"].as_str() {
            Some("response.completed") => return Ok(event["response"].clone()),
            Some("error") => return Ok(event),
            _ => {}
        }
    }
}

/// What went upstream last: how many items, and whether a turn before it was named.
fn sent(setup: &Setup) -> (usize, bool) {
    let request = setup.mock.last_request().expect("there was one");
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let items = body["input"].as_array().or(body["messages"].as_array());
    (items.map_or(0, Vec::len), body.get("previous_response_id").is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_follow_each_other_whether_or_not_they_are_stored() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut socket = connect(&setup, &caller).await?;
    let mut expected = 0.0;
    for model in ["own", "bridged"] {
        for store in [true, false] {
            let turn = json!({"model": model, "store": store, "input": "one"});
            let first = ask(&mut socket, turn).await?;
            let turn = json!({"model": model, "store": store, "input": "two",
                "previous_response_id": first["id"]});
            let second = ask(&mut socket, turn).await?;
            assert_eq!(second["status"], "completed", "{second}");
            // Who stores a turn is told its name, elsewhere all of it is said again.
            let told = if model == "own" && store { (0, true) } else { (3, false) };
            assert_eq!(sent(&setup), told, "{model}, stored: {store}");
            let turn = json!({"model": model, "store": store, "input": "three",
                "previous_response_id": second["id"]});
            let third = ask(&mut socket, turn).await?;
            let told = if told.1 { told } else { (5, false) };
            assert_eq!(sent(&setup), told, "{model}, stored: {store}");
            for response in [first, second, third] {
                let count = |name: &str| response["usage"][name].as_f64().expect("a count");
                expected +=
                    count("input_tokens") * INPUT_COST + count("output_tokens") * OUTPUT_COST;
            }
        }
        let warm = json!({"model": model, "generate": false, "instructions": "be brief",
            "input": [{"role": "system", "content": "w"}]});
        let before = setup.mock.stats().requests;
        let warm = ask(&mut socket, warm).await?;
        assert_eq!((&warm["output"], setup.mock.stats().requests), (&json!([]), before));
        let turn = json!({"model": model, "input": "go", "previous_response_id": warm["id"]});
        let first = ask(&mut socket, turn).await?;
        assert_eq!(sent(&setup), (2, false), "{model} goes on from the warm-up");
        let count = |name: &str| first["usage"][name].as_f64().expect("a count");
        expected += count("input_tokens") * INPUT_COST + count("output_tokens") * OUTPUT_COST;
    }
    wait_until("all turns are on the bill", SOON, async || {
        let info = setup.key_info(0, &caller).await.unwrap_or(Value::Null);
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_the_connection_goes_on() -> anyhow::Result<()> {
    let setup = start().await?;
    let unknown = setup.cluster.client().with_key("sk-nobody-knows-this-one");
    let Err(Error::Http(refused)) = connect(&setup, &unknown).await else { panic!("it is open") };
    assert_eq!(refused.status(), 401);
    let plain = setup.cluster.client().get(&setup.cluster.url(0, "/v1/responses")).await?;
    assert!(plain.status == 400 && plain.body.contains("WebSocket"), "{}", plain.body);

    let caller = setup.make_key(0, json!({"rpm_limit": 3})).await?;
    let mut socket = connect(&setup, &caller).await?;
    let told = |event: &Value| (event["status"].clone(), event["error"]["code"].clone());
    let gone = json!({"model": "own", "input": "hi", "previous_response_id": "resp_0123"});
    let gone = ask(&mut socket, gone).await?;
    assert_eq!(told(&gone), (json!(400), json!("previous_response_not_found")), "{gone}");
    let nobody = ask(&mut socket, json!({"model": "nobody", "input": "hi"})).await?;
    assert_eq!(nobody["status"], 400);
    for wrong in ["nonsense", r#"{"type":"response.steer"}"#, "{\"type\":\"response.create\"}"] {
        socket.send(Message::text(wrong)).await?;
        let event = next(&mut socket).await?.expect("an event");
        assert_eq!((&event["type"], &event["status"]), (&json!("error"), &json!(400)), "{wrong}");
    }
    setup.mock.set_fault_for(Fault::CutMidStream(1), 1).await;
    let cut = ask(&mut socket, json!({"model": "bridged", "input": "hi"})).await?;
    assert_eq!(cut["status"], 500, "{cut}");
    for _ in 0..2 {
        ask(&mut socket, json!({"model": "bridged", "input": "hi"})).await?;
    }
    let limited = ask(&mut socket, json!({"model": "bridged", "input": "hi"})).await?;
    assert_eq!(limited["status"], 429, "{limited}");
    assert!(limited["headers"]["retry-after"].is_string(), "{limited}");

    setup.admin(0, "/key/block", json!({"key": caller.key()})).await?;
    let blocked = ask(&mut socket, json!({"model": "own", "input": "hi"})).await?;
    assert_eq!(blocked["status"], 401, "{blocked}");
    let long = "a".repeat(1 << 20);
    socket
        .send(Message::text(json!({"type": "response.create", "input": long}).to_string()))
        .await?;
    assert_eq!(next(&mut socket).await?, Err(1009));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_do_not_wait_for_each_other_and_a_leaving_node_finishes_its_turns()
-> anyhow::Result<()> {
    let mut setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut socket = connect(&setup, &caller).await?;
    setup.mock.set_fault_for(Fault::Hang, 1).await;
    say(&mut socket, json!({"model": "own", "input": "hi", "stream_id": "slow"})).await?;
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 1)).await?;
    // The second of a lane waits, that of another does not.
    for lane in ["slow", "quick"] {
        say(&mut socket, json!({"model": "own", "input": "hi", "stream_id": lane})).await?;
    }
    loop {
        let event = next(&mut socket).await?.expect("an event");
        assert_eq!(event["stream_id"], "quick");
        if event["type"] == "response.completed" {
            break;
        }
    }
    drop(socket);
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 0)).await?;
    assert_eq!(setup.mock.stats().cancelled, 1, "nobody waits for it any more");

    let mut socket = connect(&setup, &caller).await?;
    say(&mut socket, json!({"model": "own", "input": "[[say:a b c]] [[delay:500]]"})).await?;
    next(&mut socket).await?.expect("it has begun");
    let (stopped, ended) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(20), setup.cluster.stop(0)), async {
            let mut last = Value::Null;
            loop {
                match next(&mut socket).await? {
                    Ok(event) => last = event,
                    Err(code) => return anyhow::Ok((last["type"].clone(), code)),
                }
            }
        },);
    stopped.context("an open connection keeps the node")??;
    assert_eq!(ended?, (json!("response.completed"), 1001));
    Ok(())
}
