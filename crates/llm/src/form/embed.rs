//! Vectors for texts, as they are asked for and as they come.

use dunlin_types::{Tokens, Usage};

use crate::endpoint::Endpoint;
use crate::form::Json;
use crate::parse::BadRequest;

/// What a client wants vectors for.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Embed {
    /// One vector for each, in this order. At least one.
    pub inputs: Vec<Input>,
    /// How long the vectors are to be.
    pub dimensions: Option<u64>,
    /// How the client wants to read them; no matter of the provider's.
    pub encoding: Encoding,
    /// Who the client says its user is.
    pub user: Option<String>,
    /// Fields without a word here, in the order they came.
    pub other: Vec<(String, Json)>,
}

impl Embed {
    /// The inputs as texts, for a provider that takes nothing else.
    ///
    /// # Errors
    /// One is a list of tokens, which only its own tokenizer could read.
    pub fn texts(&self) -> Result<Vec<&str>, BadRequest> {
        let texts = self.inputs.iter().map(|input| match input {
            Input::Text(text) => Ok(text.as_str()),
            Input::Tokens(_) => Err(BadRequest::Invalid {
                route: Endpoint::Embeddings.route(),
                name: "input".to_owned(),
                expected: "a text or a list of texts: this model takes no token ids",
            }),
        });
        texts.collect()
    }
}

/// What becomes one vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Words.
    Text(String),
    /// The ids that a tokenizer made of words.
    Tokens(Vec<u32>),
}

/// How a vector is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// A list of numbers.
    #[default]
    Floats,
    /// The base64 of its numbers, four bytes each, the least first.
    Base64,
}

/// The vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// In the order of the inputs.
    pub vectors: Vec<Vec<f32>>,
    /// How the client wants to read them: [`ChatRequest::vector_encoding`](crate::ChatRequest).
    pub encoding: Encoding,
    /// What the provider counts.
    pub usage: Option<Usage>,
    /// What the texts are taken for where it counts nothing:
    /// [`ChatRequest::prompt_estimate`](crate::ChatRequest).
    pub prompt_estimate: Tokens,
}
