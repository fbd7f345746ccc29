//! What a provider seals and wants back: thoughts, those that only it can read, and calls go through
//! each client, whole and streamed, and come back byte for byte in the next turn.

use dunlin_llm::form::Delta;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;

/// Who keeps what was said, and sends it back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Client {
    Chat,
    Responses,
    Messages,
    Google,
}

const CLIENTS: [Client; 4] = [Client::Chat, Client::Responses, Client::Messages, Client::Google];

impl Client {
    fn endpoint(self, streamed: bool) -> Endpoint {
        match self {
            Self::Chat => Endpoint::ChatCompletions,
            Self::Responses => Endpoint::Responses,
            Self::Messages => Endpoint::Messages,
            Self::Google if streamed => Endpoint::StreamGenerateContent,
            Self::Google => Endpoint::GenerateContent,
        }
    }
}

/// Bytes in the alphabet of base64 that URLs do not take.
const SEAL: &str = "c2Vh+/8=";
const OTHER_SEAL: &str = "b3Ro+/8=";
const HIDDEN: &str = "aGlk+/8=";

/// One that is asked for responses alone is named so behind its id.
const RESPONSES: &str = "/responses";

fn provider_of(name: &str) -> &'static dyn Provider {
    find(name.trim_end_matches(RESPONSES)).unwrap()
}

fn target(provider: &str) -> Target {
    let (base, model) = match provider {
        "gemini" => ("http://x", "gemini-3-pro"),
        "ollama_chat" => ("http://x", "m"),
        "openai" => ("http://x/v1beta/openai", "gemini-3-pro"),
        "openai/responses" => ("http://x/v1", "gpt-5-codex"),
        _ => ("http://x/v1", "claude-sonnet-4-5"),
    };
    let region = Some("us-east-1".into());
    let responses = provider.ends_with(RESPONSES);
    Target { api_base: base.into(), model: model.into(), region, responses, ..Target::default() }
}

fn asking(endpoint: Endpoint, turns: &[Value]) -> ChatRequest {
    let streamed = endpoint == Endpoint::StreamGenerateContent;
    let mut body = if streamed || endpoint == Endpoint::GenerateContent {
        json!({"contents": [{"role": "user", "parts": [{"text": "?"}]}]})
    } else if endpoint == Endpoint::Responses {
        json!({"model": "alias", "input": [{"role": "user", "content": "?"}]})
    } else {
        json!({"model": "alias", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]})
    };
    for said in ["contents", "input", "messages"] {
        if let Some(said) = body.get_mut(said).and_then(Value::as_array_mut) {
            said.extend(turns.iter().cloned());
        }
    }
    parse(endpoint, body.to_string().into(), Some("alias")).unwrap()
}

fn stamp() -> Stamp<'static> {
    Stamp { model: "alias", id: "x", now: 1, request: "{}", turn: None }
}

/// The turns that a client keeps of a whole answer.
pub(super) fn kept_whole(provider: &str, client: Client, answer: &Value) -> Vec<Value> {
    let (body, to) = (Bytes::from(answer.to_string()), target(provider));
    let asked = asking(client.endpoint(false), &[]);
    let reply = provider_of(provider).decode(&asked, &to, StatusCode::OK, body).unwrap();
    let told: Value =
        serde_json::from_slice(&reply.write(client.endpoint(false), stamp())).unwrap();
    kept(client, told)
}

fn kept(client: Client, told: Value) -> Vec<Value> {
    match client {
        Client::Chat => vec![told["choices"][0]["message"].clone()],
        Client::Responses => told["output"].as_array().unwrap().clone(),
        Client::Messages => vec![json!({"role": "assistant", "content": told["content"]})],
        Client::Google => vec![as_googles_sdk(told["candidates"][0]["content"].clone())],
    }
}

/// Google's SDKs keep seals as bytes, and send them in the alphabet of URLs.
fn as_googles_sdk(mut content: Value) -> Value {
    for part in content["parts"].as_array_mut().unwrap() {
        if let Some(seal) = part.get_mut("thoughtSignature") {
            *seal = seal.as_str().unwrap().replace('+', "-").replace('/', "_").into();
        }
    }
    content
}

/// The turns that a client keeps of a stream.
pub(super) fn kept_streamed(provider: &str, client: Client, stream: &[u8]) -> Vec<Value> {
    // A dialect that is not the provider's, so that its stream is taken apart.
    let apart =
        if provider == "anthropic" { Endpoint::ChatCompletions } else { Endpoint::Messages };
    let mut decoder = provider_of(provider).stream(&asking(apart, &[]), &target(provider));
    let mut events = Vec::new();
    decoder.push(Bytes::copy_from_slice(stream), &mut events).unwrap();
    decoder.finish(&mut events).unwrap();
    let (mut writer, mut out) = (client.endpoint(true).stream_writer(stamp(), false), Vec::new());
    for event in events {
        if let StreamEvent::Delta(delta) = event {
            let delta: Delta = delta;
            writer.write(delta, &mut out);
        }
    }
    writer.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    let data = out.lines().filter_map(|line| line.strip_prefix("data: "));
    gathered(client, data.filter_map(|data| serde_json::from_str(data).ok()).collect())
}

/// What a client makes of the frames of a stream.
fn gathered(client: Client, frames: Vec<Value>) -> Vec<Value> {
    match client {
        Client::Chat => {
            let mut message = json!({"role": "assistant", "content": "",
                "thinking_blocks": [], "tool_calls": []});
            for frame in frames {
                let delta = &frame["choices"][0]["delta"];
                let text = delta["content"].as_str().unwrap_or_default();
                message["content"] =
                    (message["content"].as_str().unwrap().to_owned() + text).into();
                let blocks = delta["thinking_blocks"].as_array().cloned().unwrap_or_default();
                message["thinking_blocks"].as_array_mut().unwrap().extend(blocks);
                for call in delta["tool_calls"].as_array().cloned().unwrap_or_default() {
                    let calls = message["tool_calls"].as_array_mut().unwrap();
                    let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                    match calls.get_mut(at) {
                        None => calls.push(call),
                        Some(known) => {
                            let before = known["function"]["arguments"].as_str().unwrap();
                            let more = call["function"]["arguments"].as_str().unwrap();
                            known["function"]["arguments"] = format!("{before}{more}").into();
                        }
                    }
                }
            }
            vec![message]
        }
        Client::Responses => kept(client, frames.last().unwrap()["response"].clone()),
        Client::Messages => {
            let mut blocks: Vec<Value> = Vec::new();
            let mut input = String::new();
            for frame in frames {
                let delta = &frame["delta"];
                match frame["type"].as_str().unwrap() {
                    "content_block_start" => blocks.push(frame["content_block"].clone()),
                    "content_block_delta" => {
                        let block = blocks.last_mut().unwrap();
                        for member in ["text", "thinking", "signature"] {
                            if let Some(more) = delta[member].as_str() {
                                let before = block[member].as_str().unwrap_or_default();
                                block[member] = format!("{before}{more}").into();
                            }
                        }
                        input += delta["partial_json"].as_str().unwrap_or_default();
                    }
                    "content_block_stop" if !input.is_empty() => {
                        let whole = serde_json::from_str(&std::mem::take(&mut input)).unwrap();
                        blocks.last_mut().unwrap()["input"] = whole;
                    }
                    _ => {}
                }
            }
            vec![json!({"role": "assistant", "content": blocks})]
        }
        // Google's SDKs keep the content of each frame.
        Client::Google => {
            let contents = frames.into_iter().flat_map(|frame| kept(client, frame));
            contents.collect()
        }
    }
}

/// What the provider is sent for the turns that a client kept.
fn sent(provider: &str, client: Client, turns: &[Value]) -> Value {
    let key = if provider == "bedrock" {
        Credential::Token(Secret::new("k"))
    } else {
        Credential::Key(Secret::new("k"))
    };
    let request = asking(client.endpoint(false), turns);
    let to = target(provider);
    let call = provider_of(provider).encode(&request, &to, &key, UnixMillis(0)).unwrap();
    serde_json::from_slice(call.body()).unwrap()
}

fn sse(events: &[Value]) -> Vec<u8> {
    let frame = |event: &Value| {
        let name = event["type"].as_str().map(|name| format!("event: {name}\n"));
        format!("{}data: {event}\n\n", name.unwrap_or_default())
    };
    events.iter().map(frame).collect::<String>().into_bytes()
}

fn claudes_turn() -> Value {
    json!([
        {"type": "thinking", "thinking": "hm, so", "signature": SEAL},
        {"type": "redacted_thinking", "data": HIDDEN},
        {"type": "thinking", "thinking": "", "signature": OTHER_SEAL},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ])
}

fn claudes_stream() -> Vec<u8> {
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let begin = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
    sse(&[
        json!({"type": "message_start", "message": {"id": "1", "model": "m"}}),
        begin(0, thinking.clone()),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm,"})),
        delta(0, json!({"type": "thinking_delta", "thinking": " so"})),
        delta(0, json!({"type": "signature_delta", "signature": SEAL})),
        stop(0),
        begin(1, json!({"type": "redacted_thinking", "data": HIDDEN})),
        stop(1),
        begin(2, thinking),
        delta(2, json!({"type": "signature_delta", "signature": OTHER_SEAL})),
        stop(2),
        begin(3, json!({"type": "text", "text": ""})),
        delta(3, json!({"type": "text_delta", "text": "Hel"})),
        delta(3, json!({"type": "text_delta", "text": "lo"})),
        stop(3),
        begin(4, json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}})),
        delta(4, json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"})),
        stop(4),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ])
}

#[test]
fn claudes_thoughts_come_back_as_they_were() {
    let whole = json!({"id": "1", "type": "message", "role": "assistant", "model": "m",
        "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": claudes_turn()});
    for client in CLIENTS {
        let back = sent("anthropic", client, &kept_whole("anthropic", client, &whole));
        assert_eq!(back["messages"][1]["content"], claudes_turn(), "{client:?}");
        let back =
            sent("anthropic", client, &kept_streamed("anthropic", client, &claudes_stream()));
        assert_eq!(back["messages"][1]["content"], claudes_turn(), "{client:?}, streamed");
    }
}

#[test]
fn claudes_thoughts_come_back_to_bedrock() {
    let turn = json!([
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": SEAL}}},
        {"reasoningContent": {"redactedContent": HIDDEN}},
        {"text": "Hello"},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
    ]);
    let whole = json!({"stopReason": "tool_use", "output": {"message": {"role": "assistant", "content": turn}}});
    for client in CLIENTS {
        let back = sent("bedrock", client, &kept_whole("bedrock", client, &whole));
        assert_eq!(back["messages"][1]["content"], turn, "{client:?}");
    }
}

fn geminis_turn() -> Value {
    json!([
        {"text": "hm", "thought": true},
        {"text": "Hello", "thoughtSignature": OTHER_SEAL},
        {"functionCall": {"id": "g1", "name": "f", "args": {"a": 1}}, "thoughtSignature": SEAL},
        {"functionCall": {"id": "g2", "name": "g", "args": {}}},
    ])
}

/// Those of a turn in which something is sealed: a thought without a seal is no one's to give back.
fn sealed(parts: &Value) -> Value {
    let parts = parts.as_array().unwrap().iter();
    parts.filter(|part| part.get("thought").is_none()).cloned().collect()
}

#[test]
fn geminis_seals_come_back_with_the_words_and_calls_they_are_of() {
    let answer = |parts: Value| {
        json!({"responseId": "1", "candidates": [{"finishReason": "STOP",
        "content": {"role": "model", "parts": parts}}]})
    };
    let frame = |part: &Value| {
        json!({"responseId": "1", "candidates": [{
        "content": {"role": "model", "parts": [part]}}]})
    };
    let mut frames: Vec<Value> = geminis_turn().as_array().unwrap().iter().map(frame).collect();
    frames.last_mut().unwrap()["candidates"][0]["finishReason"] = "STOP".into();
    for client in [Client::Chat, Client::Responses, Client::Messages] {
        let back = sent("gemini", client, &kept_whole("gemini", client, &answer(geminis_turn())));
        let parts = &back["contents"][1]["parts"];
        assert_eq!(sealed(parts), sealed(&geminis_turn()), "{client:?}");
        let back = sent("gemini", client, &kept_streamed("gemini", client, &sse(&frames)));
        let parts = &back["contents"][1]["parts"];
        assert_eq!(sealed(parts), sealed(&geminis_turn()), "{client:?}, streamed");
    }
}

#[test]
fn googles_compatible_server_gets_its_seals_back() {
    let call = json!({"id": "g1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"},
        "extra_content": {"google": {"thought_signature": SEAL}}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let whole = json!({"id": "1", "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]});
    let mut piece = call.clone();
    piece["index"] = 0.into();
    let frame = |delta: Value, finish: Value| {
        json!({"id": "1", "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let frames =
        [frame(json!({"tool_calls": [piece]}), Value::Null), frame(json!({}), "stop".into())];
    let stream = [sse(&frames), b"data: [DONE]\n\n".to_vec()].concat();
    for client in CLIENTS {
        let back = sent("openai", client, &kept_whole("openai", client, &whole));
        assert_eq!(back["messages"][1]["tool_calls"], json!([call]), "{client:?}");
    }
    for client in [Client::Responses, Client::Messages, Client::Google] {
        let back = sent("openai", client, &kept_streamed("openai", client, &stream));
        assert_eq!(back["messages"][1]["tool_calls"], json!([call]), "{client:?}, streamed");
    }
}

#[test]
fn openais_thoughts_come_back_to_its_responses() {
    let openai = find("openai").unwrap();
    let (_, whole) = files(openai, "responses-reply").remove(0);
    let (_, stream) = files(openai, "responses-stream").remove(0);
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let kept = |kind: &str, item: &Value| item["type"] == kind;
    for client in [Client::Chat, Client::Messages, Client::Google] {
        let provider = "openai/responses";
        for turns in
            [kept_whole(provider, client, &whole), kept_streamed(provider, client, &stream)]
        {
            let back = sent(provider, client, &turns);
            let input = back["input"].as_array().unwrap();
            let thoughts: Vec<&Value> =
                input.iter().filter(|item| kept("reasoning", item)).collect();
            let seals: Vec<&Value> =
                thoughts.iter().map(|item| &item["encrypted_content"]).collect();
            let all = whole["output"].as_array().unwrap().iter();
            let made: Vec<&Value> = all
                .filter(|item| kept("reasoning", item))
                .map(|item| &item["encrypted_content"])
                .collect();
            assert_eq!(seals, made, "{client:?}: {back}");
            assert_eq!(
                thoughts[0]["summary"][0]["text"],
                "**Looking**\n\nIt is about birds.\n\nRobins sing.",
                "{client:?}"
            );
            let call = input.iter().find(|item| kept("function_call", item)).unwrap();
            assert_eq!((&call["call_id"], &call["name"]), (&json!("call_05"), &json!("f")));
        }
    }
}

#[test]
fn a_seal_at_the_end_of_geminis_stream_is_kept() {
    let frame = |part: Value| {
        json!({"responseId": "1", "candidates": [{
        "content": {"role": "model", "parts": [part]}}]})
    };
    let mut last = frame(json!({"text": "", "thoughtSignature": SEAL}));
    last["candidates"][0]["finishReason"] = "STOP".into();
    let stream = sse(&[frame(json!({"text": "Hello"})), last]);
    for client in [Client::Chat, Client::Responses, Client::Messages] {
        let back = sent("gemini", client, &kept_streamed("gemini", client, &stream));
        let parts = back["contents"][1]["parts"].as_array().unwrap();
        let seals = parts.iter().filter_map(|part| part["thoughtSignature"].as_str());
        assert_eq!(seals.collect::<Vec<_>>(), [SEAL], "{client:?}: {back}");
    }
}

/// As LiteLLM streams them: the thought in pieces, and its seal in one of its own.
#[test]
fn pieces_of_a_block_that_a_client_has_not_joined_are_one() {
    let piece =
        |text: &str, seal: &str| json!({"type": "thinking", "thinking": text, "signature": seal});
    let message = json!({"role": "assistant", "content": "Hello",
        "thinking_blocks": [piece("hm,", ""), piece(" so", ""), piece("", SEAL)]});
    let back = sent("anthropic", Client::Chat, &[message]);
    assert_eq!(
        back["messages"][1]["content"],
        json!([piece("hm, so", SEAL), {"type": "text", "text": "Hello"}])
    );
}

#[test]
fn what_openai_has_sealed_is_not_given_to_another() {
    let thought =
        |seal: &str| json!({"type": "reasoning", "summary": [], "encrypted_content": seal});
    let said = json!({"role": "assistant", "content": "Hello"});
    let back = sent("anthropic", Client::Responses, &[thought("gAAAAABoIsx"), said]);
    assert_eq!(back["messages"][1]["content"], json!([{"type": "text", "text": "Hello"}]));
}

#[test]
fn openrouters_thoughts_come_back_as_they_were_told_and_to_no_other() {
    let format = "anthropic-claude-v1";
    let [first, second] = [
        json!({"type": "reasoning.text", "text": "hm, so", "signature": SEAL, "format": format, "index": 0}),
        json!({"type": "reasoning.summary", "summary": "it is", "id": "rs_1", "index": 1}),
    ];
    let hidden = json!({"type": "reasoning.encrypted", "data": HIDDEN, "id": "c1",
        "format": "google-gemini-v1", "index": 2});
    let all = json!([first, second, hidden]);
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let message = json!({"role": "assistant", "content": "Hello", "reasoning": "hm, so",
        "reasoning_details": all, "tool_calls": [call]});
    let whole = json!({"id": "1", "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]});
    let frame = |delta: Value, finish: Value| {
        json!({"id": "1", "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let thought = |text: &str, more: Value| {
        let mut detail = json!({"type": "reasoning.text", "format": format, "index": 0});
        detail["text"] = text.into();
        detail["signature"] = more;
        frame(json!({"content": "", "reasoning": text, "reasoning_details": [detail]}), Value::Null)
    };
    let mut piece = call.clone();
    piece["index"] = 0.into();
    let frames = [
        thought("hm,", Value::Null),
        thought(" so", Value::Null),
        thought("", SEAL.into()),
        frame(json!({"reasoning_details": [second]}), Value::Null),
        frame(json!({"reasoning_details": [hidden]}), Value::Null),
        frame(json!({"content": "Hello"}), Value::Null),
        frame(json!({"tool_calls": [piece]}), Value::Null),
        frame(json!({}), "tool_calls".into()),
    ];
    let stream = [sse(&frames), b"data: [DONE]\n\n".to_vec()].concat();
    for client in CLIENTS {
        let turns = kept_whole("openrouter", client, &whole);
        let back = sent("openrouter", client, &turns);
        assert_eq!(back["messages"][1]["reasoning_details"], all, "{client:?}");
        assert_eq!(back["messages"][1]["tool_calls"], json!([call]), "{client:?}");
        if matches!(client, Client::Chat) {
            continue;
        }
        let told = sent("anthropic", client, &turns)["messages"][1]["content"].to_string();
        assert!(!told.contains("thinking"), "{client:?}: {told}");
        let turns = kept_streamed("openrouter", client, &stream);
        let back = sent("openrouter", client, &turns);
        assert_eq!(back["messages"][1]["reasoning_details"], all, "{client:?}, streamed");
    }
}
