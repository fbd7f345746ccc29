//! What is sent to Bedrock and what its answers mean.

use std::fs;

use bytes::Bytes;
use dunlin_llm::form::{Delta, Finish, PartKind, Source};
use dunlin_llm::{ChatRequest, Endpoint, Stamp, StreamEvent, Target, Tier, parse};
use dunlin_types::{Credential, Secret, Tokens, UnixMillis, Usage};
use http::{Request, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::frames::Cutter;
use super::{PROVIDER, model};
use crate::tests::hostile::{spoil, spoils};
use crate::{Cause, EncodeError, Provider, ProviderError};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn target(model: &str) -> Target {
    Target {
        api_base: "https://bedrock-runtime.eu-west-1.amazonaws.com".into(),
        model: model.into(),
        region: Some("eu-west-1".into()),
        ..Target::default()
    }
}

fn request(endpoint: Endpoint, body: &Value) -> ChatRequest {
    parse(endpoint, Bytes::from(body.to_string()), None).unwrap()
}

fn aws() -> Credential {
    Credential::Aws {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("secret"),
        session_token: Some(Secret::new("session")),
    }
}

fn call(
    endpoint: Endpoint,
    model: &str,
    credential: &Credential,
    body: &Value,
) -> Result<Request<Bytes>, EncodeError> {
    PROVIDER.encode(&request(endpoint, body), &target(model), credential, UnixMillis(0))
}

/// The body of a chat with `model`.
fn sent(model: &str, body: &Value) -> Result<Value, EncodeError> {
    let call = call(Endpoint::ChatCompletions, model, &aws(), body)?;
    Ok(serde_json::from_slice(call.body()).unwrap())
}

fn file(name: &str) -> Bytes {
    let path = format!("{}/testdata/bedrock/{name}", env!("CARGO_MANIFEST_DIR"));
    Bytes::from(fs::read(path).unwrap())
}

fn hello() -> Value {
    json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]})
}

/// `hello` with more members.
fn hello_and(more: Value) -> Value {
    let mut body = hello();
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn a_call_is_signed_for_the_region_and_the_id_is_one_segment() {
    let plain = call(Endpoint::ChatCompletions, CLAUDE, &aws(), &hello()).unwrap();
    assert_eq!(
        plain.uri().to_string(),
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    );
    let header = |name: &str| plain.headers()[name].to_str().unwrap().to_owned();
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/19700101/eu-west-1/bedrock/aws4_request";
    assert!(header("authorization").starts_with(scope), "{}", header("authorization"));
    assert_eq!(header("x-amz-security-token"), "session");

    let body = hello_and(json!({"stream": true}));
    let key = Credential::Key(Secret::new("ABSK"));
    let streamed = call(Endpoint::ChatCompletions, "converse/eu-west-3/m", &key, &body).unwrap();
    assert_eq!(streamed.uri().path(), "/model/m/converse-stream");
    assert_eq!(streamed.headers()["authorization"], "Bearer ABSK");
    assert_eq!(streamed.headers()["accept"], "application/vnd.amazon.eventstream");

    let arn = "arn:aws:bedrock:us-east-2:1:provisioned-model/p";
    let request = request(Endpoint::ChatCompletions, &hello());
    let to = Target { model_id: Some(arn.into()), region: None, ..target("anthropic.claude-v2") };
    let provisioned = PROVIDER.encode(&request, &to, &key, UnixMillis(0)).unwrap();
    let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-2%3A1%3Aprovisioned-model%2Fp/converse";
    assert_eq!(provisioned.uri().path(), path);
    assert_eq!(model::region(&to), "us-east-2");

    let none = call(Endpoint::ChatCompletions, "m", &Credential::None, &hello()).unwrap_err();
    assert!(matches!(none, EncodeError::WrongCredential { .. }), "{none}");
}

#[test]
fn ids_and_regions_are_read_from_the_names_that_people_write() {
    let arn = "arn:aws:bedrock:us-east-2:123456789012:application-inference-profile/abc";
    for (written, id, region) in [
        ("anthropic.claude-v2:1", "anthropic.claude-v2:1", "us-west-2"),
        ("converse/us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0", "us-west-2"),
        ("us-gov-west-1/anthropic.claude-v2", "anthropic.claude-v2", "us-gov-west-1"),
        ("eu-central-1/6-month-commitment/cohere.command", "cohere.command", "eu-central-1"),
        (&format!("converse/{arn}"), arn, "us-east-2"),
        (&format!("llama/{arn}"), arn, "us-east-2"),
    ] {
        assert_eq!(model::id(written), id);
        let to =
            Target { model: written.into(), api_base: "http://own:1".into(), ..Target::default() };
        assert_eq!(model::region(&to), region, "{written}");
    }
    let by_host = Target { region: None, ..target("m") };
    assert_eq!(model::region(&by_host), "eu-west-1");
}

#[test]
fn a_chat_is_said_in_converses_words() {
    let body = json!({
        "model": "a",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,iVBO"}},
                {"type": "file", "file": {"filename": "a_b.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            ]},
            {"role": "assistant", "content": null,
                "thinking_blocks": [{"type": "thinking", "thinking": "Ask.", "signature": "c2VhbA=="}],
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a bird"},
            {"role": "user", "content": "  "},
            {"role": "user", "content": "And?"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop": ["END"],
        "guardrailConfig": {"guardrailIdentifier": "g"}, "anthropic_beta": ["x"],
    });
    let expected = json!({
        "messages": [
            {"role": "user", "content": [
                {"text": "What is this?"},
                {"image": {"format": "jpeg", "source": {"bytes": "iVBO"}}},
                {"document": {"format": "pdf", "name": "abpdf", "source": {"bytes": "JVBE"}}},
            ]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "Ask.", "signature": "c2VhbA=="}}},
                {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": 1}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "a bird"}]}},
                {"text": "And?"},
            ]},
        ],
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}],
            "toolChoice": {"any": {}},
        },
        "inferenceConfig": {"maxTokens": 9, "stopSequences": ["END"], "temperature": 0.5, "topP": 0.9},
        "guardrailConfig": {"guardrailIdentifier": "g"},
        "additionalModelRequestFields": {"top_k": 3, "anthropic_beta": ["x"]},
    });
    assert_eq!(sent(CLAUDE, &body).unwrap(), expected);
}

#[test]
fn each_model_is_told_to_think_in_its_own_words() {
    let ask = |more: Value| hello_and(more);
    let effort = json!({"reasoning_effort": "medium"});
    for (id, more, fields) in [
        (
            "anthropic.claude-3-7-sonnet-20250219-v1:0",
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": 0.3}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ),
        (
            "anthropic.claude-opus-4-7",
            effort.clone(),
            json!({"thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "medium"}}),
        ),
        ("anthropic.claude-3-haiku-20240307-v1:0", effort.clone(), Value::Null),
        (
            "us.amazon.nova-2-lite-v1:0",
            effort.clone(),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        ),
        ("openai.gpt-oss-20b-1:0", effort.clone(), json!({"reasoning_effort": "medium"})),
        ("meta.llama3-1-8b-instruct-v1:0", effort, Value::Null),
        ("amazon.nova-pro-v1:0", json!({"top_k": 5}), json!({"inferenceConfig": {"topK": 5}})),
    ] {
        let sent = sent(id, &ask(more)).unwrap();
        assert_eq!(sent["additionalModelRequestFields"], fields, "{id}");
        assert_eq!(sent["inferenceConfig"]["temperature"], Value::Null, "{id}");
    }
    for (bound, thought) in [(50, json!(null)), (2000, json!(1500)), (2001, json!(2000))] {
        let wish = json!({"max_tokens": bound,
            "thinking": {"type": "enabled", "budget_tokens": 2000}});
        let sent = sent("anthropic.claude-3-7-sonnet-20250219-v1:0", &ask(wish)).unwrap();
        assert_eq!(sent["inferenceConfig"]["maxTokens"], bound, "the client's bound is all of it");
        let told = &sent["additionalModelRequestFields"]["thinking"]["budget_tokens"];
        assert_eq!(*told, thought, "{bound}");
    }
}

#[test]
fn an_answer_in_json_is_a_call_that_is_read_as_text() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let sent = sent(CLAUDE, &hello_and(json!({"response_format": format}))).unwrap();
    let config = &sent["toolConfig"];
    assert_eq!(config["tools"][0]["toolSpec"]["inputSchema"]["json"], schema);
    assert_eq!(config["toolChoice"], json!({"tool": {"name": "json_tool_call"}}));
    let answer = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "t", "name": "json_tool_call", "input": {"a": "b"}}},
        ]}},
        "stopReason": "tool_use",
    });
    let told = told(Bytes::from(answer.to_string()));
    assert_eq!(told["choices"][0]["message"]["content"], r#"{"a":"b"}"#);
    assert_eq!(told["choices"][0]["finish_reason"], "stop");
}

#[test]
fn an_answer_in_json_is_wanted_beside_tools_and_is_the_call_alone() {
    let format = json!({"type": "json_object"});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let history = json!([{"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [
            {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "t", "content": "r"}]);
    let any = json!({"any": {}});
    let own = json!({"tool": {"name": "json_tool_call"}});
    for (more, choice, count) in [
        (json!({}), &any, 2),
        (json!({"tool_choice": "none"}), &own, 1),
        (json!({"tool_choice": "none", "messages": history}), &own, 2),
        (json!({"reasoning_effort": "low"}), &Value::Null, 2),
    ] {
        let mut body = hello_and(json!({"response_format": format, "tools": tools}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let sent = sent(CLAUDE, &body).unwrap();
        assert_eq!(sent["toolConfig"]["toolChoice"], *choice, "{more}");
        assert_eq!(sent["toolConfig"]["tools"].as_array().unwrap().len(), count, "{more}");
        assert_eq!(sent["additionalModelRequestFields"]["tool_choice"], Value::Null, "{more}");
    }
    let answer = |value: &str| json!({"toolUse": {"toolUseId": "t", "name": "json_tool_call", "input": {"a": value}}});
    let content = json!([{"text": "Here:"}, answer("b"), answer("c")]);
    let whole = json!({"output": {"message": {"content": content}}, "stopReason": "tool_use"});
    assert_eq!(told(whole.to_string().into())["choices"][0]["message"]["content"], r#"{"a":"b"}"#);

    let event = |kind: &str, payload: Value| {
        frame(&[(":message-type", "event"), (":event-type", kind)], &payload.to_string())
    };
    let start = |at: u64| {
        let tool = json!({"toolUse": {"toolUseId": "t", "name": "json_tool_call"}});
        event("contentBlockStart", json!({"contentBlockIndex": at, "start": tool}))
    };
    let delta = |at: u64, delta: Value| {
        event("contentBlockDelta", json!({"contentBlockIndex": at, "delta": delta}))
    };
    let input = |value: &str| json!({"toolUse": {"input": json!({"a": value}).to_string()}});
    let said =
        [event("messageStart", json!({"role": "assistant"})), delta(0, json!({"text": "x"}))];
    let called = [start(1), delta(1, input("b")), start(2), delta(2, input("c"))];
    let end = |why: &str| {
        let metadata = event("metadata", json!({"usage": {"inputTokens": 1, "outputTokens": 1}}));
        [event("messageStop", json!({"stopReason": why})), metadata]
    };
    let asked = hello_and(json!({"response_format": format, "stream": true}));
    let asked = request(Endpoint::ChatCompletions, &asked);
    for (frames, words) in [
        ([said.concat(), called.concat(), end("tool_use").concat()].concat(), r#"{"a":"b"}"#),
        ([said.concat(), end("end_turn").concat()].concat(), "x"),
    ] {
        let (mut decoder, mut events) = (PROVIDER.stream(&asked, &target(CLAUDE)), Vec::new());
        decoder.push(frames.into(), &mut events).unwrap();
        let text = events.iter().filter_map(|event| {
            let StreamEvent::Delta(Delta::Text { text, .. }) = event else { return None };
            Some(text.as_str())
        });
        assert_eq!(text.collect::<String>(), words);
        let ends = |event: &&StreamEvent| {
            matches!(event, StreamEvent::Delta(Delta::Finish { finish: Finish::Stop, .. }))
        };
        assert_eq!(events.iter().filter(ends).count(), 1);
    }
}

#[test]
fn a_document_never_goes_without_a_text() {
    let file = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}});
    let hello = json!({"type": "text", "text": "hi"});
    for (content, text) in [(json!([file]), "."), (json!([file, hello]), "hi")] {
        let body = json!({"model": "a", "messages": [{"role": "user", "content": content}]});
        let sent = sent(CLAUDE, &body).unwrap();
        let content = sent["messages"][0]["content"].as_array().unwrap();
        assert_eq!(content.len(), 2, "{content:?}");
        assert_eq!(content[1], json!({"text": text}));
    }
}

#[test]
fn what_cannot_be_said_is_refused_in_words() {
    let content =
        |content: Value| json!({"model": "a", "messages": [{"role": "user", "content": content}]});
    for (body, said) in [
        (
            content(json!([{"type": "image_url", "image_url": {"url": "https://x/i.png"}}])),
            "images inline",
        ),
        (
            content(json!([{"type": "file", "file": {"file_data": "data:font/ttf;base64,x"}}])),
            "documents of PDF",
        ),
        (hello_and(json!({"seed": 1})), "does not support parameters: ['seed']"),
    ] {
        let refused = sent(CLAUDE, &body).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn vectors_come_from_each_model_as_it_gives_them() {
    let embed = |model: &str, body: &Value| {
        let call = call(Endpoint::Embeddings, model, &aws(), body).unwrap();
        assert!(call.uri().path().ends_with("/invoke"), "{}", call.uri());
        serde_json::from_slice::<Value>(call.body()).unwrap()
    };
    let one = json!({"model": "a", "input": "x", "dimensions": 256});
    let many = json!({"model": "a", "input": ["x", "y"]});
    let titan = "amazon.titan-embed-text-v2:0";
    assert_eq!(embed(titan, &one), json!({"inputText": "x", "dimensions": 256}));
    assert_eq!(embed("amazon.titan-embed-text-v1", &one), json!({"inputText": "x"}));
    let cohere = "cohere.embed-english-v3";
    assert_eq!(embed(cohere, &many), json!({"texts": ["x", "y"], "input_type": "search_document"}));
    let refused = call(Endpoint::Embeddings, titan, &aws(), &many).unwrap_err();
    assert!(refused.to_string().contains("one text"), "{refused}");
    let parts = |model: &str, body: &Value| {
        let asked = request(Endpoint::Embeddings, body);
        let parts = PROVIDER.split(&asked, &target(model)).unwrap();
        parts.iter().map(|part| part.text().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        parts(titan, &many),
        [r#"{"model":"a","input":"x"}"#, r#"{"model":"a","input":"y"}"#]
    );
    assert_eq!((parts(titan, &one).len(), parts(cohere, &many).len()), (0, 0));
    let too_many = request(Endpoint::Embeddings, &json!({"model": "a", "input": vec!["x"; 2049]}));
    let refused = PROVIDER.split(&too_many, &target(titan)).unwrap_err().to_string();
    assert!(refused.contains("2048 texts"), "{refused}");

    let read = |model: &str, asked: &Value, body: &Value| {
        let request = request(Endpoint::Embeddings, asked);
        let body = Bytes::from(body.to_string());
        let reply = PROVIDER.decode(&request, &target(model), StatusCode::OK, body).unwrap();
        let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
        serde_json::from_slice::<Value>(&reply.write(Endpoint::Embeddings, stamp)).unwrap()
    };
    let told = read(titan, &one, &json!({"embedding": [0.5, -1.0], "inputTextTokenCount": 3}));
    assert_eq!(told["data"][0]["embedding"], json!([0.5, -1.0]));
    assert_eq!(told["usage"]["prompt_tokens"], 3);
    for embeddings in [json!([[0.5], [1.0]]), json!({"float": [[0.5], [1.0]]})] {
        let told = read(cohere, &many, &json!({"id": "1", "embeddings": embeddings}));
        assert_eq!(told["data"][1]["embedding"], json!([1.0]));
    }
}

fn told(body: Bytes) -> Value {
    let request = request(Endpoint::ChatCompletions, &hello());
    let reply = PROVIDER.decode(&request, &target(CLAUDE), StatusCode::OK, body).unwrap();
    let stamp = Stamp { model: "alias", id: "x", now: 7, request: "", turn: None };
    serde_json::from_slice(&reply.write(Endpoint::ChatCompletions, stamp)).unwrap()
}

#[test]
fn answers_are_told_in_openais_words() {
    let reply = told(file("native-reply.json"));
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(choice["message"]["content"], "Peep peep.");
    assert_eq!(choice["message"]["reasoning_content"], "A small bird.");
    assert_eq!(choice["message"]["thinking_blocks"][0]["signature"], "c2VhbA==");
    assert_eq!(reply["usage"]["prompt_tokens"], 155, "what was cached is a part of the prompt");
    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 20);

    let reply = told(file("native-reply-tools.json"));
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        call["function"],
        json!({"name": "sing", "arguments": "{\"song\": \"peep\", \"times\": 2.0}"})
    );
}

/// One frame with these headers.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.bytes());
    }
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut frame = [length(16 + head.len() + payload.len()), length(head.len())].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload.bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// The events of a stream, and how it ended.
fn read(stream: Bytes) -> (Vec<StreamEvent>, Option<String>) {
    let request = request(Endpoint::ChatCompletions, &hello());
    let (mut decoder, mut events) = (PROVIDER.stream(&request, &target(CLAUDE)), Vec::new());
    let read = decoder.push(stream, &mut events).and_then(|()| decoder.finish(&mut events));
    (events, read.err().map(|error| error.to_string()))
}

#[test]
fn a_stream_is_told_in_deltas() {
    let (events, error) = read(file("native-stream.bin"));
    assert_eq!(error, None);
    let text = |text: &str| Delta::Text { choice: 0, text: text.to_owned() };
    let arguments = |text: &str| Delta::Arguments { choice: 0, call: 0, text: text.to_owned() };
    let usage = Usage {
        prompt: Tokens(109),
        cached: Tokens(100),
        completion: Tokens(12),
        ..Usage::default()
    };
    let (id, name) = ("tooluse_1".to_owned(), "sing".to_owned());
    let expected = [
        Delta::Start { id: None, model: None, usage: None },
        Delta::Thinking { choice: 0, text: "A bird.".to_owned() },
        Delta::Signature { choice: 0, signature: "c2VhbA==".to_owned(), of_thought: true },
        text("Pe"),
        text("ép"),
        Delta::ToolCall { choice: 0, call: 0, id, name, signature: None },
        arguments("{\"song\":"),
        arguments(" \"peep\"}"),
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(usage),
    ];
    let mut expected: Vec<StreamEvent> = expected.into_iter().map(StreamEvent::Delta).collect();
    expected.push(StreamEvent::Done(Bytes::new()));
    assert_eq!(events, expected);
}

/// Pieces of a picture are encoded one by one, and come before the block ends.
#[test]
fn a_picture_in_a_stream_is_told_whole() {
    let event = |kind: &str, payload: &Value| {
        frame(&[(":event-type", kind), (":message-type", "event")], &payload.to_string())
    };
    let piece = |bytes: &str| {
        let source = json!({"source": {"bytes": bytes}});
        event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"image": source}}))
    };
    let start = json!({"contentBlockIndex": 0, "start": {"image": {"format": "webp"}}});
    let frames = [
        event("messageStart", &json!({"role": "assistant"})),
        event("contentBlockStart", &start),
        piece("aA=="),
        piece("aQ=="),
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("messageStop", &json!({"stopReason": "end_turn"})),
    ];
    let source = Source::Inline { media_type: "image/webp".into(), data: "aGk=".into() };
    let media = PartKind::Image { source, detail: None };
    let picture = StreamEvent::Delta(Delta::Media { choice: 0, media });
    let (events, error) = read(Bytes::from(frames.concat()));
    assert_eq!((error, events.get(1)), (None, Some(&picture)));
    // The same of a whole answer, where a stream was asked for.
    let block = json!({"image": {"format": "webp", "source": {"bytes": "aGk="}}});
    let answer = json!({"output": {"message": {"content": [block]}}, "stopReason": "end_turn"});
    let (events, error) = read(Bytes::from(answer.to_string()));
    assert_eq!((error, events.get(1)), (None, Some(&picture)));
    // One that is not made is no empty answer.
    let none = json!({"contentBlockIndex": 0, "delta": {"image": {"error": {"message": "no"}}}});
    let (_, error) = read(Bytes::from(event("contentBlockDelta", &none)));
    assert_eq!(error.as_deref(), Some("a frame of the stream is not a chunk: a picture: no"));
}

#[test]
fn an_exception_has_the_cause_of_its_name() {
    let said = r#"{"message":"it broke"}"#;
    for (kind, cause) in [
        ("throttlingException", Cause::RateLimited),
        ("serviceUnavailableException", Cause::Unavailable),
        ("modelStreamErrorException", Cause::Internal),
        ("validationException", Cause::BadRequest),
        ("aNewException", Cause::BadReply),
    ] {
        let headers = [(":exception-type", kind), (":message-type", "exception")];
        let (events, error) = read(Bytes::from(frame(&headers, said)));
        assert_eq!(error, None);
        let [StreamEvent::Error(error)] = &events[..] else { panic!("{events:?}") };
        let error = ProviderError::event(PROVIDER.speaker(), error.clone());
        assert_eq!((error.cause, &*error.message), (cause, "it broke"), "{kind}");
    }
    let headers = [(":message-type", "error"), (":error-code", "500"), (":error-message", "gone")];
    let (events, _) = read(Bytes::from(frame(&headers, "")));
    assert!(matches!(&events[..], [StreamEvent::Error(error)] if error.message == "gone"));
}

#[test]
fn an_answer_ends_with_its_stop_and_not_before() {
    let whole = file("native-stream.bin");
    let stop = whole.windows(11).position(|window| window == b"messageStop").unwrap();
    let metadata = whole.windows(8).position(|window| window == b"metadata").unwrap();
    let (events, error) = read(whole.slice(..stop));
    assert_eq!(error.as_deref(), Some("the stream ended before the answer did"));
    assert!(!events.contains(&StreamEvent::Done(Bytes::new())));
    let (events, error) = read(whole.slice(..metadata));
    assert_eq!(error, None, "what was used is missing, the answer is whole");
    assert_eq!(events.last(), Some(&StreamEvent::Done(Bytes::new())));
}

proptest! {
    /// No byte may change unseen: the answer breaks, or the change was where nothing is read.
    #[test]
    fn damage_is_seen(at in any::<prop::sample::Index>(), change in 1u8..) {
        let whole = file("native-stream.bin");
        let (right, _) = read(whole.clone());
        let mut bytes = whole.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let (events, error) = read(Bytes::from(bytes));
        prop_assert!(error.is_some(), "at {}", at);
        prop_assert!(events.len() < right.len() && right.starts_with(&events));
    }

    /// Whatever its frames say under right checksums, it ends once or not at all.
    #[test]
    fn spoiled_frames_break_it_or_end_it_once(
        spoils in prop::collection::vec((any::<prop::sample::Index>(), spoils()), 1..4),
    ) {
        let mut cutter = Cutter::default();
        cutter.push(&file("native-stream.bin"));
        let mut frames: Vec<(String, Vec<u8>)> = Vec::new();
        while let Some(frame) = cutter.next_frame().unwrap() {
            frames.push((frame.kind, frame.payload.to_vec()));
        }
        let count = frames.len();
        for (at, one) in &spoils {
            let (_, payload) = &mut frames[at.index(count)];
            *payload = spoil(payload, one, "");
        }
        let payload = |(kind, payload): &(String, Vec<u8>)| {
            frame(&[(":event-type", kind)], &String::from_utf8_lossy(payload))
        };
        let (events, error) = read(frames.iter().flat_map(payload).collect::<Vec<_>>().into());
        let is_end = |event: &&StreamEvent| {
            matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_) | StreamEvent::Failed(..))
        };
        let ends = events.iter().filter(is_end).count();
        prop_assert!(error.is_some() || ends == 1 && events.last().as_ref().is_some_and(is_end));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), payload in ".{0,60}") {
        drop(read(Bytes::from(bytes)));
        for kind in ["contentBlockStart", "contentBlockDelta", "messageStop", "metadata"] {
            drop(read(Bytes::from(frame(&[(":event-type", kind)], &payload))));
        }
    }
}

#[test]
fn what_stays_in_the_cache_for_an_hour_is_told_apart() {
    let body = json!({"stopReason": "end_turn",
        "output": {"message": {"role": "assistant", "content": [{"text": "x"}]}},
        "usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 16,
            "cacheReadInputTokens": 0, "cacheWriteInputTokens": 10,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 7}, {"ttl": "5m", "inputTokens": 3}]}});
    let request =
        request(Endpoint::Messages, &json!({"model": "a", "max_tokens": 9, "messages": []}));
    let reply = PROVIDER.decode(&request, &target(CLAUDE), StatusCode::OK, body.to_string().into());
    let usage = reply.unwrap().usage().unwrap();
    assert_eq!((usage.cache_write, usage.cache_write_1h), (Tokens(10), Tokens(7)));
}

#[test]
fn a_stream_with_tools_is_asked_for_whole_where_the_model_has_it_only_so() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let (with_tools, without) =
        (hello_and(json!({"stream": true, "tools": tools})), hello_and(json!({"stream": true})));
    for (model, verb) in [
        ("us.meta.llama4-maverick-17b-instruct-v1:0", "converse"),
        ("bedrock/converse/mistral.mistral-large-2402-v1:0", "converse"),
        ("writer.palmyra-x5-v1:0", "converse"),
        ("mistral.mistral-large-3-675b-instruct", "converse-stream"),
        ("amazon.nova-pro-v1:0", "converse-stream"),
        (CLAUDE, "converse-stream"),
    ] {
        for (body, verb) in [(&with_tools, verb), (&without, "converse-stream")] {
            let call = call(Endpoint::ChatCompletions, model, &aws(), body).unwrap();
            assert!(call.uri().path().ends_with(&format!("/{verb}")), "{model}: {}", call.uri());
            let accept = call.headers()["accept"].to_str().unwrap();
            assert_eq!(accept.ends_with("eventstream"), verb == "converse-stream", "{model}");
        }
    }
}

#[test]
fn films_sounds_and_what_lies_in_s3_are_shown_and_no_two_documents_have_one_name() {
    let file = |name: &str, data: &str| json!({"type": "file", "file": {"filename": name, "file_data": data}});
    let url = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}});
    let content = json!([
        url("data:video/mp4;base64,AA=="),
        url("s3://b/a.jpg"),
        sound,
        file("a.pdf", "data:application/pdf;base64,AA=="),
        file("a.pdf", "s3://b/a.pdf"),
        {"type": "file", "file": {"file_id": "s3://b/c.webm"}},
        {"type": "text", "text": "?"},
    ]);
    let body = json!({"model": "a", "messages": [{"role": "user", "content": content}]});
    let bytes = json!({"bytes": "AA=="});
    let s3 = |uri: &str| json!({"s3Location": {"uri": uri}});
    let document = |name: &str, source: &Value| json!({"document": {"format": "pdf", "name": name, "source": source}});
    assert_eq!(
        sent("us.amazon.nova-2-omni-v1:0", &body).unwrap()["messages"][0]["content"],
        json!([
            {"video": {"format": "mp4", "source": bytes}},
            {"image": {"format": "jpeg", "source": s3("s3://b/a.jpg")}},
            {"audio": {"format": "wav", "source": bytes}},
            document("apdf", &bytes),
            document("apdf (2)", &s3("s3://b/a.pdf")),
            {"video": {"format": "webm", "source": s3("s3://b/c.webm")}},
            {"text": "?"},
        ])
    );
}

#[test]
fn what_bedrock_runs_itself_is_no_call_and_the_tier_is_that_of_the_answer() {
    let content = json!([
        {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "s", "content": [{"text": "found"}], "type": "nova_grounding_result"}},
        {"text": "x"},
    ]);
    let body = json!({"stopReason": "end_turn", "serviceTier": {"type": "flex"},
        "output": {"message": {"role": "assistant", "content": content}},
        "usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}});
    let asked = request(Endpoint::ChatCompletions, &hello());
    let body = Bytes::from(body.to_string());
    let reply =
        PROVIDER.decode(&asked, &target(CLAUDE), StatusCode::OK, body.clone()).expect("a reply");
    assert_eq!(reply.service_tier(), Some(Tier::Flex));
    let stamp = Stamp { model: "a", id: "x", now: 1, request: "{}", turn: None };
    let told: Value =
        serde_json::from_slice(&reply.write(Endpoint::ChatCompletions, stamp)).unwrap();
    assert_eq!(told["choices"][0]["message"], json!({"content": "x", "role": "assistant"}));
    assert_eq!(told["choices"][0]["finish_reason"], "stop");
    let (events, error) = read(body);
    assert_eq!(error, None);
    let is_call = |event: &StreamEvent| matches!(event, StreamEvent::Delta(Delta::ToolCall { .. }));
    assert!(!events.iter().any(is_call), "{events:?}");
    assert!(events.contains(&StreamEvent::Delta(Delta::Served(Tier::Flex))), "{events:?}");
}
