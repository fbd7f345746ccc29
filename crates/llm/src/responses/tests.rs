//! Requests in, response objects and events out.

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use serde_json::{Value, json};

use crate::form::{
    Chat, Choice, Delta, Finish, Format, Json, Part, PartKind, Reply, Role, ToolCall,
};
use crate::tier::Tier;
use crate::{BadRequest, Endpoint, Stamp, StreamEvent, parse};

fn form(body: &Value) -> Result<Chat, BadRequest> {
    parse(Endpoint::Responses, Bytes::from(body.to_string()), None)?.form_with(&[])
}

#[test]
fn a_conversation_of_items_is_a_chat() {
    let chat = form(&json!({
        "model": "m",
        "instructions": "be brief",
        "metadata": {"a": "b"},
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 64,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": false}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "f"},
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "seal"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "let me", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        ],
    }))
    .unwrap();
    let turns: Vec<(Role, usize)> =
        chat.messages.iter().map(|message| (message.role, message.parts.len())).collect();
    assert_eq!(turns, [(Role::System, 1), (Role::User, 2), (Role::Assistant, 4), (Role::User, 2)]);
    assert_eq!((chat.max_output, chat.tools.len(), chat.other.len()), (Some(64), 2, 0));
    assert!(matches!(chat.format, Some(Format::Schema { .. })));
}

#[test]
fn what_only_a_keeper_of_responses_could_do_is_refused() {
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("background", json!("yes")),
        ("store", json!("false")),
        ("store", json!(0)),
        ("metadata", json!([1])),
        ("max_tool_calls", json!("x")),
        ("conversation", json!("conv_1")),
        ("input", json!([{"type": "item_reference", "id": "rs_1"}])),
        ("input", json!([{"type": "function_call_output", "output": "x"}])),
        ("tools", json!([{"type": "function"}])),
        ("text", json!({"format": {"type": "json_schema"}})),
    ] {
        let mut body = json!({"model": "m", "input": "hi"});
        body[field] = value;
        let error = form(&body).expect_err(field).to_string();
        assert!(error.contains(field), "{error}");
    }
}

const REQUEST: &str = r#"{"model":"m","input":"hi","temperature":0.5,"metadata":{"a":"b"}}"#;
const STAMP: Stamp<'_> = Stamp { model: "mine", id: "x", now: 7, request: REQUEST, turn: None };

fn call() -> ToolCall {
    let (id, name) = ("c1".to_owned(), "f".to_owned());
    ToolCall { id, name, arguments: r#"{"a":1}"#.to_owned(), signature: None }
}

#[test]
fn a_reply_is_a_response_that_repeats_the_request() {
    let parts = vec![
        PartKind::Thinking { text: "hm".into(), signature: None }.into(),
        Part::text("Hello"),
        PartKind::ToolCall(call()).into(),
    ];
    let choice =
        Choice { index: 0, parts, finish: Finish::Length, logprobs: None, citations: Vec::new() };
    let usage = Usage { prompt: Tokens(3), completion: Tokens(2), ..Usage::default() };
    let reply = Reply { choices: vec![choice], usage: Some(usage), ..Reply::default() };
    let json: Value =
        serde_json::from_slice(&Endpoint::Responses.write_reply(&reply, STAMP)).unwrap();
    assert_eq!(json["id"], "resp_x");
    assert_eq!(json["status"], "incomplete");
    assert_eq!(json["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!((&json["temperature"], &json["metadata"]["a"]), (&json!(0.5), &json!("b")));
    assert_eq!((&json["top_p"], &json["usage"]["total_tokens"]), (&json!(1.0), &json!(5)));
    let kinds: Vec<&str> =
        json["output"].as_array().unwrap().iter().map(|i| i["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(json["output"][1]["content"][0]["text"], "Hello");
}

#[test]
fn events_come_in_openais_order_and_add_up_to_the_response() {
    let mut writer = Endpoint::Responses.stream_writer(STAMP, false);
    let mut out = Vec::new();
    for delta in [
        Delta::Start { id: None, model: None, usage: None },
        Delta::Thinking { choice: 0, text: "hm".into() },
        Delta::Text { choice: 0, text: "Hel".into() },
        Delta::Text { choice: 0, text: "lo".into() },
        Delta::ToolCall { choice: 0, call: 0, id: "c1".into(), name: "f".into(), signature: None },
        Delta::Arguments { choice: 0, call: 0, text: r#"{"a":"#.into() },
        Delta::Arguments { choice: 0, call: 0, text: "1}".into() },
        Delta::Text { choice: 1, text: "another answer".into() },
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(Usage { prompt: Tokens(3), completion: Tokens(2), ..Usage::default() }),
    ] {
        writer.write(delta, &mut out);
    }
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let events: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|frame| {
            let (kind, data) = frame.split_once("\ndata: ").expect("an event and its data");
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(kind, format!("event: {}", data["type"].as_str().unwrap()));
            data
        })
        .collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let numbers: Vec<u64> =
        events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..events.len() as u64));
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][1]["content"][0]["text"], "Hello");
    assert_eq!(last["output"][2]["arguments"], r#"{"a":1}"#);
    assert_eq!(last["usage"]["input_tokens"], 3);
}

/// What a provider's events say, frame by frame.
#[test]
fn calls_whose_pieces_are_mixed_keep_their_arguments() {
    let mut writer = Endpoint::Responses.stream_writer(STAMP, false);
    let begin = |call: u32| Delta::ToolCall {
        choice: 0,
        call,
        id: format!("c{call}"),
        name: "f".to_owned(),
        signature: None,
    };
    let arguments = |call, text: &str| Delta::Arguments { choice: 0, call, text: text.to_owned() };
    let mut out = Vec::new();
    for delta in [
        Delta::Start { id: None, model: None, usage: None },
        begin(0),
        begin(1),
        arguments(1, "{\"b\":"),
        arguments(0, "{\"a\":1}"),
        arguments(1, "2}"),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
    ] {
        writer.write(delta, &mut out);
    }
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    let output = last["response"]["output"].as_array().unwrap();
    let calls: Vec<_> = output.iter().map(|item| (&item["call_id"], &item["arguments"])).collect();
    assert_eq!(calls, [(&json!("c0"), &json!("{\"a\":1}")), (&json!("c1"), &json!("{\"b\":2}"))]);
}

fn events_of(frames: &[&str]) -> Vec<StreamEvent> {
    let mut events = Vec::new();
    for frame in frames {
        super::read_frame(Bytes::copy_from_slice(frame.as_bytes()), &mut events).unwrap();
    }
    events
}

#[test]
fn a_providers_own_response_passes_with_nothing_changed_but_the_model() {
    let body = r#"{ "model" : "up", "zebra":[1.50, null], "id":"resp_1","output":[{"type":"message",
        "content":[{"type":"output_text","text":"hello"}]}], "usage":{"input_tokens":7,
        "input_tokens_details":{"cached_tokens":2},"output_tokens":3,"total_tokens":10}, "new":{} }"#;
    let reply = super::parse_reply(Bytes::from_static(body.as_bytes())).unwrap().unwrap();
    let stamp = Stamp { model: "down", id: "x", now: 0, request: "{}", turn: None };
    let written = reply.write(Endpoint::Responses, stamp);
    assert_eq!(std::str::from_utf8(&written).unwrap(), body.replace("\"up\"", "\"down\""));
    let usage = reply.usage().unwrap();
    assert_eq!((usage.prompt, usage.cached, usage.completion), (Tokens(7), Tokens(2), Tokens(3)));
    assert_eq!(reply.id(), Some("resp_1"));

    let failed =
        r#"{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"no"}}"#;
    let failed = super::parse_reply(Bytes::from_static(failed.as_bytes())).unwrap().unwrap_err();
    assert_eq!((failed.code.as_deref(), &*failed.message), (Some("server_error"), "no"));
}

#[test]
fn what_was_written_to_a_cache_is_counted_and_told() {
    let response = r#"{"id":"resp_1","output":[],"service_tier":"priority","usage":{
        "input_tokens":50,"input_tokens_details":{"cached_tokens":10,"cache_write_tokens":20},
        "output_tokens":3,"total_tokens":53}}"#;
    let whole = super::parse_reply(Bytes::from_static(response.as_bytes())).unwrap().unwrap();
    let used = whole.usage().unwrap();
    assert_eq!((used.prompt, used.cached, used.cache_write), (Tokens(50), Tokens(10), Tokens(20)));
    let compact = response.replace('\n', "");
    let last = format!(r#"data: {{"type":"response.completed","response":{compact}}}"#);
    let StreamEvent::Chunk(last) = &events_of(&[&format!("{last}\n\n")])[0] else {
        panic!("{last}")
    };
    assert_eq!(last.usage(), whole.usage());

    let tier = Some("priority".to_owned());
    let reply = Reply { usage: whole.usage(), service_tier: tier, ..Reply::default() };
    let told = Endpoint::Responses.write_reply(&reply, STAMP);
    let mut writer = Endpoint::Responses.stream_writer(STAMP, false);
    let mut out = Vec::new();
    for delta in [
        Delta::Start { id: None, model: None, usage: None },
        Delta::Served(Tier::Priority),
        Delta::Usage(whole.usage().unwrap()),
    ] {
        writer.write(delta, &mut out);
    }
    writer.finish(&mut out);
    for told in [told, super::last_response(&out).unwrap()] {
        let told: Value = serde_json::from_slice(&told).unwrap();
        let details = &told["usage"]["input_tokens_details"];
        assert_eq!(details, &json!({"cached_tokens": 10, "cache_write_tokens": 20}));
        assert_eq!(told["service_tier"], "priority");
    }
}

#[test]
fn a_providers_own_events_pass_and_its_last_one_ends_the_stream() {
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"up\",\"usage\":null},\"x\":1.0}\n\n";
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hello\",\"model\":\"up\",\"id\":\"resp_1\"}\n\n";
    let done = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"up\",\"usage\":{\"input_tokens\":7,\"output_tokens\":3}}}\n\n";
    let events = events_of(&[created, "data: [DONE]\n\n", delta, done]);
    let [
        StreamEvent::Chunk(first),
        StreamEvent::Comment(_),
        StreamEvent::Chunk(second),
        StreamEvent::Chunk(third),
        StreamEvent::Done(end),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(first.write("down", false).unwrap(), created.replace("up", "down"));
    assert_eq!((first.id(), first.usage()), (Some("resp_1"), None));
    assert_eq!(second.write("down", false).unwrap(), delta, "only a response names its model");
    assert_eq!((second.id(), second.text_bytes()), (None, 5));
    assert_eq!(third.usage().unwrap().completion, Tokens(3));
    assert!(end.is_empty());

    for (frame, code) in [
        (
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"no"}}}"#,
            "server_error",
        ),
        (r#"{"type":"error","code":"rate_limit_exceeded","message":"no"}"#, "rate_limit_exceeded"),
        (
            r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"no"}}"#,
            "rate_limit_exceeded",
        ),
    ] {
        let events = events_of(&[&format!("data: {frame}\n\n")]);
        let [StreamEvent::Error(error) | StreamEvent::Failed(error, _)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!((error.code.as_deref(), &*error.message), (Some(code), "no"));
    }
    let other = &mut Vec::new();
    assert!(super::read_frame(Bytes::from_static(b"data: {\"choices\":[]}\n\n"), other).is_err());
}

#[test]
fn what_a_stream_says_of_its_words_and_custom_calls_is_what_the_whole_says() {
    let request = r#"{"model":"m","input":"hi","tools":[{"type":"custom","name":"f"}]}"#;
    let stamp = Stamp { request, ..STAMP };
    let logprobs = Json::of(&json!({"content": [{"token": "Hi", "logprob": -0.5}]}));
    let called = ToolCall { arguments: r#"{"input":"a\nb"}"#.to_owned(), ..call() };
    let (id, name) = (called.id.clone(), called.name.clone());
    let choice = Choice {
        index: 0,
        parts: vec![Part::text("Hi"), PartKind::ToolCall(called).into()],
        finish: Finish::Length,
        logprobs: Some(logprobs.clone()),
        citations: Vec::new(),
    };
    let reply = Reply { choices: vec![choice], ..Reply::default() };
    let whole: Value =
        serde_json::from_slice(&Endpoint::Responses.write_reply(&reply, stamp)).unwrap();
    let mut writer = Endpoint::Responses.stream_writer(stamp, false);
    let mut out = Vec::new();
    for delta in [
        Delta::Start { id: None, model: None, usage: None },
        Delta::Text { choice: 0, text: "Hi".into() },
        Delta::Logprobs { choice: 0, logprobs },
        Delta::ToolCall { choice: 0, call: 0, id, name, signature: None },
        Delta::Arguments { choice: 0, call: 0, text: r#"{"input":"a"#.into() },
        Delta::Arguments { choice: 0, call: 0, text: r#"\nb"}"#.into() },
        Delta::Finish { choice: 0, finish: Finish::Length },
    ] {
        writer.write(delta, &mut out);
    }
    writer.finish(&mut out);
    let end: Value = serde_json::from_slice(&super::last_response(&out).unwrap()).unwrap();
    for (said, how) in [(&whole, "whole"), (&end, "streamed")] {
        let (words, call) = (&said["output"][0]["content"][0], &said["output"][1]);
        assert_eq!(words["logprobs"][0]["token"], "Hi", "{how}");
        assert_eq!(
            (&call["type"], &call["input"], &call["status"]),
            (&json!("custom_tool_call"), &json!("a\nb"), &json!("incomplete")),
            "{how}"
        );
    }
}
