//! One request, from its bytes to its answer, whatever the dialect. Read [`serve`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::failure::Failure;
use crate::fault::{Fault, Plan};
use crate::record::{InFlight, Record, Recorded};
use crate::script::Script;
use crate::settings::{Habit, Settings};
use crate::shelf::Shelf;
use crate::stream;
use crate::wish::Wishes;

/// What all connections share.
pub(crate) struct Mock {
    pub(crate) settings: Settings,
    /// Tells the answers of several mocks apart.
    port: u16,
    pub(crate) plan: Plan,
    pub(crate) record: Arc<Record>,
    served: AtomicU64,
    slots: Option<Arc<Semaphore>>,
    pub(crate) shelf: Shelf,
}

/// One endpoint of one dialect.
pub(crate) trait Route: Send + Sync {
    /// Where this dialect's clients put their key.
    fn keys(&self) -> Keys;

    /// Understands a request.
    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure>;

    /// Puts the answer into the dialect's form.
    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply;

    /// Puts a refusal into the dialect's form: the JSON, and a header with the type of the error
    /// where the dialect has one.
    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal;

    /// The header with the id of a request.
    fn id_header(&self) -> &'static str {
        "x-request-id"
    }
}

/// Where a key is looked for.
pub(crate) struct Keys {
    /// Whether there has to be one.
    pub(crate) needed: bool,
    pub(crate) places: &'static [Place],
}

pub(crate) enum Place {
    Bearer,
    Header(&'static str),
    Query(&'static str),
}

/// How a request is answered.
pub(crate) enum Reply {
    /// What took its tokens to say.
    Said(Value),
    /// What was there at once.
    Json(Value),
    /// As [`Reply::Json`], in another form.
    Bytes(&'static str, Bytes),
    Stream(Script),
    Failed(Failure),
}

/// The body of a refusal.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) header: Option<(&'static str, &'static str)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body, header: None }
    }
}

/// The answer to a request within a batch, which is answered as `batch`.
pub(crate) fn within(
    mock: &Mock,
    request: &Recorded,
    route: &impl Route,
    batch: &Answer,
) -> (u16, Value) {
    let refused = |failure: &Failure| {
        let refusal = route.refuse(mock, failure);
        (refusal.status, refusal.body)
    };
    let understood = route.read(mock, request).and_then(|ask| {
        let wishes = Wishes::read(&request.headers, &ask.body, ask.text()).map_err(Failure::bad)?;
        match wishes.status {
            Some(status) => Err(Failure::told(status, "the request asked for this status")),
            None => Ok((ask, wishes)),
        }
    });
    let (ask, wishes) = match understood {
        Ok(understood) => understood,
        Err(failure) => return refused(&failure),
    };
    let id = format!("{}b", batch.id);
    let answer = Answer::compose(&ask, &wishes, &mock.settings, &Fault::None, id);
    match route.reply(mock, &ask, &answer) {
        Reply::Said(body) | Reply::Json(body) => (200, body),
        Reply::Failed(failure) => refused(&failure),
        Reply::Bytes(..) | Reply::Stream(_) => refused(&Failure::bad("a batch has no streams")),
    }
}

impl Mock {
    pub(crate) fn new(settings: Settings, port: u16) -> Self {
        let slots = settings.slots.map(|slots| Arc::new(Semaphore::new(slots)));
        let record = Arc::new(Record::new(settings.accounts));
        let (plan, served) = (Plan::default(), AtomicU64::new(0));
        Self { settings, port, plan, record, served, slots, shelf: Shelf::default() }
    }

    /// The wait before the first byte of an answer.
    fn wait(&self, number: u64) -> Duration {
        let varied = 1.0 + self.settings.jitter * (2.0 * share(self.settings.seed, number) - 1.0);
        self.settings.first_byte.mul_f64(varied.max(0.0))
    }

    /// The wait between two tokens.
    fn gap(&self, fault: &Fault) -> Option<Duration> {
        let ordered = if let Fault::TokensPerSecond(rate) = *fault { Some(rate) } else { None };
        let ordered = ordered.map(|rate| f64::from(rate.max(1)));
        let rate = ordered.or(self.settings.tokens_per_second);
        rate.map(|rate| Duration::from_secs_f64(1.0 / rate))
    }

    /// Requests being answered, and waiting in line.
    pub(crate) fn load(&self) -> (u64, u64) {
        let all = self.record.stats().in_flight;
        let slots = self.settings.slots.map_or(u64::MAX, |slots| slots as u64);
        (all.min(slots), all.saturating_sub(slots))
    }

    /// An id that no other answer of any running mock has.
    pub(crate) fn id(&self) -> String {
        self.id_of(self.served.fetch_add(1, Ordering::Relaxed))
    }

    fn id_of(&self, number: u64) -> String {
        format!("mock{}n{number}", self.port)
    }

    fn has(&self, model: &str) -> bool {
        self.settings.models.as_ref().is_none_or(|models| models.iter().any(|m| m == model))
    }

    pub(crate) fn check_key(&self, request: &Recorded, keys: &Keys) -> Result<(), Failure> {
        let mut found = keys.places.iter().filter_map(|place| match place {
            Place::Bearer => request.header("authorization")?.strip_prefix("Bearer "),
            Place::Header(name) => request.header(name),
            Place::Query(name) => request.parameter(name),
        });
        match (found.next(), &self.settings.key) {
            (None, wanted) if keys.needed || (wanted.is_some() && !keys.places.is_empty()) => {
                Err(Failure::no_key("There is no key where this provider expects it."))
            }
            (Some(key), Some(wanted)) if key != wanted => {
                Err(Failure::wrong_key("The key is not the mock's."))
            }
            _ => Ok(()),
        }
    }
}

/// Answers one request in the dialect of its route.
pub(crate) async fn serve(mock: &Mock, request: Recorded, route: &impl Route) -> Response {
    let mut in_flight = mock.record.begin(request.clone());
    let ordered = mock.plan.take();
    let understood = mock.check_key(&request, &route.keys()).and_then(|()| {
        let ask = route.read(mock, &request)?;
        let wishes = Wishes::read(&request.headers, &ask.body, ask.text()).map_err(Failure::bad)?;
        Ok((ask, wishes))
    });
    let (ask, wishes) = match understood {
        Ok(understood) => understood,
        Err(failure) => return refuse(mock, route, &failure, in_flight),
    };
    let wished = wishes.fault.clone().filter(|_| ordered == Fault::None);
    let fault = wished.unwrap_or(ordered);
    if fault == Fault::Hang {
        return std::future::pending().await;
    }
    let number = mock.served.fetch_add(1, Ordering::Relaxed);
    if let Some(slots) = &mock.slots {
        let slot = slots.clone().acquire_owned().await;
        in_flight.hold(slot.expect("nobody closes the slots"));
    }
    let slow = if let Fault::SlowFirstToken(more) = fault { more } else { Duration::ZERO };
    let wait = mock.wait(number) + slow + wishes.delay;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if let Some(failure) = refusal(mock, &fault, &ask, &wishes) {
        return refuse(mock, route, &failure, in_flight);
    }
    let id = mock.id_of(number);
    let answer = Answer::compose(&ask, &wishes, &mock.settings, &fault, id);
    if let Some(usage) = answer.usage {
        in_flight.answers(ask.text(), usage.prompt, usage.completion);
    }
    let gap = mock.gap(&fault);
    let reply = route.reply(mock, &ask, &answer);
    let mut response = match reply {
        Reply::Failed(failure) => return refuse(mock, route, &failure, in_flight),
        _ if fault == Fault::Html => html(in_flight),
        Reply::Stream(script) => {
            let content_type = script.framing.content_type();
            let cr_lf = mock.settings.has(Habit::CrLf);
            response(200, content_type, stream::body(script, gap, &fault, cr_lf, in_flight))
        }
        Reply::Said(value) => {
            if let Some(gap) = gap {
                tokio::time::sleep(gap * answer.tokens).await;
            }
            whole(&fault, "application/json", value.to_string().into(), in_flight)
        }
        Reply::Json(value) => {
            whole(&fault, "application/json", value.to_string().into(), in_flight)
        }
        Reply::Bytes(content_type, bytes) => whole(&fault, content_type, bytes, in_flight),
    };
    mark(&mut response, route, &answer);
    response
}

fn mark(response: &mut Response, route: &impl Route, answer: &Answer) {
    let id = HeaderValue::from_str(&format!("req_{}", answer.id)).expect("letters and digits");
    response.headers_mut().insert(HeaderName::from_static(route.id_header()), id);
}

/// Why a request that is understood is not answered.
pub(crate) fn refusal(mock: &Mock, fault: &Fault, ask: &Ask, wishes: &Wishes) -> Option<Failure> {
    if let Some(status) = wishes.status {
        let retry_after = wishes.retry_after.clone();
        let failure = Failure::told(status, "the request asked for this status");
        return Some(Failure { retry_after, ..failure });
    }
    if let Fault::Status { code, retry_after } = *fault {
        let retry_after = retry_after.map(|seconds| seconds.to_string());
        return Some(Failure { retry_after, ..Failure::told(code, "the mock was told to fail") });
    }
    if *fault == Fault::Loading {
        return Some(Failure::loading());
    }
    if *fault == Fault::WrongName || !(ask.model.is_empty() || mock.has(&ask.model)) {
        return Some(Failure::no_model(&ask.model));
    }
    let limit = mock.settings.context.filter(|limit| ask.prompt_tokens > *limit)?;
    Some(Failure::too_long(ask.prompt_tokens, limit))
}

fn refuse(mock: &Mock, route: &impl Route, failure: &Failure, mut in_flight: InFlight) -> Response {
    in_flight.finish();
    let Refusal { status, body, header } = route.refuse(mock, failure);
    let mut refused = json_response(status, &body);
    let headers = refused.headers_mut();
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(wait) = failure.retry_after.as_deref().and_then(|text| text.parse().ok()) {
        headers.insert(RETRY_AFTER, wait);
    }
    headers.insert(route.id_header(), HeaderValue::from_static("req_refused"));
    refused
}

fn whole(
    fault: &Fault,
    content_type: &'static str,
    mut body: Bytes,
    mut in_flight: InFlight,
) -> Response {
    if let Fault::ResetMidStream(_) = fault {
        let broken = futures::stream::iter([
            Ok(body.split_to(body.len() / 2)),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ]);
        return response(200, content_type, Body::from_stream(broken));
    }
    if *fault == Fault::TruncatedJson {
        body.truncate(body.len() / 2);
    }
    if *fault == Fault::MalformedJson {
        body = Bytes::from_static(stream::MALFORMED);
    }
    if *fault == Fault::BadUtf8 {
        body = Bytes::from_static(stream::BAD_UTF8);
    }
    in_flight.finish();
    response(200, content_type, body.into())
}

fn html(mut in_flight: InFlight) -> Response {
    in_flight.finish();
    response(200, "text/html", "<html><body><h1>Welcome</h1></body></html>".into())
}

pub(crate) fn json_response(code: u16, body: &Value) -> Response {
    response(code, "application/json", body.to_string().into())
}

pub(crate) fn response(code: u16, content_type: &'static str, body: Body) -> Response {
    let status = StatusCode::from_u16(code).expect("faults name real statuses");
    let built = Response::builder().status(status).header(CONTENT_TYPE, content_type).body(body);
    built.expect("a status and a constant header make a response")
}

/// A share from 0 to 1 that depends on nothing else.
#[expect(clippy::cast_precision_loss, reason = "a wait need not be exact to 53 bits")]
fn share(seed: u64, number: u64) -> f64 {
    // splitmix64
    let mut x = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as f64 / u64::MAX as f64
}
