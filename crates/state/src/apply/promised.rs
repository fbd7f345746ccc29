//! Limits that were promised (`guaranteed_throughput`): what the keys of a team are promised is never
//! more than the team has, nor what the teams of an organization are than the organization.

use dunlin_types::EntityId;

use crate::command::{Entity, Key, Kind, Rejected, Terms};
use crate::state::State;

/// How a promise is written in the fields that are kept as text.
const PROMISED: &str = "\"guaranteed_throughput\"";

/// A limit that can be promised.
struct Limit {
    name: &'static str,
    /// The field that says whether it is.
    by: &'static str,
    of: fn(&Terms) -> Option<u64>,
}

const LIMITS: [Limit; 2] = [
    Limit { name: "rpm_limit", by: "rpm_limit_type", of: |terms| terms.rpm },
    Limit { name: "tpm_limit", by: "tpm_limit_type", of: |terms| terms.tpm },
];

impl Limit {
    fn promised(&self, terms: &Terms) -> Option<u64> {
        let is_promised = terms.other.get(self.by).is_some_and(|how| how == PROMISED);
        (self.of)(terms).filter(|_| is_promised)
    }
}

/// Whether a key may be put in the place of the one with its number.
pub(super) fn to_key(state: &State, key: &Key) -> Result<(), Rejected> {
    let Some(team) = &key.team else { return Ok(()) };
    let before = state.keys.get(&key.token).filter(|before| before.team == key.team);
    let before = before.map(|before| &before.terms);
    let others = || {
        let theirs = state.keys.values().filter(|other| other.team.as_ref() == Some(team));
        theirs.map(|other| (other.id, &other.terms))
    };
    check(state, (Kind::Team, team), (key.id, before, &key.terms), others)
}

/// The same for a team.
pub(super) fn to_team(state: &State, team: &Entity) -> Result<(), Rejected> {
    let Some(organization) = team.organization.as_ref().filter(|_| team.kind == Kind::Team) else {
        return Ok(());
    };
    let before = state.entity(Kind::Team, &team.name);
    let before = before.filter(|before| before.organization == team.organization);
    let before = before.map(|before| &before.terms);
    let others = || {
        let theirs = state.entities(Kind::Team);
        let theirs = theirs.filter(|other| other.organization.as_ref() == Some(organization));
        theirs.map(|other| (other.id, &other.terms))
    };
    check(state, (Kind::Organization, organization), (team.id, before, &team.terms), others)
}

fn check<'s, I: Iterator<Item = (EntityId, &'s Terms)>>(
    state: &State,
    (kind, name): (Kind, &String),
    (id, before, terms): (EntityId, Option<&Terms>, &Terms),
    others: impl Fn() -> I,
) -> Result<(), Rejected> {
    for limit in &LIMITS {
        let asked = limit.promised(terms);
        let is_as_before = before.is_some_and(|before| limit.promised(before) == asked);
        let has = state.entity(kind, name).and_then(|group| {
            let shared = group.terms.budget_id.as_ref();
            let shared = shared.and_then(|budget| state.entity(Kind::Budget, budget));
            (limit.of)(&group.terms).or_else(|| (limit.of)(&shared?.terms))
        });
        let (Some(asked), Some(has), false) = (asked, has, is_as_before) else { continue };
        let others = others().filter(|(other, _)| *other != id);
        let promised: u64 = others.filter_map(|(_, terms)| limit.promised(terms)).sum();
        if promised.saturating_add(asked) > has {
            let (what, name) = (limit.name.to_owned(), name.clone());
            return Err(Rejected::Overpromised { what, kind, name, has, promised, asked });
        }
    }
    Ok(())
}
