//! Where the credential of a cloud's model comes from, as LiteLLM's `aws_*`, `azure_*` and
//! `vertex_*` parameters say it; what they leave out is left to the clouds' own default chains.

use std::sync::Arc;

use dunlin_types::{
    AwsKeys, AwsRole, AwsSource, AzureLogin, AzureSource, GoogleSource, Secret, Source,
};

use super::Draft;
use crate::diagnostic::Code;
use crate::report::Report;
use crate::tree::{Node, Value};

/// LiteLLM's way to name a file with a token of another issuer.
const TOKEN_FILE: &str = "oidc/file/";
const OTHER_TOKENS: &str = "oidc/";

impl Draft<'_> {
    /// `None`: the provider knows no identities.
    pub(super) fn identity(&mut self, provider: &str, report: &mut Report) -> Option<Source> {
        match provider.split(['_', '/']).next()? {
            "bedrock" | "sagemaker" => Some(Source::Aws(self.aws(report))),
            "azure" => Some(Source::Azure(self.azure(report))),
            "vertex" => Some(Source::Google(self.google(report))),
            _ => None,
        }
    }

    /// `aws_region_name`, or the variables that stand for it.
    pub(super) fn aws_region(&self, report: &mut Report) -> Option<Arc<str>> {
        let names = ["aws_region_name", "region_name"];
        let written = names.into_iter().find_map(|name| self.optional(name, report));
        let variables = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];
        written.or_else(|| variables.into_iter().find_map(|name| self.variable(name)))
    }

    fn aws(&mut self, report: &mut Report) -> AwsSource {
        let region = self.aws_region(report);
        let sts_endpoint = self.optional("aws_sts_endpoint", report);
        let arn = self.optional_or("aws_role_name", "AWS_ROLE_NAME", report);
        let session_name = self.optional_or("aws_session_name", "AWS_SESSION_NAME", report);
        let external_id = self.optional_or("aws_external_id", "AWS_EXTERNAL_ID", report);
        let role = arn.map(|arn| AwsRole { arn, session_name, external_id });
        let token = self.optional_or("aws_web_identity_token", "AWS_WEB_IDENTITY_TOKEN", report);
        let (keys, role) = match (token, role) {
            (Some(token), Some(role)) => {
                let token_file = self.token_file("aws_web_identity_token", &token, report);
                (AwsKeys::WebIdentity { token_file, role }, None)
            }
            (Some(_) | None, role) => (self.aws_keys(report), role),
        };
        AwsSource { keys, role, region, sts_endpoint }
    }

    fn aws_keys(&mut self, report: &mut Report) -> AwsKeys {
        let id = self.necessary("aws_access_key_id", report);
        let secret = self.necessary("aws_secret_access_key", report);
        if let (Some(access_key_id), Some(secret)) = (id, secret) {
            let session_token = self.optional("aws_session_token", report).map(Secret::new);
            let secret_access_key = Secret::new(secret);
            return AwsKeys::Static { access_key_id, secret_access_key, session_token };
        }
        let profile = self.optional_or("aws_profile_name", "AWS_PROFILE_NAME", report);
        profile.map_or(AwsKeys::Default, AwsKeys::Profile)
    }

    fn azure(&mut self, report: &mut Report) -> AzureSource {
        let scope = self.optional("azure_scope", report);
        AzureSource { login: self.azure_login(report), scope }
    }

    fn azure_login(&mut self, report: &mut Report) -> AzureLogin {
        let token = self.necessary("azure_ad_token", report);
        let secret = self.necessary("client_secret", report);
        let client = self.necessary("client_id", report);
        let tenant = self.necessary("tenant_id", report);
        let nothing = token.is_none() && secret.is_none() && client.is_none();
        if nothing && tenant.is_none() {
            return AzureLogin::Default;
        }
        let tenant_id = tenant.or_else(|| self.variable("AZURE_TENANT_ID"));
        let client_id = client.or_else(|| self.variable("AZURE_CLIENT_ID"));
        match token {
            Some(token) if token.starts_with(OTHER_TOKENS) => {
                let token_file = Some(self.token_file("azure_ad_token", &token, report));
                return AzureLogin::WorkloadIdentity { tenant_id, client_id, token_file };
            }
            Some(token) => return AzureLogin::Token(Secret::new(token)),
            None => {}
        }
        let secret = secret.or_else(|| self.variable("AZURE_CLIENT_SECRET"));
        let federated = self.variable("AZURE_FEDERATED_TOKEN_FILE");
        match (tenant_id, client_id, secret, federated) {
            (Some(tenant_id), Some(client_id), Some(secret), _) => AzureLogin::ClientSecret {
                tenant_id,
                client_id,
                client_secret: Secret::new(secret),
            },
            (tenant_id, client_id, None, Some(token_file)) => {
                AzureLogin::WorkloadIdentity { tenant_id, client_id, token_file: Some(token_file) }
            }
            (_, client_id, None, None) => AzureLogin::ManagedIdentity { client_id },
            (_, client_id, Some(_), _) => {
                let missing = if client_id.is_none() { "client_id" } else { "tenant_id" };
                let why = format!("there is a client_secret and no {missing}");
                self.park(Code::Missing, why, self.key.place, report);
                AzureLogin::Default
            }
        }
    }

    fn google(&mut self, report: &mut Report) -> GoogleSource {
        let node = self.params.get("vertex_credentials").filter(|node| node.value_is_there());
        let written = match node {
            Some(Node { value: Value::Map(_), .. }) => node.map(|node| node.json().into()),
            Some(_) | None => self.necessary("vertex_credentials", report),
        };
        match written.or_else(|| self.variable("VERTEXAI_CREDENTIALS")) {
            Some(text) if text.trim_start().starts_with('{') => {
                GoogleSource::Inline(Secret::new(text))
            }
            Some(path) => GoogleSource::File(path),
            None => GoogleSource::Default,
        }
    }

    /// The file with a token; what is no file parks.
    fn token_file(&mut self, name: &str, token: &str, report: &mut Report) -> Arc<str> {
        let path = token.strip_prefix(TOKEN_FILE).unwrap_or(token);
        if !path.starts_with('/') {
            // What it is may be a token, and is not shown.
            let why = format!("{name} must name a file, as {TOKEN_FILE}/path/to/token");
            let place = self.params.get(name).map_or(self.key.place, |node| node.place);
            self.park(Code::WrongValue, why, place, report);
        }
        path.into()
    }

    /// A parameter without which the deployment cannot be called once somebody has set it.
    fn necessary(&mut self, name: &str, report: &mut Report) -> Option<Arc<str>> {
        let node = self.params.get(name).filter(|node| node.value_is_there());
        let text = self.needed(&format!("litellm_params.{name}"), node, report);
        text.filter(|text| !text.is_empty()).map(Arc::from)
    }

    pub(super) fn optional(&self, name: &str, report: &mut Report) -> Option<Arc<str>> {
        let text = report.text(&format!("litellm_params.{name}"), self.params.get(name));
        text.filter(|text| !text.is_empty()).map(Arc::from)
    }

    fn optional_or(&self, name: &str, variable: &str, report: &mut Report) -> Option<Arc<str>> {
        self.optional(name, report).or_else(|| self.variable(variable))
    }

    pub(super) fn variable(&self, name: &str) -> Option<Arc<str>> {
        self.environment.get(name).filter(|value| !value.is_empty()).map(Arc::from)
    }
}
