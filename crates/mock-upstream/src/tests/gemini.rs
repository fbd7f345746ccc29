//! Google's Gemini, and what Vertex has of it and of Anthropic's.

use serde_json::{Value, json};

use super::client::{Answered, ask, post, strings};
use super::start;

const KEY: [&str; 1] = ["x-goog-api-key: k"];
const BEARER: [&str; 1] = ["authorization: Bearer k"];

fn path(verb: &str) -> String {
    format!("/v1beta/models/gemini-x:{verb}")
}

fn says(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

fn data(answered: &Answered) -> Vec<Value> {
    answered.events().into_iter().map(|(_, data)| data).collect()
}

#[tokio::test]
async fn it_streams_events_or_one_array() {
    let mock = start().await;
    let body = with(
        says("[[cached:7]]"),
        "generationConfig",
        json!({"thinkingConfig": {"includeThoughts": true}}),
    );
    let sse = post(&mock, &path("streamGenerateContent?alt=sse"), &KEY, &body).await;
    let array = post(&mock, &path("streamGenerateContent"), &KEY, &body).await;
    assert!(array.header("content-type").starts_with("application/json"));
    let array = array.json().as_array().expect("an array").clone();
    for chunks in [data(&sse), array] {
        let parts: Vec<&Value> =
            chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]).collect();
        let (thoughts, said): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| part["thought"] == true);
        assert_eq!(strings(thoughts, "/text").concat(), "hm hm hm ");
        assert_eq!(strings(said, "/text").concat(), "tok tok tok ");
        assert_eq!(strings(&chunks, "/candidates/0/finishReason"), ["STOP"]);
        let usage = &chunks.last().expect("chunks")["usageMetadata"];
        assert_eq!(
            (&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]),
            (&json!(3), &json!(3))
        );
        assert_eq!(usage["cachedContentTokenCount"], 7);
        let total = usage["promptTokenCount"].as_u64().map(|prompt| prompt + 6);
        assert_eq!(usage["totalTokenCount"].as_u64(), total);
    }
}

#[tokio::test]
async fn a_tool_is_called_and_heard() {
    let mock = start().await;
    let tools = json!([{"functionDeclarations": [{"name": "f", "parameters":
        {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}}]}]);
    let body = with(says(r#"[[tool:f {"city":"Paris"}]]"#), "tools", tools.clone());
    let generate = path("generateContent");
    let whole = post(&mock, &generate, &KEY, &body).await.json();
    let content = &whole["candidates"][0]["content"];
    let call = &content["parts"][0]["functionCall"];
    assert_eq!((&call["name"], &call["args"]), (&json!("f"), &json!({"city": "Paris"})));

    let response = json!({"functionResponse": {"name": "f", "response": {"t": 22}}});
    let turns = json!([body["contents"][0], content, {"role": "user", "parts": [response]}]);
    let answer = post(&mock, &generate, &KEY, &with(body.clone(), "contents", turns)).await.json();
    let said = &answer["candidates"][0]["content"]["parts"][0]["text"];
    assert_eq!(said, r#"the tool said: {"t":22}"#);

    let forced = json!({"functionCallingConfig": {"mode": "ANY"}});
    let forced = with(with(says("hi"), "tools", tools), "toolConfig", forced);
    let forced = post(&mock, &generate, &KEY, &forced).await.json();
    let args = &forced["candidates"][0]["content"]["parts"][0]["functionCall"]["args"];
    assert_eq!(args, &json!({"n": 1}));
}

#[tokio::test]
async fn finishes_and_schemas_are_its_own() {
    let mock = start().await;
    let finished = async |body: Value| {
        let whole = post(&mock, &path("generateContent"), &KEY, &body).await.json();
        whole["candidates"][0].clone()
    };
    for (body, reason) in [
        (says("[[finish:content_filter]]"), "SAFETY"),
        (says("[[finish:RECITATION]]"), "RECITATION"),
        (with(says("hi"), "generationConfig", json!({"maxOutputTokens": 1})), "MAX_TOKENS"),
    ] {
        assert_eq!(finished(body).await["finishReason"], reason);
    }
    let schema = json!({"responseMimeType": "application/json", "responseSchema":
        {"type": "OBJECT", "properties": {"b": {"type": "BOOLEAN"}}}});
    let fitting = finished(with(says("hi"), "generationConfig", schema)).await;
    assert_eq!(fitting["content"]["parts"][0]["text"], r#"{"b":true}"#);
    let blocked = post(&mock, &path("generateContent"), &KEY, &says("[[refuse]]")).await.json();
    assert_eq!(blocked["promptFeedback"]["blockReason"], "SAFETY");
}

#[tokio::test]
async fn errors_are_googles() {
    let mock = start().await;
    let orphan = json!({"functionResponse": {"name": "f", "response": {}}});
    let orphan = json!({"contents": [{"role": "user", "parts": [orphan]}]});
    let role = json!({"contents": [{"role": "assistant", "parts": [{"text": "hi"}]}]});
    for (headers, body, code, status) in [
        (&[][..], says("hi"), 403, "PERMISSION_DENIED"),
        (&KEY, json!({}), 400, "INVALID_ARGUMENT"),
        (&KEY, role, 400, "INVALID_ARGUMENT"),
        (&KEY, orphan, 400, "INVALID_ARGUMENT"),
        (&KEY, with(says("hi"), "stream", json!(true)), 400, "INVALID_ARGUMENT"),
        (&KEY, says("[[fault:wrong-name]]"), 404, "NOT_FOUND"),
        (&KEY, says("[[status:429]] [[retry-after:7]]"), 429, "RESOURCE_EXHAUSTED"),
        (&KEY, says("[[status:503]]"), 503, "UNAVAILABLE"),
    ] {
        let line = format!("POST {}", path("generateContent"));
        let answered = ask(&mock, &line, headers, body.to_string()).await;
        let error = &answered.json()["error"];
        assert_eq!(
            (answered.status, &error["code"], &error["status"]),
            (code, &json!(code), &json!(status))
        );
        if code == 429 {
            assert_eq!(error["details"][0]["retryDelay"], "7s");
        }
    }
}

#[tokio::test]
async fn it_counts_and_embeds() {
    let mock = start().await;
    let counted = post(&mock, &path("countTokens?key=k"), &[], &says("hi")).await.json();
    assert_eq!(counted["totalTokens"], says("hi").to_string().len() / 4);
    let content = |text: &str| json!({"parts": [{"text": text}]});
    let one = json!({"content": content("b"), "outputDimensionality": 5});
    let one = post(&mock, &path("embedContent"), &KEY, &one).await.json();
    let requests = json!({"requests": [{"content": content("a"), "outputDimensionality": 5},
        {"content": content("b"), "outputDimensionality": 5}]});
    let many = post(&mock, &path("batchEmbedContents"), &KEY, &requests).await.json();
    assert_eq!(many["embeddings"][1], one["embedding"]);
    assert_ne!(many["embeddings"][0], one["embedding"]);
    let models = ask(&mock, "GET /v1beta/models", &KEY, "").await.json();
    assert_eq!(models["models"][0]["name"], "models/mock");
}

#[tokio::test]
async fn vertex_has_both_publishers() {
    let mock = start().await;
    let base = "/v1/projects/p/locations/us-central1/publishers";
    let google = format!("{base}/google/models/gemini-x");
    let whole =
        post(&mock, &format!("{google}:generateContent"), &BEARER, &says("hi")).await.json();
    assert_eq!(whole["modelVersion"], "gemini-x");
    let instances = json!({"instances": [{"content": "a"}]});
    let embedded = post(&mock, &format!("{google}:predict"), &BEARER, &instances).await.json();
    assert!(embedded["predictions"][0]["embeddings"]["values"][0].is_number());

    let claude = format!("{base}/anthropic/models/claude-x@20250514");
    let stable = post(&mock, "/v1/models/gemini-x:generateContent", &KEY, &says("hi")).await;
    assert_eq!(stable.json()["modelVersion"], "gemini-x");
    let body = json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}]});
    let whole = post(&mock, &format!("{claude}:rawPredict"), &BEARER, &body).await.json();
    assert_eq!(whole["model"], "claude-x@20250514");
    let streamed = with(body.clone(), "stream", json!(true));
    let streamed = post(&mock, &format!("{claude}:streamRawPredict"), &BEARER, &streamed).await;
    assert_eq!(strings(&data(&streamed), "/delta/text").concat(), "tok tok tok ");
    for (headers, body, code, pointer, expected) in [
        (&[][..], body.clone(), 401, "/error/status", "UNAUTHENTICATED"),
        (&BEARER, with(body, "model", json!("m")), 400, "/error/type", "invalid_request_error"),
    ] {
        let line = format!("POST {claude}:rawPredict");
        let answered = ask(&mock, &line, headers, body.to_string()).await;
        let json = answered.json();
        assert_eq!((answered.status, json.pointer(pointer)), (code, Some(&json!(expected))));
    }
}
