//! What is told of a request beside its record: its words, and what its client says of how it is to be
//! told. The story of a request hands it over at its end, and it waits here for the moment until its
//! record is read. Words have a bound for the whole node, from here until they are sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dunlin_types::{MonoMillis, RequestId};

/// Words of requests that wait to be sent, on one node. What is beyond is sent without its words.
pub const MAX_WORDS_BYTES: usize = 64 << 20;
/// Requests that have ended and whose records were not read yet. It is seconds of a busy node's.
const MAX_UNREAD: usize = 65_536;
/// A request that has left no record for so long leaves none.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// What is told of a request beside its record.
#[derive(Debug, Default)]
pub struct Detail {
    /// Prompt and answer; `None` if they must not be kept.
    pub words: Option<Words>,
    /// The request's `metadata`, a JSON object: what its client tells receivers.
    pub metadata: Option<String>,
    /// `traceparent`: the span of its client's that it is part of.
    pub parent: Option<String>,
    /// Callbacks that are not told of it, by name: they go on record.
    pub disabled: Vec<String>,
}

/// What was said.
#[derive(Debug, Default)]
pub struct Words {
    /// The body of the request.
    pub request: String,
    /// The body of the answer; of a stream, its text.
    pub answer: String,
}

/// A detail that takes its place in the node's memory until the last who holds it lets go.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) detail: Detail,
    /// There were words, and no room for them.
    pub(crate) lost_words: bool,
    bytes: usize,
    room: Arc<Room>,
}

/// How much of [`MAX_WORDS_BYTES`] is taken.
#[derive(Debug, Default)]
struct Room(AtomicUsize);

impl Drop for Held {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// By request, with the moment since when it waits.
type Waiting = HashMap<RequestId, (MonoMillis, Arc<Held>)>;

/// The details that wait for their records.
#[derive(Default)]
pub(crate) struct Details {
    waiting: Mutex<Waiting>,
    room: Arc<Room>,
    /// Requests whose words found no room.
    lost_words: AtomicU64,
}

impl Details {
    /// Keeps the detail of a request whose record is about to be written.
    pub(crate) fn put(&self, request: RequestId, detail: Detail, now: MonoMillis) {
        let held = self.held(detail);
        let mut waiting = self.waiting();
        if waiting.len() < MAX_UNREAD {
            waiting.insert(request, (now, Arc::new(held)));
        } else {
            self.lost_words.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn held(&self, mut detail: Detail) -> Held {
        let room = Arc::clone(&self.room);
        let size = |detail: &Detail| {
            let words = detail.words.as_ref();
            words.map_or(0, |words| words.request.len() + words.answer.len())
                + detail.metadata.as_ref().map_or(0, String::len)
        };
        let bytes = size(&detail);
        let taken = room.0.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if taken <= MAX_WORDS_BYTES {
            return Held { detail, lost_words: false, bytes, room };
        }
        room.0.fetch_sub(bytes, Ordering::Relaxed);
        let lost_words = detail.words.take().is_some();
        self.lost_words.fetch_add(u64::from(lost_words), Ordering::Relaxed);
        let bytes = size(&detail);
        room.0.fetch_add(bytes, Ordering::Relaxed);
        Held { detail, lost_words, bytes, room }
    }

    /// The detail of a request whose record was read.
    pub(crate) fn take(&self, request: RequestId) -> Option<Arc<Held>> {
        self.waiting().remove(&request).map(|(_, held)| held)
    }

    /// Forgets what belongs to no record.
    pub(crate) fn sweep(&self, now: MonoMillis) {
        self.waiting().retain(|_, (since, _)| now.since(*since) < FORGOTTEN_AFTER);
    }

    /// Bytes of words that wait to be sent.
    pub(crate) fn bytes(&self) -> usize {
        self.room.0.load(Ordering::Relaxed)
    }

    /// Requests that were, or will be, told without their words for want of room.
    pub(crate) fn lost_words(&self) -> u64 {
        self.lost_words.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while details are looked up")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_words(bytes: usize) -> Detail {
        let words = Words { request: "x".repeat(bytes), answer: String::new() };
        Detail { words: Some(words), parent: Some("p".to_owned()), ..Detail::default() }
    }

    const NOW: MonoMillis = MonoMillis(0);

    #[test]
    fn words_beyond_the_bound_are_left_out_and_the_rest_stays() {
        let details = Details::default();
        details.put(RequestId(1), with_words(MAX_WORDS_BYTES - 10), NOW);
        details.put(RequestId(2), with_words(11), NOW);
        let second = details.take(RequestId(2)).expect("it is told of");
        assert!(second.lost_words && second.detail.words.is_none());
        assert_eq!(second.detail.parent.as_deref(), Some("p"), "the rest is still known");
        assert_eq!((details.lost_words(), details.bytes()), (1, MAX_WORDS_BYTES - 10));
        drop(details.take(RequestId(1)));
        assert_eq!(details.bytes(), 0, "what is sent makes room");
        details.put(RequestId(3), with_words(11), NOW);
        assert!(details.take(RequestId(3)).expect("told").detail.words.is_some());
    }

    #[test]
    fn what_leaves_no_record_is_forgotten() {
        let details = Details::default();
        details.put(RequestId(1), with_words(5), NOW);
        details.sweep(MonoMillis(59_999));
        assert_eq!(details.bytes(), 5);
        details.sweep(MonoMillis(60_000));
        assert_eq!((details.bytes(), details.take(RequestId(1)).is_some()), (0, false));
    }

    #[test]
    fn of_requests_beyond_the_bound_only_the_record_is_told() {
        let details = Details::default();
        let many = u128::try_from(MAX_UNREAD).expect("a number");
        (0..many).for_each(|id| details.put(RequestId(id), Detail::default(), NOW));
        assert_eq!(details.lost_words(), 0);
        details.put(RequestId(many), Detail::default(), NOW);
        assert_eq!((details.lost_words(), details.take(RequestId(many)).is_none()), (1, true));
    }
}
