//! End users that requests name: those that the cluster does not know yet, or has not heard of for
//! long, are told to it together, one command at a time, however many requests name them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use dunlin_state::met::{Acquaintance, OTHER};
use dunlin_state::{Command, Kind};
use dunlin_types::MonoMillis;
use tokio::sync::Mutex as Turn;
use tracing::debug;

use crate::refusal::Refusal;
use crate::{Admission, Shared};

/// End users that may wait to be told of at once; requests of further new ones are told to come back.
pub(crate) const MAX_WAITING: usize = 1_000;

/// Those that are to be told of.
#[derive(Default)]
pub(crate) struct Introductions {
    waiting: Mutex<BTreeSet<String>>,
    /// Whose turn it is to tell of them, and when and why the last command failed.
    turn: Turn<Option<(MonoMillis, String)>>,
}

impl Introductions {
    fn waiting(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.waiting.lock().expect("no code panics while it holds the names")
    }

    /// Adds a name, if there is room. False: it waits already.
    fn add(&self, name: &str) -> Result<bool, Refusal> {
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING && !waiting.contains(name) {
            let reason = format!("{MAX_WAITING} new end users wait already");
            return Err(Refusal::Overloaded { reason });
        }
        Ok(waiting.insert(name.to_owned()))
    }

    /// A command is under way until this is dropped.
    #[cfg(test)]
    pub(crate) async fn hold(&self) -> impl Drop + '_ {
        self.turn.lock().await
    }

    /// Returns once the cluster has heard of an end user lately.
    async fn introduce(&self, shared: &Shared, name: &str) -> Result<(), Refusal> {
        let Shared { consensus, clock, .. } = shared;
        let asked = clock.mono();
        let mut failed = self.turn.lock().await;
        match consensus.state().acquaintance(name, clock.unix()) {
            Acquaintance::New | Acquaintance::Seen => {}
            Acquaintance::Known | Acquaintance::Other => return Ok(()),
        }
        // Who waited while the last command failed does not wait for another one to fail.
        if let Some((_, reason)) = failed.as_ref().filter(|(at, _)| *at > asked) {
            return Err(Refusal::CannotKnow { reason: reason.clone() });
        }
        let mut names = std::mem::take(&mut *self.waiting());
        names.insert(name.to_owned());
        let command = Command::MeetEndUsers { names: names.into_iter().collect() };
        let told = consensus.propose(command).await.map_err(|error| {
            let reason = format!("the end user is new, and its budget cannot be set up: {error}");
            *failed = Some((clock.mono(), reason.clone()));
            Refusal::CannotKnow { reason }
        });
        told.map(drop)
    }
}

/// A name that waits for as long as who named it does: of one whose client leaves nothing stays, or a
/// crowd that left would keep all others out.
struct Waits<'i> {
    among: &'i Introductions,
    name: &'i str,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.among.waiting().remove(self.name);
    }
}

impl Admission {
    /// The end user that a request's end user is counted as.
    pub(crate) async fn meet<'n>(&self, name: &'n str) -> Result<&'n str, Refusal> {
        let Shared { consensus, clock, tasks, introductions, .. } = &*self.0;
        match consensus.state().acquaintance(name, clock.unix()) {
            Acquaintance::Known => return Ok(name),
            Acquaintance::Other => return Ok(OTHER),
            Acquaintance::Seen => {
                if let Ok(true) = introductions.add(name) {
                    let (this, name) = (self.clone(), name.to_owned());
                    tasks.spawn(async move {
                        let among = &this.0.introductions;
                        let _waits = Waits { among, name: &name };
                        let noted = among.introduce(&this.0, &name).await;
                        if let Err(error) = noted {
                            debug!(%error, "it is not noted that an end user was seen");
                        }
                    });
                }
                return Ok(name);
            }
            Acquaintance::New => {}
        }
        let _waits = introductions.add(name)?.then(|| Waits { among: introductions, name });
        introductions.introduce(&self.0, name).await?;
        let is_known = consensus.state().entity(Kind::EndUser, name).is_some();
        Ok(if is_known { name } else { OTHER })
    }
}
