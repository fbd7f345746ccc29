//! What holds for a request beside plain limits and budgets: limits that shrink instead of refusing,
//! that hold only at times or only for words, and who is charged without being asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_state::{
    Change, Command, Entity, Key, KeyChanges, Kind, Member, ModelBudget, Terms, TermsChanges,
};
use dunlin_types::{KeyDigest, Line, NanoUsd, PotId, Served};

use super::cluster::{Node, single, until};
use super::{limited, record};
use crate::{Bounds, Demand, Permit, Refusal, Rules};

async fn entity(node: &Node, kind: Kind, name: &str, terms: Terms) {
    let members = if kind == Kind::Team { vec![member("ann")] } else { Vec::new() };
    let entity = Box::new(Entity { kind, name: name.to_owned(), terms, ..Entity::default() });
    node.consensus.propose(Command::CreateEntity { entity, members }).await.expect("new");
}

fn member(user: &str) -> Member {
    Member { user: user.to_owned(), ..Member::default() }
}

async fn key(node: &Node, key: Key) -> KeyDigest {
    let token = KeyDigest::of("sk-terms");
    let key = Box::new(Key { token, ..key });
    node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
    token
}

fn dollars(most: u64) -> Terms {
    Terms { max_budget: Some(NanoUsd(most)), ..Terms::default() }
}

async fn ask(node: &Node, token: KeyDigest, demand: Demand) -> Result<Permit, Refusal> {
    let caller = node.admission.caller(token, &[]).await?;
    node.admission.admit(Some(&caller), demand).await
}

fn costs(node: &Node, cost: u64) -> Demand {
    let cost = Bounds { likely: NanoUsd(cost), most: NanoUsd(cost) };
    Demand { cost, ..node.demand(0) }
}

fn spend(permit: Permit, token: KeyDigest, cost: u64) {
    permit.settle(record(token, 1, cost));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_shrinks_the_limits_of_whoever_asked_for_it() {
    let node = single().await;
    node.admission.govern(throttled());
    let terms = Terms { throttle: Some(true), rpm: Some(20), ..dollars(100) };
    let token = key(&node, Key { terms, ..Key::default() }).await;
    let first = ask(&node, token, costs(&node, 100)).await.expect("within the budget");
    assert_eq!(first.limits()[0].limit, 20);
    spend(first, token, 150);
    until("all is settled", || node.consensus.state().key_spend(&token) == NanoUsd(150)).await;
    // A tenth of 20 is 2, and one is taken.
    let second = ask(&node, token, costs(&node, 100)).await.expect("it is throttled, not refused");
    assert_eq!(second.limits()[0].limit, 2);
    spend(second, token, 50);
    let refused = limited(ask(&node, token, costs(&node, 100)).await);
    assert_eq!((refused.limit, refused.throttled), (2, true));
    until("and charged", || node.consensus.state().key_spend(&token) == NanoUsd(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_refuses_where_nothing_can_shrink() {
    let throttle = Terms { throttle: Some(true), rpm: Some(9), ..dollars(0) };
    for (rules, terms) in [
        (Rules::default(), throttle.clone()),
        (throttled(), Terms { rpm: None, ..throttle.clone() }),
        (throttled(), Terms { throttle: None, ..throttle.clone() }),
        (throttled(), Terms { strict: Some(true), ..throttle.clone() }),
    ] {
        let node = single().await;
        node.admission.govern(rules);
        let token = key(&node, Key { terms: terms.clone(), ..Key::default() }).await;
        let asked = ask(&node, token, costs(&node, 1)).await;
        assert!(matches!(asked, Err(Refusal::OverBudget(_))), "{terms:?}");
    }
    let node = single().await;
    node.admission.govern(throttled());
    // The budget of another is not the key's to give way for.
    entity(&node, Kind::Team, "blue", dollars(0)).await;
    let team = Some("blue".to_owned());
    let token = key(&node, Key { team, terms: throttle, ..Key::default() }).await;
    let asked = ask(&node, token, costs(&node, 1)).await;
    let Err(Refusal::OverBudget(over)) = asked else { panic!("the team's budget is spent") };
    assert_eq!(over.payer.expect("the team").name(), "blue");
}

pub(super) fn rules(set: impl FnOnce(&mut Rules)) -> Rules {
    let mut rules = Rules::default();
    set(&mut rules);
    rules
}

fn throttled() -> Rules {
    rules(|rules| rules.throttle = Some(100_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dynamic_limit_holds_only_while_the_model_fails() {
    let node = single().await;
    let other = [("rpm_limit_type".to_owned(), "\"dynamic\"".to_owned())];
    let model_rpm = BTreeMap::from([("m".to_owned(), 1)]);
    let terms = Terms { rpm: Some(1), model_rpm, other: other.into(), ..Terms::default() };
    let token = key(&node, Key { terms, ..Key::default() }).await;
    let calm = || Demand { strained: false, ..node.demand(0) };
    for _ in 0..3 {
        ask(&node, token, calm()).await.expect("the model is well").begin();
    }
    ask(&node, token, node.demand(0)).await.expect("the first that counts").begin();
    let refused = limited(ask(&node, token, node.demand(0)).await);
    assert_eq!(refused.of.name(), "api_key");
    ask(&node, token, calm()).await.expect("it is well again").begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_to_be_as_long_as_its_key_says() {
    let node = single().await;
    let all = ("default_estimated_output_tokens".to_owned(), "5".to_owned());
    let one = r#"{"m":900,"x":7}"#.to_owned();
    let one = ("default_estimated_output_tokens_per_model".to_owned(), one);
    for (said, taken) in [(vec![], 250), (vec![all.clone()], 5), (vec![one, all], 900)] {
        let terms =
            Terms { tpm: Some(1_000), other: said.into_iter().collect(), ..Terms::default() };
        let token = KeyDigest::of(&format!("sk-{taken}"));
        let key = Box::new(Key { token, terms, ..Key::default() });
        node.consensus.propose(Command::CreateKey { key }).await.expect("a new key");
        let unbounded = Demand { output: None, ..node.demand(0) };
        let prompt = unbounded.prompt.0;
        let permit = ask(&node, token, unbounded).await.expect("there is room");
        assert_eq!(permit.limits()[0].remaining, 1_000 - prompt - taken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_limited_by_the_words_on_its_requests() {
    let node = single().await;
    let tag_rpm = BTreeMap::from([("nightly".to_owned(), 1), ("m".to_owned(), 2)]);
    let model_rpm = BTreeMap::from([("m".to_owned(), 9)]);
    let terms = Terms { tag_rpm, model_rpm, ..Terms::default() };
    let token = key(&node, Key { terms, ..Key::default() }).await;
    let ask = async |tags: &[&str]| {
        let mut caller = node.admission.caller(token, &[]).await?;
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        node.admission.count_for(&mut caller, None, &tags).await?;
        node.admission.admit(Some(&caller), node.demand(0)).await
    };
    ask(&["nightly", "x"]).await.expect("the first").begin();
    let refused = limited(ask(&["nightly"]).await);
    assert_eq!((refused.of.name(), refused.limit), ("tag_per_key", 1));
    assert!(refused.id().ends_with(":nightly"), "{}", refused.id());
    ask(&["x"]).await.expect("another word").begin();
    // A word that is called like a model is another limit than the model's.
    for _ in 0..2 {
        ask(&["m"]).await.expect("two of them").begin();
    }
    assert_eq!(limited(ask(&["m"]).await).limit, 2);
    ask(&[]).await.expect("no word").begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_charged_for_the_keys_of_teams_and_binds_them_if_it_is_said() {
    let node = single().await;
    entity(&node, Kind::User, "ann", Terms { rpm: Some(0), ..dollars(100) }).await;
    entity(&node, Kind::Team, "blue", Terms::default()).await;
    let (team, user) = (Some("blue".to_owned()), Some("ann".to_owned()));
    let token = key(&node, Key { team, user, ..Key::default() }).await;
    spend(ask(&node, token, costs(&node, 10)).await.expect("not bound"), token, 250);
    let spent = || {
        let state = node.consensus.state();
        let of = state.entity(Kind::User, "ann").expect("made").id;
        state.spend(&PotId { of, line: Line::Main }).0
    };
    until("ann is charged", || spent() == NanoUsd(250)).await;
    drop(ask(&node, token, costs(&node, 10)).await.expect("overspent, and still not bound"));
    node.admission.govern(rules(|rules| rules.binds_users_of_teams = true));
    let asked = ask(&node, token, costs(&node, 10)).await;
    let Err(Refusal::OverBudget(over)) = asked else { panic!("ann's budget binds") };
    assert_eq!(over.payer.expect("ann").name(), "ann");
    drop(ask(&node, token, node.demand(0)).await.expect("limits do not bind"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_call_a_model_share_the_budget_of_its_access_group() {
    let node = single().await;
    let groups = BTreeMap::from([("m".into(), [Arc::from("premium")].into())]);
    node.admission.govern(rules(|rules| rules.access_groups = groups));
    entity(&node, Kind::AccessGroup, "premium", dollars(100)).await;
    let token = key(&node, Key::default()).await;
    spend(ask(&node, token, costs(&node, 10)).await.expect("within it"), token, 120);
    let asked = ask(&node, token, costs(&node, 10)).await;
    let Err(Refusal::OverBudget(over)) = asked else { panic!("it is spent") };
    assert_eq!(over.payer.expect("the group").name(), "premium");
    let other = Demand { served: "n".into(), ..costs(&node, 10) };
    drop(ask(&node, token, other).await.expect("a model of no group"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_has_limits_for_keys_that_have_none_of_their_own() {
    let node = single().await;
    let of_keys = BTreeMap::from([("m".into(), (Some(1), None))]);
    node.admission.govern(rules(|rules| rules.key_limits = of_keys));
    let token = key(&node, Key::default()).await;
    ask(&node, token, node.demand(0)).await.expect("the first").begin();
    let refused = limited(ask(&node, token, node.demand(0)).await);
    assert_eq!((refused.of.name(), refused.limit), ("model_per_key", 1));
    let other = Demand { served: "n".into(), ..node.demand(0) };
    ask(&node, token, other).await.expect("another model").begin();
    let own = Change::Set(BTreeMap::from([("m".to_owned(), 9)]));
    let terms = TermsChanges { model_rpm: own, ..TermsChanges::default() };
    let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
    node.consensus.propose(Command::UpdateKey { token, changes }).await.expect("known");
    ask(&node, token, node.demand(0)).await.expect("it has its own now").begin();
}

/// What a row that is a pattern serves by that name.
fn behind(name: &str) -> Served {
    Served { names: vec![name.into()], ..Served::from("w/*") }
}

/// What is set for a pattern holds for all that it serves together; what is set for one of its
/// names, for that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_behind_a_pattern_has_limits_and_a_budget_of_its_own() {
    let node = single().await;
    let model_rpm = BTreeMap::from([("w/x".to_owned(), 1), ("w/*".to_owned(), 3)]);
    let budget = ModelBudget { max_budget: Some(NanoUsd(100)), ..ModelBudget::default() };
    let model_budgets = BTreeMap::from([("w/z".to_owned(), budget)]);
    let terms = Terms { model_rpm, model_budgets, ..Terms::default() };
    let token = key(&node, Key { terms, ..Key::default() }).await;
    let asked = |name: &str, demand: Demand| {
        let demand = Demand { served: behind(name), ..demand };
        ask(&node, token, demand)
    };
    asked("w/x", node.demand(0)).await.expect("the first of both").begin();
    for name in ["w/x", "w/X"] {
        let refused = limited(asked(name, node.demand(0)).await);
        assert_eq!((refused.only.as_deref(), refused.limit), (Some("w/x"), 1), "in any case");
    }
    asked("w/y", node.demand(0)).await.expect("another").begin();

    let mut permit = asked("w/z", costs(&node, 10)).await.expect("the last of the pattern");
    permit.begin();
    let pot = |name: &str| Line::Model(name.to_owned());
    let charged: Vec<_> = permit.charged().iter().map(|(pot, _)| pot.line.clone()).collect();
    assert!(charged.contains(&pot("w/z")) && !charged.contains(&pot("w/*")), "{charged:?}");
    spend(permit, token, 120);
    let refused = limited(asked("w/y", node.demand(0)).await);
    assert_eq!((refused.only.as_deref(), refused.limit), (Some("w/*"), 3));
    let unclear =
        Demand { served: Served { unclear: true, ..Served::from("w/*") }, ..costs(&node, 10) };
    for over in [asked("w/z", costs(&node, 10)).await, ask(&node, token, unclear).await] {
        let Err(Refusal::OverBudget(over)) = over else { panic!("it is spent") };
        assert_eq!(over.pot.line, pot("w/z"));
    }
}

/// A fallback from one name behind a pattern to another is bound by what is for that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_to_another_name_behind_the_same_pattern_is_one_to_another_model() {
    let node = single().await;
    let model_rpm = BTreeMap::from([("w/x".to_owned(), 1)]);
    let terms = Terms { model_rpm, ..Terms::default() };
    let token = key(&node, Key { terms, ..Key::default() }).await;
    let demand = |name: &str| Demand { served: behind(name), ..node.demand(0) };
    ask(&node, token, demand("w/x")).await.expect("the first").begin();
    let mut permit = ask(&node, token, demand("w/y")).await.expect("another");
    permit.begin();
    let refused = permit.turn_to(&demand("w/x")).await;
    assert!(matches!(refused, Err(Refusal::RateLimited(_))), "{refused:?}");
    permit.turn_to(&demand("w/z")).await.expect("nothing is set for it");
}

/// What is set for models elsewhere than on a key holds for all that a request names.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_a_model_holds_wherever_a_request_names_it() {
    let node = single().await;
    let groups = BTreeMap::from([("n".into(), [Arc::from("premium")].into())]);
    let of_keys = BTreeMap::from([("n".into(), (Some(1), None))]);
    node.admission
        .govern(rules(|rules| (rules.access_groups, rules.key_limits) = (groups, of_keys)));
    entity(&node, Kind::AccessGroup, "premium", dollars(100)).await;
    let token = key(&node, Key::default()).await;
    let both = || Served { names: vec!["n".into()], ..Served::from("m") };
    let mut permit =
        ask(&node, token, Demand { served: both(), ..costs(&node, 10) }).await.expect("within it");
    permit.begin();
    spend(permit, token, 120);
    let free = ask(&node, token, Demand { served: both(), ..node.demand(0) }).await;
    assert_eq!(limited(free).of.name(), "model_per_key");
    let asked = ask(&node, token, Demand { served: both(), ..costs(&node, 10) }).await;
    assert!(matches!(asked, Err(Refusal::OverBudget(_))), "the group's budget is spent");
}
