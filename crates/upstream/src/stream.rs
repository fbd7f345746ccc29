//! Answers that come in pieces. Both kinds tell health how they ended, and stay counted as in
//! flight until they are dropped.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use dunlin_egress::Body;
use dunlin_llm::form::{Delta, ToolNames};
use dunlin_llm::{ChatRequest, Endpoint, StreamEvent};
use dunlin_providers::{Provider, ProviderError, StreamDecoder};
use dunlin_router::{Deployment, Outcome, Retry};
use http::HeaderMap;

use crate::Upstream;
use crate::attempt::Attempt;
use crate::error::{Failure, repeats_key};
use crate::passage::Passage;
use crate::pieces::Pieces;

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

    pub(crate) fn tell(self, outcome: Outcome) {
        self.upstream.observe(&self.attempt, outcome, &self.retry);
    }
}

/// A streamed answer. Dropping it cancels it upstream.
pub struct Stream {
    headers: HeaderMap,
    deployment: Arc<Deployment>,
    speaker: &'static str,
    endpoint: Endpoint,
    /// What the client calls its tools.
    names: ToolNames,
    /// `None` once nothing more is to be read.
    pieces: Option<Pieces>,
    decoder: Box<dyn StreamDecoder>,
    events: VecDeque<StreamEvent>,
    decoded: Vec<StreamEvent>,
    /// What ends the stream once all events are taken.
    broken: Option<ProviderError>,
    over: bool,
    /// The last thing it says has been taken.
    told: bool,
    /// A usage was among it.
    told_usage: bool,
    pub(crate) ending: Option<Ending>,
}

impl Stream {
    /// Waits for the first event. An error instead of it is a failure that may be tried elsewhere.
    pub(crate) async fn begin(
        provider: &dyn Provider,
        deployment: &Arc<Deployment>,
        request: &ChatRequest,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Self, Failure> {
        let mut stream = Self {
            headers,
            deployment: Arc::clone(deployment),
            speaker: provider.speaker(),
            endpoint: request.endpoint(),
            names: ToolNames::of(request),
            pieces: Some(Pieces::new(body, provider.speaker())),
            decoder: provider.stream(request, &deployment.target),
            events: VecDeque::new(),
            decoded: Vec::new(),
            broken: None,
            over: false,
            told: false,
            told_usage: false,
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
        let failed = match stream.events.iter().find(|event| !only_begins(event)) {
            Some(StreamEvent::Error(error) | StreamEvent::Failed(error, _)) => {
                Some(ProviderError::event(stream.speaker, error.clone()))
            }
            Some(_) => None,
            // More may come.
            None if !stream.events.is_empty() && stream.broken.is_none() && !stream.over => None,
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

    /// Whether its backend is known to tell what its streams used: else that may have to be counted.
    #[must_use]
    pub fn tells_usage(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.attempt.backend.tells_usage())
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
            Some(StreamEvent::Failed(error, last)) => {
                let failure = self.fail(ProviderError::event(self.speaker, error));
                // One that repeats the key is not passed on as it came.
                let last = Some(last).filter(|last| !repeats_key(&self.deployment, last.data()));
                Some(Err(Failure { last, ..failure }))
            }
            Some(event) => {
                match &event {
                    StreamEvent::Done(_) => self.finish(),
                    StreamEvent::Chunk(chunk) => self.told_usage |= chunk.usage().is_some(),
                    StreamEvent::Delta(delta) => self.told_usage |= delta.usage().is_some(),
                    StreamEvent::Comment(_) | StreamEvent::Error(_) | StreamEvent::Failed(..) => {}
                }
                Some(Ok(event))
            }
            None if self.told => None,
            // What ends without its last event is not whole, whatever its decoder says.
            None => {
                let error = self.broken.take().unwrap_or_else(|| self.cut());
                Some(Err(self.fail(error)))
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
        let pieces = self.pieces.as_mut().expect("a stream is read until it is over");
        let decoded = match ready!(pieces.poll_next(cx)) {
            Some(Ok(data)) => self.decoder.push(data, &mut self.decoded),
            Some(Err(error)) => {
                self.broken = Some(error);
                return Poll::Ready(());
            }
            None => {
                self.pieces = None;
                let finished = self.decoder.finish(&mut self.decoded);
                self.over = finished.is_ok();
                finished
            }
        };
        for event in &mut self.decoded {
            if let StreamEvent::Delta(delta) = event {
                self.names.restore(delta);
            }
        }
        // What the client cannot be told is not left out.
        let endpoint = self.endpoint;
        let untold = |event: &StreamEvent| {
            let StreamEvent::Delta(delta) = event else { return None };
            delta.untold(endpoint)
        };
        let first = self.decoded.iter().enumerate().find_map(|(at, e)| Some((at, untold(e)?)));
        let decoded = first.map_or(decoded, |(at, error)| {
            self.decoded.truncate(at);
            Err(error.into())
        });
        self.events.extend(self.decoded.drain(..));
        if let Err(error) = decoded {
            self.broken = Some(ProviderError::stream(self.speaker, &error));
        }
        Poll::Ready(())
    }

    fn cut(&self) -> ProviderError {
        ProviderError::connection(self.speaker)
    }

    /// The last event is out: what is left is only the end of the framing.
    fn finish(&mut self) {
        (self.over, self.told) = (true, true);
        let ending = self.ending.take();
        if let (Some(pieces), Some(ending)) = (self.pieces.take(), &ending) {
            ending.upstream.0.tasks.spawn(pieces.drain());
        }
        if let Some(ending) = ending {
            ending.attempt.backend.streamed(self.told_usage);
            ending.tell(Outcome::Success);
        }
    }

    fn fail(&mut self, error: ProviderError) -> Failure {
        (self.over, self.told) = (true, true);
        self.pieces = None;
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

/// Whether an event says that there will be an answer, or less: an error that is at hand behind it may
/// still have its own status, and be tried elsewhere.
fn only_begins(event: &StreamEvent) -> bool {
    match event {
        StreamEvent::Comment(_)
        // What was used for nothing is told before it is told that nothing comes.
        | StreamEvent::Delta(Delta::Start { .. } | Delta::Served(_) | Delta::Usage(_)) => true,
        StreamEvent::Chunk(chunk) => chunk.text_bytes() == 0 && chunk.ended() == 0,
        StreamEvent::Delta(_)
        | StreamEvent::Done(_)
        | StreamEvent::Error(_)
        | StreamEvent::Failed(..) => false,
    }
}

/// A reply whose bytes pass as they come.
pub struct Long {
    /// The provider's headers.
    pub headers: HeaderMap,
    /// Who answers.
    pub deployment: Arc<Deployment>,
    /// Its bytes.
    pub body: Passage,
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use bytes::Bytes;
    use dunlin_llm::Target;
    use dunlin_providers::StreamError;
    use dunlin_router::{BackendId, DeploymentLimits, Keepalive, Weight};
    use dunlin_types::DeploymentId;

    use super::*;

    /// Takes every end for a whole answer.
    struct Careless;

    impl StreamDecoder for Careless {
        fn push(&mut self, _: Bytes, _: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
            Ok(())
        }

        fn finish(&mut self, _: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
            Ok(())
        }
    }

    fn deployment() -> Deployment {
        Deployment {
            id: DeploymentId("id".into()),
            backend: BackendId::new("http://up", "m"),
            group: "g".into(),
            provider: "openai".into(),
            target: Target::default(),
            weight: Weight::default(),
            limits: DeploymentLimits::default(),
            budget: None,
            tags: Arc::default(),
            region: None,
            max_input: None,
            order: 0,
            timeout: Duration::from_secs(10),
            stream_timeout: Duration::from_secs(10),
            keepalive: Keepalive::default(),
            num_retries: None,
            cooldown: None,
            allowed_fails: Default::default(),
            price: Default::default(),
            prices: Arc::default(),
            about: Arc::default(),
            parked: None,
        }
    }

    #[test]
    fn an_answer_that_ends_without_its_last_event_is_not_whole() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
        let asked = dunlin_llm::parse(Endpoint::ChatCompletions, body, None).expect("a chat");
        let mut stream = Stream {
            headers: HeaderMap::new(),
            deployment: Arc::new(deployment()),
            speaker: "Up",
            endpoint: Endpoint::ChatCompletions,
            names: ToolNames::of(&asked),
            pieces: None,
            decoder: Box::new(Careless),
            events: [StreamEvent::Comment(Bytes::from_static(b": said"))].into(),
            decoded: Vec::new(),
            broken: None,
            over: true,
            told: false,
            told_usage: false,
            ending: None,
        };
        let mut context = Context::from_waker(Waker::noop());
        let mut next = || stream.poll_next(&mut context);
        assert!(matches!(next(), Poll::Ready(Some(Ok(StreamEvent::Comment(_))))));
        assert!(matches!(next(), Poll::Ready(Some(Err(_)))), "it broke off");
        assert!(matches!(next(), Poll::Ready(None)));
    }
}
