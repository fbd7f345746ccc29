//! Sources of an answer's words, as OpenAI annotates them, and as LiteLLM repeats what Anthropic says
//! of them.

use serde_json::{Value, json};

use crate::form::{self, Citation};

/// Those of a list that name an address; what else there is means nothing to other dialects. An empty
/// range says nothing of the words.
pub(super) fn read(annotations: Option<Value>) -> Vec<Citation> {
    let Some(Value::Array(all)) = annotations else { return Vec::new() };
    let read = |annotation: &Value| {
        let cited = annotation.get("url_citation")?;
        let text = |name: &str| Some(cited[name].as_str()?.to_owned());
        let (start, end) = (cited["start_index"].as_u64(), cited["end_index"].as_u64());
        let words = start.zip(end).map(|(start, end)| start..end).filter(|words| !words.is_empty());
        let (title, url) = (text("title").unwrap_or_default(), text("url"));
        Some(Citation { words, title, url, ..Citation::default() })
    };
    all.iter().filter_map(read).collect()
}

/// `None` for a source without an address, of which OpenAI has no form. Clients' schemas ask for
/// numbers even where the words are not known: then they are those of no words.
pub(super) fn write(citation: &Citation) -> Option<Value> {
    let words = citation.words.clone().unwrap_or_default();
    let (title, url) = (&citation.title, citation.url.as_ref()?);
    let cited =
        json!({"start_index": words.start, "end_index": words.end, "title": title, "url": url});
    Some(json!({"type": "url_citation", "url_citation": cited}))
}

/// What Anthropic says of the sources of `text`, a list for each block of words, as LiteLLM's clients
/// find it in `provider_specific_fields.citations`.
pub(super) fn blocks(text: &str, citations: &[Citation]) -> Vec<Value> {
    let all = citations.iter().filter(|citation| citation.anthropic.is_some());
    let all: Vec<&Citation> = all.collect();
    let blocks = all.chunk_by(|one, other| one.words == other.words);
    let block = |cited: &[&Citation]| {
        let words = cited[0].words.as_ref().and_then(|words| form::bytes(text, words));
        let words = words.map_or("", |words| &text[words]);
        let said = |citation: &&Citation| {
            let mut said = original(citation)?;
            said["supported_text"] = words.into();
            Some(said)
        };
        cited.iter().filter_map(said).collect()
    };
    blocks.map(block).collect()
}

/// What Anthropic says of a source.
pub(super) fn original(citation: &Citation) -> Option<Value> {
    let said = serde_json::from_str(citation.anthropic.as_ref()?.text());
    Some(said.expect("it was parsed before"))
}
