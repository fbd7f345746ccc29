//! Conversations over a WebSocket: the handshake is a call like any other, what follows is bytes.

use std::time::Duration;

use bytes::Bytes;
use dunlin_providers::{EncodeError, ProviderError};
use dunlin_router::{Outcome, Retry};
use dunlin_types::Secret;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::upgrade::Upgraded;

use crate::Upstream;
use crate::attempt::Attempt;
use crate::call::refusal;
use crate::error::{Failure, unanswered};
use crate::stream::Ending;

/// The client's part of a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The client's own parameters.
    pub query: &'a str,
    /// What is sent beside the credential.
    pub headers: &'a HeaderMap,
    /// What lets the client in instead of the deployment's credential.
    pub secret: Option<&'a Secret>,
}

/// A connection that speaks WebSocket. Dropping it ends it.
pub struct Conversation {
    /// The provider's headers: those of its handshake too.
    pub headers: HeaderMap,
    /// Both directions of it.
    pub bytes: Upgraded,
    /// To be told how it went; counted as in flight until it is dropped.
    pub ending: Talking,
}

/// A conversation's place among what is in flight.
pub struct Talking(Ending);

impl Talking {
    /// It is over: as its sides wished, or because the provider broke it off.
    pub fn over(self, is_broken: bool) {
        self.0.tell(if is_broken { Outcome::Broken } else { Outcome::Success });
    }
}

impl Upstream {
    /// Opens a conversation with the picked deployment and waits, no longer than `first`, for its
    /// handshake.
    ///
    /// # Errors
    /// [`Failure`]: there is no conversation.
    pub async fn converse(
        &self,
        attempt: Attempt,
        opening: Opening<'_>,
        first: Duration,
        retry: Retry,
    ) -> Result<Conversation, Failure> {
        let began = attempt.began;
        let opened = tokio::time::timeout(first, self.open(&attempt, opening)).await;
        let opened = opened.unwrap_or_else(|_| {
            let taken = self.0.clock.mono().since(began);
            Err(Failure::new(&attempt.deployment, ProviderError::timeout(first, taken)))
        });
        match opened {
            Ok((headers, bytes)) => {
                let ending = Talking(Ending::new(self.clone(), attempt, retry));
                Ok(Conversation { headers, bytes, ending })
            }
            Err(failure) => {
                self.observe(&attempt, failure.outcome(), &retry);
                Err(failure)
            }
        }
    }

    async fn open(
        &self,
        attempt: &Attempt,
        Opening { query, headers, secret }: Opening<'_>,
    ) -> Result<(HeaderMap, Upgraded), Failure> {
        let deployment = &attempt.deployment;
        let provider = dunlin_providers::find(&deployment.provider)
            .expect("a deployment of a provider that is not served is parked");
        let unsendable = |error| Failure::unsendable(deployment, provider.speaker(), &error);
        let target = &deployment.target;
        let url = provider.realtime_url(target, query).ok_or_else(|| {
            let (provider, route) = (provider.id(), "/realtime");
            unsendable(EncodeError::UnsupportedEndpoint { provider, route })
        })?;
        let uri = Uri::try_from(url.as_str()).ok().filter(|uri| uri.authority().is_some());
        let uri = uri.ok_or_else(|| unsendable(EncodeError::BadUrl { url }))?;
        let mut call = Request::new(Bytes::new());
        *call.method_mut() = Method::GET;
        *call.uri_mut() = uri;
        *call.headers_mut() = headers.clone();
        call.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        call.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        let credential = self.credential_or(secret, deployment, provider.speaker()).await?;
        let now = self.0.clock.unix();
        provider.authorize(&mut call, target, &credential, now).map_err(unsendable)?;
        let client = self.client(deployment, provider.speaker())?;
        let broken = || ProviderError::connection(provider.speaker());
        let sent = client.request(call.map(Full::new)).await;
        let mut answer = sent.map_err(|failure| Failure {
            no_connection: failure.no_connection(),
            ..Failure::new(deployment, unanswered(provider.speaker(), &failure))
        })?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(provider, deployment, answer).await);
        }
        let upgraded = hyper::upgrade::on(&mut answer).await;
        let upgraded = upgraded.map_err(|_| Failure::new(deployment, broken()))?;
        Ok((answer.into_parts().0.headers, upgraded))
    }
}
