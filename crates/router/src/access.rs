//! What a key may call.

use std::collections::BTreeMap;

use crate::pattern;

/// A key's rights over models. The master key has none of this and may call everything.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Names, patterns such as `openai/*`, or LiteLLM's words `all-proxy-models` and
    /// `no-default-models`. Empty means everything.
    pub models: &'a [String],
    /// Names the key may use instead of a model's.
    pub aliases: &'a BTreeMap<String, String>,
}

impl Access<'_> {
    /// True if the key may call a model of this name.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.models.is_empty()
            || self
                .models
                .iter()
                .any(|allowed| allowed == "all-proxy-models" || pattern::matches(allowed, name))
    }

    /// The name behind the key's own name for it.
    pub(crate) fn resolve<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).map_or(name, String::as_str)
    }
}
