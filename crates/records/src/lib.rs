//! The request log of the whole cluster: each node keeps its own records and a copy of another
//! node's, and answers for all of them.
//!
//! Does not know what a record means, nor who may see it: a query says what to find. Invariants: a
//! record is returned once, however many nodes have it; nodes that could not be asked are named,
//! never passed over; no request waits for a copy. A node's newest records are copied within
//! [`COPY_EVERY`] plus the time that it takes to send them; newer ones are lost only if the node's
//! disk is. The settled watermarks in the replicated state decide whether anything is missing, and
//! the money that it withholds for a node, whether that may have spent more than it settled.
//!
//! Read `gather.rs` (a query) and `cover.rs`, then `copier.rs` and `keeper.rs` (the two ends of a
//! copy) and `heir.rs` (copies of nodes that are away).

mod copier;
mod cover;
mod gather;
mod heir;
mod keeper;
mod merge;
mod metrics;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_consensus::Consensus;
use dunlin_gossip::Gossip;
use dunlin_journal::{Bounds, Copies, Error, Journal, Position, Query, Row};
use dunlin_metrics::vital;
use dunlin_rpc::{Incoming, Rpc};
use dunlin_types::{Clock, NanoUsd, NodeId};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use keeper::Busy;
pub use metrics::METRICS;

/// How often a node looks whether it has records that are not copied.
pub const COPY_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked whether a copy may go.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Searches at a time on one node; those beyond wait for their turn.
const SEARCHES: usize = 2;

/// What the request log needs of its node.
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// The folder of the copies that are kept for others; made if it is not there.
    pub dir: PathBuf,
    /// How much of a log is kept.
    pub bounds: Bounds,
    /// Where the background tasks run.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// What the request log is built on.
pub struct Parts {
    /// The node's clock.
    pub clock: Clock,
    /// This node's records.
    pub journal: Journal,
    /// Who belongs to the cluster, and what is settled.
    pub consensus: Consensus,
    /// Who can be asked.
    pub gossip: Gossip,
    /// The way to other nodes.
    pub rpc: Rpc,
    /// What other nodes ask this one.
    pub inbox: mpsc::Receiver<Incoming>,
}

/// The request log. Cheap to clone.
#[derive(Clone)]
pub struct Records(Arc<Shared>);

struct Shared {
    me: NodeId,
    clock: Clock,
    journal: Journal,
    copies: Copies,
    uncopied: metrics::Bytes,
    single: metrics::Bytes,
    bounds: Mutex<Bounds>,
    unwritten: Mutex<keeper::Unwritten>,
    consensus: Consensus,
    gossip: Gossip,
    rpc: Rpc,
    /// Whose turn it is to search.
    turns: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the cluster knows of what was asked.
#[derive(Debug, Default)]
pub struct Answer {
    /// In the order asked for.
    pub rows: Vec<Row>,
    /// There may be more behind this place. `None`: there is nothing more, or the order asked for
    /// has no places.
    pub reached: Option<Position>,
    /// Whether, in such an order, there was time to look at everything.
    pub looked_at_all: bool,
    /// How many there are, if that was asked.
    pub count: u64,
    /// Whether all were counted.
    pub counted_all: bool,
    /// The members that could not be asked, and removed nodes that nobody has all records of.
    pub missing: Vec<Missing>,
}

/// A node that could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which one.
    pub node: NodeId,
    /// Whether all of its records that are settled were found in copies.
    pub covered: bool,
    /// What it was granted and has not settled, in periods that are over, too: it may have records of
    /// that which nobody else has. A node that stops in order gives it back.
    pub withheld: NanoUsd,
    /// It is no member any more. Such a one is told of only if it is not whole.
    pub removed: bool,
}

impl Missing {
    /// Whether copies have all that it can have spent.
    fn is_whole(&self) -> bool {
        self.covered && self.withheld == NanoUsd::ZERO
    }
}

impl Answer {
    /// Whether nothing that was spent can be missing, from the first row to the last or to where the
    /// answer ends.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.looked_at_all && self.missing.iter().all(Missing::is_whole)
    }

    /// Another part of what was asked for lacks the records of these nodes.
    pub fn lacks_too(&mut self, missing: Vec<Missing>) {
        for more in missing {
            match self.missing.iter_mut().find(|known| known.node == more.node) {
                Some(known) => {
                    known.covered &= more.covered;
                    known.withheld = known.withheld.max(more.withheld);
                }
                None => self.missing.push(more),
            }
        }
    }
}

impl Records {
    /// Opens the copies, and starts to copy and to answer on the current runtime.
    ///
    /// # Errors
    /// The folder of the copies cannot be opened or read.
    pub fn start(config: Config, parts: Parts) -> Result<Self, Error> {
        let Config { me, dir, bounds, tasks, stop } = config;
        let Parts { clock, journal, consensus, gossip, rpc, inbox } = parts;
        let records = Self(Arc::new(Shared {
            me,
            clock,
            journal,
            copies: Copies::open(dir)?,
            uncopied: metrics::Bytes::default(),
            single: metrics::Bytes::default(),
            bounds: Mutex::new(bounds),
            unwritten: Mutex::default(),
            consensus,
            gossip,
            rpc,
            turns: Semaphore::new(SEARCHES),
            tasks: tasks.clone(),
            stop: stop.clone(),
        }));
        let ends = || {
            let stop = stop.clone();
            move || stop.cancel()
        };
        tasks.spawn(vital(copier::run(records.clone()), ends()));
        let keeping = stop.clone().run_until_cancelled_owned(keeper::run(records.clone(), inbox));
        tasks.spawn(vital(keeping, ends()));
        tasks.spawn(stop.clone().run_until_cancelled_owned(heir::run(records.clone())));
        tasks.spawn(stop.run_until_cancelled_owned(sweep(records.clone())));
        Ok(records)
    }

    /// Keeps so much from here on, of its own records and of copies.
    pub fn keep(&self, bounds: Bounds) {
        *self.0.bounds.lock().expect("no panic while it is held") = bounds;
        self.0.journal.keep(bounds);
    }

    /// What the whole cluster has of what is asked for. Nodes that do not answer within
    /// [`gather::PATIENCE`] count as missing.
    ///
    /// # Errors
    /// [`Busy`]: too many ask already; or this node cannot read its own records.
    pub async fn search(&self, query: &Query) -> Result<Answer, Busy> {
        gather::search(&self.0, query).await
    }
}

/// Lets copies go that are too old or too much.
async fn sweep(records: Records) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        let shared = Arc::clone(&records.0);
        let bounds = *shared.bounds.lock().expect("no panic while it is held");
        let now = shared.clock.unix();
        // What it leaves, the next one takes.
        drop(tokio::task::spawn_blocking(move || shared.copies.sweep(bounds, now)).await);
    }
}
