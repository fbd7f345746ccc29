//! Bodies in, facts, edits and refusals out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::fallbacks::{Fallback, FallbackMap};
use crate::json::write_string;
use crate::openai::ErrorBody;

fn read_chat(body: &str) -> Result<ChatRequest, BadRequest> {
    parse(Endpoint::ChatCompletions, Bytes::copy_from_slice(body.as_bytes()), None)
}

#[test]
fn a_name_of_a_model_has_a_bound() {
    let named = |bytes: usize| {
        let body = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(bytes));
        read_chat(&body).map_err(|error| error.to_string())
    };
    assert_eq!(named(MAX_MODEL_BYTES).map(|chat| chat.model().len()), Ok(MAX_MODEL_BYTES));
    let said =
        "/chat/completions: Invalid value for 'model': expected a name of at most 512 bytes.";
    assert_eq!(named(MAX_MODEL_BYTES + 1).err().as_deref(), Some(said));
}

#[test]
fn a_response_may_ask_what_its_provider_keeps() {
    let asked = |said: &str| {
        let body = format!(r#"{{"model":"m",{said}}}"#);
        parse(Endpoint::Responses, body.into(), None).map_err(|error| error.to_string())
    };
    for said in [r#""prompt":{"id":"p"}"#, r#""conversation":"c""#] {
        let request = asked(said).expect(said);
        assert_eq!((request.text_bytes() > 0, request.prompt_estimate()), (true, Tokens(0)));
    }
    let missing = "/responses: Missing required parameter: 'input'.";
    assert_eq!(asked(r#""prompt":null"#).err().as_deref(), Some(missing));
}

fn chat(body: &str) -> ChatRequest {
    read_chat(body).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn encoded(body: &str, defaults: &[(&str, &str)]) -> String {
    let defaults: Vec<(Arc<str>, Arc<str>)> =
        defaults.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    let bytes = chat(body).encode_for("up/stream", &defaults);
    String::from_utf8(bytes.to_vec()).expect("UTF-8 stays UTF-8")
}

#[test]
fn only_what_must_change_changes() {
    for (body, expected) in [
        // Order, white space, unknown fields and number formats stay.
        (
            "{ \"top_k\" : 1.50E+2,\n\t\"model\": \"m\", \"messages\": [ {\"a\":1e400} ]}\r\n",
            "{ \"top_k\" : 1.50E+2,\n\t\"model\": \"up/stream\", \"messages\": [ {\"a\":1e400} ]}\r\n",
        ),
        // A model in a message is not the model.
        (
            r#"{"messages":[{"model":"m","x":{"metadata":1}}],"model":"m"}"#,
            r#"{"messages":[{"model":"m","x":{"metadata":1}}],"model":"up/stream"}"#,
        ),
        // Extras go, at the front, in the middle and at the end, each with one comma.
        (
            r#"{"tags":[] , "cache":{"a":"}"}, "model":"m","messages":[]}"#,
            r#"{ "model":"up/stream","messages":[]}"#,
        ),
        (
            r#"{"model":"m","num_retries":3,"timeout":2.5, "messages":[],"no-log":true}"#,
            r#"{"model":"up/stream", "messages":[]}"#,
        ),
        (
            r#"{"model":"m","messages":[], "metadata":{"k":"v"} , "mock_response":"hi" }"#,
            r#"{"model":"up/stream","messages":[] }"#,
        ),
        (
            r#"{"metadata":null,"model":"m","input_cost_per_token":1,"messages":[],"api_key":null}"#,
            r#"{"model":"up/stream","messages":[]}"#,
        ),
        // Parameters of OpenAI's stay, as do options of a stream that is none.
        (
            r#"{"model":"m","messages":[],"user":"u","reasoning_effort":"low","stream":false,"stream_options":{}}"#,
            r#"{"model":"up/stream","messages":[],"user":"u","reasoning_effort":"low","stream":false,"stream_options":{}}"#,
        ),
        // A stream always asks for usage.
        (
            r#"{"model":"m","messages":[],"stream":true}"#,
            r#"{"model":"up/stream","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"metadata":{},"messages":[],"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"up/stream"}"#,
        ),
        (
            r#"{"stream_options":{ "x":1 },"model":"m","messages":[],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true, "x":1 },"model":"up/stream","messages":[],"stream":true}"#,
        ),
        (
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{ }}"#,
            r#"{"model":"up/stream","messages":[],"stream":true,"stream_options":{"include_usage":true }}"#,
        ),
        (
            r#"{"model":"m","messages":[],"stream":true,"stream_options":null}"#,
            r#"{"model":"up/stream","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{"a":[],"include_usage":false}}"#,
            r#"{"model":"up/stream","messages":[],"stream":true,"stream_options":{"a":[],"include_usage":true}}"#,
        ),
        // Escaped names are names.
        (
            r#"{"\u006dodel":"m","messages":[],"t\u0061gs":[]}"#,
            r#"{"\u006dodel":"up/stream","messages":[]}"#,
        ),
    ] {
        assert_eq!(encoded(body, &[]), expected, "{body}");
    }
}

#[test]
fn a_body_that_needs_no_edit_is_not_copied() {
    for body in [
        r#"{"model":"m","messages":[]}"#,
        r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
    ] {
        let request = chat(body);
        let defaults = [("messages".into(), "[]".into())];
        assert_eq!(request.encode_for("m", &defaults).as_ptr(), request.body.as_ptr(), "{body}");
    }
}

#[test]
fn a_stream_tells_its_usage_unasked_unless_its_client_wants_none() {
    for (options, alone, unasked) in [
        ("null", false, true),
        ("{}", false, true),
        (r#"{"include_usage":null}"#, false, true),
        (r#"{"include_usage":true}"#, true, true),
        (r#"{"include_usage":false}"#, false, false),
    ] {
        let body =
            format!(r#"{{"model":"m","messages":[],"stream":true,"stream_options":{options}}}"#);
        let request = chat(&body);
        let told = (request.wants_usage(), request.with_usage().wants_usage());
        assert_eq!(told, (alone, unasked), "{options}");
    }
}

#[test]
fn usage_is_not_asked_for_where_that_is_refused() {
    for stream in [
        r#""stream":true"#,
        r#""stream":true,"stream_options":null"#,
        r#""stream":true,"stream_options":{"include_usage":false}"#,
        r#""stream":true,"stream_options":{"include_usage":true}"#,
        r#""stream":true,"stream_options":{"a":[]}"#,
    ] {
        let request = chat(&format!(r#"{{"model":"m","messages":[],"tags":[],{stream}}}"#));
        assert!(request.encode_for("up", &[]).ends_with(b"}}"), "it is asked for: {stream}");
        let bare = request.without_usage_wish();
        let expected = r#"{"model":"up","messages":[],"stream":true}"#;
        assert_eq!(bare.encode_for("up", &[]), expected, "{stream}");
        let form = bare.form_with(&[]).expect("a chat");
        let written = crate::openai::write_chat(&form, "up", crate::openai::ChatStyle::COMPATIBLE);
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(&written), read(expected.as_bytes()), "translated");
    }
}

#[test]
fn a_default_is_added_only_where_the_client_says_nothing() {
    let defaults = [("temperature", "0.1"), ("chat \"x\"", "{\"a\":1}")];
    assert_eq!(
        encoded(r#"{"model":"m","messages":[],"tags":[]}"#, &defaults),
        r#"{"model":"up/stream","messages":[],"temperature":0.1,"chat \"x\"":{"a":1}}"#
    );
    assert_eq!(
        encoded(r#"{"messages":[],"t\u0065mperature":null,"chat \"x\"":0,"model":"m"}"#, &defaults),
        r#"{"messages":[],"t\u0065mperature":null,"chat \"x\"":0,"model":"up/stream"}"#
    );
    assert_eq!(
        encoded(r#"{"model":"m","messages":[],"stream":true }"#, &defaults[..1]),
        r#"{"model":"up/stream","messages":[],"stream":true,"stream_options":{"include_usage":true},"temperature":0.1 }"#
    );
}

#[test]
fn each_prompt_of_a_completion_is_answered() {
    for (prompt, expected) in [
        (r#""one""#, 2),
        (r#"["one", "two", "three"]"#, 6),
        ("[1, 2, 3]", 2),
        ("[[1, 2], [3]]", 4),
        ("[]", 2),
    ] {
        let body = format!(r#"{{"model":"m","n":2,"prompt":{prompt}}}"#);
        let request = parse(Endpoint::Completions, body.into(), None).expect("a request");
        assert_eq!((request.choices(), request.answers()), (2, expected), "{prompt}");
    }
}

#[test]
fn the_most_that_may_be_generated_is_told() {
    for (fields, answers, most) in [
        (r#""n":"50""#, 50, None),
        (r#""n":50,"max_tokens":7"#, 50, Some(7)),
        (r#""n":null,"best_of":0,"max_tokens":-1"#, 1, None),
        (r#""n":2.0,"best_of":3,"max_tokens":null"#, 3, None),
        (r#""max_tokens":900,"max_completion_tokens":16"#, 1, Some(900)),
        (r#""max_tokens":16,"max_completion_tokens":900"#, 1, Some(900)),
        (r#""max_tokens":"900","max_completion_tokens":16"#, 1, None),
    ] {
        let request = chat(&format!(r#"{{"model":"m","messages":[],{fields}}}"#));
        let told = (request.answers(), request.max_output());
        assert_eq!(told, (answers, most.map(Tokens)), "{fields}");
    }
    let body = r#"{"model":"m","input":"hi","max_output_tokens":16,"max_tokens":900}"#;
    let request = parse(Endpoint::Responses, body.into(), None).expect("a request");
    assert_eq!(request.max_output(), Some(Tokens(900)));
}

#[test]
fn a_number_that_could_be_read_in_two_ways_is_refused() {
    for (field, wrong) in [
        ("n", r#"" 50""#),
        ("n", "[50]"),
        ("n", "1e3"),
        ("n", "-1"),
        ("n", "0"),
        ("n", "2.5"),
        ("n", r#""many""#),
        ("n", "true"),
        ("best_of", "-1"),
        ("best_of", "{}"),
        ("max_tokens", "-2"),
        ("max_tokens", r#""x""#),
        ("max_tokens", "1e3"),
        ("max_completion_tokens", "[9]"),
        ("top_logprobs", r#"" 3""#),
        ("top_logprobs", "0.5"),
    ] {
        let body = format!(r#"{{"model":"m","messages":[],"{field}":{wrong}}}"#);
        let refused = parse(Endpoint::ChatCompletions, body.into(), None).expect_err(wrong);
        let BadRequest::Invalid { name, expected, .. } = &refused else { panic!("{refused}") };
        assert_eq!(name, field, "{wrong}");
        assert!(expected.contains("whole number"), "{refused}");
    }
    let google = r#"{"contents":[],"generation_config":{"candidate_count":"1e3"}}"#;
    assert!(parse(Endpoint::GenerateContent, google.into(), Some("m")).is_err());
}

#[test]
fn facts_are_read() {
    let request = chat(
        r#"{"model":"gpt \u00e9","messages":["12345"],"max_tokens":10,"max_completion_tokens":20,
            "n":3,"safety_identifier":"s","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    assert_eq!((request.model(), request.choices()), ("gpt é", 3));
    assert_eq!((request.stream(), request.wants_usage()), (true, true));
    assert_eq!(request.max_output(), Some(Tokens(20)));
    assert_eq!(request.labels().end_user.as_deref(), Some("s"));
    assert_eq!(request.prompt_estimate(), Tokens(3), "9 bytes");

    let input = Bytes::from(r#"{"model":"m","input":"x","stream":true}"#);
    let embeddings = parse(Endpoint::Embeddings, input, None).expect("valid");
    assert_eq!((embeddings.max_output(), embeddings.stream()), (Some(Tokens(0)), false));
}

#[test]
fn what_stands_beside_a_prompt_is_counted_with_it() {
    let long = "x".repeat(4_000);
    for (endpoint, body) in [
        (Endpoint::ChatCompletions, format!(r#"{{"messages":[],"tools":[{{"a":"{long}"}}]}}"#)),
        (Endpoint::Responses, format!(r#"{{"input":"","instructions":"{long}"}}"#)),
        (Endpoint::Messages, format!(r#"{{"messages":[],"max_tokens":1,"system":"{long}"}}"#)),
        (Endpoint::GenerateContent, format!(r#"{{"contents":[],"systemInstruction":"{long}"}}"#)),
        (Endpoint::Completions, format!(r#"{{"prompt":"","suffix":"{long}"}}"#)),
        (Endpoint::Rerank, format!(r#"{{"query":"","documents":["{long}"]}}"#)),
    ] {
        let request = parse(endpoint, body.clone().into(), Some("m")).expect(&body);
        let estimate = request.prompt_estimate().0;
        assert!((1_000..1_010).contains(&estimate), "{endpoint:?}: {estimate}");
    }
}

#[test]
fn an_inline_image_is_not_counted_by_its_bytes() {
    let image = "A".repeat(400_000);
    let body = format!(
        r#"{{"model":"m","messages":[{{"image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}"#
    );
    let estimate = chat(&body).prompt_estimate().0;
    assert!((1_000..1_050).contains(&estimate), "{estimate}");
}

#[test]
fn wishes_of_body_and_headers_are_merged() {
    let request = chat(
        r#"{"model":"m","messages":[],"num_retries":"4","request_timeout":1,"timeout":0.5,
            "fallbacks":["a",{"model":"b","n":2}],"content_policy_fallbacks":[{"m":["c"]}],
            "disable_fallbacks":true,"max_fallbacks":null,"keepalive_seconds":0,
            "merge_reasoning_content_in_choices":true,"drop_params":true,"additional_drop_params":["tools[*].strict"]}"#,
    );
    let mut headers = HeaderMap::new();
    headers.insert("x-litellm-timeout", http::HeaderValue::from_static("9"));
    headers.insert("x-litellm-stream-timeout", http::HeaderValue::from_static("1e9"));
    let changes = Some(r#"{"model":"b","n":2}"#.into());
    let changed = Fallback { model: "b".into(), changes };
    let expected = Extras {
        num_retries: Some(4),
        timeout: Some(Duration::from_millis(500)),
        stream_timeout: Some(Duration::from_secs(86_400)),
        keepalive: Some(Duration::ZERO),
        fallbacks: Some(FallbackMap::from([("*".into(), vec![Fallback::to("a"), changed])])),
        context_window_fallbacks: None,
        content_policy_fallbacks: Some(FallbackMap::from([("m".into(), vec![Fallback::to("c")])])),
        max_fallbacks: None,
        disable_fallbacks: true,
        merges_thoughts: Some(true),
        drop_params: true,
        additional_drop_params: vec!["tools[*].strict".to_owned()],
        allowed_openai_params: Vec::new(),
    };
    assert_eq!(request.extras().with_headers(&headers), Ok(expected));
    headers.insert("x-litellm-num-retries", http::HeaderValue::from_static("-1"));
    let bare = Extras::default().with_headers(&headers).expect_err("not a count");
    assert_eq!(
        bare.to_string(),
        "Invalid value for header 'x-litellm-num-retries': expected a whole number of 0 or more."
    );
}

#[test]
fn a_fallback_asks_the_same_but_for_its_changes() {
    let cases = [
        (
            r#"{"model":"b","messages":[1],"a.b":3,"stream":false}"#,
            r#"{"model":"x","stream":true,"n":2,"messages":[1],"a.b":3}"#,
        ),
        (r#"{"model":"b"}"#, r#"{"model":"x","messages":[],"a.b":{},"stream":true,"n":2}"#),
    ];
    for (changes, expected) in cases {
        let asked = r#"{"model":"m","messages":[],"a.b":{},"stream":true,"n":2,"timeout":5}"#;
        let changed = chat(asked).changed_by(changes).expect(changes);
        assert_eq!(changed.without_usage_wish().encode_for("x", &[]), expected);
        assert_eq!((changed.model(), changed.stream()), ("m", true));
        assert!(changed.extras().timeout.is_some());
    }
    let only = r#"{"model":"b","messages":[],"input":"x"}"#;
    let gone = parse(Endpoint::Embeddings, Bytes::from(r#"{"model":"m","input":"y"}"#), None);
    let gone = gone.expect("valid").changed_by(only).expect("changed").encode_for("e", &[]);
    assert_eq!(gone, r#"{"model":"e","messages":[],"input":"x"}"#);
    let unfit = chat(r#"{"model":"m","messages":[]}"#).changed_by(r#"{"timeout":"soon"}"#);
    assert!(unfit.is_err());
}

#[test]
fn what_is_wrong_is_said_in_words_that_clients_know() {
    let malformed = |problem, place| format!("Invalid JSON payload: {problem}: {place}");
    let ended = "unexpected end of data";
    let unexpected = "unexpected character";
    for (body, message, param) in [
        (r#"{"model":"fake","#, malformed(ended, "line 1 column 17 (char 16)"), "request_body"),
        ("", malformed(ended, "line 1 column 1 (char 0)"), "request_body"),
        ("{\"é\":1,\n \"b\" x}", malformed(unexpected, "line 2 column 6 (char 13)"), "request_body"),
        (r#"{"a":1} {"#, malformed(unexpected, "line 1 column 9 (char 8)"), "request_body"),
        ("[]", "Invalid JSON payload: expected an object".into(), "request_body"),
        (
            r#"{"model":"a","messages":[],"fallbacks":[{"model":"b","api_base":"http://evil"}]}"#,
            "/chat/completions: Invalid value for 'fallbacks': expected fallbacks without credentials \
             or addresses of providers in them."
                .into(),
            "fallbacks",
        ),
        (
            r#"{"model":"a","\u006dodel":"b","messages":[]}"#,
            "Invalid JSON payload: duplicate field 'model'".into(),
            "model",
        ),
        (
            r#"{"model":"a","messages":[],"stream":true,"stream_options":{"x":1,"x":2}}"#,
            "Invalid JSON payload: duplicate field 'x'".into(),
            "x",
        ),
        (
            r#"{"model":"a"}"#,
            "/chat/completions: Missing required parameter: 'messages'.".into(),
            "messages",
        ),
        (
            r#"{"model":["a"],"messages":[]}"#,
            "/chat/completions: Invalid value for 'model': expected a string.".into(),
            "model",
        ),
        (
            r#"{"model":"a","messages":[],"stream":1}"#,
            "/chat/completions: Invalid value for 'stream': expected a boolean.".into(),
            "stream",
        ),
        (
            r#"{"model":"a","messages":[],"timeout":0}"#,
            "/chat/completions: Invalid value for 'timeout': expected a positive number of seconds."
                .into(),
            "timeout",
        ),
    ] {
        let error = ErrorBody::from(&read_chat(body).expect_err(body));
        assert_eq!(error.message, message, "{body}");
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert_eq!((error.kind.as_deref(), error.code), (Some("invalid_request_error"), 400));
    }
    let no_model = ErrorBody::from(&read_chat(r#"{"messages":[]}"#).expect_err("no model"));
    assert!(no_model.message.contains("You passed in model=None.") && no_model.param.is_none());
    let invalid = parse(Endpoint::ChatCompletions, Bytes::from_static(b"{\"a\xff"), None);
    assert!(invalid.expect_err("bytes").to_string().ends_with("line 1 column 4 (char 3)"));
}

#[test]
fn a_client_cannot_bring_its_own_provider() {
    for name in ["api_key", "api_base", "base_url", "aws_secret_access_key"] {
        let body = format!(r#"{{"model":"m","messages":[],"{name}":"x"}}"#);
        let error = read_chat(&body).expect_err(name);
        assert!(matches!(error, BadRequest::CredentialInBody { .. }), "{error}");
    }
}

#[test]
fn a_guard_that_is_not_enforced_is_refused() {
    for said in [
        r#""guardrails":["pii"]"#,
        r#""mock_testing_fallbacks":true"#,
        r#""mock_testing_rate_limit_error":"m""#,
        r#""policies":{"a":1}"#,
        r#""metadata":{"guardrails":["pii"]}"#,
        r#""litellm_metadata":{"policies":["p"]}"#,
    ] {
        let body = format!(r#"{{"model":"m","messages":[],{said}}}"#);
        let error = read_chat(&body).expect_err(said);
        assert!(error.to_string().contains("not enforced"), "{error}");
    }
    for said in [
        r#""mock_testing_fallbacks":false"#,
        r#""guardrails":null"#,
        r#""guardrails":[]"#,
        r#""metadata":{"policies":[]}"#,
    ] {
        let body = format!(r#"{{"model":"m","messages":[],{said}}}"#);
        assert!(read_chat(&body).is_ok(), "{said}");
    }
}

/// A member's name and the JSON text of its value.
fn member() -> impl Strategy<Value = (String, String)> {
    let names = prop_oneof![
        "[a-z_é\"\\\\]{1,6}",
        prop::sample::select(vec!["cache", "caching", "litellm_x", "safety_identifier", "mock_y"])
            .prop_map(str::to_owned),
    ];
    // A number of answers is not just anything.
    let names = names.prop_filter("a number", |name| name != "n");
    let values = prop::sample::select(vec![
        "1",
        "-0.10E+05",
        "null",
        "true",
        "\"a\\u00e9\\\"}\"",
        "[1, {\"model\":2}]",
        "{\"x\" :[]}",
    ]);
    (names, values.prop_map(str::to_owned))
}

fn object(members: &[(String, String)], space: &str) -> String {
    let mut text = b"{".to_vec();
    for (at, (name, value)) in members.iter().enumerate() {
        text.extend_from_slice(if at == 0 { b"" } else { b"," });
        text.extend_from_slice(space.as_bytes());
        write_string(&mut text, name);
        text.extend_from_slice(format!(":{space}{value}{space}").as_bytes());
    }
    text.push(b'}');
    String::from_utf8(text).expect("made of texts")
}

proptest! {
    /// Whatever else is in a body and wherever the model is, the rest arrives in order and as it
    /// was written.
    #[test]
    fn the_rest_is_untouched(
        mut rest in prop::collection::vec(member(), 0..8),
        model_at in 0..9_usize,
        space in "[ \n\t]{0,2}",
    ) {
        rest.sort();
        rest.dedup_by(|a, b| a.0 == b.0);
        rest.retain(|(name, _)| name != "model" && name != "messages");
        rest.insert(model_at % (rest.len() + 1), ("model".to_owned(), "\"m\"".to_owned()));
        rest.push(("messages".to_owned(), "[]".to_owned()));

        let out = encoded(&object(&rest, &space), &[("added", "1")]);

        let dropped = |name: &str| {
            ["cache", "caching"].contains(&name)
                || name.starts_with("mock_")
                || name.starts_with("litellm_")
        };
        let mut expected = rest;
        let has_added = expected.iter().any(|(name, _)| name == "added");
        expected.retain(|(name, _)| !dropped(name));
        for (name, value) in &mut expected {
            if name == "model" {
                *value = "\"up/stream\"".to_owned();
            }
        }
        if !has_added {
            expected.push(("added".to_owned(), "1".to_owned()));
        }
        let members = members(&out).expect("an object");
        let seen: Vec<_> =
            members.iter().map(|m| (m.name.to_string(), m.value.to_owned())).collect();
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn the_extra_body_is_part_of_the_body() {
    let asked = |body: &str| parse(Endpoint::ChatCompletions, Bytes::from(body.to_owned()), None);
    let request = asked(
        r#"{"model":"m","messages":[],"top_k":1,"extra_body":{"top_k":2,"model":"x","a":{"b":1}}}"#,
    );
    let sent = request.expect("a request").encode_for("m", &[]);
    assert_eq!(sent, r#"{"model":"m","messages":[],"top_k":2,"a":{"b":1}}"#);
    // What may not be said outside may not be said inside.
    assert!(asked(r#"{"model":"m","messages":[],"extra_body":{"api_base":"http://x"}}"#).is_err());
    let other = asked(r#"{"model":"m","messages":[],"extra_body":7}"#).expect("a request");
    assert!(other.text().contains("extra_body"));
}

#[test]
fn fallbacks_in_anthropics_form_go_on_to_it_and_are_ours_elsewhere() {
    let asked = |endpoint, fallbacks: &str| {
        let body =
            format!(r#"{{"model":"m","max_tokens":9,"messages":[],"fallbacks":{fallbacks}}}"#);
        parse(endpoint, body.into(), None)
    };
    for (fallbacks, kept, changes) in [
        (r#""default""#, true, None),
        (r#"[{"model":"b"}]"#, true, Some(r#"{"fallbacks":null}"#)),
        (
            r#"[{"model":"b","max_tokens":7}]"#,
            true,
            Some(r#"{"fallbacks":null,"model":"b","max_tokens":7}"#),
        ),
        (r#"["b"]"#, false, None),
        (r#"[{"model":"b","top_k":1}]"#, false, Some(r#"{"model":"b","top_k":1}"#)),
        (r#"[{"model":["b"]}]"#, false, None),
        ("[]", false, None),
        ("null", false, None),
    ] {
        let request = asked(Endpoint::Messages, fallbacks).expect("a request");
        assert_eq!(request.has("fallbacks"), kept, "{fallbacks}");
        assert_eq!(request.tool_models().fallbacks().count(), usize::from(kept), "{fallbacks}");
        let ours = request.extras().fallbacks.iter().flat_map(BTreeMap::values).flatten();
        let ours = ours.filter_map(|one| one.changes.clone()).next();
        assert_eq!(ours.as_deref(), changes, "{fallbacks}");
        if let Some(changes) = changes {
            let changed = request.changed_by(changes).expect("a request");
            let sent = changed.encode_for("b", &[]);
            assert!(!String::from_utf8_lossy(&sent).contains("fallbacks"), "{sent:?}");
        }
    }
    for (endpoint, fallbacks) in [
        (Endpoint::Messages, r#""other""#),
        (Endpoint::ChatCompletions, r#""default""#),
        (Endpoint::Messages, r#"[{"model":"b","api_base":"http://evil"}]"#),
    ] {
        assert!(asked(endpoint, fallbacks).is_err(), "{fallbacks}");
    }
    let chat = asked(Endpoint::ChatCompletions, r#"[{"model":"b"}]"#).expect("a request");
    assert!(!chat.has("fallbacks") && chat.tool_models().is_empty());
}
