//! What a node has still to tell one peer: numbered reports, repeated until they are heard.
//!
//! A scope that is about to be told as a whole needs no single reports: its past is read when it is
//! sent. So a peer that is away for long costs one entry for each scope, not one for each request.

use std::collections::{BTreeSet, VecDeque};

use dunlin_types::MonoMillis;

use crate::bucket::second;
use crate::message::{Dated, Report};
use crate::ring::ScopeId;

/// Reports in one call, and so the most that wait for the peer's confirmation.
const IN_CALL: usize = 1000;
/// Beyond this a peer is told the past of whole scopes instead.
const MOST_QUEUED: usize = 65_536;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outbox {
    /// Counted from 1; a new one begins when the peer has lost the thread.
    pub(crate) run: u64,
    /// The number of the oldest report that is not confirmed.
    first: u64,
    sent: VecDeque<(MonoMillis, Report)>,
    queue: VecDeque<(MonoMillis, Report)>,
    whole: BTreeSet<ScopeId>,
    /// The ring to confirm once all else is sent.
    ring: Option<u64>,
}

impl Default for Outbox {
    fn default() -> Self {
        let (sent, queue) = Default::default();
        Self { run: 1, first: 1, sent, queue, whole: BTreeSet::new(), ring: None }
    }
}

impl Outbox {
    /// Forgets everything: the next report begins a new run.
    pub(crate) fn restart(&mut self) {
        *self = Self { run: self.run + 1, ..Self::default() };
    }

    pub(crate) fn add(&mut self, scope: ScopeId, at: MonoMillis, report: Report) {
        if !self.whole.contains(&scope) {
            self.queue.push_back((at, report));
        }
    }

    /// The past of `scope` is to be told; it includes what is added from here on until it is read.
    pub(crate) fn add_whole(&mut self, scope: ScopeId) {
        self.whole.insert(scope);
    }

    pub(crate) fn confirm_ring(&mut self, version: u64) {
        self.ring = Some(version);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
            && self.queue.is_empty()
            && self.whole.is_empty()
            && self.ring.is_none()
    }

    pub(crate) fn overflows(&self) -> bool {
        self.queue.len() > MOST_QUEUED
    }

    /// The reports of the next call: those not confirmed, then new ones. `past` reads a scope.
    pub(crate) fn fill(
        &mut self,
        now: MonoMillis,
        mut past: impl FnMut(ScopeId) -> Option<Report>,
    ) -> (u64, Vec<Dated>) {
        while self.sent.len() < IN_CALL {
            // In this order: a past replaces what earlier reports said, later ones add to it.
            let next = if let Some(report) = self.queue.pop_front() {
                Some(report)
            } else if let Some(scope) = self.whole.pop_first() {
                past(scope).map(|report| (now, report))
            } else if let Some(ring) = self.ring.take() {
                Some((now, Report::Moved { ring }))
            } else {
                break;
            };
            self.sent.extend(next);
        }
        let dated = |(at, report): &(MonoMillis, Report)| Dated {
            age_ms: now.0.saturating_sub(at.0),
            second: second(*at),
            report: report.clone(),
        };
        (self.first, self.sent.iter().map(dated).collect())
    }

    /// The peer has heard all reports up to `last` of this run.
    pub(crate) fn heard(&mut self, last: u64) {
        while self.first <= last && self.sent.pop_front().is_some() {
            self.first += 1;
        }
    }
}
