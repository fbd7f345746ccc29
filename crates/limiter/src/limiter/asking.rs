//! A node's own requests: decided at once where it may, else by the owner, else by a share.

use dunlin_types::{MonoMillis, NodeId, OnLoss};

use super::{Limiter, MAX_SCOPES, PROBE_EVERY};
use crate::account::{Run, Taken};
use crate::bucket::second;
use crate::claim::{Amounts, Claim, Refused, Remaining};
use crate::message::{Answer, Ask, Report, Reports};
use crate::ring::ScopeId;
use crate::scope::{Cut, Held};
use crate::{CUT_LASTS, LEASE, UNCONFIRMED};

/// What becomes of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is admitted: [`Limiter::ended`] or [`Limiter::voided`] must follow.
    Admitted(Taken, Remaining),
    /// A limit does not allow it.
    Refused(Refused),
    /// This node decides; then [`Limiter::granted`], or, if it cannot or does not answer,
    /// [`Limiter::admit_by_share`].
    AskOwner(NodeId),
    /// To be asked again in a moment; when patience is out, [`Limiter::admit_by_share`].
    Soon,
    /// These are to be asked what they used; then [`Limiter::told`] and
    /// [`Limiter::admit_by_share`] again. Who does not answer in time is left out.
    AskPeers(Vec<NodeId>),
    /// Nobody who is reached knows what is left of the limit, and [`OnLoss`] has it admit nothing
    /// until somebody does.
    Closed,
    /// The table of scopes is full.
    TableFull,
    /// This node knows of no ring.
    NoRing,
}

/// Names an ask that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    run: u64,
    pull: Option<u64>,
}

impl Limiter {
    /// Decides a claim of this node, or says who does.
    pub fn admit(&mut self, claim: &Claim, now: MonoMillis) -> Decision {
        let Some(owner) = self.ring().owner(claim.scope) else { return Decision::NoRing };
        if self.scopes.len() >= MAX_SCOPES && !self.scopes.contains_key(&claim.scope) {
            return Decision::TableFull;
        }
        if owner == self.me {
            if self.decides(claim.scope, now) {
                return self.decide(claim, now);
            }
            if self.decides_soon(now) {
                return Decision::Soon;
            }
            return self.admit_by_share(claim, now);
        }
        if let Some(admitted) = self.admit_by_lease(claim, now) {
            return admitted;
        }
        if self.peers.get(&owner).is_some_and(|peer| peer.silent.is_some()) {
            return self.admit_by_share(claim, now);
        }
        Decision::AskOwner(owner)
    }

    fn decide(&mut self, claim: &Claim, now: MonoMillis) -> Decision {
        let own = self.own_run();
        let taken_over = self.losses.taken_over(claim.scope, now);
        let me = self.me;
        let (known, scopes) = self.known(now);
        let scope = scopes.entry(claim.scope).or_default();
        scope.assume(claim, taken_over, now, &known);
        match scope.check(claim, now, &known) {
            Err(refused) => Decision::Refused(self.doubt(me, claim, refused, now)),
            Ok(remaining) => {
                scope.doubts.end(me, claim.request);
                let taken = scope.taken(claim, now);
                scope.account(me, own).take(&taken, second(now));
                Decision::Admitted(taken, remaining)
            }
        }
    }

    fn admit_by_lease(&mut self, claim: &Claim, now: MonoMillis) -> Option<Decision> {
        let own = self.own_run();
        let scope = self.scopes.get_mut(&claim.scope)?;
        scope.learn(&claim.limits);
        let limits = scope.limits;
        let held = scope.held.as_mut()?;
        if now >= held.until || held.left == 0 || !limits.only_requests() {
            self.close_lease(claim.scope);
            return None;
        }
        held.left -= 1;
        held.used += 1;
        let (left, until, lease) = (held.left, held.until, Some(held.lease));
        // As its owner counts it: so that either finds it if it is undone.
        let taken = Taken { lease, ..scope.taken(claim, until) };
        scope.account(self.me, own).take(&taken, second(until));
        // The owner knows of more, but this is what the node can vouch for.
        let free = Amounts { requests: left, ..Amounts::default() };
        Some(Decision::Admitted(taken, limits.remaining(free)))
    }

    pub(super) fn close_lease(&mut self, id: ScopeId) {
        self.leased.remove(&id);
        let held = self.scopes.get_mut(&id).and_then(|scope| scope.held.take());
        if let Some(Held { lease, used, until, .. }) = held {
            self.report(id, until, Report::Closed { scope: id, lease, used });
        }
    }

    /// The owner `by`, asked at `asked`, granted a claim. `None`: it is not the owner any more, or does
    /// not count the claim any more, and it is to be decided anew.
    pub fn granted(
        &mut self,
        claim: &Claim,
        by: NodeId,
        lease: u64,
        asked: MonoMillis,
        now: MonoMillis,
    ) -> Option<Taken> {
        let is_late = now.since(asked) >= UNCONFIRMED;
        if is_late || self.ring().owner(claim.scope) != Some(by) {
            return None;
        }
        let scope = self.scopes.entry(claim.scope).or_default();
        scope.learn(&claim.limits);
        scope.cut = None;
        if lease > 0 && scope.held.is_none() {
            let until = asked.plus(LEASE);
            scope.held = Some(Held { lease: claim.request, left: lease, used: 0, until });
            self.leased.insert(claim.scope);
        }
        Some(self.take(claim, now))
    }

    /// Admits without the owner, because it does not answer: as the limit says of losses, by default
    /// within this node's share. That is an equal part of the limit, and no more than an equal part of
    /// what the others left free when they were asked.
    pub fn admit_by_share(&mut self, claim: &Claim, now: MonoMillis) -> Decision {
        let own = self.own_run();
        let ring = self.rings.last().expect("there is always a ring");
        let scope = self.scopes.entry(claim.scope).or_default();
        scope.learn(&claim.limits);
        let limits = scope.limits;
        let mine = match limits.on_loss {
            OnLoss::Full => return self.admit_by_cut(claim, now),
            OnLoss::Share if self.losses.is_apart(self.leader_heard, now) => {
                limits.amounts().map(|limit| ring.least_share(limit))
            }
            OnLoss::Share | OnLoss::Closed => return Decision::Closed,
            // A limit of zero stays one.
            OnLoss::Open => limits.amounts().map(|limit| if limit == 0 { 0 } else { u64::MAX }),
        };
        let (wants, used) = (claim.wants(), scope.own(self.me, own, now));
        let free = mine.minus(used);
        if let Some(short) = limits.short(free, wants) {
            return Decision::Refused(scope.refusal(&short, wants, now));
        }
        let left = free.minus(wants).least(limits.amounts().minus(used.plus(wants)));
        Decision::Admitted(self.take(claim, now), limits.remaining(left))
    }

    fn admit_by_cut(&mut self, claim: &Claim, now: MonoMillis) -> Decision {
        let own = self.own_run();
        let ring = self.rings.last().expect("there is always a ring");
        let scope = self.scopes.entry(claim.scope).or_default();
        let Some(cut) = scope.cut.filter(|cut| now.since(cut.at) < CUT_LASTS) else {
            return Decision::AskPeers(self.reachable());
        };
        let (limits, wants) = (scope.limits, claim.wants());
        let share = limits.amounts().map(|limit| ring.share(claim.scope, limit, self.me));
        let free = share.minus(scope.own(self.me, own, now)).least(cut.left);
        if let Some(short) = limits.short(free, wants) {
            let (what, limit, remaining) = (short.what, short.limit, short.free);
            let (retry_after, doubted) = (CUT_LASTS, false);
            return Decision::Refused(Refused { what, limit, remaining, retry_after, doubted });
        }
        scope.cut = Some(Cut { left: cut.left.minus(wants), ..cut });
        Decision::Admitted(self.take(claim, now), limits.remaining(free.minus(wants)))
    }

    /// What the other nodes, asked at `asked`, said they used: the base of this node's share for a
    /// second.
    pub fn told(&mut self, claim: &Claim, used: &[Amounts], asked: MonoMillis, now: MonoMillis) {
        let own = self.own_run();
        let ring = self.rings.last().expect("there is always a ring");
        let scope = self.scopes.entry(claim.scope).or_default();
        scope.learn(&claim.limits);
        if scope.cut.is_some_and(|cut| cut.at >= asked) {
            return;
        }
        let own = scope.own(self.me, own, now);
        let used = used.iter().copied().fold(own, Amounts::plus);
        let rest = scope.limits.amounts().minus(used);
        let left = rest.map(|rest| ring.share(claim.scope, rest, self.me));
        scope.cut = Some(Cut { at: now, left });
    }

    /// An admitted request ended after using `used` tokens. Returns the node to tell at once:
    /// another request may be waiting for its slot.
    pub fn ended(&mut self, taken: &Taken, used: u64, now: MonoMillis) -> Option<NodeId> {
        let own = self.own_run();
        let Taken { scope: id, request, tokens, slot, at, .. } = *taken;
        if let Some(scope) = self.scopes.get_mut(&id) {
            scope.account(self.me, own).end(taken, second(at), used, now);
            if let Some(cut) = scope.cut.as_mut().filter(|_| slot) {
                cut.left.parallel = cut.left.parallel.saturating_add(1);
            }
        }
        if slot || (tokens > 0 && tokens != used) {
            self.report(id, at, Report::Ended { scope: id, request, tokens, used });
        }
        self.ring().owner(id).filter(|owner| slot && *owner != self.me)
    }

    /// An admitted request is undone before it was used: it took nothing. Returns the node to tell
    /// at once: another request may be refused because of it.
    pub fn voided(&mut self, taken: &Taken, now: MonoMillis) -> Option<NodeId> {
        let own = self.own_run();
        let Taken { scope: id, request, tokens, slot, at, lease } = *taken;
        if let Some(scope) = self.scopes.get_mut(&id) {
            scope.account(self.me, own).void(taken, second(at), now);
            if let Some(cut) = &mut scope.cut {
                let parallel = u64::from(slot);
                cut.left = cut.left.plus(Amounts { requests: 1, tokens, parallel });
            }
            if let Some(held) = scope.held.as_mut().filter(|held| Some(held.lease) == lease) {
                // The owner has not heard of it.
                held.left += 1;
                held.used -= 1;
                return None;
            }
        }
        self.report(id, at, Report::Voided { scope: id, request, tokens });
        self.ring().owner(id).filter(|owner| *owner != self.me)
    }

    fn take(&mut self, claim: &Claim, now: MonoMillis) -> Taken {
        let own = self.own_run();
        let scope = self.scopes.entry(claim.scope).or_default();
        let taken = scope.taken(claim, now);
        scope.account(self.me, own).take(&taken, second(now));
        let Taken { scope, request, tokens, slot, at, .. } = taken;
        self.report(scope, at, Report::Admitted { scope, request, tokens, slot });
        taken
    }

    /// The ask to send to a peer: what it has not heard, and these claims and questions.
    pub fn ask(
        &mut self,
        node: NodeId,
        claims: Vec<Claim>,
        questions: Vec<ScopeId>,
        now: MonoMillis,
    ) -> (Sent, Ask) {
        let Reports { run, first, reports } = self.untold(node, now);
        let pull = std::mem::take(&mut self.peers.entry(node).or_default().pull);
        self.pulls += u64::from(pull);
        let sent = Sent { run, pull: pull.then_some(self.pulls) };
        (sent, Ask { epoch: self.epoch, run, first, reports, claims, questions, pull })
    }

    /// What a peer has not heard.
    pub(super) fn untold(&mut self, node: NodeId, now: MonoMillis) -> Reports {
        let own = self.own_run();
        let (me, scopes) = (self.me, &mut self.scopes);
        let outbox = &mut self.peers.entry(node).or_default().outbox;
        let (first, reports) = outbox.fill(now, |id| {
            let account = scopes.get_mut(&id)?.account(me, own);
            (!account.is_idle(now)).then(|| Report::Past {
                scope: id,
                requests: account.requests.to_ages(now),
                tokens: account.tokens.to_ages(now),
                open: account.open.iter().copied().collect(),
            })
        });
        Reports { run: outbox.run, first, reports }
    }

    /// A peer answered an ask.
    pub fn answered(&mut self, node: NodeId, sent: Sent, answer: &Answer, now: MonoMillis) {
        let peer = self.peers.entry(node).or_default();
        peer.silent = None;
        let same_run = peer.outbox.run == sent.run;
        let lost = peer.meet(answer.epoch) || (same_run && answer.heard.is_none());
        if lost {
            self.tell_again(node);
        } else if let Some(last) = answer.heard.filter(|_| same_run) {
            peer.outbox.heard(last);
        }
        if let Some(Reports { run, first, reports }) = &answer.reports {
            self.hear(node, (answer.epoch, *run), *first, reports, now);
        }
        let peer = self.peers.entry(node).or_default();
        peer.pulled = peer.pulled.max(sent.pull.unwrap_or(0));
        self.gathered(now);
    }

    /// A peer did not answer in time, or not at all: shares are used until it does.
    pub fn unanswered(&mut self, node: NodeId, now: MonoMillis) {
        self.peers.entry(node).or_default().silent = Some(now.plus(PROBE_EVERY));
    }

    /// Who may know what was used: all members, those of the rings just left, and those marked down,
    /// if they live.
    fn reachable(&self) -> Vec<NodeId> {
        let members = self.rings.iter().flat_map(|ring| ring.members());
        let mut nodes: Vec<_> = members.chain(self.ring().absent()).copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let silent = |node: &NodeId| self.peers.get(node).is_some_and(|p| p.silent.is_some());
        nodes.retain(|node| *node != self.me && !silent(node));
        nodes
    }

    pub(super) fn own_run(&self) -> Run {
        (self.epoch, 0)
    }
}
