//! Pictures that a model drew: those that compatible servers put beside the words of a message, in all
//! clients' words, and shown to the next model.

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::Cause;
use super::lame::{streamed, whole};
use super::wishes::sent;

const CHAT: Endpoint = Endpoint::ChatCompletions;
const URL: &str = "data:image/png;base64,aGk=";

fn images() -> Value {
    json!([{"type": "image_url", "image_url": {"url": URL}}])
}

#[test]
fn pictures_beside_a_message_reach_whoever_has_a_form_for_them() {
    let message = json!({"role": "assistant", "content": "look", "images": images()});
    let said = |name: &str| json!({"id": "c", "choices": [{"index": 0, name: message, "finish_reason": "stop"}]});
    let stream = format!("data: {}\n\ndata: [DONE]\n\n", said("delta"));
    let blob = json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}});
    let told = whole("openrouter", Endpoint::GenerateContent, &said("message")).unwrap();
    assert_eq!(told["candidates"][0]["content"]["parts"], json!([{"text": "look"}, blob]));
    let told = streamed("openrouter", Endpoint::StreamGenerateContent, &stream).unwrap();
    assert!(told.iter().any(|frame| frame["candidates"][0]["content"]["parts"] == json!([blob])));

    let told = whole("openrouter", Endpoint::Responses, &said("message")).unwrap();
    let item = &told["output"][1];
    assert_eq!(
        (&item["type"], &item["status"]),
        (&json!("image_generation_call"), &json!("completed"))
    );
    assert_eq!((&item["result"], &item["output_format"]), (&json!("aGk="), &json!("png")));
    let told = streamed("openrouter", Endpoint::Responses, &stream).unwrap();
    let last = told.last().expect("an event");
    assert_eq!(last["response"]["output"][1]["result"], "aGk=", "{last}");
    let of_item = |kind: &str| told.iter().filter(|event| event["item"]["type"] == kind).count();
    assert_eq!(of_item("image_generation_call"), 2, "it is added and done");

    let refused = whole("openrouter", Endpoint::Messages, &said("message")).expect_err("no form");
    assert_eq!(refused.cause, Cause::BadRequest, "to ask again would be in vain");
    let refused = streamed("openrouter", Endpoint::Messages, &stream).expect_err("no form");
    assert_eq!(refused, "the stream holds a picture, which /v1/messages has no form for");
}

#[test]
fn a_stream_may_hold_a_large_picture() {
    let url = format!("data:image/png;base64,{}", "A".repeat(2 << 20));
    let images = json!([{"image_url": {"url": url}}]);
    let said =
        json!({"id": "c", "choices": [{"delta": {"images": images}, "finish_reason": "stop"}]});
    let stream = format!("data: {said}\n\ndata: [DONE]\n\n");
    let told = streamed("openrouter", Endpoint::StreamGenerateContent, &stream).unwrap();
    let parts = |frame: &Value| frame["candidates"][0]["content"]["parts"][0].clone();
    let drawn = told.iter().find(|frame| parts(frame)["inlineData"].is_object()).expect("it");
    assert_eq!(parts(drawn)["inlineData"]["data"].as_str().map(str::len), Some(2 << 20));
}

#[test]
fn a_model_is_shown_what_another_drew() {
    let said = json!({"messages": [
        {"role": "user", "content": "draw"},
        {"role": "assistant", "content": "here", "images": images()},
        {"role": "user", "content": "bluer"},
    ]});
    let told = sent("gemini", "gemini-2.5-flash-image", CHAT, &said).unwrap();
    assert_eq!(told["contents"][1]["role"], "model");
    assert_eq!(told["contents"][1]["parts"][1]["inlineData"]["data"], "aGk=");
    let told = sent("anthropic", "claude-sonnet-4-5", CHAT, &said).unwrap();
    assert_eq!(told["messages"][1]["content"], json!([{"type": "text", "text": "here"}]));
    let next = &told["messages"][2]["content"];
    assert_eq!(next[0]["text"], "Shown by the assistant:");
    assert_eq!((&next[1]["source"]["data"], &next[2]["text"]), (&json!("aGk="), &json!("bluer")));
    // A response's client sends the item back.
    let items = json!({"input": [
        {"role": "user", "content": "draw"},
        {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "aGk="},
    ]});
    let told = sent("hosted_vllm", "m", Endpoint::Responses, &items).unwrap();
    let last = told["messages"].as_array().and_then(|all| all.last()).expect("a message");
    assert_eq!(last["role"], "user");
    assert_eq!(last["content"][1]["image_url"]["url"], URL, "{told}");
}
