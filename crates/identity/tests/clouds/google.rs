//! Google Cloud: service accounts, users' credentials, the metadata server. The files and answers
//! have the forms of Google's references (documented); the key is made for these tests.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dunlin_types::{GoogleSource, Secret, Source};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::service::{START, Service, identity, nobody, token, write};

const KEY: &str = include_str!("rsa_key_of_the_tests.pem");
const ANSWER: &str = r#"{"access_token":"ya29.google","expires_in":3599,"token_type":"Bearer"}"#;

fn account(token_uri: &str) -> String {
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": KEY,
        "client_email": "me@p.iam.gserviceaccount.com",
        "token_uri": token_uri,
    })
    .to_string()
}

async fn service() -> Service {
    Service::start(|_| (200, ANSWER.to_owned())).await
}

#[tokio::test]
async fn a_service_account_signs_for_itself() {
    let service = service().await;
    let (identity, _) = identity(&[]);
    let uri = format!("{}/token", service.base);
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(&folder, "account.json", &account(&uri));
    let inline = GoogleSource::Inline(Secret::new(account(&uri)));
    for (number, source) in [inline, GoogleSource::File(file.into())].into_iter().enumerate() {
        let got = identity.current(&Source::Google(source)).await.expect("a token");
        assert_eq!(token(&got), "ya29.google");
        let asked = &service.asked()[number];
        let grant_type = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        assert_eq!(asked.field("grant_type"), Some(grant_type));
        let (head, claims) = verified(asked.field("assertion").expect("a JWT"));
        assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
        let issued = START / 1000;
        let expected = json!({
            "iss": "me@p.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": uri, "iat": issued, "exp": issued + 3600,
        });
        assert_eq!(claims, expected);
    }
}

/// The head and the claims of a JWT, its signature checked.
fn verified(jwt: &str) -> (Value, Value) {
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64");
    let (text, signature) = jwt.rsplit_once('.').expect("three parts");
    let (head, claims) = text.split_once('.').expect("three parts");
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
        .verify(text.as_bytes(), &decode(signature))
        .expect("the signature fits");
    let json = |part| serde_json::from_slice(&decode(part)).expect("JSON");
    (json(head), json(claims))
}

#[tokio::test]
async fn a_users_credential_is_refreshed() {
    let service = service().await;
    let folder = tempfile::tempdir().expect("a folder");
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "cs",
        "refresh_token": "rt", "token_uri": format!("{}/token", service.base),
    });
    write(&folder, "application_default_credentials.json", &user.to_string());
    let place = folder.path().to_str().expect("a text");
    let (identity, _) = identity(&[("CLOUDSDK_CONFIG", place)]);
    let got = identity.current(&Source::Google(GoogleSource::Default)).await.expect("a token");
    assert_eq!(token(&got), "ya29.google");
    let asked = &service.asked()[0];
    assert_eq!(asked.field("grant_type"), Some("refresh_token"));
    assert_eq!(
        (asked.field("refresh_token"), asked.field("client_secret")),
        (Some("rt"), Some("cs"))
    );
}

#[tokio::test]
async fn the_metadata_server_is_asked_last() {
    let service = service().await;
    let host = service.base.trim_start_matches("http://");
    let (identity, _) = identity(&[("GCE_METADATA_HOST", host)]);
    let got = identity.current(&Source::Google(GoogleSource::Default)).await.expect("a token");
    assert_eq!(token(&got), "ya29.google");
    let asked = &service.asked()[0];
    let path = "/computeMetadata/v1/instance/service-accounts/default/token?scopes=";
    assert!(asked.path.starts_with(path), "{asked:?}");
    assert_eq!(asked.header("metadata-flavor"), "Google");
}

#[tokio::test]
async fn what_cannot_be_used_is_said_without_what_is_secret() {
    let refusal = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let service = Service::start(move |_| (400, refusal.to_owned())).await;
    let nobody = nobody().await;
    let (identity, _) = identity(&[("GCE_METADATA_HOST", nobody.trim_start_matches("http://"))]);
    let inline = |text: &str| GoogleSource::Inline(Secret::new(text));
    for (source, expected) in [
        (inline(&account(&service.base)), "invalid_grant: Invalid JWT Signature."),
        (inline(r#"{"type":"external_account","audience":"a"}"#), "external_account"),
        (inline(r#"{"type":"service_account","private_key":"secret"}"#), "lacks a field"),
        (inline("secret"), "not a Google credential"),
        (GoogleSource::File("/no/such.json".into()), "/no/such.json"),
        (GoogleSource::Default, "GOOGLE_APPLICATION_CREDENTIALS is not set"),
    ] {
        let error = identity.current(&Source::Google(source)).await.expect_err(expected);
        let error = error.to_string();
        assert!(error.contains(expected), "{expected} in: {error}");
        assert!(!error.contains("secret") && !error.contains("PRIVATE KEY"), "{error}");
    }
}
