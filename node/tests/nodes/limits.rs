//! A limit is one limit, however its traffic is spread over the nodes.

use std::time::Duration;

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use futures::future::join_all;
use serde_json::json;

use crate::harness::{self, SOON, Setup, assert_error};

/// Sends `count` requests at once, spread over all nodes.
async fn burst(setup: &Setup, caller: &Client, count: usize) -> anyhow::Result<Vec<Reply>> {
    let nodes = setup.cluster.nodes().len();
    let sent = (0..count).map(|number| setup.chat(number % nodes, caller));
    Ok(join_all(sent).await.into_iter().collect::<Result<_, _>>()?)
}

fn admitted(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.ok()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_per_minute_hold_over_all_nodes() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"rpm_limit": 12})).await?;
    let mut replies = burst(&setup, &caller, 30).await?;
    replies.extend(burst(&setup, &caller, 6).await?);
    assert_eq!(admitted(&replies), 12);

    let refused = replies.iter().find(|reply| !reply.ok()).expect("more were sent than allowed");
    assert_error(refused, 429, json!("throttling_error"), "Rate limit exceeded for api_key: ");
    assert_eq!(refused.header("rate_limit_type"), Some("requests"));
    assert!(refused.header("retry-after").is_some());
    assert!(refused.header("reset_at").is_some_and(|text| text.ends_with("UTC")));
    assert_eq!(refused.header("x-ratelimit-api_key-limit-requests"), Some("12"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    let policy = "\"api_key-requests\";q=12;w=60";
    assert_eq!(refused.header("ratelimit-policy"), Some(policy));
    assert_eq!(setup.mock.stats().requests, 12, "refused requests never reach an upstream");

    let other = setup.make_key(1, json!({"rpm_limit": 12})).await?;
    assert_eq!(setup.chat(2, &other).await?.status, 200, "each key has its own limit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_request_says_what_is_left() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    // For two seconds after the ring has changed there is no owner, only shares: a node then tells
    // what is left of its own.
    let mut caller = setup.make_key(0, json!({"rpm_limit": 5})).await?;
    wait_until("an owner of the limit", Duration::from_secs(10), async || {
        let reply = setup.chat(0, &caller).await.expect("an answer");
        let owned = reply.header("x-ratelimit-api_key-remaining-requests") == Some("4");
        if !owned {
            caller = setup.make_key(0, json!({"rpm_limit": 5})).await.expect("a key");
        }
        owned
    })
    .await?;
    for (node, left) in [(1, "3"), (2, "2")] {
        let reply = setup.chat(node, &caller).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("x-ratelimit-api_key-limit-requests"), Some("5"));
        assert_eq!(reply.header("x-ratelimit-api_key-remaining-requests"), Some(left));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_in_the_clients_own_form_in_streams_too() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({"rpm_limit": 5})).await?;
    let mut body = harness::chat_body();
    body["stream"] = json!(true);
    let streamed = setup.ask(0, &caller, &body).await?;
    assert_eq!(streamed.header("x-ratelimit-api_key-remaining-requests"), Some("4"));
    assert_eq!(streamed.header("ratelimit"), Some("\"api_key-requests\";r=4;t=60"));
    body["stream"] = json!(false);
    body["max_tokens"] = json!(5);
    let reply = caller.post(&setup.cluster.url(0, "/v1/messages"), &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("anthropic-ratelimit-requests-limit"), Some("5"));
    assert_eq!(reply.header("anthropic-ratelimit-requests-remaining"), Some("3"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_per_minute_hold_over_all_nodes() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"tpm_limit": 60})).await?;
    let body = json!({
        "model": "chat",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 16,
    });
    let mut refused = None;
    for number in 0..12 {
        let reply = setup.ask(number % 3, &caller, &body).await?;
        if !reply.ok() {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("12 answers of 16 tokens are more than 60");
    assert_error(&refused, 429, json!("throttling_error"), "Rate limit exceeded for api_key: ");
    assert_eq!(refused.header("rate_limit_type"), Some("tokens"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_hold_over_all_nodes_and_slots_come_back() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"max_parallel_requests": 2})).await?;
    // Two requests that stay open until they are dropped.
    let mut body = harness::chat_body();
    body["upstream_delay_ms"] = json!(60_000);
    let held = async {
        let both = [setup.ask(0, &caller, &body), setup.ask(1, &caller, &body)];
        join_all(both).await;
    };
    tokio::select! {
        () = held => panic!("the held requests ended by themselves"),
        outcome = refused_while_held(&setup, &caller) => outcome?,
    }
    for node in 0..3 {
        wait_until("a slot is free again", SOON, async || {
            setup.chat(node, &caller).await.is_ok_and(|reply| reply.ok())
        })
        .await?;
    }
    Ok(())
}

async fn refused_while_held(setup: &Setup, caller: &Client) -> anyhow::Result<()> {
    let both = setup.mock.until(|stats| stats.in_flight == 2);
    tokio::time::timeout(SOON, both).await?;
    for node in 0..3 {
        let reply =
            tokio::time::timeout(Duration::from_secs(5), setup.chat(node, caller)).await??;
        assert_error(&reply, 429, json!("throttling_error"), "Rate limit exceeded for api_key: ");
        assert_eq!(reply.header("rate_limit_type"), Some("max_parallel_requests"));
    }
    Ok(())
}

/// Each of the two deployments takes one request at a time, from the whole cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_deployment_is_passed_over_until_all_are_full() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let one = |name: &str| {
        let deployment = harness::deployment("chat", &format!("openai/{name}"), &mock.api_base());
        format!("{deployment}      max_parallel_requests: 1\n")
    };
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: 0\n",
        one("first"),
        one("second")
    );
    let setup = harness::start_with(2, mock, config).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut body = harness::chat_body();
    body["upstream_delay_ms"] = json!(60_000);
    let held = async {
        join_all([setup.ask(0, &caller, &body), setup.ask(1, &caller, &body)]).await;
    };
    let refused = async {
        let both = setup.mock.until(|stats| stats.in_flight == 2);
        tokio::time::timeout(SOON, both).await?;
        let mut replies = Vec::new();
        for node in 0..2 {
            replies.push(setup.chat(node, &caller).await?);
        }
        anyhow::Ok(replies)
    };
    let replies = tokio::select! {
        () = held => panic!("the held requests ended by themselves"),
        replies = refused => replies?,
    };
    for reply in &replies {
        let words = "Deployment has all max_parallel_requests slots in use.";
        assert_error(reply, 429, json!("throttling_error"), words);
        assert!(reply.header("retry-after").is_some());
    }
    wait_until("a slot is free again", SOON, async || {
        setup.chat(0, &caller).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_say_have_the_configs_parallel_requests_and_nodes_theirs()
-> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "{}general_settings:\n  max_parallel_requests: 1\n  global_max_parallel_requests: 2\n",
        harness::chat_config(&mock.api_base())
    );
    let setup = harness::start_with(1, mock, config).await?;
    let mut slow = harness::chat_body();
    slow["upstream_delay_ms"] = json!(60_000);
    let [silent, own, third] = [
        setup.make_key(0, json!({})).await?,
        setup.make_key(0, json!({"max_parallel_requests": 5})).await?,
        setup.make_key(0, json!({})).await?,
    ];
    let refused = async {
        wait_until("the key's one request is under way", SOON, async || {
            setup.mock.stats().in_flight == 1
        })
        .await?;
        let refused = setup.chat(0, &silent).await?;
        assert_error(&refused, 429, json!("throttling_error"), "Rate limit exceeded for api_key: ");
        let limit = refused.header("x-ratelimit-api_key-limit-max_parallel_requests");
        assert_eq!(limit, Some("1"), "the default of the config");
        let second = async {
            wait_until("the node's second request is under way", SOON, async || {
                setup.mock.stats().in_flight == 2
            })
            .await?;
            let refused = setup.chat(0, &third).await?;
            let message = "Max parallel request limit reached. Hit Global Limit: Limit=2";
            assert_error(&refused, 429, json!("throttling_error"), message);
            anyhow::Ok(())
        };
        tokio::select! {
            open = setup.ask(0, &own, &slow) => panic!("it should stay open: {open:?}"),
            done = second => done,
        }
    };
    tokio::select! {
        open = setup.ask(0, &silent, &slow) => panic!("it should stay open: {open:?}"),
        done = refused => done?,
    }
    wait_until("the slots are free again", SOON, async || {
        setup.chat(0, &silent).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    Ok(())
}

/// One node after the other stands still, for ever.
async fn stand_still_in_turn(setup: &Setup) -> anyhow::Result<Vec<Reply>> {
    loop {
        for node in 0..3 {
            setup.cluster.pause(node)?;
            tokio::time::sleep(Duration::from_millis(400)).await;
            setup.cluster.resume(node)?;
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

/// Whoever stands still for 0.4 s is waited for: shares would be beyond the limit.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_stand_still_for_a_moment_let_no_more_through() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    for round in 0..3 {
        let caller = setup.make_key(0, json!({"rpm_limit": 12})).await?;
        wait_until("the key is known to all", SOON, async || {
            let known = [0, 1, 2].map(|node| setup.key_info(node, &caller));
            join_all(known).await.iter().all(Result::is_ok)
        })
        .await?;
        let asking = async {
            let mut replies = Vec::new();
            for _ in 0..4 {
                replies.extend(burst(&setup, &caller, 12).await?);
            }
            anyhow::Ok(replies)
        };
        let replies = tokio::select! {
            failed = stand_still_in_turn(&setup) => failed,
            replies = asking => replies,
        };
        for node in 0..3 {
            setup.cluster.resume(node)?;
        }
        assert_eq!(admitted(&replies?), 12, "in round {round}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_owner_a_limit_does_what_it_says() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let plain = setup.make_key(0, json!({"rpm_limit": 600})).await?;
    let closed = setup.make_key(0, json!({"rpm_limit": 600, "on_loss": "closed"})).await?;
    let shared = setup.make_key(0, json!({"rpm_limit": 600, "on_loss": "share"})).await?;
    let open = setup.make_key(0, json!({"rpm_limit": 3, "on_loss": "open"})).await?;
    assert_eq!(setup.key_info(1, &open).await?["on_loss"], json!("open"));
    let generate = setup.cluster.url(0, "/key/generate");
    let wrong = setup.cluster.client().post(&generate, &json!({"on_loss": "shared"})).await?;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("full, share, closed, open"), "{}", wrong.body);

    setup.cluster.kill(1).await?;
    setup.cluster.kill(2).await?;
    for caller in [&closed, &shared] {
        wait_until("nobody can tell what is left of a limit", SOON, async || {
            setup
                .chat(0, caller)
                .await
                .is_ok_and(|reply| reply.status == 503 && reply.body.contains("on_loss"))
        })
        .await?;
    }
    wait_until("an open limit lets more through than it is", SOON, async || {
        let replies = [setup.chat(0, &open).await, setup.chat(0, &open).await];
        let more = [setup.chat(0, &open).await, setup.chat(0, &open).await];
        replies.into_iter().chain(more).all(|reply| reply.is_ok_and(|reply| reply.ok()))
    })
    .await?;
    assert_eq!(setup.chat(0, &plain).await?.status, 200, "by its share");

    setup.cluster.restart(1)?;
    wait_until("the owner counts again", SOON, async || {
        setup.chat(0, &closed).await.is_ok_and(|reply| reply.ok())
    })
    .await
}
