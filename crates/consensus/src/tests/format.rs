//! Nodes of two versions: what only one of them knows waits until all do.

use std::sync::Arc;

use dunlin_state::{Actor, Command, Format, Reply};
use dunlin_types::NodeId;
use serde_json::json;

use super::cluster::{Running, agree, kill_all, leader, plans, start_all, until};
use crate::wire::{self, JoinReply};
use crate::{NeedsFormat, ProposeError, formation, service};

const OLD: Format = Format::FIRST;
const NEW: Format = Format::NEWEST;
/// The one in which drains are on record.
const DRAINS: Format = Format(3);

impl Running {
    async fn drain(&self) -> Result<Reply, ProposeError> {
        let command = Command::Drain { node: self.id, draining: true };
        self.consensus.propose_as(Actor::default(), command).await
    }
}

async fn all_have(nodes: &[Running], format: Format) {
    until("the format", || async {
        let mut states = nodes.iter().map(|node| node.consensus.state());
        states.all(|state| state.format() == format).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_format_is_raised_when_the_last_member_knows_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut plans = plans(dir.path(), 3, 3, 3);
    plans[2].format = OLD;
    let mut nodes = start_all(&plans).await;
    let old = nodes[2].id;
    until("what all know is heard", || async {
        let waits_for = nodes[0].consensus.format().waits_for;
        (waits_for == [(old, Some(OLD))]).then_some(())
    })
    .await;
    let Err(ProposeError::NeedsFormat(refused)) = nodes[0].drain().await else {
        panic!("one of them could not read it")
    };
    let NeedsFormat { needs, status } = &refused;
    assert_eq!((*needs, status.format, status.held), (DRAINS, OLD, false));
    let told = refused.to_string();
    for part in [format!("format {DRAINS}"), format!("node {old} knows format {OLD} at most")] {
        assert!(told.contains(&part), "{part} in {told}");
    }
    nodes[0].write(nodes[0].id, "what all know is written").await;
    agree(&nodes).await;

    let mut plan = nodes.remove(2).kill().await;
    plan.format = NEW;
    nodes.push(plan.start().await.expect("upgraded"));
    all_have(&nodes, NEW).await;
    nodes[2].drain().await.expect("all can read it");
    assert_eq!(nodes[0].consensus.format().waits_for, []);
    agree(&nodes).await;
    let plans = kill_all(nodes).await;
    let nodes = start_all(&plans).await;
    all_have(&nodes, NEW).await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_know_the_format_does_not_join() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut plans = plans(dir.path(), 2, 1, 1);
    plans[1].format = OLD;
    let mut nodes = start_all(&plans[..1]).await;
    assert_eq!(leader(&nodes).await, 0);
    all_have(&nodes, NEW).await;

    // As the first version asks, which does not say what it knows.
    let cluster = nodes[0].consensus.status().cluster.expect("formed");
    let asks = |format: Option<Format>| {
        let mut asks = json!({"address": "n9:4100", "cluster": cluster, "member": false});
        if let Some(Format(format)) = format {
            asks["format"] = json!(format);
        }
        let body = wire::encode(&json!({ "AddMe": asks }));
        let told = service::join(Arc::clone(&nodes[0].consensus.node), NodeId(9), body);
        async { wire::decode::<JoinReply>(&told.await.expect("answered")).expect("an answer") }
    };
    for format in [None, Some(OLD)] {
        let told = asks(format).await;
        let JoinReply::Refused(why) = told else { panic!("{format:?}: {told:?}") };
        assert!(why.contains(&format!("has format {NEW}")), "{why}");
    }

    let joins = plans[1].start().await.expect("started");
    until("it has entered", || async { joins.consensus.node.running().map(drop) }).await;
    let node = &joins.consensus.node;
    let asked = formation::ask_to_be_added(node, node.running().expect("entered"), None).await;
    assert_eq!(asked.expect("it may ask again"), None, "it is not taken in");
    assert_eq!(nodes[0].consensus.state().nodes().len(), 1);
    let mut plan = joins.kill().await;
    plan.format = NEW;
    nodes.push(plan.start().await.expect("upgraded"));
    nodes[1].formed().await;
    agree(&nodes).await;
    kill_all(nodes).await;
}
