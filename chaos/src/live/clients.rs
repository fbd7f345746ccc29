//! The clients of a live run: some keep chatting with each node, one makes, blocks and deletes keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use dunlin_cluster::CallError;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::admin::Admin;
use super::chats::Chats;
use super::stage::Stage;
use crate::history::Outcome;
use crate::workload::{Key, Workload};

/// Chats at once with each node.
const CHATTERS: usize = 4;
/// Between two chats of one client, and two writes.
const CHAT_GAP_MS: (u64, u64) = (20, 120);
const WRITE_GAP_MS: (u64, u64) = (50, 500);
/// A client that finds nobody tries again.
const UNREACHED_PAUSE: Duration = Duration::from_millis(150);
/// All that is open when the run ends is over by then.
const END_WITHIN: Duration = Duration::from_secs(40);

pub(crate) struct Clients {
    workload: Arc<Mutex<Workload>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Clients {
    /// Makes the standing keys, then begins to chat.
    pub(crate) async fn start(stage: &Stage, seed: u64) -> anyhow::Result<Self> {
        let mut workload = Workload::new(seed);
        let begin = workload.begin();
        let workload = Arc::new(Mutex::new(workload));
        let stop = CancellationToken::new();
        let admin = Admin::new(&stage.cluster, stage.recorder.clone(), seed);
        for operation in begin {
            let outcome = admin.write(0, operation).await;
            ensure!(matches!(outcome, Outcome::Done { .. }), "no standing key: {outcome:?}");
            workload.lock().expect("no code panics while it draws").written(operation);
        }
        let nodes = stage.cluster.nodes().len();
        let mut tasks = JoinSet::new();
        let chats = Chats::new(&stage.cluster, stage.recorder.clone(), seed)?;
        for node in (0..nodes).flat_map(|node| [node; CHATTERS]) {
            let chatting = keep_chatting(chats.clone(), node, workload.clone(), stop.clone());
            tasks.spawn(chatting);
        }
        tasks.spawn(keep_writing(admin, nodes, workload.clone(), stop.clone()));
        Ok(Self { workload, tasks, stop })
    }

    /// Lets all that is open end; gives all keys that were ever asked for.
    pub(crate) async fn end(mut self) -> anyhow::Result<Vec<Key>> {
        self.stop.cancel();
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.context("a client panicked")?;
            }
            anyhow::Ok(())
        };
        timeout(END_WITHIN, ending).await.context("a client is still waiting")??;
        Ok(self.workload.lock().expect("no code panics while it draws").keys().collect())
    }
}

async fn keep_chatting(
    chats: Chats,
    node: usize,
    workload: Arc<Mutex<Workload>>,
    stop: CancellationToken,
) {
    let draw = || {
        let mut workload = workload.lock().expect("no code panics while it draws");
        (workload.chat(), pause(&mut workload, CHAT_GAP_MS))
    };
    while !stop.is_cancelled() {
        let (operation, pause) = draw();
        let outcome = chats.chat(node, operation).await;
        let unreached = matches!(outcome, Outcome::Unreached);
        sleep(if unreached { UNREACHED_PAUSE } else { pause }).await;
    }
}

async fn keep_writing(
    admin: Admin,
    nodes: usize,
    workload: Arc<Mutex<Workload>>,
    stop: CancellationToken,
) {
    let draw = || {
        let mut workload = workload.lock().expect("no code panics while it draws");
        let node = usize::try_from(workload.random().below(nodes as u64)).expect("few nodes");
        (node, workload.write(), pause(&mut workload, WRITE_GAP_MS))
    };
    while !stop.is_cancelled() {
        let (node, operation, pause) = draw();
        if let Outcome::Done { .. } = admin.write(node, operation).await {
            workload.lock().expect("no code panics while it draws").written(operation);
        }
        sleep(pause).await;
    }
}

fn pause(workload: &mut Workload, (least, most): (u64, u64)) -> Duration {
    Duration::from_millis(workload.random().between(least, most))
}

/// The clear key of a number.
pub(crate) fn clear(seed: u64, key: Key) -> String {
    format!("sk-chaos-{seed:06}-{:06}", key.0)
}

/// What a call that has no answer came to.
pub(crate) fn unanswered(error: &CallError) -> Outcome {
    match error {
        CallError::Refused(_) => Outcome::Unreached,
        CallError::Broken(why) => Outcome::Broken { why: why.clone() },
    }
}
