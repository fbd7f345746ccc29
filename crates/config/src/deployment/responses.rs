//! Which models are asked for responses and for nothing else, as is published.

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_prices::{Asked, Mode, Table};

/// Whose published mode tells it: others serve chats beside, or are not asked in OpenAI's words.
const TELLING: [&str; 3] = ["azure", "azure_ai", "openai"];

/// Whether this model is one.
pub(super) fn are_all(table: &Table, asked: &Asked<'_>) -> bool {
    let mode = table.find(asked).and_then(|facts| facts.mode);
    TELLING.contains(&asked.provider) && mode == Some(Mode::Responses)
}

/// Of a model with stars: those of its provider's that are.
pub(super) fn some(table: &Table, asked: &Asked<'_>) -> Arc<BTreeSet<Arc<str>>> {
    let many = asked.model.contains('*') && TELLING.contains(&asked.provider);
    let models = many.then(|| table.models_of(asked.provider)).into_iter().flatten();
    let found = models.filter(|(_, facts)| facts.mode == Some(Mode::Responses));
    Arc::new(found.map(|(model, _)| model.into()).collect())
}
