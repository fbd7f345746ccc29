//! Questions about requests that a node answers by itself: no model is asked, nothing is charged and
//! no limit is touched.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use bytes::Bytes;
use dunlin_llm::Endpoint;
use serde_json::json;

use crate::request::body;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::Failed;
use crate::{Proxy, Serving};

/// What is asked, by whom, and what was in force then.
pub(crate) struct Question {
    pub(crate) serving: Arc<Serving>,
    pub(crate) caller: Caller,
    pub(crate) body: Bytes,
}

/// Has a question answered by `story`, and says why if it cannot be.
pub(crate) async fn answer(
    proxy: Proxy,
    request: Request,
    story: impl AsyncFnOnce(Proxy, Question) -> Result<Response<Body>, Failed>,
) -> Response<Body> {
    let call = Call::of_headers(&proxy, Endpoint::ChatCompletions, request.headers());
    let answered = async {
        let question = read(&proxy, request).await?;
        story(proxy, question).await
    };
    match answered.await {
        Ok(response) => response,
        Err(failed) => failed.response(&call),
    }
}

async fn read(proxy: &Proxy, request: Request) -> Result<Question, Failed> {
    let serving = proxy.0.serving.load_full();
    let (head, body) = request.into_parts();
    let caller = Caller::identify(proxy, &serving, &head.headers, &head.uri).await?;
    let body = body::read(body, &head.headers, serving.settings.max_request_bytes).await?;
    Ok(Question { serving, caller, body })
}

/// Has one that is all in its address answered by `story`, if it is known who asks.
pub(crate) async fn answer_to(
    proxy: &Proxy,
    headers: &HeaderMap,
    uri: &Uri,
    story: impl FnOnce(&Serving, &Caller) -> Response<Body>,
) -> Response<Body> {
    let serving = proxy.0.serving.load_full();
    match Caller::identify(proxy, &serving, headers, uri).await {
        Ok(caller) => story(&serving, &caller),
        Err(refused) => {
            let call = Call::of_headers(proxy, Endpoint::ChatCompletions, headers);
            Failed::from(refused).response(&call)
        }
    }
}

/// A question that makes no sense, as LiteLLM's `/utils` say so.
pub(crate) fn refusal(message: &str) -> Response<Body> {
    let detail = json!({"detail": {"error": message}});
    (StatusCode::BAD_REQUEST, Json(detail)).into_response()
}
