//! The admin's calls of a live run.

use dunlin_cluster::{Client, Cluster};
use dunlin_types::NanoUsd;
use serde_json::{Value, json};

use super::clients::{clear, unanswered};
use super::recorder::Recorder;
use crate::history::{Outcome, Refusal};
use crate::workload::Operation;

pub(crate) struct Admin {
    client: Client,
    nodes: Vec<String>,
    recorder: Recorder,
    seed: u64,
}

impl Admin {
    pub(crate) fn new(cluster: &Cluster, recorder: Recorder, seed: u64) -> Self {
        let nodes = cluster.nodes().iter().map(|node| node.url("")).collect();
        Self { client: cluster.client().clone(), nodes, recorder, seed }
    }

    /// Asks a node for a change of a key, on record.
    pub(crate) async fn write(&self, node: usize, operation: Operation) -> Outcome {
        let (path, body) = self.request(operation);
        let call = self.recorder.sent(node, operation, NanoUsd::ZERO);
        let outcome = match self.client.post(&format!("{}{path}", self.nodes[node]), &body).await {
            Ok(reply) => match reply.status {
                200..300 => Outcome::Done { cost: NanoUsd::ZERO },
                400..500 => Outcome::Refused(Refusal::Rejected),
                status => Outcome::Failed { status, why: reply.body },
            },
            Err(error) => unanswered(&error),
        };
        self.recorder.ended(call, outcome.clone(), None);
        outcome
    }

    fn request(&self, operation: Operation) -> (&'static str, Value) {
        let clear = clear(self.seed, operation.key());
        match operation {
            Operation::Chat { .. } => panic!("a chat is no admin's call"),
            Operation::Create { key, allowed } => {
                let mut body = json!({ "key": clear, "key_alias": key.to_string() });
                if let Some(requests) = allowed.requests {
                    body["rpm_limit"] = requests.into();
                }
                if allowed.shared {
                    body["on_loss"] = "share".into();
                }
                if let Some(parallel) = allowed.parallel {
                    body["max_parallel_requests"] = parallel.into();
                }
                ("/key/generate", body)
            }
            Operation::Block { .. } => ("/key/block", json!({ "key": clear })),
            Operation::Unblock { .. } => ("/key/unblock", json!({ "key": clear })),
            Operation::Delete { .. } => ("/key/delete", json!({ "keys": [clear] })),
        }
    }
}
