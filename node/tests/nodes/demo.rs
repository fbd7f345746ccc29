//! `dunlin demo`: ready in seconds, what it prints works, nothing is left behind.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use dunlin_cluster::{CallError, Client};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness;

/// The promise is 5 s for a release build on a free machine.
const READY: Duration = Duration::from_secs(20);
const ENDS: Duration = Duration::from_secs(20);

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// All that was printed until it said that it was ready.
    facts: String,
}

async fn start(temporary: &std::path::Path) -> anyhow::Result<Running> {
    let mut child = Command::new(harness::binary())
        .args(["demo", "--load", "20"])
        .env_clear()
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    let mut facts = String::new();
    let reading = async {
        while let Some(line) = lines.next_line().await? {
            facts += &(line.clone() + "\n");
            if line.starts_with("Ready in ") {
                return Ok(());
            }
        }
        anyhow::bail!("the demo ended: {facts}")
    };
    tokio::time::timeout(READY, reading).await.context("the demo was not ready in time")??;
    Ok(Running { child, lines, facts })
}

/// The word after this one in what was printed.
fn word_after<'a>(facts: &'a str, label: &str) -> anyhow::Result<&'a str> {
    let mut words = facts.split_whitespace().skip_while(|word| *word != label);
    words.nth(1).with_context(|| format!("no `{label}` in: {facts}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_demo_prints_works_and_an_interrupt_leaves_nothing() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let Running { mut child, mut lines, facts } = start(temporary.path()).await?;
    let url = format!("{}/v1/chat/completions", word_after(&facts, "nodes")?);
    let caller = Client::new(word_after(&facts, "key")?)?;
    let reply = caller.post(&url, &harness::chat_body()).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);

    let counted = tokio::time::timeout(ENDS, lines.next_line()).await??;
    let counted = counted.context("a line every five seconds")?;
    assert!(counted.starts_with("3 of 3 nodes, 20 requests/s: "), "{counted}");
    assert!(counted.contains(" 0 failed"), "{counted}");

    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("it runs")?;
    kill_process(pid, Signal::INT)?;
    let ended = tokio::time::timeout(ENDS, child.wait()).await??;
    assert!(ended.success(), "{ended}");
    assert_eq!(std::fs::read_dir(temporary.path())?.count(), 0, "files are left");
    let gone = caller.post(&url, &harness::chat_body()).await;
    assert!(matches!(gone, Err(CallError::Refused(_))), "a node is left: {gone:?}");
    Ok(())
}
