//! `POST /key/health`: whether what the caller's key logs to is well: each of its callbacks, or else of
//! its team's, is sent a test record.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/health", Who::Anyone, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let (mut names, mut faults) = (Vec::new(), Vec::new());
    if let Some(bearer) = asked.caller.bearer() {
        for (name, tried) in admin.0.callbacks.try_own(&bearer.caller.key).await {
            if let Err(untaken) = tried {
                faults.push(format!("{name}: {untaken}"));
            }
            names.push(name);
        }
    }
    Ok(ok(&answer(&names, &faults)))
}

fn answer(names: &[Arc<str>], faults: &[String]) -> Value {
    let status = if faults.is_empty() { "healthy" } else { "unhealthy" };
    let details = match (names, faults) {
        ([], _) => None,
        (_, []) => Some(format!("A test record was taken by {}.", names.join(", "))),
        (_, faults) => Some(faults.join("; ")),
    };
    json!({
        "key": status,
        "logging_callbacks": {"callbacks": names, "status": status, "details": details},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_litellms_answer() {
        let none = answer(&[], &[]);
        assert_eq!(
            none,
            json!({"key": "healthy", "logging_callbacks":
                {"callbacks": [], "status": "healthy", "details": null}})
        );
        let ill = answer(&["langfuse".into()], &["langfuse: away".to_owned()]);
        assert_eq!(ill["key"], "unhealthy");
        assert_eq!(ill["logging_callbacks"]["details"], "langfuse: away");
    }
}
