//! Keys that AWS gives the machine or the container this node runs on.

use dunlin_types::{Credential, Secret};
use http::{Method, Uri};
use serde::Deserialize;

use super::{Aws, sts};
use crate::http::{Answer, NEAR, ask, file, json_words};
use crate::{Error, Grant};

/// The longest that the metadata service grants.
const SESSION_SECONDS: &str = "21600";
/// Where AWS's agents listen, on EKS and ECS. Credentials are asked of nobody else in the clear.
const AGENTS: &[&str] = &["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl Aws<'_> {
    /// EKS pod identity and ECS tasks.
    pub(super) async fn container(&self) -> Result<Option<Grant>, Error> {
        let surroundings = &self.surroundings;
        let Some(url) = &surroundings.container_uri else { return Ok(None) };
        if !may_be_asked(url) {
            return Err(Error::Unusable {
                what: format!("AWS_CONTAINER_CREDENTIALS_FULL_URI is {url}"),
                mend: "it must be https, on loopback, or the address of AWS's agent".to_owned(),
            });
        }
        let token = match &surroundings.container_token_file {
            Some(path) => Some(file(path, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").await?),
            None => surroundings.container_token.as_ref().map(|token| token.expose().to_owned()),
        };
        let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
        let request = ask(Method::GET, url, &headers)?;
        grant(self.http.send(request, NEAR).await?.accepted(json_words)?).map(Some)
    }

    /// The instance's role, by version 2 of the metadata service: first a session, then the role's
    /// name, then its keys. `None`: not to be asked.
    pub(super) async fn instance(&self) -> Result<Option<Grant>, Error> {
        let Some(base) = &self.surroundings.instance_metadata else { return Ok(None) };
        let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)];
        let session = ask(Method::PUT, &format!("{base}/latest/api/token"), &ttl)?;
        let session = self.http.send(session, NEAR).await?.accepted(|_| None)?.body;
        let header = [("x-aws-ec2-metadata-token", session.as_str())];
        let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
        let named = self.http.send(ask(Method::GET, &roles, &header)?, NEAR).await?;
        let named = named.accepted(|_| Some("this instance has no role".to_owned()))?;
        let role = named.body.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err(named.bad("this instance has no role"));
        }
        let request = ask(Method::GET, &format!("{roles}{role}"), &header)?;
        grant(self.http.send(request, NEAR).await?.accepted(json_words)?).map(Some)
    }
}

fn may_be_asked(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let is_loopback = || {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    uri.scheme_str() == Some("https") || AGENTS.contains(&host) || is_loopback()
}

fn grant(answer: Answer) -> Result<Grant, Error> {
    let keys: Keys = serde_json::from_str(&answer.body).map_err(|_| {
        let said = json_words(&answer.body);
        answer.bad(said.unwrap_or_else(|| "it has no AccessKeyId and SecretAccessKey".to_owned()))
    })?;
    let expires = match &keys.expiration {
        Some(text) => {
            Some(sts::millis(text).ok_or_else(|| answer.bad("its Expiration is not a time"))?)
        }
        None => None,
    };
    let credential = Credential::Aws {
        access_key_id: keys.access_key_id,
        secret_access_key: Secret::new(keys.secret_access_key),
        session_token: keys.token.map(Secret::new),
    };
    Ok(Grant { credential, expires })
}
