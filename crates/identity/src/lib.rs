//! Temporary credentials from cloud identity services: fetched when they are first needed, renewed
//! in the background before they expire.
//!
//! Does not know deployments or requests. Invariants: one source is fetched by one task at a time,
//! however many callers wait for it; a credential is used until it really expires, whatever happens
//! to its renewal; after a failure a service is not asked again for a while, and callers get its
//! last error at once; no secret is in an error or a log line. Read [`Identity::current`] first,
//! then `slot.rs`.

mod aws;
mod azure;
mod error;
mod google;
mod http;
mod slot;
mod surroundings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_egress::Egress;
use dunlin_types::{AwsKeys, AzureLogin, Clock, Credential, Source, Tls, UnixMillis};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use error::Error;
pub use surroundings::Surroundings;

use crate::http::Http;
use slot::{Found, Slot};

/// How long a caller waits for a credential that is not there yet.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// How long getting a credential may take, all its steps together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A source nobody has asked for in so long is forgotten.
const IDLE: Duration = Duration::from_secs(3600);
/// More sources are fetched, and not kept: the configuration is expected to name a few dozen.
const MAX_SOURCES: usize = 1024;

/// What is needed to fetch credentials.
pub struct Config {
    /// What the environment says of identities.
    pub surroundings: Surroundings,
    /// The way to the services.
    pub egress: Egress,
    /// Where the background tasks run.
    pub tasks: TaskTracker,
    /// Ends the background tasks.
    pub stop: CancellationToken,
}

/// Credentials by their source. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Shared>);

struct Shared {
    clock: Clock,
    http: Http,
    surroundings: Surroundings,
    slots: Mutex<HashMap<Source, Arc<Slot>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A credential, and how long it is good.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) credential: Credential,
    /// `None`: until it is changed where it was read.
    pub(crate) expires: Option<UnixMillis>,
}

impl Identity {
    /// Starts renewing, on the current runtime.
    #[must_use]
    pub fn start(config: Config, clock: Clock) -> Self {
        let shared = Shared {
            clock,
            http: Http { egress: config.egress, tls: ArcSwap::default() },
            surroundings: config.surroundings,
            slots: Mutex::default(),
            tasks: config.tasks.clone(),
            stop: config.stop,
        };
        let identity = Self(Arc::new(shared));
        config.tasks.spawn(identity.clone().run());
        identity
    }

    /// Serves a new config revision: how TLS to the services is made.
    pub fn publish(&self, tls: Tls) {
        self.0.http.tls.store(Arc::new(tls));
    }

    /// The credential of a source. Waits only while there is none that is valid.
    ///
    /// # Errors
    /// There is none, and none could be fetched.
    pub async fn current(&self, source: &Source) -> Result<Credential, Error> {
        if let Some(written) = written(source) {
            return Ok(written);
        }
        let slot = self.slot(source);
        let mut changes = slot.subscribe();
        let found = async {
            loop {
                match slot::found(&changes.borrow_and_update(), &self.0.clock) {
                    Found::Valid(credential) => return Ok(credential),
                    Found::Failed(error) => return Err(error),
                    Found::Nothing => {}
                }
                self.renew(&slot);
                changes.changed().await.expect("the slot keeps its sender");
            }
        };
        match tokio::time::timeout(MAX_WAIT, found).await {
            Ok(found) => found,
            Err(_) => Err(Error::Late { waited: MAX_WAIT }),
        }
    }

    fn slot(&self, source: &Source) -> Arc<Slot> {
        let mut slots = self.0.slots.lock().expect("nothing panics under this lock");
        let now = self.0.clock.mono();
        if let Some(slot) = slots.get(source) {
            slot.asked_for(now);
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot::new(source.clone(), now));
        if slots.len() < MAX_SOURCES {
            slots.insert(source.clone(), Arc::clone(&slot));
        }
        slot
    }

    async fn run(self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.0.stop.run_until_cancelled(looks.tick()).await.is_some() {
            self.due().iter().for_each(|slot| self.renew(slot));
        }
    }

    /// What is to be fetched again. Forgets what nobody asks for.
    fn due(&self) -> Vec<Arc<Slot>> {
        let now = self.0.clock.mono();
        let mut due = Vec::new();
        let mut slots = self.0.slots.lock().expect("nothing panics under this lock");
        slots.retain(|_, slot| {
            let kept = slot.idle_for(now) < IDLE;
            if kept && slot.is_due(now) {
                due.push(Arc::clone(slot));
            }
            kept
        });
        due
    }

    /// Begins to fetch, unless that is going on already.
    fn renew(&self, slot: &Arc<Slot>) {
        let Some(turn) = slot.take_turn() else { return };
        let (identity, slot) = (self.clone(), Arc::clone(slot));
        self.0.tasks.spawn(async move {
            let fetching = tokio::time::timeout(FETCH_TIMEOUT, identity.fetch(&slot.source));
            let Some(fetched) = identity.0.stop.run_until_cancelled(fetching).await else { return };
            let fetched = fetched.unwrap_or(Err(Error::Late { waited: FETCH_TIMEOUT }));
            let now = identity.0.clock.unix();
            let fetched = fetched.and_then(|grant| slot::checked(grant, now));
            let failure = fetched.as_ref().err().cloned();
            let failures_before = turn.end(fetched, &identity.0.clock);
            match failure {
                Some(error) if failures_before == 0 => {
                    let source = slot.name();
                    warn!(%source, "cannot fetch a cloud credential, will retry: {error}");
                }
                None if failures_before > 0 => {
                    info!(source = %slot.name(), "a cloud credential can be fetched again");
                }
                Some(_) | None => {}
            }
        });
    }

    async fn fetch(&self, source: &Source) -> Result<Grant, Error> {
        let Shared { http, surroundings, clock, .. } = &*self.0;
        match source {
            Source::Aws(source) => {
                aws::Aws { http, surroundings: &surroundings.aws, clock }.grant(source).await
            }
            Source::Azure(source) => {
                azure::Azure { http, surroundings: &surroundings.azure, clock }.grant(source).await
            }
            Source::Google(source) => {
                google::Google { http, surroundings: &surroundings.google, clock }
                    .grant(source)
                    .await
            }
        }
    }
}

/// What stands in the configuration needs no fetching.
fn written(source: &Source) -> Option<Credential> {
    let source = match source {
        Source::Aws(source) => source,
        Source::Azure(source) => {
            let AzureLogin::Token(token) = &source.login else { return None };
            return Some(Credential::Token(token.clone()));
        }
        Source::Google(_) => return None,
    };
    match &source.keys {
        AwsKeys::Static { access_key_id, secret_access_key, session_token }
            if source.role.is_none() =>
        {
            Some(Credential::Aws {
                access_key_id: access_key_id.to_string(),
                secret_access_key: secret_access_key.clone(),
                session_token: session_token.clone(),
            })
        }
        AwsKeys::Static { .. }
        | AwsKeys::Profile(_)
        | AwsKeys::WebIdentity { .. }
        | AwsKeys::Default => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use dunlin_egress::Proxies;
    use dunlin_types::{GoogleSource, MonoMillis};

    use super::*;

    #[tokio::test]
    async fn sources_are_forgotten_when_nobody_asks_and_bounded_when_many_do() {
        let time = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&time);
        let mono = move || MonoMillis(shown.load(Ordering::SeqCst));
        let config = Config {
            surroundings: Surroundings::default(),
            egress: Egress::new(Proxies::default()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        // Stopped before it starts: the test looks by itself.
        config.stop.cancel();
        let identity = Identity::start(config, Clock::new(|| UnixMillis(0), mono));
        let kept = || identity.0.slots.lock().unwrap().len();
        for number in 0..=MAX_SOURCES {
            let file = format!("/no/such/{number}.json");
            identity.slot(&Source::Google(GoogleSource::File(file.into())));
        }
        assert_eq!(kept(), MAX_SOURCES);

        let pass = |wait: Duration| {
            time.fetch_add(u64::try_from(wait.as_millis()).unwrap(), Ordering::SeqCst)
        };
        pass(IDLE / 2);
        identity.slot(&Source::Google(GoogleSource::File("/no/such/0.json".into())));
        pass(IDLE / 2);
        assert!(identity.due().is_empty(), "nothing was fetched yet");
        assert_eq!(kept(), 1);
    }
}
