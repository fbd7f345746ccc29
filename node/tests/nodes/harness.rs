//! What every test starts from: a running cluster, its mock upstream and a few calls.

pub(crate) mod receiver;
mod scripted;
pub(crate) mod sockets;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use dunlin_cluster::{CallError, Client, Cluster, Launcher, Reply};
use dunlin_journal::{Query, Shelf};
use dunlin_mock_upstream::{MockUpstream, Settings};
use dunlin_types::NodeId;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use scripted::Scripted;

/// For things that take a moment: a debug build on a busy machine with two cores.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// For a cluster to form or to come back.
pub(crate) const FORMED: Duration = Duration::from_secs(30);
/// The bound on the spread of a key change over connected nodes.
pub(crate) const SPREAD: Duration = Duration::from_secs(1);

/// The price of the model `chat`, in dollars a token.
pub(crate) const INPUT_COST: f64 = 1e-6;
pub(crate) const OUTPUT_COST: f64 = 2e-6;

/// A ready cluster. The nodes go first when it is dropped, their directory last.
pub(crate) struct Setup {
    pub(crate) cluster: Cluster,
    pub(crate) mock: MockUpstream,
    dir: TempDir,
}

/// A cluster whose model `chat` is one mock.
pub(crate) async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = chat_config(&mock.api_base());
    start_with(nodes, mock, config).await
}

/// A cluster with a config of the test's own.
pub(crate) async fn start_with(
    nodes: usize,
    mock: MockUpstream,
    config: String,
) -> anyhow::Result<Setup> {
    start_gated(nodes, None, mock, config).await
}

/// The same, one of whose nodes can be cut off from the calls of the others.
pub(crate) async fn start_gated(
    nodes: usize,
    gated: Option<usize>,
    mock: MockUpstream,
    config: String,
) -> anyhow::Result<Setup> {
    let dir = tempfile::Builder::new().prefix("dunlin-test-").tempdir()?;
    let launcher = Launcher::new(binary(), dir.path().to_owned(), config);
    let launcher = Launcher { nodes, gated, ..launcher };
    let mut cluster = launcher.start().await?;
    cluster.wait_ready(FORMED).await?;
    Ok(Setup { cluster, mock, dir })
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_dunlin"))
}

/// `chat` at `api_base`, priced, with no retries.
pub(crate) fn chat_config(api_base: &str) -> String {
    format!(
        "model_list:\n{}router_settings:\n  num_retries: 0\n",
        deployment("chat", "openai/upstream-name", api_base)
    )
}

/// One entry of a `model_list`.
pub(crate) fn deployment(model: &str, upstream: &str, api_base: &str) -> String {
    format!(
        "  - model_name: {model}\n    litellm_params:\n      model: {upstream}\n      \
         api_base: {api_base}\n      api_key: sk-upstream\n      \
         input_cost_per_token: {INPUT_COST}\n      output_cost_per_token: {OUTPUT_COST}\n"
    )
}

/// A short chat request.
pub(crate) fn chat_body() -> Value {
    json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}]})
}

impl Setup {
    /// Makes a key on a node and gives a caller that shows it.
    pub(crate) async fn make_key(&self, node: usize, fields: Value) -> anyhow::Result<Client> {
        let reply = self.admin(node, "/key/generate", fields).await?;
        let made: Value = reply.json()?;
        let key = made["key"].as_str().with_context(|| format!("no key in {made}"))?;
        Ok(self.cluster.client().with_key(key))
    }

    /// A POST with the master key that must succeed.
    pub(crate) async fn admin(
        &self,
        node: usize,
        path: &str,
        body: Value,
    ) -> anyhow::Result<Reply> {
        let reply = self.cluster.client().post(&self.cluster.url(node, path), &body).await?;
        ensure!(reply.ok(), "POST {path} on node {node}: {} {}", reply.status, reply.body);
        Ok(reply)
    }

    /// A short chat on one node.
    pub(crate) async fn chat(&self, node: usize, caller: &Client) -> Result<Reply, CallError> {
        self.ask(node, caller, &chat_body()).await
    }

    /// A chat completion with a body of the test's own.
    pub(crate) async fn ask(
        &self,
        node: usize,
        caller: &Client,
        body: &Value,
    ) -> Result<Reply, CallError> {
        caller.post(&self.cluster.url(node, "/v1/chat/completions"), body).await
    }

    /// What `/key/info` of one node says of the caller's key.
    pub(crate) async fn key_info(&self, node: usize, caller: &Client) -> anyhow::Result<Value> {
        let path = format!("/key/info?key={}", caller.key());
        let reply = self.cluster.client().get(&self.cluster.url(node, &path)).await?;
        ensure!(reply.ok(), "GET /key/info on node {node}: {} {}", reply.status, reply.body);
        let mut answer: Value = reply.json()?;
        Ok(answer["info"].take())
    }
}

impl Setup {
    /// Where the cluster has its files.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of a node.
    pub(crate) fn home(&self, node: usize) -> PathBuf {
        self.dir.path().join(self.cluster.nodes()[node].name())
    }

    /// Gives every node another config file from its next start on.
    pub(crate) fn write_config(&self, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.dir.path().join("config.yaml"), text)?)
    }

    /// Whether a text stands anywhere in the nodes' data directories, as it is or in hex.
    pub(crate) fn stores(&self, text: &str) -> anyhow::Result<bool> {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let forms = [text.as_bytes(), hex.as_bytes()];
        let nodes = self.cluster.nodes().iter();
        let mut folders: Vec<_> = nodes.map(|node| self.dir.path().join(node.name())).collect();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = match std::fs::read(path) {
                    // The node writes beside it, and renames.
                    Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
                    bytes => bytes?,
                };
                let holds = |form: &[u8]| bytes.windows(form.len()).any(|part| part == form);
                if forms.into_iter().any(holds) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What a node has on record, oldest first.
    pub(crate) fn records(&self, node: usize) -> anyhow::Result<Vec<Value>> {
        let shelf = Shelf::open(NodeId(0), self.home(node).join("journal"))?;
        let all = Query { ascending: true, limit: usize::MAX, ..Query::default() };
        let found = dunlin_journal::search(&[shelf], &all, &|| false)?;
        Ok(found
            .rows
            .iter()
            .map(|row| serde_json::to_value(&row.record))
            .collect::<Result<_, _>>()?)
    }
}

/// The nodes' last words. The test runner shows them when the test fails.
impl Drop for Setup {
    fn drop(&mut self) {
        eprintln!("{}", self.cluster.log_tails());
    }
}

/// The status and the body of an answer to a request without a body.
pub(crate) async fn send(
    setup: &Setup,
    node: usize,
    caller: &Client,
    method: &str,
    path: &str,
) -> anyhow::Result<(u16, String)> {
    let method = reqwest::Method::from_bytes(method.as_bytes())?;
    let url = setup.cluster.url(node, path);
    let request = dunlin_cluster::http_client()?.request(method, url).bearer_auth(caller.key());
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// The same where the body is JSON.
pub(crate) async fn send_json(
    setup: &Setup,
    node: usize,
    caller: &Client,
    method: &str,
    path: &str,
) -> anyhow::Result<(u16, Value)> {
    let (status, body) = send(setup, node, caller, method, path).await?;
    Ok((status, serde_json::from_str(&body)?))
}

/// What a client reads in an error: the object inside `error`.
pub(crate) fn error_of(reply: &Reply) -> anyhow::Result<Value> {
    let mut body: Value = reply.json()?;
    let error = body["error"].take();
    ensure!(error.is_object(), "no error in: {}", reply.body);
    ensure!(
        error["code"] == Value::String(reply.status.to_string()),
        "`code` is not the status {} as text in: {}",
        reply.status,
        reply.body
    );
    Ok(error)
}

/// Asserts status and `type`, and that the message begins as the contract has it.
#[track_caller]
pub(crate) fn assert_error(reply: &Reply, status: u16, kind: Value, message: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    let error = error_of(reply).expect("an error object");
    assert_eq!(error["type"], kind, "{}", reply.body);
    let text = error["message"].as_str().expect("a message");
    assert!(text.starts_with(message), "expected `{message}…`, got `{text}`");
}
