//! `POST /key/unblock`: lets a blocked key in again.

use axum::response::Response;

use super::block_key;
use crate::Admin;
use crate::error::Error;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/key/unblock", Who::Users, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let command = block_key::parse(asked.body()?, false)?;
    block_key::set(&admin, &asked, command).await
}

#[cfg(test)]
mod tests {
    use dunlin_state::Command;
    use dunlin_types::KeyDigest;

    use super::*;
    use crate::request::body::Body;

    #[test]
    fn it_says_not_blocked_rather_than_nothing() {
        let body = Body::parse(br#"{"key": "sk-a"}"#).expect("an object");
        let command = block_key::parse(body, false).expect("a command");
        let token = KeyDigest::of("sk-a");
        assert_eq!(command, Command::SetBlocked { token, blocked: false });
    }
}
