//! What is asked of responses that makes none: how many tokens an input has, and a conversation
//! made shorter.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use dunlin_llm::{ChatRequest, Endpoint, Extras, parse, responses};
use dunlin_router::{Group, candidates};
use dunlin_types::Tokens;
use serde::Serialize;

use super::answer::Whole;
use super::{Asking, compaction, noted, send};
use crate::Proxy;
use crate::attempts::hold;
use crate::bill::Bill;
use crate::questions::count;
use crate::request::body;
use crate::request::call::Call;
use crate::request::kept::{OpenedBody, keepers};
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::response::told::AnswerHeaders;

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    InputTokens,
    Compaction,
}

impl Wanted {
    fn route(self) -> &'static str {
        match self {
            Self::InputTokens => "input_tokens",
            Self::Compaction => "compact",
        }
    }
}

#[derive(Serialize)]
struct Counted {
    object: &'static str,
    input_tokens: u64,
}

/// Answers one request.
pub(crate) async fn serve(proxy: &Proxy, wanted: Wanted, request: Request) -> Response<Body> {
    let call = Call::begin(proxy, Endpoint::Responses, &request);
    let answered = conduct(proxy, &call, wanted, request).await;
    call.answer(proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    wanted: Wanted,
    request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let caller = call.identify(proxy, &serving, &head.headers, &head.uri).await?;
    let most = serving.settings.max_request_bytes;
    let body = body::read(body, &head.headers, most).await?;
    let opened = OpenedBody::of(proxy, call.endpoint, &caller, (body, most)).await?;
    let chat = parse(call.endpoint, opened.body.clone(), None).map_err(Refused::BadRequest)?;
    if wanted == Wanted::Compaction {
        caller.check_required(body::kind(&head.headers), &opened.body)?;
    }
    let (catalog, wishes) = (&serving.catalog, Extras::default());
    let found = candidates(catalog, caller.access(), chat.model(), &wishes);
    let mut found =
        found.map_err(|no_route| Refused::no_route(no_route, call.endpoint, &caller))?;
    opened.pin(catalog, &mut found)?;
    let group = found.first().clone();

    let (headers, labels) = (&head.headers, chat.labels());
    let asking = Asking { proxy, call, serving: &serving, caller: &caller, headers, labels };
    match (wanted, keepers(&group)) {
        (wanted, Some(native)) => ask(asking, wanted, &chat, &native).await,
        (Wanted::InputTokens, None) => counted(asking, &chat, &group).await,
        (Wanted::Compaction, None) => compaction::serve(asking, &chat, &mut found).await,
    }
}

async fn ask(
    asking: Asking<'_>,
    wanted: Wanted,
    chat: &ChatRequest,
    group: &Group,
) -> Result<Response<Body>, Failed> {
    let tokens = match wanted {
        Wanted::InputTokens => Tokens(0),
        Wanted::Compaction => chat.prompt_estimate(),
    };
    let (bill, told) = match wanted {
        Wanted::InputTokens => asking.admit_free(chat.model()).await?,
        Wanted::Compaction => {
            let key = asking.caller.key().map(|caller| &*caller.key);
            let cost = hold::bounds(asking.proxy, key, chat, group);
            asking.admit(chat.model(), tokens, cost).await?
        }
    };
    let attempt = asking.first_attempt(&bill, group, tokens)?;
    let by = attempt.deployment().clone();
    let body = chat.encode_for(by.target.sent_model(), &[]);
    let asked = send(&format!("/responses/{}", wanted.route()), "application/json", body)?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let Whole { told, mut bill, body } = answer.whole().await?;
    bill.answered_as(noted::text(&body, "id"));
    Ok(match wanted {
        Wanted::InputTokens => free(bill, told, body),
        Wanted::Compaction => match responses::parse_reply(body.clone()) {
            Ok(Ok(reply)) => headers::json(told.cost(bill.delivered(&by, chat, &reply)), body),
            // It passes, and its prompt is what is known.
            Ok(Err(_)) | Err(_) => headers::json(told.cost(bill.delivered_unread(&by)), body),
        },
    })
}

/// Counted here, of the chat that the input is bridged to.
async fn counted(
    asking: Asking<'_>,
    chat: &ChatRequest,
    group: &Group,
) -> Result<Response<Body>, Failed> {
    let (bill, told) = asking.admit_free(chat.model()).await?;
    let model = group.deployments.first().map_or(chat.model(), |by| &*by.target.model);
    let tokens = count::counted(asking.proxy, chat, model)?;
    let counted = Counted { object: "response.input_tokens", input_tokens: tokens.0 };
    let json = serde_json::to_vec(&counted).expect("numbers and texts are always JSON");
    Ok(free(bill, told.called(asking.call), Bytes::from(json)))
}

fn free(bill: Bill, told: AnswerHeaders, body: Bytes) -> Response<Body> {
    bill.delivered_free();
    headers::json(told, body)
}
