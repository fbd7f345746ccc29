//! A conversation: messages in, turns under way, events out, until a side or a bound ends it. Turns
//! of one lane follow each other, those of different lanes do not wait.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_llm::responses::socket::{Create, error_event, read_create};
use futures::stream::{SelectAll, SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Map, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::debug;

use super::loose::LooseTurns;
use super::turn::{self, Asker, Said, Turn};
use crate::server::Open;

/// A connection begins no turn after this long, as OpenAI has it.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Turns that are under way at the same time; others wait.
const MAX_LANES: usize = 8;
/// Messages that wait for their turns: while there are so many, no more are read.
const MAX_WAITING: usize = 16;
/// How long a side that is told of the end may take to hear it.
const FAREWELL: Duration = Duration::from_secs(1);
/// What is read at a time.
const PIECE_BYTES: usize = 16 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) struct Conversation {
    asker: Arc<Asker>,
    /// The bytes of a message.
    most: usize,
    running: SelectAll<Turn>,
    /// The lanes that have a turn under way.
    busy: BTreeSet<Option<String>>,
    waiting: VecDeque<Create>,
    loose: LooseTurns,
    /// No turn begins any more.
    is_ending: Option<End>,
}

/// Why a conversation is over.
#[derive(Clone, Copy)]
enum End {
    ClientGone,
    TooLong,
    /// A frame breaks the rules of its form.
    Malformed,
    NoText,
    Lasted,
    /// This node leaves.
    Leaving,
    Cut,
}

impl Conversation {
    pub(super) fn new(asker: Asker, most: usize) -> Self {
        Self {
            asker: Arc::new(asker),
            most,
            running: SelectAll::new(),
            busy: BTreeSet::new(),
            waiting: VecDeque::new(),
            loose: LooseTurns::default(),
            is_ending: None,
        }
    }

    pub(super) async fn run(mut self, client: Upgraded, open: &Open) {
        let config = WebSocketConfig::default()
            .read_buffer_size(PIECE_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(self.most))
            .max_frame_size(Some(self.most));
        let socket = TokioIo::new(client);
        let socket = WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await;
        let (mut to, mut from) = socket.split();
        let end = tokio::select! {
            end = self.talk(&mut to, &mut from, open) => end,
            () = open.cut.cancelled() => End::Cut,
        };
        // A turn that is under way is given up, as when a client leaves.
        drop(self);
        debug!("a conversation is over: {}", end.words().1);
        drop(tokio::time::timeout(FAREWELL, farewell(end, to, from)).await);
    }

    async fn talk(
        &mut self,
        to: &mut SplitSink<Socket, Message>,
        from: &mut SplitStream<Socket>,
        open: &Open,
    ) -> End {
        let mut lifetime = Box::pin(tokio::time::sleep(LIFETIME));
        loop {
            self.begin_waiting();
            if let Some(end) = self.is_ending
                && self.busy.is_empty()
            {
                return end;
            }
            let goes_on = self.is_ending.is_none();
            tokio::select! {
                Some(said) = self.running.next() => {
                    if let Some(message) = self.said(said)
                        && to.send(message).await.is_err()
                    {
                        return End::ClientGone;
                    }
                }
                heard = from.next(), if self.waiting.len() < MAX_WAITING => {
                    let answer = match self.heard(heard) {
                        Ok(answer) => answer,
                        Err(end) => return end,
                    };
                    if let Some(answer) = answer
                        && to.send(answer).await.is_err()
                    {
                        return End::ClientGone;
                    }
                }
                () = open.leaving.cancelled(), if goes_on => self.is_ending = Some(End::Leaving),
                () = &mut lifetime, if goes_on => self.is_ending = Some(End::Lasted),
            }
        }
    }

    /// Begins the turns whose lanes are free.
    fn begin_waiting(&mut self) {
        let mut at = 0;
        while self.is_ending.is_none() && self.busy.len() < MAX_LANES && at < self.waiting.len() {
            if self.busy.contains(&self.waiting[at].lane) {
                at += 1;
                continue;
            }
            let asked = self.waiting.remove(at).expect("it is one of them");
            self.busy.insert(asked.lane.clone());
            self.running.push(self.turn(asked));
        }
    }

    fn turn(&self, asked: Create) -> Turn {
        let lane = asked.lane.clone();
        let refused = |status, why| {
            let over = Said::Over(lane.clone());
            let said = [turn::refused(status, why, lane.as_deref()), over];
            futures::stream::iter(said).boxed()
        };
        match self.loose.before(asked.body) {
            Ok(body) if body.len() > self.most => {
                let most = self.most >> 20;
                let why = format!("the conversation is longer than {most} MB");
                refused(413, ("input", why))
            }
            Ok(body) => turn::begin(Arc::clone(&self.asker), Create { body, ..asked }),
            Err(bad) => refused(400, ("input", bad.to_string())),
        }
    }

    /// What a turn says, as a message.
    fn said(&mut self, said: Said) -> Option<Message> {
        match said {
            Said::Event(event) => Some(Message::text(event)),
            // Whoever is on the way sees that the connection is in use.
            Said::Nothing => Some(Message::Ping(Bytes::new())),
            Said::Kept(turn) => {
                self.loose.keep(turn);
                None
            }
            Said::Over(lane) => {
                self.busy.remove(&lane);
                None
            }
        }
    }

    /// Takes a message: a turn that waits, or what its sender is told instead.
    fn heard(&mut self, heard: Option<Result<Message, Error>>) -> Result<Option<Message>, End> {
        let message = match heard {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(None),
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                return Err(End::TooLong);
            }
            // What a client that is gone has not finished is no fault of its frames.
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                return Err(End::ClientGone);
            }
            Some(Err(Error::Protocol(_))) => return Err(End::Malformed),
            Some(Err(Error::Utf8(_))) => return Err(End::NoText),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::ClientGone),
        };
        match read_create(message) {
            Ok(asked) => {
                self.waiting.push_back(asked);
                Ok(None)
            }
            Err(wrong) => {
                let why = (wrong.param, wrong.to_string());
                let Said::Event(event) = turn::refused(400, why, wrong.lane.as_deref()) else {
                    unreachable!("a refusal is an event")
                };
                Ok(Some(Message::text(event)))
            }
        }
    }
}

async fn farewell(end: End, mut to: SplitSink<Socket, Message>, mut from: SplitStream<Socket>) {
    let (code, reason) = end.words();
    if let End::Lasted = end {
        let error = json!({"type": "invalid_request_error",
            "code": "websocket_connection_limit_reached", "message": reason, "param": null});
        // A receiver that is gone need not be told.
        drop(to.send(Message::text(error_event(400, error, Map::new(), None))).await);
    }
    let close = CloseFrame { code, reason: reason.into() };
    if to.send(Message::Close(Some(close))).await.is_ok() {
        while let Some(Ok(_)) = from.next().await {}
    }
    // Closed with bytes that nobody has read, the connection would be reset, and the client might never
    // hear why.
    let has_more = matches!(end, End::TooLong | End::Malformed | End::NoText);
    if let (true, Ok(mut socket)) = (has_more, to.reunite(from)) {
        drop(tokio::io::copy(socket.get_mut(), &mut tokio::io::sink()).await);
    }
}

impl End {
    /// A code of RFC 6455, section 7.4, and a reason of at most 123 bytes.
    fn words(self) -> (CloseCode, &'static str) {
        match self {
            Self::ClientGone => (CloseCode::Normal, "the client has left"),
            Self::TooLong => (CloseCode::Size, "a message is longer than a request body may be"),
            Self::Malformed => (CloseCode::Protocol, "a frame violates RFC 6455"),
            Self::NoText => (CloseCode::Invalid, "a text frame is not UTF-8"),
            Self::Lasted => {
                (CloseCode::Away, "a connection lasts 60 minutes: connect again to continue")
            }
            Self::Leaving => (CloseCode::Away, "this node is stopping: connect again"),
            Self::Cut => (CloseCode::Away, "this node ends: connect again"),
        }
    }
}
