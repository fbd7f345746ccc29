//! The limits of everyone a request spends for: the conductor between this node's `Limiter`, which
//! decides, and the other nodes.
//!
//! Where this node owns a scope, or is alone, it costs one short lock. Elsewhere it costs one call
//! to the owner, shared with all requests of that moment, unless a lease is open. All scopes are
//! claimed at once; what one refuses, the others have not been asked for.

mod calls;
mod entry;
mod reservation;
mod scopes;

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dunlin_consensus::Consensus;
use dunlin_limiter::{Ask, Claim, Decision, Limiter, Taken, Verdict};
use dunlin_rpc::{Incoming, Refused};
#[cfg(test)]
use dunlin_state::Payer;
use dunlin_types::{Clock, MonoMillis, NodeId, Seldom};
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::error;

#[cfg(test)]
use crate::Rules;
use crate::refusal::{RateLimited, Refusal};
use crate::{Demand, Ground, spawn};
use calls::Calls;
use reservation::Part;
pub(crate) use reservation::Reservation;
use scopes::Scope;
pub(crate) use scopes::Under;

/// How long an owner may take before this node's share is used, less than a grant lasts: that of a
/// small limit may be nothing, and what is admitted by it may be beyond the limit. One that is dead
/// refuses connections, or is known to be silent by then.
pub(crate) const PATIENCE: Duration = Duration::from_millis(900);
/// How long the other nodes may take to say what they used.
const PEERS_PATIENCE: Duration = Duration::from_millis(50);
/// Before an owner is asked again that goes by another ring, or has others say what they gave back.
const RETRY: Duration = Duration::from_millis(10);
/// How often leases, reports and the ring are looked after.
const TICK: Duration = Duration::from_millis(50);
/// How often a full table is complained about.
pub(crate) const LOUD_EVERY: Duration = Duration::from_secs(10);

/// The limits as this node decides or asks them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Shared>);

struct Shared {
    clock: Clock,
    consensus: Consensus,
    limiter: Mutex<Limiter>,
    calls: Calls,
    complained: Mutex<Seldom>,
    /// How often a share decided.
    by_share: AtomicU64,
}

/// Counts, for metrics.
pub(crate) struct Figures {
    pub(crate) scopes: usize,
    pub(crate) leases: usize,
    pub(crate) gathering: bool,
    pub(crate) shares: u64,
}

impl Limits {
    /// Begins to answer other nodes, on the current runtime.
    pub(crate) fn start(ground: Ground, inbox: mpsc::Receiver<Incoming>) -> Self {
        let Ground { me, epoch, clock, consensus, rpc, tasks, stop } = ground;
        let limits = Self(Arc::new(Shared {
            clock,
            consensus,
            limiter: Mutex::new(Limiter::new(me, epoch)),
            calls: Calls::new(rpc, tasks.clone()),
            complained: Mutex::default(),
            by_share: AtomicU64::new(0),
        }));
        let (answering, ticking) = (limits.clone(), limits.clone());
        spawn(&tasks, &stop, async move { answering.answer(inbox).await });
        spawn(&tasks, &stop, async move { ticking.tick().await });
        limits
    }

    /// Takes what a request demands of all limits it is under, or of none.
    pub(crate) async fn reserve(
        &self,
        under: Under<'_>,
        demand: &Demand,
    ) -> Result<Reservation, Refusal> {
        let scopes = scopes::of(under, demand);
        if scopes.is_empty() {
            return Ok(Reservation::new(Vec::new(), demand.counted));
        }
        let begun = self.begin(scopes.iter().map(|scope| &scope.claim));
        let claims = scopes.iter().zip(begun);
        let claims = claims.map(|(scope, begun)| self.go_on(&scope.claim, begun));
        let mut parts = Vec::with_capacity(scopes.len());
        for (scope, claimed) in scopes.iter().zip(join_all(claims).await) {
            // The first that refuses is named; what the others gave is dropped, and so undone.
            let part = claimed.map_err(|not_taken| self.refusal(scope, not_taken))?;
            parts.push((scope.of, part));
        }
        Ok(Reservation::new(parts, demand.counted))
    }

    /// What this node can decide by itself. What comes after a scope that refuses is not claimed.
    fn begin<'c>(&self, claims: impl ExactSizeIterator<Item = &'c Claim>) -> Vec<Begun> {
        let mut decisions = Vec::with_capacity(claims.len());
        let (mut limiter, now) = (self.limiter(), self.now());
        for claim in claims {
            let decision = limiter.admit(claim, now);
            let refuses = matches!(&decision, Decision::Refused(short) if !short.doubted);
            decisions.push(decision);
            if refuses {
                break;
            }
        }
        drop(limiter);
        decisions.into_iter().map(|decision| Begun::of(self, decision)).collect()
    }

    async fn go_on(&self, claim: &Claim, begun: Begun) -> Result<Part, NotTaken> {
        match begun {
            Begun::Taken(part) => Ok(part),
            Begun::Open(decision) => self.claim(claim, decision).await,
        }
    }

    async fn claim(&self, claim: &Claim, mut decision: Decision) -> Result<Part, NotTaken> {
        let deadline = self.now().plus(PATIENCE);
        let mut hurried = None;
        loop {
            decision = match decision {
                Decision::Admitted(taken, remaining) => {
                    if let Some(owner) = hurried {
                        // It answers without having decided: it counts on hearing of this soon.
                        self.call(owner);
                    }
                    return Ok(Part::new(self.clone(), taken, remaining));
                }
                Decision::Refused(short) if short.doubted && self.now() < deadline => {
                    self.pull();
                    sleep(RETRY).await;
                    self.limiter().admit(claim, self.now())
                }
                Decision::Refused(short) => return Err(NotTaken::Short(short)),
                Decision::AskOwner(owner) => {
                    let asked = self.ask_owner(owner, claim).await;
                    if matches!(asked, Decision::Soon | Decision::AskPeers(_)) {
                        hurried = Some(owner);
                    }
                    asked
                }
                Decision::Soon if self.now() < deadline => {
                    sleep(RETRY).await;
                    self.limiter().admit(claim, self.now())
                }
                Decision::Soon => self.by_share(&mut self.limiter(), claim),
                Decision::AskPeers(peers) => self.ask_peers(&peers, claim).await,
                Decision::Closed => {
                    let reason = "this node cannot reach the owner of a limit of the request, and \
                                  the limit's on_loss admits nothing until it can"
                        .to_owned();
                    return Err(NotTaken::Refusal(Refusal::CannotKnow { reason }));
                }
                Decision::TableFull => return Err(NotTaken::Refusal(self.table_full())),
                Decision::NoRing => {
                    let reason = "this node is not yet in a cluster and cannot count".to_owned();
                    return Err(NotTaken::Refusal(Refusal::CannotKnow { reason }));
                }
            };
        }
    }

    async fn ask_owner(&self, owner: NodeId, claim: &Claim) -> Decision {
        let asked = self.now();
        let verdict = self.0.calls.claim(self, owner, claim.clone());
        match timeout(PATIENCE, verdict).await {
            Ok(Ok(Verdict::Granted { remaining, lease })) => {
                let taken = self.limiter().granted(claim, owner, lease, asked, self.now());
                taken.map_or(Decision::Soon, |taken| Decision::Admitted(taken, remaining))
            }
            Ok(Ok(Verdict::Refused(refused))) => Decision::Refused(refused),
            Ok(Ok(Verdict::Retry)) => Decision::Soon,
            Ok(Ok(Verdict::NotYet) | Err(_)) | Err(_) => self.by_share(&mut self.limiter(), claim),
        }
    }

    async fn ask_peers(&self, peers: &[NodeId], claim: &Claim) -> Decision {
        let asked = self.now();
        let questions = peers.iter().map(|peer| self.0.calls.question(self, *peer, claim.scope));
        let questions: Vec<_> = questions.collect();
        let mut over = pin!(sleep(PEERS_PATIENCE));
        let mut told = Vec::with_capacity(questions.len());
        for question in questions {
            // Who is silent is left out: what it used is in the bound that the limiter states.
            told.extend(tokio::select! {
                biased;
                used = question => used.ok(),
                () = &mut over => None,
            });
        }
        let mut limiter = self.limiter();
        limiter.told(claim, &told, asked, self.now());
        self.by_share(&mut limiter, claim)
    }

    /// What this node's share allows, where the owner cannot be asked.
    fn by_share(&self, limiter: &mut Limiter, claim: &Claim) -> Decision {
        self.0.by_share.fetch_add(1, Ordering::Relaxed);
        limiter.admit_by_share(claim, self.now())
    }

    /// Whether it counts for nobody, and has told those who do.
    pub(crate) fn has_handed_over(&self) -> bool {
        self.limiter().has_handed_over()
    }

    /// Counts, for metrics.
    pub(crate) fn figures(&self) -> Figures {
        let limiter = self.limiter();
        Figures {
            scopes: limiter.scopes(),
            leases: limiter.leases(),
            gathering: limiter.is_gathering(),
            shares: self.0.by_share.load(Ordering::Relaxed),
        }
    }

    fn refusal(&self, scope: &Scope<'_>, not_taken: NotTaken) -> Refusal {
        let short = match not_taken {
            NotTaken::Short(short) => short,
            NotTaken::Refusal(refusal) => return refusal,
        };
        let too_large = short.too_large(&scope.claim);
        let dunlin_limiter::Refused { what, limit, remaining, retry_after, doubted: _ } = short;
        let wait = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
        let reset_at = dunlin_types::UnixMillis(self.0.clock.unix().0.saturating_add(wait));
        let (of, name) = (scope.of, scope.payer.name());
        let only = scope.name.map(str::to_owned);
        let throttled = scope.payer.is_throttled() && of.part == crate::Part::All;
        Refusal::RateLimited(Box::new(RateLimited {
            of,
            name,
            only,
            throttled,
            what,
            batch: None,
            too_large,
            limit,
            remaining,
            retry_after,
            reset_at,
        }))
    }

    fn table_full(&self) -> Refusal {
        let reason = format!("more than {} limits are in use at once", dunlin_limiter::MAX_SCOPES);
        if self.0.complained.lock().expect("never poisoned").is_due(self.now(), LOUD_EVERY) {
            error!("requests are refused: {reason}");
        }
        Refusal::Overloaded { reason }
    }

    /// The limiter, with the ring of the published state.
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        let state = self.0.consensus.state();
        let mut limiter = self.0.limiter.lock().expect("no code panics while it holds the limiter");
        if limiter.ring().version() < state.ring().version() {
            limiter.set_ring(Arc::clone(state.ring()), self.now());
        }
        limiter
    }

    fn now(&self) -> MonoMillis {
        self.0.clock.mono()
    }

    /// Sends a peer what it has not heard.
    fn call(&self, peer: NodeId) {
        self.0.calls.tell(self, peer);
    }

    /// Has those say what they gave back for whom a refusal waits.
    fn pull(&self) {
        let due = self.limiter().to_pull();
        due.into_iter().for_each(|peer| self.call(peer));
    }

    /// Answers the other nodes.
    async fn answer(&self, mut inbox: mpsc::Receiver<Incoming>) {
        while let Some(incoming) = inbox.recv().await {
            let answer = match serde_json::from_slice::<Ask>(&incoming.body) {
                Ok(ask) => {
                    let answer = self.limiter().answer(incoming.from, &ask, self.now());
                    Ok(calls::encode(&answer))
                }
                Err(error) => Err(Refused { reason: format!("not a question of limits: {error}") }),
            };
            incoming.answer(answer);
            self.pull();
        }
    }

    async fn tick(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let leader_heard = self.0.consensus.leader_heard();
            let due = {
                let mut limiter = self.limiter();
                if let Some(at) = leader_heard {
                    limiter.hear_leader(at);
                }
                limiter.tick(self.now())
            };
            for peer in due {
                self.call(peer);
            }
        }
    }

    fn ended(&self, taken: &Taken, used: u64) {
        let waiting = self.limiter().ended(taken, used, self.now());
        if let Some(owner) = waiting {
            self.call(owner);
        }
    }

    fn voided(&self, taken: &Taken) {
        let waiting = self.limiter().voided(taken, self.now());
        if let Some(owner) = waiting {
            self.call(owner);
        }
    }
}

#[cfg(test)]
impl Limits {
    /// What the first limit has left if this node owns it, the demand taken and given back.
    pub(crate) fn left(&self, payers: &[Payer], demand: &Demand) -> Option<u64> {
        let rules = Rules::default();
        let under = Under { only_model: false, ..Under::model(payers, &rules) };
        let scopes = scopes::of(under, demand);
        let Begun::Taken(part) =
            self.begin(scopes.iter().map(|scope| &scope.claim)).into_iter().next()?
        else {
            return None;
        };
        Reservation::new(vec![(scopes[0].of, part)], demand.counted)
            .status()
            .first()
            .map(|s| s.remaining)
    }
}

/// Why a scope gave nothing.
enum NotTaken {
    /// A limit does not allow it.
    Short(dunlin_limiter::Refused),
    Refusal(Refusal),
}

/// A claim after the first look at it.
enum Begun {
    Taken(Part),
    Open(Decision),
}

impl Begun {
    /// What is taken is held from the first moment on, so that nothing is lost with a request whose
    /// client leaves.
    fn of(limits: &Limits, decision: Decision) -> Self {
        if let Decision::Admitted(taken, remaining) = decision {
            return Self::Taken(Part::new(limits.clone(), taken, remaining));
        }
        Self::Open(decision)
    }
}
