//! Admits requests and settles what they cost: keys from the replicated state, limits from their
//! owners, spend through the journal.
//!
//! Does not know models, providers or HTTP, nor what a limit is (`dunlin_limiter` does).
//! Invariants: every admitted request ends in exactly one settled or voided [`Permit`]; a node that
//! cannot know whether a key exists says so and never that it does not; each record of the journal
//! is settled once, whatever is killed in between.
//!
//! What a crash can lose: the permits of requests in flight on the dead node, which were never
//! billed; nothing that was written to the journal before the last byte of an answer left. A power
//! cut can also lose the records of the last [`dunlin_journal::SYNC_EVERY`].
//!
//! Read `permit.rs` (a request), then `settler.rs` (its spend) and `limits.rs`.

mod backlog;
mod batches;
mod caller;
mod days;
mod demand;
mod drain;
mod introductions;
mod limits;
mod metrics;
mod money;
mod permit;
mod record;
mod refusal;
mod rules;
mod settler;
mod slots;
mod unsettled;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_consensus::Consensus;
use dunlin_journal::{Journal, OlderEpoch, SpendRecord};
use dunlin_ledger::Outputs;
use dunlin_metrics::vital;
use dunlin_rpc::{Incoming, Rpc};
use dunlin_state::{Caller, Key, Payer};
use dunlin_types::{
    Clock, DeploymentId, Epoch, KeyDigest, Line, NanoUsd, NodeId, PotId, Seldom, Served, Tokens,
    UnixMillis,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use batches::{CountedBatch, MadeBatch, counts_batches, has_budget};
pub use demand::{Bounds, Counted, Demand};
pub use dunlin_limiter::Limited;
pub use dunlin_state::Rank;
pub use metrics::METRICS;
pub use permit::{Entry, Found, Permit};
pub use record::{reckon, whose};
pub use refusal::{
    Error, Full, LimitScope, LimitStatus, NotEntered, OverBudget, Part, RateLimited, Refusal,
};
pub use rules::{ClusterBudget, EndUsers, Rules};

use backlog::Backlog;
use drain::Drain;
pub use drain::Left;
use introductions::Introductions;
use limits::{Limits, Under};
pub use money::Awaited;
use money::{About, Called, Hold, Money};
use slots::Slots;
use unsettled::Unsettled;

/// What admission needs of its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// This life of it.
    pub epoch: Epoch,
    /// Where the background tasks run.
    pub tasks: TaskTracker,
    /// Ends the background tasks.
    pub stop: CancellationToken,
}

/// What admission is built on.
pub struct Parts {
    /// The node's clock.
    pub clock: Clock,
    /// The replicated state.
    pub consensus: Consensus,
    /// This node's records.
    pub journal: Journal,
    /// Former lives with records that may not be settled.
    pub older: Vec<OlderEpoch>,
    /// The way to owners of limits.
    pub rpc: Rpc,
    /// What other nodes ask this one as an owner.
    pub limits: mpsc::Receiver<Incoming>,
    /// What other nodes ask this one to give back.
    pub money: mpsc::Receiver<Incoming>,
}

/// What limits and money stand on alike.
#[derive(Clone)]
struct Ground {
    me: NodeId,
    epoch: Epoch,
    clock: Clock,
    consensus: Consensus,
    rpc: Rpc,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a deployment may be sent, by the whole cluster. `None`: as much as comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Requests in any 60 s.
    pub requests: Option<u64>,
    /// Tokens in any 60 s.
    pub tokens: Option<u64>,
    /// Tokens of prompts in any 60 s.
    pub input: Option<u64>,
    /// Tokens of answers in any 60 s.
    pub output: Option<u64>,
    /// Requests at once.
    pub parallel: Option<u64>,
    /// Higher for what was said later, such as the number of the config revision.
    pub as_of: u64,
}

impl Room {
    /// Whether it bounds anything.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let Self { requests, tokens, input, output, parallel, as_of: _ } = self;
        [requests, tokens, input, output, parallel].into_iter().any(Option::is_some)
    }
}

/// Where a request is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Entering<'a> {
    /// The deployment.
    pub deployment: &'a DeploymentId,
    /// Its provider.
    pub provider: &'a str,
    /// The words on the request.
    pub tags: &'a [String],
    /// What the deployment may be sent.
    pub room: Room,
    /// What the request may cost there.
    pub cost: Bounds,
}

/// The admission of a node. Cheap to clone.
#[derive(Clone)]
pub struct Admission(Arc<Shared>);

struct Shared {
    me: NodeId,
    epoch: Epoch,
    clock: Clock,
    consensus: Consensus,
    journal: Journal,
    limits: Limits,
    money: Money,
    rules: Arc<ArcSwap<Rules>>,
    outputs: Mutex<Outputs>,
    unsettled: Unsettled,
    backlog: Backlog,
    /// A journal that cannot be read was said to be.
    unreadable: Mutex<Seldom>,
    unknown: caller::Unknown,
    introductions: Introductions,
    slots: Slots,
    drain: Drain,
    refused: metrics::Refused,
    tasks: TaskTracker,
}

impl Admission {
    /// Starts settling and answering other nodes, on the current runtime. Former lives held for what is
    /// `awaited`: it is asked for once all that they recorded is settled.
    #[must_use]
    pub fn start(
        config: Config,
        parts: Parts,
        awaited: impl Future<Output = Vec<Awaited>> + Send + 'static,
    ) -> Self {
        let tasks = config.tasks.clone();
        let (admission, older) = Self::assemble(&config, parts);
        let stop = config.stop.clone();
        spawn(&tasks, &stop, backlog::run(admission.clone()));
        spawn(&tasks, &stop, settler::run(admission.clone(), config, older, awaited));
        admission
    }

    /// For how long something may have been decided that this node does not know of.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.0.consensus.staleness()
    }

    /// Whether this node has just gone on after it stood still, and may soon know more.
    #[must_use]
    pub fn finds_back(&self) -> bool {
        self.0.consensus.finds_back()
    }

    /// Other nodes that know all, as they say: each may be asked in this one's place.
    pub async fn fresh_nodes(&self) -> Vec<NodeId> {
        self.0.consensus.fresh_nodes().await
    }

    /// Whether another node is heard, and takes clients as far as it says.
    #[must_use]
    pub fn takes_clients(&self, node: NodeId) -> bool {
        self.0.consensus.takes_clients(node)
    }

    /// All of it but the settler.
    fn assemble(config: &Config, parts: Parts) -> (Self, Vec<OlderEpoch>) {
        let Parts { clock, consensus, journal, older, rpc, limits, money } = parts;
        let ground = Ground {
            me: config.me,
            epoch: config.epoch,
            clock: clock.clone(),
            consensus: consensus.clone(),
            rpc,
            tasks: config.tasks.clone(),
            stop: config.stop.clone(),
        };
        let rules = Arc::new(ArcSwap::default());
        let limits = Limits::start(ground.clone(), limits);
        let money = Money::start(ground, Arc::clone(&rules), money);
        let unsettled = Unsettled::default();
        let unknown = caller::Unknown::default();
        let (outputs, tasks) = (Mutex::default(), config.tasks.clone());
        let shared = Shared {
            me: config.me,
            epoch: config.epoch,
            clock,
            consensus,
            journal,
            limits,
            money,
            rules,
            outputs,
            unsettled,
            backlog: Backlog::default(),
            unreadable: Mutex::default(),
            unknown,
            introductions: Introductions::default(),
            slots: Slots::default(),
            drain: Drain::default(),
            refused: metrics::Refused::default(),
            tasks,
        };
        (Self(Arc::new(shared)), older)
    }

    /// Who has the key with this hash, and asks at these paths. A key that the local state does not
    /// know is looked for once more after a read index from the leader.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn caller(&self, token: KeyDigest, asked: &[&str]) -> Result<Caller, Refusal> {
        self.counted(caller::find(&self.0, token, asked).await)
    }

    /// Goes by these rules from here on.
    pub fn govern(&self, rules: Rules) {
        self.0.rules.store(Arc::new(rules));
    }

    /// Takes what the limits allow and holds what the budgets allow, of everyone who pays for the
    /// request. `None` is the master key, which has neither.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was taken or held.
    pub async fn admit(&self, caller: Option<&Caller>, demand: Demand) -> Result<Permit, Refusal> {
        self.counted(self.admitted(caller, demand).await)
    }

    /// Counts a refusal.
    fn counted<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| self.0.refused.count(refusal))
    }

    async fn admitted(&self, caller: Option<&Caller>, demand: Demand) -> Result<Permit, Refusal> {
        let rules = self.0.rules.load_full();
        let slot = self.0.slots.take(rules.node_parallel.unwrap_or(u64::MAX))?;
        let mut payers = self.payers(caller, &demand.served, &rules);
        let token = caller.map(|caller| caller.token);
        let hold = self.hold((token, &mut payers), &demand, &rules).await?;
        let reservation = match caller {
            Some(caller) => {
                let (tags, key_parallel) = (caller.limited_tags.as_slice(), rules.key_parallel);
                let under = Under::model(&payers, &rules);
                let under = Under { tags, key_parallel, only_model: false, ..under };
                Some(self.0.limits.reserve(under, &demand).await?)
            }
            None => None,
        };
        let key = caller.map(|caller| Arc::clone(&caller.key));
        let (admission, turned, entry) = (self.clone(), None, None);
        Ok(Permit { admission, key, reservation, turned, hold, entry, slot })
    }

    /// Who pays for a request to a model: those of its caller, and the model's access groups.
    fn payers(&self, caller: Option<&Caller>, served: &Served, rules: &Rules) -> Vec<Payer> {
        let Some(caller) = caller else { return Vec::new() };
        let mut payers = caller.payers.clone();
        if rules.binds_users_of_teams {
            payers.iter_mut().for_each(Payer::bind_budgets);
        }
        self.add_access_groups(&mut payers, served, rules);
        payers
    }

    /// Who pays for a request if another model answers than `payers` are for.
    fn payers_at(&self, payers: &[Payer], demand: &Demand, rules: &Rules) -> Vec<Payer> {
        let stay = payers.iter().filter(|payer| payer.rank != Rank::AccessGroup);
        let mut payers: Vec<Payer> = stay.cloned().collect();
        if !payers.is_empty() {
            self.add_access_groups(&mut payers, &demand.served, rules);
        }
        payers
    }

    fn add_access_groups(&self, payers: &mut Vec<Payer>, served: &Served, rules: &Rules) {
        let groups = served.all().filter_map(|name| rules.access_groups.get(name)).flatten();
        let groups: BTreeSet<&str> = groups.map(AsRef::as_ref).collect();
        if !groups.is_empty() {
            self.0.consensus.state().add_access_groups(payers, groups);
        }
    }

    /// Holds what a request may cost. A payer whose budget is spent may be throttled instead of being
    /// refused: each one once.
    async fn hold(
        &self,
        (token, payers): (Option<KeyDigest>, &mut [Payer]),
        demand: &Demand,
        rules: &Rules,
    ) -> Result<Hold, Refusal> {
        loop {
            let (request, served) = (demand.request, demand.served.clone());
            let about = About {
                request,
                token,
                payers: payers.to_vec(),
                called: Vec::new(),
                served,
                cost: demand.cost,
                takes_rest: demand.takes_rest,
            };
            let over = match self.0.money.hold(about).await {
                Err(Refusal::OverBudget(over)) => over,
                held_or_refused => return held_or_refused,
            };
            let is_spent = |payer: &&mut Payer| {
                over.pot == PotId { of: payer.id(), line: Line::Main } && payer.gives_way()
            };
            match (rules.throttle, payers.iter_mut().find(is_spent)) {
                (Some(millionths), Some(payer)) => payer.throttle(millionths),
                (None, _) | (_, None) => return Err(Refusal::OverBudget(over)),
            }
        }
    }

    /// Where the cost of a request would go that the budgets of everyone who pays for it admit. Nothing
    /// is held.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn afford(
        &self,
        caller: Option<&Caller>,
        demand: Demand,
    ) -> Result<Vec<(PotId, UnixMillis)>, Refusal> {
        let rules = self.0.rules.load_full();
        let mut payers = self.payers(caller, &demand.served, &rules);
        let token = caller.map(|caller| caller.token);
        let held = self.hold((token, &mut payers), &demand, &rules).await;
        self.counted(held.map(|hold| hold.charged().to_vec()))
    }

    /// Takes the place of a request among what a deployment may be sent, and holds what it may cost
    /// of what may be spent there.
    ///
    /// # Errors
    /// [`NotEntered`]: nothing was taken or held.
    pub async fn enter(
        &self,
        entering: Entering<'_>,
        demand: &Demand,
    ) -> Result<Entry, NotEntered> {
        let Entering { deployment, provider, tags, room, cost } = entering;
        let called = Called { deployment: &deployment.0, provider, tags };
        let hold = self.0.money.hold_at(called, demand.request, cost).await?;
        let reservation = if room.is_bounded() {
            let on_loss = self.0.rules.load().on_loss;
            Some(self.0.limits.enter(deployment, (room, on_loss), demand).await?)
        } else {
            None
        };
        Ok(Entry { reservation, hold })
    }

    /// Puts a request on record that was not admitted. It spends nothing.
    ///
    /// # Errors
    /// The record could not be written.
    pub fn note(&self, mut record: SpendRecord) -> Result<(), Error> {
        let state = self.0.consensus.state();
        if let Some(key) = record.key.and_then(|token| state.key(&token)) {
            record.whose = record::owners(key, &state.payers(key));
        }
        self.0.journal.append(&Arc::new(record))?;
        Ok(())
    }

    /// What a key has spent: settled, and recorded by this node since.
    #[must_use]
    pub fn key_spend(&self, key: &Key) -> NanoUsd {
        let (pot, mut held) = (PotId { of: key.id, line: Line::Main }, NanoUsd::ZERO);
        let settled = || {
            let state = self.0.consensus.state();
            held = state.spend(&pot).0;
            match state.settled(self.0.me) {
                (epoch, through) if epoch == self.0.epoch => through,
                _ => 0,
            }
        };
        let unsettled = self.0.unsettled.of(key.id, settled);
        held + unsettled + self.0.backlog.of(key.id)
    }

    /// Whether what was found has been charged, or is too old to be.
    #[must_use]
    pub fn is_charged(&self, found: Found) -> bool {
        self.0.consensus.state().is_claimed(found.request, found.made)
    }

    /// What 99 of 100 answers of a model to a key did not exceed lately; `None` while too few are
    /// known.
    #[must_use]
    pub fn expected_output(&self, key: &Key, model: &str) -> Option<Tokens> {
        self.outputs().expected(key.id, model)
    }

    fn outputs(&self) -> MutexGuard<'_, Outputs> {
        self.0.outputs.lock().expect("no code panics while it holds the lengths of answers")
    }

    /// Waits until all that this node has recorded is settled, but no longer than `within`.
    pub async fn settle_all(&self, within: Duration) {
        settler::wait_settled(&self.0, within).await;
    }
}

/// Begins a task that runs until the node stops, and without which it stops.
fn spawn<F>(tasks: &TaskTracker, stop: &CancellationToken, task: F)
where
    F: Future<Output: Send> + Send + 'static,
{
    let (stopped, ends) = (stop.clone(), stop.clone());
    let running = async move { stopped.run_until_cancelled(task).await };
    tasks.spawn(vital(running, move || ends.cancel()));
}

#[cfg(test)]
mod tests;
