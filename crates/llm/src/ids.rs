//! Ids in JSON bodies and frames, replaced where they stand. All else keeps its bytes.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::json::{Span, members, string, write_string};
use crate::request::Splice;
use crate::sse;

/// Where an id is: the names of members from the top; `*` is each item of a list.
pub type Place = [&'static str];

/// What becomes of an id; `None` leaves it as it is.
pub type Rename<'f, E> = dyn FnMut(&str) -> Result<Option<String>, E> + 'f;

/// `body` with the texts at `places` renamed, from front to back. A body that is no JSON stays as it
/// is, and the same `Bytes` come back if nothing changes.
///
/// # Errors
/// The first one of `rename`.
pub fn rename_ids<E>(
    body: &Bytes,
    places: &[&Place],
    rename: &mut Rename<'_, E>,
) -> Result<Bytes, E> {
    match std::str::from_utf8(body) {
        Ok(text) => rename_within(body, text, places, rename),
        Err(_) => Ok(body.clone()),
    }
}

/// The same for a frame of a stream, whose data is one JSON value.
///
/// # Errors
/// The first one of `rename`.
pub fn rename_ids_in_frame<E>(
    frame: &Bytes,
    places: &[&Place],
    rename: &mut Rename<'_, E>,
) -> Result<Bytes, E> {
    let (frame, data) = sse::in_one_line(frame.clone());
    match data.map(|data| std::str::from_utf8(&frame[data.range()])) {
        Some(Ok(text)) => rename_within(&frame, text, places, rename),
        Some(Err(_)) | None => Ok(frame),
    }
}

/// `text` is a slice of `whole`.
fn rename_within<E>(
    whole: &Bytes,
    text: &str,
    places: &[&Place],
    rename: &mut Rename<'_, E>,
) -> Result<Bytes, E> {
    let mut found = Vec::new();
    find(text, places, &mut found);
    let offset = text.as_ptr().addr() - whole.as_ptr().addr();
    let mut out = Splice::of(whole, 256 * found.len());
    for value in found {
        let Some(id) = string(value) else { continue };
        if let Some(new) = rename(&id)? {
            write_string(out.replace(Span::of(value, text).shifted(offset)), &new);
        }
    }
    Ok(out.finish())
}

/// Collects the values at `places` below `value`, in their order.
fn find<'t>(value: &'t str, places: &[&Place], found: &mut Vec<&'t str>) {
    if places.iter().any(|place| place.is_empty()) {
        found.push(value);
        return;
    }
    let below = |name: &str| -> Vec<&Place> {
        let split = places.iter().filter_map(|place| place.split_first());
        split.filter(|(first, _)| **first == name).map(|(_, rest)| rest).collect()
    };
    let value = value.trim_start();
    if value.starts_with('[') {
        let each = below("*");
        if !each.is_empty() {
            let items: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
            items.into_iter().for_each(|item| find(item.get(), &each, found));
        }
    } else if value.starts_with('{') {
        for member in members(value).unwrap_or_default() {
            let there = below(&member.name);
            if !there.is_empty() {
                find(member.value, &there, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const PLACES: &[&Place] = &[&["id"], &["data", "*", "id"], &["in", "file_id"]];

    #[test]
    fn only_what_stands_at_a_place_changes() {
        let cases = [
            (
                r#"{ "id" : "a", "x": 1.50, "id2":"a" }"#,
                r#"{ "id" : "<a>", "x": 1.50, "id2":"a" }"#,
            ),
            (
                r#"{"data":[{"id":"a"},{"no":1},{"id":"b"}]}"#,
                r#"{"data":[{"id":"<a>"},{"no":1},{"id":"<b>"}]}"#,
            ),
            (
                r#"{"in":{"file_id":"a","id":"b"},"id":null}"#,
                r#"{"in":{"file_id":"<a>","id":"b"},"id":null}"#,
            ),
            (r#"{"id":"keep","in":[{"file_id":"a"}]}"#, r#"{"id":"keep","in":[{"file_id":"a"}]}"#),
            (r#"{"id":"\u0061"}"#, r#"{"id":"<a>"}"#),
            (r#"not json"#, r#"not json"#),
            (r#"["id"]"#, r#"["id"]"#),
        ];
        for (body, expected) in cases {
            let mut rename = |id: &str| -> Result<_, Infallible> {
                Ok((id != "keep").then(|| format!("<{id}>")))
            };
            let Ok(out) = rename_ids(&Bytes::from_static(body.as_bytes()), PLACES, &mut rename);
            assert_eq!(std::str::from_utf8(&out), Ok(expected));
            let frame = Bytes::from(format!("event: e\ndata: {body}\n\n"));
            let Ok(out) = rename_ids_in_frame(&frame, PLACES, &mut rename);
            assert_eq!(out, format!("event: e\ndata: {expected}\n\n"));
        }
        let mut refuse = |id: &str| Err(id.to_owned());
        let body = Bytes::from_static(br#"{"id":"a"}"#);
        assert_eq!(rename_ids(&body, PLACES, &mut refuse), Err("a".to_owned()));
    }
}
