//! `GET /health/history` and `GET /health/latest`: the checks on record, from the request log of the
//! whole cluster.

use std::collections::BTreeSet;

use axum::response::Response;
use dunlin_journal::{Filters, Query, SpendRecord};
use serde_json::{Map, Value, json};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::health::checks::{CALL_TYPE, TAG};
use crate::reports::log_query::{Params, tell};
use crate::request::moment::iso;
use crate::routes::{Request, Routes, Who};

const USUAL_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// Every node searches for all rows up to those asked for.
const MAX_OFFSET: usize = 9_000;
/// So many of the newest checks are looked at for the last one of each deployment.
const LOOKED_AT: usize = 5_000;
const PARAMS: &[&str] = &["limit", "offset"];

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/health/history", Who::Viewers, history).get("/health/latest", Who::Viewers, latest)
}

async fn history(admin: Admin, asked: Request) -> Result<Response, Error> {
    let page = Page::read(&asked)?;
    let answer = admin.0.records.search(&page.query()).await?;
    let rows = answer.rows.iter().map(|found| &found.record).filter(|one| is_check(one));
    let rows: Vec<_> = rows.skip(page.offset).map(row).collect();
    let mut response = ok(&json!({
        "total_records": rows.len(),
        "health_checks": rows,
        "limit": page.limit,
        "offset": page.offset,
    }));
    tell(&mut response, &answer);
    Ok(response)
}

async fn latest(admin: Admin, _: Request) -> Result<Response, Error> {
    let published = admin.settings()?;
    let groups = published.catalog.groups.values();
    let served: BTreeSet<_> =
        groups.flat_map(|group| &group.deployments).map(|one| &one.id).collect();
    let query = Query { filters: checks(), limit: LOOKED_AT, ..Query::default() };
    let answer = admin.0.records.search(&query).await?;
    let mut newest = Map::new();
    for record in answer.rows.iter().map(|found| &found.record).filter(|one| is_check(one)) {
        if let Some(id) = record.deployment.as_ref().filter(|id| served.contains(id)) {
            newest.entry(id.0.to_string()).or_insert_with(|| row(record));
        }
    }
    let total = newest.len();
    let mut response = ok(&json!({"latest_health_checks": newest, "total_models": total}));
    tell(&mut response, &answer);
    Ok(response)
}

/// Which of the checks.
struct Page {
    filters: Filters,
    limit: usize,
    offset: usize,
}

impl Page {
    fn read(asked: &Request) -> Result<Self, Error> {
        let mut params = Params::of(asked, PARAMS);
        let failed = params.read("status_filter", "'healthy' or 'unhealthy'", |word| match word {
            "healthy" => Some(false),
            "unhealthy" => Some(true),
            _ => None,
        });
        let offset = params.read("offset", &format!("0 to {MAX_OFFSET}"), |text| {
            text.parse().ok().filter(|offset| *offset <= MAX_OFFSET)
        });
        let limit = params.count("limit", MAX_LIMIT).unwrap_or(USUAL_LIMIT);
        params.finish()?;
        let model = asked.param("model").map(str::to_owned);
        let filters = Filters { model, failed, ..checks() };
        Ok(Self { filters, limit, offset: offset.unwrap_or(0) })
    }

    fn query(&self) -> Query {
        let limit = self.offset + self.limit;
        Query { filters: self.filters.clone(), limit, ..Query::default() }
    }
}

fn checks() -> Filters {
    Filters { tag: Some(TAG.to_owned()), ..Filters::default() }
}

/// A client may put the tag on its own requests.
fn is_check(record: &SpendRecord) -> bool {
    record.course.call_type == CALL_TYPE
}

fn row(record: &SpendRecord) -> Value {
    let healthy = !record.failed();
    let metadata: Option<Value> =
        record.origin.spend_metadata.as_ref().and_then(|text| serde_json::from_str(text).ok());
    let took = record.ended.0.saturating_sub(record.started.0);
    json!({
        "health_check_id": record.call_id,
        "model_name": record.model,
        "model_id": record.deployment,
        "status": if healthy { "healthy" } else { "unhealthy" },
        "healthy_count": u32::from(healthy),
        "unhealthy_count": u32::from(!healthy),
        "error_message": record.fault.as_ref().map(|fault| &fault.message),
        "response_time_ms": took,
        "details": null,
        "checked_by": metadata.map(|one| one["checked_by"].clone()),
        "checked_at": iso(record.started),
        "created_at": iso(record.ended),
    })
}

#[cfg(test)]
mod tests {
    use dunlin_journal::{Fault, Outcome};
    use dunlin_types::UnixMillis;

    use super::*;
    use crate::reports::log_query::tests::asked;
    use crate::rights::caller::Caller;

    #[test]
    fn a_check_on_record_is_told_in_litellms_words() {
        let fault = Fault { message: "no answer".to_owned(), ..Fault::default() };
        let mut record = SpendRecord {
            model: "chat".to_owned(),
            started: UnixMillis(1_000),
            ended: UnixMillis(1_250),
            outcome: Outcome::Failure,
            fault: Some(Box::new(fault)),
            ..SpendRecord::default()
        };
        record.origin.spend_metadata = Some(r#"{"checked_by":"ann"}"#.to_owned());
        let told = row(&record);
        for (name, value) in [
            ("status", json!("unhealthy")),
            ("unhealthy_count", json!(1)),
            ("error_message", json!("no answer")),
            ("response_time_ms", json!(250)),
            ("checked_by", json!("ann")),
            ("checked_at", json!("1970-01-01T00:00:01.000000Z")),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
        record.origin.tags.push(TAG.to_owned());
        assert!(!is_check(&record), "the tag alone proves nothing");
    }

    #[test]
    fn a_page_is_bounded_and_its_slips_are_told() {
        let of = |query: &str| Page::read(&asked(Caller::Master, query));
        let page = of("model=chat&status_filter=unhealthy&limit=5&offset=10").expect("a page");
        assert_eq!((page.query().limit, page.filters.failed), (15, Some(true)));
        for query in ["limit=0", "limit=1001", "offset=9001", "status_filter=ill", "modle=x"] {
            assert!(of(query).is_err(), "{query}");
        }
    }
}
