//! What is known of one source: its credential, its last failure, and when it is fetched next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_types::{Clock, Credential, MonoMillis, Source, UnixMillis};
use tokio::sync::watch;

use crate::{Error, Grant};

/// A request signed or sent so shortly before the end could arrive after it.
const MARGIN_MS: u64 = 2_000;
/// How often files without an expiry are read again: people rotate keys by rewriting them.
const REREAD: Duration = Duration::from_secs(300);
/// A credential is renewed when about three quarters of its life are over; never sooner than this.
const MIN_RENEWAL: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(crate) struct Slot {
    pub(crate) source: Source,
    state: watch::Sender<State>,
    asked_for_ms: AtomicU64,
}

#[derive(Default)]
pub(crate) struct State {
    grant: Option<Grant>,
    error: Option<Error>,
    /// In a row.
    failures: u32,
    /// When it is fetched again. A failure is not retried before.
    due: MonoMillis,
    busy: bool,
}

/// What a caller finds.
pub(crate) enum Found {
    Valid(Credential),
    Failed(Error),
    Nothing,
}

pub(crate) fn found(state: &State, clock: &Clock) -> Found {
    if let Some(grant) = &state.grant
        && is_valid(grant, clock.unix())
    {
        return Found::Valid(grant.credential.clone());
    }
    match &state.error {
        Some(error) if clock.mono() < state.due => Found::Failed(error.clone()),
        Some(_) | None => Found::Nothing,
    }
}

/// A grant of the past would be fetched over and over.
pub(crate) fn checked(grant: Grant, now: UnixMillis) -> Result<Grant, Error> {
    if is_valid(&grant, now) {
        return Ok(grant);
    }
    Err(Error::Unusable {
        what: "the fetched credential has already expired".to_owned(),
        mend: "check this machine's clock".to_owned(),
    })
}

fn is_valid(grant: &Grant, now: UnixMillis) -> bool {
    grant.expires.is_none_or(|expires| now.0 + MARGIN_MS < expires.0)
}

impl Slot {
    pub(crate) fn new(source: Source, now: MonoMillis) -> Self {
        let asked_for_ms = AtomicU64::new(now.0);
        Self { source, state: watch::Sender::new(State::default()), asked_for_ms }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn asked_for(&self, now: MonoMillis) {
        self.asked_for_ms.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn idle_for(&self, now: MonoMillis) -> Duration {
        now.since(MonoMillis(self.asked_for_ms.load(Ordering::Relaxed)))
    }

    pub(crate) fn is_due(&self, now: MonoMillis) -> bool {
        let state = self.state.borrow();
        let was_fetched = state.grant.is_some() || state.error.is_some();
        was_fetched && !state.busy && state.due <= now
    }

    /// For the log: which kind of source, and what of it is no secret.
    pub(crate) fn name(&self) -> &'static str {
        match &self.source {
            Source::Aws(_) => "aws",
            Source::Azure(_) => "azure",
            Source::Google(_) => "google",
        }
    }

    /// The right to fetch, if nobody has it.
    pub(crate) fn take_turn(self: &Arc<Self>) -> Option<Turn> {
        let taken = self.state.send_if_modified(|state| !std::mem::replace(&mut state.busy, true));
        taken.then(|| Turn { slot: Arc::clone(self), ended: false })
    }
}

/// The right to fetch. Given back on drop, however fetching ended.
pub(crate) struct Turn {
    slot: Arc<Slot>,
    ended: bool,
}

impl Turn {
    /// Notes what was fetched. Gives the number of failures before.
    pub(crate) fn end(mut self, fetched: Result<Grant, Error>, clock: &Clock) -> u32 {
        let (now, mono) = (clock.unix(), clock.mono());
        let mut before = 0;
        self.slot.state.send_modify(|state| {
            before = state.failures;
            let wait = match fetched {
                Ok(grant) => {
                    let wait = renewal(&grant, now);
                    state.grant = Some(grant);
                    state.error = None;
                    state.failures = 0;
                    wait
                }
                Err(error) => {
                    state.error = Some(error);
                    state.failures = before.saturating_add(1);
                    let wait = FIRST_WAIT * 2_u32.saturating_pow(before.min(10));
                    wait.min(LONGEST_WAIT).mul_f64(0.5 + rand::random::<f64>() / 2.0)
                }
            };
            state.due = mono.plus(wait);
            state.busy = false;
        });
        self.ended = true;
        before
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.ended {
            // Waiting tasks are not woken: they would retry at once, with no better result.
            self.slot.state.send_if_modified(|state| {
                state.busy = false;
                false
            });
        }
    }
}

fn renewal(grant: &Grant, now: UnixMillis) -> Duration {
    let Some(expires) = grant.expires else { return REREAD };
    let left = Duration::from_millis(expires.0.saturating_sub(now.0));
    left.mul_f64(0.7 + 0.1 * rand::random::<f64>()).max(MIN_RENEWAL)
}
