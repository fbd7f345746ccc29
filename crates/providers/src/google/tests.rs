//! Google's two services over their files, for clients of both dialects.

use dunlin_llm::{ChatReply, Endpoint, Stamp, StreamEvent, parse};
use dunlin_types::{Credential, Secret, UnixMillis};
use http::StatusCode;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::tests::{chat, events_for, files};
use crate::{EncodeError, StreamError, find};

const IDS: [&str; 3] = ["gemini", "vertex_ai", "vertex_ai_beta"];

fn generate(endpoint: Endpoint) -> ChatRequest {
    let body = Bytes::from_static(br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#);
    parse(endpoint, body, Some("alias")).unwrap()
}

fn embeddings(body: &Value) -> ChatRequest {
    parse(Endpoint::Embeddings, Bytes::from(body.to_string()), None).unwrap()
}

fn decoded(id: &str, request: &ChatRequest, body: &Bytes) -> ChatReply {
    let provider = find(id).unwrap();
    provider.decode(request, &Target::default(), StatusCode::OK, body.clone()).unwrap()
}

fn written(reply: &ChatReply, endpoint: Endpoint) -> Bytes {
    reply.write(endpoint, Stamp { model: "alias", id: "x", now: 1, request: "", turn: None })
}

#[test]
fn answers_pass_to_googles_clients_and_are_translated_for_others() {
    for id in IDS {
        let found = files(find(id).unwrap(), "reply");
        assert!(!found.is_empty(), "{id}");
        for (name, body) in found {
            let passed = decoded(id, &generate(Endpoint::GenerateContent), &body);
            assert_eq!(written(&passed, Endpoint::GenerateContent), body, "{name}");
            let json: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(passed.id(), json["responseId"].as_str(), "{name}");
            let usage = passed.usage().expect("it counts");
            assert_eq!(Some(usage.total().0), json["usageMetadata"]["totalTokenCount"].as_u64());
            let cached = json["usageMetadata"]["cachedContentTokenCount"].as_u64();
            assert_eq!(usage.cached.0, cached.unwrap_or(0), "{name}");

            let translated = decoded(id, &chat(), &body);
            assert_eq!(translated.usage(), Some(usage), "{name}");
            let openai: Value =
                serde_json::from_slice(&written(&translated, Endpoint::ChatCompletions)).unwrap();
            let choice = &openai["choices"][0];
            let finish = if name.contains("call") {
                "tool_calls"
            } else if name.contains("blocked") {
                "content_filter"
            } else {
                "stop"
            };
            assert_eq!(choice["finish_reason"], finish, "{name}");
        }
    }
}

#[test]
fn streams_are_read_to_their_end_for_both() {
    for id in IDS {
        let found = files(find(id).unwrap(), "stream");
        assert!(!found.is_empty(), "{id}");
        for (name, stream) in found {
            for request in [generate(Endpoint::StreamGenerateContent), chat()] {
                let (events, ended) = events_for(&request, find(id).unwrap(), &stream, &[]);
                assert_eq!(ended, Ok(()), "{id} {name}");
                assert_eq!(events.last(), Some(&StreamEvent::Done(Bytes::new())), "{id} {name}");
                let mut passed = Vec::new();
                let mut usage = None;
                for event in &events {
                    match event {
                        StreamEvent::Chunk(chunk) => {
                            passed.extend_from_slice(&chunk.write("alias", false).unwrap());
                            usage = chunk.usage().or(usage);
                        }
                        StreamEvent::Delta(delta) => usage = delta.usage().or(usage),
                        StreamEvent::Comment(_)
                        | StreamEvent::Done(_)
                        | StreamEvent::Error(_)
                        | StreamEvent::Failed(..) => {}
                    }
                }
                assert!(usage.is_some_and(|usage| usage.completion.0 > 0), "{id} {name}");
                assert!(passed.is_empty() || passed == *stream, "{id} {name}");
            }
        }
    }
}

#[test]
fn a_stream_that_does_not_say_why_it_ends_is_cut() {
    let (_, stream) = files(find("gemini").unwrap(), "stream.sse").remove(0);
    let ends: Vec<usize> = (0..=stream.len()).collect();
    let reason = String::from_utf8_lossy(&stream).rfind("finishReason").unwrap();
    for request in [generate(Endpoint::StreamGenerateContent), chat()] {
        for &end in ends.iter().filter(|end| **end < reason) {
            let (_, ended) =
                events_for(&request, find("gemini").unwrap(), &stream.slice(..end), &[]);
            assert_eq!(ended, Err(StreamError::Cut), "{end}");
        }
        // Only the blank line is missing.
        let (events, ended) =
            events_for(&request, find("gemini").unwrap(), &stream.slice(..stream.len() - 2), &[]);
        assert_eq!((ended, events.last()), (Ok(()), Some(&StreamEvent::Done(Bytes::new()))));
    }
    let failing =
        Bytes::from_static(b"data: {\"error\":{\"code\":503,\"message\":\"busy\"}}\n\nmore");
    let (events, ended) = events_for(&chat(), find("gemini").unwrap(), &failing, &[]);
    assert!(ended.is_ok() && matches!(events[..], [StreamEvent::Error(_)]), "{events:?}");
}

fn target(api_base: &str, model: &str) -> Target {
    Target { api_base: api_base.into(), model: model.into(), ..Target::default() }
}

const STUDIO: &str = "https://generativelanguage.googleapis.com";

/// Where a request for a model at a base goes, and the key or token it shows.
fn address(id: &str, base: &str, model: &str, request: &ChatRequest) -> (String, String) {
    let project = Some("p".into());
    let to = Target { project, region: Some("eu-west1".into()), ..target(base, model) };
    let credential = match id {
        "gemini" => Credential::Key(Secret::new("k")),
        _ => Credential::Token(Secret::new("t")),
    };
    let call = find(id).unwrap().encode(request, &to, &credential, UnixMillis(0)).unwrap();
    let header = |name: &str| call.headers().get(name).map(|value| value.to_str().unwrap());
    let shown = header("x-goog-api-key").or(header("authorization")).unwrap_or_default();
    (call.uri().to_string(), shown.to_owned())
}

#[test]
fn calls_go_to_the_right_place_with_the_right_credential() {
    let place = "https://eu.test/v1/projects/p/locations/eu-west1";
    let vectors = embeddings(&json!({"model": "m", "input": "a"}));
    let whole = generate(Endpoint::GenerateContent);
    let stream = generate(Endpoint::StreamGenerateContent);
    let v1beta = format!("{STUDIO}/v1beta");
    for (base, model, request, root, path) in [
        (STUDIO, "gemini-x", &whole, &*v1beta, "/models/gemini-x:generateContent"),
        (STUDIO, "m", &stream, &v1beta, "/models/m:streamGenerateContent?alt=sse"),
        (
            "http://p/x/v1",
            "tunedModels/a?b",
            &chat(),
            "http://p/x/v1",
            "/tunedModels/a%3Fb:generateContent",
        ),
        (STUDIO, "e", &vectors, &v1beta, "/models/e:batchEmbedContents"),
    ] {
        let expected = (format!("{root}{path}"), "k".to_owned());
        assert_eq!(address("gemini", base, model, request), expected);
    }
    for (model, request, path) in [
        ("gemini-x", &whole, "/publishers/google/models/gemini-x:generateContent"),
        ("gemini/42", &chat(), "/endpoints/42:generateContent"),
        ("text-e", &vectors, "/publishers/google/models/text-e:predict"),
        ("claude-x@1", &chat(), "/publishers/anthropic/models/claude-x@1:rawPredict"),
        ("mistral-small", &chat(), "/publishers/mistralai/models/mistral-small:rawPredict"),
        ("meta/llama", &chat(), "/endpoints/openapi/chat/completions"),
    ] {
        let expected = (format!("{place}{path}"), "Bearer t".to_owned());
        assert_eq!(address("vertex_ai", "https://eu.test", model, request), expected);
    }
    let (beta, _) = address("vertex_ai_beta", "https://h", "gemini-x", &whole);
    assert!(beta.starts_with("https://h/v1beta1/projects/p/"), "{beta}");
    let (own, _) = address("vertex_ai", "https://gw.test/a/models/m", "gemini-x", &whole);
    assert_eq!(own, "https://gw.test/a/models/m:generateContent");
}

#[test]
fn what_cannot_be_called_is_said() {
    let encoded = |id: &str, request: &ChatRequest, base: &str| {
        let none = Credential::None;
        find(id).unwrap().encode(request, &target(base, "gemini-x"), &none, UnixMillis(0))
    };
    let nowhere = encoded("vertex_ai", &chat(), "https://h");
    assert!(nowhere.unwrap_err().to_string().contains("vertex_project"));
    let body = Bytes::from_static(b"{\"model\":\"m\",\"prompt\":\"x\"}");
    let images = parse(Endpoint::ImageGenerations, body, None).unwrap();
    for id in IDS {
        let refused = encoded(id, &images, STUDIO);
        assert!(matches!(refused, Err(EncodeError::UnsupportedEndpoint { .. })), "{refused:?}");
    }
}

#[test]
fn a_clients_bytes_are_sent_if_the_deployment_adds_nothing() {
    let request = generate(Endpoint::GenerateContent);
    let provider = find("gemini").unwrap();
    let body = |to: &Target| {
        let call = provider.encode(&request, to, &Credential::None, UnixMillis(0)).unwrap();
        call.into_body()
    };
    let plain = target("https://h", "gemini-3-flash");
    assert_eq!(body(&plain), r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#);
    let with = Target {
        body_defaults: vec![
            ("max_tokens".into(), "9".into()),
            ("safety_settings".into(), "[1]".into()),
        ],
        ..plain
    };
    let changed: Value = serde_json::from_slice(&body(&with)).unwrap();
    assert_eq!(changed["generationConfig"], json!({"maxOutputTokens": 9}));
    assert_eq!(changed["safetySettings"], json!([1]));
    assert_eq!(changed["contents"][0]["parts"][0]["text"], "hi");
}

#[test]
fn what_a_generation_lacks_is_refused_or_dropped() {
    for (model, param, has) in [
        ("gemini-2.0-flash", "reasoning_effort", false),
        ("gemini-2.0-flash", "presence_penalty", true),
        ("gemini-2.5-pro", "reasoning_effort", true),
        ("gemini-2.5-pro", "presence_penalty", true),
        ("gemini-3-pro-preview", "reasoning_effort", true),
        ("gemini-3-pro-preview", "presence_penalty", false),
        ("gemini-flash-latest", "reasoning_effort", true),
        ("gemini-1.5-pro", "logit_bias", false),
    ] {
        let value = if param == "reasoning_effort" { json!("low") } else { json!(1) };
        let value = if param == "logit_bias" { json!({}) } else { value };
        let body = json!({"model": "m", "messages": [], param: value});
        let request =
            parse(Endpoint::ChatCompletions, Bytes::from(body.to_string()), None).unwrap();
        let mut to = target("https://h", model);
        let provider = find("gemini").unwrap();
        let encoded = |to: &Target| provider.encode(&request, to, &Credential::None, UnixMillis(0));
        match encoded(&to) {
            Err(EncodeError::UnsupportedParams { params, .. }) => {
                assert!(!has && params == [param], "{model} {param}");
            }
            other => assert!(has && other.is_ok(), "{model} {param}: {other:?}"),
        }
        to.params.drop_unsupported = true;
        assert!(encoded(&to).is_ok(), "{model} {param}");
    }
}

#[test]
fn claude_is_asked_in_anthropics_words_without_a_model() {
    let body =
        json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    let messages = parse(Endpoint::Messages, Bytes::from(body.to_string()), None).unwrap();
    let to =
        Target { project: Some("p".into()), ..target("https://h", "claude-sonnet-4-5@20250929") };
    for request in [chat(), messages] {
        let call =
            find("vertex_ai").unwrap().encode(&request, &to, &Credential::None, UnixMillis(0));
        let sent: Value = serde_json::from_slice(call.unwrap().body()).unwrap();
        assert_eq!(sent["anthropic_version"], "vertex-2023-10-16");
        assert!(sent.get("model").is_none() && sent["max_tokens"].is_number(), "{sent}");
    }
}

#[test]
fn vectors_are_written_for_openais_clients() {
    for (id, counted) in [("gemini", false), ("vertex_ai", true)] {
        let (_, body) = files(find(id).unwrap(), "vectors").remove(0);
        let request =
            embeddings(&json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"}));
        let reply = decoded(id, &request, &body);
        assert_eq!(reply.usage().is_some(), counted, "{id}");
        let openai: Value = serde_json::from_slice(&written(&reply, Endpoint::Embeddings)).unwrap();
        assert_eq!(openai["data"][1]["index"], 1);
        assert!(openai["data"][1]["embedding"].as_str().unwrap().len() >= 12, "{openai}");
        assert!(openai["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    }
    let tokens = embeddings(&json!({"model": "m", "input": [[1, 2]]}));
    let refused = find("gemini").unwrap().encode(
        &tokens,
        &target("https://h", "e"),
        &Credential::None,
        UnixMillis(0),
    );
    assert!(refused.unwrap_err().to_string().contains("no token ids"));
    let unknown = embeddings(&json!({"model": "m", "input": "a", "user": "u", "truncate": true}));
    let refused = find("gemini").unwrap().encode(
        &unknown,
        &target("https://h", "e"),
        &Credential::None,
        UnixMillis(0),
    );
    assert!(refused.unwrap_err().to_string().contains("truncate"));
}

proptest! {
    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut(
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        length in any::<Index>(),
    ) {
        for id in IDS {
            for (name, stream) in files(find(id).unwrap(), "stream") {
                let text = String::from_utf8(stream.to_vec()).unwrap().replace('\n', line_end);
                let stream = Bytes::from(text).slice(..=length.index(stream.len()));
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
                at.sort_unstable();
                for request in [generate(Endpoint::StreamGenerateContent), chat()] {
                    prop_assert_eq!(
                        events_for(&request, find(id).unwrap(), &stream, &at),
                        events_for(&request, find(id).unwrap(), &stream, &[]),
                        "{} {}", id, name
                    );
                }
            }
        }
    }
}

/// Models that draw send a picture in one frame, which may be long.
#[test]
fn a_picture_in_a_stream_reaches_clients_of_chats() {
    let data = "A".repeat(2 << 20);
    let part = json!({"inlineData": {"mimeType": "image/png", "data": data}});
    let frame = json!({"candidates": [{"content": {"role": "model", "parts": [part]},
        "finishReason": "STOP"}]});
    let stream = Bytes::from(format!("data: {frame}\n\n"));
    let provider = find("gemini").unwrap();
    let (events, ended) = events_for(&chat(), provider, &stream, &[]);
    assert_eq!(ended, Ok(()));
    let stamp = Stamp { model: "m", id: "x", now: 1, request: "{}", turn: None };
    let mut writer = Endpoint::ChatCompletions.stream_writer(stamp, false);
    let mut out = Vec::new();
    for event in events {
        if let StreamEvent::Delta(delta) = event {
            writer.write(delta, &mut out);
        }
    }
    let first = out.split(|byte| *byte == b'\n').next().unwrap();
    let chunk: Value = serde_json::from_slice(first.strip_prefix(b"data: ").unwrap()).unwrap();
    let image = &chunk["choices"][0]["delta"]["images"][0];
    assert_eq!((&image["type"], &image["index"]), (&json!("image_url"), &json!(0)));
    let url = image["image_url"]["url"].as_str().unwrap();
    assert!(url == format!("data:image/png;base64,{data}"));
}
