//! What a node is working on for clients that do not wait: as long as it does, others can ask
//! whether it still does, and have it stopped. A node that died, or was started again, works on
//! nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dunlin_types::{NodeId, RequestId};
use tokio_util::sync::CancellationToken;

use crate::{Store, peers};

/// What one node works on at most.
pub const MAX_WORKS: usize = 1000;

/// Something that this node works on until this is dropped.
pub struct Work {
    works: Arc<Works>,
    id: RequestId,
    signals: Signals,
}

impl Work {
    /// Ends when someone wants it stopped.
    pub async fn stopped(&self) {
        self.signals.stop.cancelled().await;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.works.all().remove(&self.id);
        self.signals.over.cancel();
    }
}

/// How it stands with something that a node was working on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// The node works on it.
    Working,
    /// The node does not, or no longer.
    Nothing,
    /// The node cannot be asked.
    Silent {
        /// Since a sign of life last came from it.
        since: Duration,
        /// Why, for people.
        reason: String,
    },
}

#[derive(Clone, Default)]
struct Signals {
    stop: CancellationToken,
    over: CancellationToken,
}

/// All that this node works on.
#[derive(Default)]
pub(crate) struct Works(Mutex<BTreeMap<RequestId, Signals>>);

impl Works {
    pub(crate) fn has(&self, id: RequestId) -> bool {
        self.all().contains_key(&id)
    }

    /// Has it stopped, and waits until it is over.
    pub(crate) async fn stop(&self, id: RequestId) {
        let signals = self.all().get(&id).cloned();
        if let Some(Signals { stop, over }) = signals {
            stop.cancel();
            over.cancelled().await;
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<RequestId, Signals>> {
        self.0.lock().expect("no code panics while it holds the works")
    }
}

impl Store {
    /// Takes note that this node works on something. `None`: it works on [`MAX_WORKS`] already.
    #[must_use]
    pub fn work_on(&self, id: RequestId) -> Option<Work> {
        let works = Arc::clone(&self.0.shelves.works);
        let signals = Signals::default();
        {
            let mut all = works.all();
            if all.len() >= MAX_WORKS {
                return None;
            }
            all.insert(id, signals.clone());
        }
        Some(Work { works, id, signals })
    }

    /// How it stands with something that `node` was working on.
    pub async fn ask_after(&self, node: NodeId, id: RequestId) -> Doing {
        self.doing(node, peers::working(&self.0, node, id).await)
    }

    /// Has `node` stop working on something: unless it is silent, that is over then.
    pub async fn stop(&self, node: NodeId, id: RequestId) -> Doing {
        self.doing(node, peers::stop(&self.0, node, id).await)
    }

    fn doing(&self, node: NodeId, said: Result<bool, String>) -> Doing {
        match said {
            Ok(true) => Doing::Working,
            Ok(false) => Doing::Nothing,
            Err(reason) => {
                let heard = self.0.gossip.view().peers.get(&node).map(|peer| peer.heard);
                let now = self.0.clock.mono();
                let since = heard.map_or(Duration::MAX, |heard| now.since(heard));
                Doing::Silent { since, reason }
            }
        }
    }
}
