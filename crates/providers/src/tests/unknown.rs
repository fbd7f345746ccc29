//! What a client says in words that nobody else knows is refused by its name: it is never silently
//! lost. A trace of what a former model's server did is left out where its outcome is told beside it.

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::wishes::sent;

/// Of all kinds that chats are put in words for.
const OTHERS: &[&str] = &["anthropic", "bedrock", "cohere", "gemini", "hosted_vllm", "ollama_chat"];

fn refused(provider: &str, endpoint: Endpoint, said: &Value) -> String {
    let refused = sent(provider, "m", endpoint, said).expect_err(provider);
    refused.to_string()
}

#[test]
fn an_item_that_no_chat_can_say_is_named_with_its_place() {
    let hi = json!({"role": "user", "content": "hi"});
    let film = json!({"role": "user", "content": [{"type": "input_video", "video_url": "u"}]});
    let shot = json!({"type": "computer_screenshot", "image_url": "u"});
    for (item, named) in [
        (json!({"type": "computer_call", "call_id": "c", "action": {}}), "input[1]: computer_call"),
        (
            json!({"type": "computer_call_output", "call_id": "c", "output": shot}),
            "computer_call_output",
        ),
        (json!({"type": "mcp_approval_response", "approve": true}), "mcp_approval_response"),
        (json!({"type": "of_tomorrow"}), "input[1]: of_tomorrow"),
        (film, "input[1]: input_video"),
    ] {
        let said = json!({"input": [hi, item]});
        for provider in OTHERS {
            let told = refused(provider, Endpoint::Responses, &said);
            assert!(told.contains(named), "{provider}: {told}");
        }
    }
    let uploaded = json!({"type": "input_image", "file_id": "file-1"});
    let said = json!({"input": [{"role": "user", "content": [uploaded]}]});
    assert!(refused("hosted_vllm", Endpoint::Responses, &said).contains("file-1"));
}

#[test]
fn what_a_server_ran_is_told_in_words_or_in_those_around_it() {
    let ran = json!({"type": "code_interpreter_call", "id": "ci", "code": "print(2)",
        "outputs": [{"type": "logs", "logs": "2"}], "container_id": "c"});
    let called = json!({"type": "mcp_call", "id": "m", "name": "add", "server_label": "s",
        "arguments": "{\"a\":1}", "output": "3", "error": null});
    let searched = json!({"type": "web_search_call", "id": "ws", "status": "completed"});
    let said = json!({"input": [
        {"role": "user", "content": "hi"}, searched, ran, called,
        {"role": "assistant", "content": [{"type": "output_text", "text": "so 2 and 3"}]},
    ]});
    let told = sent("hosted_vllm", "m", Endpoint::Responses, &said).unwrap();
    let words = told["messages"][1]["content"].as_str().expect("a text");
    assert!(words.contains("```python\nprint(2)\n```\n```\n2\n```"), "{words}");
    assert!(words.contains("add({\"a\":1})") && words.contains("```\n3\n```"), "{words}");
    assert!(words.ends_with("so 2 and 3"));
}

#[test]
fn an_unknown_part_of_any_turn_is_refused_by_its_type() {
    let turns = |role: &str, part: &Value| {
        json!({"messages": [
        {"role": "user", "content": "hi"}, {"role": role, "content": [part]}]})
    };
    let part = json!({"type": "of_tomorrow", "of_tomorrow": 1});
    let googles = |role: &str| {
        json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]}, {"role": role, "parts": [{"ofTomorrow": 1}]}]})
    };
    for role in ["user", "assistant"] {
        for provider in ["bedrock", "cohere", "gemini", "hosted_vllm", "ollama_chat"] {
            let told = refused(provider, Endpoint::Messages, &turns(role, &part));
            assert!(told.contains("of_tomorrow"), "{provider} {role}: {told}");
        }
        for provider in ["anthropic", "bedrock", "cohere", "gemini", "ollama_chat"] {
            let told = refused(provider, Endpoint::ChatCompletions, &turns(role, &part));
            assert!(told.contains("of_tomorrow"), "{provider} {role}: {told}");
        }
    }
    for role in ["user", "model"] {
        for provider in ["anthropic", "bedrock", "cohere", "hosted_vllm", "ollama_chat"] {
            let told = refused(provider, Endpoint::GenerateContent, &googles(role));
            assert!(told.contains("ofTomorrow"), "{provider} {role}: {told}");
        }
    }
    // What was searched is told in the words that follow.
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []});
    assert!(sent("hosted_vllm", "m", Endpoint::Messages, &turns("assistant", &found)).is_ok());
}

#[test]
fn a_picture_in_instructions_is_refused() {
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}});
    let googles = json!({"systemInstruction": {"parts": [{"text": "be kind"}, picture]}});
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
    let openais = json!({"messages": [
        {"role": "system", "content": [{"type": "text", "text": "be kind"}, picture]},
        {"role": "user", "content": "hi"}]});
    for (provider, endpoint, said) in [
        ("anthropic", Endpoint::GenerateContent, &googles),
        ("hosted_vllm", Endpoint::GenerateContent, &googles),
        ("anthropic", Endpoint::ChatCompletions, &openais),
        ("gemini", Endpoint::ChatCompletions, &openais),
        ("bedrock", Endpoint::ChatCompletions, &openais),
    ] {
        assert!(refused(provider, endpoint, said).contains("instructions as texts"), "{provider}");
    }
}
