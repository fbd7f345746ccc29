//! Whether a deployment or its backend may take traffic, from what became of earlier calls.
//!
//! A *deployment* cools down by LiteLLM's rules: its credential or quota is the trouble. A
//! *backend* is out of reach when it takes no connections or answers no probe; then it is left
//! alone until a probe succeeds.

use std::time::Duration;

use dunlin_types::MonoMillis;

use crate::catalog::{Deployment, Retry};

/// What became of one call, or of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Served,
    /// An answer with an error status, or 408 when our own bound passed.
    Refused {
        /// The status.
        status: u16,
        /// For how long the answer asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// No connection could be made.
    NoConnection,
    /// The connection broke before the answer was whole.
    Broken,
}

impl Outcome {
    /// False: the call failed, whoever is to blame.
    fn served(self) -> bool {
        match self {
            Self::Served => true,
            Self::Refused { .. } | Self::NoConnection | Self::Broken => false,
        }
    }
}

/// Whether a deployment may take traffic now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It may.
    Ready,
    /// Its own answers ask to leave it alone.
    CoolingDown {
        /// Until then.
        until: MonoMillis,
    },
    /// A peer was asked to leave it alone. A rumour: it is tried when nothing else is left.
    RumouredBusy {
        /// Until then.
        until: MonoMillis,
    },
    /// Its backend cannot be reached. Tried when nothing else is left.
    Unreachable,
    /// It takes no traffic on this node, as it is configured.
    Parked,
}

/// The window in which failures are counted, as in LiteLLM.
const WINDOW: Duration = Duration::from_secs(60);
/// Fewer requests say nothing about the share of failures.
const MIN_REQUESTS: u32 = 5;
/// Beyond this many requests, none of them served, even a deployment without siblings cools down.
const HOPELESS_REQUESTS: u32 = 1000;

/// The longest cooldown, whatever an answer asks for.
const MAX_COOLDOWN: Duration = Duration::from_secs(60 * 60);

/// The cooldown rules for one deployment in its group.
#[derive(Clone, Copy, Debug)]
pub struct CooldownRules {
    /// How long, unless the answer says. Zero: never.
    pub cooldown: Duration,
    /// Failures allowed; `None`: by share.
    pub allowed_fails: Option<u32>,
    /// Whether others of the group could serve instead.
    pub has_siblings: bool,
}

impl CooldownRules {
    /// The rules in force for `deployment` in a group of `group_size`.
    #[must_use]
    pub fn of(retry: &Retry, deployment: &Deployment, group_size: usize) -> Self {
        let cooldown = deployment.cooldown.unwrap_or(retry.cooldown);
        Self {
            cooldown: if retry.disable_cooldowns { Duration::ZERO } else { cooldown },
            allowed_fails: retry.allowed_fails,
            has_siblings: group_size > 1,
        }
    }
}

/// The health of one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    window_start: MonoMillis,
    requests: u32,
    failures: u32,
    cooling: Option<Cooling>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cooling {
    until: MonoMillis,
    rate_limited: bool,
}

impl Health {
    /// Takes note of one call's outcome.
    pub fn observe(&mut self, outcome: Outcome, rules: &CooldownRules, now: MonoMillis) {
        let window = rules.allowed_fails.map_or(WINDOW, |_| rules.cooldown);
        if now.since(self.window_start) >= window {
            (self.window_start, self.requests, self.failures) = (now, 0, 0);
        }
        self.requests = self.requests.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(!outcome.served()));
        let Outcome::Refused { status, retry_after } = outcome else { return };
        if rules.cooldown.is_zero() || !counts(status) || !self.is_too_much(status, rules) {
            return;
        }
        let until = now.plus(retry_after.unwrap_or(rules.cooldown).min(MAX_COOLDOWN));
        self.cooling = Some(Cooling { until, rate_limited: status == 429 });
    }

    fn is_too_much(&self, status: u16, rules: &CooldownRules) -> bool {
        if let Some(allowed) = rules.allowed_fails {
            return self.failures > allowed;
        }
        let mostly_failing = self.requests >= MIN_REQUESTS && self.failures * 2 > self.requests;
        let hopeless = self.requests >= HOPELESS_REQUESTS && self.failures == self.requests;
        // Asking again with the same key for the same model is no use.
        matches!(status, 401 | 404)
            || hopeless
            || (rules.has_siblings && (status == 429 || mostly_failing))
    }

    /// [`HealthState::Ready`] or [`HealthState::CoolingDown`].
    #[must_use]
    pub fn state(&self, now: MonoMillis) -> HealthState {
        match self.cooling {
            Some(cooling) if now < cooling.until => {
                HealthState::CoolingDown { until: cooling.until }
            }
            Some(_) | None => HealthState::Ready,
        }
    }

    /// How much longer it cools down because it was sent too much, for peers to know.
    #[must_use]
    pub fn rate_limited_for(&self, now: MonoMillis) -> Option<Duration> {
        let cooling = self.cooling.filter(|cooling| cooling.rate_limited && now < cooling.until)?;
        Some(cooling.until.since(now))
    }
}

/// LiteLLM's list: a request that was wrong in itself says nothing about who answered it.
fn counts(status: u16) -> bool {
    matches!(status, 401 | 402 | 404 | 408 | 429 | 500..)
}

/// The wait before the first repeated probe.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// The longest wait between probes.
const MAX_PROBE: Duration = Duration::from_secs(10);
/// How long a backend that has come back takes to get its full share.
const SLOW_START: Duration = Duration::from_secs(10);
/// Its share at the beginning.
const FIRST_SHARE: f64 = 0.1;

/// Whether one backend can be reached, as far as this node has seen for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    probing: Option<Probing>,
    /// When it came back. `None`: it was never away.
    back: Option<MonoMillis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probing {
    /// False: something was odd, and traffic goes on until a probe fails too.
    is_out: bool,
    next: MonoMillis,
    wait: Duration,
}

impl Reach {
    /// Takes note of a call's outcome. A refused connection puts the backend out at once; a broken
    /// one, or an answer that a server gives while it starts, asks for a probe.
    pub fn observe(&mut self, outcome: Outcome, now: MonoMillis) {
        match outcome {
            Outcome::NoConnection => self.put_out(now),
            Outcome::Broken | Outcome::Refused { status: 408 | 500.., .. } => self.suspect(now),
            Outcome::Served | Outcome::Refused { .. } => self.came_back(now),
        }
    }

    /// Takes note of what a peer says: worth a look of our own, and no more.
    pub fn suspect(&mut self, now: MonoMillis) {
        self.probing.get_or_insert(Probing { is_out: false, next: now, wait: FIRST_PROBE });
    }

    /// Takes note of a probe that was due. `reached`: it was answered as a server that serves.
    pub fn observe_probe(&mut self, reached: bool, now: MonoMillis) {
        if reached {
            self.came_back(now);
        } else {
            self.put_out(now);
        }
    }

    fn put_out(&mut self, now: MonoMillis) {
        let wait = match self.probing {
            Some(Probing { is_out: true, next, wait }) if now >= next => (wait * 2).min(MAX_PROBE),
            Some(Probing { is_out: true, .. }) => return,
            Some(Probing { is_out: false, .. }) | None => FIRST_PROBE,
        };
        self.probing = Some(Probing { is_out: true, next: now.plus(wait), wait });
    }

    fn came_back(&mut self, now: MonoMillis) {
        if self.probing.take().is_some_and(|probing| probing.is_out) {
            self.back = Some(now);
        }
    }

    /// True if no traffic should go there.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.probing.is_some_and(|probing| probing.is_out)
    }

    /// When the next probe is due. `None`: nothing is odd.
    #[must_use]
    pub fn next_probe(&self) -> Option<MonoMillis> {
        self.probing.map(|probing| probing.next)
    }

    /// Its share of traffic, from 0.1 when it has just come back to 1.
    #[must_use]
    pub fn warmth(&self, now: MonoMillis) -> f64 {
        let Some(back) = self.back else { return 1.0 };
        let done = now.since(back).as_secs_f64() / SLOW_START.as_secs_f64();
        (FIRST_SHARE + (1.0 - FIRST_SHARE) * done).min(1.0)
    }
}

#[cfg(test)]
mod tests;
