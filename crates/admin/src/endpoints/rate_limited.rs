//! `GET /global/activity/exceptions` and `/global/activity/exceptions/deployment`: how often the
//! deployments of a model said 429, by day, from the request log of the whole cluster. Each attempt
//! counts, also where another one gave the answer.

use std::collections::BTreeMap;

use axum::response::Response;
use dunlin_journal::{Query, SpendRecord};
use dunlin_router::Catalog;
use dunlin_state::Day;
use dunlin_types::DeploymentId;
use serde_json::{Value, json};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::reports::log_query::{Params, tell_of_newest};
use crate::request::fault::Fault;
use crate::request::span::{self, Span};
use crate::routes::{Request, Routes, Who};

/// The status that is counted.
const RATE_LIMITED: u16 = 429;
/// So many of the newest requests with such an attempt are looked at.
const LOOKED_AT: usize = 10_000;
/// Deployments told, as in LiteLLM: those that said it most often.
const MOST: usize = 10;
const PARAMS: &[&str] = &["last_days", "model_group"];

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/global/activity/exceptions", Who::Anyone, |admin, asked| {
            handle(admin, asked, |found| chart(&found.whole()))
        })
        .get("/global/activity/exceptions/deployment", Who::Anyone, |admin, asked| {
            handle(admin, asked, Found::by_deployment)
        })
}

async fn handle(
    admin: Admin,
    asked: Request,
    told: fn(&Found) -> Value,
) -> Result<Response, Error> {
    let published = admin.settings()?;
    let model = asked.param("model_group").filter(|model| !model.is_empty()).ok_or_else(|| {
        let fault = Fault::of("query", "model_group", "missing", "Field required");
        Error::Invalid(vec![fault])
    })?;
    let span = Span::read(&asked, admin.0.clock.unix())?;
    let mut params = Params::of(&asked, PARAMS);
    let mut filters = params.filters(&admin.0.consensus.state(), &|text| admin.is_master(text));
    params.finish()?;
    filters.from = Some(span.from.start());
    filters.before = Some(Day(span.to.0.saturating_add(1)).start());
    filters.attempt_status = Some(RATE_LIMITED);
    let query = Query { filters, limit: LOOKED_AT, ..Query::default() };
    let answer = admin.0.records.search(&query).await?;
    let mut found = Found::default();
    for row in &answer.rows {
        found.add(&published.catalog, model, &row.record);
    }
    let mut response = ok(&told(&found));
    tell_of_newest(&mut response, &answer);
    Ok(response)
}

type Days = BTreeMap<Day, u64>;

/// How often each deployment said it, by where it is.
#[derive(Default)]
struct Found(BTreeMap<String, Days>);

impl Found {
    /// Adds what was said in a request by deployments of `model`.
    fn add(&mut self, catalog: &Catalog, model: &str, record: &SpendRecord) {
        let limited = record.course.attempts.iter().filter(|it| it.status == RATE_LIMITED);
        for attempt in limited {
            if let Some(at) = place(catalog, model, record, &attempt.deployment) {
                let day = Day::of(record.started);
                *self.0.entry(at).or_default().entry(day).or_default() += 1;
            }
        }
    }

    fn whole(&self) -> Days {
        let mut whole = Days::new();
        for (day, count) in self.0.values().flatten() {
            *whole.entry(*day).or_default() += count;
        }
        whole
    }

    fn by_deployment(&self) -> Value {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(at, days)| (std::cmp::Reverse(days.values().sum::<u64>()), *at));
        let told = all.into_iter().take(MOST).map(|(at, days)| {
            let mut told = chart(days);
            told["api_base"] = at.as_str().into();
            told
        });
        told.collect()
    }
}

/// Where a deployment of the model is. One that is not configured any more is told by its id, if the
/// request asked for the model.
fn place(
    catalog: &Catalog,
    model: &str,
    record: &SpendRecord,
    id: &DeploymentId,
) -> Option<String> {
    if let Some(known) = catalog.deployments().find(|known| known.id == *id) {
        let group = catalog.groups.get(model)?;
        let is_of_it = group.deployments.iter().any(|one| one.id == *id);
        return is_of_it.then(|| known.backend.api_base().to_owned());
    }
    (record.model == model).then(|| id.0.to_string())
}

fn chart(days: &Days) -> Value {
    let daily = days
        .iter()
        .map(|(day, count)| json!({"date": span::label(*day), "num_rate_limit_exceptions": count}));
    json!({
        "daily_data": daily.collect::<Vec<_>>(),
        "sum_num_rate_limit_exceptions": days.values().sum::<u64>(),
    })
}

#[cfg(test)]
mod tests {
    use dunlin_journal::Attempt;
    use dunlin_types::UnixMillis;

    use super::*;

    fn record(model: &str, day: u32, attempts: &[(&str, u16)]) -> SpendRecord {
        let mut record = SpendRecord {
            model: model.to_owned(),
            started: UnixMillis(Day(day).start().0 + 7),
            ..SpendRecord::default()
        };
        let attempts = attempts.iter().map(|(id, status)| Attempt {
            deployment: DeploymentId((*id).into()),
            status: *status,
            duration_ms: 1,
        });
        record.course.attempts = attempts.collect();
        record
    }

    #[test]
    fn each_attempt_that_was_too_many_counts_on_its_day_and_where_it_was() {
        let catalog = Catalog::default();
        let mut found = Found::default();
        for record in [
            record("gpt", 0, &[("a", 429), ("a", 429), ("b", 200)]),
            record("gpt", 1, &[("b", 429), ("a", 500)]),
            record("other", 1, &[("c", 429)]),
        ] {
            found.add(&catalog, "gpt", &record);
        }
        let day =
            |date: &str, count: u64| json!({"date": date, "num_rate_limit_exceptions": count});
        assert_eq!(
            chart(&found.whole()),
            json!({"daily_data": [day("Jan 01", 2), day("Jan 02", 1)],
                "sum_num_rate_limit_exceptions": 3})
        );
        assert_eq!(
            found.by_deployment(),
            json!([
                {"api_base": "a", "daily_data": [day("Jan 01", 2)],
                    "sum_num_rate_limit_exceptions": 2},
                {"api_base": "b", "daily_data": [day("Jan 02", 1)],
                    "sum_num_rate_limit_exceptions": 1},
            ])
        );
    }
}
