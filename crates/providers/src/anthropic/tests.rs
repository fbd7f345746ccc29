//! What goes to Anthropic, and what its answers become, for clients of either dialect.

use std::sync::Arc;

use dunlin_llm::form::{Delta, Finish};
use dunlin_llm::{ParamRules, Stamp, StreamEvent, Usage, parse};
use dunlin_types::{Secret, Tokens};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::tests::{chat, events_for, files};
use crate::{Cause, StreamError};

fn request(endpoint: Endpoint, body: &str) -> ChatRequest {
    parse(endpoint, Bytes::copy_from_slice(body.as_bytes()), None).unwrap()
}

fn messages() -> ChatRequest {
    request(Endpoint::Messages, r#"{"model":"alias","max_tokens":5,"messages":[]}"#)
}

fn target(model: &str) -> Target {
    Target { api_base: "http://up".into(), model: model.into(), ..Target::default() }
}

fn stamp(model: &str) -> Stamp<'_> {
    Stamp { model, id: "x", now: 1, request: "", turn: None }
}

fn encode(request: &ChatRequest, to: &Target) -> Result<Request<Bytes>, EncodeError> {
    PROVIDER.encode(request, to, &Credential::Key(Secret::new("sk-ant-api-1")), UnixMillis(0))
}

/// The body that a chat in OpenAI's words becomes.
fn body(chat: &str, to: &Target) -> Value {
    let call = encode(&request(Endpoint::ChatCompletions, chat), to).unwrap();
    serde_json::from_slice(call.body()).unwrap()
}

#[test]
fn messages_pass_byte_for_byte_but_for_the_model_and_what_is_the_gateways() {
    let body = "{ \"model\":\"alias\",\"metadata\":{\"user_id\":\"u\"}, \"max_tokens\": 10.0,\
        \"litellm_metadata\":{}, \"context_management\":{\"x\":1.50}, \"messages\":[ ],\"stream\":true}";
    let request = request(Endpoint::Messages, body);
    let call = encode(&request, &target("claude-opus-4-6")).unwrap();
    let expected = body.replace("alias", "claude-opus-4-6").replace(",\"litellm_metadata\":{}", "");
    assert_eq!(call.body(), expected.as_bytes());
    assert_eq!(call.uri(), "http://up/v1/messages");
    assert!(request.stream());
    assert_eq!(request.labels().end_user.as_deref(), Some("u"));
}

#[test]
fn the_address_may_be_given_in_any_form() {
    for base in ["http://up", "http://up/", "http://up/v1", "http://up/v1/messages"] {
        let to = Target { api_base: base.into(), ..target("m") };
        assert_eq!(encode(&messages(), &to).unwrap().uri(), "http://up/v1/messages", "{base}");
    }
    let count = request(Endpoint::CountTokens, r#"{"model":"alias","messages":[]}"#);
    let call = encode(&count, &target("m")).unwrap();
    assert_eq!(call.uri(), "http://up/v1/messages/count_tokens");
    let vectors = request(Endpoint::Embeddings, r#"{"model":"m","input":"a"}"#);
    assert!(matches!(encode(&vectors, &target("m")), Err(EncodeError::UnsupportedEndpoint { .. })));
}

#[test]
fn credentials_and_headers_go_where_the_api_wants_them() {
    let headers: HeaderMap = [
        (VERSION, HeaderValue::from_static("2024-01-01")),
        (
            HeaderName::from_static("anthropic-beta"),
            HeaderValue::from_static("made-up-1, pdfs-2024-09-25"),
        ),
        (AUTHORIZATION, HeaderValue::from_static("Bearer sk-of-the-client")),
    ]
    .into_iter()
    .collect();
    let header = |call: &Request<Bytes>, name: &str| {
        call.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let call = encode(&messages().with_headers(&headers), &target("m")).unwrap();
    assert_eq!(header(&call, "anthropic-beta").unwrap(), "made-up-1, pdfs-2024-09-25");
    assert_eq!(header(&call, "anthropic-version").unwrap(), "2024-01-01");
    assert_eq!(header(&call, "x-api-key").unwrap(), "sk-ant-api-1");
    assert!(call.headers()["x-api-key"].is_sensitive());
    assert_eq!(header(&call, "authorization"), None);

    let call = encode(&chat().with_headers(&headers), &target("m")).unwrap();
    assert_eq!(header(&call, "anthropic-version").unwrap(), "2023-06-01", "ours, for our words");
    assert_eq!(header(&call, "anthropic-beta").unwrap(), "pdfs-2024-09-25", "unknown ones go");
    let call = encode(&chat(), &target("m")).unwrap();
    assert_eq!(header(&call, "anthropic-version").unwrap(), "2023-06-01");
    assert_eq!(header(&call, "anthropic-beta"), None);

    let own =
        Target { headers: vec![("anthropic-beta".into(), Secret::new("ours"))], ..target("m") };
    let call = encode(&messages().with_headers(&headers), &own).unwrap();
    assert_eq!(header(&call, "anthropic-beta").unwrap(), "ours,made-up-1, pdfs-2024-09-25");

    for (credential, authorization, beta) in [
        (Credential::Key(Secret::new("sk-ant-oat01-x")), Some("Bearer sk-ant-oat01-x"), true),
        (Credential::Token(Secret::new("t")), Some("Bearer t"), false),
        (Credential::None, None, false),
    ] {
        let call = PROVIDER.encode(&messages(), &target("m"), &credential, UnixMillis(0)).unwrap();
        assert_eq!(header(&call, "authorization").as_deref(), authorization);
        assert_eq!(header(&call, "x-api-key"), None);
        assert_eq!(header(&call, "anthropic-beta").is_some(), beta);
    }
    let file = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#;
    let call = encode(&request(Endpoint::ChatCompletions, file), &target("m")).unwrap();
    assert_eq!(header(&call, "anthropic-beta").unwrap(), "files-api-2025-04-14");
}

#[test]
fn a_chat_becomes_messages() {
    let chat = r#"{"model":"alias","user":"u-1","stop":"END","parallel_tool_calls":false,
        "temperature":0.20,"stream":true,"tags":["t"],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{},"a":{}}}}}],
        "messages":[
        {"role":"system","content":"Be brief."},
        {"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call.1","type":"function","function":{"name":"f","arguments":"{\"z\":1}"}}]},
        {"role":"tool","tool_call_id":"call.1","content":"7"},
        {"role":"user","content":"and?"},
        {"role":"assistant","content":"It is "}]}"#;
    assert_eq!(
        body(chat, &target("claude-opus-4-6")),
        json!({
            "model": "claude-opus-4-6",
            "max_tokens": 4096,
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "hi"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"z": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "7"}]},
                    {"type": "text", "text": "and?"},
                ]},
                {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
            ],
            "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
            "stop_sequences": ["END"],
            "temperature": 0.2,
            "metadata": {"user_id": "u-1"},
            "stream": true,
        })
    );
}

#[test]
fn thought_is_asked_for_as_each_model_takes_it() {
    let ask = |extra: &str, model: &str, most: Option<u64>| {
        let chat =
            format!(r#"{{"model":"a",{extra},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        let body = body(&chat, &Target { max_output: most.map(Tokens), ..target(model) });
        json!([body["thinking"], body["output_config"], body["max_tokens"], body["temperature"]])
    };
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let high = r#""reasoning_effort":"high","temperature":0"#;
    for (extra, model, most, expected) in [
        (high, "claude-sonnet-4-5", None, json!([budget(4096), null, 8192, null])),
        (high, "claude-sonnet-4-5", Some(64_000), json!([budget(4096), null, 64_000, null])),
        (
            high,
            "claude-opus-4-6",
            None,
            json!([{"type": "adaptive", "display": "summarized"}, {"effort": "high"}, 4096, null]),
        ),
        (
            r#""reasoning_effort":"low","max_tokens":100"#,
            "claude-3-7-sonnet",
            None,
            json!([null, null, 100, null]),
        ),
        // The client's bound holds thought and answer.
        (
            r#""reasoning_effort":"high","max_tokens":2000"#,
            "claude-3-7-sonnet",
            None,
            json!([budget(1500), null, 2000, null]),
        ),
        (high, "claude-sonnet-4-5", Some(4096), json!([budget(3072), null, 4096, null])),
        (
            r#""thinking":{"type":"enabled","budget_tokens":2000},"max_tokens":3000"#,
            "claude-opus-4-1",
            None,
            json!([budget(2000), null, 3000, null]),
        ),
        (
            r#""reasoning_effort":"none","temperature":0"#,
            "claude-opus-4-6",
            None,
            json!([null, null, 4096, 0]),
        ),
        // A tool that must be called is the harder wish.
        (
            r#""reasoning_effort":"high","tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}]"#,
            "claude-sonnet-4-5",
            None,
            json!([null, null, 4096, null]),
        ),
    ] {
        assert_eq!(ask(extra, model, most), expected, "{extra} {model}");
    }
    let amid = r#"{"model":"a","reasoning_effort":"high","messages":[{"role":"user","content":"hi"},
        {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":"1"}]}"#;
    assert_eq!(body(amid, &target("claude-sonnet-4-5"))["thinking"], Value::Null);
    assert_eq!(body(amid, &target("claude-opus-4-7"))["thinking"]["type"], "adaptive");
}

#[test]
fn json_is_asked_for_as_each_model_takes_it() {
    let ask = |format: Value, tools: Value, model: &str| {
        let chat = json!({"model": "a", "response_format": format, "tools": tools,
            "messages": [{"role": "user", "content": "hi"}]});
        let body = body(&chat.to_string(), &target(model));
        json!([body["output_config"], body["tools"], body["tool_choice"]])
    };
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    let native = json!({"format": {"type": "json_schema", "schema": closed}});
    assert_eq!(ask(format.clone(), json!([]), "claude-sonnet-4-5"), json!([native, null, null]));
    let tool = json!({"name": "json_tool_call", "input_schema": schema});
    let forced = json!({"type": "tool", "name": "json_tool_call"});
    assert_eq!(ask(format.clone(), json!([]), "claude-3-7-sonnet"), json!([null, [tool], forced]));
    let own = json!([{"type": "function", "function": {"name": "f"}}]);
    let both = ask(format, own, "claude-3-7-sonnet");
    assert_eq!((both[1].as_array().unwrap().len(), &both[2]), (2, &json!({"type": "any"})));
    let any = ask(json!({"type": "json_object"}), json!([]), "claude-opus-4-7");
    assert_eq!(any[2], forced);
}

#[test]
fn what_there_is_not_is_refused_or_dropped() {
    let chat = r#"{"model":"a","seed":1,"reasoning_effort":"low","foo":1,"messages":[{"role":"user","content":"hi"}]}"#;
    let chat = request(Endpoint::ChatCompletions, chat);
    let refused = encode(&chat, &target("claude-3-5-haiku")).unwrap_err();
    let EncodeError::UnsupportedParams { params, .. } = refused else { panic!("{refused}") };
    assert_eq!(params, ["seed", "reasoning_effort", "foo"]);
    let params = ParamRules { drop_unsupported: true, ..ParamRules::default() };
    let body_defaults: Vec<(Arc<str>, Arc<str>)> = vec![
        ("top_p".into(), "0.5".into()),
        ("speed".into(), "\"fast\"".into()),
        ("own".into(), "1".into()),
    ];
    let dropping = Target { params, body_defaults, ..target("claude-3-5-haiku") };
    let call = encode(&chat, &dropping).unwrap();
    let body: Value = serde_json::from_slice(call.body()).unwrap();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["model", "max_tokens", "messages", "top_p", "speed", "own"],
        "the operator's stay"
    );
    assert_eq!(call.headers()["anthropic-beta"], "fast-mode-2026-02-01");

    let sound = r#"{"model":"a","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}]}"#;
    let refused = encode(&request(Endpoint::ChatCompletions, sound), &target("m")).unwrap_err();
    assert!(refused.to_string().contains("audio"), "{refused}");
}

/// What every request of Claude Code's says, to a model that has none of it.
#[test]
fn wishes_of_another_dialect_are_no_reason_to_refuse() {
    let body = r#"{"model":"a","max_tokens":9,"thinking":{"type":"adaptive"},"top_k":5,
        "context_management":{"edits":[]},"messages":[{"role":"user","content":"hi"}]}"#;
    let gemini = crate::find("gemini").expect("it is served");
    let asked = request(Endpoint::Messages, body);
    let key = Credential::Key(Secret::new("k"));
    let call = gemini.encode(&asked, &target("gemini-2.0-flash"), &key, UnixMillis(0)).unwrap();
    let sent: Value = serde_json::from_slice(call.body()).unwrap();
    assert!(sent.get("context_management").is_none(), "{sent}");
    let seed = request(
        Endpoint::ChatCompletions,
        r#"{"model":"a","context_management":{},"messages":[]}"#,
    );
    let refused =
        gemini.encode(&seed, &target("gemini-2.0-flash"), &key, UnixMillis(0)).unwrap_err();
    assert!(matches!(refused, EncodeError::UnsupportedParams { .. }), "{refused}");
}

#[test]
fn whole_answers_pass_or_become_chats() {
    let usage = Usage {
        prompt: Tokens(2065),
        cached: Tokens(2048),
        cache_write: Tokens(5),
        cache_write_1h: Tokens(3),
        completion: Tokens(6),
        ..Usage::default()
    };
    for (name, bytes) in files(&PROVIDER, "reply") {
        let passed =
            PROVIDER.decode(&messages(), &target("m"), StatusCode::OK, bytes.clone()).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let model = json["model"].as_str().unwrap();
        let written = passed.write(Endpoint::Messages, stamp("alias"));
        assert_eq!(written, text.replacen(model, "alias", 1), "{name}");
        assert_eq!(passed.id(), json["id"].as_str(), "{name}");
        assert!(passed.output_estimate().0 > 0, "{name}");

        let read = PROVIDER.decode(&chat(), &target("m"), StatusCode::OK, bytes).unwrap();
        assert_eq!(read.usage(), passed.usage(), "{name}");
        let thought = passed.usage().expect("it counts").reasoning;
        assert_eq!(thought.0, if name == "reply-thinking.json" { 7 } else { 0 });
        if name == "reply.json" {
            assert_eq!(read.usage(), Some(usage.clone()));
        }
        let chat = read.write(Endpoint::ChatCompletions, stamp("alias"));
        let chat: Value = serde_json::from_slice(&chat).unwrap();
        let choice = &chat["choices"][0];
        let expected = match &*name {
            "reply.json" => ("stop", json!({"content": "Bonjour.", "role": "assistant"})),
            "reply-thinking.json" => (
                "stop",
                json!({
                    "content": "Hello.",
                    "role": "assistant",
                    "reasoning_content": "A greeting.",
                    "thinking_blocks": [json["content"][0], json["content"][1]],
                }),
            ),
            "reply-tools.json" => (
                "tool_calls",
                json!({"content": "Let me look.", "role": "assistant", "tool_calls": [{
                    "id": "toolu_01D7FLrfh4GYq7yT1ULFeyMV",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\"location\":\"Paris\",\"days\":[1,2]}"},
                }]}),
            ),
            other => panic!("{other} is not looked at"),
        };
        assert_eq!(
            (choice["finish_reason"].as_str().unwrap(), &choice["message"]),
            (expected.0, &expected.1)
        );
    }
}

#[test]
fn an_answer_that_was_made_to_be_json_is_the_answers_text() {
    let reply = br#"{"content":[{"type":"tool_use","id":"t","name":"json_tool_call","input":{"a": 1}}],"stop_reason":"tool_use"}"#;
    let reply =
        PROVIDER.decode(&chat(), &target("m"), StatusCode::OK, Bytes::from_static(reply)).unwrap();
    let chat: Value =
        serde_json::from_slice(&reply.write(Endpoint::ChatCompletions, stamp("a"))).unwrap();
    let choice = &chat["choices"][0];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!("{\"a\": 1}"), &json!("stop"))
    );
}

#[test]
fn what_is_said_beside_an_answer_in_json_is_none_of_it() {
    let asked = request(
        Endpoint::ChatCompletions,
        r#"{"model":"a","messages":[],"stream":true,"response_format":{"type":"json_object"}}"#,
    );
    let text = |text: &str| json!({"type": "text", "text": text});
    let call = |name: &str, input: Value| json!({"type": "tool_use", "id": "t", "name": name, "input": input});
    let answer = |value: &str| call("json_tool_call", json!({"a": value}));
    let only = r#"{"a":"b"}"#;
    for (content, said, finish) in [
        (json!([answer("b")]), only, Finish::Stop),
        (json!([text("Here:"), answer("b")]), only, Finish::Stop),
        (json!([answer("b"), text("Done.")]), only, Finish::Stop),
        (json!([answer("b"), answer("c")]), only, Finish::Stop),
        (json!([text("x"), call("f", json!({})), answer("b")]), only, Finish::ToolCalls),
        (json!([text("No "), text("call.")]), "No call.", Finish::Stop),
    ] {
        let reply = json!({"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": content, "stop_reason": if finish == Finish::ToolCalls || said == only
                { "tool_use" } else { "end_turn" },
            "usage": {"input_tokens": 1, "output_tokens": 1}});
        let whole = PROVIDER.decode(&asked, &target("m"), StatusCode::OK, reply.to_string().into());
        let whole = whole.unwrap().write(Endpoint::ChatCompletions, stamp("a"));
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], said, "{content}");
        let frames = dunlin_llm::anthropic::frames_of_reply(reply.to_string().as_bytes()).unwrap();
        let (events, ended) = events_for(&asked, &PROVIDER, &frames.concat().into(), &[]);
        ended.unwrap();
        let (mut words, mut ends) = (String::new(), Vec::new());
        for event in events {
            if let StreamEvent::Delta(Delta::Text { text, .. }) = event {
                words.push_str(&text);
            } else if let StreamEvent::Delta(Delta::Finish { finish, .. }) = event {
                ends.push(finish);
            }
        }
        assert_eq!((words.as_str(), ends), (said, vec![finish]), "{content}");
    }
}

#[test]
fn a_count_is_read() {
    let count = request(Endpoint::CountTokens, r#"{"model":"alias","messages":[]}"#);
    let decode = |body: &'static str| {
        PROVIDER.decode(&count, &target("m"), StatusCode::OK, Bytes::from_static(body.as_bytes()))
    };
    let read = decode(r#"{"input_tokens":2095}"#).unwrap();
    assert_eq!(read.usage().map(|usage| usage.prompt), Some(Tokens(2095)));
    assert_eq!(decode("{}").unwrap_err().cause, Cause::BadReply);
}

#[test]
fn streams_pass_as_they_are_and_say_what_was_used() {
    for (name, stream) in files(&PROVIDER, "stream") {
        let (events, ended) = events_for(&messages(), &PROVIDER, &stream, &[]);
        assert_eq!(ended, Ok(()), "{name}");
        let text = String::from_utf8(stream.to_vec()).unwrap();
        let mut written = Vec::new();
        let mut usage = None;
        for event in &events {
            match event {
                StreamEvent::Chunk(chunk) => {
                    usage = chunk.usage().or(usage);
                    written.extend(chunk.write("alias", true).expect("all chunks go out"));
                }
                StreamEvent::Comment(frame) | StreamEvent::Done(frame) => written.extend(frame),
                StreamEvent::Delta(_) | StreamEvent::Error(_) | StreamEvent::Failed(..) => {
                    panic!("{event:?}")
                }
            }
        }
        let written = String::from_utf8(written).unwrap();
        let model =
            if name == "stream.sse" { "claude-sonnet-4-5-20250929" } else { "claude-opus-4-6" };
        assert_eq!(written, text.replacen(model, "alias", 1), "{name}");
        let usage = usage.expect("it counts");
        let counted = (usage.prompt.0, usage.cached.0, usage.completion.0);
        let expected = if name == "stream.sse" { (125, 100, 15) } else { (472, 0, 89) };
        assert_eq!(counted, expected, "the parts add up");
    }
}

#[test]
fn streams_become_deltas() {
    let tools = files(&PROVIDER, "stream-tools").remove(0).1;
    let (events, ended) = events_for(&chat(), &PROVIDER, &tools, &[]);
    assert_eq!(ended, Ok(()));
    let kinds: Vec<String> = events
        .iter()
        .map(|event| match event {
            StreamEvent::Delta(Delta::Start { .. }) => "start".into(),
            StreamEvent::Delta(Delta::Thinking { text, .. }) => format!("thinks {text}"),
            StreamEvent::Delta(Delta::Signature { .. }) => "signs".into(),
            StreamEvent::Delta(Delta::ToolCall { call, name, .. }) => format!("call {call} {name}"),
            StreamEvent::Delta(Delta::Arguments { call, text, .. }) => format!("{call} {text}"),
            StreamEvent::Delta(Delta::Usage(usage)) => format!("used {}", usage.total().0),
            StreamEvent::Delta(Delta::Finish { finish: Finish::ToolCalls, .. }) => "calls".into(),
            StreamEvent::Done(frame) => format!("done {}", frame.len()),
            StreamEvent::Delta(_)
            | StreamEvent::Chunk(_)
            | StreamEvent::Comment(_)
            | StreamEvent::Error(_)
            | StreamEvent::Failed(..) => format!("{event:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "start",
            "thinks The weather.",
            "signs",
            "call 0 get_weather",
            "0 {\"location\": \"San",
            "0  Francisco\"}",
            "used 561",
            "calls",
            "done 0",
        ]
    );
    let text = files(&PROVIDER, "stream.sse").remove(0).1;
    let (events, _) = events_for(&chat(), &PROVIDER, &text, &[]);
    let pings: Vec<&StreamEvent> =
        events.iter().filter(|event| matches!(event, StreamEvent::Comment(_))).collect();
    assert_eq!(pings, [&StreamEvent::Comment(Bytes::from_static(b": ping\n\n"))]);
}

#[test]
fn hostile_streams_end_as_errors() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n";
    let stop = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}";
    for (stream, whole) in [
        (format!("{start}{stop}\n\n"), true),
        (format!("{start}{stop}"), true),
        (format!("{start}data: {{\"type\":\"new_event\",\"index\":{{}}}}\n\n{stop}\n\n"), true),
        (
            format!(
                "{start}data: {{\"type\":\"content_block_start\",\"index\":18446744073709551615,\"content_block\":{{\"type\":\"new\"}}}}\n\n{stop}\n\n"
            ),
            true,
        ),
        (
            format!(
                "{start}data: {{\"type\":\"content_block_delta\",\"index\":7,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":\"x\"}}}}\n\n{stop}\n\n"
            ),
            true,
        ),
        (start.to_owned(), false),
        ("data: {\"type\":\"message_stop\"}\n\n".to_owned(), false),
        (
            format!(
                "{start}data: {{\"type\":\"content_block_delta\",\"index\":-1,\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n\n{stop}\n\n"
            ),
            false,
        ),
        (
            format!("{start}data: {{\"type\":\"content_block_start\",\"index\":0}}\n\n{stop}\n\n"),
            false,
        ),
        (format!("{start}data: {{\"delta\":{{}}}}\n\n{stop}\n\n"), false),
        (format!("{start}data: []\n\n{stop}\n\n"), false),
        (format!("{start}data: {{\"type\":\"message\n\n{stop}\n\n"), false),
    ] {
        let stream = Bytes::from(stream);
        let (_, ended) = events_for(&chat(), &PROVIDER, &stream, &[]);
        assert_eq!(ended.is_ok(), whole, "{stream:?} {ended:?}");
    }
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for request in [chat(), messages()] {
        let stream = Bytes::from(format!("{start}{error}{stop}\n\n"));
        let (events, ended) = events_for(&request, &PROVIDER, &stream, &[]);
        assert_eq!(ended, Ok(()));
        let Some(StreamEvent::Error(error)) = events.last() else { panic!("{events:?}") };
        let error = ProviderError::event(SPEAKER, error.clone());
        assert_eq!((error.cause, &*error.message), (Cause::Overloaded, "Overloaded"));
    }
}

proptest! {
    #[test]
    fn passed_events_do_not_depend_on_how_the_bytes_are_cut(
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        length in any::<Index>(),
    ) {
        for (name, stream) in files(&PROVIDER, "stream") {
            let stream = stream.slice(..=length.index(stream.len()));
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            at.sort_unstable();
            let whole: (Vec<StreamEvent>, Result<(), StreamError>) =
                events_for(&messages(), &PROVIDER, &stream, &[]);
            prop_assert_eq!(events_for(&messages(), &PROVIDER, &stream, &at), whole, "{}", name);
        }
    }
}

#[test]
fn what_a_strict_api_refuses_is_mended_where_that_is_allowed() {
    let chat = r#"{"model":"m","messages":[{"role":"system","content":"s"},
        {"role":"assistant","content":"a","tool_calls":[{"id":"1","type":"function",
        "function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"r"}]}"#;
    let to = target("claude-opus-4-6");
    let as_said = body(chat, &to);
    assert_eq!(as_said["messages"][0]["role"], "assistant");
    assert_eq!(as_said.get("tools"), None);
    let to = Target { params: ParamRules { mend: true, ..ParamRules::default() }, ..to };
    let mended = body(chat, &to);
    assert_eq!(mended["messages"][0]["role"], "user");
    assert_eq!(mended["messages"][0]["content"][0]["text"], "Please continue.");
    assert_eq!(mended["tools"][0]["name"], "dummy_tool");
    let fit = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let unmended = target("claude-opus-4-6");
    assert_eq!(body(fit, &to), body(fit, &unmended));
    let begun = r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"{"}]}"#;
    for (model, is_mended) in [("claude-opus-4-6", true), ("claude-sonnet-4-5", false)] {
        let sent = body(begun, &Target { model: model.into(), ..to.clone() });
        assert_eq!(sent["messages"].as_array().unwrap().len(), if is_mended { 3 } else { 2 });
        assert_eq!(body(begun, &target(model))["messages"].as_array().unwrap().len(), 2);
    }
}
