//! `GET /spend/logs/v2`, and the path of LiteLLM's UI: a page of the request log.

use axum::response::Response;
use dunlin_journal::{Filters, Order, Query};
use dunlin_records::Missing;
use serde_json::{Map, Value, json};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::reports::log_query::{Params, cursor_text, tell};
use crate::routes::{Request, Routes, Who};
use crate::rows::log_row::row;

const USUAL_SIZE: usize = 50;
const MAX_SIZE: usize = 100;
/// Every node searches for all rows up to the page asked for: deeper ones are reached by a cursor.
const MAX_DEPTH: usize = 10_000;

const OTHERS: &[&str] = &["count", "cursor", "page", "page_size", "sort_by", "sort_order"];

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/spend/logs/v2", Who::Anyone, handle).get("/spend/logs/ui", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let state = admin.0.consensus.state();
    let mut params = Params::of(&asked, OTHERS);
    let filters = params.filters(&state, &|text| admin.is_master(text));
    let page = Page::read(&mut params);
    params.finish()?;
    check_dates(&filters)?;
    let query = page.query(Query { filters, ..Query::default() })?;
    let answer = admin.0.records.search(&query).await?;
    let catalog = admin.0.published.load_full().map(|published| published.catalog.clone());
    let rows = answer.rows.iter().skip(page.skipped());
    let rows: Vec<Map<String, Value>> =
        rows.map(|found| row(&state, catalog.as_deref(), found)).collect();
    let size = page.size as u64;
    let missing: Vec<_> = answer
        .missing
        .iter()
        .map(|missing| {
            let Missing { node, covered, withheld, removed } = missing;
            let withheld = withheld.as_usd();
            json!({"node": node, "covered": covered, "withheld_usd": withheld, "removed": removed})
        })
        .collect();
    let mut told = json!({
        "data": rows,
        "total": answer.count,
        "page": page.page,
        "page_size": page.size,
        "total_pages": answer.count.div_ceil(size),
        "total_is_exact": answer.counted_all && answer.is_complete(),
        "complete": answer.is_complete(),
        "missing_nodes": missing,
        "next_cursor": answer.reached.as_ref().map(cursor_text),
    });
    if !query.count {
        // Pages that are reached by a cursor have no numbers, and so have those nobody wants counted.
        for name in ["total", "page", "total_pages", "total_is_exact"] {
            told[name] = Value::Null;
        }
    }
    let mut response = ok(&told);
    tell(&mut response, &answer);
    Ok(response)
}

/// As in LiteLLM, a page is of certain days: else it would be one of the whole log. Who looks for one
/// request need not know its day.
fn check_dates(filters: &Filters) -> Result<(), Error> {
    let missing = match (filters.from, filters.before) {
        _ if filters.id.is_some() => return Ok(()),
        (Some(_), Some(_)) => return Ok(()),
        (None, _) => "start_date",
        (Some(_), None) => "end_date",
    };
    let reason = format!(
        "Start date and end date are required: {missing} is missing, a date or a time such as \
         2026-01-31 or 2026-01-31 08:00:00. For one request, its request_id is enough"
    );
    Err(Error::BadField { name: missing, reason })
}

/// Which page, and in which order.
struct Page {
    page: usize,
    size: usize,
    after: Option<dunlin_journal::Position>,
    order: Order,
    ascending: bool,
    count: bool,
}

impl Page {
    fn read(params: &mut Params<'_>) -> Self {
        const ORDERS: &str = "startTime, endTime, request_duration_ms, spend or total_tokens";
        let order = params.read("sort_by", ORDERS, |name| match name {
            "startTime" => Some(Order::Started),
            "endTime" => Some(Order::Ended),
            "request_duration_ms" => Some(Order::Duration),
            "spend" => Some(Order::Cost),
            "total_tokens" => Some(Order::Tokens),
            _ => None,
        });
        let ascending = params.read("sort_order", "'asc' or 'desc'", |order| match order {
            "asc" => Some(true),
            "desc" => Some(false),
            _ => None,
        });
        let page = Self {
            page: params.count("page", usize::MAX).unwrap_or(1),
            size: params.count("page_size", MAX_SIZE).unwrap_or(USUAL_SIZE),
            after: params.cursor(),
            order: order.unwrap_or_default(),
            ascending: ascending.unwrap_or_default(),
            count: params.flag("count").unwrap_or(true),
        };
        if page.after.is_some() && (page.page != 1 || page.order != Order::Started) {
            params.fault("cursor", "A cursor goes with neither `page` nor another `sort_by`");
        }
        page
    }

    fn skipped(&self) -> usize {
        (self.page - 1).saturating_mul(self.size)
    }

    fn query(&self, query: Query) -> Result<Query, Error> {
        let limit = self.skipped().saturating_add(self.size);
        if limit > MAX_DEPTH {
            let reason = format!(
                "pages end at row {MAX_DEPTH}: go on from `next_cursor` with `cursor`, or ask for \
                 less time"
            );
            return Err(Error::BadField { name: "page", reason });
        }
        let (order, ascending, after) = (self.order, self.ascending, self.after);
        Ok(Query { limit, order, ascending, after, count: self.count && after.is_none(), ..query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::log_query::tests::asked;
    use crate::rights::caller::Caller;

    fn page(query: &str) -> Result<Query, Error> {
        let asked = asked(Caller::Master, query);
        let mut params = Params::of(&asked, OTHERS);
        let page = Page::read(&mut params);
        params.finish()?;
        page.query(Query::default())
    }

    #[test]
    fn a_page_asks_for_all_rows_up_to_its_last() {
        let third = page("page=3&page_size=20&sort_by=spend&sort_order=asc").expect("a page");
        assert_eq!((third.limit, third.order, third.ascending), (60, Order::Cost, true));
        assert!(third.count && third.after.is_none());
        let cursor = page("cursor=1-0000000000000001-1-1").expect("a cursor");
        assert_eq!((cursor.limit, cursor.count), (USUAL_SIZE, false));
    }

    #[test]
    fn a_page_is_of_certain_days_unless_it_is_of_one_request() {
        let at = Some(dunlin_types::UnixMillis(1));
        let missing = |from, before, id: Option<&str>| {
            let id = id.map(str::to_owned);
            match check_dates(&Filters { from, before, id, ..Filters::default() }) {
                Ok(()) => None,
                Err(Error::BadField { name, .. }) => Some(name),
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(missing(None, None, None), Some("start_date"));
        assert_eq!(missing(None, at, None), Some("start_date"));
        assert_eq!(missing(at, None, None), Some("end_date"));
        assert_eq!(missing(at, at, None), None);
        assert_eq!(missing(None, None, Some("chatcmpl-1")), None);
    }

    #[test]
    fn pages_that_are_too_deep_or_make_no_sense_are_refused() {
        for query in [
            "page=0",
            "page_size=101",
            "page_size=many",
            "page=200&page_size=100",
            "sort_by=colour",
            "sort_order=up",
            "cursor=nonsense",
            "cursor=1-0000000000000001-1-1&page=2",
            "cursor=1-0000000000000001-1-1&sort_by=spend",
        ] {
            assert!(page(query).is_err(), "{query}");
        }
    }
}
