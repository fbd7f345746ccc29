//! Failures that do not look like one: an error with a status of success, an object without an
//! answer, a stream that ends without a word.

use dunlin_llm::Endpoint;
use serde_json::json;

use super::wishes::asking;
use super::*;

fn told(
    id: &str,
    endpoint: Endpoint,
    body: &serde_json::Value,
) -> Result<ChatReply, ProviderError> {
    let (request, to) =
        (asking(endpoint, &json!({})), Target { model: "m".into(), ..Target::default() });
    find(id).unwrap().decode(&request, &to, StatusCode::OK, Bytes::from(body.to_string()))
}

#[test]
fn an_error_is_one_whatever_the_status_says() {
    let google =
        json!({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}});
    let openai = json!({"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let claude =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "quota"}});
    let bad = json!({"error": {"message": "quota", "type": "invalid_request_error", "code": null}, "choices": []});
    let unknown = json!({"error": "quota"});
    let (chat, messages, generate) =
        (Endpoint::ChatCompletions, Endpoint::Messages, Endpoint::GenerateContent);
    for (id, endpoint, body, cause) in [
        ("openai", chat, &openai, Cause::RateLimited),
        ("openai", messages, &openai, Cause::RateLimited),
        ("azure", chat, &bad, Cause::BadRequest),
        ("hosted_vllm", chat, &unknown, Cause::BadReply),
        ("gemini", chat, &google, Cause::RateLimited),
        ("gemini", generate, &google, Cause::RateLimited),
        ("gemini", generate, &json!([google]), Cause::RateLimited),
        ("vertex_ai", messages, &google, Cause::RateLimited),
        ("anthropic", chat, &claude, Cause::Overloaded),
        ("anthropic", messages, &claude, Cause::Overloaded),
        ("ollama_chat", chat, &unknown, Cause::BadReply),
        ("cohere", chat, &unknown, Cause::BadReply),
        ("openai", chat, &json!({}), Cause::BadReply),
        ("openai", messages, &json!({"choices": []}), Cause::BadReply),
        ("gemini", chat, &json!({}), Cause::BadReply),
        ("gemini", generate, &json!({}), Cause::BadReply),
        ("anthropic", messages, &json!({}), Cause::BadReply),
        ("ollama_chat", chat, &json!({}), Cause::BadReply),
    ] {
        let error = told(id, endpoint, body).expect_err(id);
        assert_eq!(error.cause, cause, "{id} {endpoint:?} {body}");
        if body.to_string().contains("quota") {
            assert_eq!(error.message, "quota", "{id}");
        }
    }
    // A prompt that was refused is an answer, and so is one beside which an error is told.
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    for endpoint in [chat, messages, generate] {
        assert!(told("gemini", endpoint, &blocked).is_ok(), "{endpoint:?}");
    }
    let beside =
        json!({"choices": [{"message": {"content": "\"error\""}}], "error": {"message": "x"}});
    assert!(told("openai", chat, &beside).is_ok());
    assert!(told("openai", chat, &json!({"choices": [{}], "error": null})).is_ok());
}

#[test]
fn a_stream_is_whole_where_all_its_choices_have_ended() {
    let chunk = |choices: &str| format!("data: {{\"id\":\"c\",\"choices\":[{choices}]}}\n\n");
    let words = &*chunk(r#"{"index":0,"delta":{"content":"a"},"finish_reason":null}"#);
    let end =
        |index: u32| chunk(&format!(r#"{{"index":{index},"delta":{{}},"finish_reason":"stop"}}"#));
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n";
    let one = json!({"stream": true});
    for (said, frames, whole) in [
        (&one, vec![words, &end(0)], true),
        (&one, vec![words, &end(0), usage], true),
        (&one, vec![words, end(0).trim_end()], true),
        (&one, vec![words], false),
        (&one, vec![words, usage], false),
        (&one, vec![words, &end(0)[..20]], false),
        (&json!({"stream": true, "n": 2}), vec![words, &end(0)], false),
        (&json!({"stream": true, "n": 2}), vec![words, &end(0), &end(1)], true),
    ] {
        let stream = Bytes::from(frames.concat());
        let request = asking(Endpoint::ChatCompletions, said);
        let (events, ended) = events_for(&request, find("openai").unwrap(), &stream, &[]);
        assert_eq!(ended, if whole { Ok(()) } else { Err(StreamError::Cut) }, "{frames:?}");
        assert_eq!(matches!(events.last(), Some(StreamEvent::Done(_))), whole, "{frames:?}");
        if *said == one {
            let messages = asking(Endpoint::Messages, said);
            let (_, ended) = events_for(&messages, find("openai").unwrap(), &stream, &[]);
            assert_eq!(ended.is_ok(), whole, "{frames:?}");
        }
    }
    let failed = Bytes::from_static(br#"{"error":{"message":"busy","code":503}}"#);
    for id in ["openai", "anthropic", "gemini"] {
        let request = asking(Endpoint::ChatCompletions, &one);
        let (events, ended) = events_for(&request, find(id).unwrap(), &failed, &[]);
        assert!(ended.is_ok() && matches!(events[..], [StreamEvent::Error(_)]), "{id}: {events:?}");
    }
}

#[test]
fn a_redirect_is_named_without_its_secrets() {
    for (location, shown) in [
        (Some("https://me:pw@other/v1/chat?key=1"), "to `https://other/v1/chat`,"),
        (Some("/v2/chat/completions"), "to `/v2/chat/completions`,"),
        (None, "nowhere,"),
    ] {
        let error = ProviderError::redirect("X", StatusCode::TEMPORARY_REDIRECT, location);
        assert_eq!(error.cause, Cause::BadGateway);
        let begins = format!("the server redirects (HTTP 307) {shown} and redirects");
        assert!(error.message.starts_with(&begins), "{}", error.message);
        assert!(error.message.contains("`api_base`"));
    }
}
