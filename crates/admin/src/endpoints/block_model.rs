//! `POST /model/block` and `/model/unblock`: takes a deployment out of its model, and back in.

use axum::response::Response;
use serde_json::{Map, Value};
use tracing::info;

use super::create_model::{Sent, shown};
use super::ok;
use super::update_model::alter;
use crate::Admin;
use crate::changes::stored::ModelContent;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/model/block", Who::Admins, |admin, asked| handle(admin, asked, true)).post(
        "/model/unblock",
        Who::Admins,
        |admin, asked| handle(admin, asked, false),
    )
}

async fn handle(admin: Admin, asked: Request, blocked: bool) -> Result<Response, Error> {
    let (id, sent) = parse(asked.body()?, blocked)?;
    let (changed, warnings) = alter(&admin, &asked, &id, &sent, true).await?;
    info!(deployment.id = changed.id, blocked, "a model was blocked or unblocked");
    let content: ModelContent = admin.open(&changed)?;
    Ok(ok(&shown(&changed, &content, warnings)))
}

fn parse(mut body: Body, blocked: bool) -> Result<(String, Sent), Error> {
    let id = body.require("model_id", values::text);
    body.finish(["model_id"].into_iter())?;
    let info = Map::from_iter([("blocked".to_owned(), Value::from(blocked))]);
    Ok((id, Sent { info, ..Sent::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named_by_its_id() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"), true);
        let (id, sent) = of(r#"{"model_id": "m"}"#).expect("an id");
        assert_eq!((id.as_str(), &sent.info["blocked"]), ("m", &Value::from(true)));
        assert!(matches!(of("{}"), Err(Error::Invalid(_))));
    }
}
