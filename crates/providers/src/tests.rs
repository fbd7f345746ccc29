//! Every provider over its files in `testdata`, and what all of them promise.
//!
//! A file's name says what it is: `reply*.json`, `stream*.sse` and
//! `error-<status>-<cause>[-<note>].json`; `SOURCE` says where its shape comes from. What begins
//! with `native-` is said in a dialect that no client speaks, and with `responses-` where chats are
//! asked as responses; what it means is tested beside its provider.

mod choices;
mod claudes;
mod documents;
mod ends;
mod failures;
pub(crate) mod hostile;
mod lame;
mod logprobs;
mod names;
mod pictures;
mod pieces;
mod said;
mod seals;
mod sounds;
mod tools;
mod unknown;
mod whole;
mod wishes;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin_llm::{Endpoint, Stamp, parse};
use dunlin_types::Secret;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

mod citations;

fn folder(provider: &dyn Provider) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(provider.id())
}

/// A provider's files whose names begin so: name and content, in order of names.
pub(crate) fn files(provider: &dyn Provider, prefix: &str) -> Vec<(String, Bytes)> {
    let folder = folder(provider);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.retain(|path| name(path).starts_with(prefix));
    paths.iter().map(|path| (name(path), Bytes::from(fs::read(path).unwrap()))).collect()
}

/// A chat in OpenAI's dialect.
pub(crate) fn chat() -> ChatRequest {
    let body = Bytes::from_static(br#"{"model":"alias","messages":[],"tags":[]}"#);
    parse(Endpoint::ChatCompletions, body, None).unwrap()
}

fn written(reply: &ChatReply, model: &str) -> Bytes {
    reply
        .write(Endpoint::ChatCompletions, Stamp { model, id: "x", now: 1, request: "", turn: None })
}

/// Those whose own dialect is OpenAI's: their bytes are passed on. Each other one shows its promises
/// in tests of its own.
fn compatible() -> impl Iterator<Item = &'static dyn Provider> {
    let others = ["anthropic", "gemini", "vertex_ai", "vertex_ai_beta"];
    let passes = |provider: &&dyn Provider| !files(*provider, "reply").is_empty();
    let own = OWN.iter().copied().filter(move |provider| !others.contains(&provider.id()));
    own.filter(passes)
}

/// Where OpenAI's dialect is spoken, if the provider has several.
fn openai_target() -> Target {
    Target { api_base: "http://x/v1".into(), ..Target::default() }
}

/// At least one.
fn some_files(provider: &dyn Provider, prefix: &str) -> Vec<(String, Bytes)> {
    let found = files(provider, prefix);
    assert!(!found.is_empty(), "{} has no {prefix}* in testdata", provider.id());
    found
}

/// All events of a stream read in pieces that end at `cuts`, and how it ended.
fn events(
    provider: &dyn Provider,
    stream: &Bytes,
    cuts: &[usize],
) -> (Vec<StreamEvent>, Result<(), StreamError>) {
    read(provider.stream(&chat(), &openai_target()), stream, cuts)
}

/// The same for a request of another kind.
pub(crate) fn events_for(
    request: &ChatRequest,
    provider: &dyn Provider,
    stream: &Bytes,
    cuts: &[usize],
) -> (Vec<StreamEvent>, Result<(), StreamError>) {
    read(provider.stream(request, &Target::default()), stream, cuts)
}

fn read(
    mut decoder: Box<dyn StreamDecoder>,
    stream: &Bytes,
    cuts: &[usize],
) -> (Vec<StreamEvent>, Result<(), StreamError>) {
    let (mut events, mut rest) = (Vec::new(), stream.clone());
    let mut at = 0;
    for &cut in cuts {
        let pushed = decoder.push(rest.split_to(cut - at), &mut events);
        if pushed.is_err() {
            return (events, pushed);
        }
        at = cut;
    }
    let pushed = decoder.push(rest, &mut events);
    let ended = pushed.and_then(|()| decoder.finish(&mut events));
    (events, ended)
}

#[test]
fn every_provider_is_found_by_its_id() {
    assert!(OWN.is_sorted_by_key(|provider| provider.id()));
    assert!(compatible::TABLE.is_sorted_by_key(|row| row.id));
    assert!(UNSERVED.is_sorted_by_key(|(id, _)| *id));
    let mut ids: Vec<&str> = ALL.iter().map(|provider| provider.id()).collect();
    for id in &ids {
        assert_eq!(find(id).expect("it is in the table").id(), *id);
    }
    ids.extend(UNSERVED.iter().map(|(id, _)| *id));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "a name has one meaning");
    assert!(find("nobody").is_none());
}

#[test]
fn every_file_says_where_it_comes_from() {
    for provider in OWN {
        let (_, source) = some_files(*provider, "SOURCE").remove(0);
        let text = String::from_utf8(source.to_vec()).unwrap();
        let known = text.starts_with("documented") || text.starts_with("recorded");
        assert!(known && text.contains("read: 2") && text.contains("https://"), "{text}");
    }
}

#[test]
fn replies_keep_their_bytes_and_give_their_usage() {
    for provider in compatible() {
        for (name, body) in some_files(provider, "reply") {
            let reply =
                provider.decode(&chat(), &openai_target(), StatusCode::OK, body.clone()).unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let model = json["model"].as_str().expect("a reply names its model");
            assert_eq!(written(&reply, model), body, "{name}");
            assert_eq!(written(&reply, "alias"), text.replacen(model, "alias", 1), "{name}");
            assert_eq!(reply.id(), json["id"].as_str(), "{name}");
            let usage = reply.usage().expect("it counts");
            let said = &json["usage"];
            assert_eq!(Some(usage.prompt.0), said["prompt_tokens"].as_u64(), "{name}");
            assert_eq!(Some(usage.completion.0), said["completion_tokens"].as_u64(), "{name}");
            let cached = said["prompt_tokens_details"]["cached_tokens"].as_u64();
            assert_eq!(usage.cached.0, cached.unwrap_or(0), "{name}");
        }
    }
}

#[test]
fn streams_are_read_to_their_end() {
    for provider in compatible() {
        for (name, stream) in some_files(provider, "stream") {
            let (events, ended) = events(provider, &stream, &[]);
            assert_eq!(ended, Ok(()), "{name}");
            assert!(matches!(events.last(), Some(StreamEvent::Done(_))), "{name}");
            let frames = stream.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
            assert_eq!(events.len(), frames, "{name}");
            let chunks: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    StreamEvent::Chunk(chunk) => Some(chunk),
                    StreamEvent::Delta(_)
                    | StreamEvent::Comment(_)
                    | StreamEvent::Done(_)
                    | StreamEvent::Error(_)
                    | StreamEvent::Failed(..) => None,
                })
                .collect();
            assert!(chunks.iter().any(|chunk| chunk.text_bytes() > 0), "{name}");
            let usage = chunks.iter().find_map(|chunk| chunk.usage());
            assert_eq!(usage.is_none(), name.contains("without-usage"), "{name}");
            let hidden = chunks.iter().filter(|chunk| chunk.write("alias", false).is_none());
            assert_eq!(hidden.count(), usize::from(usage.is_some()), "{name}");
        }
    }
}

#[test]
fn errors_have_the_cause_their_name_says() {
    let mut seen = 0;
    for provider in OWN {
        for (name, body) in files(*provider, "error") {
            let parts: Vec<&str> = name.trim_end_matches(".json").split('-').collect();
            let status: StatusCode = parts[1].parse().unwrap();
            let error = provider
                .decode(&chat(), &Target::default(), status, body.clone())
                .expect_err("an error");
            assert_eq!(format!("{:?}", error.cause), parts[2], "{}/{name}", provider.id());
            let text = String::from_utf8(body.to_vec()).unwrap().replace("\\\"", "\"");
            assert!(text.contains(&error.message), "{name}: {}", error.message);
            assert!(error.client_message().contains(provider.speaker()), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 8, "the files are there");
}

/// Upstream status and `type`, and what the client gets: status, type, message.
#[test]
fn clients_get_litellms_status_type_and_words() {
    let own = Some("own_type");
    let server = Some("internal_server_error");
    for (upstream, status, kind, message) in [
        (400, 400, own, "litellm.BadRequestError: OpenAIException - words"),
        (
            401,
            401,
            Some("authentication_error"),
            "litellm.AuthenticationError: AuthenticationError: OpenAIException - words",
        ),
        (403, 403, Some("permission_error"), "litellm.APIError: APIError: OpenAIException - words"),
        (
            404,
            404,
            Some("invalid_request_error"),
            "litellm.NotFoundError: NotFoundError: OpenAIException - words",
        ),
        (408, 408, Some("invalid_request_error"), "litellm.Timeout: OpenAIException - words"),
        (409, 409, own, "litellm.APIError: APIError: OpenAIException - words"),
        (422, 422, own, "litellm.BadRequestError: OpenAIException - words"),
        (
            429,
            429,
            Some("throttling_error"),
            "litellm.RateLimitError: RateLimitError: OpenAIException - words",
        ),
        (
            500,
            500,
            server,
            "litellm.InternalServerError: InternalServerError: OpenAIException - words",
        ),
        (502, 502, server, "litellm.BadGatewayError: BadGatewayError: OpenAIException - words"),
        (
            503,
            503,
            server,
            "litellm.ServiceUnavailableError: ServiceUnavailableError: OpenAIException - words",
        ),
        (302, 502, server, "litellm.BadGatewayError: BadGatewayError: OpenAIException - words"),
        (700, 502, server, "litellm.BadGatewayError: BadGatewayError: OpenAIException - words"),
        (418, 418, own, "litellm.APIError: APIError: OpenAIException - words"),
        (424, 424, own, "litellm.APIError: APIError: OpenAIException - words"),
    ] {
        let body = Bytes::from_static(br#"{"error":{"message":"words","type":"own_type"}}"#);
        let code = StatusCode::from_u16(upstream).unwrap();
        let error = openai::PROVIDER
            .decode(&chat(), &Target::default(), code, body)
            .expect_err("no success");
        assert_eq!(error.client_message(), message);
        assert_eq!((error.cause.status(), error.client_kind()), (status, kind), "{upstream}");
        let retried = matches!(status, 408 | 409 | 424 | 429 | 500..);
        assert_eq!(error.cause.retryable(), retried, "{upstream}");
    }
}

#[test]
fn our_own_failures_have_litellms_words() {
    let refused = ProviderError::connection("OpenAIException");
    assert_eq!(
        refused.client_message(),
        "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error."
    );
    assert_eq!((refused.cause.status(), refused.cause.retryable()), (500, true));
    let known = ProviderError::unanswered("OpenAIException", "the connection was refused");
    let words = "OpenAIException - Connection error: the connection was refused.";
    assert!(known.client_message().ends_with(words), "{known}");
    let late = ProviderError::timeout(Duration::from_secs(1), Duration::from_millis(1012));
    assert_eq!(
        late.client_message(),
        "litellm.Timeout: APITimeoutError - Request timed out. timeout value=1.0, time taken=1.01 seconds"
    );
    assert_eq!((late.cause.status(), late.client_kind()), (408, Some("invalid_request_error")));
    let cut = ProviderError::stream("OpenAIException", &StreamError::Cut);
    assert!(cut.client_message().starts_with("litellm.APIConnectionError: "));
    assert_eq!((cut.cause.status(), cut.client_kind()), (500, None));
}

#[test]
fn an_error_event_counts_by_its_code() {
    let event = |code: Option<&str>, message: &str| {
        let error = dunlin_llm::openai::UpstreamError {
            message: message.to_owned(),
            kind: None,
            code: code.map(str::to_owned),
            details: None,
        };
        ProviderError::event("OpenAIException", error).cause
    };
    assert_eq!(event(Some("429"), "slow down"), Cause::RateLimited);
    assert_eq!(event(Some("400"), "maximum context length is 5"), Cause::ContextWindow);
    assert_eq!(event(Some("context_length_exceeded"), "too long"), Cause::ContextWindow);
    assert_eq!(event(Some("server_error"), "oops"), Cause::BadReply);
    assert_eq!(event(Some("200"), "oops"), Cause::BadReply);
    assert_eq!(event(None, "oops"), Cause::BadReply);
}

#[test]
fn a_call_goes_to_the_right_place_with_the_right_credentials() {
    let key = Credential::Key(Secret::new("sk-upstream"));
    let encode = |id: &str, target: &Target, key: &Credential| {
        find(id).unwrap().encode(&chat(), target, key, UnixMillis(0))
    };
    for (id, api_base, url) in [
        ("openai", "https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("hosted_vllm", "http://vllm:8000/v1/", "http://vllm:8000/v1/chat/completions"),
        ("ollama", "http://localhost:11434/v1/", "http://localhost:11434/v1/chat/completions"),
        ("ollama_chat", "http://o:1/v1", "http://o:1/v1/chat/completions"),
    ] {
        let target = Target {
            api_base: api_base.into(),
            model: "real".into(),
            headers: vec![("OpenAI-Organization".into(), Secret::new("org-1"))],
            body_defaults: vec![("top_k".into(), "5".into())],
            ..Target::default()
        };
        let call = encode(id, &target, &key).unwrap();
        assert_eq!((call.method().as_str(), call.uri().to_string().as_str()), ("POST", url));
        let header = |name: &str| call.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("authorization"), "Bearer sk-upstream");
        assert_eq!(header("openai-organization"), "org-1");
        assert_eq!(
            (header("content-type"), header("accept")),
            ("application/json".into(), "application/json".into())
        );
        assert!(call.headers()["authorization"].is_sensitive());
        assert_eq!(call.body(), r#"{"model":"real","messages":[],"top_k":5}"#);

        let keyless = encode(id, &target, &Credential::None).unwrap();
        assert!(!keyless.headers().contains_key("authorization"));
        let nowhere = encode(id, &Target { api_base: "/v1".into(), ..target.clone() }, &key);
        assert!(matches!(nowhere, Err(EncodeError::BadUrl { .. })), "{nowhere:?}");
        let unsendable = encode(id, &target, &Credential::Key(Secret::new("sk-\n")));
        assert_eq!(
            unsendable.unwrap_err(),
            EncodeError::BadHeader { name: "authorization".into() }
        );
    }
}

#[test]
fn an_end_without_its_word_is_a_cut() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let ended = |tail: &str| {
        let stream = Bytes::from(chunk.to_owned() + tail);
        let (events, ended) = events(find("openai").unwrap(), &stream, &[]);
        (events.len(), ended.map_err(|error| error.to_string()))
    };
    let cut = Err("the stream ended before the answer did".to_owned());
    assert_eq!(ended(""), (1, cut.clone()));
    assert_eq!(ended("data: {\"choices\":[]"), (1, cut.clone()));
    assert_eq!(ended("data: [DO"), (1, cut));
    for whole in ["data: [DONE]\n\n", "data: [DONE]", "data: [DONE]\n", "data: [DONE]\r\r"] {
        assert_eq!(ended(whole), (2, Ok(())), "{whole:?}");
    }
    assert_eq!(ended("data: [DONE]\n\ndata: more\n\n"), (2, Ok(())), "nothing follows the end");
    assert_eq!(ended("data: {\"error\":{\"message\":\"m\"}}\n\n"), (2, Ok(())));
    let (_, broken) = ended("data: {\"choices\":\n\n");
    assert!(broken.unwrap_err().starts_with("a frame of the stream is not a chunk"));
}

#[test]
fn responses_pass_to_who_has_them_and_are_chats_elsewhere() {
    let provider = find("openai").unwrap();
    let body = r#"{ "model":"m", "zebra":1.0, "input":"hi", "stream":true, "background":false }"#;
    let request = parse(Endpoint::Responses, Bytes::from_static(body.as_bytes()), None).unwrap();
    let at = |api_base: &str| Target {
        api_base: api_base.into(),
        model: "m".into(),
        ..Target::default()
    };
    let openai = at("https://api.openai.com/v1");
    for (to, passes) in [
        (openai.clone(), true),
        (at("http://vllm:8000/v1"), false),
        (Target { responses: true, ..at("http://vllm:8000/v1") }, true),
        (Target { chat_only: true, ..openai }, false),
    ] {
        assert_eq!(provider.keeps_responses(&to), passes);
        let call = provider.encode(&request, &to, &Credential::None, UnixMillis(0)).unwrap();
        assert_eq!(call.uri().path().ends_with("/responses"), passes);
        assert_eq!(call.body() == body, passes, "{:?}", call.body());
        let cut =
            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\ndata: [DONE]\n\n";
        let whole = "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n";
        for (stream, is_whole) in [(cut, false), (whole, true)] {
            let (mut events, mut decoder) = (Vec::new(), provider.stream(&request, &to));
            let read = decoder.push(Bytes::from(stream), &mut events);
            let ended = read.and_then(|()| decoder.finish(&mut events));
            assert!(!passes || ended.is_ok() == is_whole, "{ended:?}");
        }
    }
}

#[test]
fn azure_has_responses_where_its_mode_says_so() {
    let provider = find("azure").unwrap();
    let body = Bytes::from_static(br#"{"model":"d","input":"hi"}"#);
    let request = parse(Endpoint::Responses, body.clone(), None).unwrap();
    for (base, version, url) in [
        (
            "https://a",
            "2025-04-01-preview",
            "https://a/openai/responses?api-version=2025-04-01-preview",
        ),
        (
            "https://a/openai/deployments/d",
            "2025-04-01-preview",
            "https://a/openai/responses?api-version=2025-04-01-preview",
        ),
        ("https://a/openai/v1", "2025-04-01-preview", "https://a/openai/v1/responses"),
    ] {
        let to = Target {
            api_base: base.into(),
            model: "d".into(),
            api_version: Some(version.into()),
            responses: true,
            ..Target::default()
        };
        assert!(provider.keeps_responses(&to));
        let call = provider.encode(&request, &to, &Credential::None, UnixMillis(0)).unwrap();
        assert_eq!((call.uri().to_string().as_str(), call.body()), (url, &body));
    }
}

proptest! {
    /// The promise of every decoder, over all streams there are and with all their line ends.
    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut(
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
        length in any::<Index>(),
    ) {
        let native = Target { api_base: "http://x".into(), ..Target::default() };
        let responses = Target { responses: true, ..openai_target() };
        for (prefix, to) in
            [("stream", openai_target()), ("native-stream", native), ("responses-stream", responses)]
        {
            let streams = OWN.iter().flat_map(|provider| {
                files(*provider, prefix).into_iter().map(move |file| (provider, file))
            });
            for (provider, (name, stream)) in streams {
                // A stream that is no text has no line ends.
                let stream = match String::from_utf8(stream.to_vec()) {
                    Ok(text) => Bytes::from(text.replace('\n', line_end)),
                    Err(_) => stream,
                };
                let stream = stream.slice(..=length.index(stream.len() - 1));
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
                at.sort_unstable();
                let decoder = || provider.stream(&chat(), &to);
                prop_assert_eq!(
                    read(decoder(), &stream, &at),
                    read(decoder(), &stream, &[]),
                    "{}", name
                );
            }
        }
    }
}
