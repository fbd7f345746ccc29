//! How likely their words were, from providers in whose answers no client could read it.

use std::fs;

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::lame::{streamed, whole};
use super::wishes::sent;

const CHAT: Endpoint = Endpoint::ChatCompletions;

fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn who_tells_it_is_asked_for_it() {
    let wish = json!({"logprobs": true, "top_logprobs": 2});
    let told = sent("ollama", "gemma3", CHAT, &wish).unwrap();
    assert_eq!((&told["logprobs"], &told["top_logprobs"]), (&json!(true), &json!(2)));
    assert_eq!(told["options"], Value::Null, "they are no options");
    let told = sent("cohere", "command-a", CHAT, &json!({"logprobs": true})).unwrap();
    assert_eq!(told["logprobs"], true);
    let none = json!({"logprobs": true, "top_logprobs": 0});
    assert_eq!(sent("cohere", "command-a", CHAT, &none).unwrap()["logprobs"], true);
    let refused = sent("cohere", "command-a", CHAT, &wish).unwrap_err().to_string();
    assert!(refused.contains("['top_logprobs']"), "it tells no alternatives: {refused}");
}

#[test]
fn plain_completions_ask_for_it_in_a_number_and_are_told_in_lists() {
    let wish = json!({"prompt": "p", "logprobs": 2});
    let asked = |provider: &str| sent(provider, "m", Endpoint::Completions, &wish);
    let told = asked("groq").unwrap();
    assert_eq!((&told["logprobs"], &told["top_logprobs"]), (&json!(true), &json!(2)), "{told}");
    assert!(asked("anthropic").unwrap_err().to_string().contains("'logprobs'"));
    let none = json!({"prompt": "p", "logprobs": 0});
    assert_eq!(sent("cohere", "m", Endpoint::Completions, &none).unwrap()["logprobs"], true);

    let content = json!([
        chosen("P\u{e9}", -0.25, json!([likely("Pip", -1.5)])),
        chosen("ep", -0.5, json!([]))
    ]);
    let body = json!({"id": "1", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "P\u{e9}ep"}, "logprobs": {"content": content}}]});
    let expected = json!({
        "tokens": ["P\u{e9}", "ep"], "token_logprobs": [-0.25, -0.5], "text_offset": [0, 2],
        "top_logprobs": [{"Pip": -1.5, "P\u{e9}": -0.25}, {"ep": -0.5}],
    });
    let told = whole("groq", Endpoint::Completions, &body).unwrap();
    assert_eq!(told["choices"][0]["logprobs"], expected);
    let frame = |delta: &str, of: &Value| {
        let choice =
            json!({"index": 0, "delta": {"content": delta}, "logprobs": {"content": [of]}});
        format!("data: {}\n\n", json!({"id": "1", "choices": [choice]}))
    };
    let end = json!({"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let stream = frame("P\u{e9}", &content[0])
        + &frame("ep", &content[1])
        + &format!("data: {end}\n\ndata: [DONE]\n\n");
    let told = streamed("groq", Endpoint::Completions, &stream).unwrap();
    let offsets = told.iter().map(|chunk| &chunk["choices"][0]["logprobs"]["text_offset"][0]);
    let offsets: Vec<u64> = offsets.filter_map(Value::as_u64).collect();
    assert_eq!(offsets, [0, 2], "{told:?}");
}

fn likely(token: &str, logprob: f64) -> Value {
    json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()})
}

fn chosen(token: &str, logprob: f64, top: Value) -> Value {
    let mut chosen = likely(token, logprob);
    chosen["top_logprobs"] = top;
    chosen
}

#[test]
fn it_is_told_in_openais_form_whole_and_streamed() {
    let ollamas =
        |top: Value| json!([chosen("P\u{e9}", -0.25, top), chosen("ep", -0.5, json!([]))]);
    // The first piece is two tokens.
    let coheres =
        json!([chosen("P\u{e9}ep", -0.75, json!([])), chosen(" peep", -0.125, json!([]))]);
    let both = json!([likely("P\u{e9}", -0.25), likely("Pip", -1.5)]);
    for (provider, name, expected) in [
        ("ollama", "ollama/native-reply-logprobs.json", ollamas(both)),
        ("cohere", "cohere/native-reply-logprobs.json", coheres.clone()),
    ] {
        let body = serde_json::from_str(&file(name)).unwrap();
        let told = whole(provider, CHAT, &body).unwrap();
        assert_eq!(told["choices"][0]["logprobs"]["content"], expected, "{provider}");
        let told = whole(provider, Endpoint::GenerateContent, &body).unwrap();
        let first = &told["candidates"][0]["logprobsResult"]["chosenCandidates"][0];
        assert_eq!(first["token"], expected[0]["token"], "{provider}");
    }
    for (provider, name, expected) in [
        ("ollama", "ollama/native-stream-logprobs.ndjson", ollamas(json!([likely("Pip", -1.5)]))),
        ("cohere", "cohere/native-stream-logprobs.sse", coheres.clone()),
        // Some servers answer whole where a stream is asked for.
        ("cohere", "cohere/native-reply-logprobs.json", coheres),
    ] {
        let told = streamed(provider, CHAT, &file(name)).unwrap();
        let content =
            |chunk: &Value| chunk["choices"][0]["logprobs"]["content"].as_array().cloned();
        let all: Vec<Value> = told.iter().filter_map(content).flatten().collect();
        assert_eq!(Value::from(all), expected, "{provider} {name}");
    }
}
