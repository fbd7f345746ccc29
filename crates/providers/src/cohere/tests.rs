//! What is sent to Cohere and what its answers mean.

use std::fs;

use bytes::Bytes;
use dunlin_llm::form::{Delta, Finish};
use dunlin_llm::{ChatRequest, Endpoint, Stamp, StreamEvent, Target, parse};
use dunlin_types::{Credential, Secret, Tokens, UnixMillis, Usage};
use http::StatusCode;
use serde_json::{Value, json};

use super::PROVIDER;
use crate::Provider;

fn target(api_base: &str) -> Target {
    Target { api_base: api_base.into(), model: "command-a".into(), ..Target::default() }
}

fn request(endpoint: Endpoint, body: &Value) -> ChatRequest {
    parse(endpoint, Bytes::from(body.to_string()), None).unwrap()
}

/// Where a call goes, and its body.
fn sent(endpoint: Endpoint, api_base: &str, body: &Value) -> (String, Value) {
    let key = Credential::Key(Secret::new("co-key"));
    let request = request(endpoint, body);
    let call = PROVIDER.encode(&request, &target(api_base), &key, UnixMillis(0)).unwrap();
    assert_eq!(call.headers()["authorization"], "Bearer co-key");
    (call.uri().to_string(), serde_json::from_slice(call.body()).unwrap())
}

fn file(name: &str) -> Bytes {
    let path = format!("{}/testdata/cohere/{name}", env!("CARGO_MANIFEST_DIR"));
    Bytes::from(fs::read(path).unwrap())
}

fn told(endpoint: Endpoint, asked: &Value, name: &str) -> Value {
    let request = request(endpoint, asked);
    let reply = PROVIDER.decode(&request, &target("http://c"), StatusCode::OK, file(name)).unwrap();
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
    serde_json::from_slice(&reply.write(endpoint, stamp)).unwrap()
}

fn hello() -> Value {
    json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn a_chat_is_said_in_coheres_words() {
    let body = json!({
        "model": "a",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x/i.png"}},
            ]},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "look", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a bird"},
            {"role": "tool", "tool_call_id": "c2", "content": "a tree"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "required": ["at"]}, "strict": true}},
            {"type": "function", "function": {"name": "hear"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 3, "stop": ["END"],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        "reasoning_effort": "none", "safety_mode": "OFF", "stream": true,
    });
    let (url, sent) = sent(Endpoint::ChatCompletions, "https://api.cohere.com/v2/chat", &body);
    assert_eq!(url, "https://api.cohere.com/v2/chat");
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}});
    let expected = json!({
        "model": "command-a",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x/i.png"}},
            ]},
            {"role": "assistant", "tool_plan": "I look.",
                "tool_calls": [call("c1", "{\"at\":1}"), call("c2", "{}")]},
            {"role": "tool", "tool_call_id": "c1", "content": "a bird"},
            {"role": "tool", "tool_call_id": "c2", "content": "a tree"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "required": ["at"]}}}],
        "strict_tools": true,
        "tool_choice": "REQUIRED",
        "max_tokens": 9, "temperature": 0.5, "p": 0.9, "k": 3, "seed": 3, "stop_sequences": ["END"],
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "disabled"},
        "safety_mode": "OFF",
        "stream": true,
    });
    assert_eq!(sent, expected);
}

#[test]
fn tools_are_strict_only_if_each_of_them_can_be() {
    let tool = |required: Value, strict: bool| {
        let parameters = json!({"type": "object", "required": required});
        json!({"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}})
    };
    let one = json!(["a"]);
    for (tools, is_strict) in [
        ([tool(one.clone(), true), tool(one.clone(), false)], true),
        ([tool(one.clone(), true), tool(json!([]), false)], false),
        ([tool(one.clone(), false), tool(one, false)], false),
    ] {
        let body = json!({"model": "a", "messages": hello()["messages"], "tools": tools});
        let (_, sent) = sent(Endpoint::ChatCompletions, "https://c", &body);
        assert_eq!(sent.get("strict_tools").is_some(), is_strict, "{body}");
    }
}

#[test]
fn documents_that_an_answer_cites_are_its_annotations() {
    let asked = json!({"model": "a", "messages": hello()["messages"],
        "documents": [{"id": "doc:1", "data": {"title": "Birds"}}]});
    let (_, sent) = sent(Endpoint::ChatCompletions, "https://c", &asked);
    assert_eq!(sent["documents"], asked["documents"]);

    let citation = json!({"start": 0, "end": 7, "text": "A robin", "type": "TEXT_CONTENT",
    "sources": [
        {"type": "document", "id": "doc:1", "document": {"title": "Birds", "snippet": "..."}},
        {"type": "document", "id": "doc:2", "document": {"url": "https://b", "title": "B"}},
        {"type": "tool", "id": "t:0", "tool_output": {"x": 1}},
    ]});
    let body = json!({"id": "1", "finish_reason": "COMPLETE", "message": {"role": "assistant",
        "content": [{"type": "text", "text": "A robin."}], "citations": [citation]}});
    let request = request(Endpoint::ChatCompletions, &asked);
    let body = Bytes::from(body.to_string());
    let reply = PROVIDER.decode(&request, &target("http://c"), StatusCode::OK, body).unwrap();
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
    let told: Value =
        serde_json::from_slice(&reply.write(Endpoint::ChatCompletions, stamp)).unwrap();
    let cited = |title: &str, url: &str| {
        json!({"type": "url_citation", "url_citation":
            {"start_index": 0, "end_index": 7, "title": title, "url": url}})
    };
    let expected = json!([cited("Birds", "source:doc:1"), cited("B", "https://b")]);
    assert_eq!(told["choices"][0]["message"]["annotations"], expected);
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "{}", turn: None };
    let told: Value = serde_json::from_slice(&reply.write(Endpoint::Responses, stamp)).unwrap();
    let annotation = &told["output"][0]["content"][0]["annotations"][1];
    assert_eq!(annotation["url"], "https://b", "{told}");

    let mut stream = PROVIDER.stream(&request, &target("http://c"));
    let mut events = Vec::new();
    for event in [
        json!({"type": "message-start", "id": "1", "delta": {"message": {"citations": []}}}),
        json!({"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}}),
    ] {
        let frame = format!("event: x\ndata: {event}\n\n");
        stream.push(Bytes::from(frame), &mut events).unwrap();
    }
    let mut cited = Vec::new();
    for event in &events {
        if let StreamEvent::Delta(Delta::Citation { choice: 0, citation }) = event {
            cited.push(citation.url.as_deref().unwrap());
        }
    }
    assert_eq!(cited, ["source:doc:1", "https://b"]);
}

#[test]
fn vectors_say_what_they_are_for() {
    let body = json!({"model": "a", "input": ["x", "y"], "dimensions": 256});
    let (url, plain) = sent(Endpoint::Embeddings, "https://c/", &body);
    assert_eq!(url, "https://c/v2/embed");
    let mut expected = json!({
        "model": "command-a", "texts": ["x", "y"], "input_type": "search_document",
        "embedding_types": ["float"], "output_dimension": 256,
    });
    assert_eq!(plain, expected);
    let query = json!({"model": "a", "input": "x", "input_type": "search_query"});
    expected = json!({"model": "command-a", "texts": ["x"], "input_type": "search_query", "embedding_types": ["float"]});
    assert_eq!(sent(Endpoint::Embeddings, "https://c", &query).1, expected);

    let reply = told(Endpoint::Embeddings, &body, "native-embed.json");
    assert_eq!(reply["data"][1]["embedding"].as_array().unwrap().len(), 2);
    assert_eq!(reply["usage"]["prompt_tokens"], 4);
}

#[test]
fn answers_are_told_in_openais_words() {
    let reply = told(Endpoint::ChatCompletions, &hello(), "native-reply.json");
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(choice["message"]["content"], "Peep peep.");
    assert_eq!(choice["message"]["reasoning_content"], "A small bird.");
    assert_eq!(reply["usage"]["prompt_tokens"], 71, "what was read, not what is billed");
    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 64);

    let reply = told(Endpoint::ChatCompletions, &hello(), "native-reply-tools.json");
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "I will look up the weather.");
    let function = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(*function, json!({"name": "get_weather", "arguments": "{\"city\":\"Bern\"}"}));
}

/// The events of a stream, and how it ended.
fn read(stream: Bytes) -> (Vec<StreamEvent>, Option<String>) {
    let request = request(Endpoint::ChatCompletions, &hello());
    let (mut decoder, mut events) = (PROVIDER.stream(&request, &target("http://c")), Vec::new());
    let read = decoder.push(stream, &mut events).and_then(|()| decoder.finish(&mut events));
    (events, read.err().map(|error| error.to_string()))
}

#[test]
fn a_stream_is_told_in_deltas() {
    let (events, error) = read(file("native-stream.sse"));
    assert_eq!(error, None);
    let text = |text: &str| Delta::Text { choice: 0, text: text.to_owned() };
    let arguments = |text: &str| Delta::Arguments { choice: 0, call: 0, text: text.to_owned() };
    let usage = Usage { prompt: Tokens(69), completion: Tokens(28), ..Usage::default() };
    let expected = [
        Delta::Start { id: Some("efe5bcbb".to_owned()), model: None, usage: None },
        Delta::Thinking { choice: 0, text: "A bird.".to_owned() },
        text("Peép"),
        text("I will sing."),
        Delta::ToolCall {
            choice: 0,
            call: 0,
            id: "sing_1".to_owned(),
            name: "sing".to_owned(),
            signature: None,
        },
        arguments("{\"song\":"),
        arguments(" \"peep\"}"),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(usage),
    ];
    let expected: Vec<StreamEvent> = expected.into_iter().map(StreamEvent::Delta).collect();
    assert_eq!(events[..expected.len()], expected);
    assert_eq!(events[expected.len()..], [StreamEvent::Done(Bytes::new())]);
}

#[test]
fn only_message_end_ends_an_answer_and_may_say_that_it_failed() {
    let whole = String::from_utf8(file("native-stream.sse").to_vec()).unwrap();
    let end = whole.find("event: message-end").unwrap();
    let (before, last) = whole.split_at(end);
    let frame = last.split("\n\n").next().unwrap();
    assert_eq!(read(Bytes::from(format!("{before}{frame}"))).1, None, "without its blank line");
    for cut in ["", &last[..60]] {
        let (events, error) = read(Bytes::from(format!("{before}{cut}")));
        assert_eq!(error.as_deref(), Some("the stream ended before the answer did"));
        assert!(!events.contains(&StreamEvent::Done(Bytes::new())));
    }
    for failed in [
        r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"it broke"}}"#,
        r#"{"message":"it broke"}"#,
    ] {
        let (events, error) = read(Bytes::from(format!("{before}data: {failed}\n\n")));
        assert_eq!(error, None);
        assert!(
            matches!(events.last(), Some(StreamEvent::Error(said)) if said.message == "it broke")
        );
    }
    assert!(read(Bytes::from_static(b"data: [1]\n\n")).1.is_some());
}

#[test]
fn documents_are_ranked_in_its_own_words() {
    let mut body = json!({"model": "x", "query": "a", "documents": ["a", "b"], "top_n": 1});
    let (url, sent) = sent(Endpoint::Rerank, "https://c/v2", &body);
    body["model"] = json!("command-a");
    assert_eq!((url.as_str(), sent), ("https://c/v2/rerank", body.clone()));
    let answer = Bytes::from_static(br#"{"id":"r","results":[{"index":1,"relevance_score":0.5}]}"#);
    let request = request(Endpoint::Rerank, &body);
    let reply = PROVIDER.decode(&request, &target("http://c"), StatusCode::OK, answer.clone());
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
    assert_eq!(reply.unwrap().write(Endpoint::Rerank, stamp), answer);
}

#[test]
fn documents_are_given_back_though_its_second_version_does_not() {
    let asked = |more: Value| {
        let mut body = json!({"model": "x", "query": "a", "documents": ["a", "b"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let both = json!({"return_documents": true, "max_chunks_per_doc": 2});
    let objects = json!({"documents": [{"text": "a"}], "rank_fields": ["text"]});
    for (base, more, url) in [
        ("https://c", json!({"return_documents": true}), "https://c/v2/rerank"),
        ("https://c/v2/rerank", both.clone(), "https://c/v2/rerank"),
        // Only the first version knows these, and gives documents back itself.
        ("https://c", both, "https://c/v1/rerank"),
        ("https://c/v1", objects, "https://c/v1/rerank"),
        ("https://c/v1/rerank/", json!({"return_documents": true}), "https://c/v1/rerank"),
    ] {
        let body = asked(more.clone());
        let (sent_to, sent) = sent(Endpoint::Rerank, base, &body);
        assert_eq!(sent_to, url, "{more}");
        let says = more.get("return_documents").filter(|_| url.ends_with("/v1/rerank"));
        assert_eq!(sent.get("return_documents"), says, "{more}");
    }
    let asked = request(Endpoint::Rerank, &asked(json!({"return_documents": true})));
    let answer = Bytes::from_static(br#"{"id":"r","results":[{"index":1,"relevance_score":0.5}]}"#);
    let reply = PROVIDER.decode(&asked, &target("http://c"), StatusCode::OK, answer).unwrap();
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
    let told: Value = serde_json::from_slice(&reply.write(Endpoint::Rerank, stamp)).unwrap();
    assert_eq!(told["results"][0]["document"], json!({"text": "b"}));
}
