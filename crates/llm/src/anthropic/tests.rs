//! Bodies, answers and streams in Anthropic's words, and what they become in others.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::{Endpoint, Stamp, StreamWriter};
use crate::form::{
    Cache, Chat, Choice, Delta, Finish, Json, Message, Part, PartKind, Reply, Role, Source, Tool,
    ToolCall, ToolChoice,
};
use crate::openai::{self, ChatStyle, Entity, ErrorBody, UpstreamError};
use crate::{BadRequest, ChatReply, Dialect, parse};

const STAMP: Stamp<'static> = Stamp { model: "mine", id: "id", now: 1, request: "", turn: None };

fn read(body: &Value, defaults: &[(&str, &str)]) -> Result<Chat, BadRequest> {
    let defaults: Vec<(Arc<str>, Arc<str>)> =
        defaults.iter().map(|&(name, json)| (name.into(), json.into())).collect();
    parse(Endpoint::Messages, Bytes::from(body.to_string()), None)?.form_with(&defaults)
}

/// The body as an OpenAI-compatible server gets it.
fn bridged(body: &Value, defaults: &[(&str, &str)]) -> Value {
    let chat = read(body, defaults).unwrap_or_else(|error| panic!("{body}: {error}"));
    serde_json::from_slice(&openai::write_chat(&chat, "up", ChatStyle::COMPATIBLE)).unwrap()
}

#[test]
fn messages_become_a_chat() {
    let body = json!({
        "model": "claude-x", "max_tokens": 9, "stream": true, "top_k": 5, "temperature": 0.5,
        "system": [
            {"type": "text", "text": "One. ", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Two."},
        ],
        "metadata": {"user_id": "u".repeat(70)}, "litellm_metadata": {"tags": []},
        "stop_sequences": ["END"], "context_management": {"edits": []},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object", "z": 1, "a": 2}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "url", "url": "http://i"}},
                {"type": "document", "title": "t", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                {"type": "search_result", "source": "s", "title": "x", "content": []},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "r"},
                {"type": "text", "text": "so"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 2}},
                {"type": "server_tool_use", "id": "t2", "name": "web_search", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "7"}], "is_error": true},
                {"type": "text", "text": "and?", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ]},
        ],
    });
    assert_eq!(
        bridged(&body, &[("chat_template_kwargs", r#"{"a":1}"#), ("temperature", "1")]),
        json!({
            "model": "up", "max_tokens": 9, "temperature": 0.5, "top_k": 5, "stop": ["END"],
            "reasoning_effort": "low", "user": "u".repeat(64),
            "messages": [
                {"role": "system", "content": "One. \nTwo."},
                {"role": "user", "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "http://i"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "t"}},
                    {"type": "text", "text": "plain"},
                ]},
                {"role": "assistant", "content": "so", "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1,\"a\":2}"}},
                ]},
                {"role": "tool", "tool_call_id": "t1", "content": "7"},
                {"role": "user", "content": "and?"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "z": 1, "a": 2}}}],
            "tool_choice": "required", "parallel_tool_calls": false,
            "chat_template_kwargs": {"a": 1},
            "stream": true, "stream_options": {"include_usage": true},
        })
    );
}

/// As Claude Code sends them.
#[test]
fn instructions_in_the_middle_are_the_users_where_templates_want_turns() {
    let body = json!({"model": "m", "max_tokens": 1, "system": "first", "messages": [
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "remember"},
        {"role": "assistant", "content": "ho"},
        {"role": "system", "content": "again"},
        {"role": "user", "content": "go"},
    ]});
    let said = |messages: &Value| -> Vec<String> {
        let messages = messages.as_array().unwrap().iter();
        messages.map(|m| format!("{} {}", m["role"], m["content"]).replace('"', "")).collect()
    };
    assert_eq!(
        said(&bridged(&body, &[])["messages"]),
        ["system first", "user hi\\n\\nremember", "assistant ho", "user again", "user go"]
    );
    let openai = openai::write_chat(&read(&body, &[]).unwrap(), "up", ChatStyle::OPENAI);
    let openai: Value = serde_json::from_slice(&openai).unwrap();
    assert_eq!(said(&openai["messages"])[2], "system remember");
}

#[test]
fn how_much_to_think_is_said_in_two_places() {
    let effort = |extra: Value| {
        let mut body = json!({"model": "m", "max_tokens": 1, "messages": []});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        bridged(&body, &[])["reasoning_effort"].clone()
    };
    for (extra, expected) in [
        (json!({}), json!(null)),
        (json!({"thinking": {"type": "disabled"}}), json!("none")),
        (json!({"thinking": {"type": "adaptive"}}), json!("high")),
        (
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
            json!("low"),
        ),
        (json!({"output_config": {"effort": "max"}}), json!("max")),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 31999}}), json!("high")),
        (json!({"thinking": null}), json!(null)),
    ] {
        assert_eq!(effort(extra.clone()), expected, "{extra}");
    }
    let schema = json!({"type": "json_schema", "schema": {"type": "object"}});
    for place in [json!({"output_format": schema}), json!({"output_config": {"format": schema}})] {
        let mut body = json!({"model": "m", "max_tokens": 1, "messages": []});
        body.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        let format = bridged(&body, &[])["response_format"].clone();
        assert_eq!(format["json_schema"]["schema"], json!({"type": "object"}), "{place}");
    }
}

#[test]
fn bad_bodies_are_refused_by_name() {
    let with = |name: &str, value: Value| {
        let mut body = json!({"model": "m", "max_tokens": 1, "messages": []});
        body[name] = value;
        read(&body, &[]).expect_err(name).to_string()
    };
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    for (name, value, place) in [
        ("max_tokens", json!(null), "'max_tokens'"),
        ("max_tokens", json!("9"), "'max_tokens'"),
        ("messages", json!(null), "'messages'"),
        ("messages", json!({}), "'messages'"),
        ("messages", json!([7]), "'messages[0]'"),
        ("messages", json!([{"role": "robot", "content": ""}]), "'messages[0]'"),
        ("messages", json!([{"role": "user"}]), "'messages[0]'"),
        ("messages", user(json!(7)), "'messages[0]'"),
        ("messages", user(json!([{"text": "no type"}])), "'messages[0]'"),
        ("messages", user(json!([{"type": "text"}])), "'messages[0]'"),
        (
            "messages",
            user(json!([{"type": "image", "source": {"type": "base64"}}])),
            "'messages[0]'",
        ),
        ("messages", user(json!([{"type": "tool_result", "content": "x"}])), "'messages[0]'"),
        ("system", json!(7), "'system'"),
        ("tools", json!([{}]), "'tools[0]'"),
        ("tool_choice", json!({"type": "tool"}), "'tool_choice'"),
        ("thinking", json!("high"), "'thinking'"),
        ("output_config", json!({"format": {"type": "xml"}}), "'output_config'"),
        ("api_key", json!("sk-mine"), "'api_key'"),
    ] {
        let message = with(name, value.clone());
        assert!(message.starts_with("/v1/messages: "), "{message}");
        assert!(message.contains(place), "{value}: {message}");
    }
    let count = parse(Endpoint::CountTokens, Bytes::from(r#"{"model":"m","messages":[]}"#), None);
    assert!(count.is_ok(), "a count needs no bound");
}

#[test]
fn an_answer_is_written_as_a_message() {
    let call = |arguments: &str| {
        let arguments = arguments.to_owned();
        let call = ToolCall { id: "c/1".into(), name: "f".into(), arguments, signature: None };
        PartKind::ToolCall(call).into()
    };
    let thought = PartKind::Thinking { text: "hm".into(), signature: None };
    let parts =
        vec![thought.into(), Part::text("so"), call("{\"a\":1}"), call(""), call("{\"a\":")];
    let usage = Usage {
        prompt: Tokens(20),
        cached: Tokens(5),
        cache_write: Tokens(4),
        cache_write_1h: Tokens(1),
        completion: Tokens(3),
        ..Usage::default()
    };
    let choice = Choice {
        index: 0,
        parts,
        finish: Finish::ToolCalls,
        logprobs: None,
        citations: Vec::new(),
    };
    let reply = Reply { choices: vec![choice], usage: Some(usage), ..Reply::default() };
    let written = ChatReply::from(reply).write(Endpoint::Messages, STAMP);
    let input =
        |input: Value| json!({"type": "tool_use", "id": "c_1", "name": "f", "input": input});
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        json!({
            "id": "msg_id", "type": "message", "role": "assistant", "model": "mine",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "so"},
                input(json!({"a": 1})), input(json!({})), input(json!({"arguments": "{\"a\":"})),
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {
                "input_tokens": 11, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5,
                "output_tokens": 3,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 1},
            },
        })
    );
}

#[test]
fn every_end_has_its_word() {
    for (finish, word, sequence, read_back) in [
        (Finish::Stop, "end_turn", None, true),
        (Finish::StopSequence(Some("E".into())), "stop_sequence", Some("E"), true),
        (Finish::Length, "max_tokens", None, true),
        (Finish::ToolCalls, "tool_use", None, true),
        (Finish::Refusal, "refusal", None, true),
        (Finish::ContentFilter, "refusal", None, false),
        (Finish::Pause, "pause_turn", None, true),
        (Finish::Other("new".into()), "new", None, true),
    ] {
        assert_eq!(reply::finish_words(&finish), (word, sequence));
        let read = reply::finish_named(word, sequence.map(str::to_owned));
        assert_eq!(read == finish, read_back, "{word}");
    }
    assert_eq!(reply::finish_named("model_context_window_exceeded", None), Finish::Length);
}

/// The events that deltas make: their names, with the index and the delta or block of blocks.
fn events(deltas: Vec<Delta>) -> Vec<String> {
    let (mut writer, mut out) = (MessagesWriter::new(STAMP), Vec::new());
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let event = |frame: &str| {
        let (name, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let name = name.strip_prefix("event: ").unwrap();
        assert_eq!(data["type"], name);
        let inner = data.get("delta").or(data.get("content_block")).unwrap_or(&Value::Null);
        let shown = |key: &str| inner.get(key).and_then(Value::as_str).map(str::to_owned);
        let keys = ["text", "thinking", "signature", "partial_json", "data", "id", "stop_reason"];
        let shown = keys.into_iter().find_map(shown).unwrap_or_default();
        let index = data.get("index").map_or(String::new(), |index| format!("{index} "));
        format!("{} {index}{shown}", name.trim_start_matches("content_block_")).trim().to_owned()
    };
    text.trim_end().split("\n\n").map(event).collect()
}

fn start() -> Delta {
    Delta::Start { id: Some("up".into()), model: None, usage: None }
}

fn call(call: u32) -> Delta {
    let (id, name) = (format!("c{call}"), "f".to_owned());
    Delta::ToolCall { choice: 0, call, id, name, signature: None }
}

fn arguments(call: u32, text: &str) -> Delta {
    Delta::Arguments { choice: 0, call, text: text.to_owned() }
}

#[test]
fn a_stream_is_one_block_after_another() {
    let text = |text: &str| Delta::Text { choice: 0, text: text.to_owned() };
    let usage = Usage { prompt: Tokens(9), completion: Tokens(3), ..Usage::default() };
    let deltas = vec![
        start(),
        Delta::Thinking { choice: 0, text: "hm".into() },
        Delta::Signature { choice: 0, signature: "seal".into(), of_thought: true },
        Delta::RedactedThinking { choice: 0, data: "xx".into() },
        text("so"),
        text("…"),
        Delta::Text { choice: 1, text: "of another answer".into() },
        call(0),
        arguments(0, "{\"a\":\"}"),
        arguments(0, "\\\"}\"}"),
        call(1),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(usage),
    ];
    assert_eq!(
        events(deltas),
        [
            "message_start",
            "start 0",
            "delta 0 hm",
            "delta 0 seal",
            "stop 0",
            "start 1 xx",
            "stop 1",
            "start 2",
            "delta 2 so",
            "delta 2 …",
            "stop 2",
            "start 3 c0",
            "delta 3 {\"a\":\"}",
            "delta 3 \\\"}\"}",
            "stop 3",
            "start 4 c1",
            "stop 4",
            "message_delta tool_use",
            "message_stop",
        ]
    );
    assert_eq!(events(vec![start()]), ["message_start", "message_delta end_turn", "message_stop"]);
}

#[test]
fn calls_whose_pieces_are_mixed_come_out_one_by_one() {
    let deltas = vec![
        start(),
        call(0),
        call(7),
        arguments(7, "{\"b\":"),
        arguments(0, "{\"a\":1}"),
        arguments(7, "2}"),
        call(u32::MAX),
        arguments(9, "of no call"),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
    ];
    assert_eq!(
        events(deltas),
        [
            "message_start",
            "start 0 c0",
            "delta 0 {\"a\":1}",
            "stop 0",
            "start 1 c7",
            "delta 1 {\"b\":",
            "delta 1 2}",
            "stop 1",
            "start 2 c4294967295",
            "stop 2",
            "message_delta tool_use",
            "message_stop",
        ]
    );
}

#[test]
fn what_is_said_in_the_midst_of_a_call_waits_for_its_end() {
    let text = |text: &str| Delta::Text { choice: 0, text: text.into() };
    let thought = Delta::Thinking { choice: 0, text: "hm".into() };
    let deltas = vec![
        start(),
        call(0),
        arguments(0, "{\"a\":"),
        text("\n"),
        call(1),
        arguments(1, "{\"b\":2"),
        thought,
        arguments(0, "1}"),
        arguments(1, "}"),
        text("so"),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
    ];
    assert_eq!(
        events(deltas),
        [
            "message_start",
            "start 0 c0",
            "delta 0 {\"a\":",
            "delta 0 1}",
            "stop 0",
            "start 1",
            "delta 1",
            "stop 1",
            "start 2 c1",
            "delta 2 {\"b\":2",
            "delta 2 }",
            "stop 2",
            "start 3",
            "delta 3 hm",
            "stop 3",
            "start 4",
            "delta 4 so",
            "stop 4",
            "message_delta tool_use",
            "message_stop",
        ]
    );
}

#[test]
fn the_last_event_counts_all() {
    let usage =
        Usage { prompt: Tokens(9), cached: Tokens(4), completion: Tokens(3), ..Usage::default() };
    let (mut writer, mut out) = (MessagesWriter::new(STAMP), Vec::new());
    writer.write(start(), &mut out);
    writer.write(Delta::Usage(usage), &mut out);
    writer.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let said = r#""usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3}"#;
    assert!(text.contains(said) && text.contains(r#""id":"up""#), "{text}");
}

#[test]
fn details_of_an_error_are_in_their_place_for_anthropics_clients() {
    let of = |details: &Value| {
        let said = json!({"type": "error", "error":
            {"type": "invalid_request_error", "message": "m", "details": details}});
        UpstreamError::parse(said.to_string().as_bytes()).details
    };
    let details = json!({"error_code": "thread_not_found"});
    assert!(of(&details).is_some());
    for others in [json!([{"reason": "x"}]), json!({"reason": "x"}), json!("x"), Value::Null] {
        assert_eq!(of(&others), None, "{others}");
    }
    assert_eq!(of(&json!({"error_code": "x", "more": "y".repeat(5000)})), None);
    let error = ErrorBody {
        message: "m".into(),
        kind: None,
        param: None,
        code: 400,
        entity: None,
        details: of(&details),
    };
    let told = |endpoint: Endpoint| -> Value {
        serde_json::from_slice(&endpoint.error_body(&error)).unwrap()
    };
    assert_eq!(told(Endpoint::Messages)["error"]["details"], details);
    for others in [Endpoint::ChatCompletions, Endpoint::Responses, Endpoint::GenerateContent] {
        let error = &told(others)["error"];
        assert_eq!(error.get("details"), None, "{others:?}");
        assert_eq!(error["provider_specific_fields"]["details"], details, "{others:?}");
    }
}

#[test]
fn errors_have_anthropics_shape() {
    for (code, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (408, "timeout_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (503, "api_error"),
        (529, "overloaded_error"),
    ] {
        let error = ErrorBody {
            message: "words".into(),
            kind: None,
            param: None,
            code,
            entity: None,
            details: None,
        };
        let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"words"}}}}"#);
        assert_eq!(Endpoint::Messages.error_body(&error), body);
        let frame = format!("event: error\ndata: {body}\n\n");
        assert_eq!(Endpoint::Messages.error_frame(&error), frame);
        let entity = Some(Entity { kind: "team", id: "blue".to_owned() });
        let spent = ErrorBody { kind: Some("budget_exceeded".into()), entity, ..error };
        let body: Value = serde_json::from_slice(&Endpoint::Messages.error_body(&spent)).unwrap();
        assert_eq!(body["error"]["type"], "billing_error", "{code}");
        assert_eq!(body["error"]["entity_id"], "blue", "{code}");
    }
    // Who is not let in is told so in LiteLLM's words; Anthropic's clients know it for an error.
    let (message, kind) = ("words".to_owned(), Some("auth_error".to_owned()));
    let error = ErrorBody {
        message,
        kind,
        param: Some("None".into()),
        code: 401,
        entity: None,
        details: None,
    };
    let body: Value = serde_json::from_slice(&Endpoint::Messages.credential_body(&error)).unwrap();
    let told = json!({"message": "words", "type": "auth_error", "param": "None", "code": "401"});
    assert_eq!(body, json!({"type": "error", "error": told}));
}

fn words() -> impl Strategy<Value = String> {
    "[a-zäé{}\"\\\\\n ]{0,12}[a-z.]"
}

fn cached(kind: impl Strategy<Value = PartKind>) -> impl Strategy<Value = Part> {
    let cache = prop::option::of(prop::sample::select(vec![Cache::Short, Cache::Hour]));
    (kind, cache).prop_map(|(kind, cache)| Part { kind, cache })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Url("https://x/y".into())),
        Just(Source::Id("file_1".into())),
        Just(Source::Inline { media_type: "application/pdf".into(), data: "AA==".into() }),
    ]
}

fn said_by_user() -> impl Strategy<Value = Part> {
    cached(prop_oneof![
        words().prop_map(PartKind::Text),
        source().prop_map(|source| PartKind::Image { source, detail: None }),
        (source(), prop::option::of(words()))
            .prop_map(|(source, name)| PartKind::File { source, name }),
    ])
}

/// What the model says: thoughts, words, and perhaps a call that the user then answers.
fn exchange() -> impl Strategy<Value = (Vec<Part>, Option<(String, bool)>, Vec<Part>)> {
    let thought = prop_oneof![
        words().prop_map(|text| PartKind::Thinking { text, signature: Some("seal".into()) }),
        words().prop_map(PartKind::RedactedThinking),
    ];
    let thoughts = prop::collection::vec(thought.prop_map(Part::from), 0..2);
    let said = prop::collection::vec(cached(words().prop_map(PartKind::Text)), 1..3);
    let parts = (thoughts, said).prop_map(|(mut parts, said)| {
        parts.extend(said);
        parts
    });
    (parts, prop::option::of((words(), any::<bool>())), prop::collection::vec(said_by_user(), 1..3))
}

fn chats() -> impl Strategy<Value = Chat> {
    let system = prop::collection::vec(cached(words().prop_map(PartKind::Text)), 0..3);
    let first = prop::collection::vec(said_by_user(), 1..3);
    let exchanges = prop::collection::vec(exchange(), 0..3);
    let choice = prop::option::of(prop::sample::select(vec![
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Named("f".into()),
    ]));
    let rest = (any::<u32>(), prop::option::of(0..100u32), any::<bool>(), choice, words());
    (system, first, exchanges, rest).prop_map(|(system, first, exchanges, rest)| {
        let mut chat = Chat::new(Dialect::Anthropic);
        let turn = |role, parts| Message { role, name: None, parts };
        if !system.is_empty() {
            chat.messages.push(turn(Role::System, system));
        }
        chat.messages.push(turn(Role::User, first));
        for (number, (mut model, answered, mut user)) in exchanges.into_iter().enumerate() {
            if let Some((text, is_error)) = answered {
                let (id, name) = (format!("toolu_{number}"), "f".to_owned());
                let arguments = json!({"z": text, "a": number}).to_string();
                let call =
                    ToolCall { id: id.clone(), name: name.clone(), arguments, signature: None };
                model.push(PartKind::ToolCall(call).into());
                let parts = vec![Part::text(text)];
                let result = PartKind::ToolResult { call: id, name: Some(name), parts, is_error };
                user.insert(0, result.into());
            }
            chat.messages.extend([turn(Role::Assistant, model), turn(Role::User, user)]);
        }
        let (most, temperature, stream, choice, user) = rest;
        chat.max_output = Some(most.into());
        chat.temperature = temperature.map(Into::into);
        chat.stream = stream;
        chat.tool_choice = choice;
        chat.user = Some(user);
        let schema = Json::of(&json!({"type": "object", "properties": {"z": {}, "a": {}}}));
        chat.tools = vec![
            Tool::Function {
                name: "f".into(),
                description: Some("does".into()),
                parameters: Some(schema),
                strict: None,
                cache: Some(Cache::Hour),
            },
            Tool::Hosted(Json::of(&json!({"type": "web_search_20250305", "name": "web_search"}))),
        ];
        chat.other = vec![("container".into(), Json::of(&"c"))];
        chat
    })
}

proptest! {
    /// A chat that this dialect can say survives being said.
    #[test]
    fn chats_go_out_and_come_back(chat in chats()) {
        let style = MessageStyle { model: Some("claude-opus-4-6"), abilities: Abilities::of("claude-opus-4-6"), max_output: None };
        let body = write_chat(&chat, style).unwrap();
        let back = parse(Endpoint::Messages, body, None).unwrap().form_with(&[]).unwrap();
        prop_assert_eq!(back, chat);
    }

    #[test]
    fn no_body_makes_it_panic(
        content in "[\\[\\]{}\",:a-z0-9]{0,40}",
        kind in prop::sample::select(vec!["text", "image", "document", "tool_use", "tool_result", "thinking", "new"]),
    ) {
        let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{{"type":"{kind}",{content}}}]}}]}}"#);
        if let Ok(request) = parse(Endpoint::Messages, Bytes::from(body), None) {
            drop(request.form_with(&[]));
        }
    }
}
