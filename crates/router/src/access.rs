//! Which models a key may call, by the names that its `models` field lists, and those of everyone it
//! belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::region::Region;
use crate::wildcard;

/// How many lists can bound a key beside its own: the team's, the organization's, the user's, the
/// member's, the end user's.
pub const MAX_BOUNDS: usize = 5;

/// What a key's record says about models, and what bounds it. Lists hold names, patterns with `*`,
/// names of access groups, or LiteLLM's special names; an empty one is everything.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The key's own list.
    pub models: &'a [String],
    /// The key's own names for models.
    pub aliases: &'a BTreeMap<String, String>,
    /// The team whose key it is: it has models of its own.
    pub team: Option<&'a str>,
    /// The team's names for models: they are applied first.
    pub team_aliases: Option<&'a BTreeMap<String, String>>,
    /// The lists of those to whom the key belongs: what it calls must be on all of them. A team's
    /// comes first.
    pub bounds: [&'a [String]; MAX_BOUNDS],
    /// Where its end user's requests must stay. Deployments of which it is not known where they
    /// are, are elsewhere.
    pub region: Option<Region>,
}

impl<'a> Access<'a> {
    /// What a key may call that belongs to nobody.
    #[must_use]
    pub fn of(models: &'a [String], aliases: &'a BTreeMap<String, String>) -> Self {
        let bounds = [[].as_slice(); MAX_BOUNDS];
        Self { models, aliases, team: None, team_aliases: None, bounds, region: None }
    }

    /// Whether any of a model's `names` is on each of the lists.
    #[must_use]
    pub fn allows(&self, names: &[&str]) -> bool {
        let names = Names { own: names, access_groups: None };
        self.lists().all(|list| names.are_on(list))
    }

    /// Whether there are models that it does not list.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        let lists_all = |listed: &String| {
            matches!(listed.as_str(), "all-proxy-models" | "all-team-models" | "*")
        };
        self.lists().any(|list| !list.is_empty() && !list.iter().any(lists_all))
    }

    /// Whether a model of the group `group` may be called by its `name`.
    #[must_use]
    pub fn reaches(&self, catalog: &Catalog, group: &str, name: &str) -> bool {
        let own = [name, group];
        let names = Names::of(catalog, group, &own);
        self.lists().all(|list| names.are_on(list))
    }

    /// The list on which `asked`, which is `real` behind all aliases and of the group `group`, is not:
    /// 0 is the key's own, which may hold its own aliases, and the others are [`Access::bounds`] from 1
    /// on: whoever bounds it knows nothing of them. None: it may be called.
    pub(crate) fn refuser(
        &self,
        catalog: &Catalog,
        group: &str,
        asked: &str,
        real: &str,
    ) -> Option<usize> {
        let by_team = self.team_aliases.and_then(|aliases| aliases.get(asked));
        let own_alias = self.aliases.contains_key(by_team.map_or(asked, String::as_str));
        let own = [real, group, asked];
        if !Names::of(catalog, group, &own).are_on(self.models) {
            return Some(0);
        }
        let known = if own_alias { &own[..2] } else { &own };
        let names = Names::of(catalog, group, known);
        self.bounds.iter().position(|list| !names.are_on(list)).map(|at| at + 1)
    }

    /// The same of a model of the key's team: it is the team's, whatever models the team lists.
    pub(crate) fn refuser_of_own(&self, asked: &str, name: &str) -> Option<usize> {
        let names = Names { own: &[name, asked], access_groups: None };
        let others = self.lists().enumerate().filter(|(at, _)| *at != 1 || self.team.is_none());
        others.into_iter().find(|(_, list)| !names.are_on(list)).map(|(at, _)| at)
    }

    /// The name behind the team's, then the key's own alias for `model`.
    #[must_use]
    pub fn unalias<'m>(&self, model: &'m str) -> &'m str
    where
        'a: 'm,
    {
        let of_team = self.team_aliases.and_then(|aliases| aliases.get(model));
        let real = of_team.map_or(model, String::as_str);
        self.aliases.get(real).map_or(real, String::as_str)
    }

    fn lists(&self) -> impl Iterator<Item = &'a [String]> {
        [self.models].into_iter().chain(self.bounds)
    }
}

/// All that a model is called.
struct Names<'n> {
    /// Its name, its group, and what was asked for.
    own: &'n [&'n str],
    /// Its access groups: a list names them in full, and no pattern means them.
    access_groups: Option<&'n BTreeSet<Arc<str>>>,
}

impl<'n> Names<'n> {
    fn of(catalog: &'n Catalog, group: &str, own: &'n [&'n str]) -> Self {
        Self { own, access_groups: catalog.access_groups.get(group) }
    }

    /// Whether any of them is on the list.
    fn are_on(&self, list: &[String]) -> bool {
        list.is_empty() || list.iter().any(|listed| self.are_covered(listed))
    }

    fn are_covered(&self, listed: &str) -> bool {
        match listed {
            "all-proxy-models" | "all-team-models" => true,
            "no-default-models" => false,
            _ if listed.contains('*') => {
                self.own.iter().any(|name| wildcard::captures(listed, name).is_some())
            }
            _ => {
                self.own.contains(&listed)
                    || self.access_groups.is_some_and(|groups| groups.contains(listed))
            }
        }
    }
}
