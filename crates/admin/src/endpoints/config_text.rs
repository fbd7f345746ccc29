//! `GET /config/yaml`: the whole config in force, as one file, secrets starred out.

use axum::response::Response;
use dunlin_config::Document;
use http::{HeaderValue, header};

use crate::Admin;
use crate::error::{Error, answer};
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/config/yaml", Who::Viewers, handle)
}

async fn handle(admin: Admin, _: Request) -> Result<Response, Error> {
    let read = admin.read().await;
    Ok(told(&admin.newest_config(&read.state)?))
}

fn told(document: &Document) -> Response {
    let mut response = answer(200, dunlin_config::shown_yaml(document));
    let yaml = HeaderValue::from_static("application/yaml");
    response.headers_mut().insert(header::CONTENT_TYPE, yaml);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_config_is_told_as_yaml_without_secrets() {
        let text = "general_settings: {master_key: sk-clear, user_header_name: x-user}\n";
        let (document, _) = dunlin_config::gather("c.yaml", &mut |_| Ok(text.to_owned()));
        let response = told(&document);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/yaml");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let expected = "general_settings:\n  master_key: \"*****\"\n  user_header_name: x-user\n";
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }
}
