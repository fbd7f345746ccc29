//! Sources of an answer's words, as OpenAI annotates them.

use serde_json::{Value, json};

use crate::form::Citation;

/// Those of a list that name an address; what else there is means nothing to other dialects.
pub(super) fn read(annotations: Option<Value>) -> Vec<Citation> {
    let Some(Value::Array(all)) = annotations else { return Vec::new() };
    let read = |annotation: &Value| {
        let cited = annotation.get("url_citation")?;
        let text = |name: &str| cited[name].as_str().unwrap_or_default().to_owned();
        let (start, end) = (cited["start_index"].as_u64(), cited["end_index"].as_u64());
        let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
        Some(Citation { start, end, title: text("title"), url: text("url") })
    };
    all.iter().filter_map(read).collect()
}

pub(super) fn write(citation: &Citation) -> Value {
    let Citation { start, end, title, url } = citation;
    let cited = json!({"start_index": start, "end_index": end, "title": title, "url": url});
    json!({"type": "url_citation", "url_citation": cited})
}
