//! Chats of every dialect with a model that has only responses.

use dunlin_llm::form::{Delta, Finish};
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Stamp, Target, parse};
use dunlin_types::{Credential, Tokens, UnixMillis};
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::tests::{chat, files};
use crate::{Cause, EncodeError, Provider, ProviderError, find};

fn to(model: &str) -> Target {
    let api_base = "http://up/v1".into();
    Target { api_base, model: model.into(), responses: true, ..Target::default() }
}

fn openai() -> &'static dyn Provider {
    find("openai").unwrap()
}

fn asking(endpoint: Endpoint, body: &Value) -> ChatRequest {
    parse(endpoint, body.to_string().into(), Some("m")).unwrap()
}

fn sent_to(to: &Target, endpoint: Endpoint, body: &Value) -> Result<Value, EncodeError> {
    let call = openai().encode(&asking(endpoint, body), to, &Credential::None, UnixMillis(0))?;
    assert_eq!(call.uri().path(), "/v1/responses");
    Ok(serde_json::from_slice(call.body()).unwrap())
}

fn sent(model: &str, body: &Value) -> Result<Value, EncodeError> {
    sent_to(&to(model), Endpoint::ChatCompletions, body)
}

fn told(endpoint: Endpoint, request: &str, reply: &ChatReply) -> Value {
    let stamp = Stamp { model: "alias", id: "x", now: 1, request, turn: None };
    serde_json::from_slice(&reply.write(endpoint, stamp)).unwrap()
}

fn read(body: &Value) -> Result<ChatReply, ProviderError> {
    let body = Bytes::from(body.to_string());
    openai().decode(&chat(), &to("m"), StatusCode::OK, body)
}

/// All events of a stream, and how it ended.
fn events(stream: &str) -> (Vec<StreamEvent>, Result<(), StreamError>) {
    let (mut decoder, mut events) = (openai().stream(&chat(), &to("m")), Vec::new());
    let pushed = decoder.push(Bytes::from(stream.to_owned()), &mut events);
    let ended = pushed.and_then(|()| decoder.finish(&mut events));
    (events, ended)
}

fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn a_chat_is_said_in_the_words_of_a_response() {
    let png = "data:image/png;base64,iVBORw0KGgo=";
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let told = sent("gpt-5.1", &json!({
        "model": "m", "max_completion_tokens": 300, "temperature": 0.5, "top_p": 0.9,
        "logprobs": true, "top_logprobs": 2, "reasoning_effort": "high", "verbosity": "low",
        "parallel_tool_calls": false, "service_tier": "flex", "user": "u".repeat(70), "stream": true,
        "prompt_cache_key": "k", "metadata": {"a": "ours"}, "stream_options": {"include_usage": true},
        "web_search_options": {"search_context_size": "low"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}},
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}},
            {"type": "custom", "custom": {"name": "patch", "format": {"type": "grammar",
                "grammar": {"syntax": "lark", "definition": "start: x"}}}},
            {"type": "code_interpreter", "container": {"type": "auto"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": png, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
                {"type": "file", "file": {"file_id": "file-1"}}]},
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
                {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "say \"hi\""}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "22"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "image_url", "image_url": {"url": png}}]},
            {"role": "system", "content": "and now"},
            {"role": "assistant", "content": "yes", "refusal": "no"},
        ],
    })).unwrap();
    let image = |detail: &str| json!({"type": "input_image", "image_url": png, "detail": detail});
    assert_eq!(
        told,
        json!({
            "model": "gpt-5.1", "instructions": "be brief", "max_output_tokens": 300,
            "temperature": 0.5, "top_p": 0.9, "top_logprobs": 2, "reasoning": {"effort": "high"},
            "text": {"verbosity": "low", "format":
                {"type": "json_schema", "name": "n", "schema": schema, "strict": true}},
            "service_tier": "flex", "user": "u".repeat(64), "prompt_cache_key": "k", "stream": true,
            "store": false, "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
            "tools": [
                {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": false},
                {"type": "custom", "name": "patch",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
                {"type": "code_interpreter", "container": {"type": "auto"}},
                {"type": "web_search", "search_context_size": "low"},
            ],
            "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
            "input": [
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "look"}, image("low"),
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "input_file", "filename": "document.pdf",
                        "file_data": "data:application/pdf;base64,AAAA"},
                    {"type": "input_file", "file_id": "file-1"},
                ]},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "say \"hi\""},
                {"type": "function_call_output", "call_id": "c1", "output": "22"},
                {"type": "custom_tool_call_output", "call_id": "c2", "output": [image("auto")]},
                {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "and now"}]},
                {"type": "message", "role": "assistant", "content": [
                    {"type": "output_text", "text": "yes"}, {"type": "refusal", "refusal": "no"}]},
            ],
        })
    );
}

#[test]
fn what_openai_asks_for_is_there() {
    let hi = json!([{"role": "user", "content": "hi"}]);
    let system = json!([{"role": "system", "content": "answer in JSON"}]);
    let told = sent("o3-pro", &json!({"model": "m", "messages": system, "max_tokens": 1})).unwrap();
    let said = json!([{"type": "message", "role": "system",
        "content": [{"type": "input_text", "text": "answer in JSON"}]}]);
    assert_eq!((&told["input"], told.get("instructions")), (&said, None), "something is said");
    assert_eq!(told["max_output_tokens"], 16, "the least that is taken");
    let both = json!([system[0], hi[0]]);
    let form = json!({"type": "json_object"});
    let told = sent("o3-pro", &json!({"model": "m", "messages": both, "response_format": form}));
    let told = told.unwrap();
    assert_eq!((&told["input"][0], told.get("instructions")), (&said[0], None), "JSON is named");
    let told = sent("gpt-4o", &json!({"model": "m", "messages": hi, "include": ["x"]})).unwrap();
    assert_eq!(told["include"], json!(["x"]), "it does not think");
    let keeps = json!({"model": "m", "messages": hi, "store": true,
        "reasoning_effort": {"effort": "low", "summary": "auto"}});
    let told = sent("gpt-5-codex", &keeps).unwrap();
    assert_eq!(
        (&told["store"], &told["reasoning"]),
        (&json!(true), &json!({"effort": "low", "summary": "auto"}))
    );
}

#[test]
fn what_a_response_cannot_do_is_refused_or_dropped() {
    let said = |name: &str, value: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body[name] = value;
        body
    };
    for (model, name, value) in [
        ("m", "n", json!(2)),
        ("m", "stop", json!("x")),
        ("m", "seed", json!(1)),
        ("m", "logit_bias", json!({"1": 1})),
        ("m", "modalities", json!(["text", "audio"])),
        ("m", "presence_penalty", json!(1)),
        ("o1-pro", "temperature", json!(0.5)),
        ("gpt-4o", "reasoning_effort", json!("low")),
    ] {
        let mut body = said(name, value);
        let refused = sent(model, &body).expect_err(name).to_string();
        assert!(refused.contains(&format!("['{name}'], for model={model}")), "{refused}");
        assert!(!openai().params(&to(model)).has(name));
        body["drop_params"] = true.into();
        assert_eq!(sent(model, &body).unwrap().get(name), None);
    }
    for kind in ["computer_use_preview", "image_generation", "local_shell"] {
        let refused =
            sent("m", &said("tools", json!([{"type": kind}]))).expect_err(kind).to_string();
        assert!(refused.contains(&format!("tools.{kind}")), "{refused}");
    }
    // A chat waits for its answer, and goes on from nothing but its messages, whoever says otherwise.
    for name in ["background", "conversation", "previous_response_id"] {
        let mut body = said(name, json!("x"));
        body["allowed_openai_params"] = json!([name]);
        assert_eq!(sent("m", &body).unwrap().get(name), None);
    }
    let unknown = said("xyz", json!(1));
    assert_eq!(sent("gpt-5-pro", &unknown).unwrap()["xyz"], 1);
    let mut dropping = unknown;
    dropping["drop_params"] = true.into();
    dropping["truncation"] = "auto".into();
    let told = sent("gpt-5-pro", &dropping).unwrap();
    assert_eq!((told.get("xyz"), &told["truncation"]), (None, &json!("auto")));
}

#[test]
fn clients_of_other_dialects_are_understood() {
    let said = json!({"model": "m", "max_tokens": 400, "system": "brief", "top_k": 3,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1,
            "allowed_domains": ["b"], "user_location": {"type": "approximate", "city": "Bern"}}],
        "messages": [{"role": "user", "content": "draw"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "done"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]}]});
    let told = sent_to(&to("gpt-5.1-codex"), Endpoint::Messages, &said).unwrap();
    assert_eq!(told["reasoning"], json!({"effort": "medium"}));
    assert_eq!((&told["instructions"], told.get("top_k")), (&json!("brief"), None));
    assert_eq!(
        told["tools"],
        json!([{"type": "web_search", "filters": {"allowed_domains": ["b"]},
        "user_location": {"type": "approximate", "city": "Bern"}}])
    );
    assert_eq!(told["input"][2]["output"][1]["image_url"], "data:image/png;base64,AAAA");
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"googleSearch": {}}], "generationConfig": {"maxOutputTokens": 100}});
    let told = sent_to(&to("o3-pro"), Endpoint::GenerateContent, &google).unwrap();
    assert_eq!(
        (&told["tools"], &told["max_output_tokens"]),
        (&json!([{"type": "web_search"}]), &json!(100))
    );
    let text = json!({"model": "m", "prompt": "once"});
    let told = sent_to(&to("o3-pro"), Endpoint::Completions, &text).unwrap();
    assert_eq!(told["input"][0]["content"][0]["text"], "once");
    // What is a response already passes as it came, and a deployment may be told to have only chats.
    let native = json!({"model": "o3-pro", "input": "hi", "zebra": 1.50});
    assert_eq!(sent_to(&to("o3-pro"), Endpoint::Responses, &native).unwrap(), native);
    let chats = Target { chat_only: true, ..to("m") };
    let call = openai().encode(&chat(), &chats, &Credential::None, UnixMillis(0)).unwrap();
    assert_eq!(call.uri().path(), "/v1/chat/completions");
}

#[test]
fn azure_is_asked_where_it_has_responses() {
    for (provider, base, version, url) in [
        ("azure", "https://a", None, "https://a/openai/v1/responses?api-version=preview"),
        (
            "azure",
            "https://a",
            Some("2024-10-21"),
            "https://a/openai/v1/responses?api-version=preview",
        ),
        (
            "azure",
            "https://a",
            Some("2025-04-01-preview"),
            "https://a/openai/responses?api-version=2025-04-01-preview",
        ),
        ("azure", "https://a/openai/v1", None, "https://a/openai/v1/responses"),
        (
            "azure_ai",
            "https://a.services.ai.azure.com/models",
            None,
            "https://a.services.ai.azure.com/openai/v1/responses",
        ),
    ] {
        let version = version.map(Into::into);
        let to = Target { api_base: base.into(), api_version: version, ..to("gpt-5-codex") };
        let call = find(provider).unwrap().encode(&chat(), &to, &Credential::None, UnixMillis(0));
        assert_eq!(call.unwrap().uri().to_string(), url);
    }
}

/// What [`whole`] and the stream beside it say.
fn calls() -> Value {
    let call = |id: &str, name: &str, arguments: &str| {
        json!({"id": id, "type": "function",
        "function": {"name": name, "arguments": arguments}})
    };
    json!([
        call("call_05", "f", "{\"city\":\"Bern\"}"),
        call("call_06", "g", "{}"),
        call("call_07", "patch", "{\"input\":\"say \\\"hi\\\"\\n\"}")
    ])
}

fn whole() -> Value {
    let (_, body) = files(openai(), "responses-reply").remove(0);
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_whole_answer_is_told_to_every_client() {
    let reply = read(&whole()).unwrap();
    let usage = reply.usage().expect("it counts");
    assert_eq!(
        (usage.prompt, usage.cached, usage.completion),
        (Tokens(36), Tokens(16), Tokens(87))
    );
    assert_eq!((usage.reasoning, usage.web_searches), (Tokens(64), 1));
    assert_eq!(reply.id(), Some("resp_0a1b2c3d4e5f"));
    let told_chat = told(Endpoint::ChatCompletions, "{}", &reply);
    let choice = &told_chat["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &told_chat["model"]),
        (&json!("tool_calls"), &json!("alias"))
    );
    let message = &choice["message"];
    assert_eq!((&message["content"], &message["tool_calls"]), (&json!("Ä robin sings."), &calls()));
    let thought = "**Looking**\n\nIt is about birds.\n\nRobins sing.";
    assert_eq!(message["reasoning_content"], thought);
    assert_eq!(message["annotations"][0]["url_citation"]["end_index"], 7);
    assert_eq!(told_chat["usage"]["completion_tokens_details"]["reasoning_tokens"], 64);
    let request = r#"{"tools":[{"type":"custom","custom":{"name":"patch"}}]}"#;
    let told_custom = told(Endpoint::ChatCompletions, request, &reply);
    let call = &told_custom["choices"][0]["message"]["tool_calls"][2];
    let custom = json!({"name": "patch", "input": "say \"hi\"\n"});
    assert_eq!(call, &json!({"id": "call_07", "type": "custom", "custom": custom}));
    let told_claude = told(Endpoint::Messages, "{}", &reply);
    let kinds: Vec<&str> = told_claude["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "thinking",
            "text",
            "text",
            "text",
            "redacted_thinking",
            "tool_use",
            "tool_use",
            "tool_use"
        ]
    );
    assert_eq!(told_claude["stop_reason"], "tool_use");
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let (_, stream) = files(openai(), "responses-stream").remove(0);
    let (events, ended) = events(std::str::from_utf8(&stream).unwrap());
    assert_eq!(ended, Ok(()));
    assert!(matches!(events.last(), Some(StreamEvent::Done(_))));
    let (mut text, mut thought, mut arguments) =
        (String::new(), String::new(), vec![String::new(); 3]);
    let (mut seals, mut ids, mut finish, mut used, mut cited) =
        (vec![], vec![], None, None, vec![]);
    for event in events {
        let StreamEvent::Delta(delta) = event else { continue };
        used = delta.usage().or(used);
        match delta {
            Delta::Text { text: more, .. } => text += &more,
            Delta::Thinking { text: more, .. } => thought += &more,
            Delta::Signature { signature, of_thought: true, .. } => seals.push(signature),
            Delta::RedactedThinking { data, .. } => seals.push(data),
            Delta::ToolCall { id, .. } => ids.push(id),
            Delta::Arguments { call, text, .. } => arguments[call as usize] += &text,
            Delta::Citation { citation, .. } => cited.push(citation),
            Delta::Finish { finish: why, .. } => finish = Some(why),
            Delta::Start { .. }
            | Delta::Signature { .. }
            | Delta::Refusal { .. }
            | Delta::Media { .. }
            | Delta::Logprobs { .. }
            | Delta::Usage(_)
            | Delta::Served(_) => {}
        }
    }
    let request = r#"{"tools":[{"type":"custom","custom":{"name":"patch"}}]}"#;
    let stamp = Stamp { model: "alias", id: "x", now: 1, request, turn: None };
    let (mut writer, mut out) = (Endpoint::ChatCompletions.stream_writer(stamp, false), Vec::new());
    for event in self::events(std::str::from_utf8(&stream).unwrap()).0 {
        if let StreamEvent::Delta(delta) = event {
            writer.write(delta, &mut out);
        }
    }
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains(r#""type":"custom","custom":{"name":"patch","input":""},"index":2"#),
        "{out}"
    );
    assert!(out.contains(r#"{"index":2,"custom":{"input":"say \"hi\"\n"}}"#), "{out}");
    let message = told(Endpoint::ChatCompletions, "{}", &read(&whole()).unwrap());
    let message = &message["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["reasoning_content"]),
        (&json!(text), &json!(thought))
    );
    let calls = calls();
    for (at, (id, arguments)) in ids.iter().zip(arguments).enumerate() {
        assert_eq!(
            (&calls[at]["id"], &calls[at]["function"]["arguments"]),
            (&json!(id), &json!(arguments))
        );
    }
    assert_eq!(seals, ["gAAAAABpJsealedThought+/_w==", "gAAAAABpJhidden"]);
    assert_eq!((finish, cited[0].words.clone()), (Some(Finish::ToolCalls), Some(2..7)));
    assert_eq!(used, read(&whole()).unwrap().usage());
}

#[test]
fn an_answer_ends_as_it_is_told_to_have_ended() {
    let message = json!([{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]);
    for (status, reason, word) in [
        ("completed", Value::Null, "stop"),
        ("incomplete", json!({"reason": "max_output_tokens"}), "length"),
        ("incomplete", json!({"reason": "content_filter"}), "content_filter"),
        ("incomplete", json!({"reason": "a_new_one"}), "a_new_one"),
        ("incomplete", Value::Null, "incomplete"),
    ] {
        let body = json!({"status": status, "incomplete_details": reason, "output": message});
        let choice = told(Endpoint::ChatCompletions, "{}", &read(&body).unwrap());
        assert_eq!(choice["choices"][0]["finish_reason"], word);
        let last = json!({"type": format!("response.{status}"), "response": body});
        let (events, ended) = events(&sse(&[last]));
        let finish = events.iter().find_map(|event| {
            let StreamEvent::Delta(Delta::Finish { finish, .. }) = event else { return None };
            Some(finish.clone())
        });
        let plain = Finish::Stop == *finish.as_ref().expect("it ends");
        assert_eq!((ended, plain), (Ok(()), word == "stop"), "{status}");
        // Said once, and only where nothing else has said it.
        let text = |event: &&StreamEvent| matches!(event, StreamEvent::Delta(Delta::Text { .. }));
        assert_eq!(events.iter().filter(text).count(), 1);
    }
    for (body, cause) in [
        (json!({"output": message}), Cause::BadReply),
        (json!({"status": "queued", "output": []}), Cause::BadReply),
        (json!({"status": "in_progress", "output": message}), Cause::BadReply),
        (json!({"status": "cancelled", "output": message}), Cause::BadReply),
        (json!({"status": "completed"}), Cause::BadReply),
        (json!({"status": "completed", "output": [7]}), Cause::BadReply),
        (
            json!({"status": "failed", "output": message,
            "error": {"code": "rate_limit_exceeded", "message": "slow down"}}),
            Cause::RateLimited,
        ),
        (
            json!({"status": "failed", "output": [],
            "error": {"code": "context_length_exceeded", "message": "long"}}),
            Cause::ContextWindow,
        ),
    ] {
        assert_eq!(read(&body).expect_err("no answer").cause, cause, "{body}");
    }
}

#[test]
fn a_stream_that_breaks_says_so() {
    let created =
        json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}});
    let words = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "a"});
    let usage = json!({"input_tokens": 3, "output_tokens": 1});
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "usage": usage,
        "error": {"code": "server_error", "message": "broke"}}});
    for (last, message, counted) in [
        (&failed, "broke", true),
        (
            &json!({"type": "error", "code": "server_error", "message": "broke", "param": null}),
            "broke",
            false,
        ),
        (
            &json!({"type": "response.cancelled", "response": {}}),
            "the response was cancelled",
            false,
        ),
    ] {
        let (events, ended) = events(&sse(&[created.clone(), words.clone(), last.clone()]));
        assert_eq!(ended, Ok(()));
        let Some(StreamEvent::Error(error)) = events.last() else { panic!("{events:?}") };
        assert_eq!(error.message, message);
        let is_count = |event: &StreamEvent| matches!(event, StreamEvent::Delta(Delta::Usage(_)));
        assert_eq!(events.iter().any(is_count), counted, "what it used is charged");
    }
    let begun = sse(&[created, words]);
    for cut in ["", "data: [DONE]\n\n", "data: {\"type\":\"response.comp"] {
        assert_eq!(events(&(begun.clone() + cut)).1, Err(StreamError::Cut), "{cut}");
    }
    let whole = json!({"type": "response.completed", "response": {"output": []}});
    assert_eq!(events(&(begun.clone() + &format!("data: {whole}"))).1, Ok(()), "no blank line");
    for wrong in [
        json!({"type": "response.output_text.delta", "output_index": 0}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": 7}),
        json!({"type": "response.output_item.added", "item": {"type": "function_call"}}),
        json!({"no": "type"}),
    ] {
        let ended = events(&sse(std::slice::from_ref(&wrong))).1;
        assert!(matches!(ended, Err(StreamError::BadFrame(_))), "{wrong}: {ended:?}");
    }
    // A server that knows no streams.
    let (events, ended) = events(&serde_json::to_string_pretty(&self::whole()).unwrap());
    assert_eq!(ended, Ok(()));
    assert!(matches!(events.last(), Some(StreamEvent::Done(_))));
    let calls = events.iter().filter(|e| matches!(e, StreamEvent::Delta(Delta::ToolCall { .. })));
    assert_eq!(calls.count(), 3);
}

#[test]
fn another_models_thoughts_are_left_out_and_so_are_these_elsewhere() {
    let block = |seal: &str| json!({"type": "thinking", "thinking": "hm", "signature": seal});
    let turn = |seal: &str| {
        json!({"model": "m", "max_tokens": 100, "messages": [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": [block(seal), {"type": "text", "text": "a"},
            {"type": "redacted_thinking", "data": seal}]},
        {"role": "user", "content": "!"}]})
    };
    let kinds = |seal: &str| {
        let told = sent_to(&to("gpt-5-codex"), Endpoint::Messages, &turn(seal)).unwrap();
        let input = told["input"].as_array().unwrap();
        input.iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        kinds("gAAAAx"),
        ["message", "reasoning", "message", "message"],
        "the last is followed by nothing"
    );
    assert_eq!(kinds("ErUBclaude"), ["message", "message", "message"]);
    let elsewhere = Target {
        api_base: "http://up".into(),
        model: "claude-sonnet-4-5".into(),
        ..Target::default()
    };
    let said = asking(
        Endpoint::ChatCompletions,
        &json!({"model": "m", "messages": [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "a", "thinking_blocks": [block("gAAAAx"),
            {"type": "redacted_thinking", "data": "dno1.x"}]},
        {"role": "user", "content": "!"}]}),
    );
    let call =
        find("anthropic").unwrap().encode(&said, &elsewhere, &Credential::None, UnixMillis(0));
    let told: Value = serde_json::from_slice(call.unwrap().body()).unwrap();
    assert_eq!(told["messages"][1]["content"], json!([{"type": "text", "text": "a"}]));
}
