//! Over time: one fetch for many callers, renewal ahead of the end, and services that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dunlin_identity::Identity;
use dunlin_types::{AzureLogin, AzureSource, Secret, Source};
use tokio::task::JoinSet;

use crate::service::{Service, Time, identity, token};

/// A service that gives numbered tokens of an hour, and can be made to fail.
struct Tokens {
    service: Service,
    fails: Arc<AtomicBool>,
    identity: Identity,
    time: Time,
}

impl Tokens {
    async fn start() -> Self {
        let (given, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let failing = Arc::clone(&fails);
        let service = Service::start(move |_| {
            if failing.load(Ordering::SeqCst) {
                return (503, r#"{"error":"temporarily_unavailable"}"#.to_owned());
            }
            let number = given.fetch_add(1, Ordering::SeqCst);
            (200, format!(r#"{{"access_token":"token-{number}","expires_in":3600}}"#))
        })
        .await;
        let (identity, time) = identity(&[("AZURE_AUTHORITY_HOST", &service.base)]);
        Self { service, fails, identity, time }
    }

    async fn current(&self) -> Result<String, String> {
        let login = AzureLogin::ClientSecret {
            tenant_id: "t".into(),
            client_id: "c".into(),
            client_secret: Secret::new("s"),
        };
        let source = Source::Azure(AzureSource { login, scope: None });
        let got = self.identity.current(&source).await;
        got.map(|got| token(&got).to_owned()).map_err(|error| error.to_string())
    }

    /// Looks until the service has been asked so often.
    async fn asked(&self, times: usize) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let asked = async {
            while self.service.asked().len() < times {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("it is asked");
    }

    /// Looks until that is the current token.
    async fn becomes(&self, expected: &str) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let became = async {
            while self.current().await.as_deref() != Ok(expected) {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), became).await.expect(expected);
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn fifty_callers_share_one_fetch() {
    let tokens = Arc::new(Tokens::start().await);
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let tokens = Arc::clone(&tokens);
        callers.spawn(async move { tokens.current().await });
    }
    let got = callers.join_all().await;
    assert!(got.iter().all(|got| got.as_deref() == Ok("token-0")), "{got:?}");
    assert_eq!(tokens.service.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let tokens = Tokens::start().await;
    assert_eq!(tokens.current().await.as_deref(), Ok("token-0"));
    tokens.time.pass(MINUTE * 30);
    assert_eq!(tokens.current().await.as_deref(), Ok("token-0"));
    assert_eq!(tokens.service.asked().len(), 1, "half its life is no reason");
    tokens.time.pass(MINUTE * 20);
    tokens.becomes("token-1").await;
    assert_eq!(tokens.service.asked().len(), 2);
}

#[tokio::test]
async fn a_token_is_used_to_its_end_when_the_service_fails() {
    let tokens = Tokens::start().await;
    assert_eq!(tokens.current().await.as_deref(), Ok("token-0"));
    tokens.fails.store(true, Ordering::SeqCst);
    tokens.time.pass(MINUTE * 59);
    tokens.asked(2).await;
    assert_eq!(tokens.current().await.as_deref(), Ok("token-0"), "it is valid for a minute");

    tokens.time.pass(MINUTE * 2);
    let error = tokens.current().await.expect_err("it has expired");
    assert!(error.contains("503") && error.contains("temporarily_unavailable"), "{error}");
    tokens.fails.store(false, Ordering::SeqCst);
    tokens.time.pass(MINUTE * 2);
    tokens.becomes("token-1").await;
}

#[tokio::test]
async fn a_service_that_fails_is_left_alone_for_a_while() {
    let tokens = Tokens::start().await;
    tokens.fails.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        assert!(tokens.current().await.is_err());
    }
    assert_eq!(tokens.service.asked().len(), 1);
    tokens.fails.store(false, Ordering::SeqCst);
    tokens.time.pass(MINUTE);
    assert_eq!(tokens.current().await.as_deref(), Ok("token-0"));
}
