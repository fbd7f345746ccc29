//! The budgets of what is called: of a deployment, of its provider, and of requests with a tag. They
//! are the config's, and are held apart from those of who pays: where one is spent, another
//! deployment may do.

use dunlin_journal::SpendRecord;
use dunlin_state::{Budget, DEPLOYMENTS, PROVIDERS, Renewal, State, TAGS};
use dunlin_types::{EntityId, Line, NanoUsd, PotId, RequestId, UnixMillis};

use super::plan::Plan;
use super::{About, Hold, Money};
use crate::Bounds;
use crate::refusal::Refusal;
use crate::rules::Rules;

/// Distinguishes what a request holds from the budgets of what it calls from what it holds from its
/// payers: a bit that is unset in the version of every UUID.
const BESIDE: u128 = 0x8 << 76;

/// Whom a request calls.
#[derive(Clone, Copy)]
pub(crate) struct Called<'a> {
    pub(crate) deployment: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) tags: &'a [String],
}

impl Rules {
    /// The pots of what is called that have a budget, those first that are all deployments'.
    fn called_pots(&self, called: Called<'_>) -> Vec<PotId> {
        if self.called.is_empty() {
            return Vec::new();
        }
        let pot = |of: EntityId, name: &str| PotId { of, line: Line::Model(name.to_owned()) };
        let mut tags: Vec<_> = called.tags.iter().map(|tag| pot(TAGS, tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        let others = [pot(PROVIDERS, called.provider), pot(DEPLOYMENTS, called.deployment)];
        tags.into_iter().chain(others).filter(|pot| self.called.contains_key(pot)).collect()
    }
}

impl About {
    fn of_called(request: RequestId, called: Vec<PotId>, cost: Bounds) -> Self {
        let (payers, served) = (Vec::new(), "".into());
        Self { request, token: None, payers, called, served, cost, takes_rest: false }
    }
}

impl Money {
    /// Holds what a request may cost from the budgets of what it calls. `None`: there are none.
    pub(crate) async fn hold_at(
        &self,
        called: Called<'_>,
        request: RequestId,
        cost: Bounds,
    ) -> Result<Option<Hold>, Refusal> {
        let called = self.0.rules.load().called_pots(called);
        if called.is_empty() {
            return Ok(None);
        }
        let request = RequestId(request.0 ^ BESIDE);
        let about = About::of_called(request, called, cost);
        self.hold(about).await.map(Some)
    }

    /// Where the cost of what is on record goes beside its payers, if nothing was held of it.
    pub(crate) fn charged_at(&self, record: &SpendRecord) -> Vec<(PotId, UnixMillis)> {
        let deployment = record.deployment.as_ref().map_or("", |deployment| &*deployment.0);
        let provider = record.course.provider.as_deref().unwrap_or_default();
        let called = Called { deployment, provider, tags: &record.origin.tags };
        let called = self.0.rules.load().called_pots(called);
        if called.is_empty() || record.cost == NanoUsd::ZERO {
            return Vec::new();
        }
        let (request, cost) = (record.request, Bounds::default());
        let about = About::of_called(request, called, cost);
        self.plan(&about).charged
    }
}

/// A request's part in the pots of what it calls.
pub(super) fn add(plan: &mut Plan, state: &State, rules: &Rules, about: &About, now: UnixMillis) {
    for pot in &about.called {
        let Some(allowance) = rules.called.get(pot) else { continue };
        let budget = Budget {
            pot: pot.clone(),
            limit: allowance.most,
            renewal: allowance.every.as_deref().map(Renewal::of),
            strict: false,
        };
        plan.add(state, rules, about, budget, now);
    }
}
