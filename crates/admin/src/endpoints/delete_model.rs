//! `POST /model/delete`: no new request goes to the deployment; open ones run to their end.

use axum::response::Response;
use dunlin_consensus::ProposeError;
use dunlin_state::{Rejected, ResourceKind};
use serde_json::json;
use tracing::info;

use super::ok;
use super::update_model::refuse_those_of_files;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values;
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/model/delete", Who::Admins, handle)
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let published = admin.storing().await?;
    let id = parse(asked.body()?)?;
    refuse_those_of_files(&published, &id)?;
    match admin.unmake(&asked, ResourceKind::Model, &id).await {
        Err(Error::Propose(ProposeError::Rejected(Rejected::UnknownResource { .. }))) => {
            // The words and the status are LiteLLM's.
            let reason = format!("{{'error': 'Model with id={id} not found in db'}}");
            return Err(Error::BadField { name: "id", reason });
        }
        done => done?,
    }
    info!(deployment.id = id, "a model was deleted");
    Ok(ok(&json!({"message": format!("Model: {id} deleted successfully")})))
}

fn parse(mut body: Body) -> Result<String, Error> {
    let id = body.require("id", values::text);
    body.finish(["id"].into_iter())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named_by_its_id() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        assert_eq!(of(r#"{"id": "m"}"#).expect("an id"), "m");
        assert!(matches!(of(r#"{"ids": ["m"]}"#), Err(Error::Invalid(_))));
    }
}
