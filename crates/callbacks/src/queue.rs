//! What waits to be sent to one receiver. Nobody who puts something in ever waits: when it is full, the
//! oldest is dropped, for what happens now is what people look at when something is wrong.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::event::Event;
use crate::progress::Position;

/// Records that wait for one receiver; one more, and the oldest is dropped.
pub const MAX_QUEUED: usize = 10_000;
/// So many are sent at once, without waiting for more.
pub const MAX_BATCH: usize = 512;
/// A body that is longer than this, with its words, is sent in two.
pub(crate) const MAX_BATCH_BYTES: usize = 3 << 20;
/// How long a record waits for others.
pub const LINGER: Duration = Duration::from_secs(5);

/// What became of the records for one receiver.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// It has them.
    pub(crate) sent: AtomicU64,
    /// It refused them, or did not take them in time.
    pub(crate) failed: AtomicU64,
    /// They were dropped before they could be sent.
    pub(crate) dropped: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Arc<Event>>,
    /// Taken and not yet done with.
    in_hand: Vec<Arc<Event>>,
    /// What waits is sent at once, and nobody waits long for a receiver any more.
    hurries: bool,
    /// Nothing is put in any more.
    closed: bool,
}

impl Queue {
    /// An empty one that counts there.
    pub(crate) fn new(counts: Arc<Counts>) -> Self {
        Self { counts, ..Self::default() }
    }

    pub(crate) fn put(&self, event: Arc<Event>) {
        let mut waiting = self.waiting();
        if waiting.events.len() >= MAX_QUEUED {
            waiting.events.pop_front();
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        waiting.events.push_back(event);
        let length = waiting.events.len();
        drop(waiting);
        if length == 1 || length == MAX_BATCH {
            self.changed.notify_one();
        }
    }

    /// The next records, as soon as there are [`MAX_BATCH`] or the first has waited for [`LINGER`].
    /// `None`: there will be none any more.
    pub(crate) async fn next(&self) -> Option<Vec<Arc<Event>>> {
        self.until(|waiting| !waiting.events.is_empty() || waiting.closed).await;
        let full = |waiting: &Waiting| {
            waiting.events.len() >= MAX_BATCH || waiting.hurries || waiting.closed
        };
        // Either is a reason to go on.
        let _in_time = tokio::time::timeout(LINGER, self.until(full)).await;
        let mut waiting = self.waiting();
        let (mut count, mut bytes) = (0, 0);
        for event in waiting.events.iter().take(MAX_BATCH) {
            bytes += event.weight();
            if count > 0 && bytes > MAX_BATCH_BYTES {
                break;
            }
            count += 1;
        }
        let batch: Vec<_> = waiting.events.drain(..count).collect();
        waiting.in_hand.clone_from(&batch);
        (!batch.is_empty()).then_some(batch)
    }

    /// Those that were taken are done with.
    pub(crate) fn done(&self) {
        self.waiting().in_hand.clear();
        self.changed.notify_one();
    }

    /// Waits for so long, or until it hurries.
    pub(crate) async fn pause(&self, wait: Duration) {
        let _in_time = tokio::time::timeout(wait, self.until(|waiting| waiting.hurries)).await;
    }

    pub(crate) fn hurries(&self) -> bool {
        self.waiting().hurries
    }

    /// Sends what waits at once from here on.
    pub(crate) fn hurry(&self) {
        self.waiting().hurries = true;
        self.changed.notify_one();
    }

    /// Ends when what waits is sent.
    pub(crate) fn close(&self) {
        self.waiting().closed = true;
        self.changed.notify_one();
    }

    /// Records that wait or are on their way.
    pub(crate) fn length(&self) -> usize {
        let waiting = self.waiting();
        waiting.events.len() + waiting.in_hand.len()
    }

    /// The first on record of those that wait or are on their way.
    pub(crate) fn first(&self) -> Option<Position> {
        let waiting = self.waiting();
        waiting.in_hand.iter().chain(&waiting.events).map(|event| event.at).min()
    }

    async fn until(&self, is_so: impl Fn(&Waiting) -> bool) {
        while !is_so(&self.waiting()) {
            self.changed.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while a record is put in or taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> Arc<Event> {
        let record = dunlin_journal::SpendRecord {
            started: dunlin_types::UnixMillis(number),
            ..Default::default()
        };
        Arc::new(Event { record: Arc::new(record), ..Event::default() })
    }

    fn numbers(batch: &[Arc<Event>]) -> (usize, u64) {
        (batch.len(), batch[0].record.started.0)
    }

    #[tokio::test]
    async fn records_go_out_in_batches_and_none_waits_longer_than_it_may() {
        let queue = Queue::default();
        (0..513).for_each(|number| queue.put(event(number)));
        assert_eq!(numbers(&queue.next().await.expect("a batch")), (512, 0));
        assert_eq!(queue.length(), 513, "what is on its way is not forgotten");
        queue.done();
        let waited = tokio::time::timeout(LINGER / 10, queue.next()).await;
        assert!(waited.is_err(), "one waits for others");
        let one = tokio::time::timeout(LINGER * 2, queue.next()).await.expect("in time");
        assert_eq!(numbers(&one.expect("a batch")), (1, 512));
    }

    #[tokio::test]
    async fn the_oldest_make_room_and_are_counted() {
        let queue = Queue::default();
        let most = u64::try_from(MAX_QUEUED).expect("a number");
        (0..most + 3).for_each(|number| queue.put(event(number)));
        assert_eq!(queue.length(), MAX_QUEUED);
        assert_eq!(queue.counts.dropped.load(Ordering::Relaxed), 3);
        assert_eq!(numbers(&queue.next().await.expect("a batch")).1, 3);
    }

    #[tokio::test]
    async fn a_hurry_ends_every_wait_and_closing_ends_it_all() {
        let queue = Queue::default();
        queue.put(event(1));
        queue.hurry();
        let soon = LINGER / 5;
        let batch = tokio::time::timeout(soon, queue.next()).await.expect("at once");
        assert_eq!(batch.map(|batch| batch.len()), Some(1));
        tokio::time::timeout(soon, queue.pause(LINGER)).await.expect("at once");
        queue.done();
        queue.put(event(2));
        queue.close();
        assert_eq!(queue.next().await.map(|batch| batch.len()), Some(1), "nothing is lost");
        assert!(queue.next().await.is_none());
    }
}
