//! What other nodes ask of this one: as the owner of a scope it decides, as a member it tells.

use dunlin_types::{Epoch, MonoMillis, NodeId};

use super::{Limiter, MAX_SCOPES, Peer};
use crate::account::{Account, Run, Taken};
use crate::bucket::{Bucket, ago};
use crate::claim::{Claim, Refused};
use crate::message::{Answer, Ask, Dated, Report, Verdict};
use crate::ring::ScopeId;
use crate::scope::Scope;

impl Limiter {
    /// Answers a peer.
    pub fn answer(&mut self, from: NodeId, ask: &Ask, now: MonoMillis) -> Answer {
        let peer = self.peers.entry(from).or_default();
        peer.asked = now;
        if let Some(probe) = &mut peer.silent {
            // It lives: the next tick tries it.
            *probe = now;
        }
        if peer.meet(ask.epoch) {
            self.tell_again(from);
        }
        let run = (ask.epoch, ask.run);
        let heard = self.hear(from, run, ask.first, &ask.reports, now);
        let verdicts = ask.claims.iter().map(|claim| self.verdict(from, claim, now)).collect();
        let own = self.own_run();
        let tell = |id: &ScopeId| {
            let scope = self.scopes.get_mut(id);
            scope.map(|scope| scope.own_and_cut(self.me, own, now)).unwrap_or_default()
        };
        let told = ask.questions.iter().map(tell).collect();
        let reports = ask.pull.then(|| self.untold(from, now));
        Answer { epoch: self.epoch, ring: self.ring().version(), heard, verdicts, told, reports }
    }

    /// Applies what is new among `reports`, the first of which has the number `first`. Returns the
    /// number of the last one heard; `None` if some are missing.
    pub(super) fn hear(
        &mut self,
        from: NodeId,
        run: Run,
        first: u64,
        reports: &[Dated],
        now: MonoMillis,
    ) -> Option<u64> {
        let peer = self.peers.entry(from).or_default();
        if run > peer.run && first == 1 {
            (peer.run, peer.heard, peer.ring) = (run, 0, 0);
        }
        let next = peer.heard + 1;
        if run != peer.run || first > next {
            return None;
        }
        let known = usize::try_from(next - first).unwrap_or(usize::MAX);
        let fresh = reports.get(known..).unwrap_or_default();
        let last = peer.heard + fresh.len() as u64;
        peer.heard = last;
        for dated in fresh {
            self.apply(from, run, dated, now);
        }
        Some(last)
    }

    fn apply(&mut self, from: NodeId, run: Run, dated: &Dated, now: MonoMillis) {
        let (at, second) = (ago(now, dated.age_ms), dated.second);
        let taken =
            |scope, request, tokens, slot| Taken { scope, request, tokens, slot, at, lease: None };
        match &dated.report {
            Report::Admitted { scope, request, tokens, slot } => {
                let taken = taken(*scope, *request, *tokens, *slot);
                self.counted(*scope, |scope| scope.admitted(from, run, &taken, second));
            }
            Report::Ended { scope, request, tokens, used } => {
                let taken = taken(*scope, *request, *tokens, true);
                self.counted(*scope, |scope| {
                    scope.account(from, run).end(&taken, second, *used, now);
                });
            }
            Report::Voided { scope, request, tokens } => {
                let taken = taken(*scope, *request, *tokens, true);
                self.counted(*scope, |scope| scope.account(from, run).void(&taken, second, now));
            }
            Report::Closed { scope, lease, used } => {
                self.counted(*scope, |scope| scope.close((from, run), *lease, *used, second));
            }
            Report::Past { scope, requests, tokens, open } => {
                let account = Account {
                    run,
                    requests: Bucket::from_ages(requests, dated.age_ms, now),
                    tokens: Bucket::from_ages(tokens, dated.age_ms, now),
                    open: open.iter().copied().collect(),
                };
                self.counted(*scope, |scope| *scope.account(from, run) = account);
            }
            Report::Moved { ring } => {
                self.peers.entry(from).or_default().ring = *ring;
                self.note_returns();
                self.gathered(now);
            }
        }
    }

    /// Beyond the table's bound nothing is admitted, so there is nothing to count.
    fn counted(&mut self, id: ScopeId, count: impl FnOnce(&mut Scope)) {
        if self.scopes.len() < MAX_SCOPES || self.scopes.contains_key(&id) {
            count(self.scopes.entry(id).or_default());
        }
    }

    fn verdict(&mut self, from: NodeId, claim: &Claim, now: MonoMillis) -> Verdict {
        if self.ring().owner(claim.scope) != Some(self.me) {
            return Verdict::Retry;
        }
        let full = self.scopes.len() >= MAX_SCOPES && !self.scopes.contains_key(&claim.scope);
        if full {
            return Verdict::NotYet;
        }
        if !self.decides(claim.scope, now) {
            if !self.decides_soon(now) {
                return Verdict::NotYet;
            }
            // Its node may lose patience and use its share, just before this one decides.
            let scope = self.scopes.entry(claim.scope).or_default();
            scope.learn(&claim.limits);
            scope.expect(from, claim, now);
            return Verdict::Retry;
        }
        let run = self.peers.entry(from).or_default().run;
        let taken_over = self.losses.taken_over(claim.scope, now);
        let (known, scopes) = self.known(now);
        let scope = scopes.entry(claim.scope).or_default();
        scope.assume(claim, taken_over, now, &known);
        match scope.reserve((from, run), claim, now, &known) {
            Err(refused) => Verdict::Refused(self.doubt(from, claim, refused, now)),
            Ok(remaining) => {
                scope.doubts.end(from, claim.request);
                let lease = scope.lease((from, run), claim, now, &known);
                Verdict::Granted { remaining, lease }
            }
        }
    }

    /// A claim of `by` lacks something: that is its refusal, or, as long as others may have given it
    /// back unheard, to be asked again.
    pub(super) fn doubt(
        &mut self,
        by: NodeId,
        claim: &Claim,
        refused: Refused,
        now: MonoMillis,
    ) -> Refused {
        let next = self.pulls + 1;
        let (known, scopes) = self.known(now);
        let scope = scopes.get_mut(&claim.scope).expect("it was just asked");
        let mut unheard = scope.unheard(claim, by, &refused, now, &known);
        if !unheard.is_empty() {
            let pull = scope.doubts.waits_for((by, claim.request), next, now);
            unheard.retain(|node| pull.is_some_and(|pull| known.pulled(*node) < pull));
        }
        if unheard.is_empty() {
            scope.doubts.end(by, claim.request);
            return refused;
        }
        for node in unheard {
            self.peers.entry(node).or_default().pull = true;
        }
        Refused { doubted: true, ..refused }
    }
}

impl Peer {
    /// Learns a peer's life. True if it is a new one, which knows nothing of what was told before.
    pub(super) fn meet(&mut self, epoch: Epoch) -> bool {
        let newer = self.epoch.is_none_or(|known| known < epoch);
        if newer {
            self.epoch = Some(epoch);
        }
        newer
    }
}
