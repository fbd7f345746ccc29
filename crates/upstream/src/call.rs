//! One attempt, from the picked deployment to an answer whose first part is at hand.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dunlin_egress::{Body, Client};
use dunlin_llm::{ChatReply, ChatRequest};
use dunlin_providers::{EncodeError, Provider, ProviderError};
use dunlin_router::{Deployment, Outcome, Retry};
use dunlin_types::{Credential, Secret, Tokens};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, Limited};
use tracing::debug;

use crate::attempt::Attempt;
use crate::error::{Failure, unanswered};
use crate::pace::TOO_LATE;
use crate::passage::Passage;
use crate::pieces::Pieces;
use crate::relay::provider_of;
use crate::stream::{Ending, Long, Stream};
use crate::{MAX_HELD_REPLY_BYTES, Upstream};

/// As much of an error's body is read as anyone will look at.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// What an answer is asked for in that is read here.
pub(crate) const PLAIN: HeaderValue = HeaderValue::from_static("identity");

/// As many parts of one request are asked at the same time.
const MAX_PARTS_AT_ONCE: usize = 8;

/// How long one attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Until the whole answer is there; for a stream, until its first chunk.
    pub first: Duration,
    /// Whether the client set it: then running into it says nothing of the deployment.
    pub client_bound: bool,
    /// How failures count against the deployment.
    pub retry: Retry,
}

/// An answer whose first part is at hand.
pub enum Answer {
    /// A whole reply.
    Whole(Whole),
    /// A stream; its first event is at hand.
    Stream(Stream),
    /// A reply too long to be held, or one that is no JSON: its bytes pass as they come.
    Long(Long),
}

/// A whole reply.
pub struct Whole {
    /// The reply.
    pub reply: ChatReply,
    /// The provider's headers.
    pub headers: HeaderMap,
    /// Who answered.
    pub deployment: Arc<Deployment>,
}

impl Upstream {
    /// Sends `request` to the picked deployment and waits for the first part of its answer.
    ///
    /// # Errors
    /// [`Failure`]: nothing has been answered that could be passed on.
    pub async fn call(
        &self,
        attempt: Attempt,
        request: &ChatRequest,
        bounds: Bounds,
    ) -> Result<Answer, Failure> {
        let deployment = Arc::clone(&attempt.deployment);
        let (clock, began) = (&self.0.clock, attempt.began);
        let answered = self.answer(&attempt, request);
        let Ok(answered) = tokio::time::timeout(bounds.first, answered).await else {
            let taken = clock.mono().since(began);
            let late = Failure::new(&deployment, ProviderError::timeout(bounds.first, taken));
            if !bounds.client_bound {
                self.observe(&attempt, late.outcome(), &bounds.retry);
                attempt.measured(request.stream(), TOO_LATE, clock.mono());
            }
            return Err(late);
        };
        match answered {
            Ok(Part::Whole(whole)) => {
                let made = whole.reply.usage().map_or(1, |usage| usage.completion.0.max(1));
                let made = u32::try_from(made).unwrap_or(u32::MAX);
                attempt.measured(false, clock.mono().since(began) / made, clock.mono());
                self.observe(&attempt, Outcome::Success, &bounds.retry);
                Ok(Answer::Whole(whole))
            }
            Ok(Part::Stream(mut stream)) => {
                attempt.measured(true, clock.mono().since(began), clock.mono());
                stream.ending = Some(Ending::new(self.clone(), attempt, bounds.retry));
                Ok(Answer::Stream(stream))
            }
            Ok(Part::Long(mut long)) => {
                long.body.ending = Some(Ending::new(self.clone(), attempt, bounds.retry));
                Ok(Answer::Long(long))
            }
            Err(failure) => {
                // A backend that was not asked has shown nothing.
                if !failure.error.cause.is_unsent() {
                    self.observe(&attempt, failure.outcome(), &bounds.retry);
                }
                Err(failure)
            }
        }
    }

    /// Asks the picked deployment how many tokens a prompt has. `None`: its provider does not
    /// count, or not within `limit`. How it goes says nothing of the deployment: many servers that
    /// speak the dialect do not have this.
    pub async fn count(
        &self,
        attempt: Attempt,
        request: &ChatRequest,
        limit: Duration,
    ) -> Option<Tokens> {
        let provider = dunlin_providers::find(&attempt.deployment.provider)?;
        if !provider.counts_tokens() {
            return None;
        }
        match tokio::time::timeout(limit, self.send(&attempt, request)).await {
            Ok(Ok(Part::Whole(whole))) => whole.reply.usage().map(|usage| usage.prompt),
            Ok(Ok(Part::Stream(_) | Part::Long(_)) | Err(_)) | Err(_) => None,
        }
    }

    /// Some servers know no way to ask for a stream's usage, and refuse that anybody does. Then the
    /// request goes out without, and what is used is counted here.
    async fn answer(&self, attempt: &Attempt, request: &ChatRequest) -> Result<Part, Failure> {
        if !request.stream() {
            return self.send(attempt, request).await;
        }
        let backend = &attempt.backend;
        if !backend.refuses_usage() {
            let answered = self.send(attempt, request).await;
            if !answered.as_ref().is_err_and(Failure::is_about_stream_options) {
                return answered;
            }
        }
        let answered = self.send(attempt, &request.without_usage_wish()).await;
        if answered.is_ok() {
            backend.remember_that_it_refuses_usage();
        }
        answered
    }

    async fn send(&self, attempt: &Attempt, request: &ChatRequest) -> Result<Part, Failure> {
        let deployment = &attempt.deployment;
        let parts = provider_of(deployment)
            .split(request, &deployment.target)
            .map_err(|error| unsendable(deployment, request, error))?;
        if parts.is_empty() {
            self.send_one(attempt, request).await
        } else {
            Box::pin(self.send_parts(attempt, &parts)).await
        }
    }

    /// All parts are answered, or none: the first failure cancels the others.
    async fn send_parts(&self, attempt: &Attempt, parts: &[ChatRequest]) -> Result<Part, Failure> {
        let deployment = &attempt.deployment;
        let mut asked: Vec<BoxFuture<'_, Result<Part, Failure>>> = Vec::with_capacity(parts.len());
        for part in parts {
            asked.push(Box::pin(self.send_one(attempt, part)));
        }
        let asked = futures::stream::iter(asked).buffered(MAX_PARTS_AT_ONCE);
        let answers: Vec<Part> = asked.try_collect().await?;
        let (mut headers, mut replies) = (HeaderMap::new(), Vec::with_capacity(answers.len()));
        for answer in answers {
            if let Part::Whole(whole) = answer {
                headers = whole.headers;
                replies.push(whole.reply);
            }
        }
        let speaker = provider_of(deployment).speaker();
        let complete = replies.len() == parts.len();
        let joined = complete.then(|| ChatReply::joined(replies)).flatten();
        let reply = joined.ok_or_else(|| {
            let why = "the answers to the parts of the request cannot be put together";
            Failure::new(deployment, ProviderError::lacking(speaker, why))
        })?;
        let deployment = Arc::clone(deployment);
        Ok(Part::Whole(Whole { reply, headers, deployment }))
    }

    async fn send_one(&self, attempt: &Attempt, request: &ChatRequest) -> Result<Part, Failure> {
        let deployment = &attempt.deployment;
        let provider = provider_of(deployment);
        let target = &deployment.target;
        let credential = self.credential(deployment, provider.speaker()).await?;
        let mut call = provider
            .encode(request, target, &credential, self.0.clock.unix())
            .map_err(|error| unsendable(deployment, request, error))?;
        for (name, value) in request.forwarded(target.forwards_headers) {
            // The operator's own, and the provider's, go before the client's.
            call.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        call.headers_mut().insert(ACCEPT_ENCODING, PLAIN);
        let client = self.client(deployment, provider.speaker())?;
        let sent = client.request(call.map(Full::new)).await;
        let answer = sent.map_err(|failure| {
            debug!(backend.id = %deployment.backend, "no answer: {failure}");
            let error = unanswered(provider.speaker(), &failure);
            Failure { no_connection: failure.no_connection(), ..Failure::new(deployment, error) }
        })?;
        if !answer.status().is_success() {
            return Err(refusal(provider, deployment, answer).await);
        }
        if let Some(encoding) = encoding(answer.headers()) {
            let why =
                format!("the answer is encoded as `{encoding}`, though it was asked for plain");
            let error = ProviderError::unreadable(provider.speaker(), why);
            return Err(Failure::new(deployment, error));
        }
        if request.stream() {
            let (head, body) = answer.into_parts();
            let stream = Stream::begin(provider, deployment, request, head.headers, body).await?;
            return Ok(Part::Stream(stream));
        }
        whole(provider, deployment, request, answer).await
    }

    /// What authorises a call at this moment.
    pub(crate) async fn credential(
        &self,
        deployment: &Arc<Deployment>,
        speaker: &'static str,
    ) -> Result<Credential, Failure> {
        let target = &deployment.target;
        match (&target.api_key, &target.identity) {
            (Some(key), _) => Ok(Credential::Key(key.clone())),
            (None, Some(source)) => {
                let current = self.0.identity.current(source).await;
                current.map_err(|error| misconfigured(deployment, speaker, &error))
            }
            (None, None) => Ok(Credential::None),
        }
    }

    /// The same, unless the call brings its own.
    pub(crate) async fn credential_or(
        &self,
        secret: Option<&Secret>,
        deployment: &Arc<Deployment>,
        speaker: &'static str,
    ) -> Result<Credential, Failure> {
        match secret {
            Some(secret) => Ok(Credential::Token(secret.clone())),
            None => self.credential(deployment, speaker).await,
        }
    }

    /// The connections to a deployment.
    pub(crate) fn client(
        &self,
        deployment: &Arc<Deployment>,
        speaker: &'static str,
    ) -> Result<Client, Failure> {
        let target = &deployment.target;
        let client = self.0.egress.client(&target.tls, &target.networks);
        client.map_err(|error| misconfigured(deployment, speaker, &error))
    }
}

fn misconfigured(
    deployment: &Arc<Deployment>,
    speaker: &'static str,
    why: &dyn Display,
) -> Failure {
    Failure::new(deployment, ProviderError::misconfigured(speaker, &why))
}

enum Part {
    Whole(Whole),
    Stream(Stream),
    Long(Long),
}

pub(crate) async fn refusal(
    provider: &dyn Provider,
    deployment: &Arc<Deployment>,
    answer: Response<Body>,
) -> Failure {
    let (head, body) = answer.into_parts();
    if head.status.is_redirection() {
        let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let redirect = ProviderError::redirect(provider.speaker(), head.status, location);
        return Failure::new(deployment, redirect);
    }
    // A body that is cut, too long or encoded says nothing: the status is what counts.
    let read = Limited::new(body, MAX_ERROR_BYTES).collect().await;
    let read = read.ok().filter(|_| encoding(&head.headers).is_none());
    let body = read.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let error = ProviderError::response(provider.speaker(), head.status, &body);
    let mut failure = Failure::new(deployment, error);
    let asked = head.headers.get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
    failure.retry_after = asked.or(failure.retry_after);
    failure
}

/// `Retry-After` in its form of seconds; a date is not followed, clocks differ.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

async fn whole(
    provider: &dyn Provider,
    deployment: &Arc<Deployment>,
    request: &ChatRequest,
    answer: Response<Body>,
) -> Result<Part, Failure> {
    let (head, mut body) = answer.into_parts();
    let passes_as_it_is = request.endpoint().is_media() && !is_json(&head.headers);
    if passes_as_it_is && is_of(&head.headers, "text/html") {
        // Somebody on the way answers people.
        let page = ProviderError::lacking(provider.speaker(), "an HTML page is no answer");
        return Err(Failure::new(deployment, page));
    }
    let long = |body| {
        let (headers, deployment) = (head.headers.clone(), Arc::clone(deployment));
        Ok(Part::Long(Long { headers, deployment, body }))
    };
    // What was heard is short, and held, so that its headers can tell what it cost.
    let is_held = request.endpoint().hears() && !is_of(&head.headers, "text/event-stream");
    if passes_as_it_is && !is_held {
        return long(Passage::new(Pieces::new(body, provider.speaker()), Outcome::Success));
    }
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let room = announced.unwrap_or(0).min(MAX_HELD_REPLY_BYTES);
    let mut held = Held::default();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| Failure::new(deployment, ProviderError::connection(provider.speaker())))?;
        let Ok(data) = frame.into_data() else { continue };
        held.push(data, room);
        if held.len() > MAX_HELD_REPLY_BYTES {
            if !passes_as_it_is && !provider.passes(request, &deployment.target) {
                let long = ProviderError::long_reply(provider.speaker(), MAX_HELD_REPLY_BYTES);
                return Err(Failure::new(deployment, long));
            }
            let rest = Pieces::new(body, provider.speaker());
            return long(Passage::held(held.take(), Some(rest)));
        }
        if body.is_end_stream() {
            break;
        }
    }
    if passes_as_it_is {
        return long(Passage::held(held.take(), None));
    }
    let reply = provider
        .decode(request, &deployment.target, head.status, held.take())
        .and_then(|reply| {
            reply
                .told_to(request)
                .map_err(|error| ProviderError::bad_reply(provider.speaker(), &error))
        })
        .map_err(|error| Failure::new(deployment, error))?;
    Ok(Part::Whole(Whole { reply, headers: head.headers, deployment: Arc::clone(deployment) }))
}

/// How an answer's body is encoded, if it is not plain.
fn encoding(headers: &HeaderMap) -> Option<&str> {
    let encoding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unknown").trim();
    (!encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
}

fn is_of(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok());
    said.is_some_and(|said| said.starts_with(kind))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_none_or(|kind| kind.starts_with("application/json"))
}

/// A body as it comes in: most come in one piece and are not copied.
#[derive(Default)]
struct Held {
    first: Bytes,
    more: BytesMut,
}

impl Held {
    fn push(&mut self, data: Bytes, room: usize) {
        if self.first.is_empty() && self.more.is_empty() {
            self.first = data;
            return;
        }
        if self.more.is_empty() {
            self.more.reserve(room.max(self.first.len() + data.len()));
            self.more.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.more.extend_from_slice(&data);
    }

    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn take(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

/// A request that cannot be said to a provider, in the words of who made it.
fn unsendable(by: &Arc<Deployment>, request: &ChatRequest, error: EncodeError) -> Failure {
    Failure::unsendable(by, provider_of(by).speaker(), &error.at(request.endpoint()))
}
