//! `GET /config/yaml`: the whole config in force, as one file, secrets starred out.

use axum::response::Response;
use http::{HeaderValue, header};

use crate::Admin;
use crate::error::{Error, answer};
use crate::routes::{Asked, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/config/yaml", Who::Viewers, handle)
}

async fn handle(admin: Admin, _: Asked) -> Result<Response, Error> {
    let read = admin.read().await;
    let document = admin.newest_config(&read.state)?;
    let mut response = answer(200, dunlin_config::shown_yaml(&document));
    let yaml = HeaderValue::from_static("application/yaml");
    response.headers_mut().insert(header::CONTENT_TYPE, yaml);
    Ok(response)
}
