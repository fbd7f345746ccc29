//! Streams that say something while nothing comes, so that nobody on the way takes their connection
//! for dead. Where an answer does not begin in time its 200 is sent before it is known: what fails
//! after that is told in the stream, as an error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_llm::{ChatRequest, Extras};
use dunlin_router::Group;
use http_body::{Body as _, Frame};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::request::call::Call;
use crate::response::cut::{Broken, Cut};
use crate::response::error::Failed;
use crate::response::headers;
use crate::response::told::AnswerHeaders;

/// A request that is admitted, and whose stream is to be kept alive.
pub(crate) struct Wish {
    /// How long nothing may be heard.
    pub(crate) every: Duration,
    /// What is known to be told beside the answer.
    pub(crate) told: AnswerHeaders,
}

/// Says to whom `to` leads if the answer is a stream that is to be kept alive.
pub(crate) fn announce(
    to: oneshot::Sender<Wish>,
    group: &Group,
    chat: &ChatRequest,
    extras: &Extras,
    told: &AnswerHeaders,
) {
    let can = chat.stream() && chat.endpoint().ping().is_some();
    if let Some(every) = group.keepalive(extras.keepalive).filter(|_| can) {
        // Nobody listens any more if the answer is there already.
        drop(to.send(Wish { every, told: told.clone() }));
    }
}

/// A request on its way to an answer.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Failed>> + Send + 'static>>;

/// Waits for an answer, or, from when `wish` comes, for no longer than it says.
pub(crate) async fn watch(
    call: Arc<Call>,
    mut answering: Answering,
    wish: oneshot::Receiver<Wish>,
) -> Result<Response<Body>, Failed> {
    let Wish { every, told } = tokio::select! {
        biased;
        answered = &mut answering => return answered,
        Ok(wish) = wish => wish,
    };
    let ping = call.endpoint.ping().expect("a wish is only made where there is a ping");
    let framing = call.framing;
    let kept = |from, next| {
        let silence = Box::pin(tokio::time::sleep(next));
        Body::new(Kept { from, every, silence, ping: ping.clone(), call: Arc::clone(&call) })
    };
    match tokio::time::timeout(every, &mut answering).await {
        Ok(Ok(answered)) => Ok(answered.map(|body| kept(From::Answer(body), every))),
        Ok(Err(failed)) => Err(failed),
        Err(_silent) => {
            let told = told.called(&call);
            Ok(headers::event_stream(told, framing, kept(From::Asking(answering), Duration::ZERO)))
        }
    }
}

struct Kept {
    from: From,
    every: Duration,
    silence: Pin<Box<Sleep>>,
    ping: Bytes,
    call: Arc<Call>,
}

/// Where the next frame comes from.
enum From {
    Asking(Answering),
    Answer(Body),
    Broken(Cut),
}

impl http_body::Body for Kept {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Poll::Ready(frame) = self.poll_from(cx) {
            let every = self.every;
            self.silence.set(tokio::time::sleep(every));
            return Poll::Ready(frame);
        }
        ready!(self.silence.as_mut().poll(cx));
        let every = self.every;
        self.silence.set(tokio::time::sleep(every));
        Poll::Ready(Some(Ok(Frame::data(self.ping.clone()))))
    }
}

impl Kept {
    fn poll_from(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            match &mut self.from {
                From::Asking(answering) => match ready!(answering.as_mut().poll(cx)) {
                    Ok(answered) => self.from = From::Answer(answered.into_body()),
                    Err(failed) => {
                        self.from = From::Broken(Cut::default());
                        return Poll::Ready(Some(Ok(Frame::data(failed.frame(&self.call)))));
                    }
                },
                From::Answer(body) => {
                    let frame = ready!(Pin::new(body).poll_frame(cx));
                    return Poll::Ready(frame.map(|frame| frame.map_err(|_| Broken)));
                }
                From::Broken(cut) => return cut.poll(cx).map(|broken| Some(Err(broken))),
            }
        }
    }
}
