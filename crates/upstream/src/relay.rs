//! Calls that are passed on without being understood: of a provider's own API with a deployment's
//! credential, or of an address that the configuration names. The answer's bytes pass as they come.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::{Client, Upload as Written};
use dunlin_providers::{EncodeError, Provider, ProviderError, relay};
use dunlin_router::{Deployment, Outcome, Retry};
use dunlin_types::{Networks, NoConnection, Secret, Tls};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use crate::Upstream;
use crate::attempt::Attempt;
use crate::call::seconds;
use crate::error::{Failure, unanswered};
use crate::passage::Passage;
use crate::pieces::Pieces;
use crate::stream::Ending;
use crate::unpacked::Unpacker;
use crate::upload::{Progress, Upload};

/// How messages name the source of errors where no provider is known.
const SPEAKER: &str = "PassThroughException";

/// A call to be passed on. Its headers hold no credential.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its method.
    pub method: Method,
    /// The path below the provider's base, as the client wrote it.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What lets it in instead of the deployment's credential.
    pub secret: Option<Secret>,
}

/// An answer whose head is at hand.
pub struct Relayed {
    /// Its status, whatever it is.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Passage,
}

impl Upstream {
    /// Passes `call` on to the picked deployment, with `upload` for its body if there is one, and
    /// waits, no longer than `first` from the body's end or its last piece, for the head of the answer.
    ///
    /// # Errors
    /// [`Failure`]: there is no answer.
    pub async fn relay(
        &self,
        attempt: Attempt,
        (call, upload): (Relay, Option<Upload>),
        first: Duration,
        retry: Retry,
    ) -> Result<Relayed, Failure> {
        let deployment = &attempt.deployment;
        let (base, query) = (&deployment.target.api_base, call.query.as_deref());
        let url = relay::url(&deployment.provider, base, &call.path, query);
        self.pass_on(attempt, url, (call, upload), (first, retry)).await
    }

    pub(crate) async fn pass_on(
        &self,
        attempt: Attempt,
        url: String,
        (call, upload): (Relay, Option<Upload>),
        (first, retry): (Duration, Retry),
    ) -> Result<Relayed, Failure> {
        let began = attempt.began;
        let progress = upload.as_ref().map(Upload::progress);
        let relaying = self.relay_to(&attempt, url, call, upload);
        let relayed = in_time(first, progress.as_deref(), relaying).await;
        let relayed = relayed.unwrap_or_else(|| {
            let taken = self.0.clock.mono().since(began);
            Err(Failure::new(&attempt.deployment, ProviderError::timeout(first, taken)))
        });
        match relayed {
            Ok(mut relayed) => {
                relayed.body.ending = Some(Ending::new(self.clone(), attempt, retry));
                relayed.body.upload = progress;
                Ok(relayed)
            }
            // It says nothing of the backend that a client goes away.
            Err(failure) if has_failed(progress.as_deref()) => Err(failure),
            Err(failure) => {
                self.observe(&attempt, failure.outcome(), &retry);
                Err(failure)
            }
        }
    }

    pub(crate) async fn relay_to(
        &self,
        attempt: &Attempt,
        url: String,
        call: Relay,
        upload: Option<Upload>,
    ) -> Result<Relayed, Failure> {
        let deployment = &attempt.deployment;
        let provider = provider_of(deployment);
        let unsendable = |error| Failure::unsendable(deployment, provider.speaker(), &error);
        let target = &deployment.target;
        let secret = call.secret.clone();
        let mut request = request(url, call).map_err(unsendable)?;
        let credential =
            self.credential_or(secret.as_ref(), deployment, provider.speaker()).await?;
        provider
            .authorize(&mut request, target, &credential, self.0.clock.unix())
            .map_err(unsendable)?;
        let client = self.client(deployment, provider.speaker())?;
        send_on(&client, request, upload, provider.speaker()).await.map_err(
            |(error, no_connection)| Failure { no_connection, ..Failure::new(deployment, error) },
        )
    }

    /// Passes `call` on to `url`, with `upload` for its body if there is one, and waits, as
    /// [`Upstream::relay`] does, for the head of the answer.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn fetch(
        &self,
        url: String,
        (call, upload): (Relay, Option<Upload>),
        first: Duration,
    ) -> Result<Relayed, ProviderError> {
        let request =
            request(url, call).map_err(|error| ProviderError::unsendable(SPEAKER, &error))?;
        let client = self.0.egress.client(&Tls::default(), &Networks::Anywhere);
        let client = client.map_err(|error| ProviderError::misconfigured(SPEAKER, &error))?;
        let progress = upload.as_ref().map(Upload::progress);
        let sending = send_on(&client, request, upload, SPEAKER);
        match in_time(first, progress.as_deref(), sending).await {
            Some(answered) => answered.map_err(|(error, _)| error),
            None => Err(ProviderError::timeout(first, first)),
        }
    }
}

pub(crate) fn provider_of(deployment: &Deployment) -> &'static dyn Provider {
    dunlin_providers::find(&deployment.provider)
        .expect("a deployment of a provider that is not served is parked")
}

/// Waits for as long as `first`, and again as long as something of the body still comes.
pub(crate) async fn in_time<T>(
    first: Duration,
    progress: Option<&Progress>,
    waiting: impl Future<Output = T>,
) -> Option<T> {
    let mut waiting = pin!(waiting);
    let coming = || progress.and_then(Progress::coming);
    let mut before = coming();
    loop {
        if let Ok(done) = tokio::time::timeout(first, waiting.as_mut()).await {
            return Some(done);
        }
        let now = coming();
        // It has ended since, or there is more of it.
        if now == before {
            return None;
        }
        before = now;
    }
}

fn has_failed(progress: Option<&Progress>) -> bool {
    progress.is_some_and(|progress| progress.fault().is_some())
}

/// An error says too why no connection could be made.
pub(crate) async fn send_on(
    client: &Client,
    request: Request<Bytes>,
    upload: Option<Upload>,
    speaker: &'static str,
) -> Result<Relayed, (ProviderError, Option<NoConnection>)> {
    let answer = match upload {
        Some(upload) => client.upload(request.map(|_| upload.body)).await,
        None => client.request(request.map(Full::new)).await,
    };
    let answer =
        answer.map_err(|failure| (unanswered(speaker, &failure), failure.no_connection()))?;
    let (head, body) = answer.into_parts();
    let (status, mut headers) = (head.status, head.headers);
    // A part of a compressed body is none that can be unpacked.
    let unpacker = Unpacker::of(&headers).filter(|_| status != StatusCode::PARTIAL_CONTENT);
    if unpacker.is_some() {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    let outcome = if status.is_client_error() || status.is_server_error() {
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
        Outcome::Status { code: status.as_u16(), retry_after }
    } else {
        Outcome::Success
    };
    let pieces = Pieces::new(body, speaker).unpacked(unpacker);
    Ok(Relayed { status, headers, body: Passage::new(pieces, outcome) })
}

fn request(url: String, call: Relay) -> Result<Request<Bytes>, EncodeError> {
    let uri = Uri::try_from(url.as_str()).ok().filter(|uri| uri.authority().is_some());
    let mut request = Request::new(call.body);
    *request.method_mut() = call.method;
    *request.uri_mut() = uri.ok_or(EncodeError::BadUrl { url })?;
    *request.headers_mut() = call.headers;
    Ok(request)
}

impl Relayed {
    /// What is written here of what a provider says in other words.
    pub(crate) fn written(
        status: StatusCode,
        kind: &'static str,
        body: Written,
        speaker: &'static str,
    ) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let body = Passage::new(Pieces::written(body, speaker), Outcome::Success);
        Self { status, headers, body }
    }
}
