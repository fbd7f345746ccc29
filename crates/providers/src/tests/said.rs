//! What OpenAI's clients say in words that not every provider has: its newer role, its option to search
//! the web, and parameters that are passed because the client says so.

use dunlin_llm::Endpoint;
use dunlin_types::{Credential, UnixMillis};
use serde_json::{Value, json};

use super::wishes::{asking, sent};
use crate::{EncodeError, Target, find};

const CHAT: Endpoint = Endpoint::ChatCompletions;

#[test]
fn only_openai_and_azure_know_developers() {
    let said = json!({"messages": [
        {"role": "developer", "content": "short"},
        {"role": "user", "content": "developer"},
    ]});
    for (provider, base, model, role) in [
        ("openai", "https://api.openai.com/v1", "gpt-4o", "developer"),
        ("azure", "https://a", "gpt-4o", "developer"),
        ("openai", "http://up/v1", "llama", "system"),
        ("hosted_vllm", "http://up/v1", "m", "system"),
        ("mistral", "http://up/v1", "m", "system"),
        ("deepseek", "http://up/v1", "m", "system"),
        ("groq", "http://up/v1", "m", "system"),
    ] {
        let to = Target { api_base: base.into(), model: model.into(), ..Target::default() };
        let request = asking(CHAT, &said);
        let call = find(provider).unwrap().encode(&request, &to, &Credential::None, UnixMillis(0));
        let body: Value = serde_json::from_slice(call.unwrap().body()).unwrap();
        assert_eq!(body["messages"][0]["role"], role, "{provider} {base}");
        assert_eq!(body["messages"][1]["content"], "developer");
    }
}

#[test]
fn a_claude_searches_the_web_where_an_option_asks_for_it() {
    let place = json!({"type": "approximate", "approximate": {"city": "Bern", "country": "CH"}});
    for (options, tool) in [
        (json!({}), json!({"type": "web_search_20250305", "name": "web_search"})),
        (
            json!({"search_context_size": "low", "user_location": place}),
            json!({
                "type": "web_search_20250305", "name": "web_search", "max_uses": 1,
                "user_location": {"type": "approximate", "city": "Bern", "country": "CH"},
            }),
        ),
    ] {
        let said = json!({"web_search_options": options});
        let told = sent("anthropic", "claude-sonnet-4-5", CHAT, &said).unwrap();
        assert_eq!((&told["tools"], told.get("web_search_options")), (&json!([tool]), None));
    }
    let said = json!({"web_search_options": {}});
    let refused = sent("cohere", "command-r", CHAT, &said).expect_err("it does not search");
    assert!(matches!(refused, EncodeError::UnsupportedParams { .. }), "{refused}");
}

#[test]
fn what_the_client_allows_is_sent_to_whoever_does_not_have_it() {
    let claude = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    for (provider, model, name, value, at) in [
        ("anthropic", "claude-sonnet-4-5", "seed", json!(3), "/seed"),
        ("bedrock", claude, "seed", json!(3), "/additionalModelRequestFields/seed"),
        (
            "gemini",
            "gemini-2.0-flash",
            "logit_bias",
            json!({"1": 1}),
            "/generationConfig/logitBias",
        ),
        ("ollama_chat", "llama3", "logit_bias", json!({"1": 1}), "/options/logit_bias"),
        ("cohere", "command-r", "logit_bias", json!({"1": 1}), "/logit_bias"),
    ] {
        let mut said = json!({"allowed_openai_params": [name]});
        said[name] = value.clone();
        let told = sent(provider, model, CHAT, &said).unwrap();
        assert_eq!(told.pointer(at), Some(&value), "{provider}: {told}");
        assert_eq!(told.get("allowed_openai_params"), None);
        said["allowed_openai_params"] = json!([]);
        assert!(sent(provider, model, CHAT, &said).is_err(), "{provider}");
    }
}
