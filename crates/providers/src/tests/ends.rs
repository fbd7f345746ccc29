//! Why an answer ended is told as it was told, and never made up.

use dunlin_llm::form::{Delta, Finish};
use dunlin_llm::{Endpoint, Stamp};
use serde_json::{Value, json};

use super::wishes::asking;
use super::*;

fn target() -> Target {
    Target { model: "m".into(), ..Target::default() }
}

fn whole(id: &str, client: Endpoint, body: &Value) -> Result<Value, ProviderError> {
    let body = Bytes::from(body.to_string());
    let request = asking(client, &json!({}));
    let reply = find(id).unwrap().decode(&request, &target(), StatusCode::OK, body)?;
    let stamp = Stamp { model: "m", id: "x", now: 1, request: "{}", turn: None };
    Ok(serde_json::from_slice(&reply.write(client, stamp)).unwrap())
}

fn openais(finish: &Value) -> Value {
    json!({"choices": [{"message": {"content": "a"}, "finish_reason": finish}]})
}

#[test]
fn a_whole_answer_that_does_not_say_why_it_ended_is_no_answer_in_another_dialect() {
    let claudes = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": null});
    let googles = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}]});
    let message = json!({"role": "assistant", "content": [{"text": "a"}]});
    let bedrocks = json!({"output": {"message": message}});
    let coheres = json!({"message": {"content": [{"type": "text", "text": "a"}]}});
    let (chat, messages) = (Endpoint::ChatCompletions, Endpoint::Messages);
    for (id, client, body) in [
        ("hosted_vllm", messages, &openais(&Value::Null)),
        ("anthropic", chat, &claudes),
        ("gemini", messages, &googles),
        ("bedrock", chat, &bedrocks),
        ("cohere", chat, &coheres),
    ] {
        let error = whole(id, client, body).expect_err(id);
        assert_eq!(error.cause, Cause::BadReply, "{id}");
        assert_eq!(error.message, "the reply does not say why it ended", "{id}");
    }
    // In the provider's own dialect it passes as it is; a call is an end that needs no word.
    assert!(whole("hosted_vllm", chat, &openais(&Value::Null)).is_ok());
    let call = json!({"id": "c", "function": {"name": "f", "arguments": "{}"}});
    let calls = json!({"choices": [{"message": {"tool_calls": [call]}}]});
    assert_eq!(whole("hosted_vllm", messages, &calls).unwrap()["stop_reason"], "tool_use");
}

#[test]
fn the_word_for_the_end_is_not_why_an_answer_ended() {
    let words = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let stream = Bytes::from(format!("{words}\n\ndata: [DONE]\n\n"));
    let said = json!({"stream": true});
    for (client, passes) in [
        (Endpoint::ChatCompletions, true),
        (Endpoint::Messages, false),
        (Endpoint::Responses, false),
        (Endpoint::StreamGenerateContent, false),
    ] {
        let request = if client == Endpoint::Responses {
            let body = r#"{"model":"m","input":"hi","stream":true}"#;
            parse(client, Bytes::from(body), None).unwrap()
        } else if client == Endpoint::StreamGenerateContent {
            let body = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
            parse(client, Bytes::from(body), Some("m")).unwrap()
        } else {
            asking(client, &said)
        };
        let (_, ended) = events_for(&request, find("hosted_vllm").unwrap(), &stream, &[]);
        assert_eq!(ended, if passes { Ok(()) } else { Err(StreamError::Cut) }, "{client:?}");
    }
    let claudes = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    for (client, passes) in [(Endpoint::ChatCompletions, false), (Endpoint::Messages, true)] {
        let (stream, request) = (Bytes::from(claudes), asking(client, &said));
        let (_, ended) = events_for(&request, find("anthropic").unwrap(), &stream, &[]);
        assert_eq!(ended, if passes { Ok(()) } else { Err(StreamError::Cut) }, "{client:?}");
    }
}

#[test]
fn an_end_that_is_none_is_an_error_whole_as_streamed() {
    for word in ["ERROR", "TIMEOUT"] {
        let body = json!({"message": {"content": []}, "finish_reason": word});
        let error = whole("cohere", Endpoint::ChatCompletions, &body).expect_err(word);
        assert_eq!((error.cause, &*error.message), (Cause::BadReply, &*word.to_lowercase()));
    }
}

#[test]
fn a_choice_that_failed_is_an_error_whole_as_streamed_in_every_dialect() {
    let (chat, messages) = (Endpoint::ChatCompletions, Endpoint::Messages);
    let told = json!({"code": 502, "message": "the provider has gone"});
    for (error, cause, message) in [
        (Value::Null, Cause::BadReply, "error"),
        (told, Cause::BadGateway, "the provider has gone"),
    ] {
        let message_so_far = json!({"content": "a"});
        let choice = json!({"message": message_so_far, "finish_reason": "error", "error": error});
        for client in [chat, messages] {
            let failed = whole("openrouter", client, &json!({"choices": [choice]}));
            let failed = failed.expect_err("it failed");
            assert_eq!((failed.cause, &*failed.message), (cause, message), "{client:?}");
        }
    }
    for word in ["error", "insufficient_system_resource", "network_error", "abort"] {
        let delta =
            json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": word}]});
        let stream = Bytes::from(format!("data: {delta}\n\ndata: [DONE]\n\n"));
        let request = asking(messages, &json!({"stream": true}));
        let (events, ended) = events_for(&request, find("deepseek").unwrap(), &stream, &[]);
        assert_eq!(ended, Ok(()), "{word}");
        let is_end =
            |event: &StreamEvent| matches!(event, StreamEvent::Delta(Delta::Finish { .. }));
        assert!(!events.iter().any(is_end), "{word}: {events:?}");
        let Some(StreamEvent::Error(error)) = events.last() else { panic!("{word}: {events:?}") };
        assert_eq!(error.message, word);
    }
}

#[test]
fn minimax_says_in_an_answer_what_has_gone_wrong() {
    for (number, cause) in [
        (1002, Cause::RateLimited),
        (1004, Cause::Unauthorized),
        (1008, Cause::RateLimited),
        (2013, Cause::BadRequest),
        (1000, Cause::BadReply),
    ] {
        let said = json!({"status_code": number, "status_msg": "words"});
        let body = json!({"id": "x", "choices": null, "base_resp": said});
        let failed = whole("minimax", Endpoint::ChatCompletions, &body).expect_err("it failed");
        assert_eq!((failed.cause, failed.message), (cause, format!("words ({number})")));
        let stream = Bytes::from(format!("data: {body}\n\n"));
        let request = asking(Endpoint::ChatCompletions, &json!({"stream": true}));
        let (events, _) = events_for(&request, find("minimax").unwrap(), &stream, &[]);
        assert!(matches!(events.last(), Some(StreamEvent::Error(_))), "{events:?}");
    }
    let mut fine = openais(&json!("stop"));
    fine["base_resp"] = json!({"status_code": 0, "status_msg": ""});
    assert!(whole("minimax", Endpoint::ChatCompletions, &fine).is_ok());
}

#[test]
fn which_text_ended_an_answer_is_told_where_the_server_says_it() {
    for (member, said, reason, sequence) in [
        ("stop_reason", json!("END"), "stop_sequence", json!("END")),
        ("matched_stop", json!("END"), "stop_sequence", json!("END")),
        ("stop_reason", json!(151_645), "end_turn", Value::Null),
        ("matched_stop", Value::Null, "end_turn", Value::Null),
        ("stop_reason", json!("end_turn"), "end_turn", Value::Null),
    ] {
        let mut body = openais(&json!("stop"));
        body["choices"][0][member] = said.clone();
        let told = whole("hosted_vllm", Endpoint::Messages, &body).unwrap();
        assert_eq!((&told["stop_reason"], &told["stop_sequence"]), (&json!(reason), &sequence));
        body["choices"][0]["delta"] = body["choices"][0]["message"].take();
        let stream = Bytes::from(format!("data: {body}\n\ndata: [DONE]\n\n"));
        let request = asking(Endpoint::Messages, &json!({"stream": true}));
        let (events, _) = events_for(&request, find("hosted_vllm").unwrap(), &stream, &[]);
        let finish = sequence
            .as_str()
            .map_or(Finish::Stop, |text| Finish::StopSequence(Some(text.to_owned())));
        let end = StreamEvent::Delta(Delta::Finish { choice: 0, finish });
        assert!(events.contains(&end), "{member} {said}: {events:?}");
    }
}

#[test]
fn an_end_that_is_no_plain_one_is_told_in_every_dialect() {
    let googles = |word: &str| {
        let content = json!({"parts": [{"text": "a"}]});
        json!({"candidates": [{"content": content, "finishReason": word}]})
    };
    for (google, openai) in [
        ("STOP", "stop"),
        ("SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "malformed_function_call"),
        ("UNEXPECTED_TOOL_CALL", "unexpected_tool_call"),
        ("A_NEW_ONE", "a_new_one"),
    ] {
        let told = whole("gemini", Endpoint::ChatCompletions, &googles(google)).unwrap();
        assert_eq!(told["choices"][0]["finish_reason"], openai, "{google}");
    }
    let claudes =
        |word: &str| json!({"content": [{"type": "text", "text": "a"}], "stop_reason": word});
    for (word, status, reason) in [
        ("end_turn", "completed", Value::Null),
        ("max_tokens", "incomplete", json!("max_output_tokens")),
        ("refusal", "incomplete", json!("content_filter")),
        ("a_new_one", "incomplete", json!("other")),
    ] {
        let request = parse(Endpoint::Responses, r#"{"model":"m","input":"hi"}"#.into(), None);
        let body = Bytes::from(claudes(word).to_string());
        let (provider, request) = (find("anthropic").unwrap(), request.unwrap());
        let reply = provider.decode(&request, &target(), StatusCode::OK, body).unwrap();
        let stamp = Stamp { model: "m", id: "x", now: 1, request: "{}", turn: None };
        let told: Value = serde_json::from_slice(&reply.write(Endpoint::Responses, stamp)).unwrap();
        assert_eq!(told["status"], status, "{word}");
        let incomplete = told["incomplete_details"].get("reason").cloned().unwrap_or_default();
        assert_eq!(incomplete, reason, "{word}");
    }
}
