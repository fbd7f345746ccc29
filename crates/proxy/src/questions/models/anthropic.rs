//! The models in Anthropic's shape, a page at a time, for callers that name its version.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The moment of `CREATED`, as this shape writes it.
const CREATED_AT: &str = "2023-02-28T18:56:42Z";
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;

/// Which page is asked for.
#[derive(Deserialize, Default)]
pub(crate) struct Page {
    limit: Option<usize>,
    after_id: Option<String>,
    before_id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct List<'n> {
    data: Vec<Model<'n>>,
    has_more: bool,
    first_id: Option<&'n str>,
    last_id: Option<&'n str>,
}

#[derive(Serialize)]
pub(super) struct Model<'n> {
    r#type: &'static str,
    id: &'n str,
    display_name: &'n str,
    created_at: &'static str,
}

pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

pub(super) fn model(id: &str) -> Model<'_> {
    Model { r#type: "model", id, display_name: id, created_at: CREATED_AT }
}

/// The page. One after or before a model that is not there is empty: there may have been such a one.
pub(super) fn page<'n>(names: &'n [Arc<str>], page: &Page) -> List<'n> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let place = |id: &str| names.iter().position(|name| **name == *id).unwrap_or(names.len());
    let (found, has_more) = match (&page.after_id, &page.before_id) {
        (_, Some(before)) => {
            let end = place(before) % names.len().max(1);
            let start = end.saturating_sub(limit);
            (&names[start..end], start > 0)
        }
        (after, None) => {
            let start = after.as_ref().map_or(0, |after| (place(after) + 1).min(names.len()));
            let end = start.saturating_add(limit).min(names.len());
            (&names[start..end], end < names.len())
        }
    };
    List {
        data: found.iter().map(|name| model(name)).collect(),
        has_more,
        first_id: found.first().map(|name| &**name),
        last_id: found.last().map(|name| &**name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let names: Vec<Arc<str>> = ["a", "b", "c"].into_iter().map(Arc::from).collect();
        for (limit, after, before, ids, more) in [
            (None, None, None, "abc", false),
            (Some(2), None, None, "ab", true),
            (Some(2), Some("b"), None, "c", false),
            (Some(1), Some("a"), None, "b", true),
            (Some(0), Some("b"), None, "c", false),
            (None, Some("c"), None, "", false),
            (None, Some("x"), None, "", false),
            (Some(1), None, Some("c"), "b", true),
            (None, None, Some("c"), "ab", false),
            (None, None, Some("x"), "", false),
        ] {
            let asked = Page {
                limit,
                after_id: after.map(str::to_owned),
                before_id: before.map(str::to_owned),
            };
            let list = page(&names, &asked);
            let found: String = list.data.iter().map(|model| model.id).collect();
            assert_eq!((&*found, list.has_more), (ids, more), "{limit:?} {after:?} {before:?}");
            assert_eq!(list.last_id, list.data.last().map(|model| model.id));
        }
        assert!(
            page(&[], &Page { before_id: Some("a".into()), ..Page::default() }).data.is_empty()
        );
    }
}
