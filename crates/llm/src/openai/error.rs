//! Errors on the wire: the one shape that clients get, and the many that providers send.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::sse;
use crate::word::Word;
use crate::{Details, Dialect};

static ERROR: Word = Word::new(br#""error""#);
static DETAIL: Word = Word::new(br#""detail""#);
static BASE_RESP: Word = Word::new(br#""base_resp""#);

/// How much of a provider's own words is kept, in bytes.
const MAX_WORDS: usize = 4096;

/// MiniMax's numbers for what has gone wrong, and words for the same.
const MINIMAX: &[(u64, &str)] = &[
    (1001, "timeout_error"),
    (1002, "rate_limit_exceeded"),
    (1004, "invalid_api_key"),
    (1008, "insufficient_quota"),
    (1026, "content_filter"),
    (1027, "content_filter"),
    (1039, "rate_limit_exceeded"),
    (1041, "rate_limit_exceeded"),
    (2013, "invalid_request_error"),
    (2045, "rate_limit_exceeded"),
    (2049, "invalid_api_key"),
    (2056, "insufficient_quota"),
];

/// Why an answer of OpenAI's form did not end, for all that it says so where others say why it did:
/// OpenRouter and Mistral, DeepSeek, Z.ai, SGLang.
pub(super) const FAILED: [&str; 4] =
    ["abort", "error", "insufficient_system_resource", "network_error"];

/// Members that hold an answer, in whatever dialect.
const ANSWERS: &[&str] =
    &["candidates", "choices", "content", "data", "embeddings", "output", "results", "text"];

/// An error as a client sees it: `{"error":{"message","type","param","code"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// For people.
    pub message: String,
    /// On the wire `type`; `null` if there is none.
    pub kind: Option<String>,
    /// The field at fault; `null` if there is none. On authentication errors the text `None`.
    pub param: Option<String>,
    /// The HTTP status. On the wire a string, as LiteLLM has it.
    pub code: u16,
    /// Whose budget refused the request, if one did.
    pub entity: Option<Entity>,
    /// What programs act by, beside the words.
    pub details: Option<Box<Details>>,
}

/// Who an error is about: on the wire `entity_type` and `entity_id`, and nothing where it is nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entity {
    /// What it is: `key`, `team`, `user`, ...
    #[serde(rename = "entity_type")]
    pub kind: &'static str,
    /// Which one.
    #[serde(rename = "entity_id")]
    pub id: String,
}

#[derive(Serialize)]
struct Wire<'a> {
    error: WireError<'a>,
}

#[derive(Serialize)]
struct WireError<'a> {
    message: &'a str,
    r#type: Option<&'a str>,
    param: Option<&'a str>,
    code: String,
    #[serde(flatten)]
    entity: Option<&'a Entity>,
    #[serde(flatten)]
    details: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    litellm_call_id: Option<&'a str>,
}

impl ErrorBody {
    /// The JSON body.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        Bytes::from(self.append_to(Vec::new()))
    }

    /// The same, with the id of the call that failed.
    #[must_use]
    pub fn to_json_of(&self, call: &str) -> Bytes {
        Bytes::from(self.write(Vec::new(), Some(call)))
    }

    fn append_to(&self, out: Vec<u8>) -> Vec<u8> {
        self.write(out, None)
    }

    fn write(&self, mut out: Vec<u8>, call: Option<&str>) -> Vec<u8> {
        let error = WireError {
            message: &self.message,
            r#type: self.kind.as_deref(),
            param: self.param.as_deref(),
            code: self.code.to_string(),
            entity: self.entity.as_ref(),
            details: self.details.as_ref().map(|details| details.members(Dialect::OpenAi)),
            litellm_call_id: call,
        };
        serde_json::to_writer(&mut out, &Wire { error }).expect("texts are always JSON");
        out
    }
}

/// The frame that ends a stream which broke. No `[DONE]` follows it.
#[must_use]
pub(crate) fn error_frame(error: &ErrorBody) -> Bytes {
    let mut frame = error.append_to(b"data: ".to_vec());
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// An error in a provider's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamError {
    /// What it says, at most 4 KiB. Never empty.
    pub message: String,
    /// Its `type`.
    pub kind: Option<String>,
    /// Its `code`, which may be a word or a status.
    pub code: Option<String>,
    /// What it says for programs.
    pub details: Option<Box<Details>>,
}

impl UpstreamError {
    /// Reads the body of a failed request. A body of no known shape is its own message.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        if let Ok(value) = serde_json::from_slice::<Value>(body)
            && let Some(error) = Self::of(&value)
        {
            return error;
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(MAX_WORDS)]);
        let message = match text.trim() {
            "" => "the provider gave no reason",
            text => text,
        };
        Self { message: message.to_owned(), ..Self::default() }
    }

    /// The error in a body whose status says that all is well, as some servers and what stands before
    /// them answer. `None`: it is an answer, or nothing that is known.
    #[must_use]
    pub fn within(body: &[u8]) -> Option<Self> {
        // In a text the quotes would be escaped.
        if ![&ERROR, &DETAIL, &BASE_RESP].iter().any(|word| word.is_in(body)) {
            return None;
        }
        let value: Value = serde_json::from_slice(body).ok()?;
        let told = value.get(0).unwrap_or(&value);
        if let Some(failed) = Self::minimax(told).or_else(|| Self::of_choices(told)) {
            return Some(failed);
        }
        let is_error = match told.get("error") {
            Some(Value::Object(_)) => true,
            Some(Value::String(words)) => !words.is_empty(),
            // Older vLLM's, and FastAPI's.
            Some(_) | None => {
                let has_message = told.get("message").is_some_and(Value::is_object);
                let is_named = told.get("object").is_some_and(|object| object == "error");
                is_named || !has_message && told.get("detail").is_some_and(|words| !words.is_null())
            }
        };
        let answers = |name: &&str| match told.get(*name) {
            None | Some(Value::Null) => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => true,
        };
        (is_error && !ANSWERS.iter().any(answers)).then(|| Self::parse(body))
    }

    /// What MiniMax's answers say where there is none.
    fn minimax(told: &Value) -> Option<Self> {
        let said = told.get("base_resp")?;
        let number = said.get("status_code")?.as_u64().filter(|number| *number > 0)?;
        let code = MINIMAX.iter().find(|(known, _)| *known == number).map(|(_, word)| *word);
        let message = said.get("status_msg").and_then(Value::as_str).unwrap_or_default();
        let message = shortened(format!("{message} ({number})"));
        Some(Self { message, code: code.map(str::to_owned), ..Self::default() })
    }

    /// One of the choices failed.
    fn of_choices(told: &Value) -> Option<Self> {
        let word = |choice: &Value| choice.get("finish_reason")?.as_str().map(str::to_owned);
        let mut choices = told.get("choices")?.as_array()?.iter();
        choices.find_map(|choice| {
            let word = word(choice).filter(|word| FAILED.contains(&&**word))?;
            let error = choice.get("error").filter(|error| error.is_object());
            let failed = || Self { message: word, ..Self::default() };
            Some(error.and_then(Self::of).unwrap_or_else(failed))
        })
    }

    /// The error that a JSON text tells of itself, if it has words for one.
    #[must_use]
    pub fn told(text: &str) -> Option<Self> {
        serde_json::from_str::<Value>(text).ok().as_ref().and_then(Self::of)
    }

    /// The error in a chunk without choices, where MiniMax tells it.
    pub(super) fn in_empty_chunk(text: &str) -> Option<Self> {
        BASE_RESP.is_in(text.as_bytes()).then(|| Self::told(text))?
    }

    /// The error in a frame of a stream that is none of its dialect's, if it tells one.
    #[must_use]
    pub fn in_frame(frame: &[u8]) -> Option<Self> {
        let data = sse::data_lines(frame).collect::<Vec<_>>().join(&b' ');
        let told = std::str::from_utf8(&data).ok().and_then(Self::told);
        let is_named = sse::is_error(frame) && !data.is_empty();
        told.or_else(|| is_named.then(|| Self::parse(&data)))
    }

    /// From the JSON text of an object known to be an error.
    pub(crate) fn read(text: &str) -> Self {
        Self::parse(text.as_bytes())
    }

    /// OpenAI nests the error; older vLLM sends it flat; Ollama sends a string under `error`;
    /// FastAPI servers send `detail`; Google puts it into a list at times.
    fn of(value: &Value) -> Option<Self> {
        let value = value.get(0).unwrap_or(value);
        if let Some(failed) = Self::minimax(value) {
            return Some(failed);
        }
        let error = match value.get("error") {
            Some(Value::Null) | None => value,
            Some(error) => error,
        };
        match error {
            // TGI's has a type beside it.
            Value::String(message) => {
                let (message, kind) = (shortened(message.clone()), word(value.get("error_type")));
                Some(Self { message, kind, ..Self::default() })
            }
            Value::Object(fields) => {
                let words = fields.get("message").or_else(|| fields.get("detail"))?;
                let message = words.as_str().map_or_else(|| words.to_string(), Into::into);
                Some(Self {
                    message: shortened(message),
                    kind: word(fields.get("type")),
                    code: word(fields.get("code")),
                    details: Details::read(fields, value).map(Box::new),
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        }
    }
}

fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn shortened(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    words
}
