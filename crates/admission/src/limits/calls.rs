//! Calls to other nodes. While some are under way to a peer, what else is to be asked there waits
//! and goes out together: a busy node makes few calls however many requests it serves, and an idle
//! one does not linger. (Timers of less than a millisecond do not exist here.)

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use dunlin_limiter::{Amounts, Answer, Claim, ScopeId, Verdict};
use dunlin_rpc::{CallError, Rpc, Service};
use dunlin_types::NodeId;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::{Limits, PATIENCE};

/// Calls under way to one peer.
const UNDER_WAY: usize = 4;
/// Claims, and questions, in one call.
const IN_CALL: usize = 1_000;

pub(super) struct Calls {
    rpc: Rpc,
    tasks: TaskTracker,
    /// Permits are dropped on any thread.
    runtime: Handle,
    /// Of peers to which a call is under way.
    queues: Mutex<BTreeMap<NodeId, Queue>>,
}

/// What waits for the next call to a peer. Bounded by the requests this node has accepted.
#[derive(Default)]
struct Queue {
    claims: Vec<(Claim, oneshot::Sender<Verdict>)>,
    questions: Vec<(ScopeId, oneshot::Sender<Amounts>)>,
    /// There are reports, or the peer is to be greeted.
    tell: bool,
    under_way: usize,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.questions.is_empty() && !self.tell
    }
}

impl Calls {
    pub(super) fn new(rpc: Rpc, tasks: TaskTracker) -> Self {
        let runtime = Handle::current();
        Self { rpc, tasks, runtime, queues: Mutex::default() }
    }

    /// Has the owner `to` decide a claim. The sender is dropped if it does not answer.
    pub(super) fn claim(
        &self,
        limits: &Limits,
        to: NodeId,
        claim: Claim,
    ) -> oneshot::Receiver<Verdict> {
        let (reply, verdict) = oneshot::channel();
        self.add(limits, to, |queue| queue.claims.push((claim, reply)));
        verdict
    }

    /// Asks `to` what it used of a scope.
    pub(super) fn question(
        &self,
        limits: &Limits,
        to: NodeId,
        scope: ScopeId,
    ) -> oneshot::Receiver<Amounts> {
        let (reply, told) = oneshot::channel();
        self.add(limits, to, |queue| queue.questions.push((scope, reply)));
        told
    }

    /// Sends `to` what it has not heard.
    pub(super) fn tell(&self, limits: &Limits, to: NodeId) {
        self.add(limits, to, |queue| queue.tell = true);
    }

    fn add(&self, limits: &Limits, to: NodeId, add: impl FnOnce(&mut Queue)) {
        let mut queues = self.queues();
        let queue = queues.entry(to).or_default();
        add(queue);
        if queue.under_way < UNDER_WAY {
            queue.under_way += 1;
            let limits = limits.clone();
            self.tasks
                .spawn_on(async move { limits.0.calls.run(&limits, to).await }, &self.runtime);
        }
    }

    /// Calls `to` until nothing more waits.
    async fn run(&self, limits: &Limits, to: NodeId) {
        // Others that are about to ask share the call.
        tokio::task::yield_now().await;
        while let Some((claims, questions)) = self.next(to) {
            self.call(limits, to, claims, questions).await;
        }
    }

    fn next(&self, to: NodeId) -> Option<(Waiting<Claim, Verdict>, Waiting<ScopeId, Amounts>)> {
        let mut queues = self.queues();
        let queue = queues.entry(to).or_default();
        if queue.is_empty() {
            queue.under_way -= 1;
            if queue.under_way == 0 {
                queues.remove(&to);
            }
            return None;
        }
        queue.tell = false;
        Some((take(&mut queue.claims), take(&mut queue.questions)))
    }

    async fn call(
        &self,
        limits: &Limits,
        to: NodeId,
        (claims, verdicts): Waiting<Claim, Verdict>,
        (questions, told): Waiting<ScopeId, Amounts>,
    ) {
        let (sent, ask) = limits.limiter().ask(to, claims, questions, limits.now());
        let answer = self.rpc.call(to, Service::Limits, encode(&ask), PATIENCE).await;
        match answer.map_err(Unanswered::Call).and_then(|bytes| decode(&bytes)) {
            Ok(answer) => {
                limits.limiter().answered(to, sent, &answer, limits.now());
                give(verdicts, answer.verdicts);
                give(told, answer.told);
            }
            Err(error) => {
                debug!(node.id = %to, %error, "a node does not answer questions of limits");
                limits.limiter().unanswered(to, limits.now());
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<NodeId, Queue>> {
        self.queues.lock().expect("no code panics while it holds the queues")
    }
}

/// What is asked, and who waits for each answer.
type Waiting<Q, A> = (Vec<Q>, Vec<oneshot::Sender<A>>);

/// The next things to ask, without those whose asker is gone.
fn take<Q, A>(queue: &mut Vec<(Q, oneshot::Sender<A>)>) -> Waiting<Q, A> {
    let batch = queue.drain(..queue.len().min(IN_CALL));
    batch.filter(|(_, reply)| !reply.is_closed()).unzip()
}

/// Hands out answers. Who gave up waiting has no use for one.
fn give<A>(waiting: Vec<oneshot::Sender<A>>, answers: Vec<A>) {
    for (reply, answer) in waiting.into_iter().zip(answers) {
        reply.send(answer).ok();
    }
}

#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Call(CallError),
    #[error("the answer cannot be read: {0}")]
    Unreadable(serde_json::Error),
}

pub(super) fn encode(message: &impl Serialize) -> Bytes {
    serde_json::to_vec(message).expect("messages are plain data").into()
}

fn decode(bytes: &Bytes) -> Result<Answer, Unanswered> {
    serde_json::from_slice(bytes).map_err(Unanswered::Unreadable)
}
