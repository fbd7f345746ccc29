//! What is asked of a response that no provider keeps: its turn is stored here.

use axum::body::Body;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::responses::{ItemPage, input_items, stored_model, stored_response};
use dunlin_types::Tokens;
use serde_json::json;

use super::{About, Asking};
use crate::error::{Failed, Refused};
use crate::headers;
use crate::turns::Stored;

/// Answers one request about it. `id` is what the client calls it.
pub(super) async fn serve(
    asking: Asking<'_>,
    about: About,
    (id, stored): (&str, Stored),
    head: &Parts,
) -> Result<Response<Body>, Failed> {
    if about.suffix == "/cancel" {
        return Err(Refused::not_background().into());
    }
    let page = Query::<ItemPage>::try_from_uri(&head.uri);
    let Query(page) = page.map_err(|bad| Refused::bad_page(&bad.body_text()))?;
    let turn = stored.read(asking.proxy, id).await?;
    let unread = || Refused::gone(id, "what was stored cannot be read by this release");
    let model = stored_model(&turn).ok_or_else(unread)?;
    let (bill, told) = asking.admit(&model, Tokens(0), Bounds::default()).await?;
    let body = match (head.method == Method::DELETE, about.suffix) {
        (true, _) => {
            stored.delete(asking.proxy).await?;
            Bytes::from(json!({"id": id, "object": "response", "deleted": true}).to_string())
        }
        (false, "/input_items") => {
            input_items(&turn, &stored.request.to_string(), &page).ok_or_else(unread)?
        }
        (false, _) => stored_response(&turn).ok_or_else(unread)?,
    };
    bill.delivered_free();
    Ok(headers::json(told.called(asking.call), body))
}
