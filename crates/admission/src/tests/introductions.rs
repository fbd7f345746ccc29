//! End users that are new to the cluster.

use dunlin_state::{Caller, Command, Key, Kind};
use dunlin_types::{KeyDigest, NanoUsd};
use futures::future::join_all;

use super::cluster::{Node, single};
use crate::introductions::MAX_WAITING;
use crate::{EndUsers, Refusal, Rules};

/// A node where each new end user has a budget, and a caller.
async fn with_end_users() -> (Node, Caller) {
    let node = single().await;
    let end_users = EndUsers::new(None, Some(NanoUsd(1_000)));
    let mut rules = Rules::default();
    rules.end_users = end_users;
    node.admission.govern(rules);
    let key = Box::new(Key { token: KeyDigest::of("sk-crowd"), ..Key::default() });
    let token = key.token;
    node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
    let caller = node.admission.caller(token, &[]).await.expect("it is there");
    (node, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_new_end_users_is_told_of_in_few_commands() {
    let (node, caller) = with_end_users().await;
    let names: Vec<_> = (0..300).map(|at| format!("user-{}", at % 150)).collect();
    let before = node.consensus.status().applied;
    let met = join_all(names.iter().map(async |name| {
        let mut caller = caller.clone();
        node.admission.count_for(&mut caller, Some(name), &[]).await?;
        let ends = caller.payers.iter().filter_map(dunlin_state::Payer::entity);
        Ok::<_, crate::Refusal>(ends.filter(|of| of.kind == Kind::EndUser).count())
    }));
    for (name, counted) in names.iter().zip(met.await) {
        assert_eq!(counted.map_err(|refused| refused.to_string()), Ok(1), "{name}");
    }
    let entries = node.consensus.status().applied - before;
    assert!(entries < 75, "{entries} entries for 150 end users in 300 requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_whose_clients_left_keeps_no_new_end_user_out() {
    let (node, caller) = with_end_users().await;
    let names: Vec<_> = (0..MAX_WAITING).map(|at| format!("gone-{at}")).collect();
    let held = node.admission.0.introductions.hold().await;
    let waiting = names.iter().map(|name| {
        let mut caller = caller.clone();
        let admission = node.admission.clone();
        Box::pin(async move { admission.count_for(&mut caller, Some(name), &[]).await })
    });
    let mut waiting: Vec<_> = waiting.collect();
    for one in &mut waiting {
        assert!(futures::poll!(one).is_pending(), "another one's command is under way");
    }
    let one_more = async |name: &str| {
        let mut caller = caller.clone();
        node.admission.count_for(&mut caller, Some(name), &[]).await
    };
    assert!(matches!(one_more("new").await, Err(Refusal::Overloaded { .. })));
    drop(waiting);
    drop(held);
    assert_eq!(one_more("new").await.map_err(|refused| refused.to_string()), Ok(()));
}
