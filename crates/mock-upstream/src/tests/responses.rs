//! OpenAI's Responses.

use serde_json::{Value, json};

use super::client::{ask, post, strings};
use super::start;
use crate::MockUpstream;

const PATH: &str = "/v1/responses";

fn says(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "m", "input": text});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
}

fn tools() -> Value {
    json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}])
}

/// The events, numbered from 0 and named for their type.
async fn stream(mock: &MockUpstream, body: Value) -> Vec<Value> {
    let events = post(mock, PATH, &[], &body).await.events();
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
    }
    events.into_iter().map(|(_, data)| data).collect()
}

/// The types of the events without what is before the last dots, repetitions left out.
fn kinds(events: &[Value]) -> Vec<&str> {
    let mut kinds = strings(events, "/type");
    kinds.iter_mut().for_each(|kind| *kind = kind.trim_start_matches("response."));
    kinds.dedup();
    kinds
}

#[tokio::test]
async fn a_stream_thinks_and_speaks() {
    let mock = start().await;
    let events = stream(&mock, says("[[think]] [[cached:7]]", json!({"stream": true}))).await;
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let said = strings(of("response.output_text.delta"), "/delta").concat();
    assert_eq!(said, "tok tok tok ");
    let response = &events.last().expect("events")["response"];
    assert_eq!(response["output"][1]["content"][0]["text"], said);
    let usage = &response["usage"];
    assert_eq!(usage["output_tokens_details"]["reasoning_tokens"], 3);
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 7);
}

#[tokio::test]
async fn a_function_is_called_and_heard() {
    let mock = start().await;
    let wish = r#"[[tool:f {"city":"Paris"}]]"#;
    let events = stream(&mock, says(wish, json!({"tools": tools(), "stream": true}))).await;
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(strings(&events, "/delta").concat(), r#"{"city":"Paris"}"#);

    let first = post(&mock, PATH, &[], &says(wish, json!({"tools": tools()}))).await.json();
    let call = &first["output"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("f")));
    let result =
        json!({"type": "function_call_output", "call_id": call["call_id"], "output": "22"});
    for body in [
        json!({"model": "m", "previous_response_id": first["id"], "input": [result]}),
        json!({"model": "m", "input": [{"role": "user", "content": wish}, call, result]}),
    ] {
        let second = post(&mock, PATH, &[], &body).await.json();
        assert_eq!(second["output"][0]["content"][0]["text"], "the tool said: 22");
    }
}

#[tokio::test]
async fn what_openai_would_refuse_is_refused() {
    let mock = start().await;
    let orphan = json!({"type": "function_call_output", "call_id": "none", "output": ""});
    let thought =
        |sealed: &str| json!({"type": "reasoning", "summary": [], "encrypted_content": sealed});
    let words = json!({"role": "assistant", "content": "a"});
    for (body, param) in [
        (json!({"model": "m"}), json!("input")),
        (
            json!({"model": "m", "input": [{"role": "robot", "content": ""}]}),
            json!("input[0].role"),
        ),
        (json!({"model": "m", "input": [orphan]}), json!("input")),
        (json!({"model": "m", "input": [thought("gAAAAAmock")]}), json!("input")),
        (json!({"model": "m", "input": [thought("other"), words]}), json!("input")),
        (says("hi", json!({"max_output_tokens": 1})), json!("max_output_tokens")),
        (says("hi", json!({"n": 1})), json!("n")),
        (
            says("hi", json!({"tools": [{"type": "function", "function": {}}]})),
            json!("tools[0].name"),
        ),
        (says("hi", json!({"previous_response_id": "resp_none"})), json!("previous_response_id")),
    ] {
        let answered = ask(&mock, &format!("POST {PATH}"), &[], body.to_string()).await;
        assert_eq!((answered.status, &answered.json()["error"]["param"]), (400, &param));
    }
}

#[tokio::test]
async fn a_stored_response_can_be_asked_for_until_it_is_deleted() {
    let mock = start().await;
    let made = post(&mock, PATH, &[], &says("[[tokens:20]]", json!({"max_output_tokens": 16})))
        .await
        .json();
    assert_eq!(made["incomplete_details"]["reason"], "max_output_tokens");
    let path = format!("{PATH}/{}", made["id"].as_str().expect("text"));
    assert_eq!(ask(&mock, &format!("GET {path}"), &[], "").await.json(), made);
    let items = ask(&mock, &format!("GET {path}/input_items"), &[], "").await.json();
    assert_eq!(items["data"][0]["content"][0]["text"], "[[tokens:20]]");
    assert_eq!(ask(&mock, &format!("POST {path}/cancel"), &[], "").await.status, 400);
    let deleted = ask(&mock, &format!("DELETE {path}"), &[], "").await.json();
    assert_eq!(deleted["deleted"], true);
    assert_eq!(ask(&mock, &format!("GET {path}"), &[], "").await.status, 404);

    let later = says("hi", json!({"background": true}));
    let later = post(&mock, PATH, &[], &later).await.json();
    assert_eq!(later["status"], "queued");
    let path = format!("{PATH}/{}", later["id"].as_str().expect("text"));
    let cancelled = ask(&mock, &format!("POST {path}/cancel"), &[], "").await.json();
    assert_eq!(cancelled["status"], "cancelled");

    let unkept = post(&mock, PATH, &[], &says("hi", json!({"store": false}))).await.json();
    let path = format!("{PATH}/{}", unkept["id"].as_str().expect("text"));
    assert_eq!(ask(&mock, &format!("GET {path}"), &[], "").await.status, 404);
    let body = says("hi", json!({}));
    let counted = post(&mock, &format!("{PATH}/input_tokens"), &[], &body).await.json();
    assert_eq!(counted["input_tokens"], body.to_string().len() / 4);
}

#[tokio::test]
async fn models_of_responses_alone_have_no_chats() {
    let mock = start().await;
    for (model, only) in [
        ("o1-pro", true),
        ("gpt-5-pro-2025-10-06", true),
        ("gpt-5.1-codex-mini", true),
        ("o3-deep-research", true),
        ("computer-use-preview", true),
        ("gpt-5", false),
        ("gemini-2.5-pro-x", false),
    ] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let chat = ask(&mock, "POST /v1/chat/completions", &[], body.to_string()).await;
        assert_eq!(chat.status, if only { 404 } else { 200 }, "{model}");
        let respond = json!({"model": model, "input": "hi"});
        assert_eq!(post(&mock, PATH, &[], &respond).await.json()["status"], "completed");
    }
    let sealed = json!({"include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "tools": [{"type": "custom", "name": "f"}]});
    let told =
        post(&mock, PATH, &[], &says("[[think]] [[say:a b]] [[tool:f {}]]", sealed)).await.json();
    assert_eq!(told["output"][0]["encrypted_content"], "gAAAAAmock");
    assert_eq!(told["output"][1]["content"][0]["logprobs"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&told["output"][2]["type"], &told["output"][2]["input"]),
        (&json!("custom_tool_call"), &json!("{}"))
    );
}
