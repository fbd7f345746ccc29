//! Documents: each provider has them in the form that it takes, and what it takes in none is refused.

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::wishes::sent;

const CLAUDE: &str = "claude-sonnet-4-5";
const CHAT: Endpoint = Endpoint::ChatCompletions;
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

fn file(data: &str, name: &str) -> Value {
    let file = json!({"type": "file", "file": {"file_data": data, "filename": name}});
    json!({"messages": [{"role": "user", "content": [file]}]})
}

fn input_file(data: &str, name: &str) -> Value {
    let file = json!({"type": "input_file", "file_data": data, "filename": name});
    json!({"input": [{"role": "user", "content": [file]}]})
}

fn blob(media_type: &str) -> Value {
    let data = json!({"mimeType": media_type, "data": "aGk="});
    json!({"contents": [{"role": "user", "parts": [{"inlineData": data}]}]})
}

fn document(document: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": [document]}]})
}

#[test]
fn claude_is_shown_a_text_as_a_text_and_a_pdf_as_a_file() {
    let text = json!({"type": "text", "media_type": "text/plain", "data": "hi"});
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    for (client, said, source) in [
        (CHAT, file("data:text/plain;base64,aGk=", "a.txt"), &text),
        (CHAT, file("data:text/csv;charset=utf-8;base64,aGk=", "a.csv"), &text),
        (CHAT, file("data:application/json;base64,aGk=", "a.json"), &text),
        (CHAT, file("aGk=", "a.md"), &text),
        (CHAT, file("JVBERi0=", "a.pdf"), &pdf),
        (Endpoint::Responses, input_file("data:text/html;base64,aGk=", "a.html"), &text),
        (Endpoint::Responses, input_file("JVBERi0=", "unnamed"), &pdf),
        (Endpoint::GenerateContent, blob("text/markdown"), &text),
    ] {
        let told = sent("anthropic", CLAUDE, client, &said).unwrap();
        let shown = &told["messages"][0]["content"][0];
        assert_eq!((&shown["type"], &shown["source"]), (&json!("document"), source), "{said}");
    }
}

#[test]
fn what_claude_cannot_read_is_refused_by_name() {
    let at = |uri: &str| {
        let file = json!({"fileUri": uri, "mimeType": "application/pdf"});
        json!({"contents": [{"role": "user", "parts": [{"fileData": file}]}]})
    };
    for (client, said, expected) in [
        (CHAT, file(&format!("data:{DOCX};base64,UEsDBA=="), "a.docx"), "pictures, PDF, or texts"),
        (Endpoint::GenerateContent, blob("video/mp4"), "pictures, PDF, or texts"),
        (CHAT, file("data:text/plain;base64,/w==", "a.txt"), "texts in UTF-8"),
        (Endpoint::GenerateContent, at("gs://bucket/a.pdf"), "https:// addresses"),
    ] {
        let refused = sent("anthropic", CLAUDE, client, &said).unwrap_err().to_string();
        assert!(refused.contains(expected), "{said}: {refused}");
    }
    assert!(sent("anthropic", CLAUDE, Endpoint::GenerateContent, &at("https://x/a.pdf")).is_ok());
}

#[test]
fn openais_chats_take_no_document_by_url() {
    let by_url = document(&json!({"type": "document", "title": "t",
        "source": {"type": "url", "url": "https://x/a.pdf"}}));
    let refused = sent("openai", "gpt-4o", Endpoint::Messages, &by_url).unwrap_err().to_string();
    assert!(refused.contains("a document by URL"), "{refused}");
    let told = sent("openrouter", "m", Endpoint::Messages, &by_url).unwrap();
    assert_eq!(told["messages"][0]["content"][0]["file"]["file_data"], "https://x/a.pdf");
}

#[test]
fn what_is_said_of_a_text_goes_with_it() {
    let text = json!({"type": "text", "media_type": "text/plain", "data": "words"});
    let said = document(&json!({"type": "document", "title": "Title", "context": "Context",
        "source": text}));
    let told = sent("openai", "gpt-4o", Endpoint::Messages, &said).unwrap();
    assert_eq!(told["messages"][0]["content"], "Title\n\nContext\n\nwords");
}
