//! Tokens of batches by the day, counted before they are made.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_ledger::Allowance;
use dunlin_state::{Command, Entity, Key, Kind, TAGS, Terms};
use dunlin_types::{KeyDigest, Line, NanoUsd, PotId, RequestId, Tokens, UnixMillis};

use super::cluster::{DEADLINE, single, until};
use super::record;
use super::terms::rules;
use crate::{Found, Part, Rank, Refusal, counts_batches};

fn may_make(limit: u64) -> Terms {
    let other = BTreeMap::from([("tpd_limit".to_owned(), limit.to_string())]);
    Terms { other, ..Terms::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_counted_when_it_is_made_and_else_given_back() {
    let node = single().await;
    let (kind, name, terms) = (Kind::Team, "blue".to_owned(), may_make(100));
    let entity = Box::new(Entity { kind, name, terms, ..Entity::default() });
    node.consensus
        .propose(Command::CreateEntity { entity, members: Vec::new() })
        .await
        .expect("new");
    let free = node.key("free", None, None, None).await;
    let token = KeyDigest::of("sk-batches");
    let key = Key { token, team: Some("blue".to_owned()), terms: may_make(150), ..Key::default() };
    node.consensus.propose(Command::CreateKey { key: Box::new(key) }).await.expect("new");
    let caller = node.admission.caller(token, &[]).await.expect("a key");
    assert!(counts_batches(&caller));
    assert!(!counts_batches(&node.admission.caller(free, &[]).await.expect("a key")));

    let count = async |tokens| node.admission.count_batch(&caller, Tokens(tokens)).await;
    let again = async |tokens| {
        let counting = async {
            loop {
                match count(tokens).await {
                    Ok(batch) => return batch,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(DEADLINE, counting).await.expect("what was not made is given back")
    };
    drop(count(100).await.expect("all of the team's day"));
    let applied = || node.consensus.status().applied;
    let batch = again(100).await;
    let before = applied();
    drop(batch);
    until("it is given back", || applied() > before).await;
    let (before, mut leaving) = (applied(), Box::pin(count(100)));
    while applied() == before {
        assert!(futures::poll!(&mut leaving).is_pending(), "its client leaves before it is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(leaving);
    drop(again(70).await.made());
    let refused = count(40).await.err();
    let Some(Refusal::RateLimited(limited)) = refused else { panic!("{refused:?}") };
    let of = (limited.of.rank, limited.of.part, &*limited.name);
    assert_eq!(of, (Rank::Team, Part::All, "blue"), "the key's own has room");
    assert_eq!((limited.batch, limited.limit, limited.remaining), (Some(40), 100, 30));
    assert_eq!(limited.reset_at.0 % (24 * 60 * 60 * 1000), 0, "the next day");
    let counted = count(30).await.expect("what is left").made();
    assert!(count(1).await.is_err(), "made ones are not given back");
    let (request, made) = (RequestId(7), UnixMillis(1_000_000_000_000_000));
    let found = Found { request, made, limited: false };
    for _ in 0..2 {
        assert!(node.admission.true_up(found, &counted, Tokens(10)).await);
    }
    assert!(!node.admission.is_charged(found), "what it costs is another matter");
    assert!(count(21).await.is_err(), "what it used counts, once");
    drop(count(20).await.expect("what it did not use is free").made());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_batch_are_charged_once_each_also_to_what_they_call() {
    let node = single().await;
    let pot = |tag: &str| PotId { of: TAGS, line: Line::Model(tag.to_owned()) };
    let of_tag = |tag| (pot(tag), Allowance { most: NanoUsd(1_000_000), every: None });
    let called = ["a", "b"].map(of_tag).into();
    node.admission.govern(rules(|rules| rules.called = called));
    let token = node.key("parts", None, None, None).await;
    let of = node.consensus.state().key(&token).expect("made").id;
    let part = |tag: &str, cost| {
        let mut part = record(token, 1, cost);
        part.origin.tags = vec![tag.to_owned()];
        part.charged = vec![(PotId { of, line: Line::Main }, UnixMillis(0))];
        part
    };
    let found = Found { request: RequestId(7), made: node.clock.unix(), limited: false };
    for _ in 0..2 {
        assert!(node.admission.charge(found, vec![part("a", 100), part("b", 20)]).await);
    }
    let state = || node.consensus.state();
    until("both are settled", || state().key_spend(&token) == NanoUsd(120)).await;
    let spent = ["a", "b"].map(|tag| state().spend(&pot(tag)).0);
    assert_eq!(spent, [NanoUsd(100), NanoUsd(20)]);
}
