//! Pictures and sounds that a model made, as LiteLLM and OpenRouter have them in OpenAI's messages.

use serde::Deserialize;
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
pub(super) fn sound(data: &str, transcript: &str, stamp: Stamp<'_>) -> Value {
    let id = format!("audio_{}", stamp.id);
    json!({"id": id, "data": data, "expires_at": stamp.now, "transcript": transcript})
}

/// A sound in a message, or more of one in a stream.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sound {
    id: Option<String>,
    data: Option<String>,
    transcript: Option<String>,
}

impl Sound {
    /// Of an answer. `None`: it says nothing, as the pieces that begin and end one.
    pub(super) fn spoken(said: Option<Value>) -> Option<PartKind> {
        let Self { data, transcript, .. } = Self::read(said);
        let (data, transcript) = (data.unwrap_or_default(), transcript.unwrap_or_default());
        let is_any = !(data.is_empty() && transcript.is_empty());
        is_any.then(|| PartKind::spoken(data, transcript))
    }

    /// Of a turn that is over: its words, if they are told.
    pub(super) fn remembered(said: Option<Value>) -> Result<Option<PartKind>, &'static str> {
        let Self { id, data, transcript } = Self::read(said);
        let is_any = |text: &String| !text.is_empty();
        match (transcript.filter(is_any), data.filter(is_any)) {
            (Some(transcript), _) => Ok(Some(PartKind::Text(transcript))),
            (None, Some(data)) => Ok(Some(PartKind::spoken(data, String::new()))),
            (None, None) if id.is_some() => {
                Err("audio with its transcript or data: an id means nothing to another provider")
            }
            (None, None) => Ok(None),
        }
    }

    /// What is no sound says nothing.
    fn read(said: Option<Value>) -> Self {
        said.and_then(|said| serde_json::from_value(said).ok()).unwrap_or_default()
    }
}
