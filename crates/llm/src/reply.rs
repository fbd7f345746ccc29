//! A whole answer: the provider's bytes and the few facts a gateway needs of them.

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::anthropic;
use crate::endpoint::{Dialect, Endpoint, Stamp};
use crate::estimate::{output_text, tokens_in, words_of};
use crate::form::{Reply, ToolNames, Vectors};
use crate::gemini;
use crate::json::{self, Span, splice_string, string};
use crate::openai;
use crate::request::ChatRequest;
use crate::tier::Tier;
use crate::tool_models::of_author;
use crate::usage;

/// Why bytes are not a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// Not UTF-8, so not JSON.
    #[error("the reply is not UTF-8")]
    NotUtf8,
    /// Not one whole JSON object.
    #[error("the reply is not a JSON object: {reason}")]
    NotAnObject {
        /// The parser's words.
        reason: String,
    },
    /// One that breaks off, for all that is known.
    #[error("the reply does not say why it ended")]
    Unended,
    /// A call of nobody knows what.
    #[error("the reply calls a tool without its name")]
    Unnamed,
    /// One with something in it that the client's dialect has no form for.
    #[error("the reply holds {what}, which {route} has no form for")]
    Untold {
        /// What it is.
        what: &'static str,
        /// What the client asked.
        route: &'static str,
    },
    /// An object without what was asked for.
    #[error("the reply has no answer in it")]
    Empty,
}

impl From<serde_json::Error> for BadReply {
    fn from(error: serde_json::Error) -> Self {
        // Nothing at all, such as the body of a 204.
        if error.is_eof() && (error.line(), error.column()) == (1, 0) {
            return Self::Empty;
        }
        Self::NotAnObject { reason: json::why(&error) }
    }
}

/// A provider's answer to a request that did not stream: its bytes where the client speaks the
/// same dialect, else the common form.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatReply {
    body: Body,
    id: Option<Box<str>>,
    usage: Option<Usage>,
    /// What its bytes are to tell of usage, where the provider told nothing.
    told: Option<Usage>,
    tier: Option<Tier>,
}

#[derive(Debug, Clone, PartialEq)]
enum Body {
    Bytes {
        /// Whose words they are.
        dialect: Dialect,
        bytes: Bytes,
        /// Where the model is named.
        model: Option<Span>,
        /// What a model wrote.
        output: Option<Span>,
    },
    Form(Box<Reply>),
    Vectors(Box<Vectors>),
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    /// What was heard.
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    /// What was used to write a picture.
    #[serde(borrow)]
    svg_usage: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
}

impl ChatReply {
    /// Reads the facts of an answer in OpenAI's dialect; keeps the bytes.
    ///
    /// # Errors
    /// The body is not one whole JSON object.
    pub fn parse(bytes: Bytes) -> Result<Self, BadReply> {
        let text = std::str::from_utf8(&bytes).map_err(|_| BadReply::NotUtf8)?;
        let peek: Peek<'_> = serde_json::from_str(text)?;
        let model = peek.model.map(|model| Span::of(model.get(), text));
        let output = peek.choices.or(peek.text).map(|choices| Span::of(choices.get(), text));
        let id = peek.id.and_then(|id| string(id.get())).map(|id| id.into());
        let usage = peek.usage.and_then(|usage| usage::read(usage.get()));
        let usage = match peek.svg_usage.and_then(|used| of_author(used.get())) {
            Some(part) => Some(usage.unwrap_or_default().with_part(part)),
            None => usage,
        };
        let tier = Tier::of(peek.service_tier);
        Ok(Self::of_bytes(Dialect::OpenAi, bytes, (model, output), id, usage).served_in(tier))
    }

    /// An answer whose facts have been read: where it names its model and where its text is, its id
    /// and its usage.
    pub(crate) fn of_bytes(
        dialect: Dialect,
        bytes: Bytes,
        (model, output): (Option<Span>, Option<Span>),
        id: Option<Box<str>>,
        usage: Option<Usage>,
    ) -> Self {
        let body = Body::Bytes { dialect, bytes, model, output };
        Self { body, id, usage, told: None, tier: None }
    }

    /// The same, which says in what tier it was served.
    pub(crate) fn served_in(self, tier: Option<Tier>) -> Self {
        Self { tier, ..self }
    }

    /// The same, whose client is told that it used this, as counted by the gateway.
    #[must_use]
    pub fn telling(mut self, usage: Usage) -> Self {
        match &mut self.body {
            Body::Bytes { .. } => self.told = Some(usage),
            Body::Form(reply) => reply.usage = Some(usage),
            Body::Vectors(vectors) => vectors.usage = Some(usage),
        }
        self
    }

    /// The same if there is an answer to a chat in it.
    ///
    /// # Errors
    /// There is none, though the body is an object.
    pub fn answering(self) -> Result<Self, BadReply> {
        let is_some = match &self.body {
            Body::Bytes { bytes, output: Some(span), .. } => {
                let text: &[u8] = &bytes[span.range()];
                text != b"null" && text != b"[]"
            }
            Body::Bytes { output: None, .. } => false,
            Body::Form(reply) => !reply.choices.is_empty(),
            Body::Vectors(_) => true,
        };
        if is_some { Ok(self) } else { Err(BadReply::Empty) }
    }

    /// The same for the client of `request`, who calls the tools by names of its own, if there is a
    /// form for all of it.
    ///
    /// # Errors
    /// There is none for a picture or a sound that the model has made.
    pub fn told_to(mut self, request: &ChatRequest) -> Result<Self, BadReply> {
        let endpoint = request.endpoint();
        let Body::Form(reply) = &mut self.body else { return Ok(self) };
        let mut names = ToolNames::of(request);
        let parts = reply.choices.iter_mut().flat_map(|choice| &mut choice.parts);
        parts.for_each(|part| names.restore_in(part));
        let mut parts = reply.choices.iter().flat_map(|choice| &choice.parts);
        match parts.find_map(|part| part.kind.untold(endpoint)) {
            Some(what) => Err(BadReply::Untold { what, route: endpoint.route() }),
            None => Ok(self),
        }
    }

    /// The provider's bytes, if the client is told in its words.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Bytes { bytes, .. } => Some(bytes),
            Body::Form(_) | Body::Vectors(_) => None,
        }
    }

    /// The body for a client of `endpoint`. Bytes are written with nothing changed but the model's
    /// name, and the usage if it is [`telling`](Self::telling) one; a reply that names no model is
    /// left as it is.
    #[must_use]
    pub fn write(&self, endpoint: Endpoint, stamp: Stamp<'_>) -> Bytes {
        match &self.body {
            Body::Bytes { dialect, bytes, model, .. } => {
                let named = model.map(|span| splice_string(bytes, span, stamp.model));
                let named = named.unwrap_or_else(|| bytes.clone());
                match &self.told {
                    Some(usage) => dialect.told_in_body(named, usage),
                    None => named,
                }
            }
            Body::Form(reply) => endpoint.write_reply(reply, stamp),
            Body::Vectors(vectors) => openai::write_vectors(vectors, stamp),
        }
    }

    /// One answer of the answers to the parts of a request. `None`: they are no vectors, or none.
    #[must_use]
    pub fn joined(replies: Vec<Self>) -> Option<Self> {
        let vectors = replies.into_iter().map(|reply| match reply.body {
            Body::Vectors(vectors) => Some(vectors),
            Body::Bytes { .. } | Body::Form(_) => None,
        });
        let joined = vectors.reduce(|all, more| {
            let (mut all, more) = (all?, more?);
            all.vectors.extend(more.vectors);
            all.usage = all.usage.zip(more.usage).map(|(all, more)| Usage {
                prompt: Tokens(all.prompt.0.saturating_add(more.prompt.0)),
                ..all
            });
            let estimate = all.prompt_estimate.0.saturating_add(more.prompt_estimate.0);
            all.prompt_estimate = Tokens(estimate);
            Some(all)
        });
        joined.flatten().map(|joined| Self::from(*joined))
    }

    /// The answer's id, as its provider has it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The answer's id as [`Self::write`] tells it.
    #[must_use]
    pub fn told_id(&self, endpoint: Endpoint, stamp: Stamp<'_>) -> Option<String> {
        match &self.body {
            Body::Form(reply) => Some(stamp.answer_id(endpoint, reply.id.as_deref())),
            Body::Bytes { .. } | Body::Vectors(_) => self.id().map(str::to_owned),
        }
    }

    /// What it used, if the provider said so.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage.clone()
    }

    /// The service tier it was served in, if the provider said so.
    #[must_use]
    pub fn service_tier(&self) -> Option<Tier> {
        self.tier
    }

    /// What a model wrote, for a provider that counts nothing. Reads the whole body again.
    #[must_use]
    pub fn output_text(&self) -> String {
        match &self.body {
            Body::Bytes { dialect, bytes, output: Some(span), .. } => {
                let read = match dialect {
                    Dialect::Anthropic => anthropic::output_text,
                    Dialect::Gemini => gemini::output_text,
                    Dialect::OpenAi => written,
                    Dialect::Responses => words_of,
                };
                std::str::from_utf8(&bytes[span.range()]).map_or_else(|_| String::new(), read)
            }
            Body::Bytes { output: None, .. } | Body::Vectors(_) => String::new(),
            Body::Form(reply) => reply.output_text(),
        }
    }

    /// Completion tokens guessed from the text.
    #[must_use]
    pub fn output_estimate(&self) -> Tokens {
        tokens_in(self.output_text().len() as u64)
    }
}

/// The text in `choices`, or one that was heard.
fn written(output: &str) -> String {
    if output.starts_with('"') { words_of(output) } else { output_text(output) }
}

impl From<Reply> for ChatReply {
    fn from(reply: Reply) -> Self {
        let (id, usage) = (reply.id.as_deref().map(Into::into), reply.usage.clone());
        let tier = reply.tier();
        Self { body: Body::Form(Box::new(reply)), id, usage, told: None, tier }
    }
}

impl From<Vectors> for ChatReply {
    fn from(vectors: Vectors) -> Self {
        let usage = vectors.usage.clone();
        Self { id: None, usage, told: None, tier: None, body: Body::Vectors(Box::new(vectors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = r#"{"id":"chatcmpl-1","model":"up","choices":[{"message":{"content":"12345678"},"logprob":-1.50e-2}],"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":null}}"#;

    fn written(reply: &ChatReply, model: &str) -> Bytes {
        reply.write(
            Endpoint::ChatCompletions,
            Stamp { model, id: "x", now: 1, request: "", turn: None },
        )
    }

    #[test]
    fn what_is_no_object_is_said_without_names_of_ours() {
        for body in ["null", "[]", "\"x\"", "5"] {
            let bad = ChatReply::parse(Bytes::from(body)).expect_err(body).to_string();
            let words = "the reply is not a JSON object: invalid";
            assert!(bad.starts_with(words) && bad.contains("expected an object"), "{bad}");
            assert!(!bad.contains("Peek"), "{bad}");
        }
    }

    #[test]
    fn what_was_used_to_write_a_picture_is_another_models() {
        let picture = r#"{"data":[],"usage":{"input_tokens":5,"output_tokens":7},
            "svg_usage":{"model":"a","input_tokens":9,"output_tokens":70}}"#;
        let usage = ChatReply::parse(Bytes::from(picture)).expect("a reply").usage();
        let usage = usage.expect("it counts");
        let told: Vec<_> =
            usage.parts.iter().map(|part| (&*part.model, part.prompt, part.completion)).collect();
        assert_eq!(told, [("a", Tokens(9), Tokens(70))]);
        assert_eq!((usage.prompt, usage.completion), (Tokens(5), Tokens(7)));
    }

    #[test]
    fn only_the_models_name_changes() {
        let body = Bytes::from(REPLY);
        let reply = ChatReply::parse(body.clone()).expect("a reply");
        assert_eq!(written(&reply, "mine"), REPLY.replace("\"up\"", "\"mine\""));
        assert_eq!(written(&reply, "up").as_ptr(), body.as_ptr(), "not copied");
        assert_eq!(reply.id(), Some("chatcmpl-1"));
        let usage = Usage { prompt: Tokens(9), completion: Tokens(3), ..Usage::default() };
        assert_eq!((reply.usage(), reply.output_estimate()), (Some(usage), Tokens(2)));
    }

    #[test]
    fn what_was_counted_here_is_told_in_the_providers_words() {
        let usage = Usage { prompt: Tokens(9), completion: Tokens(3), ..Usage::default() };
        let body = r#"{"model":"up","usage":null,"choices":[{"message":{"content":"hi"}}]}"#;
        let reply = ChatReply::parse(Bytes::from(body)).expect("a reply").telling(usage.clone());
        assert_eq!((reply.usage(), reply.output_estimate()), (None, Tokens(1)), "still a guess");
        assert_eq!(
            written(&reply, "mine"),
            r#"{"model":"mine","choices":[{"message":{"content":"hi"}}],"usage":{"completion_tokens":3,"prompt_tokens":9,"total_tokens":12}}"#
        );
        let body = r#"{"candidates":[{"content":{"parts":[{"text":"12345678"}]}}]}"#;
        let reply = gemini::pass_reply(Bytes::from(body)).expect("a reply").telling(usage);
        assert_eq!(reply.output_estimate(), Tokens(2));
        let told: serde_json::Value = serde_json::from_slice(&written(&reply, "m")).expect("JSON");
        assert_eq!(told["usageMetadata"]["totalTokenCount"], 12);
    }

    #[test]
    fn a_reply_without_the_usual_facts_is_still_a_reply() {
        for body in ["{}", r#"{"model":null,"usage":null,"id":7}"#, r#"{"usage":{"x":1}}"#] {
            let reply = ChatReply::parse(Bytes::from(body)).expect(body);
            assert_eq!(
                (reply.usage(), reply.id(), written(&reply, "m")),
                (None, None, Bytes::from(body))
            );
        }
        for body in ["", "[]", r#"{"model":"#, "<html>"] {
            assert!(ChatReply::parse(Bytes::from(body)).is_err(), "{body}");
        }
    }
}
