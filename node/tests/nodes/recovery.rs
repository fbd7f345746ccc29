//! Two of three disks are lost for good: the third one goes on, by hand.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use dunlin_cluster::wait_until;
use serde_json::json;

use crate::harness::{self, FORMED, Setup};

/// `dunlin recover` on a data directory.
fn recover(dir: &Path, secret: &str, more: &[&str]) -> anyhow::Result<Output> {
    Ok(command(dir, secret, more).output()?)
}

fn command(dir: &Path, secret: &str, more: &[&str]) -> Command {
    let mut command = Command::new(harness::binary());
    command.env_clear().env("DUNLIN_CLUSTER_SECRET", secret).arg("recover").arg("--data-dir");
    command.arg(dir).args(more).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    let both =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    both.concat()
}

fn after<'a>(text: &'a str, word: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = text.split_once(word).with_context(|| format!("no `{word}` in {text}"))?;
    rest.split_whitespace().next().context("a value")
}

/// Kills the command over and over in its midst, until it was through once.
async fn recover_under_kills(dir: &Path, secret: &str, old: &str) -> anyhow::Result<()> {
    for delay in (0..40).map(|step| Duration::from_millis(step * 15)) {
        let mut child = command(dir, secret, &["--yes", old])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        tokio::time::sleep(delay).await;
        child.kill().ok();
        child.wait()?;
        let now = recover(dir, secret, &[])?;
        assert!(now.status.success(), "after a kill at {delay:?}: {}", said(&now));
        if after(&said(&now), "\ncluster ")? != old {
            return Ok(());
        }
    }
    let done = recover(dir, secret, &["--yes", old])?;
    anyhow::ensure!(done.status.success(), "{}", said(&done));
    Ok(())
}

async fn lose_two(setup: &mut Setup) -> anyhow::Result<()> {
    setup.cluster.kill_all().await?;
    fs::remove_dir_all(setup.home(1))?;
    Ok(fs::rename(setup.home(2), setup.home(2).with_extension("old"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_goes_on_with_its_keys_and_an_old_disk_is_refused() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"key_alias": "kept"})).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    let secret = setup.cluster.secret().to_owned();
    let home = setup.home(0);
    let running = recover(&home, &secret, &[])?;
    assert!(said(&running).contains("in use by another dunlin process"), "{}", said(&running));
    lose_two(&mut setup).await?;

    let plan = recover(&home, &secret, &[])?;
    let text = said(&plan);
    assert!(plan.status.success() && text.contains("Nothing was changed"), "{text}");
    assert_eq!(text.matches("lost: never comes back").count(), 2, "{text}");
    let old = after(&text, "\ncluster ")?.to_owned();
    let wrong = recover(&home, "another secret of a cluster", &["--yes", &old])?;
    assert!(said(&wrong).contains("another cluster secret"), "{}", said(&wrong));
    let unset =
        command(&home, &secret, &["--yes", &old]).env_remove("DUNLIN_CLUSTER_SECRET").output()?;
    assert!(!unset.status.success(), "{}", said(&unset));
    assert!(said(&unset).contains("DUNLIN_CLUSTER_SECRET is not set"), "{}", said(&unset));
    let behind = recover(&home, &secret, &["--yes", &old, "--other", "999/1"])?;
    assert!(said(&behind).contains("recover the other one"), "{}", said(&behind));
    let other = recover(&home, &secret, &["--yes", "00000000000000000000000000000001"])?;
    assert!(said(&other).contains("not the id of this node's cluster"), "{}", said(&other));
    let none = recover(&setup.home(1), &secret, &[])?;
    assert!(said(&none).contains("not the data directory of a cluster member"), "{}", said(&none));
    recover_under_kills(&home, &secret, &old).await?;

    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200, "its keys work");
    let alone = setup.make_key(0, json!({"key_alias": "made alone"})).await?;
    let now = setup.cluster.status(0).await?;
    assert_ne!(now.cluster.map(|cluster| cluster.to_string()), Some(old));
    assert_eq!((now.members.len(), now.removed.len()), (1, 2));

    setup.cluster.restart(1)?;
    setup.cluster.wait_ready(FORMED).await?;
    for key in [&caller, &alone] {
        assert_eq!(setup.chat(1, key).await?.status, 200, "a new node has joined");
    }
    fs::rename(setup.home(2).with_extension("old"), setup.home(2))?;
    setup.cluster.restart(2)?;
    wait_until("the old disk's node ends", FORMED, async || setup.cluster.running().len() == 2)
        .await?;
    let log = fs::read_to_string(setup.cluster.nodes()[2].log())?;
    assert!(log.contains("continues in its place from a survivor"), "{log}");
    fs::remove_dir_all(setup.home(2))?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(setup.chat(2, &alone).await?.status, 200);
    Ok(())
}
