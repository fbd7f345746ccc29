//! Tokens of Microsoft Entra ID.

use bytes::Bytes;
use dunlin_types::{AzureLogin, AzureSource, Clock, Credential, Secret};
use http::{Method, Request};

use crate::http::{FAR, Http, NEAR, ask, file, form};
use crate::surroundings::AzureSurroundings;
use crate::{Error, Grant};

const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MACHINE_VERSION: &str = "2018-02-01";
const APP_VERSION: &str = "2019-08-01";

pub(crate) struct Azure<'a> {
    pub(crate) http: &'a Http,
    pub(crate) surroundings: &'a AzureSurroundings,
    pub(crate) clock: &'a Clock,
}

/// How an application shows that it is itself.
enum Proof<'a> {
    Secret(&'a Secret),
    /// A token of an issuer that it trusts.
    Assertion(&'a str),
}

impl Azure<'_> {
    pub(crate) async fn grant(&self, source: &AzureSource) -> Result<Grant, Error> {
        let scope = source.scope.as_deref().unwrap_or(SCOPE);
        match &source.login {
            AzureLogin::Token(token) => {
                Ok(Grant { credential: Credential::Token(token.clone()), expires: None })
            }
            AzureLogin::ClientSecret { tenant_id, client_id, client_secret } => {
                self.application(tenant_id, client_id, Proof::Secret(client_secret), scope).await
            }
            AzureLogin::WorkloadIdentity { tenant_id, client_id, token_file } => {
                let own = self.surroundings;
                let tenant = tenant_id.as_deref().or(own.tenant_id.as_deref());
                let client = client_id.as_deref().or(own.client_id.as_deref());
                let path = token_file.as_deref().or(own.token_file.as_deref());
                let (Some(tenant), Some(client), Some(path)) = (tenant, client, path) else {
                    return Err(Error::Unusable {
                        what: "workload identity lacks a tenant, a client id or a token file"
                            .to_owned(),
                        mend: "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE"
                            .to_owned(),
                    });
                };
                self.workload(tenant, client, path, scope).await
            }
            AzureLogin::ManagedIdentity { client_id } => {
                self.managed(client_id.as_deref(), scope).await
            }
            AzureLogin::Default => self.chain(scope).await,
        }
    }

    async fn chain(&self, scope: &str) -> Result<Grant, Error> {
        let own = self.surroundings;
        let (tenant, client) = (own.tenant_id.as_deref(), own.client_id.as_deref());
        if let (Some(tenant), Some(client)) = (tenant, client) {
            if let Some(secret) = &own.client_secret {
                return self.application(tenant, client, Proof::Secret(secret), scope).await;
            }
            if let Some(path) = &own.token_file {
                return self.workload(tenant, client, path, scope).await;
            }
        }
        let managed = self.managed(client, scope).await;
        managed.map_err(|error| Error::NotFound {
            tried: vec![
                "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are not all set"
                    .to_owned(),
                "AZURE_FEDERATED_TOKEN_FILE is not set beside the first two".to_owned(),
                format!("managed identity: {error}"),
            ],
            mend: "Set tenant_id, client_id and client_secret, or give this machine an identity.",
        })
    }

    async fn workload(
        &self,
        tenant: &str,
        client: &str,
        path: &str,
        scope: &str,
    ) -> Result<Grant, Error> {
        let assertion = file(path, "AZURE_FEDERATED_TOKEN_FILE").await?;
        self.application(tenant, client, Proof::Assertion(assertion.trim()), scope).await
    }

    async fn application(
        &self,
        tenant: &str,
        client: &str,
        proof: Proof<'_>,
        scope: &str,
    ) -> Result<Grant, Error> {
        let authority = self.surroundings.authority.trim_end_matches('/');
        let mut fields =
            vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope)];
        match proof {
            Proof::Secret(secret) => fields.push(("client_secret", secret.expose())),
            Proof::Assertion(assertion) => {
                fields.push(("client_assertion_type", ASSERTION_TYPE));
                fields.push(("client_assertion", assertion));
            }
        }
        let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
        self.http.send(form(&url, &fields)?, FAR).await?.token(self.clock.unix())
    }

    async fn managed(&self, client: Option<&str>, scope: &str) -> Result<Grant, Error> {
        let request = self.managed_request(client, scope)?;
        self.http.send(request, NEAR).await?.token(self.clock.unix())
    }

    /// The app's identity on App Service, else the machine's.
    fn managed_request(&self, client: Option<&str>, scope: &str) -> Result<Request<Bytes>, Error> {
        let own = self.surroundings;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("resource", scope.trim_end_matches("/.default"));
        if let Some(client) = client {
            query.append_pair("client_id", client);
        }
        if let (Some(endpoint), Some(header)) = (&own.app_endpoint, &own.app_header) {
            let query = query.append_pair("api-version", APP_VERSION).finish();
            let header = [("x-identity-header", header.expose())];
            return ask(Method::GET, &format!("{endpoint}?{query}"), &header);
        }
        let query = query.append_pair("api-version", MACHINE_VERSION).finish();
        let base = own.metadata.trim_end_matches('/');
        let url = format!("{base}/metadata/identity/oauth2/token?{query}");
        ask(Method::GET, &url, &[("metadata", "true")])
    }
}
