//! End users that are new to the cluster.

use dunlin_state::{Caller, Command, Key, Kind};
use dunlin_types::{KeyDigest, NanoUsd};
use futures::future::join_all;

use super::cluster::single;
use crate::{EndUsers, Rules};

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_new_end_users_is_told_of_in_few_commands() {
    let node = single().await;
    let end_users = EndUsers::new(None, Some(NanoUsd(1_000)));
    let mut rules = Rules::default();
    rules.end_users = end_users;
    node.admission.govern(rules);
    let key = Box::new(Key { token: KeyDigest::of("sk-crowd"), ..Key::default() });
    let token = key.token;
    node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
    let caller: Caller = node.admission.caller(token).await.expect("it is there");
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
