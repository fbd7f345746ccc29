//! Names of tools that the provider would refuse: it is sent others, and the client never sees them.

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::lame::{streamed_for, whole_for};
use super::wishes::{asking, sent};

/// As Claude Code calls the tools of MCP servers.
const LONG: &str = "mcp__plugin_company_knowledge_base__search_documents_by_semantic_similarity";
/// As LiteLLM shortens it: 55 letters, and the beginning of its SHA-256.
const SHORT: &str = "mcp__plugin_company_knowledge_base__search_documents_by_6df7a90c";

/// A client of Anthropic's that has called the tool and must call it again.
fn messages(name: &str) -> Value {
    json!({
        "tools": [{"name": name, "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": name},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c", "name": name, "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
        ],
    })
}

#[test]
fn a_name_that_is_too_long_for_the_provider_is_shortened_wherever_it_stands() {
    for (provider, model) in [
        ("openai", "gpt-4o"),
        ("azure", "gpt-4o"),
        ("hosted_vllm", "m"),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("gemini", "gemini-2.5-flash"),
        ("cohere", "command-a"),
        ("ollama", "m"),
    ] {
        let told = sent(provider, model, Endpoint::Messages, &messages(LONG)).unwrap().to_string();
        assert!(!told.contains(LONG), "{provider}: {told}");
        assert!(told.matches(SHORT).count() >= 2, "{provider}: {told}");
    }
    // Claude takes 128, and others take what is short enough.
    let told = sent("vertex_ai", "claude-sonnet-4-5", Endpoint::ChatCompletions, &chats(LONG));
    assert!(told.unwrap().to_string().contains(LONG));
    let told = sent("openai", "gpt-4o", Endpoint::Messages, &messages(SHORT)).unwrap();
    assert_eq!(told["tools"][0]["function"]["name"], SHORT);
}

fn chats(name: &str) -> Value {
    json!({"tools": [{"type": "function", "function": {"name": name}}]})
}

fn googles(name: &str) -> Value {
    let calling = json!({"mode": "ANY", "allowedFunctionNames": [name, "other"]});
    json!({
        "tools": [{"functionDeclarations": [{"name": name}, {"name": "other"}]}],
        "toolConfig": {"functionCallingConfig": calling},
    })
}

#[test]
fn a_name_with_signs_that_the_provider_refuses_is_sent_without_them() {
    for (provider, model, said, first) in [
        ("bedrock", "amazon.nova-pro-v1:0", chats("files/read.all"), "files_read_all_"),
        ("anthropic", "claude-sonnet-4-5", chats("files.read"), "files_read_"),
        ("openai", "gpt-4o", googles("files.read"), "files_read_"),
        ("gemini", "gemini-2.5-flash", chats("2nd"), "_2nd_"),
    ] {
        let client = if said["toolConfig"].is_null() {
            Endpoint::ChatCompletions
        } else {
            Endpoint::GenerateContent
        };
        let told = sent(provider, model, client, &said).unwrap();
        let tool = &told["tools"][0];
        let tool = told.pointer("/toolConfig/tools/0/toolSpec").unwrap_or(tool);
        let tool = tool.pointer("/functionDeclarations/0").unwrap_or(tool);
        let name = tool.get("function").unwrap_or(tool)["name"].as_str().unwrap();
        assert!(name.starts_with(first) && name.len() == first.len() + 8, "{provider}: {told}");
    }
    let told = sent("gemini", "gemini-2.5-flash", Endpoint::ChatCompletions, &chats("a.b:c"));
    assert!(told.unwrap().to_string().contains("a.b:c"), "Google takes them");
}

#[test]
fn each_client_hears_its_own_name_in_the_answer() {
    let called = json!({"id": "a", "model": "m", "choices": [{"finish_reason": "tool_calls",
        "message": {"tool_calls": [{"id": "c", "function": {"name": SHORT, "arguments": "{}"}}]}}]});
    let response = json!({"tools": [{"type": "custom", "name": LONG}]});
    let clients = [
        (Endpoint::Messages, messages(LONG)),
        (Endpoint::Responses, response),
        (Endpoint::GenerateContent, googles(LONG)),
    ];
    for (client, said) in clients {
        let told = whole_for("openai", &asking(client, &said), &called).unwrap().to_string();
        assert!(told.contains(LONG) && !told.contains(SHORT), "{client:?}: {told}");
        let mut chunk = called.clone();
        chunk["choices"][0]["delta"] = chunk["choices"][0]["message"].take();
        let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
        let mut said = said;
        if client == Endpoint::GenerateContent {
            said = json!({"tools": said["tools"]});
        } else {
            said["stream"] = true.into();
        }
        let told = streamed_for("openai", &asking(client, &said), &stream).unwrap();
        let told = Value::from(told).to_string();
        assert!(told.contains(LONG) && !told.contains(SHORT), "{client:?}: {told}");
    }
    // A name of the client's own that only looks so.
    let own = asking(Endpoint::Messages, &messages(SHORT));
    assert!(whole_for("openai", &own, &called).unwrap().to_string().contains(SHORT));
}
