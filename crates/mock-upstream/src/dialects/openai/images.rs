//! `/v1/images/generations` and `/v1/images/edits`.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::{CREATED, KEYS, refuse, with_usage};
use crate::answer::Answer;
use crate::ask::{Ask, Last};
use crate::dialects::post;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::form;
use crate::record::Recorded;

/// One black pixel, as PNG.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg==";
/// The most images at once.
const MAX_N: u64 = 10;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/images/generations", post(Images { edits: false }))
        .route("/v1/images/edits", post(Images { edits: true }))
}

#[derive(Clone, Copy)]
struct Images {
    edits: bool,
}

impl Route for Images {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask =
            if self.edits { form::read(request, "image")? } else { Ask::json(&request.body)? };
        let Some(prompt) = ask.body["prompt"].as_str() else {
            return Err(Failure::missing("prompt"));
        };
        let last = Last::User(prompt.to_owned());
        Ok(Ask { last, stream: false, ..ask })
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let n = &ask.body["n"];
        // In a form, numbers are text.
        let n = n.as_u64().or_else(|| n.as_str()?.parse().ok()).unwrap_or(1).clamp(1, MAX_N);
        let always_bytes = ask.model.starts_with("gpt-image");
        let image = if always_bytes || ask.body["response_format"] == "b64_json" {
            json!({"b64_json": PIXEL})
        } else {
            json!({"url": "https://mock.invalid/image.png", "revised_prompt": ask.text()})
        };
        let data: Vec<Value> = (0..n).map(|_| image.clone()).collect();
        let usage = answer.usage.filter(|_| always_bytes).map(|usage| {
            json!({"input_tokens": usage.prompt, "output_tokens": usage.completion,
                "total_tokens": usage.prompt + usage.completion,
                "input_tokens_details": {"text_tokens": usage.prompt, "image_tokens": 0}})
        });
        Reply::Said(with_usage(json!({"created": CREATED, "data": data}), usage))
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}
