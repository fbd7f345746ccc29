//! `POST /key/unblock`: lets a blocked key in again.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;

use super::{Routes, block_key};
use crate::Admin;
use crate::error::Error;

const PATH: &str = "/key/unblock";

pub(super) fn add(routes: Routes) -> Routes {
    routes.route(PATH, post(handle))
}

async fn handle(State(admin): State<Admin>, request: Request) -> Result<Response, Error> {
    let body = admin.admitted_body(request, PATH).await?;
    block_key::set(&admin, block_key::parse(&body, false)?).await
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;
    use dunlin_types::KeyDigest;

    use super::*;

    #[test]
    fn it_says_not_blocked_rather_than_nothing() {
        let command = block_key::parse(br#"{"key": "sk-a"}"#, false).expect("a command");
        let token = KeyDigest::of("sk-a");
        assert_eq!(command, Command::SetBlocked { token, blocked: false });
    }
}
