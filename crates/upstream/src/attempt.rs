//! One attempt: a picked deployment, and its place among what is in flight.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_router::Deployment;
use dunlin_types::{MonoMillis, Tokens};

use crate::table::Backend;

/// A deployment that was picked and is counted as in flight until this is dropped.
pub struct Attempt {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) backend: Arc<Backend>,
    /// Whether the group has no other deployment.
    pub(crate) alone: bool,
    pub(crate) began: MonoMillis,
    tokens: u64,
}

impl Attempt {
    pub(crate) fn new(
        deployment: Arc<Deployment>,
        backend: Arc<Backend>,
        alone: bool,
        tokens: Tokens,
        began: MonoMillis,
    ) -> Self {
        backend.in_flight.fetch_add(1, Ordering::Relaxed);
        backend.tokens.fetch_add(tokens.0, Ordering::Relaxed);
        Self { deployment, backend, alone, began, tokens: tokens.0 }
    }

    /// Who was picked.
    #[must_use]
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// Takes note of how fast its backend answers.
    pub(crate) fn measured(&self, stream: bool, took: Duration, now: MonoMillis) {
        if self.deployment.target.is_clients {
            return;
        }
        let pace = if stream { &self.backend.first } else { &self.backend.token };
        pace.measured(took, now);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.backend.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
    }
}
