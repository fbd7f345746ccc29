//! Cohere's second version.

use serde_json::{Value, json};

use super::client::{ask, post, strings};
use super::start;

const KEY: [&str; 1] = ["authorization: Bearer k"];

fn says(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
}

/// The kinds of the events in their order, repetitions left out, and their data.
async fn stream(body: Value) -> (Vec<String>, Vec<Value>) {
    let mock = start().await;
    let events = post(&mock, "/v2/chat", &KEY, &body).await.events();
    let mut kinds: Vec<String> = events.iter().map(|(kind, _)| kind.clone()).collect();
    kinds.dedup();
    (kinds, events.into_iter().map(|(_, data)| data).collect())
}

#[tokio::test]
async fn a_stream_thinks_speaks_and_cites() {
    let more = json!({"stream": true, "thinking": {"type": "enabled"},
        "documents": [{"id": "d", "data": {"text": "tok"}}]});
    let (kinds, events) = stream(says("hi", more)).await;
    let expected = [
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "content-start",
        "content-delta",
        "citation-start",
        "citation-end",
        "content-end",
        "message-end",
    ];
    assert_eq!(kinds, expected);
    let content = "/delta/message/content";
    assert_eq!(strings(&events, &format!("{content}/thinking")).concat(), "hm hm hm ");
    assert_eq!(strings(&events, &format!("{content}/text")).concat(), "tok tok tok ");
    let end = &events.last().expect("events")["delta"];
    assert_eq!(end["finish_reason"], "COMPLETE");
    assert_eq!(end["usage"]["tokens"]["output_tokens"], 6);
}

#[tokio::test]
async fn a_tool_is_planned_called_and_heard() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let wish = r#"[[tool:f {"city":"Paris"}]]"#;
    let (kinds, events) = stream(says(wish, json!({"tools": tools, "stream": true}))).await;
    let expected = [
        "message-start",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "message-end",
    ];
    assert_eq!(kinds, expected);
    let function = "/delta/message/tool_calls/function";
    assert_eq!(strings(&events, &format!("{function}/name")), ["f"]);
    let arguments = strings(&events, &format!("{function}/arguments")).concat();
    assert_eq!(arguments, r#"{"city":"Paris"}"#);

    let mock = start().await;
    let whole = post(&mock, "/v2/chat", &KEY, &says(wish, json!({"tools": tools}))).await.json();
    assert_eq!(whole["finish_reason"], "TOOL_CALL");
    let result = json!({"role": "tool", "tool_call_id": whole["message"]["tool_calls"][0]["id"],
        "content": [{"type": "document", "document": {"data": "22"}}]});
    let mut body = says(wish, json!({"tools": tools}));
    let turns = body["messages"].as_array_mut().expect("messages");
    turns.extend([whole["message"].clone(), result]);
    let answer = post(&mock, "/v2/chat", &KEY, &body).await.json();
    assert_eq!(answer["message"]["content"][0]["text"], "the tool said: 22");
}

#[tokio::test]
async fn errors_are_a_message() {
    let mock = start().await;
    for (headers, body, status) in [
        (&[][..], says("hi", json!({})), 401),
        (&KEY, json!({"model": "m", "messages": []}), 400),
        (&KEY, json!({"model": "m", "messages": [{"role": "developer", "content": "a"}]}), 400),
        (&KEY, says("[[status:429]]", json!({})), 429),
    ] {
        let answered = ask(&mock, "POST /v2/chat", headers, body.to_string()).await;
        assert_eq!(answered.status, status);
        assert!(answered.json()["message"].is_string(), "{answered:?}");
    }
}

#[tokio::test]
async fn it_embeds_and_ranks() {
    let mock = start().await;
    let body = json!({"model": "m", "texts": ["a", "b"], "input_type": "search_query",
        "embedding_types": ["float", "int8"]});
    let embedded = post(&mock, "/v2/embed", &KEY, &body).await.json();
    for kind in ["float", "int8"] {
        assert_eq!(embedded["embeddings"][kind].as_array().map(Vec::len), Some(2));
    }
    let body = json!({"model": "m", "query": "red car", "top_n": 2,
        "documents": ["a blue boat", "a red car", "a red house"]});
    let ranked = post(&mock, "/v2/rerank", &KEY, &body).await.json();
    let order: Vec<&Value> =
        ranked["results"].as_array().expect("results").iter().map(|one| &one["index"]).collect();
    assert_eq!(order, [1, 2]);
    assert!(ranked["results"][0]["relevance_score"].as_f64() <= Some(1.0));
}
