//! Edits that come at the same time, on different nodes: none is lost, and none fails for another's
//! sake.

use dunlin_cluster::Reply;
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::harness::{self, Setup};

async fn read(setup: &Setup, path: &str) -> anyhow::Result<Value> {
    setup.cluster.client().get(&setup.cluster.url(0, path)).await?.json()
}

/// Posts all of them at once, each to the next node.
async fn post_all(setup: &Setup, path: &str, bodies: &[Value]) -> anyhow::Result<Vec<Reply>> {
    let (client, cluster) = (setup.cluster.client(), &setup.cluster);
    let posts = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| async move { client.post(&cluster.url(at % 3, path), body).await });
    Ok(try_join_all(posts).await?)
}

fn assert_all_done(replies: &[Reply]) {
    for reply in replies {
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_to_a_team_at_once_is_all_there() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    setup.admin(0, "/team/new", json!({"team_id": "red", "models": ["m-first"]})).await?;

    let kinds = ["generic_api", "langfuse", "otel"];
    let callbacks: Vec<_> = ["success", "failure", "success_and_failure"]
        .into_iter()
        .flat_map(|on| kinds.map(|kind| json!({"callback_name": kind, "callback_type": on})))
        .collect();
    assert_all_done(&post_all(&setup, "/team/red/callback", &callbacks).await?);
    let info = read(&setup, "/team/info?team_id=red").await?;
    let logging = info["team_info"]["metadata"]["logging"].as_array().expect("a list").len();
    assert_eq!(logging, 9, "{info}");
    let twice = post_all(&setup, "/team/red/callback", &callbacks[..3]).await?;
    assert!(twice.iter().all(|reply| reply.status == 400), "{twice:?}");

    let models: Vec<_> =
        (0..15).map(|at| json!({"team_id": "red", "models": [format!("m-{at}")]})).collect();
    assert_all_done(&post_all(&setup, "/team/model/add", &models).await?);
    let info = read(&setup, "/team/info?team_id=red").await?;
    assert_eq!(info["team_info"]["models"].as_array().map(Vec::len), Some(16), "{info}");
    assert_all_done(&post_all(&setup, "/team/model/delete", &models).await?);
    let info = read(&setup, "/team/info?team_id=red").await?;
    assert_eq!(info["team_info"]["models"], json!(["m-first"]));

    // Nobody knew the user before: one of them makes the account, and it joins all of them.
    let teams: Vec<_> = (0..6).map(|at| json!({"team_id": format!("t-{at}")})).collect();
    assert_all_done(&post_all(&setup, "/team/new", &teams).await?);
    let member = json!({"role": "user", "user_id": "ann"});
    let joins: Vec<_> =
        (0..6).map(|at| json!({"team_id": format!("t-{at}"), "member": member})).collect();
    assert_all_done(&post_all(&setup, "/team/member_add", &joins).await?);
    let ann = read(&setup, "/v2/user/info?user_id=ann").await?;
    assert_eq!(ann["teams"].as_array().map(Vec::len), Some(6), "{ann}");
    Ok(())
}
