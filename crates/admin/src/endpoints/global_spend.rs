//! `GET /global/spend`: all that was spent in the last 30 days, and `/global/spend/logs`: the same day
//! by day.

use std::collections::BTreeMap;

use axum::response::Response;
use dunlin_state::{Book, Day, Symbol};
use dunlin_types::NanoUsd;
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::{key_symbol, rows};
use crate::request::span::{self, Span};
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// As far back as LiteLLM looks where a query names no days.
pub(super) const LAST_DAYS: u32 = 30;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/global/spend", Who::Viewers, whole).get("/global/spend/logs", Who::Anyone, by_day)
}

async fn whole(admin: Admin, asked: Request) -> Result<Response, Error> {
    let most = admin.settings()?.settings.max_budget;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let span = Span::last(LAST_DAYS, view.now);
    let rows = rows(&view.state, &asked.caller, Book::Keys, span);
    let spend: NanoUsd = rows.map(|(_, _, totals)| totals.cost).sum();
    let most = most.map_or(0.0, NanoUsd::as_usd);
    Ok(ok_as_of(&read, &json!({ "spend": spend.as_usd(), "max_budget": most })))
}

async fn by_day(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let span = Span::read_or_last(&asked, LAST_DAYS, view.now)?;
    Ok(ok_as_of(&read, &days(&view, &asked, span)))
}

fn days(view: &View, asked: &Request, span: Span) -> Vec<Value> {
    let days = view.state.days();
    // A key that has no row has used nothing.
    let wanted = asked.param("api_key");
    let wanted = wanted.map(|name| (name, key_symbol(days, name).unwrap_or(Symbol::OTHER)));
    let mut spent: BTreeMap<Day, NanoUsd> = BTreeMap::new();
    for (day, of, totals) in rows(&view.state, &asked.caller, Book::Keys, span) {
        if wanted.is_none_or(|(_, key)| of.key == key) {
            *spent.entry(day).or_default() += totals.cost;
        }
    }
    let told = spent.into_iter().map(|(day, spend)| {
        let mut told = json!({ "date": span::text(day), "spend": spend.as_usd() });
        if let Some((_, key)) = wanted {
            told["api_key"] = json!(view.used_with(key));
        }
        told
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::asked_as;
    use crate::rights::caller::Caller;
    use crate::rows::row::tests::view_of;

    #[test]
    fn days_are_those_on_which_something_was_spent() {
        let view = view_of(used_world());
        let told = |query| days(&view, &asked_as(Caller::Master, query), SPAN);
        assert_eq!(told(""), [json!({"date": "1970-01-01", "spend": 3.158})]);
        let of_key = told("api_key=sk-dev");
        assert_eq!(of_key[0]["spend"], json!(0.1));
        assert_eq!(of_key[0]["api_key"].as_str().map(str::len), Some(64));
        assert!(told("api_key=sk-nobody").is_empty());
    }
}
