//! Chats that nobody thought of.

use proptest::prelude::*;
use serde_json::Number;

use super::*;
use crate::Dialect;
use crate::form::{Chat, Effort, Format, Json, Message, Part, Reasoning, Source, ToolCall};

fn words() -> impl Strategy<Value = String> {
    "[a-z ü\"\\\\]{1,12}"
}

fn said() -> impl Strategy<Value = Part> {
    let image = "[A-Z]{4}".prop_map(|data| {
        let source = Source::Inline { media_type: "image/png".to_owned(), data };
        PartKind::Image { source, detail: None }
    });
    let file = Just(PartKind::File {
        source: Source::Url("gs://b/a.pdf".to_owned()),
        name: Some("a".to_owned()),
    });
    let audio = Just(PartKind::sound("QUJD".to_owned(), "wav"));
    prop_oneof![words().prop_map(PartKind::Text), image, file, audio].prop_map(Part::from)
}

/// A model's turn that calls `calls` functions, and the turn with their results.
fn exchange(number: usize) -> impl Strategy<Value = Vec<Message>> {
    let thought = prop::option::of((words(), prop::option::of("[a-z]{4}")));
    let calls = prop::collection::vec((words(), prop::option::of("[a-z]{4}"), any::<bool>()), 0..3);
    (prop::collection::vec(said(), 1..3), thought, prop::collection::vec(said(), 1..3), calls)
        .prop_map(move |(user, thought, answer, calls)| {
            let mut parts: Vec<Part> = Vec::new();
            parts.extend(
                thought.map(|(text, signature)| Part::from(PartKind::Thinking { text, signature })),
            );
            parts.extend(answer);
            let mut results = Vec::new();
            for (at, (text, signature, is_error)) in calls.into_iter().enumerate() {
                let (id, name) = (format!("c{number}_{at}"), format!("f{at}"));
                // The first call of a turn always gets a seal.
                let signature = signature.or((at == 0).then(|| "zzzz".to_owned()));
                let arguments = format!("{{\"b\":{at},\"a\":[1.5,null]}}");
                let call = ToolCall { id: id.clone(), name: name.clone(), arguments, signature };
                parts.push(PartKind::ToolCall(call).into());
                let said = vec![Part::text(text)];
                let kind =
                    PartKind::ToolResult { call: id, name: Some(name), parts: said, is_error };
                results.push(kind.into());
            }
            let turn = |role, parts| Message { role, name: None, parts };
            let mut turns = vec![turn(Role::User, user), turn(Role::Assistant, parts)];
            if !results.is_empty() {
                turns.push(turn(Role::User, results));
                turns.push(Message::of_text(Role::Assistant, "done"));
            }
            turns
        })
}

fn chats() -> impl Strategy<Value = Chat> {
    let turns = (1..4_usize).prop_flat_map(|count| {
        (0..count).map(exchange).collect::<Vec<_>>().prop_map(|turns| turns.concat())
    });
    let schema = Json::parse(r#"{"type":"object","properties":{"b":{},"a":{}}}"#).unwrap();
    let format = prop_oneof![
        Just(None),
        Just(Some(Format::Json)),
        Just(Some(Format::Schema {
            name: None,
            description: None,
            schema: schema.clone(),
            strict: None
        })),
    ];
    let choice = prop_oneof![
        Just(None),
        Just(Some(ToolChoice::None)),
        Just(Some(ToolChoice::Required)),
        Just(Some(ToolChoice::Named("f0".to_owned()))),
    ];
    let reasoning = prop_oneof![
        Just(None),
        any::<u32>().prop_map(|budget| Some(Reasoning {
            budget: Some(budget.into()),
            ..Reasoning::default()
        })),
        Just(Some(Reasoning::of(Some(Effort::High), None))),
    ];
    let numbers = prop::option::of((0..100_u64, 0..8_u64, any::<bool>()));
    (turns, prop::option::of(words()), format, choice, reasoning, numbers, any::<bool>()).prop_map(
        move |(turns, system, format, tool_choice, reasoning, numbers, stream)| {
            let mut chat = Chat::new(Dialect::Gemini);
            chat.messages.extend(system.map(|text| Message::of_text(Role::System, text)));
            chat.messages.extend(turns);
            chat.tools = vec![
                Tool::Function {
                    name: "f0".to_owned(),
                    description: None,
                    parameters: Some(schema.clone()),
                    strict: None,
                    cache: None,
                },
                Tool::Hosted(Json::parse(r#"{"googleSearch":{}}"#).unwrap()),
            ];
            (chat.format, chat.tool_choice, chat.reasoning) = (format, tool_choice, reasoning);
            chat.stream = stream;
            if let Some((number, count, flag)) = numbers {
                chat.temperature = Number::from_f64(number as f64 / 8.0);
                chat.top_k = Some(number.into());
                (chat.n, chat.max_output, chat.logprobs) = (Some(count), Some(number), Some(flag));
                chat.stop = vec!["x".to_owned(); usize::try_from(count).unwrap()];
            }
            chat
        },
    )
}

/// Objects of Google's names with anything in them.
fn hostile() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "contents",
        "parts",
        "role",
        "text",
        "functionCall",
        "functionResponse",
        "args",
        "name",
        "id",
        "response",
        "inlineData",
        "fileData",
        "mimeType",
        "tools",
        "functionDeclarations",
        "parameters",
        "toolConfig",
        "generationConfig",
        "thinkingConfig",
        "candidates",
        "content",
        "finishReason",
        "index",
        "usageMetadata",
        "promptTokenCount",
        "error",
        "promptFeedback",
        "thought",
        "thoughtSignature",
        "systemInstruction",
        "logprobsResult",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z/.{]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_chat_that_goes_to_google_and_back_is_the_same(chat in chats()) {
        let endpoint =
            if chat.stream { Endpoint::StreamGenerateContent } else { Endpoint::GenerateContent };
        let body = write_chat(&chat, THIRD);
        let request = parse(endpoint, body, Some("m")).expect("a request");
        let mut read = request.form_with(&[]).expect("a chat");
        // What only Google understands is kept beside it.
        read.other.clear();
        prop_assert_eq!(read, chat);
    }

    #[test]
    fn nothing_that_a_client_sends_breaks_the_reader(
        body in hostile(),
        contents in hostile(),
        depth in 0..300_usize,
    ) {
        let mut body = body.as_object().cloned().unwrap_or_default();
        body.insert("contents".to_owned(), contents);
        let text = Value::from(body).to_string();
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let nested = format!(
            r#"{{"contents":[{{"parts":[{{"functionCall":{{"name":"f","args":{deep}}}}}]}}],"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{deep}}}]}}],"x":{deep}}}"#
        );
        for text in [text, nested] {
            let Ok(request) = parse(Endpoint::GenerateContent, Bytes::from(text), Some("m")) else {
                continue;
            };
            if let Ok(chat) = request.form_with(&[]) {
                let google = write_chat(&chat, THIRD);
                prop_assert!(parse(Endpoint::GenerateContent, google, Some("m")).is_ok());
                let openai =
                    crate::openai::write_chat(&chat, "up", crate::openai::ChatStyle::OPENAI);
                prop_assert!(parse(Endpoint::ChatCompletions, openai, None).is_ok());
            }
        }
    }

    #[test]
    fn nothing_that_an_upstream_sends_breaks_the_reader(body in hostile(), more in hostile()) {
        let text = body.to_string();
        if let Ok(reply) = read_reply(text.as_bytes()) {
            for endpoint in [Endpoint::GenerateContent, Endpoint::ChatCompletions] {
                let written = endpoint.write_reply(&reply, stamp());
                prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
            }
        }
        let mut reader = StreamReader::default();
        let mut events = Vec::new();
        for text in [text, more.to_string()] {
            if reader.read(frame(&text), &mut events).is_err() {
                break;
            }
        }
        let mut writer = Writer::new(stamp());
        let mut out = Vec::new();
        for event in events {
            if let StreamEvent::Delta(delta) = event {
                writer.write(delta, &mut out);
            }
        }
        writer.finish(&mut out);
    }
}
