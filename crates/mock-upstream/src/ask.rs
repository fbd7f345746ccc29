//! What a request asks for, whatever dialect it came in.

use bytes::Bytes;
use serde_json::Value;

use crate::failure::Failure;

/// A request, understood.
#[derive(Default)]
pub(crate) struct Ask {
    /// The body as JSON; of a form, its fields.
    pub(crate) body: Value,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) last: Last,
    pub(crate) tools: Vec<Tool>,
    pub(crate) must_call: MustCall,
    /// Whether no more than one tool may be called.
    pub(crate) one_call: bool,
    /// Whether the model is to think first.
    pub(crate) thinks: bool,
    /// The schema that the answer's text has to fit; `true` where any JSON will do.
    pub(crate) schema: Option<Value>,
    pub(crate) max_tokens: Option<u32>,
    /// What the path names besides a model: what is to be done, or a file, batch, response.
    pub(crate) id: String,
    /// The file of a form.
    pub(crate) file: Bytes,
    /// How long the prompt is.
    pub(crate) prompt_tokens: u64,
}

/// The last message of a conversation.
#[derive(Default)]
pub(crate) enum Last {
    #[default]
    Other,
    /// Somebody said this.
    User(String),
    /// A tool has answered this.
    Tool(String),
}

/// A tool that may be called.
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// Whether a tool has to be called.
#[derive(Default, PartialEq, Eq)]
pub(crate) enum MustCall {
    #[default]
    No,
    Never,
    Any,
    Named(String),
}

impl Ask {
    /// Reads the JSON and what most dialects have at the same place: `model`, `stream`,
    /// `max_tokens`.
    pub(crate) fn json(bytes: &[u8]) -> Result<Self, Failure> {
        let body: Value =
            serde_json::from_slice(bytes).map_err(|error| Failure::bad(error.to_string()))?;
        if !body.is_object() {
            return Err(Failure::bad("the body must be a JSON object"));
        }
        let max_tokens =
            body["max_tokens"].as_u64().map(|max| u32::try_from(max).unwrap_or(u32::MAX));
        Ok(Self {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            max_tokens,
            prompt_tokens: bytes.len() as u64 / 4,
            body,
            ..Self::default()
        })
    }

    /// As [`Ask::json`], for the dialects whose bodies name the model.
    pub(crate) fn of_model(bytes: &[u8]) -> Result<Self, Failure> {
        let ask = Self::json(bytes)?;
        if ask.model.is_empty() {
            return Err(Failure::missing("model"));
        }
        Ok(ask)
    }

    /// The array at `key`, which must be there.
    pub(crate) fn list(&self, key: &str) -> Result<&Vec<Value>, Failure> {
        self.body[key].as_array().ok_or_else(|| Failure::missing(key))
    }

    pub(crate) fn text(&self) -> &str {
        match &self.last {
            Last::User(text) => text,
            Last::Other | Last::Tool(_) => "",
        }
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.body[key] == true
    }
}

/// The text of content that is a string, or a list of parts of which some have `text`.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}
