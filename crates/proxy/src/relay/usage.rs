//! `always_include_stream_usage` for calls of a provider's own API: a stream of OpenAI's dialect is
//! asked for its usage, which passes as it comes.

use bytes::Bytes;
use dunlin_llm::edit;

use super::Way;
use crate::Settings;

/// Whose APIs take the wish; others refuse fields that they do not know.
const TAKES: [&str; 4] = ["azure", "azure_ai", "hosted_vllm", "openai"];
const OPTIONS: &str = "stream_options";
const WISH: &str = "include_usage";

/// The body of such a call, asking for the usage where that is set, unless it says whether to.
pub(super) fn asked_for(settings: &Settings, way: Way, path: &str, body: Bytes) -> Bytes {
    let takes = TAKES.contains(&way.providers[0]) && path.ends_with("/completions");
    if !settings.always_tells_usage || !takes || edit::member(&body, "stream") != Some("true") {
        return body;
    }
    let said = |value: &&str| *value != "null";
    let options = edit::member(&body, OPTIONS).filter(said).unwrap_or("{}");
    if edit::member(options.as_bytes(), WISH).is_some_and(|wish| wish != "null") {
        return body;
    }
    let options = edit::with(Bytes::copy_from_slice(options.as_bytes()), WISH, "true");
    match std::str::from_utf8(&options) {
        Ok(options) => edit::with(body, OPTIONS, options),
        Err(_) => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_its_usage_unless_its_client_says_whether_to() {
        let openai = Way { prefix: "openai", providers: &["openai"], owned: false };
        let mistral = Way { prefix: "mistral", providers: &["mistral"], owned: false };
        let chats = "/v1/chat/completions";
        let asks = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        let cases = [
            (openai, chats, r#"{"stream":true}"#, asks),
            (openai, "/v1/completions", r#"{"stream":true,"stream_options":null}"#, asks),
            (openai, chats, r#"{"stream":true,"stream_options":{"include_usage":null}}"#, asks),
            (
                openai,
                chats,
                r#"{"stream":true,"stream_options":{"a":1}}"#,
                r#"{"stream":true,"stream_options":{"a":1,"include_usage":true}}"#,
            ),
        ];
        let settings = Settings { always_tells_usage: true, ..Settings::default() };
        let asked = |way, path: &str, body: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let body = asked_for(&settings, way, path, body);
            let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            value
        };
        let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
        for (way, path, body, expected) in cases {
            assert_eq!(asked(way, path, body), json(expected), "{body}");
        }
        for (way, path, body) in [
            (openai, chats, r#"{"stream":true,"stream_options":{"include_usage":false}}"#),
            (openai, chats, r#"{"stream":false}"#),
            (openai, "/v1/responses", r#"{"stream":true}"#),
            (mistral, chats, r#"{"stream":true}"#),
        ] {
            assert_eq!(asked(way, path, body), json(body), "{body}");
        }
    }
}
