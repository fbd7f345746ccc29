//! Health checks: a deployment is really called, with the least that its mode allows. A check is
//! admitted, charged and recorded like any other request: the operator's for nobody, another caller's
//! for its key. Bounded: so many at once, none again at once, and nobody waits for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_journal::Fault;
use dunlin_router::Deployment;
use dunlin_types::{DeploymentId, MonoMillis, UnixMillis};
use tokio::sync::Semaphore;

use crate::Admin;
use crate::rights::caller::Caller;

mod ask;
mod call;

/// So many deployments are called at once by one node; others wait.
const AT_ONCE: usize = 16;
/// What was found holds for so long: a poller does not spend money by asking again.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(10);
/// Nobody waits longer for an answer, however many deployments it is about.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);
/// Beyond so many, what was found and is no longer fresh is forgotten.
const MAX_KNOWN: usize = 10_000;
/// What is on each check in the request log: LiteLLM's word for it.
pub(crate) const TAG: &str = "litellm-internal-health-check";
/// What each check is called in the request log. No client can have its requests called so.
pub(crate) const CALL_TYPE: &str = "ahealth_check";

/// One deployment, called by one name.
type Key = (DeploymentId, Arc<str>);
/// The last result. The holder of the lock is running the check.
type Slot = tokio::sync::Mutex<Option<Arc<Verdict>>>;

/// The checks of a node.
pub(crate) struct Checks {
    places: Semaphore,
    known: Mutex<BTreeMap<Key, Arc<Slot>>>,
}

impl Default for Checks {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE), known: Mutex::default() }
    }
}

/// Who has something checked.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// Whose key pays. `None`: the operator does.
    pub(crate) payer: Option<&'a dunlin_state::Caller>,
    /// By name.
    pub(crate) by: &'a str,
}

impl<'a> Asker<'a> {
    pub(crate) fn of(caller: &'a Caller, by: &'a str) -> Self {
        let bearer = caller.bearer().filter(|_| !caller.is_admin());
        Self { payer: bearer.map(|bearer| &bearer.caller), by }
    }
}

/// What was found of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) at: UnixMillis,
    began: MonoMillis,
    pub(crate) took: Duration,
    /// Headers of the provider's that tell what it has left for us.
    pub(crate) told: Vec<(&'static str, String)>,
    /// What is wrong. `None`: it answers.
    pub(crate) fault: Option<Fault>,
    /// Whether it was called at all.
    called: bool,
}

impl Checks {
    fn known(&self, key: Key, now: MonoMillis) -> Arc<Slot> {
        let mut known = self.known.lock().expect("no panic while it is held");
        if known.len() >= MAX_KNOWN {
            let fresh = |verdict: &Arc<Verdict>| now.since(verdict.began) < FRESH_FOR;
            known.retain(|_, one| match one.try_lock() {
                Ok(last) => last.as_ref().is_some_and(fresh),
                Err(_finding_out) => true,
            });
        }
        Arc::clone(known.entry(key).or_default())
    }
}

impl Admin {
    /// What is found of a deployment now, or was found a moment ago.
    pub(crate) async fn check(&self, whom: &Arc<Deployment>, asker: Asker<'_>) -> Arc<Verdict> {
        let clock = &self.0.clock;
        let key = (whom.id.clone(), Arc::clone(&whom.target.model));
        let known = self.0.checks.known(key, clock.mono());
        let finding = async {
            let mut last = known.lock().await;
            let fresh = |one: &&Arc<Verdict>| clock.mono().since(one.began) < FRESH_FOR;
            if let Some(fresh) = last.as_ref().filter(fresh) {
                return Arc::clone(fresh);
            }
            let verdict = Arc::new(self.check_now(whom, asker).await);
            if verdict.called {
                *last = Some(Arc::clone(&verdict));
            }
            verdict
        };
        match tokio::time::timeout(ANSWER_WITHIN, finding).await {
            Ok(verdict) => verdict,
            Err(_) => Arc::new(self.not_called(
                408,
                format!(
                    "no result within {} s: too many checks run at once; check single models with \
                     ?model=",
                    ANSWER_WITHIN.as_secs()
                ),
            )),
        }
    }

    /// The same, whatever was found before.
    pub(crate) async fn check_now(&self, whom: &Arc<Deployment>, asker: Asker<'_>) -> Verdict {
        let _place = self.0.checks.places.acquire().await.expect("it is never closed");
        self.call_to_check(whom, asker).await
    }

    fn not_called(&self, status: u16, message: String) -> Verdict {
        let (at, began) = (self.0.clock.unix(), self.0.clock.mono());
        let fault = Some(Fault { status, kind: None, message });
        Verdict { at, began, took: Duration::ZERO, told: Vec::new(), fault, called: false }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::ask::tests::deployment;
    use super::*;

    /// A verdict of the first moment.
    pub(crate) fn verdict(fault: Option<&str>) -> Verdict {
        let fault =
            fault.map(|message| Fault { status: 500, kind: None, message: message.to_owned() });
        let (at, began) = (UnixMillis(0), MonoMillis(0));
        Verdict { at, began, took: Duration::ZERO, told: Vec::new(), fault, called: true }
    }

    fn key(number: usize) -> Key {
        (DeploymentId(format!("d{number}").into()), "m".into())
    }

    #[tokio::test]
    async fn what_is_no_longer_fresh_is_forgotten_when_there_is_too_much() {
        let checks = Checks::default();
        for number in 0..MAX_KNOWN {
            let known = checks.known(key(number), MonoMillis(0));
            let began = MonoMillis(if number == 7 { 20_000 } else { 0 });
            *known.lock().await = Some(Arc::new(Verdict { began, ..verdict(None) }));
        }
        let busy = checks.known(key(3), MonoMillis(0));
        let _finding_out = busy.lock().await;
        checks.known(key(MAX_KNOWN), MonoMillis(21_000));
        let left = checks.known.lock().expect("no panic");
        let left: Vec<_> = left.keys().map(|(id, _)| &*id.0).collect();
        assert_eq!(left, ["d10000", "d3", "d7"]);
    }
}
