//! The cluster owns its config: files propose, every revision is kept, and one command goes back.

use dunlin_cluster::wait_until;
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup};

async fn revision(setup: &Setup, node: usize) -> u64 {
    setup.cluster.status(node).await.map_or(0, |status| status.config_revision)
}

async fn get(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Value> {
    setup.cluster.client().get(&setup.cluster.url(node, path)).await?.json()
}

/// A file with one more model.
fn changed(setup: &Setup) -> String {
    let more = harness::deployment("more", "openai/upstream-name", &setup.mock.api_base());
    let config = harness::chat_config(&setup.mock.api_base());
    config.replacen("model_list:\n", &format!("model_list:\n{more}"), 1)
}

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_new_file_and_no_quorum_serves_by_what_it_holds() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    // That a key made this instant was committed is for a leader to say, and there is none below.
    let caller = setup.cluster.client().clone();
    setup.cluster.kill_all().await?;
    setup.write_config(&changed(&setup))?;
    setup.cluster.restart(0)?;
    let readiness = setup.cluster.url(0, "/health/readiness");
    wait_until("the only node says that it is ready", FORMED, async || {
        setup.cluster.client().get(&readiness).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200, "by the revision that it holds");
    assert_eq!(setup.ask(0, &caller, &ask("more")).await?.status, 400, "the file is a proposal");

    setup.cluster.restart(1)?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    for node in 0..3 {
        wait_until("the file is in force", SOON, async || {
            let reply = setup.ask(node, &caller, &ask("more")).await;
            reply.is_ok_and(|reply| reply.ok())
        })
        .await?;
    }
    assert_eq!(revision(&setup, 0).await, 2, "proposed once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_kept_compared_and_brought_back_and_its_file_stays_away() -> anyhow::Result<()>
{
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    setup.write_config(&changed(&setup))?;
    setup.cluster.stop(2).await?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(setup.ask(2, &caller, &ask("more")).await?.status, 200, "a new file is in force");

    let told = get(&setup, 0, "/config/diff").await?;
    let diff = told["diff"].as_str().expect("a text");
    assert!(diff.contains("+  - model_name: more"), "{diff}");
    assert!(
        diff.contains("+      api_key: ***********") && !diff.contains("sk-upstream"),
        "{diff}"
    );

    let back: Value = setup.admin(1, "/config/rollback", json!({"to": 1})).await?.json()?;
    assert_eq!(back["revision"], 3);
    for node in 0..3 {
        wait_until("the rollback is in force", SOON, async || {
            let reply = setup.ask(node, &caller, &ask("more")).await;
            reply.is_ok_and(|reply| reply.status == 400)
        })
        .await?;
        assert_eq!(setup.chat(node, &caller).await?.status, 200);
    }
    let history = get(&setup, 2, "/config/history").await?;
    let rows: Vec<_> = history["revisions"].as_array().expect("rows").iter().collect();
    let told: Vec<_> = rows.iter().map(|row| (&row["revision"], &row["copy_of"])).collect();
    let nothing = Value::Null;
    let expected = [(&json!(3), &json!(1)), (&json!(2), &nothing), (&json!(1), &nothing)];
    assert_eq!(told, expected);
    assert_eq!(rows[0]["source"], "rollback to revision 1");
    assert_eq!((&rows[0]["author"], &rows[1]["author"]), (&json!("default_user_id"), &nothing));
    let one = get(&setup, 0, "/config/revision?revision=2").await?;
    let text = one["files"][0]["text"].as_str().expect("a text");
    assert!(text.contains("model_name: more") && !text.contains("sk-upstream"), "{text}");

    setup.cluster.stop(2).await?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(revision(&setup, 2).await, 3, "the file that was rolled back is old");
    wait_until("every node says which revision it applies", SOON, async || {
        let status = setup.cluster.status(0).await;
        status.is_ok_and(|status| status.members.iter().all(|member| member.config_revision == 3))
    })
    .await
}
