//! Pictures and sounds that a model made, as LiteLLM has them in OpenAI's answers.

use serde_json::{Value, json};

use crate::endpoint::Stamp;
use crate::form::Source;

/// A picture, the `index`th of its answer.
pub(super) fn image(index: usize, source: &Source) -> Value {
    json!({"image_url": {"url": source.url()}, "index": index, "type": "image_url"})
}

/// A sound. Nobody keeps it, so it is over at once.
pub(super) fn sound(data: &str, stamp: Stamp<'_>) -> Value {
    let id = format!("audio_{}", stamp.id);
    json!({"id": id, "data": data, "expires_at": stamp.now, "transcript": ""})
}
