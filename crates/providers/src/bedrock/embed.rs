//! Vectors by InvokeModel, whose bodies are the models' own: Titan takes one text in a call, Cohere
//! many.

use bytes::Bytes;
use dunlin_llm::form::{Embed, Vectors};
use dunlin_llm::{BadReply, BadRequest, ChatRequest, Endpoint};
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::json;

use super::model;
use crate::body::Body;

/// As many texts as OpenAI takes in one request; each is a call.
const MAX_TEXTS: usize = 2048;

pub(super) fn write(embed: &Embed, id: &str) -> Result<Bytes, BadRequest> {
    let (mut body, texts) = (Body::default(), embed.texts()?);
    if model::is_of("cohere", id) {
        body.put("texts", texts);
        body.put("input_type", "search_document");
        body.put_some("output_dimension", embed.dimensions);
    } else {
        let [text] = &texts[..] else {
            let (route, name) = (Endpoint::Embeddings.route(), "input".to_owned());
            return Err(BadRequest::Invalid { route, name, expected: "one text for this model" });
        };
        body.put("inputText", *text);
        // The first Titan has no choice of lengths.
        body.put_some("dimensions", embed.dimensions.filter(|_| !id.contains("embed-text-v1")));
    }
    for (name, json) in &embed.other {
        body.put(name, json.value());
    }
    Ok(body.finish())
}

/// One request for each text, of a model that takes one.
pub(super) fn split(
    request: &ChatRequest,
    embed: &Embed,
    id: &str,
) -> Result<Vec<ChatRequest>, BadRequest> {
    let texts = embed.texts()?;
    if model::is_of("cohere", id) || texts.len() < 2 {
        return Ok(Vec::new());
    }
    if texts.len() > MAX_TEXTS {
        let (route, name) = (Endpoint::Embeddings.route(), "input".to_owned());
        return Err(BadRequest::Invalid { route, name, expected: "2048 texts at most" });
    }
    let one = |text: &&str| request.changed_by(&json!({ "input": text }).to_string());
    texts.iter().map(one).collect()
}

#[derive(Deserialize)]
struct Titan {
    embedding: Vec<f32>,
    #[serde(rename = "inputTextTokenCount")]
    tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Cohere {
    embeddings: ByType,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ByType {
    Floats(Vec<Vec<f32>>),
    Named { float: Vec<Vec<f32>> },
}

pub(super) fn read(body: &[u8], request: &ChatRequest, id: &str) -> Result<Vectors, BadReply> {
    let (vectors, tokens) = if model::is_of("cohere", id) {
        let wire: Cohere = serde_json::from_slice(body)?;
        let (ByType::Floats(vectors) | ByType::Named { float: vectors }) = wire.embeddings;
        (vectors, None)
    } else {
        let wire: Titan = serde_json::from_slice(body)?;
        (vec![wire.embedding], wire.tokens)
    };
    let usage = |tokens| Usage { prompt: Tokens(tokens), ..Usage::default() };
    Ok(Vectors {
        vectors,
        encoding: request.vector_encoding().unwrap_or_default(),
        usage: tokens.map(usage),
        prompt_estimate: request.prompt_estimate(),
    })
}
