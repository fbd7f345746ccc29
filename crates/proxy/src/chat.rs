//! The story of a request that names a model, whatever it asks for: who asks, what for, who may
//! answer, whether the limits allow it, the attempts, the answer, the bill.

use std::pin::pin;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_llm::Endpoint;
use tokio::sync::oneshot;

use crate::admit::{Admitted, Applicant};
use crate::attempts::{self, Answered, AttemptInput, KeptName};
use crate::background::{self, Job};
use crate::bill::{About, Bill, refused, report};
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::received::{Received, Unread};
use crate::response::delivery::Delivery;
use crate::response::error::{Failed, Refused};
use crate::response::keepalive::{self, Answering, Wish};
use crate::response::told::AnswerHeaders;
use crate::tool_models::leave_fallbacks;
use crate::{Proxy, Serving, several};

/// Answers one request to `endpoint`. `path_model` is the model that the path names, for a body that
/// names none.
pub(crate) async fn serve(
    proxy: &Proxy,
    endpoint: Endpoint,
    path_model: Option<&str>,
    request: Request,
) -> Response<Body> {
    let call = Arc::new(Call::begin(proxy, endpoint, &request));
    let ((kept, wish), (begun, left)) = (oneshot::channel(), oneshot::channel());
    let (asked, early) = ((request, path_model.map(str::to_owned)), Early { kept, begun });
    let mut answering = story(proxy.clone(), Arc::clone(&call), asked, early);
    if endpoint == Endpoint::Responses {
        answering = Box::pin(background::watch(proxy.clone(), left, answering));
    }
    let answered = match endpoint.ping() {
        Some(_) => keepalive::watch(Arc::clone(&call), answering, wish).await,
        None => answering.await,
    };
    match answered {
        Ok(response) => response,
        Err(failed) => failed.response(&call),
    }
}

/// What becomes known before there is an answer.
struct Early {
    /// Told if the answer is to be kept alive, as soon as it is sure that there is one to wait for.
    kept: oneshot::Sender<Wish>,
    /// Told what the client gets that waits for no answer.
    begun: background::Begun,
}

/// The story of a request, which is a large future, put together in the box that it stays in. (A
/// function of its own: `Box::pin`, or a box made within another future, is given a story that was made
/// elsewhere, and copies it in with all that it will ever have room for.)
fn story(
    proxy: Proxy,
    call: Arc<Call>,
    (request, path_model): (Request, Option<String>),
    early: Early,
) -> Answering {
    let story = Box::write(Box::new_uninit(), async move {
        let answered = pin!(conduct(&proxy, &call, path_model, request, early)).await;
        answered.inspect_err(|failed| refused::note(&proxy, &call, failed))
    });
    Box::into_pin(story)
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    path_model: Option<String>,
    request: Request,
    early: Early,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let mut caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let unread = Unread { head, body, path_model };
    // Pinned where it is made: a large future that is awaited bare is copied, twice, with all that it
    // will ever have room for.
    let answered = pin!(answer(proxy, call, &serving, &mut caller, unread, early)).await;
    answered.map_err(|failed| failed.of_caller(proxy, &caller))
}

/// Answers a request whose caller is known, and for whose answer nothing is sent before it is there.
pub(crate) async fn answer_alone(
    proxy: &Proxy,
    call: &Call,
    serving: &Serving,
    caller: &mut Caller,
    unread: Unread,
) -> Result<Response<Body>, Failed> {
    let ((kept, _wish), (begun, _left)) = (oneshot::channel(), oneshot::channel());
    answer(proxy, call, serving, caller, unread, Early { kept, begun }).await
}

async fn answer(
    proxy: &Proxy,
    call: &Call,
    serving: &Serving,
    caller: &mut Caller,
    unread: Unread,
    Early { kept, begun }: Early,
) -> Result<Response<Body>, Failed> {
    let Received { head, opened, chat, own, is_redacted } =
        unread.read(proxy, call, serving, caller).await?;
    if let Some(models) = several::named(&chat, &serving.catalog) {
        let asked =
            several::BatchCompletion { proxy, call, serving, caller, head: &head, chat: &chat };
        return several::answer(asked, models).await;
    }
    let mut extras = chat.extras().with_headers(&head.headers).map_err(Refused::BadRequest)?;
    leave_fallbacks(&serving.catalog, caller.access(), &chat, &mut extras);
    let mut origin = call.client.origin(&serving.settings, &head.headers, chat.labels())?;
    caller.count_for(proxy, &mut origin).await?;
    let caller: &Caller = caller;
    let own = own.as_ref();
    let applicant = Applicant { proxy, serving, call, caller, opened: &opened, own };
    let instead = OnceLock::new();
    let admitted = applicant.admit((&chat, &extras), &instead).await;
    let admitted = admitted.map_err(|refused| call.refuse(&chat, &origin, refused))?;
    let Admitted { mut candidates, demand, permit, gave_way } = admitted;
    let told = AnswerHeaders::of_admission(call, caller, permit.limits());
    keepalive::announce(kept, candidates.first(), &chat, &extras, &told);
    let mut bill = Bill::open(proxy.clone(), permit, call, caller, About::of(&chat, origin));
    bill.await_answer(call.race.clone());
    if serving.settings.keeps_said && !is_redacted {
        bill.keep_said(chat.text());
    }
    bill.tell(report::of_chat(proxy, caller, &head.headers, &chat, is_redacted));

    let catalog = &serving.catalog;
    let (demand, revision) = (&demand, serving.settings.revision);
    let asked = AttemptInput { proxy, catalog, chat: &chat, extras: &extras, demand, revision };
    if chat.background() && background::is_ours(&mut candidates) {
        let job = Job { call, caller, opening: &opened.opening, told, begun, gave_way };
        return Box::pin(background::run(job, asked, &mut candidates, bill)).await;
    }
    let answered = match attempts::run(asked, &mut candidates, &mut bill).await {
        Ok(answered) => answered,
        Err(failed) => {
            return Err(bill.fail(failed.bound(extras.bound(chat.stream()), chat.stream())));
        }
    };
    let told = told.attempts(&answered).bound(extras.bound(chat.stream()));
    let Answered { answer, fallbacks, .. } = answered;
    let name = KeptName::of(&chat, fallbacks, gave_way);
    let opening = opened.opening;
    let delivery = Delivery { proxy, call, caller, chat, opening, bill, told, name };
    Ok(delivery.of(answer).await)
}
