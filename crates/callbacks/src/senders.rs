//! The senders that run, one for each receiver that has been sent anything lately.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_egress::Egress;
use dunlin_types::{Clock, MonoMillis, Tls};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::event::Event;
use crate::progress::Position;
use crate::queue::{Counts, Queue};
use crate::sender::Sender;
use crate::target::Target;

/// Receivers that are sent to at a time. What is for one more is dropped, unless another is idle.
pub const MAX_RECEIVERS: usize = 256;
/// Names of callbacks that are counted; for one more, those that have no sender are forgotten. Configs
/// that come and go may name others each time.
const MAX_NAMES: usize = 1_024;
/// A receiver that is sent nothing for so long has no sender.
const IDLE_AFTER: Duration = Duration::from_secs(600);
/// How often is looked whether all is sent, when the node is about to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The senders. They share the node's way out.
pub(crate) struct Senders {
    pub(crate) egress: Egress,
    pub(crate) tls: Arc<ArcSwap<Tls>>,
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) running: Mutex<Running>,
}

#[derive(Default)]
pub(crate) struct Running {
    senders: Vec<(Arc<Target>, Arc<Queue>, MonoMillis)>,
    /// By the name of the callback; they outlive their senders.
    counts: BTreeMap<Arc<str>, Arc<Counts>>,
}

/// What a callback did since the node started, and what waits.
pub(crate) struct Told {
    pub(crate) name: Arc<str>,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    pub(crate) queued: u64,
}

impl Senders {
    /// Sends `event`, some time soon.
    pub(crate) fn send(&self, target: &Arc<Target>, event: &Arc<Event>) {
        let mut running = self.running();
        match self.queue(&mut running, target) {
            Some(queue) => queue.put(Arc::clone(event)),
            None => {
                let counts = running.counts(&target.callback.name);
                counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn queue(&self, running: &mut Running, target: &Arc<Target>) -> Option<Arc<Queue>> {
        let now = self.clock.mono();
        let same = |known: &Arc<Target>| Arc::ptr_eq(known, target) || **known == **target;
        if let Some((_, queue, used)) = running.senders.iter_mut().find(|(known, ..)| same(known)) {
            *used = now;
            return Some(Arc::clone(queue));
        }
        if running.senders.len() >= MAX_RECEIVERS {
            let idle = running.senders.iter().position(|(_, queue, _)| queue.length() == 0)?;
            let (_, queue, _) = running.senders.swap_remove(idle);
            queue.close();
        }
        let counts = running.counts(&target.callback.name);
        let queue = Arc::new(Queue::new(counts));
        running.senders.push((Arc::clone(target), Arc::clone(&queue), now));
        let sender = Sender {
            target: Arc::clone(target),
            queue: Arc::clone(&queue),
            egress: self.egress.clone(),
            tls: Arc::clone(&self.tls),
            clock: self.clock.clone(),
        };
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(sender.run()).await });
        Some(queue)
    }

    /// Lets those go that have nothing to do.
    pub(crate) fn sweep(&self) {
        let now = self.clock.mono();
        self.running().senders.retain(|(_, queue, used)| {
            let stays = now.since(*used) < IDLE_AFTER || queue.length() > 0;
            if !stays {
                queue.close();
            }
            stays
        });
    }

    /// Sends what waits, within `bound`.
    pub(crate) async fn flush(&self, bound: Duration) {
        let senders: Vec<_> = self.running().senders.clone();
        senders.iter().for_each(|(_, queue, _)| queue.hurry());
        let sent = async {
            while senders.iter().any(|(_, queue, _)| queue.length() > 0) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(bound, sent).await.is_ok() {
            return;
        }
        for (target, queue, _) in senders {
            let left = queue.length();
            if left > 0 {
                let name = &target.callback.name;
                warn!(
                    callback = %name,
                    "{left} request records were not accepted by {} before this node stopped: they \
                     are sent after its next start, without prompts and answers",
                    target.address(),
                );
            }
        }
    }

    /// Of each callback with records that wait, by name, the first of these.
    pub(crate) fn waiting(&self) -> BTreeMap<String, Position> {
        let mut waiting = BTreeMap::new();
        for (target, queue, _) in &self.running().senders {
            if let Some(first) = queue.first() {
                let known = waiting.entry(target.callback.name.to_string()).or_insert(first);
                *known = first.min(*known);
            }
        }
        waiting
    }

    /// All callbacks that were sent anything.
    pub(crate) fn told(&self) -> Vec<Told> {
        let running = self.running();
        let told = running.counts.iter().map(|(name, counts)| {
            let of_name =
                running.senders.iter().filter(|(target, ..)| target.callback.name == *name);
            let queued: usize = of_name.map(|(_, queue, _)| queue.length()).sum();
            let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
            Told {
                name: Arc::clone(name),
                sent: count(&counts.sent),
                failed: count(&counts.failed),
                dropped: count(&counts.dropped),
                queued: queued as u64,
            }
        });
        told.collect()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().expect("no panic while a sender is looked up")
    }
}

impl Running {
    fn counts(&mut self, name: &Arc<str>) -> Arc<Counts> {
        if self.counts.len() >= MAX_NAMES && !self.counts.contains_key(name) {
            let senders = &self.senders;
            self.counts.retain(|name, _| senders.iter().any(|(to, ..)| to.callback.name == *name));
        }
        Arc::clone(self.counts.entry(Arc::clone(name)).or_default())
    }
}
