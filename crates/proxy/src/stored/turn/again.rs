//! The stream of a response that nobody need wait for, taken up again: on the node that makes it as its
//! events come, on others once it is made.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::Endpoint;
use dunlin_llm::responses::{stored_model, stored_response};
use dunlin_types::Tokens;

use crate::Proxy;
use crate::background::{is_finished, tape};
use crate::response::error::{Failed, Refused};
use crate::response::framing::Framing;
use crate::response::headers;
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
        model.ok_or_else(|| Refused::gone(id, "this version cannot read what was stored"))?;
    let here = proxy.0.tapes.of(stored.request);
    if here.is_none() && stored.tape(proxy).await.is_none() {
        let why = "was not begun with `stream: true`: leave out `stream`";
        return Err(Refused::background("stream", why).into());
    }
    let (bill, told) = asking.admit(&*model, Tokens(0), Bounds::default()).await?;
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

/// The events once there are no more to come.
async fn once_made(proxy: &Proxy, id: &str, stored: Stored, after: Option<u64>) -> Bytes {
    let made = async {
        loop {
            let turn = stored.read(proxy, id).await?;
            if is_finished(&turn) {
                return Ok::<_, Refused>(turn);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    let made = tokio::time::timeout(ASK_WITHIN, made).await;
    let turn = match made.unwrap_or_else(|_| Err(Refused::still_made(id))) {
        Ok(turn) => turn,
        Err(refused) => return Failed::from(refused).body_as_frame(Endpoint::Responses),
    };
    let response = stored_response(&turn).unwrap_or_default();
    tape::rest(&stored.tape(proxy).await.unwrap_or_default(), &response, after)
}
