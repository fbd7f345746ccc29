//! The `anthropic-beta` header: what is tried out, by name.

use bytes::Bytes;
use dunlin_llm::form::{Chat, Part, PartKind, Source};
use dunlin_llm::{ChatRequest, Dialect, Target};
use http::{HeaderName, HeaderValue, Request};

use crate::hosted::{MAX_NAME, MAX_TOLD};
use crate::{EncodeError, Provider};

const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Sorted. The API refuses names that it does not know, and a client that does not speak its
/// dialect may have been told to send others.
const KNOWN: &[&str] = &[
    "advanced-tool-use-2025-11-20",
    "code-execution-2025-05-22",
    "code-execution-2025-08-25",
    "compact-2026-01-12",
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "effort-2025-11-24",
    "extended-cache-ttl-2025-04-11",
    "fast-mode-2026-02-01",
    FILES,
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "mcp-client-2025-04-04",
    "mcp-client-2025-11-20",
    "model-context-window-exceeded-2025-08-26",
    "oauth-2025-04-20",
    "output-128k-2025-02-19",
    "output-300k-2026-03-24",
    "pdfs-2024-09-25",
    "prompt-caching-2024-07-31",
    "skills-2025-10-02",
    "structured-outputs-2025-11-13",
    "token-counting-2024-11-01",
    "token-efficient-tools-2025-02-19",
    "web-fetch-2025-09-10",
];

/// Sorted. Those that Vertex AI takes, which answers 400 to all others, as LiteLLM 1.110.2 lists them.
const VERTEX: &[&str] = &[
    "afk-mode-2026-01-31",
    "claude-code-20250219",
    "compact-2026-01-12",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dangerous-tool-use-2026-09-03",
    "effort-2025-11-24",
    "fallback-credit-2026-06-01",
    "fallback-credit-2026-07-01",
    "fine-grained-tool-streaming-2025-05-14",
    "inline-tools-2026-09-15",
    "interleaved-thinking-2025-05-14",
    "mid-conversation-output-config-2026-07-01",
    "mid-conversation-system-clear-at-2026-08-21",
    "mid-conversation-tool-changes-2026-07-01",
    "model-context-window-exceeded-2025-08-26",
    "output-128k-2025-02-19",
    "pdfs-2024-09-25",
    "per-turn-control-2026-07-01",
    "server-side-fallback-2026-06-01",
    "structured-outputs-2025-11-13",
    "structured-outputs-2025-12-15",
    "task-budgets-2026-03-13",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "thinking-token-count-2026-05-13",
    "token-counting-2024-11-01",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    TOOL_SEARCH,
    "web-search-2025-03-05",
];

/// What Vertex AI knows by another name.
const TOOLS: &str = "advanced-tool-use-2025-11-20";
const TOOL_SEARCH: &str = "tool-search-tool-2025-10-19";

const FILES: &str = "files-api-2025-04-14";

/// Body fields that need a beta.
const FIELDS: &[(&str, &str)] = &[
    ("context_management", "context-management-2025-06-27"),
    ("mcp_servers", "mcp-client-2025-04-04"),
    ("speed", "fast-mode-2026-02-01"),
];

/// The client's own, byte for byte.
pub(super) fn passed(request: &ChatRequest) -> Vec<HeaderValue> {
    request.headers().get_all(BETA).iter().cloned().collect()
}

/// Of the client's own those that Vertex AI takes.
pub(super) fn known_at_vertex(request: &ChatRequest) -> Vec<HeaderValue> {
    let asked = asked(request).map(|name| if name == TOOLS { TOOL_SEARCH } else { name });
    let asked: Vec<&str> = asked.collect();
    let known = VERTEX.iter().filter(|known| asked.contains(*known));
    known.map(|name| HeaderValue::from_static(name)).collect()
}

fn asked(request: &ChatRequest) -> impl Iterator<Item = &str> {
    let values = request.headers().get_all(BETA).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Of the client's those that are known, and those without which the chat would be refused.
pub(super) fn known_or_needed(request: &ChatRequest, chat: &Chat) -> Vec<HeaderValue> {
    let asked: Vec<&str> = asked(request).collect();
    let known = KNOWN.iter().copied();
    let mut names: Vec<&'static str> = known.filter(|known| asked.contains(known)).collect();
    let said = |field: &str| chat.other.iter().chain(&chat.extra).any(|(name, _)| name == field);
    let mut need = |name| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    FIELDS.iter().filter(|(field, _)| said(field)).for_each(|(_, beta)| need(beta));
    if chat.messages.iter().flat_map(|message| &message.parts).any(is_uploaded) {
        need(FILES);
    }
    names.into_iter().map(HeaderValue::from_static).collect()
}

/// The client's that nobody at `to` is told of, a few and each as far as it can be a name.
#[must_use]
pub fn left_out(provider: &dyn Provider, request: &ChatRequest, to: &Target) -> Vec<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let asked = asked(request).filter(|name| !name.is_empty() && name.bytes().all(is_plain));
    let speaks = provider.dialect(to) == Some(Dialect::Anthropic);
    // Who is passed a message is passed them all, but for Vertex AI; a chat, those that are known.
    let passes = speaks && provider.passes(request, to);
    let knows = |name: &str| match provider.id() {
        "vertex_ai" => passes && (name == TOOLS || VERTEX.contains(&name)),
        "anthropic" => passes || KNOWN.contains(&name),
        _ => passes,
    };
    let lost = asked.filter(|name| !knows(name)).take(MAX_TOLD);
    lost.map(|name| name.chars().take(MAX_NAME).collect()).collect()
}

fn is_uploaded(part: &Part) -> bool {
    matches!(
        part.kind,
        PartKind::Image { source: Source::Id(_), .. }
            | PartKind::File { source: Source::Id(_), .. }
    )
}

/// Adds to what the call says already, in one header: not every server reads more than one.
pub(super) fn add(call: &mut Request<Bytes>, betas: Vec<HeaderValue>) -> Result<(), EncodeError> {
    let own = call.headers_mut().remove(BETA);
    let mut all = Vec::new();
    for value in own.iter().chain(&betas).filter(|value| !value.is_empty()) {
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend_from_slice(value.as_bytes());
    }
    if !all.is_empty() {
        let value = HeaderValue::from_bytes(&all)
            .map_err(|_| EncodeError::BadHeader { name: BETA.as_str().to_owned() })?;
        call.headers_mut().insert(BETA, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dunlin_llm::{Endpoint, parse};

    use super::*;

    #[test]
    fn who_does_not_speak_the_dialect_is_told_of_no_betas() {
        let body = Bytes::from_static(br#"{"model":"m","max_tokens":9,"messages":[]}"#);
        let asked = |endpoint, betas| {
            let mut headers = http::HeaderMap::new();
            headers.insert(BETA, HeaderValue::from_static(betas));
            parse(endpoint, body.clone(), None).unwrap().with_headers(&headers)
        };
        let (messages, chat) = (Endpoint::Messages, Endpoint::ChatCompletions);
        for (id, endpoint, lost) in [
            ("anthropic", messages, &[][..]),
            ("anthropic", chat, &["new-1"]),
            ("vertex_ai", messages, &["new-1"]),
            ("vertex_ai", chat, &["effort-2025-11-24", "new-1"]),
            ("bedrock", messages, &["effort-2025-11-24", "new-1"]),
            ("hosted_vllm", messages, &["effort-2025-11-24", "new-1"]),
        ] {
            let to = Target { model: "claude-sonnet-4-5".into(), ..Target::default() };
            let request = asked(endpoint, "effort-2025-11-24, new-1");
            let told = left_out(crate::find(id).unwrap(), &request, &to);
            assert_eq!(told, lost, "{id} {endpoint:?}");
        }
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(KNOWN.is_sorted() && VERTEX.is_sorted());
    }
}
