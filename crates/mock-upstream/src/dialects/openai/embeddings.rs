//! `/v1/embeddings`.

use serde_json::{Value, json};

use super::{KEYS, refuse, with_usage};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::base64;
use crate::dialects::azure;
use crate::exchange::{Keys, Mock, Refusal, Reply, Route};
use crate::failure::Failure;
use crate::record::Recorded;
use crate::settings::Habit;
use crate::vector;

#[derive(Clone, Copy)]
pub(in crate::dialects) struct Embeddings {
    pub(in crate::dialects) azure: bool,
}

impl Route for Embeddings {
    fn keys(&self) -> Keys {
        if self.azure { azure::KEYS } else { KEYS }
    }

    fn read(&self, mock: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = azure::model(self.azure, request)?;
        let format = ask.body.get("encoding_format");
        let plain = format.and_then(Value::as_str);
        let null = format.is_some_and(Value::is_null);
        if null && mock.settings.has(Habit::NoNullEncoding)
            || !null && format.is_some() && !matches!(plain, Some("float" | "base64"))
        {
            let message = "encoding_format: Input should be 'float' or 'base64'";
            return Err(Failure::parameter("encoding_format", message));
        }
        if inputs(&ask.body["input"]).is_none_or(|inputs| inputs.is_empty()) {
            return Err(Failure::missing("input"));
        }
        Ok(ask)
    }

    fn reply(&self, _: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let size = ask.body["dimensions"].as_u64();
        let base64 = ask.body["encoding_format"] == "base64";
        let inputs = inputs(&ask.body["input"]).expect("they were read");
        let data = inputs.iter().enumerate().map(|(index, input)| {
            let vector = vector::of(&input.to_string(), size);
            let embedding = if base64 {
                let bytes: Vec<u8> =
                    vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                json!(base64::encode(&bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        });
        let list = json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": ask.model});
        let usage = answer
            .usage
            .map(|usage| json!({"prompt_tokens": usage.prompt, "total_tokens": usage.prompt}));
        Reply::Json(with_usage(list, usage))
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        if self.azure { azure::refuse(failure) } else { refuse(mock, failure) }
    }
}

/// A text, tokens, or a list of either.
fn inputs(input: &Value) -> Option<Vec<&Value>> {
    match input {
        Value::String(_) => Some(vec![input]),
        Value::Array(many) if many.iter().all(Value::is_number) && !many.is_empty() => {
            Some(vec![input])
        }
        Value::Array(many) => {
            many.iter().all(|one| one.is_string() || one.is_array()).then(|| many.iter().collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
