//! What errors say beside their words, for programs: Anthropic's and Google's `details`, Azure's
//! `innererror`. Who speaks the dialect of whoever says it finds it in its place; others find it in
//! LiteLLM's `provider_specific_fields`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::Dialect;

/// As much of it is kept, in bytes of JSON.
const MAX_BYTES: usize = 4096;

/// What filters of Azure's have found, as older and newer servers spell it.
const INNER: [&str; 2] = ["innererror", "inner_error"];

/// What an error says for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    of: Dialect,
    member: &'static str,
    value: Value,
}

impl Details {
    /// What Anthropic's clients act by: that something is not supported, and what.
    pub(crate) fn anthropic(value: Value) -> Self {
        Self { of: Dialect::Anthropic, member: "details", value }
    }

    /// What the object of an error says, or the body around it.
    pub(crate) fn read(error: &Map<String, Value>, body: &Value) -> Option<Self> {
        let said = error.get("details").and_then(|said| {
            let has = |value: &Value, name| value.get(name).is_some_and(Value::is_string);
            let of = match said {
                Value::Object(_) if has(said, "error_code") => Dialect::Anthropic,
                Value::Array(all) if all.iter().any(|one| has(one, "@type")) => Dialect::Gemini,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => return None,
            };
            Some((of, "details", said))
        });
        let inner = || {
            INNER.iter().find_map(|name| {
                let said = error.get(*name).or_else(|| body.get(*name));
                said.filter(|said| said.is_object()).map(|said| (Dialect::OpenAi, *name, said))
            })
        };
        let (of, member, value) = said.or_else(inner)?;
        let is_short = value.to_string().len() <= MAX_BYTES;
        is_short.then(|| Self { of, member, value: value.clone() })
    }

    /// How long Google's `RetryInfo` asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let all = self.value.as_array()?.iter();
        let mut delays = all.filter_map(|one| one.get("retryDelay")?.as_str()?.strip_suffix('s'));
        Duration::try_from_secs_f64(delays.next()?.parse().ok()?).ok()
    }

    /// The JSON of it.
    #[must_use]
    pub fn text(&self) -> String {
        self.value.to_string()
    }

    /// The members of an error by which a client of this dialect is told.
    pub(crate) fn members(&self, client: Dialect) -> Map<String, Value> {
        let value = &self.value;
        let openais = matches!(client, Dialect::OpenAi | Dialect::Responses);
        let mut members = Map::new();
        if self.of == client || openais && self.of == Dialect::OpenAi {
            members.insert(self.member.to_owned(), value.clone());
        }
        if openais || members.is_empty() {
            let fields = match self.of {
                // Both its spellings, whichever was sent.
                Dialect::OpenAi => json!({"innererror": value, "inner_error": value}),
                Dialect::Anthropic | Dialect::Gemini | Dialect::Responses => {
                    json!({self.member: value})
                }
            };
            members.insert("provider_specific_fields".to_owned(), fields);
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;
    use crate::openai::{ErrorBody, UpstreamError};

    fn read(body: &Value) -> Option<Box<Details>> {
        UpstreamError::parse(body.to_string().as_bytes()).details
    }

    fn told(details: &Details, client: Endpoint) -> Value {
        let (message, details) = ("m".to_owned(), Some(Box::new(details.clone())));
        let error =
            ErrorBody { message, kind: None, param: None, code: 429, entity: None, details };
        serde_json::from_slice::<Value>(&client.error_body(&error)).unwrap()["error"].clone()
    }

    #[test]
    fn googles_clients_read_how_long_to_wait_and_others_find_it_too() {
        let wait =
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"});
        let quota = json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]});
        let said = json!([quota, wait]);
        let error = json!({"error": {"code": 429, "message": "quota",
            "status": "RESOURCE_EXHAUSTED", "details": said}});
        // Its API in OpenAI's form puts it into a list.
        for body in [error.clone(), json!([error])] {
            let details = read(&body).expect("details");
            assert_eq!(details.retry_after(), Some(Duration::from_millis(7500)));
            let google = told(&details, Endpoint::GenerateContent);
            assert_eq!(google["details"], said);
            assert_eq!(google.get("provider_specific_fields"), None);
            for other in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses] {
                let error = told(&details, other);
                assert_eq!(error.get("details"), None, "{other:?}");
                assert_eq!(error["provider_specific_fields"]["details"], said, "{other:?}");
            }
        }
        for delay in [json!("soon"), json!("-1s"), json!("infs"), json!(7)] {
            let body = json!({"error": {"message": "m",
                "details": [{"@type": "x", "retryDelay": delay}]}});
            assert_eq!(read(&body).expect("details").retry_after(), None, "{delay}");
        }
    }

    #[test]
    fn what_azures_filter_found_is_where_its_clients_and_litellms_look() {
        let inner = json!({"code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": true, "severity": "high"}}});
        for member in INNER {
            let error = json!({"message": "filtered", "code": "content_filter", member: inner});
            let details = read(&json!({"error": error})).expect("details");
            for client in [Endpoint::ChatCompletions, Endpoint::Responses] {
                let error = told(&details, client);
                assert_eq!(error[member], inner);
                assert_eq!(error["provider_specific_fields"]["innererror"], inner);
            }
            let error = told(&details, Endpoint::Messages);
            assert_eq!(error.get(member), None);
            assert_eq!(error["provider_specific_fields"]["inner_error"], inner);
        }
        let long = json!({"error": {"message": "m", "innererror": {"x": "y".repeat(5000)}}});
        assert_eq!(read(&long), None);
    }
}
