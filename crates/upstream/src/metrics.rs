//! What Prometheus is told of the backends, and of the attempts to get answers of them.

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_metrics::{Desc, Page};
use dunlin_router::{Catalog, Outcome};

use crate::Upstream;

static IN_FLIGHT: Desc = Desc::gauge(
    "dunlin_backend_in_flight",
    "Requests that this node has open at a backend, which is an address and a model there.",
    &["api_base", "upstream_model"],
);
static LOAD: Desc = Desc::gauge(
    "dunlin_backend_load",
    "Requests that the cluster has open at the backend, as far as this node has heard. Routing \
     uses this.",
    &["api_base", "upstream_model"],
);
static UP: Desc = Desc::gauge(
    "dunlin_backend_up",
    "1 if this node sends requests to the backend; 0 while it waits for a successful probe, is \
     cooling down, or is parked because something is missing.",
    &["api_base", "upstream_model"],
);
static ATTEMPTS: Desc = Desc::counter(
    "dunlin_attempts_total",
    "Attempts that ended, by outcome: `answered`, `rate_limited` (429), `rejected` (other 4xx), \
     `failed` (5xx), `refused` (no connection) or `broken` (it broke off).",
    &["outcome"],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[&IN_FLIGHT, &LOAD, &UP, &ATTEMPTS];

const OUTCOMES: [&str; 6] = ["answered", "rate_limited", "rejected", "failed", "refused", "broken"];

/// How many attempts ended in which way.
#[derive(Default)]
pub(crate) struct Attempts([AtomicU64; OUTCOMES.len()]);

impl Attempts {
    pub(crate) fn ended(&self, outcome: Outcome) {
        let which = match outcome {
            Outcome::Success => 0,
            Outcome::Status { code: 429, .. } => 1,
            Outcome::Status { code, .. } if code < 500 => 2,
            Outcome::Status { .. } => 3,
            Outcome::Refused(_) => 4,
            Outcome::Broken => 5,
        };
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }
}

impl Upstream {
    /// Writes what is known now on a page.
    pub fn report(&self, catalog: &Catalog, page: &mut Page) {
        for backend in self.backends(catalog) {
            let labels = [&*backend.api_base, &*backend.upstream_model];
            page.level(&IN_FLIGHT, &labels, backend.in_flight);
            page.gauge(&LOAD, &labels, backend.load);
            let up = !backend.out && backend.cooling_for.is_none() && backend.parked.is_none();
            page.level(&UP, &labels, u8::from(up));
        }
        for (outcome, times) in OUTCOMES.iter().zip(&self.0.attempts.0) {
            page.count(&ATTEMPTS, &[outcome], times.load(Ordering::Relaxed));
        }
    }
}
