//! Google's bodies, answers and streams, in and out.

mod generated;

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use serde_json::{Value, json};

use super::*;
use crate::form::{Delta, Finish, PartKind, Role, Tool, ToolChoice};
use crate::openai::DeltaReader;
use crate::openai::tests::read_deltas;
use crate::{ChatRequest, Endpoint, Stamp, StreamEvent, StreamWriter, parse};

pub(super) const THIRD: ChatStyle = ChatStyle {
    strict_calls: true,
    thinking: Thinking::Level { minimal: true },
    service_tier: true,
};
const SECOND: ChatStyle = ChatStyle {
    strict_calls: false,
    thinking: Thinking::Budget { least: 128, always: false },
    service_tier: true,
};

fn stamp() -> Stamp<'static> {
    Stamp { model: "mine", id: "x", now: 1, request: "{}", turn: None }
}

fn asked(endpoint: Endpoint, body: &Value) -> ChatRequest {
    parse(endpoint, Bytes::from(body.to_string()), Some("m")).expect("a request")
}

/// What an OpenAI client's body becomes.
fn from_openai(body: &Value, style: ChatStyle) -> Value {
    let request = asked(Endpoint::ChatCompletions, body);
    let chat = request.form_with(&[]).expect("a chat");
    serde_json::from_slice(&write_chat(&chat, style)).expect("JSON")
}

/// What an answer of Google's becomes for an OpenAI client.
fn for_openai(body: &Value) -> Value {
    let reply = read_reply(body.to_string().as_bytes()).expect("a reply");
    let written = Endpoint::ChatCompletions.write_reply(&reply, stamp());
    serde_json::from_slice(&written).expect("JSON")
}

#[test]
fn facts_of_a_request_come_from_its_path_and_its_config() {
    let body = json!({
        "contents": [{"parts": [{"text": "hi"}]}],
        "generation_config": {"maxOutputTokens": 7, "candidate_count": 2},
        "model": "other", "tags": ["t"], "num_retries": 1,
    });
    for (endpoint, streams) in
        [(Endpoint::GenerateContent, false), (Endpoint::StreamGenerateContent, true)]
    {
        let request = asked(endpoint, &body);
        assert_eq!((request.model(), request.stream()), ("m", streams));
        assert_eq!((request.max_output(), request.choices()), (Some(Tokens(7)), 2));
        assert_eq!(request.extras().num_retries, Some(1));
        let sent: Value = serde_json::from_slice(&request.encode_for("up", &[])).expect("JSON");
        let names: Vec<&String> = sent.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["contents", "generation_config"]);
    }
    let nothing = parse(Endpoint::GenerateContent, Bytes::from_static(b"{}"), Some("m"));
    assert!(nothing.is_err_and(|error| error.to_string().contains("'contents'")));
}

#[test]
fn a_deployments_defaults_are_read_in_openais_words() {
    let body = json!({"contents": [], "generationConfig": {"temperature": 0.5}});
    let request = asked(Endpoint::GenerateContent, &body);
    let defaults = [("temperature".into(), "1".into()), ("max_tokens".into(), "9".into())];
    let chat = request.form_with(&defaults).expect("a chat");
    assert_eq!((chat.temperature, chat.max_output), (serde_json::Number::from_f64(0.5), Some(9)));
}

#[test]
fn a_clients_chat_is_read_in_both_spellings() {
    let body = json!({
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "what is this?"},
                {"inline_data": {"mime_type": "image/png", "data": "QUJD"}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}},
            ]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true, "thoughtSignature": "c2Vh"},
                {"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thought_signature": "bA"},
                {"functionCall": {"name": "f", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "one"}}},
                {"function_response": {"name": "f", "response": {"error": "no"}}},
            ]},
        ],
        "tools": [
            {"function_declarations": [
                {"name": "f", "parameters": {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}}},
            ]},
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "responseMimeType": "application/json", "responseSchema": {"type": "STRING"},
            "thinkingConfig": {"thinkingBudget": 512}, "stopSequences": ["x"], "topK": 3,
        },
    });
    let chat = asked(Endpoint::GenerateContent, &body).form_with(&[]).expect("a chat");
    assert_eq!(chat.system_text(), "be brief");
    assert_eq!(chat.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert!(
        matches!(&chat.tools[1], Tool::Hosted(json) if json.text() == r#"{"googleSearch":{}}"#)
    );
    let Tool::Function { parameters: Some(schema), .. } = &chat.tools[0] else {
        panic!("no schema")
    };
    assert_eq!(schema.text(), r#"{"type":"object","properties":{"b":{"type":"string"}}}"#);
    assert_eq!(chat.reasoning.as_ref().and_then(|r| r.budget), Some(512));
    let PartKind::ToolCall(call) = &chat.messages[2].parts[1].kind else { panic!("no call") };
    assert_eq!((&*call.arguments, call.signature.as_deref()), (r#"{"b":1,"a":2}"#, Some("bA")));
    let results: Vec<(&str, String, bool)> = chat.messages[3]
        .parts
        .iter()
        .map(|part| {
            let PartKind::ToolResult { call, parts, is_error, .. } = &part.kind else {
                panic!("{part:?}")
            };
            (&**call, parts.iter().filter_map(|part| part.as_text()).collect(), *is_error)
        })
        .collect();
    assert_eq!(results, [("call_1", "one".into(), false), ("call_2", "no".into(), true)]);

    let openai = crate::openai::write_chat(&chat, "up", crate::openai::ChatStyle::OPENAI);
    let openai: Value = serde_json::from_slice(&openai).expect("JSON");
    assert_eq!(
        openai["messages"][1]["content"][1]["image_url"]["url"],
        "data:image/png;base64,QUJD"
    );
    assert_eq!(openai["messages"][3]["tool_call_id"], openai["messages"][2]["tool_calls"][0]["id"]);
    assert_eq!(openai["response_format"]["json_schema"]["schema"], json!({"type": "string"}));
}

/// A chat of an OpenAI client's with everything in it.
fn full_openai_chat() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png?v=1"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1__thought__c2VhbA==", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "c1__thought__c2VhbA==", "content": "{\"t\":20}"},
            {"role": "tool", "tool_call_id": "c2", "content": "cold"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "strict": true,
                "parameters": {"$schema": "x", "type": "object", "additionalProperties": false}}},
            {"googleSearch": {}}, {"type": "code_interpreter"},
        ],
        "tool_choice": "required",
        "max_tokens": 9, "n": 2, "stop": "x", "temperature": 0.5, "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        "modalities": ["text", "image"], "safety_settings": [{"category": "C", "threshold": "T"}],
        "web_search_options": {}, "service_tier": "flex",
    })
}

#[test]
fn what_google_runs_itself_is_told_where_no_function_may_be_called() {
    let mut body = full_openai_chat();
    body["tools"].as_array_mut().expect("tools").remove(0);
    body.as_object_mut().expect("a body").remove("tool_choice");
    assert_eq!(
        from_openai(&body, THIRD)["tools"],
        json!([{"googleSearch": {}}, {"codeExecution": {}}, {"googleSearch": {}}])
    );
}

#[test]
fn an_openai_chat_becomes_googles() {
    let body = full_openai_chat();
    let google = from_openai(&body, THIRD);
    assert_eq!(google["systemInstruction"], json!({"parts": [{"text": "be brief"}]}));
    assert_eq!(
        google["contents"],
        json!([
            {"role": "user", "parts": [
                {"text": "hi"},
                {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png?v=1"}},
            ]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": {"b": 1}}, "thoughtSignature": "c2VhbA=="},
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"t": 20}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"content": "cold"}}},
            ]},
        ])
    );
    let declared = &google["tools"][0]["functionDeclarations"][0];
    assert_eq!(declared["parametersJsonSchema"]["$schema"], "x");
    assert_eq!(google["tools"].as_array().map(Vec::len), Some(1), "Google refuses both kinds");
    assert_eq!(google["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
    assert_eq!(google["safetySettings"][0]["threshold"], "T");
    assert_eq!(google["serviceTier"], "flex");
    assert_eq!(
        google["generationConfig"],
        json!({
            "temperature": 0.5, "candidateCount": 2, "maxOutputTokens": 9, "stopSequences": ["x"],
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "low"},
            "responseModalities": ["TEXT", "IMAGE"],
        })
    );

    let google = from_openai(&body, SECOND);
    assert_eq!(
        google["contents"][1]["parts"][0]["functionCall"],
        json!({"name": "f", "args": {"b": 1}}),
        "older models take no ids"
    );
    assert_eq!(google["generationConfig"]["thinkingConfig"]["thinkingBudget"], 1024);
}

#[test]
fn a_foreign_history_gets_the_seal_that_google_takes_for_none() {
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "content": "a", "tool_calls": [
            {"id": "c1", "function": {"name": "f", "arguments": "not json"}},
            {"id": "c2", "function": {"name": "f", "arguments": "[1]"}},
        ]},
    ]});
    let parts = &from_openai(&body, THIRD)["contents"][0]["parts"];
    assert_eq!(parts[1]["functionCall"]["args"], json!({"arguments": "not json"}));
    assert!(parts[1]["thoughtSignature"].is_string() && parts[2]["thoughtSignature"].is_null());
    let parts = &from_openai(&body, SECOND)["contents"][0]["parts"];
    assert!(parts[1]["thoughtSignature"].is_null());
}

#[test]
fn a_chat_of_instructions_alone_has_a_turn_too() {
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "s"}]});
    let google = from_openai(&body, THIRD);
    assert_eq!(google["contents"], json!([{"role": "user", "parts": [{"text": " "}]}]));
}

#[test]
fn answers_reach_openais_clients_as_litellm_has_them() {
    let google = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"text": "Hello"},
                {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2VhbA=="},
            ]},
            "finishReason": "STOP",
            "logprobsResult": {
                "chosenCandidates": [{"token": "H", "logProbability": -0.5}],
                "topCandidates": [{"candidates": [{"token": "J", "logProbability": -1.5}]}],
            },
        }],
        "usageMetadata": {
            "promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 5,
            "thoughtsTokenCount": 3, "totalTokenCount": 18,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 2}],
        },
        "modelVersion": "gemini-x", "responseId": "r1",
    });
    let openai = for_openai(&google);
    let message = &openai["choices"][0]["message"];
    assert_eq!(message["content"], "Hello");
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(message["images"][0]["image_url"]["url"], "data:image/png;base64,QUJD");
    let call = &message["tool_calls"][0];
    assert_eq!(call["id"], "call_r1_0__thought__c2VhbA==");
    assert_eq!(call["function"], json!({"name": "f", "arguments": "{\"a\":1}"}));
    assert_eq!(call["provider_specific_fields"], json!({"thought_signature": "c2VhbA=="}));
    assert_eq!(openai["choices"][0]["finish_reason"], "tool_calls");
    let logprobs = &openai["choices"][0]["logprobs"]["content"][0];
    assert_eq!(
        (&logprobs["token"], &logprobs["top_logprobs"][0]["token"]),
        (&json!("H"), &json!("J"))
    );
    let usage = &openai["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(10), &json!(8)));
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 3);
    assert_eq!(usage["prompt_tokens_details"], json!({"cached_tokens": 4, "audio_tokens": 2}));
    assert_eq!((&openai["id"], &openai["model"]), (&json!("r1"), &json!("mine")));
}

#[test]
fn every_reason_for_an_end_has_its_word() {
    for (google, openai) in [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call"),
        ("A_NEW_ONE", "a_new_one"),
    ] {
        let answer = for_openai(&json!({"candidates": [{"finishReason": google}]}));
        assert_eq!(answer["choices"][0]["finish_reason"], openai, "{google}");
    }
    let blocked = for_openai(&json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    assert_eq!(blocked["choices"][0]["finish_reason"], "content_filter");
    for (finish, google) in [
        (Finish::ToolCalls, "STOP"),
        (Finish::Length, "MAX_TOKENS"),
        (Finish::Refusal, "SAFETY"),
        (Finish::Other("x".to_owned()), "OTHER"),
    ] {
        assert_eq!(reply::finish_word(&finish), google);
    }
}

#[test]
fn thoughts_that_a_model_counts_among_its_words_are_not_counted_twice() {
    let usage = |total: u64| {
        let counts = json!({"promptTokenCount": 10, "candidatesTokenCount": 5,
            "thoughtsTokenCount": 3, "totalTokenCount": total});
        let body = json!({"candidates": [{}], "usageMetadata": counts}).to_string();
        pass_reply(Bytes::from(body)).expect("a reply").usage().expect("it counts")
    };
    assert_eq!(usage(18).completion, Tokens(8));
    assert_eq!(usage(15), Usage { completion: Tokens(5), ..usage(18) });
}

#[test]
fn calls_are_numbered_within_each_of_several_answers() {
    let call = |name| json!({"parts": [{"functionCall": {"name": name, "args": {}}}]});
    let answers = json!({"candidates": [
        {"content": call("f"), "index": 0}, {"content": call("g"), "index": 1},
        {"content": call("h"), "index": 1, "finishReason": "STOP"},
    ]});
    let mut events = Vec::new();
    StreamReader::default().read(frame(&answers.to_string()), &mut events).expect("a frame");
    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| {
            let StreamEvent::Delta(Delta::ToolCall { choice, call, id, .. }) = event else {
                return None;
            };
            Some((*choice, *call, id.as_str()))
        })
        .collect();
    assert_eq!(calls, [(0, 0, "call_gemini_0"), (1, 0, "call_gemini_1"), (1, 1, "call_gemini_2")]);
}

#[test]
fn how_likely_words_were_is_told_in_streams_both_ways() {
    const SAID: &str = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"x","logProbability":-0.5}],"topCandidates":[{"candidates":[{"token":"y","logProbability":-1.5}]}]}}]}"#;
    let (mut events, mut out) = (Vec::new(), Vec::new());
    StreamReader::default().read(frame(SAID), &mut events).expect("a frame");
    let mut chunks = Endpoint::ChatCompletions.stream_writer(stamp(), false);
    for event in events {
        let StreamEvent::Delta(delta) = event else { panic!("{event:?}") };
        chunks.write(delta, &mut out);
    }
    let chunks = String::from_utf8(out).expect("text");
    let data: Vec<&str> = chunks.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let told: Vec<Value> =
        data.iter().map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let told = told.iter().find_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array());
    let told = told.expect("it is told");
    assert_eq!((&told[0]["token"], &told[0]["logprob"]), (&json!("x"), &json!(-0.5)));
    assert_eq!(told[0]["top_logprobs"][0]["token"], "y");

    let mut reader = DeltaReader::default();
    let deltas = data.iter().flat_map(|data| read_deltas(&mut reader, data));
    let mut frames = Endpoint::StreamGenerateContent.stream_writer(stamp(), false);
    let mut out = Vec::new();
    deltas.for_each(|delta| frames.write(delta, &mut out));
    let frames = String::from_utf8(out).expect("text");
    assert!(
        frames.contains(r#""chosenCandidates":[{"token":"x","logProbability":-0.5}]"#),
        "{frames}"
    );
}

#[test]
fn searches_are_counted_however_the_answer_goes_out() {
    for (found, web, maps) in [
        (r#"{"webSearchQueries":["a","b"],"groundingChunks":[]}"#, 2, 0),
        (r#"{"groundingChunks":[{"maps":{"uri":"u","title":"t"}}]}"#, 0, 1),
        (r#"{"webSearchQueries":["a","b"],"groundingChunks":[{"maps":{}}]}"#, 0, 2),
        (r#"{"webSearchQueries":["a","b"],"groundingChunks":[{"web":{}},{"maps":{}}]}"#, 2, 1),
        (r#"{"googleMapsWidgetContextToken":"t"}"#, 0, 1),
    ] {
        let answer = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"x"}}]}},"finishReason":"STOP",
            "groundingMetadata":{found}}}],
            "usageMetadata":{{"promptTokenCount":4,"candidatesTokenCount":2}}}}"#
        );
        let passed = pass_reply(Bytes::from(answer.clone())).expect("a reply").usage();
        let read = read_reply(answer.as_bytes()).expect("a reply").usage;
        let mut events = Vec::new();
        let mut reader = StreamReader::default();
        reader.read(frame(&answer.replace('\n', " ")), &mut events).expect("a frame");
        let usage = |event: &StreamEvent| {
            if let StreamEvent::Delta(delta) = event { delta.usage() } else { None }
        };
        let streamed = events.iter().find_map(usage);
        for usage in [passed, read, streamed] {
            let told = usage.map(|usage| (usage.web_searches, usage.map_searches));
            assert_eq!(told, Some((web, maps)), "{found}");
        }
    }
}

#[test]
fn an_answer_passes_byte_for_byte() {
    let body = Bytes::from_static(br#"{ "candidates":[{}], "responseId":"r", "new":1.50 }"#);
    let reply = pass_reply(body.clone()).expect("a reply");
    assert_eq!(reply.id(), Some("r"));
    assert_eq!(reply.write(Endpoint::GenerateContent, stamp()).as_ptr(), body.as_ptr());
    assert!(pass_reply(Bytes::from_static(b"[]")).is_err());
}

const STREAM: [&str; 4] = [
    r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}],"role":"model"}}],"responseId":"r1"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":4}}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"cw"}],"role":"model"},"index":0}]}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6}}"#,
];

fn frame(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\r\n\r\n"))
}

#[test]
fn a_stream_is_whole_when_its_last_frame_says_why_it_ends() {
    let mut reader = StreamReader::default();
    let mut events = Vec::new();
    for (at, data) in STREAM.iter().enumerate() {
        assert!(!reader.is_whole(), "before frame {at}");
        reader.read(frame(data), &mut events).expect("a frame");
    }
    assert!(reader.is_whole());
    let deltas: Vec<Delta> = events
        .into_iter()
        .map(
            |event| if let StreamEvent::Delta(delta) = event { delta } else { panic!("{event:?}") },
        )
        .collect();
    let usage = |completion| Usage { prompt: Tokens(4), completion, ..Usage::default() };
    assert_eq!(
        deltas,
        [
            Delta::Start { id: Some("r1".into()), model: None, usage: None },
            Delta::Thinking { choice: 0, text: "hm".into() },
            Delta::Text { choice: 0, text: "Hel".into() },
            Delta::Usage(usage(Tokens(0))),
            Delta::ToolCall {
                choice: 0,
                call: 0,
                id: "call_r1_0".into(),
                name: "f".into(),
                signature: Some("cw".into())
            },
            Delta::Arguments { choice: 0, call: 0, text: r#"{"a":1}"#.into() },
            Delta::Finish { choice: 0, finish: Finish::ToolCalls },
            Delta::Usage(usage(Tokens(2))),
        ]
    );

    let mut passing = StreamReader::default();
    for data in STREAM {
        let event = passing.pass(frame(data)).expect("a frame");
        let StreamEvent::Chunk(chunk) = event else { panic!("{event:?}") };
        assert_eq!(chunk.write("mine", false), Some(frame(data)));
    }
    assert!(passing.is_whole());

    let mut blocked = StreamReader::default();
    blocked.pass(frame(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#)).expect("a frame");
    assert!(blocked.is_whole());
    let mut failing = StreamReader::default();
    let event =
        failing.pass(frame(r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#));
    let Ok(StreamEvent::Error(error)) = event else { panic!("{event:?}") };
    assert_eq!((&*error.message, error.code.as_deref()), ("busy", Some("503")));
}

#[test]
fn a_stream_with_several_candidates_waits_for_all_of_them() {
    let mut reader = StreamReader::default();
    for (data, whole) in [
        (r#"{"candidates":[{"index":0},{"index":1}]}"#, false),
        (r#"{"candidates":[{"index":1,"finishReason":"STOP"}]}"#, false),
        (r#"{"candidates":[{"index":0,"finishReason":"STOP"}]}"#, true),
    ] {
        reader.pass(frame(data)).expect("a frame");
        assert_eq!(reader.is_whole(), whole, "{data}");
    }
}

#[test]
fn deltas_reach_googles_clients_as_frames() {
    let mut writer = Writer::new(stamp());
    let mut out = Vec::new();
    let usage = Usage { prompt: Tokens(4), completion: Tokens(2), ..Usage::default() };
    for delta in [
        Delta::Start { id: Some("r".into()), model: None, usage: None },
        Delta::Thinking { choice: 0, text: "hm".into() },
        Delta::ToolCall { choice: 0, call: 0, id: "c".into(), name: "f".into(), signature: None },
        Delta::Arguments { choice: 0, call: 0, text: r#"{"a""#.into() },
        Delta::Arguments { choice: 0, call: 0, text: ":1}".into() },
        Delta::Text { choice: 0, text: "Hi".into() },
        Delta::Finish { choice: 0, finish: Finish::ToolCalls },
        Delta::Usage(usage),
    ] {
        writer.write(delta, &mut out);
    }
    assert!(!String::from_utf8_lossy(&out).contains("finishReason"), "not before the end");
    writer.finish(&mut out);
    let frames: Vec<Value> = crate::sse::data_lines(&out)
        .map(|data| serde_json::from_slice(data).expect("JSON"))
        .collect();
    let part = |at: usize| &frames[at]["candidates"][0]["content"]["parts"][0];
    assert_eq!(part(0), &json!({"text": "hm", "thought": true}));
    assert_eq!(part(1), &json!({"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}));
    assert_eq!(part(2), &json!({"text": "Hi"}));
    let last = frames.last().expect("a frame");
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(
        last["usageMetadata"],
        json!({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]})
    );
    assert_eq!((&last["modelVersion"], &last["responseId"]), (&json!("mine"), &json!("r")));
    let mut reader = StreamReader::default();
    for data in crate::sse::data_lines(&out) {
        reader.pass(frame(&String::from_utf8_lossy(data))).expect("a frame");
    }
    assert!(reader.is_whole());
}

#[test]
fn errors_have_googles_shape() {
    let (message, kind, param) = ("m".to_owned(), None, None);
    let error =
        crate::openai::ErrorBody { message, kind, param, code: 429, entity: None, details: None };
    let json = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#;
    assert_eq!(Endpoint::GenerateContent.error_body(&error), json);
    assert_eq!(Endpoint::StreamGenerateContent.error_frame(&error), format!("data: {json}\n\n"));
    let spent =
        crate::openai::ErrorBody { kind: Some("budget_exceeded".into()), code: 422, ..error };
    let json = r#"{"error":{"code":422,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#;
    assert_eq!(Endpoint::GenerateContent.error_body(&spent), json);
}

#[test]
fn tokens_are_guessed_for_contents_and_for_whole_requests() {
    let contents = json!([{"parts": [{"text": "x".repeat(400)}]}]);
    let small = count_estimate(json!({"contents": contents}).to_string().as_bytes());
    let whole = json!({"generateContentRequest": {"model": "m", "contents": contents,
        "systemInstruction": {"parts": [{"text": "y".repeat(400)}]}}});
    let whole = count_estimate(whole.to_string().as_bytes()).expect("a count");
    let small = small.expect("a count");
    assert!(small.0 > 100 && whole.0 > small.0 + 100, "{small:?} {whole:?}");
    let image = json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "A".repeat(99_999)}}]}]});
    let image = count_estimate(image.to_string().as_bytes()).expect("a count");
    assert!((1_000..1_100).contains(&image.0), "{image:?}");
    assert!(count_estimate(b"{}").is_err() && count_estimate(b"[").is_err());
}

#[test]
fn vectors_are_asked_for_and_read() {
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 2, "task_type": "Q"});
    let embed = asked(Endpoint::Embeddings, &body).embed_with(&[]).expect("a request");
    let batch: Value =
        serde_json::from_slice(&write_batch(&embed, "models/x").expect("texts")).expect("JSON");
    assert_eq!(
        batch["requests"][1],
        json!({"model": "models/x", "content": {"parts": [{"text": "b"}]}, "outputDimensionality": 2, "taskType": "Q"})
    );
    let predict: Value =
        serde_json::from_slice(&write_instances(&embed).expect("texts")).expect("JSON");
    assert_eq!(
        predict,
        json!({"instances": [{"content": "a", "task_type": "Q"}, {"content": "b", "task_type": "Q"}],
            "parameters": {"outputDimensionality": 2}})
    );
    let read =
        read_batch(br#"{"embeddings":[{"values":[0.5,1]},{"values":[]}]}"#).expect("vectors");
    assert_eq!(read, Embedded { vectors: vec![vec![0.5, 1.0], vec![]], usage: None });
    let read = read_predictions(
        br#"{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"truncated":false,"token_count":3}}},{"embeddings":{"values":[1],"statistics":{"token_count":4.0}}}]}"#,
    );
    let usage = Some(Usage { prompt: Tokens(7), ..Usage::default() });
    assert_eq!(read, Ok(Embedded { vectors: vec![vec![0.5], vec![1.0]], usage }));
    assert!(read_batch(b"{}").is_err() && read_predictions(b"{}").is_err());
}

#[test]
fn a_files_type_is_told_where_its_name_does_not_tell_it() {
    let (film, picture) = ("https://g.test/v1beta/files/a", "gs://b/c");
    let openai = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "file", "file": {"file_id": film, "format": "video/mp4"}},
        {"type": "image_url", "image_url": {"url": picture, "format": "image/webp"}},
        {"type": "file", "file": {"file_id": "gs://b/d.pdf"}},
    ]}]});
    let google = json!({"contents": [{"role": "user", "parts": [
        {"fileData": {"mimeType": "video/mp4", "fileUri": film}},
        {"fileData": {"mimeType": "image/webp", "fileUri": picture}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/d.pdf"}},
    ]}]});
    for (endpoint, body) in
        [(Endpoint::ChatCompletions, &openai), (Endpoint::GenerateContent, &google)]
    {
        let chat = asked(endpoint, body).form_with(&[]).expect("a chat");
        let sent: Value = serde_json::from_slice(&write_chat(&chat, THIRD)).expect("JSON");
        let parts = &sent["contents"][0]["parts"];
        assert_eq!(parts[0], google["contents"][0]["parts"][0], "{endpoint:?}");
        assert_eq!(parts[1], google["contents"][0]["parts"][1], "{endpoint:?}");
        assert_eq!(parts[2]["fileData"]["fileUri"], "gs://b/d.pdf", "{endpoint:?}");
    }
}

#[test]
fn a_part_that_has_its_seal_in_it_comes_back_as_one() {
    let parts = json!([
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2VhbA=="},
        {"text": "a"},
    ]);
    let body = json!({"contents": [{"role": "model", "parts": parts}]});
    let chat = asked(Endpoint::GenerateContent, &body).form_with(&[]).expect("a chat");
    let sent: Value = serde_json::from_slice(&write_chat(&chat, THIRD)).expect("JSON");
    assert_eq!(sent["contents"][0]["parts"], parts);
}
