//! Which tools may be called, and how many at once: in the provider's words where it has any, by
//! leaving tools out where it has none.

use dunlin_llm::{Dialect, Endpoint, Target};
use dunlin_types::{Credential, UnixMillis};
use serde_json::{Value, json};

use super::wishes::{asking, sent};
use crate::find;

const CHAT: Endpoint = Endpoint::ChatCompletions;
const GOOGLE: Endpoint = Endpoint::GenerateContent;
const CLAUDE: &str = "claude-sonnet-4-5";
const CLAUDE_ON_BEDROCK: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

/// Three functions, of which two may be called, in the words of the endpoint.
fn restricted(endpoint: Endpoint, must_call: bool) -> Value {
    let (all, some) = (["a", "b", "c"], ["a", "c"]);
    let mode = if must_call { "required" } else { "auto" };
    match endpoint.dialect() {
        Dialect::Gemini => {
            let declared = all.map(|name| json!({"name": name}));
            let mode = if must_call { "ANY" } else { "VALIDATED" };
            let calling = json!({"mode": mode, "allowedFunctionNames": some});
            json!({"tools": [{"functionDeclarations": declared}],
                "toolConfig": {"functionCallingConfig": calling}})
        }
        Dialect::OpenAi => {
            let function = |name: &str| json!({"type": "function", "function": {"name": name}});
            let allowed = json!({"mode": mode, "tools": some.map(function)});
            json!({"tools": all.map(function),
                "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}})
        }
        Dialect::Responses => {
            let function = |name: &str| json!({"type": "function", "name": name});
            let choice =
                json!({"type": "allowed_tools", "mode": mode, "tools": some.map(function)});
            json!({"tools": all.map(function), "tool_choice": choice})
        }
        Dialect::Anthropic => unreachable!("it has no word for this"),
    }
}

/// What a model of OpenAI's that has only responses is sent.
fn asked_for_a_response(endpoint: Endpoint, said: &Value) -> Value {
    let base = "https://api.openai.com/v1".into();
    let model = "gpt-5-codex".into();
    let to = Target { api_base: base, model, responses: true, ..Target::default() };
    let request = asking(endpoint, said);
    let call = find("openai").unwrap().encode(&request, &to, &Credential::None, UnixMillis(0));
    serde_json::from_slice(call.unwrap().body()).unwrap()
}

#[test]
fn some_of_the_tools_are_allowed_in_words_so_that_all_stay_in_the_prompt() {
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    for endpoint in [GOOGLE, Endpoint::Responses] {
        for (must_call, mode) in [(true, "required"), (false, "auto")] {
            let told =
                sent("openai", "gpt-5.1", endpoint, &restricted(endpoint, must_call)).unwrap();
            assert_eq!(told["tools"].as_array().map(Vec::len), Some(3), "{endpoint:?}: {told}");
            let allowed = json!({"mode": mode, "tools": [named("a"), named("c")]});
            let choice = json!({"type": "allowed_tools", "allowed_tools": allowed});
            assert_eq!(told["tool_choice"], choice, "{endpoint:?}");
        }
    }
    for endpoint in [CHAT, GOOGLE] {
        let told = asked_for_a_response(endpoint, &restricted(endpoint, true));
        assert_eq!(told["tools"].as_array().map(Vec::len), Some(3), "{endpoint:?}: {told}");
        let named = |name: &str| json!({"type": "function", "name": name});
        let choice = json!({
            "type": "allowed_tools", "mode": "required", "tools": [named("a"), named("c")]});
        assert_eq!(told["tool_choice"], choice, "{endpoint:?}");
    }
    for endpoint in [CHAT, Endpoint::Responses] {
        for (model, must_call, mode) in [
            ("gemini-2.5-pro", true, "ANY"),
            ("gemini-3-pro-preview", true, "ANY"),
            ("gemini-3-pro-preview", false, "VALIDATED"),
        ] {
            let told = sent("gemini", model, endpoint, &restricted(endpoint, must_call)).unwrap();
            let declared = &told["tools"][0]["functionDeclarations"];
            assert_eq!(declared.as_array().map(Vec::len), Some(3), "{endpoint:?} {model}: {told}");
            let calling = json!({"mode": mode, "allowedFunctionNames": ["a", "c"]});
            assert_eq!(told["toolConfig"]["functionCallingConfig"], calling, "{model}");
        }
    }
}

#[test]
fn who_has_no_word_for_it_is_shown_only_the_tools_that_are_allowed() {
    for endpoint in [CHAT, GOOGLE, Endpoint::Responses] {
        for (provider, model, place, choice) in [
            ("anthropic", CLAUDE, "/tools", json!({"type": "any"})),
            ("hosted_vllm", "m", "/tools", json!("required")),
            ("azure", "gpt-4o", "/tools", json!("required")),
            ("bedrock", CLAUDE_ON_BEDROCK, "/toolConfig/tools", Value::Null),
        ] {
            // It knows OpenAI's words.
            if endpoint == CHAT && provider == "azure" {
                continue;
            }
            let told = sent(provider, model, endpoint, &restricted(endpoint, true)).unwrap();
            let shown = told.pointer(place).and_then(Value::as_array).map(Vec::len);
            assert_eq!(shown, Some(2), "{provider} {endpoint:?}: {told}");
            let said = told.get("tool_choice").cloned().unwrap_or_default();
            assert_eq!(said, choice, "{provider} {endpoint:?}");
        }
    }
    let told = sent("gemini", "gemini-2.5-pro", CHAT, &restricted(CHAT, false)).unwrap();
    assert_eq!(told["tools"][0]["functionDeclarations"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["toolConfig"]["functionCallingConfig"], json!({"mode": "AUTO"}));
    // OpenAI does not restrict what it runs itself.
    let mut searching = restricted(CHAT, true);
    searching["tools"].as_array_mut().unwrap().push(json!({"type": "web_search"}));
    let allowed = &mut searching["tool_choice"]["allowed_tools"]["tools"];
    allowed.as_array_mut().unwrap().push(json!({"type": "web_search"}));
    let told = asked_for_a_response(CHAT, &searching);
    assert_eq!(told["tools"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(told["tool_choice"], "required");
}

#[test]
fn lm_studio_is_told_in_the_words_it_knows() {
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    let functions = ["a", "b"].map(function);
    let claudes = ["a", "b"].map(|name| json!({"name": name, "input_schema": {"type": "object"}}));
    let named = json!({"tools": functions, "tool_choice": function("b")});
    let tool = json!({"tools": claudes, "tool_choice": {"type": "tool", "name": "b"}});
    for (endpoint, said) in [(CHAT, &named), (Endpoint::Messages, &tool)] {
        let told = sent("lm_studio", "m", endpoint, said).unwrap();
        assert_eq!(told["tools"].as_array().map(Vec::len), Some(1), "{endpoint:?}: {told}");
        assert_eq!(told["tools"][0]["function"]["name"], "b");
        assert_eq!(told["tool_choice"], "required");
    }
    let told = sent("hosted_vllm", "m", CHAT, &named).unwrap();
    assert_eq!(told["tool_choice"], function("b"), "others know names");
    let unknown = json!({"tools": functions, "tool_choice": function("c")});
    assert_eq!(sent("lm_studio", "m", CHAT, &unknown).unwrap()["tool_choice"], function("c"));

    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {}}});
    let any = json!({"type": "json_schema",
        "json_schema": {"name": "object", "schema": {"type": "object"}}});
    for (format, expected) in [
        (json!({"type": "json_object"}), any.clone()),
        (json!({"type": "text"}), json!({"type": "text"})),
        (schema.clone(), schema),
    ] {
        let told = sent("lm_studio", "m", CHAT, &json!({"response_format": format})).unwrap();
        assert_eq!(told["response_format"], expected);
    }
    let googles = json!({"generationConfig": {"responseMimeType": "application/json"}});
    let told = sent("lm_studio", "m", GOOGLE, &googles).unwrap();
    assert_eq!(told["response_format"], any);
}

#[test]
fn one_call_at_a_time_is_said_between_all_dialects() {
    let claudes = |choice: Value| {
        let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
        json!({"tools": [tool("f"), tool("g")], "tool_choice": choice})
    };
    let one = |kind: &str| claudes(json!({"type": kind, "disable_parallel_tool_use": true}));
    let (function, flat) = (
        |name: &str| json!({"type": "function", "function": {"name": name}}),
        |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object"}}),
    );
    let (functions, flats) = (["f", "g"].map(function), ["f", "g"].map(flat));
    let openais = json!({"tools": functions, "parallel_tool_calls": false});
    let responses = json!({
        "tools": flats, "parallel_tool_calls": false});
    for (kind, word) in [("auto", "auto"), ("any", "required")] {
        let told = sent("openai", "gpt-4o", Endpoint::Messages, &one(kind)).unwrap();
        assert_eq!(
            (&told["parallel_tool_calls"], &told["tool_choice"]),
            (&json!(false), &json!(word))
        );
        let told = asked_for_a_response(Endpoint::Messages, &one(kind));
        assert_eq!(
            (&told["parallel_tool_calls"], &told["tool_choice"]),
            (&json!(false), &json!(word))
        );
    }
    // Without a choice there is one, which can say it.
    let auto = json!({"type": "auto", "disable_parallel_tool_use": true});
    for (endpoint, said) in [(CHAT, &openais), (Endpoint::Responses, &responses)] {
        let told = sent("anthropic", CLAUDE, endpoint, said).unwrap();
        assert_eq!(told["tool_choice"], auto, "{endpoint:?}");
        let told = sent("bedrock", CLAUDE_ON_BEDROCK, endpoint, said).unwrap();
        assert_eq!(told["additionalModelRequestFields"]["tool_choice"], auto, "{endpoint:?}");
        assert_eq!(told["toolConfig"]["toolChoice"], Value::Null, "{endpoint:?}");
    }
    let told = sent("bedrock", CLAUDE_ON_BEDROCK, Endpoint::Messages, &one("any")).unwrap();
    assert_eq!(told["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(
        told["additionalModelRequestFields"]["tool_choice"],
        json!({"type": "any", "disable_parallel_tool_use": true})
    );
    // Google has no word for it: a wish of Claude's clients, a parameter of OpenAI's.
    assert!(sent("gemini", "gemini-2.5-pro", Endpoint::Messages, &one("auto")).is_ok());
    let refused = sent("gemini", "gemini-2.5-pro", CHAT, &openais).expect_err("no word");
    assert!(refused.to_string().contains("parallel_tool_calls"), "{refused}");
}
