//! Items that a request names instead of repeating them, as Vercel's AI SDK does: they are taken out
//! of the responses that they are of. Only items of responses that the gateway stores say which one
//! that is; others are left to the provider.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::edit;
use crate::endpoint::Stamp;
use crate::json::{Span, members};
use crate::parse::BadRequest;
use crate::request::Splice;
use crate::responses::read::invalid;
use crate::responses::turn::{items, stored_response};

/// How the ids of responses begin.
const RESPONSE: &str = "resp_";

/// What one item is called: if its response is stored, it says so.
pub(super) fn item_id(prefix: &str, stamp: Stamp<'_>, at: usize) -> String {
    let stored = stamp.turn.and_then(|turn| turn.id.as_deref()?.strip_prefix(RESPONSE));
    match stored {
        Some(response) => format!("{prefix}_{at}_{response}"),
        None => format!("{prefix}_{}_{at}", stamp.id),
    }
}

#[derive(Deserialize)]
struct Item<'a> {
    r#type: Option<&'a str>,
    id: Option<&'a str>,
}

/// The id of an item that stands for another, and that of the response it is of.
fn named(item: &RawValue) -> Option<(&str, String)> {
    let Item { r#type: Some("item_reference"), id: Some(id) } =
        serde_json::from_str(item.get()).ok()?
    else {
        return None;
    };
    let (_, rest) = id.split_once('_')?;
    let (number, response) = rest.split_once('_')?;
    let is_ours = number.bytes().all(|byte| byte.is_ascii_digit());
    is_ours.then(|| (id, format!("{RESPONSE}{response}")))
}

/// The responses whose items `request`, the body of a response's creation, names.
#[must_use]
pub fn named_responses(request: &[u8]) -> BTreeSet<String> {
    let input = edit::member(request, "input").and_then(items).unwrap_or_default();
    input.iter().filter_map(|item| Some(named(item)?.1)).collect()
}

/// The items of a stored turn's response that `request` names, by their ids.
#[must_use]
pub fn named_items(request: &[u8], stored: &Bytes) -> BTreeMap<String, Box<RawValue>> {
    #[derive(Deserialize)]
    struct Output {
        output: Vec<Box<RawValue>>,
    }
    let input = edit::member(request, "input").and_then(items).unwrap_or_default();
    let wanted: BTreeSet<&str> = input.iter().filter_map(|item| Some(named(item)?.0)).collect();
    let response = stored_response(stored);
    let read = response.and_then(|response| serde_json::from_slice::<Output>(&response).ok());
    let output = read.map(|read| read.output).unwrap_or_default();
    let found = output.into_iter().filter_map(|item| {
        let Item { id, .. } = serde_json::from_str(item.get()).ok()?;
        let id = id.filter(|id| wanted.contains(id))?.to_owned();
        Some((id, item))
    });
    found.collect()
}

/// `request` with `found` in place of the items that stand for them.
///
/// # Errors
/// One of them is not among what was found.
pub fn with_items(
    request: &Bytes,
    found: &BTreeMap<String, Box<RawValue>>,
) -> Result<Bytes, BadRequest> {
    let Ok(text) = std::str::from_utf8(request) else { return Ok(request.clone()) };
    let all = members(text).unwrap_or_default();
    let Some(input) = all.iter().find(|member| member.name == "input") else {
        return Ok(request.clone());
    };
    let whole = items(input.value).unwrap_or_default();
    let mut texts = Vec::with_capacity(whole.len());
    for (at, item) in whole.iter().enumerate() {
        texts.push(match named(item) {
            Some((id, _)) => {
                let expected = "the id of an item that its response has";
                let found = found.get(id);
                found.ok_or_else(|| invalid(&format!("input[{at}].id"), expected))?.get()
            }
            None => item.get(),
        });
    }
    let joined = format!("[{}]", texts.join(","));
    let mut out = Splice::of(request, joined.len());
    out.replace(Span::of(input.value, text)).extend_from_slice(joined.as_bytes());
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::turn::{Turn, store_turn};

    #[test]
    fn an_item_that_is_named_is_taken_out_of_its_response() {
        let turn = Turn { id: Some("resp_dn1ab_c".to_owned()), ..Turn::default() };
        let stamp = Stamp { model: "m", id: "x", now: 1, request: "{}", turn: Some(&turn) };
        let id = item_id("msg", stamp, 2);
        assert_eq!(item_id("msg", Stamp { turn: None, ..stamp }, 2), "msg_x_2");
        let answer = format!(r#"{{"id":"resp_dn1ab_c","output":[{{"id":"{id}","x":1.50}}]}}"#);
        let stored = store_turn(br#"{"input":"hi"}"#, answer.as_bytes()).expect("a turn");
        let asked = |id: &str| {
            let item = format!(r#"{{"type":"item_reference","id":"{id}"}}"#);
            Bytes::from(format!(r#"{{"input":[{{"role":"user"}},{item}],"model":"m"}}"#))
        };
        let request = asked(&id);
        let expected = BTreeSet::from(["resp_dn1ab_c".to_owned()]);
        assert_eq!(named_responses(&request), expected);
        let found = named_items(&request, &stored);
        let filled = with_items(&request, &found).expect("it is there");
        let expected =
            format!(r#"{{"input":[{{"role":"user"}},{{"id":"{id}","x":1.50}}],"model":"m"}}"#);
        assert_eq!(filled, expected.as_bytes());
        let other = asked(&id.replace("_2_", "_3_"));
        let refused = with_items(&other, &named_items(&other, &stored)).expect_err("it is not");
        assert!(refused.to_string().contains("input[1].id"), "{refused}");
        // Those of providers are theirs to find.
        let theirs = asked("msg_67ccd2bed1ec8190");
        assert!(named_responses(&theirs).is_empty());
        assert_eq!(with_items(&theirs, &BTreeMap::new()).as_ref(), Ok(&theirs));
    }
}
