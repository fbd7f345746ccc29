//! Sources of an answer's words. Anthropic cuts its words into blocks of text: what a block cites is
//! where all its words come from.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::edit;
use crate::form::{self, Citation, Json};

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    cited_text: String,
    title: Option<String>,
    document_title: Option<String>,
    /// Of a search of the web.
    url: Option<String>,
    /// Of results that the client gave.
    source: Option<String>,
}

#[derive(Deserialize)]
struct WireBlock {
    r#type: String,
    #[serde(default)]
    text: String,
    citations: Option<Vec<Json>>,
}

/// What a block says of a source; `words` are the block's.
pub(super) fn read(said: Json, words: std::ops::Range<u64>) -> Option<Citation> {
    let wire: Wire = serde_json::from_str(said.text()).ok()?;
    Some(Citation {
        words: Some(words).filter(|words| !words.is_empty()),
        title: wire.title.or(wire.document_title).unwrap_or_default(),
        url: wire.url.or(wire.source),
        quote: wire.cited_text,
        anthropic: Some(said),
    })
}

/// The sources of a whole answer's words.
pub(super) fn read_all(content: &RawValue) -> Vec<Citation> {
    // Few answers cite, and others need not be read again.
    if !content.get().contains("\"citations\"") {
        return Vec::new();
    }
    let raws: Vec<&RawValue> = serde_json::from_str(content.get()).unwrap_or_default();
    let (mut before, mut all) = (0, Vec::new());
    for raw in raws {
        let Ok(block) = serde_json::from_str::<WireBlock>(raw.get()) else { continue };
        if block.r#type != "text" {
            continue;
        }
        let end = before + block.text.chars().count() as u64;
        let said = block.citations.into_iter().flatten();
        all.extend(said.filter_map(|said| read(said, before..end)));
        before = end;
    }
    all
}

/// A source as a search of the web finds it: the form for what has an address. What is known only to
/// Anthropic's own search is empty.
pub(super) fn write(citation: &Citation) -> Value {
    if let Some(said) = &citation.anthropic {
        return serde_json::from_str(said.text()).expect("it was parsed before");
    }
    json!({
        "type": "web_search_result_location",
        "cited_text": citation.quote,
        "encrypted_index": "",
        "title": citation.title,
        "url": citation.url.as_deref().unwrap_or_default(),
    })
}

/// The blocks of one text of an answer, which begins `before` characters into all of its text, cut so
/// that each has the sources of its own words. Sources of which the words are not known are the last
/// one's.
pub(super) fn blocks(text: &str, before: u64, is_last: bool, citations: &[Citation]) -> Vec<Value> {
    let end = before + text.chars().count() as u64;
    let known = citations.iter().filter_map(|citation| Some((citation.words.clone()?, citation)));
    let known: Vec<_> =
        known.filter(|(words, _)| words.start < end && words.end > before).collect();
    let edges = known.iter().flat_map(|(words, _)| [words.start, words.end]);
    let mut edges: Vec<u64> = edges.map(|edge| edge.clamp(before, end)).collect();
    edges.extend([before, end]);
    edges.sort_unstable();
    edges.dedup();
    let mut blocks: Vec<Value> = Vec::new();
    for pair in edges.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let bytes = form::bytes(text, &(from - before..to - before));
        let mut block = json!({"type": "text", "text": bytes.map_or(text, |bytes| &text[bytes])});
        let cited = known.iter().filter(|(words, _)| words.start <= from && words.end >= to);
        let cited: Vec<Value> = cited.map(|(_, citation)| write(citation)).collect();
        if !cited.is_empty() {
            block["citations"] = cited.into();
        }
        blocks.push(block);
    }
    let vague = citations.iter().filter(|citation| is_last && citation.words.is_none());
    let vague: Vec<Value> = vague.map(write).collect();
    if let (false, Some(block)) = (vague.is_empty(), blocks.last_mut()) {
        let mut cited = block["citations"].as_array().cloned().unwrap_or_default();
        cited.extend(vague);
        block["citations"] = cited.into();
    }
    blocks
}

/// A request without the sources that answers of other providers named: [`write`] leaves empty what
/// only Anthropic's own search knows, and its API refuses that. The same `Bytes` without any.
pub(super) fn without_foreign_sources(body: Bytes) -> Bytes {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Block {
        citations: Option<Vec<Named>>,
    }
    #[derive(Deserialize)]
    struct Named {
        encrypted_index: Option<String>,
    }
    if memchr::memmem::find(&body, b"\"encrypted_index\"").is_none() {
        return body;
    }
    let messages = edit::member(&body, "messages").map(serde_json::from_str::<Vec<Message<'_>>>);
    let mut paths = Vec::new();
    for (at, message) in messages.and_then(Result::ok).into_iter().flatten().enumerate() {
        let content = message.content.map(|content| content.get());
        let blocks = content.map(serde_json::from_str::<Vec<Block>>).and_then(Result::ok);
        for (number, block) in blocks.into_iter().flatten().enumerate() {
            let mut named = block.citations.into_iter().flatten();
            if named.any(|cited| cited.encrypted_index.as_deref() == Some("")) {
                paths.push(format!("messages[{at}].content[{number}].citations"));
            }
        }
    }
    edit::without(body, &paths)
}
