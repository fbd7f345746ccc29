//! What is remembered between attempts: each backend's load and reach, each deployment's cooldown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use dunlin_gossip::BackendLoad;
use dunlin_router::{BackendId, Catalog, Cooldown, Outcome, Reach, Retry, Rules};
use dunlin_types::{DeploymentId, MonoMillis, Networks, Tls, Tokens};
use tracing::warn;

use crate::attempt::Attempt;
use crate::pace::Pace;

/// The part of a new measurement in the mean service time.
const NEW_SHARE: u64 = 8;
/// What a request is taken to last before any was measured.
const FIRST_GUESS_MS: u64 = 2_000;

#[derive(Default)]
pub(crate) struct Table {
    backends: RwLock<BTreeMap<BackendId, Arc<Backend>>>,
    /// The catalog's deployments that are not parked.
    served: RwLock<BTreeMap<DeploymentId, Served>>,
}

/// One deployment as this node uses it.
#[derive(Clone)]
struct Served {
    backend: BackendId,
    cooldown: Arc<Mutex<Cooldown>>,
    /// How often it was left alone, by the status that brought it about.
    cooled: Arc<Mutex<BTreeMap<u16, u64>>>,
    used: Arc<Mutex<Used>>,
}

/// Tokens that were sent to a deployment in one minute.
#[derive(Clone, Copy, Default)]
struct Used {
    minute: u64,
    tokens: Tokens,
}

impl Served {
    fn new(backend: BackendId) -> Self {
        Self { backend, cooldown: Arc::default(), cooled: Arc::default(), used: Arc::default() }
    }

    fn cools_down(&self, outcome: Outcome) {
        let status = match outcome {
            Outcome::Status { code, .. } => code,
            // As LiteLLM has it for what did not answer.
            Outcome::Refused(_) | Outcome::Broken => 500,
            Outcome::Success => return,
        };
        *self.cooled.lock().expect("never poisoned").entry(status).or_default() += 1;
    }

    fn cooldown(&self) -> Cooldown {
        *self.cooldown.lock().expect("never poisoned")
    }
}

/// What peers should know of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ill {
    /// It does not answer.
    Out,
    /// It asked to be left alone, whichever way it was called.
    LimitedUntil(MonoMillis),
}

/// One backend as this node uses it.
pub(crate) struct Backend {
    pub(crate) in_flight: AtomicU32,
    pub(crate) tokens: AtomicU64,
    mean_service_ms: AtomicU64,
    /// How long a stream's first part takes.
    pub(crate) first: Pace,
    /// How long a whole answer takes, by its length: the time of one token.
    pub(crate) token: Pace,
    reach: Mutex<Reach>,
    /// Whether it refuses to be asked for a stream's usage.
    refuses_usage: AtomicBool,
    /// Whether the last of its streams that was whole told its usage.
    tells_usage: AtomicBool,
    /// How it is connected to when it is probed: as one of its deployments has it.
    way: Mutex<(Tls, Networks)>,
}

impl Backend {
    pub(crate) fn new() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            tokens: AtomicU64::new(0),
            mean_service_ms: AtomicU64::new(FIRST_GUESS_MS),
            first: Pace::default(),
            token: Pace::default(),
            reach: Mutex::default(),
            refuses_usage: AtomicBool::new(false),
            tells_usage: AtomicBool::new(false),
            way: Mutex::default(),
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        *self.reach.lock().expect("no code panics while it holds a backend's reach")
    }

    fn change_reach<T>(&self, change: impl FnOnce(&mut Reach) -> T) -> T {
        change(&mut self.reach.lock().expect("no code panics while it holds a backend's reach"))
    }

    pub(crate) fn probed(&self, seen: Outcome, now: MonoMillis) {
        self.change_reach(|reach| reach.probed(seen, now));
    }

    pub(crate) fn mean_service(&self) -> Duration {
        Duration::from_millis(self.mean_service_ms.load(Ordering::Relaxed))
    }

    fn measured(&self, took: Duration) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mean = self.mean_service_ms.load(Ordering::Relaxed);
        // Two at once may lose one of the two measurements: it is a mean.
        let mean = (mean.saturating_mul(NEW_SHARE - 1)).saturating_add(took) / NEW_SHARE;
        self.mean_service_ms.store(mean.max(1), Ordering::Relaxed);
    }

    pub(crate) fn refuses_usage(&self) -> bool {
        self.refuses_usage.load(Ordering::Relaxed)
    }

    pub(crate) fn remember_that_it_refuses_usage(&self) {
        self.refuses_usage.store(true, Ordering::Relaxed);
    }

    pub(crate) fn tells_usage(&self) -> bool {
        self.tells_usage.load(Ordering::Relaxed)
    }

    pub(crate) fn streamed(&self, told_usage: bool) {
        // Written only where it changes: all streams of a backend read it.
        if self.tells_usage() != told_usage {
            self.tells_usage.store(told_usage, Ordering::Relaxed);
        }
    }

    pub(crate) fn way(&self) -> (Tls, Networks) {
        self.way.lock().expect("never poisoned").clone()
    }

    fn load(&self) -> BackendLoad {
        BackendLoad {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
        }
    }
}

fn minute(now: MonoMillis) -> u64 {
    now.0 / 60_000
}

impl Table {
    pub(crate) fn backend(&self, id: &BackendId) -> Arc<Backend> {
        let known = self.backends.read().expect("never poisoned").get(id).cloned();
        known.unwrap_or_else(|| {
            let mut backends = self.backends.write().expect("never poisoned");
            Arc::clone(backends.entry(id.clone()).or_insert_with(|| Arc::new(Backend::new())))
        })
    }

    pub(crate) fn known(&self, id: &BackendId) -> Option<Arc<Backend>> {
        self.backends.read().expect("never poisoned").get(id).cloned()
    }

    pub(crate) fn cooldown(&self, id: &DeploymentId, now: MonoMillis) -> Option<MonoMillis> {
        self.served.read().expect("never poisoned").get(id)?.cooldown().until(now)
    }

    /// Tokens that this node has sent a deployment in the current minute.
    pub(crate) fn used(&self, id: &DeploymentId, now: MonoMillis) -> Tokens {
        let served = self.served.read().expect("never poisoned");
        let used = served.get(id).map(|served| *served.used.lock().expect("never poisoned"));
        used.filter(|used| used.minute == minute(now)).map_or(Tokens(0), |used| used.tokens)
    }

    /// Takes note of what a deployment is sent.
    pub(crate) fn uses(&self, id: &DeploymentId, tokens: Tokens, now: MonoMillis) {
        let served = self.served.read().expect("never poisoned");
        let Some(served) = served.get(id) else { return };
        let mut used = served.used.lock().expect("never poisoned");
        if used.minute != minute(now) {
            *used = Used { minute: minute(now), tokens: Tokens(0) };
        }
        used.tokens = used.tokens + tokens;
    }

    /// How often a deployment was left alone, by the status that brought it about.
    pub(crate) fn cooled_down(&self, id: &DeploymentId) -> Vec<(u16, u64)> {
        let served = self.served.read().expect("never poisoned");
        let cooled = served.get(id).map(|served| Arc::clone(&served.cooled));
        let cooled = cooled.unwrap_or_default();
        let cooled = cooled.lock().expect("never poisoned");
        cooled.iter().map(|(status, times)| (*status, *times)).collect()
    }

    /// Whether a deployment has failed lately.
    pub(crate) fn has_failed(&self, id: &DeploymentId, now: MonoMillis) -> bool {
        let served = self.served.read().expect("never poisoned");
        served.get(id).is_some_and(|served| served.cooldown().has_failed(now))
    }

    /// Forgets what the catalog no longer has and nobody is using.
    pub(crate) fn keep_only(&self, catalog: &Catalog) {
        let all = || catalog.deployments();
        let backends: BTreeSet<_> = all().map(|deployment| &deployment.backend).collect();
        self.backends.write().expect("never poisoned").retain(|id, backend| {
            backends.contains(id) || backend.in_flight.load(Ordering::Relaxed) > 0
        });
        for deployment in all() {
            let backend = self.backend(&deployment.backend);
            let target = &deployment.target;
            let way = (target.tls.clone(), target.networks.clone());
            *backend.way.lock().expect("never poisoned") = way;
        }
        let mut served = self.served.write().expect("never poisoned");
        let before = std::mem::take(&mut *served);
        for deployment in all().filter(|deployment| deployment.parked.is_none()) {
            let known = before.get(&deployment.id);
            let same = known.filter(|known| known.backend == deployment.backend).cloned();
            let kept = same.unwrap_or_else(|| Served::new(deployment.backend.clone()));
            served.insert(deployment.id.clone(), kept);
        }
    }

    pub(crate) fn observe(
        &self,
        attempt: &Attempt,
        outcome: Outcome,
        retry: &Retry,
        now: MonoMillis,
    ) {
        let deployment = &attempt.deployment;
        let goes_out = attempt.backend.change_reach(|reach| {
            let was_out = reach.is_out();
            reach.observe(outcome, now);
            reach.is_out() && !was_out
        });
        if outcome == Outcome::Success {
            attempt.backend.measured(now.since(attempt.began));
        }
        let rules = Rules::new(retry, deployment, attempt.alone);
        let begins = self.cools_down(&deployment.id, (outcome, goes_out), rules, now);
        // No lock is held: whoever reads the log may be slow.
        if goes_out {
            warn!(backend.id = %deployment.backend, "a backend is left alone: {outcome}");
        }
        if let Some(until) = begins {
            warn!(
                model = %deployment.group,
                backend.id = %deployment.backend,
                duration_ms = until.since(now).as_millis(),
                "a deployment is left alone for a while: {outcome}"
            );
        }
    }

    /// Until when a deployment is left alone, if that begins now. One that left the catalog meanwhile
    /// has no cooldown to begin.
    fn cools_down(
        &self,
        id: &DeploymentId,
        (outcome, goes_out): (Outcome, bool),
        rules: Rules,
        now: MonoMillis,
    ) -> Option<MonoMillis> {
        let served = self.served.read().expect("never poisoned").get(id).cloned()?;
        let begins = {
            let mut cooldown = served.cooldown.lock().expect("never poisoned");
            let was_left_alone = cooldown.until(now).is_some();
            cooldown.observe(outcome, rules, now);
            cooldown.until(now).filter(|_| !was_left_alone)
        };
        if goes_out || begins.is_some() {
            served.cools_down(outcome);
        }
        begins
    }

    /// The backends whose probe is due.
    pub(crate) fn probes_due(&self, now: MonoMillis) -> Vec<(BackendId, Arc<Backend>)> {
        let backends = self.backends.read().expect("never poisoned");
        let due = backends.iter().filter(|(_, backend)| backend.reach().probe_is_due(now));
        due.map(|(id, backend)| (id.clone(), Arc::clone(backend))).collect()
    }

    /// The load of all backends that are not idle.
    pub(crate) fn busy(&self) -> BTreeMap<BackendId, BackendLoad> {
        let backends = self.backends.read().expect("never poisoned");
        let loads = backends.iter().map(|(id, backend)| (id, backend.load()));
        let busy = loads.filter(|(_, load)| load.in_flight > 0);
        busy.map(|(id, load)| (id.clone(), load)).collect()
    }

    /// The backends that are out, and those that no deployment may use for now: a 429 to one key
    /// says nothing of another.
    pub(crate) fn ill(&self, now: MonoMillis) -> BTreeMap<BackendId, Ill> {
        let mut limited: BTreeMap<BackendId, Option<MonoMillis>> = BTreeMap::new();
        for served in self.served.read().expect("never poisoned").values() {
            let until = served.cooldown().limited_until(now);
            let least = limited.entry(served.backend.clone()).or_insert(until);
            *least = until.min(*least);
        }
        let limited = limited.into_iter().filter_map(|(id, until)| Some((id, until?)));
        let limited = limited.map(|(id, until)| (id, Ill::LimitedUntil(until)));
        let backends = self.backends.read().expect("never poisoned");
        let out = backends.iter().filter(|(_, backend)| backend.reach().is_out());
        limited.chain(out.map(|(id, _)| (id.clone(), Ill::Out))).collect()
    }
}
