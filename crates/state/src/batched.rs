//! Tokens of batches, by the day and by who made them: of those alone who may make so many a day. Days
//! are those of UTC, and one that is over is forgotten.

use dunlin_types::EntityId;
use imbl::OrdMap;

use crate::command::Day;

/// The present day's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batched {
    pub(crate) day: Day,
    pub(crate) tokens: OrdMap<EntityId, u64>,
}

impl Batched {
    /// What was counted on `day`; nothing of one that is no more, or not yet.
    pub(crate) fn of(&self, id: EntityId, day: Day) -> u64 {
        if self.is_of(day) { self.tokens.get(&id).copied().unwrap_or_default() } else { 0 }
    }

    /// Whether it is this day that is counted.
    pub(crate) fn is_of(&self, day: Day) -> bool {
        day == self.day
    }

    pub(crate) fn add(&mut self, id: EntityId, day: Day, tokens: u64) {
        if day > self.day {
            *self = Self { day, tokens: OrdMap::new() };
        }
        if tokens == 0 {
            return;
        }
        let sum = self.tokens.entry(id).or_default();
        *sum = sum.saturating_add(tokens);
    }

    /// A batch of `day` was not made, or used less.
    pub(crate) fn take_back(&mut self, id: EntityId, day: Day, tokens: u64) {
        if !self.is_of(day) {
            return;
        }
        if let Some(sum) = self.tokens.get_mut(&id) {
            *sum = sum.saturating_sub(tokens);
            if *sum == 0 {
                self.tokens.remove(&id);
            }
        }
    }
}
