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
use dunlin_admission::Demand;
use dunlin_llm::{BadRequest, Endpoint, Labels, decoded};
use dunlin_types::Tokens;

use crate::chat::Call;
use crate::error::{Failed, Refused};
use crate::headers::{self, Told};
use crate::realtime::handshake::{Handshake, Opened};
use crate::realtime::talk::{Asker, Talk};
use crate::stale::Detour;
use crate::websocket::{check_handshake, take_key};
use crate::{Proxy, refused};

mod frames;
mod handshake;
mod talk;

/// What goes upstream of a client's headers.
const FORWARDED: [HeaderName; 4] = [
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("openai-safety-identifier"),
];

/// GET /v1/realtime?model=
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    // Errors of ours are in OpenAI's form.
    let call = Call::begin(&proxy, Endpoint::ChatCompletions, &request);
    let call = Arc::new(call);
    match conduct(&proxy, &call, request).await {
        Ok(response) => response,
        Err(failed) => refused::answer(&proxy, &call, failed),
    }
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
    let query = Query::of(request.uri().query().unwrap_or_default())?;
    let group = dunlin_router::group(&serving.catalog, caller.access(), &query.model)
        .map_err(|no_route| Refused::no_route(no_route, Endpoint::ChatCompletions))?;
    let origin = call.client.origin(&serving.settings, request.headers(), &Labels::default())?;
    let headers = request.headers().clone();
    let (model, name) = (query.model, Arc::clone(&group.name));
    let (proxied, asked) = (proxy.clone(), Arc::clone(call));
    let uri = request.uri().clone();
    let detour = request.extensions().get::<Detour>().cloned();
    let asker =
        Asker { proxy: proxied, call: asked, headers, uri, origin, model, group: name, detour };
    let (mut bill, told) = asker.admit(caller, None).await?;

    let headers = &outgoing(request.headers(), offered);
    let demand = &Demand::free(call.id, &group.name, Tokens(0), serving.settings.counted);
    let (serving, group, query) = (&*serving, &*group, &*query.rest);
    let handshake = Handshake { proxy, serving, group, demand, query, headers };
    let Opened { conversation, with, place } = match handshake.open(&mut bill).await {
        Ok(opened) => opened,
        Err(failed) => return Err(bill.fail(failed)),
    };
    let response = accepted(told.called(call), &conversation.headers);
    let upgrading = hyper::upgrade::on(&mut request);
    let talk = Talk::new(asker, with, place, bill);
    let open = proxy.0.open.clone();
    proxy.0.open.tasks.spawn(async move {
        // A client that is gone before it is answered is nothing to anybody.
        if let Ok(client) = upgrading.await {
            talk.run(client, conversation, &open).await;
        }
    });
    Ok(response)
}

/// A query: the model, and what is the provider's.
struct Query {
    model: String,
    rest: String,
}

impl Query {
    fn of(query: &str) -> Result<Self, Refused> {
        let (mut model, mut rest) = (None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                // Azure's name for it.
                Some(("model" | "deployment", name)) => model = Some(decoded(name)),
                Some(("api-version" | "api-key" | "key", _)) => {}
                Some(_) | None => rest.push(pair),
            }
        }
        let model = model.ok_or(Refused::BadRequest(BadRequest::MissingModel))?;
        Ok(Self { model, rest: rest.join("&") })
    }
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
fn accepted(told: Told, provider: &HeaderMap) -> Response<Body> {
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
        for (query, model, rest) in [
            ("model=gpt%2Frt&intent=transcription", "gpt/rt", "intent=transcription"),
            ("api-version=2025-04-01&deployment=rt", "rt", ""),
        ] {
            let Ok(read) = Query::of(query) else { panic!("{query}") };
            assert_eq!((&*read.model, &*read.rest), (model, rest));
        }
        assert!(Query::of("intent=transcription").is_err());
    }
}
