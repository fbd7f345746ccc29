//! The same response streamed: its client hears the events as they come, and may leave: it is made all
//! the same, and its events can be had again from any of them on.

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_llm::ChatRequest;
use dunlin_llm::openai::ErrorBody;
use dunlin_llm::responses::{
    KeptResponse, Standing, Turn, announced, broke_off, end_event, last_response,
};
use dunlin_providers::ProviderError;
use dunlin_router::Candidates;
use dunlin_upstream::{Answer, Stream};
use http_body_util::BodyExt;

use super::tape::{MAX_BYTES, Recording};
use super::{Begun, CANCELLED, Queued};
use crate::attempts::{self, AttemptInput};
use crate::bill::Bill;
use crate::request::kept::keeps_responses;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::response::stream::{self, Outgoing};
use crate::response::told::AnswerHeaders;
use crate::turns::Answered;

/// Answers the client with a stream, and makes the response.
pub(super) async fn run(
    (queued, tape): (Queued<'_>, Recording),
    asked: AttemptInput<'_>,
    candidates: &mut Candidates<'_>,
    mut bill: Bill,
    (told, begun): (AnswerHeaders, Begun),
) -> Result<Response<Body>, Failed> {
    let call = queued.call;
    if tape.push(&announced(queued.stamp())).is_err() {
        let why = "repeats its request in its events, which would be longer than 8 MB with these \
                   `tools`, `instructions` or `metadata`: leave out `stream`";
        return Err(queued.failed(bill.fail(Refused::background("stream", why))).await);
    }
    queued.keep.put_tape(tape.all()).await;
    let answer = headers::event_stream(told.called(call), call.framing, tape.listen());
    if begun.send(answer).is_err() {
        // Nobody has learnt its id.
        return Err(bill.fail(Refused::ClientGone));
    }
    let once = match asked.chat.changed_by(r#"{"background":false}"#) {
        Ok(once) => once,
        Err(bad) => return Err(fails(queued, &tape, bill.fail(Refused::BadRequest(bad))).await),
    };
    let asked = AttemptInput { chat: &once, ..asked };
    let answered = tokio::select! {
        answered = attempts::run(asked, candidates, &mut bill) => answered,
        () = queued.work.stopped() => {
            bill.failed_with(CANCELLED);
            return Ok(is_cancelled(queued, &tape).await);
        }
    };
    let (fallbacks, stream) = match answered.map(|it| (it.fallbacks, it.answer)) {
        Ok((fallbacks, Answer::Stream(stream))) if !keeps_responses(stream.deployment()) => {
            (fallbacks, stream)
        }
        Ok((_, Answer::Stream(_) | Answer::Whole(_) | Answer::Long(_))) => {
            let why = "the model that answered in place of another keeps its responses itself: its \
                       stream cannot be taken up again here";
            let failed = Refused::Answered(Box::new(ProviderError::lacking("", why)));
            return Err(fails(queued, &tape, bill.fail(failed)).await);
        }
        Err(failed) => return Err(fails(queued, &tape, bill.fail(failed)).await),
    };
    let model = queued.name(&once, fallbacks).told(&once, stream.deployment());
    let events = events(&queued, stream, bill, (once, model));
    let end = tokio::select! {
        end = record(&queued, events, &tape) => end,
        () = queued.work.stopped() => return Ok(is_cancelled(queued, &tape).await),
    };
    // It is on record: its bill went with the stream.
    if let Err(Broke(message)) = end {
        let how = Standing::Failed { code: "server_error", message: &message };
        return Ok(ends(queued, &tape, how).await);
    }
    Ok(headers::plain_json(Bytes::new()))
}

/// Why a stream did not come to its end.
struct Broke(String);

async fn fails(queued: Queued<'_>, tape: &Recording, failed: Failed) -> Failed {
    let ErrorBody { message, code, .. } = failed.body();
    ends(queued, tape, Standing::failed(code, &message)).await;
    failed
}

async fn is_cancelled(queued: Queued<'_>, tape: &Recording) -> Response<Body> {
    ends(queued, tape, Standing::Cancelled).await
}

/// Stores the response without an answer, its events first: who finds it finished finds them all. Then
/// whoever listens is told.
async fn ends(queued: Queued<'_>, tape: &Recording, how: Standing<'_>) -> Response<Body> {
    let end = end_event(&queued.as_it_is(how), tape.count());
    queued.keep.put_tape(Bytes::from([&tape.all()[..], &end[..]].concat())).await;
    let answer = queued.ends(how).await;
    tape.end(end);
    answer
}

/// What the client would be streamed that waits. Dropped early, it charges what has come.
fn events(
    queued: &Queued<'_>,
    stream: Stream,
    bill: Bill,
    (once, model): (ChatRequest, String),
) -> Body {
    let turn = Answered::unkept(Turn { announced: true, ..queued.turn.clone() });
    stream::events(stream, bill, Outgoing::new(queued.call, model, once, (None, Some(turn))))
}

/// Records all events. The last one is heard when the response is stored: its client may go on from
/// it.
async fn record(queued: &Queued<'_>, mut events: Body, tape: &Recording) -> Result<(), Broke> {
    let broke =
        || Broke("The provider's stream broke off before the response was complete.".to_owned());
    let mut is_stored = false;
    while let Some(frame) = events.frame().await {
        let Ok(mut data) = frame.map_err(|_| broke())?.into_data() else { continue };
        let why = broke_off(&data);
        if let Some((at, _)) = &why {
            data.truncate(*at);
        }
        let last = last_response(&data);
        if let Some(response) = last.filter(is_finished) {
            // Who finds the response finished finds all of its events.
            queued.keep.put_tape(Bytes::from([&tape.all()[..], &data[..]].concat())).await;
            queued.keep.put(response).await;
            is_stored = true;
        }
        let full = |_| {
            let most = MAX_BYTES >> 20;
            Broke(format!(
                "The events of the response would be longer than {most} MB, the limit for a \
                 background stream. Ask without `stream`."
            ))
        };
        tape.push(&data).map_err(full)?;
        if let Some((_, message)) = why {
            return Err(Broke(message));
        }
    }
    if is_stored { Ok(()) } else { Err(broke()) }
}

fn is_finished(response: &Bytes) -> bool {
    KeptResponse::read(response).is_some_and(|kept| kept.finished)
}
