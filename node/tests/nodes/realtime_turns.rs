//! When an answer of a conversation is admitted: at the moment it is asked for, or is begun by its
//! provider, and by what holds then. A conversation in which nobody answers holds nothing.

use std::net::Ipv4Addr;

use anyhow::Context;
use dunlin_cluster::wait_until;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::sockets::{Socket, connect, next};
use crate::harness::{OUTPUT_COST, SOON, Setup};
use crate::realtime::{CREATE, ask, connect_as, start_beside};

const NOBODY: &str = "http://127.0.0.1:9/v1";

/// Asks where no answer may be given: what is told instead, before the end.
async fn refused(socket: &mut Socket, said: &str) -> anyhow::Result<Value> {
    socket.send(Message::text(said)).await?;
    let told = next(socket).await?.expect("why it is over");
    assert_eq!(told["type"], "error", "an answer was begun: {told}");
    assert_eq!(next(socket).await?, Err(1008));
    Ok(told)
}

async fn spends(setup: &Setup, caller: &dunlin_cluster::Client) -> anyhow::Result<()> {
    wait_until("what was said is on the bill", SOON, async || {
        let info = setup.key_info(0, caller).await.unwrap_or(Value::Null);
        info["spend"].as_f64() > Some(0.0)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_any_more_gets_no_answer_in_an_idle_conversation() -> anyhow::Result<()> {
    let setup = start_beside(NOBODY).await?;
    for (path, change, code) in [
        ("/key/block", json!({}), "401"),
        ("/key/delete", json!({}), "401"),
        ("/key/update", json!({"max_budget": 0}), "422"),
        ("/key/update", json!({"models": ["other"]}), "403"),
    ] {
        let caller = setup.make_key(0, json!({})).await?;
        let mut socket = connect_as(&setup, &caller).await?;
        next(&mut socket).await?.expect("it is open");
        let mut fresh = connect_as(&setup, &caller).await?;
        next(&mut fresh).await?.expect("it is open");
        ask(&mut socket, "hi").await?;
        let mut change = change;
        match path {
            "/key/delete" => change["keys"] = json!([caller.key()]),
            _ => change["key"] = json!(caller.key()),
        }
        setup.admin(0, path, change.clone()).await?;
        for socket in [&mut socket, &mut fresh] {
            let told = refused(socket, CREATE).await?;
            assert_eq!(told["error"]["code"], code, "{path} {change}: {told}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_that_are_opened_first_get_no_more_than_one() -> anyhow::Result<()> {
    let setup = start_beside(NOBODY).await?;
    let caller = setup.make_key(0, json!({"max_budget": 0.000_001})).await?;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = connect_as(&setup, &caller).await?;
        next(&mut socket).await?.expect("it is open");
        sockets.push(socket);
    }
    ask(&mut sockets[0], "hi").await?;
    spends(&setup, &caller).await?;
    for socket in &mut sockets {
        let told = refused(socket, CREATE).await?;
        let message = told["error"]["message"].as_str().context("words")?;
        assert!(message.contains("Budget has been exceeded"), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_conversations_hold_nothing_of_limits() -> anyhow::Result<()> {
    let setup = start_beside(NOBODY).await?;
    let limits = json!({"max_parallel_requests": 1, "rpm_limit": 3});
    let caller = setup.make_key(0, limits).await?;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = connect_as(&setup, &caller).await?;
        next(&mut socket).await?.expect("it is open");
        sockets.push(socket);
    }
    for socket in &mut sockets[..3] {
        ask(socket, "hi").await?;
    }
    let told = refused(&mut sockets[3], CREATE).await?;
    assert_eq!(told["error"]["type"], "throttling_error", "the minute's are used: {told}");
    Ok(())
}

/// A provider that answers whenever the client stops speaking, and tells what it hears.
async fn unasked() -> anyhow::Result<(String, mpsc::Receiver<String>, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}/v1", listener.local_addr()?);
    let (heard, hearing) = mpsc::channel(16);
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut talks = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            // A conversation that breaks off is over.
            talks.spawn(async move { drop(answer(stream, &heard).await) });
        }
    });
    Ok((base, hearing, server))
}

async fn answer(stream: TcpStream, heard: &mpsc::Sender<String>) -> anyhow::Result<()> {
    let mut socket = accept_async(stream).await?;
    socket.send(Message::text(r#"{"type":"session.created"}"#)).await?;
    let mut pauses = 0;
    while let Some(message) = socket.next().await {
        let text = match message? {
            Message::Text(text) => text.to_string(),
            Message::Close(frame) => {
                let code = frame.context("a code")?.code;
                heard.send(format!("close {code}")).await?;
                return Ok(());
            }
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                continue;
            }
        };
        let speaks = text.contains("input_audio_buffer.commit");
        pauses += usize::from(speaks);
        heard.send(text).await?;
        let events = [
            json!({"type": "response.created", "response": {}}),
            json!({"type": "response.output_text.delta", "delta": "good day"}),
            json!({"type": "response.done", "response":
                {"usage": {"input_tokens": 30, "output_tokens": 7}}}),
        ];
        for event in events.iter().filter(|_| speaks) {
            socket.send(Message::text(event.to_string())).await?;
            if pauses == 2 {
                // Goes on speaking after it was told to stop, before it has read that.
                socket.get_ref().peek(&mut [0]).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_asked_for_is_cancelled_if_it_may_not_be_given() -> anyhow::Result<()>
{
    let (base, mut hearing, _server) = unasked().await?;
    let setup = start_beside(&base).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let bearer = format!("Bearer {}", caller.key());
    let path = "/v1/realtime?model=broken";
    let mut socket = connect(&setup, path, &[("authorization", &bearer)]).await?;
    next(&mut socket).await?.expect("it is open");
    let pause = r#"{"type":"input_audio_buffer.commit"}"#;
    socket.send(Message::text(pause)).await?;
    for kind in ["response.created", "response.output_text.delta", "response.done"] {
        assert_eq!(next(&mut socket).await?.expect("an answer")["type"], kind);
    }
    spends(&setup, &caller).await?;

    setup.admin(0, "/key/block", json!({"key": caller.key()})).await?;
    socket.send(Message::text(pause)).await?;
    let begun = next(&mut socket).await?.expect("it is told");
    assert_eq!(begun["type"], "response.created");
    let told = next(&mut socket).await?.expect("why it is over");
    assert_eq!((&told["type"], &told["error"]["code"]), (&json!("error"), &json!("401")));
    assert_eq!(next(&mut socket).await?, Err(1008));
    for expected in [pause, pause, r#"{"type":"response.cancel"}"#, "close 1008"] {
        let heard = tokio::time::timeout(SOON, hearing.recv()).await?;
        assert_eq!(heard.as_deref(), Some(expected));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_at_one_moment_hold_what_each_may_cost_and_a_refused_one_is_on_record()
-> anyhow::Result<()> {
    let (base, mut hearing, _server) = unasked().await?;
    let setup = start_beside(&base).await?;
    let budget = json!({"max_budget": 170.0 * OUTPUT_COST, "strict_budget": true});
    let caller = setup.make_key(0, budget).await?;
    let bearer = format!("Bearer {}", caller.key());
    let open = async || -> anyhow::Result<Socket> {
        let path = "/v1/realtime?model=broken";
        let mut socket = connect(&setup, path, &[("authorization", &bearer)]).await?;
        next(&mut socket).await?.expect("it is open");
        Ok(socket)
    };
    let wanted = |tokens: u64| {
        json!({"type": "response.create", "response": {"max_output_tokens": tokens}}).to_string()
    };
    let mut hears = async |expected: String| -> anyhow::Result<()> {
        while tokio::time::timeout(SOON, hearing.recv()).await?.context("it hears")? != expected {}
        Ok(())
    };
    let (mut first, mut second, mut third) = (open().await?, open().await?, open().await?);
    first.send(Message::text(wanted(100))).await?;
    hears(wanted(100)).await?;
    let told = refused(&mut second, &wanted(80)).await?;
    assert_eq!(told["error"]["code"], "422", "the first may still cost it: {told}");
    third.send(Message::text(wanted(50))).await?;
    hears(wanted(50)).await?;
    let records = setup.records(0)?;
    let of_refusals: Vec<_> =
        records.iter().filter(|record| record["fault"]["status"] == 422).collect();
    let [of_refusal] = of_refusals[..] else { panic!("{records:?}") };
    assert_eq!(of_refusal["model"], "broken", "{of_refusal}");
    Ok(())
}
