//! What a caller wants to be listed beside the models that it may call, and what is told of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_llm::FallbackMap;
use dunlin_router::{Access, Catalog, listed};
use serde::{Deserialize, Serialize};

use crate::{Proxy, Serving};

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listing {
    return_wildcard_routes: String,
    include_model_access_groups: String,
    only_model_access_groups: String,
    healthy_only: String,
    include_metadata: String,
    fallback_type: String,
}

/// What is told of a model that was asked about with `include_metadata`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Metadata {
    /// The models that are tried after it.
    fallbacks: Vec<Arc<str>>,
}

fn is_on(flag: &str) -> bool {
    matches!(flag.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
}

impl Listing {
    /// The names that are listed for a caller.
    pub(super) fn names(
        &self,
        proxy: &Proxy,
        serving: &Serving,
        access: Option<Access<'_>>,
    ) -> Vec<Arc<str>> {
        let catalog = &serving.catalog;
        let mut names = self.chosen(catalog, access);
        if is_on(&self.healthy_only) {
            names.retain(|name| is_ready(proxy, catalog, access, name));
        }
        names
    }

    fn chosen(&self, catalog: &Catalog, access: Option<Access<'_>>) -> Vec<Arc<str>> {
        let only_groups = is_on(&self.only_model_access_groups);
        let mut names = if only_groups { Vec::new() } else { listed(catalog, access) };
        let may = |name: &Arc<str>| access.is_none_or(|access| access.allows(&[&**name]));
        if is_on(&self.return_wildcard_routes) && !only_groups {
            let patterns = catalog.groups.keys().filter(|name| name.contains('*'));
            names.extend(patterns.filter(|name| may(name)).cloned());
        }
        if only_groups || is_on(&self.include_model_access_groups) {
            names.extend(catalog.access_groups.keys().filter(|name| may(name)).cloned());
        }
        names
    }

    /// What is told of a model, if it was asked for.
    pub(super) fn metadata(&self, catalog: &Catalog, name: &str) -> Option<Metadata> {
        let after = match self.fallback_type.as_str() {
            _ if !is_on(&self.include_metadata) => return None,
            "context_window" => catalog.context_window_fallbacks.as_ref(),
            "content_policy" => catalog.content_policy_fallbacks.as_ref(),
            _ => Some(&catalog.fallbacks),
        };
        let after = after.and_then(|after: &FallbackMap| after.get(name));
        let after = after.into_iter().flatten().map(|target| Arc::clone(&target.model));
        Some(Metadata { fallbacks: after.collect() })
    }
}

/// Whether one of a model's deployments would take a request now, as far as this node knows.
fn is_ready(proxy: &Proxy, catalog: &Catalog, access: Option<Access<'_>>, name: &str) -> bool {
    let own = access.and_then(|access| catalog.of_team(access.team?, name));
    let named = catalog.aliases.get(name).map_or(name, |alias| &alias.group);
    // A name that a pattern stands for, or a group of models, is not looked at.
    let Some(group) = own.or_else(|| catalog.groups.get(named)) else { return true };
    proxy.0.upstream.has_ready(group, catalog.strategy, &BTreeSet::new())
}
