//! `GET /provider/budgets`: what the config lets be spent on providers, and how much of it is; beside
//! LiteLLM's answer also on deployments and on requests with a tag.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use dunlin_ledger::{Allowance, Length, Period};
use dunlin_router::Catalog;
use dunlin_state::{DEPLOYMENTS, PROVIDERS, State, TAGS};
use dunlin_types::{EntityId, Line, NanoUsd, PotId, UnixMillis};
use serde_json::{Map, Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::moment::iso;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/provider/budgets", Who::Viewers, handle)
}

async fn handle(admin: Admin, _: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let read = admin.read().await;
    let now = admin.0.clock.unix().max(read.state.at());
    Ok(ok_as_of(&read, &told(&published.catalog, &read.state, now)))
}

fn told(catalog: &Catalog, state: &State, now: UnixMillis) -> Value {
    let one = |of: EntityId, name: &str, allowance: &Allowance| {
        let pot = PotId { of, line: Line::Model(name.to_owned()) };
        let (spent, begun) = state.spend(&pot);
        (name.to_owned(), row((spent, state.withheld(&pot), begun), allowance, now))
    };
    let all = catalog.deployments();
    let deployments: Map<String, Value> = all
        .filter_map(|known| Some(one(DEPLOYMENTS, &known.id.0, known.budget.as_ref()?)))
        .collect();
    let named = |of, budgets: &BTreeMap<Arc<str>, Allowance>| {
        let rows = budgets.iter().map(|(name, allowance)| one(of, name, allowance));
        rows.collect::<Map<String, Value>>()
    };
    json!({
        "providers": named(PROVIDERS, &catalog.provider_budgets),
        "deployments": deployments,
        "tags": named(TAGS, &catalog.tag_budgets),
    })
}

fn row(
    (spent, withheld, begun): (NanoUsd, NanoUsd, UnixMillis),
    Allowance { most, every }: &Allowance,
    now: UnixMillis,
) -> Value {
    // A period that is over ends for all with the next use.
    let running = |every: &String| Length::of_period(every).ok()?.rolling(begun, now).ok();
    let period: Option<Period> = every.as_ref().and_then(running);
    let is_over = period.is_some_and(|period| period.start != begun);
    let spent = if is_over { NanoUsd::ZERO } else { spent };
    let resets = period.filter(|_| !is_over).map(|period| iso(period.end));
    let mut told = json!({
        "budget_limit": most.as_usd(),
        "time_period": every,
        "spend": spent.as_usd(),
        "budget_reset_at": resets,
    });
    if withheld > NanoUsd::ZERO && !is_over {
        told["withheld"] = json!(withheld.as_usd());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_shown_while_it_runs_and_nothing_is_spent_of_the_next() {
        let daily = Allowance { most: NanoUsd(2_000_000_000), every: Some("1d".to_owned()) };
        let day = 24 * 60 * 60 * 1000;
        let spent = (NanoUsd(500_000_000), NanoUsd(250_000_000), UnixMillis(day));
        let row = |allowance: &Allowance, now| row(spent, allowance, UnixMillis(now));
        let running = row(&daily, 2 * day - 1);
        assert_eq!((&running["spend"], &running["budget_limit"]), (&json!(0.5), &json!(2.0)));
        assert_eq!(running["budget_reset_at"], json!(iso(UnixMillis(2 * day))));
        assert_eq!(running["withheld"], json!(0.25));
        let over = row(&daily, 2 * day);
        assert_eq!((&over["spend"], &over["budget_reset_at"]), (&json!(0.0), &Value::Null));
        assert_eq!(over["withheld"], Value::Null);
        let for_ever = Allowance { every: None, ..daily };
        assert_eq!(row(&for_ever, 99 * day)["spend"], json!(0.5));
    }
}
