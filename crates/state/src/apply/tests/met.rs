//! End users that requests name and nobody made.

use super::*;
use crate::command::{Entity, EntityChanges, Kind, Terms};
use crate::met::{Acquaintance, MOST, OTHER};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Applies commands at moments of the test's choosing.
#[derive(Default)]
struct Days {
    state: State,
    seq: u64,
}

impl Days {
    fn run(&mut self, day: u64, command: Command) -> Result<Reply, Rejected> {
        self.seq += 1;
        let id = CommandId { node: NODE, epoch: Epoch(1), seq: self.seq };
        self.state.apply(self.seq, UnixMillis(day * DAY), &Entry { id, actor: None, command })
    }

    fn meet(&mut self, day: u64, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.run(day, Command::MeetEndUsers { names }).expect("met");
    }

    fn has(&self, name: &str) -> bool {
        self.state.entity(Kind::EndUser, name).is_some()
    }
}

#[test]
fn whoever_is_not_seen_for_a_month_is_forgotten_unless_an_admin_knows_them() {
    let mut days = Days::default();
    days.meet(1, &["ann", "bob", "cid", "dan"]);
    let bob = days.state.entity(Kind::EndUser, "bob").expect("met").id;
    let changes =
        Box::new(EntityChanges { alias: Change::Set("c".to_owned()), ..EntityChanges::default() });
    let (kind, name) = (Kind::EndUser, "cid".to_owned());
    days.run(2, Command::UpdateEntity { kind, name, changes }).expect("known");
    let gone = Command::DeleteEntities { kind, names: vec!["dan".to_owned()] };
    days.run(2, gone).expect("known");
    days.meet(20, &["ann"]);
    let spend = Charge {
        pot: PotId { of: bob, line: Line::Main },
        period: UnixMillis(0),
        cost: NanoUsd(5),
        requests: 1,
    };
    let (epoch, charges) = (Epoch(1), vec![spend]);
    days.run(
        20,
        Command::Settle {
            node: NODE,
            epoch,
            from: 0,
            to: 1,
            charges,
            days: DaySums::default(),
            claimed: Vec::new(),
        },
    )
    .expect("spent");
    assert!(days.has("bob"), "nobody has looked");
    days.meet(31, &["eve"]);
    let known = ["ann", "bob", "cid", "dan", "eve"].map(|name| days.has(name));
    assert_eq!(known, [true, false, true, false, true]);
    days.meet(32, &["bob"]);
    let anew = days.state.entity(Kind::EndUser, "bob").expect("met").id;
    assert_ne!(anew, bob, "without the old spend");
    let restored = State::restore(&days.state.snapshot()).expect("our own snapshot");
    assert_eq!(restored.met, days.state.met);
}

#[test]
fn clients_cannot_make_up_more_end_users_than_there_is_room_for() {
    let mut days = Days::default();
    let name = |number: usize| format!("u{number}");
    for first in (0..MOST).step_by(10_000) {
        let names = (first..first + 10_000).map(name).collect();
        days.run(1, Command::MeetEndUsers { names }).expect("met");
    }
    let now = |day: u64| UnixMillis(day * DAY);
    assert_eq!(days.state.acquaintance("late", now(1)), Acquaintance::New, "there is no other yet");
    days.meet(1, &["late", "later"]);
    assert!(days.has(OTHER) && !days.has("late") && !days.has("later"));
    assert_eq!(days.state.entities(Kind::EndUser).count(), MOST + 1);
    assert_eq!(days.state.acquaintance("late", now(1)), Acquaintance::Other);
    assert_eq!(days.state.acquaintance("u7", now(1)), Acquaintance::Known);
    assert_eq!(days.state.acquaintance("u7", now(2)), Acquaintance::Seen);
    assert_eq!(
        days.state.acquaintance("late", now(31)),
        Acquaintance::New,
        "who is idle makes room"
    );
    days.meet(31, &["late"]);
    assert!(days.has("late") && days.has(OTHER) && !days.has("u7"));
}

#[test]
fn default_terms_hold_for_an_end_user_whose_row_names_no_budget() {
    let mut days = Days::default();
    days.meet(1, &["ann"]);
    let terms = |most| Terms { max_budget: Some(NanoUsd(most)), rpm: Some(3), ..Terms::default() };
    let default = Entity { kind: Kind::Budget, terms: terms(7), ..Entity::default() };
    let own = Entity {
        kind: Kind::EndUser,
        name: "own".to_owned(),
        terms: terms(9),
        ..Entity::default()
    };
    let create = Command::CreateEntity { entity: Box::new(own), members: Vec::new() };
    days.run(1, create).expect("new");
    for (name, most) in [("ann", 7), ("own", 9)] {
        let mut payers = Vec::new();
        let default = std::sync::Arc::new(default.clone());
        days.state.add_payers(&mut payers, Some(name), &[], Some(&default));
        let budgets = payers[0].budgets(&"m".into(), UnixMillis(0));
        assert_eq!(budgets[0].limit, NanoUsd(most), "{name}");
        assert_eq!(payers[0].rpm(), Some(3), "{name}");
    }
}
