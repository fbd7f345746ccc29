//! What a node logs never decides whether it serves: where stderr is full, gone or not read, clients
//! notice nothing, and what is lost is counted.

use std::fs::OpenOptions;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use dunlin_cluster::{Client, free_ports, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::unix::pipe::{self, Receiver};
use tokio::process::{Child, Command};

use crate::harness::{self, FORMED, SOON};

const KEY: &str = "sk-of-a-node-and-its-log";
/// A node waits for open connections, its peers and its log before it ends.
const ENDS: Duration = Duration::from_secs(20);

/// A node of its own.
struct Alone {
    child: Child,
    base: String,
    caller: Client,
    dir: TempDir,
    _mock: MockUpstream,
}

async fn start(stderr: Stdio, flags: &[&str]) -> anyhow::Result<Alone> {
    start_after("", stderr, flags).await
}

/// The same from a shell that has run `before`.
async fn start_after(before: &str, stderr: Stdio, flags: &[&str]) -> anyhow::Result<Alone> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("config.yaml");
    let warned = "general_settings:\n  of_nobody: 1\n";
    std::fs::write(&config, harness::chat_config(&mock.api_base()) + warned)?;
    let port = free_ports(1)?[0].to_string();
    let child = Command::new("/bin/sh")
        .args(["-c", &format!("{before}\nexec \"$0\" \"$@\"")])
        .arg(harness::binary())
        .args(["serve", "--host", "127.0.0.1", "--port", &port, "--config"])
        .arg(config)
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(flags)
        .env_clear()
        .env("LITELLM_MASTER_KEY", KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()?;
    let base = format!("http://127.0.0.1:{port}");
    Ok(Alone { child, base, caller: Client::new(KEY)?, _mock: mock, dir })
}

impl Alone {
    async fn is_ready(&mut self) -> anyhow::Result<()> {
        let Self { child, base, caller, .. } = self;
        let ready = wait_until("the node is ready", FORMED, async || {
            if let Ok(Some(ended)) = child.try_wait() {
                panic!("the node ended: {ended}");
            }
            let reply = caller.get(&format!("{base}/health/readiness")).await;
            reply.is_ok_and(|reply| reply.status == 200)
        });
        ready.await
    }

    async fn chat(&self) -> anyhow::Result<()> {
        let url = format!("{}/v1/chat/completions", self.base);
        let reply = self.caller.post(&url, &harness::chat_body()).await?;
        anyhow::ensure!(reply.status == 200, "{}", reply.body);
        Ok(())
    }

    async fn lost(&self) -> anyhow::Result<u64> {
        let page = self.caller.get(&format!("{}/metrics/", self.base)).await?;
        let mut lines = page.body.lines();
        let told = lines.find_map(|line| line.strip_prefix("dunlin_log_lines_lost_total "));
        Ok(told.context("the metric is there")?.parse()?)
    }

    async fn make_key(&self) -> anyhow::Result<()> {
        let reply = self.caller.post(&format!("{}/key/generate", self.base), &json!({})).await?;
        anyhow::ensure!(reply.status == 200, "{}", reply.body);
        Ok(())
    }

    async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.context("it runs")?, Signal::TERM)?;
        let ended = tokio::time::timeout(ENDS, self.child.wait()).await;
        Ok(ended.context("the node does not end")??)
    }
}

/// The first line with these words, and what it is.
async fn line_with(
    lines: &mut Lines<impl AsyncBufRead + Unpin>,
    words: &str,
) -> anyhow::Result<String> {
    let reading = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains(words) {
                return Ok(line);
            }
        }
        anyhow::bail!("the log ended without `{words}`")
    };
    tokio::time::timeout(FORMED, reading).await.with_context(|| format!("no line `{words}`"))?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_costs_lines_and_no_request() -> anyhow::Result<()> {
    let full = OpenOptions::new().write(true).open("/dev/full")?;
    let (unread, gone) = std::io::pipe()?;
    drop(unread);
    for stderr in [Stdio::from(full), Stdio::from(gone)] {
        let mut node = start(stderr, &[]).await?;
        node.is_ready().await?;
        node.chat().await?;
        let is_counted = async || node.lost().await.is_ok_and(|lost| lost > 0);
        wait_until("what is lost is counted", SOON, is_counted).await?;
        let ended = node.stop().await?;
        assert!(ended.success(), "{ended}");
    }
    Ok(())
}

/// A pipe that is full, and its reader.
fn full_pipe() -> anyhow::Result<(Stdio, Receiver)> {
    let (writer, reader) = pipe::pipe()?;
    while writer.try_write(&[b'\n'; 4096]).is_ok() {}
    Ok((Stdio::from(writer.into_blocking_fd()?), reader))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_nobody_and_is_written_when_it_is_read()
-> anyhow::Result<()> {
    for is_read_later in [true, false] {
        let (stderr, reader) = full_pipe()?;
        let mut node = start(stderr, &[]).await?;
        node.is_ready().await?;
        node.make_key().await?;
        node.chat().await?;
        let mut lines = BufReader::new(reader).lines();
        if is_read_later {
            line_with(&mut lines, "api      http://").await?;
            line_with(&mut lines, "was created").await?;
        }
        let ended = node.stop().await?;
        assert!(ended.success(), "{ended}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_are_written_and_as_json_all_are() -> anyhow::Result<()> {
    let mut node = start(Stdio::piped(), &["--log-json"]).await?;
    node.is_ready().await?;
    let ended = node.stop().await?;
    assert!(ended.success(), "{ended}");
    let mut text = String::new();
    node.child.stderr.take().context("a pipe")?.read_to_string(&mut text).await?;
    let lines = text.lines().map(|line| serde_json::from_str(line).context(line.to_owned()));
    let lines = lines.collect::<anyhow::Result<Vec<Value>>>()?;
    let said = |message: &str| lines.iter().find(|line| line["fields"]["message"] == message);
    let starts = &said("dunlin starts").context("it says what it is")?["fields"];
    assert_eq!(starts["api"], node.base.trim_start_matches("http://"));
    assert!(starts["node.id"].is_string() && starts["version"].is_string(), "{starts}");
    assert!(said("ready").context("it says that")?["fields"]["duration_ms"].is_u64());
    let warned = lines.iter().find(|line| line.to_string().contains("of_nobody"));
    assert_eq!(warned.context("the config has a mistake")?["level"], "WARN");
    let last = "stopping: no new connections, open requests continue; a second signal cuts them";
    assert!(said(last).is_some(), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_says_why_and_takes_no_more_clients() -> anyhow::Result<()> {
    let mut node = start(Stdio::piped(), &[]).await?;
    node.is_ready().await?;
    let stderr = node.child.stderr.take().context("a pipe")?;
    let mut lines = BufReader::new(stderr).lines();
    let data = node.dir.path().join("data");
    std::fs::rename(&data, data.with_extension("gone"))?;
    let why = line_with(&mut lines, "identity.json").await?;
    assert!(why.contains("identity.json: No such file or directory"), "{why}");
    line_with(&mut lines, "this node cannot continue and exits").await?;
    let another = TcpStream::connect(node.base.trim_start_matches("http://")).await;
    assert!(another.is_err(), "it takes clients that it cannot serve");
    let ended = tokio::time::timeout(ENDS, node.child.wait()).await??;
    assert_eq!(ended.code(), Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clients_wait_for_a_connection_says_so() -> anyhow::Result<()> {
    // A few more than a node keeps for itself.
    let mut node = start_after("ulimit -n 264", Stdio::piped(), &[]).await?;
    node.is_ready().await?;
    let stderr = node.child.stderr.take().context("a pipe")?;
    let mut lines = BufReader::new(stderr).lines();
    let api = node.base.trim_start_matches("http://");
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(api).await?);
    }
    let told = line_with(&mut lines, "as many connections of clients are open as may be").await?;
    assert!(told.contains("connections=4"), "{told}");
    let url = format!("{}/health/liveliness", node.base);
    let (alive, ()) = tokio::join!(node.caller.get(&url), async { drop(idle) });
    assert_eq!(alive?.status, 200);
    Ok(())
}
