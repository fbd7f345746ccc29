//! Conversations made shorter, where the provider has only chats: its model is asked for a summary,
//! and an item that holds it stands for all but what the user said.
//!
//! OpenAI seals such an item for itself; ours holds the summary as it is, for whoever has the
//! conversation may read it.

use bytes::Bytes;
use dunlin_types::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::edit;
use crate::endpoint::Stamp;
use crate::parse::BadRequest;
use crate::responses::read::invalid;
use crate::responses::reply::usage_json;
use crate::responses::tools::only_adds_tools;
use crate::responses::turn::items;

/// What is asked for behind the conversation.
const WISH: &str = "Write a summary of this conversation for whoever goes on with it and cannot see \
    it. Keep what matters for that: what the user wants and has ruled out, what was found out and \
    decided, names, paths, numbers and code that are still needed, results of tools, and what is to \
    be done next. Write only the summary.";
/// What a summary is told as to the model that goes on.
const TOLD_AS: &str = "Summary of the conversation before this point:\n\n";
/// How our items begin.
const MARK: &str = "dnc1.";
/// Members of a request that say nothing to a summary, or would keep it from being one text.
const NOT_ASKED: &[&str] =
    &["tools", "tool_choice", "text", "stream", "stream_options", "store", "background"];

/// The request for the summary of the conversation in `request`, the body of a compaction.
///
/// # Errors
/// It has no input, or one that is none.
pub fn to_compact(request: &Bytes) -> Result<Bytes, BadRequest> {
    let wrong = || invalid("input", "a text or a list of items, or a previous_response_id");
    let found = edit::member(request, "input").and_then(items).ok_or_else(wrong)?;
    let said = found.iter().filter(|item| !only_adds_tools(item));
    let mut input: Vec<&str> = said.map(|item| item.get()).collect();
    let wish = json!({"type": "message", "role": "user", "content": WISH}).to_string();
    input.push(&wish);
    let mut paths = vec!["input"];
    paths.extend(NOT_ASKED);
    let body = edit::without(request.clone(), &paths);
    let body = std::str::from_utf8(&body).map_err(|_| wrong())?;
    let rest = body.trim_end().strip_suffix('}').ok_or_else(wrong)?.trim_end();
    let comma = if rest.ends_with('{') { "" } else { "," };
    Ok(Bytes::from(format!(r#"{rest}{comma}"input":[{}]}}"#, input.join(","))))
}

/// The conversation in `request` made shorter: what the user said, and behind it the summary in
/// `response`, which answered [`to_compact`]'s request. `None`: there is no summary.
#[must_use]
pub fn compacted(
    request: &[u8],
    response: &[u8],
    usage: Option<&Usage>,
    stamp: Stamp<'_>,
) -> Option<Bytes> {
    let summary = text_of(response)?;
    let said = edit::member(request, "input").and_then(items)?;
    let mut output = Vec::new();
    for (at, item) in said.iter().enumerate() {
        let mut item: Value = serde_json::from_str(item.get()).ok()?;
        if item["role"] == "user" && item["type"].as_str().is_none_or(|kind| kind == "message") {
            item["type"] = "message".into();
            if let Some(text) = item["content"].as_str().map(str::to_owned) {
                item["content"] = json!([{"type": "input_text", "text": text}]);
            }
            if !item["id"].is_string() {
                item["id"] = format!("msg_{}_{at}", stamp.id).into();
            }
            item["status"] = "completed".into();
            output.push(item);
        }
    }
    output.push(json!({
        "id": format!("cmp_{}", stamp.id),
        "type": "compaction",
        "encrypted_content": format!("{MARK}{summary}"),
    }));
    let compaction = json!({
        "id": format!("resp_{}", stamp.id),
        "object": "response.compaction",
        "created_at": stamp.now,
        "output": output,
        "usage": usage.map_or(Value::Null, usage_json),
    });
    Some(Bytes::from(serde_json::to_vec(&compaction).expect("values are always JSON")))
}

/// What an item says to a model. `None`: it is not one of ours.
pub(super) fn told(content: &str) -> Option<String> {
    content.strip_prefix(MARK).map(|summary| format!("{TOLD_AS}{summary}"))
}

/// The words of an answer.
fn text_of(response: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        output: Vec<&'a RawValue>,
    }
    let response: Response<'_> = serde_json::from_slice(response).ok()?;
    let mut words = String::new();
    for item in response.output {
        let item: Value = serde_json::from_str(item.get()).ok()?;
        let parts = item["content"].as_array().filter(|_| item["type"] == "message");
        parts.into_iter().flatten().for_each(|part| words.extend(part["text"].as_str()));
    }
    (!words.trim().is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, parse};

    const STAMP: Stamp<'_> = Stamp { model: "m", id: "x", now: 7, request: "{}", turn: None };

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn a_conversation_becomes_what_the_user_said_and_a_summary_that_the_next_turn_reads() {
        let request = Bytes::from_static(
            br#"{"model":"m","instructions":"be brief","tools":[{"type":"function","name":"f"}],
            "input":[{"role":"user","content":"one"},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"two"}]},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"3"},
            {"role":"user","content":[{"type":"input_text","text":"four"}]}]}"#,
        );
        let asked = to_compact(&request).expect("a conversation");
        let value = read(&asked);
        assert_eq!((&value["instructions"], &value["tools"]), (&json!("be brief"), &Value::Null));
        assert_eq!(value["input"].as_array().map(Vec::len), Some(6));
        assert_eq!(value["input"][5]["content"], WISH);
        parse(Endpoint::Responses, asked, None).expect("a request").form_with(&[]).expect("a chat");

        let answer = json!({"output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "in short"}]},
        ]});
        let short = compacted(&request, answer.to_string().as_bytes(), None, STAMP);
        let short = read(&short.expect("a summary"));
        assert_eq!(short["object"], "response.compaction");
        let kinds: Vec<&str> = short["output"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|i| i["type"].as_str())
            .collect();
        assert_eq!(kinds, ["message", "message", "compaction"]);
        assert_eq!(short["output"][0]["content"][0], json!({"type": "input_text", "text": "one"}));

        let mut next = short["output"].as_array().expect("items").clone();
        next.push(json!({"role": "user", "content": "and?"}));
        let next = json!({"model": "m", "input": next}).to_string();
        let chat = parse(Endpoint::Responses, Bytes::from(next), None).expect("a request");
        let chat = format!("{:?}", chat.form_with(&[]).expect("a chat"));
        assert!(
            chat.contains("Summary of the conversation before this point:\\n\\nin short"),
            "{chat}"
        );
    }

    #[test]
    fn what_is_no_conversation_and_what_another_sealed_is_refused() {
        for body in [r#"{"model":"m"}"#, r#"{"input":7}"#] {
            assert!(to_compact(&Bytes::from(body)).is_err(), "{body}");
        }
        let silent = br#"{"output":[]}"#;
        assert_eq!(compacted(br#"{"input":"hi"}"#, silent, None, STAMP), None);
        let sealed = r#"{"model":"m","input":[{"type":"compaction","encrypted_content":"gAAAA"}]}"#;
        let chat = parse(Endpoint::Responses, Bytes::from(sealed), None).expect("a request");
        let refused = chat.form_with(&[]).expect_err("only OpenAI can read it").to_string();
        assert!(refused.contains("input[0]"), "{refused}");
    }
}
