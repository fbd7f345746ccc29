//! OpenAI's chat, completions and embeddings, and Azure's.

use serde_json::{Value, json};

use super::client::{ask, post, strings};
use super::start;
use crate::{Habit, MockUpstream, Settings};

const CHAT: &str = "/v1/chat/completions";

fn says(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
}

fn weather() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!([{"type": "function", "function": {"name": "get_weather", "parameters": schema}}])
}

async fn with(settings: Settings) -> MockUpstream {
    MockUpstream::start(settings).await.expect("a free port")
}

#[tokio::test]
async fn a_stream_names_its_role_first_and_its_usage_last() {
    let mock = start().await;
    let body = says("hi", json!({"stream": true, "stream_options": {"include_usage": true}}));
    let answered = post(&mock, CHAT, &[], &body).await;
    let events: Vec<Value> = answered.events().into_iter().map(|(_, event)| event).collect();
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(strings(&events, "/choices/0/delta/content").concat(), "tok tok tok ");
    assert_eq!(strings(&events, "/choices/0/finish_reason"), ["stop"]);
    let last = events.last().expect("some");
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(3)));
    assert!(answered.body.ends_with(b"data: [DONE]\n\n"));
    assert!(answered.header("x-request-id").starts_with("req_"));
}

#[tokio::test]
async fn tools_are_called_when_they_are_offered_and_wished_for() {
    let mock = start().await;
    let wish = r#"[[tool:get_weather {"city":"[[Paris]]"}]] [[tool:get_weather {"city":"Rome"}]]"#;
    let body = says(wish, json!({"tools": weather()}));
    let whole = post(&mock, CHAT, &[], &body).await.json();
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = choice["message"]["tool_calls"].as_array().expect("calls");
    let arguments: Vec<_> = strings(calls, "/function/arguments");
    assert_eq!(arguments, [r#"{"city":"[[Paris]]"}"#, r#"{"city":"Rome"}"#]);
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    let streamed = says(wish, json!({"tools": weather(), "stream": true}));
    let events = post(&mock, CHAT, &[], &streamed).await.events();
    for (index, expected) in arguments.iter().enumerate() {
        let calls = events.iter().map(|(_, event)| &event["choices"][0]["delta"]["tool_calls"][0]);
        let of_index: Vec<_> = calls.filter(|call| call["index"] == index).collect();
        assert_eq!(strings(of_index.clone(), "/function/name"), ["get_weather"]);
        assert_eq!(strings(of_index, "/function/arguments").concat(), *expected);
    }

    let lost = post(&mock, CHAT, &[], &says(wish, json!({}))).await.json();
    assert_eq!(lost["choices"][0]["message"]["content"], "no tool get_weather was offered");
    let one = says(wish, json!({"tools": weather(), "parallel_tool_calls": false}));
    let one = post(&mock, CHAT, &[], &one).await.json();
    assert_eq!(one["choices"][0]["message"]["tool_calls"].as_array().map(Vec::len), Some(1));
    let forced = says("hi", json!({"tools": weather(), "tool_choice": "required"}));
    let forced = post(&mock, CHAT, &[], &forced).await.json();
    let call = &forced["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"city":"tok"}"#);
}

#[tokio::test]
async fn the_answer_to_a_tools_result_repeats_it() {
    let mock = start().await;
    let mut body = says("[[tool:get_weather]]", json!({"tools": weather()}));
    let call = json!({"id": "c", "type": "function",
        "function": {"name": "get_weather", "arguments": "{}"}});
    let turns = body["messages"].as_array_mut().expect("messages");
    turns.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    turns.push(json!({"role": "tool", "tool_call_id": "c", "content": "22 degrees"}));
    let whole = post(&mock, CHAT, &[], &body).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "the tool said: 22 degrees");
}

#[tokio::test]
async fn wishes_are_granted() {
    let mock = start().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    for (text, more, pointer, expected) in [
        ("[[say:good day]]", json!({}), "/message/content", json!("good day")),
        ("[[echo]] you there", json!({}), "/message/content", json!("you there")),
        ("a [[wiki link]]", json!({}), "/message/content", json!("tok tok tok ")),
        ("[[think]]", json!({}), "/message/reasoning_content", json!("hm hm hm ")),
        ("[[refuse:no]]", json!({}), "/message/refusal", json!("no")),
        ("[[finish:length]]", json!({}), "/finish_reason", json!("length")),
        ("hi", json!({"max_tokens": 2}), "/finish_reason", json!("length")),
        ("hi", json!({"max_completion_tokens": 1}), "/message/content", json!("tok ")),
        (
            "hi",
            json!({"response_format": format}),
            "/message/content",
            json!(r#"{"n":1,"tags":["a"]}"#),
        ),
        ("hi", json!({"logprobs": true}), "/logprobs/content/2/token", json!("tok ")),
    ] {
        let whole = post(&mock, CHAT, &[], &says(text, more)).await.json();
        assert_eq!(whole["choices"][0].pointer(pointer), Some(&expected), "{text}: {whole}");
    }
    let header = post(&mock, CHAT, &["x-mock-say: by header"], &says("hi", json!({}))).await;
    assert_eq!(header.json()["choices"][0]["message"]["content"], "by header");
    let several = post(&mock, CHAT, &[], &says("[[cached:9]]", json!({"n": 3}))).await.json();
    assert_eq!(several["choices"].as_array().map(Vec::len), Some(3));
    assert_eq!(several["usage"]["completion_tokens"], 9);
    assert_eq!(several["usage"]["prompt_tokens_details"]["cached_tokens"], 9);
}

#[tokio::test]
async fn bad_requests_are_refused_in_openais_words() {
    let mock = with(Settings {
        key: Some("sk-right".into()),
        models: Some(vec!["m".into()]),
        context: Some(100),
        ..Settings::default()
    })
    .await;
    let right = "authorization: Bearer sk-right";
    let role = json!({"model": "m", "messages": [{"role": "robot", "content": "hi"}]});
    let other = json!({"model": "other", "messages": []});
    for (header, body, status, pointer, expected) in [
        (right, role, 400, "/error/param", json!("messages[0].role")),
        (right, json!({"model": "m"}), 400, "/error/type", json!("invalid_request_error")),
        (right, other.clone(), 404, "/error/code", json!("model_not_found")),
        ("authorization: Bearer no", other, 401, "/error/code", json!("invalid_api_key")),
        (
            right,
            says("[[status:429]]", json!({})),
            429,
            "/error/code",
            json!("rate_limit_exceeded"),
        ),
        (
            right,
            says(&"long ".repeat(200), json!({})),
            400,
            "/error/code",
            json!("context_length_exceeded"),
        ),
        ("x-mock-oops: 1", says("hi", json!({})), 401, "/error/param", Value::Null),
    ] {
        let answered = ask(&mock, &format!("POST {CHAT}"), &[header], body.to_string()).await;
        let json = answered.json();
        assert_eq!((answered.status, json.pointer(pointer)), (status, Some(&expected)), "{json}");
    }
}

#[tokio::test]
async fn servers_of_others_have_their_own_habits() {
    let long = says(&"long ".repeat(200), json!({}));
    for (habit, status, pointer, expected) in [
        (Habit::Vllm, 400, "/error/type", json!("BadRequestError")),
        (Habit::Tgi, 422, "/error_type", json!("validation")),
        (Habit::LlamaCpp, 400, "/error/type", json!("exceed_context_size_error")),
    ] {
        let habits = vec![habit];
        let mock = with(Settings { habits, context: Some(100), ..Settings::default() }).await;
        let answered = ask(&mock, &format!("POST {CHAT}"), &[], long.to_string()).await;
        let json = answered.json();
        assert_eq!((answered.status, json.pointer(pointer)), (status, Some(&expected)), "{json}");
    }
    let habits = vec![Habit::NoStreamOptions, Habit::NoNullEncoding, Habit::NoUsage, Habit::CrLf];
    let mock = with(Settings { habits, ..Settings::default() }).await;
    let body = says("hi", json!({"stream": true, "stream_options": {"include_usage": true}}));
    assert_eq!(ask(&mock, &format!("POST {CHAT}"), &[], body.to_string()).await.status, 400);
    let null = json!({"model": "m", "input": "i", "encoding_format": null}).to_string();
    assert_eq!(ask(&mock, "POST /v1/embeddings", &[], null).await.status, 400);
    let streamed = post(&mock, CHAT, &[], &says("hi", json!({"stream": true}))).await;
    let text = str::from_utf8(&streamed.body).expect("text");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    let whole = post(&mock, CHAT, &[], &says("hi", json!({}))).await.json();
    assert_eq!(whole.get("usage"), None);
}

#[tokio::test]
async fn vllm_tells_how_busy_it_is() {
    let settings = Settings { slots: Some(1), habits: vec![Habit::Vllm], ..Settings::default() };
    let mock = with(settings).await;
    let slow = says("[[delay:60000]]", json!({}));
    let waiting = [post(&mock, CHAT, &[], &slow), post(&mock, CHAT, &[], &slow)];
    let busy = mock.until(|stats| stats.in_flight == 2);
    tokio::select! {
        _ = futures::future::select_all(waiting.map(Box::pin)) => panic!("they take a minute"),
        _ = async {
            busy.await;
            let text = ask(&mock, "GET /metrics", &[], "").await.body;
            let text = str::from_utf8(&text).expect("text");
            for gauge in ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"] {
                let expected = format!("vllm:{gauge}{{engine=\"0\",model_name=\"mock\"}} 1.0");
                assert!(text.contains(&expected), "{expected}: {text}");
            }
        } => {}
    }
    assert!(ask(&mock, "GET /health", &[], "").await.body.is_empty());
}

#[tokio::test]
async fn completions_echo_and_answer_every_prompt() {
    let mock = start().await;
    let body = json!({"model": "m", "prompt": ["one ", "two "], "echo": true, "n": 2});
    let whole = post(&mock, "/v1/completions", &[], &body).await.json();
    let texts = strings(whole["choices"].as_array().expect("choices"), "/text");
    assert_eq!(
        texts,
        ["one tok tok tok ", "one tok tok tok ", "two tok tok tok ", "two tok tok tok "]
    );
    let body = json!({"model": "m", "prompt": [1, 2], "suffix": "end", "stream": true});
    let events = post(&mock, "/v1/completions", &[], &body).await.events();
    let events: Vec<Value> = events.into_iter().map(|(_, event)| event).collect();
    assert_eq!(strings(&events, "/choices/0/text").concat(), "tok tok tok ");
    assert_eq!(events[0]["object"], "text_completion");
}

#[tokio::test]
async fn the_same_text_has_the_same_embedding_in_either_format() {
    let mock = start().await;
    let embed = async |input: Value, format: &str| {
        let body =
            json!({"model": "m", "input": input, "encoding_format": format, "dimensions": 4});
        post(&mock, "/v1/embeddings", &[], &body).await.json()["data"].clone()
    };
    let floats = embed(json!(["a", "b"]), "float").await;
    assert_eq!(floats[0]["embedding"].as_array().map(Vec::len), Some(4));
    assert_ne!(floats[0]["embedding"], floats[1]["embedding"]);
    assert_eq!(floats[1], embed(json!(["x", "b"]), "float").await[1]);
    assert_eq!(embed(json!([[1, 2], [3]]), "float").await.as_array().map(Vec::len), Some(2));
    assert_eq!(embed(json!([1, 2]), "float").await.as_array().map(Vec::len), Some(1));
    // Four little-endian floats are sixteen bytes.
    let base64 = embed(json!("a"), "base64").await;
    let text = base64[0]["embedding"].as_str().expect("text");
    assert!(text.len() == 24 && text.ends_with("=="), "{text}");
    assert_eq!(decoded(text), floats[0]["embedding"]);
}

/// Reads base64 bit by bit, slowly.
fn decoded(text: &str) -> Value {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("no base64"),
    };
    let bits: Vec<bool> = text
        .trim_end_matches('=')
        .bytes()
        .flat_map(|letter| (0..6).rev().map(move |bit| value(letter) >> bit & 1 == 1))
        .collect();
    let bytes: Vec<u8> = bits
        .chunks_exact(8)
        .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)))
        .collect();
    let floats = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    json!(floats.collect::<Vec<_>>())
}

#[tokio::test]
async fn azure_wants_its_version_and_tells_what_it_filtered() {
    let mock =
        with(Settings { tokens: 3, models: Some(vec!["dep".into()]), ..Settings::default() }).await;
    let path = "/openai/deployments/dep/chat/completions?api-version=2024-10-21";
    let body = json!({"messages": [{"role": "user", "content": "hi"}], "stream": true});
    let events = post(&mock, path, &["api-key: k"], &body).await.events();
    assert_eq!(events[0].1["choices"], json!([]));
    assert_eq!(events[0].1["prompt_filter_results"][0]["prompt_index"], 0);
    let safe = &events[2].1["choices"][0]["content_filter_results"]["hate"]["severity"];
    assert_eq!(safe, "safe");
    let tool = json!({"messages": [{"role": "user", "content": "[[tool:get_weather]]"}],
        "tools": weather()});
    let whole = post(&mock, path, &["authorization: Bearer k"], &tool).await.json();
    assert_eq!(whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    for (path, header, status, code) in [
        (path, "x-other: k", 401, json!("401")),
        (&path.replace("dep/", "none/"), "api-key: k", 404, json!("DeploymentNotFound")),
        (&path[..path.len() - 23], "api-key: k", 404, Value::Null),
    ] {
        let answered = ask(&mock, &format!("POST {path}"), &[header], body.to_string()).await;
        let json = answered.json();
        assert_eq!((answered.status, &json["error"]["code"]), (status, &code), "{json}");
    }
}
