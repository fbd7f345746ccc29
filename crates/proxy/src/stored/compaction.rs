//! A conversation made shorter: by its provider, or where that has only chats, its model writes the
//! summary.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use dunlin_llm::responses::{compacted, to_compact};
use dunlin_llm::{ChatRequest, Endpoint, Extras, parse, responses};
use dunlin_router::{Candidates, Group, candidates, served};
use dunlin_upstream::{Answer, Whole};

use super::answer::Whole as WholeAnswer;
use super::{Asking, noted, send};
use crate::Proxy;
use crate::attempts::hold;
use crate::attempts::{self, AttemptInput};
use crate::request::body;
use crate::request::call::Call;
use crate::request::kept::{OpenedBody, keepers};
use crate::response::error::{Failed, Refused};
use crate::response::headers;

const ROUTE: &str = "/responses/compact";
/// What LiteLLM's spend logs call it.
const CALL_TYPE: &str = "acompact_responses";
/// The longest summary that is read.
const MAX_SUMMARY_BYTES: usize = 8 << 20;

/// POST /v1/responses/compact
pub(crate) async fn serve(proxy: &Proxy, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request).named(CALL_TYPE);
    let answered = conduct(proxy, &call, request).await;
    call.answer(proxy, answered)
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let most = serving.settings.max_request_bytes;
    let body = body::read(body, &head.headers, most).await?;
    call.is_for(&serving.settings, &head, &body);
    let opened = OpenedBody::of(proxy, call.endpoint, &caller, (body, most)).await?;
    let chat = parse(call.endpoint, opened.body.clone(), None).map_err(Refused::BadRequest)?;
    call.known.asks(chat.model(), false);
    caller.check_required(body::kind(&head.headers), &opened.body)?;
    let (catalog, wishes) = (&serving.catalog, Extras::default());
    let found = candidates(catalog, caller.access(), chat.model(), &wishes);
    let mut found =
        found.map_err(|no_route| Refused::no_route(no_route, call.endpoint, &caller))?;
    opened.pin(catalog, &mut found)?;

    let (headers, labels) = (&head.headers, chat.labels());
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
    match keepers(found.first()) {
        Some(native) => ask(asking, &chat, &native).await,
        None => summarize(asking, &chat, &mut found).await,
    }
}

/// Its provider makes it shorter.
async fn ask(
    asking: Asking<'_>,
    chat: &ChatRequest,
    group: &Group,
) -> Result<Response<Body>, Failed> {
    let tokens = chat.prompt_estimate();
    let key = asking.caller.key().map(|caller| &*caller.key);
    let cost = hold::bounds(asking.proxy, key, chat, group);
    let (bill, told) = asking.admit(served(&asking.serving.catalog, group), tokens, cost).await?;
    let attempt = asking.first_attempt(&bill, group, tokens)?;
    let by = attempt.deployment().clone();
    let body = chat.encode_for(by.target.sent_model(), &[]);
    let asked = send(ROUTE, "application/json", body)?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let WholeAnswer { told, mut bill, body } = answer.whole().await?;
    bill.answered_as(noted::text(&body, "id"));
    let settled = match responses::parse_reply(body.clone()) {
        Ok(Ok(reply)) => bill.delivered(&by, chat, &reply),
        // It passes, and its prompt is what is known.
        Ok(Err(_)) | Err(_) => bill.delivered_unread(&by),
    };
    Ok(headers::json(told.cost(settled), body))
}

/// Asks for the summary of the conversation in `chat`, as any chat is asked for.
async fn summarize(
    asking: Asking<'_>,
    chat: &ChatRequest,
    candidates: &mut Candidates<'_>,
) -> Result<Response<Body>, Failed> {
    let Asking { proxy, call, serving, caller, .. } = asking;
    let whole = chat.encode_for(chat.model(), &[]);
    let wish = to_compact(&whole).map_err(Refused::BadRequest)?;
    let wish = parse(Endpoint::Responses, wish, None).map_err(Refused::BadRequest)?;
    let key = caller.key().map(|caller| &*caller.key);
    let (tokens, cost) =
        (wish.prompt_estimate(), hold::bounds(proxy, key, &wish, candidates.first()));
    let (extras, catalog) = (Extras::default(), &serving.catalog);
    let served = served(catalog, candidates.first());
    let (mut bill, told) = asking.admit(served.clone(), tokens, cost).await?;
    let demand = &asking.demand(served, tokens, cost);
    let revision = serving.settings.revision;
    let asked = AttemptInput { proxy, catalog, chat: &wish, extras: &extras, demand, revision };
    let answered = match attempts::run(asked, candidates, &mut bill).await {
        Ok(answered) => answered,
        Err(failed) => return Err(bill.fail(failed)),
    };
    let told = told.attempts(&answered);
    let Answer::Whole(Whole { reply, headers: provider, deployment: by }) = answered.answer else {
        return Err(bill.fail(Refused::LongAnswer { most: MAX_SUMMARY_BYTES }));
    };
    let stamp = call.stamp(chat.model(), chat);
    let summary = reply.write(Endpoint::Responses, stamp);
    let Some(short) = compacted(&whole, &summary, reply.usage().as_ref(), stamp) else {
        let reason = format!("the model '{}' wrote no summary: try again", chat.model());
        let charged = bill.delivered(&by, &wish, &reply).key_spend;
        return Err(Failed::from(Refused::CannotKnow { reason }).spent(charged));
    };
    bill.answered_as(Some(stamp.answer_id(Endpoint::Responses, None)));
    let settled = bill.delivered(&by, &wish, &reply);
    Ok(headers::json(told.answered(proxy, call, &by, &provider).cost(settled), short))
}
