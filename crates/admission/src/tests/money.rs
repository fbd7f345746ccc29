//! Budgets over real nodes: what is held, charged, lent to no one and asked back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_journal::SpendRecord;
use dunlin_ledger::Calendar;
use dunlin_state::{
    Change, Command, Entity, Format, Key, KeyChanges, Kind, ModelBudget, Rank, Terms, TermsChanges,
};
use dunlin_types::{KeyDigest, Line, NanoUsd, RequestId};

use super::cluster::{DEADLINE, Node, cluster, single, until};
use super::record;
use crate::{Awaited, Bounds, ClusterBudget, Found, Permit, Refusal, Rules};

/// A key with a budget.
async fn with_budget(node: &Node, name: &str, most: u64, strict: bool) -> KeyDigest {
    let terms = Terms { max_budget: Some(NanoUsd(most)), strict: Some(strict), ..Terms::default() };
    let token = KeyDigest::of(&format!("sk-{name}"));
    let key = Box::new(Key { token, name: name.to_owned(), terms, ..Key::default() });
    node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
    token
}

async fn ask_once(node: &Node, key: KeyDigest, cost: u64) -> Result<Permit, Refusal> {
    let caller = node.admission.caller(key, &[]).await?;
    let bounds = Bounds { likely: NanoUsd(cost), most: NanoUsd(cost) };
    let demand = crate::Demand { cost: bounds, ..node.demand(0) };
    node.admission.admit(Some(&caller), demand).await
}

/// A node that has no time to hear its leader knows nothing, and is asked again.
async fn ask(node: &Node, key: KeyDigest, cost: u64) -> Result<Permit, Refusal> {
    let decided = async {
        loop {
            match ask_once(node, key, cost).await {
                Err(Refusal::CannotKnow { .. }) => {}
                decided => return decided,
            }
        }
    };
    tokio::time::timeout(DEADLINE, decided).await.expect("a node that hears its leader decides")
}

fn settle(permit: Permit, key: KeyDigest, cost: u64) {
    permit.settle(record(key, 1, cost));
}

fn is_over(asked: Result<Permit, Refusal>) -> bool {
    match asked {
        Ok(_) => false,
        Err(Refusal::OverBudget(_)) => true,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_is_spent_to_the_last_and_no_further() {
    let node = single().await;
    let key = with_budget(&node, "strict", 100, true).await;
    let held = [ask(&node, key, 40).await, ask(&node, key, 40).await];
    let Err(Refusal::OverBudget(over)) = ask(&node, key, 40).await else { panic!("80 are held") };
    assert_eq!((over.spent, over.held), (NanoUsd::ZERO, NanoUsd(80)), "nothing is spent yet");
    let [first, second] = held.map(|held| held.expect("there is enough"));
    settle(first, key, 30);
    drop(second);
    let rest = ask(&node, key, 70).await.expect("what is not spent is free");
    settle(rest, key, 70);
    assert!(is_over(ask(&node, key, 1).await));
    until("all is settled", || node.consensus.state().key_spend(&key) == NanoUsd(100)).await;
    let Err(Refusal::OverBudget(over)) = ask(&node, key, 1).await else { panic!("it is spent") };
    assert_eq!((over.spent, over.held, over.limit), (NanoUsd(100), NanoUsd(0), NanoUsd(100)));
}

/// Of several budgets that are spent, the first in LiteLLM's order is told: team, windows of the
/// key, organization, the key itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_budget_that_is_told_is_the_first_in_order() {
    let node = single().await;
    let none = Terms { max_budget: Some(NanoUsd(0)), ..Terms::default() };
    for kind in [Kind::Organization, Kind::Team] {
        let (name, terms) = (kind.name().to_owned(), none.clone());
        let entity = Box::new(Entity { kind, name, terms, ..Entity::default() });
        let create = Command::CreateEntity { entity, members: Vec::new() };
        node.consensus.propose(create).await.expect("new");
    }
    let windows = BTreeMap::from([("1h".to_owned(), NanoUsd(0))]);
    let [team, organization] =
        [Kind::Team, Kind::Organization].map(|kind| Some(kind.name().to_owned()));
    let cases = [
        (&team, &windows, (Rank::Team, Line::Main)),
        (&None, &windows, (Rank::Key, Line::Window("1h".to_owned()))),
        (&None, &BTreeMap::new(), (Rank::Organization, Line::Main)),
    ];
    for (number, (team, windows, expected)) in cases.into_iter().enumerate() {
        let terms = Terms { windows: windows.clone(), ..none.clone() };
        let token = KeyDigest::of(&format!("sk-{number}"));
        let (team, organization) = (team.clone(), organization.clone());
        let key = Box::new(Key { token, terms, team, organization, ..Key::default() });
        node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
        let Err(Refusal::OverBudget(over)) = ask(&node, token, 1).await else { panic!("nothing") };
        let rank = over.payer.expect("somebody's").rank;
        assert_eq!((rank, over.pot.line), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_not_strict_lets_in_on_its_last_money() {
    let node = single().await;
    let key = with_budget(&node, "lenient", 100, false).await;
    settle(ask(&node, key, 1_000).await.expect("something is left"), key, 250);
    assert!(is_over(ask(&node, key, 1).await), "it is overspent");
    let none = with_budget(&node, "none", 0, false).await;
    assert!(is_over(ask(&node, none, 1).await), "a budget of nothing lets nothing through");
    assert!(ask(&node, none, 0).await.is_ok(), "but what is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_raised_or_lowered_holds_at_once() {
    let node = single().await;
    let key = with_budget(&node, "changed", 100, true).await;
    let set = async |most| {
        let max_budget = Change::Set(NanoUsd(most));
        let terms = TermsChanges { max_budget, ..TermsChanges::default() };
        let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
        let command = Command::UpdateKey { token: key, changes };
        node.consensus.propose(command).await.expect("known");
    };
    settle(ask(&node, key, 60).await.expect("there is enough"), key, 60);
    assert!(is_over(ask(&node, key, 50).await));
    set(200).await;
    let held = ask(&node, key, 50).await.expect("there is enough now");
    set(20).await;
    assert!(is_over(ask(&node, key, 1).await));
    settle(held, key, 50);
    until("all is settled", || node.consensus.state().key_spend(&key) == NanoUsd(110)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_give_back_what_another_needs_and_never_spend_more_than_there_is() {
    let nodes = cluster(3).await;
    let key = with_budget(&nodes[0], "shared", 1_000, true).await;
    for node in &nodes {
        until("the key is everywhere", || node.consensus.state().key(&key).is_some()).await;
    }
    // Each node takes a lease, uses a little of it, and the last one needs nearly all the rest.
    for node in &nodes {
        settle(ask(node, key, 100).await.expect("there is enough"), key, 10);
    }
    let most = ask(&nodes[2], key, 970).await.expect("the others give back what they do not use");
    assert!(is_over(ask(&nodes[0], key, 1).await), "now it is the others who are short");
    settle(most, key, 900);
    settle(ask(&nodes[1], key, 70).await.expect("the rest is free again"), key, 70);
    for node in &nodes {
        assert!(is_over(ask(node, key, 1).await));
        until("all is settled", || node.consensus.state().key_spend(&key) == NanoUsd(1_000)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_request_that_lacks_money_is_refused_at_once() {
    let mut nodes = cluster(3).await;
    let key = with_budget(&nodes[0], "alone", 1_000_000, true).await;
    let others = nodes.split_off(1);
    let [node] = <[Node; 1]>::try_from(nodes).unwrap_or_else(|_| panic!("one is left"));
    settle(ask(&node, key, 10).await.expect("there is enough"), key, 10);
    for other in others {
        other.die(()).await;
    }
    let silent = || {
        let heard = node.consensus.leader_heard().expect("it was a member");
        node.clock.mono().since(heard)
    };
    let is_sure = || silent() > crate::money::LEADERLESS && !node.consensus.finds_back();
    until("it knows that nobody leads", is_sure).await;
    let asked = node.clock.mono();
    let Err(Refusal::CannotKnow { reason }) = ask_once(&node, key, 999_000).await else {
        panic!("it is not spent, and the state cannot grant it")
    };
    assert!(reason.contains("majority") && reason.contains("dunlin status"), "{reason}");
    let waited = node.clock.mono().since(asked);
    assert!(waited < crate::money::PATIENCE, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_strict_budget_says_what_the_request_could_cost() {
    let node = single().await;
    let key = with_budget(&node, "bounded", 100, true).await;
    settle(ask(&node, key, 30).await.expect("there is enough"), key, 30);
    let Err(Refusal::OverBudget(over)) = ask(&node, key, 80).await else { panic!("80 of 70") };
    assert_eq!((over.could_cost, over.spent), (Some(NanoUsd(80)), NanoUsd(30)));
    let key = with_budget(&node, "lenient too", 0, false).await;
    let Err(Refusal::OverBudget(over)) = ask(&node, key, 80).await else { panic!("80 of 0") };
    assert_eq!(over.could_cost, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_died_with_money_brings_it_back() {
    let node = single().await;
    let key = with_budget(&node, "killed", 1_000, true).await;
    settle(ask(&node, key, 100).await.expect("there is enough"), key, 100);
    let open = ask(&node, key, 800).await.expect("there is enough");
    let node = node.restart_holding(open).await;
    let whole = async {
        while ask(&node, key, 900).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let whole = tokio::time::timeout(std::time::Duration::from_secs(60), whole).await;
    assert!(whole.is_ok(), "what the former life held is free once its journal is settled");
    assert!(is_over(ask(&node, key, 901).await), "and what it spent is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_budget_that_is_spent_and_not_one_that_is_short_here() {
    let node = single().await;
    let single_model = ModelBudget { max_budget: Some(NanoUsd(10)), ..ModelBudget::default() };
    let terms = Terms {
        max_budget: Some(NanoUsd(1_000)),
        model_budgets: [("m".to_owned(), single_model)].into(),
        ..Terms::default()
    };
    let token = KeyDigest::of("sk-named");
    let key = Box::new(Key { token, name: "named".to_owned(), terms, ..Key::default() });
    node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
    settle(ask(&node, token, 10).await.expect("there is enough"), token, 10);
    let Err(Refusal::OverBudget(over)) = ask(&node, token, 10).await else { panic!("it is spent") };
    assert_eq!(over.pot.line, Line::Model("m".to_owned()), "the key's own has 990 left");
}

/// One node holds all there is while a request waits at another. What is decided meanwhile holds for
/// that request as for one that comes later.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_a_request_waits_holds_for_it() {
    let nodes = cluster(3).await;
    let (holding, waiting) = (&nodes[0], &nodes[1]);
    let limit = |token, max_budget| {
        let terms = TermsChanges { max_budget, ..TermsChanges::default() };
        let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
        Command::UpdateKey { token, changes }
    };
    type Made<'a> = &'a dyn Fn(KeyDigest) -> Command;
    type Decided = fn(&Result<Permit, Refusal>) -> bool;
    let cases: [(&str, Made<'_>, Decided); 5] = [
        ("raised", &|key| limit(key, Change::Set(NanoUsd(200))), |asked| asked.is_ok()),
        ("lifted", &|key| limit(key, Change::Clear), |asked| asked.is_ok()),
        (
            "lowered",
            &|key| limit(key, Change::Set(NanoUsd(90))),
            |asked| matches!(asked, Err(Refusal::OverBudget(over)) if over.limit == NanoUsd(90)),
        ),
        ("deleted", &|key| Command::DeleteKeys { tokens: vec![key] }, |asked| {
            matches!(asked, Err(Refusal::UnknownKey))
        }),
        ("blocked", &|token| Command::SetBlocked { token, blocked: true }, |asked| {
            matches!(asked, Err(Refusal::Blocked))
        }),
    ];
    let figures = || waiting.admission.0.money.figures();
    for (name, change, is_decided) in cases {
        let attempt = async |number: u32| {
            let key = with_budget(holding, &format!("{name} {number}"), 100, true).await;
            until("the key is there", || waiting.consensus.state().key(&key).is_some()).await;
            let _all = ask(holding, key, 100).await.expect("there is enough");
            let is_over = AtomicBool::new(false);
            let asking = async {
                let asked = ask(waiting, key, 50).await;
                is_over.store(true, Ordering::Relaxed);
                asked
            };
            let changing = async {
                let is_over = || is_over.load(Ordering::Relaxed);
                until("it waits", || figures().waiting == 1 || is_over()).await;
                holding.consensus.propose(change(key)).await.expect("committed");
            };
            tokio::join!(asking, changing).0
        };
        let was_early = |asked: &Result<Permit, Refusal>| matches!(asked, Err(Refusal::OverBudget(over)) if over.limit == NanoUsd(100));
        let decided = async {
            for number in 0.. {
                let asked = attempt(number).await;
                // It may be refused before the change is committed, on a node with much else to do.
                if !was_early(&asked) {
                    return asked;
                }
            }
            unreachable!("there are more numbers than time")
        };
        let asked = tokio::time::timeout(DEADLINE, decided).await.expect("a change in time");
        assert!(is_decided(&asked), "{name}: {:?}", asked.err());
        assert_eq!(figures().waiting, 0, "{name}: nothing of it is left");
    }
}

/// Has the journal of a node take nothing, until the folder that is returned is gone.
fn fill(node: &Node) -> std::path::PathBuf {
    let journal = &node.admission.0.journal;
    let large = dunlin_journal::SpendRecord {
        call_id: "x".repeat(900_000),
        ..record(KeyDigest::of("sk-filler"), 1, 0)
    };
    let large = std::sync::Arc::new(large);
    while journal.last() < 19 {
        journal.append(&large).expect("written");
    }
    let written = std::fs::read_dir(node.journal()).expect("a folder");
    let names = written.map(|entry| entry.expect("a file").file_name().into_string());
    let logs = names.map(|name| name.expect("a name")).filter(|name| name.ends_with(".log"));
    let last = logs.max().expect("a segment");
    let (life, _first) = last.split_once('-').expect("its life and its first record");
    let next = node.journal().join(format!("{life}-{:016}.log", journal.last() + 1));
    std::fs::create_dir(&next).expect("the next segment cannot be made");
    assert!(journal.append(&large).is_err(), "the segment is full");
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spent_while_the_disk_is_full_is_spent() {
    let node = single().await;
    let key = with_budget(&node, "full disk", 300, true).await;
    let in_the_way = fill(&node);
    for spent in [100, 200, 300] {
        let permit = ask(&node, key, 100).await.expect("there is enough");
        let shown = permit.settle(record(key, 1, 100));
        assert_eq!(shown, Some(NanoUsd(spent)), "it is told what is spent");
    }
    assert!(is_over(ask(&node, key, 100).await), "spent, though on no record");
    assert_eq!(node.admission.0.backlog.figures(), (3, 0));
    std::fs::remove_dir(in_the_way).expect("there");
    until("all is settled", || node.consensus.state().key_spend(&key) == NanoUsd(300)).await;
    assert_eq!(node.admission.0.backlog.figures(), (0, 0));
    assert_eq!(node.spent(key), NanoUsd(300), "and counted once");
    assert!(is_over(ask(&node, key, 1).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_books_are_broken_ends() {
    let node = single().await;
    let money = node.admission.0.money.clone();
    let broken = std::thread::spawn(move || money.break_books()).join();
    assert!(broken.is_err());
    until("the node ends", || node.has_ended()).await;
}

/// The budget of the whole cluster, of 100 nano-dollars.
fn of_all(nodes: &[Node]) {
    for node in nodes {
        let budget = ClusterBudget { limit: NanoUsd(100), duration: None };
        node.admission.govern(Rules::new(Calendar::default(), Some(budget), 422));
    }
}

async fn ask_as_master(node: &Node, cost: u64) -> Permit {
    let bounds = Bounds { likely: NanoUsd(cost), most: NanoUsd(cost) };
    let demand = crate::Demand { cost: bounds, ..node.demand(0) };
    node.admission.admit(None, demand).await.expect("no budget refuses the master key")
}

/// The master key is let in without a hold where money does not come in time.
async fn hold_as_master(node: &Node, cost: u64) -> Permit {
    let held = async {
        loop {
            let permit = ask_as_master(node, cost).await;
            let held = permit.held().iter().map(|held| held.amount).sum::<NanoUsd>();
            if held == NanoUsd(cost) {
                return permit;
            }
        }
    };
    tokio::time::timeout(DEADLINE, held).await.expect("there is enough")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_master_key_may_spend_is_held_and_no_budget_refuses_it() {
    let nodes = [single().await];
    of_all(&nodes);
    let [node] = &nodes;
    let key = node.key("app", None, None, None).await;
    let held = hold_as_master(node, 100).await;
    assert!(is_over(ask(node, key, 1).await), "all of it is held");
    drop(ask_as_master(node, 50).await);
    drop(held);
    settle(ask(node, key, 1).await.expect("nothing is held"), key, 1);
    let held = hold_as_master(node, 99).await;
    held.settle(SpendRecord { key: None, ..record(key, 1, 99) });
    assert!(is_over(ask(node, key, 1).await), "it is spent at once");
    ask_as_master(node, 50).await.settle(SpendRecord { key: None, ..record(key, 1, 50) });
}

/// The reason is told that is true: nothing is spent.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_room_for_a_budget_says_so() {
    let node = single().await;
    let key = with_budget(&node, "app", 100, true).await;
    node.admission.0.money.keep_no_books();
    let refused = ask(&node, key, 1).await.err();
    assert!(matches!(refused, Some(Refusal::Overloaded { .. })), "{refused:?}");
    let free = node.key("free", None, None, None).await;
    assert!(ask(&node, free, 1).await.is_ok(), "who has no budget needs no room");
    ask_as_master(&node, 1).await.settle(record(key, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_charges_is_held_by_its_maker_until_it_is_settled() {
    let nodes = cluster(2).await;
    let (maker, finder) = (&nodes[0], &nodes[1]);
    let raise = Command::RaiseFormat { to: Format::NEWEST };
    maker.consensus.propose(raise).await.expect("both know it");
    let key = with_budget(maker, "awaited", 100, true).await;
    let found = |number| {
        let made = maker.clock.unix();
        Found { request: RequestId(number), made, limited: false }
    };
    let (one, other) = (found(71), found(72));
    let permit = ask(maker, key, 60).await.expect("there is enough");
    let charged = permit.charged().to_vec();
    permit.settle_awaiting(one, record(key, 1, 0));
    ask(maker, key, 20).await.expect("there is enough").settle_awaiting(other, record(key, 1, 0));
    assert!(is_over(ask(maker, key, 21).await), "80 are held");

    let cost = SpendRecord { request: one.request, charged, ..record(key, 1, 10) };
    assert!(finder.admission.charge(one, vec![cost]).await);
    let spent = || maker.consensus.state().key_spend(&key);
    until("it is settled", || spent() == NanoUsd(10)).await;
    let rest = ask_once(maker, key, 70).await.expect("what it did not use is free at that moment");
    drop(rest);

    let (request, made) = (other.request, other.made);
    let claim = Command::Claim { request, made, by: Some(5) };
    finder.consensus.propose(claim).await.expect("nobody has");
    until("it is claimed", || maker.admission.is_charged(other)).await;
    assert!(is_over(ask(maker, key, 71).await), "who claimed it has not settled it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_held_for_what_nobody_waits_for_is_held_by_its_next_life() {
    let node = single().await;
    let key = with_budget(&node, "killed", 100, true).await;
    let found = Found { request: RequestId(71), made: node.clock.unix(), limited: false };
    let permit = ask(&node, key, 60).await.expect("there is enough");
    let (charged, held) = (permit.charged().to_vec(), permit.held());
    permit.settle_awaiting(found, record(key, 1, 0));
    let settled = || node.admission.0.unsettled.settled_through() == 1;
    until("its making is settled", settled).await;
    let node = node.restart_awaiting(vec![Awaited { found, held }]).await;
    let rest = ask(&node, key, 40).await.expect("the rest is free");
    drop(rest);
    assert!(is_over(ask(&node, key, 41).await), "60 are held as before");
    let cost = SpendRecord { request: found.request, charged, ..record(key, 1, 10) };
    assert!(node.admission.charge(found, vec![cost]).await);
    let rest = ask(&node, key, 90).await;
    drop(rest.expect("what it did not use is free"));
}
