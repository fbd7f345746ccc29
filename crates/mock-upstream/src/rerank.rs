//! Ranking documents, for the dialects that have it.

use serde_json::{Value, json};

use crate::ask::Ask;
use crate::failure::Failure;
use crate::record::Recorded;

/// Understands a query and its documents, which are the same everywhere.
pub(crate) fn read(request: &Recorded) -> Result<Ask, Failure> {
    let ask = Ask::of_model(&request.body)?;
    if !ask.body["query"].is_string() {
        return Err(Failure::missing("query"));
    }
    ask.list("documents")?;
    Ok(ask)
}

/// The documents, the best first: what shares more words with the query is better.
pub(crate) fn results(ask: &Ask, with_documents: bool) -> Vec<Value> {
    let query: Vec<&str> = ask.body["query"].as_str().unwrap_or_default().split(' ').collect();
    let documents = ask.body["documents"].as_array().into_iter().flatten();
    let mut ranked: Vec<(usize, usize, &str)> = documents
        .enumerate()
        .map(|(index, document)| {
            let text = document.as_str().or(document["text"].as_str()).unwrap_or_default();
            let shared = text.split(' ').filter(|word| query.contains(word)).count();
            (shared, index, text)
        })
        .collect();
    ranked.sort_by_key(|(shared, index, _)| (usize::MAX - shared, *index));
    let most = ask.body["top_n"].as_u64().map_or(usize::MAX, |most| most as usize);
    ranked
        .into_iter()
        .take(most)
        .map(|(shared, index, text)| {
            #[expect(clippy::cast_precision_loss, reason = "a score need not be exact")]
            let score = (shared + 1) as f64 / (query.len() + 1) as f64;
            let mut result = json!({"index": index, "relevance_score": score.min(1.0)});
            if with_documents {
                result["document"] = json!({"text": text});
            }
            result
        })
        .collect()
}
