//! What sets the rows apart, seen in what is sent and what comes back.

use bytes::Bytes;
use dunlin_llm::{ChatRequest, Endpoint, ParamRules, Stamp, StreamEvent, Target, parse};
use dunlin_types::{Credential, Secret, UnixMillis};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{ALL, EncodeError, Provider, find};

fn chat(body: &str) -> ChatRequest {
    parse(Endpoint::ChatCompletions, Bytes::from(body.to_owned()), None).unwrap()
}

fn stamp(model: &str) -> Stamp<'_> {
    Stamp { model, id: "x", now: 0, request: "", turn: None }
}

fn target(provider: &dyn Provider, model: &str) -> Target {
    let api_base = provider.default_base().unwrap_or("http://own:1");
    Target { api_base: api_base.into(), model: model.into(), ..Target::default() }
}

/// Where a call goes and its body.
fn sent(id: &str, to: &Target, body: &str) -> Result<(String, String), EncodeError> {
    let request = chat(body);
    let call = find(id).unwrap().encode(&request, to, &Credential::None, UnixMillis(0))?;
    let body = String::from_utf8(call.body().to_vec()).unwrap();
    Ok((call.uri().to_string(), body))
}

#[test]
fn every_provider_can_be_asked_at_its_own_address() {
    assert!(ALL.len() > 100, "LiteLLM's users find theirs");
    for provider in ALL {
        let to = target(*provider, "m");
        let path = |base: &str| base.trim_end_matches('/').to_owned() + "/chat/completions";
        if let (Ok((url, _)), Some(base)) =
            (sent(provider.id(), &to, r#"{"model":"a","messages":[]}"#), provider.default_base())
            && crate::compatible::TABLE.iter().any(|row| row.id == provider.id())
        {
            assert_eq!(url, path(base), "{}", provider.id());
        }
        assert!(provider.speaker().ends_with("Exception"), "{}", provider.id());
        assert!(!provider.needs_key() || !provider.variables().keys.is_empty());
    }
}

#[test]
fn addresses_are_completed_and_models_get_their_prefix() {
    let body = r#"{"model":"a","messages":[]}"#;
    for (id, api_base, model, url, named) in [
        (
            "gradient_ai",
            "https://x.agents.do-ai.run",
            "m",
            "https://x.agents.do-ai.run/api/v1",
            "m",
        ),
        ("heroku", "https://h/", "m", "https://h/v1", "m"),
        ("mistral", "https://m", "m", "https://m/v1", "m"),
        ("fireworks_ai", "http://f", "llama", "http://f", "accounts/fireworks/models/llama"),
        (
            "fireworks_ai",
            "http://f",
            "accounts/a/deployments/d",
            "http://f",
            "accounts/a/deployments/d",
        ),
        ("huggingface", "http://h/v1", "together/org/m", "http://h/v1", "org/m:together"),
        ("huggingface", "http://h/v1", "org/m", "http://h/v1", "org/m"),
    ] {
        let to = Target { api_base: api_base.into(), model: model.into(), ..Target::default() };
        let (sent_to, sent) = sent(id, &to, body).unwrap();
        assert_eq!(sent_to, format!("{url}/chat/completions"));
        assert_eq!(sent, body.replace("\"a\"", &format!("\"{named}\"")), "{id}");
    }
}

#[test]
fn the_body_is_said_in_the_providers_words_and_all_else_stays() {
    let body = r#"{"model":"a","messages":[{"role":"user","name":"bo","content":"é"}],"seed":7,"max_completion_tokens":9,"user":"u","x_own":1.50}"#;
    let mistral = target(find("mistral").unwrap(), "m");
    let (_, sent_body) = sent("mistral", &mistral, body).unwrap();
    assert_eq!(
        sent_body,
        r#"{"model":"m","messages":[{"role":"user","content":"é"}],"random_seed":7,"max_tokens":9,"x_own":1.50}"#
    );
    let groq = target(find("groq").unwrap(), "a");
    assert_eq!(sent("groq", &groq, body).unwrap().1, body, "nothing to change");
}

#[test]
fn what_a_provider_lacks_is_refused_dropped_or_passed_as_it_is_told() {
    let body = r#"{"model":"a","messages":[],"n":1,"logit_bias":{"1":2},"x_own":1}"#;
    let provider = find("mistral").unwrap();
    let to = target(provider, "a");
    let refused = sent("mistral", &to, body).unwrap_err();
    let said = "mistral does not support parameters: ['logit_bias'], for model=a.";
    assert!(refused.to_string().starts_with(said), "{refused}");

    let dropped = r#"{"model":"a","messages":[],"n":1,"x_own":1}"#;
    let rules = ParamRules { drop_unsupported: true, ..ParamRules::default() };
    let lenient = Target { params: rules, ..to.clone() };
    assert_eq!(sent("mistral", &lenient, body).unwrap().1, dropped);
    let rules = ParamRules { always_drop: vec!["logit_bias".into()], ..ParamRules::default() };
    assert_eq!(sent("mistral", &Target { params: rules, ..to.clone() }, body).unwrap().1, dropped);
    let rules = ParamRules { allow: vec!["logit_bias".into()], ..ParamRules::default() };
    assert_eq!(sent("mistral", &Target { params: rules, ..to.clone() }, body).unwrap().1, body);

    for (wish, left) in [
        (r#""drop_params":true"#, dropped),
        (r#""additional_drop_params":["logit_bias"]"#, dropped),
        (r#""allowed_openai_params":["logit_bias"]"#, body),
    ] {
        let asked = body.replace("\"n\":1", &format!("{wish},\"n\":1"));
        assert_eq!(sent("mistral", &to, &asked).unwrap().1, left, "{wish}");
    }
}

#[test]
fn dropped_paths_reach_into_the_body_for_any_provider() {
    let body = r#"{"model":"a","messages":[],"tools":[{"type":"function","function":{"name":"f","strict":true}}]}"#;
    let rules = ParamRules {
        always_drop: vec!["tools[*].function.strict".into()],
        ..ParamRules::default()
    };
    let to = Target { params: rules, ..target(find("openai").unwrap(), "a") };
    assert_eq!(sent("openai", &to, body).unwrap().1, body.replace(",\"strict\":true", ""));
}

#[test]
fn thoughts_come_under_the_name_that_clients_know() {
    ["groq", "hosted_vllm", "openai"].into_iter().for_each(knows_thoughts_of);
}

fn knows_thoughts_of(provider: &str) {
    let provider = find(provider).unwrap();
    let (request, to) = (chat(r#"{"model":"a","messages":[]}"#), target(provider, "m"));
    let body = r#"{"model":"m","choices":[{"message":{"content":"x","reasoning":"hm"}}]}"#;
    let reply = provider.decode(&request, &to, StatusCode::OK, Bytes::from(body)).unwrap();
    let known = body.replace("\"reasoning\"", "\"reasoning_content\"");
    assert_eq!(reply.write(Endpoint::ChatCompletions, stamp("m")), known);

    let frame = |delta: &str| {
        format!("data: {{\"model\":\"m\",\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n")
    };
    let stream = frame("\"reasoning\":\"hm\"") + &frame("\"content\":\"x\"") + "data: [DONE]\n\n";
    let (mut decoder, mut events) = (provider.stream(&request, &to), Vec::new());
    decoder.push(Bytes::from(stream), &mut events).unwrap();
    let frames: Vec<Bytes> = events
        .iter()
        .map(|event| match event {
            StreamEvent::Chunk(chunk) => chunk.write("m", false).unwrap(),
            StreamEvent::Comment(frame) | StreamEvent::Done(frame) => frame.clone(),
            other @ (StreamEvent::Delta(_) | StreamEvent::Error(_) | StreamEvent::Failed(..)) => {
                panic!("{other:?}")
            }
        })
        .collect();
    assert_eq!(frames[0], frame("\"reasoning_content\":\"hm\""));
    assert_eq!(frames[1], frame("\"content\":\"x\""));
    assert_eq!(frames[2], "data: [DONE]\n\n");
}

#[test]
fn magistrals_thoughts_are_taken_out_of_the_content() {
    let provider = find("mistral").unwrap();
    // Small models think so when they are asked to.
    for (model, wish) in
        [("magistral-medium-latest", ""), ("mistral-small-latest", r#","reasoning_effort":"high""#)]
    {
        let to = target(provider, model);
        let request =
            chat(&format!(r#"{{"model":"a","messages":[{{"role":"user","content":"x"}}]{wish}}}"#));
        let body = r#"{"id":"1","model":"magistral-medium-latest","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"6"}]}}]}"#;
        let reply = provider.decode(&request, &to, StatusCode::OK, Bytes::from(body)).unwrap();
        let written = reply.write(Endpoint::ChatCompletions, stamp("a"));
        let json: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(json["choices"][0]["message"]["content"], "6");
        assert_eq!(json["choices"][0]["message"]["reasoning_content"], "hm");
    }
    let history = r#"{"model":"a","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"6","reasoning_content":"hm"},{"role":"user","content":"?"}]}"#;
    let (_, told) = sent("mistral", &target(provider, "magistral-medium-latest"), history).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let text = |text: &str| json!({"type": "text", "text": text});
    let thought = json!({"type": "thinking", "thinking": [text("hm")]});
    assert_eq!(told["messages"][1]["content"], json!([thought, text("6")]));
    let (_, told) = sent("mistral", &target(provider, "mistral-large-latest"), history).unwrap();
    assert!(told.contains(r#""content":"6""#) && !told.contains("hm"), "it does not think: {told}");
    let quick = r#"{"model":"a","messages":[],"reasoning_effort":"none"}"#;
    assert!(provider.passes(&chat(quick), &target(provider, "mistral-small-latest")));
}

#[test]
fn voyage_ranks_documents_in_words_of_its_own() {
    let provider = find("voyage").expect("in the table");
    let body = br#"{"model":"r","query":"a","documents":["a"],"top_n":1}"#;
    let request = parse(Endpoint::Rerank, Bytes::from_static(body), None).expect("a request");
    let to = Target { api_base: "https://v/v1".into(), model: "up".into(), ..Target::default() };
    let key = Credential::Key(Secret::new("k"));
    let call = provider.encode(&request, &to, &key, UnixMillis(0)).expect("a call");
    assert_eq!(call.uri(), "https://v/v1/rerank");
    assert_eq!(call.body(), r#"{"model":"up","query":"a","documents":["a"],"top_k":1}"#);
    let answer = r#"{"object":"list","data":[{"index":0,"relevance_score":0.5}],"model":"up"}"#;
    let reply = provider.decode(&request, &to, StatusCode::OK, Bytes::from(answer)).expect("ranks");
    let expected = answer.replace("data", "results").replace("up", "r");
    assert_eq!(reply.write(Endpoint::Rerank, stamp("r")), expected);
}

#[test]
fn groks_that_think_lack_what_the_others_have() {
    let body = r#"{"model":"a","messages":[],"stop":"x","presence_penalty":1,"frequency_penalty":1,"seed":7}"#;
    let xai = find("xai").unwrap();
    for (model, lacking) in [
        ("grok-3-mini-fast", true),
        ("grok-4-0709", true),
        ("grok-4-1-fast-reasoning", true),
        ("grok-4.3", true),
        ("grok-code-fast-1", true),
        ("grok-4-fast-non-reasoning", false),
        ("grok-3", false),
        ("grok-2-vision", false),
    ] {
        let mut to = target(xai, model);
        assert_eq!(xai.params(&to).has("stop"), !lacking, "{model}");
        assert!(!xai.params(&to).has("verbosity") && xai.params(&to).has("seed"), "{model}");
        match sent("xai", &to, body) {
            Ok((_, sent)) => assert!(!lacking && sent.contains("\"stop\":\"x\""), "{model}"),
            Err(refused) => {
                let names = "['stop', 'presence_penalty', 'frequency_penalty']";
                assert!(lacking && refused.to_string().contains(names), "{model}: {refused}");
            }
        }
        to.params = ParamRules { drop_unsupported: true, ..ParamRules::default() };
        let (_, dropped) = sent("xai", &to, body).unwrap();
        assert_eq!(dropped.contains("penalty"), !lacking, "{model}: {dropped}");
        assert!(dropped.contains("\"seed\":7"), "{model}");
    }
}

#[test]
fn a_history_is_sent_as_each_server_takes_it() {
    let body = r#"{"model":"m","messages":[
        {"role":"user","content":"?"},
        {"role":"assistant","content":null,"refusal":null,"annotations":[],
         "reasoning_content":"hm","thinking_blocks":[{"thinking":"hm"}],
         "tool_calls":[{"id":"call_1__thought__c2VhbA==","type":"function",
                        "function":{"name":"f","arguments":"{}"},
                        "provider_specific_fields":{"thought_signature":"c2VhbA=="}}]},
        {"role":"tool","tool_call_id":"call_1__thought__c2VhbA==",
         "content":"provider_specific_fields"}]}"#;
    let sent_by = |id: &str, model: &str| -> serde_json::Value {
        let to = target(find(id).unwrap(), model);
        serde_json::from_str(&sent(id, &to, body).unwrap().1).unwrap()
    };
    let names = |id: &str, model: &str| {
        let turn = sent_by(id, model)["messages"][1].clone();
        let mut names: Vec<String> = turn.as_object().unwrap().keys().cloned().collect();
        names.extend(turn["tool_calls"][0].as_object().unwrap().keys().cloned());
        names
    };
    let bare = ["role", "content", "tool_calls", "id", "type", "function"];
    for id in ["cerebras", "databricks", "groq", "mistral"] {
        assert_eq!(names(id, "m"), bare, "{id}");
    }
    for id in ["fireworks_ai", "together_ai"] {
        let kept = names(id, "m");
        assert!(kept.iter().any(|name| name == "reasoning_content"), "{id}: {kept:?}");
        assert!(!kept.iter().any(|name| name == "thinking_blocks"), "{id}: {kept:?}");
    }
    let ids = |id: &str, model: &str| {
        let sent = sent_by(id, model);
        let [call, result] =
            [&sent["messages"][1]["tool_calls"][0]["id"], &sent["messages"][2]["tool_call_id"]];
        assert_eq!(call, result, "{id}");
        call.as_str().unwrap().to_owned()
    };
    for (id, model) in [("openai", "gpt-4o"), ("groq", "m"), ("hosted_vllm", "m")] {
        assert_eq!(ids(id, model), "call_1", "{id}");
    }
    for (id, model) in [("litellm_proxy", "m"), ("openai", "gemini-3-pro")] {
        assert_eq!(ids(id, model), "call_1__thought__c2VhbA==", "{id}");
    }
    let short = ids("mistral", "m");
    assert!(short.len() == 9 && short.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{short}");
    let own = body.replace("call_1__thought__c2VhbA==", "D681PevKs");
    let to = target(find("mistral").unwrap(), "m");
    assert!(sent("mistral", &to, &own).unwrap().1.contains(r#""tool_call_id":"D681PevKs""#));
    assert!(sent_by("groq", "m")["messages"][2]["content"] == "provider_specific_fields");
}

#[test]
fn a_turn_that_calls_says_what_was_thought_where_that_is_asked_for() {
    let asked = |thought: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","content":"a"}},{{"role":"assistant","tool_calls":[{{"id":"c"}}]{thought}}}]}}"#
        )
    };
    let thought = |id: &str, thought: &str| {
        let to = target(find(id).unwrap(), "m");
        let (_, sent) = sent(id, &to, &asked(thought)).unwrap();
        let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent["messages"][0].get("reasoning_content"), None, "{id}");
        sent["messages"][1].get("reasoning_content").cloned()
    };
    for id in ["deepseek", "moonshot"] {
        assert_eq!(thought(id, ""), Some(" ".into()), "{id}");
        assert_eq!(thought(id, r#","reasoning_content":"""#), Some(" ".into()), "{id}");
        assert_eq!(thought(id, r#","reasoning_content":"hm""#), Some("hm".into()), "{id}");
    }
    assert_eq!(thought("hosted_vllm", ""), None);
}

#[test]
fn vllm_is_told_how_to_guide_in_its_newer_words_too() {
    for id in ["hosted_vllm", "vllm"] {
        let to = target(find(id).unwrap(), "m");
        let guided = |said: &str| {
            sent(id, &to, &format!(r#"{{"model":"m","messages":[]{said}}}"#)).unwrap().1
        };
        assert_eq!(
            guided(r#","guided_json":{"type": "object"},"guided_choice":null"#),
            r#"{"model":"m","messages":[],"guided_json":{"type": "object"},"guided_choice":null,"structured_outputs":{"json":{"type": "object"}}}"#
        );
        let told = guided(r#","guided_choice":["a","b"]"#);
        assert!(told.ends_with(r#""structured_outputs":{"choice":["a","b"]}}"#), "{told}");
        for same in [
            r#","guided_regex":"a","structured_outputs":{"regex":"b"}"#,
            r#","user":"guided_json""#,
        ] {
            assert!(guided(same).ends_with(&format!("[]{same}}}")), "{same}");
        }
    }
    let to = target(find("lm_studio").unwrap(), "m");
    let body = r#"{"model":"m","messages":[],"guided_regex":"a"}"#;
    assert_eq!(sent("lm_studio", &to, body).unwrap().1, body);
}

#[test]
fn tgi_is_told_the_bound_and_where_to_end_in_the_only_form_it_knows() {
    let to = target(find("huggingface").unwrap(), "m");
    let body = r#"{"model":"m","messages":[],"max_completion_tokens":9,"stop":"a\"b"}"#;
    let (_, told) = sent("huggingface", &to, body).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["max_tokens"], &told["stop"]), (&9.into(), &serde_json::json!(["a\"b"])));
    assert_eq!(told.get("max_completion_tokens"), None);
}

#[test]
fn vllm_is_told_what_comes_first_and_nobody_else_is() {
    let body = r#"{"model":"m","messages":[],"priority":-1,"service_tier":"priority"}"#;
    let told = |id: &str| {
        let sent = sent(id, &target(find(id).unwrap(), "m"), body).unwrap().1;
        serde_json::from_str::<serde_json::Value>(&sent).unwrap().get("priority").cloned()
    };
    for id in ["hosted_vllm", "vllm"] {
        assert_eq!(told(id), Some((-1).into()), "{id}");
    }
    for id in ["lm_studio", "openai_like", "deepseek"] {
        assert_eq!(told(id), None, "{id}");
    }
}

#[test]
fn a_ranking_of_sglangs_is_told_in_coheres_words() {
    let provider = find("hosted_vllm").unwrap();
    let body = br#"{"model":"r","query":"a","documents":["a"]}"#;
    let request = parse(Endpoint::Rerank, Bytes::from_static(body), None).unwrap();
    let to = target(provider, "up");
    let answer = r#"[{"score":0.5,"index":0,"meta_info":{"prompt_tokens":7}}]"#;
    let reply = provider.decode(&request, &to, StatusCode::OK, Bytes::from(answer)).unwrap();
    assert_eq!(reply.usage().unwrap().prompt.0, 7);
    let told = reply.write(Endpoint::Rerank, stamp("r"));
    assert!(told.starts_with(br#"{"results":[{"index":0,"relevance_score":0.5}]"#), "{told:?}");
}

#[test]
fn openai_is_sent_no_thought_that_another_model_sealed() {
    let seal = |id: &str, seal: &str| {
        format!(r#"{{"id":"{id}","type":"reasoning","summary":[],"encrypted_content":{seal}}}"#)
    };
    let call =
        |id: &str| format!(r#"{{"type":"function_call_output","call_id":"{id}","output":"1"}}"#);
    let body = |items: &[String]| format!(r#"{{"model":"gpt-5","input":[{}]}}"#, items.join(","));
    let (own, none) = (seal("rs_1", r#""gAAAAx""#), seal("rs_2", "null"));
    let asked =
        body(&[own.clone(), seal("rs_3", r#""EqQB""#), none.clone(), call("c__thought__EqQB")]);
    let request = parse(Endpoint::Responses, Bytes::from(asked), None).unwrap();
    let openai = find("openai").unwrap();
    let to = target(openai, "gpt-5");
    let call_sent = openai.encode(&request, &to, &Credential::None, UnixMillis(0)).unwrap();
    assert_eq!(call_sent.body(), body(&[own, none, call("c")]).as_bytes());
}

#[test]
fn openai_is_sent_no_id_that_is_longer_than_it_takes() {
    let long = format!("0_dn1{}", "a".repeat(130));
    let item = |kind: &str, id: &str| json!({"type": kind, "id": id, "x": 1});
    let asked = json!({"model": "gpt-5", "input": [
        item("message", &format!("msg_{long}")), item("function_call", "fc_1"),
        item("function_call", &format!("fc_{long}")),
        item("image_generation_call", &format!("ig_{long}")),
    ]});
    let request = parse(Endpoint::Responses, asked.to_string().into(), None).unwrap();
    let openai = find("openai").unwrap();
    let to = target(openai, "gpt-5");
    let call = openai.encode(&request, &to, &Credential::None, UnixMillis(0)).unwrap();
    let sent: Value = serde_json::from_slice(call.body()).unwrap();
    let ids: Vec<Option<&str>> =
        sent["input"].as_array().unwrap().iter().map(|item| item["id"].as_str()).collect();
    assert_eq!(ids[..3], [None, Some("fc_1"), None]);
    assert!(ids[3].is_some_and(|id| id.starts_with("ig_") && id.len() == 35), "{ids:?}");
}

#[test]
fn rankings_in_other_words_are_refused_by_name() {
    let body = Bytes::from_static(br#"{"model":"m","query":"q","documents":["d"]}"#);
    let request = parse(Endpoint::Rerank, body, None).unwrap();
    let encode = |id: &str| {
        let provider = find(id).unwrap();
        let to = target(provider, "m");
        provider.encode(&request, &to, &Credential::None, UnixMillis(0)).map(drop)
    };
    for id in ["dashscope", "deepinfra", "huggingface", "nvidia_nim"] {
        let refused = encode(id);
        assert!(
            matches!(refused, Err(EncodeError::UnsupportedEndpoint { provider, .. }) if provider == id),
            "{id}: {refused:?}"
        );
    }
    assert!(encode("together_ai").is_ok(), "it has Cohere's");
}
