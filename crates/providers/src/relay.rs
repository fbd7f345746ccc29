//! Calls of a provider's own API that pass through the gateway: which prefix of ours leads to whom,
//! where a path of theirs is, and how a deployment's credential is put on a call.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_llm::Target;
use dunlin_types::{Credential, UnixMillis};
use http::header::AUTHORIZATION;
use http::{HeaderName, Request, Uri};

use crate::bedrock;
use crate::encode::{EncodeError, add_headers, secret_value};
use crate::sigv4::{self, Keys, Scope};

/// The first segments of our paths that lead to a provider's own API, and the ids of the providers
/// whose deployments answer there. Sorted.
pub const PREFIXES: &[(&str, &[&str])] = &[
    ("anthropic", &["anthropic"]),
    ("azure", &["azure", "azure_text"]),
    ("azure_ai", &["azure_ai"]),
    ("bedrock", &["bedrock", "bedrock_converse"]),
    ("cerebras", &["cerebras"]),
    ("cohere", &["cohere", "cohere_chat"]),
    ("deepseek", &["deepseek"]),
    ("fireworks_ai", &["fireworks_ai"]),
    ("gemini", &["gemini"]),
    ("groq", &["groq"]),
    ("hosted_vllm", &["hosted_vllm", "vllm"]),
    ("lm_studio", &["lm_studio"]),
    ("mistral", &["mistral"]),
    ("nvidia_nim", &["nvidia_nim"]),
    ("ollama", &["ollama", "ollama_chat"]),
    ("openai", &["openai"]),
    ("openai_passthrough", &["openai"]),
    ("openrouter", &["openrouter"]),
    ("perplexity", &["perplexity"]),
    ("together_ai", &["together_ai"]),
    ("vertex-ai", &["vertex_ai", "vertex_ai_beta"]),
    ("vertex_ai", &["vertex_ai", "vertex_ai_beta"]),
    ("vllm", &["hosted_vllm", "vllm"]),
    ("voyage", &["voyage"]),
    ("xai", &["xai"]),
];

/// First segments that are at a server's root, whatever version its `api_base` ends in.
const AT_ROOT: &[(&str, &[&str])] = &[
    ("hosted_vllm", &["classify", "detokenize", "health", "metrics", "pooling", "tokenize"]),
    ("ollama", &["api"]),
    ("ollama_chat", &["api"]),
    ("vllm", &["classify", "detokenize", "health", "metrics", "pooling", "tokenize"]),
];

const API_KEY: HeaderName = HeaderName::from_static("api-key");
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The name of a deployment's model in calls of its provider's own API.
#[must_use]
pub fn sent_model<'t>(provider: &str, to: &'t Target) -> &'t str {
    match provider {
        "bedrock" | "bedrock_converse" => bedrock::sent_id(to),
        _ => to.sent_model(),
    }
}

/// The URL of a provider's own `path` below a deployment's `api_base`. What the end of the one and
/// the beginning of the other have in common is said once, and a version in the path takes the
/// place of the base's.
#[must_use]
pub fn url(provider: &str, api_base: &str, path: &str, query: Option<&str>) -> String {
    let base = api_base.trim_end_matches('/');
    // Anthropic's users may give the whole address of its chats.
    let base = base.strip_suffix("/v1/messages").unwrap_or(base);
    let base = &*at_work(base, path);
    let path = path.trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    let at_root = AT_ROOT.iter().any(|(id, firsts)| *id == provider && firsts.contains(&first));
    let unversioned =
        base.rsplit_once('/').filter(|(rest, last)| is_version(last) && rest.contains("://"));
    let unversioned = unversioned.map_or(base, |(rest, _)| rest);
    let joined = if let Some(rest) = beyond_common(base, path) {
        format!("{base}{rest}")
    } else if let Some(rest) = beyond_common(unversioned, path) {
        format!("{unversioned}{rest}")
    } else if is_version(first) || at_root {
        format!("{unversioned}/{path}")
    } else {
        format!("{base}/{path}")
    };
    match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{joined}?{query}"),
        None => joined,
    }
}

/// Bedrock's jobs are at another of its servers than its models.
fn at_work<'b>(base: &'b str, path: &str) -> Cow<'b, str> {
    if path.trim_start_matches('/').starts_with("model-invocation-job") {
        Cow::Owned(base.replacen("://bedrock-runtime", "://bedrock", 1))
    } else {
        Cow::Borrowed(base)
    }
}

/// What follows in `path` on the longest run of segments that `base` ends in.
fn beyond_common<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    let (_, base) = base.split_once("://")?;
    let (_, base) = base.split_once('/')?;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let common = ends.filter(|end| {
        let rest = base.strip_suffix(&path[..*end]);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    });
    common.max().filter(|end| *end > 0).map(|end| &path[end..])
}

/// `v1`, `v1beta`, `v2alpha1`.
fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_alphanumeric())
}

/// [`crate::Provider::authorize`] where a provider has no way of its own.
pub(crate) fn authorize(
    provider: &str,
    call: &mut Request<Bytes>,
    to: &Target,
    credential: &Credential,
    now: UnixMillis,
) -> Result<(), EncodeError> {
    add_headers(call, to)?;
    match credential {
        Credential::None => Ok(()),
        Credential::Token(token) => add(call, AUTHORIZATION, &format!("Bearer {}", token.expose())),
        Credential::Key(key) => match key_header(provider, call.uri()) {
            AUTHORIZATION => add(call, AUTHORIZATION, &format!("Bearer {}", key.expose())),
            header => add(call, header, key.expose()),
        },
        Credential::Aws { access_key_id, secret_access_key, session_token } => {
            let session_token = session_token.as_ref();
            let keys = Keys { access_key_id, secret_access_key, session_token };
            let region = to.region.as_deref().or_else(|| region_of(call.uri())).map(str::to_owned);
            let region = region.ok_or(EncodeError::WrongCredential {
                provider: "bedrock",
                needed: "aws_region_name, or an address that names the region",
            })?;
            sigv4::sign(call, keys, Scope { service: "bedrock", region: &region }, now)
        }
    }
}

/// A header of the operator's own wins.
fn add(call: &mut Request<Bytes>, name: HeaderName, value: &str) -> Result<(), EncodeError> {
    let value = secret_value(name.as_str(), value)?;
    call.headers_mut().entry(name).or_insert(value);
    Ok(())
}

/// Where a provider wants its key.
fn key_header(provider: &str, uri: &Uri) -> HeaderName {
    let is_azure = uri.host().is_some_and(|host| host.ends_with(".azure.com"));
    match provider {
        "azure" | "azure_text" => API_KEY,
        // Its models also have hosts of their own, which take bearers.
        "azure_ai" if is_azure => API_KEY,
        "gemini" | "vertex_ai" | "vertex_ai_beta" => GOOGLE_KEY,
        _ => AUTHORIZATION,
    }
}

/// `bedrock-runtime.us-east-1.amazonaws.com` is in `us-east-1`.
fn region_of(uri: &Uri) -> Option<&str> {
    let (_, rest) = uri.host()?.split_once('.')?;
    rest.strip_suffix(".amazonaws.com").filter(|region| !region.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dunlin_types::Secret;

    use super::*;

    #[test]
    fn prefixes_are_sorted_and_so_found() {
        assert!(PREFIXES.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn paths_meet_bases_without_saying_anything_twice() {
        let cases = [
            ("openai", "https://o/v1", "v1/responses", "https://o/v1/responses"),
            ("openai", "https://o/v1", "chat/completions", "https://o/v1/chat/completions"),
            ("openai", "https://o", "v1/files", "https://o/v1/files"),
            ("openai", "https://o/v1/", "/v1", "https://o/v1"),
            ("groq", "https://g/openai/v1", "openai/v1/models", "https://g/openai/v1/models"),
            ("groq", "https://g/openai/v1", "v1/models", "https://g/openai/v1/models"),
            ("anthropic", "https://a", "v1/messages", "https://a/v1/messages"),
            ("azure", "https://z", "openai/deployments/d/x", "https://z/openai/deployments/d/x"),
            (
                "azure",
                "https://z/openai/v1",
                "openai/deployments/d",
                "https://z/openai/deployments/d",
            ),
            ("gemini", "https://g/v1beta", "v1/models/m:x", "https://g/v1/models/m:x"),
            ("vertex_ai", "https://h/v1", "v1beta1/projects/p", "https://h/v1beta1/projects/p"),
            ("hosted_vllm", "http://v:8000/v1", "tokenize", "http://v:8000/tokenize"),
            ("hosted_vllm", "http://v:8000/v1", "rerank", "http://v:8000/v1/rerank"),
            ("ollama", "http://o:11434/v1", "api/chat", "http://o:11434/api/chat"),
            ("cohere", "https://c", "v2/chat", "https://c/v2/chat"),
            ("anthropic", "https://a/v1/messages", "v1/files", "https://a/v1/files"),
            ("openai", "https://v1", "v1/models", "https://v1/v1/models"),
            (
                "bedrock",
                "https://bedrock-runtime.r.amazonaws.com",
                "/model-invocation-job/j",
                "https://bedrock.r.amazonaws.com/model-invocation-job/j",
            ),
            (
                "bedrock",
                "https://bedrock-runtime.r.amazonaws.com",
                "/model/m/invoke",
                "https://bedrock-runtime.r.amazonaws.com/model/m/invoke",
            ),
        ];
        for (provider, base, path, expected) in cases {
            assert_eq!(url(provider, base, path, None), expected, "{base} {path}");
        }
        assert_eq!(url("azure", "https://z", "a", Some("b=1")), "https://z/a?b=1");
    }

    fn authorized(provider: &str, base: &str, credential: &Credential) -> Request<Bytes> {
        let mut call = Request::new(Bytes::from_static(b"{}"));
        *call.uri_mut() = format!("{base}/x").parse().expect("a URL");
        let to =
            Target { headers: vec![(Arc::from("x-team"), Secret::new("a"))], ..Target::default() };
        let now = UnixMillis(1_700_000_000_000);
        let authorized = match crate::find(provider) {
            Some(provider) => provider.authorize(&mut call, &to, credential, now),
            None => authorize(provider, &mut call, &to, credential, now),
        };
        authorized.expect("it can be sent");
        call
    }

    #[test]
    fn each_provider_gets_its_credential_where_it_wants_it() {
        let key = Credential::Key(Secret::new("k"));
        let token = Credential::Token(Secret::new("t"));
        let cases = [
            ("openai", &key, "authorization", "Bearer k"),
            ("anthropic", &key, "x-api-key", "k"),
            ("anthropic", &token, "authorization", "Bearer t"),
            ("azure", &key, "api-key", "k"),
            ("azure", &token, "authorization", "Bearer t"),
            ("azure_ai", &key, "authorization", "Bearer k"),
            ("gemini", &key, "x-goog-api-key", "k"),
            ("vertex_ai", &token, "authorization", "Bearer t"),
            ("bedrock", &key, "authorization", "Bearer k"),
        ];
        for (provider, credential, name, value) in cases {
            let call = authorized(provider, "https://h", credential);
            assert_eq!(call.headers()[name], value, "{provider}");
            assert!(call.headers()[name].is_sensitive());
            assert_eq!(call.headers()["x-team"], "a");
        }
        let anthropic = authorized("anthropic", "https://h", &key);
        assert_eq!(anthropic.headers()["anthropic-version"], "2023-06-01");
        let foundry = authorized("azure_ai", "https://r.services.ai.azure.com", &key);
        assert_eq!(foundry.headers()["api-key"], "k");
    }

    #[test]
    fn aws_calls_are_signed_for_the_region_of_the_address() {
        let aws = Credential::Aws {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("s"),
            session_token: None,
        };
        let call = authorized("bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com", &aws);
        let signed = call.headers()[AUTHORIZATION].to_str().expect("text");
        assert!(signed.contains("/eu-west-1/bedrock/aws4_request"), "{signed}");
        assert!(signed.contains("x-team"), "{signed}");
        let mut call = Request::new(Bytes::new());
        *call.uri_mut() = Uri::from_static("http://h/x");
        let refused =
            authorize("bedrock", &mut call, &Target::default(), &aws, UnixMillis(0)).is_err();
        assert!(refused);
    }
}
