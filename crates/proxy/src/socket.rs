//! The story of responses that are asked for over a WebSocket, as Codex and OpenAI's SDKs do: each
//! turn is a request like any other, with its own caller, limits, attempts and bill, and its events go
//! out as messages. So it works with every model, and a key that was blocked gets no next turn.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use dunlin_llm::Endpoint;
use dunlin_llm::client::Peer;

use crate::Proxy;
use crate::request::call::Call;
use crate::response::error::Failed;
use crate::response::headers;
use crate::response::names;
use crate::response::told::AnswerHeaders;
use crate::server::websocket::{acceptance, check_handshake, take_key};
use crate::socket::conversation::Conversation;
use crate::socket::turn::Asker;
use crate::stale::Detour;

mod conversation;
mod loose;
mod turn;

/// GET /v1/responses, to be a WebSocket.
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let call = Call::begin(&proxy, Endpoint::Responses, &request);
    let answered = conduct(&proxy, &call, request).await;
    call.answer(&proxy, answered)
}

async fn conduct(
    proxy: &Proxy,
    call: &Call,
    mut request: Request,
) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let offered = take_key(request.headers_mut());
    let caller = call.identify(proxy, &serving, request.headers(), request.uri()).await?;
    check_handshake(&request)?;
    let asker = Asker {
        proxy: proxy.clone(),
        headers: of_turns(request.headers()),
        uri: request.uri().clone(),
        peer: request.extensions().get::<Peer>().copied(),
        detour: request.extensions().get::<Detour>().cloned(),
    };
    let fields = acceptance(request.headers(), &offered);
    let told = AnswerHeaders::of_admission(call, &caller, &[]).called(call);
    let (most, open) = (serving.settings.max_request_bytes, proxy.0.open.clone());
    let upgrading = hyper::upgrade::on(&mut request);
    proxy.0.open.tasks.spawn(async move {
        // A client that is gone before it is answered is nothing to anybody.
        if let Ok(client) = upgrading.await {
            Conversation::new(asker, most).run(client, &open).await;
        }
    });
    Ok(headers::relayed(told, StatusCode::SWITCHING_PROTOCOLS, fields, Body::empty()))
}

/// The headers of each turn's request: those of the handshake, but for what was about that itself.
fn of_turns(handshake: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in handshake {
        let is_its_own = name.as_str().starts_with("sec-websocket-")
            || [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE]
                .contains(name)
            // Each turn is a call by itself.
            || name.as_str() == names::CALL_ID;
        if !is_its_own {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_the_headers_of_its_conversation_and_nothing_of_its_handshake() {
        let mut handshake = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("x-litellm-tags", "a"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "x"),
            ("content-length", "0"),
            ("x-litellm-call-id", "mine"),
        ] {
            handshake.insert(name, HeaderValue::from_static(value));
        }
        let headers = of_turns(&handshake);
        let mut names: Vec<_> = headers.keys().map(axum::http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "content-type", "x-litellm-tags"]);
    }
}
