//! `POST /key/bulk_update`: changes several keys, each as `/key/update` would. What cannot be done is
//! told beside what was.

use axum::response::Response;
use serde_json::{Value, json};

use super::ok;
use super::update_key::{Update, carry_out};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

const PATH: &str = "/key/bulk_update";
/// Each is a command of its own.
const MAX_KEYS: usize = 500;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post(PATH, Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let items = parse(asked.body()?)?;
    Ok(ok(&update_all(&admin, &asked, items, Vec::new()).await))
}

/// Carries changes out one by one; the answer, which tells of those that had `failed` before too.
pub(super) async fn update_all(
    admin: &Admin,
    asked: &Request,
    items: Vec<Value>,
    mut failed: Vec<Value>,
) -> Value {
    let (mut done, total) = (Vec::new(), items.len() + failed.len());
    for item in items {
        let key = item["key"].clone();
        match update(admin, asked, &item).await {
            Ok(row) => done.push(json!({"key": key, "key_info": row})),
            Err(error) => failed.push(json!({"key": key, "failed_reason": error.told()})),
        }
    }
    json!({
        "total_requested": total,
        "successful_updates": done,
        "failed_updates": failed,
    })
}

async fn update(
    admin: &Admin,
    asked: &Request,
    item: &Value,
) -> Result<dunlin_admin_api::Row, Error> {
    let body = Body::parse(item.to_string().as_bytes())?.at(asked.at);
    let update = Update::read(body, asked.at)?;
    carry_out(admin, asked, update).await
}

fn parse(mut body: Body) -> Result<Vec<Value>, Error> {
    let items = body.require("keys", |value| values::list(value).map(<[Value]>::to_vec));
    if items.len() > MAX_KEYS {
        body.refuse("keys", format!("at most {MAX_KEYS} keys can be changed at a time"));
    }
    body.finish(["keys"].into_iter())?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_changes_has_a_bound() {
        let of = |count: usize| {
            let body = json!({"keys": vec![json!({"key": "sk-a"}); count]}).to_string();
            parse(Body::parse(body.as_bytes()).expect("an object"))
        };
        assert_eq!(of(MAX_KEYS).expect("a list").len(), MAX_KEYS);
        assert!(matches!(of(MAX_KEYS + 1), Err(Error::BadField { name: "keys", .. })));
    }
}
