//! Frames on their way, both ways, until a side or a bound ends it. What would make a model answer
//! goes on only once that is admitted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_admission::Entry;
use dunlin_llm::realtime::{Asked, read_asked, read_event};
use dunlin_router::Deployment;
use dunlin_types::MonoMillis;
use dunlin_upstream::Conversation;
use futures::future;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use crate::Proxy;
use crate::realtime::frames::{self, Frames, TooLong};
use crate::realtime::transcripts::Transcripts;
use crate::realtime::turns::{Asker, Turns};
use crate::response::error::Failed;
use crate::server::Open;

/// A conversation in which nothing is said for this long is over.
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// A conversation is over after this long. OpenAI's own bound is an hour.
pub(super) const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a side that is told of the end may take to hear it.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
/// What is read at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Ends an answer at its provider.
const CANCEL: &str = r#"{"type":"response.cancel"}"#;

/// A conversation.
pub(super) struct Talk {
    pub(super) turns: Turns,
    pub(super) transcripts: Transcripts,
    /// Its place there: given back when the conversation is over.
    _place: Option<Entry>,
}

/// Why a conversation is over.
pub(super) enum End {
    ClientGone,
    UpstreamGone,
    FrameTooLong,
    Silent,
    Lasted,
    /// This node leaves.
    Leaving,
    /// An answer or a transcript was not admitted that was asked for.
    Refused(Failed),
    /// The same of one that its provider has begun unasked.
    Unasked(Failed),
    Cut,
}

/// What passed in one direction.
#[derive(Default)]
struct Side {
    frames: Frames,
    /// Whether all that was begun of a frame has been passed on.
    is_whole: bool,
}

impl Side {
    fn new() -> Self {
        Self { frames: Frames::default(), is_whole: true }
    }
}

impl Talk {
    pub(super) fn new(asker: Asker, deployment: Arc<Deployment>, mut place: Option<Entry>) -> Self {
        // Its answers spend, each for itself.
        if let Some(place) = &mut place {
            place.spend_nothing();
        }
        let asker = Arc::new(asker);
        let turns = Turns::new(Arc::clone(&asker), Arc::clone(&deployment));
        Self { turns, transcripts: Transcripts::new(asker, deployment), _place: place }
    }

    /// Whether nothing is answered or written down.
    pub(super) fn is_idle(&self) -> bool {
        !self.turns.are_given() && !self.transcripts.are_open()
    }

    /// What an event of the client's does to the bills. An error ends the conversation.
    async fn ask(&self, text: &[u8]) -> Result<(), Failed> {
        match read_asked(text) {
            Asked::Answer(longest) => self.turns.ask(longest).await,
            Asked::Session(session) => self.transcripts.want(session).await,
            Asked::Commit => self.transcripts.commit().await,
            Asked::Sound => {
                self.transcripts.sound(text.len());
                Ok(())
            }
            Asked::Other => Ok(()),
        }
    }

    /// The same of the provider's.
    pub(super) async fn hear(&self, text: &[u8]) -> Result<(), Failed> {
        let event = read_event(text);
        self.transcripts.hear(&event).await?;
        self.turns.hear(event).await
    }

    pub(super) async fn run(self, client: Upgraded, upstream: Conversation, open: &Open) {
        let Conversation { bytes, ending, .. } = upstream;
        let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
        let (mut from_upstream, mut to_upstream) = tokio::io::split(TokioIo::new(bytes));
        let (mut up, mut down) = (Side::new(), Side::new());
        let heard = &Heard::new(self.turns.proxy());
        let end = tokio::select! {
            end = self.pass_up(&mut from_client, &mut to_upstream, &mut up, heard) => end,
            end = self.pass_down(&mut from_upstream, &mut to_client, &mut down, heard, open) => end,
            () = heard.silence() => End::Silent,
            () = tokio::time::sleep(LIFETIME) => End::Lasted,
            () = open.cut.cancelled() => End::Cut,
        };
        let has_closed = up.frames.has_closed() || down.frames.has_closed();
        let is_broken = matches!(end, End::UpstreamGone) && (!self.is_idle() || !has_closed);
        ending.over(is_broken);
        let (code, reason) = end.words();
        debug!(model = %self.turns.model(), "a conversation is over: {reason}");
        // An answer that was begun and not counted is estimated.
        drop(self);
        let (mut last_down, mut last_up) = (Vec::new(), Vec::new());
        if down.is_whole && !has_closed {
            if let End::Refused(refused) | End::Unasked(refused) = &end {
                last_down.extend(frames::text(&refused.realtime_event(), None));
            }
            last_down.extend(frames::close(code, reason, None));
        }
        if up.is_whole && !has_closed {
            if let End::Unasked(_) = &end {
                last_up.extend(frames::text(CANCEL, Some(rand::random())));
            }
            last_up.extend(frames::close(code, reason, Some(rand::random())));
        }
        // A receiver that is gone need not be told.
        let farewell = future::join(
            part(&mut from_client, &mut to_client, &last_down),
            part(&mut from_upstream, &mut to_upstream, &last_up),
        );
        drop(tokio::time::timeout(FAREWELL, farewell).await);
    }

    /// Passes what the client says. What asks for an answer, or for a transcript, waits until that is
    /// admitted.
    async fn pass_up(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        side: &mut Side,
        heard: &Heard,
    ) -> End {
        let (mut piece, mut texts) = (vec![0; PIECE_BYTES], Vec::new());
        loop {
            let Ok(length @ 1..) = from.read(&mut piece).await else { return End::ClientGone };
            heard.something();
            if side.frames.push(&piece[..length], &mut texts) == Err(TooLong) {
                return End::FrameTooLong;
            }
            for text in texts.drain(..) {
                if let Err(refused) = self.ask(&text.bytes).await {
                    return End::Refused(refused);
                }
            }
            side.is_whole = false;
            if to.write_all(&piece[..length]).await.is_err() {
                return End::UpstreamGone;
            }
            side.is_whole = side.frames.at_boundary();
        }
    }

    /// Passes what the provider says, and settles what it says it used. Of an answer that is not
    /// admitted nothing is passed on but that it was begun.
    async fn pass_down(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        side: &mut Side,
        heard: &Heard,
        open: &Open,
    ) -> End {
        let (mut piece, mut texts) = (vec![0; PIECE_BYTES], Vec::new());
        loop {
            let may_leave = self.is_idle() && side.is_whole;
            let read = tokio::select! {
                read = from.read(&mut piece) => read,
                () = open.leaving.cancelled(), if may_leave => return End::Leaving,
            };
            let Ok(length @ 1..) = read else { return End::UpstreamGone };
            heard.something();
            if side.frames.push(&piece[..length], &mut texts) == Err(TooLong) {
                return End::FrameTooLong;
            }
            let (mut passed, mut refused) = (length, None);
            for text in texts.drain(..) {
                if let Err(why) = self.hear(&text.bytes).await {
                    (passed, refused) = (text.end, Some(why));
                    break;
                }
            }
            side.is_whole = false;
            if to.write_all(&piece[..passed]).await.is_err() {
                return End::ClientGone;
            }
            side.is_whole = refused.is_some() || side.frames.at_boundary();
            if let Some(refused) = refused {
                return End::Unasked(refused);
            }
        }
    }
}

/// Says the last words to a side and hears it out: what it says in the meantime would otherwise
/// reset its connection, and it would not read them.
async fn part(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    words: &[u8],
) -> io::Result<()> {
    to.write_all(words).await?;
    to.shutdown().await?;
    tokio::io::copy(from, &mut tokio::io::sink()).await?;
    Ok(())
}

impl End {
    /// A code of RFC 6455, section 7.4, and a reason of at most 123 bytes.
    pub(super) fn words(&self) -> (u16, &'static str) {
        match self {
            Self::ClientGone => (1001, "the client has left"),
            Self::UpstreamGone => (1011, "the upstream's connection broke off"),
            Self::FrameTooLong => (1009, "a frame is longer than 16 MiB"),
            Self::Silent => (1001, "no message for 10 minutes"),
            Self::Lasted => (1001, "a conversation may last 2 hours: connect again"),
            Self::Leaving => (1001, "this node is stopping: connect again"),
            Self::Refused(_) | Self::Unasked(_) => (1008, "what comes next was not admitted"),
            Self::Cut => (1001, "this node ends: connect again"),
        }
    }
}

/// When something was last said, in either direction.
struct Heard {
    proxy: Proxy,
    at: AtomicU64,
}

impl Heard {
    fn new(proxy: &Proxy) -> Self {
        Self { proxy: proxy.clone(), at: AtomicU64::new(proxy.0.clock.mono().0) }
    }

    fn something(&self) {
        self.at.store(self.proxy.0.clock.mono().0, Ordering::Relaxed);
    }

    /// Ends when nothing has been said for too long.
    async fn silence(&self) {
        loop {
            let last = MonoMillis(self.at.load(Ordering::Relaxed));
            let Some(left) = IDLE.checked_sub(self.proxy.0.clock.mono().since(last)) else {
                return;
            };
            tokio::time::sleep(left + Duration::from_millis(1)).await;
        }
    }
}
