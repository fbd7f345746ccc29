//! What the config says of money: when periods begin, and the budget of the whole cluster.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dunlin_ledger::{Calendar, Every, Period};
use dunlin_state::{PROXY, State};
use dunlin_types::{Line, NanoUsd, PotId, UnixMillis};

/// Durations whose running period is remembered; beyond, all are forgotten and worked out anew.
const REMEMBERED: usize = 1_024;

/// The budget of the whole cluster, `litellm_settings.max_budget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterBudget {
    /// The most that may be spent in a period.
    pub limit: NanoUsd,
    /// How long a period is, as it was written; without it, for ever.
    pub duration: Option<String>,
}

/// What the config says of money.
#[derive(Debug, Default)]
pub struct Rules {
    /// When days, weeks and months begin.
    pub calendar: Calendar,
    /// The budget of the whole cluster.
    pub budget: Option<ClusterBudget>,
    /// The HTTP status of a refusal for want of budget.
    pub exceeded_status: u16,
    periods: Mutex<BTreeMap<String, Period>>,
}

impl Rules {
    /// Rules by which periods begin by `calendar`.
    #[must_use]
    pub fn new(calendar: Calendar, budget: Option<ClusterBudget>, exceeded_status: u16) -> Self {
        Self { calendar, budget, exceeded_status, periods: Mutex::default() }
    }

    /// The period of `duration` that runs at `now`; `None` for a duration that cannot be read.
    pub fn period(&self, duration: &str, now: UnixMillis) -> Option<Period> {
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

    /// The limit of a pot that the config defines.
    pub(crate) fn config_limit(&self, pot: &PotId) -> Option<NanoUsd> {
        let is_whole = pot.of == PROXY && pot.line == Line::Main;
        self.budget.as_ref().filter(|_| is_whole).map(|budget| budget.limit)
    }

    pub(crate) fn limit_of(&self, state: &State, pot: &PotId) -> Option<NanoUsd> {
        if pot.of == PROXY { self.config_limit(pot) } else { state.limit_of(pot) }
    }
}
