//! Pictures and sounds that a model made, as LiteLLM and OpenRouter have them in OpenAI's messages.

use serde_json::{Value, json};

use crate::endpoint::Stamp;
use crate::form::{PartKind, Source};

/// The pictures of a message: by their addresses, which may carry their data.
pub(super) fn pictures(images: Option<Value>) -> impl Iterator<Item = PartKind> {
    let all = if let Some(Value::Array(all)) = images { all } else { Vec::new() };
    all.into_iter().filter_map(|image| {
        let place = &image["image_url"];
        let url = place["url"].as_str().or(place.as_str()).or(image.as_str())?;
        Some(PartKind::Image { source: Source::of_url(url), detail: None })
    })
}

/// A picture, the `index`th of its answer.
pub(super) fn image(index: usize, source: &Source) -> Value {
    json!({"image_url": {"url": source.url()}, "index": index, "type": "image_url"})
}

/// A sound. Nobody keeps it, so it is over at once.
pub(super) fn sound(data: &str, stamp: Stamp<'_>) -> Value {
    let id = format!("audio_{}", stamp.id);
    json!({"id": id, "data": data, "expires_at": stamp.now, "transcript": ""})
}
