//! How many tokens the input of a response has: asked of a provider that keeps responses, else counted
//! here. As all counting, it costs nothing, takes nothing of a limit, and leaves nothing on record.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use bytes::Bytes;
use dunlin_llm::{ChatRequest, Endpoint, Extras};
use dunlin_router::{Group, candidates};
use dunlin_types::Tokens;
use serde::Serialize;

use crate::Proxy;
use crate::attempts::{entry, not_asked};
use crate::questions::count;
use crate::questions::prompt::Prompt;
use crate::request::call::Call;
use crate::request::kept::keepers;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::response::told::AnswerHeaders;
use crate::stored::answer::{MAX_OBJECT_BYTES, collect, refusal};
use crate::stored::{Asking, send};

const ROUTE: &str = "/responses/input_tokens";

#[derive(Serialize)]
struct Counted {
    object: &'static str,
    input_tokens: u64,
}

/// POST /v1/responses/input_tokens
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let call = Call::begin(&proxy, Endpoint::Responses, &request);
    match conduct(&proxy, &call, request).await {
        Ok(response) => response,
        Err(failed) => failed.response(&call),
    }
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let prompt = Prompt::read(proxy, call, request).await?;
    let told = prompt.told(proxy, call);
    let Prompt { serving, caller, headers, opened, chat, origin } = prompt;
    let (catalog, wishes) = (&serving.catalog, Extras::default());
    let found = candidates(catalog, caller.access(), chat.model(), &wishes);
    let mut found =
        found.map_err(|no_route| Refused::no_route(no_route, call.endpoint, &caller))?;
    opened.pin(catalog, &mut found)?;
    let (headers, labels) = (&headers, chat.labels());
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
    match keepers(found.first()) {
        Some(native) => ask(asking, &chat, (&native, &origin.tags), told).await,
        None => counted(asking, &chat, found.first(), told),
    }
}

async fn ask(
    asking: Asking<'_>,
    chat: &ChatRequest,
    (group, tags): (&Group, &[String]),
    told: AnswerHeaders,
) -> Result<Response<Body>, Failed> {
    let Asking { proxy, call, serving, .. } = asking;
    let tagged = entry::tagged(&serving.catalog, group, tags);
    let tagged = tagged.map_err(|why| not_asked(proxy, group, why))?;
    let attempt = asking.attempt(&tagged, Tokens(0))?;
    let by = attempt.deployment().clone();
    let body = chat.encode_for(by.target.sent_model(), &[]);
    let asked = send(ROUTE, "application/json", body)?;
    let relayed = proxy.0.upstream.relay_kept(attempt, asked, by.timeout, serving.catalog.retry);
    let answered = |error| Refused::Answered(Box::new(error));
    let mut relayed = relayed.await.map_err(|failure| answered(failure.error))?;
    if !relayed.status.is_success() {
        return Err(answered(refusal(relayed, &by).await).into());
    }
    let told = told.answered(proxy, call, &by, &relayed.headers);
    let body = collect(&mut relayed, MAX_OBJECT_BYTES).await.map_err(answered)?;
    let body = body.ok_or(Refused::LongAnswer { most: MAX_OBJECT_BYTES })?;
    Ok(headers::json(told, body))
}

/// Counted here, of the chat that the input is bridged to.
fn counted(
    asking: Asking<'_>,
    chat: &ChatRequest,
    group: &Group,
    told: AnswerHeaders,
) -> Result<Response<Body>, Failed> {
    let model = group.deployments.first().map_or(chat.model(), |by| &*by.target.model);
    let tokens = count::counted(asking.proxy, chat, model)?;
    let counted = Counted { object: "response.input_tokens", input_tokens: tokens.0 };
    let json = serde_json::to_vec(&counted).expect("numbers and texts are always JSON");
    Ok(headers::json(told.called(asking.call), Bytes::from(json)))
}
