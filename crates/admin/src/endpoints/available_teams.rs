//! `GET /team/available`: teams that users may join by themselves. There are none: members are added by
//! a team's admins.

use axum::response::Response;

use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Asked, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/team/available", Who::Anyone, handle)
}

async fn handle(_: Admin, _: Asked) -> Result<Response, Error> {
    Ok(ok(&answer()))
}

fn answer() -> [&'static str; 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_litellms_answer_without_available_teams() {
        assert_eq!(serde_json::to_string(&answer()).expect("JSON"), "[]");
    }
}
