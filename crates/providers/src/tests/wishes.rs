//! What a client of one dialect says and a provider of another is sent: nothing is lost that means
//! something, and nothing is sent that would be refused.

use bytes::Bytes;
use dunlin_llm::{ChatRequest, Dialect, Endpoint, Target, parse};
use dunlin_types::{Credential, Secret, UnixMillis};
use serde_json::{Value, json};

use crate::{EncodeError, find};

/// A request in the dialect of `endpoint`: a few words, and what `said` adds.
pub(super) fn asking(endpoint: Endpoint, said: &Value) -> ChatRequest {
    let hi = json!([{"role": "user", "content": "hi"}]);
    let mut body = match endpoint.dialect() {
        Dialect::Anthropic => json!({"model": "m", "max_tokens": 100, "messages": hi}),
        Dialect::Gemini => {
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
        }
        Dialect::OpenAi if endpoint == Endpoint::Completions => {
            json!({"model": "m", "prompt": "hi"})
        }
        Dialect::OpenAi => json!({"model": "m", "messages": hi}),
        Dialect::Responses => json!({"model": "m", "input": "hi"}),
    };
    body.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let named = (endpoint.dialect() == Dialect::Gemini).then_some("m");
    parse(endpoint, Bytes::from(body.to_string()), named).unwrap()
}

/// What the provider is sent for it.
pub(super) fn sent(
    provider: &str,
    model: &str,
    endpoint: Endpoint,
    said: &Value,
) -> Result<Value, EncodeError> {
    let to = Target {
        api_base: "http://up".into(),
        model: model.into(),
        region: Some("us-east-1".into()),
        project: Some("p".into()),
        ..Target::default()
    };
    let key = Credential::Key(Secret::new("k"));
    let request = asking(endpoint, said);
    let call = find(provider).unwrap().encode(&request, &to, &key, UnixMillis(0))?;
    Ok(serde_json::from_slice(call.body()).unwrap())
}

const CLAUDE: &str = "claude-sonnet-4-5";
const CLAUDE_ON_BEDROCK: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

#[test]
fn who_asks_for_no_thought_gets_none() {
    let off = json!({"generationConfig": {
        "thinkingConfig": {"thinkingBudget": 0}, "maxOutputTokens": 300, "temperature": 0,
    }});
    let told = sent("anthropic", CLAUDE, Endpoint::GenerateContent, &off).unwrap();
    assert_eq!((&told["thinking"], &told["max_tokens"]), (&Value::Null, &json!(300)), "{told}");
    assert_eq!(told["temperature"], 0);
    let told = sent("bedrock", CLAUDE_ON_BEDROCK, Endpoint::GenerateContent, &off).unwrap();
    assert_eq!(told["inferenceConfig"], json!({"maxTokens": 300, "temperature": 0}), "{told}");
    assert_eq!(told["additionalModelRequestFields"], Value::Null);
    let none = json!({"thinking": {"type": "enabled", "budget_tokens": 0}});
    let told = sent("anthropic", CLAUDE, Endpoint::ChatCompletions, &none).unwrap();
    assert_eq!(told["thinking"], Value::Null, "{told}");
    let told = sent("gemini", "gemini-2.5-flash", Endpoint::ChatCompletions, &none).unwrap();
    let config = json!({"includeThoughts": false, "thinkingBudget": 0});
    assert_eq!(told["generationConfig"]["thinkingConfig"], config);
    // It refuses not to think.
    let told = sent("gemini", "gemini-2.5-pro", Endpoint::ChatCompletions, &none).unwrap();
    let config = json!({"includeThoughts": false, "thinkingBudget": 128});
    assert_eq!(told["generationConfig"]["thinkingConfig"], config);
    let told = sent("ollama_chat", "qwen3", Endpoint::GenerateContent, &off).unwrap();
    assert_eq!(told["think"], false);
}

#[test]
fn a_server_is_not_told_what_it_would_refuse_of_another_dialects_wishes() {
    let claudes = json!({"top_k": 40, "thinking": {"type": "disabled"}});
    let googles =
        json!({"generationConfig": {"topK": 40, "thinkingConfig": {"thinkingBudget": 0}}});
    for (endpoint, said) in [(Endpoint::Messages, claudes), (Endpoint::GenerateContent, googles)] {
        for (provider, model, top_k, effort) in [
            ("openai", "gpt-4o", Value::Null, Value::Null),
            ("openai", "o3", Value::Null, json!("low")),
            ("openai", "gpt-5.1", Value::Null, json!("none")),
            ("azure", "our-deployment", Value::Null, Value::Null),
            ("groq", "llama", Value::Null, Value::Null),
            ("mistral", "mistral-large-latest", Value::Null, Value::Null),
            ("openai", "served", json!(40), Value::Null),
            ("hosted_vllm", "served", json!(40), Value::Null),
        ] {
            let told = sent(provider, model, endpoint, &said).unwrap();
            let told = (told["top_k"].clone(), told["reasoning_effort"].clone());
            assert_eq!(told, (top_k, effort), "{provider} {model} {endpoint:?}");
        }
    }
    let thinks = json!({"thinking": {"type": "enabled", "budget_tokens": 31999}});
    for (model, effort) in [("o3", "high"), ("gpt-5", "high"), ("served", "high")] {
        let told = sent("openai", model, Endpoint::Messages, &thinks).unwrap();
        assert_eq!(told["reasoning_effort"], effort, "{model}");
    }
    let one_by_one = json!({
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
    });
    for (model, told) in [("gpt-4o", json!(false)), ("o3", Value::Null)] {
        let sent = sent("openai", model, Endpoint::Messages, &one_by_one).unwrap();
        assert_eq!(sent["parallel_tool_calls"], told, "{model}");
    }
    // What an OpenAI client says in words that are not OpenAI's is the server's to judge.
    let own = json!({"top_k": 5});
    let told = sent("openai", "gpt-4o", Endpoint::ChatCompletions, &own).unwrap();
    assert_eq!(told["top_k"], json!(5));
}

#[test]
fn one_call_at_a_time_is_asked_for_or_refused() {
    let functions = |names: &[&str]| -> Vec<Value> {
        let function = |name| json!({"type": "function", "function": {"name": name}});
        names.iter().map(function).collect()
    };
    let said =
        |names: &[&str], may: bool| json!({"tools": functions(names), "parallel_tool_calls": may});
    let chat = Endpoint::ChatCompletions;
    for (provider, model) in [
        ("gemini", "gemini-2.5-flash"),
        ("cohere", "command-a"),
        ("ollama_chat", "llama3.2"),
        ("bedrock", "amazon.nova-pro-v1:0"),
    ] {
        let refused = sent(provider, model, chat, &said(&["f", "g"], false)).expect_err(provider);
        assert!(
            matches!(&refused, EncodeError::UnsupportedParams { params, .. } if params == &["parallel_tool_calls"]),
            "{provider}: {refused}"
        );
        let told = sent(provider, model, chat, &said(&["f", "g"], true)).unwrap();
        assert!(!told.to_string().contains("parallel"), "{told}");
        assert!(sent(provider, model, chat, &said(&[], false)).is_ok(), "nothing to call");
    }
    // LiteLLM's users know it so.
    assert!(sent("gemini", "gemini-2.5-flash", chat, &said(&["f"], false)).is_ok());
    let told = sent("anthropic", CLAUDE, chat, &said(&["f", "g"], false)).unwrap();
    let one = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(told["tool_choice"], one);
    let told = sent("bedrock", CLAUDE_ON_BEDROCK, chat, &said(&["f", "g"], false)).unwrap();
    assert_eq!(told["additionalModelRequestFields"]["tool_choice"], one);
}

#[test]
fn what_only_google_has_is_said_otherwise_or_refused() {
    let google = Endpoint::GenerateContent;
    let refusal = |provider: &str, said: &Value| {
        sent(provider, "m", google, said).expect_err(provider).to_string()
    };
    let cached = json!({"cachedContent": "cachedContents/abc"});
    for provider in ["anthropic", "openai", "bedrock", "ollama_chat"] {
        let refused = refusal(provider, &cached);
        assert!(
            refused.contains("'cachedContent'") && refused.contains("kept by Google"),
            "{refused}"
        );
        let refused = refusal(provider, &json!({"tools": [{"codeExecution": {}}]}));
        assert!(refused.contains("tools.codeExecution"), "{refused}");
        let voice =
            json!({"generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": {}}});
        let refused = refusal(provider, &voice);
        assert!(refused.contains("generationConfig.responseModalities"), "{refused}");
    }
    for spelled in ["googleSearch", "google_search"] {
        let search = json!({"tools": [{spelled: {}}]});
        assert!(refusal("hosted_vllm", &search).contains("tools.googleSearch"));
        let told = sent("anthropic", CLAUDE, google, &search).unwrap();
        let web = json!([{"type": "web_search_20250305", "name": "web_search"}]);
        assert_eq!(told["tools"], web);
        let told = sent("openai", "gpt-4o-search-preview", google, &search).unwrap();
        assert_eq!((&told["web_search_options"], &told["tools"]), (&json!({}), &Value::Null));
    }
    let run = json!({"contents": [
        {"role": "user", "parts": [{"text": "sum?"}]},
        {"role": "model", "parts": [
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        ]},
        {"role": "user", "parts": [{"text": "more"}]},
    ]});
    for provider in ["anthropic", "openai", "bedrock", "cohere", "ollama_chat"] {
        let told = sent(provider, "m", google, &run).unwrap().to_string();
        assert!(told.contains("```python\\nprint(1)\\n```"), "{provider}: {told}");
    }
}

#[test]
fn what_claudes_own_tools_did_is_told_in_words() {
    let ran = |name: &str, input: Value| json!({"type": "server_tool_use", "id": "s", "name": name, "input": input});
    let came =
        |kind: &str, content: Value| json!({"type": kind, "tool_use_id": "s", "content": content});
    let content = json!([
        ran("code_execution", json!({"code": "print(1)"})),
        came("code_execution_tool_result", json!({"stdout": "1\n", "stderr": "", "return_code": 0, "content": []})),
        ran("bash_code_execution", json!({"command": "ls"})),
        came("bash_code_execution_tool_result", json!({"stdout": "", "stderr": "no", "return_code": 2})),
        json!({"type": "mcp_tool_use", "id": "m", "name": "n", "server_name": "s", "input": {"a": 1}}),
        came("mcp_tool_result", json!([{"type": "text", "text": "MR"}])),
        ran("web_search", json!({"query": "q"})),
        came("web_search_tool_result", json!([])),
        {"type": "text", "text": "A"},
    ]);
    let found = json!({"type": "tool_result", "tool_use_id": "t", "content": [
        {"type": "tool_reference", "tool_name": "mcp__wx__get"}]});
    let call = json!({"type": "tool_use", "id": "t", "name": "ToolSearch", "input": {}});
    let history = json!({"messages": [
        {"role": "user", "content": "?"}, {"role": "assistant", "content": content},
        {"role": "user", "content": "?"}, {"role": "assistant", "content": [call]},
        {"role": "user", "content": [found]},
    ]});
    for provider in ["openai", "hosted_vllm", "gemini", "bedrock", "cohere", "ollama_chat"] {
        let told = sent(provider, "m", Endpoint::Messages, &history).unwrap().to_string();
        for words in [
            "```python\\nprint(1)\\n```\\n",
            "```\\n1\\n```\\n",
            "```bash\\nls\\n```\\n",
            "```\\nno\\nreturn code 2\\n```\\n",
            "```\\nn({\\\"a\\\":1})\\n```\\n",
            "```\\nMR\\n```\\n",
            "Found the tool mcp__wx__get.",
        ] {
            assert!(told.contains(words), "{provider} {words}: {told}");
        }
        assert!(!told.contains("web_search"), "{provider}: {told}");
    }
}

#[test]
fn google_is_given_no_seal_of_claudes() {
    let seal = "EqQBCkYIBxgCKkB0aGluaw==";
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": seal});
    let said = json!({"messages": [{"role": "user", "content": "?"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "A"}]},
        {"role": "user", "content": "?"}]});
    let told = sent("gemini", "gemini-3-pro", Endpoint::Messages, &said).unwrap();
    assert_eq!(
        told["contents"][1]["parts"],
        json!([{"text": "hm", "thought": true}, {"text": "A"}])
    );
}

#[test]
fn what_only_claude_or_openai_has_is_said_otherwise_or_refused() {
    let hosted = |kind: &str| json!({"tools": [{"type": kind, "name": "x"}]});
    for (provider, kind) in [
        ("openai", "bash_20250124"),
        ("gemini", "bash_20250124"),
        ("ollama_chat", "web_search_20250305"),
    ] {
        let refused = sent(provider, "m", Endpoint::Messages, &hosted(kind)).expect_err(provider);
        assert!(refused.to_string().contains(&format!("tools.{kind}")), "{refused}");
    }
    let web = hosted("web_search_20250305");
    let told = sent("gemini", "gemini-2.5-pro", Endpoint::Messages, &web).unwrap();
    assert_eq!(told["tools"], json!([{"googleSearch": {}}]));
    let servers = json!({"mcp_servers": [{"type": "url", "url": "https://x"}]});
    let summary = json!({"compaction": {"type": "summarize"}});
    for (asked, name) in [(servers, "mcp_servers"), (summary, "compaction")] {
        let refused = sent("openai", "gpt-4o", Endpoint::Messages, &asked).expect_err(name);
        assert!(refused.to_string().contains(name), "{refused}");
    }
    let found = json!({"messages": [{"role": "user", "content": [
        {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "found"}]},
        {"type": "text", "text": "so?"},
    ]}]});
    let told = sent("openai", "gpt-4o", Endpoint::Messages, &found).unwrap();
    assert_eq!(told["messages"][0]["content"], "T\nS\n\nfound\nso?");
    let file = json!({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}}]}]});
    let refused = sent("openai", "gpt-4o", Endpoint::Messages, &file).expect_err("not theirs");
    assert!(refused.to_string().contains("file_1"), "{refused}");
    let film = json!({"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "u"}}]}]});
    for provider in ["anthropic", "bedrock", "cohere", "ollama_chat", "gemini"] {
        let refused = sent(provider, "m", Endpoint::ChatCompletions, &film).expect_err(provider);
        assert!(refused.to_string().contains("video_url"), "{provider}: {refused}");
    }
    assert!(sent("hosted_vllm", "m", Endpoint::ChatCompletions, &film).is_ok());
}

#[test]
fn pictures_that_a_tool_made_are_shown_by_the_user_where_tools_only_speak() {
    let picture = "iVBORw0KGgo=";
    let claudes = json!({"messages": [
        {"role": "user", "content": "draw"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "draw", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [
                {"type": "text", "text": "done"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}},
            ]},
            {"type": "text", "text": "and?"},
        ]},
    ]});
    let told = sent("openai", "gpt-4o", Endpoint::Messages, &claudes).unwrap();
    let url = format!("data:image/png;base64,{picture}");
    assert_eq!(
        told["messages"].as_array().unwrap()[2..],
        [
            json!({"role": "tool", "tool_call_id": "t1", "content": "done"}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "Result of draw:"},
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "text", "text": "and?"},
            ]}),
        ]
    );
    let openais = json!({"messages": [
        {"role": "user", "content": "draw"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "draw", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "image_url", "image_url": {"url": url}}]},
    ]});
    let below = "The result is in the message that follows.";
    for (endpoint, said, words, beside) in [
        (Endpoint::Messages, &claudes, "done", "Result of draw:\nand?"),
        (Endpoint::ChatCompletions, &openais, below, "Result of c:"),
    ] {
        let told = sent("ollama_chat", "llava", endpoint, said).unwrap();
        assert_eq!(told["messages"][2]["content"], words, "{told}");
        assert_eq!(told["messages"][3]["images"], json!([picture]), "{told}");
        assert_eq!(told["messages"][3]["content"], beside, "{told}");
    }
}

/// DeepSeek, Moonshot and their like refuse calls without the thought before them.
#[test]
fn thoughts_are_sent_back_to_who_wants_them() {
    let said = json!({"messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "u", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "u", "content": "1"}]},
    ]});
    for provider in ["deepseek", "moonshot", "zai", "xiaomi_mimo"] {
        let told = sent(provider, "m", Endpoint::Messages, &said).unwrap();
        let thoughts = [1, 3].map(|at| told["messages"][at]["reasoning_content"].clone());
        assert_eq!(thoughts, [json!("hm"), json!(" ")], "{provider}");
    }
    let told = sent("openai", "gpt-4o", Endpoint::Messages, &said).unwrap();
    assert_eq!(told["messages"][1].get("reasoning_content"), None);
    for provider in ["hosted_vllm", "vllm", "llamafile"] {
        let told = sent(provider, "m", Endpoint::Messages, &said).unwrap();
        let thoughts = [1, 3].map(|at| told["messages"][at]["reasoning_content"].clone());
        assert_eq!(thoughts, [json!("hm"), Value::Null], "{provider}: taken, not wanted");
    }
    // Mistral's parts of a content, whoever is to read them.
    let parts = json!({"messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "6"}]},
        {"role": "user", "content": "?"},
    ]});
    let told = sent("ollama_chat", "qwen3", Endpoint::ChatCompletions, &parts).unwrap();
    let turn = json!({"role": "assistant", "content": "6", "thinking": "hm"});
    assert_eq!(told["messages"][1], turn);
}

#[test]
fn a_clients_bound_beats_a_default_however_each_is_called() {
    for (default, said) in [
        ("max_tokens", "max_completion_tokens"),
        ("max_completion_tokens", "max_tokens"),
        ("max_tokens", "max_tokens"),
    ] {
        let to = Target {
            api_base: "http://up".into(),
            model: "m".into(),
            body_defaults: vec![(default.into(), "77".into())],
            ..Target::default()
        };
        let request = asking(Endpoint::ChatCompletions, &json!({said: 5}));
        for provider in ["hosted_vllm", "cohere"] {
            let provider = find(provider).unwrap();
            let call = provider.encode(&request, &to, &Credential::None, UnixMillis(0)).unwrap();
            let told = String::from_utf8_lossy(call.body());
            assert!(told.contains(":5") && !told.contains("77"), "{default} {said}: {told}");
        }
    }
}

#[test]
fn each_name_of_a_user_goes_where_it_is_known() {
    let said = json!({"user": "u", "safety_identifier": "s"});
    let to = Target {
        api_base: "http://up".into(),
        model: "gpt-5-codex".into(),
        responses: true,
        chat_only: false,
        ..Target::default()
    };
    assert!(to.has_only_responses());
    let request = asking(Endpoint::ChatCompletions, &said);
    let provider = find("openai").unwrap();
    let call = provider.encode(&request, &to, &Credential::None, UnixMillis(0)).unwrap();
    let told: Value = serde_json::from_slice(call.body()).unwrap();
    assert_eq!((&told["user"], &told["safety_identifier"]), (&json!("u"), &json!("s")));
    let told =
        sent("anthropic", CLAUDE, Endpoint::ChatCompletions, &json!({"safety_identifier": "s"}));
    assert_eq!(told.unwrap()["metadata"]["user_id"], "s");
}

#[test]
fn what_a_response_and_a_chat_of_openais_both_know_passes_from_one_to_the_other() {
    let wishes = json!({"prompt_cache_key": "k", "prompt_cache_retention": "24h"});
    let told = sent("openai", "gpt-4o", Endpoint::Responses, &wishes).unwrap();
    assert_eq!(
        (&told["prompt_cache_key"], &told["prompt_cache_retention"]),
        (&json!("k"), &json!("24h"))
    );
    for (provider, model) in [("hosted_vllm", "m"), ("anthropic", CLAUDE)] {
        let told = sent(provider, model, Endpoint::Responses, &wishes).unwrap().to_string();
        assert!(!told.contains("prompt_cache"), "{provider}: {told}");
    }
}

#[test]
fn a_guard_that_only_openai_has_is_refused_rather_than_left_out() {
    let guarded = json!({"moderation": {"mode": "block"}});
    for (provider, model, client) in [
        ("anthropic", CLAUDE, Endpoint::Responses),
        ("anthropic", CLAUDE, Endpoint::ChatCompletions),
        ("bedrock", CLAUDE_ON_BEDROCK, Endpoint::Responses),
        ("bedrock", CLAUDE_ON_BEDROCK, Endpoint::ChatCompletions),
        ("ollama", "llama3.2", Endpoint::ChatCompletions),
        ("cohere", "command-a-03-2025", Endpoint::ChatCompletions),
    ] {
        let refused = sent(provider, model, client, &guarded).unwrap_err().to_string();
        assert!(refused.contains("['moderation']"), "{provider}: {refused}");
    }
    let told = sent("openai", "gpt-4o", Endpoint::Responses, &guarded).unwrap();
    assert_eq!(told["moderation"], guarded["moderation"]);
}
