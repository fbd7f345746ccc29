//! What earlier lives of this node had not told is told after its start: from the journal, so without
//! prompts and answers. Whose receivers these are is known once the state holds all that the cluster
//! has decided: until then they wait, while new records go out.

use std::time::Duration;

use tracing::{info, warn};

use crate::Callbacks;
use crate::follow::{AT_A_TIME, NO_PANIC};
use crate::progress::{Position, Progress};

/// The pause before the cluster is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// What is on disk.
#[derive(Default)]
pub(crate) struct Saved {
    progress: Option<Progress>,
    /// The last try failed.
    is_failing: bool,
}

impl Callbacks {
    /// Tells of what `before` says was not told.
    pub(crate) async fn resume(self, before: Progress) {
        // A key whose own receivers are not known yet must not be told to those of all.
        let is_known = async || {
            let is_ready = self.0.serving.load().ready;
            is_ready && self.0.parts.consensus.barrier().await.is_ok()
        };
        while !is_known().await {
            tokio::time::sleep(RETRY).await;
        }
        // One that fails is not over: the next life of the node tries again.
        drop(tokio::task::spawn_blocking(move || self.tell_rest(&before)).await);
    }

    /// Blocks.
    fn tell_rest(&self, before: &Progress) {
        let done = before.done();
        let segments = self.0.parts.journal.segments();
        let mut lives: Vec<_> = segments.into_iter().map(|(epoch, ..)| epoch).collect();
        lives.dedup();
        lives.retain(|epoch| (done.epoch..self.0.epoch).contains(epoch));
        let mut told = 0;
        for epoch in lives {
            let mut read = if epoch == done.epoch { done.number } else { 0 };
            loop {
                let records = match self.0.parts.journal.read_after(epoch, read, AT_A_TIME) {
                    Ok(records) => records,
                    Err(error) => {
                        warn!(%error, "cannot read what callbacks were not told: after the next start");
                        return;
                    }
                };
                let Some((last, _)) = records.last() else { break };
                read = *last;
                told += records.len();
                let serving = self.0.serving.load();
                for (number, record) in records {
                    self.tell(&serving, Position { epoch, number }, record, Some(before));
                }
            }
        }
        if told > 0 {
            info!("callbacks resume with {told} request records of before this node's start");
        }
        *self.0.resumed.lock().expect(NO_PANIC) = true;
    }

    /// Keeps on disk how far receivers have been told, if that has changed. Blocks.
    pub(crate) fn save(&self) {
        let mut saved = self.0.saved.lock().expect(NO_PANIC);
        // Until then what is there says what is owed.
        if !*self.0.resumed.lock().expect(NO_PANIC) {
            return;
        }
        let progress = {
            // Nothing is put into the queues meanwhile.
            let read = self.0.read.lock().expect(NO_PANIC);
            let read = Position { epoch: self.0.epoch, number: *read };
            Progress { read, waiting: self.0.senders.waiting() }
        };
        if saved.progress.as_ref() == Some(&progress) {
            return;
        }
        match progress.save(&self.0.path) {
            Ok(()) => *saved = Saved { progress: Some(progress), is_failing: false },
            Err(error) => {
                let path = self.0.path.display();
                if !std::mem::replace(&mut saved.is_failing, true) {
                    warn!(
                        %path, %error,
                        "cannot keep how far callbacks have come: a restart sends some again"
                    );
                }
            }
        }
    }
}
