//! The audit log: what is changed through one node is told by all, in the same rows, and stays.

use dunlin_cluster::{Client, http_client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{self, FORMED, SOON, SPREAD, Setup};

async fn read(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Value> {
    let reply = setup.cluster.client().get(&setup.cluster.url(node, path)).await?;
    anyhow::ensure!(reply.ok(), "GET {path} on node {node}: {} {}", reply.status, reply.body);
    reply.json()
}

/// A change with the headers that a platform in front sends.
async fn change(setup: &Setup, node: usize, path: &str, body: Value) -> anyhow::Result<Value> {
    let request = http_client()?.post(setup.cluster.url(node, path));
    let request = request.bearer_auth(setup.cluster.master_key()).header("user-agent", "portal/7");
    let request = request.header("litellm-changed-by", "boss@example.com");
    let answer = request.header("x-forwarded-for", "6.6.6.6, 10.0.0.9").json(&body).send().await?;
    anyhow::ensure!(answer.status().is_success(), "POST {path}: {}", answer.status());
    Ok(answer.json().await?)
}

/// The same hash on these nodes; how many rows it covers.
async fn one_chain(setup: &Setup, nodes: &[usize]) -> anyhow::Result<(u64, Value)> {
    let mut heads = Vec::new();
    for &node in nodes {
        let proof = read(setup, node, "/audit/verify").await?;
        assert_eq!(proof["intact"], json!(true), "node {node}: {proof}");
        heads.push((proof["newest"].as_u64().expect("a number"), proof["head"].clone()));
    }
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
    Ok(heads.swap_remove(0))
}

async fn dunlin(setup: &Setup, node: usize, line: &str) -> anyhow::Result<(i32, String, String)> {
    let mut command = Command::new(harness::binary());
    command.args(line.split(' ')).env_clear().env("DUNLIN_URL", setup.cluster.url(node, ""));
    let command = command.env("DUNLIN_API_KEY", setup.cluster.master_key());
    let ended = command.kill_on_drop(true).output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((ended.status.code().unwrap_or(-1), text(ended.stdout), text(ended.stderr)))
}

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "general_settings:\n  use_x_forwarded_for: true\nlitellm_settings:\n  \
         store_audit_logs: true\n{}",
        harness::chat_config(&mock.api_base())
    );
    harness::start_with(3, mock, config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_node_is_told_on_another_by_whom_and_from_where() -> anyhow::Result<()> {
    let setup = start().await?;
    let made =
        change(&setup, 0, "/key/generate", json!({"key_alias": "app", "rpm_limit": 5})).await?;
    let (key, token) = (made["key"].clone(), made["token"].as_str().expect("a hash").to_owned());
    change(
        &setup,
        1,
        "/key/update",
        json!({"key": key, "rpm_limit": 60, "metadata": {"api_key": "hidden"}}),
    )
    .await?;

    let told = read(&setup, 2, &format!("/audit?object_id={token}")).await?;
    assert_eq!(told["total"], json!(2), "{told}");
    let row = &told["audit_logs"][0];
    for (name, value) in [
        ("action", "updated"),
        ("table_name", "LiteLLM_VerificationToken"),
        ("changed_by", "boss@example.com"),
        ("changed_by_api_key", "litellm_proxy_master_key"),
        ("user_id", "default_user_id"),
        ("object_alias", "app"),
        ("client_ip", "10.0.0.9"),
        ("user_agent", "portal/7"),
        ("route", "/key/update"),
    ] {
        assert_eq!(row[name], json!(value), "{name} in {row}");
    }
    assert_eq!(row["before_value"], json!({"metadata": null, "rpm_limit": 5}));
    assert_eq!(row["updated_values"], json!({"metadata": {"api_key": "***"}, "rpm_limit": 60}));
    assert_eq!(
        read(&setup, 0, &format!("/audit/{}", row["id"].as_str().expect("an id"))).await?,
        *row
    );

    // Nothing that is secret is in any row, and a bad request leaves none.
    let (before, _) = one_chain(&setup, &[0, 1, 2]).await?;
    let url = setup.cluster.url(0, "/key/generate");
    let again = setup.cluster.client().post(&url, &json!({"key_alias": "app"})).await?;
    assert_eq!(again.status, 400);
    let (after, _) = one_chain(&setup, &[2, 1, 0]).await?;
    assert_eq!(before, after);
    let all = read(&setup, 1, "/audit?page_size=100").await?.to_string();
    for secret in
        [key.as_str().expect("a key"), "hidden", setup.cluster.master_key(), "sk-upstream"]
    {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    assert!(all.contains("LiteLLM_Config"), "the first config is told: {all}");

    // Those who may not see everything see nothing of it.
    let caller: Client = setup.cluster.client().with_key(key.as_str().expect("a key"));
    let refused = caller.get(&setup.cluster.url(0, "/audit")).await?;
    harness::assert_error(
        &refused,
        401,
        json!("auth_error"),
        "Authentication Error, Only proxy admin",
    );

    let (exit, list, _) = dunlin(&setup, 1, "audit list --of key --by boss@example.com").await?;
    assert_eq!(exit, 0);
    assert!(list.contains("10.0.0.9  updated  key   app    metadata, rpm_limit"), "{list}");
    let id = row["id"].as_str().expect("an id");
    let (_, shown, _) = dunlin(&setup, 1, &format!("audit show {id}")).await?;
    assert!(shown.contains("- rpm_limit: 5\n+ rpm_limit: 60\n"), "{shown}");
    let (exit, proof, _) = dunlin(&setup, 2, "audit verify").await?;
    let (_, noted) = proof.trim_end().rsplit_once(' ').expect("a hash");
    assert!(exit == 0 && proof.starts_with("intact: rows 1 to "), "{proof}");
    let (exit, ..) = dunlin(&setup, 0, &format!("audit verify --noted {noted}")).await?;
    assert_eq!(exit, 0);
    let other = noted.replace(':', ":0").chars().take(noted.len()).collect::<String>();
    let (exit, told, _) = dunlin(&setup, 0, &format!("audit verify --noted {other}")).await?;
    assert!(exit == 10 && told.contains("ANOTHER hash"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_the_same_after_the_leaders_death_and_after_a_restart() -> anyhow::Result<()> {
    let mut setup = start().await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    let mut made = Vec::new();
    for number in 0..4 {
        let alias = format!("before-{number}");
        change(&setup, leader, "/key/generate", json!({"key_alias": alias})).await?;
        made.push(alias);
    }
    setup.cluster.kill(leader).await?;
    let mut number = 0;
    wait_until("a change is acknowledged", FORMED, async || {
        number += 1;
        let alias = format!("after-{number}");
        let done = change(&setup, others[0], "/key/generate", json!({"key_alias": alias})).await;
        if done.is_ok() {
            made.push(alias);
        }
        done.is_ok()
    })
    .await?;

    let told = read(&setup, others[1], "/audit?page_size=100&table_name=LiteLLM_VerificationToken")
        .await?;
    let rows = told["audit_logs"].as_array().expect("rows").clone();
    for alias in &made {
        let of_key = rows.iter().filter(|row| row["object_alias"] == json!(alias)).count();
        assert_eq!(of_key, 1, "what was acknowledged has one row: {alias}");
    }
    let (_, head) = one_chain(&setup, &others).await?;
    setup.cluster.restart(leader)?;
    setup.cluster.wait_ready(FORMED).await?;
    wait_until("the returned node has the same log", SOON + SPREAD, async || {
        let proof = read(&setup, leader, "/audit/verify").await;
        proof.is_ok_and(|proof| proof["head"] == head && proof["intact"] == json!(true))
    })
    .await?;
    setup.cluster.kill_all().await?;
    (0..3).try_for_each(|node| setup.cluster.restart(node))?;
    setup.cluster.wait_ready(FORMED).await?;
    let (_, found) = one_chain(&setup, &[0, 1, 2]).await?;
    assert_eq!(found, head);
    Ok(())
}
