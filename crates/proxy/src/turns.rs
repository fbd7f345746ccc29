//! Responses of deployments that keep none: their turns are stored here, on two nodes, for a day,
//! under an id that names both. So a conversation goes on, and is read and deleted, on any node.

use std::time::Duration;

use bytes::Bytes;
use dunlin_llm::Endpoint;
use dunlin_llm::responses::{Turn, continue_from, last_response, may_be_stored, store_turn};
use dunlin_store::{Entry, Found, Holders, Kind as StoredKind, Store};
use dunlin_types::{RequestId, UnixMillis};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::Proxy;
use crate::caller::Caller;
use crate::chat::Call;
use crate::error::Refused;
use crate::ids::{Home, Kept, Kind};

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

    /// The turn's bytes; `id` is what its client calls it.
    pub(crate) async fn read(self, proxy: &Proxy, id: &str) -> Result<Bytes, Refused> {
        if self.until() <= proxy.0.clock.unix() {
            let hours = STORED_FOR.as_secs() / 3600;
            return Err(Refused::gone(id, &format!("it was stored for {hours} hours")));
        }
        match proxy.0.store.get(self.holders, StoredKind::Body, self.request).await {
            Ok(Found::Body(body)) => Ok(body),
            Ok(Found::Deleted) => Err(Refused::gone(id, "it was deleted")),
            Ok(Found::Missing) => Err(Refused::gone(
                id,
                "the nodes that would have it do not: its stream broke off, or their disks are gone",
            )),
            Err(unreachable) => Err(Refused::out_of_reach(id, &unreachable)),
        }
    }

    /// Has its holders forget it.
    pub(crate) async fn delete(self, proxy: &Proxy) -> Result<(), Refused> {
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
}

impl Opening {
    /// A request that begins a conversation, for all that is known here.
    pub(crate) fn first(whole: Bytes) -> Self {
        Self { whole, previous: None }
    }

    /// `body` goes on from a turn that is stored.
    pub(crate) async fn next(
        proxy: &Proxy,
        (id, before): (String, Stored),
        body: &Bytes,
        most: usize,
    ) -> Result<Self, Refused> {
        let stored = before.read(proxy, &id).await?;
        let whole = continue_from(body, &stored).map_err(Refused::BadRequest)?;
        if whole.len() > most {
            return Err(Refused::TooLarge { most });
        }
        Ok(Self { whole, previous: Some(id) })
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
        let Self { whole, previous } = self;
        let stores = whole.len() <= MAX_REQUEST_BYTES && may_be_stored(&whole);
        let keep = stores.then(|| {
            let request = call.id;
            let holders = proxy.0.store.holders(request);
            let at = Stored { holders, request, made: call.started };
            let (store, tasks) = (proxy.0.store.clone(), proxy.0.tasks.clone());
            Keep { at, request: whole, store, tasks }
        });
        let id = keep.as_ref().map(|keep| {
            let Stored { holders: Holders(holders), request, made } = keep.at;
            let home = Home::Nodes { holders, made };
            let (kind, owner, upstream) = (Kind::Response, caller.owner(), request.to_string());
            proxy.0.ids.seal(&Kept { kind, owner, home, upstream })
        });
        Some(Answered { turn: Turn { id, previous }, keep })
    }
}

/// A turn with its answer.
pub(crate) struct Answered {
    pub(crate) turn: Turn,
    /// `None`: it is not stored.
    keep: Option<Keep>,
}

struct Keep {
    at: Stored,
    request: Bytes,
    store: Store,
    tasks: TaskTracker,
}

impl Answered {
    /// Stores the turn: when this is over, every node can go on from it.
    pub(crate) async fn store(self, response: Bytes) {
        if let Some(keep) = self.keep {
            keep.run(response).await;
        }
    }

    /// The same for a turn whose stream has come to its end: these are its last frames. What comes
    /// back ends when it is stored, whether or not anyone waits for that.
    pub(crate) fn store_streamed(self, last: &[u8]) -> Option<oneshot::Receiver<()>> {
        let (keep, response) = (self.keep?, last_response(last)?);
        let (stored, waiting) = oneshot::channel();
        let tasks = keep.tasks.clone();
        tasks.spawn(async move {
            keep.run(response).await;
            let client_has_left = stored.send(()).is_err();
            debug!(client_has_left, "a streamed response is stored");
        });
        Some(waiting)
    }
}

impl Keep {
    async fn run(self, response: Bytes) {
        let Self { at, request, store, .. } = self;
        let Some(turn) = store_turn(&request, &response) else {
            warn!(request.id = %at.request, "a response is not stored: it cannot be read");
            return;
        };
        let (id, made, until) = (at.request, at.made, at.until());
        let entry = Entry { id, label: None, made, until };
        if let Err(error) = store.put(at.holders, StoredKind::Body, entry, turn).await {
            warn!(request.id = %at.request, %error, "a response is not stored");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
