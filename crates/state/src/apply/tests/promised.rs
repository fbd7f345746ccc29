//! Limits that are promised.

use super::*;
use crate::command::{Entity, EntityChanges, Kind, Terms, TermsChanges};
use crate::format::Format;

/// A script by the rules of the newest format.
fn newest() -> Script {
    let mut script = Script::default();
    script.run(Command::RaiseFormat { to: Format::NEWEST }).expect("news");
    script
}

fn terms(rpm: u64, promise: &str) -> Terms {
    let other = [("rpm_limit_type".to_owned(), format!("\"{promise}_throughput\""))];
    Terms { rpm: Some(rpm), other: other.into(), ..Terms::default() }
}

fn team(name: &str, terms: Terms) -> Command {
    let organization = Some("acme".to_owned());
    let entity = Entity { name: name.to_owned(), organization, terms, ..Entity::default() };
    Command::CreateEntity { entity: Box::new(entity), members: Vec::new() }
}

fn key_of(clear: &str, team: &str, terms: Terms) -> Command {
    let team = Some(team.to_owned());
    Command::CreateKey { key: Box::new(Key { team, terms, ..*key(clear, None) }) }
}

#[test]
fn nobody_is_promised_more_than_there_is() {
    let mut script = newest();
    let name = "acme".to_owned();
    let acme = Terms { rpm: Some(100), ..Terms::default() };
    let acme = Entity { kind: Kind::Organization, name, terms: acme, ..Entity::default() };
    let acme = Command::CreateEntity { entity: Box::new(acme), members: Vec::new() };
    script.run(acme).expect("new");
    script.run(team("blue", terms(60, "guaranteed"))).expect("there is as much");
    let refused = script.run(team("red", terms(50, "guaranteed")));
    let expected = "rpm_limit would be over-committed: organization `acme` has 100, 60 are guaranteed \
                    to others, and 50 more are requested (guaranteed_throughput)";
    assert_eq!(refused.expect_err("110 of 100").to_string(), expected);
    script.run(team("red", terms(500, "best_effort"))).expect("nothing is promised");

    script.run(key_of("sk-a", "blue", terms(40, "guaranteed"))).expect("there is as much");
    let refused = script.run(key_of("sk-b", "blue", terms(21, "guaranteed")));
    assert!(matches!(refused, Err(Rejected::Overpromised { has: 60, promised: 40, .. })));
    script.run(key_of("sk-b", "blue", terms(20, "guaranteed"))).expect("to the last");
    let update = |rpm: Change<u64>, tags: Change<Vec<String>>| {
        let terms = TermsChanges { rpm, tags, ..TermsChanges::default() };
        let changes = Box::new(KeyChanges { terms, ..KeyChanges::default() });
        Command::UpdateKey { token: KeyDigest::of("sk-b"), changes }
    };
    assert!(script.run(update(Change::Set(21), Change::Keep)).is_err());
    script.run(update(Change::Set(10), Change::Keep)).expect("less");
    // What was promised is not taken back.
    let less = TermsChanges { rpm: Change::Set(5), ..TermsChanges::default() };
    let changes = Box::new(EntityChanges { terms: less, ..EntityChanges::default() });
    let (kind, name) = (Kind::Team, "blue".to_owned());
    let lowered = script.run(Command::UpdateEntity { kind, name, changes });
    assert!(matches!(lowered, Err(Rejected::Overpromised { has: 5, promised: 50, asked: 0, .. })));
    let tags = Change::Set(vec!["t".to_owned()]);
    script.run(update(Change::Keep, tags)).expect("its limit stays as it was");
}

#[test]
fn a_promise_through_a_shared_budget_or_of_one_model_is_one() {
    let mut script = newest();
    let shared = |rpm: u64| Entity {
        kind: Kind::Budget,
        name: "shared".to_owned(),
        terms: Terms { rpm: Some(rpm), ..Terms::default() },
        ..Entity::default()
    };
    let make = Command::CreateEntity { entity: Box::new(shared(60)), members: Vec::new() };
    script.run(make).expect("new");
    let blue = Terms { rpm: Some(100), ..Terms::default() };
    let blue = Entity { name: "blue".to_owned(), terms: blue, ..Entity::default() };
    let blue = Command::CreateEntity { entity: Box::new(blue), members: Vec::new() };
    script.run(blue).expect("new");
    let by_budget =
        || Terms { rpm: None, budget_id: Some("shared".to_owned()), ..terms(0, "guaranteed") };
    script.run(key_of("sk-a", "blue", by_budget())).expect("60 of 100");
    let refused = script.run(key_of("sk-b", "blue", by_budget()));
    assert!(matches!(refused, Err(Rejected::Overpromised { promised: 60, asked: 60, .. })));

    let set = |rpm: u64| {
        let terms = TermsChanges { rpm: Change::Set(rpm), ..TermsChanges::default() };
        let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
        Command::UpdateEntity { kind: Kind::Budget, name: "shared".to_owned(), changes }
    };
    let raised = script.run(set(101));
    assert!(matches!(raised, Err(Rejected::Overpromised { has: 100, promised: 101, .. })));
    script.run(set(100)).expect("to the last");

    let of_model = |limit: u64| Terms {
        rpm: None,
        model_rpm: [("chat".to_owned(), limit)].into(),
        ..terms(0, "guaranteed")
    };
    script.run(key_of("sk-c", "blue", of_model(70))).expect("of the model nothing was promised");
    let refused = script.run(key_of("sk-d", "blue", of_model(40)));
    assert!(matches!(refused, Err(Rejected::Overpromised { promised: 70, asked: 40, .. })));
}

#[test]
fn before_the_format_that_brought_them_no_other_rules_hold() {
    let mut script = Script::default();
    let blue = Terms { rpm: Some(100), ..Terms::default() };
    let blue = Entity { name: "blue".to_owned(), terms: blue, ..Entity::default() };
    let blue = Command::CreateEntity { entity: Box::new(blue), members: Vec::new() };
    script.run(blue).expect("new");
    let of_model = || Terms {
        rpm: None,
        model_rpm: [("chat".to_owned(), 70)].into(),
        ..terms(0, "guaranteed")
    };
    let lower = |rpm: u64| {
        let terms = TermsChanges { rpm: Change::Set(rpm), ..TermsChanges::default() };
        let changes = Box::new(EntityChanges { terms, ..EntityChanges::default() });
        Command::UpdateEntity { kind: Kind::Team, name: "blue".to_owned(), changes }
    };
    script.run(key_of("sk-a", "blue", terms(60, "guaranteed"))).expect("60 of 100");
    assert!(script.run(key_of("sk-b", "blue", terms(41, "guaranteed"))).is_err(), "as ever");
    script.run(key_of("sk-b", "blue", of_model())).expect("of the model nothing was promised");
    script.run(key_of("sk-c", "blue", of_model())).expect("nor is what was promised looked at");
    script.run(lower(50)).expect("it may have less than it promised");
    script.run(Command::RaiseFormat { to: Format::NEWEST }).expect("news");
    assert!(script.run(key_of("sk-d", "blue", of_model())).is_err());
    assert!(script.run(lower(40)).is_err());
    script.run(lower(60)).expect("more than before");
}
