//! The story of a response that nobody waits for, of a model whose provider keeps none. It is stored
//! as queued, its client is told its id, and this node goes on with it. Whoever reads it before it is
//! finished asks this node how it stands; where this node died, or was started again, it has failed.

mod streamed;
pub(crate) mod tape;

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_llm::openai::ErrorBody;
use dunlin_llm::responses::{
    KeptResponse, Standing, Turn, as_standing, restored, standing, stored_response,
};
use dunlin_llm::{ChatRequest, Endpoint, Stamp, rename_ids};
use dunlin_router::Candidates;
use dunlin_store::{Doing, Found, Holders, Kind as StoredKind, Work};
use dunlin_upstream::{Answer, Whole};
use tokio::sync::oneshot;
use tracing::warn;

use crate::Proxy;
use crate::attempts::{self, Answered, AttemptInput, KeptName};
use crate::bill::Bill;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::kept::keepers;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::response::keepalive::Answering;
use crate::response::told::AnswerHeaders;
use crate::turns::{Keep, Opening, Stored};
use tape::Recording;

/// A node that works on a response and has been silent for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);
/// The longest answer that is stored.
const MAX_ANSWER_BYTES: usize = dunlin_store::MAX_BODY_BYTES;
/// What becomes of a request whose client cancelled it, on record.
const CANCELLED: u16 = 499;

/// Where the client's answer goes while the story goes on.
pub(crate) type Begun = oneshot::Sender<Response<Body>>;

/// Waits for an answer, or until the client is answered and this node goes on alone.
pub(crate) async fn watch(
    proxy: Proxy,
    begun: oneshot::Receiver<Response<Body>>,
    mut answering: Answering,
) -> Result<Response<Body>, Failed> {
    tokio::select! {
        biased;
        Ok(response) = begun => {
            let (open, cut) = (&proxy.0.open, proxy.0.open.cut.clone());
            // A node that leaves waits for it as for an open request.
            open.tasks.spawn(async move { cut.run_until_cancelled(answering).await.map(drop) });
            Ok(response)
        }
        answered = &mut answering => answered,
    }
}

/// Makes sure that a background response is made by a provider that keeps responses, if there is
/// one. True: there is none, so the response is kept here.
pub(crate) fn is_ours(candidates: &mut Candidates<'_>) -> bool {
    match keepers(candidates.first()) {
        Some(keepers) => {
            candidates.narrow(keepers);
            false
        }
        None => true,
    }
}

/// What the story is about.
pub(crate) struct Job<'a> {
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) opening: &'a Opening,
    pub(crate) told: AnswerHeaders,
    pub(crate) begun: Begun,
    /// Another model is asked than the one that was named.
    pub(crate) gave_way: bool,
}

/// Stores the response as queued, answers the client, and makes it.
pub(crate) async fn run(
    job: Job<'_>,
    asked: AttemptInput<'_>,
    candidates: &mut Candidates<'_>,
    mut bill: Bill,
) -> Result<Response<Body>, Failed> {
    let Job { call, caller, opening, told, begun, gave_way } = job;
    let (queued, tape) = match Queued::new(asked, call, caller, opening).await {
        Ok((queued, tape)) => (Queued { gave_way, ..queued }, tape),
        Err(refused) => return Err(bill.fail(refused)),
    };
    bill.answered_as(queued.turn.id.clone());
    if let Some(tape) = tape {
        let streamed = streamed::run((queued, tape), asked, candidates, bill, (told, begun));
        return Box::pin(streamed).await;
    }
    let answer = headers::json(told.called(call), queued.as_it_is(Standing::Queued));
    if begun.send(answer).is_err() {
        // Nobody has learnt its id.
        return Err(bill.fail(Refused::ClientGone));
    }
    let once = asked.chat.changed_by(r#"{"background":false}"#);
    let once = match once {
        Ok(once) => once,
        Err(bad) => return Err(queued.failed(bill.fail(Refused::BadRequest(bad))).await),
    };
    let asked = AttemptInput { chat: &once, ..asked };
    let answered = tokio::select! {
        answered = attempts::run(asked, candidates, &mut bill) => answered,
        () = queued.work.stopped() => {
            bill.failed_with(CANCELLED);
            return Ok(queued.ends(Standing::Cancelled).await);
        }
    };
    let Answered { answer, fallbacks, .. } = match answered {
        Ok(answered) => answered,
        Err(failed) => return Err(queued.failed(bill.fail(failed)).await),
    };
    let Answer::Whole(Whole { reply, deployment: by, .. }) = answer else {
        let failed = bill.fail(Refused::LongAnswer { most: MAX_ANSWER_BYTES });
        return Err(queued.failed(failed).await);
    };
    let model = queued.name(&once, fallbacks).told(&once, &by);
    let stamp = Stamp { model: &model, ..queued.stamp() };
    let response = queued.named(&reply.write(Endpoint::Responses, stamp));
    bill.said(|| String::from_utf8_lossy(&response));
    bill.delivered(&by, &once, &reply);
    queued.keep.put(response).await;
    Ok(headers::plain_json(Bytes::new()))
}

/// A response that is stored and not made yet.
struct Queued<'a> {
    call: &'a Call,
    /// The request as its client sent it.
    request: &'a str,
    model: &'a str,
    /// Another model is asked.
    gave_way: bool,
    turn: Turn,
    keep: Keep,
    /// This node works on it until this is dropped, after its end is stored.
    work: Work,
}

impl<'a> Queued<'a> {
    async fn new(
        asked: AttemptInput<'a>,
        call: &'a Call,
        caller: &Caller,
        opening: &Opening,
    ) -> Result<(Self, Option<Recording>), Refused> {
        let AttemptInput { proxy, chat, .. } = asked;
        let Some((turn, keep)) = opening.kept(proxy, call, caller) else {
            return Err(Refused::background(
                "store",
                "must be stored: `store` must not be false, the conversation must not be longer \
                 than 8 MB, and redaction (`turn_off_message_logging`, \
                 `x-litellm-enable-message-redaction`) must be off",
            ));
        };
        let work = proxy.0.store.work_on(call.id).ok_or_else(|| Refused::Overloaded {
            reason: format!(
                "this node is already making {} background responses: try again, or without \
                 `background`",
                dunlin_store::MAX_WORKS
            ),
        })?;
        let tape = chat.stream().then(|| {
            proxy.0.tapes.begin(call.id).ok_or_else(|| Refused::Overloaded {
                reason: format!(
                    "this node is already streaming {} background responses: try again, or without \
                     `stream`",
                    tape::MAX_TAPES
                ),
            })
        });
        let tape = tape.transpose()?;
        let (request, model, gave_way) = (chat.text(), chat.model(), false);
        let queued = Self { call, request, model, gave_way, turn, keep, work };
        let stored = queued.keep.try_put(queued.as_it_is(Standing::Queued)).await;
        stored.map_err(|reason| Refused::CannotKnow { reason })?;
        Ok((queued, tape))
    }

    fn stamp(&self) -> Stamp<'_> {
        let (now, id) = (self.call.started.0 / 1000, &*self.call.call_id);
        let (model, request, turn) = (self.model, self.request, Some(&self.turn));
        Stamp { model, id, now, request, turn }
    }

    /// What its model is called once it is made.
    fn name(&self, chat: &ChatRequest, fallbacks: u32) -> KeptName {
        KeptName::of(chat, fallbacks, self.gave_way)
    }

    fn as_it_is(&self, how: Standing<'_>) -> Bytes {
        standing(self.stamp(), how)
    }

    /// A provider that keeps responses, a fallback, has given it a name of its own.
    fn named(&self, response: &Bytes) -> Bytes {
        let id = self.turn.id.as_deref().unwrap_or_default();
        let Ok(named) = rename_ids(response, &[&["id"]], &mut |_: &str| {
            Ok::<_, std::convert::Infallible>(Some(id.to_owned()))
        });
        named
    }

    async fn ends(self, how: Standing<'_>) -> Response<Body> {
        let end = self.as_it_is(how);
        self.keep.put(end).await;
        headers::plain_json(Bytes::new())
    }

    async fn failed(self, failed: Failed) -> Failed {
        let ErrorBody { message, code, .. } = failed.body();
        self.ends(Standing::failed(code, &message)).await;
        failed
    }
}

/// A stored turn as it stands now: one that was not finished when it was stored may be by now.
pub(crate) async fn as_it_stands(proxy: &Proxy, at: Stored, turn: Bytes) -> Bytes {
    if is_finished(&turn) {
        return turn;
    }
    let store = &proxy.0.store;
    let Holders([maker, _]) = at.holders;
    let failed = |message| Standing::Failed { code: "server_error", message };
    let how = match store.ask_after(maker, at.request).await {
        Doing::Working => Standing::InProgress,
        // What it made is stored before it is done working.
        Doing::Nothing => match store.get_at(maker, StoredKind::Body, at.request).await {
            Ok(Found::Body(turn)) if is_finished(&turn) => return turn,
            Ok(Found::Body(_) | Found::Deleted | Found::Missing) => failed(
                "The node that worked on this response stopped before it was finished. Send the \
                 request again.",
            ),
            Err(_) => Standing::InProgress,
        },
        Doing::Silent { since, reason } if since >= GIVEN_UP_AFTER => {
            warn!(request.id = %at.request, node.id = %maker, reason, "gave up making a background response");
            failed(
                "The node that worked on this response is gone, and the answer with it. Send the \
                 request again.",
            )
        }
        Doing::Silent { .. } => Standing::InProgress,
    };
    let response = stored_response(&turn).and_then(|response| as_standing(&response, how));
    response.and_then(|response| restored(&turn, &response)).unwrap_or(turn)
}

pub(crate) fn is_finished(turn: &Bytes) -> bool {
    let response = stored_response(turn);
    // One that cannot be read will not change.
    response.and_then(|response| KeptResponse::read(&response)).is_none_or(|kept| kept.finished)
}
