//! What bodies and headers say of a request, where both do, and where either says too much.

use bytes::Bytes;
use http::HeaderValue;

use super::*;
use crate::{Endpoint, parse};

fn labels(endpoint: Endpoint, members: &str) -> Result<Labels, BadRequest> {
    let body = format!(r#"{{"model":"m","messages":[],"input":"x","max_tokens":1{members}}}"#);
    parse(endpoint, Bytes::from(body), Some("m")).map(|request| request.labels().clone())
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    });
    pairs.collect()
}

#[test]
fn bodies_say_whose_they_are() {
    use Endpoint::{ChatCompletions, GenerateContent, Messages, Responses};
    let nested = r#","metadata":{"user_id":"c"},"litellm_metadata":{"user":"b"}"#;
    for (endpoint, members, user) in [
        (ChatCompletions, format!(r#","safety_identifier":"d","user":"a"{nested}"#), Some("a")),
        (ChatCompletions, format!(r#","safety_identifier":"d"{nested}"#), Some("b")),
        (ChatCompletions, r#","safety_identifier":"d","metadata":{"user_id":7}"#.into(), Some("7")),
        (ChatCompletions, r#","safety_identifier":"d","user":null"#.into(), Some("d")),
        (ChatCompletions, r#","user":"","metadata":{}"#.into(), None),
        (ChatCompletions, r#","metadata":"{\"user_id\":\"e\"}""#.into(), Some("e")),
        (Messages, nested.into(), Some("b")),
        (Messages, r#","metadata":{"user_id":"c"},"user":"a""#.into(), Some("a")),
        (Messages, r#","safety_identifier":"d""#.into(), Some("d")),
        (GenerateContent, r#","contents":[],"user":"a","safety_identifier":"d""#.into(), Some("a")),
        (GenerateContent, r#","contents":[],"safety_identifier":"d""#.into(), Some("d")),
        (Responses, r#","metadata":{"user_id":"c"}"#.into(), Some("c")),
    ] {
        let read = labels(endpoint, &members).expect(&members);
        assert_eq!(read.end_user.as_deref(), user, "{members}");
    }
}

#[test]
fn records_are_the_gateways_and_tags_count_in_a_providers_metadata_too() {
    let said = r#","tags":["a","b"],"metadata":{"tags":["b","c"],"session_id":"s","x":[1],
        "spend_logs_metadata":{"k":[1]}}"#;
    let chat = labels(Endpoint::ChatCompletions, said).expect("labels");
    let expected = Labels {
        end_user: None,
        tags: ["a", "b", "c"].map(str::to_owned).to_vec(),
        spend_metadata: Some(r#"{"k":[1]}"#.to_owned()),
        session: Some("s".to_owned()),
    };
    assert_eq!(chat, expected);
    let native = labels(Endpoint::Messages, said).expect("labels");
    assert_eq!((native.tags.len(), native.spend_metadata, native.session), (3, None, None));
    let ours = said.replace("metadata\":{\"tags", "litellm_metadata\":{\"tags");
    let ours = labels(Endpoint::Messages, &ours).expect("labels");
    assert_eq!(ours, expected);
}

#[test]
fn headers_win_and_tags_add_up() {
    let body = r#","user":"u","tags":["a"],"litellm_session_id":"s","metadata":{"spend_logs_metadata":{"a":1}}"#;
    let body = labels(Endpoint::ChatCompletions, body).expect("labels");
    let webui = [HeaderName::from_static("x-openwebui-user-id")];
    let with = |pairs: &[(&'static str, &str)]| body.with_headers(&headers(pairs), &webui);
    assert_eq!(with(&[]), Ok(body.clone()));
    let all = with(&[
        ("x-litellm-tags", " b, a ,,c"),
        ("x-litellm-tags", "d,b"),
        ("x-litellm-customer-id", "first"),
        ("x-litellm-end-user-id", "second"),
        ("x-openwebui-user-id", "third"),
        ("x-litellm-spend-logs-metadata", r#"{"h":1}"#),
        ("x-claude-code-session-id", "claude"),
    ])
    .expect("labels");
    assert_eq!(all.tags, ["a", "b", "c", "d"]);
    assert_eq!(all.end_user.as_deref(), Some("first"));
    assert_eq!(all.spend_metadata.as_deref(), Some(r#"{"h":1}"#));
    assert_eq!(all.session.as_deref(), Some("claude"));
    let third = with(&[("x-openwebui-user-id", "third"), ("x-litellm-trace-id", "t")]);
    let third = third.expect("labels");
    assert_eq!((third.end_user.as_deref(), third.session.as_deref()), (Some("third"), Some("t")));
}

#[test]
fn a_user_that_is_no_text_is_refused_and_null_is_none() {
    const PROMPT: &str = r#","prompt":"x""#;
    use Endpoint::{ChatCompletions, Completions, Embeddings, Responses};
    for endpoint in [ChatCompletions, Completions, Embeddings, Responses] {
        for user in ["7", "1.5", "true", "[]", r#"["a"]"#, r#"{"id":"a"}"#] {
            let told = labels(endpoint, &format!(r#"{PROMPT},"user":{user}"#));
            let told = told.expect_err(user).to_string();
            let expected =
                format!("{}: Invalid value for 'user': expected a string.", endpoint.route());
            assert_eq!(told, expected, "{user}");
        }
        let none = labels(endpoint, &format!(r#"{PROMPT},"user":null"#)).expect("absent");
        assert_eq!(none.end_user, None);
    }
}

#[test]
fn what_is_beyond_a_bound_is_refused_by_name() {
    let long = |bytes: usize| "x".repeat(bytes);
    let many = |tags: usize| {
        let tags: Vec<String> = (0..tags).map(|tag| format!("\"t{tag}\"")).collect();
        format!(r#","tags":[{}]"#, tags.join(","))
    };
    for (members, refused) in [
        (many(MAX_TAGS), None),
        (many(MAX_TAGS + 1), Some("'tags': expected a list of at most 64 texts")),
        (format!(r#","tags":["{}"]"#, long(MAX_TAG_BYTES)), None),
        (format!(r#","tags":["{}"]"#, long(MAX_TAG_BYTES + 1)), Some("'tags'")),
        (r#","tags":"a""#.to_owned(), Some("'tags'")),
        (r#","metadata":[]"#.to_owned(), Some("'metadata': expected an object")),
        (format!(r#","user":"{}""#, long(MAX_ID_BYTES)), None),
        (format!(r#","user":"{}""#, long(MAX_ID_BYTES + 1)), Some("'user': expected a text of at")),
        (
            format!(
                r#","metadata":{{"spend_logs_metadata":{{"a":"{}"}}}}"#,
                long(MAX_SPEND_METADATA_BYTES)
            ),
            Some("'metadata': expected a JSON object of at most 8 KiB"),
        ),
    ] {
        match (labels(Endpoint::ChatCompletions, &members), refused) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                assert!(error.to_string().contains(words), "{error}");
            }
            (read, _) => panic!("{members}: {read:?}"),
        }
    }
    for (name, value) in [
        ("x-litellm-customer-id", long(MAX_ID_BYTES + 1)),
        ("x-litellm-tags", long(MAX_TAG_BYTES + 1)),
        ("x-litellm-spend-logs-metadata", "[1]".to_owned()),
        ("x-litellm-trace-id", long(MAX_ID_BYTES + 1)),
    ] {
        let refused = Labels::default().with_headers(&headers(&[(name, &value)]), &[]);
        assert!(refused.expect_err(name).to_string().contains(name));
    }
    for name in ["x-litellm-customer-id", "x-litellm-end-user-id", "x-litellm-tags"] {
        let latin = HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(b"caf\xe9").expect("opaque"),
        )]);
        let refused = Labels::default().with_headers(&latin, &[]);
        assert!(matches!(refused, Err(BadRequest::BadHeader { .. })), "{name}: no UTF-8");
        let named = Labels::default().with_headers(&headers(&[(name, "caf\u{e9}")]), &[]);
        let named = named.expect("UTF-8");
        let (user, tag) = (named.end_user.as_deref(), named.tags.first().map(String::as_str));
        assert_eq!(user.or(tag), Some("caf\u{e9}"), "{name}");
    }
    // Another program's header is none of ours to refuse.
    let vendors = headers(&[("x-agent-session-id", &long(MAX_ID_BYTES + 1))]);
    assert_eq!(Labels::default().with_headers(&vendors, &[]), Ok(Labels::default()));
}
