//! How servers are trusted: `ssl_verify` and `ssl_certificate`, and the variables that stand over
//! them. A deployment's own settings stand over everything, as in LiteLLM.

use std::sync::Arc;

use dunlin_types::{Tls, Trust};

use crate::Environment;
use crate::diagnostic::{Code, Diagnostic};
use crate::models::Models;
use crate::report::Report;
use crate::tree::{Map, Node, Value};

/// What deployments start from.
pub(crate) struct Standard {
    pub(crate) tls: Tls,
    /// What `ssl_verify: true` means: the public authorities, and those of `SSL_CERT_FILE`.
    verified: Trust,
}

/// `litellm_settings` and the environment, which stands over them.
pub(crate) fn standard(root: &Map, environment: &Environment, report: &mut Report) -> Standard {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let verified =
        variable("SSL_CERT_FILE").map_or(Trust::Public, |path| Trust::PublicAnd(Arc::from(path)));
    let empty = Map::default();
    let settings = root.get("litellm_settings").and_then(Node::as_map).unwrap_or(&empty);
    let start =
        Standard { tls: Tls { trust: verified.clone(), client_certificate: None }, verified };
    let mut tls = start.of("litellm_settings", settings, report);
    if let Some(text) = variable("SSL_VERIFY") {
        tls.trust = start.trust_of(text);
    }
    if let Some(path) = variable("SSL_CERTIFICATE") {
        tls.client_certificate = Some(path.into());
    }
    Standard { tls, ..start }
}

impl Standard {
    /// With what a section says of its own.
    pub(crate) fn of(&self, section: &str, settings: &Map, report: &mut Report) -> Tls {
        let mut tls = self.tls.clone();
        let what = format!("{section}.ssl_verify");
        if let Some(node) = report.present(&what, settings.get("ssl_verify")) {
            let trust = match &node.value {
                Value::Bool(yes) => Some(self.trust_of(if *yes { "true" } else { "false" })),
                Value::Text(text) => Some(self.trust_of(text)),
                Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
            };
            let trust = report.expect(&what, node, "true, false or the path of a PEM file", trust);
            tls.trust = trust.unwrap_or(tls.trust);
        }
        let what = format!("{section}.ssl_certificate");
        let own = report.text(&what, settings.get("ssl_certificate"));
        let own = own.filter(|path| !path.is_empty()).map(Arc::from);
        Tls { client_certificate: own.or(tls.client_certificate), ..tls }
    }

    fn trust_of(&self, text: &str) -> Trust {
        match text.to_ascii_lowercase().as_str() {
            "false" => Trust::Anyone,
            "true" | "" => self.verified.clone(),
            _ => Trust::PublicAnd(text.into()),
        }
    }
}

/// Names the models whose servers nobody vouches for.
pub(crate) fn warn(models: &Models, report: &mut Report) {
    let unverified = models.groups.values().filter(|group| {
        group.deployments.iter().any(|deployment| {
            let target = &deployment.target;
            target.tls.trust == Trust::Anyone && target.api_base.starts_with("https://")
        })
    });
    let names: Vec<&str> = unverified.map(|group| &*group.name).collect();
    if names.is_empty() {
        return;
    }
    let message = format!("certificates are not checked for: {}", names.join(", "));
    let problem = Diagnostic::warning(Code::Unverified, message)
        .note("anyone on the network path can read and change keys, prompts and answers")
        .note("name your own authority instead: ssl_verify: /path/to/ca.pem");
    report.push(problem);
}
