//! OpenAI's other endpoints: files and batches, images, audio, moderations; and reranking.

use serde_json::{Value, json};

use super::client::{Answered, ask, post};
use super::start;
use crate::MockUpstream;

/// Posts a form: fields by name, and a file.
async fn form(
    mock: &MockUpstream,
    path: &str,
    fields: &[(&str, &str)],
    (name, content): (&str, &[u8]),
) -> Answered {
    let mut body = Vec::new();
    for (field, value) in fields {
        let head = format!("--b1\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
        body.extend_from_slice(format!("{head}{value}\r\n").as_bytes());
    }
    let head = format!(
        "--b1\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--b1--\r\n");
    let kind = "content-type: multipart/form-data; boundary=b1";
    ask(mock, &format!("POST {path}"), &[kind], body).await
}

async fn get(mock: &MockUpstream, path: &str) -> Answered {
    ask(mock, &format!("GET {path}"), &[], "").await
}

#[tokio::test]
async fn a_file_comes_back_as_it_went() {
    let mock = start().await;
    let content = b"line\r\n\r\n--b\xff\r\nend";
    let made = form(&mock, "/v1/files", &[("purpose", "batch")], ("file", content)).await.json();
    assert_eq!((&made["bytes"], &made["filename"]), (&json!(content.len()), &json!("f.bin")));
    let path = format!("/v1/files/{}", made["id"].as_str().expect("text"));
    assert_eq!(&get(&mock, &format!("{path}/content")).await.body[..], content);
    assert_eq!(get(&mock, &path).await.json(), made);
    assert_eq!(get(&mock, "/v1/files").await.json()["data"], json!([made]));
    assert_eq!(ask(&mock, &format!("DELETE {path}"), &[], "").await.json()["deleted"], true);
    assert_eq!(get(&mock, &path).await.status, 404);
    assert_eq!(form(&mock, "/v1/files", &[], ("file", b"x")).await.status, 400);
}

#[tokio::test]
async fn a_batch_is_answered_line_by_line() {
    let mock = start().await;
    let line = |id: &str, text: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
            .to_string()
    };
    let input = [line("one", "[[say:first]]"), line("two", "[[status:429]]")].join("\n");
    let fields = [("purpose", "batch")];
    let file = form(&mock, "/v1/files", &fields, ("file", input.as_bytes())).await.json();
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    let batch = post(&mock, "/v1/batches", &[], &body).await.json();
    assert_eq!(batch["status"], "validating");
    let path = format!("/v1/batches/{}", batch["id"].as_str().expect("text"));
    let done = get(&mock, &path).await.json();
    assert_eq!(done["status"], "completed");
    assert_eq!(done["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
    let [output, errors] = [&done["output_file_id"], &done["error_file_id"]];
    let [output, errors] = [output, errors].map(|id| id.as_str().expect("text"));
    let lines = get(&mock, &format!("/v1/files/{output}/content")).await.lines();
    assert_eq!((lines.len(), &lines[0]["custom_id"]), (1, &json!("one")));
    let said = "/response/body/choices/0/message/content";
    assert_eq!(lines[0].pointer(said), Some(&json!("first")));
    let lines = get(&mock, &format!("/v1/files/{errors}/content")).await.lines();
    assert_eq!((lines.len(), &lines[0]["custom_id"]), (1, &json!("two")));
    assert_eq!(lines[0]["response"]["status_code"], 429);

    let other = post(&mock, "/v1/batches", &[], &body).await.json();
    let path = format!("/v1/batches/{}", other["id"].as_str().expect("text"));
    let cancelled = ask(&mock, &format!("POST {path}/cancel"), &[], "").await.json();
    assert_eq!(cancelled["status"], "cancelling");
    assert_eq!(get(&mock, &path).await.json()["status"], "cancelled");
    assert_eq!(get(&mock, "/v1/batches").await.json()["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn images_are_made_and_edited() {
    let mock = start().await;
    let body = json!({"prompt": "a cat", "n": 2});
    let made = post(&mock, "/v1/images/generations", &[], &body).await.json();
    assert_eq!(made["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(made["data"][0]["revised_prompt"], "a cat");
    let fields = [("prompt", "a hat"), ("model", "gpt-image-1")];
    let edited = form(&mock, "/v1/images/edits", &fields, ("image[]", b"png")).await.json();
    let image = edited["data"][0]["b64_json"].as_str().expect("text");
    assert!(image.starts_with("iVBORw0KGgo"), "the signature of PNG");
    assert_eq!(edited["usage"]["output_tokens"], 3);
    assert_eq!(ask(&mock, "POST /v1/images/generations", &[], "{}").await.status, 400);
}

#[tokio::test]
async fn speech_is_heard_and_made() {
    let mock = start().await;
    let path = "/v1/audio/transcriptions";
    let transcribe = async |fields: &[(&str, &str)], file: &[u8]| {
        form(&mock, path, &[&[("model", "whisper-1")], fields].concat(), ("file", file)).await
    };
    assert_eq!(transcribe(&[], b"RIFF").await.json()["text"], "tok tok tok ");
    let verbose = transcribe(&[("response_format", "verbose_json")], b"RIFF").await.json();
    assert_eq!(verbose["segments"][0]["text"], "tok tok tok ");
    let text = transcribe(&[("response_format", "text")], b"RIFF").await;
    assert_eq!(&text.body[..], b"tok tok tok \n");
    let streamed = transcribe(&[("stream", "true")], b"RIFF").await.events();
    assert_eq!(streamed.last().expect("events").1["text"], "tok tok tok ");
    assert_eq!(transcribe(&[], b"").await.status, 400);

    let speak = json!({"model": "tts-1", "input": "hi", "voice": "alloy"});
    let mp3 = post(&mock, "/v1/audio/speech", &[], &speak).await;
    assert_eq!((mp3.header("content-type"), mp3.body[0]), ("audio/mpeg", 0xff));
    let mut speak = speak;
    speak["response_format"] = json!("wav");
    let wave = post(&mock, "/v1/audio/speech", &[], &speak).await.body;
    let size = u32::from_le_bytes(wave[4..8].try_into().unwrap()) as usize;
    assert_eq!((&wave[..4], size), (&b"RIFF"[..], wave.len() - 8));
}

#[tokio::test]
async fn texts_are_judged_and_ranked() {
    let mock = start().await;
    let body = json!({"input": ["nice words", "words of violence"]});
    let judged = post(&mock, "/v1/moderations", &[], &body).await.json();
    let flags: Vec<&Value> = (0..2).map(|at| &judged["results"][at]["flagged"]).collect();
    assert_eq!(flags, [false, true]);
    assert_eq!(judged["results"][1]["categories"]["violence"], true);
    assert_eq!(judged["results"][1]["categories"]["self-harm/intent"], false);
    let body = json!({"model": "m", "query": "red car", "documents": ["blue", "red"]});
    let ranked = post(&mock, "/v1/rerank", &[], &body).await.json();
    assert_eq!(ranked["results"][0]["index"], 1);
    assert_eq!(ranked["results"][0]["document"]["text"], "red");
    assert_eq!(ask(&mock, "POST /v1/rerank", &[], r#"{"model":"m"}"#).await.status, 400);
}
