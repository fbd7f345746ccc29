//! What is asked of a response that no provider keeps: its turn is stored here.

use axum::body::Body;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::responses::{ItemPage, KeptResponse, input_items, stored_model, stored_response};
use dunlin_store::{Doing, Holders};
use dunlin_types::Tokens;
use serde_json::json;

use super::lists::Query as Pairs;
use super::{About, Asking};
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::turns::Stored;

mod again;

/// What the query of a request about it may say beside which page is wanted.
#[derive(Default)]
struct Wanted {
    stream: bool,
    starting_after: Option<u64>,
}

impl Wanted {
    fn read(query: &str) -> Result<Self, Refused> {
        let (mut wanted, query) = (Self::default(), Pairs::read(query));
        if let Some(said) = query.get("stream") {
            let read = said
                .parse::<bool>()
                .map_err(|_| Refused::bad_query("stream", said, "true or false"));
            wanted.stream = read?;
        }
        if let Some(said) = query.get("starting_after") {
            let expected = "the `sequence_number` of an event, a whole number from 0 on";
            let read = said
                .parse::<u64>()
                .map_err(|_| Refused::bad_query("starting_after", said, expected));
            wanted.starting_after = Some(read?);
        }
        Ok(wanted)
    }
}

/// Answers one request about it. `id` is what the client calls it.
pub(super) async fn serve(
    asking: Asking<'_>,
    about: About,
    (id, stored): (&str, Stored),
    head: &Parts,
) -> Result<Response<Body>, Failed> {
    let page = Query::<ItemPage>::try_from_uri(&head.uri);
    let Query(page) = page.map_err(|bad| Refused::bad_page(&bad.body_text()))?;
    let wanted = Wanted::read(head.uri.query().unwrap_or_default())?;
    let reads = head.method == Method::GET && about.suffix.is_empty();
    if reads && wanted.stream {
        return again::serve(asking, (id, stored), wanted.starting_after).await;
    }
    let mut turn = stored.read(asking.proxy, id).await?;
    let (is_deleted, is_cancelled) = (head.method == Method::DELETE, about.suffix == "/cancel");
    let response = stored_response(&turn).and_then(|response| KeptResponse::read(&response));
    if is_cancelled && !response.as_ref().is_some_and(|response| response.background) {
        return Err(Refused::not_background().into());
    }
    let is_open = response.is_some_and(|response| !response.finished);
    if is_open && (is_cancelled || is_deleted) {
        let Holders([maker, _]) = stored.holders;
        match asking.proxy.0.store.stop(maker, stored.request).await {
            Doing::Nothing => turn = stored.read(asking.proxy, id).await?,
            Doing::Working | Doing::Silent { .. } => return Err(Refused::not_stopped(id).into()),
        }
    }
    let unread = || Refused::gone(id, "this version cannot read what was stored");
    let model = stored_model(&turn).ok_or_else(unread)?;
    let (bill, told) = asking.admit(&*model, Tokens(0), Bounds::default()).await?;
    let body = match (is_deleted, about.suffix) {
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
