//! A steady load from one client that knows all nodes: it takes them in turn and, like the OpenAI
//! SDKs behind a DNS name, goes to the next one when a node refuses the connection or drops it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_cluster::{CallError, Client, Reply};
use dunlin_types::{Clock, MonoMillis};
use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// More requests than this under way at once are not sent but counted as held back.
const MOST_IN_FLIGHT: usize = 1000;
/// Latencies kept for the median.
const REMEMBERED: usize = 500;

/// What became of the requests so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Answered by the node that was asked first.
    pub(super) ok: u64,
    /// Answered by another node, because the first refused the connection or dropped it.
    pub(super) moved: u64,
    /// Answered with an error status, or by no node at all.
    pub(super) failed: u64,
    /// Not sent, because too many were under way.
    pub(super) held_back: u64,
    /// Answers by node.
    pub(super) by_node: Vec<u64>,
    /// The last failure, in words.
    pub(super) last_failure: Option<String>,
    latencies_ms: VecDeque<u64>,
}

impl Counts {
    /// The median latency of the last 500 answers.
    pub(super) fn median_ms(&self) -> Option<u64> {
        let mut sorted: Vec<u64> = self.latencies_ms.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    fn answered(&mut self, node: usize, tries: usize, took: Duration) {
        if tries == 1 {
            self.ok += 1
        } else {
            self.moved += 1
        }
        self.by_node[node] += 1;
        if self.latencies_ms.len() == REMEMBERED {
            self.latencies_ms.pop_front();
        }
        self.latencies_ms.push_back(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }

    fn failed(&mut self, why: String) {
        self.failed += 1;
        self.last_failure = Some(why);
    }
}

/// The running load. Cheap to clone.
#[derive(Clone)]
pub(super) struct Load {
    client: Client,
    /// One chat URL per node.
    urls: Arc<[String]>,
    clock: Clock,
    counts: Arc<Mutex<Counts>>,
}

impl Load {
    /// Sends `per_second` requests until `stop`; each is a task of `tasks`.
    pub(super) fn start(
        client: Client,
        urls: Vec<String>,
        per_second: u32,
        clock: Clock,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let counts = Counts { by_node: vec![0; urls.len()], ..Counts::default() };
        let load = Self { client, urls: urls.into(), clock, counts: Arc::new(Mutex::new(counts)) };
        if per_second > 0 {
            let sending = load.clone().send_steadily(per_second, tasks.clone());
            tasks.spawn(stop.run_until_cancelled_owned(sending));
        }
        load
    }

    pub(super) fn counts(&self) -> Counts {
        self.locked(|counts| counts.clone())
    }

    async fn send_steadily(self, per_second: u32, tasks: TaskTracker) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0_usize.. {
            ticks.tick().await;
            if tasks.len() > MOST_IN_FLIGHT {
                self.locked(|counts| counts.held_back += 1);
                continue;
            }
            let load = self.clone();
            tasks.spawn(async move { load.ask(number).await });
        }
    }

    /// One request: the node whose turn it is, then the others.
    async fn ask(self, number: usize) {
        let started = self.clock.mono();
        let stream = number % 2 == 1;
        let body = json!({
            "model": "chat",
            "messages": [{"role": "user", "content": "What does a dunlin eat?"}],
            "max_tokens": 32,
            "stream": stream,
        });
        let nodes = self.urls.len();
        let mut why = String::new();
        for tries in 1..=nodes {
            let node = (number + tries - 1) % nodes;
            match self.client.post(&self.urls[node], &body).await {
                Ok(reply) => return self.note(&reply, stream, (node, tries), started),
                Err(CallError::Refused(reason) | CallError::Broken(reason)) => why = reason,
            }
        }
        self.locked(|counts| counts.failed(why));
    }

    fn note(&self, reply: &Reply, stream: bool, (node, tries): (usize, usize), from: MonoMillis) {
        let whole = !stream || reply.body.trim_end().ends_with("data: [DONE]");
        let took = self.clock.mono().since(from);
        self.locked(|counts| {
            if reply.ok() && whole {
                counts.answered(node, tries, took);
            } else {
                counts.failed(format!("status {}: {}", reply.status, tail(&reply.body)));
            }
        });
    }

    fn locked<T>(&self, look: impl FnOnce(&mut Counts) -> T) -> T {
        look(&mut self.counts.lock().expect("no holder of this lock panics"))
    }
}

/// The last 120 characters, where an error event stands in a stream.
fn tail(body: &str) -> String {
    let body = body.trim_end();
    let skipped = body.chars().count().saturating_sub(120);
    body.chars().skip(skipped).collect()
}
