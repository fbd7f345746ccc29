//! A streamed answer: its frames at their pace, and the ways it can break.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;

use crate::record::InFlight;
use crate::settings::Fault;
use crate::text::Writer;

/// The body of a streamed answer, a token each `gap`.
pub(crate) fn body(
    gap: Option<Duration>,
    fault: &Fault,
    writer: &Writer<'_>,
    usage: bool,
    in_flight: InFlight,
) -> Body {
    let token = writer.token_frame();
    let frames = Frames {
        broken: Break::of(fault, &token),
        token,
        tokens: writer.tokens,
        ending: writer.ending(usage),
        ticks: gap.map(tokio::time::interval),
        sent: 0,
        in_flight,
    };
    Body::from_stream(futures::stream::unfold(frames, Frames::next))
}

/// How a stream ends before its time.
enum Break {
    Reset,
    Cut,
    /// With these as its last bytes.
    Last(Bytes),
}

const ERROR_FRAME: &[u8] = b"data: {\"error\":{\"message\":\"the mock broke\",\
    \"type\":\"server_error\",\"param\":null,\"code\":500}}\n\n";

impl Break {
    /// The break that a fault makes, and after how many chunks.
    fn of(fault: &Fault, token: &Bytes) -> Option<(u32, Self)> {
        match *fault {
            Fault::ResetMidStream(after) => Some((after, Self::Reset)),
            Fault::CutMidStream(after) => Some((after, Self::Cut)),
            Fault::ErrorMidStream(after) => {
                Some((after, Self::Last(Bytes::from_static(ERROR_FRAME))))
            }
            Fault::TruncatedJson => Some((1, Self::Last(token.slice(..token.len() / 2)))),
            Fault::None
            | Fault::Refuse
            | Fault::Status { .. }
            | Fault::Hang
            | Fault::Loading
            | Fault::MissingUsage
            | Fault::WrongName
            | Fault::SlowFirstToken(_)
            | Fault::HugeReply(_) => None,
        }
    }
}

/// A stream being written.
struct Frames {
    broken: Option<(u32, Break)>,
    token: Bytes,
    tokens: u32,
    /// Everything after the last token, `[DONE]` included.
    ending: Bytes,
    ticks: Option<tokio::time::Interval>,
    /// Tokens sent; more than there are once all is said.
    sent: u32,
    in_flight: InFlight,
}

impl Frames {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let over = self.tokens + 1;
        if let Some((_, broken)) = self.broken.take_if(|(after, _)| *after == self.sent) {
            self.sent = over;
            return match broken {
                Break::Reset => Some((Err(io::ErrorKind::ConnectionReset.into()), self)),
                Break::Last(bytes) => Some((Ok(bytes), self)),
                Break::Cut => {
                    self.in_flight.finish();
                    None
                }
            };
        }
        if self.sent == over {
            self.in_flight.finish();
            return None;
        }
        let frame = if self.sent == self.tokens {
            self.ending.clone()
        } else {
            if let Some(ticks) = &mut self.ticks {
                ticks.tick().await;
            }
            self.token.clone()
        };
        self.sent += 1;
        Some((Ok(frame), self))
    }
}
