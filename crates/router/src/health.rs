//! When a deployment is left alone, and when a backend is.
//!
//! A deployment cools down for a while after what its answers say (LiteLLM's rules). A backend that
//! does not answer at all is out until a probe succeeds, whoever it serves.

use std::time::Duration;

use dunlin_types::MonoMillis;

use crate::catalog::Retry;

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
    Refused,
    /// A connection was made and no answer came in time, or it broke off.
    Broken,
}

/// What the config says about leaving a deployment alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Whether the group has no other deployment.
    pub alone: bool,
    /// Failures in a cooldown before it is left alone; `None`: by percentage.
    pub allowed_fails: Option<u32>,
    /// How long it is left alone. Zero: never.
    pub cooldown: Duration,
}

impl Rules {
    /// The rules for one deployment: its own cooldown, else the group's.
    #[must_use]
    pub fn new(retry: &Retry, own_cooldown: Option<Duration>, alone: bool) -> Self {
        let never = retry.disable_cooldowns.then_some(Duration::ZERO);
        let cooldown = never.or(own_cooldown).unwrap_or(retry.cooldown);
        Self { alone, allowed_fails: retry.allowed_fails, cooldown }
    }
}

/// The window of the percentage rule.
const WINDOW: Duration = Duration::from_secs(60);
/// Below this many attempts in the window, a percentage says nothing.
const FEW: u32 = 5;
/// A deployment without siblings is left alone only after this many straight failures.
const MANY: u32 = 1000;

/// One deployment's recent answers and whether it is left alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cooldown {
    window_began: MonoMillis,
    attempts: u32,
    failures: u32,
    until: Option<MonoMillis>,
}

impl Cooldown {
    /// Takes note of an attempt's end.
    pub fn observe(&mut self, outcome: Outcome, rules: Rules, now: MonoMillis) {
        let window = if rules.allowed_fails.is_some() { rules.cooldown } else { WINDOW };
        if now.since(self.window_began) >= window {
            (self.window_began, self.attempts, self.failures) = (now, 0, 0);
        }
        self.attempts += 1;
        let Outcome::Status { code, retry_after } = outcome else { return };
        if !(matches!(code, 401 | 402 | 404 | 408 | 429) || code >= 500) {
            return;
        }
        self.failures += 1;
        if !rules.cooldown.is_zero() && self.is_due(code, rules) {
            let until = now.plus(retry_after.unwrap_or(rules.cooldown));
            self.until = self.until.max(Some(until));
        }
    }

    fn is_due(&self, code: u16, rules: Rules) -> bool {
        if let Some(allowed) = rules.allowed_fails {
            return self.failures > allowed;
        }
        let will_not_mend = matches!(code, 401 | 402 | 404);
        let told_to_wait = code == 429 && !rules.alone;
        let mostly = self.attempts >= FEW && self.failures * 2 > self.attempts && !rules.alone;
        let always = self.attempts >= MANY && self.failures == self.attempts;
        will_not_mend || told_to_wait || mostly || always
    }

    /// Until when it is left alone, if it is.
    #[must_use]
    pub fn until(&self, now: MonoMillis) -> Option<MonoMillis> {
        self.until.filter(|until| *until > now)
    }
}

/// A backend is out after this many attempts in a row that broke or answered 5xx. One refused
/// connection is enough: nobody is there.
const BROKEN_IN_A_ROW: u32 = 3;
/// The wait before the first probe; it doubles.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// No wait between probes is longer.
const SLOWEST_PROBE: Duration = Duration::from_secs(10);

/// Whether one backend answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    broken: u32,
    out: Option<Out>,
    back_since: Option<MonoMillis>,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    next_probe: MonoMillis,
    wait: Duration,
}

impl Reach {
    /// Takes note of an attempt's end.
    pub fn observe(&mut self, outcome: Outcome, now: MonoMillis) {
        let broken = match outcome {
            Outcome::Success => false,
            Outcome::Status { code, .. } if code < 500 => false,
            Outcome::Status { .. } | Outcome::Broken | Outcome::Refused => true,
        };
        if !broken {
            // An answer, even to a request that was sent while it was out, is as good as a probe.
            self.answered(now);
            return;
        }
        self.broken += 1;
        if outcome == Outcome::Refused || self.broken >= BROKEN_IN_A_ROW {
            self.go_out(now);
        }
    }

    /// Takes note of a peer's word, confirmed by a second node or by this one.
    pub fn go_out(&mut self, now: MonoMillis) {
        if self.out.is_none() {
            self.out = Some(Out { next_probe: now.plus(FIRST_PROBE), wait: FIRST_PROBE });
        }
    }

    /// Takes note of a probe's end.
    pub fn probed(&mut self, success: bool, now: MonoMillis) {
        if success {
            self.answered(now);
        } else if let Some(out) = &mut self.out {
            out.wait = (out.wait * 2).min(SLOWEST_PROBE);
            out.next_probe = now.plus(out.wait);
        }
    }

    fn answered(&mut self, now: MonoMillis) {
        self.broken = 0;
        if self.out.take().is_some() {
            self.back_since = Some(now);
        }
    }

    /// Whether it is left alone.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// Whether a probe is due.
    #[must_use]
    pub fn probe_is_due(&self, now: MonoMillis) -> bool {
        self.out.is_some_and(|out| out.next_probe <= now)
    }

    /// How long it has been back; `None` if it never was out.
    #[must_use]
    pub fn back_for(&self, now: MonoMillis) -> Option<Duration> {
        self.back_since.map(|since| now.since(since))
    }
}

#[cfg(test)]
mod tests;
