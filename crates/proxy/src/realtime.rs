//! The story of a conversation over a WebSocket: who asks, for which model, whether the limits allow
//! it, the handshake with a provider; then frames pass both ways, and each answer is admitted and
//! charged by itself.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use dunlin_admission::Demand;
use dunlin_llm::realtime::Transcription;
use dunlin_llm::{BadRequest, Endpoint, Labels, decoded};
use dunlin_router::{Deployment, Group, served};
use dunlin_types::Tokens;

use crate::realtime::handshake::{Handshake, OpenedConversation};
use crate::realtime::talk::Talk;
use crate::realtime::turns::Asker;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::pass::Pass;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::response::told::AnswerHeaders;
use crate::server::websocket::{check_handshake, take_key};
use crate::stale::Detour;
use crate::{Proxy, Serving};

mod attend;
pub(crate) mod calls;
mod frames;
mod handshake;
pub(crate) mod secrets;
mod talk;
mod transcripts;
mod turns;

/// What goes upstream of a client's headers.
const FORWARDED: [HeaderName; 4] = [
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("openai-safety-identifier"),
];

/// What LiteLLM's spend logs call it.
const CALL_TYPE: &str = "_arealtime";

/// GET /v1/realtime?model=
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    // Errors of ours are in OpenAI's form.
    let call = Call::begin(&proxy, Endpoint::ChatCompletions, &request).named(CALL_TYPE);
    let call = Arc::new(call);
    let answered = conduct(&proxy, &call, request).await;
    call.answer(&proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Arc<Call>,
    mut request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let offered = take_key(request.headers_mut());
    let caller = call.identify(proxy, &serving, request.headers(), request.uri()).await?;
    check_handshake(&request)?;
    let query = Query::of(request.uri().query().unwrap_or_default());
    let pass = Pass::shown(&proxy.0.ids, &serving.settings, request.headers());
    if pass.is_none() {
        // There is no body in which it could be.
        caller.check_required("", &Bytes::new())?;
    }
    let model = model(pass.as_ref(), query.model)?;
    let origin = call.client.origin(&serving.settings, request.headers(), &Labels::default())?;
    let mut bound = caller.clone();
    bound.count_for(proxy, &mut origin.clone()).await?;
    let group = speakers(&serving, &bound, pass.as_ref(), &model)?;
    let headers = request.headers().clone();
    let served = served(&serving.catalog, &group);
    let (proxied, asked) = (proxy.clone(), Arc::clone(call));
    let uri = request.uri().clone();
    let detour = request.extensions().get::<Detour>().cloned();
    let secret = pass.as_ref().map(Pass::upstream);
    let transcription = pass.as_ref().and_then(Pass::transcription).or(intended(&query.rest));
    let asker = Asker {
        proxy: proxied,
        call: asked,
        headers,
        uri,
        pass,
        origin,
        model,
        served,
        transcription,
        detour,
    };
    let (mut bill, told) = asker.admit(caller).await?;

    let headers = &outgoing(request.headers(), offered);
    let demand = &Demand::free(call.id, &group.name, Tokens(0), serving.settings.counted);
    let (serving, group, query) = (&*serving, &group, &*query.rest);
    let secret = secret.as_ref();
    let handshake = Handshake { proxy, serving, group, demand, query, headers, secret };
    let OpenedConversation { conversation, with, place } = match handshake.open(&mut bill).await {
        Ok(opened) => opened,
        Err(failed) => return Err(bill.fail(failed)),
    };
    let response = accepted(told.called(call), &conversation.headers);
    let upgrading = hyper::upgrade::on(&mut request);
    // Its answers are admitted each for itself.
    bill.undo();
    let talk = Talk::new(asker, with, place);
    let open = proxy.0.open.clone();
    proxy.0.open.tasks.spawn(async move {
        // A client that is gone before it is answered is nothing to anybody.
        if let Ok(client) = upgrading.await {
            talk.run(client, conversation, &open).await;
        }
    });
    Ok(response)
}

/// The model that is to be spoken with: a secret is for one.
fn model(pass: Option<&Pass>, asked: Option<String>) -> Result<String, Refused> {
    match (pass, asked) {
        (Some(pass), Some(asked)) if asked != pass.model => Err(Refused::Unfit {
            param: "model",
            message: format!(
                "The client secret was made for the model '{}', not for '{asked}': leave `model` \
                 out, or make another one.",
                pass.model
            ),
        }),
        (Some(pass), _) => Ok(pass.model.clone()),
        (None, Some(asked)) => Ok(asked),
        (None, None) => Err(Refused::BadRequest(BadRequest::MissingModel)),
    }
}

/// The deployments of a model that can be spoken with, if there are any: of a secret, the one that
/// knows what it was made for.
fn speakers(
    serving: &Serving,
    caller: &Caller,
    pass: Option<&Pass>,
    model: &str,
) -> Result<Group, Refused> {
    let group = dunlin_router::group(&serving.catalog, caller.access(), model)
        .map_err(|no_route| Refused::no_route(no_route, Endpoint::ChatCompletions, caller))?;
    let home = pass.map(Pass::deployment);
    let speaks = |known: &&Arc<Deployment>| match &home {
        Some(home) => known.id == *home,
        None => dunlin_providers::find(&known.provider)
            .is_some_and(|provider| provider.realtime_url(&known.target, "").is_some()),
    };
    let deployments: Vec<_> = group.deployments.iter().filter(speaks).cloned().collect();
    if deployments.is_empty() {
        return Err(match home {
            Some(_) => Refused::homeless("client secret"),
            None => Refused::Unfit {
                param: "model",
                message: format!("No provider of the model '{model}' has realtime conversations."),
            },
        });
    }
    Ok(Group { name: Arc::clone(&group.name), deployments })
}

/// A query: the model, and what is the provider's.
struct Query {
    model: Option<String>,
    rest: String,
}

impl Query {
    fn of(query: &str) -> Self {
        let (mut model, mut rest) = (None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                // Azure's name for it.
                Some(("model" | "deployment", name)) => model = Some(decoded(name)),
                Some(("api-version" | "api-key" | "key", _)) => {}
                Some(_) | None => rest.push(pair),
            }
        }
        Self { model, rest: rest.join("&") }
    }
}

/// Who writes down what is heard, as a query says it: nothing else may be asked for.
fn intended(query: &str) -> Option<Transcription> {
    let is_asked = query.split('&').any(|pair| pair == "intent=transcription");
    is_asked.then_some(Transcription::On(None))
}

/// The client's part of the handshake. Extensions are not offered: frames are looked at.
fn outgoing(client: &HeaderMap, protocols: Vec<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in &FORWARDED {
        for value in client.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Ok(protocols) = HeaderValue::from_str(&protocols.join(", "))
        && !protocols.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    headers
}

/// The provider's part of it.
fn accepted(told: AnswerHeaders, provider: &HeaderMap) -> Response<Body> {
    let mut fields = HeaderMap::new();
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for name in [SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL] {
        if let Some(value) = provider.get(&name) {
            fields.insert(name, value.clone());
        }
    }
    headers::relayed(told, StatusCode::SWITCHING_PROTOCOLS, fields, Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_among_the_protocols_is_a_key_and_no_protocol() {
        let mut headers = HeaderMap::new();
        let offered = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1";
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered));
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("x"));
        headers.insert("sec-websocket-extensions", HeaderValue::from_static("permessage-deflate"));
        let others = take_key(&mut headers);
        assert_eq!(headers["authorization"], "Bearer sk-1");
        let sent = outgoing(&headers, others);
        assert_eq!(sent[SEC_WEBSOCKET_PROTOCOL], "realtime, openai-beta.realtime-v1");
        assert_eq!((sent.len(), sent.contains_key(SEC_WEBSOCKET_KEY)), (2, true));
    }

    #[test]
    fn a_query_names_the_model_in_either_way() {
        for (query, expected, rest) in [
            ("model=gpt%2Frt&intent=transcription", "gpt/rt", "intent=transcription"),
            ("api-version=2025-04-01&deployment=rt", "rt", ""),
        ] {
            let read = Query::of(query);
            assert_eq!((read.model.as_deref(), &*read.rest), (Some(expected), rest));
        }
        assert!(model(None, Query::of("intent=transcription").model).is_err());
    }
}
