//! Calls whose arguments come in pieces.

use std::fs;

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::lame::streamed;
use super::wishes::sent;

#[test]
fn a_call_that_google_streams_in_pieces_is_told_whole() {
    let path = format!("{}/testdata/gemini/stream-call-pieces.sse", env!("CARGO_MANIFEST_DIR"));
    let told = streamed("gemini", Endpoint::ChatCompletions, &fs::read_to_string(path).unwrap());
    let told = told.unwrap();
    let (mut names, mut arguments) = (Vec::new(), [String::new(), String::new()]);
    for chunk in &told {
        let calls = chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned();
        for call in calls.into_iter().flatten() {
            names.extend(call["function"]["name"].as_str().map(str::to_owned));
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            arguments[at] += call["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    assert_eq!(names, ["get_weather", "get_time"]);
    let arguments = arguments.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(arguments, [json!({"city": "New Delhi", "days": 2}), json!({"city": "Rome"})]);
    assert!(told.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "tool_calls"));
}

#[test]
fn what_googles_server_called_is_left_out_for_others() {
    let parts = json!([
        {"thoughtSignature": "c2VhbA==", "toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB"}},
        {"toolResponse": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}},
        {"text": "found"},
    ]);
    let history = json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": parts},
        {"role": "user", "parts": [{"text": "more"}]},
    ]});
    for provider in ["hosted_vllm", "cohere"] {
        let told = sent(provider, "m", Endpoint::GenerateContent, &history).unwrap().to_string();
        assert!(told.contains("found") && !told.contains("GOOGLE"), "{provider}: {told}");
    }
}
