//! Which bodies of passed calls are sent on as they come, and how they are taken.

use axum::body::Body;
use axum::http::header::CONTENT_ENCODING;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use dunlin_upstream::{Fault, Progress, Upload};
use http_body::Body as _;

use crate::request::body;
use crate::request::caller::Caller;
use crate::response::error::Refused;

/// Signs what it is sent.
const SIGNED: &str = "bedrock";

/// A body: whole, or still to come, and then nothing is known of it.
pub(super) struct Sent {
    pub(super) whole: Bytes,
    pub(super) upload: Option<Upload>,
}

/// Takes the body of `caller`'s call of a provider's own API at `path`, below `prefix`.
pub(super) async fn take(
    body: Body,
    head: &Parts,
    caller: &Caller,
    (prefix, path): (&str, &str),
    most: usize,
) -> Result<Sent, Refused> {
    let is_known = prefix == SIGNED || caller.requires_params() || !names_no_model(head, path);
    of(body, &head.headers, is_known, most).await
}

/// Takes the body of a call that the configuration leads elsewhere: nobody asks what is in it, but what
/// is JSON is short, and better refused here if it is not.
pub(super) async fn take_any(
    body: Body,
    head: &Parts,
    caller: &Caller,
    most: usize,
) -> Result<Sent, Refused> {
    let is_known = caller.requires_params() || kind(&head.headers).contains("json");
    of(body, &head.headers, is_known, most).await
}

async fn of(body: Body, headers: &HeaderMap, is_known: bool, most: usize) -> Result<Sent, Refused> {
    // What comes packed is unpacked, for providers that cannot.
    if is_known || body.is_end_stream() || headers.contains_key(CONTENT_ENCODING) {
        let whole = body::read(body, headers, most).await?;
        return Ok(Sent { whole, upload: None });
    }
    let upload = Upload::new(body, body::PATIENCE.idle);
    Ok(Sent { whole: Bytes::new(), upload: Some(upload) })
}

/// Whether the body of such a call needs not be read: no model can be at work for it. Models are
/// asked by `POST`; of those, uploads alone are known to ask none.
fn names_no_model(head: &Parts, path: &str) -> bool {
    let mut back = path.trim_end_matches('/').rsplit('/');
    let (last, before) = (back.next().unwrap_or_default(), back.nth(1).unwrap_or_default());
    let is_upload = last == "files" || (last == "parts" && before == "uploads");
    match head.method {
        Method::POST => is_upload,
        Method::PUT | Method::PATCH => {
            let kind = kind(&head.headers);
            !(kind.contains("json") || kind.contains("multipart/") || kind.contains("form"))
        }
        _ => false,
    }
}

fn kind(headers: &HeaderMap) -> String {
    body::kind(headers).to_ascii_lowercase()
}

/// What the client did that its call failed, if it was its doing.
pub(super) fn fault(progress: Option<&Progress>) -> Option<Refused> {
    progress?.fault().map(|fault| match fault {
        Fault::Silent => Refused::TooSlow,
        Fault::Broken => Refused::ClientGone,
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn only_what_asks_no_model_is_not_read() {
        let cases = [
            ("PUT", "/v1/uploads/x", "", true),
            ("PUT", "/v1/x", "application/octet-stream", true),
            ("PUT", "/v1/x", "application/json", false),
            ("PATCH", "/v1/x", "multipart/form-data; boundary=x", false),
            ("POST", "/v1/uploads/upload_1/parts", "multipart/form-data; boundary=x", true),
            ("POST", "/v1/files", "multipart/form-data; boundary=x", true),
            ("POST", "/upload/v1beta/files", "", true),
            ("POST", "/upload/v1beta/models/m:generateContent", "", false),
            ("POST", "/v1/chat/completions", "application/octet-stream", false),
            ("POST", "/v1/audio/transcriptions", "multipart/form-data; boundary=x", false),
            ("DELETE", "/v1/files/f", "", false),
        ];
        for (method, path, kind, expected) in cases {
            let request = Request::builder().method(method).header(CONTENT_TYPE, kind);
            let (head, ()) = request.body(()).expect("a request").into_parts();
            assert_eq!(names_no_model(&head, path), expected, "{method} {path} {kind}");
        }
    }
}
