//! The words of a request as receivers want them: what was asked, how, and what was answered.

use dunlin_journal::SpendRecord;
use serde_json::{Map, Value, json};

use crate::detail::Words;
use crate::event::{Event, Said};

/// LiteLLM's word in the place of what is not told.
pub(crate) const REDACTED: &str = "redacted-by-litellm";

/// Fields of a body that hold what is asked, in the order in which they are looked for.
const ASKED: [&str; 5] = ["messages", "input", "prompt", "contents", "query"];
/// Other fields that are no parameters of a model.
const OTHERS: [&str; 6] = ["metadata", "litellm_metadata", "model", "tags", "user", "api_key"];

/// What was asked and answered.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    pub(crate) messages: Value,
    pub(crate) response: Value,
    /// The request's other fields, such as `temperature`.
    pub(crate) parameters: Map<String, Value>,
}

impl Talk {
    pub(crate) fn of(event: &Event, messages: bool) -> Self {
        match event.said(messages) {
            Said::Words(words) => Self::read(&event.record, words),
            Said::Redacted => Self {
                messages: json!([{"role": "user", "content": REDACTED}]),
                response: json!({ "text": REDACTED }),
                parameters: Map::new(),
            },
            Said::Unknown => Self::default(),
        }
    }

    /// What is no JSON, an upload for instance or a body that was cut, is told as it is.
    fn read(record: &SpendRecord, words: &Words) -> Self {
        let body: Option<Map<String, Value>> = serde_json::from_str(&words.request).ok();
        let (messages, parameters) = match body {
            Some(mut body) => {
                let asked = ASKED.iter().find_map(|name| body.remove(*name));
                body.retain(|name, _| !OTHERS.contains(&name.as_str()));
                (asked.unwrap_or_default(), body)
            }
            None => (Value::from(words.request.as_str()), Map::new()),
        };
        Self { messages, response: response(record, &words.answer), parameters }
    }
}

/// The answer: JSON as it was sent; of a stream, in the form that a whole answer would have had.
fn response(record: &SpendRecord, answer: &str) -> Value {
    if answer.is_empty() {
        return Value::Null;
    }
    if let Ok(whole @ Value::Object(_)) = serde_json::from_str(answer) {
        return whole;
    }
    if record.course.call_type != "acompletion" {
        return Value::from(answer);
    }
    json!({
        "id": record.answer_id,
        "object": "chat.completion",
        "created": record.started.0 / 1000,
        "model": record.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer},
            "finish_reason": null,
        }],
        "usage": {
            "prompt_tokens": record.prompt.0,
            "completion_tokens": record.completion.0,
            "total_tokens": (record.prompt + record.completion).0,
        },
    })
}
