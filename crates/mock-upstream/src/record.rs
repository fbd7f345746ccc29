//! What the mock has seen.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// The most of a request body that is kept.
const MAX_RECORDED: usize = 64 * 1024;
/// How many requests are kept; older ones are forgotten.
const MAX_REQUESTS: usize = 64;

/// Counts since the start. Requests for models and health are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests whose body has been read.
    pub requests: u64,
    /// Being answered.
    pub in_flight: u64,
    /// Whose client went away, or whose connection a fault broke, before the answer was whole.
    pub cancelled: u64,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its method.
    pub method: Method,
    /// Its path, as written.
    pub path: String,
    /// What follows the `?`.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The first 64 KiB of its body.
    pub body: Bytes,
}

/// What became of one request, where the mock keeps account: [`crate::Settings::accounts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// When its body had been read, from the mock's start on.
    pub at: Duration,
    /// What the user said last.
    pub said: String,
    /// The tokens of its prompt, as its answer counts them; 0 before there is one.
    pub prompt_tokens: u64,
    /// The tokens of its answer.
    pub completion_tokens: u64,
    /// Whether the whole answer was given to its connection.
    pub whole: bool,
}

impl Recorded {
    /// A request within a batch.
    pub(crate) fn within(path: &str, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query. None of those the mock reads needs decoding.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

impl Recorded {
    /// A part of the path, from 0, decoded.
    pub(crate) fn segment(&self, at: usize) -> String {
        decoded(self.path.split('/').nth(at + 1).unwrap_or_default())
    }
}

/// A text without its `%XX`.
pub(crate) fn decoded(text: &str) -> String {
    let (mut bytes, mut decoded) = (text.as_bytes().iter(), Vec::new());
    while let Some(&byte) = bytes.next() {
        let digits = (byte == b'%').then(|| bytes.as_slice().get(..2)).flatten();
        let code = digits.and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        if code.is_some() {
            bytes.nth(1);
        }
        decoded.push(code.unwrap_or(byte));
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

impl<S: Send + Sync> FromRequest<S> for Recorded {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let (method, uri, headers) =
            (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let body = body.map_err(IntoResponse::into_response)?;
        let query = uri.query().unwrap_or_default().to_owned();
        Ok(Self { method, path: uri.path().to_owned(), query, headers, body })
    }
}

pub(crate) struct Record {
    began: Instant,
    requests: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
    last: Mutex<VecDeque<Recorded>>,
    /// Of the first requests, no more than so many.
    accounts: (Mutex<Vec<Account>>, usize),
    changed: Notify,
}

impl Record {
    pub(crate) fn new(accounts: usize) -> Self {
        Self {
            began: now(),
            requests: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            last: Mutex::default(),
            accounts: (Mutex::default(), accounts),
            changed: Notify::new(),
        }
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, request: Recorded) -> InFlight {
        let body = if request.body.len() > MAX_RECORDED {
            Bytes::copy_from_slice(&request.body[..MAX_RECORDED])
        } else {
            request.body
        };
        let mut last = self.last.lock().expect("no one panics with it");
        if last.len() == MAX_REQUESTS {
            last.pop_front();
        }
        last.push_back(Recorded { body, ..request });
        drop(last);
        let account = self.open_account();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        InFlight { record: self.clone(), finished: false, account, _slot: None }
    }

    fn open_account(&self) -> Option<usize> {
        let (accounts, most) = &self.accounts;
        let mut accounts = accounts.lock().expect("no one panics with it");
        let place = accounts.len();
        (place < *most).then(|| {
            accounts.push(Account { at: now() - self.began, ..Account::default() });
            place
        })
    }

    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.accounts.0.lock().expect("no one panics with it").clone()
    }

    pub(crate) fn stats(&self) -> Stats {
        // Ends first: an end that is seen has a beginning that is seen.
        let finished = self.finished.load(Ordering::Acquire);
        let cancelled = self.cancelled.load(Ordering::Acquire);
        let requests = self.requests.load(Ordering::Acquire);
        Stats { requests, in_flight: requests - finished - cancelled, cancelled }
    }

    /// The requests that are kept, the oldest first.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.last.lock().expect("no one panics with it").iter().cloned().collect()
    }

    pub(crate) fn last(&self) -> Option<Recorded> {
        self.last.lock().expect("no one panics with it").back().cloned()
    }

    pub(crate) async fn until(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let stats = self.stats();
            if condition(&stats) {
                return stats;
            }
            changed.await;
        }
    }
}

/// One request being answered. Dropped unfinished, it was cancelled.
pub(crate) struct InFlight {
    record: Arc<Record>,
    finished: bool,
    /// The place of its account, if it has one.
    account: Option<usize>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.note(|account| account.whole = true);
    }

    /// Notes who asked and what the answer counts.
    pub(crate) fn answers(&self, said: &str, prompt_tokens: u64, completion_tokens: u64) {
        self.note(|account| {
            account.said = said.to_owned();
            (account.prompt_tokens, account.completion_tokens) = (prompt_tokens, completion_tokens);
        });
    }

    fn note(&self, what: impl FnOnce(&mut Account)) {
        if let Some(place) = self.account {
            what(&mut self.record.accounts.0.lock().expect("no one panics with it")[place]);
        }
    }

    /// Keeps one of the mock's slots until the end.
    pub(crate) fn hold(&mut self, slot: OwnedSemaphorePermit) {
        self._slot = Some(slot);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let ends = if self.finished { &self.record.finished } else { &self.record.cancelled };
        ends.fetch_add(1, Ordering::Release);
        self.record.changed.notify_waiters();
    }
}

#[expect(clippy::disallowed_methods, reason = "a witness notes when it was asked")]
fn now() -> Instant {
    Instant::now()
}
