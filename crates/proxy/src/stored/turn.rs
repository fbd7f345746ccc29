//! What is asked of a response that no provider keeps: its turn is stored here.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use dunlin_admission::Bounds;
use dunlin_llm::responses::{
    ItemPage, KeptResponse, MAX_ITEMS, NoItems, input_items, stored_model, stored_response,
};
use dunlin_store::{Doing, Holders};
use dunlin_types::Tokens;
use serde_json::json;

use super::lists::Query;
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
    fn read(query: &Query<'_>) -> Result<Self, Refused> {
        let mut wanted = Self::default();
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

/// Which of its input items are wanted.
fn page<'q>(query: &'q Query<'_>) -> Result<ItemPage<'q>, Refused> {
    let mut page = ItemPage { after: query.get("after"), ..ItemPage::default() };
    if let Some(said) = query.get("limit") {
        let read = said.parse().ok().filter(|limit| (1..=MAX_ITEMS).contains(limit));
        let expected = || format!("a whole number from 1 to {MAX_ITEMS}");
        page.limit = read.ok_or_else(|| Refused::bad_query("limit", said, &expected()))?;
    }
    page.is_ascending = match query.get("order") {
        Some("asc") => true,
        Some("desc") | None => false,
        Some(said) => return Err(Refused::bad_query("order", said, "asc or desc")),
    };
    Ok(page)
}

/// Answers one request about it. `id` is what the client calls it.
pub(super) async fn serve(
    asking: Asking<'_>,
    about: About,
    (id, stored): (&str, Stored),
    head: &Parts,
) -> Result<Response<Body>, Failed> {
    let query = Query::read(head.uri.query().unwrap_or_default());
    let (page, wanted) = (page(&query)?, Wanted::read(&query)?);
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
        (false, "/input_items") => match input_items(&turn, &stored.request.to_string(), page) {
            Ok(items) => items,
            Err(NoItems::NoTurn) => return Err(bill.fail(unread())),
            Err(NoItems::NoSuchItem) => {
                let (expected, said) = ("an input item of this response", page.after);
                let said = said.unwrap_or_default();
                return Err(bill.fail(Refused::bad_query("after", said, expected)));
            }
        },
        (false, _) => stored_response(&turn).ok_or_else(unread)?,
    };
    bill.delivered_free();
    Ok(headers::json(told.called(asking.call), body))
}
