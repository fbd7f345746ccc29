//! Microsoft Entra ID and managed identities. The answers' forms are those of Microsoft's
//! references (documented).

use dunlin_types::{AzureLogin, AzureSource, Secret, Source};

use crate::service::{Service, identity, token, write};

fn source(login: AzureLogin) -> Source {
    Source::Azure(AzureSource { login, scope: None })
}

fn with_secret() -> Source {
    source(AzureLogin::ClientSecret {
        tenant_id: "tenant".into(),
        client_id: "app".into(),
        client_secret: Secret::new("app-secret"),
    })
}

const SCOPE: &str = "https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
const ANSWER: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"entra"}"#;

#[tokio::test]
async fn an_application_shows_its_secret() {
    let service = Service::start(|_| (200, ANSWER.to_owned())).await;
    let (identity, _) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
    assert_eq!(token(&identity.current(&with_secret()).await.expect("a token")), "entra");
    let asked = &service.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/tenant/oauth2/v2.0/token"));
    for (field, expected) in [
        ("grant_type", "client_credentials"),
        ("client_id", "app"),
        ("client_secret", "app-secret"),
        ("scope", SCOPE),
    ] {
        assert_eq!(asked.field(field), Some(expected));
    }
}

#[tokio::test]
async fn a_token_that_is_written_is_used_as_it_is() {
    let written = source(AzureLogin::Token(Secret::new("written")));
    assert_eq!(token(&identity(&[]).0.current(&written).await.expect("a token")), "written");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_entra() {
    let words = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client
 secret provided.","error_codes":[7000215]}"#;
    let service = Service::start(|_| (401, words.replace('\n', ""))).await;
    let (identity, _) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
    let error = identity.current(&with_secret()).await.expect_err("refused").to_string();
    assert!(error.contains("invalid_client: AADSTS7000215: Invalid client secret"), "{error}");
    assert!(!error.contains("app-secret"), "{error}");
}

#[tokio::test]
async fn workload_identity_sends_the_token_of_its_file() {
    let service = Service::start(|_| (200, ANSWER.to_owned())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (identity, _) = identity(&[
        ("AZURE_AUTHORITY_HOST", &service.base),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_FEDERATED_TOKEN_FILE", &write(&folder, "token", "federated\n")),
    ]);
    let own = AzureLogin::WorkloadIdentity { tenant_id: None, client_id: None, token_file: None };
    for (number, login) in [own, AzureLogin::Default].into_iter().enumerate() {
        assert_eq!(token(&identity.current(&source(login)).await.expect("a token")), "entra");
        let asked = &service.asked()[number];
        assert_eq!(asked.path, "/t/oauth2/v2.0/token");
        assert_eq!(asked.field("client_assertion"), Some("federated"));
        assert_eq!(asked.field("client_secret"), None);
    }
}

#[tokio::test]
async fn a_machine_and_an_app_have_identities() {
    let answer = r#"{"access_token":"managed","expires_on":"1795611600","resource":"r"}"#;
    let service = Service::start(move |_| (200, answer.to_owned())).await;
    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", service.base.as_str())];
    let endpoint = format!("{}/msi/token", service.base);
    let app = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "header")];
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    let login = || AzureLogin::ManagedIdentity { client_id: Some("mine".into()) };

    let got = identity(&machine).0.current(&source(login())).await.expect("a token");
    assert_eq!(token(&got), "managed");
    let asked = &service.asked()[0];
    let path = "/metadata/identity/oauth2/token";
    assert_eq!(asked.path, format!("{path}?{resource}&client_id=mine&api-version=2018-02-01"));
    assert_eq!(asked.header("metadata"), "true");

    let got = identity(&app).0.current(&source(AzureLogin::Default)).await.expect("a token");
    assert_eq!(token(&got), "managed");
    let asked = &service.asked()[1];
    assert_eq!(asked.path, format!("/msi/token?{resource}&api-version=2019-08-01"));
    assert_eq!(asked.header("x-identity-header"), "header");
}
