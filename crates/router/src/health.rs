//! When a deployment is left alone, and when a backend is.
//!
//! A deployment cools down for a while after what its answers say (LiteLLM's rules). A backend that
//! does not answer at all is out until a probe succeeds, whoever it serves. Failures that a request
//! may have brought about itself only make it suspect: then a probe decides.

use std::time::Duration;

use dunlin_types::{MonoMillis, NoConnection};

use crate::by_error::AllowedFails;
use crate::catalog::{Deployment, Retry};

/// How one attempt ended, as far as health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, and the answer was of use to the client or the client's own fault.
    Success,
    /// It answered with an error of its own.
    Status {
        /// The HTTP status.
        code: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// No connection could be made.
    Refused(NoConnection),
    /// A connection was made and broke off. An answer that took too long is a status 408.
    Broken,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Success => f.write_str("it answered"),
            Self::Status { code: 408, .. } => f.write_str("it took too long to answer"),
            Self::Status { code, .. } => write!(f, "it answered {code}"),
            Self::Refused(why) => write!(f, "no connection could be made: {why}"),
            Self::Broken => f.write_str("its connection broke off"),
        }
    }
}

/// What the config says about leaving a deployment alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Whether the group has no other deployment.
    pub alone: bool,
    /// Whether clients name the models, as where `openai/*` is served: a 404 says only that there is
    /// none of that name.
    pub names_many: bool,
    /// Failures in a cooldown before it is left alone; none set: by percentage.
    pub allowed_fails: AllowedFails,
    /// How long it is left alone. Zero: never.
    pub cooldown: Duration,
}

impl Rules {
    /// The rules for one deployment: its own cooldown, else the group's.
    #[must_use]
    pub fn new(retry: &Retry, of: &Deployment, alone: bool) -> Self {
        let never = retry.disable_cooldowns.then_some(Duration::ZERO);
        let cooldown = never.or(of.cooldown).unwrap_or(retry.cooldown);
        let names_many = of.group.contains('*');
        let allowed_fails = of.allowed_fails.or(retry.allowed_fails);
        Self { alone, names_many, allowed_fails, cooldown }
    }
}

/// The window of the percentage rule.
const WINDOW: Duration = Duration::from_secs(60);
/// Below this many attempts in the window, a percentage says nothing.
const FEW: u32 = 5;
/// A deployment without siblings is left alone only after this many straight failures.
const MANY: u32 = 1000;
/// An answer that asks to be left alone for longer is not believed.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// One deployment's recent answers and whether it is left alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cooldown {
    window_began: MonoMillis,
    attempts: u32,
    failures: u32,
    until: Option<MonoMillis>,
    limited_until: Option<MonoMillis>,
    failed: Option<MonoMillis>,
}

impl Cooldown {
    /// Takes note of an attempt's end.
    pub fn observe(&mut self, outcome: Outcome, rules: Rules, now: MonoMillis) {
        let window = if rules.allowed_fails.is_set() { rules.cooldown } else { WINDOW };
        if now.since(self.window_began) >= window {
            (self.window_began, self.attempts, self.failures) = (now, 0, 0);
        }
        self.attempts += 1;
        if matches!(outcome, Outcome::Refused(_) | Outcome::Broken) {
            self.failed = Some(now);
        }
        let Outcome::Status { code, retry_after } = outcome else { return };
        let is_its_own = matches!(code, 401 | 402 | 404 | 408 | 429) || code >= 500;
        let counts = is_its_own || rules.allowed_fails.names(code);
        if !counts || (code == 404 && rules.names_many) {
            return;
        }
        self.failed = Some(now);
        self.failures += 1;
        if !rules.cooldown.is_zero() && self.is_due(code, rules) {
            let asked = retry_after.map(|asked| asked.min(LONGEST_ASKED));
            let until = Some(now.plus(asked.unwrap_or(rules.cooldown)));
            self.until = self.until.max(until);
            if code == 429 {
                self.limited_until = self.limited_until.max(until);
            }
        }
    }

    fn is_due(&self, code: u16, rules: Rules) -> bool {
        if let Some(allowed) = rules.allowed_fails.of(code) {
            return self.failures > allowed;
        }
        let will_not_mend = matches!(code, 401 | 404);
        let has_no_more = matches!(code, 402 | 429) && !rules.alone;
        let mostly = self.attempts >= FEW && self.failures * 2 > self.attempts && !rules.alone;
        let always = self.attempts >= MANY && self.failures == self.attempts;
        will_not_mend || has_no_more || mostly || always
    }

    /// Whether it has failed within the last minute.
    #[must_use]
    pub fn has_failed(&self, now: MonoMillis) -> bool {
        self.failed.is_some_and(|at| now.since(at) < WINDOW)
    }

    /// Until when it is left alone, if it is.
    #[must_use]
    pub fn until(&self, now: MonoMillis) -> Option<MonoMillis> {
        self.until.filter(|until| *until > now)
    }

    /// Until when it is left alone because of a 429: the part of it that concerns other nodes.
    #[must_use]
    pub fn limited_until(&self, now: MonoMillis) -> Option<MonoMillis> {
        self.limited_until.filter(|until| *until > now)
    }
}

/// A backend is suspect after this many attempts in a row that broke, took too long or answered 5xx.
const BROKEN_IN_A_ROW: u32 = 3;
/// The wait before the first probe of a backend that is out; it doubles.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// No wait between probes is longer.
const SLOWEST_PROBE: Duration = Duration::from_secs(10);

/// Whether one backend answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    broken: u32,
    trouble: Option<Trouble>,
    back_since: Option<MonoMillis>,
}

/// Something is wrong, and a probe will tell.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// False: only suspect.
    out: bool,
    /// What was seen last.
    seen: Outcome,
    next_probe: MonoMillis,
    /// The wait after that one, if it fails.
    wait: Duration,
}

impl Reach {
    /// Takes note of an attempt's end. A refused connection is enough to be out: nobody is there.
    pub fn observe(&mut self, outcome: Outcome, now: MonoMillis) {
        match outcome {
            // An answer, even to a request that was sent while it was out, is as good as a probe.
            Outcome::Success => self.answered(now),
            Outcome::Status { code, .. } if code < 500 && code != 408 => self.answered(now),
            Outcome::Refused(_) => {
                let (next_probe, wait) = (now.plus(FIRST_PROBE), FIRST_PROBE * 2);
                let out = Trouble { out: true, seen: outcome, next_probe, wait };
                let trouble = self.trouble.get_or_insert(out);
                (trouble.out, trouble.seen) = (true, outcome);
            }
            Outcome::Status { .. } | Outcome::Broken => {
                self.broken += 1;
                if self.broken >= BROKEN_IN_A_ROW {
                    let wait = FIRST_PROBE;
                    let suspect = Trouble { out: false, seen: outcome, next_probe: now, wait };
                    self.trouble.get_or_insert(suspect);
                }
            }
        }
    }

    /// Takes note of a probe's end: anything but a success is none.
    pub fn probed(&mut self, seen: Outcome, now: MonoMillis) {
        if seen == Outcome::Success {
            self.answered(now);
        } else if let Some(trouble) = &mut self.trouble {
            let wait = (trouble.wait * 2).min(SLOWEST_PROBE);
            *trouble = Trouble { out: true, seen, next_probe: now.plus(trouble.wait), wait };
        }
    }

    fn answered(&mut self, now: MonoMillis) {
        self.broken = 0;
        if self.trouble.take().is_some_and(|trouble| trouble.out) {
            self.back_since = Some(now);
        }
    }

    /// Whether it is left alone.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.trouble.is_some_and(|trouble| trouble.out)
    }

    /// What was seen last of one that is left alone.
    #[must_use]
    pub fn out_because(&self) -> Option<Outcome> {
        self.trouble.filter(|trouble| trouble.out).map(|trouble| trouble.seen)
    }

    /// Whether a probe is due.
    #[must_use]
    pub fn probe_is_due(&self, now: MonoMillis) -> bool {
        self.trouble.is_some_and(|trouble| trouble.next_probe <= now)
    }

    /// How long it has been back; `None` if it never was out.
    #[must_use]
    pub fn back_for(&self, now: MonoMillis) -> Option<Duration> {
        self.back_since.map(|since| now.since(since))
    }
}

#[cfg(test)]
mod tests;
