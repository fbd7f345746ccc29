//! `GET /metrics/`: what Prometheus reads of this node. Without the slash a caller is sent there, as
//! LiteLLM has it. Nobody else is asked: it is answered whatever becomes of the cluster.

use std::io::Write;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use dunlin_metrics::CONTENT_TYPE;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::Admin;
use crate::error::{Error, answer};
use crate::routes::{Routes, Who, admitted};

const PATH: &str = "/metrics";
const PAGE: &str = "/metrics/";
/// Unless the config opens it to everyone.
const WHO: Who = Who::Anyone;

pub(super) fn add(routes: Routes) -> Routes {
    routes.guarded(PATH, WHO, get(redirect)).guarded(PAGE, WHO, get(show))
}

async fn redirect(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    if let Err(error) = enter(&admin, &headers).await {
        return refusal(&error);
    }
    let mut response = Response::new("".into());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    // Relative, for the path may have a root of its own.
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("metrics/"));
    response
}

async fn show(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    if let Err(error) = enter(&admin, &headers).await {
        return refusal(&error);
    }
    match admin.0.metrics.page().await {
        Ok(page) => {
            let mut response = if takes_gzip(&headers) {
                let zipped = tokio::task::spawn_blocking(move || gzip(&page)).await;
                let mut response = Response::new(zipped.expect("nothing panics there").into());
                let encoding = HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
                response
            } else {
                Response::new(page.into())
            };
            let kind = HeaderValue::from_static(CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(busy) => text(503, &busy.to_string()),
    }
}

/// Whether the reader takes a zipped page: some tenth of its length.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    accepts.flat_map(|accepts| accepts.split(',')).any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, ""));
        let refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(page).and_then(|()| encoder.finish()).expect("memory takes all")
}

/// Whether the caller may read, unless everyone may.
async fn enter(admin: &Admin, headers: &HeaderMap) -> Result<(), Error> {
    if admin.settings()?.settings.open_metrics {
        return Ok(());
    }
    admitted(&admin.identify(headers, &[PATH, PAGE]).await?, WHO, PATH)
}

/// LiteLLM answers any key that is no good with a 401 and a text. Of what this node cannot know it
/// says so.
fn refusal(error: &Error) -> Response {
    let told = error.told();
    match error.status() {
        503 => text(503, &told),
        _ => text(401, &format!("Unauthorized access to metrics endpoint: {told}")),
    }
}

/// A JSON string.
fn text(status: u16, text: &str) -> Response {
    answer(status, serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use dunlin_llm::credentials::CredentialError;

    use super::*;

    #[test]
    fn a_page_is_zipped_for_who_takes_it() {
        for (accepts, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br, identity", false),
        ] {
            let accepts = accepts.parse().expect("a value");
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepts)]);
            assert_eq!(takes_gzip(&headers), expected, "{headers:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
        let mut page = String::new();
        let zipped = gzip(b"a page");
        let mut reader = flate2::read::GzDecoder::new(&zipped[..]);
        std::io::Read::read_to_string(&mut reader, &mut page).expect("readable");
        assert_eq!(page, "a page");
    }

    #[tokio::test]
    async fn a_refusal_is_one_json_string() {
        let cases = [
            (Error::Credential(CredentialError::Missing), 401, "\"Unauthorized access to metrics"),
            (Error::NotReady, 503, "\"this node has no config yet\""),
        ];
        for (error, status, begins) in cases {
            let response = refusal(&error);
            assert_eq!(response.status(), status);
            let body = axum::body::to_bytes(response.into_body(), 1 << 12).await.expect("a body");
            let body = std::str::from_utf8(&body).expect("text");
            assert!(body.starts_with(begins) && body.ends_with('"'), "{body}");
        }
    }
}
