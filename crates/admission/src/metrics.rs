//! What Prometheus is told of who is let in, of limits, budgets and spend.

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_ledger::Figures;
use dunlin_metrics::{Desc, Page};
use dunlin_types::NanoUsd;

use crate::{Admission, Refusal};

static IN_FLIGHT: Desc = Desc::gauge(
    "dunlin_requests_in_flight",
    "Requests that this node has admitted and not yet settled, including open streams.",
    &[],
);
static DRAINING: Desc = Desc::gauge(
    "dunlin_draining",
    "1 while this node is draining: `dunlin drain`, `GET /health/drain`.",
    &[],
);
static LITELLM_IN_FLIGHT: Desc =
    Desc::gauge("litellm_in_flight_requests", "The same as `dunlin_requests_in_flight`.", &[]);
static REFUSALS: Desc = Desc::counter(
    "dunlin_refusals_total",
    "Requests that were refused, or for which no budget money could be held, by reason. \
     `overloaded`: a table is full. `cannot_know`: the node is cut off.",
    &["reason"],
);
static SCOPES: Desc = Desc::gauge(
    "dunlin_limiter_scopes",
    "Limits that this node counts, its own and those it asks other nodes about.",
    &[],
);
static LEASES: Desc = Desc::gauge(
    "dunlin_limiter_leases",
    "Limits owned by other nodes on which this node has a lease, so that it need not ask.",
    &[],
);
static GATHERING: Desc = Desc::gauge(
    "dunlin_limiter_gathering",
    "1 while this node, as a new owner of limits, waits to hear what was admitted before.",
    &[],
);
static SHARES: Desc = Desc::counter(
    "dunlin_limiter_shares_total",
    "Decisions made from this node's share of a limit because its owner did not answer.",
    &[],
);
static POTS: Desc = Desc::gauge(
    "dunlin_budget_pots",
    "Budget periods (pots) that this node keeps accounts for.",
    &[],
);
static HOLDING: Desc =
    Desc::gauge("dunlin_budget_holding", "Requests that hold budget money.", &[]);
static WAITING: Desc = Desc::gauge(
    "dunlin_budget_waiting",
    "Requests that wait for budget money from other nodes.",
    &[],
);
static LEASED: Desc = Desc::gauge(
    "dunlin_budget_leased_usd",
    "Budget money granted to this node and not yet used by its settled spend.",
    &[],
);
static WITHHELD: Desc = Desc::gauge(
    "dunlin_budget_withheld_usd",
    "Budget money on nodes that do not serve: neither spent nor free. The same on all nodes.",
    &[],
);
static UNSETTLED: Desc = Desc::gauge(
    "dunlin_spend_unsettled_records",
    "Requests recorded on this node whose cost is not yet in the replicated state.",
    &[],
);
static SETTLED: Desc = Desc::counter(
    "dunlin_spend_settled_records_total",
    "Requests recorded on this node since it started whose cost is in the replicated state.",
    &[],
);
static UNRECORDED: Desc = Desc::gauge(
    "dunlin_spend_unrecorded_records",
    "Requests whose cost is charged and whose record waits for the disk to take it: lost if the node \
     stops.",
    &[],
);
static LOST: Desc = Desc::counter(
    "dunlin_spend_lost_records_total",
    "Requests whose cost is charged on this node until it stops, and never comes on record.",
    &[],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[
    &IN_FLIGHT,
    &LITELLM_IN_FLIGHT,
    &DRAINING,
    &REFUSALS,
    &SCOPES,
    &LEASES,
    &GATHERING,
    &SHARES,
    &POTS,
    &HOLDING,
    &WAITING,
    &LEASED,
    &WITHHELD,
    &UNSETTLED,
    &SETTLED,
    &UNRECORDED,
    &LOST,
];

const REASONS: [&str; 10] = [
    "unknown_key",
    "blocked",
    "holder_blocked",
    "expired",
    "rate_limited",
    "over_budget",
    "node_full",
    "cannot_know",
    "overloaded",
    "route_not_allowed",
];

/// How many were refused, by reason.
#[derive(Default)]
pub(crate) struct Refused([AtomicU64; REASONS.len()]);

impl Refused {
    pub(crate) fn count(&self, refusal: &Refusal) {
        let which = match refusal {
            Refusal::UnknownKey => 0,
            Refusal::Blocked => 1,
            Refusal::HolderBlocked { .. } => 2,
            Refusal::Expired { .. } => 3,
            Refusal::RateLimited(_) => 4,
            Refusal::OverBudget(_) => 5,
            Refusal::NodeFull { .. } => 6,
            Refusal::CannotKnow { .. } => 7,
            Refusal::Overloaded { .. } => 8,
            Refusal::RouteNotAllowed { .. } => 9,
        };
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// Writes what is known now on a page. Asks nobody.
    pub fn report(&self, page: &mut Page) {
        let shared = &self.0;
        page.level(&IN_FLIGHT, &[], shared.slots.taken());
        page.level(&LITELLM_IN_FLIGHT, &[], shared.slots.taken());
        page.level(&DRAINING, &[], u8::from(self.is_draining()));
        for (reason, times) in REASONS.iter().zip(&shared.refused.0) {
            page.count(&REFUSALS, &[reason], times.load(Ordering::Relaxed));
        }
        let limits = shared.limits.figures();
        page.level(&SCOPES, &[], limits.scopes);
        page.level(&LEASES, &[], limits.leases);
        page.level(&GATHERING, &[], u8::from(limits.gathering));
        page.count(&SHARES, &[], limits.shares);
        let Figures { pots, holding, waiting, .. } = shared.money.figures();
        page.level(&POTS, &[], pots);
        page.level(&HOLDING, &[], holding);
        page.level(&WAITING, &[], waiting);
        let state = shared.consensus.state();
        page.gauge(&LEASED, &[], state.granted_to(shared.me).as_usd());
        let others = state.nodes().into_keys().filter(|node| !state.ring().has(*node));
        let withheld: NanoUsd = others.map(|node| state.granted_to(node)).sum();
        page.gauge(&WITHHELD, &[], withheld.as_usd());
        let settled = shared.unsettled.settled_through();
        page.count(&SETTLED, &[], settled);
        page.level(&UNSETTLED, &[], shared.journal.last().saturating_sub(settled));
        let (waiting, lost) = shared.backlog.figures();
        page.level(&UNRECORDED, &[], waiting);
        page.count(&LOST, &[], lost);
    }
}
