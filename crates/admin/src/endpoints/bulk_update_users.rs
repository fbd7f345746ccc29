//! `POST /user/bulk_update`: changes several users, each as `/user/update` would. What cannot be
//! done is told beside what was.

use axum::response::Response;
use dunlin_state::{Kind, State};
use serde_json::{Value, json};

use super::ok;
use super::update_entity::{Changed, carry_out};
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

/// Each is a command of its own.
const MAX_USERS: usize = 500;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/user/bulk_update", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let items = parse(asked.body()?, &admin.read().await.state)?;
    let mut results = Vec::new();
    for item in &items {
        let body = Body::parse(item.to_string().as_bytes())?.at(asked.at);
        let outcome = carry_out(&admin, &asked, body, Kind::User).await;
        let (updated, error) = match outcome {
            Ok(Changed { row, .. }) => (Some(row), None),
            Err(error) => (None, Some(error.told())),
        };
        results.push(json!({
            "user_id": item["user_id"],
            "user_email": item["user_email"],
            "success": error.is_none(),
            "error": error,
            "updated_user": updated,
        }));
    }
    let done = results.iter().filter(|result| result["success"] == true).count();
    Ok(ok(&json!({
        "results": results,
        "total_requested": items.len(),
        "successful_updates": done,
        "failed_updates": items.len() - done,
    })))
}

/// The changes, one for each user: those listed, or one for all.
fn parse(mut body: Body, state: &State) -> Result<Vec<Value>, Error> {
    let users = body.take("users", |value| values::list(value).map(<[Value]>::to_vec)).value();
    let all = body.take("all_users", values::flag).value().unwrap_or_default();
    let updates = body.take("user_updates", |value| values::object(value).cloned()).value();
    let items = match (users, all, updates) {
        (Some(users), false, _) => users,
        (None, true, Some(updates)) => {
            let each = |user: &std::sync::Arc<dunlin_state::Entity>| {
                let mut item = updates.clone();
                item.insert("user_id".to_owned(), user.name.clone().into());
                Value::Object(item)
            };
            state.entities(Kind::User).map(each).collect()
        }
        _ => {
            body.refuse("users", "give `users`, or `all_users` with `user_updates`".to_owned());
            Vec::new()
        }
    };
    if items.len() > MAX_USERS {
        body.refuse("users", format!("at most {MAX_USERS} users can be changed at a time"));
    }
    body.finish(["users", "all_users", "user_updates"].into_iter())?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::tests::world;

    #[test]
    fn some_are_changed_each_in_its_way_or_all_alike() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"), &world());
        let some = of(r#"{"users": [{"user_id": "dev", "max_budget": 1}]}"#).expect("changes");
        assert_eq!(some[0]["max_budget"], 1);
        let all = of(r#"{"all_users": true, "user_updates": {"tpm_limit": 5}}"#).expect("changes");
        assert_eq!(all.len(), 6);
        assert!(all.iter().all(|item| item["tpm_limit"] == 5 && item["user_id"].is_string()));
        assert!(of("{}").is_err());
    }
}
