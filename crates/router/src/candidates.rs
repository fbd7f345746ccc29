//! Which groups a request may be sent to, in order: the model it names, then that model's
//! fallbacks. No deployment is picked yet.

use std::borrow::Cow;
use std::sync::Arc;

use crate::access::Access;
use crate::catalog::{Catalog, Deployment, Group};
use crate::pattern;

/// What a request says about fallbacks.
#[derive(Clone, Copy, Debug)]
pub struct FallbackChoice<'a> {
    /// Groups to try instead of the configured ones.
    pub named: Option<&'a [String]>,
    /// True: none at all.
    pub disabled: bool,
    /// How many groups may be tried after the first; `None` leaves it to the configuration.
    pub max: Option<u32>,
}

/// The groups a request may be sent to. Never empty: the first is the model's own, the others are
/// its fallbacks. Borrowed from the catalog, unless the name matched a pattern or an id.
pub type Candidates<'a> = Vec<Cow<'a, Group>>;

/// Why a request can be sent nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// The catalog has no such model.
    #[error("the model `{model}` does not exist")]
    UnknownModel {
        /// As the client named it.
        model: String,
        /// Whether the catalog has patterns, which makes LiteLLM say it in other words.
        wildcards: bool,
    },
    /// The key may not call it, or a fallback that the client itself named.
    #[error("the model `{model}` is not available for this key")]
    NotAllowed {
        /// As the client named it.
        model: String,
    },
}

/// The groups for `model`. `access` is `None` for the master key.
///
/// A key's own aliases are resolved before the catalog's. A model is allowed by the name the
/// client used or by one it resolves to; configured fallbacks are allowed by whoever configured
/// them, those that the client names are checked like models.
///
/// # Errors
/// No such model, or one that the key may not call.
pub fn candidates<'a>(
    catalog: &'a Catalog,
    access: Option<Access<'_>>,
    model: &str,
    asked: FallbackChoice<'_>,
) -> Result<Candidates<'a>, NoRoute> {
    let mut groups = vec![resolve(catalog, access, model)?];
    if asked.disabled {
        return Ok(groups);
    }
    let max = asked.max.unwrap_or(catalog.retry.max_fallbacks);
    let bound = usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1);
    let Some(named) = asked.named else {
        push_configured(catalog, &mut groups, model, bound);
        return Ok(groups);
    };
    for name in named {
        match resolve(catalog, access, name) {
            Ok(fallback) => drop(push(&mut groups, fallback, bound)),
            // A fallback that does not exist cannot help, and is no reason not to try the model.
            Err(NoRoute::UnknownModel { .. }) => {}
            Err(refused @ NoRoute::NotAllowed { .. }) => return Err(refused),
        }
    }
    Ok(groups)
}

/// Appends the fallbacks of the last of `groups`, which was asked for as `model`, each followed by
/// its own.
fn push_configured<'a>(
    catalog: &'a Catalog,
    groups: &mut Candidates<'a>,
    model: &str,
    bound: usize,
) {
    let Some(name) = groups.last().map(|group| Arc::clone(&group.name)) else { return };
    let unprefixed = name.split_once('/').map(|(_, name)| name);
    let keys = [Some(&*name), Some(model), unprefixed, Some("*")];
    let list = keys.into_iter().flatten().find_map(|key| catalog.fallbacks.get(key));
    for fallback in list.into_iter().flatten() {
        if find(catalog, fallback).is_some_and(|group| push(groups, group, bound)) {
            push_configured(catalog, groups, fallback, bound);
        }
    }
}

/// False if the group is there already, or there is no room.
fn push<'a>(groups: &mut Candidates<'a>, next: Cow<'a, Group>, bound: usize) -> bool {
    // A pinned deployment is another target than its whole group.
    let same = |group: &Cow<'_, Group>| {
        group.name == next.name && group.deployments.len() == next.deployments.len()
    };
    let fits = groups.len() < bound && !groups.iter().any(same);
    if fits {
        groups.push(next);
    }
    fits
}

fn resolve<'a>(
    catalog: &'a Catalog,
    access: Option<Access<'_>>,
    model: &str,
) -> Result<Cow<'a, Group>, NoRoute> {
    let name = access.as_ref().map_or(model, |access| access.resolve(model));
    let found = find(catalog, name);
    if let Some(access) = access {
        let allowed = access.allows(model)
            || access.allows(name)
            || found.as_ref().is_some_and(|group| access.allows(&group.name));
        if !allowed {
            return Err(NoRoute::NotAllowed { model: model.to_owned() });
        }
    }
    found.ok_or_else(|| NoRoute::UnknownModel {
        model: model.to_owned(),
        wildcards: catalog.groups.keys().any(|name| pattern::is_pattern(name)),
    })
}

/// The group by its name, an alias, a deployment's id, or the most exact pattern.
fn find<'a>(catalog: &'a Catalog, name: &str) -> Option<Cow<'a, Group>> {
    let name = catalog.aliases.get(name).map_or(name, |alias| &*alias.group);
    if let Some(group) = catalog.groups.get(name).filter(|_| !pattern::is_pattern(name)) {
        return Some(Cow::Borrowed(group));
    }
    pinned(catalog, name).or_else(|| by_pattern(catalog, name)).map(Cow::Owned)
}

/// A group of the one deployment whose id it is.
fn pinned(catalog: &Catalog, id: &str) -> Option<Group> {
    let mut all = catalog.groups.values().flat_map(|group| &group.deployments);
    let deployment = all.find(|deployment| &*deployment.id.0 == id)?;
    Some(Group { name: Arc::clone(&deployment.group), deployments: vec![Arc::clone(deployment)] })
}

fn by_pattern(catalog: &Catalog, name: &str) -> Option<Group> {
    let patterns = catalog.groups.values().filter(|group| pattern::is_pattern(&group.name));
    let matching =
        patterns.filter_map(|group| Some((group, pattern::captures(&group.name, name)?)));
    let (group, captured) = matching.max_by_key(|(group, _)| pattern::specificity(&group.name))?;
    let called = |deployment: &Arc<Deployment>| {
        let upstream_model = pattern::fill(&deployment.upstream_model, &captured, name);
        // The backend stays the pattern's: a client's spelling must not make new ones.
        Arc::new(Deployment { upstream_model: upstream_model.into(), ..(**deployment).clone() })
    };
    Some(Group { name: name.into(), deployments: group.deployments.iter().map(called).collect() })
}

/// The names for `/v1/models`: groups, patterns and visible aliases that the key may call.
#[must_use]
pub fn listed(catalog: &Catalog, access: Option<Access<'_>>) -> Vec<Arc<str>> {
    let aliases = catalog.aliases.iter().filter(|(_, alias)| !alias.hidden);
    let aliases = aliases.map(|(name, alias)| (name, Some(&alias.group)));
    let groups = catalog.groups.keys().filter(|name| !catalog.aliases.contains_key(*name));
    let allowed = |name: &&Arc<str>, group: Option<&Arc<str>>| {
        access.as_ref().is_none_or(|access| {
            access.allows(name) || group.is_some_and(|group| access.allows(group))
        })
    };
    let mut names: Vec<_> = groups
        .map(|name| (name, None))
        .chain(aliases)
        .filter(|(name, group)| allowed(name, *group))
        .map(|(name, _)| Arc::clone(name))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
