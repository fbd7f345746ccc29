//! AWS's Bedrock, its binary streams and its signatures.

use serde_json::{Value, json};

use super::client::{ask, post, strings};
use super::start;
use crate::Fault;

const BEARER: [&str; 1] = ["authorization: Bearer bedrock-key"];
const CONVERSE: &str = "/model/anthropic.claude-3%3A0/converse";
const STREAM: &str = "/model/anthropic.claude-3%3A0/converse-stream";

fn says(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": text}]}]})
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

/// The types and payloads of messages whose checksums are right.
fn messages(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let word = |at: &[u8]| u32::from_be_bytes(at[..4].try_into().unwrap());
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (length, headers) = (word(bytes) as usize, word(&bytes[4..]) as usize);
        assert_eq!(word(&bytes[8..]), crc32fast::hash(&bytes[..8]), "the prelude's checksum");
        let message = &bytes[..length];
        assert_eq!(word(&message[length - 4..]), crc32fast::hash(&message[..length - 4]));
        let mut kind = String::new();
        let mut rest = &message[12..12 + headers];
        while !rest.is_empty() {
            let (name, after) = rest[1..].split_at(rest[0] as usize);
            assert_eq!(after[0], 7, "a string");
            let size = usize::from(u16::from_be_bytes([after[1], after[2]]));
            let value = str::from_utf8(&after[3..3 + size]).expect("text");
            if name.ends_with(b"-type") && name != b":message-type" && name != b":content-type" {
                value.clone_into(&mut kind);
            }
            rest = &after[3 + size..];
        }
        let payload = serde_json::from_slice(&message[12 + headers..length - 4]).expect("JSON");
        found.push((kind, payload));
        bytes = &bytes[length..];
    }
    found
}

#[tokio::test]
async fn a_stream_is_made_of_checked_messages() {
    let mock = start().await;
    let thinking = json!({"thinking": {"type": "enabled"}});
    let body = with(says("[[cached:7]]"), "additionalModelRequestFields", thinking);
    let answered = post(&mock, STREAM, &BEARER, &body).await;
    assert_eq!(answered.header("content-type"), "application/vnd.amazon.eventstream");
    let messages = messages(&answered.body);
    let mut kinds: Vec<&str> = messages.iter().map(|(kind, _)| kind.as_str()).collect();
    kinds.dedup();
    let block = ["contentBlockDelta", "contentBlockStop"];
    let expected = [&["messageStart"][..], &block, &block, &["messageStop", "metadata"]].concat();
    assert_eq!(kinds, expected);
    let payloads: Vec<&Value> = messages.iter().map(|(_, payload)| payload).collect();
    assert_eq!(strings(payloads.clone(), "/delta/reasoningContent/text").concat(), "hm hm hm ");
    assert_eq!(strings(payloads.clone(), "/delta/text").concat(), "tok tok tok ");
    assert_eq!(strings(payloads.clone(), "/stopReason"), ["end_turn"]);
    let usage = &payloads.last().expect("messages")["usage"];
    let (input, read) = (&usage["inputTokens"], &usage["cacheReadInputTokens"]);
    assert_eq!((input, read), (&json!(body.to_string().len() / 4), &json!(7)));
}

#[tokio::test]
async fn a_tool_is_called_and_heard() {
    let mock = start().await;
    let spec = json!({"name": "f", "inputSchema": {"json": {"type": "object"}}});
    let config = json!({"tools": [{"toolSpec": spec}]});
    let body = with(says(r#"[[tool:f {"city":"Paris"}]]"#), "toolConfig", config);
    let messages = messages(&post(&mock, STREAM, &BEARER, &body).await.body);
    let payloads: Vec<&Value> = messages.iter().map(|(_, payload)| payload).collect();
    assert_eq!(strings(payloads.clone(), "/start/toolUse/name"), ["f"]);
    let input = strings(payloads.clone(), "/delta/toolUse/input").concat();
    assert_eq!(input, r#"{"city":"Paris"}"#);
    assert_eq!(strings(payloads, "/stopReason"), ["tool_use"]);

    let whole = post(&mock, CONVERSE, &BEARER, &body).await.json();
    let message = &whole["output"]["message"];
    let id = &message["content"][0]["toolUse"]["toolUseId"];
    let result = json!({"toolResult": {"toolUseId": id, "content": [{"json": {"t": 22}}]}});
    let turns = json!([body["messages"][0], message, {"role": "user", "content": [result]}]);
    let answer = post(&mock, CONVERSE, &BEARER, &with(body, "messages", turns)).await.json();
    assert_eq!(answer["output"]["message"]["content"][0]["text"], r#"the tool said: {"t":22}"#);
}

#[tokio::test]
async fn an_error_mid_stream_is_an_exception() {
    let mock = start().await;
    mock.set_faults(vec![Fault::ErrorMidStream(1)]).await;
    let messages = messages(&post(&mock, STREAM, &BEARER, &says("hi")).await.body);
    assert_eq!(messages.last().expect("messages").0, "modelStreamErrorException");
}

#[tokio::test]
async fn errors_name_their_type_in_a_header() {
    let mock = start().await;
    let assistant = json!({"messages": [{"role": "assistant", "content": [{"text": "hi"}]}]});
    let twice = json!({"messages": [{"role": "user", "content": [{"text": "a"}]},
        {"role": "user", "content": [{"text": "b"}]}]});
    let result = json!({"toolResult": {"toolUseId": "t", "content": []}});
    let orphan = json!({"messages": [{"role": "user", "content": [result]}]});
    let string = json!({"messages": [{"role": "user", "content": "hi"}]});
    let orphan_with_config = with(orphan.clone(), "toolConfig", json!({"tools": []}));
    for (body, status, kind) in [
        (assistant, 400, "ValidationException"),
        (twice, 400, "ValidationException"),
        (orphan, 400, "ValidationException"),
        (orphan_with_config, 400, "ValidationException"),
        (string, 400, "ValidationException"),
        (says("[[status:429]]"), 429, "ThrottlingException"),
        (says("[[fault:loading]]"), 429, "ModelNotReadyException"),
    ] {
        let line = format!("POST {CONVERSE}");
        let answered = ask(&mock, &line, &BEARER, body.to_string()).await;
        assert_eq!(
            (answered.status, answered.header("x-amzn-errortype")),
            (status, kind),
            "{body}"
        );
        assert!(answered.json()["message"].is_string());
    }
}

/// Signed with the secret `mock-secret` by botocore 1.44.8, on 2026-11-25.
const SIGNED: [&str; 3] = [
    "content-type: application/json",
    "x-amz-date: 20261125T120000Z",
    "authorization: AWS4-HMAC-SHA256 \
     Credential=AKIDEXAMPLE/20261125/us-east-1/bedrock/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date, \
     Signature=ab71f6c1e8d8a136489012190f937d531108d71f6aa20aa3ce6a2047a5b57f15",
];

#[tokio::test]
async fn a_signature_is_of_this_request_and_no_other() {
    let mock = start().await;
    let body = says("hi").to_string().replace(
        r#""content":[{"text":"hi"}],"role":"user""#,
        r#""role":"user","content":[{"text":"hi"}]"#,
    );
    let line = format!("POST {CONVERSE}");
    let answered = ask(&mock, &line, &SIGNED, body.clone()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let altered = |from: &str, to: &str| SIGNED.map(|header| header.replace(from, to));
    let other_body = body.replace("hi", "ho");
    let other_path = line.replace("claude-3", "claude-4");
    for (line, headers, body) in [
        (&line, altered("", ""), &other_body),
        (&other_path, altered("", ""), &body),
        (&line, altered("T120000Z", "T120001Z"), &body),
        (&line, altered("Signature=ab", "Signature=ba"), &body),
        (&line, altered("us-east-1", "us-east-2"), &body),
        (&line, altered("bedrock/", "s3/"), &body),
        (&line, altered("host;", ""), &body),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answered = ask(&mock, line, &headers, body.clone()).await;
        let kind = answered.header("x-amzn-errortype");
        assert_eq!((answered.status, kind), (403, "InvalidSignatureException"), "{headers:?}");
    }
    let none = ask(&mock, &line, &[], body).await;
    assert_eq!(none.header("x-amzn-errortype"), "MissingAuthenticationTokenException");
}

#[tokio::test]
async fn models_are_invoked_in_their_own_words() {
    let mock = start().await;
    let titan = "/model/amazon.titan-embed-text-v2%3A0/invoke";
    let one = json!({"inputText": "a", "dimensions": 4});
    let one = post(&mock, titan, &BEARER, &one).await.json();
    assert_eq!(one["embedding"].as_array().map(Vec::len), Some(4));
    let cohere = "/model/cohere.embed-english-v3/invoke";
    let two = json!({"texts": ["a", "b"], "input_type": "search_query"});
    let two = post(&mock, cohere, &BEARER, &two).await.json();
    assert_eq!(two["embeddings"].as_array().map(Vec::len), Some(2));
    let claude = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}]});
    let claude = post(&mock, &CONVERSE.replace("converse", "invoke"), &BEARER, &claude).await;
    assert_eq!(claude.json()["content"][0]["text"], "tok tok tok ");
    let wrong = ask(&mock, &format!("POST {titan}"), &BEARER, "{}").await;
    assert_eq!(wrong.header("x-amzn-errortype"), "ValidationException");
}
