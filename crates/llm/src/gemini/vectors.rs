//! Vectors in Google's words: `batchEmbedContents` of AI Studio, `predict` of Vertex AI.

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::usage;
use crate::fields::camel;
use crate::form::{Embed, Json};
use crate::parse::BadRequest;
use crate::reply::BadReply;

/// What Google gave for each text, and what it counts.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Embedded {
    /// In the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// AI Studio counts only for its newer models.
    pub usage: Option<Usage>,
}

/// Writes the body of `batchEmbedContents`. `model` is a resource's name, such as `models/x`.
///
/// # Errors
/// An input is no text.
pub fn write_batch(embed: &Embed, model: &str) -> Result<Bytes, BadRequest> {
    let requests = embed.texts()?.into_iter().map(|text| {
        let mut request = json!({"model": model, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = embed.dimensions {
            request["outputDimensionality"] = dimensions.into();
        }
        for name in ["taskType", "title"] {
            if let Some(value) = other(embed, name) {
                request[name] = value;
            }
        }
        request
    });
    let requests: Vec<Value> = requests.collect();
    Ok(Bytes::from(json!({ "requests": requests }).to_string()))
}

/// Writes the body of `predict`.
///
/// # Errors
/// An input is no text.
pub fn write_instances(embed: &Embed) -> Result<Bytes, BadRequest> {
    let instances = embed.texts()?.into_iter().map(|text| {
        let mut instance = json!({ "content": text });
        for (name, wire) in [("taskType", "task_type"), ("title", "title")] {
            if let Some(value) = other(embed, name) {
                instance[wire] = value;
            }
        }
        instance
    });
    let mut body = json!({"instances": instances.collect::<Vec<Value>>()});
    if let Some(dimensions) = embed.dimensions {
        body["parameters"]["outputDimensionality"] = dimensions.into();
    }
    if let Some(value) = other(embed, "autoTruncate") {
        body["parameters"]["autoTruncate"] = value;
    }
    Ok(Bytes::from(body.to_string()))
}

/// A parameter of Google's own, in either spelling.
fn other(embed: &Embed, name: &str) -> Option<Value> {
    let said: Option<&(String, Json)> = embed.other.iter().find(|(other, _)| camel(other) == name);
    serde_json::from_str(said?.1.text()).ok()
}

#[derive(Deserialize)]
struct Values {
    values: Vec<f32>,
}

/// Reads the answer of `batchEmbedContents`.
///
/// # Errors
/// It is none.
pub fn read_batch(body: &[u8]) -> Result<Embedded, BadReply> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        embeddings: Vec<Values>,
        usage_metadata: Option<usage::Wire>,
    }
    let wire: Wire = read(body)?;
    Ok(Embedded {
        vectors: wire.embeddings.into_iter().map(|of| of.values).collect(),
        usage: wire.usage_metadata.and_then(usage::Wire::usage),
    })
}

/// Reads the answer of `predict`.
///
/// # Errors
/// It is none.
pub fn read_predictions(body: &[u8]) -> Result<Embedded, BadReply> {
    #[derive(Deserialize)]
    struct Wire {
        predictions: Vec<Prediction>,
    }
    let wire: Wire = read(body)?;
    let prompt = tokens(&wire.predictions).map(Tokens);
    Ok(Embedded {
        vectors: wire.predictions.into_iter().map(|one| one.embeddings.values).collect(),
        usage: prompt.map(|prompt| Usage { prompt, ..Usage::default() }),
    })
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Predicted,
}

#[derive(Deserialize)]
struct Predicted {
    values: Vec<f32>,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    token_count: Option<u64>,
}

/// What they count, if all do.
fn tokens(predictions: &[Prediction]) -> Option<u64> {
    predictions.iter().map(|one| one.embeddings.statistics.as_ref()?.token_count).sum()
}

/// The same of the JSON text of a `predictions` member.
pub(crate) fn tokens_of_predictions(predictions: &str) -> Option<u64> {
    tokens(&serde_json::from_str::<Vec<Prediction>>(predictions).ok()?)
}

/// How many pictures are in such a member: Imagen answers so.
pub(crate) fn pictures_of_predictions(predictions: &str) -> u64 {
    #[derive(Deserialize)]
    struct Picture {
        #[serde(rename = "bytesBase64Encoded")]
        bytes: Option<IgnoredAny>,
        #[serde(rename = "gcsUri")]
        uri: Option<IgnoredAny>,
    }
    let all: Vec<Picture> = serde_json::from_str(predictions).unwrap_or_default();
    all.iter().filter(|one| one.bytes.is_some() || one.uri.is_some()).count() as u64
}

fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, BadReply> {
    serde_json::from_slice(body).map_err(BadReply::from)
}
