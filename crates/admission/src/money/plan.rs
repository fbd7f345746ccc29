//! What a request must hold of which pots, and where its cost goes.

use dunlin_ledger::{Demand, Length, Period};
use dunlin_state::{Budget, PROXY, Payer, Rank, Renewal, State, is_rolling};
use dunlin_types::{Line, NanoUsd, PotId, UnixMillis};

use super::{About, called};
use crate::rules::Rules;

/// A request's part in every pot it spends from.
#[derive(Default)]
pub(super) struct Plan {
    /// In the order in which budgets are checked.
    pub(super) demands: Vec<Demand>,
    /// Every pot that the cost is charged to, budget or none.
    pub(super) charged: Vec<(PotId, UnixMillis)>,
}

/// One budget, for the message.
pub(super) struct Of {
    /// `None` for that of the whole cluster.
    pub(super) payer: Option<Payer>,
    pub(super) duration: Option<String>,
    pub(super) resets_at: Option<UnixMillis>,
}

/// The budget behind a pot that the request of `about` spends from.
pub(super) fn budget_of(
    state: &State,
    rules: &Rules,
    about: &About,
    pot: &PotId,
    now: UnixMillis,
) -> Of {
    let payer = about.payers.iter().find(|payer| payer.id() == pot.of);
    let budgets = payer.map_or_else(Vec::new, |payer| payer.budgets(&about.served, now));
    let renewal = match payer {
        Some(_) => budgets.iter().find(|of| of.pot == *pot).and_then(|of| of.renewal),
        None => match rules.called.get(pot) {
            Some(allowance) => allowance.every.as_deref().map(Renewal::of),
            None => of_all(rules),
        },
    };
    Of {
        payer: payer.cloned(),
        duration: renewal.map(|renewal| renewal.every.to_owned()),
        resets_at: running(state, rules, pot, renewal, now).map(|period| period.end),
    }
}

pub(super) fn make(state: &State, rules: &Rules, about: &About, now: UnixMillis) -> Plan {
    let mut plan = Plan::default();
    if !about.called.is_empty() {
        called::add(&mut plan, state, rules, about, now);
        return plan;
    }
    for payer in &about.payers {
        let budgets = payer.budgets(&about.served, now);
        let main = PotId { of: payer.id(), line: Line::Main };
        if budgets.first().is_none_or(|budget| budget.pot != main) {
            plan.charge(main, period(rules, payer.renewal(), now), state);
        }
        for budget in budgets {
            plan.add(state, rules, about, budget, now);
        }
    }
    order(&mut plan.demands, &about.payers);
    let pot = PotId { of: PROXY, line: Line::Main };
    match &rules.budget {
        Some(budget) => {
            let (limit, renewal) = (budget.limit, of_all(rules));
            let budget = Budget { pot, limit, renewal, strict: false };
            plan.add(state, rules, about, budget, now);
        }
        None => plan.charge(pot, period(rules, of_all(rules), now), state),
    }
    plan
}

/// The windows of a key are checked after all budgets of its team and before anyone else's.
fn order(demands: &mut [Demand], payers: &[Payer]) {
    let id = |rank| payers.iter().find(|payer| payer.rank == rank).map(Payer::id);
    let (team, key) = (id(Rank::Team), id(Rank::Key));
    demands.sort_by_key(|demand| match (Some(demand.pot.of), &demand.pot.line) {
        (of, _) if of == team => 0,
        (of, Line::Window(_)) if of == key => 1,
        _ => 2,
    });
}

impl Plan {
    fn charge(&mut self, pot: PotId, period: Option<Period>, state: &State) {
        let begun = state.begun(&pot, period);
        self.charged.push((pot, begun));
    }

    pub(super) fn add(
        &mut self,
        state: &State,
        rules: &Rules,
        about: &About,
        budget: Budget<'_>,
        now: UnixMillis,
    ) {
        let Budget { pot, limit, renewal, strict } = budget;
        let period = running(state, rules, &pot, renewal, now);
        self.charge(pot.clone(), period, state);
        let amount = if strict { about.cost.most } else { about.cost.likely };
        if about.cost.most == NanoUsd::ZERO {
            return;
        }
        let (_, start) = self.charged.last().expect("it was just charged");
        let strict = strict && !about.takes_rest;
        self.demands.push(Demand { pot, period: *start, limit, amount, strict });
    }
}

/// The period that is running; none for a budget that never begins anew, and for a duration that
/// cannot be read, which no admin can set.
fn period(rules: &Rules, renewal: Option<Renewal<'_>>, now: UnixMillis) -> Option<Period> {
    rules.period(renewal?, now)
}

/// How often the budget of the whole cluster begins anew.
fn of_all(rules: &Rules) -> Option<Renewal<'_>> {
    rules.budget.as_ref()?.duration.as_deref().map(Renewal::of)
}

/// The same of any pot. One that begins with a first use begins with this one, unless it has begun.
fn running(
    state: &State,
    rules: &Rules,
    pot: &PotId,
    renewal: Option<Renewal<'_>>,
    now: UnixMillis,
) -> Option<Period> {
    if !is_rolling(pot) {
        return period(rules, renewal, now);
    }
    let (_, begun) = state.spend(pot);
    Length::of_period(renewal?.every).and_then(|length| length.rolling(begun, now)).ok()
}
