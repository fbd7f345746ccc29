//! Budgets: the conductor between this node's [`Purses`], which decide, the replicated state, which
//! grants, and the other nodes, which give back.
//!
//! A request that this node's leases cover costs one short lock. Where they do not, it waits for
//! [`PATIENCE`], while the teller asks the state for more and the other nodes for what they do not
//! use. Then it is refused as soon as their answers to a question that was asked after it show that
//! what is missing is spent, held by other requests, or lies on nodes that cannot be reached; as
//! long as they show that there is enough, it waits on, before all others, but for [`ARREARS`] at most.
//! On a node that has not heard a leader for [`LEADERLESS`], nothing is waited for: no money can come.

mod awaited;
mod called;
mod plan;
mod restored;
mod teller;
mod waiting;

use std::mem::replace;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_consensus::Consensus;
use dunlin_ledger::{Demand, Figures, Held, Lease, Life, Purses, Short, Shortage, View};
use dunlin_rpc::{Incoming, Rpc};
use dunlin_state::{Payer, State, is_rolling};
use dunlin_types::{
    Clock, Epoch, KeyDigest, MonoMillis, NanoUsd, NodeId, PotId, RequestId, Seldom, Served,
    UnixMillis,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::limits::LOUD_EVERY;
use crate::refusal::{OverBudget, Refusal};
use crate::rules::Rules;
use crate::{Bounds, Ground, spawn};
use awaited::Things;
pub(crate) use called::Called;
use plan::Plan;
pub use restored::Awaited;
use restored::ToClose;
use waiting::{Call, Calls};

/// Budgets, and windows and models of them, that this node keeps books on at once.
const MAX_POTS: usize = 1_000_000;
/// How long a request may wait for money that is not here.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// How much longer it waits for money that is known to be somewhere. It comes within milliseconds,
/// but a thousand requests at once on nodes that have hardly any CPU move it slowly: to refuse them
/// would be false, and who will not wait so long hangs up.
pub(crate) const ARREARS: Duration = Duration::from_secs(30);
/// Without a leader no money moves. A new one is there in less than this.
pub(crate) const LEADERLESS: Duration = Duration::from_secs(2);

/// How often who waits looks by itself: its key may be blocked, or the leader silent.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const NOT_IN_TIME: &str = "budget money lies on other nodes and did not arrive in time";
/// How to see what is wrong, and how to mend it.
const START_OTHERS: &str = "start the silent nodes again (`dunlin status` names them)";

/// The budgets as this node spends them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Money(Arc<Shared>);

struct Shared {
    me: NodeId,
    epoch: Epoch,
    clock: Clock,
    consensus: Consensus,
    rpc: Rpc,
    rules: Arc<ArcSwap<Rules>>,
    purses: Mutex<Purses>,
    awaited: Things,
    to_close: ToClose,
    complained: Mutex<Seldom>,
    tasks: TaskTracker,
    /// Somebody waits for money.
    wake: Notify,
    /// Money may have moved, or all others have said what is committed.
    bell: Notify,
    /// Who waits, and what has it look again.
    calls: Calls,
}

impl Money {
    /// Begins to ask for money and to answer those who do, on the current runtime.
    pub(crate) fn start(
        ground: Ground,
        rules: Arc<ArcSwap<Rules>>,
        inbox: mpsc::Receiver<Incoming>,
    ) -> Self {
        let Ground { me, epoch, clock, consensus, rpc, tasks, stop } = ground;
        let money = Self(Arc::new(Shared {
            me,
            epoch,
            clock,
            consensus,
            rpc,
            rules,
            purses: Mutex::new(Purses::new(MAX_POTS)),
            awaited: Things::default(),
            to_close: ToClose::default(),
            complained: Mutex::default(),
            tasks: tasks.clone(),
            wake: Notify::new(),
            bell: Notify::new(),
            calls: Calls::default(),
        }));
        let (telling, ringing, answering) = (money.clone(), money.clone(), money.clone());
        spawn(&tasks, &stop, teller::tell(telling));
        spawn(&tasks, &stop, waiting::wake(ringing));
        spawn(&tasks, &stop, teller::answer(answering, inbox));
        money
    }

    /// Holds what a request may cost of every budget that it spends from, or of none.
    pub(crate) async fn hold(&self, about: About) -> Result<Hold, Refusal> {
        let Plan { demands, charged } = self.plan(&about);
        let cost = about.cost;
        let mut hold = Hold { money: self.clone(), about, charged, asked: false };
        self.wait_for(&mut hold, demands, cost).await?;
        Ok(hold)
    }

    /// Holds what is demanded for a request that may cost `cost`. The master key's waits and holds as
    /// all do, so that others see what it spends, but no budget refuses it.
    async fn wait_for(
        &self,
        hold: &mut Hold,
        mut demands: Vec<Demand>,
        cost: Bounds,
    ) -> Result<(), Refusal> {
        if demands.is_empty() {
            return Ok(());
        }
        hold.asked = true;
        let request = hold.about.request;
        let is_exempt = hold.about.is_exempt();
        let mut call = None;
        let deadline = self.0.clock.mono().plus(PATIENCE);
        let last = if is_exempt { deadline } else { deadline.plus(ARREARS) };
        loop {
            let now = self.0.clock.mono();
            let tried = self.look(|purses, view| {
                let held = purses.hold(request, &demands, view, now);
                if held.is_err() && now >= deadline {
                    purses.insist(request);
                }
                held
            });
            let Err(short) = tried else { break };
            let Some(call) = &call else {
                // What comes from here on calls it: it looks again, for what came before.
                call = Some(Call::new(self, request));
                continue;
            };
            let silence = self.silence(now);
            let is_over = now >= last || silence.is_some();
            if is_over || short.is_final() {
                let rest = |purses: &mut Purses, view: &dyn Fn(&PotId) -> View| {
                    purses.hold_rest(request, &demands, view, now)
                };
                if !short.is_final() && self.look(rest).is_ok() {
                    break;
                }
                self.freed(&self.purses());
                if is_exempt {
                    // It holds nothing: what it costs is seen once it is settled.
                    return Ok(());
                }
                // What nobody has shown to be spent is not said to be.
                return Err(if short.is_spent() {
                    self.over_budget(&hold.about, &demands, &short)
                } else if short.lacks_room {
                    self.table_full()
                } else {
                    Refusal::CannotKnow { reason: not_come(silence) }
                });
            }
            self.0.wake.notify_one();
            let until = if now < deadline { deadline } else { last };
            let until = until.min(now.plus(LOOK_EVERY));
            // Either is a reason to look again.
            drop(timeout(until.since(now), call.comes()).await);
            self.renew(&hold.about, cost, &mut demands)?;
        }
        let purses = self.purses();
        if call.is_some() {
            self.freed(&purses);
        }
        let held = purses.held(request);
        drop(purses);
        for (pot, period) in &mut hold.charged {
            if let Some(held) = held.iter().find(|held| held.pot == *pot) {
                *period = held.period;
            }
        }
        Ok(())
    }

    /// What a request that has waited demands by now: its limits may be others, and who asks may not
    /// be let in any more.
    fn renew(&self, about: &About, cost: Bounds, demands: &mut Vec<Demand>) -> Result<(), Refusal> {
        let (state, rules) = (self.0.consensus.state(), self.0.rules.load());
        if let Some(token) = about.token {
            state.authenticate(token, &[], self.today(&state))?;
        }
        if demands.iter().any(|demand| is_rolling(&demand.pot)) {
            // The state says when such a period began.
            *demands = self.plan(&About { cost, ..about.clone() }).demands;
        }
        demands.retain_mut(|demand| {
            let limit = rules.limit_of(&state, &demand.pot);
            demand.limit = limit.unwrap_or(demand.limit);
            limit.is_some()
        });
        Ok(())
    }

    /// Whether all that no request needs goes back at once: this node leaves its clients to others.
    pub(crate) fn leave(&self, leaving: bool) {
        self.purses().leave(leaving);
        self.0.wake.notify_one();
    }

    /// For how long no leader with a majority was heard, if that is longer than it takes to elect one
    /// and this node does not know why: what it slept through was no silence.
    fn silence(&self, now: MonoMillis) -> Option<Duration> {
        let consensus = &self.0.consensus;
        let heard = consensus.leader_heard().unwrap_or_default();
        Some(now.since(heard)).filter(|silence| *silence > LEADERLESS && !consensus.finds_back())
    }

    fn plan(&self, about: &About) -> Plan {
        let state = self.0.consensus.state();
        plan::make(&state, &self.0.rules.load(), about, self.today(&state))
    }

    /// The time, as far as budgets go: never before what the state has seen.
    fn today(&self, state: &State) -> UnixMillis {
        self.0.clock.unix().max(state.at())
    }

    /// Why a request is refused: the first pot that no other node can help out with, in the order of
    /// the plan; else the first that lacked.
    fn over_budget(&self, about: &About, demands: &[Demand], short: &Short) -> Refusal {
        let lacks = |shortage: &&Shortage| {
            if shortage.strict {
                shortage.available < shortage.need
            } else {
                shortage.available == NanoUsd::ZERO
            }
        };
        let pots = &short.pots;
        let spent = pots.iter().find(|shortage| shortage.is_final());
        let first = spent.or_else(|| pots.iter().find(lacks)).or(pots.first());
        let shortage = first.expect("what is refused lacks something");
        let demand = demands.iter().find(|demand| demand.pot == shortage.pot);
        let demand = demand.expect("only what was demanded can lack");
        let (state, rules) = (self.0.consensus.state(), self.0.rules.load());
        let budget = plan::budget_of(&state, &rules, about, &demand.pot, self.today(&state));
        let (period, withheld) = (shortage.period, shortage.withheld);
        let spent = self.look_at(|purses, state| {
            let pot = state.pot(&demand.pot).filter(|pot| pot.period == period);
            pot.map_or(NanoUsd::ZERO, |pot| pot.settled)
                + purses.book(&demand.pot, period).unsettled
        });
        // More may be spent than the limit.
        let gone = spent + shortage.reachable + withheld;
        let held = NanoUsd(demand.limit.0.saturating_sub(gone.0));
        Refusal::OverBudget(Box::new(OverBudget {
            payer: budget.payer,
            pot: demand.pot.clone(),
            duration: budget.duration,
            limit: demand.limit,
            spent,
            held,
            withheld,
            could_cost: Some(shortage.need).filter(|_| shortage.strict),
            resets_at: budget.resets_at,
            status: rules.exceeded_status,
        }))
    }

    fn table_full(&self) -> Refusal {
        let reason = format!("this node has {MAX_POTS} budgets in use, and keeps no books on more");
        if self.0.complained.lock().expect("never poisoned").is_due(self.0.clock.mono(), LOUD_EVERY)
        {
            error!("requests are refused: {reason}");
        }
        Refusal::Overloaded { reason }
    }

    /// Looks at the purses, and at the state as it is now.
    fn look<T>(&self, look: impl FnOnce(&mut Purses, &dyn Fn(&PotId) -> View) -> T) -> T {
        self.look_at(|purses, state| {
            let rules = self.0.rules.load();
            look(purses, &|pot| self.view(state, &rules, pot))
        })
    }

    fn look_at<T>(&self, look: impl FnOnce(&mut Purses, &State) -> T) -> T {
        let mut purses = self.purses();
        let state = self.0.consensus.state();
        let (epoch, through) = state.settled(self.0.me);
        if epoch == self.0.epoch {
            purses.settled_through(through);
        }
        self.0.awaited.void_settled(&state, &mut purses);
        look(&mut purses, &state)
    }

    fn view(&self, state: &State, rules: &Rules, pot: &PotId) -> View {
        let limit = rules.limit_of(state, pot);
        let Some(held) = state.pot(pot) else {
            return View { limit, free: limit.unwrap_or_default(), ..View::default() };
        };
        let me = (self.0.me, self.0.epoch);
        // A former life of this node, too: what it had not used is about to be free.
        View::of(held, limit, me, |(node, _)| state.ring().has(node))
    }

    /// Whom to ask about a pot.
    fn lives(&self, state: &State, pot: &PotId) -> Vec<Life> {
        let leases = state.pot(pot).map_or(&[][..], |held| &held.leases);
        let others = leases.iter().filter(|lease| lease.node != self.0.me);
        let life = |lease: &Lease| Life {
            holder: (lease.node, lease.epoch),
            unused: lease.unused(),
            through: match state.settled(lease.node) {
                (epoch, through) if epoch == lease.epoch => through,
                _ => 0,
            },
        };
        others.filter(|lease| state.ring().has(lease.node)).map(life).collect()
    }

    /// Counts, for metrics.
    pub(crate) fn figures(&self) -> Figures {
        self.purses().figures()
    }

    fn purses(&self) -> std::sync::MutexGuard<'_, Purses> {
        self.0.purses.lock().expect("no code panics while it holds the purses")
    }

    #[cfg(test)]
    pub(crate) fn keep_no_books(&self) {
        *self.purses() = Purses::new(0);
    }

    #[cfg(test)]
    pub(crate) fn break_books(&self) {
        let _held = self.purses();
        panic!("on purpose");
    }

    /// What was charged under number `before`, for want of a record, has one now.
    pub(crate) fn recorded(&self, before: u64, number: u64) {
        self.purses().recorded(before, number);
    }

    /// Whoever waits on this node looks again.
    fn freed(&self, purses: &Purses) {
        if purses.figures().waiting > 0 {
            self.0.bell.notify_one();
        }
    }
}

/// Why money that is not spent is not here.
fn not_come(silence: Option<Duration>) -> String {
    match silence {
        None => NOT_IN_TIME.to_owned(),
        Some(silence) => format!(
            "what is left of a budget lies with other nodes, and cannot be had without a majority of the \
             cluster, which this node has not heard for {} s: {START_OTHERS}",
            silence.as_secs()
        ),
    }
}

/// A request that may cost money.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) request: RequestId,
    /// The key that must stay valid while the request waits; `None`: no key.
    pub(crate) token: Option<KeyDigest>,
    /// Who pays, in the order in which budgets are checked.
    pub(crate) payers: Vec<Payer>,
    /// Instead of them, the pots of what is called.
    pub(crate) called: Vec<PotId>,
    /// For budgets of single models.
    pub(crate) served: Served,
    /// What it may cost. Nothing: no budget is asked.
    pub(crate) cost: Bounds,
    /// Whether it may hold less of a strict budget in which less is left.
    pub(crate) takes_rest: bool,
}

impl About {
    /// The master key pays for it: it has no payers, and no budget refuses it.
    fn is_exempt(&self) -> bool {
        self.payers.is_empty() && self.called.is_empty()
    }
}

/// What a request holds of its budgets, and where its cost goes. Dropped, it is void.
pub(crate) struct Hold {
    money: Money,
    about: About,
    charged: Vec<(PotId, UnixMillis)>,
    /// It may hold or wait for something.
    asked: bool,
}

impl Hold {
    /// What it is served by that is held for.
    pub(crate) fn served(&self) -> &Served {
        &self.about.served
    }

    /// Who pays for it.
    pub(crate) fn payers(&self) -> &[Payer] {
        &self.about.payers
    }

    /// Holds what a request may cost at the model of `demand`, for which others than before may pay;
    /// or keeps what it held.
    pub(crate) async fn turn_to(
        &mut self,
        demand: &crate::Demand,
        payers: Option<Vec<Payer>>,
    ) -> Result<(), Refusal> {
        let (held, cost) = (self.about.cost, demand.cost);
        if payers.is_none() && cost.likely <= held.likely && cost.most <= held.most {
            return Ok(());
        }
        let payers = payers.unwrap_or_else(|| self.about.payers.clone());
        let (served, takes_rest) = (demand.served.clone(), demand.takes_rest);
        let about = About { cost, payers, served, takes_rest, ..self.about.clone() };
        let money = self.money.clone();
        let Plan { demands, charged } = money.plan(&about);
        let before = (replace(&mut self.about, about), replace(&mut self.charged, charged));
        let held = money.wait_for(self, demands, cost).await;
        if held.is_err() {
            (self.about, self.charged) = before;
        }
        held
    }

    /// Where the cost goes: each pot, and the period in which the request was admitted.
    pub(crate) fn charged(&self) -> &[(PotId, UnixMillis)] {
        &self.charged
    }

    /// What it holds of each budget.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.money.purses().held(self.about.request)
    }

    /// The request cost this, as the journal's record `number` says, or will say.
    pub(crate) fn settle(self, cost: NanoUsd, number: u64) {
        let money = self.money.clone();
        if let Some(held) = self.leave() {
            money.settle_held(&held, cost, number);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.asked {
            return;
        }
        let mut purses = self.money.purses();
        purses.void(self.about.request);
        self.money.freed(&purses);
    }
}
