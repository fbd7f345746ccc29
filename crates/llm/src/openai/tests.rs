//! The common form, to OpenAI's words and back.

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::form::{
    Chat, Choice, Delta, Effort, Finish, Format, Json, Message, Part, PartKind, Reasoning, Reply,
    Role, Source, Tool, ToolCall, ToolChoice,
};
use crate::{Dialect, Endpoint, Stamp, StreamEvent, parse};

const STAMP: Stamp<'_> = Stamp { model: "mine", id: "call", now: 7, request: "", turn: None };

fn form(endpoint: Endpoint, body: &Value) -> Result<Chat, crate::BadRequest> {
    parse(endpoint, Bytes::from(body.to_string()), None)?.form_with(&[])
}

fn text() -> impl Strategy<Value = String> {
    "[a-zäß\"\\\\\n ]{1,8}"
}

fn user_part() -> impl Strategy<Value = Part> {
    let source = prop_oneof![
        "https://x/[a-z]{1,4}".prop_map(Source::Url),
        "[A-Za-z0-9+/]{4}".prop_map(|data| Source::Inline { media_type: "image/png".into(), data }),
    ];
    let image = (source, prop::option::of(Just("low".to_owned())));
    prop_oneof![
        text().prop_map(PartKind::Text),
        image.prop_map(|(source, detail)| PartKind::Image { source, detail }),
        text().prop_map(|data| PartKind::sound(data, "wav")),
        text().prop_map(|id| PartKind::File { source: Source::Id(id), name: None }),
    ]
    .prop_map(Part::from)
}

fn message() -> impl Strategy<Value = Message> {
    let user = prop::collection::vec(user_part(), 1..3).prop_map(|parts| Message {
        role: Role::User,
        name: None,
        parts,
    });
    let system = text().prop_map(|text| Message::of_text(Role::System, text));
    let call = ("[a-z]{1,5}", "[a-z_]{1,5}").prop_map(|(id, name)| {
        let arguments = r#"{"b":1,"a":2.50}"#.to_owned();
        PartKind::ToolCall(ToolCall { id, name, arguments, signature: None }).into()
    });
    let assistant = (prop::option::of(text()), prop::collection::vec(call, 0..3))
        .prop_filter("says something", |(text, calls)| text.is_some() || !calls.is_empty())
        .prop_map(|(text, calls)| {
            let parts = text.map(Part::text).into_iter().chain(calls).collect();
            Message { role: Role::Assistant, name: None, parts }
        });
    let result = ("[a-z]{1,5}", text()).prop_map(|(call, said)| {
        let parts = vec![Part::text(said)];
        PartKind::ToolResult { call, name: None, parts, is_error: false }.into()
    });
    let results = prop::collection::vec(result, 1..3).prop_map(|parts| Message {
        role: Role::User,
        name: None,
        parts,
    });
    prop_oneof![user, system, assistant, results]
}

fn chat() -> impl Strategy<Value = Chat> {
    let tool = ("[a-z]{1,6}", any::<bool>()).prop_map(|(name, strict)| Tool::Function {
        name,
        description: Some("does".into()),
        parameters: Some(Json::parse(r#"{"type":"object","properties":{"z":{},"a":{}}}"#).unwrap()),
        strict: strict.then_some(true),
        cache: None,
    });
    let format = prop_oneof![
        Just(Format::Json),
        Just(Format::Schema {
            name: Some("n".into()),
            description: None,
            schema: Json::parse(r#"{"type":"object"}"#).unwrap(),
            strict: Some(true),
        }),
    ];
    let effort = prop::sample::select(vec![Effort::None, Effort::Low, Effort::Highest]);
    (
        prop::collection::vec(message(), 1..5),
        prop::collection::vec(tool, 0..3),
        prop::option::of(format),
        prop::option::of(effort),
        prop::option::of(1_u64..9),
        prop::collection::vec(text(), 0..2),
        any::<bool>(),
    )
        .prop_map(|(messages, tools, format, effort, max_output, stop, stream)| {
            let tool_choice = (!tools.is_empty()).then(|| ToolChoice::Named("x".into()));
            let reasoning = effort.map(|e| Reasoning::of(Some(e), None));
            let other = vec![("top_a".to_owned(), Json::parse("1.5").unwrap())];
            let mut chat = Chat::new(Dialect::OpenAi);
            chat.messages = messages;
            chat.parallel_tool_calls = (!tools.is_empty()).then_some(false);
            (chat.tools, chat.tool_choice, chat.format) = (tools, tool_choice, format);
            (chat.reasoning, chat.max_output, chat.stop) = (reasoning, max_output, stop);
            (chat.stream, chat.other) = (stream, other);
            chat.temperature = serde_json::Number::from_f64(0.25);
            chat
        })
}

proptest! {
    #[test]
    fn a_chat_survives_being_written_and_read(chat in chat()) {
        for style in [ChatStyle::COMPATIBLE, ChatStyle::OPENAI] {
            let body = write_chat(&chat, "up", style);
            let request = parse(Endpoint::ChatCompletions, body.clone(), None).unwrap();
            prop_assert_eq!(request.model(), "up");
            let read = request.form_with(&[]).unwrap();
            // Results of tools in a row are one turn.
            let mut expected = chat.clone();
            expected.messages.dedup_by(|next, last| {
                let results = |message: &Message| {
                    message.parts.iter().all(|p| matches!(p.kind, PartKind::ToolResult { .. }))
                };
                let joined = results(last) && results(next);
                if joined {
                    last.parts.append(&mut next.parts);
                }
                joined
            });
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn no_chat_makes_the_reader_panic(role in "[a-z]{0,9}", content in ".{0,20}", depth in 0..3_u8) {
        let mut content = json!(content);
        for _ in 0..depth {
            content = json!([{"type": "text", "text": content, "image_url": [content]}]);
        }
        let body = json!({"model": "m", "messages": [{"role": role, "content": content}]});
        let _: Result<Chat, crate::BadRequest> = form(Endpoint::ChatCompletions, &body);
    }
}

#[test]
fn what_cannot_be_understood_is_named() {
    let long = [
        (json!({"messages": "x"}), "messages"),
        (json!({"messages": [{"content": "x"}]}), "messages[0]"),
        (json!({"messages": [{"role": "assistant"}, {"role": "x"}]}), "messages[1]"),
        (json!({"messages": [{"role": "user"}]}), "'messages[0].content'"),
        (json!({"messages": [{"role": "system", "content": null}]}), "'messages[0].content'"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "tool_call_id"),
        (json!({"messages": [], "tools": [{"type": "function"}]}), "tools[0]"),
        (json!({"messages": [], "tool_choice": 3}), "tool_choice"),
        (json!({"messages": [], "temperature": "hot"}), "temperature"),
        (json!({"messages": [], "response_format": {"type": "json_schema"}}), "response_format"),
        (json!({"messages": [], "reasoning_effort": "harder"}), "reasoning_effort"),
        (
            json!({"messages": [], "reasoning_effort": 7}),
            "none, minimal, low, medium, high or xhigh",
        ),
    ];
    for (mut body, named) in long {
        body["model"] = "m".into();
        let error = form(Endpoint::ChatCompletions, &body).expect_err(named).to_string();
        assert!(error.contains(named), "{error}");
    }
    let mut deep = json!({});
    (0..110).for_each(|_| deep = json!({"a": deep.take()}));
    let function = json!({"name": "f", "parameters": deep});
    let tools = json!([{"type": "function", "function": function}]);
    let body = json!({"model": "m", "messages": [], "tools": tools});
    let error = form(Endpoint::ChatCompletions, &body).expect_err("too deep").to_string();
    assert!(error.contains("tools[0]") && error.contains("in each other"), "{error}");
}

#[test]
fn prompts_of_several_texts_are_as_many_words_of_the_user() {
    let two = json!({"model": "m", "prompt": ["a", "b"]});
    let chat = form(Endpoint::Completions, &two).unwrap();
    let told: Vec<String> = chat.messages.iter().map(Message::text).collect();
    assert_eq!(told, ["a", "b"]);
}

#[test]
fn only_the_tools_that_are_allowed_may_be_called() {
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    let asked = |allowed: &[Value], mode: &str| {
        let allowed = json!({"mode": mode, "tools": allowed});
        let body = json!({
            "model": "m", "messages": [],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed},
            "tools": [function("f"), function("g"), {"type": "custom", "custom": {"name": "c"}}],
        });
        form(Endpoint::ChatCompletions, &body)
    };
    let custom = json!({"type": "custom", "custom": {"name": "c"}});
    let chat = asked(&[function("g"), custom], "required").unwrap();
    assert_eq!(chat.tool_choice, Some(ToolChoice::Required));
    assert_eq!(chat.allowed, Some(["g".to_owned()].into()));
    let allowed = chat.tools.iter().filter(|tool| chat.allows(tool));
    let names: Vec<String> = allowed
        .map(|tool| match tool {
            Tool::Function { name, .. } => name.clone(),
            Tool::Hosted(json) => json.text().to_owned(),
        })
        .collect();
    assert_eq!(names, ["g", r#"{"type":"custom","custom":{"name":"c"}}"#]);
    assert!(asked(&[function("h")], "auto").is_err());
    assert!(asked(&[function("f")], "maybe").is_err());
}

#[test]
fn a_schema_may_be_absent_and_arguments_an_object() {
    let called = json!({"name": "f", "arguments": {"a": 1}});
    let body = json!({
        "model": "m",
        "messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": called}]}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "q"}},
    });
    let chat = form(Endpoint::ChatCompletions, &body).unwrap();
    assert_eq!(chat.format, Some(Format::Json));
    let PartKind::ToolCall(call) = &chat.messages[0].parts[0].kind else { panic!("a call") };
    assert_eq!(call.arguments, r#"{"a":1}"#);
}

#[test]
fn litellms_extras_and_old_fields_are_understood() {
    let body = json!({
        "model": "m",
        "metadata": {"tags": ["x"]},
        "functions": [{"name": "f"}],
        "function_call": {"name": "f"},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
    });
    let chat = form(Endpoint::ChatCompletions, &body).unwrap();
    assert_eq!(chat.other, vec![]);
    assert_eq!(chat.tool_choice, Some(ToolChoice::Named("f".into())));
    assert_eq!(chat.reasoning.unwrap().budget, Some(2000));
    assert!(chat.messages[0].parts[0].cache.is_some());
    let PartKind::ToolCall(call) = &chat.messages[1].parts[0].kind else { panic!("a call") };
    let PartKind::ToolResult { call: answered, .. } = &chat.messages[2].parts[0].kind else {
        panic!("a result")
    };
    assert_eq!(&call.id, answered, "an old call and its result are matched by the function's name");
}

fn reply() -> Reply {
    let call = ToolCall {
        id: "c1".into(),
        name: "f".into(),
        arguments: "{\"a\":1}".into(),
        signature: None,
    };
    Reply {
        id: Some("chatcmpl-1".into()),
        created: Some(5),
        model: Some("mine".into()),
        choices: vec![Choice {
            index: 0,
            parts: vec![
                PartKind::Thinking { text: "hm".into(), signature: None }.into(),
                Part::text("Hello"),
                PartKind::ToolCall(call).into(),
            ],
            finish: Finish::ToolCalls,
            logprobs: None,
            citations: Vec::new(),
        }],
        usage: Some(Usage {
            prompt: Tokens(9),
            cached: Tokens(4),
            cache_write: Tokens(2),
            completion: Tokens(3),
            reasoning: Tokens(1),
            ..Usage::default()
        }),
        service_tier: None,
        served_in: None,
        system_fingerprint: Some("fp".into()),
    }
}

#[test]
fn a_reply_survives_being_written_and_read() {
    let written = Endpoint::ChatCompletions.write_reply(&reply(), STAMP);
    assert_eq!(read_reply(&written).unwrap(), reply());
    let json: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(json["usage"]["cache_read_input_tokens"], 4);
    assert_eq!(json["choices"][0]["finish_reason"], "tool_calls");
    let text = Endpoint::Completions.write_reply(&reply(), STAMP);
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        (&json["object"], &json["choices"][0]["text"]),
        (&json!("text_completion"), &json!("Hello"))
    );
    let unnamed = Endpoint::ChatCompletions.write_reply(&Reply::default(), STAMP);
    let json: Value = serde_json::from_slice(&unnamed).unwrap();
    assert_eq!((&json["id"], &json["created"]), (&json!("chatcmpl-call"), &json!(7)));
}

#[test]
fn deltas_survive_being_written_and_read() {
    let start =
        Delta::Start { id: Some("chatcmpl-9".into()), model: Some("mine".into()), usage: None };
    let deltas = [
        start,
        Delta::Thinking { choice: 0, text: "hm".into() },
        Delta::Text { choice: 0, text: "Hel".into() },
        Delta::ToolCall { choice: 0, call: 0, id: "c".into(), name: "f".into(), signature: None },
        Delta::Arguments { choice: 0, call: 0, text: "{\"a\"".into() },
        Delta::Arguments { choice: 0, call: 0, text: ":1}".into() },
        Delta::ToolCall { choice: 0, call: 1, id: "d".into(), name: "g".into(), signature: None },
        Delta::Arguments { choice: 0, call: 1, text: "{}".into() },
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(Usage { prompt: Tokens(1), completion: Tokens(2), ..Usage::default() }),
    ];
    for wants_usage in [true, false] {
        let mut writer = Endpoint::ChatCompletions.stream_writer(STAMP, wants_usage);
        let mut frames = Vec::new();
        // A call that is given no arguments is written with those that say so.
        let bare = Delta::Arguments { choice: 0, call: 1, text: "{}".into() };
        let given = deltas.iter().filter(|delta| **delta != bare).cloned();
        given.for_each(|delta| writer.write(delta, &mut frames));
        writer.finish(&mut frames);
        let text = String::from_utf8(frames).unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let (mut reader, mut read) = (DeltaReader::default(), Vec::new());
        for frame in text.split_terminator("\n\n").map(|frame| &frame["data: ".len()..]) {
            if frame != "[DONE]" {
                read.extend(read_deltas(&mut reader, frame));
            }
        }
        let expected = &deltas[..if wants_usage { deltas.len() } else { deltas.len() - 1 }];
        assert_eq!(read, expected);
    }
}

#[test]
fn servers_that_say_stop_where_they_call_are_understood() {
    let call = r#"{"choices":[{"delta":{"tool_calls":[{"id":"c","function":{"name":"f"}}]},"finish_reason":"stop"}]}"#;
    let read = read_deltas(&mut DeltaReader::default(), call);
    assert_eq!(read.last(), Some(&Delta::Finish { choice: 0, finish: Finish::ToolCalls }));
}

#[test]
fn calls_without_ids_get_some_and_no_two_of_a_conversation_are_alike() {
    let mut ids = Vec::new();
    for id in ["", r#""id":"","#, r#""id":null,"#] {
        for answer in ["a1", "a2"] {
            let call = |at| format!(r#"{{"index":{at},{id}"function":{{"name":"f"}}}}"#);
            let calls = format!(r#"{{"tool_calls":[{},{}]}}"#, call(0), call(1));
            let said = |piece| {
                format!(
                    r#"{{"id":"{answer}","choices":[{{"finish_reason":"stop","{piece}":{calls}}}]}}"#
                )
            };
            let reply = read_reply(said("message").as_bytes()).unwrap();
            let parts = reply.choices[0].parts.iter().map(|part| {
                let PartKind::ToolCall(call) = &part.kind else { panic!("{part:?}") };
                call.id.clone()
            });
            let whole: Vec<String> = parts.collect();
            let read = read_deltas(&mut DeltaReader::default(), &said("delta"));
            let pieces = read.into_iter().filter_map(|delta| {
                if let Delta::ToolCall { id, .. } = delta { Some(id) } else { None }
            });
            assert_eq!(pieces.collect::<Vec<_>>(), whole, "streamed or not");
            ids.extend(whole);
        }
    }
    assert!(ids.iter().all(|id| id.starts_with("call_") && id.len() <= 40), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "two calls of two answers");
}

/// The pieces of the chunk whose data that is.
pub(crate) fn read_deltas(reader: &mut DeltaReader, data: &str) -> Vec<Delta> {
    let mut events = Vec::new();
    reader.read(Bytes::from(format!("data: {data}\n\n")), &mut events).expect("a chunk");
    let delta = |event| {
        let StreamEvent::Delta(delta) = event else { panic!("{event:?}") };
        delta
    };
    events.into_iter().map(delta).collect()
}
