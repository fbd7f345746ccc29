//! Answers that servers write in their own way: what they say reaches clients of other dialects whole,
//! and what cannot be read is an error rather than an empty answer.

use dunlin_llm::form::ToolNames;
use dunlin_llm::{BadFrame, Endpoint, Stamp};
use serde_json::{Value, json};

use super::wishes::asking;
use super::*;

const CHAT: Endpoint = Endpoint::ChatCompletions;
const MESSAGES: Endpoint = Endpoint::Messages;

fn target() -> Target {
    Target { model: "m".into(), ..Target::default() }
}

/// A whole answer of `body` as the client of `request` sees it.
pub(super) fn whole_for(
    id: &str,
    request: &ChatRequest,
    body: &Value,
) -> Result<Value, ProviderError> {
    let (provider, body) = (find(id).unwrap(), Bytes::from(body.to_string()));
    let reply = provider.decode(request, &target(), StatusCode::OK, body)?;
    let reply = reply.told_to(request);
    let reply = reply.map_err(|bad| ProviderError::bad_reply(provider.speaker(), &bad))?;
    let said = request.text();
    let stamp = Stamp { model: "m", id: "x", now: 1, request: said, turn: None };
    Ok(serde_json::from_slice(&reply.write(request.endpoint(), stamp)).unwrap())
}

pub(super) fn whole(id: &str, client: Endpoint, body: &Value) -> Result<Value, ProviderError> {
    whole_for(id, &asking(client, &json!({})), body)
}

/// The chunks of a translated stream, or what went wrong in the provider's words or ours.
pub(super) fn streamed_for(
    id: &str,
    request: &ChatRequest,
    stream: &str,
) -> Result<Vec<Value>, String> {
    let stream = Bytes::copy_from_slice(stream.as_bytes());
    let (events, ended) = events_for(request, find(id).unwrap(), &stream, &[]);
    ended.map_err(|error| error.to_string())?;
    let stamp = Stamp { model: "m", id: "x", now: 1, request: request.text(), turn: None };
    let mut writer = request.endpoint().stream_writer(stamp, false);
    let (mut names, mut out) = (ToolNames::of(request), Vec::new());
    for event in events {
        match event {
            StreamEvent::Delta(mut delta) => {
                names.restore(&mut delta);
                delta.untold(request.endpoint()).map_or(Ok(()), |bad| Err(bad.to_string()))?;
                writer.write(delta, &mut out);
            }
            StreamEvent::Error(error) => return Err(error.message),
            StreamEvent::Done(_) => writer.finish(&mut out),
            StreamEvent::Chunk(_) | StreamEvent::Comment(_) | StreamEvent::Failed(..) => {
                panic!("it is translated: {event:?}")
            }
        }
    }
    let lines = dunlin_llm::sse::data_lines(&out).filter(|line| *line != b"[DONE]");
    Ok(lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

pub(super) fn streamed(id: &str, client: Endpoint, stream: &str) -> Result<Vec<Value>, String> {
    streamed_for(id, &asking(client, &json!({"stream": true})), stream)
}

fn frame(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn choice(choice: &Value) -> Value {
    json!({"id": "c", "choices": [choice]})
}

#[test]
fn an_empty_word_says_nothing_of_an_end() {
    let chunk = |finish: &str| {
        frame(&choice(&json!({"index": 0, "delta": {"content": "a"}, "finish_reason": finish})))
    };
    for client in [CHAT, MESSAGES] {
        let request = asking(client, &json!({"stream": true}));
        for (finish, expected) in [("", Err(StreamError::Cut)), ("stop", Ok(()))] {
            let stream = Bytes::from(chunk("") + &chunk(finish));
            let (_, ended) = events_for(&request, find("hosted_vllm").unwrap(), &stream, &[]);
            assert_eq!(ended, expected, "{client:?} {finish}");
        }
    }
    let answer = choice(&json!({"message": {"content": "a"}, "finish_reason": ""}));
    let googles =
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": ""}]});
    let claudes = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": ""});
    for (id, client, body) in [
        ("hosted_vllm", MESSAGES, answer),
        ("gemini", MESSAGES, googles),
        ("anthropic", CHAT, claudes),
    ] {
        let error = whole(id, client, &body).expect_err(id);
        assert_eq!(error.message, "the reply does not say why it ended", "{id}");
    }
}

#[test]
fn what_a_model_drew_or_spoke_reaches_whoever_has_a_form_for_it() {
    let part = |mime: &str| json!({"inlineData": {"mimeType": mime, "data": "aGk="}});
    let googles = |mime: &str| {
        let content = json!({"parts": [{"text": "look"}, part(mime)]});
        json!({"candidates": [{"content": content, "finishReason": "STOP"}]})
    };
    let told = streamed("gemini", CHAT, &frame(&googles("image/png"))).unwrap();
    let image = |index: usize| json!({"image_url": {"url": "data:image/png;base64,aGk="}, "index": index, "type": "image_url"});
    let deltas = |chunks: &[Value], name: &str| -> Vec<Value> {
        let found = chunks.iter().map(|chunk| chunk["choices"][0]["delta"][name].clone());
        found.filter(|found| !found.is_null()).collect()
    };
    assert_eq!(deltas(&told, "images"), [json!([image(0)])]);
    let told = streamed("gemini", CHAT, &frame(&googles("audio/wav"))).unwrap();
    assert_eq!(deltas(&told, "audio")[0]["data"], "aGk=");
    let told = whole("gemini", CHAT, &googles("audio/wav")).unwrap();
    assert_eq!(told["choices"][0]["message"]["audio"]["data"], "aGk=");
    let streamed = streamed("gemini", MESSAGES, &frame(&googles("image/png")));
    assert_eq!(
        streamed.unwrap_err(),
        "the stream holds a picture, which /v1/messages has no form for"
    );
    // Bedrock's pictures.
    let picture = json!({"image": {"format": "png", "source": {"bytes": "aGk="}}});
    let message = json!({"role": "assistant", "content": [picture]});
    let converse = json!({"output": {"message": message}, "stopReason": "end_turn"});
    let told = whole("bedrock", CHAT, &converse).unwrap();
    assert_eq!(told["choices"][0]["message"]["images"], json!([image(0)]));
    for (endpoint, is_told) in [
        (CHAT, true),
        (MESSAGES, false),
        (Endpoint::Responses, true),
        (Endpoint::Completions, false),
    ] {
        let request = asking(endpoint, &json!({"prompt": "hi"}));
        let body = Bytes::from(converse.to_string());
        let reply = find("bedrock").unwrap().decode(&request, &target(), StatusCode::OK, body);
        assert_eq!(reply.unwrap().told_to(&request).is_ok(), is_told, "{endpoint:?}");
    }
}

#[test]
fn a_call_in_the_old_form_is_one_of_a_tool() {
    let called = json!({"name": "f", "arguments": "{\"a\":1}"});
    let message = json!({"content": null, "function_call": called});
    let answer = choice(&json!({"message": message, "finish_reason": "function_call"}));
    let told = whole("hosted_vllm", MESSAGES, &answer).unwrap();
    assert_eq!(told["content"][0]["name"], "f");
    assert_eq!(
        (&told["content"][0]["input"], &told["stop_reason"]),
        (&json!({"a": 1}), &json!("tool_use"))
    );
    let delta = |called: Value| choice(&json!({"index": 0, "delta": {"function_call": called}}));
    let end = choice(&json!({"index": 0, "delta": {}, "finish_reason": "function_call"}));
    let begun = delta(json!({"name": "f", "arguments": ""}));
    let stream = frame(&begun) + &frame(&delta(json!({"arguments": "{\"a\":1}"}))) + &frame(&end);
    let told = streamed("hosted_vllm", MESSAGES, &stream).unwrap();
    let of = |kind: &str| told.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(of("content_block_start")["content_block"]["name"], "f");
    assert_eq!(of("content_block_delta")["delta"]["partial_json"], "{\"a\":1}");
    assert_eq!(of("message_delta")["delta"]["stop_reason"], "tool_use");
}

#[test]
fn who_sends_functions_is_told_of_a_function_call() {
    let old =
        json!({"functions": [{"name": "f", "parameters": {"type": "object"}}], "stream": true});
    let request = asking(CHAT, &old);
    let used =
        |name: &str| json!({"type": "tool_use", "id": name, "name": name, "input": {"a": 1}});
    let answer = json!({"content": [used("f"), used("g")], "stop_reason": "tool_use"});
    let told = whole_for("anthropic", &request, &answer).unwrap();
    let call = json!({"name": "f", "arguments": "{\"a\":1}"});
    assert_eq!(told["choices"][0]["finish_reason"], "function_call");
    assert_eq!(told["choices"][0]["message"]["function_call"], call);
    assert_eq!(told["choices"][0]["message"].get("tool_calls"), None);
    let stream = [
        json!({"type": "message_start", "message": {"id": "m"}}),
        json!({"type": "content_block_start", "index": 0, "content_block": used("f")}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": used("g")}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    let stream: String = stream.iter().map(frame).collect();
    let told = streamed_for("anthropic", &request, &stream).unwrap();
    let calls: Vec<Value> =
        told.iter().map(|chunk| chunk["choices"][0]["delta"]["function_call"].clone()).collect();
    let words =
        |name: &str| -> String { calls.iter().filter_map(|call| call[name].as_str()).collect() };
    assert_eq!((&*words("name"), &*words("arguments")), ("f", "{\"a\":1}"));
    assert_eq!(told.last().unwrap()["choices"][0]["finish_reason"], "function_call");
    assert!(!told.iter().any(|chunk| chunk.to_string().contains("tool_calls")));
}

#[test]
fn an_answer_under_another_name_is_read_and_none_is_none() {
    let message = choice(&json!({"index": 0, "message": {"content": "a"}}));
    let end = choice(&json!({"index": 0, "delta": {}, "finish_reason": "stop"}));
    let told = streamed("hosted_vllm", MESSAGES, &(frame(&message) + &frame(&end))).unwrap();
    assert!(told.iter().any(|event| event["delta"]["text"] == "a"), "{told:?}");
    let error = whole("hosted_vllm", MESSAGES, &choice(&json!({"finish_reason": "stop"})));
    assert_eq!(error.unwrap_err().message, "the reply has no answer in it");
}

#[test]
fn a_call_without_a_name_is_an_error_whole_and_streamed() {
    let calls =
        json!([{"index": 0, "id": "c", "type": "function", "function": {"arguments": "{}"}}]);
    let answer = choice(&json!({"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}));
    let expected = "the reply calls a tool without its name";
    assert_eq!(whole("hosted_vllm", MESSAGES, &answer).unwrap_err().message, expected);
    let coheres = json!({"message": {"tool_calls": calls}, "finish_reason": "TOOL_CALL"});
    assert_eq!(whole("cohere", CHAT, &coheres).unwrap_err().message, expected);
    let chunk = frame(&choice(&json!({"index": 0, "delta": {"tool_calls": calls}})));
    let event = json!({"type": "tool-call-start", "delta": {"message": {"tool_calls": calls[0]}}});
    let expected = BadFrame::Unnamed.to_string();
    assert_eq!(streamed("hosted_vllm", MESSAGES, &chunk).unwrap_err(), expected);
    assert_eq!(streamed("cohere", CHAT, &frame(&event)).unwrap_err(), expected);
}

/// Google's compatible server has one index for all calls.
#[test]
fn calls_of_one_index_are_told_by_their_ids() {
    let piece = |id: Value, name: Value, arguments: &str| {
        let call =
            json!({"index": 0, "id": id, "function": {"name": name, "arguments": arguments}});
        frame(&choice(&json!({"index": 0, "delta": {"tool_calls": [call]}})))
    };
    let pieces = [
        piece(json!("a"), json!("f"), r#"{"x":"#),
        piece(Value::Null, Value::Null, "1}"),
        piece(json!("a"), json!("f"), ""),
        piece(json!("b"), json!("g"), r#"{"y":2}"#),
        frame(&choice(&json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}))),
        "data: [DONE]\n\n".to_owned(),
    ];
    let told = streamed("openai", Endpoint::Responses, &pieces.concat()).unwrap();
    let output = &told.last().unwrap()["response"]["output"];
    let calls: Vec<[&str; 3]> = output
        .as_array()
        .unwrap()
        .iter()
        .map(|item| ["call_id", "name", "arguments"].map(|name| item[name].as_str().unwrap()))
        .collect();
    assert_eq!(calls, [["a", "f", r#"{"x":1}"#], ["b", "g", r#"{"y":2}"#]], "{told:?}");
}

#[test]
fn a_call_in_whose_midst_more_is_said_reaches_everyone_whole() {
    let delta = |delta: Value| frame(&choice(&json!({"index": 0, "delta": delta})));
    let call = |call: Value| delta(json!({"tool_calls": [call]}));
    let pieces = [
        call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":"}})),
        delta(json!({"content": "\n"})),
        delta(json!({"reasoning_content": "hm"})),
        call(json!({"index": 0, "function": {"arguments": "1}"}})),
        frame(&choice(&json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}))),
        "data: [DONE]\n\n".to_owned(),
    ];
    let said = pieces.concat();
    let responses = streamed("hosted_vllm", Endpoint::Responses, &said).unwrap();
    let output = &responses.last().unwrap()["response"]["output"];
    assert_eq!(output[0]["arguments"], r#"{"x":1}"#, "{output}");
    let google = streamed("hosted_vllm", Endpoint::StreamGenerateContent, &said).unwrap();
    let called =
        |event: &Value| event.pointer("/candidates/0/content/parts/0/functionCall/args").cloned();
    let called: Vec<Value> = google.iter().filter_map(called).collect();
    assert_eq!(called, [json!({"x": 1})], "{google:?}");
}

/// Older llama.cpp has a field of its own for them, TGI a type beside the words.
#[test]
fn what_goes_wrong_in_a_stream_of_a_local_server_is_told_in_its_words() {
    let provider = find("openai_like").unwrap();
    for (name, stream) in some_files(provider, "failing") {
        for client in [CHAT, MESSAGES] {
            let asked = asking(client, &json!({"stream": true}));
            let (events, _) = events_for(&asked, provider, &stream, &[]);
            let told = events.into_iter().find_map(|event| {
                let StreamEvent::Error(error) = event else { return None };
                Some(ProviderError::event("x", error))
            });
            let told = told.expect(&name);
            assert_eq!(name.split('-').nth(1), Some(&*told.cause.status().to_string()), "{name}");
            assert!(!told.message.contains('{'), "{name}: {told}");
        }
    }
}

#[test]
fn a_call_of_tgis_is_read_alone_and_its_arguments_are_a_text() {
    let arguments = "{\"city\":\"Bern\"}";
    for (name, body) in some_files(find("openai_like").unwrap(), "calls") {
        let text = String::from_utf8(body.to_vec()).unwrap();
        if name.ends_with(".sse") {
            let told = streamed("huggingface", Endpoint::Responses, &text).unwrap();
            let call = &told.last().unwrap()["response"]["output"][0];
            let said = (&call["name"], &call["arguments"]);
            assert_eq!(said, (&json!("weather"), &json!(arguments)), "{told:?}");
        } else {
            let body = serde_json::from_str(&text).unwrap();
            let told = whole("huggingface", CHAT, &body).unwrap();
            let call = &told["choices"][0]["message"]["tool_calls"][0]["function"];
            assert_eq!(call["arguments"], arguments, "{told}");
        }
    }
}

#[test]
fn a_conversation_is_remembered_by_who_can_and_else_refused_so_that_clients_go_on() {
    let asks = json!({"thread": {"type": "continue", "previous_message_id": "msg_1"}});
    let request = asking(MESSAGES, &asks);
    let encode = |id: &str| {
        let key = Credential::Key(Secret::new("k"));
        let to = Target { api_base: "http://u".into(), ..target() };
        find(id).unwrap().encode(&request, &to, &key, UnixMillis(0))
    };
    let error = ProviderError::unsendable("x", &encode("hosted_vllm").unwrap_err());
    assert_eq!(error.cause.status(), 400);
    let details = r#"{"error_code":"thread_unsupported_request","unsupported":["thread"]}"#;
    assert_eq!(error.details.map(|details| details.text()).as_deref(), Some(details));
    let sent = encode("anthropic").unwrap();
    let body: Value = serde_json::from_slice(sent.body()).unwrap();
    assert_eq!(body["thread"], asks["thread"]);
}

#[test]
fn nothing_is_no_count() {
    let usage = |id: &str, client: Endpoint, body: &Value| {
        let (request, body) = (asking(client, &json!({})), Bytes::from(body.to_string()));
        find(id).unwrap().decode(&request, &target(), StatusCode::OK, body).unwrap().usage()
    };
    for count in [0, -3] {
        let mut openais = choice(&json!({"message": {"content": "a"}, "finish_reason": "stop"}));
        openais["usage"] = json!({"prompt_tokens": count, "completion_tokens": count});
        assert_eq!(usage("hosted_vllm", CHAT, &openais), None);
        assert_eq!(usage("hosted_vllm", MESSAGES, &openais), None);
        let claudes = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": count, "output_tokens": count}});
        assert_eq!(usage("anthropic", CHAT, &claudes), None);
        let googles = json!({"usageMetadata": {"promptTokenCount": count},
            "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]});
        assert_eq!(usage("gemini", CHAT, &googles), None);
        let ollamas = json!({"message": {"content": "a"}, "done": true, "eval_count": count});
        assert_eq!(usage("ollama_chat", CHAT, &ollamas), None);
    }
}

#[test]
fn what_stands_beside_an_answer_does_not_spoil_it() {
    let mut answer = choice(&json!({"message": {"content": "a"}, "finish_reason": "stop"}));
    let beside = json!({"id": 5, "created": "x", "model": 7, "service_tier": {}});
    answer.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    let told = whole("hosted_vllm", MESSAGES, &answer).unwrap();
    assert_eq!(told["content"][0]["text"], "a");
    let chunk = choice(&json!({"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}));
    let used =
        json!({"id": 5, "choices": null, "usage": {"prompt_tokens": 9, "completion_tokens": 1}});
    let told = streamed("hosted_vllm", MESSAGES, &(frame(&chunk) + &frame(&used))).unwrap();
    let last = told.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!(last["usage"]["input_tokens"], 9);
}

#[test]
fn a_providers_own_words_are_told_whatever_their_form() {
    for (body, words) in [
        (json!({"object": "error", "message": "m", "code": 40001}), "m"),
        (json!({"detail": "Not found"}), "Not found"),
    ] {
        for (id, client) in
            [("hosted_vllm", CHAT), ("hosted_vllm", MESSAGES), ("cohere", CHAT), ("gemini", CHAT)]
        {
            assert_eq!(whole(id, client, &body).unwrap_err().message, words, "{id} {body}");
            let stream = frame(&body);
            assert_eq!(streamed_error(id, client, &stream), words, "{id} {body}");
        }
        assert_eq!(streamed_error("anthropic", CHAT, &frame(&body)), words, "{body}");
        assert_eq!(streamed_error("ollama_chat", CHAT, &format!("{body}\n")), words, "{body}");
    }
    let named = "event: error\ndata: {\"message\":\"m\",\"code\":429}\n\n";
    assert_eq!(streamed_error("hosted_vllm", CHAT, named), "m");
    assert_eq!(streamed_error("hosted_vllm", CHAT, "event: error\ndata: busy\n\n"), "busy");
}

fn streamed_error(id: &str, client: Endpoint, stream: &str) -> String {
    let request = asking(client, &json!({"stream": true}));
    let stream = Bytes::copy_from_slice(stream.as_bytes());
    let (events, ended) = events_for(&request, find(id).unwrap(), &stream, &[]);
    let Some(StreamEvent::Error(error)) = events.last() else {
        panic!("{id}: {events:?} {ended:?}")
    };
    assert_eq!(ended, Ok(()), "{id}");
    error.message.clone()
}

#[test]
fn bad_characters_break_every_stream() {
    let request = asking(CHAT, &json!({"stream": true}));
    for (id, stream) in [
        ("hosted_vllm", &b"data: {\"x\xff\":1}\n\n"[..]),
        ("cohere", b"data: {\"x\xff\":1}\n\n"),
        ("ollama_chat", b"{\"x\xff\":1,\"done\":false}\n"),
    ] {
        let stream = Bytes::copy_from_slice(stream);
        let (_, ended) = events_for(&request, find(id).unwrap(), &stream, &[]);
        assert_eq!(ended, Err(BadFrame::NotUtf8.into()), "{id}");
    }
}

#[test]
fn arguments_may_be_a_text_or_an_object() {
    for arguments in [json!({"a": 1}), json!("{\"a\":1}")] {
        let call = json!({"id": "c", "function": {"name": "f", "arguments": arguments}});
        let ollamas = json!({"message": {"tool_calls": [call]}, "done": true});
        let told = whole("ollama_chat", CHAT, &ollamas).unwrap();
        let of = &told["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(of, "{\"a\":1}");
        let openais = choice(&json!({"message": {"tool_calls": [call]}, "finish_reason": "stop"}));
        let told = whole("hosted_vllm", MESSAGES, &openais).unwrap();
        assert_eq!(told["content"][0]["input"], json!({"a": 1}));
    }
    let call = json!({"function": {"name": "f", "arguments": "nonsense"}});
    let ollamas = json!({"message": {"tool_calls": [call]}, "done": true});
    assert!(whole("ollama_chat", CHAT, &ollamas).is_err());
}
