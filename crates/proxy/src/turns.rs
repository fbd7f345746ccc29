//! Responses of deployments that keep none: their turns are stored here, on two nodes, for a day,
//! under an id that names both. So a conversation goes on, and is read and deleted, on any node.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dunlin_llm::Endpoint;
use dunlin_llm::responses::{
    KeptResponse, Turn, continue_from, last_response, may_be_stored, store_turn, stored_response,
};
use dunlin_store::{Entry, Found, Holders, Kind as StoredKind, Store};
use dunlin_types::{DeploymentId, RequestId, UnixMillis};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::ids::{Home, Kept, Kind};
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::Refused;
use crate::{Proxy, background};

/// How long a turn is stored.
const STORED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The turn of a longer conversation is not stored.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// Where a turn is stored, as its id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) holders: Holders,
    pub(crate) request: RequestId,
    pub(crate) made: UnixMillis,
}

impl Stored {
    /// What an id says, if it is of a turn.
    pub(crate) fn of(kept: &Kept) -> Option<Self> {
        match &kept.home {
            Home::Nodes { holders, made } => {
                let request = kept.upstream.parse().ok()?;
                Some(Self { holders: Holders(*holders), request, made: *made })
            }
            Home::Deployment(_) => None,
        }
    }

    fn until(self) -> UnixMillis {
        UnixMillis(self.made.0.saturating_add(millis(STORED_FOR)))
    }

    /// The turn's bytes, as it stands now; `id` is what its client calls it.
    pub(crate) async fn read(self, proxy: &Proxy, id: &str) -> Result<Bytes, Refused> {
        if self.until() <= proxy.0.clock.unix() {
            let hours = STORED_FOR.as_secs() / 3600;
            return Err(Refused::gone(id, &format!("it was stored for {hours} hours")));
        }
        match proxy.0.store.get(self.holders, StoredKind::Body, self.request).await {
            Ok(Found::Body(body)) => Ok(background::as_it_stands(proxy, self, body).await),
            Ok(Found::Deleted) => Err(Refused::gone(id, "it was deleted")),
            Ok(Found::Missing) => Err(Refused::gone(
                id,
                "its nodes do not have it: its stream broke off, or their disks are gone",
            )),
            Err(unreachable) => Err(Refused::out_of_reach(id, &unreachable)),
        }
    }

    /// The events of the turn, as far as they have been stored. `None`: it was not streamed in the
    /// background, or nobody who has them can be asked.
    pub(crate) async fn tape(self, proxy: &Proxy) -> Option<Bytes> {
        match proxy.0.store.get(self.holders, StoredKind::Body, self.tape_id()).await {
            Ok(Found::Body(tape)) => Some(tape),
            Ok(Found::Deleted | Found::Missing) | Err(_) => None,
        }
    }

    /// By what its events are stored: no request has an id that differs from another's in one bit.
    fn tape_id(self) -> RequestId {
        RequestId(self.request.0 ^ 1)
    }

    /// Has its holders forget it.
    pub(crate) async fn delete(self, proxy: &Proxy) -> Result<(), Refused> {
        let (holders, until) = (self.holders, self.until());
        let tape = proxy.0.store.delete(holders, StoredKind::Body, self.tape_id(), until).await;
        // Without the turn its events are not found.
        drop(tape);
        let deleted =
            proxy.0.store.delete(self.holders, StoredKind::Body, self.request, self.until()).await;
        deleted.map_err(|error| Refused::CannotKnow { reason: error.to_string() })
    }
}

/// What is known of a request as a turn of a conversation.
#[derive(Default)]
pub(crate) struct Opening {
    /// The body with all that was said before, and files by the client's names.
    whole: Bytes,
    /// The turn before it, as its client calls it, where that is stored here.
    previous: Option<String>,
    /// Whether nothing of it may be on a disk.
    is_redacted: bool,
    /// The conversation that it belongs to, by its provider's id of it, and where that was made.
    conversation: Option<(String, DeploymentId)>,
}

impl Opening {
    /// A request that begins a conversation, for all that is known here.
    pub(crate) fn first(whole: Bytes) -> Self {
        Self { whole, ..Self::default() }
    }

    /// `body` goes on from a turn that is stored.
    pub(crate) async fn next(
        proxy: &Proxy,
        (id, before): (String, Stored),
        body: &Bytes,
        most: usize,
    ) -> Result<Self, Refused> {
        let stored = before.read(proxy, &id).await?;
        let response = stored_response(&stored).and_then(|stored| KeptResponse::read(&stored));
        if response.is_some_and(|response| !response.finished) {
            return Err(Refused::unfinished(&id));
        }
        let whole = continue_from(body, &stored).map_err(Refused::BadRequest)?;
        if whole.len() > most {
            return Err(Refused::TooLarge { most });
        }
        Ok(Self { whole, previous: Some(id), ..Self::default() })
    }

    /// Sees to it that it is not stored, if so it is wished.
    pub(crate) fn redact(&mut self, is_wished: bool) {
        self.is_redacted = is_wished;
    }

    /// It is said in a conversation that the provider of a deployment keeps.
    pub(crate) fn belongs_to(&mut self, conversation: String, at: DeploymentId) {
        self.conversation = Some((conversation, at));
    }

    /// Where things were made that its answer names, by the provider's ids of them: another
    /// deployment of the same account may answer.
    pub(crate) fn homes(&self) -> BTreeMap<String, DeploymentId> {
        self.conversation.iter().cloned().collect()
    }

    pub(crate) fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The turn that an answer makes of it. `keeps`: the deployment that answers has responses of
    /// its own.
    pub(crate) fn answered(
        self,
        proxy: &Proxy,
        call: &Call,
        caller: &Caller,
        keeps: bool,
    ) -> Option<Answered> {
        if call.endpoint != Endpoint::Responses || keeps {
            return None;
        }
        Some(match self.kept(proxy, call, caller) {
            Some((turn, keep)) => Answered { turn, keep: Some(keep) },
            None => Answered::unkept(Turn { previous: self.previous, ..Turn::default() }),
        })
    }

    /// The turn that it is, and where it is to be stored. `None`: it may not be, or is too long.
    pub(crate) fn kept(&self, proxy: &Proxy, call: &Call, caller: &Caller) -> Option<(Turn, Keep)> {
        let is_long = self.whole.len() > MAX_REQUEST_BYTES;
        if is_long || self.is_redacted || !may_be_stored(&self.whole) {
            return None;
        }
        let (request, made) = (call.id, call.started);
        let holders = proxy.0.store.holders(request);
        let home = Home::Nodes { holders: holders.0, made };
        let (kind, owner, upstream) = (Kind::Response, caller.owner(), request.to_string());
        let id = proxy.0.ids.seal(&Kept { kind, owner, home, upstream });
        let (store, tasks) = (proxy.0.store.clone(), proxy.0.tasks.clone());
        let at = Stored { holders, request, made };
        let keep = Keep { at, request: self.whole.clone(), store, tasks };
        let previous = self.previous.clone();
        Some((Turn { id: Some(id), previous, ..Turn::default() }, keep))
    }
}

/// A turn with its answer.
pub(crate) struct Answered {
    pub(crate) turn: Turn,
    /// `None`: it is not stored.
    keep: Option<Keep>,
}

/// Where a turn is to be stored.
pub(crate) struct Keep {
    at: Stored,
    request: Bytes,
    store: Store,
    tasks: TaskTracker,
}

impl Answered {
    /// One that is not stored, or by somebody else.
    pub(crate) fn unkept(turn: Turn) -> Self {
        Self { turn, keep: None }
    }

    /// Stores the turn: when this is over, every node can go on from it.
    pub(crate) async fn store(self, response: Bytes) {
        if let Some(keep) = self.keep {
            keep.put(response).await;
        }
    }

    /// The same for a turn whose stream has come to its end: these are its last frames. What comes
    /// back ends when it is stored, whether or not anyone waits for that.
    pub(crate) fn store_streamed(self, last: &[u8]) -> Option<oneshot::Receiver<()>> {
        let (keep, response) = (self.keep?, last_response(last)?);
        let (stored, waiting) = oneshot::channel();
        let tasks = keep.tasks.clone();
        tasks.spawn(async move {
            keep.put(response).await;
            let client_has_left = stored.send(()).is_err();
            debug!(client_has_left, "a streamed response is stored");
        });
        Some(waiting)
    }
}

impl Keep {
    /// Stores the turn with that response, in place of the one before.
    pub(crate) async fn put(&self, response: Bytes) {
        if let Err(reason) = self.try_put(response).await {
            warn!(request.id = %self.at.request, reason, "cannot store a response");
        }
    }

    /// Stores the events of the turn, to be had again beside it.
    pub(crate) async fn put_tape(&self, tape: Bytes) {
        let Self { at, store, .. } = self;
        let (id, made, until) = (at.tape_id(), at.made, at.until());
        let entry = Entry { id, label: None, made, until };
        if let Err(error) = store.put(at.holders, StoredKind::Body, entry, tape).await {
            warn!(request.id = %at.request, %error, "cannot store the events of a response");
        }
    }

    /// The same; the error says why no node holds it.
    pub(crate) async fn try_put(&self, response: Bytes) -> Result<(), String> {
        let Self { at, request, store, .. } = self;
        let turn = store_turn(request, &response).ok_or("it cannot be read")?;
        let (id, made, until) = (at.request, at.made, at.until());
        let entry = Entry { id, label: None, made, until };
        let put = store.put(at.holders, StoredKind::Body, entry, turn).await;
        put.map_err(|error| error.to_string())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
