//! States that commands make, and the rows that are shown of them.

use dunlin_admin_api::KeyRow;
use dunlin_state::{Actor, Charge, Command, CommandId, DaySums, Entry, Grant};
use dunlin_types::{Epoch, KeyDigest, NodeId};

use super::*;

/// A key without anything particular.
pub(crate) fn bare(clear: &str) -> Key {
    Key {
        token: KeyDigest::of(clear),
        name: format!("sk-...{}", &clear[clear.len() - 4..]),
        created_at: UnixMillis(1_800_000_000_000),
        updated_at: UnixMillis(1_800_000_000_500),
        created_by: "default_user_id".to_owned(),
        ..Key::default()
    }
}

/// A state after some commands, each a second after the one before.
pub(crate) fn state_after(commands: impl IntoIterator<Item = Command>) -> State {
    state_of(None, commands)
}

/// The same, all of them a user's with the master key.
pub(crate) fn state_as(user: &str, commands: impl IntoIterator<Item = Command>) -> State {
    let (user, route) = (Some(user.to_owned()), "/key/generate".to_owned());
    let address = Some([10, 0, 0, 9].into());
    state_of(Some(Actor { user, address, route, ..Actor::default() }), commands)
}

fn state_of(actor: Option<Actor>, commands: impl IntoIterator<Item = Command>) -> State {
    let mut state = State::new();
    for (seq, command) in (1..).zip(commands) {
        let id = CommandId { node: NodeId(1), epoch: Epoch(1), seq };
        let entry = Entry { id, actor: actor.clone().map(Box::new), command };
        state.apply(seq, UnixMillis(1000 * seq), &entry).expect("accepted");
    }
    state
}

/// A view of it, at the beginning of time.
pub(crate) fn view_of(state: State) -> View {
    let calendar = Calendar::default();
    let (state, now) = (Arc::new(state), UnixMillis(10_000));
    View {
        state,
        calendar,
        binds_users_of_teams: false,
        end_users: EndUsers::default(),
        key_defaults: BTreeMap::new(),
        rollover: false,
        now,
    }
}

fn shown(view: &View, key: &Key) -> Value {
    serde_json::to_value(view.key(key)).expect("JSON")
}

#[test]
fn a_row_has_every_field_with_its_default_and_clients_can_read_it() {
    let told = shown(&view_of(State::new()), &bare("sk-abcd"));
    for (name, value) in [
        ("key_name", json!("sk-...abcd")),
        ("spend", json!(0.0)),
        ("max_budget", json!(null)),
        ("budget_reset_at", json!(null)),
        ("litellm_budget_table", json!(null)),
        ("blocked", json!(null)),
        ("guardrails", json!([])),
        ("metadata", json!({})),
        ("expires", json!(null)),
        ("created_at", json!("2027-01-15T08:00:00.000000Z")),
        ("updated_at", json!("2027-01-15T08:00:00.500000Z")),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    let row: KeyRow = serde_json::from_value(told).expect("a row");
    assert_eq!(row.token, Some(KeyDigest::of("sk-abcd")));
}

#[test]
fn terms_are_shown_as_they_were_asked_for() {
    let mut key = bare("sk-abcd");
    key.terms.max_budget = Some(NanoUsd(15_000));
    key.terms.tags = vec!["x".to_owned()];
    key.terms.windows.insert("1d".to_owned(), NanoUsd(5_000_000_000));
    key.terms.other.insert("metadata".to_owned(), r#"{"a": [1, 2]}"#.to_owned());
    let told = shown(&view_of(State::new()), &key);
    assert_eq!(told["max_budget"], json!(1.5e-5));
    assert_eq!(told["budget_limits"], json!([{"budget_duration": "1d", "max_budget": 5.0}]));
    assert_eq!(told["metadata"], json!({"a": [1, 2], "tags": ["x"]}));
}

#[test]
fn spend_is_that_of_the_period_and_the_budget_row_is_shown() {
    let budget = Entity {
        kind: Kind::Budget,
        name: "free".to_owned(),
        terms: Terms { budget_duration: Some("1h".to_owned()), ..Terms::default() },
        ..Entity::default()
    };
    let mut key = bare("sk-abcd");
    key.terms.budget_id = Some("free".to_owned());
    let pot = PotId { of: EntityId(1_001), line: Line::Main };
    let (node, epoch) = (NodeId(1), Epoch(1));
    let cost = NanoUsd(2_500_000);
    let charges = vec![Charge { pot, period: UnixMillis(1), cost, requests: 1 }];
    let state = state_after([
        Command::CreateEntity { entity: Box::new(budget), members: Vec::new() },
        Command::CreateKey { key: Box::new(key) },
        settle(node, epoch, charges),
    ]);
    let mut view = view_of(state);
    // The pot's period began just after the hour did.
    let key = Key::clone(view.state.key(&KeyDigest::of("sk-abcd")).expect("the key"));
    let told = shown(&view, &key);
    assert_eq!(told["spend"], json!(0.0025));
    assert_eq!(told["budget_reset_at"], json!("1970-01-01T01:00:00.000000Z"));
    assert_eq!(told["litellm_budget_table"]["budget_duration"], json!("1h"));
    view.now = UnixMillis(3_600_000);
    let told = shown(&view, &key);
    assert_eq!(told["spend"], json!(0.0));
    assert_eq!(told["budget_reset_at"], json!("1970-01-01T02:00:00.000000Z"));
}

/// The answer and a refusal say the same of what is carried on.
#[test]
fn what_was_overspent_is_shown_from_the_next_period_on_where_it_is_carried_on() {
    let mut key = bare("sk-abcd");
    key.terms.max_budget = Some(NanoUsd(1_000_000));
    key.terms.budget_duration = Some("1h".to_owned());
    key.terms.windows.insert("1h".to_owned(), NanoUsd(500_000));
    let hour = UnixMillis(3_600_000);
    let charge = |line| {
        let pot = PotId { of: EntityId(1_000), line };
        Charge { pot, period: hour, cost: NanoUsd(2_500_000), requests: 1 }
    };
    let charges = vec![charge(Line::Main), charge(Line::Window("1h".to_owned()))];
    let (node, epoch) = (NodeId(1), Epoch(1));
    let made = [Command::CreateKey { key: Box::new(key) }, settle(node, epoch, charges)];
    let mut state = State::new();
    for (seq, command) in (1..).zip(made) {
        let entry = Entry { id: CommandId { node, epoch, seq }, actor: None, command };
        state.apply(seq, UnixMillis(hour.0 + seq), &entry).expect("accepted");
    }
    let mut view = view_of(state);
    let key = Key::clone(view.state.key(&KeyDigest::of("sk-abcd")).expect("the key"));
    for (rollover, hours, spend, of_window) in [
        (true, 1, 0.0025, 0.0025),
        (true, 2, 0.0015, 0.002),
        (false, 2, 0.0, 0.0),
        (true, 3, 0.0, 0.0),
    ] {
        (view.now, view.rollover) = (UnixMillis(hours * hour.0 + 10), rollover);
        let told = shown(&view, &key);
        assert_eq!(told["spend"], json!(spend), "{rollover} {hours}");
        assert_eq!(told["budgets"][0]["spend"], json!(of_window), "{rollover} {hours}");
    }
}

fn settle(node: NodeId, epoch: Epoch, charges: Vec<Charge>) -> Command {
    let (days, claimed) = (DaySums::default(), Vec::new());
    Command::Settle { node, epoch, from: 0, to: 1, charges, days, claimed }
}

#[test]
fn what_a_dead_node_has_of_a_budget_is_told_beside_what_is_spent_until_it_is_back() {
    let mut key = bare("sk-abcd");
    key.terms.max_budget = Some(NanoUsd(8_000_000));
    let (node, epoch, period) = (NodeId(1), Epoch(1), UnixMillis(0));
    let pot = PotId { of: EntityId(1_000), line: Line::Main };
    let (amount, least, limit) = (NanoUsd(4_000_000), NanoUsd(0), None);
    let grant =
        Grant { pot: pot.clone(), period, least, amount, limit, window: None, carries: None };
    let charges = vec![Charge { pot, period, cost: NanoUsd(1_500_000), requests: 1 }];
    let grants = vec![grant];
    let made = [
        Command::AddNode { node, address: "n1:4100".to_owned() },
        Command::CreateKey { key: Box::new(key) },
        Command::Lease { node, epoch, number: 1, returns: Vec::new(), grants },
        settle(node, epoch, charges),
    ];
    for (then, withheld) in [
        (vec![], None),
        (vec![Command::MarkDown { node }], Some(0.0025)),
        (vec![Command::MarkDown { node }, Command::MarkUp { node }], None),
    ] {
        let view = view_of(state_after(made.clone().into_iter().chain(then)));
        let key = Key::clone(view.state.key(&KeyDigest::of("sk-abcd")).expect("the key"));
        let told = shown(&view, &key);
        assert_eq!(told["spend"], json!(0.0015));
        assert_eq!(told.get("withheld"), withheld.map(|usd| json!(usd)).as_ref());
    }
}
