//! Streamed answers on their way to the client: passed on as they come, counted as they pass.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use dunlin_journal::Outcome;
use dunlin_llm::form::Delta;
use dunlin_llm::openai::Merger;
use dunlin_llm::responses::KeptResponse;
use dunlin_llm::{ChatRequest, Chunk, Dialect, Stamp, StreamEvent, StreamWriter, Usage};
use dunlin_router::Deployment;
use dunlin_upstream::{Failure, Stream};
use http_body::Frame;
use tokio::sync::oneshot;

use crate::bill::{Bill, found, record, said};
use crate::request::call::Call;
use crate::request::kept::Sealing;
use crate::response::cut::{Broken, Cut};
use crate::response::error;
use crate::response::framing::Framing;
use crate::turns::Answered;

/// How a stream is put for its client.
pub(crate) struct Outgoing {
    chat: ChatRequest,
    model: String,
    call_id: String,
    now: u64,
    framing: Framing,
    /// Where the provider keeps what it answers.
    seal: Option<Sealing>,
    /// Where it keeps nothing: the turn that is to be stored here.
    turn: Option<Answered>,
    /// Puts thoughts into what is said.
    merger: Option<Merger>,
}

impl Outgoing {
    pub(crate) fn new(
        call: &Call,
        model: String,
        chat: ChatRequest,
        (seal, turn): (Option<Sealing>, Option<Answered>),
    ) -> Self {
        let (call_id, now) = (call.call_id.clone(), call.stamp(&model, &chat).now);
        Self { chat, model, call_id, now, framing: call.framing, seal, turn, merger: None }
    }

    /// The same, whose thoughts are put into what is said if `merges`.
    pub(crate) fn merging(self, merges: bool) -> Self {
        Self { merger: merges.then(Merger::default), ..self }
    }

    fn stamp(&self) -> Stamp<'_> {
        let (model, id, request) = (&*self.model, &*self.call_id, self.chat.text());
        let turn = self.turn.as_ref().map(|answered| &answered.turn);
        Stamp { model, id, now: self.now, request, turn }
    }

    /// What the client calls an answer that passes as it is, and that its provider calls `id`.
    fn passed_id(&self, id: &str) -> String {
        self.seal.as_ref().map_or_else(|| id.to_owned(), |seal| seal.answer_id(id))
    }

    fn writer(&self) -> Box<dyn StreamWriter> {
        self.chat.endpoint().stream_writer(self.stamp(), self.chat.wants_usage())
    }

    fn usage_frame(&self, created: Option<u64>, id: Option<&str>, usage: &Usage) -> Option<Bytes> {
        let stamp = Stamp { now: created.unwrap_or(self.now), ..self.stamp() };
        self.chat.endpoint().usage_frame(stamp, id, usage)
    }
}

/// The events of a stream as the client sees them.
pub(crate) fn events(stream: Stream, mut bill: Bill, outgoing: Outgoing) -> Body {
    bill.served_by(stream.deployment());
    bill.begun(None);
    if !stream.tells_usage() && outgoing.chat.endpoint().is_chat() {
        bill.keep_words();
    }
    Body::new(Events {
        stream,
        bill: Some(bill),
        outgoing,
        writer: None,
        end: End::Open,
        created: None,
        watched: false,
        warming: None,
        storing: None,
    })
}

struct Events {
    stream: Stream,
    /// Dropped open, when the client leaves, it charges what was passed on.
    bill: Option<Bill>,
    outgoing: Outgoing,
    /// Where the provider speaks another dialect: makes frames of its deltas.
    writer: Option<Box<dyn StreamWriter>>,
    end: End,
    /// When the answer began, as its frames say, where one of ours may have to say it too.
    created: Option<Option<u64>>,
    /// Whether what nobody waits for is asked after.
    watched: bool,
    /// The end of what nobody counted, as soon as its model's encoding is loaded.
    warming: Option<(Warming, Bytes)>,
    /// The last frames, as soon as the turn is stored: their client may go on from it when it has them.
    storing: Option<(oneshot::Receiver<()>, Bytes)>,
}

/// Ends when what nobody counted can be counted.
type Warming = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How far a stream is in ending.
enum End {
    Open,
    Whole,
    Broken(Cut),
}

/// What goes out in one write: all that came in one read.
#[derive(Default)]
struct Written {
    first: Bytes,
    more: BytesMut,
}

impl Written {
    fn push(&mut self, bytes: Bytes) {
        if self.is_empty() {
            self.first = bytes;
        } else {
            self.more.extend_from_slice(&std::mem::take(&mut self.first));
            self.more.extend_from_slice(&bytes);
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.more.is_empty()
    }

    fn take(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.storing.is_some() {
            return self.poll_stored(cx);
        }
        match &mut self.end {
            End::Open => {}
            End::Whole => return Poll::Ready(None),
            End::Broken(cut) => return cut.poll(cx).map(|broken| Some(Err(broken))),
        }
        let mut written = Written::default();
        loop {
            let event = match self.poll_event(cx) {
                Poll::Ready(Some(event)) => event,
                Poll::Ready(None) => {
                    self.end = End::Whole;
                    return Poll::Ready(None);
                }
                Poll::Pending if written.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Some(Ok(Frame::data(written.take())))),
            };
            if let Some(bytes) = self.pass(event) {
                let bytes = match &mut self.outgoing.merger {
                    Some(merger) => merger.merged(bytes),
                    None => bytes,
                };
                let is_end = matches!(self.end, End::Whole);
                written.push(self.outgoing.framing.wrap(bytes, is_end));
            }
            let more_to_come = matches!(self.end, End::Open) && self.stream.has_more_at_hand();
            if !written.is_empty() && !more_to_come {
                let written = written.take();
                if let Some((_, last)) = &mut self.storing {
                    *last = written;
                    return self.poll_stored(cx);
                }
                return Poll::Ready(Some(Ok(Frame::data(written))));
            }
        }
    }
}

impl Events {
    /// The last frames. A turn whose storing was dropped is over, too: the node is stopping.
    fn poll_stored(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some((stored, _)) = &mut self.storing {
            let _is_over = ready!(Pin::new(stored).poll(cx));
        }
        Poll::Ready(self.storing.take().map(|(_, last)| Ok(Frame::data(last))))
    }

    /// The next event. The end of what nobody counted comes once it can be counted.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<StreamEvent, Failure>>> {
        if self.warming.is_none() {
            let event = ready!(self.stream.poll_next(cx));
            let uncounted = self.bill.as_ref().filter(|bill| bill.must_count_words());
            let (Some(bill), Some(Ok(StreamEvent::Done(frame)))) = (uncounted, &event) else {
                return Poll::Ready(event);
            };
            self.warming = Some((Box::pin(bill.warm()), frame.clone()));
        }
        if let Some((warming, _)) = &mut self.warming {
            ready!(warming.as_mut().poll(cx));
        }
        Poll::Ready(self.warming.take().map(|(_, frame)| Ok(StreamEvent::Done(frame))))
    }

    /// What the client gets of an event. The last one waits for its bill.
    fn pass(&mut self, event: Result<StreamEvent, Failure>) -> Option<Bytes> {
        let bill = self.bill.as_mut();
        match event {
            Ok(StreamEvent::Chunk(chunk)) => self.pass_chunk(chunk),
            Ok(StreamEvent::Delta(delta)) => {
                let bill = bill.expect("nothing follows the end of a stream");
                bill.streamed(delta.usage(), delta.text_bytes());
                bill.served_in(delta.service_tier());
                if let Delta::Start { id, .. } = &delta {
                    let endpoint = self.outgoing.chat.endpoint();
                    let id = self.outgoing.stamp().answer_id(endpoint, id.as_deref());
                    bill.answered_as(Some(id));
                }
                bill.said(|| said::of_delta(&delta));
                self.translate(delta)
            }
            Ok(StreamEvent::Comment(frame)) => {
                self.outgoing.chat.endpoint().takes_comments().then_some(frame)
            }
            Ok(StreamEvent::Done(frame)) => {
                let frame = self.whole(frame);
                self.settle(Outcome::Success);
                self.end = End::Whole;
                let turn = self.outgoing.turn.take();
                let stored = turn.and_then(|turn| turn.store_streamed(&frame));
                self.storing = stored.map(|stored| (stored, Bytes::new()));
                Some(frame)
            }
            Ok(StreamEvent::Error(_) | StreamEvent::Failed(..)) => {
                unreachable!("upstream turns errors into failures")
            }
            Err(failure @ Failure { last: Some(_), .. }) => {
                let bill = bill.expect("nothing follows the end of a stream");
                bill.faulted(record::fault(error::of_failure(&failure)));
                let last = failure.last.expect("it was just matched");
                bill.streamed(last.usage(), 0);
                self.settle(Outcome::Partial);
                // The provider's own word for an end that is none: nothing is missing after it.
                self.end = End::Whole;
                let frame = last.write(&self.outgoing.model, true)?;
                Some(self.outgoing.seal.as_ref().map_or(frame.clone(), |seal| seal.event(&frame)))
            }
            Err(failure) => {
                if let Some(bill) = bill {
                    bill.faulted(record::fault(error::of_failure(&failure)));
                }
                self.settle(Outcome::Partial);
                self.end = End::Broken(Cut::default());
                let endpoint = self.outgoing.chat.endpoint();
                Some(endpoint.error_frame(&error::in_stream(&failure, endpoint)))
            }
        }
    }

    /// What the client gets of a chunk in its own dialect.
    fn pass_chunk(&mut self, chunk: Chunk) -> Option<Bytes> {
        let bill = self.bill.as_mut().expect("nothing follows the end of a stream");
        bill.streamed(chunk.usage(), chunk.text_bytes());
        if bill.answer_id().is_none() {
            bill.answered_as(chunk.id().map(|id| self.outgoing.passed_id(id)));
        }
        bill.said(|| said::of_chunk(chunk.data()));
        if bill.keeps_words() {
            self.created.get_or_insert_with(|| chunk.created());
        }
        bill.cited(chunk.data());
        bill.served_in(chunk.service_tier());
        if chunk.usage().is_some() {
            bill.counted(chunk.data());
        }
        if bill.is_for_background() {
            follow(bill, self.stream.deployment(), &chunk, &mut self.watched);
        }
        let counted = bill.is_counted();
        let tells = self.outgoing.chat.wants_usage() && (counted || !self.tells_later(&chunk));
        let frame = chunk.write(&self.outgoing.model, tells)?;
        let frame = if !chunk.has_choices() && chunk.usage().is_some() {
            self.outgoing.chat.endpoint().with_empty_choice(frame)
        } else if chunk.ended() > 0 && !counted {
            self.tell(frame)
        } else {
            frame
        };
        Some(match &self.outgoing.seal {
            Some(seal) if chunk.id().is_some() => seal.event(&frame),
            Some(_) | None => frame,
        })
    }

    /// Whether a count that is none, in an OpenAI chat's stream, gives way to the frame that tells what
    /// is charged.
    fn tells_later(&self, chunk: &Chunk) -> bool {
        let endpoint = self.outgoing.chat.endpoint();
        let has_frame = endpoint.dialect() == Dialect::OpenAi && endpoint.is_chat();
        chunk.tells_usage() && has_frame
    }

    /// The frames of a delta; some, such as a count of tokens, make none of their own.
    fn translate(&mut self, delta: Delta) -> Option<Bytes> {
        let writer = self.writer.get_or_insert_with(|| self.outgoing.writer());
        let mut frames = Vec::new();
        writer.write(delta, &mut frames);
        (!frames.is_empty()).then(|| Bytes::from(frames))
    }

    /// The frame in which an answer ends whose provider counts nothing, with what is counted here.
    fn tell(&mut self, frame: Bytes) -> Bytes {
        let Some(bill) = &mut self.bill else { return frame };
        // It has a frame of its own in OpenAI's chats, and their providers may yet send it.
        if self.outgoing.chat.endpoint().dialect() == Dialect::OpenAi {
            return frame;
        }
        match bill.counted_here(&self.outgoing.chat) {
            Some(usage) => self.outgoing.chat.endpoint().told_in_frame(frame, &usage),
            None => frame,
        }
    }

    /// The frames that end a stream, the last of which is `last` unless it is translated. What the
    /// provider has not counted is told as it is charged.
    fn whole(&mut self, last: Bytes) -> Bytes {
        let Some(bill) = &mut self.bill else { return last };
        let (outgoing, counted) = (&self.outgoing, bill.counted_here(&self.outgoing.chat));
        let mut frames = Vec::new();
        if let Some(writer) = &mut self.writer {
            if let Some(usage) = counted {
                writer.write(Delta::Usage(usage), &mut frames);
            }
            writer.finish(&mut frames);
            return Bytes::from(frames);
        }
        let counted = counted.filter(|_| outgoing.chat.wants_usage());
        match counted.and_then(|usage| {
            outgoing.usage_frame(self.created.flatten(), bill.answer_id(), &usage)
        }) {
            Some(frame) => Bytes::from([frame, last].concat()),
            None => last,
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(mut bill) = self.bill.take() {
            bill.count_prompt(&self.outgoing.chat);
            bill.ended(outcome);
        }
    }
}

/// Of a response that nobody waits for: it is watched from its first event on, and found where it
/// ends.
fn follow(bill: &mut Bill, by: &Arc<Deployment>, chunk: &Chunk, watched: &mut bool) {
    if !std::mem::replace(watched, true)
        && let Some(kept) = KeptResponse::read_event(chunk.data()).filter(|kept| !kept.finished)
    {
        bill.watch_streamed(by, &kept.id);
    }
    if chunk.usage().is_some() {
        let kept = KeptResponse::read_event(chunk.data());
        let made = bill.started();
        if let Some(finished) = found::response(by, kept, made) {
            bill.found(finished.made_at(made));
        }
    }
}
