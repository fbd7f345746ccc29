//! What the config says of money: when periods begin, and the budgets of the whole cluster and of
//! what it calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use dunlin_ledger::{Allowance, Calendar, Every, Period};
use dunlin_state::{Entity, Kind, PROXY, Renewal, State, Terms, is_of_config};
use dunlin_types::{Line, NanoUsd, OnLoss, PotId, UnixMillis};

/// Durations whose running period is remembered; beyond this bound, all are forgotten and computed
/// again.
const REMEMBERED: usize = 1_024;

/// The budget of the whole cluster, `litellm_settings.max_budget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterBudget {
    /// The most that may be spent in a period.
    pub limit: NanoUsd,
    /// How long a period is, as it was written; without it, for ever.
    pub duration: Option<String>,
}

/// The default terms of end users whose rows name no budget, whoever created them.
#[derive(Clone, Debug, Default)]
pub struct EndUsers {
    /// `max_end_user_budget_id`: a shared budget.
    budget_id: Option<String>,
    /// `max_end_user_budget`, as the terms of one.
    plain: Option<Arc<Entity>>,
}

impl EndUsers {
    /// The shared budget if there is one with that id, else the plain one.
    #[must_use]
    pub fn new(budget_id: Option<String>, most: Option<NanoUsd>) -> Self {
        let terms = |max_budget| Terms { max_budget, ..Terms::default() };
        let plain =
            most.map(|_| Entity { kind: Kind::Budget, terms: terms(most), ..Entity::default() });
        Self { budget_id, plain: plain.map(Arc::new) }
    }

    /// What holds for them. A plain one has no name.
    #[must_use]
    pub fn terms<'a>(&'a self, state: &'a State) -> Option<&'a Arc<Entity>> {
        let shared = self.budget_id.as_ref().and_then(|id| state.entity(Kind::Budget, id));
        shared.or(self.plain.as_ref())
    }
}

/// What the config says of money.
#[derive(Debug, Default)]
pub struct Rules {
    /// When days, weeks and months begin.
    pub calendar: Calendar,
    /// The budget of the whole cluster.
    pub budget: Option<ClusterBudget>,
    /// What may be spent on what is called, by its pot.
    pub called: BTreeMap<PotId, Allowance>,
    /// What is spent beyond a limit is spent of the next period, too.
    pub rollover: bool,
    /// What holds for end users whose rows name no budget.
    pub end_users: EndUsers,
    /// The access groups of each model.
    pub access_groups: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// What a key may ask of a model in any 60 s that has no limits of its own for it: requests and
    /// tokens.
    pub key_limits: BTreeMap<Arc<str>, (Option<u64>, Option<u64>)>,
    /// The budgets of users bind also the keys that they have of teams.
    pub binds_users_of_teams: bool,
    /// What is left of the limits of an entity that is throttled once its budget is spent, in
    /// millionths; `None`: it is refused.
    pub throttle: Option<u32>,
    /// Requests at once of a key that does not say.
    pub key_parallel: Option<u64>,
    /// What limits do while nodes are lost whose payer does not say.
    pub on_loss: OnLoss,
    /// Requests at once on this node.
    pub node_parallel: Option<u64>,
    /// The HTTP status of a refusal for want of budget.
    pub exceeded_status: u16,
    periods: Mutex<BTreeMap<String, Period>>,
}

impl Rules {
    /// Rules by which periods begin by `calendar`.
    #[must_use]
    pub fn new(calendar: Calendar, budget: Option<ClusterBudget>, exceeded_status: u16) -> Self {
        Self { calendar, budget, exceeded_status, ..Self::default() }
    }

    /// The period that runs at `now`; `None` for a duration that cannot be read.
    pub fn period(&self, renewal: Renewal<'_>, now: UnixMillis) -> Option<Period> {
        let Renewal { every: duration, since } = renewal;
        if since.is_some() {
            return Some(self.calendar.period(renewal.read()?, now));
        }
        let mut periods = self.periods.lock().expect("no code panics while it holds the periods");
        if let Some(period) = periods.get(duration)
            && (period.start..period.end).contains(&now)
        {
            return Some(*period);
        }
        let period = self.calendar.period(Every::parse(duration).ok()?, now);
        if periods.len() >= REMEMBERED {
            periods.clear();
        }
        periods.insert(duration.to_owned(), period);
        Some(period)
    }

    /// What a grant must be told of a pot's limit: what the state does not know by itself.
    pub(crate) fn told_limit(&self, state: &State, pot: &PotId) -> Option<NanoUsd> {
        if is_of_config(pot) { self.config_limit(pot) } else { self.default_limit(state, pot) }
    }

    /// The period before the one that begins at `period`, if what was overspent in it is carried on.
    pub(crate) fn carries(
        &self,
        state: &State,
        pot: &PotId,
        period: UnixMillis,
    ) -> Option<UnixMillis> {
        let last = UnixMillis(period.0.checked_sub(1).filter(|_| self.rollover)?);
        let payer = state.payer_of(pot);
        let renewal = match &pot.line {
            Line::Window(every) => Renewal::of(every),
            Line::Main if pot.of == PROXY => Renewal::of(self.budget.as_ref()?.duration.as_ref()?),
            Line::Main => payer.as_ref()?.renewal()?,
            Line::Model(_) => return None,
        };
        Some(self.calendar.period(renewal.read()?, last).start)
    }

    fn default_limit(&self, state: &State, pot: &PotId) -> Option<NanoUsd> {
        let terms = self.end_users.terms(state)?;
        state.payer_of(pot)?.with_default(Some(terms)).limit(&pot.line, state.at())
    }

    /// The limit of a pot that the config defines.
    fn config_limit(&self, pot: &PotId) -> Option<NanoUsd> {
        let is_whole = pot.of == PROXY && pot.line == Line::Main;
        if is_whole {
            return self.budget.as_ref().map(|budget| budget.limit);
        }
        self.called.get(pot).map(|allowance| allowance.most)
    }

    /// How long the periods of a pot are that the config defines, if they begin with a first use.
    pub(crate) fn config_window(&self, pot: &PotId) -> Option<String> {
        self.called.get(pot)?.every.clone()
    }

    pub(crate) fn limit_of(&self, state: &State, pot: &PotId) -> Option<NanoUsd> {
        if is_of_config(pot) {
            return self.config_limit(pot);
        }
        state.limit_of(pot).or_else(|| self.default_limit(state, pot))
    }
}
