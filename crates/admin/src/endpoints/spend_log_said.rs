//! `GET /spend/logs/ui/{request_id}`: what was said in one request, where that is on record.

use axum::response::Response;
use dunlin_journal::Query;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::reports::log_query::{Params, tell};
use crate::routes::{Request, Routes, Who};
use crate::rows::log_row::said;

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/spend/logs/ui/{request_id}", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let state = admin.0.consensus.state();
    let mut params = Params::of(&asked, &[]);
    let mut filters = params.filters(&state, &|text| admin.is_master(text));
    params.finish()?;
    filters.id.clone_from(&asked.named);
    let query = Query { filters, limit: 1, said: true, ..Query::default() };
    let answer = admin.0.records.search(&query).await?;
    let found = answer.rows.first().ok_or_else(|| not_found(&asked))?;
    let mut response = ok(&said(&found.record));
    tell(&mut response, &answer);
    Ok(response)
}

fn not_found(asked: &Request) -> Error {
    let id = asked.named.as_deref().unwrap_or_default();
    Error::NotFound { reason: format!("there is no request '{id}' in the log that you may see") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::log_query::tests::asked;
    use crate::rights::caller::Caller;

    #[test]
    fn who_finds_nothing_is_told_what_was_looked_for() {
        let asked = Request { named: Some("chatcmpl-1".to_owned()), ..asked(Caller::Master, "") };
        assert!(not_found(&asked).told().contains("chatcmpl-1"));
    }
}
