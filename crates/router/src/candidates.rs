//! From a model's name to the groups that may answer: the model's own, then its fallbacks.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_llm::Target;

use crate::access::Access;
use crate::catalog::{Alias, Catalog, Deployment, FallbackMap, Group};
use crate::wildcard;

/// The groups to try, in order. Never empty.
#[derive(Clone, Debug)]
pub struct Candidates<'c> {
    /// The model asked for, then its fallbacks.
    pub groups: Vec<Cow<'c, Group>>,
    /// What is tried instead of the fallbacks after a prompt that is too long for the model; empty:
    /// nothing is. `None`: the fallbacks are.
    pub context_window: Option<Vec<Cow<'c, Group>>>,
    /// Likewise after what a provider's filter stopped.
    pub content_policy: Option<Vec<Cow<'c, Group>>>,
}

/// Which fallbacks a request wants.
#[derive(Clone, Copy, Debug)]
pub enum Fallbacks<'a> {
    /// Those of the config.
    Configured,
    /// None.
    Disabled,
    /// These, as far as they are known; the key must be allowed to call each.
    Named(&'a [String]),
}

/// Why no group may answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No group, alias, pattern or deployment has that name.
    #[error("no model is called `{model}`")]
    Unknown {
        /// The name.
        model: String,
        /// Whether some group has a pattern for a name: LiteLLM words its answer by it.
        patterns: bool,
    },
    /// The key may not call it.
    #[error("the key may not call `{model}`")]
    NotAllowed {
        /// The name.
        model: String,
    },
}

/// The groups that may answer `model` for a caller. `access` is `None` for the master key.
///
/// # Errors
/// [`NoRoute`].
pub fn candidates<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'_>>,
    model: &str,
    fallbacks: Fallbacks<'_>,
    max_fallbacks: u32,
) -> Result<Candidates<'c>, NoRoute> {
    let first = find(catalog, access, model)?;
    let mut groups = vec![first];
    let first = Arc::clone(&groups[0].name);
    let ordinary: &[Arc<str>] = match fallbacks {
        Fallbacks::Configured => configured(&catalog.fallbacks, &first),
        Fallbacks::Disabled | Fallbacks::Named(_) => &[],
    };
    let special = |map: &'c Option<FallbackMap>| {
        let map = map.as_ref().filter(|_| matches!(fallbacks, Fallbacks::Configured))?;
        let names = configured(map, &first).iter();
        let groups = names.filter_map(|name| find(catalog, None, name).ok());
        Some(groups.filter(|group| group.name != first).collect())
    };
    // What the config names needs no right of the key's; what the client names does.
    let mut found: Vec<_> =
        ordinary.iter().filter_map(|name| find(catalog, None, name).ok()).collect();
    if let Fallbacks::Named(names) = fallbacks {
        for name in names {
            match find(catalog, access, name) {
                Ok(group) => found.push(group),
                Err(NoRoute::Unknown { .. }) => {}
                Err(refused @ NoRoute::NotAllowed { .. }) => return Err(refused),
            }
        }
    }
    for group in found {
        let room = groups.len() <= usize::try_from(max_fallbacks).unwrap_or(usize::MAX);
        if room && groups.iter().all(|known| known.name != group.name) {
            groups.push(group);
        }
    }
    let context_window = special(&catalog.context_window_fallbacks);
    let content_policy = special(&catalog.content_policy_fallbacks);
    Ok(Candidates { groups, context_window, content_policy })
}

fn configured<'c>(map: &'c FallbackMap, group: &str) -> &'c [Arc<str>] {
    map.get(group).or_else(|| map.get("*")).map_or(&[], Vec::as_slice)
}

pub(crate) fn find<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'_>>,
    model: &str,
) -> Result<Cow<'c, Group>, NoRoute> {
    let real = access.as_ref().map_or(model, |access| access.unalias(model));
    let group = named(catalog, real)
        .or_else(|| pinned(catalog, real).map(Cow::Owned))
        .or_else(|| matching(catalog, real).map(Cow::Owned));
    let allowed = access.is_none_or(|access| {
        let group = group.as_ref().map_or(real, |group| &*group.name);
        access.allows(&[model, real, group])
    });
    // A key that may not call a model learns nothing about whether there is one.
    if !allowed {
        return Err(NoRoute::NotAllowed { model: model.to_owned() });
    }
    group.ok_or_else(|| NoRoute::Unknown {
        model: model.to_owned(),
        patterns: catalog.groups.keys().any(|name| name.contains('*')),
    })
}

fn named<'c>(catalog: &'c Catalog, name: &str) -> Option<Cow<'c, Group>> {
    let name = catalog.aliases.get(name).map_or(name, |alias| &*alias.group);
    catalog.groups.get(name).map(Cow::Borrowed)
}

/// The group whose pattern matches `name` most closely, with the stars filled in.
fn matching(catalog: &Catalog, name: &str) -> Option<Group> {
    let patterns = catalog.groups.values().filter(|group| group.name.contains('*'));
    let fitting =
        patterns.filter_map(|group| Some((group, wildcard::captures(&group.name, name)?)));
    let (group, captured) = fitting.min_by_key(|(group, _)| wildcard::specificity(&group.name))?;
    let filled = group.deployments.iter().map(|deployment| {
        let model = wildcard::substitute(&deployment.target.model, &captured, name);
        // The backend stays the pattern's: what is remembered must not grow with clients' spellings.
        let price = deployment.price_of(&model).clone();
        Arc::new(Deployment {
            price,
            target: Target { model: model.into(), ..deployment.target.clone() },
            ..Deployment::clone(deployment)
        })
    });
    Some(Group { name: Arc::clone(&group.name), deployments: filled.collect() })
}

/// The one deployment whose id was sent as the model.
fn pinned(catalog: &Catalog, id: &str) -> Option<Group> {
    let all = catalog.groups.values().flat_map(|group| &group.deployments);
    let deployment = all.into_iter().find(|deployment| &*deployment.id.0 == id)?;
    let deployments = vec![Arc::clone(deployment)];
    Some(Group { name: Arc::clone(&deployment.group), deployments })
}

/// The names a caller sees in `/v1/models`: those it may call, without hidden aliases and patterns.
#[must_use]
pub fn listed(catalog: &Catalog, access: Option<Access<'_>>) -> Vec<Arc<str>> {
    let groups = catalog.groups.keys().map(|name| (name, name));
    let shown =
        |(name, alias): &(&Arc<str>, &Alias)| !alias.hidden && !catalog.groups.contains_key(*name);
    let aliases = catalog.aliases.iter().filter(shown).map(|(name, alias)| (name, &alias.group));
    groups
        .chain(aliases)
        .filter(|(name, _)| !name.contains('*'))
        .filter(|(name, group)| access.is_none_or(|access| access.allows(&[name, group])))
        .map(|(name, _)| Arc::clone(name))
        .chain(expanded(catalog, access))
        .collect()
}

/// The names of models that a pattern stands for, as far as they are published: `e/*` that goes to
/// `openai/*` is `e/gpt-4o` and the like.
fn expanded<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'c>>,
) -> impl Iterator<Item = Arc<str>> + 'c {
    let patterns = catalog.groups.values().filter(|group| group.name.contains('*'));
    let names: BTreeSet<Arc<str>> = patterns.flat_map(|group| names_of(group, access)).collect();
    names.into_iter().filter(|name| !catalog.groups.contains_key(name))
}

fn names_of<'c>(
    group: &'c Group,
    access: Option<Access<'c>>,
) -> impl Iterator<Item = Arc<str>> + 'c {
    let known = group.deployments.iter().flat_map(|deployment| {
        let target = &*deployment.target.model;
        deployment.prices.keys().filter_map(move |model| wildcard::captures(target, model))
    });
    let names = known.map(|captured| wildcard::substitute(&group.name, &captured, &group.name));
    names.map(Arc::from).filter(move |name: &Arc<str>| {
        access.is_none_or(|access| access.allows(&[name, &group.name]))
    })
}

#[cfg(test)]
mod tests;
