//! Limits that were promised (`guaranteed_throughput`): what the keys of a team are promised is never
//! more than the team has, nor what the teams of an organization are than the organization; and
//! neither comes to have less than it has promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_types::EntityId;

use crate::command::{Entity, Key, Kind, Rejected, Terms};
use crate::format::Format;
use crate::state::State;

/// How a promise is written in the fields that are kept as text.
const PROMISED: &str = "\"guaranteed_throughput\"";

/// A limit that can be promised: of all models, and of single ones.
struct Limit {
    name: &'static str,
    /// The field that says whether it is.
    by: &'static str,
    of: fn(&Terms) -> Option<u64>,
    of_models: fn(&Terms) -> &BTreeMap<String, u64>,
}

const LIMITS: [Limit; 2] = [
    Limit {
        name: "rpm_limit",
        by: "rpm_limit_type",
        of: |terms| terms.rpm,
        of_models: |terms| &terms.model_rpm,
    },
    Limit {
        name: "tpm_limit",
        by: "tpm_limit_type",
        of: |terms| terms.tpm,
        of_models: |terms| &terms.model_tpm,
    },
];

impl Limit {
    fn is_promised(&self, terms: &Terms) -> bool {
        terms.other.get(self.by).is_some_and(|how| how == PROMISED)
    }

    /// What holds: one's own, else that of the shared budget; of one model, or of all.
    fn held(&self, state: &State, terms: &Terms, model: Option<&str>) -> Option<u64> {
        let of = |terms: &Terms| match model {
            Some(model) => (self.of_models)(terms).get(model).copied(),
            None => (self.of)(terms),
        };
        of(terms).or_else(|| of(shared(state, terms)?))
    }

    fn promised(&self, state: &State, terms: &Terms, model: Option<&str>) -> Option<u64> {
        let held =
            if keeps_promises(state) { self.held(state, terms, model) } else { (self.of)(terms) };
        held.filter(|_| self.is_promised(terms))
    }

    /// What there is of it to promise: of one model all that there is at most.
    fn has(&self, state: &State, terms: &Terms, model: Option<&str>) -> Option<u64> {
        self.held(state, terms, model).or_else(|| self.held(state, terms, None))
    }

    /// All models, and the single ones that are promised.
    fn scopes<'t>(&self, state: &'t State, terms: &'t Terms) -> Vec<Option<&'t str>> {
        if !keeps_promises(state) {
            return vec![None];
        }
        let all = [Some(terms), shared(state, terms)].into_iter().flatten();
        let models = all.flat_map(|terms| (self.of_models)(terms).keys());
        [None].into_iter().chain(models.map(|model| Some(model.as_str()))).collect()
    }
}

fn keeps_promises(state: &State) -> bool {
    state.format >= Format::KEEPS_PROMISES
}

fn shared<'s>(state: &'s State, terms: &Terms) -> Option<&'s Terms> {
    let budget = state.entity(Kind::Budget, terms.budget_id.as_ref()?)?;
    Some(&budget.terms)
}

/// Whether a key may be put in the place of the one with its number.
pub(super) fn to_key(state: &State, key: &Key) -> Result<(), Rejected> {
    let Some(team) = key.team.as_ref().and_then(|team| state.entity(Kind::Team, team)) else {
        return Ok(());
    };
    let before = state.keys.get(&key.token).filter(|before| before.team == key.team);
    let before = before.map(|before| &before.terms);
    let theirs = || of_keys(state, &team.name);
    check(state, (team, &team.terms), (key.id, before, &key.terms), theirs)
}

/// The same for a team, a group that has promised, and a shared budget of such groups.
pub(super) fn to_entity(state: &State, entity: &Entity) -> Result<(), Rejected> {
    let before = state.entity(entity.kind, &entity.name);
    if keeps_promises(state) {
        keeps_its_own(state, entity, before)?;
    }
    let above = entity.organization.as_ref().filter(|_| entity.kind == Kind::Team);
    let Some(above) = above.and_then(|name| state.entity(Kind::Organization, name)) else {
        return Ok(());
    };
    let before = before.filter(|before| before.organization == entity.organization);
    let before = before.map(|before| &before.terms);
    let theirs = || of_teams(state, &above.name);
    check(state, (above, &above.terms), (entity.id, before, &entity.terms), theirs)
}

/// Whether a group, or the groups that a shared budget bounds, keep enough for what they have promised.
fn keeps_its_own(
    state: &State,
    entity: &Entity,
    before: Option<&Arc<Entity>>,
) -> Result<(), Rejected> {
    let name = &entity.name;
    match entity.kind {
        Kind::Team | Kind::Organization => {
            if let Some(before) = before {
                keeps(entity, (&before.terms, state), (&entity.terms, state))?;
            }
        }
        Kind::Budget => {
            let Some(before) = before.filter(|before| before.terms != entity.terms) else {
                return Ok(());
            };
            let mut after = state.clone();
            let changed = Entity { id: before.id, ..entity.clone() };
            after.entities.entry(Kind::Budget).or_default().insert(name.clone(), changed.into());
            for (kind, group) in concerned(state, name) {
                let Some(group) = state.entity(kind, group) else { continue };
                keeps(group, (&group.terms, state), (&group.terms, &after))?;
            }
        }
        Kind::User | Kind::EndUser | Kind::Tag | Kind::AccessGroup => {}
    }
    Ok(())
}

/// The groups that a shared budget bounds, and those in which it bounds whom they promise something.
fn concerned<'s>(state: &'s State, budget: &str) -> BTreeSet<(Kind, &'s String)> {
    let has = |terms: &Terms| terms.budget_id.as_deref() == Some(budget);
    let keys = state.keys.values().filter(|key| has(&key.terms));
    let of_keys = keys.filter_map(|key| Some((Kind::Team, key.team.as_ref()?)));
    let groups = || state.entities(Kind::Team).chain(state.entities(Kind::Organization));
    let groups = || groups().filter(|group| has(&group.terms));
    let above = groups().filter_map(|of| Some((Kind::Organization, of.organization.as_ref()?)));
    of_keys.chain(groups().map(|group| (group.kind, &group.name))).chain(above).collect()
}

type Promising<'s> = Box<dyn Iterator<Item = (EntityId, &'s Terms)> + 's>;

fn of_keys<'s>(state: &'s State, team: &'s str) -> Promising<'s> {
    let theirs = state.keys.values().filter(move |key| key.team.as_deref() == Some(team));
    Box::new(theirs.map(|key| (key.id, &key.terms)))
}

fn of_teams<'s>(state: &'s State, organization: &'s str) -> Promising<'s> {
    let teams = state.entities(Kind::Team);
    let theirs = teams.filter(move |team| team.organization.as_deref() == Some(organization));
    Box::new(theirs.map(|team| (team.id, &team.terms)))
}

/// Refuses a group that comes to have less than it has promised, or to have promised more.
fn keeps(
    group: &Entity,
    (before, at): (&Terms, &State),
    (after, then): (&Terms, &State),
) -> Result<(), Rejected> {
    let promised = |limit: &Limit, state: &State, model: Option<&str>| {
        let promising = if group.kind == Kind::Organization {
            of_teams(state, &group.name)
        } else {
            of_keys(state, &group.name)
        };
        let theirs = promising.filter_map(|(_, terms)| limit.promised(state, terms, model));
        theirs.fold(0, u64::saturating_add)
    };
    for limit in &LIMITS {
        let mut scopes = limit.scopes(at, before);
        scopes.extend(limit.scopes(then, after));
        for model in scopes {
            let Some(has) = limit.has(then, after, model) else { continue };
            let now = promised(limit, then, model);
            let had = limit.has(at, before, model);
            let is_less = had.is_none_or(|had| had > has) || promised(limit, at, model) < now;
            if is_less && now > has {
                return Err(over(limit, group, (has, now, 0)));
            }
        }
    }
    Ok(())
}

fn check<'s>(
    state: &'s State,
    (group, has): (&Entity, &Terms),
    (id, before, terms): (EntityId, Option<&Terms>, &Terms),
    others: impl Fn() -> Promising<'s>,
) -> Result<(), Rejected> {
    for limit in LIMITS.iter().filter(|limit| limit.is_promised(terms)) {
        for model in limit.scopes(state, terms) {
            let asked = limit.promised(state, terms, model);
            let stays = before.is_some_and(|before| limit.promised(state, before, model) == asked);
            let has = limit.has(state, has, model);
            let (Some(asked), Some(has), false) = (asked, has, stays) else { continue };
            let others = others().filter(|(other, _)| *other != id);
            let promised = others.filter_map(|(_, terms)| limit.promised(state, terms, model));
            let promised = promised.fold(0, u64::saturating_add);
            if promised.saturating_add(asked) > has {
                return Err(over(limit, group, (has, promised, asked)));
            }
        }
    }
    Ok(())
}

fn over(limit: &Limit, group: &Entity, (has, promised, asked): (u64, u64, u64)) -> Rejected {
    let (what, kind, name) = (limit.name.to_owned(), group.kind, group.name.clone());
    Rejected::Overpromised { what, kind, name, has, promised, asked }
}
