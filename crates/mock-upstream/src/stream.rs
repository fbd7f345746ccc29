//! A streamed answer on its way: its frames at their pace, and the ways it can break.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;

use crate::fault::Fault;
use crate::record::InFlight;
use crate::script::{Framing, Script};

/// The body of a streamed answer, a token each `gap`.
pub(crate) fn body(
    script: Script,
    gap: Option<Duration>,
    fault: &Fault,
    cr_lf: bool,
    in_flight: InFlight,
) -> Body {
    let frames = Frames {
        broken: Break::of(fault, &script),
        chop: if let Fault::Chopped(bytes) = *fault { bytes.max(1) } else { usize::MAX },
        cr_lf: cr_lf && script.framing == Framing::Events,
        script,
        ticks: gap.map(tokio::time::interval),
        sent: 0,
        uncut: Bytes::new(),
        in_flight,
    };
    Body::from_stream(futures::stream::unfold(frames, Frames::next))
}

/// What comes between the frames of a stream.
enum Break {
    Reset,
    Cut,
    /// These bytes are its last.
    Last(Bytes),
    /// These bytes come in between.
    Insert(Bytes),
    Pause(Duration),
}

impl Break {
    /// The break that a fault makes, and after how many tokens.
    fn of(fault: &Fault, script: &Script) -> Option<(u32, Self)> {
        match *fault {
            Fault::ResetMidStream(after) => Some((after, Self::Reset)),
            Fault::CutMidStream(after) => Some((after, Self::Cut)),
            Fault::ErrorMidStream(after) => Some((after, Self::Last(script.error.clone()))),
            Fault::StallMidStream(after, pause) => Some((after, Self::Pause(pause))),
            Fault::TruncatedJson => {
                let frame = &script.pieces.iter().find(|piece| piece.token)?.bytes;
                Some((1, Self::Last(frame.slice(..frame.len() / 2))))
            }
            Fault::MalformedJson => Some((1, Self::Insert(script.framing.around(MALFORMED)))),
            Fault::BadUtf8 => Some((1, Self::Insert(script.framing.around(BAD_UTF8)))),
            Fault::None
            | Fault::Refuse
            | Fault::Status { .. }
            | Fault::Hang
            | Fault::Loading
            | Fault::MissingUsage
            | Fault::WrongName
            | Fault::SlowFirstToken(_)
            | Fault::TokensPerSecond(_)
            | Fault::Html
            | Fault::HugeReply(_)
            | Fault::HugeFrame(_)
            | Fault::Chopped(_) => None,
        }
    }
}

pub(crate) const MALFORMED: &[u8] = br#"{"mock": oops, "text": }"#;
pub(crate) const BAD_UTF8: &[u8] = b"{\"mock\": \"\xff\xfe\xc3\x28\"}";

/// A stream being written.
struct Frames {
    broken: Option<(u32, Break)>,
    /// The most bytes in a piece.
    chop: usize,
    cr_lf: bool,
    script: Script,
    ticks: Option<tokio::time::Interval>,
    /// Tokens sent.
    sent: u32,
    /// What is left of a frame that was chopped.
    uncut: Bytes,
    in_flight: InFlight,
}

impl Frames {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.uncut.is_empty() {
            self.uncut = match self.frame().await {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.in_flight.finish();
                    return None;
                }
                Err(broken) => return Some((Err(broken), self)),
            };
        }
        let piece = self.uncut.split_to(self.chop.min(self.uncut.len()));
        Some((Ok(piece), self))
    }

    /// The next frame; `None` at the end.
    async fn frame(&mut self) -> io::Result<Option<Bytes>> {
        let sent = self.sent;
        if let Some((_, broken)) = self.broken.take_if(|(after, _)| *after == sent) {
            match broken {
                Break::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
                Break::Cut => return Ok(None),
                Break::Last(bytes) => {
                    self.script.pieces.clear();
                    return Ok(Some(bytes));
                }
                Break::Insert(bytes) => return Ok(Some(bytes)),
                Break::Pause(pause) => tokio::time::sleep(pause).await,
            }
        }
        let Some(piece) = self.script.pieces.front_mut() else { return Ok(None) };
        let bytes = if self.cr_lf { with_cr_lf(&piece.bytes) } else { piece.bytes.clone() };
        let token = piece.token;
        piece.times -= 1;
        if piece.times == 0 {
            self.script.pieces.pop_front();
        }
        if token {
            if let Some(ticks) = &mut self.ticks {
                ticks.tick().await;
            }
            self.sent += 1;
        }
        Ok(Some(bytes))
    }
}

/// JSON has no line feeds of its own, so all there are end lines of events.
fn with_cr_lf(frame: &Bytes) -> Bytes {
    let lines: Vec<&[u8]> = frame.split(|byte| *byte == b'\n').collect();
    Bytes::from(lines.join(&b"\r\n"[..]))
}
