//! The cluster secret is changed under load, by two rounds of restarts.

use std::sync::Arc;

use dunlin_admin_api::SecretStatus;
use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::receiver::Receiver;
use crate::harness::{self, FORMED, SOON, Setup};
use crate::restart::keep_chatting;

const SECRET: &str = "DUNLIN_CLUSTER_SECRET";
const PREVIOUS: &str = "DUNLIN_CLUSTER_SECRET_PREVIOUS";
const NEW: &str = "the secret that takes its place, long enough";
/// A credential that the mock upstream is called with.
const KEY: &str = "sk-of-the-provider";

async fn is_ready(setup: &Setup, node: usize) -> bool {
    let readiness = setup.cluster.url(node, "/health/readiness");
    setup.cluster.client().get(&readiness).await.is_ok_and(|reply| reply.ok())
}

async fn restart_with(
    setup: &mut Setup,
    node: usize,
    secrets: (&str, Option<&str>),
) -> anyhow::Result<()> {
    setup.cluster.stop(node).await?;
    setup.cluster.set_environment(node, SECRET, Some(secrets.0));
    setup.cluster.set_environment(node, PREVIOUS, secrets.1);
    setup.cluster.restart(node)?;
    wait_until("the node is ready again", FORMED, async || is_ready(setup, node).await).await
}

async fn secret_of(setup: &Setup, node: usize) -> anyhow::Result<SecretStatus> {
    Ok(setup.cluster.status(node).await?.secret)
}

/// A key of a team whose requests are told to `told`, with a secret.
async fn key_that_tells(setup: &Setup, told: &Receiver) -> anyhow::Result<Client> {
    setup.admin(0, "/team/new", json!({"team_id": "red"})).await?;
    let callback = json!({"callback_name": "generic_api", "callback_vars": {
        "generic_logger_endpoint": told.url(), "generic_logger_headers": "x-secret=kingfisher"}});
    setup.admin(0, "/team/red/callback", callback).await?;
    setup.make_key(0, json!({"team_id": "red"})).await
}

/// A node that only knows the old secret is nobody here, and both sides say so.
async fn is_nobody_with(setup: &mut Setup, old: &str) -> anyhow::Result<()> {
    setup.cluster.stop(2).await?;
    setup.cluster.set_environment(2, SECRET, Some(old));
    setup.cluster.restart(2)?;
    let logs = [2, 0].map(|node| setup.cluster.nodes()[node].log().to_owned());
    wait_until("both sides say why", FORMED, async || {
        let says = |log: &std::path::PathBuf, what: &str| {
            std::fs::read_to_string(log).is_ok_and(|log| log.contains(what))
        };
        says(&logs[0], "is not the one under which its data was sealed")
            && says(&logs[1], "the same cluster secret")
    })
    .await?;
    let readiness = setup.cluster.url(2, "/health/readiness");
    wait_until("its readiness says the same", FORMED, async || {
        let reply = setup.cluster.client().get(&readiness).await;
        reply.is_ok_and(|reply| reply.body.contains("under which its data was sealed"))
    })
    .await?;
    let log = std::fs::read_to_string(&logs[0])?;
    let life = log.rsplit("dunlin 0.").next().unwrap_or(&log);
    anyhow::ensure!(life.matches(" ERROR ").count() == 1, "once, and nothing else: {life}");
    anyhow::ensure!(!life.contains("stays in force"), "none is: {life}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rounds_of_restarts_change_the_secret_and_fail_no_request() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let told = Receiver::start().await?;
    let settings = "general_settings:\n  api_model_networks: [loopback]\n  api_callback_networks: [loopback]\n";
    let config = harness::chat_config(&base) + settings;
    let mut setup = harness::start_with(3, mock, config).await?;
    let values = json!({"credential_name": "provider", "credential_values": {"api_key": KEY}});
    setup.admin(0, "/credentials", values).await?;
    let model = json!({"model_name": "added", "litellm_params": {
        "model": "openai/x", "api_base": base, "litellm_credential_name": "provider"}});
    setup.admin(0, "/model/new", model).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let of_team = key_that_tells(&setup, &told).await?;
    let old = setup.cluster.secret().to_owned();

    let (mut clients, stop) = (JoinSet::new(), CancellationToken::new());
    let urls: Arc<[String]> =
        (0..3).map(|node| setup.cluster.url(node, "/v1/chat/completions")).collect();
    for first in 0..4 {
        let caller = Client::new(caller.key())?;
        clients.spawn(keep_chatting(Arc::clone(&urls), caller, first, stop.clone()));
    }
    let revision = setup.cluster.status(0).await?.config_revision;
    // Two of three: the third one, forgotten, still takes part, and nothing is sealed anew.
    for node in [0, 1] {
        restart_with(&mut setup, node, (NEW, Some(&old))).await?;
        setup.make_key(node, json!({})).await?;
        setup.make_key(2, json!({})).await?;
    }
    let forgotten = setup.cluster.status(2).await?.node;
    wait_until("the others are known to know it", SOON, async || {
        secret_of(&setup, 0).await.is_ok_and(|secret| secret.unknown_to == [forgotten])
    })
    .await?;
    assert!(secret_of(&setup, 0).await?.sealed_under_others >= 4);
    restart_with(&mut setup, 2, (NEW, Some(&old))).await?;
    wait_until("nothing is sealed under the old one", FORMED, async || {
        secret_of(&setup, 1).await.is_ok_and(|secret| secret.sealed_under_others == 0)
    })
    .await?;
    assert_eq!(setup.cluster.status(0).await?.config_revision, revision, "it is the same config");

    for node in 0..3 {
        restart_with(&mut setup, node, (NEW, None)).await?;
    }
    stop.cancel();
    while let Some(ended) = clients.join_next().await {
        assert!(ended?? > 20, "a client hardly asked");
    }
    assert_eq!(setup.cluster.status(0).await?.config_revision, revision, "the file is known still");
    for node in 0..3 {
        let secret = secret_of(&setup, node).await?;
        assert_eq!((secret.previous, secret.sealed_under_others), (None, 0));
        let mut body = harness::chat_body();
        body["model"] = json!("added");
        let reply = setup.ask(node, &caller, &body).await?;
        assert_eq!(reply.status, 200, "its credential still opens: {}", reply.body);
        setup.chat(node, &of_team).await?;
    }
    told.wait(3, FORMED, Receiver::records).await?;
    let posts = told.posted();
    assert!(posts.iter().all(|post| post.head.contains("x-secret: kingfisher")), "its secret too");

    is_nobody_with(&mut setup, &old).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    Ok(())
}
