//! What a response that its provider keeps says of itself. One that is made in the background is
//! charged when it is found finished, so it must say when it was made and what it used.

use dunlin_types::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::native::used;
use crate::json::string;
use crate::tier::Tier;

/// A response as its provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResponse {
    /// The provider's id of it.
    pub id: String,
    /// Nobody waited for it.
    pub background: bool,
    /// Nothing will be added to it.
    pub finished: bool,
    /// When it was made, in seconds since 1970.
    pub created_at: Option<u64>,
    /// What it used.
    pub usage: Option<Usage>,
    /// The service tier it was made in.
    pub service_tier: Option<Tier>,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    background: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekEvent<'a> {
    #[serde(borrow)]
    response: &'a RawValue,
}

#[derive(Deserialize)]
struct PeekRequest<'a> {
    #[serde(borrow)]
    background: Option<&'a RawValue>,
}

impl KeptResponse {
    /// From a whole response. `None`: it is none.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let peek: Peek<'_> = serde_json::from_slice(body).ok()?;
        let status = peek.status.and_then(|status| string(status.get()));
        // Some servers write whole seconds with a point.
        let seconds = |at: &RawValue| at.get().split('.').next()?.parse().ok();
        Some(Self {
            id: string(peek.id?.get())?.into_owned(),
            background: peek.background.is_some_and(|value| value.get() == "true"),
            finished: matches!(
                status.as_deref(),
                Some("completed" | "failed" | "incomplete" | "cancelled")
            ),
            created_at: peek.created_at.and_then(seconds),
            usage: used(peek.usage, body),
            service_tier: Tier::of(peek.service_tier),
        })
    }

    /// From the data of an event that carries a response.
    #[must_use]
    pub fn read_event(data: &[u8]) -> Option<Self> {
        let event: PeekEvent<'_> = serde_json::from_slice(data).ok()?;
        Self::read(event.response.get().as_bytes())
    }
}

/// Whether a request asks for a response that nobody waits for.
pub(crate) fn asks_for_background(body: &str) -> bool {
    serde_json::from_str(body)
        .is_ok_and(|peek: PeekRequest<'_>| peek.background.is_some_and(|v| v.get() == "true"))
}

#[cfg(test)]
mod tests {
    use dunlin_types::Tokens;

    use super::*;

    #[test]
    fn a_response_says_whether_it_is_over_and_what_it_used() {
        let read = |text: &str| KeptResponse::read(text.as_bytes());
        let queued =
            r#"{"id":"resp_1","background":true,"status":"queued","created_at":17,"usage":null}"#;
        let expected = KeptResponse {
            id: "resp_1".to_owned(),
            background: true,
            finished: false,
            created_at: Some(17),
            usage: None,
            service_tier: None,
        };
        assert_eq!(read(queued), Some(expected.clone()));
        let done = queued.replace("queued", "completed").replace("17", "17.0");
        let done =
            done.replace(r#""usage":null"#, r#""usage":{"input_tokens":3,"output_tokens":2}"#);
        let usage = Usage { prompt: Tokens(3), completion: Tokens(2), ..Usage::default() };
        let expected = KeptResponse { finished: true, usage: Some(usage), ..expected };
        assert_eq!(read(&done), Some(expected.clone()));
        let event = format!(r#"{{"type":"response.completed","response":{done}}}"#);
        assert_eq!(KeptResponse::read_event(event.as_bytes()), Some(expected));
        let searched = r#"{"id":"resp_1","status":"completed","usage":{"input_tokens":3},
            "output":[{"type":"web_search_call"},{"type":"message"},{"type":"web_search_call"}]}"#;
        let usage = read(searched).and_then(|kept| kept.usage).expect("it counts");
        assert_eq!((usage.prompt, usage.web_searches), (Tokens(3), 2));
        for text in ["[]", "{}", r#"{"id":7}"#, r#"{"object":"list","data":[]}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(asks_for_background(r#"{"background" : true}"#));
        for text in [r#"{"background":false}"#, r#"{"input":"\"background\": true"}"#, "{}"] {
            assert!(!asks_for_background(text), "{text}");
        }
    }
}
