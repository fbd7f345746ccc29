//! Google's routes, whose last segment names the model and what is done with it:
//! `/v1beta/models/{model}:generateContent`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use dunlin_llm::credentials::key_in_query;
use dunlin_llm::{BadRequest, Endpoint, gemini, parse};
use dunlin_types::{Secret, Tokens};

use crate::Proxy;
use crate::chat;
use crate::questions::count;
use crate::request::body;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::said::Path;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::server::front;

const KEY: &str = "x-goog-api-key";

/// Answers a POST.
pub(crate) async fn serve(
    State(proxy): State<Proxy>,
    Path(target): Path<String>,
    mut request: Request,
) -> Response<Body> {
    let Some((model, method)) = target.rsplit_once(':') else { return front::not_found() };
    let key = request.uri().query().and_then(key_in_query);
    take_key(key, request.headers_mut());
    match method {
        "generateContent" => {
            chat::serve(&proxy, Endpoint::GenerateContent, Some(model), request).await
        }
        "streamGenerateContent" => {
            chat::serve(&proxy, Endpoint::StreamGenerateContent, Some(model), request).await
        }
        "countTokens" => {
            let call = Call::begin(&proxy, Endpoint::GenerateContent, &request);
            match count(&proxy, model, request).await {
                Ok(response) => response,
                Err(failed) => failed.response(&call),
            }
        }
        _ => front::not_found(),
    }
}

/// The tokens of what a body asks to be counted, by the model's encoding; of what is no whole request,
/// a guess.
pub(crate) async fn counted(
    proxy: &Proxy,
    model: &str,
    body: &Bytes,
) -> Result<Tokens, BadRequest> {
    let estimate = gemini::count_estimate(body)?;
    let Ok(chat) = parse(Endpoint::GenerateContent, gemini::counted_request(body), Some(model))
    else {
        return Ok(estimate);
    };
    proxy.0.tokenizer.warm(model).await;
    Ok(count::counted(proxy, &chat, model).unwrap_or(estimate))
}

/// A count made here, for keys that may call the model: no provider is asked.
async fn count(proxy: &Proxy, model: &str, request: Request) -> Result<Response<Body>, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let caller = Caller::identify(proxy, &serving, &head.headers, &head.uri).await?;
    let body = body::read(body, &head.headers, serving.settings.max_request_bytes).await?;
    let group = dunlin_router::group(&serving.catalog, caller.access(), model)
        .map_err(|no_route| Refused::no_route(no_route, Endpoint::GenerateContent, &caller))?;
    let upstream = group.deployments.first().map_or(model, |by| &by.target.model);
    let tokens = counted(proxy, upstream, &body).await.map_err(Refused::BadRequest)?;
    Ok(headers::plain_json(gemini::count_json(tokens)))
}

/// A key that came in the query, as if it had come in Google's header.
pub(crate) fn take_key(key: Option<Secret>, headers: &mut HeaderMap) {
    if let Some(key) = key
        && let Ok(mut key) = HeaderValue::from_str(key.expose())
    {
        key.set_sensitive(true);
        headers.entry(KEY).or_insert(key);
    }
}
