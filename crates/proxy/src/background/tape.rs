//! The events of a response that nobody need wait for, kept while it is made: who listens may leave,
//! and come back at any event.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use dunlin_llm::responses::{end_event, is_end};
use dunlin_types::RequestId;
use tokio::sync::Notify;

/// The events of a longer answer are not kept: it fails.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// As many are made at once on a node.
pub(super) const MAX_TAPES: usize = 64;

/// What ends an event.
const END: &[u8] = b"\n\n";

/// All of a node, by the request that makes each. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tapes(Arc<Mutex<BTreeMap<RequestId, Arc<Tape>>>>);

/// The events so far.
#[derive(Default)]
pub(crate) struct Tape {
    so_far: Mutex<SoFar>,
    grown: Notify,
}

#[derive(Default)]
struct SoFar {
    events: Vec<Bytes>,
    bytes: usize,
    is_over: bool,
}

/// A tape that grows until this is dropped.
pub(super) struct Recording {
    tapes: Tapes,
    id: RequestId,
    tape: Arc<Tape>,
}

/// The bound on a tape.
#[derive(Debug)]
pub(super) struct Full;

impl Tapes {
    /// `None`: there are [`MAX_TAPES`] already.
    pub(super) fn begin(&self, id: RequestId) -> Option<Recording> {
        let mut all = self.all();
        if all.len() >= MAX_TAPES {
            return None;
        }
        let tape = Arc::<Tape>::default();
        all.insert(id, Arc::clone(&tape));
        Some(Recording { tapes: self.clone(), id, tape })
    }

    /// That of a response which this node makes at the moment.
    pub(crate) fn of(&self, id: RequestId) -> Option<Arc<Tape>> {
        self.all().get(&id).cloned()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<RequestId, Arc<Tape>>> {
        self.0.lock().expect("no code panics while it holds the tapes")
    }
}

impl Recording {
    /// Listeners get these events.
    pub(super) fn push(&self, events: &Bytes) -> Result<(), Full> {
        let mut so_far = self.tape.lock();
        if so_far.bytes + events.len() > MAX_BYTES {
            return Err(Full);
        }
        so_far.bytes += events.len();
        so_far.events.extend(split(events));
        drop(so_far);
        self.tape.grown.notify_waiters();
        Ok(())
    }

    /// Listeners get the event that ends it, even beyond the bound.
    pub(super) fn end(&self, event: Bytes) {
        let mut so_far = self.tape.lock();
        so_far.bytes += event.len();
        so_far.events.push(event);
        drop(so_far);
        self.tape.grown.notify_waiters();
    }

    /// How many events there are.
    pub(super) fn count(&self) -> u64 {
        self.tape.lock().events.len() as u64
    }

    pub(super) fn listen(&self) -> Body {
        listen(Arc::clone(&self.tape), None)
    }

    /// All of it.
    pub(super) fn all(&self) -> Bytes {
        let so_far = self.tape.lock();
        let mut all = BytesMut::with_capacity(so_far.bytes);
        so_far.events.iter().for_each(|event| all.extend_from_slice(event));
        all.freeze()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.tapes.all().remove(&self.id);
        self.tape.lock().is_over = true;
        self.tape.grown.notify_waiters();
    }
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().expect("no code panics while it holds a tape")
    }

    /// The events from that one on, once there are some. `None`: there will be none.
    async fn from(&self, next: usize) -> Option<(Bytes, usize)> {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            {
                let so_far = self.lock();
                if let Some(more) = so_far.events.get(next..).filter(|more| !more.is_empty()) {
                    return Some((Bytes::from(more.concat()), so_far.events.len()));
                }
                if so_far.is_over {
                    return None;
                }
            }
            grown.await;
        }
    }
}

/// The events behind the one of the number `after`, those to come too.
pub(crate) fn listen(tape: Arc<Tape>, after: Option<u64>) -> Body {
    let events = futures::stream::unfold((tape, place(after)), async |(tape, next)| {
        let (events, next) = tape.from(next).await?;
        Some((Ok::<_, Infallible>(events), (tape, next)))
    });
    Body::from_stream(events)
}

/// The events of a finished response's tape behind the one of the number `after`. A tape that was cut
/// short, for its node died, ends as the response stands.
pub(crate) fn rest(tape: &Bytes, response: &[u8], after: Option<u64>) -> Bytes {
    let mut events: Vec<Bytes> = split(tape).collect();
    if !events.last().is_some_and(|last| is_end(last)) {
        events.push(end_event(response, events.len() as u64));
    }
    Bytes::from(events.get(place(after)..).unwrap_or_default().concat())
}

/// Events are numbered from 0.
fn place(after: Option<u64>) -> usize {
    after.map_or(0, |after| usize::try_from(after).unwrap_or(usize::MAX).saturating_add(1))
}

/// Each event with its end; no comments.
fn split(events: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut rest = events.clone();
    let all = std::iter::from_fn(move || {
        let at = memchr::memmem::find(&rest, END)?;
        Some(rest.split_to(at + END.len()))
    });
    all.filter(|event| !event.starts_with(b":"))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn heard(body: Body) -> String {
        let bytes = body.collect().await.expect("it does not break off").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn who_listens_hears_all_from_where_it_likes_to_the_end() {
        let (tapes, id) = (Tapes::default(), RequestId(7));
        let recording = tapes.begin(id).expect("there is room");
        recording.push(&Bytes::from("data: 0\n\n: ping\n\ndata: 1\n\n")).expect("room");
        let early = recording.listen();
        let behind = listen(tapes.of(id).expect("it is made here"), Some(1));
        let far = listen(tapes.of(id).expect("it is made here"), Some(u64::MAX));
        let speaking = async {
            tokio::task::yield_now().await;
            recording.push(&Bytes::from("data: 2\n\n")).expect("room");
            let all = recording.all();
            drop(recording);
            all
        };
        let (early, behind, far, all) =
            tokio::join!(heard(early), heard(behind), heard(far), speaking);
        assert_eq!(early, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
        assert_eq!((&*behind, &*far), ("data: 2\n\n", ""));
        let failed = br#"{"status":"failed"}"#;
        let cut = rest(&all, failed, Some(0));
        assert_eq!(cut, [&b"data: 1\n\ndata: 2\n\n"[..], &end_event(failed, 3)[..]].concat());
        assert_eq!(rest(&all, failed, Some(3)), "", "it has been heard");
        let whole = Bytes::from([&all[..], &end_event(failed, 3)[..]].concat());
        assert_eq!(rest(&whole, b"{}", Some(2)), end_event(failed, 3));
        assert!(tapes.of(id).is_none(), "nothing is left of it");
    }

    #[test]
    fn tapes_are_bounded_in_number_and_length() {
        let tapes = Tapes::default();
        let number = u128::try_from(MAX_TAPES).expect("small");
        let all: Vec<_> = (0..number).map(|id| tapes.begin(RequestId(id))).collect();
        assert!(all.iter().all(Option::is_some) && tapes.begin(RequestId(number)).is_none());
        let recording = all[0].as_ref().expect("it is there");
        let long = Bytes::from(vec![b'x'; MAX_BYTES / 2 + 1]);
        assert!(recording.push(&long).is_ok() && recording.push(&long).is_err());
        drop(all);
        assert!(tapes.begin(RequestId(number)).is_some());
    }
}
