//! `key_management_system`: the secret managers that LiteLLM fetches secrets from, and how the same
//! secrets reach dunlin, which reads the environment alone.

use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::tree::Node;
use crate::words;

const SETTING: &str = "general_settings.key_management_system";
/// The environment, which is where secrets are read.
const LOCAL: &str = "local";

const AWS: &str = "in Kubernetes the External Secrets Operator, on ECS `secrets` of the task, elsewhere \
     `aws secretsmanager get-secret-value` before `dunlin serve`";
const AZURE: &str = "in Kubernetes the External Secrets Operator, on Container Apps and App Service Key \
     Vault references, elsewhere `az keyvault secret show` before `dunlin serve`";
const GOOGLE: &str = "in Kubernetes the External Secrets Operator, on Cloud Run `--set-secrets`, \
     elsewhere `gcloud secrets versions access` before `dunlin serve`";
const VAULT: &str = "in Kubernetes the Vault Agent Injector or the External Secrets Operator, elsewhere \
     Vault Agent's `env_template` or envconsul around `dunlin serve`";

/// The managers, sorted, and what brings their secrets into a process's environment.
const MANAGERS: &[(&str, &str)] = &[
    ("aws_kms", "`aws kms decrypt` before `dunlin serve`"),
    ("aws_secret_manager", AWS),
    ("azure_key_vault", AZURE),
    ("custom", "a wrapper of your own around `dunlin serve` that exports them"),
    (
        "cyberark",
        "in Kubernetes the External Secrets Operator, elsewhere Summon around `dunlin serve`",
    ),
    ("google_kms", "`gcloud kms decrypt` before `dunlin serve`"),
    ("google_secret_manager", GOOGLE),
    ("hashicorp_vault", VAULT),
];

/// Refuses whatever is not the environment itself: without its manager, each secret would look as if
/// it were not set.
pub(crate) fn check(node: &Node, report: &mut Report) {
    if node.is_idle() {
        return;
    }
    let Some(name) = report.text(SETTING, Some(node)).filter(|name| *name != LOCAL) else { return };
    let Some((_, way)) = MANAGERS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = MANAGERS.iter().map(|(known, _)| *known).collect();
        let message = format!("{SETTING}: `{name}` is no secret manager that LiteLLM knows");
        let near = words::did_you_mean(name, known.iter().copied().chain([LOCAL]));
        let known = format!("known are {}, all refused here, and {LOCAL}", known.join(", "));
        report.push(Diagnostic::error(Code::Refused, message).at(node.place, near).note(known));
        return;
    };
    let message = format!("{SETTING}: secret manager `{name}` is refused");
    let problem = Diagnostic::error(Code::Refused, message)
        .at(node.place, "no secret is fetched from it")
        .note("os.environ/NAME is read from the environment of the node, and from nowhere else")
        .note(format!("have the secrets put there, then remove this setting: {way}"));
    report.push(problem);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_are_sorted() {
        assert!(MANAGERS.is_sorted_by_key(|(name, _)| *name));
    }
}
