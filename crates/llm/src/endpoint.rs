//! What a client can ask for, and in which words: the one list of endpoints and dialects.

use std::sync::Arc;

use bytes::Bytes;

use crate::edit;
use crate::form::{Chat, Delta, Embed, Encoding, Reply};
use crate::openai::{self, ErrorBody};
use crate::{BadRequest, ChatRequest, anthropic, gemini, responses};

/// A family of request and reply bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Anthropic's messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// OpenAI's chat completions, and what grew around them.
    #[default]
    OpenAi,
    /// OpenAI's responses.
    Responses,
}

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A chat, streamed or not.
    ChatCompletions,
    /// A plain completion of a text, streamed or not.
    Completions,
    /// How many tokens a prompt has, in Anthropic's words.
    CountTokens,
    /// Vectors for texts.
    Embeddings,
    /// A chat in Google's form.
    GenerateContent,
    /// Pictures changed; an upload.
    ImageEdits,
    /// Pictures.
    ImageGenerations,
    /// A chat in Anthropic's words, streamed or not.
    Messages,
    /// Whether texts are harmful.
    Moderations,
    /// Documents in the order of their use for a query, in Cohere's shape.
    Rerank,
    /// A chat in OpenAI's newer form, streamed or not.
    Responses,
    /// Sound of a text.
    Speech,
    /// A chat in Google's form, streamed.
    StreamGenerateContent,
    /// Text of a sound; an upload.
    Transcriptions,
    /// English text of a sound; an upload.
    Translations,
}

/// What the gateway itself puts on an answer in another dialect than its provider's.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The model's name for the client.
    pub model: &'a str,
    /// For an answer whose provider gave it no id.
    pub id: &'a str,
    /// Seconds since 1970, for one whose provider did not say when it was made.
    pub now: u64,
    /// The body of the request, parts of which a response repeats.
    pub request: &'a str,
    /// For a response, which turn of which conversation it is, if the gateway knows.
    pub turn: Option<&'a responses::Turn>,
}

impl Stamp<'_> {
    /// What a client of `endpoint` reads as the id of an answer that is written for it, whose provider
    /// calls it `given`.
    #[must_use]
    pub fn answer_id(self, endpoint: Endpoint, given: Option<&str>) -> String {
        let prefix = match endpoint {
            Endpoint::ChatCompletions => "chatcmpl-",
            Endpoint::Completions => "cmpl-",
            Endpoint::Messages => "msg_",
            Endpoint::Responses => "resp_",
            Endpoint::GenerateContent
            | Endpoint::StreamGenerateContent
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::ImageEdits
            | Endpoint::ImageGenerations
            | Endpoint::Moderations
            | Endpoint::Rerank
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations => "",
        };
        // A response that no provider keeps is called as the gateway finds it again.
        let is_response = endpoint == Endpoint::Responses;
        let stored = self.turn.and_then(|turn| turn.id.as_deref());
        let given = if is_response { stored } else { given };
        given.map_or_else(|| format!("{prefix}{}", self.id), str::to_owned)
    }
}

/// Turns the pieces of a stream into a client's frames.
pub trait StreamWriter: Send {
    /// Appends the frames that `delta` makes.
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>);

    /// Appends the frames that end a whole stream.
    fn finish(&mut self, out: &mut Vec<u8>);
}

impl Endpoint {
    /// Whose words its bodies are.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::ImageEdits
            | Self::ImageGenerations
            | Self::Moderations
            | Self::Rerank
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => Dialect::OpenAi,
            Self::CountTokens | Self::Messages => Dialect::Anthropic,
            Self::GenerateContent | Self::StreamGenerateContent => Dialect::Gemini,
            Self::Responses => Dialect::Responses,
        }
    }

    /// The route as error messages name it, whatever prefix the client used.
    #[must_use]
    pub fn route(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Embeddings => "/embeddings",
            Self::GenerateContent => "generateContent",
            Self::ImageEdits => "/images/edits",
            Self::ImageGenerations => "/images/generations",
            Self::Messages => "/v1/messages",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Responses => "/responses",
            Self::Speech => "/audio/speech",
            Self::StreamGenerateContent => "streamGenerateContent",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
        }
    }

    /// What the line of a batch asks for that is for this `url`, if that is known here.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        const IN_BATCHES: [Endpoint; 6] = [
            Endpoint::ChatCompletions,
            Endpoint::Completions,
            Endpoint::Embeddings,
            Endpoint::ImageGenerations,
            Endpoint::Moderations,
            Endpoint::Responses,
        ];
        let path = url.strip_prefix("/v1").unwrap_or(url);
        IN_BATCHES.into_iter().find(|endpoint| endpoint.route() == path)
    }

    /// What it is called in LiteLLM's spend logs.
    #[must_use]
    pub fn call_type(self) -> &'static str {
        match self {
            Self::ChatCompletions => "acompletion",
            Self::Completions => "atext_completion",
            Self::CountTokens => "acount_tokens",
            Self::Embeddings => "aembedding",
            Self::GenerateContent => "agenerate_content",
            Self::ImageEdits => "aimage_edit",
            Self::ImageGenerations => "aimage_generation",
            Self::Messages => "anthropic_messages",
            Self::Moderations => "amoderation",
            Self::Rerank => "arerank",
            Self::Responses => "aresponses",
            Self::Speech => "aspeech",
            Self::StreamGenerateContent => "agenerate_content_stream",
            Self::Transcriptions => "atranscription",
            Self::Translations => "atranslation",
        }
    }

    /// True if a model writes an answer, which can be streamed and bridged to other chats.
    #[must_use]
    pub fn is_chat(self) -> bool {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::GenerateContent
            | Self::Messages
            | Self::Responses
            | Self::StreamGenerateContent => true,
            Self::CountTokens
            | Self::Embeddings
            | Self::ImageEdits
            | Self::ImageGenerations
            | Self::Moderations
            | Self::Rerank
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => false,
        }
    }

    /// True if its answers tell what was used, whoever has counted it.
    #[must_use]
    pub fn tells_usage(self) -> bool {
        self.is_chat() || self == Self::Embeddings
    }

    /// True if clients skip the comments of a stream. Google's SDKs take them for answers.
    #[must_use]
    pub fn takes_comments(self) -> bool {
        self.dialect() != Dialect::Gemini
    }

    /// What keeps a silent stream's connection open and says nothing; `None` where clients take
    /// everything for an answer.
    #[must_use]
    pub fn ping(self) -> Option<Bytes> {
        match self.dialect() {
            _ if !self.is_chat() => None,
            Dialect::Anthropic => {
                Some(Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"))
            }
            Dialect::OpenAi | Dialect::Responses => Some(Bytes::from_static(b": ping\n\n")),
            Dialect::Gemini => None,
        }
    }

    /// True if an answer may be sound, a picture or a text that is no JSON, and is then passed on as
    /// it comes.
    #[must_use]
    pub fn is_media(self) -> bool {
        match self {
            Self::ImageEdits
            | Self::ImageGenerations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => true,
            Self::ChatCompletions
            | Self::Completions
            | Self::CountTokens
            | Self::Embeddings
            | Self::GenerateContent
            | Self::Messages
            | Self::Moderations
            | Self::Rerank
            | Self::Responses
            | Self::StreamGenerateContent => false,
        }
    }

    /// True if sounds are listened to.
    #[must_use]
    pub fn hears(self) -> bool {
        matches!(self, Self::Transcriptions | Self::Translations)
    }

    /// The form field that holds the file, where bodies are uploads.
    #[must_use]
    pub fn file_field(self) -> Option<&'static str> {
        match self {
            Self::ImageEdits => Some("image"),
            Self::Transcriptions | Self::Translations => Some("file"),
            Self::ChatCompletions
            | Self::Completions
            | Self::CountTokens
            | Self::Embeddings
            | Self::GenerateContent
            | Self::ImageGenerations
            | Self::Messages
            | Self::Moderations
            | Self::Rerank
            | Self::Responses
            | Self::Speech
            | Self::StreamGenerateContent => None,
        }
    }

    /// The model that a body without one means, as OpenAI and LiteLLM have it.
    pub(crate) fn default_model(self) -> Option<&'static str> {
        match self {
            Self::ImageGenerations | Self::ImageEdits => Some("dall-e-2"),
            Self::Moderations => Some("omni-moderation-latest"),
            Self::ChatCompletions
            | Self::Completions
            | Self::CountTokens
            | Self::Embeddings
            | Self::GenerateContent
            | Self::Messages
            | Self::Rerank
            | Self::Responses
            | Self::Speech
            | Self::StreamGenerateContent
            | Self::Transcriptions
            | Self::Translations => None,
        }
    }

    /// The member without which the request asks nothing.
    pub(crate) fn prompt_field(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::CountTokens | Self::Messages => "messages",
            Self::Completions
            | Self::ImageEdits
            | Self::ImageGenerations
            | Self::Transcriptions
            | Self::Translations => "prompt",
            Self::Embeddings | Self::Moderations | Self::Responses | Self::Speech => "input",
            Self::GenerateContent | Self::StreamGenerateContent => "contents",
            Self::Rerank => "query",
        }
    }

    /// Reads the body of a chat into `chat`, which holds the defaults.
    pub(crate) fn read_chat(self, text: &str, chat: Chat) -> Result<Chat, BadRequest> {
        match self {
            Self::ChatCompletions => openai::read_chat(text, chat),
            Self::Completions => openai::read_text_prompt(text, chat),
            Self::CountTokens | Self::Messages => anthropic::read_chat(text, chat),
            Self::GenerateContent | Self::StreamGenerateContent => {
                gemini::read_chat(self, text, chat)
            }
            Self::Responses => responses::read_chat(text, chat),
            Self::Embeddings
            | Self::ImageEdits
            | Self::ImageGenerations
            | Self::Moderations
            | Self::Rerank
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => unreachable!("only a chat has a common form"),
        }
    }

    /// An answer of another dialect in this one's words.
    #[must_use]
    pub fn write_reply(self, reply: &Reply, stamp: Stamp<'_>) -> Bytes {
        match self {
            Self::ChatCompletions => openai::write_reply(reply, stamp),
            Self::Completions => openai::write_text_reply(reply, stamp),
            Self::Messages => anthropic::write_reply(reply, stamp),
            Self::GenerateContent | Self::StreamGenerateContent => {
                gemini::write_reply(reply, stamp)
            }
            Self::Responses => responses::write_reply(reply, stamp),
            Self::CountTokens
            | Self::Embeddings
            | Self::ImageEdits
            | Self::ImageGenerations
            | Self::Moderations
            | Self::Rerank
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => unreachable!("what is no chat is answered in OpenAI's words"),
        }
    }

    /// Writes a stream of another dialect in this one's words.
    #[must_use]
    pub fn stream_writer(self, stamp: Stamp<'_>, wants_usage: bool) -> Box<dyn StreamWriter> {
        match self {
            Self::ChatCompletions => Box::new(openai::ChatWriter::new(stamp, wants_usage)),
            Self::Completions => Box::new(openai::TextWriter::new(stamp, wants_usage)),
            Self::Messages => Box::new(anthropic::MessagesWriter::new(stamp)),
            Self::GenerateContent | Self::StreamGenerateContent => {
                Box::new(gemini::Writer::new(stamp))
            }
            Self::Responses => Box::new(responses::EventWriter::new(stamp)),
            Self::CountTokens
            | Self::Embeddings
            | Self::ImageEdits
            | Self::ImageGenerations
            | Self::Moderations
            | Self::Rerank
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations => unreachable!("what is no chat is answered in OpenAI's words"),
        }
    }

    /// The body of an answer that is an error.
    #[must_use]
    pub fn error_body(self, error: &ErrorBody) -> Bytes {
        match self.dialect() {
            Dialect::Anthropic => anthropic::error_body(error),
            Dialect::Gemini => gemini::error_body(error),
            Dialect::OpenAi | Dialect::Responses => error.to_json(),
        }
    }

    /// The body for who is not let in: LiteLLM's shape, whatever is spoken, but for Google's SDKs,
    /// which cannot read it: their codes are numbers.
    #[must_use]
    pub fn credential_body(self, error: &ErrorBody) -> Bytes {
        match self.dialect() {
            Dialect::Anthropic => anthropic::credential_body(error),
            Dialect::Gemini => gemini::error_body(error),
            Dialect::OpenAi | Dialect::Responses => error.to_json(),
        }
    }

    /// The frame that ends a stream which broke. Nothing that looks like an end follows it.
    #[must_use]
    pub fn error_frame(self, error: &ErrorBody) -> Bytes {
        match self.dialect() {
            Dialect::Anthropic => anthropic::error_frame(error),
            Dialect::Gemini => gemini::error_frame(error),
            Dialect::OpenAi => openai::error_frame(error),
            Dialect::Responses => responses::error_frame(error),
        }
    }
}

impl ChatRequest {
    /// The request in the common form, with each of `defaults` (name, JSON text) that the client
    /// did not send. Wishes to the gateway are not in it.
    ///
    /// # Errors
    /// A part that must be understood to be translated is not what it should be.
    ///
    /// # Panics
    /// The request is no chat: see [`Endpoint::is_chat`].
    pub fn form_with(&self, defaults: &[(Arc<str>, Arc<str>)]) -> Result<Chat, BadRequest> {
        self.form_without(&[], defaults)
    }

    /// The same, without what the paths `dropped` name: see [`edit`].
    ///
    /// # Errors
    /// As [`ChatRequest::form_with`].
    ///
    /// # Panics
    /// As [`ChatRequest::form_with`].
    pub fn form_without(
        &self,
        dropped: &[Arc<str>],
        defaults: &[(Arc<str>, Arc<str>)],
    ) -> Result<Chat, BadRequest> {
        let unsaid = defaults.iter().filter(|(name, _)| !self.says(name));
        let chat = openai::read_defaults(unsaid.map(|(name, json)| (&**name, &**json)))?;
        let chat = Chat { hides_usage: self.facts.hides_usage, ..chat };
        let body = edit::without(self.body.clone(), dropped);
        let text = text(&body);
        self.endpoint().read_chat(text, chat)
    }

    /// The request for vectors in the common form, with each of `defaults` that the client did not
    /// send.
    ///
    /// # Errors
    /// Its input or a parameter is not what it should be.
    ///
    /// # Panics
    /// The request is for something else.
    pub fn embed_with(&self, defaults: &[(Arc<str>, Arc<str>)]) -> Result<Embed, BadRequest> {
        assert_eq!(self.endpoint(), Endpoint::Embeddings, "only this asks for vectors");
        let body = self.encode_for(self.model(), defaults);
        openai::read_embed(text(&body))
    }

    /// How the client wants its vectors written.
    ///
    /// # Errors
    /// It asks for what there is not.
    pub fn vector_encoding(&self) -> Result<Encoding, BadRequest> {
        openai::read_encoding(text(&self.body))
    }
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).expect("a request was parsed from text")
}
