//! What is called at Azure: paths, headers and bodies, by resource and model.

use std::sync::Arc;

use dunlin_llm::parse;

use super::*;

fn call(
    provider: &Azure,
    endpoint: Endpoint,
    (base, version): (&str, Option<&str>),
    credential: &Credential,
) -> Result<Request<Bytes>, EncodeError> {
    let body = Bytes::from_static(
        br#"{"model":"m","messages":[],"input":"x","prompt":"x","query":"x","documents":[]}"#,
    );
    let request = parse(endpoint, body, None).expect("a request");
    let to = Target {
        api_base: base.into(),
        model: "gpt".into(),
        api_version: version.map(Into::into),
        ..Target::default()
    };
    provider.encode(&request, &to, credential, UnixMillis(0))
}

#[test]
fn calls_go_where_azure_expects_them() {
    let chat = Endpoint::ChatCompletions;
    let at = |provider, endpoint, base: &str, version: Option<&str>| {
        let key = Credential::Key(Secret::new("k"));
        call(provider, endpoint, (base, version), &key).expect("a call").uri().to_string()
    };
    let r = "https://r.openai.azure.com";
    let cases = [
        (&PROVIDER, chat, r.to_owned(), Some("2024-10-21"),
         format!("{r}/openai/deployments/gpt/chat/completions?api-version=2024-10-21")),
        (&PROVIDER, Endpoint::Embeddings, format!("{r}/"), None,
         format!("{r}/openai/deployments/gpt/embeddings?api-version=2025-02-01-preview")),
        (&PROVIDER, chat, format!("{r}/openai/deployments/other"), Some("v"),
         format!("{r}/openai/deployments/other/chat/completions?api-version=v")),
        (&PROVIDER, chat, r.to_owned(), Some("v1"), format!("{r}/openai/v1/chat/completions")),
        (&PROVIDER, chat, format!("{r}/openai/v1"), None, format!("{r}/openai/v1/chat/completions")),
        (&PROVIDER, chat, r.to_owned(), Some("preview"),
         format!("{r}/openai/v1/chat/completions?api-version=preview")),
        (&FOUNDRY, chat, "https://p.services.ai.azure.com".to_owned(), None,
         "https://p.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview".to_owned()),
        (&FOUNDRY, chat, "https://p.services.ai.azure.com/openai/v1/".to_owned(), None,
         "https://p.services.ai.azure.com/openai/v1/chat/completions".to_owned()),
        (&FOUNDRY, Endpoint::Embeddings, "https://p.services.ai.azure.com/openai/v1".to_owned(),
         Some("2024-05-01-preview"), "https://p.services.ai.azure.com/openai/v1/embeddings".to_owned()),
        (&FOUNDRY, chat, "https://p.services.ai.azure.com/api/projects/j/openai/v1".to_owned(), None,
         "https://p.services.ai.azure.com/api/projects/j/openai/v1/chat/completions".to_owned()),
        (&FOUNDRY, chat, "https://p.cognitiveservices.azure.com/openai".to_owned(), Some("2024-10-21"),
         "https://p.cognitiveservices.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21".to_owned()),
        (&FOUNDRY, Endpoint::Rerank, "https://p.services.ai.azure.com/models".to_owned(), None,
         "https://p.services.ai.azure.com/v1/rerank".to_owned()),
        (&FOUNDRY, Endpoint::Rerank, "https://p.services.ai.azure.com/v1/rerank".to_owned(), None,
         "https://p.services.ai.azure.com/v1/rerank".to_owned()),
        (&FOUNDRY, Endpoint::Rerank, "https://p.services.ai.azure.com/providers/cohere/v2".to_owned(),
         Some("v"), "https://p.services.ai.azure.com/providers/cohere/v2/rerank".to_owned()),
        (&FOUNDRY, Endpoint::Rerank, "https://p.services.ai.azure.com/providers/cohere/v2/rerank".to_owned(),
         None, "https://p.services.ai.azure.com/providers/cohere/v2/rerank".to_owned()),
        (&FOUNDRY, chat, "https://m.eastus.models.ai.azure.com/v1".to_owned(), None,
         "https://m.eastus.models.ai.azure.com/v1/chat/completions".to_owned()),
    ];
    for (provider, endpoint, base, version, expected) in &cases {
        assert_eq!(at(provider, *endpoint, base, *version), *expected);
    }
}

#[test]
fn a_series_is_told_apart_and_not_asked_for() {
    let body = Bytes::from_static(br#"{"model":"m","messages":[],"max_tokens":9}"#);
    let request = parse(Endpoint::ChatCompletions, body, None).expect("a request");
    for series in ["o_series", "gpt5_series"] {
        let model = format!("{series}/mine").into();
        for (api_base, url) in [
            (
                "https://r",
                "https://r/openai/deployments/mine/chat/completions?api-version=2025-02-01-preview",
            ),
            ("https://r/openai/v1", "https://r/openai/v1/chat/completions"),
        ] {
            let to = Target {
                api_base: api_base.into(),
                model: Arc::clone(&model),
                ..Target::default()
            };
            let call = PROVIDER.encode(&request, &to, &Credential::None, UnixMillis(0));
            let call = call.expect("a call");
            assert_eq!(call.uri().to_string(), url);
            assert_eq!(call.body(), r#"{"model":"mine","messages":[],"max_completion_tokens":9}"#);
        }
    }
}

#[test]
fn claude_is_asked_in_its_makers_words() {
    let project = "https://p.services.ai.azure.com";
    let messages = format!("{project}/anthropic/v1/messages");
    let body = br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    for endpoint in [Endpoint::ChatCompletions, Endpoint::Messages] {
        let request = parse(endpoint, Bytes::from_static(body), None).expect("a request");
        for end in ["", "/models", "/openai/v1", "/anthropic", "/anthropic/v1/messages"] {
            let api_base = format!("{project}{end}").into();
            let to = Target { api_base, model: "claude-x".into(), ..Target::default() };
            let key = Credential::Key(Secret::new("k"));
            let call = FOUNDRY.encode(&request, &to, &key, UnixMillis(0)).expect("a call");
            assert_eq!(call.uri().to_string(), messages, "{end}");
            assert_eq!(call.headers()["x-api-key"], "k");
            assert!(call.headers().contains_key("anthropic-version"));
            assert_eq!(FOUNDRY.passes(&request, &to), endpoint == Endpoint::Messages);
        }
    }
}

#[test]
fn a_client_is_asked_for_in_its_own_version() {
    let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
    let r = "https://r.openai.azure.com";
    for (query, own, at) in [
        (
            Some("x=1&api-version=2025-03-01-preview"),
            None,
            "deployments/gpt/chat/completions?api-version=2025-03-01-preview",
        ),
        (
            Some("api-version=2024-06-01"),
            Some("2024-10-21"),
            "deployments/gpt/chat/completions?api-version=2024-06-01",
        ),
        (
            Some("api-version="),
            Some("2024-10-21"),
            "deployments/gpt/chat/completions?api-version=2024-10-21",
        ),
        (Some("api-version=2024-06-01"), Some("v1"), "v1/chat/completions"),
        (None, Some("2024-10-21"), "deployments/gpt/chat/completions?api-version=2024-10-21"),
    ] {
        let request = parse(Endpoint::ChatCompletions, body.clone(), None).expect("a request");
        let request = request.with_query(query).expect("a version");
        let api_version = own.map(Into::into);
        let to =
            Target { api_base: r.into(), model: "gpt".into(), api_version, ..Target::default() };
        let call = PROVIDER.encode(&request, &to, &Credential::None, UnixMillis(0));
        assert_eq!(call.expect("a call").uri().to_string(), format!("{r}/openai/{at}"));
    }
    for bad in
        ["api-version=a%26b", "api-version=a/../b", &format!("api-version={}", "1".repeat(65))]
    {
        let request = parse(Endpoint::ChatCompletions, body.clone(), None).expect("a request");
        assert!(request.with_query(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn what_a_resource_keeps_is_beside_its_deployments() {
    let r = "https://r.openai.azure.com";
    let at = |provider: &Azure, base: &str, version: Option<&str>| {
        let api_version = version.map(Into::into);
        let to = Target { api_base: base.into(), api_version, ..Target::default() };
        provider.kept_url(&to, "/files/f")
    };
    let cases = [
        (
            &PROVIDER,
            r.to_owned(),
            Some("2025-03-01-preview"),
            Some(format!("{r}/openai/files/f?api-version=2025-03-01-preview")),
        ),
        (
            &PROVIDER,
            format!("{r}/openai/deployments/gpt"),
            Some("v1"),
            Some(format!("{r}/openai/v1/files/f")),
        ),
        (&PROVIDER, format!("{r}/openai/v1/"), None, Some(format!("{r}/openai/v1/files/f"))),
        (
            &PROVIDER,
            r.to_owned(),
            Some("preview"),
            Some(format!("{r}/openai/v1/files/f?api-version=preview")),
        ),
        (&FOUNDRY, "https://m.models.ai.azure.com".to_owned(), None, None),
    ];
    for (provider, base, version, expected) in &cases {
        assert_eq!(at(provider, base, *version), *expected, "{base}");
    }
}

#[test]
fn a_conversation_is_where_azure_has_it() {
    for (base, version, expected) in [
        (
            "https://r",
            None,
            "https://r/openai/realtime?api-version=2025-02-01-preview&deployment=g%2Ft&x=1",
        ),
        ("https://r/openai/v1", None, "https://r/openai/v1/realtime?model=g%2Ft&x=1"),
        ("https://r/", Some("v1"), "https://r/openai/v1/realtime?model=g%2Ft&x=1"),
    ] {
        let to = Target {
            api_base: base.into(),
            model: "g/t".into(),
            api_version: version.map(Into::into),
            ..Target::default()
        };
        assert_eq!(PROVIDER.realtime_url(&to, "x=1").as_deref(), Some(expected));
        let beside = PROVIDER.realtime_url(&to, "call_id=rtc_1");
        assert_eq!(beside.as_deref(), Some("https://r/openai/v1/realtime?call_id=rtc_1"));
        let secrets = PROVIDER.kept_url(&to, "/realtime/client_secrets");
        assert_eq!(secrets.as_deref(), Some("https://r/openai/v1/realtime/client_secrets"));
    }
}

#[test]
fn keys_and_tokens_go_in_headers_of_their_own() {
    let r = ("https://r.openai.azure.com", None);
    let chat = Endpoint::ChatCompletions;
    let headers = |provider, at, credential| {
        let call = call(provider, chat, at, &credential).expect("a call");
        let text =
            |name: &str| call.headers().get(name).map(|v| v.to_str().expect("text").to_owned());
        (text("api-key"), text("authorization"))
    };
    let key = || Credential::Key(Secret::new("k"));
    let token = Credential::Token(Secret::new("t"));
    assert_eq!(headers(&PROVIDER, r, key()), (Some("k".into()), None));
    assert_eq!(headers(&PROVIDER, r, token), (None, Some("Bearer t".into())));
    assert_eq!(headers(&PROVIDER, ("http://127.0.0.1:1", None), key()).0, Some("k".into()));
    let alone = ("https://m.example/v1", None);
    assert_eq!(headers(&FOUNDRY, alone, key()), (None, Some("Bearer k".into())));
    let aws = Credential::Aws {
        access_key_id: String::new(),
        secret_access_key: Secret::new(""),
        session_token: None,
    };
    assert!(call(&PROVIDER, chat, r, &aws).is_err());
    assert!(call(&PROVIDER, Endpoint::Moderations, r, &key()).is_err());
}
