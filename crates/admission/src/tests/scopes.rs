//! Everyone a request spends for has limits of its own, and a request takes of all or of none.

use std::collections::BTreeMap;

use dunlin_journal::SpendRecord;
use dunlin_limiter::ScopeId;
use dunlin_state::{Command, Entity, Key, Kind, Member, Terms};
use dunlin_types::{DeploymentId, KeyDigest, Tokens};

use super::cluster::{Node, cluster, single, until};
use super::{limited, record};
use crate::{Bounds, Counted, Demand, Entering, Full, Limited, NotEntered, Permit, Refusal, Room};

fn rpm(limit: u64) -> Terms {
    Terms { rpm: Some(limit), ..Terms::default() }
}

async fn make(node: &Node, kind: Kind, name: &str, terms: Terms, members: Vec<Member>) {
    let entity = Box::new(Entity { kind, name: name.to_owned(), terms, ..Entity::default() });
    let command = Command::CreateEntity { entity, members };
    node.consensus.propose(command).await.expect("a new entity");
}

async fn key(node: &Node, name: &str, key: Key) -> KeyDigest {
    let token = KeyDigest::of(&format!("sk-{name}"));
    let key = Box::new(Key { token, name: name.to_owned(), ..key });
    node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
    token
}

/// A request of a key for `eve`, tagged `t`.
async fn ask(node: &Node, key: KeyDigest) -> Result<Permit, Refusal> {
    let mut caller = node.admission.caller(key, &[]).await?;
    node.admission.count_for(&mut caller, Some("eve"), &["t".to_owned()]).await?;
    node.admission.admit(Some(&caller), node.demand(10)).await
}

/// All scopes, each with a limit of its own; the smaller ones are tried in turn.
async fn crowd(node: &Node, limits: [u64; 8]) -> KeyDigest {
    let [own, single, team, member, end_user, organization, of_team, tag] = limits;
    let member = Member { user: "ann".to_owned(), terms: rpm(member), ..Member::default() };
    make(node, Kind::Organization, "acme", rpm(organization), Vec::new()).await;
    let of_team = BTreeMap::from([("m".to_owned(), of_team), ("other".to_owned(), 0)]);
    let team = Terms { model_rpm: of_team, ..rpm(team) };
    make(node, Kind::Team, "blue", team, vec![member]).await;
    make(node, Kind::EndUser, "eve", rpm(end_user), Vec::new()).await;
    make(node, Kind::Tag, "t", rpm(tag), Vec::new()).await;
    let model_rpm = BTreeMap::from([("m".to_owned(), single)]);
    let terms = Terms { model_rpm, ..rpm(own) };
    let (team, user) = (Some("blue".to_owned()), Some("ann".to_owned()));
    let organization = Some("acme".to_owned());
    key(node, "crowd", Key { team, user, organization, terms, ..Key::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_asked_and_the_first_that_refuses_is_named() {
    let names = [
        ("api_key", ""),
        ("model_per_key", ":m"),
        ("team", "blue"),
        ("team_member", "blue:ann"),
        ("end_user", "eve"),
        ("organization", "acme"),
        ("model_per_team", "blue:m"),
        ("tag", "t"),
    ];
    for (at, (scope, id)) in names.into_iter().enumerate() {
        let node = single().await;
        let mut limits = [9; 8];
        limits[at] = 2;
        let key = crowd(&node, limits).await;
        for _ in 0..2 {
            let permit = ask(&node, key).await.expect("within all limits");
            assert_eq!(permit.limits().len(), 8, "{scope}");
            permit.settle(record(key, 1, 0));
        }
        let refused = limited(ask(&node, key).await);
        assert_eq!((refused.of.name(), refused.limit), (scope, 2));
        assert!(refused.id().ends_with(id), "{scope}: {}", refused.id());
        assert!((50..=60).contains(&refused.retry_after.as_secs()), "{refused:?}");
        // The refused requests took nothing of the others.
        for _ in 0..20 {
            assert_eq!(limited(ask(&node, key).await).of.name(), scope);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_charges_nobody_wherever_the_scopes_are_owned() {
    let nodes = cluster(3).await;
    let key = crowd(&nodes[0], [7, 100, 100, 100, 100, 100, 100, 100]).await;
    for node in &nodes {
        until("the key is everywhere", || node.consensus.state().key(&key).is_some()).await;
    }
    let mut admitted = 0;
    for turn in 0..60 {
        if let Ok(mut permit) = ask(&nodes[turn % 3], key).await {
            admitted += 1;
            permit.begin();
        }
    }
    assert_eq!(admitted, 7);
    let state = nodes[0].consensus.state();
    let caller = nodes[0].admission.caller(key, &[]).await.expect("known");
    let mut payers = caller.payers.clone();
    state.add_payers(&mut payers, Some("eve"), &["t".to_owned()], None);
    for payer in payers.iter().filter(|payer| payer.rpm() == Some(100)) {
        let owner = state.ring().owner(ScopeId::of(payer.id(), None));
        let node = nodes.iter().find(|node| Some(node.id) == owner).expect("one of three");
        let payers = std::slice::from_ref(payer);
        until("only what was admitted is taken", || {
            node.admission.0.limits.left(payers, &node.demand(1)) == Some(92)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_tokens_that_count_are_counted() {
    let node = single().await;
    let terms = Terms { tpm: Some(2000), ..Terms::default() };
    for (counted, reserved, used) in
        [(Counted::Total, 700, 350), (Counted::Input, 300, 250), (Counted::Output, 400, 100)]
    {
        let name = format!("{counted:?}");
        let key = key(&node, &name, Key { terms: terms.clone(), ..Key::default() }).await;
        let demand =
            || Demand { prompt: Tokens(300), output: Some(Tokens(400)), counted, ..node.demand(0) };
        let left = |permit: &Permit| permit.limits()[0].remaining;
        let caller = node.admission.caller(key, &[]).await.expect("known");
        let permit = node.admission.admit(Some(&caller), demand()).await.expect("room");
        assert_eq!(left(&permit), 2000 - reserved, "{counted:?}");
        let mut record = record(key, 300, 0);
        (record.cached, record.completion) = (Tokens(50), Tokens(100));
        permit.settle(record);
        let permit = node.admission.admit(Some(&caller), demand()).await.expect("room");
        assert_eq!(left(&permit), 2000 - used - reserved, "{counted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_whole_limit_is_refused_and_a_guess_alone_never_is() {
    let node = single().await;
    let key = node.key("small", None, Some(100), None).await;
    let caller = node.admission.caller(key, &[]).await.expect("known");
    // The prompt, the longest answer if it is bounded, and what is asked for of a limit of 100.
    for (prompt, output, asked) in [
        (40, Some(60), Ok(100)),
        (40, Some(61), Err(101)),
        (101, Some(0), Err(101)),
        (101, None, Err(101)),
        (100, None, Ok(100)),
        (90, None, Ok(100)),
        (40, None, Ok(65)),
    ] {
        let output = output.map(Tokens);
        let demand = Demand { prompt: Tokens(prompt), output, ..node.demand(0) };
        let admitted = node.admission.admit(Some(&caller), demand).await;
        let taken = match &admitted {
            Ok(permit) => Ok(100 - permit.limits()[0].remaining),
            Err(Refusal::RateLimited(limited)) => Err(limited.too_large.expect("it never fits")),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(taken, asked, "{prompt} and {output:?}");
    }
    let taken = node.admit(key, 60).await.expect("room");
    let refused = limited(node.admit(key, 41).await);
    assert_eq!((refused.too_large, refused.remaining), (None, 40), "it fits in a minute");
    drop(taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_end_user_is_refused_and_one_without_terms_is_not() {
    let node = single().await;
    let key = key(&node, "plain", Key::default()).await;
    assert!(ask(&node, key).await.is_ok(), "nobody knows eve");
    let blocked = Terms { blocked: Some(true), ..Terms::default() };
    make(&node, Kind::EndUser, "eve", blocked, Vec::new()).await;
    let refusal = Refusal::HolderBlocked { kind: Kind::EndUser, name: "eve".to_owned() };
    assert_eq!(ask(&node, key).await.err(), Some(refusal));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_sent_counts_and_one_that_was_not_does_not() {
    let node = single().await;
    let key = node.key("sent", Some(2), Some(1000), None).await;
    for _ in 0..5 {
        drop(node.admit(key, 900).await.expect("what is dropped unsent takes nothing"));
    }
    for _ in 0..2 {
        node.admit(key, 900).await.expect("room").begin();
    }
    let refused = limited(node.admit(key, 900).await);
    assert_eq!(refused.what, Limited::Requests, "its tokens came back, its request did not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_has_room_for_the_whole_cluster() {
    let nodes = cluster(3).await;
    let deployment = DeploymentId("d".into());
    let room = Room { requests: Some(9), parallel: Some(2), as_of: 1, ..Room::default() };
    let (deployment, cost) = (&deployment, Bounds::default());
    let there = Entering { deployment, provider: "p", tags: &[], room, cost };
    let full = |what, refused: Option<NotEntered>| match refused {
        Some(NotEntered::Full(Full { what: reached, .. })) => assert_eq!(reached, what),
        other => panic!("{other:?}"),
    };
    let mut held = Vec::new();
    for node in &nodes[..2] {
        let entry = node.admission.enter(there, &node.demand(1)).await;
        held.push(entry.expect("two slots"));
    }
    for node in &nodes {
        let refused = node.admission.enter(there, &node.demand(1)).await;
        full(Limited::MaxParallelRequests, refused.err());
    }
    held.iter_mut().for_each(crate::Entry::begin);
    held.clear();
    // The two that were sent count; each of these ends before the next is asked for.
    let mut sent = 2;
    let last = loop {
        let node = &nodes[sent % 3];
        match node.admission.enter(there, &node.demand(1)).await {
            Ok(mut entry) => entry.begin(),
            Err(NotEntered::Full(Full { what: Limited::MaxParallelRequests, .. })) => continue,
            Err(refused) => break refused,
        }
        sent += 1;
    };
    full(Limited::Requests, Some(last));
    assert_eq!(sent, 9);
}

/// Prompts and answers are bounded apart; what a request does not use of either comes back, and what
/// one of them refuses has taken nothing of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_has_room_for_prompts_and_for_answers_apart() {
    let node = single().await;
    let key = node.key("sides", None, None, None).await;
    let deployment = DeploymentId("d".into());
    let room = Room { input: Some(100), output: Some(50), as_of: 1, ..Room::default() };
    let cost = Bounds::default();
    let there = Entering { deployment: &deployment, provider: "p", tags: &[], room, cost };
    let sized = |prompt, output| Demand { output: Some(Tokens(output)), ..node.demand(prompt) };
    let enter = async |prompt, output| node.admission.enter(there, &sized(prompt, output)).await;
    let full = |entered: Result<crate::Entry, NotEntered>| match entered {
        Err(NotEntered::Full(full)) => (full.name(), full.limit),
        other => panic!("{:?}", other.err()),
    };
    let mut entry = enter(60, 40).await.expect("room for both");
    assert_eq!(full(enter(50, 5).await), ("itpm", 100));
    assert_eq!(full(enter(40, 20).await), ("otpm", 50), "and no prompt is counted for it");
    drop(enter(40, 10).await.expect("what is left of both"));
    let mut permit = node.admit(key, 0).await.expect("no limit of its own");
    entry.begin();
    permit.begin();
    permit.enter(Some(entry));
    let (cached, completion) = (Tokens(20), Tokens(10));
    let used = SpendRecord { cached, completion, ..record(key, 60, 0) };
    permit.settle(used).expect("on record");
    assert_eq!(full(enter(61, 1).await), ("itpm", 100), "cached tokens are not counted");
    assert_eq!(full(enter(1, 41).await), ("otpm", 50));
    let Err(NotEntered::Full(never)) = enter(101, 1).await else { panic!("more than the limit") };
    assert_eq!(never.too_large, Some(101));
    drop(enter(60, 40).await.expect("what was not used is back"));
}

/// What a request gives back is free for whoever has its answer, at whichever node.
#[tokio::test(flavor = "multi_thread")]
async fn one_request_after_the_other_is_bound_by_what_they_use_wherever_they_are_made() {
    let nodes = cluster(3).await;
    let tokens = nodes[0].key("tokens", None, Some(1_000), None).await;
    let slots = nodes[0].key("slots", None, None, Some(1)).await;
    for node in &nodes {
        until("the keys are everywhere", || {
            let state = node.consensus.state();
            [tokens, slots].iter().all(|key| state.key(key).is_some())
        })
        .await;
    }
    for turn in 0..18 {
        for key in [tokens, slots] {
            let mut permit = nodes[turn % 3].admit(key, 600).await.expect("all else is over");
            permit.begin();
            permit.settle(record(key, 10, 0));
        }
    }
    let open = nodes[0].admit(slots, 1).await.expect("all else is over");
    for node in &nodes {
        assert_eq!(limited(node.admit(slots, 1).await).what, Limited::MaxParallelRequests);
    }
    drop(open);
    nodes[1].admit(tokens, 600).await.expect("all else is over").settle(record(tokens, 790, 0));
    for node in &nodes {
        assert_eq!(limited(node.admit(tokens, 600).await).remaining, 30, "18 * 10 + 790 are used");
    }
}
