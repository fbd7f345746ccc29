//! Conversations that browsers begin: secrets instead of keys, and calls whose sound passes by the
//! gateway.

use anyhow::Context;
use dunlin_cluster::{Client, http_client, wait_until};
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::harness::sockets::{Socket, connect_to, next};
use crate::harness::{self, SOON, Setup, assert_error, deployment};

const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n";

async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let config = format!(
        "model_list:\n{}{}{}",
        deployment("talk", "openai/talk-up", &base),
        deployment("other", "openai/other-up", &base),
        deployment("claude", "anthropic/claude-up", base.trim_end_matches("/v1")),
    );
    harness::start_with(nodes, mock, config).await
}

/// A secret for a session of the model `talk`.
async fn secret(setup: &Setup, caller: &Client, more: Value) -> anyhow::Result<(String, Value)> {
    let mut asked = json!({"session": {"type": "realtime", "model": "talk",
        "instructions": "[[say:good day]]"}});
    for (name, value) in more.as_object().into_iter().flatten() {
        asked[name] = value.clone();
    }
    let url = setup.cluster.url(0, "/v1/realtime/client_secrets");
    let made: Value = caller.post(&url, &asked).await?.json()?;
    let value = made["value"].as_str().with_context(|| format!("no secret: {made}"))?.to_owned();
    Ok((value, made))
}

async fn enter(setup: &Setup, node: usize, secret: &str, query: &str) -> Result<Socket, Error> {
    let protocols = format!("realtime, openai-insecure-api-key.{secret}");
    let path = format!("/v1/realtime{query}");
    connect_to(setup, node, &path, &[("sec-websocket-protocol", &protocols)]).await
}

fn status(refused: Result<Socket, Error>) -> u16 {
    match refused {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is open"),
    }
}

/// The status, the place and the body of an answer to an offer.
async fn offer(
    setup: &Setup,
    node: usize,
    key: &str,
    query: &str,
) -> anyhow::Result<(u16, String, String)> {
    let url = setup.cluster.url(node, &format!("/v1/realtime/calls{query}"));
    let asked = http_client()?.post(url).bearer_auth(key).header("content-type", "application/sdp");
    let answer = asked.body(OFFER).send().await?;
    let place = answer.headers().get("location").and_then(|place| place.to_str().ok());
    let place = place.unwrap_or_default().to_owned();
    Ok((answer.status().as_u16(), place, answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_opens_one_models_conversations_on_every_node() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let caller = setup.make_key(0, json!({"models": ["talk"], "rpm_limit": 4})).await?;
    let (secret, made) = secret(&setup, &caller, json!({})).await?;
    assert!(secret.starts_with("ek_dn1"), "the provider's own would pass by the gateway: {secret}");
    assert_eq!(made["session"]["model"], "talk");
    assert_eq!(made["session"]["client_secret"]["value"], json!(secret));
    assert!(!made.to_string().contains("ek_mock"), "{made}");
    let asked = setup.mock.last_request().context("it came through")?;
    let asked: Value = serde_json::from_slice(&asked.body)?;
    assert_eq!(asked["session"]["model"], "talk-up");

    let mut socket = enter(&setup, 1, &secret, "").await?;
    let first = next(&mut socket).await?.expect("an event");
    assert_eq!(first["session"]["instructions"], "[[say:good day]]", "its session: {first}");
    let seen = setup.mock.last_request().context("it came through")?;
    let shown = seen.headers["authorization"].to_str()?.to_owned();
    assert!(shown.starts_with("Bearer ek_mock"), "the provider's own secret goes upstream");
    assert!(enter(&setup, 0, &secret, "?model=talk").await.is_ok());
    assert_eq!(status(enter(&setup, 1, &secret, "?model=other").await), 400);
    assert_eq!(status(enter(&setup, 1, &format!("{secret}A"), "").await), 401);

    for path in ["/v1/models", "/v1/realtime/client_secrets", "/key/info"] {
        let (status, body) = harness::send(
            &setup,
            1,
            &caller.with_key(&secret),
            if path.ends_with("secrets") { "POST" } else { "GET" },
            path,
        )
        .await?;
        assert!(status == 403 || status == 401, "{path}: {status} {body}");
        assert!(!body.contains(&secret), "{body}");
    }
    setup.admin(0, "/key/block", json!({"key": caller.key()})).await?;
    wait_until("every node knows that its key is blocked", SOON, async || {
        matches!(enter(&setup, 1, &secret, "").await, Err(Error::Http(no)) if no.status() == 401)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_ends_and_only_who_may_call_the_model_gets_one() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let url = setup.cluster.url(0, "/v1/realtime/client_secrets");
    let caller = setup.make_key(0, json!({"models": ["talk", "claude"]})).await?;
    for (asked, status, said) in [
        (json!({"session": {"model": "other"}}), 403, "other"),
        (json!({"session": {"model": "claude"}}), 400, "realtime conversations"),
        (json!({"session": {"type": "realtime"}}), 400, "session.model"),
        (json!({"session": "talk"}), 400, "session"),
        (json!({"session": {"model": "talk"}, "colour": 1}), 400, "colour"),
    ] {
        let reply = caller.post(&url, &asked).await?;
        assert_eq!(reply.status, status, "{asked}: {}", reply.body);
        assert!(reply.body.contains(said), "{asked}: {}", reply.body);
    }
    setup.mock.set_fault_for(Fault::Html, 1).await;
    let reply = caller.post(&url, &json!({"session": {"model": "talk"}})).await?;
    assert_eq!(reply.status, 500, "an answer without a secret is none: {}", reply.body);
    let ending = json!({"expires_after": {"anchor": "created_at", "seconds": 2}});
    let (secret, made) = secret(&setup, &caller, ending).await?;
    assert!(made["expires_at"].is_u64(), "{made}");
    let mut socket = enter(&setup, 0, &secret, "").await?;
    wait_until("it has ended", SOON, async || {
        matches!(enter(&setup, 0, &secret, "").await, Err(Error::Http(answer)) if answer.status() == 401)
    })
    .await?;
    next(&mut socket).await?.expect("what was begun in time goes on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_spent_all_gets_no_secret_and_begins_no_call() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.make_key(0, json!({"max_budget": 0})).await?;
    let url = setup.cluster.url(0, "/v1/realtime/client_secrets");
    let refused = caller.post(&url, &json!({"model": "talk"})).await?;
    assert_error(&refused, 422, json!("budget_exceeded"), "Budget has been exceeded! ");
    let (status, _, refused) = offer(&setup, 0, caller.key(), "?model=talk").await?;
    assert_eq!(status, 422, "{refused}");
    assert_eq!(setup.mock.stats().requests, 0, "nobody was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_charged_though_its_sound_passes_by() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let (secret, _) = secret(&setup, &caller, json!({})).await?;
    let (status, place, answer) = offer(&setup, 1, &secret, "").await?;
    assert_eq!((status, &answer[..3]), (201, "v=0"), "{answer}");
    assert!(place.starts_with("/v1/realtime/calls/rtc_dn1"), "{place}");
    wait_until("what was said is on the bill", SOON, async || {
        let info = setup.key_info(0, &caller).await.unwrap_or(Value::Null);
        info["spend"].as_f64().is_some_and(|spend| spend > 0.0)
    })
    .await?;
    let records = setup.records(1)?;
    assert_eq!(records[0]["course"]["call_type"], "_arealtime", "{records:?}");

    let stranger = setup.make_key(0, json!({})).await?;
    let hangup = format!("{place}/hangup");
    let (status, _) = harness::send(&setup, 0, &stranger, "POST", &hangup).await?;
    assert_eq!(status, 404, "it is not the stranger's");
    let (status, body) = harness::send(&setup, 0, &caller, "POST", &hangup).await?;
    assert_eq!(status, 200, "{body}");
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 0)).await?;

    let (status, _, body) = offer(&setup, 0, caller.key(), "").await?;
    assert_eq!(status, 400, "a key says no model: {body}");
    let (status, _, body) = offer(&setup, 0, caller.key(), "?model=talk").await?;
    assert_eq!(status, 201, "{body}");
    let seen = setup.mock.requests();
    let call =
        seen.iter().rev().find(|seen| seen.path == "/v1/realtime/calls").context("a call")?;
    assert_eq!((&*call.query, &*call.body), ("model=talk-up", OFFER.as_bytes()));
    assert_eq!(call.headers["authorization"], "Bearer sk-upstream");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_may_not_go_on_is_hung_up() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let limited = setup.make_key(0, json!({"rpm_limit": 3})).await?;
    let lines = "[[say:one]]\n[[say:two]]\n[[say:three]]";
    let session = json!({"session": {"type": "realtime", "model": "talk", "instructions": lines}});
    let (secret, _) = secret(&setup, &limited, session).await?;
    assert_eq!(offer(&setup, 0, &secret, "").await?.0, 201);
    let hung_up = async || setup.mock.requests().iter().any(|seen| seen.path.ends_with("/hangup"));
    wait_until("it is over its limit", SOON, hung_up).await?;
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 0)).await?;
    wait_until("nothing is in flight", SOON, async || {
        let status = setup.cluster.status(0).await;
        status.is_ok_and(|status| status.backends.iter().all(|backend| backend.in_flight == 0))
    })
    .await?;

    // The second request of a call is for its events.
    let caller = setup.make_key(0, json!({})).await?;
    let (secret, _) = self::secret(&setup, &caller, json!({})).await?;
    let before = setup.mock.stats().requests;
    setup.mock.set_fault_for(Fault::Status { code: 404, retry_after: None }, 1).await;
    let (status, _, body) = offer(&setup, 0, &secret, "").await?;
    assert_eq!((status, setup.mock.stats().requests), (404, before + 1), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_go_upstream_is_shown_without_its_credential() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let caller = setup.make_key(0, json!({"models": ["talk", "claude"]})).await?;
    let url = setup.cluster.url(0, "/utils/transform_request");
    let ask = async |call_type: &str, model: &str| -> anyhow::Result<(u16, Value)> {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": model, "messages": messages, "max_tokens": 5});
        let asked = json!({"call_type": call_type, "request_body": body});
        let reply = caller.post(&url, &asked).await?;
        assert!(!reply.body.contains("sk-upstream"), "{}", reply.body);
        Ok((reply.status, reply.json()?))
    };
    let (status, shown) = ask("completion", "claude").await?;
    assert_eq!(status, 200, "{shown}");
    let address = shown["raw_request_api_base"].as_str().context("an address")?;
    assert!(address.ends_with("/v1/messages"), "{shown}");
    assert_eq!(shown["raw_request_headers"]["x-api-key"], "****", "{shown}");
    assert_eq!(shown["raw_request_body"]["model"], "claude-up");
    assert_eq!(ask("completion", "other").await?.0, 403);
    let (status, told) = ask("telepathy", "talk").await?;
    assert!(status == 400 && told.to_string().contains("anthropic_messages"), "{told}");
    let (status, told) = ask("image_generation", "claude").await?;
    assert!(status == 400 || told["error"].is_string(), "{told}");
    assert_eq!(setup.mock.stats().requests, 0, "nobody was asked");
    Ok(())
}
