//! `GET /global/spend/keys`, `/global/spend/models`, `/global/spend/provider` and `/spend/models`: who
//! and what costs most.

use axum::response::Response;
use dunlin_state::Book;
use serde_json::{Value, json};

use super::global_spend::LAST_DAYS;
use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::{ranked, rows};
use crate::request::fault::Fault;
use crate::request::span::Span;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// How many are told unless the query says so, and at the most.
const USUAL: usize = 10;
const MOST: usize = 1_000;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/global/spend/keys", Who::Anyone, |admin, asked| handle(admin, asked, keys, false))
        .get("/global/spend/models", Who::Anyone, |admin, asked| {
            handle(admin, asked, models, false)
        })
        .get("/spend/models", Who::Anyone, |admin, asked| handle(admin, asked, models, false))
        .get("/global/spend/provider", Who::Anyone, |admin, asked| {
            handle(admin, asked, providers, true)
        })
}

/// Of a view and a caller's query: the first ones of some days.
type Report = fn(&View, &Request, Span, usize) -> Vec<Value>;

async fn handle(
    admin: Admin,
    asked: Request,
    told: Report,
    needs_span: bool,
) -> Result<Response, Error> {
    let limit = limit(&asked)?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let span = if needs_span {
        Span::read(&asked, admin.0.clock.unix())?
    } else {
        Span::read_or_last(&asked, LAST_DAYS, view.now)?
    };
    Ok(ok_as_of(&read, &told(&view, &asked, span, limit)))
}

fn limit(asked: &Request) -> Result<usize, Error> {
    let Some(text) = asked.param("limit") else { return Ok(USUAL) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| {
        let msg = format!("Input should be a valid integer from 1 to {MOST}");
        Error::Invalid(vec![Fault::of("query", "limit", "value_error", msg)])
    })
}

fn keys(view: &View, asked: &Request, span: Span, limit: usize) -> Vec<Value> {
    let rows = rows(&view.state, &asked.caller, Book::Keys, span);
    let told = ranked(rows, |of| of.key).into_iter().take(limit).map(|(key, totals)| {
        json!({
            "api_key": view.used_with(key),
            "key_alias": view.used_with_alias(key),
            "key_name": view.key_used(key).map(|key| key.name.as_str()),
            "total_spend": totals.cost.as_usd(),
        })
    });
    told.collect()
}

fn models(view: &View, asked: &Request, span: Span, limit: usize) -> Vec<Value> {
    let rows = rows(&view.state, &asked.caller, Book::Keys, span);
    let told = ranked(rows, |of| of.model).into_iter().take(limit).map(|(model, totals)| {
        json!({
            "model": view.state.days().name(model).unwrap_or_default(),
            "total_spend": totals.cost.as_usd(),
            "total_tokens": totals.tokens().0,
            "api_requests": totals.requests(),
        })
    });
    told.collect()
}

/// Those of whom something was had.
fn providers(view: &View, asked: &Request, span: Span, limit: usize) -> Vec<Value> {
    let rows = rows(&view.state, &asked.caller, Book::Keys, span);
    let told = ranked(rows, |of| of.provider).into_iter().filter_map(|(provider, totals)| {
        let provider = view.state.days().name(provider)?;
        Some(json!({ "provider": provider, "spend": totals.cost.as_usd() }))
    });
    told.take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::{asked, asked_as};
    use crate::rights::caller::Caller;
    use crate::rights::tests::bearer;
    use crate::rows::row::tests::view_of;

    #[test]
    fn what_costs_most_comes_first_and_each_sees_its_own() {
        let view = view_of(used_world());
        let told = |told: Report, caller, limit| told(&view, &asked_as(caller, ""), SPAN, limit);
        let dev = || bearer(&view.state, "sk-dev");
        let spends = |told: Vec<Value>, name: &str| -> Vec<(String, f64)> {
            let spend = |one: &Value| one.get("spend").or(one.get("total_spend")).cloned();
            let pair = |one: &Value| {
                let spend = spend(one).and_then(|spend| spend.as_f64()).expect("a spend");
                (one[name].as_str().expect("a name").to_owned(), spend)
            };
            told.iter().map(pair).collect()
        };
        let named = |pairs: &[(&str, f64)]| -> Vec<_> {
            pairs.iter().map(|(name, spend)| ((*name).to_owned(), *spend)).collect()
        };
        let all = spends(told(models, Caller::Master, 9), "model");
        assert_eq!(all, named(&[("claude", 3.007), ("gpt", 0.151)]));
        let own = spends(told(models, dev(), 9), "model");
        assert_eq!(own, named(&[("gpt", 0.1), ("claude", 0.007)]));
        let first = spends(told(providers, Caller::Master, 1), "provider");
        assert_eq!(first, named(&[("anthropic", 3.007)]));
        let keys = told(keys, Caller::Master, 9);
        assert_eq!(keys.len(), 5);
        assert_eq!(
            (&keys[0]["key_name"], &keys[0]["total_spend"]),
            (&json!("sk-...here"), &json!(3.0))
        );
        assert_eq!(keys[4]["api_key"], "litellm_proxy_master_key");
        assert_eq!(keys[3]["key_name"], Value::Null, "a key that is gone has no name");
    }

    #[test]
    fn a_limit_is_a_number_of_rows() {
        assert_eq!(limit(&asked("")).expect("the usual one"), USUAL);
        assert_eq!(limit(&asked("limit=3")).expect("a limit"), 3);
        for wrong in ["limit=0", "limit=1001", "limit=all"] {
            assert!(matches!(limit(&asked(wrong)), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
