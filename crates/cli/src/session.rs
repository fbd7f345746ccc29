//! Calls to nodes, and what is made of their answers. A call that surely began nothing may be
//! repeated at the next node; a change that may have been begun is never repeated.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::target::{NamedKey, Nodes};

/// A node in the same network accepts at once or is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The longest page of keys is far shorter; what is longer is not from a node.
const MAX_ANSWER_BYTES: usize = 32 << 20;
const NAME_A_NODE: &str = "is a node running there? name a running one with --url or DUNLIN_URL, \
                           or several, separated by commas";
const NOTHING_BEGUN: &str = "nothing was begun; `dunlin health` says what the node waits for, and `dunlin status` of \
     another node which are missing";
const GIVE_A_KEY: &str =
    "set DUNLIN_API_KEY or LITELLM_MASTER_KEY, or name a file with the key: --api-key-file";
const NOT_A_NODE: &str = "check --url: it must be a node's address for clients, usually port 4000";

pub(crate) type Object = Map<String, Value>;

/// What a command works with.
pub(crate) struct Session {
    http: reqwest::Client,
    urls: Vec<String>,
    timeout: Duration,
    key: Option<NamedKey>,
    pub(crate) output: Output,
    pub(crate) quiet: bool,
}

/// A good answer.
pub(crate) struct Answer {
    /// The node that gave it.
    pub(crate) url: String,
    /// When, to the second: `2027-01-15T08:00:00`.
    pub(crate) at: Option<String>,
    body: Vec<u8>,
}

/// What came back.
struct Fetched {
    status: u16,
    /// Its age, if it is stale.
    stale: Option<String>,
    at: Option<String>,
    /// The body, or the first bytes of one that is too long.
    body: Vec<u8>,
}

impl Session {
    pub(crate) fn new(nodes: &Nodes, key: Option<NamedKey>) -> Result<Self> {
        let unbuilt =
            |error: &dyn ToString| Failure::here(format!("no HTTP: {}", error.to_string()));
        let encrypted = nodes.url.iter().any(|url| url.starts_with("https:"));
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(encrypted).map_err(|error| unbuilt(&error))?)
            // A proxy to the outside knows no inner names, and the key is not for its eyes.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // The audit log tells what was done by it.
            .user_agent(concat!("dunlin-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN.min(nodes.timeout))
            .timeout(nodes.timeout)
            .build()
            .map_err(|error| unbuilt(&error))?;
        let (urls, timeout) = (nodes.url.clone(), nodes.timeout);
        Ok(Self { http, urls, timeout, key, output: Output::TABLE, quiet: false })
    }

    /// Refuses to guess which of several nodes is meant.
    pub(crate) fn only_one(&self, verb: &str) -> Result {
        match self.urls.as_slice() {
            [_] => Ok(()),
            urls => {
                let message = format!("which of {} should {verb}?", urls.join(", "));
                Err(Failure::usage(message, "name that one with --url"))
            }
        }
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        self.send(path, query, None, true).await
    }

    /// Asks for a change.
    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.change(Method::POST, path, body, false).await
    }

    /// Asks for a change that, made twice, is made once.
    pub(crate) async fn post_repeatable(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer> {
        self.change(Method::POST, path, body, true).await
    }

    /// Asks for a change of what is there.
    pub(crate) async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.change(Method::PATCH, path, body, false).await
    }

    /// Asks that something be gone.
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer> {
        self.change(Method::DELETE, path, &Object::new(), false).await
    }

    async fn change(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        repeatable: bool,
    ) -> Result<Answer> {
        let body = serde_json::value::to_raw_value(body).expect("plain data with text keys");
        self.send(path, &[], Some((method, &body)), repeatable).await
    }

    /// Asks each node in turn until one decides.
    async fn send(
        &self,
        path: &str,
        query: &[(&str, &str)],
        change: Option<(Method, &RawValue)>,
        repeatable: bool,
    ) -> Result<Answer> {
        let mut tried = Vec::new();
        for base in &self.urls {
            let failure = match self.ask(base, path, query, change.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let harmless = repeatable && failure.exit == Exit::OutcomeUnknown;
            if failure.exit != Exit::Unavailable && !harmless {
                return Err(failure);
            }
            tried.push(failure);
        }
        if tried.len() == 1 {
            return Err(tried.remove(0));
        }
        let each: Vec<_> = tried.into_iter().map(|failure| failure.message).collect();
        let message = format!("no node can do this now\n{}", each.join("\n"));
        Err(Failure::new(Exit::Unavailable, message, NAME_A_NODE))
    }

    /// Asks one node.
    pub(crate) async fn ask(
        &self,
        base: &str,
        path: &str,
        query: &[(&str, &str)],
        change: Option<(Method, &RawValue)>,
    ) -> Result<Answer> {
        let mut url = Url::parse(&format!("{base}{path}"))
            .expect("the base was parsed with the arguments, and paths are ours");
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let changes = change.is_some();
        let request = match change {
            Some((method, body)) => self.http.request(method, url).json(body),
            None => self.http.request(Method::GET, url),
        };
        let request = match &self.key {
            Some(named) => request.bearer_auth(named.key.expose()),
            None => request,
        };
        let Fetched { status, stale, at, body } =
            fetch(request).await.map_err(|error| self.unanswered(base, changes, &error))?;
        if body.len() > MAX_ANSWER_BYTES {
            return Err(strange(base, "the answer is too long"));
        }
        if !(200..300).contains(&status) {
            return Err(self.refused(base, status, &body));
        }
        if let Some(age) = stale {
            let age = if age == "unknown" { "old".to_owned() } else { format!("{age} ms old") };
            self.say(&format!("note: {base} cannot reach the leader, so this may be {age}"));
        }
        Ok(Answer { url: base.to_owned(), at, body })
    }

    fn unanswered(&self, base: &str, changes: bool, error: &reqwest::Error) -> Failure {
        if error.is_connect() {
            let message = format!("{base} cannot be reached: {}", innermost(error));
            return Failure::new(Exit::Unavailable, message, NAME_A_NODE);
        }
        let what = if error.is_timeout() {
            format!("{base} did not answer within {:?}", self.timeout)
        } else {
            format!("the connection to {base} broke before the answer was complete")
        };
        let (end, help) = if changes {
            ("; the change may still take effect", "check before you repeat it: `dunlin key list`")
        } else {
            ("", "ask another node with --url, or give this one more time with --timeout")
        };
        Failure::new(Exit::OutcomeUnknown, what + end, help)
    }

    fn refused(&self, base: &str, status: u16, body: &[u8]) -> Failure {
        let Some(reason) = reason(body) else {
            return strange(base, &format!("status {status} without a reason"));
        };
        let told = format!("{base}: {reason}");
        match (status, &self.key) {
            (401 | 403, None) => {
                let message = format!("{base} requires a key: {reason}");
                Failure::new(Exit::Unauthorised, message, GIVE_A_KEY)
            }
            (401 | 403, Some(named)) => {
                let message =
                    format!("{base} does not accept the key in {}: {reason}", named.source);
                let help = "commands for the cluster and its keys need the nodes' master key";
                Failure::new(Exit::Unauthorised, message, help)
            }
            // As LiteLLM tells that a name is taken.
            (400, _) if reason.contains("already exists") => Failure::new(Exit::Conflict, told, ""),
            (400 | 422, _) => Failure::usage(told, ""),
            (404, _) => Failure::new(Exit::NotFound, told, ""),
            (409, _) => Failure::new(Exit::Conflict, told, ""),
            (503, _) => Failure::new(Exit::Unavailable, told, NOTHING_BEGUN),
            (504, _) => Failure::new(Exit::OutcomeUnknown, told, "check before you repeat it"),
            _ => Failure::new(Exit::Failed, told, ""),
        }
    }

    /// Words for people, a line, unless they asked for none.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            crate::say(&format!("{}\n", crate::table::plain(line)));
        }
    }

    /// Says what the answer that holds `row` warns of.
    pub(crate) fn warn(&self, row: &Object) {
        let warnings = row.get("warnings").and_then(Value::as_array).into_iter().flatten();
        for warning in warnings {
            self.say(&format!("warning: {}", warning.as_str().unwrap_or_default()));
        }
    }

    /// Writes to stdout: `text` for people; for programs `json` with the name of its shape, to
    /// which fields are added and never changed.
    pub(crate) fn show(&self, schema: &str, json: Object, text: &str) -> Result {
        let shown = self.output.show(schema, Value::Object(json), text);
        shown.map_err(|error| Failure::unwritten(&error))
    }
}

impl Answer {
    /// The body as what it must be.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| self.strange(&error.to_string()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<String> {
        String::from_utf8(self.body.clone()).map_err(|_| self.strange("it is no text"))
    }

    pub(crate) fn strange(&self, what: &str) -> Failure {
        strange(&self.url, what)
    }
}

fn strange(base: &str, what: &str) -> Failure {
    let message = format!("{base} does not answer as a dunlin node does: {what}");
    Failure::new(Exit::Failed, message, NOT_A_NODE)
}

async fn fetch(request: RequestBuilder) -> reqwest::Result<Fetched> {
    let mut response = request.send().await?;
    let header = |name| response.headers().get(name)?.to_str().ok();
    let stale = header("x-dunlin-stale-ms").map(str::to_owned);
    let at = header("date").and_then(second);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(Fetched { status: response.status().as_u16(), stale, at, body })
}

/// A date of HTTP, `Fri, 15 Jan 2027 08:00:00 GMT`, as others are told.
fn second(date: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, day, month, year, time, _] = date.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    Some(format!("{year}-{month:02}-{day}T{time}"))
}

/// What a refusal says: an `error` in OpenAI's shape, the faults of a body in FastAPI's, or why a
/// node is not ready.
fn reason(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Refusal {
        Error { message: String },
        Detail(Vec<Fault>),
        Reason(String),
    }
    #[derive(Deserialize)]
    struct Fault {
        loc: Vec<Value>,
        msg: String,
    }
    let body: Object = serde_json::from_slice(body).ok()?;
    let part = ["error", "detail", "reason"].into_iter().find_map(|name| {
        let part = Object::from_iter([(name.to_owned(), body.get(name)?.clone())]);
        serde_json::from_value(Value::Object(part)).ok()
    });
    let fault = |Fault { loc, msg }: Fault| {
        let place = loc.iter().skip(1);
        let place = place.map(|step| step.as_str().map_or(step.to_string(), str::to_owned));
        format!("{}: {msg}", place.collect::<Vec<_>>().join("."))
    };
    Some(match part? {
        Refusal::Error { message } | Refusal::Reason(message) => message,
        Refusal::Detail(faults) => faults.into_iter().map(fault).collect::<Vec<_>>().join("; "),
    })
}

/// The first cause, in words: the layers above it only say that a request failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return "nothing listens there".to_owned();
        }
        words = cause.to_string();
        next = cause.source();
    }
    if error.is_timeout() { "no connection in time".to_owned() } else { words }
}

/// TLS that trusts what the machine trusts. The certificates are read only if they are needed.
fn tls(encrypted: bool) -> std::result::Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    if encrypted {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_each_shape_a_node_speaks() {
        for (body, told) in [
            (r#"{"error": {"message": "No such key", "code": "404"}}"#, Some("No such key")),
            (
                r#"{"detail": [{"type": "t", "loc": ["body", "models", 1], "msg": "not text"},
                    {"type": "t", "loc": ["query", "size"], "msg": "too much"}]}"#,
                Some("models.1: not text; size: too much"),
            ),
            (r#"{"status": "unhealthy", "reason": "no config"}"#, Some("no config")),
            ("<html>Bad Gateway</html>", None),
            (r#"{"detail": "Not Found"}"#, None),
        ] {
            assert_eq!(reason(body.as_bytes()).as_deref(), told, "{body}");
        }
    }

    #[test]
    fn a_date_of_http_is_a_second_as_others_are_told() {
        let told = second("Fri, 15 Jan 2027 08:00:00 GMT");
        assert_eq!(told.as_deref(), Some("2027-01-15T08:00:00"));
        assert_eq!((second("yesterday"), second("Fri, 15 Jnu 2027 08:00:00 GMT")), (None, None));
    }
}
