//! `general_settings.pass_through_endpoints`: paths that lead to addresses of the operator's
//! choosing. Those addresses are trusted, as everything in the file is.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dunlin_router::PassThrough;
use dunlin_types::{PicoUsd, Secret};
use http::{HeaderName, HeaderValue, Method};

use crate::check::{self, Unknown};
use crate::destination::callable;
use crate::diagnostic::{Code, Diagnostic};
use crate::keys;
use crate::report::Report;
use crate::tree::{Map, Node};

const LIST: &str = "general_settings.pass_through_endpoints";
/// LiteLLM's `pass_through_request_timeout`.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Headers that LiteLLM makes Langfuse's authorization of.
const LANGFUSE: [&str; 2] = ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"];

/// Paths of ours, with all that is below them.
const OURS: &[&str] = &[
    "/anthropic",
    "/audio",
    "/azure",
    "/azure_ai",
    "/bedrock",
    "/cerebras",
    "/chat",
    "/cluster",
    "/cohere",
    "/completions",
    "/deepseek",
    "/embeddings",
    "/engines",
    "/fireworks_ai",
    "/gemini",
    "/groq",
    "/health",
    "/hosted_vllm",
    "/images",
    "/key",
    "/lm_studio",
    "/metrics",
    "/mistral",
    "/model",
    "/model_group",
    "/models",
    "/moderations",
    "/nvidia_nim",
    "/ollama",
    "/openai",
    "/openai_passthrough",
    "/openrouter",
    "/perplexity",
    "/realtime",
    "/rerank",
    "/responses",
    "/together_ai",
    "/ui",
    "/utils",
    "/v1/audio",
    "/v1/chat",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/engines",
    "/v1/images",
    "/v1/messages",
    "/v1/model",
    "/v1/models",
    "/v1/moderations",
    "/v1/realtime",
    "/v1/rerank",
    "/v1/responses",
    "/v1beta/models",
    "/v2/model",
    "/v2/rerank",
    "/vertex-ai",
    "/vertex_ai",
    "/vllm",
    "/voyage",
    "/xai",
];

/// Reads the list.
pub(crate) fn endpoints(root: &Map, report: &mut Report) -> Vec<PassThrough> {
    let empty = Map::default();
    let general = root.get("general_settings").and_then(Node::as_map).unwrap_or(&empty);
    let setting = "pass_through_request_timeout";
    let timeout = report.bound(&format!("general_settings.{setting}"), general.get(setting));
    let timeout = timeout.unwrap_or(TIMEOUT);
    let mut read: Vec<PassThrough> = Vec::new();
    for node in report.list(LIST, general.get("pass_through_endpoints")) {
        let Some(entry) = report.map("a pass_through_endpoints entry", Some(node)) else {
            continue;
        };
        for (key, node) in &entry.entries {
            check::one(&[&keys::PASS_THROUGH], key, node, Unknown::Warned, report);
        }
        let Some(endpoint) = (Entry { node, entry }).read(timeout, report) else { continue };
        if read.iter().any(|known| known.path == endpoint.path) {
            let message = format!("two pass_through_endpoints have the path `{}`", endpoint.path);
            report.push(Diagnostic::error(Code::WrongValue, message).at(node.place, "again here"));
        }
        read.push(endpoint);
    }
    read
}

struct Entry<'a> {
    node: &'a Node,
    entry: &'a Map,
}

impl Entry<'_> {
    fn read(&self, timeout: Duration, report: &mut Report) -> Option<PassThrough> {
        let mut parked = None;
        let (path, target) = (self.path(report), self.target(&mut parked, report));
        let headers = self.headers(&mut parked, report);
        let price = report.amount(&name("cost_per_request"), self.entry.get("cost_per_request"));
        let fee = PicoUsd::from_usd(price.unwrap_or(0.0));
        if let Err(error) = &fee {
            report.wrong_value::<()>(&name("cost_per_request"), self.node, &error.to_string());
        }
        let flag =
            |setting, report: &mut Report| report.flag(&name(setting), self.entry.get(setting));
        Some(PassThrough {
            path: path?,
            target: target?,
            with_subpaths: flag("include_subpath", report).unwrap_or(false),
            methods: self.methods(report),
            headers,
            forwards_headers: flag("forward_headers", report).unwrap_or(false),
            query: self.query(report),
            needs_key: flag("auth", report).unwrap_or(true),
            fee: PicoUsd::round_to_nano(fee.ok()?.times(1)),
            timeout: report.bound(&name("timeout"), self.entry.get("timeout")).unwrap_or(timeout),
            parked,
        })
    }

    fn required<'n>(&'n self, setting: &str, report: &mut Report) -> Option<(&'n Node, &'n str)> {
        let node = self.entry.get(setting).filter(|node| node.value_is_there());
        let Some(node) = node else {
            let message = format!("a pass_through_endpoints entry has no {setting}");
            report.push(Diagnostic::error(Code::Missing, message).at(self.node.place, ""));
            return None;
        };
        Some((node, report.text(&name(setting), Some(node))?))
    }

    fn path(&self, report: &mut Report) -> Option<Arc<str>> {
        let (node, written) = self.required("path", report)?;
        let path = written.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if !path.starts_with('/') || path.contains("//") || !path.chars().all(plain) {
            let must = "must be a path such as /my-service, of letters, digits and `-._~`";
            return report.wrong_value(&name("path"), node, must);
        }
        let ours = OURS.iter().find(|ours| {
            path.strip_prefix(**ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if let Some(ours) = ours {
            let message = format!("the path `{path}` is one of dunlin's own: `{ours}`");
            let problem = Diagnostic::error(Code::WrongValue, message);
            report.push(problem.at(node.place, "choose another one"));
            return None;
        }
        Some(path.into())
    }

    /// A target whose variable is not set parks the endpoint.
    fn target(&self, parked: &mut Option<Arc<str>>, report: &mut Report) -> Option<Arc<str>> {
        if let Some(node) = self.entry.get("target")
            && let Some(why) = park(node, report)
        {
            *parked = Some(why);
            return Some("".into());
        }
        let (node, written) = self.required("target", report)?;
        let target = written.trim_end_matches('/');
        if let Err(why) = callable(target) {
            let message = format!("the target of a pass-through endpoint cannot be called: {why}");
            report.push(Diagnostic::error(Code::BadUrl, message).at(node.place, ""));
            return None;
        }
        Some(target.into())
    }

    fn methods(&self, report: &mut Report) -> Vec<Arc<str>> {
        let mut methods = Vec::new();
        for node in report.list(&name("methods"), self.entry.get("methods")) {
            let Some(text) = report.text(&name("methods"), Some(node)) else { continue };
            let method = text.to_ascii_uppercase();
            if Method::from_bytes(method.as_bytes()).is_ok() {
                methods.push(method.into());
            } else {
                report.wrong_value::<()>(&name("methods"), node, "must be methods such as POST");
            }
        }
        methods
    }

    /// A header whose variable is not set parks the endpoint: without it, it would do otherwise.
    fn headers(
        &self,
        parked: &mut Option<Arc<str>>,
        report: &mut Report,
    ) -> Vec<(Arc<str>, Secret)> {
        let (mut headers, mut pair) = (Vec::new(), [const { None }; 2]);
        let Some((section, map)) = self.entry.find("headers") else { return headers };
        for (key, node) in
            &report.map(&name("headers"), Some(map)).unwrap_or(&Map::default()).entries
        {
            if let Some(why) = park(node, report) {
                parked.get_or_insert(why);
                continue;
            }
            let Some(value) = report.text(&name("headers"), Some(node)) else { continue };
            let valid = HeaderName::from_bytes(key.text.as_bytes()).is_ok()
                && HeaderValue::from_str(value).is_ok();
            if let Some(at) = LANGFUSE.iter().position(|name| *name == key.text) {
                pair[at] = Some(value.to_owned());
            } else if valid {
                headers.push((key.text.as_str().into(), Secret::new(value)));
            } else {
                let message = format!("`{}` is not a header that HTTP can carry", key.text);
                report.push(Diagnostic::error(Code::WrongValue, message).at(section.place, ""));
            }
        }
        match pair {
            [Some(public), Some(secret)] => {
                let both = BASE64_STANDARD.encode(format!("{public}:{secret}"));
                headers.push(("Authorization".into(), Secret::new(format!("Basic {both}"))));
            }
            [None, None] => {}
            _ if parked.is_some() => {}
            _ => {
                let message = format!("{} and {} go together", LANGFUSE[0], LANGFUSE[1]);
                report.push(Diagnostic::error(Code::Missing, message).at(section.place, ""));
            }
        }
        headers
    }

    fn query(&self, report: &mut Report) -> Vec<(Arc<str>, Arc<str>)> {
        let setting = "default_query_params";
        let map = report.map(&name(setting), self.entry.get(setting));
        let entries = map.into_iter().flat_map(|map| &map.entries);
        let read = entries.filter_map(|(key, node)| {
            Some((key.text.as_str().into(), report.text(&name(setting), Some(node))?.into()))
        });
        read.collect()
    }
}

/// Why an endpoint is parked, if the variable of a value that it needs is not set.
fn park(node: &Node, report: &mut Report) -> Option<Arc<str>> {
    let why = format!("environment variable `{}` is not set", node.missing()?);
    let label = "this pass-through endpoint is parked: it takes no traffic here";
    report.push(Diagnostic::warning(Code::UnsetVariable, &why).at(node.place, label));
    Some(why.into())
}

fn name(setting: &str) -> String {
    format!("pass_through_endpoints.{setting}")
}
