//! Sends one receiver its records, for as long as there are any: batch after batch, each until it is
//! taken, refused, or too old.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_egress::Egress;
use dunlin_types::{Clock, Tls};
use tracing::{info, warn};

use crate::event::Event;
use crate::post::{Fate, Post, Way};
use crate::queue::Queue;
use crate::target::Target;

/// A batch that is not taken for so long is given up.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(300);
/// The first wait before a batch is sent again; each is twice the one before, and a part by chance.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The wait when the node is about to end.
const HURRIED_WAIT: Duration = Duration::from_millis(250);

pub(crate) struct Sender {
    pub(crate) target: Arc<Target>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) egress: Egress,
    pub(crate) tls: Arc<ArcSwap<Tls>>,
    pub(crate) clock: Clock,
}

impl Sender {
    /// Ends when the queue is closed and empty.
    pub(crate) async fn run(self) {
        let mut is_well = true;
        while let Some(batch) = self.queue.next().await {
            let events: Vec<&Event> = batch.iter().map(AsRef::as_ref).collect();
            let failure = self.deliver(&events, &mut is_well).await;
            self.queue.done();
            match failure {
                Some(why) => self.tell(&why, &mut is_well),
                None if is_well => {}
                None => {
                    is_well = true;
                    let (callback, address) = (&self.target.callback.name, self.target.address());
                    info!(%callback, "{address} accepts request records again");
                }
            }
        }
    }

    /// Says once, at the first trouble, that a receiver is not well.
    fn tell(&self, why: &str, is_well: &mut bool) {
        if std::mem::replace(is_well, false) {
            let (callback, address) = (&self.target.callback.name, self.target.address());
            warn!(%callback, "{address} does not accept request records: {why}");
        }
    }

    /// Why not all of it was taken.
    async fn deliver(&self, events: &[&Event], is_well: &mut bool) -> Option<String> {
        let mut failure = None;
        let mut parts = VecDeque::from([events]);
        while let Some(part) = parts.pop_front() {
            for post in self.target.posts(part) {
                match self.push(&post, is_well).await {
                    Ok(()) => {}
                    Err(Undelivered::TooLarge) if post.count == part.len() && post.count > 1 => {
                        let (one, other) = part.split_at(part.len() / 2);
                        parts.extend([one, other]);
                    }
                    Err(Undelivered::TooLarge) => {
                        self.failed(post.count);
                        failure =
                            Some(format!("a record of {} bytes is too large", post.body.len()));
                    }
                    Err(Undelivered::Lost(why)) => failure = Some(why),
                }
            }
        }
        failure
    }

    /// Posts until it is taken, or never will be.
    async fn push(&self, post: &Post, is_well: &mut bool) -> Result<(), Undelivered> {
        let began = self.clock.mono();
        let mut wait = FIRST_WAIT;
        loop {
            let (after, why) = match self.once(post).await {
                Fate::Taken => {
                    self.sent(post.count);
                    return Ok(());
                }
                Fate::Partly { rejected, why } => {
                    self.sent(post.count - rejected);
                    self.failed(rejected);
                    let why = format!("{rejected} of {} were rejected: {why}", post.count);
                    return Err(Undelivered::Lost(why));
                }
                Fate::TooLarge => return Err(Undelivered::TooLarge),
                Fate::Refused(why) => {
                    self.failed(post.count);
                    return Err(Undelivered::Lost(why));
                }
                Fate::Later { after, why } => (after, why),
            };
            if self.clock.mono().since(began) >= GIVEN_UP_AFTER {
                self.failed(post.count);
                let (callback, minutes) =
                    (&self.target.callback.name, GIVEN_UP_AFTER.as_secs() / 60);
                warn!(%callback, "gave up on {} request records after {minutes} minutes", post.count);
                return Err(Undelivered::Lost(why));
            }
            self.tell(&why, is_well);
            if self.queue.hurries() {
                tokio::time::sleep(HURRIED_WAIT).await;
            } else {
                self.queue.pause(after.unwrap_or_else(|| by_chance(wait))).await;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn once(&self, post: &Post) -> Fate {
        let (tls, now) = (self.tls.load_full(), self.clock.unix());
        let way = Way { egress: &self.egress, tls: &tls, networks: &self.target.networks, now };
        way.post(post, self.target.judge()).await
    }

    fn sent(&self, count: usize) {
        self.queue.counts.sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn failed(&self, count: usize) {
        self.queue.counts.failed.fetch_add(count as u64, Ordering::Relaxed);
    }
}

enum Undelivered {
    TooLarge,
    Lost(String),
}

/// Between one half and all of it, so that nodes do not come back in step.
fn by_chance(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

#[cfg(test)]
mod tests;
