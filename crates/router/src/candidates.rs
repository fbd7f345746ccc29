//! From a model's name to the groups that may answer: the model's own, then its fallbacks.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_llm::{ClientCredential, Extras, FallbackMap};

use crate::access::Access;
use crate::catalog::{Alias, Catalog, Deployment, Group};
use crate::region::Region;
use crate::wildcard;

/// Where a request may go: to the model's group, and, as groups fail, to those that come after them.
/// Each is given once.
#[derive(Clone, Debug)]
pub struct Candidates<'c> {
    catalog: &'c Catalog,
    access: Option<Access<'c>>,
    wishes: &'c Extras,
    /// The model, by the client's name for it.
    asked: &'c str,
    first: Cow<'c, Group>,
    /// What is tried next stands last.
    stack: Vec<Candidate<'c>>,
    given: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// A group to try.
#[derive(Clone, Debug)]
pub struct Candidate<'c> {
    /// The group.
    pub group: Cow<'c, Group>,
    /// How the request changes for it: a JSON object.
    pub changes: Option<Arc<str>>,
}

/// How a group failed, as far as it decides what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedBy {
    /// The prompt is too long for the model.
    ContextWindow,
    /// A provider's filter stopped the prompt or the answer.
    ContentPolicy,
    /// Anything else.
    Other,
}

/// Why no group may answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No group, alias, pattern or deployment has that name.
    #[error("there is no model `{model}`")]
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
        /// The list that lacks it: 0 is the key's own, the others are [`Access::bounds`] from 1 on.
        by: usize,
    },
    /// None of its deployments is where the end user's requests must stay.
    #[error("`{model}` has no deployment in `{}`", region.name())]
    OutOfRegion {
        /// The name.
        model: String,
        /// Where they must stay.
        region: Region,
    },
}

/// The groups that may answer `model` for a caller, with the fallbacks that its request wishes for,
/// else those of the configuration. `access` is `None` for the master key.
///
/// # Errors
/// [`NoRoute`]: of the model, or of a fallback that the client names and may not call.
pub fn candidates<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'c>>,
    model: &'c str,
    wishes: &'c Extras,
) -> Result<Candidates<'c>, NoRoute> {
    let first = find(catalog, access, model);
    // What the config names needs no right of the key's; what the client names does.
    let Extras { fallbacks, context_window_fallbacks, content_policy_fallbacks, .. } = wishes;
    let named = [fallbacks, context_window_fallbacks, content_policy_fallbacks];
    let named = named.into_iter().flatten().flat_map(|map| map.values().flatten());
    let of_named = named.filter_map(|next| find(catalog, access, &next.model).err());
    // The key's own list refuses any of them before whoever bounds it refuses one.
    let refused = first.as_ref().err().cloned().into_iter().chain(of_named);
    let refused = refused.filter_map(|why| match why {
        NoRoute::NotAllowed { by, .. } => Some((by, why)),
        NoRoute::Unknown { .. } | NoRoute::OutOfRegion { .. } => None,
    });
    if let Some((_, refused)) = refused.min_by_key(|(by, _)| *by) {
        return Err(refused);
    }
    let first = first?;
    let mut found = Candidates {
        catalog,
        access,
        wishes,
        asked: model,
        first: first.clone(),
        stack: Vec::new(),
        given: Vec::new(),
    };
    found.stack.push(Candidate { group: first, changes: None });
    Ok(found)
}

/// The group that `model` names, for a request without fallbacks.
///
/// # Errors
/// [`NoRoute`].
pub fn group<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'_>>,
    model: &str,
) -> Result<Cow<'c, Group>, NoRoute> {
    find(catalog, access, model)
}

impl<'c> Candidates<'c> {
    /// The group of the model that was asked for.
    #[must_use]
    pub fn first(&self) -> &Group {
        &self.first
    }

    /// Leaves none but this one, whose name is that of the first.
    pub fn only(&mut self, group: Group) {
        static ALONE: Extras = Extras::ALONE;
        self.wishes = &ALONE;
        self.stack = vec![Candidate { group: Cow::Owned(group), changes: None }];
    }

    /// Leaves only those to whom a request goes that brings `own`: nobody else is shown it, and nobody
    /// answers in their place.
    ///
    /// # Errors
    /// The name of what may not be brought.
    pub fn of_client(&mut self, own: &ClientCredential) -> Result<(), &'static str> {
        let group = self.stack.last().map_or(&*self.first, |next| &*next.group);
        self.only(group.of_client(own)?);
        Ok(())
    }

    /// Leaves of the first group only these deployments. What comes after it stays.
    pub fn narrow(&mut self, group: Group) {
        if let Some(first) = self.stack.last_mut() {
            first.group = Cow::Owned(group);
        }
    }

    /// The next one to try.
    pub fn next_group(&mut self) -> Option<Candidate<'c>> {
        let most = self.wishes.max_fallbacks.unwrap_or(self.catalog.retry.max_fallbacks);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        while let Some(candidate) = self.stack.pop() {
            let attempt = (Arc::clone(&candidate.group.name), candidate.changes.clone());
            if self.given.len() > most {
                return None;
            }
            if !self.given.contains(&attempt) {
                self.given.push(attempt);
                return Some(candidate);
            }
        }
        None
    }

    /// Takes note that a group failed: what comes after it is next.
    pub fn failed(&mut self, group: &str, by: FailedBy) {
        let after: Vec<_> = self.after(group, by).collect();
        self.stack.extend(after.into_iter().rev());
    }

    /// Whether something comes after `group` if it fails.
    #[must_use]
    pub fn has_fallbacks(&self, group: &str) -> bool {
        let mut after = self.after(group, FailedBy::Other);
        after.any(|next| !self.given.contains(&(Arc::clone(&next.group.name), next.changes)))
    }

    fn after(&self, group: &str, by: FailedBy) -> impl Iterator<Item = Candidate<'c>> {
        let (catalog, wishes, access) = (self.catalog, self.wishes, self.access);
        let region = access.and_then(|access| access.region);
        let special = match by {
            FailedBy::ContextWindow => {
                Some((&wishes.context_window_fallbacks, &catalog.context_window_fallbacks))
            }
            FailedBy::ContentPolicy => {
                Some((&wishes.content_policy_fallbacks, &catalog.content_policy_fallbacks))
            }
            FailedBy::Other => None,
        };
        // A client that says what comes after any failure has said it of these too.
        let configured = |map| if wishes.fallbacks.is_some() { &None } else { map };
        let special = special.map(|(wish, map)| (wish, configured(map)));
        let of_client = |map: &'c FallbackMap| (map, access);
        let guard = access.filter(|_| catalog.guards_fallbacks);
        let of_config = move |map: &'c FallbackMap| (map, guard);
        let map = special
            .and_then(|(wish, map)| wish.as_ref().map(of_client).or(map.as_ref().map(of_config)));
        let ordinary = || wishes.fallbacks.as_ref().map(of_client);
        let (map, access) = map.or_else(ordinary).unwrap_or_else(|| of_config(&catalog.fallbacks));
        let is_first = *group == *self.first.name;
        let list = map.get(self.asked).filter(|_| is_first).or_else(|| map.get(group));
        let list = list.or_else(|| map.get("*")).filter(|_| !wishes.disable_fallbacks);
        list.into_iter().flatten().filter_map(move |next| {
            let group = find(catalog, access, &next.model).ok()?;
            let group = match region {
                Some(region) => region.narrow(group)?,
                None => group,
            };
            Some(Candidate { group, changes: next.changes.clone() })
        })
    }
}

pub(crate) fn find<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'_>>,
    model: &str,
) -> Result<Cow<'c, Group>, NoRoute> {
    let group = open(catalog, access, model)?;
    let Some(region) = access.and_then(|access| access.region) else { return Ok(group) };
    region.narrow(group).ok_or_else(|| NoRoute::OutOfRegion { model: model.to_owned(), region })
}

/// The group that a caller may call by that name, wherever its deployments are.
fn open<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'_>>,
    model: &str,
) -> Result<Cow<'c, Group>, NoRoute> {
    let real = access.as_ref().map_or(model, |access| access.unalias(model));
    if let Some(group) = own(catalog, access, real) {
        let by = access.and_then(|access| access.refuser_of_own(model, real));
        let refused = |by| Err(NoRoute::NotAllowed { model: model.to_owned(), by });
        return by.map_or(Ok(group), refused);
    }
    let group = named(catalog, real)
        .or_else(|| pinned(catalog, real).map(Cow::Owned))
        .or_else(|| matching(catalog, real).map(Cow::Owned));
    let by = access.and_then(|access| {
        let group = group.as_ref().map_or(real, |group| &*group.name);
        access.refuser(catalog, group, model, real)
    });
    // A key that may not call a model learns nothing about whether there is one.
    if let Some(by) = by {
        return Err(NoRoute::NotAllowed { model: model.to_owned(), by });
    }
    group.ok_or_else(|| NoRoute::Unknown {
        model: model.to_owned(),
        patterns: catalog.groups.keys().any(|name| name.contains('*')),
    })
}

/// The model of the caller's own team that is called so, or whose deployment has that id. The master
/// key knows those of all teams, by their ids.
fn own<'c>(catalog: &'c Catalog, access: Option<Access<'_>>, name: &str) -> Option<Cow<'c, Group>> {
    if catalog.team_groups.is_empty() {
        return None;
    }
    let team = access.map(|access| access.team);
    let by_name = team.flatten().and_then(|team| catalog.of_team(team, name));
    let teams = catalog.team_groups.iter();
    let seen = teams.filter(|(owner, _)| team.is_none_or(|team| team == Some(&***owner)));
    let by_id = || {
        let mut all = seen.flat_map(|(_, groups)| groups.values()).flat_map(|of| &of.deployments);
        let found = all.find(|deployment| &*deployment.id.0 == name)?;
        let deployments = vec![Arc::clone(found)];
        Some(Cow::Owned(Group { name: Arc::clone(&found.group), deployments }))
    };
    by_name.map(Cow::Borrowed).or_else(by_id)
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
            target: deployment.target.filled(&model),
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
    let of_team = listed_of_team(catalog, access);
    let groups = catalog.groups.keys().map(|name| (name, name));
    let shown =
        |(name, alias): &(&Arc<str>, &Alias)| !alias.hidden && !catalog.groups.contains_key(*name);
    let aliases = catalog.aliases.iter().filter(shown).map(|(name, alias)| (name, &alias.group));
    groups
        .chain(aliases)
        .filter(|(name, _)| !name.contains('*'))
        .filter(|(name, group)| access.is_none_or(|access| access.reaches(catalog, group, name)))
        .map(|(name, _)| Arc::clone(name))
        .filter(|name| of_team.iter().all(|own| own != name))
        .chain(expanded(catalog, access))
        .chain(of_team.iter().cloned())
        .collect()
}

/// The names of the models of the caller's own team that it may call.
fn listed_of_team(catalog: &Catalog, access: Option<Access<'_>>) -> Vec<Arc<str>> {
    let team = access.and_then(|access| Some((access, catalog.team_groups.get(access.team?)?)));
    let own = team.into_iter().flat_map(|(access, groups)| {
        groups.keys().filter(move |name| access.refuser_of_own(name, name).is_none())
    });
    own.cloned().collect()
}

/// The names of models that a pattern stands for, as far as they are published: `e/*` that goes to
/// `openai/*` is `e/gpt-4o` and the like.
fn expanded<'c>(
    catalog: &'c Catalog,
    access: Option<Access<'c>>,
) -> impl Iterator<Item = Arc<str>> + 'c {
    let patterns = catalog.groups.values().filter(|group| group.name.contains('*'));
    let names = patterns.flat_map(|group| names_of(catalog, group, access));
    let names: BTreeSet<Arc<str>> = names.collect();
    names.into_iter().filter(|name| !catalog.groups.contains_key(name))
}

fn names_of<'c>(
    catalog: &'c Catalog,
    group: &'c Group,
    access: Option<Access<'c>>,
) -> impl Iterator<Item = Arc<str>> + 'c {
    let known = group.deployments.iter().flat_map(|deployment| {
        let target = &*deployment.target.model;
        deployment.prices.keys().filter_map(move |model| wildcard::captures(target, model))
    });
    let names = known.map(|captured| wildcard::substitute(&group.name, &captured, &group.name));
    names.map(Arc::from).filter(move |name: &Arc<str>| {
        access.is_none_or(|access| access.reaches(catalog, &group.name, name))
    })
}

#[cfg(test)]
mod tests;
