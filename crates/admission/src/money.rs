//! Budgets: the conductor between this node's [`Purses`], which decide, the replicated state, which
//! grants, and the other nodes, which give back.
//!
//! A request that this node's leases cover costs one short lock. Where they do not, it waits for
//! [`PATIENCE`] at most, while the teller asks the state for more and the other nodes for what they
//! do not use; it is refused only when what is missing is spent, held by other requests, or lies on
//! nodes that cannot be reached.

mod called;
mod plan;
mod teller;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_consensus::Consensus;
use dunlin_ledger::{Demand, Lease, Purses, Short, Shortage, View};
use dunlin_rpc::{Incoming, Rpc};
use dunlin_state::{Payer, State, is_rolling};
use dunlin_types::{Clock, Epoch, NanoUsd, NodeId, PotId, RequestId, UnixMillis};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::refusal::{OverBudget, Refusal};
use crate::rules::Rules;
use crate::{Bounds, Ground};
pub(crate) use called::Called;
use plan::Plan;

/// How long a request may wait for money that is not here.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

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
    tasks: TaskTracker,
    /// Somebody waits for money.
    wake: Notify,
    /// Money has moved: who waits looks again.
    moved: watch::Sender<()>,
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
            purses: Mutex::new(Purses::new()),
            tasks: tasks.clone(),
            wake: Notify::new(),
            moved: watch::Sender::new(()),
        }));
        let (telling, answering) = (money.clone(), money.clone());
        let stopped = stop.clone();
        tasks.spawn(async move { stopped.run_until_cancelled(teller::tell(telling)).await });
        tasks
            .spawn(async move { stop.run_until_cancelled(teller::answer(answering, inbox)).await });
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

    /// Holds what is demanded for a request that may cost `cost`.
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
        let (mut applied, mut moved) = (self.0.consensus.applied(), self.0.moved.subscribe());
        let deadline = self.0.clock.mono().plus(PATIENCE);
        loop {
            applied.borrow_and_update();
            moved.borrow_and_update();
            let now = self.0.clock.mono();
            let tried = self.look(|purses, view| purses.hold(request, &demands, view, now));
            let Err(short) = tried else { break };
            if now >= deadline || !more_may_come(&short) {
                let rest = self.look(|purses, view| purses.hold_rest(request, &demands, view, now));
                rest.map_err(|short| self.over_budget(&hold.about, &demands, &short))?;
                break;
            }
            self.0.wake.notify_one();
            tokio::select! {
                _ = applied.changed() => {}
                _ = moved.changed() => {}
                () = sleep(deadline.since(now)) => {}
            }
            if demands.iter().any(|demand| is_rolling(&demand.pot)) {
                // The state says when such a period began.
                demands = self.plan(&About { cost, ..hold.about.clone() }).demands;
            }
        }
        let held = self.purses().held(request);
        for (pot, period) in &mut hold.charged {
            if let Some(held) = held.iter().find(|held| held.pot == *pot) {
                *period = held.period;
            }
        }
        Ok(())
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
        let absent = |lease: &Lease| !state.ring().has(lease.node);
        let pot = state.pot(&demand.pot);
        let withheld = pot.map_or(NanoUsd::ZERO, |pot| {
            pot.leases.iter().filter(|lease| absent(lease)).map(Lease::unused).sum()
        });
        // What is spent beyond the limit is not reachable, and yet spent.
        let settled = pot.map_or(NanoUsd::ZERO, |pot| pot.settled);
        let taken = NanoUsd(demand.limit.0.saturating_sub(shortage.reachable.0 + withheld.0));
        let spent = taken.max(settled);
        Refusal::OverBudget(Box::new(OverBudget {
            payer: budget.payer,
            pot: demand.pot.clone(),
            duration: budget.duration,
            limit: demand.limit,
            spent,
            withheld,
            resets_at: budget.resets_at,
            status: rules.exceeded_status,
        }))
    }

    /// Looks at the purses, and at the state as it is now.
    fn look<T>(&self, look: impl FnOnce(&mut Purses, &dyn Fn(&PotId) -> View) -> T) -> T {
        let mut purses = self.purses();
        let state = self.0.consensus.state();
        let (epoch, through) = state.settled(self.0.me);
        if epoch == self.0.epoch {
            purses.settled_through(through);
        }
        let rules = self.0.rules.load();
        look(&mut purses, &|pot| self.view(&state, &rules, pot))
    }

    fn view(&self, state: &State, rules: &Rules, pot: &PotId) -> View {
        let limit = rules.limit_of(state, pot);
        let Some(held) = state.pot(pot) else {
            return View { limit, free: limit.unwrap_or_default(), ..View::default() };
        };
        let me = (self.0.me, self.0.epoch);
        let answers = |(node, _)| node != self.0.me && state.ring().has(node);
        View::of(held, limit, me, answers)
    }

    fn purses(&self) -> std::sync::MutexGuard<'_, Purses> {
        self.0.purses.lock().expect("no code panics while it holds the purses")
    }

    /// Whoever waits on this node looks again.
    fn freed(&self, purses: &Purses) {
        if purses.figures().waiting > 0 {
            self.0.moved.send_replace(());
        }
    }
}

/// Whether waiting may bring a request more than it could hold now.
fn more_may_come(short: &Short) -> bool {
    !short.is_final()
        && short.pots.iter().any(|pot| pot.strict || pot.available < pot.reachable.min(pot.need))
}

/// A request that may cost money.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) request: RequestId,
    /// Who pays, in the order in which budgets are checked.
    pub(crate) payers: Vec<Payer>,
    /// Instead of them, the pots of what is called.
    pub(crate) called: Vec<PotId>,
    /// The model, for budgets of single ones.
    pub(crate) model: Arc<str>,
    /// What it may cost. Nothing: no budget is asked.
    pub(crate) cost: Bounds,
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
    /// Holds for a request that may cost more than was thought, or keeps what it held.
    pub(crate) async fn extend(&mut self, cost: Bounds) -> Result<(), Refusal> {
        let held = self.about.cost;
        if cost.likely <= held.likely && cost.most <= held.most {
            return Ok(());
        }
        let money = self.money.clone();
        let about = About { cost, ..self.about.clone() };
        let Plan { demands, .. } = money.plan(&about);
        money.wait_for(self, demands, cost).await?;
        self.about.cost = cost;
        Ok(())
    }

    /// Where the cost goes: each pot, and the period in which the request was admitted.
    pub(crate) fn charged(&self) -> &[(PotId, UnixMillis)] {
        &self.charged
    }

    /// The request cost this, as the journal's record `number` says.
    pub(crate) fn settle(mut self, cost: NanoUsd, number: u64) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let charge = |(pot, period): &(PotId, UnixMillis)| (pot.clone(), *period, cost);
        let charges: Vec<_> = self.charged.iter().map(charge).collect();
        let mut purses = self.money.purses();
        purses.settle(self.about.request, &charges, number);
        self.money.freed(&purses);
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
