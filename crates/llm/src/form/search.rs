//! A search of the web that a provider does while it answers, as OpenAI's responses ask for it: chats
//! of several providers have the same thing under other names.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::form::Json;

/// Whether this is a type of the tool: it has had several.
#[must_use]
pub fn is_web_search(kind: &str) -> bool {
    kind.starts_with("web_search")
}

/// How it is to be done.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct WebSearch {
    r#type: String,
    /// How much of what is found is shown to the model: `low`, `medium` or `high`.
    pub(crate) search_context_size: Option<String>,
    user_location: Option<Map<String, Value>>,
    filters: Option<Filters>,
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
struct Filters {
    allowed_domains: Option<Vec<String>>,
}

impl WebSearch {
    /// What a tool says of it. `None`: it is another tool, or one with a date, which is Anthropic's.
    pub(crate) fn of(tool: &Json) -> Option<Self> {
        let search: Self = serde_json::from_str(tool.text()).ok()?;
        is_web_search(&search.r#type).then_some(search)
    }

    /// `city`, `country`, `region` and `timezone` of who asks, as far as they are said.
    pub(crate) fn place(&self) -> Option<Map<String, Value>> {
        let said = self.user_location.as_ref()?.iter();
        let place: Map<String, Value> = said
            .filter(|(name, value)| *name != "type" && value.is_string())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        (!place.is_empty()).then_some(place)
    }

    /// The only sites to look at; empty: all.
    pub(crate) fn domains(&self) -> &[String] {
        self.filters.as_ref().and_then(|filters| filters.allowed_domains.as_deref()).unwrap_or(&[])
    }
}
