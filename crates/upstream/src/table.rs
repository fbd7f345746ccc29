//! What is remembered between attempts: each backend's load and reach, each deployment's cooldown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use dunlin_gossip::{BackendLoad, Reported};
use dunlin_router::{BackendId, Catalog, Cooldown, Outcome, Reach, Retry, Rules};
use dunlin_types::{DeploymentId, MonoMillis};

use crate::attempt::Attempt;

/// The part of a new measurement in the mean service time.
const NEW_SHARE: u64 = 8;
/// What a request is taken to last before any was measured.
const FIRST_GUESS_MS: u64 = 2_000;

#[derive(Default)]
pub(crate) struct Table {
    backends: RwLock<BTreeMap<BackendId, Arc<Backend>>>,
    cooldowns: RwLock<BTreeMap<DeploymentId, Arc<Mutex<Cooldown>>>>,
}

/// One backend as this node uses it.
pub(crate) struct Backend {
    pub(crate) in_flight: AtomicU32,
    pub(crate) tokens: AtomicU64,
    mean_service_ms: AtomicU64,
    reach: Mutex<Reach>,
    limited_until: AtomicU64,
}

impl Backend {
    fn new() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            tokens: AtomicU64::new(0),
            mean_service_ms: AtomicU64::new(FIRST_GUESS_MS),
            reach: Mutex::default(),
            limited_until: AtomicU64::new(0),
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        *self.reach.lock().expect("no code panics while it holds a backend's reach")
    }

    fn change_reach(&self, change: impl FnOnce(&mut Reach)) {
        change(&mut self.reach.lock().expect("no code panics while it holds a backend's reach"));
    }

    pub(crate) fn probed(&self, success: bool, now: MonoMillis) {
        self.change_reach(|reach| reach.probed(success, now));
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

    fn load(&self) -> BackendLoad {
        BackendLoad {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
        }
    }

    /// What peers should know of it, if anything is wrong.
    fn report(&self, now: MonoMillis) -> Option<Reported> {
        if self.reach().is_out() {
            return Some(Reported::Unreachable);
        }
        let for_ms = self.limited_until.load(Ordering::Relaxed).saturating_sub(now.0);
        (for_ms > 0).then_some(Reported::RateLimited { for_ms })
    }
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
        let cooldowns = self.cooldowns.read().expect("never poisoned");
        let cooldown = *cooldowns.get(id)?.lock().expect("never poisoned");
        cooldown.until(now)
    }

    /// Forgets what the catalog no longer has and nobody is using.
    pub(crate) fn keep_only(&self, catalog: &Catalog) {
        let all = || catalog.groups.values().flat_map(|group| &group.deployments);
        let backends: BTreeSet<_> = all().map(|deployment| &deployment.backend).collect();
        let ids: BTreeSet<_> = all().map(|deployment| &deployment.id).collect();
        self.backends.write().expect("never poisoned").retain(|id, backend| {
            backends.contains(id) || backend.in_flight.load(Ordering::Relaxed) > 0
        });
        self.cooldowns.write().expect("never poisoned").retain(|id, _| ids.contains(id));
        for id in backends {
            drop(self.backend(id));
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
        let rules = Rules::new(retry, deployment.cooldown, attempt.alone);
        self.cooldown_of(&deployment.id)
            .lock()
            .expect("never poisoned")
            .observe(outcome, rules, now);
        attempt.backend.change_reach(|reach| reach.observe(outcome, now));
        match outcome {
            Outcome::Success => attempt.backend.measured(now.since(attempt.began)),
            Outcome::Status { code: 429, retry_after } => {
                let until = now.plus(retry_after.unwrap_or(rules.cooldown));
                attempt.backend.limited_until.fetch_max(until.0, Ordering::Relaxed);
            }
            Outcome::Status { .. } | Outcome::Refused | Outcome::Broken => {}
        }
    }

    fn cooldown_of(&self, id: &DeploymentId) -> Arc<Mutex<Cooldown>> {
        let known = self.cooldowns.read().expect("never poisoned").get(id).cloned();
        known.unwrap_or_else(|| {
            let mut cooldowns = self.cooldowns.write().expect("never poisoned");
            Arc::clone(cooldowns.entry(id.clone()).or_default())
        })
    }

    /// The backends that are out, with a probe due or not.
    pub(crate) fn out(&self) -> Vec<(BackendId, Arc<Backend>)> {
        let backends = self.backends.read().expect("never poisoned");
        let out = backends.iter().filter(|(_, backend)| backend.reach().is_out());
        out.map(|(id, backend)| (id.clone(), Arc::clone(backend))).collect()
    }

    /// What peers should know: the load of all backends that are not idle, and who is ill.
    pub(crate) fn facts(
        &self,
        now: MonoMillis,
    ) -> (BTreeMap<BackendId, BackendLoad>, BTreeMap<BackendId, Reported>) {
        let backends = self.backends.read().expect("never poisoned");
        let loads = backends.iter().map(|(id, backend)| (id, backend.load()));
        let busy = loads.filter(|(_, load)| load.in_flight > 0);
        let ill =
            backends.iter().filter_map(|(id, backend)| Some((id.clone(), backend.report(now)?)));
        (busy.map(|(id, load)| (id.clone(), load)).collect(), ill.collect())
    }
}
