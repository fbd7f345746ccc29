//! Frames on their way, both ways, until a side or a bound ends it. What a model answers is settled
//! when its answer is over, and the next one is admitted before it can begin.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use dunlin_admission::{Bounds, Demand, Entry};
use dunlin_journal::{Origin, Outcome};
use dunlin_llm::realtime::{Event, read_event};
use dunlin_router::Deployment;
use dunlin_types::{MonoMillis, Served, Tokens};
use dunlin_upstream::Conversation;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use crate::Proxy;
use crate::attempts::not_afforded;
use crate::attempts::{entry, hold};
use crate::bill::report;
use crate::bill::{About, Bill};
use crate::realtime::frames::{self, Frames, TooLong};
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::pass::Pass;
use crate::response::error::{Failed, Refused};
use crate::response::told::AnswerHeaders;
use crate::server::Open;
use crate::stale::Detour;

/// A conversation in which nothing is said for this long is over.
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// A conversation is over after this long. OpenAI's own bound is an hour.
pub(super) const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a side that is told of the end may take to hear it.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
/// What is read at a time.
const PIECE_BYTES: usize = 16 << 10;

/// On whose behalf answers are admitted.
pub(super) struct Asker {
    pub(super) proxy: Proxy,
    pub(super) call: Arc<Call>,
    /// The key is in them: whether it still opens anything is asked before each answer.
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    /// The secret among them, if that is what was shown: it is good for as long as this lasts.
    pub(super) pass: Option<Pass>,
    pub(super) origin: Origin,
    /// The model, as the client names it, and what serves it.
    pub(super) model: String,
    pub(super) served: Served,
    /// Says when this node knows too little to go on.
    pub(super) detour: Option<Detour>,
}

impl Asker {
    /// Admits one answer; once it is known who gives it, also by what may be spent there.
    pub(super) async fn admit(
        &self,
        mut caller: Caller,
        by: Option<&Deployment>,
    ) -> Result<(Bill, AnswerHeaders), Failed> {
        let mut origin = self.origin.clone();
        caller.count_for(&self.proxy, &mut origin).await?;
        let serving = self.proxy.0.serving.load_full();
        caller.check_end_user(&serving.catalog, &self.model)?;
        let call = Call::of_headers(&self.proxy, self.call.endpoint, &self.headers);
        let call = Call { call_id: self.call.call_id.clone(), ..call }.named(self.call.call_type);
        let (served, counted) = (self.served.clone(), serving.settings.counted);
        let demand = Demand::unpriced(call.id, served, Tokens(0), counted);
        let there = by.map(|by| Demand { cost: cost(by), ..demand.clone() });
        let admitted = self.proxy.0.admission.admit(caller.key(), demand).await;
        let permit =
            admitted.map_err(|refusal| Refused::admission(refusal, &caller, call.started))?;
        let told = AnswerHeaders::of_admission(&call, &caller, permit.limits());
        let about = About { stream: true, ..About::relayed(&self.model, Tokens(0), origin) };
        let mut bill = Bill::open(self.proxy.clone(), permit, &call, &caller, about);
        bill.tell(report::of(&self.proxy, &caller, &self.headers));
        if let Some((by, demand)) = by.zip(there) {
            let entered =
                entry::afford(&self.proxy, &serving.catalog, by, bill.tags(), &demand).await;
            let refused = |why| not_afforded(&self.proxy, by, why);
            bill.enters(entered.map_err(refused)?);
        }
        Ok((bill, told))
    }

    async fn admit_next(&self, by: &Deployment) -> Result<Bill, Failed> {
        if let Some(detour) = &self.detour {
            detour.stays().await?;
        }
        let serving = self.proxy.0.serving.load_full();
        let caller = match &self.pass {
            Some(pass) => pass.bearer(&self.proxy, &self.uri).await?,
            None => Caller::identify(&self.proxy, &serving, &self.headers, &self.uri).await?,
        };
        Ok(self.admit(caller, Some(by)).await?.0)
    }
}

/// What an answer may cost of what may be spent on a deployment: nobody can tell how much before.
pub(super) fn cost(by: &Deployment) -> Bounds {
    hold::unknown(&by.price)
}

/// A conversation.
pub(super) struct Talk {
    pub(super) asker: Asker,
    pub(super) deployment: Arc<Deployment>,
    /// Its place there: given back when the conversation is over.
    _place: Option<Entry>,
    /// Of the answer that is being given, or of the next one.
    pub(super) bill: Option<Bill>,
    /// Whether a model answers.
    pub(super) answers: bool,
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
    Refused(Failed),
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
    pub(super) fn new(
        asker: Asker,
        deployment: Arc<Deployment>,
        place: Option<Entry>,
        mut bill: Bill,
    ) -> Self {
        bill.served_by(&deployment);
        Self { asker, deployment, _place: place, bill: Some(bill), answers: false }
    }

    pub(super) async fn run(mut self, client: Upgraded, upstream: Conversation, open: &Open) {
        let Conversation { bytes, ending, .. } = upstream;
        let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
        let (mut from_upstream, mut to_upstream) = tokio::io::split(TokioIo::new(bytes));
        let (mut up, mut down) = (Side::new(), Side::new());
        let heard = Heard::new(&self.asker.proxy);
        let end = tokio::select! {
            end = pass_up(&mut from_client, &mut to_upstream, &mut up, &heard) => end,
            end = self.pass_down(&mut from_upstream, &mut to_client, &mut down, &heard, open) => end,
            () = heard.silence() => End::Silent,
            () = tokio::time::sleep(LIFETIME) => End::Lasted,
            () = open.cut.cancelled() => End::Cut,
        };
        let has_closed = up.frames.has_closed() || down.frames.has_closed();
        let is_broken = matches!(end, End::UpstreamGone) && (self.answers || !has_closed);
        ending.over(is_broken);
        // An answer that was begun and not counted is estimated.
        drop(self.bill);
        let (code, reason) = end.words();
        debug!(model = %self.asker.model, "a conversation is over: {reason}");
        let (mut last_down, mut last_up) = (Vec::new(), Vec::new());
        if down.is_whole && !has_closed {
            if let End::Refused(refused) = &end {
                last_down.extend(frames::text(&refused.realtime_event()));
            }
            last_down.extend(frames::close(code, reason, None));
        }
        if up.is_whole && !has_closed {
            last_up.extend(frames::close(code, reason, Some(rand::random())));
        }
        let farewell = async {
            // A receiver that is gone need not be told.
            drop(say(&mut to_client, &last_down).await);
            drop(say(&mut to_upstream, &last_up).await);
        };
        drop(tokio::time::timeout(FAREWELL, farewell).await);
    }

    /// Passes what the provider says, and settles what it says it used.
    async fn pass_down(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        side: &mut Side,
        heard: &Heard,
        open: &Open,
    ) -> End {
        let (mut piece, mut texts) = (vec![0; PIECE_BYTES], Vec::new());
        loop {
            let may_leave = !self.answers && side.is_whole;
            let read = tokio::select! {
                read = from.read(&mut piece) => read,
                () = open.leaving.cancelled(), if may_leave => return End::Leaving,
            };
            let Ok(length @ 1..) = read else { return End::UpstreamGone };
            heard.something();
            if side.frames.push(&piece[..length], Some(&mut texts)) == Err(TooLong) {
                return End::FrameTooLong;
            }
            let mut refused = None;
            for text in texts.drain(..) {
                refused = self.hear(read_event(&text)).await.err().or(refused);
            }
            side.is_whole = false;
            if to.write_all(&piece[..length]).await.is_err() {
                return End::ClientGone;
            }
            side.is_whole = side.frames.at_boundary();
            if let Some(refused) = refused {
                return End::Refused(refused);
            }
        }
    }

    /// What one event does to the bill. An error ends the conversation.
    pub(super) async fn hear(&mut self, event: Event) -> Result<(), Failed> {
        match (event, self.bill.as_mut()) {
            (Event::Begun, bill) => {
                self.answers = true;
                if let Some(bill) = bill {
                    bill.begun(None);
                }
            }
            (Event::Text(bytes), Some(bill)) if self.answers => bill.streamed(None, bytes),
            (Event::Done(Some(usage)), Some(bill)) => {
                self.answers = false;
                bill.streamed(Some(usage), 0);
                if let Some(bill) = self.bill.take() {
                    bill.ended(Outcome::Success);
                }
                let mut next = self.asker.admit_next(&self.deployment).await?;
                next.served_by(&self.deployment);
                self.bill = Some(next);
            }
            (Event::Done(_), _) => self.answers = false,
            (Event::Text(_) | Event::Other, _) => {}
        }
        Ok(())
    }
}

/// Passes what the client says.
async fn pass_up(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    side: &mut Side,
    heard: &Heard,
) -> End {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let Ok(length @ 1..) = from.read(&mut piece).await else { return End::ClientGone };
        heard.something();
        if side.frames.push(&piece[..length], None) == Err(TooLong) {
            return End::FrameTooLong;
        }
        side.is_whole = false;
        if to.write_all(&piece[..length]).await.is_err() {
            return End::UpstreamGone;
        }
        side.is_whole = side.frames.at_boundary();
    }
}

async fn say(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.shutdown().await
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
            Self::Refused(_) => (1008, "the next answer was not admitted"),
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
