//! What a model or a credential that is set over the API may not do. A config file is the operator's
//! own word; who may set models over the API may not thereby reach into the nodes: read their files,
//! have their variables and identities sent to an address of his choosing, or call what only the
//! nodes can reach.

use std::net::IpAddr;

use dunlin_router::Deployment;
use dunlin_types::{AzureLogin, GoogleSource, Network, Networks, Source};
use http::Uri;

use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::tree::{Map, Node, Value};
use crate::{Environment, Options, words};

const NETWORKS: &str = "general_settings.api_model_networks";
const VARIABLES: &str = "general_settings.api_model_environment";

/// Self-hosted models live in private networks; only admins set models.
const DEFAULT_NETWORKS: [Network; 2] = [Network::Public, Network::Private];

/// Parameters that say where calls go.
const ADDRESSES: [&str; 5] =
    ["api_base", "base_url", "aws_bedrock_runtime_endpoint", "gcs_endpoint_url", "s3_endpoint_url"];
/// Parameters that become part of a host's name.
const PLACES: [&str; 4] =
    ["aws_region_name", "region_name", "vertex_location", "vertex_ai_location"];
/// Below these names are only servers of the cloud whose credential they are shown.
const CLOUDS: [&str; 6] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".cognitiveservices.azure.com",
    ".googleapis.com",
    ".openai.azure.com",
    ".services.ai.azure.com",
];
/// Variables of the nodes that are settings and no secrets.
const PLAIN_VARIABLES: [&str; 14] = [
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_REGION_NAME",
    "AZURE_API_VERSION",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "LITELLM_ENVIRONMENT",
    "REQUEST_TIMEOUT",
    "SSL_CERT_FILE",
    "SSL_VERIFY",
    "VERTEXAI_LOCATION",
    "VERTEXAI_PROJECT",
    "VERTEX_LOCATION",
    "VERTEX_PROJECT",
];

/// The rules of one config.
pub(crate) struct Rules {
    networks: Networks,
    /// Names, or beginnings of names with a `*` behind.
    variables: Vec<String>,
}

impl Rules {
    /// Reads `general_settings`.
    pub(crate) fn of(root: &Map, report: &mut Report) -> Self {
        let empty = Map::default();
        let general = root.get("general_settings").and_then(Node::as_map).unwrap_or(&empty);
        let node = general.get("api_model_networks").filter(|node| node.value_is_there());
        let networks = node.map(|node| networks(NETWORKS, node, report));
        let variables = report.list(VARIABLES, general.get("api_model_environment")).iter();
        let variables = variables.filter_map(|name| report.text(VARIABLES, Some(name)));
        let variables = variables.map(str::to_owned).collect();
        let networks = networks.unwrap_or_else(|| DEFAULT_NETWORKS.to_vec());
        Self { networks: Networks::Only(networks.into()), variables }
    }

    /// Where calls may go.
    pub(crate) fn networks(&self) -> Networks {
        self.networks.clone()
    }

    /// Whether a variable may be named whatever the address.
    pub(crate) fn lends(&self, name: &str) -> bool {
        self.variables.iter().any(|known| words::matches(known, name))
    }

    /// The variables that an address set over the API may be shown.
    pub(crate) fn lent(&self, environment: &Environment) -> Environment {
        environment.only(|name| PLAIN_VARIABLES.contains(&name) || self.lends(name))
    }

    /// The variables that hold the key of a model's provider, which goes to the provider's own address.
    pub(crate) fn own_variables<'o>(&self, params: &Map, options: &'o Options) -> Vec<&'o str> {
        let text = |name: &str| params.get(name).and_then(Node::as_text);
        let model = text("model").unwrap_or_default();
        let prefix = model.split_once('/').map_or("openai", |(prefix, _)| prefix);
        let provider = text("custom_llm_provider").unwrap_or(prefix);
        let own = options.providers.iter().filter(|known| known.id == provider);
        let keys = own.flat_map(|provider| provider.key_variables.iter().copied());
        if chooses_address(params) { Vec::new() } else { keys.collect() }
    }

    /// Checks `litellm_params`, or values that become part of them.
    pub(crate) fn check(&self, params: &Map, report: &mut Report) {
        for name in ADDRESSES {
            if let Some(text) = params.get(name).and_then(Node::as_text) {
                self.check_address(name, text, report);
            }
        }
        for name in PLACES {
            let text = params.get(name).and_then(Node::as_text).unwrap_or_default();
            if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                refuse(&format!("`{name}` is not a region name"), None, report);
            }
        }
        if let Some(endpoint) = params.get("aws_sts_endpoint").and_then(Node::as_text)
            && !is_a_clouds(endpoint)
        {
            let message = "`aws_sts_endpoint` is not an AWS server";
            refuse(message, Some("set the model in a config file instead"), report);
        }
        for (name, message) in files(params) {
            let message = format!("`{name}` {message}");
            let way_out = "files of the nodes are named in config files only: give the content, or \
                           set the model in a config file";
            refuse(&message, Some(way_out), report);
        }
        self.check_token_uri(params, report);
    }

    fn check_address(&self, name: &str, text: &str, report: &mut Report) {
        let Some(address) = literal(text) else { return };
        if self.networks.allows(address) {
            return;
        }
        let message = format!("`{name}` is {address}, which models set over the API may not call");
        let way_out = format!(
            "they may call these networks: {}; to allow more, list them in {NETWORKS}, as in \
             [public, private, {address}], or set the model in a config file",
            self.networks
        );
        refuse(&message, Some(&way_out), report);
    }

    /// Google's keys say themselves where they are exchanged.
    fn check_token_uri(&self, params: &Map, report: &mut Report) {
        let uri = match params.get("vertex_credentials").map(|node| &node.value) {
            Some(Value::Map(map)) => {
                map.get("token_uri").and_then(Node::as_text).map(str::to_owned)
            }
            Some(Value::Text(text)) => {
                let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
                json.and_then(|json| Some(json.get("token_uri")?.as_str()?.to_owned()))
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_)) | None => None,
        };
        if uri.is_some_and(|uri| !is_a_clouds(&uri)) {
            refuse("the `token_uri` of `vertex_credentials` is not a Google server", None, report);
        }
    }

    /// Checks what became of the parameters: a token of the nodes' own identity must not go to an
    /// address of another's choosing.
    pub(crate) fn check_identity(&self, params: &Map, made: &Deployment, report: &mut Report) {
        let of_the_node = match &made.target.identity {
            Some(Source::Google(GoogleSource::Default | GoogleSource::File(_))) => true,
            Some(Source::Azure(azure)) => match azure.login {
                AzureLogin::Token(_) | AzureLogin::ClientSecret { .. } => false,
                AzureLogin::WorkloadIdentity { .. }
                | AzureLogin::ManagedIdentity { .. }
                | AzureLogin::Default => true,
            },
            // AWS's keys sign; they are not shown.
            Some(Source::Aws(_) | Source::Google(GoogleSource::Inline(_))) | None => false,
        };
        if of_the_node && chooses_address(params) {
            let message = "the nodes' own identity is not shown to an address set over the API";
            refuse(message, Some("give the model credentials of its own"), report);
        }
    }
}

/// Whether the parameters lead to an address that is not sure to be the provider's own.
pub(crate) fn chooses_address(params: &Map) -> bool {
    let mut written = ADDRESSES.iter().filter_map(|name| params.get(name)?.as_text());
    written.any(|address| !is_a_clouds(address))
}

fn is_a_clouds(url: &str) -> bool {
    let uri: Option<Uri> = url.trim().parse().ok();
    let host = uri.as_ref().filter(|uri| uri.scheme_str() == Some("https")).and_then(Uri::host);
    host.is_some_and(|host| CLOUDS.iter().any(|cloud| host.to_ascii_lowercase().ends_with(cloud)))
}

fn literal(url: &str) -> Option<IpAddr> {
    let uri: Uri = url.trim().parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).trim_end_matches('.');
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    host.parse().ok()
}

/// The parameters that name a file of the node.
fn files(params: &Map) -> Vec<(&'static str, &'static str)> {
    let text = |name: &str| params.get(name).and_then(Node::as_text).filter(|it| !it.is_empty());
    let is_flag = |text: &&str| matches!(text.to_ascii_lowercase().as_str(), "true" | "false");
    let mut found = Vec::new();
    if text("ssl_verify").is_some_and(|text| !is_flag(&text)) {
        found.push(("ssl_verify", "names a file"));
    }
    if text("ssl_certificate").is_some() {
        found.push(("ssl_certificate", "names a file"));
    }
    if text("vertex_credentials").is_some_and(|text| !text.trim_start().starts_with('{')) {
        found.push(("vertex_credentials", "names a file, or is not a JSON object"));
    }
    if text("aws_web_identity_token").is_some() {
        found.push(("aws_web_identity_token", "names a file"));
    }
    if text("azure_ad_token").is_some_and(|text| text.starts_with("oidc/")) {
        found.push(("azure_ad_token", "names a file"));
    }
    found
}

/// A list of networks.
pub(crate) fn networks(what: &str, node: &Node, report: &mut Report) -> Vec<Network> {
    let mut networks = Vec::new();
    for item in report.list(what, Some(node)) {
        let Some(text) = report.text(what, Some(item)) else { continue };
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(why) => {
                let message = format!("{what}: `{text}` {why}");
                report.push(Diagnostic::error(Code::WrongValue, message).at(item.place, ""));
            }
        }
    }
    networks
}

fn refuse(message: &str, way_out: Option<&str>, report: &mut Report) {
    let problem = Diagnostic::error(Code::NotAllowed, message);
    report.push(way_out.into_iter().fold(problem, Diagnostic::note));
}
