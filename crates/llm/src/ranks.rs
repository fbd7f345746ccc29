//! The documents of a ranking, which clients of Cohere's form may ask back with `return_documents`.
//! Not every server sends them, and some always do; the request has them all.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::edit;
use crate::endpoint::Endpoint;
use crate::json::{Span, members};
use crate::request::{ChatRequest, Splice};

/// The field that asks for them.
pub const RETURN_DOCUMENTS: &str = "return_documents";

/// One of a ranking that is a bare list.
#[derive(Deserialize)]
struct Ranked<'a> {
    index: u64,
    #[serde(borrow, alias = "relevance_score")]
    score: &'a RawValue,
    #[serde(borrow, alias = "text")]
    document: Option<&'a RawValue>,
    meta_info: Option<Counted>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    prompt_tokens: Option<u64>,
}

/// `answer`, a ranking, in Cohere's form: SGLang's is a bare list of scores, and Infinity's documents
/// are bare texts. The same `Bytes` if it is so already, or no ranking.
#[must_use]
pub fn in_coheres_form(answer: Bytes) -> Bytes {
    let answer = of_list(&answer).unwrap_or(answer);
    edit::each(answer, "results", |result| {
        let document = edit::member(result.as_bytes(), "document")?;
        let is_text = document.starts_with('"');
        let result = Bytes::copy_from_slice(result.as_bytes());
        is_text.then(|| edit::with(result, "document", &format!("{{\"text\":{document}}}")))
    })
}

fn of_list(answer: &[u8]) -> Option<Bytes> {
    if !answer.trim_ascii_start().starts_with(b"[") {
        return None;
    }
    let ranked: Vec<Ranked<'_>> = serde_json::from_slice(answer).ok()?;
    let result = |one: &Ranked<'_>| {
        let document = one.document.map(|said| format!(",\"document\":{said}"));
        let (index, score, document) = (one.index, one.score, document.unwrap_or_default());
        format!("{{\"index\":{index},\"relevance_score\":{score}{document}}}")
    };
    let results = ranked.iter().map(result).collect::<Vec<_>>().join(",");
    let counted = ranked.iter().filter_map(|one| one.meta_info.as_ref()?.prompt_tokens);
    let used = counted.reduce(u64::saturating_add).map(|tokens| {
        format!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}")
    });
    Some(format!("{{\"results\":[{results}]{}}}", used.unwrap_or_default()).into())
}

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

    #[test]
    fn every_ranking_is_in_coheres_form() {
        for (answer, told) in [
            (
                r#"[{"score":0.90,"document":"b","index":1,"meta_info":{"id":"x","prompt_tokens":7}},
                    {"score":-1.5e-3,"index":0,"meta_info":{"prompt_tokens":5}}]"#,
                r#"{"results":[{"index":1,"relevance_score":0.90,"document":{"text":"b"}},{"index":0,"relevance_score":-1.5e-3}],"usage":{"prompt_tokens":12,"total_tokens":12}}"#,
            ),
            (
                r#"[{"index":1,"score":0.5,"text":"b"}]"#,
                r#"{"results":[{"index":1,"relevance_score":0.5,"document":{"text":"b"}}]}"#,
            ),
            (
                r#"{"object":"rerank","results":[{"relevance_score":0.5,"index":1,"document":"b"},{"index":0,"document":null}]}"#,
                r#"{"object":"rerank","results":[{"relevance_score":0.5,"index":1,"document":{"text":"b"}},{"index":0,"document":null}]}"#,
            ),
        ] {
            assert_eq!(in_coheres_form(Bytes::from(answer)), told);
        }
        for same in [r#"{"results":[{"index":0,"document":{"text":"b"}}]}"#, "[1]", "{}", "["] {
            let answer = Bytes::from(same);
            assert_eq!(in_coheres_form(answer.clone()).as_ptr(), answer.as_ptr(), "{same}");
        }
    }

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
