//! OpenAI's batches, as far as what they used is to be known: the batch itself, and the lines of
//! its output, each of which holds a whole answer.

use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answers::{choices, prompts_in};
use crate::bound::BOUND_NAMES;
use crate::estimate::{prompt_tokens, tokens_in, words_in};
use crate::json::{Member, members, string};
use crate::{edit, usage};

mod beside;
mod labels;
mod lines;
pub mod passed;

pub use beside::Beside;
pub use labels::{BadBatch, BadLine, Hearing, LabelSet, LineLabels, MAX_SETS, Shape};
pub use lines::{Line, Lines};

/// What a batch is to which nothing will be added: in OpenAI's words, and in Mistral's.
const OVER: [&str; 8] = [
    "completed",
    "failed",
    "expired",
    "cancelled",
    "SUCCESS",
    "FAILED",
    "TIMEOUT_EXCEEDED",
    "CANCELLED",
];

/// A batch as its provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBatch {
    /// The provider's id of it.
    pub id: String,
    /// Nothing will be added to it.
    pub finished: bool,
    /// When it was made, in seconds since 1970.
    pub created_at: Option<u64>,
    /// The file with its answers.
    pub output_file_id: Option<String>,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    /// Mistral calls it otherwise.
    #[serde(borrow, alias = "output_file")]
    output_file_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekLine<'a> {
    #[serde(borrow)]
    response: Option<PeekResponse<'a>>,
}

#[derive(Deserialize)]
struct PeekResponse<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct PeekBody<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl KeptBatch {
    /// From a whole batch. `None`: it is none.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let peek: Peek<'_> = serde_json::from_slice(body).ok()?;
        let text = |value: Option<&RawValue>| Some(string(value?.get())?.into_owned());
        let status = text(peek.status)?;
        Some(Self {
            id: text(peek.id)?,
            finished: OVER.contains(&&*status),
            created_at: peek.created_at.and_then(|at| at.get().parse().ok()),
            // Azure's is an empty text where there is none.
            output_file_id: text(peek.output_file_id).filter(|id| !id.is_empty()),
        })
    }
}

/// What the answer in one line of an output used, and whether that is only estimated. `None`: no
/// model answered there.
#[must_use]
pub fn used_in_line(line: &[u8]) -> Option<(Usage, bool)> {
    let line: PeekLine<'_> = serde_json::from_slice(line).ok()?;
    let text = line.response?.body.get();
    let body: PeekBody<'_> = serde_json::from_str(text).ok()?;
    let counted = body.usage.and_then(|counted| usage::read(counted.get()));
    if let Some(counted) = counted.and_then(Usage::if_credible) {
        return Some((counted, false));
    }
    if body.error.is_some_and(|error| error.get() != "null") {
        return None;
    }
    let completion = tokens_in(words_in(text));
    Some((Usage { completion, ..Usage::default() }, true))
}

/// What one line of an input asks for, estimated: its prompt, and the longest answers that it allows
/// itself by any of the names of that. A line that is none asks for nothing.
#[must_use]
pub fn asked_in_line(line: &[u8]) -> Tokens {
    let Some(body) = edit::member(line, "body") else { return Tokens(0) };
    let (mut longest, mut answers, mut prompts) = (0_u64, 1, 1);
    for Member { name, value } in members(body).unwrap_or_default() {
        match &*name {
            name if BOUND_NAMES.contains(&name) => {
                longest = longest.max(value.parse().unwrap_or_default());
            }
            "n" | "best_of" => answers = answers.max(choices(value).unwrap_or(1)),
            // Each prompt of a completion is answered.
            "prompt" => prompts = prompts_in(value),
            _ => {}
        }
    }
    let most = longest.saturating_mul(answers.into()).saturating_mul(prompts.into());
    Tokens(prompt_tokens(body.as_bytes()).0.saturating_add(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_asks_for_its_prompt_and_for_the_answers_that_it_allows() {
        let asked = |body: &str| asked_in_line(format!(r#"{{"body":{body}}}"#).as_bytes()).0;
        let prompt = asked(r#"{"messages":[{"role":"user","content":"hello"}]}"#);
        assert!((5..30).contains(&prompt), "{prompt}");
        let limited = asked(r#"{"messages":[],"max_tokens":500,"n":2}"#);
        assert!((1000..1030).contains(&limited), "{limited}");
        assert!(asked(r#"{"input":"x","max_output_tokens":70}"#) >= 70);
        assert!(asked(r#"{"messages":[],"max_tokens":"many"}"#) < 30, "its provider refuses it");
        let unread = r#"{"messages":[],"max_tokens":500,"max_output_tokens":"x","n":-1}"#;
        assert!(asked(unread) >= 500, "one that cannot be read is no way around another");
        assert!(asked(r#"{"prompt":["a","b"],"max_tokens":500,"best_of":2}"#) >= 2000);
        assert_eq!(asked_in_line(b"no line"), Tokens(0));
        assert_eq!(asked(r#"{"max_tokens":18446744073709551615,"n":3}"#), u64::MAX);
    }

    #[test]
    fn a_batch_says_whether_it_is_over_and_where_its_answers_are() {
        let text =
            r#"{"id":"batch_1","status":"completed","created_at":7,"output_file_id":"file-2"}"#;
        let done = KeptBatch {
            id: "batch_1".to_owned(),
            finished: true,
            created_at: Some(7),
            output_file_id: Some("file-2".to_owned()),
        };
        assert_eq!(KeptBatch::read(text.as_bytes()), Some(done.clone()));
        for over in ["failed", "expired", "cancelled"] {
            let said = KeptBatch::read(text.replace("completed", over).as_bytes());
            assert_eq!(said, Some(done.clone()), "{over}: what it has answered is charged");
        }
        let open = text.replace("completed", "in_progress").replace("\"file-2\"", "null");
        let expected = KeptBatch { finished: false, output_file_id: None, ..done };
        assert_eq!(KeptBatch::read(open.as_bytes()), Some(expected.clone()));
        let empty = open.replace("null", "\"\"");
        assert_eq!(KeptBatch::read(empty.as_bytes()), Some(expected));
        assert_eq!(KeptBatch::read(b"[]"), None);
    }

    #[test]
    fn each_line_says_what_it_used() {
        let line = |body: &str| {
            format!(r#"{{"id":"a","response":{{"status_code":200,"body":{body}}},"error":null}}"#)
        };
        let usage = |prompt, completion| Usage {
            prompt: Tokens(prompt),
            completion: Tokens(completion),
            ..Usage::default()
        };
        let cases = [
            (
                line(r#"{"usage":{"prompt_tokens":3,"completion_tokens":2}}"#),
                Some((usage(3, 2), false)),
            ),
            (line(r#"{"usage":{"input_tokens":4,"output_tokens":1}}"#), Some((usage(4, 1), false))),
            (line(r#"{"error":{"message":"no"}}"#), None),
            (r#"{"id":"a","response":null,"error":{"code":"x"}}"#.to_owned(), None),
            ("not json".to_owned(), None),
        ];
        for (line, expected) in cases {
            assert_eq!(used_in_line(line.as_bytes()), expected, "{line}");
        }
        let uncounted = line(r#"{"choices":[{"message":{"content":"good day"}}]}"#);
        let (used, estimated) = used_in_line(uncounted.as_bytes()).expect("a model answered");
        assert!(estimated && used.completion > Tokens(0), "{used:?}");
    }
}
