//! Who has a key. Known keys are a look-up in the local state. For an unknown one the node first
//! makes sure that it has seen everything the cluster has acknowledged, once for all that wait.

use std::sync::Mutex;
use std::time::Duration;

use dunlin_state::{Caller, Payer};
use dunlin_types::{KeyDigest, MonoMillis};
use tokio::sync::{Mutex as Turn, Semaphore};

use crate::refusal::Refusal;
use crate::{Admission, Shared};

/// Requests with unknown keys that may wait at once; beyond, they are told to come back.
const MAX_WAITERS: usize = 1_000;
/// Read indexes are at least this far apart, so that guessed keys cannot busy the leader.
const BARRIER_EVERY: Duration = Duration::from_millis(50);

/// The one question about unknown keys that is under way.
pub(crate) struct Unknown {
    waiters: Semaphore,
    /// Whose turn it is to ask.
    turn: Turn<()>,
    last: Mutex<Last>,
}

/// What came of the questions before.
#[derive(Default)]
struct Last {
    /// When the last answered one began.
    answered: Option<MonoMillis>,
    /// When the last one ended without an answer, and why.
    failed: Option<(MonoMillis, String)>,
}

impl Default for Unknown {
    fn default() -> Self {
        let waiters = Semaphore::new(MAX_WAITERS);
        Self { waiters, turn: Turn::default(), last: Mutex::default() }
    }
}

impl Admission {
    /// As whom a key of a team without terms of its own would ask, for `caller` (`None`: the master
    /// key), if that may look at the team.
    #[must_use]
    pub fn as_team(&self, caller: Option<&Caller>, team: &str) -> Option<Caller> {
        let state = self.0.consensus.state();
        let may = |caller: &Caller| state.may_look_at_team(&caller.key, team);
        if !caller.is_none_or(may) {
            return None;
        }
        state.as_team(team, caller.and_then(|caller| caller.key.user.as_deref()))
    }

    /// The model of an end user's requests that name none.
    #[must_use]
    pub fn default_model(&self, end_user: &str) -> Option<String> {
        let state = self.0.consensus.state();
        state.entity(dunlin_state::Kind::EndUser, end_user)?.default_model().map(str::to_owned)
    }

    /// Whether the user of a caller's key is an admin: of everything, or of any team or organization.
    #[must_use]
    pub fn leads_any(&self, caller: &Caller) -> bool {
        self.0.consensus.state().leads_any(&caller.key)
    }

    /// Has a request of `caller` count also for its end user and its tags, as far as they have
    /// terms. An end user that is new to the cluster gets a row, if default terms hold for it.
    ///
    /// # Errors
    /// [`Refusal::HolderBlocked`], [`Refusal::CannotKnow`].
    pub async fn count_for(
        &self,
        caller: &mut Caller,
        end_user: Option<&str>,
        tags: &[String],
    ) -> Result<(), Refusal> {
        if end_user.is_none() && tags.is_empty() {
            return Ok(());
        }
        caller.tag(tags);
        let rules = self.0.rules.load_full();
        let has_default = rules.end_users.terms(&self.0.consensus.state()).is_some();
        let end_user = match end_user {
            Some(name) if has_default => Some(Box::pin(self.meet(name)).await?),
            end_user => end_user,
        };
        let state = self.0.consensus.state();
        let default = rules.end_users.terms(&state);
        state.add_payers(&mut caller.payers, end_user, tags, default);
        let mut entities = caller.payers.iter().filter_map(Payer::entity);
        let blocked = entities.find(|entity| entity.terms.blocked == Some(true));
        blocked.map_or(Ok(()), |entity| {
            let (kind, name) = (entity.kind, entity.name.clone());
            Err(Refusal::HolderBlocked { kind, name })
        })
    }
}

pub(crate) async fn find(
    shared: &Shared,
    token: KeyDigest,
    asked: &[&str],
) -> Result<Caller, Refusal> {
    let look = || shared.consensus.state().authenticate(token, asked, shared.clock.unix());
    match look() {
        Err(dunlin_state::Refusal::Unknown) => {}
        found => return Ok(found?),
    }
    Box::pin(shared.unknown.catch_up(shared)).await?;
    Ok(look()?)
}

impl Unknown {
    /// Returns once the local state holds all that was acknowledged when this was called.
    async fn catch_up(&self, shared: &Shared) -> Result<(), Refusal> {
        let _waiter = self.waiters.try_acquire().map_err(|_| Refusal::Overloaded {
            reason: format!("{MAX_WAITERS} requests with unknown keys wait already"),
        })?;
        let called = shared.clock.mono();
        let _turn = self.turn.lock().await;
        let answered = {
            let last = self.last.lock().expect("never poisoned");
            // Who waited while the question failed does not wait for another one to fail.
            if let Some((_, reason)) = last.failed.as_ref().filter(|(at, _)| *at > called) {
                return Err(Refusal::CannotKnow { reason: reason.clone() });
            }
            last.answered
        };
        if answered.is_some_and(|began| began > called) {
            return Ok(());
        }
        if let Some(began) = answered {
            let wait = BARRIER_EVERY.saturating_sub(shared.clock.mono().since(began));
            tokio::time::sleep(wait).await;
        }
        let began = shared.clock.mono();
        let asked = shared.consensus.barrier().await;
        let mut last = self.last.lock().expect("never poisoned");
        match asked {
            Ok(()) => {
                last.answered = Some(began);
                Ok(())
            }
            Err(error) => {
                let reason =
                    format!("this node does not know the key and cannot ask the cluster: {error}");
                last.failed = Some((shared.clock.mono(), reason.clone()));
                Err(Refusal::CannotKnow { reason })
            }
        }
    }
}
