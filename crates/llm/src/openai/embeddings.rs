//! OpenAI's embeddings: the request read into the common form, the answer written from it.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::chat::{invalid, read_members, value};
use crate::answers::COUNT;
use crate::endpoint::{Endpoint, Stamp};
use crate::fields::{self, Label, role};
use crate::form::{Embed, Encoding, Input, Vectors};
use crate::json::{Member, string};
use crate::parse::BadRequest;

/// Reads the body of a request for vectors.
///
/// # Errors
/// The input is neither texts nor tokens, or a parameter is not what it should be.
pub(crate) fn read_embed(body: &str) -> Result<Embed, BadRequest> {
    use fields::Role as Field;
    let mut embed = Embed::default();
    for member in read_members(body).iter().filter(|member| member.value != "null") {
        match role(Endpoint::Embeddings, &member.name) {
            Field::Label(Label::Ours | Label::Foreign)
            | Field::Extra
            | Field::Dropped
            | Field::Guard
            | Field::Refused
            | Field::Model
            | Field::Stream => {}
            Field::Prompt => embed.inputs = read_inputs(member)?,
            Field::Label(Label::User | Label::SafetyIdentifier) => {
                embed.user = string(member.value).map(Into::into).or(embed.user);
            }
            Field::MaxTokens | Field::MaxCompletionTokens | Field::Choices | Field::Upstream => {
                param(&mut embed, member)?
            }
        }
    }
    Ok(embed)
}

/// How the client wants its vectors.
///
/// # Errors
/// It asks for what there is not.
pub(crate) fn read_encoding(body: &str) -> Result<Encoding, BadRequest> {
    let members = read_members(body);
    let member = members.iter().find(|member| member.name == "encoding_format");
    member.filter(|member| member.value != "null").map_or(Ok(Encoding::Floats), encoding)
}

fn param(embed: &mut Embed, member: &Member<'_>) -> Result<(), BadRequest> {
    match &*member.name {
        "dimensions" => {
            embed.dimensions = value(Endpoint::Embeddings, member, COUNT)?;
        }
        "encoding_format" => embed.encoding = encoding(member)?,
        name => {
            let json = value(Endpoint::Embeddings, member, "a JSON value")?;
            embed.other.push((name.to_owned(), json));
        }
    }
    Ok(())
}

fn encoding(member: &Member<'_>) -> Result<Encoding, BadRequest> {
    match string(member.value).as_deref() {
        Some("float") => Ok(Encoding::Floats),
        Some("base64") => Ok(Encoding::Base64),
        Some(_) | None => Err(invalid(Endpoint::Embeddings, "encoding_format", "float or base64")),
    }
}

/// A text, a list of texts, the tokens of one text, or those of several.
fn read_inputs(member: &Member<'_>) -> Result<Vec<Input>, BadRequest> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Text(String),
        Texts(Vec<String>),
        Tokens(Vec<u32>),
        ManyTokens(Vec<Vec<u32>>),
    }
    const EXPECTED: &str = "a text, a list of texts, or lists of token ids";
    let inputs: Vec<Input> = match value(Endpoint::Embeddings, member, EXPECTED)? {
        Wire::Text(text) => vec![Input::Text(text)],
        Wire::Texts(texts) => texts.into_iter().map(Input::Text).collect(),
        Wire::Tokens(tokens) => vec![Input::Tokens(tokens)],
        Wire::ManyTokens(lists) => lists.into_iter().map(Input::Tokens).collect(),
    };
    if inputs.is_empty() {
        return Err(invalid(Endpoint::Embeddings, "input", "at least one text"));
    }
    Ok(inputs)
}

#[derive(Serialize)]
struct WireAnswer<'a> {
    object: &'static str,
    data: Vec<WireVector<'a>>,
    model: &'a str,
    usage: WireUsage,
}

#[derive(Serialize)]
struct WireVector<'a> {
    object: &'static str,
    index: usize,
    embedding: Encoded<'a>,
}

#[derive(Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

struct Encoded<'a>(&'a [f32], Encoding);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Encoding::Floats => self.0.serialize(to),
            Encoding::Base64 => {
                let bytes: Vec<u8> =
                    self.0.iter().flat_map(|number| number.to_le_bytes()).collect();
                to.serialize_str(&base64(&bytes))
            }
        }
    }
}

/// Writes the answer.
pub(crate) fn write_vectors(vectors: &Vectors, stamp: Stamp<'_>) -> Bytes {
    let prompt = vectors.usage.as_ref().map_or(vectors.prompt_estimate, |usage| usage.prompt).0;
    let data = vectors.vectors.iter().enumerate().map(|(index, vector)| WireVector {
        object: "embedding",
        index,
        embedding: Encoded(vector, vectors.encoding),
    });
    let answer = WireAnswer {
        object: "list",
        data: data.collect(),
        model: stamp.model,
        usage: WireUsage { prompt_tokens: prompt, total_tokens: prompt },
    };
    Bytes::from(serde_json::to_vec(&answer).expect("numbers and texts are always JSON"))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit > three.len() { '=' } else { DIGITS[value as usize].into() });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use dunlin_types::{Tokens, Usage};

    use super::*;
    use crate::{ChatReply, parse};

    fn read(body: &str) -> Result<Embed, BadRequest> {
        parse(Endpoint::Embeddings, Bytes::from(body.to_owned()), None)?.embed_with(&[])
    }

    #[test]
    fn every_form_of_input_is_read() {
        let text = |text: &str| Input::Text(text.to_owned());
        for (input, expected) in [
            (r#""a""#, vec![text("a")]),
            (r#"["a","b"]"#, vec![text("a"), text("b")]),
            ("[1,2]", vec![Input::Tokens(vec![1, 2])]),
            ("[[1],[2,3]]", vec![Input::Tokens(vec![1]), Input::Tokens(vec![2, 3])]),
        ] {
            let embed = read(&format!(r#"{{"model":"m","input":{input}}}"#)).expect(input);
            assert_eq!(embed.inputs, expected, "{input}");
            assert_eq!(embed.texts().is_ok(), !input.contains('1'), "{input}");
        }
        for input in ["[]", "7", "[1,\"a\"]", "{}", "[-1]"] {
            assert!(read(&format!(r#"{{"model":"m","input":{input}}}"#)).is_err(), "{input}");
        }
    }

    #[test]
    fn parameters_are_kept_and_wishes_to_the_gateway_are_not() {
        let body = r#"{"model":"m","input":"a","dimensions":3,"encoding_format":"base64",
            "user":"u","input_type":"query","tags":["t"],"num_retries":1,"title":null}"#;
        let embed = read(body).expect("a request");
        assert_eq!((embed.dimensions, embed.encoding), (Some(3), Encoding::Base64));
        assert_eq!(embed.user.as_deref(), Some("u"));
        let other: Vec<&str> = embed.other.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(other, ["input_type"]);
        assert!(read(r#"{"model":"m","input":"a","encoding_format":"hex"}"#).is_err());
    }

    #[test]
    fn vectors_are_written_as_the_client_reads_them() {
        let usage = Usage { prompt: Tokens(7), ..Usage::default() };
        for (encoding, counted, expected) in [
            (
                Encoding::Floats,
                Some(usage),
                r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-0.5]},{"object":"embedding","index":1,"embedding":[0.1]}],"model":"mine","usage":{"prompt_tokens":7,"total_tokens":7}}"#,
            ),
            (
                Encoding::Base64,
                None,
                r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAL8="},{"object":"embedding","index":1,"embedding":"zczMPQ=="}],"model":"mine","usage":{"prompt_tokens":2,"total_tokens":2}}"#,
            ),
        ] {
            let vectors = Vectors {
                vectors: vec![vec![1.0, -0.5], vec![0.1]],
                encoding,
                usage: counted.clone(),
                prompt_estimate: Tokens(2),
            };
            let reply = ChatReply::from(vectors);
            let stamp = Stamp { model: "mine", id: "x", now: 1, request: "", turn: None };
            assert_eq!(reply.write(Endpoint::Embeddings, stamp), expected);
            assert_eq!((reply.usage(), reply.output_estimate()), (counted, Tokens(0)));
        }
    }
}
