//! `GET /key/aliases`: the aliases of all keys that the caller may see, in order and in pages.

use axum::response::Response;
use dunlin_state::State;
use serde_json::{Value, json};

use super::ok_as_of;
use crate::Admin;
use crate::error::Error;
use crate::request::pages::Pages;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/key/aliases", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let pages = Pages::read(&asked, "size", 50, 100)?;
    let search = asked.param("search").map(str::to_lowercase);
    let read = admin.read().await;
    Ok(ok_as_of(&read, &answer(&read.state, &asked.caller, &pages, search.as_deref())))
}

fn answer(state: &State, caller: &Caller, pages: &Pages, search: Option<&str>) -> Value {
    let seen = state.keys().filter(|key| caller.sees_key(state, key));
    let aliases = seen.filter_map(|key| key.alias.as_deref());
    let wanted = |alias: &&str| search.is_none_or(|part| alias.to_lowercase().contains(part));
    let mut aliases: Vec<_> = aliases.filter(wanted).collect();
    aliases.sort_unstable();
    json!({
        "aliases": pages.cut(&aliases),
        "total_count": aliases.len(),
        "current_page": pages.page,
        "total_pages": pages.of(aliases.len()),
        "size": pages.size,
    })
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rows::row::tests::{bare, state_after};

    #[test]
    fn aliases_come_in_order_and_in_pages() {
        let keys = ["sk-c", "sk-a", "sk-b", "sk-none"].map(|clear| {
            let mut key = bare(clear);
            key.alias = (clear != "sk-none").then(|| clear[3..].to_uppercase());
            Command::CreateKey { key: Box::new(key) }
        });
        let state = state_after(keys);
        let pages = Pages { page: 1, size: 2 };
        let told = answer(&state, &Caller::Master, &pages, None);
        assert_eq!(told["aliases"], json!(["A", "B"]));
        assert_eq!((&told["total_count"], &told["total_pages"]), (&json!(3), &json!(2)));
        let told = answer(&state, &Caller::Master, &pages, Some("c"));
        assert_eq!(told["aliases"], json!(["C"]));
    }
}
