//! Ollama's own dialect.

use serde_json::{Value, json};

use super::client::{ask, post, strings};
use super::start;

fn says(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
}

#[tokio::test]
async fn it_streams_lines_unless_told_not_to() {
    let mock = start().await;
    let answered = post(&mock, "/api/chat", &[], &says("hi", json!({"think": true}))).await;
    assert_eq!(answered.header("content-type"), "application/x-ndjson");
    let lines = answered.lines();
    assert_eq!(strings(&lines, "/message/thinking").concat(), "hm hm hm ");
    assert_eq!(strings(&lines, "/message/content").concat(), "tok tok tok ");
    let (last, before) = lines.split_last().expect("lines");
    assert!(before.iter().all(|line| line["done"] == false));
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!(last["eval_count"], 6);

    let most = json!({"stream": false, "options": {"num_predict": 2}});
    let whole = post(&mock, "/api/chat", &[], &says("hi", most)).await.json();
    assert_eq!(
        (&whole["message"]["content"], &whole["done_reason"]),
        (&json!("tok tok "), &json!("length"))
    );
    let body = json!({"model": "m", "prompt": "[[say:good day]]", "images": ["aGk="]});
    let lines = post(&mock, "/api/generate", &[], &body).await.lines();
    assert_eq!(strings(&lines, "/response").concat(), "good day");
    let unload = json!({"model": "m", "keep_alive": 0});
    let unloaded = post(&mock, "/api/generate", &[], &unload).await.json();
    assert_eq!(unloaded["done_reason"], "unload");
}

#[tokio::test]
async fn a_call_comes_whole() {
    let mock = start().await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let body = says(r#"[[tool:f {"city":"Paris"}]]"#, json!({"tools": tools}));
    let lines = post(&mock, "/api/chat", &[], &body).await.lines();
    let call = &lines[0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call, &json!({"name": "f", "arguments": {"city": "Paris"}}));
    assert_eq!(lines[1]["done_reason"], "stop");
}

#[tokio::test]
async fn its_errors_are_one_word() {
    let mock = start().await;
    let parts = json!([{"type": "text", "text": "hi"}]);
    let parts = json!({"model": "m", "messages": [{"role": "user", "content": parts}]});
    for (body, status, words) in [
        (json!({"messages": []}), 400, "model is required"),
        (parts, 400, "unmarshal"),
        (says("[[fault:wrong-name]]", json!({})), 404, "model 'm' not found"),
    ] {
        let answered = ask(&mock, "POST /api/chat", &[], body.to_string()).await;
        let error = answered.json()["error"].as_str().expect("text").to_owned();
        assert!(answered.status == status && error.contains(words), "{answered:?}");
    }
}

#[tokio::test]
async fn it_embeds_and_tells_of_its_models() {
    let mock = start().await;
    let body = json!({"model": "m", "input": ["a", "b"]});
    let embedded = post(&mock, "/api/embed", &[], &body).await.json();
    assert_eq!(embedded["embeddings"].as_array().map(Vec::len), Some(2));
    let old = json!({"model": "m", "prompt": "b"});
    let old = post(&mock, "/api/embeddings", &[], &old).await.json();
    assert_eq!(old["embedding"], embedded["embeddings"][1]);
    let tags = ask(&mock, "GET /api/tags", &[], "").await.json();
    assert_eq!(tags["models"][0]["name"], "mock");
    let shown = post(&mock, "/api/show", &[], &json!({"model": "m"})).await.json();
    assert_eq!(shown["model_info"]["mock.context_length"], 32_768);
}
