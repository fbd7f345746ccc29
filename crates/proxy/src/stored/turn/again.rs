//! The stream of a response that nobody need wait for, taken up again: on the node that makes it as its
//! events come, on others once it is made.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::Endpoint;
use dunlin_llm::edit;
use dunlin_llm::responses::{failed_event, stored_model, stored_response};
use dunlin_types::Tokens;

use crate::Proxy;
use crate::background::{is_finished, tape};
use crate::error::{Failed, Refused};
use crate::framing::Framing;
use crate::headers;
use crate::stored::Asking;
use crate::turns::Stored;

/// How often a node that does not make a response asks whether it is made.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long it goes on asking: as long as a client may be kept waiting for a whole answer.
const ASK_WITHIN: Duration = Duration::from_secs(600);

/// Answers with the events behind the one of the number `after`. `id` is what the client calls it.
pub(super) async fn serve(
    asking: Asking<'_>,
    (id, stored): (&str, Stored),
    after: Option<u64>,
) -> Result<Response<Body>, Failed> {
    let proxy = asking.proxy;
    let turn = stored.read(proxy, id).await?;
    let model = stored_model(&turn);
    let model =
        model.ok_or_else(|| Refused::gone(id, "what was stored cannot be read by this release"))?;
    let here = proxy.0.tapes.of(stored.request);
    if here.is_none() && stored.tape(proxy).await.is_none() {
        let why = "was not begun with `stream: true`: leave out `stream`";
        return Err(Refused::background("stream", why).into());
    }
    let (bill, told) = asking.admit(&model, Tokens(0), Bounds::default()).await?;
    bill.delivered_free();
    let body = match here {
        Some(tape) => tape::listen(tape, after),
        None => {
            let (proxy, id) = (proxy.clone(), id.to_owned());
            let rest =
                async move { Ok::<_, Infallible>(once_made(&proxy, &id, stored, after).await) };
            Body::from_stream(futures::stream::once(rest))
        }
    };
    let framing = Framing::asked(Endpoint::Responses, None);
    Ok(headers::event_stream(told.called(asking.call), framing, body))
}

/// The events once there are no more to come. Those of a response whose node died end with its
/// failure.
async fn once_made(proxy: &Proxy, id: &str, stored: Stored, after: Option<u64>) -> Bytes {
    let made = async {
        loop {
            match stored.read(proxy, id).await {
                Ok(turn) if is_finished(&turn) => return Some(turn),
                Ok(_) => tokio::time::sleep(ASK_EVERY).await,
                Err(_) => return None,
            }
        }
    };
    let Ok(Some(turn)) = tokio::time::timeout(ASK_WITHIN, made).await else { return Bytes::new() };
    let Some(tape) = stored.tape(proxy).await else { return Bytes::new() };
    let (rest, count) = tape::rest(&tape, after);
    let is_told = memchr::memmem::find(&tape, b"event: error\n").is_some();
    match stored_response(&turn) {
        Some(response) if !is_told && edit::member(&response, "status") == Some("\"failed\"") => {
            let end = failed_event(&response, count);
            Bytes::from([&rest[..], &end[..]].concat())
        }
        Some(_) | None => rest,
    }
}
