//! Whole answers to whoever asked for a stream, and streams without an answer.

use serde_json::{Value, json};

use super::seals::{Client, kept_streamed, kept_whole};
use super::*;

/// "Hello", and a call where the provider's dialect has one beside words.
fn answer(provider: &str) -> Value {
    match provider {
        "openai" => json!({"id": "1", "object": "chat.completion", "model": "m", "choices": [
            {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Hello",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}]}),
        "openai/responses" => {
            json!({"id": "1", "object": "response", "status": "completed", "model": "m",
            "output": [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"}]})
        }
        "anthropic" => json!({"id": "1", "type": "message", "role": "assistant", "model": "m",
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 9, "output_tokens": 3}, "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2Vh"},
                {"type": "text", "text": "Hello"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]}),
        "gemini" => json!({"responseId": "1", "candidates": [{"finishReason": "STOP",
            "content": {"role": "model", "parts": [
                {"text": "Hello"}, {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}]}}]}),
        "cohere" => {
            json!({"id": "1", "finish_reason": "TOOL_CALL", "message": {"role": "assistant",
            "content": [{"type": "text", "text": "Hello"}],
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            "usage": {"tokens": {"input_tokens": 9, "output_tokens": 3}}})
        }
        "ollama_chat" => json!({"model": "m", "done": true, "done_reason": "stop",
            "message": {"role": "assistant", "content": "Hello",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]}}),
        "bedrock" => json!({"stopReason": "tool_use",
            "usage": {"inputTokens": 9, "outputTokens": 3},
            "output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2Vh"}}},
                {"text": "Hello"}, {"toolUse": {"toolUseId": "c", "name": "f", "input": {"a": 1}}}]}}}),
        other => panic!("{other}"),
    }
}

#[test]
fn a_whole_answer_is_a_stream_of_the_same_words() {
    let dialects =
        ["openai", "openai/responses", "anthropic", "bedrock", "gemini", "cohere", "ollama_chat"];
    for provider in dialects {
        let (whole, client) = (answer(provider), Client::Chat);
        let told = kept_whole(provider, client, &whole).remove(0);
        let written = match provider {
            "ollama_chat" => whole.to_string(),
            _ => serde_json::to_string_pretty(&whole).unwrap(),
        };
        let streamed = kept_streamed(provider, client, written.as_bytes()).remove(0);
        assert_eq!(streamed["content"], told["content"], "{provider}");
        let calls = |of: &Value| {
            let call = &of["tool_calls"][0];
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            (call["id"].clone(), call["function"]["name"].clone(), arguments)
        };
        assert_eq!(calls(&streamed), calls(&told), "{provider}");
        assert_eq!(calls(&told).1, "f", "{provider}");
    }
    // Google's list of small answers, for whoever does not ask for events.
    let small = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]});
    let mut last = small("lo");
    last["candidates"][0]["finishReason"] = "STOP".into();
    let list = json!([small("Hel"), last]).to_string();
    let streamed = kept_streamed("gemini", Client::Chat, list.as_bytes()).remove(0);
    assert_eq!(streamed["content"], "Hello");
}

fn decoded(
    provider: &str,
    endpoint: Endpoint,
    stream: &[u8],
) -> Result<Vec<StreamEvent>, StreamError> {
    let asked = wishes::asking(endpoint, &json!({}));
    let mut decoder = find(provider).unwrap().stream(&asked, &openai_target());
    let mut events = Vec::new();
    decoder.push(Bytes::copy_from_slice(stream), &mut events)?;
    decoder.finish(&mut events)?;
    Ok(events)
}

/// A message passes as the events that Anthropic's clients know, with all that it used.
#[test]
fn a_whole_message_passes_as_events() {
    let message = answer("anthropic").to_string();
    let events = decoded("anthropic", Endpoint::Messages, message.as_bytes()).unwrap();
    let mut names = Vec::new();
    let mut used = None;
    for event in &events {
        let StreamEvent::Chunk(chunk) = event else {
            assert!(matches!(event, StreamEvent::Done(_)), "{event:?}");
            names.push("message_stop".to_owned());
            continue;
        };
        let data: Value = serde_json::from_slice(chunk.data()).unwrap();
        names.push(data["type"].as_str().unwrap().to_owned());
        used = chunk.usage().or(used);
    }
    let block = |deltas: usize| {
        let mut all = vec!["content_block_start"];
        all.extend(vec!["content_block_delta"; deltas]);
        all.push("content_block_stop");
        all
    };
    let mut expected = vec!["message_start"];
    [2, 1, 1].into_iter().for_each(|deltas| expected.extend(block(deltas)));
    expected.extend(["message_delta", "message_stop"]);
    assert_eq!(names, expected);
    assert_eq!(used.map(|usage| usage.total().0), Some(12));
}

#[test]
fn an_end_without_a_beginning_is_no_answer() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":0}}\n\n";
    for stream in [
        "data: [DONE]\n\n",
        "data: [DONE]",
        ": wait\n\ndata: [DONE]\n\n",
        &format!("{usage}data: [DONE]\n\n"),
    ] {
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Messages] {
            let read = decoded("openai", endpoint, stream.as_bytes());
            assert_eq!(read, Err(StreamError::Cut), "{stream}");
        }
    }
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    assert_eq!(decoded("anthropic", Endpoint::Messages, stop.as_bytes()), Err(StreamError::Cut));
    assert_eq!(decoded("gemini", Endpoint::ChatCompletions, b""), Err(StreamError::Cut));
    assert_eq!(decoded("cohere", Endpoint::ChatCompletions, b""), Err(StreamError::Cut));
}
