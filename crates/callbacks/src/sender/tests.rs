//! A sender and a receiver over real HTTP, which answers as it is told.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use dunlin_config::{Callback, CallbackKind, Outcomes};
use dunlin_egress::Proxies;
use dunlin_types::{MonoMillis, Networks, UnixMillis};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::*;
use crate::samples;

/// What a receiver got, and what it says next; then always 200.
#[derive(Clone, Default)]
struct Stand(Arc<Mutex<Seen>>);

/// The bodies that came, and the answers to come.
type Seen = (Vec<Value>, VecDeque<(u16, &'static str)>);

impl Stand {
    /// The records of each post that came.
    fn posts(&self) -> Vec<usize> {
        let got = self.0.lock().expect("no panic");
        got.0.iter().map(|body| body.as_array().map_or(0, Vec::len)).collect()
    }
}

async fn take(State(stand): State<Stand>, body: Bytes) -> (StatusCode, HeaderMap, &'static str) {
    let mut stand = stand.0.lock().expect("no panic");
    stand.0.push(serde_json::from_slice(&body).expect("JSON"));
    let (status, said) = stand.1.pop_front().unwrap_or((200, ""));
    let mut headers = HeaderMap::new();
    if status == 429 {
        headers.insert("retry-after", "0".parse().expect("a value"));
    }
    (StatusCode::from_u16(status).expect("a status"), headers, said)
}

struct Setup {
    stand: Stand,
    queue: Arc<Queue>,
    _tasks: TaskTracker,
}

/// A sender that does not run yet, and its receiver.
struct Ready {
    stand: Stand,
    sender: Sender,
    tasks: TaskTracker,
}

/// A sender to a receiver that answers with `script`.
async fn setup(kind: CallbackKind, script: &[(u16, &'static str)]) -> Setup {
    let Ready { stand, sender, tasks } = ready(kind, script, Networks::Anywhere).await;
    let queue = Arc::clone(&sender.queue);
    tasks.spawn(sender.run());
    Setup { stand, queue, _tasks: tasks }
}

async fn ready(kind: CallbackKind, script: &[(u16, &'static str)], networks: Networks) -> Ready {
    let stand = Stand::default();
    stand.0.lock().expect("no panic").1.extend(script);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = axum::Router::new().fallback(post(take)).with_state(stand.clone());
    let tasks = TaskTracker::new();
    tasks.spawn(async move { axum::serve(listener, app).await });
    let receiver = kind.receiver(&|name| match name {
        "GENERIC_LOGGER_ENDPOINT" | "LANGFUSE_HOST" | "OTEL_ENDPOINT" => Some(&*url),
        "LANGFUSE_PUBLIC_KEY" | "LANGFUSE_SECRET_KEY" => Some("k"),
        _ => None,
    });
    let callback = Callback {
        name: kind.name().into(),
        receiver: receiver.expect("a receiver"),
        on: Outcomes { success: true, failure: true },
        messages: true,
    };
    let sender = Sender {
        target: Arc::new(Target { callback, networks }),
        queue: Arc::default(),
        egress: Egress::new(Proxies::default()),
        tls: Arc::default(),
        clock: Clock::new(|| UnixMillis(0), || MonoMillis(0)),
    };
    Ready { stand, sender, tasks }
}

impl Setup {
    /// Sends so many records and waits until it is over with them: sent, failed.
    async fn send(&self, count: usize) -> (u64, u64) {
        (0..count).for_each(|_| self.queue.put(Arc::new(samples::answered())));
        self.queue.hurry();
        let over = async {
            while self.queue.length() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), over).await.expect("it is over soon");
        let counts = &self.queue.counts;
        (counts.sent.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_post_and_is_sent_again_until_it_is_taken() {
    for script in [&[][..], &[(503, ""), (429, "slow"), (500, "oops")]] {
        let setup = setup(CallbackKind::GenericApi, script).await;
        assert_eq!(setup.send(3).await, (3, 0));
        assert_eq!(setup.stand.posts(), vec![3; script.len() + 1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_and_not_sent_again() {
    for status in [400, 401, 404, 301] {
        let setup = setup(CallbackKind::GenericApi, &[(status, "no")]).await;
        assert_eq!(setup.send(2).await, (0, 2), "{status}");
        assert_eq!(setup.send(1).await, (1, 2), "what comes later is sent");
        assert_eq!(setup.stand.posts(), [2, 1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_sent_in_two() {
    let setup = setup(CallbackKind::GenericApi, &[(413, ""), (413, ""), (200, "")]).await;
    assert_eq!(setup.send(3).await, (2, 1));
    assert_eq!(setup.stand.posts(), [3, 1, 2], "a record alone that is too large fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_takes_in_part_is_counted_so() {
    let some = r#"{"successes":[],"errors":[{"id":"a-trace","status":400,"message":"bad"}]}"#;
    let setup = setup(CallbackKind::Langfuse, &[(207, some)]).await;
    assert_eq!(setup.send(3).await, (2, 1));
    let told = setup.stand.0.lock().expect("no panic").0[0].clone();
    assert_eq!(told["batch"].as_array().map(Vec::len), Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_in_a_network_that_is_not_allowed_is_sent_nothing() {
    let networks = Networks::Only(["public".parse().expect("a network")].into());
    let Ready { stand, sender, .. } = ready(CallbackKind::GenericApi, &[], networks).await;
    for post in sender.target.posts(&[&samples::answered()]) {
        let fate = sender.once(&post).await;
        assert!(matches!(fate, Fate::Later { .. }), "it is tried again: {fate:?}");
    }
    assert_eq!(stand.posts(), Vec::<usize>::new());
}
