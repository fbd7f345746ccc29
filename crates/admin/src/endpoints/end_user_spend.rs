//! `POST /global/spend/end_users`: what was used for each end user; `GET /global/all_end_users`: who
//! they are.

use axum::response::Response;
use dunlin_state::{Book, DAYS_KEPT, Day, Symbol};
use dunlin_types::UnixMillis;
use serde_json::{Value, json};

use super::global_spend::LAST_DAYS;
use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::{key_symbol, ranked, rows};
use crate::request::body::Body;
use crate::request::moment;
use crate::request::span::Span;
use crate::request::values;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// End users told, as in LiteLLM.
const MOST: usize = 100;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/global/spend/end_users", Who::Viewers, spend).get(
        "/global/all_end_users",
        Who::Viewers,
        names,
    )
}

async fn spend(admin: Admin, asked: Request) -> Result<Response, Error> {
    let body = if asked.bytes.is_empty() { None } else { Some(asked.body()?) };
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let wanted = body.map_or_else(|| Ok(Wanted::all(view.now)), |body| parse(body, view.now))?;
    Ok(ok_as_of(&read, &told(&view, &asked, &wanted)))
}

async fn names(admin: Admin, asked: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let span = Span::last(DAYS_KEPT, view.now);
    let all = ranked(rows(&view.state, &asked.caller, Book::EndUsers, span), |of| of.end_user);
    let mut names: Vec<_> = all.into_iter().map(|(user, _)| view.used_by(user)).collect();
    names.sort();
    Ok(ok_as_of(&read, &json!({ "end_users": names })))
}

#[derive(Debug, PartialEq)]
struct Wanted {
    span: Span,
    key: Option<String>,
}

impl Wanted {
    fn all(now: UnixMillis) -> Self {
        Self { span: Span::last(LAST_DAYS, now), key: None }
    }
}

fn parse(mut body: Body, now: UnixMillis) -> Result<Wanted, Error> {
    let mut wanted = Wanted::all(now);
    let mut day = |name: &'static str, day: &mut Day| {
        let Some(text) = body.take(name, values::text).value() else { return };
        match moment::parse(&text) {
            Some(at) => *day = Day::of(at),
            None => body.refuse(name, format!("`{text}` is not a time in ISO 8601")),
        }
    };
    day("startTime", &mut wanted.span.from);
    day("endTime", &mut wanted.span.to);
    wanted.key = body.take("api_key", values::text).value();
    body.finish(["startTime", "endTime", "api_key"].into_iter())?;
    Ok(wanted)
}

fn told(view: &View, asked: &Request, wanted: &Wanted) -> Vec<Value> {
    let days = view.state.days();
    // A key that has no row has used nothing.
    let key = wanted.key.as_ref().map(|name| key_symbol(days, name).unwrap_or(Symbol::OTHER));
    let rows = rows(&view.state, &asked.caller, Book::EndUsers, wanted.span);
    let rows = rows.filter(|(_, of, _)| key.is_none_or(|key| of.key == key));
    let told = ranked(rows, |of| of.end_user).into_iter().take(MOST).map(|(user, totals)| {
        json!({
            "end_user": view.used_by(user),
            "total_count": totals.requests(),
            "total_spend": totals.cost.as_usd(),
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::used_world;
    use crate::request::span::tests::asked;
    use crate::rows::row::tests::view_of;

    #[test]
    fn end_users_are_told_of_the_days_and_the_key_that_are_named() {
        let view = view_of(used_world());
        let found = |text: &str| {
            let body = Body::parse(text.as_bytes()).expect("an object");
            told(&view, &asked(""), &parse(body, view.now).expect("a question"))
        };
        let cust = json!({"end_user": "cust", "total_count": 1, "total_spend": 0.05});
        assert_eq!(found("{}"), std::slice::from_ref(&cust));
        assert_eq!(found(r#"{"startTime": "1970-01-01", "api_key": "sk-team"}"#), [cust]);
        assert!(found(r#"{"api_key": "sk-dev"}"#).is_empty());
        assert!(
            found(r#"{"startTime": "1970-01-02T00:00:00Z", "endTime": "1970-01-03"}"#).is_empty()
        );
        let wrong = Body::parse(br#"{"startTime": "yesterday"}"#).expect("an object");
        assert!(parse(wrong, view.now).is_err());
    }
}
