//! `POST /v2/key/info`: the rows of several keys. Those that do not exist, or that the caller may not
//! see, are left out.

use axum::response::Response;
use dunlin_admin_api::Row;
use serde_json::json;

use super::{key_named, ok_as_of};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::rights::caller::Caller;
use crate::routes::{Request, Routes, Who};
use crate::rows::row::View;

/// Of so many keys rows are shown at a time.
const MAX_KEYS: usize = 1000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/v2/key/info", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let named = parse(asked.body()?)?;
    let read = admin.read().await;
    let rows = rows(&admin.view(read.state.clone()), &asked.caller, &named);
    if rows.is_empty() {
        return Err(Error::NoSuchKey { name: "keys" });
    }
    Ok(ok_as_of(&read, &json!({"key": named, "info": rows})))
}

fn parse(mut body: Body) -> Result<Vec<String>, Error> {
    let named = body.require("keys", values::texts);
    if named.len() > MAX_KEYS {
        body.refuse("keys", format!("at most {MAX_KEYS} keys can be shown at a time"));
    }
    body.finish(["keys"].into_iter())?;
    Ok(named)
}

fn rows(view: &View, caller: &Caller, named: &[String]) -> Vec<Row> {
    let keys = named.iter().filter_map(|named| key_named(&view.state, named).ok());
    keys.filter(|key| caller.sees_key(&view.state, key))
        .map(|key| view.key_in_force(&key))
        .collect()
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;

    use super::*;
    use crate::rows::row::tests::{bare, state_after, view_of};

    #[test]
    fn rows_come_in_the_order_of_their_names_without_those_that_are_not() {
        let keys = ["sk-aaaa", "sk-bbbb"];
        let make = keys.map(|clear| Command::CreateKey { key: Box::new(bare(clear)) });
        let view = view_of(state_after(make));
        let named = ["sk-bbbb", "sk-none", "sk-aaaa"].map(str::to_owned);
        let rows = rows(&view, &Caller::Master, &named);
        let names: Vec<_> = rows.iter().map(|row| row["key_name"].get()).collect();
        assert_eq!(names, ["\"sk-...bbbb\"", "\"sk-...aaaa\""]);
    }
}
