//! The limits of one scope as one node sees them: what every node took, as far as this one was
//! told. On the owner that is all there is; on the others it is their own part.

use std::time::Duration;

use dunlin_types::{MonoMillis, NodeId, OnLoss, RequestId};

use crate::account::{Account, Run, Taken};
use crate::bucket::WINDOW;
use crate::claim::{Amounts, Claim, Limits, Refused, Remaining, Short};
use crate::doubt::Doubts;
use crate::limiter::Known;
use crate::{CUT_LASTS, LEASE, UNCONFIRMED};

/// Takes within two seconds that make a scope hot for a node.
const HOT: u64 = 20;
/// A lease is worth this many of a minute's parts: 100 ms.
const LEASES_PER_WINDOW: u64 = 600;
/// Nobody knows when a slot becomes free.
const SLOT_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) limits: Limits,
    accounts: Vec<(NodeId, Account)>,
    pending: Vec<Pending>,
    granted: Vec<Granted>,
    /// What this node may take without asking.
    pub(crate) held: Option<Held>,
    pub(crate) cut: Option<Cut>,
    pub(crate) doubts: Doubts,
    /// What a lost owner may have admitted itself, and when it was replaced.
    unheard: Account,
    assumed: MonoMillis,
}

/// Granted to a node that has not yet said that it used it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    node: NodeId,
    request: RequestId,
    wants: Amounts,
    until: MonoMillis,
}

/// A lease as its owner sees it: counted in full until its holder says what it used, or a minute
/// after the last moment at which it could have been used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Granted {
    holder: NodeId,
    lease: RequestId,
    amount: u64,
    until: MonoMillis,
}

/// A lease as its holder sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) lease: RequestId,
    pub(crate) left: u64,
    pub(crate) used: u64,
    pub(crate) until: MonoMillis,
}

/// A share of what the nodes that could be asked left free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cut {
    pub(crate) at: MonoMillis,
    pub(crate) left: Amounts,
}

impl Scope {
    /// The account of a node in its present run.
    pub(crate) fn account(&mut self, node: NodeId, run: Run) -> &mut Account {
        let found = self.accounts.iter().position(|(of, _)| *of == node);
        let index = found.unwrap_or_else(|| {
            self.accounts.push((node, Account { run, ..Account::default() }));
            self.accounts.len() - 1
        });
        let account = &mut self.accounts[index].1;
        if account.run != run {
            if account.run.0 != run.0 {
                account.requests.begin_anew();
                account.tokens.begin_anew();
            }
            account.open.clear();
            account.run = run;
        }
        account
    }

    /// What is taken of all limits.
    fn used(&mut self, now: MonoMillis, known: &Known<'_>) -> Amounts {
        self.lapse(now, known);
        let mut used = Amounts::default();
        for (node, account) in &mut self.accounts {
            let part = account.used(now);
            let parallel = if known.present(*node, account.run) { part.parallel } else { 0 };
            used = used.plus(Amounts { parallel, ..part });
        }
        let pending = self.pending.iter().map(|pending| pending.wants);
        used = pending.fold(used, Amounts::plus).plus(self.unheard.used(now));
        let leased = self.granted.iter().map(|granted| granted.amount).sum();
        used.plus(Amounts { requests: leased, ..Amounts::default() })
    }

    fn lapse(&mut self, now: MonoMillis, known: &Known<'_>) {
        let is_shared = self.limits.on_loss == OnLoss::Share;
        self.pending.retain_mut(|pending| {
            if now >= pending.until {
                pending.wants.parallel = 0;
            }
            // A node that is not heard any more may have admitted it.
            let may_be_lost = is_shared && known.heard(pending.node) < pending.until;
            now < pending.until || (may_be_lost && now < pending.until.plus(WINDOW))
        });
        self.granted.retain(|granted| now < granted.until.plus(WINDOW));
    }

    /// The newest limits anyone told.
    pub(crate) fn learn(&mut self, limits: &Limits) {
        if limits.as_of >= self.limits.as_of {
            self.limits = *limits;
        }
    }

    /// The scope was taken over at `at` from an owner that has not told what it admitted itself: of
    /// limits that no loss may exceed, that may be all that others did not take.
    pub(crate) fn assume(
        &mut self,
        claim: &Claim,
        at: Option<MonoMillis>,
        now: MonoMillis,
        known: &Known<'_>,
    ) {
        self.learn(&claim.limits);
        let Some(at) = at.filter(|at| *at > self.assumed) else { return };
        if self.limits.on_loss != OnLoss::Share {
            return;
        }
        // What was granted and is not confirmed may never have been taken.
        let pending = std::mem::take(&mut self.pending);
        let rest = self.limits.amounts().minus(self.used(now, known));
        self.pending = pending;
        let limited = |limit: Option<u64>, rest: u64| if limit.is_some() { rest } else { 0 };
        let Limits { requests, tokens, .. } = self.limits;
        self.unheard.requests.take(limited(requests, rest.requests), at);
        self.unheard.tokens.take(limited(tokens, rest.tokens), at);
        self.assumed = at;
    }

    /// What would remain if the claim were granted, by all that this node knows.
    pub(crate) fn check(
        &mut self,
        claim: &Claim,
        now: MonoMillis,
        known: &Known<'_>,
    ) -> Result<Remaining, Refused> {
        self.learn(&claim.limits);
        let (limits, wants) = (self.limits, claim.wants());
        let free = most(&limits, known).minus(self.used(now, known));
        match limits.short(free, wants) {
            None => Ok(limits.remaining(free.minus(wants))),
            Some(short) => Err(self.refusal(&short, wants, now)),
        }
    }

    pub(crate) fn refusal(&self, short: &Short, wants: Amounts, now: MonoMillis) -> Refused {
        let lacking = |want: u64| want - short.free;
        let retry_after = match short.what {
            crate::Limited::Requests => self.wait(lacking(wants.requests), now, |a| &a.requests),
            crate::Limited::Tokens => self.wait(lacking(wants.tokens), now, |a| &a.tokens),
            crate::Limited::MaxParallelRequests => SLOT_WAIT,
        };
        let (what, limit, remaining) = (short.what, short.limit, short.free);
        Refused { what, limit, remaining, retry_after, doubted: false }
    }

    /// Who, other than `by`, may have given back unheard what `claim` lacks. What was granted or taken
    /// may have been too much or be undone; a request that is known to be sent stays one.
    pub(crate) fn unheard(
        &mut self,
        claim: &Claim,
        by: NodeId,
        refused: &Refused,
        now: MonoMillis,
        known: &Known<'_>,
    ) -> Vec<NodeId> {
        let (mut most, mut nodes) = (refused.remaining, Vec::new());
        for (node, account) in &mut self.accounts {
            if *node == by || !known.hears(*node) {
                continue;
            }
            let granted = self.pending.iter().filter(|pending| pending.node == *node);
            let taken = Amounts { requests: 0, ..account.used(now) };
            let may_return = granted.map(|pending| pending.wants).fold(taken, Amounts::plus);
            if may_return.of(refused.what) > 0 {
                most = most.saturating_add(may_return.of(refused.what));
                nodes.push(*node);
            }
        }
        let wants = claim.wants().of(refused.what);
        if wants <= most.min(refused.limit) { nodes } else { Vec::new() }
    }

    /// How long until `lacking` more have come back.
    fn wait(
        &self,
        lacking: u64,
        now: MonoMillis,
        bucket: impl Fn(&Account) -> &crate::Bucket,
    ) -> Duration {
        let accounts = self.accounts.iter().map(|(_, account)| account).chain([&self.unheard]);
        let taken = accounts.flat_map(|account| bucket(account).returns());
        let mut returns: Vec<_> = taken.collect();
        returns.sort_unstable();
        let mut back = 0_u64;
        let enough = returns.into_iter().find(|(_, amount)| {
            back = back.saturating_add(*amount);
            back >= lacking
        });
        enough.map_or(WINDOW, |(at, _)| at.since(now))
    }

    /// What `claim` takes where its limits count.
    pub(crate) fn taken(&self, claim: &Claim, at: MonoMillis) -> Taken {
        let limited = self.limits.tokens.is_some();
        Taken {
            scope: claim.scope,
            request: claim.request,
            tokens: if limited { claim.wants().tokens } else { 0 },
            slot: self.limits.parallel.is_some(),
            at,
            lease: None,
        }
    }

    /// Grants a peer's claim until it is confirmed. Repeated, it is granted once.
    pub(crate) fn reserve(
        &mut self,
        (node, run): (NodeId, Run),
        claim: &Claim,
        now: MonoMillis,
        known: &Known<'_>,
    ) -> Result<Remaining, Refused> {
        self.confirm(node, claim.request);
        if self.account(node, run).open.contains(&claim.request) {
            let used = self.used(now, known);
            return Ok(self.limits.remaining(most(&self.limits, known).minus(used)));
        }
        let remaining = self.check(claim, now, known)?;
        self.expect(node, claim, now);
        Ok(remaining)
    }

    /// Counts a claim that its node may yet admit, until it says so or says nothing for too long.
    pub(crate) fn expect(&mut self, node: NodeId, claim: &Claim, now: MonoMillis) {
        self.confirm(node, claim.request);
        let (request, wants) = (claim.request, claim.wants());
        self.pending.push(Pending { node, request, wants, until: now.plus(UNCONFIRMED) });
    }

    fn confirm(&mut self, node: NodeId, request: RequestId) {
        self.pending.retain(|pending| (pending.node, pending.request) != (node, request));
    }

    /// A peer says that it admitted a request, asked for or not.
    pub(crate) fn admitted(&mut self, node: NodeId, run: Run, taken: &Taken, second: u64) {
        self.confirm(node, taken.request);
        self.account(node, run).take(taken, second);
    }

    /// What a peer may take from here on without asking: 100 ms of the limit's rate, of half of
    /// the bucket at most. Only where requests alone are limited: a request's tokens are more than
    /// 100 ms of most limits, and slots are not leased.
    pub(crate) fn lease(
        &mut self,
        (holder, run): (NodeId, Run),
        claim: &Claim,
        now: MonoMillis,
        known: &Known<'_>,
    ) -> u64 {
        let Limits { requests: Some(limit), tokens: None, parallel: None, .. } = self.limits else {
            return 0;
        };
        let live = |granted: &&Granted| granted.holder == holder && now < granted.until;
        if let Some(live) = self.granted.iter().find(live) {
            return if live.lease == claim.request { live.amount } else { 0 };
        }
        if self.account(holder, run).requests.lately(now) < HOT {
            return 0;
        }
        let most = most(&self.limits, known);
        let free = most.minus(self.used(now, known)).requests;
        let leased: u64 = self.granted.iter().map(|granted| granted.amount).sum();
        let amount = (limit / LEASES_PER_WINDOW).min((limit / 2).saturating_sub(leased)).min(free);
        if amount > 0 {
            let until = now.plus(LEASE);
            self.granted.push(Granted { holder, lease: claim.request, amount, until });
        }
        amount
    }

    /// A lease came back: what was used of it counts from the last moment it could be used.
    pub(crate) fn close(
        &mut self,
        (node, run): (NodeId, Run),
        lease: RequestId,
        used: u64,
        second: u64,
    ) {
        let found = self.granted.iter().position(|g| g.holder == node && g.lease == lease);
        if let Some(granted) = found.map(|index| self.granted.swap_remove(index)) {
            let used = used.min(granted.amount);
            self.account(node, run).requests.take_in(second, used, granted.until);
        }
    }

    /// What this node, `me`, used of the limits or may still use without being asked again.
    pub(crate) fn own(&mut self, me: NodeId, run: Run, now: MonoMillis) -> Amounts {
        let used = self.account(me, run).used(now);
        let held = self.held.as_ref().filter(|held| now < held.until).map_or(0, |held| held.left);
        used.plus(Amounts { requests: held, ..Amounts::default() })
    }

    /// The same, and what this node has set aside for itself: for others who share what is left.
    pub(crate) fn own_and_cut(&mut self, me: NodeId, run: Run, now: MonoMillis) -> Amounts {
        let own = self.own(me, run, now);
        let cut = self.cut.filter(|cut| now.since(cut.at) < CUT_LASTS);
        cut.map_or(own, |cut| own.plus(cut.left))
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_idle(&mut self, now: MonoMillis, known: &Known<'_>) -> bool {
        self.used(now, known) == Amounts::default() && self.held.is_none()
    }
}

/// The most of each limit that may be taken by those whom an owner hears.
fn most(limits: &Limits, known: &Known<'_>) -> Amounts {
    let whole = limits.amounts();
    match limits.on_loss {
        OnLoss::Share => whole.map(|limit| known.losses.part(limit)),
        OnLoss::Full | OnLoss::Closed | OnLoss::Open => whole,
    }
}
