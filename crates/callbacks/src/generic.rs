//! `generic_api`: LiteLLM's payload as JSON, to any address.

use bytes::Bytes;
use dunlin_config::{GenericApi, LogFormat};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::event::Event;
use crate::payload::payload;
use crate::post::{Post, insert_all};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// The requests that tell `events`.
pub(crate) fn posts(to: &GenericApi, events: &[&Event], messages: bool) -> Vec<Post> {
    let texts = events.iter().map(|event| payload(event, messages).to_string());
    let post = |body: String, kind: HeaderValue, count: usize| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind);
        insert_all(&mut headers, &to.headers);
        Post { to: to.endpoint.clone(), headers, body: Bytes::from(body), count }
    };
    match to.format {
        LogFormat::JsonArray => {
            let all = texts.collect::<Vec<_>>().join(",");
            vec![post(format!("[{all}]"), JSON, events.len())]
        }
        LogFormat::Ndjson => {
            let all = texts.map(|text| text + "\n").collect::<String>();
            vec![post(all, NDJSON, events.len())]
        }
        LogFormat::Single => texts.map(|text| post(text, JSON, 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::Secret;
    use serde_json::Value;

    use super::*;
    use crate::samples;

    #[test]
    fn several_records_are_a_list_or_lines_or_a_request_each() {
        let (one, other) = (samples::answered(), samples::failed());
        for (format, requests, records) in
            [(LogFormat::JsonArray, 1, 2), (LogFormat::Ndjson, 1, 2), (LogFormat::Single, 2, 1)]
        {
            let to = GenericApi {
                endpoint: "https://x.example/in".parse().expect("an address"),
                headers: vec![("x-key".parse().expect("a name"), Secret::new("s"))],
                format,
            };
            let posts = posts(&to, &[&one, &other], true);
            assert_eq!(posts.len(), requests);
            for post in &posts {
                assert_eq!(post.count, records);
                assert_eq!(post.headers["x-key"], "s");
                assert!(post.headers["x-key"].is_sensitive());
                let text = std::str::from_utf8(&post.body).expect("text");
                let read: usize = match format {
                    LogFormat::JsonArray => {
                        serde_json::from_str::<Vec<Value>>(text).expect("a list").len()
                    }
                    LogFormat::Ndjson | LogFormat::Single => text
                        .lines()
                        .map(|line| usize::from(serde_json::from_str::<Value>(line).is_ok()))
                        .sum(),
                };
                assert_eq!(read, records, "{text}");
            }
        }
    }
}
