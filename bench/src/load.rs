//! The load generator: plain HTTP/1.1 connections on hyper, so that it costs little itself.
//!
//! Closed loop: every connection sends its next request when the last one is answered. Open loop:
//! requests are due at a constant rate whatever the answers do, and latency counts from the moment
//! a request was due, so that a stall is charged to all requests it delayed.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock;
use crate::report::per;

const SLOWEST_MICROS: u64 = 60_000_000;
/// An answer that takes longer after the end of a load is a hang.
const LATEST_ANSWER: Duration = Duration::from_secs(30);
/// By a limit, by a budget.
const REFUSALS: [StatusCode; 2] = [StatusCode::TOO_MANY_REQUESTS, StatusCode::UNPROCESSABLE_ENTITY];
const STREAM_END: &[u8] = b"data: [DONE]\n\n";

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loop {
    Closed,
    Open { per_second: u32 },
}

/// What is sent, to whom, how often and for how long.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Connections are spread over these.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Used by turns; at least one.
    pub(crate) keys: Arc<[String]>,
    pub(crate) body: Bytes,
    pub(crate) stream: bool,
    pub(crate) mode: Loop,
    pub(crate) connections: usize,
    pub(crate) lasts: Duration,
}

/// What came of it.
pub(crate) struct Load {
    /// Requests that a limit or a budget refused.
    pub(crate) refused: u64,
    /// Other statuses, cut streams, broken connections.
    pub(crate) failed: u64,
    /// One failure in words.
    pub(crate) failure: Option<String>,
    pub(crate) took: Duration,
    /// Microseconds to the whole answer, or to the first chunk of a stream, of each right answer.
    pub(crate) latency: Histogram<u64>,
}

impl Load {
    pub(crate) fn none() -> anyhow::Result<Self> {
        let latency = Histogram::new_with_bounds(1, SLOWEST_MICROS, 3)?;
        Ok(Self { refused: 0, failed: 0, failure: None, took: Duration::ZERO, latency })
    }

    /// The same and another one, one after the other.
    pub(crate) fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.latency.add(other.latency)?;
        self.refused += other.refused;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
        self.took += other.took;
        Ok(())
    }

    /// Right answers.
    pub(crate) fn answered(&self) -> u64 {
        self.latency.len()
    }

    /// So many of the answers, as a share, took no longer.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        per(self.latency.value_at_quantile(share), 1_000.0)
    }
}

/// Runs one load to its end.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<Load> {
    let started = clock::now();
    let gate = Arc::new(Gate::new(plan.mode, started, plan.lasts));
    let mut workers = JoinSet::new();
    for number in 0..plan.connections {
        let address = plan.addresses[number % plan.addresses.len()];
        let worker = Worker { address, plan: plan.clone(), turn: number, sent: None };
        workers.spawn(worker.work(gate.clone()));
    }
    let pacer = gate.clone().pace();
    let mut total = Load::none()?;
    let working = async {
        while let Some(tally) = workers.join_next().await {
            total.add(tally.context("a load worker panicked")??)?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(plan.lasts + LATEST_ANSWER, working)
        .await
        .with_context(|| format!("answers are missing {LATEST_ANSWER:?} after the load"))??;
    total.took = clock::now() - started;
    if let Some(pacer) = pacer {
        pacer.join().map_err(|_| anyhow::anyhow!("the pacer panicked"))?;
    }
    Ok(total)
}

/// Repeats a short load for as long as some work takes; gives what came of each round.
pub(crate) async fn beside<T>(
    plan: &Plan,
    work: impl Future<Output = anyhow::Result<T>>,
    mut round: impl FnMut(Load) -> anyhow::Result<()>,
) -> anyhow::Result<T> {
    let mut work = pin!(work);
    loop {
        let mut load = pin!(run(plan.clone()));
        tokio::select! {
            done = &mut work => {
                round(load.await?)?;
                return done;
            }
            load = &mut load => round(load?)?,
        }
    }
}

/// Lets requests go at their time.
struct Gate {
    mode: Loop,
    started: Instant,
    ends: Instant,
    /// Open loop: one permit for each request that is due.
    due: Semaphore,
    taken: AtomicU64,
}

impl Gate {
    fn new(mode: Loop, started: Instant, lasts: Duration) -> Self {
        let (due, taken) = (Semaphore::new(0), AtomicU64::new(0));
        Self { mode, started, ends: started + lasts, due, taken }
    }

    /// The moment from which the next request counts; none when the load is over.
    async fn next(&self) -> Option<Instant> {
        match self.mode {
            Loop::Closed => Some(clock::now()).filter(|now| *now < self.ends),
            Loop::Open { per_second } => {
                // The pacer closes the semaphore behind the last request that is due.
                self.due.acquire().await.ok()?.forget();
                let number = self.taken.fetch_add(1, Ordering::Relaxed);
                Some(due_at(self.started, number, per_second))
            }
        }
    }

    /// A thread of its own keeps the rate: the runtime's timer only knows milliseconds.
    fn pace(self: Arc<Self>) -> Option<std::thread::JoinHandle<()>> {
        let Loop::Open { per_second } = self.mode else { return None };
        Some(std::thread::spawn(move || {
            for number in 0.. {
                let due = due_at(self.started, number, per_second);
                if due >= self.ends {
                    break;
                }
                std::thread::sleep(due.saturating_duration_since(clock::now()));
                self.due.add_permits(1);
            }
            self.close_when_taken();
        }))
    }

    /// Late workers still take what is due: a closed semaphore would forgive a stall at the end.
    fn close_when_taken(&self) {
        while self.due.available_permits() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.due.close();
    }
}

fn due_at(started: Instant, number: u64, per_second: u32) -> Instant {
    started + Duration::from_nanos(number * 1_000_000_000 / u64::from(per_second))
}

/// One connection and its requests.
struct Worker {
    address: SocketAddr,
    plan: Plan,
    /// Whose key is next.
    turn: usize,
    sent: Option<SendRequest<Full<Bytes>>>,
}

impl Worker {
    async fn work(mut self, gate: Arc<Gate>) -> anyhow::Result<Load> {
        let mut load = Load::none()?;
        let mut drivers = JoinSet::new();
        while let Some(from) = gate.next().await {
            match self.ask(&mut drivers).await {
                Ok(Some(at)) => {
                    let micros = u64::try_from((at - from).as_micros())?;
                    load.latency.saturating_record(micros.max(1));
                }
                Ok(None) => load.refused += 1,
                Err(error) => {
                    self.sent = None;
                    load.failed += 1;
                    load.failure.get_or_insert_with(|| format!("{error:#}"));
                }
            }
        }
        Ok(load)
    }

    /// Sends one request and reads its answer; gives the moment that counts, none if it was refused.
    async fn ask(&mut self, drivers: &mut JoinSet<()>) -> anyhow::Result<Option<Instant>> {
        let key = &self.plan.keys[self.turn % self.plan.keys.len()];
        self.turn += self.plan.connections;
        let request = Request::post("/v1/chat/completions")
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(self.plan.body.clone()))?;
        let stream = self.plan.stream;
        let sender = match &mut self.sent {
            Some(sender) => sender,
            None => self.sent.insert(connect(self.address, drivers).await?),
        };
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        let (mut first, mut last) = (None, Bytes::new());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                first.get_or_insert_with(clock::now);
                last = data;
            }
        }
        if REFUSALS.contains(&status) {
            return Ok(None);
        }
        if status != StatusCode::OK {
            bail!("status {status}: {}", String::from_utf8_lossy(&last));
        }
        if stream && !last.ends_with(STREAM_END) {
            bail!("the stream was cut: {}", String::from_utf8_lossy(&last));
        }
        let end = clock::now();
        Ok(Some(if stream { first.unwrap_or(end) } else { end }))
    }
}

async fn connect(
    address: SocketAddr,
    drivers: &mut JoinSet<()>,
) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(address).await.with_context(|| address.to_string())?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    drivers.spawn(async move {
        // The request that is under way reports the same error.
        drop(connection.await);
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_is_due_at_its_rate_however_late_it_is_taken() {
        let started = clock::now();
        assert_eq!(due_at(started, 0, 500), started);
        assert_eq!(due_at(started, 1500, 500), started + Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_stalled_open_loop_still_counts_every_request_that_was_due() {
        let lasts = Duration::from_millis(50);
        let mode = Loop::Open { per_second: 1000 };
        let gate = Arc::new(Gate::new(mode, clock::now(), lasts));
        let pacer = gate.clone().pace().expect("an open loop has a pacer");
        // Nobody takes a request until the time is over.
        tokio::time::sleep(lasts).await;
        let mut taken = Vec::new();
        while let Some(due) = gate.next().await {
            taken.push(due - gate.started);
        }
        pacer.join().expect("ends by itself");
        assert_eq!(taken.len(), 50);
        assert_eq!(taken[49], Duration::from_millis(49));
    }
}
