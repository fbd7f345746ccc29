//! Callbacks: each request's record is sent to the observability tools of teams, off the request
//! path.
//!
//! Does not know how a request is served or what puts it on record. It follows the journal of its
//! node; prompts and answers, which are not in the journal, are handed over by the request's own
//! code. Invariants: no request waits for a receiver, nor for a place in a queue; what is held for
//! receivers is bounded in records and in bytes, and the excess is dropped and counted; prompts and
//! answers are sent only if nothing forbids it; what is in a queue when the node ends is sent after
//! its next start, each record once at least; a receiver set over the API is in networks that it
//! may be in, and sees no secret of the nodes. Read `follow.rs`, then `sender.rs`.

mod asked;
mod detail;
mod event;
mod figures;
mod follow;
mod generic;
mod langfuse;
mod metrics;
mod otel;
mod own;
mod payload;
mod post;
mod probe;
mod progress;
mod queue;
mod receivers;
mod resume;
#[cfg(test)]
mod samples;
mod sender;
mod senders;
mod target;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_consensus::Consensus;
use dunlin_egress::{Egress, OutOfReach};
use dunlin_journal::Journal;
use dunlin_router::Catalog;
use dunlin_seal::Sealer;
use dunlin_state::{Caller, Key};
use dunlin_types::{Clock, Epoch, RequestId, Tls};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use uuid::Builder;

pub use detail::{Detail, MAX_WORDS_BYTES, Words};
pub use figures::{costs, usage};
pub use follow::SAVE_EVERY;
pub use metrics::METRICS;
pub use own::OwnCallback;
pub use queue::{LINGER, MAX_BATCH, MAX_QUEUED};
pub use receivers::FIELD;
pub use sender::GIVEN_UP_AFTER;
pub use senders::MAX_RECEIVERS;

use detail::Details;
use post::{Fate, Way};
use progress::Progress;
use receivers::Receivers;
use resume::Saved;
use senders::Senders;
use target::Target;

/// What callbacks need of their node.
pub struct Config {
    /// This life of it.
    pub epoch: Epoch,
    /// The file that says what earlier lives have told.
    pub path: PathBuf,
    /// The way out.
    pub egress: Egress,
    /// Where the background tasks run.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// What they are built on.
pub struct Parts {
    /// The node's clock.
    pub clock: Clock,
    /// The node's records.
    pub journal: Journal,
    /// Whose keys they name, and what these have callbacks of their own for.
    pub consensus: Consensus,
    /// Opens the secrets of these.
    pub sealer: Arc<Sealer>,
}

/// What a config revision says of them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What is sent where.
    pub callbacks: dunlin_config::Callbacks,
    /// How receivers are trusted.
    pub tls: Tls,
}

/// Tells receivers of requests. Cheap to clone.
#[derive(Clone)]
pub struct Callbacks(Arc<Shared>);

struct Shared {
    epoch: Epoch,
    path: PathBuf,
    parts: Parts,
    serving: ArcSwap<Serving>,
    details: Details,
    senders: Senders,
    /// The number of the last record that was read.
    read: Mutex<u64>,
    /// Whether earlier lives owe nothing any more.
    resumed: Mutex<bool>,
    /// What the file says.
    saved: Mutex<Saved>,
}

/// What is in force.
#[derive(Default)]
struct Serving {
    catalog: Arc<Catalog>,
    receivers: Receivers,
    /// False until the first config.
    ready: bool,
}

/// Why a receiver was not tried out, or did not take what it was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untaken {
    /// The config does not say where it is.
    #[error("its address is not set")]
    Unset,
    /// It did not take the test.
    #[error("{at} did not take a test record: {why}")]
    Refused {
        /// Where it is.
        at: String,
        /// What it said, or why it could not be asked.
        why: String,
    },
}

impl Callbacks {
    /// Follows the journal from where the last life of the node ended, on the current runtime.
    #[must_use]
    pub fn start(config: Config, parts: Parts) -> Self {
        let Config { epoch, path, egress, tasks, stop } = config;
        let senders = Senders {
            egress,
            tls: Arc::default(),
            clock: parts.clock.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            running: Mutex::default(),
        };
        let before = Progress::load(&path).unwrap_or_else(|error| {
            warn!(path = %path.display(), %error, "cannot read what callbacks have not sent yet");
            None
        });
        let callbacks = Self(Arc::new(Shared {
            epoch,
            path,
            parts,
            serving: ArcSwap::default(),
            details: Details::default(),
            senders,
            read: Mutex::default(),
            resumed: Mutex::new(before.is_none()),
            saved: Mutex::default(),
        }));
        match before {
            Some(before) => {
                let resuming = callbacks.clone().resume(before);
                tasks.spawn(stop.run_until_cancelled_owned(resuming));
            }
            // From here on what is not sent is owed, whatever becomes of this life.
            None => callbacks.save(),
        }
        tasks.spawn(callbacks.clone().follow());
        callbacks
    }

    /// Goes by this from here on.
    pub fn publish(&self, catalog: Arc<Catalog>, settings: Settings) {
        let Settings { callbacks, tls } = settings;
        self.0.senders.tls.store(Arc::new(tls));
        let receivers = Receivers::new(callbacks);
        self.0.serving.store(Arc::new(Serving { catalog, receivers, ready: true }));
    }

    /// Whether anybody may be told of a request of that caller, so that its words are worth keeping.
    /// `None` is the master key.
    #[must_use]
    pub fn want(&self, caller: Option<&Caller>) -> bool {
        self.0.serving.load().receivers.want(caller)
    }

    /// What is told of a request beside its record, which is about to be written.
    pub fn put(&self, request: RequestId, detail: Detail) {
        self.0.details.put(request, detail, self.0.parts.clock.mono());
    }

    /// Whether there may be a callback of that name, in letters of either size.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.serving.load().receivers.has(name)
    }

    /// What is in force.
    #[must_use]
    pub fn settings(&self) -> dunlin_config::Callbacks {
        self.0.serving.load().receivers.callbacks.clone()
    }

    /// Sends a test record to a receiver that the config names.
    ///
    /// # Errors
    /// [`Untaken`].
    pub async fn try_out(&self, name: &str) -> Result<(), Untaken> {
        let target = self.0.serving.load().receivers.named(name).ok_or(Untaken::Unset)?;
        self.try_target(&target).await
    }

    /// Sends a test record to each receiver that a key has, or else its team. Gives their names,
    /// and what became of it.
    pub async fn try_own(&self, key: &Key) -> Vec<(Arc<str>, Result<(), Untaken>)> {
        let state = self.0.parts.consensus.state();
        let own = self.0.serving.load().receivers.own_of(&state, key, &self.0.parts.sealer);
        let tries = own.into_iter().map(|(name, target)| async move {
            let tried = match target {
                Some(target) => self.try_target(&target).await,
                None => Err(Untaken::Unset),
            };
            (name, tried)
        });
        futures::future::join_all(tries).await
    }

    /// Whether records could be sent where a callback says, which is set over the API.
    ///
    /// # Errors
    /// Its address is in no network where such receivers may be.
    pub async fn could_go(&self, own: &OwnCallback) -> Result<(), OutOfReach> {
        let serving = self.0.serving.load_full();
        match own.receiver() {
            Some(receiver) => {
                let networks = &serving.receivers.callbacks.networks;
                self.0.senders.egress.look(receiver.address(), networks).await
            }
            None => Ok(()),
        }
    }

    async fn try_target(&self, target: &Target) -> Result<(), Untaken> {
        let now = self.0.parts.clock.unix();
        let id = Builder::from_unix_timestamp_millis(now.0, &rand::random()).into_uuid();
        let probe = probe::probe(RequestId(id.as_u128()), now);
        let tls = self.0.senders.tls.load_full();
        let (egress, networks) = (&self.0.senders.egress, &target.networks);
        let way = Way { egress, tls: &tls, networks, now };
        let refused = |why: String| Untaken::Refused { at: target.address(), why };
        for post in target.posts(&[&probe]) {
            match way.post(&post, target.judge()).await {
                Fate::Taken => {}
                Fate::Partly { why, .. } | Fate::Refused(why) | Fate::Later { why, .. } => {
                    return Err(refused(why));
                }
                Fate::TooLarge => return Err(refused("413 Payload Too Large".to_owned())),
            }
        }
        Ok(())
    }

    /// Sends what has come on record so far, within `bound`; what is not taken by then is sent after
    /// the next start. For a node that is about to end.
    pub async fn flush(&self, bound: Duration) {
        if self.0.serving.load().ready {
            let follower = self.clone();
            drop(tokio::task::spawn_blocking(move || follower.catch_up()).await);
        }
        self.0.senders.flush(bound).await;
        let follower = self.clone();
        drop(tokio::task::spawn_blocking(move || follower.save()).await);
    }
}
