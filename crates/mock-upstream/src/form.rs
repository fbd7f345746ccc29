//! Forms with files: `multipart/form-data`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::Failure;
use crate::record::Recorded;

/// Understands a form as JSON would be; the file in the field `file` comes apart.
pub(crate) fn read(request: &Recorded, file: &str) -> Result<Ask, Failure> {
    let kind = request.header("content-type").unwrap_or_default();
    let boundary =
        kind.strip_prefix("multipart/form-data").and_then(|_| kind.split("boundary=").nth(1));
    let Some(boundary) = boundary else {
        return Err(Failure::bad("the body must be multipart/form-data"));
    };
    let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"');
    let mut fields = Map::new();
    let mut content = None;
    for part in parts(&request.body, &format!("--{boundary}")) {
        let Some(end) = find(&part, b"\r\n\r\n") else {
            return Err(Failure::bad("a part without head"));
        };
        let head = String::from_utf8_lossy(&part[..end]).into_owned();
        let body = part.slice(end + 4..);
        let Some(name) = attribute(&head, " name=") else {
            return Err(Failure::bad("a part of the form has no name"));
        };
        if let Some(filename) = attribute(&head, "filename=") {
            fields.insert("filename".to_owned(), json!(filename));
        }
        if name == file || name == format!("{file}[]") {
            content = content.or(Some(body));
        } else {
            fields.insert(name, json!(String::from_utf8_lossy(&body)));
        }
    }
    let content = content.ok_or_else(|| Failure::missing(file))?;
    let model = fields.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let stream = fields.get("stream").is_some_and(|stream| stream == "true");
    let text = fields.get("prompt").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Ask {
        body: Value::Object(fields),
        model,
        stream,
        last: crate::ask::Last::User(text),
        file: content,
        prompt_tokens: request.body.len() as u64 / 4,
        ..Ask::default()
    })
}

/// What stands between the boundaries.
fn parts(body: &Bytes, boundary: &str) -> Vec<Bytes> {
    let mut parts = Vec::new();
    let mut rest = body.clone();
    while let Some(at) = find(&rest, boundary.as_bytes()) {
        let before = rest.split_to(at);
        // The line end belongs to the boundary. Before the first there is no part.
        if let Some(part) = before.strip_suffix(b"\r\n") {
            parts.push(before.slice_ref(part));
        }
        rest = rest.slice(boundary.len()..);
        if let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = rest.slice_ref(after);
        }
    }
    parts
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn attribute(head: &str, name: &str) -> Option<String> {
    let rest = head.split(name).nth(1)?;
    Some(rest.trim_start_matches('"').split(['"', ';', '\r']).next()?.to_owned())
}
