//! Sounds that a model made: those that compatible servers put beside the words of a message, in all
//! clients' words, and told to the next model.

use dunlin_llm::form::{Delta, PartKind};
use serde_json::{Value, json};

use super::lame::{streamed, whole};
use super::wishes::sent;
use super::*;

const CHAT: Endpoint = Endpoint::ChatCompletions;
/// "RIFF" and more.
const WAV: &str = "UklGRiQAAABXQVZF";

/// As OpenAI has it, and vLLM-Omni after it.
fn audio() -> Value {
    json!({"id": "audio_1", "data": WAV, "expires_at": 9, "transcript": "hello"})
}

#[test]
fn a_sound_beside_a_message_reaches_whoever_has_a_form_for_it() {
    let message = json!({"role": "assistant", "content": null, "audio": audio()});
    let said =
        json!({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    let told = whole("hosted_vllm", Endpoint::GenerateContent, &said).unwrap();
    let blob = json!({"inlineData": {"mimeType": "audio/wav", "data": WAV}});
    assert_eq!(told["candidates"][0]["content"]["parts"], json!([{"text": "hello"}, blob]));
    let told = whole("hosted_vllm", Endpoint::Responses, &said).unwrap();
    let part = json!({"type": "output_audio", "data": WAV, "transcript": "hello"});
    assert_eq!(told["output"][0]["content"], json!([part]));
    let refused = whole("hosted_vllm", Endpoint::Messages, &said).expect_err("no form");
    assert_eq!(refused.cause, Cause::BadRequest, "to ask again would be in vain");
    assert!(refused.message.contains("a sound"), "{}", refused.message);
    // A message without one has none of it.
    let message = json!({"role": "assistant", "content": "hi", "audio": null});
    let said =
        json!({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    assert!(whole("hosted_vllm", Endpoint::Messages, &said).is_ok());
}

/// The pieces of a sound as OpenAI streams it.
fn pieces() -> String {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
    };
    let audio = |piece: Value| chunk(json!({"audio": piece}), Value::Null);
    [
        audio(json!({"id": "audio_1", "transcript": "hel"})),
        audio(json!({"data": "AQID"})),
        audio(json!({"transcript": "lo"})),
        audio(json!({"data": "BAU="})),
        audio(json!({"expires_at": 9})),
        chunk(json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

#[test]
fn a_streamed_sound_reaches_whoever_has_a_form_for_it() {
    let told = streamed("hosted_vllm", Endpoint::StreamGenerateContent, &pieces()).unwrap();
    let parts: Vec<Value> = told
        .iter()
        .filter_map(|frame| frame["candidates"][0]["content"]["parts"].as_array().cloned())
        .flatten()
        .filter(|part| part["text"] != "")
        .collect();
    let samples = |data: &str| {
        let mime_type = "audio/L16;codec=pcm;rate=24000";
        json!({"inlineData": {"mimeType": mime_type, "data": data}})
    };
    assert_eq!(
        parts,
        [json!({"text": "hel"}), samples("AQID"), json!({"text": "lo"}), samples("BAU=")]
    );

    let told = streamed("hosted_vllm", Endpoint::Responses, &pieces()).unwrap();
    let deltas = |kind: &str| -> Vec<&str> {
        let events = told.iter().filter(|event| event["type"] == kind);
        events.filter_map(|event| event["delta"].as_str()).collect()
    };
    assert_eq!(deltas("response.audio.delta"), ["AQID", "BAU="]);
    assert_eq!(deltas("response.audio.transcript.delta"), ["hel", "lo"]);
    let ends = ["response.audio.transcript.done", "response.audio.done"];
    let ends = ends.map(|kind| told.iter().filter(|event| event["type"] == kind).count());
    assert_eq!(ends, [1, 1]);
    let last = told.last().expect("an event");
    let part = json!({"type": "output_audio", "data": "AQIDBAU=", "transcript": "hello"});
    assert_eq!(last["response"]["output"][0]["content"], json!([part]), "{last}");

    let refused = streamed("hosted_vllm", Endpoint::Messages, &pieces()).expect_err("no form");
    assert_eq!(refused, "the stream holds a sound, which /v1/messages has no form for");
}

/// A response's events about sounds do not name the item that holds it when it is done.
#[test]
fn a_sound_of_a_response_is_told_once() {
    let item = json!({"type": "message", "role": "assistant", "content": [
        {"type": "output_audio", "data": WAV, "transcript": "hello"},
    ]});
    let response = json!({"id": "r", "status": "completed", "output": [item]});
    let (openai, chat) = (find("openai").unwrap(), chat());
    let to = Target { responses: true, ..Target::default() };
    let reply = openai.decode(&chat, &to, StatusCode::OK, response.to_string().into()).unwrap();
    let told: Value = serde_json::from_slice(&written(&reply, "m")).unwrap();
    let audio = &told["choices"][0]["message"]["audio"];
    assert_eq!((&audio["data"], &audio["transcript"]), (&json!(WAV), &json!("hello")));
    let stream: String = [
        json!({"type": "response.audio.transcript.delta", "delta": "hello"}),
        json!({"type": "response.audio.delta", "delta": WAV}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": response}),
    ]
    .iter()
    .map(|event| format!("data: {event}\n\n"))
    .collect();
    let (events, ended) = read(openai.stream(&chat, &to), &stream.into(), &[]);
    assert_eq!(ended, Ok(()));
    let sounds = events.into_iter().filter_map(|event| {
        let StreamEvent::Delta(Delta::Media { media, .. }) = event else { return None };
        Some(media)
    });
    let audio = |data: &str, format: &str, transcript: &str| {
        let [data, format, transcript] = [data, format, transcript].map(str::to_owned);
        PartKind::Audio { data, format, transcript }
    };
    let raw = "L16;codec=pcm;rate=24000";
    assert_eq!(sounds.collect::<Vec<_>>(), [audio("", raw, "hello"), audio(WAV, "wav", "")]);
}

#[test]
fn a_model_is_told_what_another_said_aloud() {
    let said = |audio: Value| {
        json!({"messages": [
            {"role": "user", "content": "speak"},
            {"role": "assistant", "audio": audio},
            {"role": "user", "content": "louder"},
        ]})
    };
    let told = sent("anthropic", "claude-sonnet-4-5", CHAT, &said(audio())).unwrap();
    assert_eq!(told["messages"][1]["content"], json!([{"type": "text", "text": "hello"}]));
    let wordless = json!({"data": WAV});
    let told = sent("gemini", "gemini-2.5-flash", CHAT, &said(wordless)).unwrap();
    let blob = json!({"inlineData": {"mimeType": "audio/wav", "data": WAV}});
    assert_eq!(told["contents"][1]["parts"], json!([blob]));
    let refused = sent("anthropic", "claude-sonnet-4-5", CHAT, &said(json!({"id": "audio_1"})));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("messages[1]") && refused.contains("an id"), "{refused}");
    let items = json!({"input": [
        {"role": "user", "content": "speak"},
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_audio", "data": WAV, "transcript": "hello"},
        ]},
    ]});
    let told = sent("hosted_vllm", "m", Endpoint::Responses, &items).unwrap();
    assert_eq!(told["messages"][1]["content"], "hello");
}
