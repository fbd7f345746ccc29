//! What was spent stays spent when a budget's duration is changed while its period runs: it counts for
//! the rest of the one that runs by the new duration. Only the reset moves.

use dunlin_ledger::Every;
use dunlin_types::{EntityId, Line, PotId, UnixMillis};

use super::money;
use crate::command::{Entity, Kind};
use crate::format::Format;
use crate::state::State;

/// How long the periods of main budgets were before a change.
pub(super) struct Durations(Vec<(PotId, Option<String>)>);

impl Durations {
    /// Of one spender.
    pub(super) fn of(state: &State, of: EntityId) -> Self {
        Self::all(state, [PotId { of, line: Line::Main }])
    }

    /// Of all whose budgets the terms of this entity may be: those who share them, and members.
    pub(super) fn under(state: &State, entity: &Entity) -> Self {
        let before = state.entity(entity.kind, &entity.name);
        let is_same = |before: &Entity| {
            let is_shared = entity.kind == Kind::Budget;
            (!is_shared || before.terms.budget_duration == entity.terms.budget_duration)
                && before.member.budget_duration == entity.member.budget_duration
                && before.member.budget_id == entity.member.budget_id
        };
        match before {
            None => Self(Vec::new()),
            Some(before) if is_same(before) => Self::of(state, before.id),
            Some(_) => {
                let all = state.pots.keys().filter(|pot| pot.line == Line::Main).cloned();
                Self::all(state, all.collect::<Vec<_>>())
            }
        }
    }

    fn all(state: &State, pots: impl IntoIterator<Item = PotId>) -> Self {
        if state.format < Format::KEEPS_SPENT {
            return Self(Vec::new());
        }
        let begun = pots.into_iter().filter(|pot| state.spend(pot).1 > UnixMillis(0));
        Self(begun.map(|pot| (pot.clone(), duration(state, &pot))).collect())
    }

    /// Where they are others, what was spent in a period that runs is kept, and nothing of one that is
    /// over.
    pub(super) fn keep(self, state: &mut State) {
        for (id, before) in self.0 {
            let after = duration(state, &id);
            let every = |text: &String| Every::parse(text).ok();
            if after.is_none() || after.as_ref().and_then(every) == before.as_ref().and_then(every)
            {
                continue;
            }
            let Some(pot) = state.pots.get(&id) else { continue };
            // One that was kept goes on from then by the duration that it had since.
            let (at, begun, since) = (state.at, pot.period, pot.period.max(pot.kept));
            match before.as_ref().and_then(every).map(|every| every.ends(since)) {
                Some(ends) if ends <= at => _ = money::of_period(state, &id, ends),
                Some(_) | None => money::of_period(state, &id, begun).kept = at,
            }
        }
    }
}

fn duration(state: &State, pot: &PotId) -> Option<String> {
    Some(state.payer_of(pot)?.renewal()?.every.to_owned())
}
