//! `POST /key/service-account/generate`: makes a key that is a team's and no user's.

use axum::response::Response;

use super::create_key;
use crate::Admin;
use crate::body::{Body, Fault};
use crate::error::Error;
use crate::key_rules::Named;
use crate::new_key::NewKey;
use crate::routes::{Asked, Routes, Who};

const PATH: &str = "/key/service-account/generate";

pub(super) fn add(routes: Routes) -> Routes {
    routes.post(PATH, Who::Users, handle)
}

async fn handle(admin: Admin, asked: Asked) -> Result<Response, Error> {
    let body = asked.body()?;
    check(&body)?;
    let published = admin.settings()?;
    let named = Named::of(&body, &published.settings);
    let (state, now) = (admin.knowing(&body).await, admin.0.clock.unix());
    let known = (&*state, now);
    let mut new = NewKey::without_owner(body, &published.settings, &asked.caller, known)?;
    new.key.user = None;
    create_key::make(&admin, &asked, &named, new).await
}

fn check(body: &Body) -> Result<(), Error> {
    if body.peek("team_id").is_some_and(|team| team.as_str().is_some_and(|team| !team.is_empty())) {
        return Ok(());
    }
    let msg = "team_id is required for service account keys";
    Err(Error::Invalid(vec![Fault::of("body", "team_id", "missing", msg)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_a_teams() {
        let check = |text: &str| check(&Body::parse(text.as_bytes()).expect("an object"));
        assert!(check(r#"{"team_id": "t"}"#).is_ok());
        for text in ["{}", r#"{"team_id": null}"#, r#"{"team_id": ""}"#, r#"{"team_id": 5}"#] {
            assert!(matches!(check(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
