//! What a provider keeps, on its way to the client in pieces: the bytes of a file as they come, and
//! a response's stream taken up again, event by event.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use dunlin_journal::Outcome;
use dunlin_llm::StreamEvent;
use dunlin_llm::responses::{KeptResponse, read_frame};
use dunlin_llm::sse::Splitter;
use dunlin_router::Deployment;
use dunlin_upstream::{Passage, Relayed};
use http_body::Frame;

use crate::bill::Bill;
use crate::bill::found;
use crate::request::kept::Sealing;
use crate::response::cut::Broken;

/// The bytes of an answer.
pub(crate) fn bytes(relayed: Relayed) -> Body {
    Body::new(Content(relayed.body))
}

struct Content(Passage);

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = ready!(self.0.poll_next(cx));
        Poll::Ready(next.map(|piece| piece.map(Frame::data).map_err(|_| Broken)))
    }
}

/// Who pays for a response that nobody waited for, should it be found finished.
pub(super) struct Payer {
    pub(super) bill: Bill,
    pub(super) by: Arc<Deployment>,
    /// False for who only looks at what another pays for.
    pub(super) pays: bool,
}

/// The events of a response, under the name that the client knows its model by.
pub(super) fn events(relayed: Relayed, sealing: Sealing, payer: Payer) -> Body {
    let Payer { mut bill, by, pays } = payer;
    bill.served_by(&by);
    bill.for_background(true);
    let splitter = Splitter::with_frames_of(dunlin_providers::MAX_EVENT_BYTES);
    let bill = Some(bill);
    Body::new(Events { relayed, sealing, bill, by, pays, splitter, ready: VecDeque::new() })
}

struct Events {
    relayed: Relayed,
    sealing: Sealing,
    bill: Option<Bill>,
    by: Arc<Deployment>,
    pays: bool,
    splitter: Splitter,
    ready: VecDeque<Bytes>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            match ready!(self.relayed.body.poll_next(cx)) {
                Some(Ok(piece)) => {
                    self.splitter.push(piece);
                    if self.read().is_none() {
                        return Poll::Ready(Some(Err(Broken)));
                    }
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(Broken))),
                None => {
                    self.end();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Events {
    /// Takes out the frames at hand. `None`: it is no stream of events.
    fn read(&mut self) -> Option<()> {
        while let Some(frame) = self.splitter.next_frame().ok()? {
            let mut said = Vec::new();
            read_frame(frame.clone(), &mut said).ok()?;
            let frame = match said.first() {
                Some(StreamEvent::Failed(_, last)) => {
                    let named = last.write(&self.by.group, true).unwrap_or(frame);
                    self.sealing.event(&named)
                }
                Some(StreamEvent::Chunk(chunk)) => {
                    if chunk.usage().is_some() {
                        self.find(chunk.data());
                    }
                    let named = chunk.write(&self.by.group, true).unwrap_or(frame);
                    self.sealing.event(&named)
                }
                // How it ended is the provider's to say: it was asked for what has been.
                Some(
                    StreamEvent::Delta(_)
                    | StreamEvent::Comment(_)
                    | StreamEvent::Done(_)
                    | StreamEvent::Error(_),
                )
                | None => self.sealing.event(&frame),
            };
            self.ready.push_back(frame);
        }
        Some(())
    }

    /// The event that says what it used is the last one: then it is charged, whatever becomes of
    /// the client.
    fn find(&mut self, event: &[u8]) {
        let Some(bill) = self.bill.as_mut().filter(|_| self.pays) else { return };
        let kept = KeptResponse::read_event(event);
        let id = kept.as_ref().map(|kept| self.sealing.answer_id(&kept.id));
        if let Some(finished) = found::response(&self.by, kept, bill.started()) {
            bill.answered_as(id);
            bill.found(finished);
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(bill) = self.bill.take() {
            bill.ended(Outcome::Success);
        }
    }
}
