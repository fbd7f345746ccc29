//! What the models of the Claude family are asked, each as it takes it, by whoever serves them.

use dunlin_llm::Endpoint;
use serde_json::{Value, json};

use super::lame::{streamed, whole};
use super::wishes::{asking, sent};

const CHAT: Endpoint = Endpoint::ChatCompletions;

/// Anthropic's, Vertex AI's and Bedrock's name for each.
fn served(model: &str) -> [(&'static str, String); 3] {
    let bedrocks = format!("anthropic.{model}");
    [("anthropic", model.into()), ("vertex_ai", model.into()), ("bedrock", bedrocks)]
}

fn dropping(wish: &Value) -> Value {
    let mut wish = wish.clone();
    wish["drop_params"] = true.into();
    wish
}

/// How it is told to think, wherever that stands.
fn thought(told: &Value) -> Value {
    let more = told.get("additionalModelRequestFields").unwrap_or(told);
    json!([more["thinking"], more["output_config"]["effort"]])
}

#[test]
fn each_claude_is_told_how_hard_to_think_in_a_word_that_it_knows() {
    let shown = json!({"type": "adaptive", "display": "summarized"});
    let resting = json!({"type": "disabled"});
    for (effort, model, expected) in [
        ("xhigh", "claude-opus-4-6", json!([shown, "max"])),
        ("xhigh", "claude-opus-4-7", json!([shown, "xhigh"])),
        ("max", "claude-sonnet-5", json!([shown, "max"])),
        ("none", "claude-opus-4-8", json!([null, null])),
        // These think unasked.
        ("none", "claude-opus-5", json!([resting, null])),
        ("none", "claude-haiku-5-5", json!([resting, null])),
        ("none", "claude-sonnet-5-5", json!([{"type": "between_tools"}, null])),
        ("none", "claude-opus-5-5", json!([null, "low"])),
        ("none", "claude-fable-5", json!([null, "low"])),
    ] {
        for (provider, name) in served(model) {
            let told = sent(provider, &name, CHAT, &json!({"reasoning_effort": effort}));
            assert_eq!(thought(&told.unwrap()), expected, "{provider} {model} {effort}");
        }
    }
    let unasked = sent("anthropic", "claude-opus-5", CHAT, &json!({})).unwrap();
    assert_eq!(thought(&unasked), json!([null, null]), "as it likes");
}

#[test]
fn a_claude_that_draws_its_own_lots_is_asked_for_none() {
    let wish = json!({"temperature": 0.5, "top_p": 0.9});
    for (provider, name) in served("claude-opus-4-7") {
        let refused = sent(provider, &name, CHAT, &wish).unwrap_err().to_string();
        assert!(refused.contains("temperature") && refused.contains("top_p"), "{refused}");
        let told = sent(provider, &name, CHAT, &dropping(&wish)).unwrap();
        assert_eq!(told["temperature"], Value::Null);
        assert_eq!(told["inferenceConfig"]["temperature"], Value::Null);
        // Its only temperature.
        assert!(sent(provider, &name, CHAT, &json!({"temperature": 1})).is_ok());
    }
    let told = sent("anthropic", "claude-opus-4-6", CHAT, &json!({"temperature": 0.5}));
    assert_eq!(told.unwrap()["temperature"], 0.5);
}

fn function(parameters: &Value, strict: bool) -> Value {
    json!({"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}})
}

fn place() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string", "minLength": 1}},
        "required": ["city"], "additionalProperties": false})
}

#[test]
fn a_claude_that_cannot_be_made_to_call_calls_as_it_likes_or_is_not_asked() {
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
        let tools = [function(&place(), false)];
        let wish = json!({"tools": tools, "tool_choice": choice});
        for (provider, name) in served("claude-opus-5-5") {
            let refused = sent(provider, &name, CHAT, &wish).unwrap_err().to_string();
            assert!(refused.contains("tool_choice"), "{refused}");
            let told = sent(provider, &name, CHAT, &dropping(&wish)).unwrap();
            assert_eq!(
                (&told["tool_choice"], &told["toolConfig"]["toolChoice"]),
                (&Value::Null, &Value::Null)
            );
        }
        let told = sent("anthropic", "claude-sonnet-5", CHAT, &wish).unwrap();
        assert_eq!(told["thinking"], json!({"type": "disabled"}), "both would be refused");
    }
    let wish = json!({"tools": [function(&place(), false)], "tool_choice": "none"});
    let told = sent("anthropic", "claude-opus-5-5", CHAT, &wish).unwrap();
    assert_eq!(told["tool_choice"], json!({"type": "none"}));
    // An answer in JSON is asked for all the same.
    let wish = json!({"response_format": {"type": "json_object"}});
    let told = sent("anthropic", "claude-opus-5-5", CHAT, &wish).unwrap();
    assert_eq!(
        (&told["tools"][0]["name"], &told["tool_choice"]),
        (&json!("json_tool_call"), &Value::Null)
    );
    let told = sent("bedrock", "anthropic.claude-opus-5-5", CHAT, &wish).unwrap();
    assert_eq!(told["toolConfig"]["tools"][0]["toolSpec"]["name"], "json_tool_call");
    assert_eq!(told["toolConfig"]["toolChoice"], Value::Null);
}

#[test]
fn a_strict_tool_is_strict_where_the_model_has_such() {
    let fitted = json!({"type": "object",
        "properties": {"city": {"type": "string", "description": "Note: minimum length: 1."}},
        "required": ["city"], "additionalProperties": false});
    let ask = |provider: &str, name: &str, parameters: &Value, count: usize| {
        let tools = vec![function(parameters, true); count];
        let told = sent(provider, name, CHAT, &json!({"tools": tools})).unwrap();
        let spec = told.pointer("/toolConfig/tools/0/toolSpec").unwrap_or(&told["tools"][0]);
        let schema = spec.pointer("/inputSchema/json").unwrap_or(&spec["input_schema"]);
        (spec["strict"].clone(), schema.clone())
    };
    for (provider, name) in served("claude-sonnet-4-5-20250929") {
        assert_eq!(ask(provider, &name, &place(), 1), (json!(true), fitted.clone()), "{provider}");
    }
    let plain = (Value::Null, place());
    for (provider, name) in served("claude-sonnet-4-20250514") {
        assert_eq!(ask(provider, &name, &place(), 1), plain, "{provider} has none");
    }
    assert_eq!(ask("bedrock", "meta.llama3-1-8b-instruct-v1:0", &place(), 1), plain);
    // More than the API compiles, and what it makes no grammar of.
    assert_eq!(ask("anthropic", "claude-opus-4-6", &place(), 21), plain);
    let map = json!({"type": "object", "properties": {"of": {"type": "object",
        "additionalProperties": {"type": "string"}}}});
    let tree = json!({"type": "object", "properties": {"top": {"$ref": "#/$defs/Node"}},
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}}});
    let wide: Value = (0..25).map(|at| (format!("p{at}"), json!({"type": "string"}))).collect();
    let wide = json!({"type": "object", "properties": wide});
    for schema in [map, tree, wide] {
        assert_eq!(ask("anthropic", "claude-opus-4-6", &schema, 1), (Value::Null, schema.clone()));
    }
    // The other way, a tool of Anthropic's is one of OpenAI's.
    let tool = json!({"name": "f", "input_schema": place(), "strict": true});
    let body = json!({"max_tokens": 9, "tools": [tool]});
    let told = sent("hosted_vllm", "m", Endpoint::Messages, &body).unwrap();
    assert_eq!(told["tools"][0]["function"]["strict"], true);
    let passed = asking(Endpoint::Messages, &body).encode_for("m", &[]);
    assert!(String::from_utf8_lossy(&passed).contains(r#""strict":true"#));
}

#[test]
fn a_schema_that_claude_would_refuse_or_empty_is_asked_for_otherwise() {
    let ask = |schema: &Value, model: &str| {
        let schema = json!({"name": "n", "schema": schema});
        let format = json!({"type": "json_schema", "json_schema": schema});
        sent("anthropic", model, CHAT, &json!({"response_format": format})).unwrap()
    };
    let ages = json!({"type": "object", "properties": {
        "age": {"type": "integer", "description": "In years.", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "minItems": 1, "uniqueItems": false, "items": {"type": "string"}},
        "pet": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    }});
    let told = ask(&ages, "claude-opus-4-6");
    assert_eq!(
        told["output_config"]["format"]["schema"],
        json!({"type": "object", "additionalProperties": false, "properties": {
            "age": {"type": "integer",
                "description": "In years. Note: minimum value: 0, maximum value: 150."},
            "tags": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "pet": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }})
    );
    // Closed, a map would come back empty.
    let map = json!({"type": "object", "properties": {"counts": {"type": "object",
        "additionalProperties": {"type": "integer"}}}});
    let told = ask(&map, "claude-opus-4-6");
    assert_eq!(told["output_config"], Value::Null);
    assert_eq!(told["tools"][0]["input_schema"], map);
    assert_eq!(told["tool_choice"]["name"], "json_tool_call");
    let told = ask(&map, "claude-sonnet-5-5");
    assert_eq!((&told["tools"][0]["input_schema"], &told["tool_choice"]), (&map, &Value::Null));
}

/// As Anthropic's reference of messages and its SDKs have `stop_details`, read in November 2026.
#[test]
fn a_claude_that_refuses_says_why() {
    let details = json!({"type": "refusal", "category": "cyber", "explanation": "It would harm."});
    let end = json!({"stop_reason": "refusal", "stop_sequence": null, "stop_details": details});
    let mut answer = json!({"id": "m", "model": "claude-opus-5-5", "content": []});
    answer.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
    let told = whole("anthropic", CHAT, &answer).unwrap();
    let choice = &told["choices"][0];
    assert_eq!(choice["message"]["refusal"], "It would harm.");
    assert_eq!(choice["finish_reason"], "content_filter");
    let stream: String = [
        json!({"type": "message_start", "message": {"id": "m", "model": "claude-opus-5-5"}}),
        json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    .collect();
    let told = streamed("anthropic", CHAT, &stream).unwrap();
    let refusal =
        |chunk: &Value| chunk["choices"][0]["delta"]["refusal"].as_str().map(str::to_owned);
    assert_eq!(told.iter().filter_map(refusal).collect::<String>(), "It would harm.");
}
