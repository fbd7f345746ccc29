//! Turns of conversations whose text the gateway stores, for providers that keep no responses: what
//! is stored of a turn, and how the next one is made of it.
//!
//! A stored turn is `{"input":[...],"response":{...}}`: all that its model was sent, and what came
//! of it. So a turn is read alone, whatever became of those before it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::edit;
use crate::json::{Span, members, string};
use crate::parse::BadRequest;
use crate::request::Splice;
use crate::responses::read::invalid;

/// What a response is called, and which one it follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// `None`: it is not stored.
    pub id: Option<String>,
    /// The response before it.
    pub previous: Option<String>,
    /// Whether its client has been sent the events of [`announced`](crate::responses::announced).
    pub announced: bool,
}

/// A turn as it is stored.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    input: Vec<&'a RawValue>,
    #[serde(borrow)]
    response: &'a RawValue,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    output: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    response: &'a RawValue,
}

/// What is stored of a turn: the input of `request`, its body, and the response. `None`: one of them
/// is no such thing.
#[must_use]
pub fn store_turn(request: &[u8], response: &[u8]) -> Option<Bytes> {
    let input = items(edit::member(request, "input")?)?;
    written(input.iter().map(|item| item.get()), response)
}

fn written<'a>(input: impl Iterator<Item = &'a str>, response: &[u8]) -> Option<Bytes> {
    let response = std::str::from_utf8(response).ok()?;
    let input: Vec<&str> = input.collect();
    Some(Bytes::from(format!(r#"{{"input":[{}],"response":{response}}}"#, input.join(","))))
}

/// The response of a stored turn. `None`: it is none.
#[must_use]
pub fn stored_response(stored: &Bytes) -> Option<Bytes> {
    let turn: Stored<'_> = serde_json::from_slice(stored).ok()?;
    Some(stored.slice_ref(turn.response.get().as_bytes()))
}

/// The same turn with another response. `None`: it is no turn.
#[must_use]
pub fn restored(stored: &Bytes, response: &[u8]) -> Option<Bytes> {
    let turn: Stored<'_> = serde_json::from_slice(stored).ok()?;
    written(turn.input.iter().map(|item| item.get()), response)
}

/// The model that answered a stored turn, as its client named it.
#[must_use]
pub fn stored_model(stored: &Bytes) -> Option<String> {
    let response = stored_response(stored)?;
    string(edit::member(&response, "model")?).map(std::borrow::Cow::into_owned)
}

/// `request`, the body of a turn, with all that was said before it, and without the name of the
/// turn before it.
///
/// # Errors
/// Its input, or the stored turn, is none.
pub fn continue_from(request: &Bytes, stored: &[u8]) -> Result<Bytes, BadRequest> {
    let unread = || invalid("previous_response_id", "a response that this release can read");
    let before: Stored<'_> = serde_json::from_slice(stored).map_err(|_| unread())?;
    let said: Output<'_> = serde_json::from_str(before.response.get()).map_err(|_| unread())?;
    let request = edit::without(request.clone(), &["previous_response_id"]);
    let Ok(text) = std::str::from_utf8(&request) else { return Ok(request) };
    let found = members(text).unwrap_or_default();
    // A body without an input is refused by who reads it.
    let Some(input) = found.iter().find(|member| member.name == "input") else {
        return Ok(request);
    };
    let next = items(input.value).ok_or(invalid("input", "a text or a list of items"))?;
    let all = before.input.iter().chain(&said.output).map(|item| item.get());
    let all: Vec<&str> = all.chain(next.iter().map(|item| item.get())).collect();
    let mut out = Splice::of(&request, stored.len());
    let joined = format!("[{}]", all.join(","));
    out.replace(Span::of(input.value, text)).extend_from_slice(joined.as_bytes());
    Ok(out.finish())
}

/// The items of an input; a text is one message.
pub(super) fn items(input: &str) -> Option<Vec<Box<RawValue>>> {
    match string(input) {
        Some(text) => {
            let content = json!([{"type": "input_text", "text": text}]);
            let item = json!({"type": "message", "role": "user", "content": content});
            Some(vec![serde_json::value::to_raw_value(&item).ok()?])
        }
        None => serde_json::from_str(input).ok(),
    }
}

/// Whether a turn may be stored: so it is, as long as its request says nothing else.
#[must_use]
pub fn may_be_stored(request: &[u8]) -> bool {
    edit::member(request, "store").is_none_or(|said| matches!(said, "true" | "null"))
}

/// The response that the last of these frames of a stream carries: the one that ends it.
#[must_use]
pub fn last_response(frames: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(frames).ok()?;
    let data = text.lines().rev().find_map(|line| line.strip_prefix("data: "))?;
    let event: Event<'_> = serde_json::from_str(data).ok()?;
    Some(Bytes::copy_from_slice(event.response.get().as_bytes()))
}

/// Which of a turn's input items are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemPage<'a> {
    /// Those behind the item of that id.
    pub after: Option<&'a str>,
    /// So many at most.
    pub limit: usize,
    /// The oldest first.
    pub is_ascending: bool,
}

impl Default for ItemPage<'_> {
    fn default() -> Self {
        Self { after: None, limit: 20, is_ascending: false }
    }
}

/// The most items that one page may have.
pub const MAX_ITEMS: usize = 100;

/// Why there is no page of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoItems {
    /// What was stored is no turn.
    NoTurn,
    /// No item has the id behind which the page begins.
    NoSuchItem,
}

/// A page of the input items of a stored turn. Items that came without an id get one that stays the
/// same: `of` and their place.
///
/// # Errors
/// There is no such page.
pub fn input_items(stored: &[u8], of: &str, page: ItemPage<'_>) -> Result<Bytes, NoItems> {
    let mut all = named_input(stored, of).ok_or(NoItems::NoTurn)?;
    if !page.is_ascending {
        all.reverse();
    }
    let place = |id: &str| all.iter().position(|item| item["id"] == id).map(|at| at + 1);
    let start = page.after.map_or(Some(0), place).ok_or(NoItems::NoSuchItem)?;
    let end = start.saturating_add(page.limit).min(all.len());
    let (has_more, data) = (end < all.len(), &all[start..end]);
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let list = json!({
        "object": "list", "data": data, "has_more": has_more,
        "first_id": id(data.first()), "last_id": id(data.last()),
    });
    Ok(Bytes::from(serde_json::to_vec(&list).expect("values are always JSON")))
}

/// The input items of a stored turn, each with an id. `None`: it is no turn.
fn named_input(stored: &[u8], of: &str) -> Option<Vec<Value>> {
    let turn: Stored<'_> = serde_json::from_slice(stored).ok()?;
    let mut all = Vec::with_capacity(turn.input.len());
    for (at, item) in turn.input.iter().enumerate() {
        let mut item: Value = serde_json::from_str(item.get()).ok()?;
        let members = item.as_object_mut()?;
        let kind = members.entry("type").or_insert_with(|| "message".into());
        let prefix = if kind == "message" { "msg" } else { "item" };
        let is_named = members.get("id").is_some_and(Value::is_string);
        if !is_named {
            members.insert("id".to_owned(), format!("{prefix}_{of}_{at}").into());
        }
        if let Some(text) = members.get("content").and_then(Value::as_str).map(str::to_owned) {
            let is_answer = members.get("role").is_some_and(|role| role == "assistant");
            let kind = if is_answer { "output_text" } else { "input_text" };
            members.insert("content".to_owned(), json!([{"type": kind, "text": text}]));
        }
        all.push(item);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"model":"m","input":"hi","store":true}"#;
    const ANSWER: &str = r#"{"id":"resp_1","model":"m","output":[{"type":"message","role":"assistant","content":[]}]}"#;

    fn first() -> Bytes {
        store_turn(FIRST.as_bytes(), ANSWER.as_bytes()).expect("a turn")
    }

    #[test]
    fn a_turn_goes_on_with_all_that_was_said() {
        let stored = first();
        assert_eq!(stored_response(&stored).as_deref(), Some(ANSWER.as_bytes()));
        assert_eq!(stored_model(&stored).as_deref(), Some("m"));
        let next = r#"{"previous_response_id":"resp_1","input":[{"role":"user","content":"and?"}],"x":1.50}"#;
        let next = continue_from(&Bytes::from(next), &stored).expect("it goes on");
        let text = std::str::from_utf8(&next).expect("text");
        assert!(text.ends_with(r#"{"role":"user","content":"and?"}],"x":1.50}"#), "{text}");
        let value: Value = serde_json::from_slice(&next).expect("JSON");
        assert_eq!(value["input"].as_array().map(Vec::len), Some(3));
        assert_eq!(value["input"][0]["content"][0]["text"], "hi");
        assert_eq!(value.get("previous_response_id"), None);

        let other = restored(&stored, br#"{"id":"resp_2"}"#).expect("a turn");
        assert_eq!(stored_response(&other).as_deref(), Some(&br#"{"id":"resp_2"}"#[..]));
        assert_eq!(
            input_items(&other, "7", ItemPage::default()),
            input_items(&stored, "7", ItemPage::default())
        );

        let second = store_turn(&next, ANSWER.as_bytes()).expect("a turn");
        let third = r#"{"input":"more","previous_response_id":"resp_2"}"#;
        let third = continue_from(&Bytes::from(third), &second).expect("it goes on");
        let value: Value = serde_json::from_slice(&third).expect("JSON");
        assert_eq!(value["input"].as_array().map(Vec::len), Some(5));
        let broken = Bytes::from_static(br#"{"input":7,"previous_response_id":"resp_2"}"#);
        assert!(continue_from(&broken, &second).is_err());
        assert!(continue_from(&Bytes::from(FIRST), b"{}").is_err());
        assert_eq!(store_turn(br#"{"input":7}"#, ANSWER.as_bytes()), None);
    }

    #[test]
    fn a_turn_is_stored_unless_its_request_forbids_it() {
        assert!(may_be_stored(FIRST.as_bytes()) && may_be_stored(b"{}"));
        for said in ["false", "0", r#""false""#, r#""no""#, "{}"] {
            assert!(!may_be_stored(format!(r#"{{"store" : {said}}}"#).as_bytes()), "{said}");
        }
    }

    #[test]
    fn a_stream_ends_with_its_response() {
        let frames = format!(
            "event: a\ndata: {{\"x\":1}}\n\nevent: response.completed\n\
             data: {{\"type\":\"response.completed\",\"response\":{ANSWER}}}\n\n"
        );
        assert_eq!(last_response(frames.as_bytes()).as_deref(), Some(ANSWER.as_bytes()));
        assert_eq!(last_response(b"data: [DONE]\n\n"), None);
    }

    #[test]
    fn input_items_come_in_pages() {
        let request = r#"{"input":[{"role":"user","content":"a"},{"id":"fc_1","type":"function_call"},
            {"role":"assistant","content":"c"}]}"#;
        let stored = store_turn(request.as_bytes(), b"{}").expect("a turn");
        let check = |page: ItemPage<'_>, ids: &[&str], more: bool| {
            let list = input_items(&stored, "7", page).expect("a list");
            let list: Value = serde_json::from_slice(&list).expect("JSON");
            let data = list["data"].as_array().expect("a list");
            let found: Vec<_> =
                data.iter().map(|item| item["id"].as_str().expect("an id")).collect();
            assert_eq!((&*found, list["has_more"].as_bool()), (ids, Some(more)), "{page:?}");
            assert_eq!(list["last_id"].as_str(), ids.last().copied());
        };
        let page = |limit, after, is_ascending| ItemPage { after, limit, is_ascending };
        check(ItemPage::default(), &["msg_7_2", "fc_1", "msg_7_0"], false);
        check(page(2, None, true), &["msg_7_0", "fc_1"], true);
        check(page(20, Some("fc_1"), false), &["msg_7_0"], false);
        check(page(1, Some("msg_7_0"), true), &["fc_1"], true);
        check(page(1, Some("msg_7_0"), false), &[], false);
        let stale = page(20, Some("x"), false);
        assert_eq!(input_items(&stored, "7", stale), Err(NoItems::NoSuchItem));
        assert_eq!(input_items(b"{}", "7", stale), Err(NoItems::NoTurn));
        let list = input_items(&stored, "7", ItemPage::default()).expect("a list");
        let list: Value = serde_json::from_slice(&list).expect("JSON");
        assert_eq!(list["data"][0]["content"][0]["type"], "output_text");
        assert_eq!(list["data"][2]["content"][0]["type"], "input_text");
    }
}
