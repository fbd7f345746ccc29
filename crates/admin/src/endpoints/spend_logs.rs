//! `GET /spend/logs`: rows of the request log, or, of whole days, sums.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use dunlin_journal::{Query, SpendRecord};
use dunlin_records::Answer;
use dunlin_types::{NanoUsd, UnixMillis};
use serde_json::{Map, Value, json};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::log_query::{Params, tell};
use crate::log_row::{self, whole};
use crate::moment::iso;
use crate::routes::{Asked, Routes, Who};

/// Rows of one answer, unless fewer are asked for. LiteLLM has no bound.
const MAX_ROWS: usize = 1_000;
/// Rows that are summed at a time.
const SUMMED: usize = 5_000;
/// How long is summed. Fewer days take less.
const SUM_FOR: Duration = Duration::from_secs(20);
/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;
/// So many days at most are listed: empty ones, too.
const MAX_DAYS: u64 = 1_000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/spend/logs", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Asked) -> Result<Response, Error> {
    let mut params = Params::of(&asked, &["cursor", "limit", "summarize"]);
    let summarize = params.flag("summarize").unwrap_or(true);
    let limit = params.count("limit", MAX_ROWS).unwrap_or(MAX_ROWS);
    let after = params.cursor();
    let state = admin.0.consensus.state();
    let filters = params.filters(&state, &|text| admin.is_master(text));
    let days = filters.from.zip(filters.before).filter(|_| summarize && filters.id.is_none());
    if days.is_some_and(|(from, before)| before.0.saturating_sub(from.0) > MAX_DAYS * DAY) {
        params.fault("start_date", format!("Input should be at most {MAX_DAYS} days ago"));
    }
    params.finish()?;
    let query = Query { filters, limit, after, said: true, ..Query::default() };
    if let Some(days) = days {
        return sums(&admin, query, days.1).await;
    }
    let answer = admin.0.records.search(&query).await?;
    let catalog = admin.0.published.load_full().map(|published| published.catalog.clone());
    let row = |found| whole(&state, catalog.as_deref(), found);
    let mut response = ok(&answer.rows.iter().map(row).collect::<Vec<_>>());
    tell(&mut response, &answer);
    Ok(response)
}

/// What was spent on each day from the first to the last.
async fn sums(admin: &Admin, query: Query, before: UnixMillis) -> Result<Response, Error> {
    let began = admin.0.clock.mono();
    let mut query = Query { ascending: true, limit: SUMMED, said: false, after: None, ..query };
    let (mut days, mut all) =
        (BTreeMap::new(), Answer { looked_at_all: true, ..Answer::default() });
    loop {
        let answer = admin.0.records.search(&query).await?;
        for row in &answer.rows {
            let day: &mut Day = days.entry(row.record.started.0 / DAY).or_default();
            day.add(&row.record);
        }
        (query.after, all.missing) = (answer.reached, answer.missing);
        if query.after.is_none() {
            break;
        }
        if admin.0.clock.mono().since(began) > SUM_FOR {
            let reason = "there are too many requests on these days to be summed in time: ask for \
                          fewer days, or for rows (summarize=false)";
            return Err(Error::BadField { name: "start_date", reason: reason.to_owned() });
        }
    }
    let last = before.0.saturating_sub(1) / DAY;
    // As in LiteLLM, days without requests are listed only behind the last one that has some.
    let empty = days.keys().next_back().map_or(0..0, |day| day + 1..last + 1);
    let told: Vec<_> = days.into_iter().map(|(day, sums)| sums.told(day)).collect();
    let empty = empty.map(|day| Day::default().told(day));
    let mut response = ok(&told.into_iter().chain(empty).collect::<Vec<_>>());
    tell(&mut response, &all);
    Ok(response)
}

/// What was spent on one day.
#[derive(Default)]
struct Day {
    spend: NanoUsd,
    keys: BTreeMap<String, NanoUsd>,
    users: BTreeMap<String, NanoUsd>,
    models: BTreeMap<String, NanoUsd>,
}

impl Day {
    fn add(&mut self, record: &SpendRecord) {
        self.spend += record.cost;
        let sums = [
            (&mut self.keys, log_row::payer(record)),
            (&mut self.users, log_row::user(record).to_owned()),
            (&mut self.models, log_row::model(record).to_owned()),
        ];
        for (sums, name) in sums {
            *sums.entry(name).or_default() += record.cost;
        }
    }

    /// As LiteLLM has it: keys beside the names of the other sums.
    fn told(self, day: u64) -> Map<String, Value> {
        let usd = |sums: BTreeMap<String, NanoUsd>| -> Map<String, Value> {
            sums.into_iter().map(|(name, spend)| (name, json!(spend.as_usd()))).collect()
        };
        let mut told = Map::new();
        told.insert("users".to_owned(), usd(self.users).into());
        told.insert("models".to_owned(), usd(self.models).into());
        told.insert("spend".to_owned(), json!(self.spend.as_usd()));
        told.extend(usd(self.keys));
        let date = iso(UnixMillis(day * DAY));
        told.insert("startTime".to_owned(), date[..10].into());
        told
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::KeyDigest;

    use super::*;

    #[test]
    fn a_day_has_its_sums_by_key_user_and_model() {
        let mut day = Day::default();
        let key = KeyDigest::of("sk-a");
        for (key, cost) in [(Some(key), 5), (Some(key), 7), (None, 1)] {
            day.add(&SpendRecord {
                key,
                cost: NanoUsd(cost * 1_000_000_000),
                model: "chat".to_owned(),
                ..SpendRecord::default()
            });
        }
        let told = Value::Object(day.told(20_000));
        let expected = json!({
            "users": {"": 12.0, "default_user_id": 1.0},
            "models": {"chat": 13.0},
            "spend": 13.0,
            key.to_string(): 12.0,
            crate::log_query::MASTER: 1.0,
            "startTime": "2024-10-04",
        });
        assert_eq!(told, expected);
    }
}
