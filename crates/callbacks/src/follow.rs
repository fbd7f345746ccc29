//! Follows the journal: each record is sent to its callbacks. The requests themselves wait for
//! nothing here.

use std::sync::Arc;
use std::time::Duration;

use dunlin_journal::{Reader, SpendRecord};
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::event::{Event, Names};
use crate::progress::{Position, Progress};
use crate::{Callbacks, Serving};

/// How often new records are looked for.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// Records that are read at a time.
pub(crate) const AT_A_TIME: usize = 1_024;
/// How often is looked for what may go.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How often it is kept how far receivers have been told: what they accepted since, a node that is
/// killed sends again.
pub const SAVE_EVERY: Duration = Duration::from_secs(1);

impl Callbacks {
    /// Tells of all that comes on record, until the node stops.
    pub(crate) async fn follow(self) {
        let stop = self.0.senders.stop.clone();
        let mut ticks = tokio::time::interval(FOLLOW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut swept = self.0.parts.clock.mono();
        let mut saved = swept;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = self.0.parts.clock.mono();
            if now.since(swept) >= SWEEP_EVERY {
                swept = now;
                self.0.details.sweep(now);
                self.0.senders.sweep();
            }
            if self.has_unread() {
                let follower = self.clone();
                // It may read from the disk, if it fell behind. One that fails is tried again.
                drop(tokio::task::spawn_blocking(move || follower.catch_up()).await);
            }
            if now.since(saved) >= SAVE_EVERY {
                saved = now;
                let follower = self.clone();
                drop(tokio::task::spawn_blocking(move || follower.save()).await);
            }
        }
    }

    fn has_unread(&self) -> bool {
        // The callbacks are not known before the first config.
        let is_ready = self.0.serving.load().ready;
        is_ready && self.0.parts.journal.last() > *self.0.read.lock().expect(NO_PANIC)
    }

    /// Tells of what has come on record. Blocks.
    pub(crate) fn catch_up(&self) {
        let mut read = self.0.read.lock().expect(NO_PANIC);
        let (journal, epoch) = (&self.0.parts.journal, self.0.epoch);
        loop {
            let records = match journal.read_after(epoch, *read, AT_A_TIME) {
                Ok(records) => records,
                Err(error) => {
                    warn!(%error, "cannot read recorded requests: callbacks fall behind");
                    return;
                }
            };
            let Some((last, _)) = records.last() else { return };
            *read = *last;
            let serving = self.0.serving.load();
            for (number, record) in records {
                self.tell(&serving, Position { epoch, number }, record, None);
            }
            journal.keep_for(Reader::Callbacks, *read);
        }
    }

    /// `before`: an earlier life may have told some of it.
    pub(crate) fn tell(
        &self,
        serving: &Serving,
        at: Position,
        record: Arc<SpendRecord>,
        before: Option<&Progress>,
    ) {
        let held = self.0.details.take(record.request);
        let state = self.0.parts.consensus.state();
        let mut targets = serving.receivers.of(&state, &record, &self.0.parts.sealer);
        targets.retain(|target| {
            let name = &*target.callback.name;
            let disabled = &record.disabled_callbacks;
            !disabled.iter().any(|other| other.eq_ignore_ascii_case(name))
                && !before.is_some_and(|before| before.is_done(name, at))
        });
        if targets.is_empty() {
            return;
        }
        let names = Names::of(&state, &serving.catalog, &record);
        let hides_caller = serving.receivers.callbacks.hides_callers;
        let event = Arc::new(Event { at, record, held, names, hides_caller });
        targets.iter().for_each(|target| self.0.senders.send(target, &event));
    }
}

pub(crate) const NO_PANIC: &str = "no panic while records are told of";
