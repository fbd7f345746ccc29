//! Tokens of Google Cloud.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dunlin_types::{Clock, GoogleSource, UnixMillis};
use http::Method;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use crate::http::{FAR, Http, NEAR, ask, file, form};
use crate::surroundings::GoogleSurroundings;
use crate::{Error, Grant};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const BY_JWT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest that Google takes.
const ASSERTION_SECONDS: u64 = 3600;

pub(crate) struct Google<'a> {
    pub(crate) http: &'a Http,
    pub(crate) surroundings: &'a GoogleSurroundings,
    pub(crate) clock: &'a Clock,
}

/// What Google's console and `gcloud` write. There is no `Debug`: it holds keys.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written {
    ServiceAccount {
        client_email: String,
        private_key: String,
        private_key_id: Option<String>,
        token_uri: Option<String>,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        token_uri: Option<String>,
    },
}

/// Only to tell what cannot be used.
#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

impl Google<'_> {
    pub(crate) async fn grant(&self, source: &GoogleSource) -> Result<Grant, Error> {
        match source {
            GoogleSource::File(path) => self.by_file(path, "vertex_credentials").await,
            GoogleSource::Inline(text) => self.written(text.expose(), "vertex_credentials").await,
            GoogleSource::Default => self.chain().await,
        }
    }

    async fn chain(&self) -> Result<Grant, Error> {
        let own = self.surroundings;
        if let Some(path) = &own.credentials_file {
            return self.by_file(path, "GOOGLE_APPLICATION_CREDENTIALS").await;
        }
        if tokio::fs::try_exists(&own.gcloud_file).await.unwrap_or(false) {
            return self.by_file(&own.gcloud_file, "gcloud").await;
        }
        self.metadata().await.map_err(|error| Error::NotFound {
            tried: vec![
                "GOOGLE_APPLICATION_CREDENTIALS is not set".to_owned(),
                format!("there is no {}", own.gcloud_file),
                error.to_string(),
            ],
            mend: "Set vertex_credentials to a service account's JSON key, or run `gcloud auth \
                   application-default login`.",
        })
    }

    async fn by_file(&self, path: &str, named_by: &str) -> Result<Grant, Error> {
        self.written(&file(path, named_by).await?, path).await
    }

    async fn written(&self, text: &str, place: &str) -> Result<Grant, Error> {
        let now = self.clock.unix();
        let written = serde_json::from_str(text).map_err(|_| not_usable(text, place))?;
        let request = match written {
            Written::ServiceAccount { client_email, private_key, private_key_id, token_uri } => {
                let uri = token_uri.as_deref().unwrap_or(TOKEN_URI);
                let key = rsa_key(&private_key).ok_or_else(|| Error::Unusable {
                    what: format!("the private_key in {place} is not an RSA key in PKCS #8"),
                    mend: "download the service account's key as JSON again".to_owned(),
                })?;
                let head = json!({ "alg": "RS256", "typ": "JWT", "kid": private_key_id });
                let issued = now.0 / 1000;
                let claims = json!({
                    "iss": client_email,
                    "scope": SCOPE,
                    "aud": uri,
                    "iat": issued,
                    "exp": issued + ASSERTION_SECONDS,
                });
                let assertion = signed(&key, &head.to_string(), &claims.to_string())?;
                form(uri, &[("grant_type", BY_JWT), ("assertion", &assertion)])?
            }
            Written::AuthorizedUser { client_id, client_secret, refresh_token, token_uri } => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", &client_id),
                    ("client_secret", &client_secret),
                    ("refresh_token", &refresh_token),
                ];
                form(token_uri.as_deref().unwrap_or(TOKEN_URI), &fields)?
            }
        };
        self.http.send(request, FAR).await?.token(now)
    }

    async fn metadata(&self) -> Result<Grant, Error> {
        let base = &self.surroundings.metadata;
        let account = "computeMetadata/v1/instance/service-accounts/default/token";
        let url = format!("{base}/{account}?scopes={SCOPE}");
        let request = ask(Method::GET, &url, &[("metadata-flavor", "Google")])?;
        let now: UnixMillis = self.clock.unix();
        self.http.send(request, NEAR).await?.token(now)
    }
}

fn not_usable(text: &str, place: &str) -> Error {
    let kind: Option<Kind> = serde_json::from_str(text).ok();
    let what = match kind.as_ref().map(|kind| kind.r#type.as_str()) {
        None => format!("{place} is not a Google credential in JSON"),
        Some(known @ ("service_account" | "authorized_user")) => {
            format!("the {known} in {place} lacks a field")
        }
        Some(other) => format!("{place} is of the type {other}, which is not supported"),
    };
    let mend = "use a service account's JSON key, or what `gcloud auth application-default login` \
                writes";
    Error::Unusable { what, mend: mend.to_owned() }
}

fn rsa_key(pem: &str) -> Option<RsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()
}

/// A JWT with an RS256 signature.
fn signed(key: &RsaKeyPair, head: &str, claims: &str) -> Result<String, Error> {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = format!("{}.{}", encode(head.as_bytes()), encode(claims.as_bytes()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(
        |_| Error::Unusable {
            what: "the service account's key cannot sign".to_owned(),
            mend: "download it again".to_owned(),
        },
    )?;
    Ok(format!("{text}.{}", encode(&signature)))
}
