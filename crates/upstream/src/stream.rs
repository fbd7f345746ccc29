//! Answers that come in pieces. Both kinds tell health how they ended, and stay counted as in
//! flight until they are dropped.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dunlin_llm::StreamEvent;
use dunlin_providers::{Provider, ProviderError, StreamDecoder};
use dunlin_router::{Deployment, Outcome, Retry};
use http::HeaderMap;
use hyper::body::{Body, Incoming};
use tokio::time::Sleep;

use crate::Upstream;
use crate::attempt::Attempt;
use crate::error::Failure;

/// A stream that says nothing for this long is broken. Reasoning models think in silence for
/// minutes, so it is long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Knows how to tell that an answer has ended; holds its place among what is in flight.
pub(crate) struct Ending {
    upstream: Upstream,
    attempt: Attempt,
    retry: Retry,
}

impl Ending {
    pub(crate) fn new(upstream: Upstream, attempt: Attempt, retry: Retry) -> Self {
        Self { upstream, attempt, retry }
    }

    fn tell(self, outcome: Outcome) {
        self.upstream.observe(&self.attempt, outcome, &self.retry);
    }
}

/// A streamed answer. Dropping it cancels it upstream.
pub struct Stream {
    headers: HeaderMap,
    deployment: Arc<Deployment>,
    speaker: &'static str,
    body: Incoming,
    decoder: Box<dyn StreamDecoder>,
    events: VecDeque<StreamEvent>,
    decoded: Vec<StreamEvent>,
    /// What ends the stream once all events are taken.
    broken: Option<ProviderError>,
    idle: Pin<Box<Sleep>>,
    over: bool,
    pub(crate) ending: Option<Ending>,
}

impl Stream {
    /// Waits for the first event. An error instead of it is a failure that may be tried elsewhere.
    pub(crate) async fn begin(
        provider: &dyn Provider,
        deployment: &Arc<Deployment>,
        headers: HeaderMap,
        body: Incoming,
    ) -> Result<Self, Failure> {
        let mut stream = Self {
            headers,
            deployment: Arc::clone(deployment),
            speaker: provider.speaker(),
            body,
            decoder: provider.stream(),
            events: VecDeque::new(),
            decoded: Vec::new(),
            broken: None,
            idle: Box::pin(tokio::time::sleep(IDLE_TIMEOUT)),
            over: false,
            ending: None,
        };
        poll_fn(|cx| stream.poll_fill(cx)).await;
        // Comments are sent while a request waits: they are no answer yet.
        while stream.events.iter().all(|event| matches!(event, StreamEvent::Comment(_)))
            && stream.broken.is_none()
            && !stream.over
        {
            poll_fn(|cx| stream.poll_read(cx)).await;
        }
        let failed = match stream.events.iter().find(|e| !matches!(e, StreamEvent::Comment(_))) {
            Some(StreamEvent::Error(error)) => {
                Some(ProviderError::event(stream.speaker, error.clone()))
            }
            Some(_) => None,
            None => Some(stream.broken.take().unwrap_or_else(|| stream.cut())),
        };
        match failed {
            Some(error) => Err(Failure::new(deployment, error)),
            None => Ok(stream),
        }
    }

    /// The provider's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Who answers.
    #[must_use]
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// The next event. `None` after [`StreamEvent::Done`]; a failure is the last thing it says.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<StreamEvent, Failure>>> {
        ready!(self.poll_fill(cx));
        Poll::Ready(match self.events.pop_front() {
            Some(StreamEvent::Error(error)) => {
                let error = ProviderError::event(self.speaker, error);
                Some(Err(self.fail(error)))
            }
            Some(event) => {
                if matches!(event, StreamEvent::Done(_)) {
                    self.over = true;
                    self.tell(Outcome::Success);
                }
                Some(Ok(event))
            }
            None => {
                let broken = self.broken.take();
                broken.map(|error| Err(self.fail(error)))
            }
        })
    }

    /// Whether more events are at hand without waiting.
    #[must_use]
    pub fn has_more_at_hand(&self) -> bool {
        !self.events.is_empty()
    }

    /// Reads until there is an event, or none will come.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.events.is_empty() && self.broken.is_none() && !self.over {
            ready!(self.poll_read(cx));
        }
        Poll::Ready(())
    }

    /// Takes the next piece of the body.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.idle.as_mut().poll(cx));
            self.broken = Some(ProviderError::timeout(IDLE_TIMEOUT, IDLE_TIMEOUT));
            return Poll::Ready(());
        };
        let decoded = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.decoder.push(data, &mut self.decoded),
                Err(_trailers) => Ok(()),
            },
            Some(Err(_)) => {
                self.broken = Some(ProviderError::connection(self.speaker));
                return Poll::Ready(());
            }
            None => {
                let finished = self.decoder.finish(&mut self.decoded);
                self.over = finished.is_ok();
                finished
            }
        };
        self.events.extend(self.decoded.drain(..));
        match decoded {
            Ok(()) => self.idle.set(tokio::time::sleep(IDLE_TIMEOUT)),
            Err(error) => self.broken = Some(ProviderError::stream(self.speaker, &error)),
        }
        Poll::Ready(())
    }

    fn cut(&self) -> ProviderError {
        ProviderError::connection(self.speaker)
    }

    fn fail(&mut self, error: ProviderError) -> Failure {
        self.over = true;
        self.events.clear();
        let failure = Failure::new(&self.deployment, error);
        self.tell(failure.outcome());
        failure
    }

    fn tell(&mut self, outcome: Outcome) {
        if let Some(ending) = self.ending.take() {
            ending.tell(outcome);
        }
    }
}

/// A reply too long to be held. Dropping it cancels it upstream.
pub struct Long {
    /// The provider's headers.
    pub headers: HeaderMap,
    /// Who answers.
    pub deployment: Arc<Deployment>,
    held: Option<Bytes>,
    body: Incoming,
    pub(crate) ending: Option<Ending>,
}

impl Long {
    pub(crate) fn new(
        held: Bytes,
        headers: HeaderMap,
        body: Incoming,
        deployment: Arc<Deployment>,
    ) -> Self {
        Self { headers, deployment, held: Some(held), body, ending: None }
    }

    /// The next bytes; `None` at the end. An error means that it broke off.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(Some(Ok(held)));
        }
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    self.tell(Outcome::Broken);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.tell(Outcome::Success);
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn tell(&mut self, outcome: Outcome) {
        if let Some(ending) = self.ending.take() {
            ending.tell(outcome);
        }
    }
}
