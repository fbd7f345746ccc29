//! `GET /spend/tags` and `/global/spend/tags`: what requests with each tag cost; and
//! `/global/spend/all_tag_names`.

use std::collections::BTreeSet;

use axum::response::Response;
use dunlin_state::{Book, Symbol, Totals};
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::reports::usage::{listed, ranked, rows};
use crate::request::span::Span;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/spend/tags", Who::Anyone, |admin, asked| handle(admin, asked, plain, false))
        .get("/global/spend/tags", Who::Anyone, |admin, asked| handle(admin, asked, charted, true))
        .get("/global/spend/all_tag_names", Who::Viewers, |admin, asked| {
            handle(admin, asked, names, false)
        })
}

async fn handle(
    admin: Admin,
    asked: Request,
    told: fn(&View, &Request, Span) -> Value,
    needs_span: bool,
) -> Result<Response, Error> {
    let read = admin.read().await;
    let view = admin.view(read.state.clone());
    let span = if needs_span {
        Span::read(&asked, admin.0.clock.unix())?
    } else {
        Span::read_or_last(&asked, dunlin_state::DAYS_KEPT, view.now)?
    };
    Ok(ok_as_of(&read, &told(&view, &asked, span)))
}

fn tags(view: &View, asked: &Request, span: Span) -> Vec<(Symbol, Totals)> {
    ranked(rows(&view.state, &asked.caller, Book::Tags, span), |of| of.tag)
}

fn plain(view: &View, asked: &Request, span: Span) -> Value {
    let told = tags(view, asked, span).into_iter().map(|(tag, totals)| {
        json!({
            "individual_request_tag": view.used_by(tag),
            "log_count": totals.requests(),
            "total_spend": totals.cost.as_usd(),
        })
    });
    told.collect()
}

/// With `tags`, of those alone; `all-tags` is all of them.
fn charted(view: &View, asked: &Request, span: Span) -> Value {
    let all = asked.param("tags").is_none_or(|tags| tags.split(',').any(|tag| tag == "all-tags"));
    let only = listed(asked, view.state.days(), "tags");
    let only: Option<BTreeSet<_>> = only.filter(|_| !all);
    let wanted = tags(view, asked, span).into_iter();
    let wanted = wanted.filter(|(tag, _)| only.as_ref().is_none_or(|only| only.contains(tag)));
    let told = wanted.map(|(tag, totals)| {
        json!({
            "name": view.used_by(tag),
            "spend": totals.cost.as_usd(),
            "log_count": totals.requests(),
        })
    });
    json!({ "spend_per_tag": told.collect::<Vec<_>>() })
}

fn names(view: &View, asked: &Request, span: Span) -> Value {
    let names: BTreeSet<_> =
        tags(view, asked, span).into_iter().map(|(tag, _)| view.used_by(tag)).collect();
    json!({ "tag_names": names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::tests::{SPAN, used_world};
    use crate::request::span::tests::{asked, asked_as};
    use crate::rights::tests::bearer;
    use crate::rows::row::tests::view_of;

    #[test]
    fn tags_are_told_in_both_of_litellms_shapes_to_whom_they_concern() {
        let view = view_of(used_world());
        let told = plain(&view, &asked(""), SPAN);
        let tag = json!({"individual_request_tag": "prod", "log_count": 1, "total_spend": 0.1});
        assert_eq!(told, json!([tag]));
        let chart = json!({"spend_per_tag": [{"name": "prod", "spend": 0.1, "log_count": 1}]});
        for query in ["", "tags=prod,test", "tags=all-tags"] {
            assert_eq!(charted(&view, &asked(query), SPAN), chart, "{query}");
        }
        assert_eq!(charted(&view, &asked("tags=test"), SPAN), json!({"spend_per_tag": []}));
        assert_eq!(names(&view, &asked(""), SPAN), json!({"tag_names": ["prod"]}));
        let bare = asked_as(bearer(&view.state, "sk-bare"), "");
        assert_eq!(plain(&view, &bare, SPAN), json!([]), "another's tag");
    }
}
