//! The documents of a ranking, which clients of Cohere's form may ask back with `return_documents`.
//! Not every server sends them, and some always do; the request has them all.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::edit;
use crate::endpoint::Endpoint;
use crate::json::{Span, members};
use crate::request::{ChatRequest, Splice};

/// The field that asks for them.
pub const RETURN_DOCUMENTS: &str = "return_documents";

impl ChatRequest {
    /// `answer`, a ranking in Cohere's form, with the document of each result if this asks for them,
    /// and without if it asks for none. The same `Bytes` if it is so already, if this does not say, or
    /// if it is no ranking. Each document is given once: no answer makes more of a request than it is.
    #[must_use]
    pub fn with_documents(&self, answer: Bytes) -> Bytes {
        if self.endpoint() != Endpoint::Rerank || !self.has(RETURN_DOCUMENTS) {
            return answer;
        }
        match self.member(RETURN_DOCUMENTS) {
            Some("true") => self.filled(&answer).unwrap_or(answer),
            Some("false") => edit::without(answer, &["results[*].document"]),
            _ => answer,
        }
    }

    /// True if a ranking is asked in words that only Cohere's first version knows: parts of
    /// documents, or documents that are objects.
    #[must_use]
    pub fn ranks_parts(&self) -> bool {
        let chunks = self.has("max_chunks_per_doc") && !self.has("max_tokens_per_doc");
        let is_object = |document: &&RawValue| document.get().starts_with('{');
        chunks || self.has("rank_fields") || self.documents().iter().any(is_object)
    }

    fn documents(&self) -> Vec<&RawValue> {
        let documents = self.member("documents").map(serde_json::from_str);
        documents.and_then(Result::ok).unwrap_or_default()
    }

    fn filled(&self, answer: &Bytes) -> Option<Bytes> {
        let text = std::str::from_utf8(answer).ok()?;
        let results: Vec<&RawValue> =
            serde_json::from_str(edit::member(answer, "results")?).ok()?;
        let mut documents: Vec<_> = self.documents().into_iter().map(Some).collect();
        let mut body = Splice::of(answer, self.body.len());
        for result in results {
            let said = members(result.get()).ok()?;
            let value = |name: &str| said.iter().find(|member| member.name == name);
            let index = value("index").and_then(|index| index.value.parse::<usize>().ok());
            let old = value("document");
            if old.is_some_and(|document| document.value != "null") {
                continue;
            }
            let Some(document) = index.and_then(|index| documents.get_mut(index)?.take()) else {
                continue;
            };
            // Before the brace, or in the place of what is null.
            let end = Span::of(result.get(), text).end - 1;
            let at = old.map_or(Span::point(end), |old| Span::of(old.value, text));
            let out = body.replace(at);
            if old.is_none() {
                out.extend_from_slice(b",\"document\":");
            }
            let is_text = document.get().starts_with('"');
            out.extend_from_slice(if is_text { b"{\"text\":" } else { b"" });
            out.extend_from_slice(document.get().as_bytes());
            out.extend_from_slice(if is_text { b"}" } else { b"" });
        }
        Some(body.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn ranked(asked: &str, answer: &str) -> String {
        let body = format!(
            r#"{{"model":"m","query":"q","documents":["a",{{"text":"b","id":1}}]{asked}}}"#
        );
        let request = parse(Endpoint::Rerank, body.into(), None).expect("a request");
        let answer = request.with_documents(Bytes::from(answer.to_owned()));
        String::from_utf8(answer.to_vec()).expect("text")
    }

    #[test]
    fn documents_come_back_to_who_asks_for_them() {
        let bare = r#"{"id":"1","results":[{"index":1,"relevance_score":0.90},{"index":0,"document":null}, {"index":7} ]}"#;
        let whole = r#"{"id":"1","results":[{"index":1,"relevance_score":0.90,"document":{"text":"b","id":1}},{"index":0,"document":{"text":"a"}}, {"index":7} ]}"#;
        let (yes, no) = (r#","return_documents":true"#, r#","return_documents":false"#);
        for (asked, answer, told) in [
            (yes, bare, whole),
            (yes, whole, whole),
            (
                no,
                whole,
                r#"{"id":"1","results":[{"index":1,"relevance_score":0.90},{"index":0}, {"index":7} ]}"#,
            ),
            (
                no,
                bare,
                r#"{"id":"1","results":[{"index":1,"relevance_score":0.90},{"index":0}, {"index":7} ]}"#,
            ),
            ("", bare, bare),
            ("", whole, whole),
            (r#","return_documents":null"#, whole, whole),
            // None of these is a ranking, and a document is given once.
            (yes, "{}", "{}"),
            (yes, r#"{"results":[1]}"#, r#"{"results":[1]}"#),
            (yes, r#"{"results":[{}]}"#, r#"{"results":[{}]}"#),
            (
                yes,
                r#"{"results":[{"index":0},{"index":0}]}"#,
                r#"{"results":[{"index":0,"document":{"text":"a"}},{"index":0}]}"#,
            ),
        ] {
            assert_eq!(ranked(asked, answer), told, "{asked} {answer}");
        }
    }
}
