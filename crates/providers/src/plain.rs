//! What a chat says in OpenAI's newer words, in the older ones that a server knows.

use bytes::Bytes;
use dunlin_llm::{ChatRequest, Word, edit};
use serde::Deserialize;
use serde_json::Value;

static ALLOWED: Word = Word::new(br#""allowed_tools""#);
static CHOICE: Word = Word::new(br#""tool_choice""#);
static GUIDED: Word = Word::new(br#""guided_"#);
static PRIORITY: Word = Word::new(br#""priority""#);
static STOP: Word = Word::new(br#""stop""#);
static ANY_OBJECT: Word = Word::new(br#""json_object""#);

/// Any object, as a schema.
const OBJECT: &str =
    r#"{"type":"json_schema","json_schema":{"name":"object","schema":{"type":"object"}}}"#;

#[derive(Deserialize)]
struct Choice {
    allowed_tools: Option<Allowed>,
    function: Option<Value>,
}

#[derive(Deserialize)]
struct Allowed {
    mode: Option<String>,
    tools: Vec<Value>,
}

/// The body of a chat in which some of its tools may be called, with those alone: few servers know how
/// to be told which.
pub(crate) fn without_allowed(body: Bytes) -> Bytes {
    if !ALLOWED.is_in(&body) {
        return body;
    }
    let Some(Allowed { mode, tools }) = choice(&body).and_then(|it| it.allowed_tools) else {
        return body;
    };
    let called = |tool: &Value| ["function", "custom"].map(|kind| tool[kind]["name"].clone());
    let is_allowed = |tool: &Value| tools.iter().any(|it| called(it) == called(tool));
    only(body, is_allowed, if mode.as_deref() == Some("required") { "required" } else { "auto" })
}

/// The body of a chat that says in a word whether tools are called, and in a schema what an answer is
/// made of: LM Studio refuses the name of a tool, and `json_object`.
pub(crate) fn in_few_words(mut body: Bytes) -> Bytes {
    if CHOICE.is_in(&body)
        && let Some(named) = choice(&body).and_then(|it| it.function)
    {
        body = only(body, |tool| tool["function"]["name"] == named["name"], "required");
    }
    let is_object = |format: &str| {
        let format: Value = serde_json::from_str(format).unwrap_or_default();
        format["type"] == "json_object"
    };
    if ANY_OBJECT.is_in(&body) && edit::member(&body, "response_format").is_some_and(is_object) {
        body = edit::with(body, "response_format", OBJECT);
    }
    body
}

/// vLLM's older names for how it guides what is written, and those of the newer `structured_outputs`.
const GUIDES: [(&str, &str); 5] = [
    ("guided_choice", "choice"),
    ("guided_grammar", "grammar"),
    ("guided_json", "json"),
    ("guided_regex", "regex"),
    ("guided_whitespace_pattern", "whitespace_pattern"),
];

/// The body with what is said under vLLM's older names said under the newer one, too: a newer vLLM
/// passes over the older ones without a word, and an older one over the newer.
pub(crate) fn guided(body: Bytes) -> Bytes {
    if !GUIDED.is_in(&body) || edit::member(&body, "structured_outputs").is_some() {
        return body;
    }
    let said = GUIDES.iter().filter_map(|(older, newer)| {
        let value = edit::member(&body, older).filter(|value| *value != "null")?;
        Some(format!("\"{newer}\":{value}"))
    });
    let said = said.collect::<Vec<_>>().join(",");
    if said.is_empty() {
        body
    } else {
        edit::with(body, "structured_outputs", &format!("{{{said}}}"))
    }
}

/// The body with the priority that the client gives it: vLLM and SGLang know it, and all others are
/// sent none.
pub(crate) fn in_order(body: Bytes, request: &ChatRequest) -> Bytes {
    if !request.mentions(&PRIORITY) {
        return body;
    }
    match edit::member(request.text_as_bytes(), "priority") {
        Some(value) if value != "null" => edit::with(body, "priority", value),
        Some(_) | None => body,
    }
}

/// The body with the text at which an answer ends, if it is one, in a list: TGI takes no other form.
pub(crate) fn with_stops_listed(body: Bytes) -> Bytes {
    if !STOP.is_in(&body) {
        return body;
    }
    match edit::member(&body, "stop").filter(|stop| stop.starts_with('"')) {
        Some(stop) => {
            let list = format!("[{stop}]");
            edit::with(body, "stop", &list)
        }
        None => body,
    }
}

fn choice(body: &[u8]) -> Option<Choice> {
    serde_json::from_str(edit::member(body, "tool_choice")?).ok()
}

/// With those of the tools and the choice that is left among them. A choice of none is the server's to
/// refuse.
fn only(body: Bytes, keeps: impl Fn(&Value) -> bool, choice: &str) -> Bytes {
    let keeps = |tool: &str| serde_json::from_str(tool).is_ok_and(|tool| keeps(&tool));
    let kept = edit::each(body.clone(), "tools", |tool| (!keeps(tool)).then(Bytes::new));
    match edit::member(&kept, "tools") {
        None | Some("[]") => body,
        Some(_) => edit::with(kept, "tool_choice", &format!("\"{choice}\"")),
    }
}
