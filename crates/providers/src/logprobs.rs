//! How likely a model's words were, from providers that nearly have OpenAI's form for it.

use dunlin_llm::form::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Number, json};

/// A token that was written.
#[derive(Deserialize, Serialize)]
pub(crate) struct Logprob {
    #[serde(flatten)]
    of: Likely,
    #[serde(default)]
    top_logprobs: Vec<Likely>,
}

/// One that was, or might have been.
#[derive(Deserialize, Serialize)]
struct Likely {
    token: String,
    logprob: Number,
    bytes: Option<Vec<u8>>,
}

impl Logprob {
    /// Of words that may be several tokens: they are as likely as all of them together. `None`: it is
    /// not said.
    pub(crate) fn of_tokens(text: String, logprobs: &[f64]) -> Option<Self> {
        let sum = Number::from_f64(logprobs.iter().sum()).filter(|_| !logprobs.is_empty())?;
        let bytes = Some(text.as_bytes().to_vec());
        let of = Likely { token: text, logprob: sum, bytes };
        Some(Self { of, top_logprobs: Vec::new() })
    }
}

/// In OpenAI's form. `None`: nothing is said.
pub(crate) fn openais(logprobs: Vec<Logprob>) -> Option<Json> {
    (!logprobs.is_empty()).then(|| Json::of(&json!({"content": logprobs, "refusal": null})))
}
