//! What a pot was used for lately: how a lease is sized.

use std::time::Duration;

use dunlin_types::{MonoMillis, NanoUsd};

/// What counts as lately: this, and as much again before it.
const WINDOW: Duration = Duration::from_secs(10);

/// Spend and the largest hold in the present window and in the one before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Recent {
    since: MonoMillis,
    spent: [NanoUsd; 2],
    largest: [NanoUsd; 2],
}

impl Recent {
    /// What 10 s cost, by the dearer of the last two windows.
    pub(crate) fn spent(&self) -> NanoUsd {
        self.spent[0].max(self.spent[1])
    }

    pub(crate) fn largest(&self) -> NanoUsd {
        self.largest[0].max(self.largest[1])
    }

    /// What does for a while.
    pub(crate) fn need(&self) -> NanoUsd {
        self.spent().max(self.largest())
    }

    pub(crate) fn hold(&mut self, amount: NanoUsd, now: MonoMillis) {
        self.roll(now);
        self.largest[0] = self.largest[0].max(amount);
    }

    pub(crate) fn spend(&mut self, cost: NanoUsd, now: MonoMillis) {
        self.roll(now);
        self.spent[0] += cost;
    }

    pub(crate) fn roll(&mut self, now: MonoMillis) {
        let passed = now.since(self.since);
        if passed >= WINDOW * 2 {
            *self = Self { since: now, ..Self::default() };
        } else if passed >= WINDOW {
            self.since = self.since.plus(WINDOW);
            self.spent = [NanoUsd::ZERO, self.spent[0]];
            self.largest = [NanoUsd::ZERO, self.largest[0]];
        }
    }
}
