//! What a conversation hears is written down by a model beside the one that answers: it must be
//! allowed, is admitted turn by turn by what holds then, and is charged by its own price.

use std::net::Ipv4Addr;

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::sockets::{Socket, connect, next};
use crate::harness::{self, SOON, Setup};

const COMPLETED: &str = "conversation.item.input_audio_transcription.completed";
const FAILED: &str = "conversation.item.input_audio_transcription.failed";

/// A provider that says what it is bidden to: `say` of an event, after what every provider says to
/// such a one. It tells what it hears.
async fn parrot() -> anyhow::Result<(String, mpsc::Receiver<String>, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}/v1", listener.local_addr()?);
    let (heard, hearing) = mpsc::channel(256);
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut conversations = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            // A conversation that breaks off is over.
            conversations.spawn(async move { drop(answer(stream, &heard).await) });
        }
    });
    Ok((base, hearing, server))
}

async fn answer(stream: TcpStream, heard: &mpsc::Sender<String>) -> anyhow::Result<()> {
    let mut socket = accept_async(stream).await?;
    socket.send(Message::text(r#"{"type":"session.created"}"#)).await?;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let event: Value = serde_json::from_str(&text)?;
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let mut said = match &*kind {
            "session.update" => {
                vec![json!({"type": "session.updated", "session": event["session"]})]
            }
            "input_audio_buffer.commit" => vec![json!({"type": "input_audio_buffer.committed"})],
            _ => Vec::new(),
        };
        if kind != "response.cancel" {
            heard.send(kind).await?;
        }
        said.extend(event.get("say").cloned());
        for event in said {
            socket.send(Message::text(event.to_string())).await?;
        }
    }
    Ok(())
}

async fn start(base: &str) -> anyhow::Result<Setup> {
    let row = |name: &str, price: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: openai/{name}-up, api_base: \
             \"{base}\", api_key: sk-upstream, {price}}}\n"
        )
    };
    let config = format!(
        "model_list:\n{}{}{}",
        row("talk", "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002"),
        row("scribe", "input_cost_per_token: 0.000003, output_cost_per_token: 0.000005"),
        row("clock", "input_cost_per_second: 0.0001"),
    );
    harness::start_with(1, MockUpstream::start(Settings::default()).await?, config).await
}

async fn open(setup: &Setup, key: &str, query: &str) -> anyhow::Result<Socket> {
    let bearer = format!("Bearer {key}");
    let path = format!("/v1/realtime?model=talk{query}");
    let mut socket = connect(setup, &path, &[("authorization", &bearer)]).await?;
    assert_eq!(next(&mut socket).await?.expect("it is open")["type"], "session.created");
    Ok(socket)
}

fn written_by(model: &str) -> Value {
    json!({"type": "session.update", "session":
        {"audio": {"input": {"transcription": {"model": model}}}}})
}

fn commit(say: Value) -> Value {
    json!({"type": "input_audio_buffer.commit", "say": say})
}

async fn send(socket: &mut Socket, event: &Value) -> anyhow::Result<()> {
    Ok(socket.send(Message::text(event.to_string())).await?)
}

/// Sends what nothing may come of but these events.
async fn hears(socket: &mut Socket, event: &Value, kinds: &[&str]) -> anyhow::Result<()> {
    send(socket, event).await?;
    for kind in kinds {
        let told = next(socket).await?.expect("an event");
        assert_eq!(told["type"], *kind, "{event}: {told}");
    }
    Ok(())
}

/// Sends what is refused: with which code, before the end.
async fn refused(socket: &mut Socket, event: &Value) -> anyhow::Result<Value> {
    send(socket, event).await?;
    end(socket).await
}

async fn end(socket: &mut Socket) -> anyhow::Result<Value> {
    let told = next(socket).await?.expect("why it is over");
    assert_eq!(told["type"], "error", "{told}");
    assert_eq!(next(socket).await?, Err(1008), "{told}");
    Ok(told["error"]["code"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_turn_is_charged_at_the_price_of_who_writes_it_down() -> anyhow::Result<()> {
    let (base, _hearing, _server) = parrot().await?;
    let setup = start(&base).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut socket = open(&setup, caller.key(), "").await?;
    let by_tokens = json!({"type": "tokens", "input_tokens": 50, "output_tokens": 9,
        "input_token_details": {"audio_tokens": 50}});
    let by_time = json!({"type": "duration", "seconds": 2.5});
    let sound = json!({"type": "input_audio_buffer.append", "audio": "A".repeat(64_000)});
    let mut expected = 0.0;
    for (model, usage, cost) in [
        ("scribe", &by_tokens, 50.0 * 3e-6 + 9.0 * 5e-6),
        ("clock", &by_time, 2.5 * 1e-4),
        // A second of sound is ten tokens, where nobody counts; and what was said is one.
        ("scribe", &Value::Null, 10.0 * 3e-6 + 5e-6),
        ("nobodys", &by_tokens, 0.0),
        ("talk", &by_tokens, 50.0 * 1e-6 + 9.0 * 2e-6),
    ] {
        let update = written_by(&format!("{model}-up"));
        hears(&mut socket, &update, &["session.updated"]).await?;
        send(&mut socket, &sound).await?;
        let said = json!({"type": COMPLETED, "transcript": "hey", "usage": usage});
        let kinds = ["input_audio_buffer.committed", COMPLETED];
        hears(&mut socket, &commit(said), &kinds).await?;
        expected += cost;
        wait_until("it is on the bill", SOON, async || {
            let info = setup.key_info(0, &caller).await.unwrap_or(Value::Null);
            info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
        })
        .await?;
    }
    // The provider commits by itself, and fails.
    let error = json!({"message": "no words"});
    let failing = json!({"type": FAILED, "error": error});
    hears(
        &mut socket,
        &json!({"type": "x", "say": {"type": "input_audio_buffer.committed"}}),
        &["input_audio_buffer.committed"],
    )
    .await?;
    hears(&mut socket, &json!({"type": "x", "say": failing}), &[FAILED]).await?;
    let mut records = Vec::new();
    wait_until("each is on record", SOON, async || {
        records = setup.records(0).unwrap_or_default();
        records.len() == 6
    })
    .await?;
    let said = |record: &Value| {
        assert_eq!(record["course"]["call_type"], "atranscription", "{record}");
        let is_unpriced = record["unpriced"] == true;
        format!("{}{}", record["model"].as_str().unwrap_or("?"), if is_unpriced { "?" } else { "" })
    };
    let mut models: Vec<_> = records.iter().map(said).collect();
    models.sort();
    assert_eq!(models, ["clock-up", "nobodys-up?", "scribe-up", "scribe-up", "talk", "talk"]);
    let failed = records.iter().find(|record| record["fault"]["status"] == 502);
    assert_eq!(failed.expect("the last one")["fault"]["message"], "no words");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_down_must_be_allowed_and_is_asked_for_nothing_before() -> anyhow::Result<()> {
    let (base, mut hearing, _server) = parrot().await?;
    let setup = start(&base).await?;
    let caller = setup.make_key(0, json!({"models": ["talk"]})).await?;
    let older = json!({"type": "session.update", "session":
        {"input_audio_transcription": {"model": "scribe-up"}}});
    let told = json!({"type": "x", "say": {"type": "session.updated", "session":
        {"audio": {"input": {"transcription": {"model": "scribe-up"}}}}}});
    for (event, passes) in [(written_by("scribe-up"), false), (older, false), (told, true)] {
        let mut socket = open(&setup, caller.key(), "").await?;
        send(&mut socket, &event).await?;
        if passes {
            let told = next(&mut socket).await?.expect("what its provider tells");
            assert_eq!(told["type"], "session.updated");
        }
        assert_eq!(end(&mut socket).await?, "403", "{event}");
        assert_eq!(hearing.try_recv().is_ok(), passes, "{event}");
    }
    let session = json!({"session": {"type": "realtime", "model": "talk",
        "audio": {"input": {"transcription": {"model": "scribe-up"}}}}});
    let url = setup.cluster.url(0, "/v1/realtime/client_secrets");
    let reply = caller.post(&url, &session).await?;
    assert_eq!(reply.status, 403, "{}", reply.body);
    let both = setup.make_key(0, json!({"models": ["talk", "scribe"]})).await?;
    let mut socket = open(&setup, both.key(), "").await?;
    hears(&mut socket, &written_by("scribe-up"), &["session.updated"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_turn_is_admitted_by_what_holds_then() -> anyhow::Result<()> {
    let (base, mut hearing, _server) = parrot().await?;
    let setup = start(&base).await?;
    let usage = json!({"type": "tokens", "input_tokens": 5, "output_tokens": 1});
    let turn = commit(json!({"type": COMPLETED, "transcript": "hey", "usage": usage}));
    let unasked = json!({"type": "x", "say": {"type": "input_audio_buffer.committed"}});
    for (terms, path, change, code) in [
        (json!({}), "/key/block", json!({}), "401"),
        (json!({}), "/key/delete", json!({}), "401"),
        (json!({}), "/key/update", json!({"max_budget": 0}), "422"),
        (json!({}), "/key/update", json!({"models": ["talk"]}), "403"),
        (json!({"model_rpm_limit": {"scribe": 2}}), "", json!({}), "429"),
        (json!({"rpm_limit": 2}), "", json!({}), "429"),
    ] {
        let caller = setup.make_key(0, terms.clone()).await?;
        let (mut asking, mut hearer) = (
            open(&setup, caller.key(), "").await?,
            open(&setup, caller.key(), "&intent=transcription").await?,
        );
        for socket in [&mut asking, &mut hearer] {
            hears(socket, &written_by("scribe-up"), &["session.updated"]).await?;
            hears(socket, &turn, &["input_audio_buffer.committed", COMPLETED]).await?;
        }
        let mut change = change;
        match path {
            "/key/delete" => change["keys"] = json!([caller.key()]),
            _ => change["key"] = json!(caller.key()),
        }
        if !path.is_empty() {
            setup.admin(0, path, change.clone()).await?;
        }
        while hearing.try_recv().is_ok() {}
        let told = refused(&mut asking, &turn).await?;
        assert_eq!(told, code, "{terms} {path} {change}");
        assert!(hearing.try_recv().is_err(), "it was asked for");
        send(&mut hearer, &unasked).await?;
        let mut kinds = Vec::new();
        while let Ok(told) = next(&mut hearer).await? {
            kinds.push(told["type"].as_str().unwrap_or_default().to_owned());
        }
        assert_eq!(kinds, ["input_audio_buffer.committed", "error"], "{terms} {path} {change}");
    }
    Ok(())
}
