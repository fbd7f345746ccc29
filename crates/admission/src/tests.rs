//! Admission on whole nodes in one process, over real sockets on loopback and real disks. Every
//! wait is for a condition, with a deadline that only a broken build meets.

mod batches;
pub(crate) mod cluster;
mod introductions;
mod money;
mod scopes;
mod terms;

use dunlin_journal::{Outcome, SpendRecord};
use dunlin_limiter::ScopeId;
use dunlin_state::{Change, Command, Entity, Key, KeyChanges, Kind, TermsChanges};
use dunlin_types::{KeyDigest, NanoUsd, RequestId, Tokens, UnixMillis};
use futures::future::join_all;

use crate::{Limited, Permit, RateLimited, Refusal};
use cluster::{Node, cluster, single, until};

fn limited(refused: Result<Permit, Refusal>) -> RateLimited {
    match refused {
        Err(Refusal::RateLimited(limited)) => *limited,
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("admitted beyond the limit"),
    }
}

pub(crate) fn record(key: KeyDigest, tokens: u64, cost: u64) -> SpendRecord {
    SpendRecord {
        request: RequestId(1),
        key: Some(key),
        model: "m".to_owned(),
        started: UnixMillis(1),
        ended: UnixMillis(2),
        prompt: Tokens(tokens),
        cost: NanoUsd(cost),
        outcome: Outcome::Success,
        ..SpendRecord::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_limited_and_told_when_to_come_back() {
    let node = single().await;
    let key = node.key("requests", Some(3), None, None).await;
    for remaining in [2, 1, 0] {
        let permit = node.admit(key, 10).await.expect("within the limit");
        let status = permit.limits()[0];
        assert_eq!(
            (status.what, status.limit, status.remaining),
            (Limited::Requests, 3, remaining)
        );
        permit.settle(record(key, 10, 0));
    }
    let limited = limited(node.admit(key, 10).await);
    assert_eq!((limited.what, limited.limit, limited.remaining), (Limited::Requests, 3, 0));
    assert!((50..=60).contains(&limited.retry_after.as_secs()), "{limited:?}");
    assert!(node.admission.admit(None, node.demand(10)).await.is_ok(), "the master key");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_not_used_and_slots_come_back_at_once() {
    let node = single().await;
    let key = node.key("tokens", None, Some(1000), Some(2)).await;
    let first = node.admit(key, 600).await.expect("within the limits");
    assert_eq!(limited(node.admit(key, 600).await).what, Limited::Tokens);
    first.settle(record(key, 100, 0));
    let second = node.admit(key, 600).await.expect("500 tokens came back");
    let _third = node.admit(key, 100).await.expect("within the limits");
    assert_eq!(limited(node.admit(key, 1).await).what, Limited::MaxParallelRequests);
    drop(second);
    node.admit(key, 600).await.expect("a voided request took nothing").settle(record(key, 900, 0));
    assert_eq!(limited(node.admit(key, 1).await).remaining, 0, "100 + 100 + 900 are a debt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_zero_admits_nothing() {
    let node = single().await;
    for (name, limits) in [
        ("no requests", (Some(0), None, None)),
        ("no tokens", (None, Some(0), None)),
        ("no slots", (None, None, Some(0))),
    ] {
        let key = node.key(name, limits.0, limits.1, limits.2).await;
        assert_eq!(limited(node.admit(key, 0).await).limit, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_blocked_and_expired_keys_are_told_apart() {
    let node = single().await;
    let unknown = KeyDigest::of("sk-nobody");
    assert_eq!(node.admission.caller(unknown, &[]).await.err(), Some(Refusal::UnknownKey));
    let key = node.key("blocked", None, None, None).await;
    assert!(node.admission.caller(key, &[]).await.is_ok());
    node.block(key).await;
    assert_eq!(node.admission.caller(key, &[]).await.err(), Some(Refusal::Blocked));
}

#[tokio::test(flavor = "multi_thread")]
async fn spend_is_shown_at_once_settled_soon_and_survives_a_kill() {
    let node = single().await;
    let key = node.key("spend", None, None, None).await;
    let spend = |node: &Node| node.spent(key);
    for _ in 0..5 {
        let permit = node.admit(key, 1).await.expect("no limits");
        let shown = permit.settle(record(key, 1, 100));
        assert_eq!(shown, Some(spend(&node)));
    }
    assert_eq!(spend(&node), NanoUsd(500));
    until("the spend is settled", || node.consensus.state().key_spend(&key) == NanoUsd(500)).await;
    // What is settled is taken off what is not right after.
    until("what is settled is not counted twice", || spend(&node) == NanoUsd(500)).await;
    for _ in 0..100 {
        assert_eq!(spend(&node), NanoUsd(500), "and stays so");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    let permit = node.admit(key, 1).await.expect("no limits");
    permit.settle(record(key, 1, 100));
    let node = node.restart().await;
    until("the old life is settled", || spend(&node) == NanoUsd(600)).await;
    assert_eq!(node.consensus.state().key_spend(&key), NanoUsd(600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_over_three_nodes_and_over_the_death_of_one() {
    let mut nodes = cluster(3).await;
    let key = nodes[0].key("shared", Some(60), None, None).await;
    for node in &nodes {
        until("the key is everywhere", || node.consensus.state().key(&key).is_some()).await;
    }
    // At once, from all nodes.
    let asked = join_all((0..90).map(|turn| nodes[turn % 3].admit(key, 1))).await;
    let mut admitted: Vec<_> = asked.into_iter().flatten().collect();
    assert_eq!(admitted.len(), 60, "exactly the limit, wherever the requests came in");
    admitted.iter_mut().for_each(Permit::begin);
    drop(admitted);
    assert!(nodes[1].admit(key, 1).await.is_err(), "what was begun counts");

    let parallel = nodes[0].key("parallel", None, None, Some(6)).await;
    for node in &nodes {
        until("the key is everywhere", || node.consensus.state().key(&parallel).is_some()).await;
    }
    let owner = nodes[0]
        .consensus
        .state()
        .ring()
        .owner(ScopeId::of(nodes[0].consensus.state().key(&parallel).expect("made").id, None));
    let dead = nodes.iter().position(|node| Some(node.id) != owner).expect("two of three");
    let mut permits = Vec::new();
    for turn in 0..9 {
        permits.extend(nodes[turn % 3].admit(parallel, 1).await.map(|permit| (turn % 3, permit)));
    }
    assert_eq!(permits.len(), 6);
    let node = nodes.swap_remove(dead);
    node.die(permits).await;
    for node in &nodes {
        until("the slots of the dead node are free", || {
            node.consensus.state().ring().members().len() == 2
        })
        .await;
    }
    let free = node_slots(&nodes, parallel).await;
    assert_eq!(free, 6, "all slots are free: their holders ended or died");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_ask_the_cluster_says_so_and_soon() {
    let mut nodes = cluster(3).await;
    let node = nodes.pop().expect("three");
    for dead in nodes {
        dead.die(()).await;
    }
    let ask = || node.admission.caller(KeyDigest::of("sk-nobody"), &[]);
    let begun = node.clock.mono();
    let answers = tokio::join!(ask(), ask(), ask(), ask());
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert!(matches!(answer, Err(Refusal::CannotKnow { .. })), "never that it does not exist");
    }
    let waited = node.clock.mono().since(begun);
    assert!(waited.as_secs() < 6, "they wait for one question, not in turn: {waited:?}");
}

/// How many slots can be taken at once, over all nodes.
async fn node_slots(nodes: &[Node], key: KeyDigest) -> usize {
    let mut held = Vec::new();
    for turn in 0..20 {
        held.extend(nodes[turn % nodes.len()].admit(key, 1).await);
    }
    held.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_lowered_below_what_is_in_use_refuses_and_takes_nothing_back() {
    let node = single().await;
    let key = node.key("lowered", Some(5), None, Some(4)).await;
    let set = async |rpm, parallel| {
        let (rpm, parallel) = (Change::Set(rpm), Change::Set(parallel));
        let terms = TermsChanges { rpm, parallel, ..TermsChanges::default() };
        let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
        let command = Command::UpdateKey { token: key, changes };
        node.consensus.propose(command).await.expect("a known key");
    };
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut permit = node.admit(key, 1).await.expect("within the limits");
        permit.begin();
        open.push(permit);
    }
    set(2, 4).await;
    let refused = limited(node.admit(key, 1).await);
    assert_eq!((refused.what, refused.limit, refused.remaining), (Limited::Requests, 2, 0));
    set(5, 2).await;
    for left in [3, 2] {
        let refused = limited(node.admit(key, 1).await);
        assert_eq!(refused.what, Limited::MaxParallelRequests, "{left} of 2 are open");
        let done = open.pop().expect("it is open");
        done.settle(record(key, 1, 0)).expect("what was let in goes on to its end");
    }
    assert!(node.admit(key, 1).await.is_ok(), "one of 2 is open, and 4 of 5 were sent");
}

/// A refused request of a team's key is also of the team's organization.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_on_record_with_all_whose_it_is() {
    let node = cluster::single().await;
    let team = Entity {
        kind: Kind::Team,
        name: "t".to_owned(),
        organization: Some("o".to_owned()),
        ..Entity::default()
    };
    let above = Entity { kind: Kind::Organization, name: "o".to_owned(), ..Entity::default() };
    let token = KeyDigest::of("sk-of-team");
    let key = Key { token, team: Some("t".to_owned()), ..Key::default() };
    let entities = [above, team]
        .map(|entity| Command::CreateEntity { entity: Box::new(entity), members: Vec::new() });
    for command in entities.into_iter().chain([Command::CreateKey { key: Box::new(key) }]) {
        node.consensus.propose(command).await.expect("taken");
    }
    node.admission.note(record(token, 0, 0)).expect("recorded");
    let query = dunlin_journal::Query { limit: 9, ..dunlin_journal::Query::default() };
    let shelf = node.admission.0.journal.shelf(node.id);
    let found = dunlin_journal::search(&[shelf], &query, &|| false).expect("readable");
    let whose = &found.rows[0].record.whose;
    assert_eq!((whose.team.as_deref(), whose.organization.as_deref()), (Some("t"), Some("o")));
}
