//! `POST /key/health`: whether what the caller's key logs to is well. Nothing logs by key here, so a
//! key that may be used is healthy.

use axum::response::Response;
use serde_json::json;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Asked, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/health", Who::Anyone, handle)
}

async fn handle(_: Admin, _: Asked) -> Result<Response, Error> {
    Ok(ok(&answer()))
}

fn answer() -> serde_json::Value {
    json!({
        "key": "healthy",
        "logging_callbacks": {"callbacks": [], "status": "healthy", "details": null},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_litellms_answer_of_a_key_without_callbacks() {
        assert_eq!(answer()["key"], "healthy");
        assert_eq!(answer()["logging_callbacks"]["callbacks"], json!([]));
    }
}
