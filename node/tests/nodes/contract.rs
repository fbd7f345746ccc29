//! The contract as data: every route with its aliases, fields and their types, errors, pages, rights
//! and headers, in the tables beside this file. All that differs is told at once.

mod judge;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use dunlin_cluster::{Reply, http_client};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::Value;

use crate::harness::{self, INPUT_COST, OUTPUT_COST, Setup, deployment};
use judge::short;
use table::Row;

/// In this order: a table may use what those before it have kept.
const TABLES: [&str; 6] = ["keys", "owners", "spend", "models", "llm", "who"];

/// How long a row that waits is asked again, and how often.
const UNTIL: Duration = harness::SOON;
const PAUSE: Duration = Duration::from_millis(100);

/// Where deliberate differences are told.
const DOCS: [&str; 3] = ["litellm.md", "management.md", "operations.md"];

/// The rows of all tables.
fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in TABLES {
        rows.extend(table::read(name, &text(&format!("tests/nodes/contract/{name}.txt"))?));
    }
    Ok(rows)
}

/// A file, by its path from this crate's folder: a table is changed without building anything.
fn text(path: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_takes_and_answers_what_the_contract_says() -> anyhow::Result<()> {
    let rows = rows()?;
    let mut walk = Walk::start().await?;
    for (number, row) in rows.iter().enumerate() {
        walk.row(number, row).await;
    }
    walk.routes_without_a_row().await?;
    let asked = walk.asked;
    eprintln!("{} rows, {asked} requests", rows.len());
    ensure!(walk.told.is_empty(), "{} differences:\n{}", walk.told.len(), walk.told.join("\n"));
    Ok(())
}

#[test]
fn what_differs_on_purpose_is_documented() -> anyhow::Result<()> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut docs = Vec::new();
    for name in DOCS {
        docs.push(plain(&text(&format!("../docs/{name}"))?));
    }
    for row in rows()? {
        for words in &row.differs {
            let told = docs.iter().any(|text| text.contains(&plain(words)));
            ensure!(told, "{} {}: no document says `{words}`", row.at, row.path);
        }
    }
    Ok(())
}

/// A walk over the tables.
struct Walk {
    setup: Setup,
    http: reqwest::Client,
    kept: BTreeMap<String, String>,
    /// Methods and paths without their queries.
    walked: BTreeSet<(String, String)>,
    asked: usize,
    told: Vec<String>,
}

/// One request, all names in it replaced.
struct Request<'r> {
    row: &'r Row,
    node: usize,
    path: String,
    by: &'r str,
}

impl Walk {
    async fn start() -> anyhow::Result<Self> {
        let mock = MockUpstream::start(Settings::default()).await?;
        let base = mock.api_base();
        let setup = harness::start_with(2, mock, config(&base)).await?;
        let master = setup.cluster.master_key().to_owned();
        let kept = [("MASTER_KEY".to_owned(), master), ("API_BASE".to_owned(), base)].into();
        let (walked, told) = (BTreeSet::new(), Vec::new());
        Ok(Self { setup, http: http_client()?, kept, walked, asked: 0, told })
    }

    /// Asks as a row says, at one node and the other in turn.
    async fn row(&mut self, number: usize, row: &Row) {
        let node = number % 2;
        for path in [&row.path].into_iter().chain(&row.also) {
            let path = match self.filled(path) {
                Ok(path) => path,
                Err(missing) => return self.tell(row, &row.path, &row.by, vec![missing]),
            };
            if row.may.is_empty() {
                self.whole(&Request { row, node, path, by: &row.by }).await;
                continue;
            }
            for (by, status) in &row.may {
                let request = Request { row, node, path: path.clone(), by };
                let faults = match self.send(&request).await {
                    Ok(reply) => judge_status(row, &reply, *status),
                    Err(error) => vec![format!("{error:#}")],
                };
                self.tell(row, &request.path, by, faults);
            }
        }
    }

    /// Asks outside a matrix; `until` it is as expected, where the row says so.
    async fn whole(&mut self, request: &Request<'_>) {
        let row = request.row;
        let (mut reply, mut faults) = self.ask(request).await;
        for _ in 0..UNTIL.as_millis() / PAUSE.as_millis() {
            if !row.until || faults.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            (reply, faults) = self.ask(request).await;
        }
        self.tell(row, &request.path, request.by, faults);
        let answer = reply.and_then(|reply| serde_json::from_str::<Value>(&reply.body).ok());
        for (name, path) in &row.keeps {
            let (path, length) = path.split_once(':').unwrap_or((path, ""));
            let found = answer.iter().flat_map(|answer| judge::at(answer, path)).next();
            let Some(found) = found.and_then(|(_, found)| found) else {
                let fault = format!("{path} is not there to be kept");
                self.tell(row, &request.path, request.by, vec![fault]);
                continue;
            };
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            let length = length.parse().unwrap_or(usize::MAX);
            self.kept.insert(name.clone(), text.chars().take(length).collect());
        }
    }

    async fn ask(&mut self, request: &Request<'_>) -> (Option<Reply>, Vec<String>) {
        match self.send(request).await {
            Ok(reply) => {
                let faults = self.judge(request.row, &reply);
                (Some(reply), faults)
            }
            Err(error) => (None, vec![format!("{error:#}")]),
        }
    }

    async fn send(&mut self, request: &Request<'_>) -> anyhow::Result<Reply> {
        let Request { row, node, path, by } = request;
        let method = reqwest::Method::from_bytes(row.method.as_bytes())?;
        let mut sent = self.http.request(method, self.setup.cluster.url(*node, path));
        for (name, value) in &row.headers {
            sent = sent.header(name, self.filled(value).map_err(anyhow::Error::msg)?);
        }
        if let Some(key) = self.key_of(by)? {
            sent = sent.bearer_auth(key);
        }
        if let Some(body) = &row.send {
            let body = self.filled(body).map_err(anyhow::Error::msg)?;
            sent = sent.header("content-type", "application/json").body(body);
        }
        if !row.form.is_empty() {
            let parts: Result<Vec<_>, _> = row.form.iter().map(|part| self.filled(part)).collect();
            let body = form(&parts.map_err(anyhow::Error::msg)?)?;
            sent = sent.header("content-type", "multipart/form-data; boundary=B").body(body);
        }
        let answer = sent.send().await?;
        self.asked += 1;
        let plain = path.split('?').next().unwrap_or_default().to_owned();
        self.walked.insert((row.method.clone(), plain));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let (mut answer, mut body) = (answer, Vec::new());
        // A stream that fails under way breaks off: what came before that counts.
        while let Ok(Some(part)) = answer.chunk().await {
            body.extend_from_slice(&part);
        }
        Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// The key of someone who asks: `none` shows none, the others are kept as `NAME_KEY`.
    fn key_of(&self, by: &str) -> anyhow::Result<Option<String>> {
        if by == "none" {
            return Ok(None);
        }
        let name = format!("{}_KEY", by.to_uppercase());
        let key = self.kept.get(&name).with_context(|| format!("{name} was not kept"))?;
        Ok(Some(key.clone()))
    }

    fn judge(&self, row: &Row, reply: &Reply) -> Vec<String> {
        let status = row.status.expect("a row outside a matrix has one");
        let mut told = judge_status(row, reply, status);
        if reply.status != status {
            return told;
        }
        let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let mut faults = Vec::new();
        for field in row.fields.iter().map(|field| self.filled(field)) {
            match field {
                Ok(field) => faults.extend(judge::field(&answer, &field)),
                Err(missing) => told.push(missing),
            }
        }
        if let Some((under, except)) = &row.echo {
            let sent = self.filled(row.send.as_deref().unwrap_or("{}")).unwrap_or_default();
            let sent: Value = serde_json::from_str(&sent).unwrap_or_default();
            faults.extend(judge::echo(&sent, &answer, under, except));
        }
        let heads = heads(reply);
        let heads = row.heads.iter().flat_map(|head| judge::field(&heads, head));
        faults.extend(heads.map(|(name, want, got)| (format!("header {name}"), want, got)));
        let says = row.says.iter().filter(|text| !reply.body.contains(text.as_str()));
        let body = short(&Value::String(reply.body.clone()));
        faults.extend(says.map(|text| ("body".to_owned(), text.clone(), body.clone())));
        let faults = faults.into_iter();
        told.extend(faults.map(|(at, want, got)| format!("{at}: expected {want}, got {got}")));
        told
    }

    fn tell(&mut self, row: &Row, path: &str, by: &str, faults: Vec<String>) {
        let by = if by == "master" { String::new() } else { format!(" by {by}") };
        let told = faults.into_iter();
        self.told.extend(told.map(|it| format!("{} {} {path}{by} · {it}", row.at, row.method)));
    }

    /// A text with what was kept in the place of `{NAMES}`.
    fn filled(&self, text: &str) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let end = after.find('}').unwrap_or_default();
            let name = &after[..end];
            let is_name =
                |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_name) {
                filled.push('{');
                rest = after;
                continue;
            }
            let value = self.kept.get(name).ok_or_else(|| format!("{name} was not kept"))?;
            filled.push_str(value);
            rest = &after[end + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Whatever is served and has no row is a difference too.
    async fn routes_without_a_row(&mut self) -> anyhow::Result<()> {
        let reply = self.setup.cluster.client().get(&self.setup.cluster.url(0, "/routes")).await?;
        let served: Value = reply.json()?;
        let elsewhere = text("tests/nodes/contract/elsewhere.txt")?;
        let elsewhere: Vec<(&str, &str)> = elsewhere
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                words.next().zip(words.next())
            })
            .collect();
        for route in served["routes"].as_array().context("routes")? {
            let path = route["path"].as_str().context("a path")?;
            for method in route["methods"].as_array().context("methods")? {
                let method = method.as_str().context("a method")?;
                let is_walked = self
                    .walked
                    .iter()
                    .any(|(asked, walked)| asked == method && is_at(path, walked));
                let is_elsewhere = elsewhere
                    .iter()
                    .any(|(by, end)| ["*", method].contains(by) && path.ends_with(end));
                if !is_walked && !is_elsewhere {
                    self.told.push(format!("{method} {path} has no row"));
                }
            }
        }
        Ok(())
    }
}

/// The status, and where it is an error its shape, unless the row expects fields outside `error`.
fn judge_status(row: &Row, reply: &Reply, status: u16) -> Vec<String> {
    if reply.status != status {
        let told = short(&Value::String(reply.body.clone()));
        return vec![format!("status: expected {status}, got {} {told}", reply.status)];
    }
    if status < 400 || !row.fields.iter().all(|field| field.starts_with("error.")) {
        return Vec::new();
    }
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    if status == 422 && !row.may.is_empty() {
        let faults = judge::field(&answer, "detail[].msg:str").into_iter();
        return faults.map(|(at, want, got)| format!("{at}: expected {want}, got {got}")).collect();
    }
    let code = format!("error.code=\"{status}\"");
    let shape = ["error.message:str", "error.type:str|null", "error.param:str|null", &code];
    let faults = shape.iter().flat_map(|field| judge::field(&answer, field));
    let told = short(&answer);
    faults.map(|(at, want, got)| format!("{at}: expected {want}, got {got} in {told}")).collect()
}

/// Whether a path is one of a route's.
fn is_at(route: &str, path: &str) -> bool {
    if let Some((before, _)) = route.split_once("{*") {
        return path.starts_with(before) && path.len() > before.len();
    }
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(found)) if part == found || part.starts_with('{') => {}
            _ => return false,
        }
    }
}

fn heads(reply: &Reply) -> Value {
    let heads = reply.headers.iter();
    heads.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect()
}

/// A multipart form between lines `--B`.
fn form(parts: &[String]) -> anyhow::Result<String> {
    let mut body = String::new();
    for part in parts {
        let (name, value) = part.split_once('=').context("name=value")?;
        let (file, value) = match value.strip_prefix('@') {
            None => (String::new(), value),
            Some(file) => {
                let (file, text) = file.split_once(':').context("@name:content")?;
                (format!("; filename=\"{file}\""), text)
            }
        };
        let head = format!("content-disposition: form-data; name=\"{name}\"{file}");
        write!(body, "--B\r\n{head}\r\n\r\n{value}\r\n")?;
    }
    body.push_str("--B--\r\n");
    Ok(body)
}

/// The models of the tables: `chat`; `free`, which costs nothing; `broken`, whose server is away;
/// `shaky`, whose fallback is `chat`; one for each other mode; `claude`, whose provider is Anthropic.
fn config(api_base: &str) -> String {
    let free = deployment("free", "openai/upstream-name", api_base);
    let free = free.replace(&format!("{INPUT_COST}"), "0").replace(&format!("{OUTPUT_COST}"), "0");
    let away = "http://127.0.0.1:9/v1";
    let mut config = "model_list:\n".to_owned();
    config += &deployment("chat", "openai/upstream-name", api_base);
    config += "    model_info: {id: chat-1}\n";
    config += &free;
    config += &deployment("broken", "openai/upstream-name", away);
    config += &deployment("shaky", "openai/upstream-name", away);
    for (name, mode) in [
        ("embed", "embedding"),
        ("image", "image_generation"),
        ("speech", "audio_speech"),
        ("hear", "audio_transcription"),
        ("judge", "moderation"),
        ("rank", "rerank"),
    ] {
        let provider = if name == "rank" { "cohere" } else { "openai" };
        config += &deployment(name, &format!("{provider}/upstream-name"), api_base);
        config += &format!("    model_info: {{mode: {mode}}}\n");
    }
    config += &deployment("claude", "anthropic/upstream-name", api_base.trim_end_matches("/v1"));
    config += "router_settings:\n  num_retries: 0\n  fallbacks: [{shaky: [chat]}]\n";
    config += "general_settings:\n  api_model_networks: [loopback]\n";
    config
}
