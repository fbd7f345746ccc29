//! Which models a key may call, by the names its `models` field lists.

use std::collections::BTreeMap;

use crate::wildcard;

/// What a key's record says about models.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Names, patterns with `*`, or LiteLLM's special names. Empty means everything.
    pub models: &'a [String],
    /// The key's own names for models.
    pub aliases: &'a BTreeMap<String, String>,
}

impl Access<'_> {
    /// Whether any of a model's `names` (as asked, by the key's alias, its group) is listed.
    pub(crate) fn allows(&self, names: &[&str]) -> bool {
        self.models.is_empty() || self.models.iter().any(|listed| covers(listed, names))
    }

    /// Whether there are models that it does not list.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        let lists_all = |listed: &String| {
            matches!(listed.as_str(), "all-proxy-models" | "all-team-models" | "*")
        };
        !self.models.is_empty() && !self.models.iter().any(lists_all)
    }

    /// The name behind the key's own alias for `model`.
    pub(crate) fn unalias<'a>(&'a self, model: &'a str) -> &'a str {
        self.aliases.get(model).map_or(model, String::as_str)
    }
}

fn covers(listed: &str, names: &[&str]) -> bool {
    match listed {
        "all-proxy-models" | "all-team-models" => true,
        "no-default-models" => false,
        _ if listed.contains('*') => {
            names.iter().any(|name| wildcard::captures(listed, name).is_some())
        }
        _ => names.contains(&listed),
    }
}
