//! Tools that not every dialect has a word for: providers of others are given what comes nearest.

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::lame::whole_for;
use super::wishes::{asking, sent};

const CHAT: Endpoint = Endpoint::ChatCompletions;
const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

#[test]
fn one_call_at_a_time_is_asked_only_of_who_knows_it_and_refused_only_if_it_was_said() {
    let one = json!({"tools": [function("f")], "parallel_tool_calls": false});
    let two = json!({"tools": [function("f"), function("g")], "parallel_tool_calls": false});
    let legacy = json!({"functions": [{"name": "f"}, {"name": "g"}], "function_call": "auto"});
    for (provider, model) in [("cohere", "command-a"), ("ollama", "m"), ("bedrock", NOVA)] {
        assert!(sent(provider, model, CHAT, &one).is_ok(), "{provider}");
        let told = sent(provider, model, CHAT, &legacy);
        assert!(told.unwrap().get("parallel_tool_calls").is_none(), "{provider}");
        let refused = sent(provider, model, CHAT, &two).unwrap_err().to_string();
        assert!(refused.contains("['parallel_tool_calls']"), "{provider}: {refused}");
    }
}

#[test]
fn bedrocks_models_do_not_call_what_they_must_not() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let said = json!({
        "tools": [function("f")],
        "tool_choice": "none",
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
    });
    let told = sent("bedrock", CLAUDE, CHAT, &said).unwrap();
    let none = json!({"type": "none"});
    assert_eq!(told["additionalModelRequestFields"]["tool_choice"], none, "{told}");
    let refused = sent("bedrock", NOVA, CHAT, &said).unwrap_err().to_string();
    assert!(refused.contains("['tool_choice']"), "{refused}");
    // Without calls before it the tools need not be shown.
    let first = json!({"tools": [function("f")], "tool_choice": "none"});
    assert_eq!(sent("bedrock", NOVA, CHAT, &first).unwrap()["toolConfig"], Value::Null);
}

#[test]
fn a_tool_that_takes_any_text_is_a_function_elsewhere_and_called_as_what_it_is() {
    let grammar =
        json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}});
    let custom = json!({"name": "patch", "description": "Edits.", "format": grammar});
    let custom = json!({"type": "custom", "custom": custom});
    let named = json!({"type": "custom", "custom": {"name": "patch"}});
    let allowed = json!({"mode": "required", "tools": [named]});
    let said = json!({"tools": [function("f"), custom],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}});
    let told = sent("anthropic", "claude-sonnet-4-5", CHAT, &said).unwrap();
    let [tool] = &told["tools"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!(
        (&tool["name"], &tool["input_schema"]["required"]),
        (&json!("patch"), &json!(["input"]))
    );
    assert!(tool["description"].as_str().unwrap().ends_with("(lark):\nstart: A"), "{tool}");
    let called = json!({"id": "a", "model": "m", "stop_reason": "tool_use", "type": "message",
        "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [{"type": "tool_use", "id": "c", "name": "patch", "input": {"input": "+x"}}]});
    let heard = whole_for("anthropic", &asking(CHAT, &said), &called).unwrap();
    let call = &heard["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["custom"], json!({"name": "patch", "input": "+x"}), "{heard}");
}
