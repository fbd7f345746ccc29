//! Whose a pot is, and what holds for it.

use std::sync::Arc;

use dunlin_types::{Line, NanoUsd, PotId};

use super::{FIRST_ROW, Payer, Rank, Row};
use crate::state::{Holder, State};

/// Whether the config says what may be spent from a pot.
#[must_use]
pub fn is_of_config(pot: &PotId) -> bool {
    pot.of.0 < FIRST_ROW
}

/// Whether the periods of a pot begin with a first use, and not by the calendar.
#[must_use]
pub fn is_rolling(pot: &PotId) -> bool {
    matches!(pot.line, Line::Model(_))
}

impl State {
    /// The limit of a pot, if whose it is exists and has one.
    #[must_use]
    pub fn limit_of(&self, pot: &PotId) -> Option<NanoUsd> {
        self.payer_of(pot)?.limit(&pot.line, self.at)
    }

    /// How long the periods of a pot are that begin with a first use.
    pub(crate) fn window_of(&self, pot: &PotId) -> Option<String> {
        let Line::Model(model) = &pot.line else { return None };
        let payer = self.payer_of(pot)?;
        payer.first(|terms| terms.model_budgets.get(model.as_str()))?.duration.clone()
    }

    /// What is to be told, not refused, once so much is spent from a pot.
    pub(crate) fn soft_budget_of(&self, pot: &PotId) -> Option<NanoUsd> {
        if pot.line == Line::Main { self.payer_of(pot)?.soft_budget() } else { None }
    }

    /// Whose a pot is, if it exists. Of an entity the rank says nothing.
    #[must_use]
    pub fn payer_of(&self, pot: &PotId) -> Option<Payer> {
        Some(match self.holders.get(&pot.of)? {
            Holder::Key(token) => self.payer(Rank::Key, Row::Key(Arc::clone(self.key(token)?))),
            Holder::Entity(kind, name) => {
                self.payer(Rank::Team, Row::Entity(Arc::clone(self.entity(*kind, name)?)))
            }
            Holder::Member { kind, group, user } => {
                let group = Arc::clone(self.entity(*kind, group)?);
                let member = Arc::clone(self.member(*kind, &group.name, user)?);
                self.payer(Rank::Member, Row::Member(group, member))
            }
        })
    }
}
