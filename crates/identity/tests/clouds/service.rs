//! A token service that shows what it was asked, a clock to turn, and an identity between them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use dunlin_egress::{Egress, Proxies};
use dunlin_identity::{Config, Identity, Surroundings};
use dunlin_types::{Clock, Credential, MonoMillis, UnixMillis};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// 2026-11-25T12:00:00Z.
pub(crate) const START: u64 = 1_795_608_000_000;
/// No status: no answer ever comes.
pub(crate) const HANGS: u16 = 0;
/// An hour later.
pub(crate) const IN_AN_HOUR: &str = "2026-11-25T13:00:00Z";

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    /// A field of the form, still encoded.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.body.split('&');
        fields.filter_map(|field| field.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    /// Answers every request with a status and a text.
    pub(crate) async fn start(
        answer: impl Fn(&Asked) -> (u16, String) + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let service = Self { base, asked: Arc::default() };
        let asked = Arc::clone(&service.asked);
        let app = Router::new().fallback(move |request: Request| async move {
            let (head, body) = request.into_parts();
            let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a short body");
            let seen = Asked {
                method: head.method.to_string(),
                path: head.uri.to_string(),
                headers: head.headers,
                body: String::from_utf8(body.to_vec()).expect("a text"),
            };
            asked.lock().expect("not poisoned").push(seen.clone());
            let (status, text) = answer(&seen);
            if status == HANGS {
                std::future::pending::<()>().await;
            }
            (StatusCode::from_u16(status).expect("a status"), text)
        });
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        service
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

/// Time that passes when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("short");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let (unix, mono) = (Arc::clone(&self.0), Arc::clone(&self.0));
        Clock::new(
            move || UnixMillis(START + unix.load(Ordering::SeqCst)),
            move || MonoMillis(mono.load(Ordering::SeqCst)),
        )
    }
}

/// An identity in these surroundings, and its time.
pub(crate) fn identity(variables: &[(&str, &str)]) -> (Identity, Time) {
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| *v);
    let time = Time::default();
    let config = Config {
        surroundings: Surroundings::from_variables(variable),
        egress: Egress::new(Proxies::default()),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    (Identity::start(config, time.clock()), time)
}

/// The parts of AWS keys.
pub(crate) fn aws(credential: &Credential) -> (&str, &str, Option<&str>) {
    let Credential::Aws { access_key_id, secret_access_key, session_token } = credential else {
        panic!("no AWS keys: {credential:?}");
    };
    (access_key_id, secret_access_key.expose(), session_token.as_ref().map(|token| token.expose()))
}

/// The text of a bearer token.
pub(crate) fn token(credential: &Credential) -> &str {
    let Credential::Token(token) = credential else { panic!("no token: {credential:?}") };
    token.expose()
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("bound"))
}

pub(crate) fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a writable folder");
    path.to_str().expect("a text").to_owned()
}
