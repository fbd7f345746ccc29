//! `/v1/moderations`, and `/v1/rerank`, which is not OpenAI's but Cohere's, Jina's and vLLM's.

use std::sync::Arc;

use axum::Router;
use serde_json::{Map, Value, json};

use super::{KEYS, refuse};
use crate::answer::Answer;
use crate::ask::{Ask, text_of};
use crate::dialects::post;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::rerank;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new().route("/v1/moderations", post(Moderate)).route("/v1/rerank", post(Rerank))
}

#[derive(Clone, Copy)]
struct Moderate;

impl Route for Moderate {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let mut ask = Ask::json(&request.body)?;
        if ask.body["input"].is_null() {
            return Err(Failure::missing("input"));
        }
        if ask.model.is_empty() {
            "omni-moderation-latest".clone_into(&mut ask.model);
        }
        Ok(ask)
    }

    /// A text is flagged for the categories whose names it says.
    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let input = &ask.body["input"];
        let texts: Vec<String> = match input.as_array() {
            Some(parts) if parts.iter().any(Value::is_object) => vec![text_of(input)],
            Some(texts) => texts.iter().map(text_of).collect(),
            None => vec![text_of(input)],
        };
        let results: Vec<Value> = texts.iter().map(|text| judged(text)).collect();
        Reply::Json(json!({"id": format!("modr-{}", answer.id), "model": ask.model,
            "results": results}))
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

fn judged(text: &str) -> Value {
    let of = |value: &dyn Fn(bool) -> Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|name| ((*name).to_owned(), value(text.contains(name)))).collect()
    };
    json!({
        "flagged": CATEGORIES.iter().any(|name| text.contains(name)),
        "categories": of(&|found| json!(found)),
        "category_scores": of(&|found| json!(if found { 0.9 } else { 0.01 })),
        "category_applied_input_types": of(&|_| json!(["text"])),
    })
}

#[derive(Clone, Copy)]
struct Rerank;

impl Route for Rerank {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        rerank::read(request)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let documents = ask.body["return_documents"] != false;
        let results = rerank::results(ask, documents);
        let mut ranked = json!({"id": format!("rerank-{}", answer.id), "model": ask.model,
            "results": results, "meta": {"billed_units": {"search_units": 1}}});
        if let Some(usage) = answer.usage {
            ranked["usage"] = json!({"prompt_tokens": usage.prompt, "total_tokens": usage.prompt});
        }
        Reply::Json(ranked)
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}
