//! What is sent to Ollama's own API and what its answers mean.

use std::fs;

use bytes::Bytes;
use dunlin_llm::form::{Delta, Finish};
use dunlin_llm::{ChatRequest, Endpoint, Stamp, StreamEvent, Target, parse};
use dunlin_types::{Credential, Tokens, UnixMillis, Usage};
use http::StatusCode;
use serde_json::{Value, json};

use super::PROVIDER;
use crate::{EncodeError, Provider};

fn target(model: &str) -> Target {
    let defaults = vec![("num_ctx".into(), "8192".into()), ("keep_alive".into(), "\"5m\"".into())];
    Target {
        api_base: "http://o:11434/".into(),
        model: model.into(),
        body_defaults: defaults,
        ..Target::default()
    }
}

fn request(endpoint: Endpoint, body: &Value) -> ChatRequest {
    parse(endpoint, Bytes::from(body.to_string()), None).unwrap()
}

fn sent(endpoint: Endpoint, model: &str, body: &Value) -> Result<(String, Value), EncodeError> {
    let request = request(endpoint, body);
    let call = PROVIDER.encode(&request, &target(model), &Credential::None, UnixMillis(0))?;
    Ok((call.uri().path().to_owned(), serde_json::from_slice(call.body()).unwrap()))
}

fn file(name: &str) -> Bytes {
    let path = format!("{}/testdata/ollama/{name}", env!("CARGO_MANIFEST_DIR"));
    Bytes::from(fs::read(path).unwrap())
}

/// A whole answer as the client of `endpoint` gets it.
fn told(endpoint: Endpoint, asked: &Value, name: &str) -> Value {
    let request = request(endpoint, asked);
    let reply = PROVIDER.decode(&request, &target("m"), StatusCode::OK, file(name)).unwrap();
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
    serde_json::from_slice(&reply.write(endpoint, stamp)).unwrap()
}

fn hello() -> Value {
    json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn a_chat_is_said_in_ollamas_words() {
    let body = json!({
        "model": "a",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What "},
                {"type": "text", "text": "is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            ]},
            {"role": "assistant", "content": null, "reasoning_content": "Ask.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a bird"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "look", "description": "Looks.", "strict": true,
            "parameters": {"type": "object", "properties": {"z": {}, "a": {}}},
        }}],
        "tool_choice": "auto",
        "max_tokens": 9, "temperature": 0.20, "top_p": 1, "seed": 3, "stop": "END",
        "min_p": 0.1, "options": {"mirostat": 2}, "stream": true,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "reasoning_effort": "low",
    });
    let (path, sent) = sent(Endpoint::ChatCompletions, "qwen3", &body).unwrap();
    assert_eq!(path, "/api/chat");
    let expected = json!({
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is this?", "images": ["iVBO"]},
            {"role": "assistant", "content": "", "thinking": "Ask.", "tool_calls": [
                {"id": "c1", "function": {"name": "look", "arguments": {"at": 1}}},
            ]},
            {"role": "tool", "content": "a bird", "tool_call_id": "c1", "tool_name": "look"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "look", "description": "Looks.",
            "parameters": {"type": "object", "properties": {"z": {}, "a": {}}},
        }}],
        "stream": true,
        "format": {"type": "object"},
        "think": true,
        "options": {
            "num_predict": 9, "temperature": 0.2, "top_p": 1, "seed": 3, "stop": ["END"],
            "min_p": 0.1, "mirostat": 2, "num_ctx": 8192,
        },
        "keep_alive": "5m",
    });
    assert_eq!(sent, expected);
    assert!(sent.to_string().contains(r#""z":{},"a":{}"#), "a schema keeps its order");
}

#[test]
fn degrees_of_thought_are_for_gpt_oss() {
    for (model, effort, think) in [
        ("gpt-oss:20b", "high", json!("high")),
        ("gpt-oss:20b", "none", json!(false)),
        ("qwen3", "medium", json!(true)),
        ("qwen3", "none", json!(false)),
    ] {
        let mut body = hello();
        body["reasoning_effort"] = effort.into();
        let (_, sent) = sent(Endpoint::ChatCompletions, model, &body).unwrap();
        assert_eq!(sent["think"], think, "{model} {effort}");
    }
}

#[test]
fn a_model_thinks_unasked_for_clients_who_ask_it_of_every_model() {
    let asked = |model: &str, thinking: Value| {
        let body = json!({"model": "a", "max_tokens": 9000, "thinking": thinking,
            "messages": [{"role": "user", "content": "hi"}]});
        sent(Endpoint::Messages, model, &body).unwrap().1["think"].clone()
    };
    let enabled = || json!({"type": "enabled", "budget_tokens": 8000});
    assert_eq!(asked("llama3.1:8b", enabled()), Value::Null, "it would be refused");
    assert_eq!(asked("qwen3", json!({"type": "disabled"})), false);
    assert_ne!(asked("gpt-oss:20b", enabled()), Value::Null, "it knows degrees");
}

#[test]
fn texts_and_vectors_have_their_own_paths() {
    let body = json!({"model": "a", "prompt": "def add", "suffix": "return c", "max_tokens": 4,
        "shift": false});
    let (path, text) = sent(Endpoint::Completions, "codellama", &body).unwrap();
    assert_eq!(path, "/api/generate");
    let expected = json!({
        "model": "codellama", "prompt": "def add", "stream": false, "suffix": "return c",
        "shift": false,
        "keep_alive": "5m", "options": {"num_predict": 4, "num_ctx": 8192},
    });
    assert_eq!(text, expected);

    let body = json!({"model": "a", "input": ["x", "y"], "dimensions": 2, "truncate": false});
    let (path, embed) = sent(Endpoint::Embeddings, "minilm", &body).unwrap();
    assert_eq!(path, "/api/embed");
    let expected = json!({
        "model": "minilm", "input": ["x", "y"], "dimensions": 2, "truncate": false,
        "keep_alive": "5m", "options": {"num_ctx": 8192},
    });
    assert_eq!(embed, expected);
}

#[test]
fn what_cannot_be_said_is_refused_in_words() {
    let ask =
        |content: Value| json!({"model": "a", "messages": [{"role": "user", "content": content}]});
    let image = json!([{"type": "image_url", "image_url": {"url": "https://x/i.png"}}]);
    let mut biased = hello();
    biased["logit_bias"] = json!({"1": 2});
    for (body, said) in [
        (ask(image), "expected images inline"),
        (
            ask(json!([{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}])),
            "texts and images only",
        ),
        (biased, "ollama does not support parameters: ['logit_bias']"),
    ] {
        let refused = sent(Endpoint::ChatCompletions, "m", &body).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let speech = request(Endpoint::Speech, &json!({"model": "a", "input": "x", "voice": "v"}));
    let refused = PROVIDER.encode(&speech, &target("m"), &Credential::None, UnixMillis(0));
    assert!(matches!(refused, Err(EncodeError::UnsupportedEndpoint { .. })));
}

#[test]
fn answers_are_told_in_openais_words() {
    let reply = told(Endpoint::ChatCompletions, &hello(), "native-reply.json");
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(choice["message"]["content"], "Peep peep.");
    assert_eq!(choice["message"]["reasoning_content"], "A small bird.");
    assert_eq!(
        (&reply["usage"]["prompt_tokens"], &reply["usage"]["completion_tokens"]),
        (&json!(26), &json!(298))
    );

    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 20);

    let reply = told(Endpoint::ChatCompletions, &hello(), "native-reply-tools.json");
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls[0]["function"]["arguments"], r#"{"city":"Bern","days":2}"#);
    assert_eq!(calls[1]["function"]["arguments"], r#"{"city":"Oslo","days":1.0}"#, "as written");
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    let asked = json!({"model": "a", "prompt": "x"});
    let reply = told(Endpoint::Completions, &asked, "native-reply-generate.json");
    assert_eq!(reply["choices"][0]["text"], "  return a + b");

    let asked = json!({"model": "a", "input": ["x", "y"]});
    let reply = told(Endpoint::Embeddings, &asked, "native-embed.json");
    assert_eq!(reply["data"].as_array().unwrap().len(), 2);
    assert_eq!(reply["usage"]["prompt_tokens"], 8);
}

/// The events of lines, and how they ended.
fn read(lines: Bytes) -> (Vec<StreamEvent>, Option<String>) {
    let request = request(Endpoint::ChatCompletions, &hello());
    let (mut decoder, mut events) = (PROVIDER.stream(&request, &target("m")), Vec::new());
    let read = decoder.push(lines, &mut events).and_then(|()| decoder.finish(&mut events));
    (events, read.err().map(|error| error.to_string()))
}

#[test]
fn a_stream_is_told_in_deltas() {
    let (events, error) = read(file("native-stream.ndjson"));
    assert_eq!(error, None);
    let mut events: Vec<Delta> = events
        .into_iter()
        .filter_map(|event| if let StreamEvent::Delta(delta) = event { Some(delta) } else { None })
        .collect();
    let Delta::ToolCall { id: made, call: 1, .. } = events.remove(7) else { panic!("{events:?}") };
    assert!(made.starts_with("call_") && made.len() == 29, "{made}");
    let text = |text: &str| Delta::Text { choice: 0, text: text.to_owned() };
    let thought = |text: &str| Delta::Thinking { choice: 0, text: text.to_owned() };
    let arguments = |call, text: &str| Delta::Arguments { choice: 0, call, text: text.to_owned() };
    let (prompt, cached, completion) = (Tokens(26), Tokens(9), Tokens(282));
    let usage = Usage { prompt, cached, completion, ..Usage::default() };
    let expected = [
        Delta::Start { id: None, model: Some("qwen3".to_owned()), usage: None },
        thought("A bird"),
        thought("."),
        text("Pe"),
        text("ép"),
        Delta::ToolCall {
            choice: 0,
            call: 0,
            id: "call_abc".to_owned(),
            name: "sing".to_owned(),
            signature: None,
        },
        arguments(0, r#"{"song":"peep"}"#),
        arguments(1, "{}"),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(usage),
    ];
    assert_eq!(events, expected);
}

#[test]
fn only_a_line_that_says_done_ends_an_answer() {
    let (whole, last) = (file("native-stream.ndjson"), b"\"done\":true");
    let last_line =
        whole.len() - 2 - whole.iter().rev().skip(2).position(|byte| *byte == b'\n').unwrap();
    assert!(whole[last_line..].windows(last.len()).any(|window| window == last));
    let without_end = whole.slice(..whole.len() - 1);
    assert_eq!(read(without_end).1, None, "its line end may be missing");
    for cut in [0, 1, last_line, last_line + 9, whole.len() - 2] {
        let (events, error) = read(whole.slice(..cut));
        assert_eq!(error.as_deref(), Some("the stream ended before the answer did"), "{cut}");
        assert!(!events.contains(&StreamEvent::Done(Bytes::new())), "{cut}");
    }
    let (events, error) = read(Bytes::from_static(b"{\"error\":\"an error was encountered\"}\n"));
    assert!(
        matches!(&events[..], [StreamEvent::Error(said)] if said.message.contains("encountered"))
    );
    assert_eq!(error, None);
    assert!(read(Bytes::from_static(b"[]\n")).1.is_some());
    assert!(read(Bytes::from(vec![b' '; 2 << 20])).1.unwrap().contains("longer than"));
}
