//! Services that hang, lie or talk too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_types::{AzureLogin, AzureSource, Secret, Source};
use tokio::task::JoinSet;

use crate::service::{HANGS, Service, identity, token};

const SECRET: &str = "a-very-secret~one";

fn source() -> Source {
    let login = AzureLogin::ClientSecret {
        tenant_id: "t".into(),
        client_id: "c".into(),
        client_secret: Secret::new(SECRET),
    };
    Source::Azure(AzureSource { login, scope: None })
}

#[tokio::test]
async fn callers_do_not_wait_for_a_renewal_that_hangs() {
    let hangs = Arc::new(AtomicBool::new(false));
    let hanging = Arc::clone(&hangs);
    let service = Service::start(move |_| {
        if hanging.load(Ordering::SeqCst) {
            return (HANGS, String::new());
        }
        (200, r#"{"access_token":"first","expires_in":3600}"#.to_owned())
    })
    .await;
    let (identity, time) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
    assert_eq!(token(&identity.current(&source()).await.expect("a token")), "first");
    hangs.store(true, Ordering::SeqCst);
    time.pass(Duration::from_secs(59 * 60));
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while service.asked().len() < 2 {
        looks.tick().await;
    }
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let identity = identity.clone();
        callers.spawn(async move { identity.current(&source()).await });
    }
    let all = tokio::time::timeout(Duration::from_secs(2), callers.join_all()).await;
    let all = all.expect("nobody waits while it is valid");
    assert!(all.iter().all(|got| got.as_ref().is_ok_and(|got| token(got) == "first")));
    assert_eq!(service.asked().len(), 2, "one renewal for all");
}

#[tokio::test]
async fn what_is_no_token_is_an_error_that_says_what_is_missing() {
    for (status, said, expected) in [
        (200, "<html>welcome</html>", "not JSON"),
        (200, "", "not JSON"),
        (200, r#"{"token":"x"}"#, "no access_token"),
        (200, r#"{"access_token":7}"#, "no access_token"),
        (200, r#"{"access_token":"x"}"#, "how long it is valid"),
        (200, r#"{"access_token":"x","expires_in":-1}"#, "how long it is valid"),
        (200, r#"{"access_token":"x","expires_in":0}"#, "already expired"),
        (200, r#"{"access_token":"x","expires_on":"17"}"#, "already expired"),
        (404, "<html>no such tenant</html>", "status 404"),
        (500, "", "it gave no reason"),
    ] {
        let service = Service::start(move |_| (status, said.to_owned())).await;
        let (identity, _) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
        let error = identity.current(&source()).await.expect_err(said).to_string();
        assert!(error.contains(expected), "{said}: {error}");
    }
    // A number that no clock reaches is no reason to break.
    let endless = format!(r#"{{"access_token":"x","expires_in":{}}}"#, u64::MAX);
    let service = Service::start(move |_| (200, endless.clone())).await;
    let (identity, _) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
    assert_eq!(token(&identity.current(&source()).await.expect("a token")), "x");
}

#[tokio::test]
async fn a_service_that_repeats_what_it_was_sent_puts_no_secret_into_an_error() {
    let service = Service::start(|asked| {
        let sent = asked.field("client_secret").unwrap_or_default();
        let words = format!("the secret '{SECRET}' (sent as {sent}) is wrong for app 'c'");
        (401, format!(r#"{{"error":"invalid_client","error_description":"{words}"}}"#))
    })
    .await;
    let (identity, _) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
    let error = identity.current(&source()).await.expect_err("it is refused").to_string();
    assert!(error.contains("401") && error.contains("is wrong for app 'c'"), "{error}");
    assert!(!error.contains("very-secret"), "{error}");
}
