//! `GET /global/activity` and `/global/activity/model`: requests and tokens by day, for charts;
//! `/global/activity/cache_hits`: by kind of call, none of them from a cache.

use std::collections::BTreeMap;

use axum::response::Response;
use dunlin_state::{Book, Day, Facets, Symbol, Totals};
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::rows;
use crate::request::span::{self, Span};
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// Models told, as in LiteLLM: those with most requests.
const MOST: usize = 10;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/global/activity", Who::Anyone, |admin, asked| handle(admin, asked, whole))
        .get("/global/activity/model", Who::Anyone, |admin, asked| handle(admin, asked, by_model))
        .get("/global/activity/cache_hits", Who::Viewers, |admin, asked| {
            handle(admin, asked, by_call)
        })
}

async fn handle(
    admin: Admin,
    asked: Request,
    told: fn(&View, &Request, Span) -> Value,
) -> Result<Response, Error> {
    let span = Span::read(&asked, admin.0.clock.unix())?;
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    Ok(ok_as_of(&read, &told(&view, &asked, span)))
}

type Days = BTreeMap<Day, Totals>;

fn sums(
    view: &View,
    asked: &Request,
    span: Span,
    part: fn(&Facets<Symbol>) -> Symbol,
) -> BTreeMap<Symbol, Days> {
    let mut sums: BTreeMap<Symbol, Days> = BTreeMap::new();
    for (day, of, totals) in rows(&view.state, &asked.caller, Book::Keys, span) {
        sums.entry(part(of)).or_default().entry(day).or_default().add(totals);
    }
    sums
}

fn whole(view: &View, asked: &Request, span: Span) -> Value {
    let sums = sums(view, asked, span, |_| Symbol::NONE);
    chart(sums.get(&Symbol::NONE).unwrap_or(&Days::new()))
}

fn by_model(view: &View, asked: &Request, span: Span) -> Value {
    let sums = sums(view, asked, span, |of| of.group);
    let mut models: Vec<_> = sums.into_iter().collect();
    let requests = |days: &Days| days.values().map(Totals::requests).sum::<u64>();
    models.sort_by_key(|(model, days)| (std::cmp::Reverse(requests(days)), *model));
    let told = models.iter().take(MOST).map(|(model, days)| {
        let mut told = chart(days);
        told["model"] = json!(view.state.days().name(*model).unwrap_or_default());
        told
    });
    told.collect()
}

/// No answer comes from a cache; the rest is told as LiteLLM tells it.
fn by_call(view: &View, asked: &Request, span: Span) -> Value {
    let mut whole = Totals::default();
    let sums = sums(view, asked, span, |of| of.call);
    let mut groups: Vec<_> = sums
        .iter()
        .map(|(call, days)| {
            let mut sum = Totals::default();
            days.values().for_each(|totals| sum.add(totals));
            whole.add(&sum);
            (view.state.days().name(*call).unwrap_or("Unknown"), sum)
        })
        .collect();
    groups.sort_by_key(|(call, sum)| (std::cmp::Reverse(sum.requests()), *call));
    let groups = groups.iter().map(|(call, sum)| {
        json!({
            "call_type": call,
            "api_requests": sum.successful,
            "cache_hits": 0,
            "failed_requests": sum.failed,
            "cached_completion_tokens": 0,
            "generated_completion_tokens": sum.completion.0,
        })
    });
    json!({
        "groups": groups.collect::<Vec<_>>(),
        "totals": {
            "api_requests": whole.successful,
            "cache_hits": 0,
            "failed_requests": whole.failed,
            "cached_completion_tokens": 0,
            "cache_hit_ratio": 0.0,
        },
        "filter_options": {"key_aliases": [], "models": []},
        "error_breakdown": [],
    })
}

fn chart(days: &Days) -> Value {
    let mut sum = Totals::default();
    let daily = days.iter().map(|(day, totals)| {
        sum.add(totals);
        json!({
            "date": span::label(*day),
            "api_requests": totals.requests(),
            "total_tokens": totals.tokens().0,
        })
    });
    let daily: Vec<_> = daily.collect();
    json!({
        "daily_data": daily,
        "sum_api_requests": sum.requests(),
        "sum_total_tokens": sum.tokens().0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::{asked, asked_as};
    use crate::rights::tests::bearer;
    use crate::rows::row::tests::view_of;

    #[test]
    fn requests_and_tokens_are_told_by_day_and_by_model() {
        let view = view_of(used_world());
        let told = whole(&view, &asked(""), SPAN);
        let day = json!({"date": "Jan 01", "api_requests": 5, "total_tokens": 3_208});
        assert_eq!(told["daily_data"], json!([day]));
        assert_eq!(
            (&told["sum_api_requests"], &told["sum_total_tokens"]),
            (&json!(5), &json!(3_208))
        );
        let models = by_model(&view, &asked(""), SPAN);
        assert_eq!(
            (&models[0]["model"], &models[0]["sum_api_requests"]),
            (&json!("gpt"), &json!(3))
        );
        let calls = by_call(&view, &asked(""), SPAN);
        assert_eq!(calls["groups"][0]["call_type"], "acompletion");
        let requests = |name: &str| calls["totals"][name].as_u64().expect("a number");
        assert_eq!(requests("api_requests") + requests("failed_requests"), 5);
        let own = whole(&view, &asked_as(bearer(&view.state, "sk-dev"), ""), SPAN);
        assert_eq!(own["sum_api_requests"], json!(2));
        let nothing = whole(&view, &asked_as(bearer(&view.state, "sk-bare"), ""), SPAN);
        assert_eq!(nothing["daily_data"], json!([]));
    }
}
