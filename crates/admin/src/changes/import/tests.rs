//! Rows from elsewhere: read as they were, spent as they had, and compared with what is there.

use dunlin_ledger::Calendar;
use dunlin_router::{Alias, Catalog, Group};
use serde_json::json;

use super::*;
use crate::rows::row::tests::{state_after, view_of};

fn row(kind: ImportKind, fields: Value) -> ImportRow {
    let Value::Object(fields) = fields else { panic!("an object") };
    ImportRow { kind, fields }
}

fn read(row: &ImportRow, state: &State) -> Result<Candidate, Error> {
    Candidate::read(row, &view_of(state.clone()), None)
}

fn step(row: &ImportRow, state: &State, overwrite: bool) -> Step {
    let candidate = read(row, state).unwrap_or_else(|error| panic!("{}", error.told()));
    candidate.step(state, overwrite)
}

fn team(alias: &str, spend: f64) -> ImportRow {
    row(
        ImportKind::Team,
        json!({"team_id": "t", "team_alias": alias, "max_budget": 5, "spend": spend,
            "budget_duration": "1d", "created_at": "1970-01-01T00:00:00.500Z"}),
    )
}

#[test]
fn a_row_is_made_once_and_told_apart_from_another() {
    let none = State::new();
    let made = step(&team("T", 2.5), &none, false);
    assert_eq!(made.outcome, ImportedRow::Made);
    let state = state_after([Command::All { commands: made.commands }]);
    let team_now = state.entity(Kind::Team, "t").expect("the team");
    assert_eq!(team_now.created_at, UnixMillis(500));
    let spent = |state: &State| state.spend(&PotId { of: team_now.id, line: Line::Main }).0;
    assert_eq!(spent(&state), NanoUsd(2_500_000_000));

    let again = step(&team("T", 1.0), &state, false);
    assert_eq!((&again.outcome, again.commands.len()), (&ImportedRow::Unchanged, 0));
    let other = step(&team("Other", 1.0), &state, false);
    let told = "it already exists: it differs in alias".to_owned();
    assert_eq!((&other.outcome, other.commands.len()), (&ImportedRow::Conflict(told), 0));
    let over = step(&team("Other", 1.0), &state, true);
    assert_eq!((&over.outcome, over.commands.len()), (&ImportedRow::Replaced, 2));
    assert_eq!(step(&team("T", 2.5), &state, true).outcome, ImportedRow::Unchanged);
    assert_eq!(step(&team("T", 1.0), &state, true).outcome, ImportedRow::Replaced);
}

/// Periods that no calendar counts begin with the day of the import, unless a row says when one ends.
#[test]
fn a_row_whose_periods_are_counted_from_a_day_stays_when_it_comes_again() {
    for ends in [None, Some("1970-02-10T11:22:33.456Z")] {
        let fields = json!({"team_id": "t", "budget_duration": "90d", "budget_reset_at": ends});
        let row = row(ImportKind::Team, fields);
        let made = step(&row, &State::new(), false);
        let state = state_after([Command::All { commands: made.commands }]);
        assert!(state.entity(Kind::Team, "t").expect("it").terms.budget_since.is_some());
        assert_eq!(step(&row, &state, false).outcome, ImportedRow::Unchanged, "{ends:?}");
    }
}

#[test]
fn what_was_spent_in_a_period_that_is_over_is_not_spent_in_this_one() {
    // It is 10 s after the beginning of time.
    for (ends, spent) in [("1970-01-01T00:00:05Z", 0), ("1970-01-02T00:00:00Z", 2)] {
        let mut row = team("T", 2.0);
        row.fields.insert("budget_reset_at".to_owned(), ends.into());
        let candidate = read(&row, &State::new()).expect("a row");
        assert_eq!(candidate.spent, NanoUsd(spent * 1_000_000_000), "{ends}");
        row.fields.remove("budget_duration");
        let candidate = read(&row, &State::new()).expect("a row");
        assert_eq!(candidate.spent, NanoUsd(2_000_000_000), "there are no periods");
    }
}

#[test]
fn a_key_comes_with_its_hash_and_its_former_texts() {
    let token = |clear: &str| KeyDigest::of(clear).to_string();
    let fields = json!({"token": token("sk-now"), "key_name": "sk-...-now", "spend": 1,
        "key_alias": "app", "former": [{"token": token("sk-then"), "until": "1970-02-01"},
        {"token": token("sk-later"), "until": "1970-03-01"}]});
    let key = row(ImportKind::Key, fields);
    let made = step(&key, &State::new(), false);
    let state = state_after([Command::All { commands: made.commands }]);
    let known = |clear: &str| {
        let caller = state.authenticate(KeyDigest::of(clear), &[], UnixMillis(10_000));
        caller.map(|caller| caller.key.name.clone())
    };
    for clear in ["sk-now", "sk-then", "sk-later"] {
        assert_eq!(known(clear), Ok("sk-...-now".to_owned()), "{clear}");
    }
    assert_eq!(state.keys().count(), 1);
    let present = state.key(&KeyDigest::of("sk-now")).expect("the key");
    assert_eq!(present.limited_by.as_deref(), Some(MASTER_USER), "no owner widens it");
    assert_eq!(state.key_spend(&KeyDigest::of("sk-now")), NanoUsd(1_000_000_000));
    assert_eq!(step(&key, &state, false).outcome, ImportedRow::Unchanged);
    let then = row(ImportKind::Key, json!({"token": token("sk-then"), "key_name": "sk-...then"}));
    for overwrite in [false, true] {
        let twice = step(&then, &state, overwrite);
        assert!(matches!(twice.outcome, ImportedRow::Conflict(_)), "{:?}", twice.outcome);
        assert_eq!(twice.commands.len(), 0);
    }
}

#[test]
fn what_the_api_refuses_is_refused_here_too() {
    for (kind, fields, told) in [
        (ImportKind::Key, json!({"token": "sk-clear"}), "token: expected the SHA-256"),
        (ImportKind::Key, json!({}), "token: Field required"),
        (ImportKind::Team, json!({"team_alias": "x"}), "team_id: Field required"),
        (ImportKind::Team, json!({"team_id": "t", "policies": ["p"]}), "policies: not enforced"),
        (ImportKind::Tag, json!({"name": "t", "models": ["m"]}), "models: not enforced"),
        (ImportKind::User, json!({"user_id": "u", "user_role": "root"}), "user_role: `root`"),
        (ImportKind::TeamMember, json!({"team_id": "t", "user_id": "u"}), "role: Field"),
    ] {
        let refused = read(&row(kind, fields), &State::new()).err().expect("refused").told();
        assert!(refused.starts_with(told), "{refused}");
    }
}

/// A preview says what an import says: whatever is wrong with a row, and with those before it.
#[test]
fn a_preview_refuses_what_an_import_refuses() {
    let group = Group { name: "gpt-4o".into(), deployments: Vec::new() };
    let catalog = Catalog {
        groups: [("gpt-4o".into(), group)].into(),
        aliases: [("fast".into(), Alias { group: "gpt-4o".into(), hidden: false })].into(),
        ..Catalog::default()
    };
    let calendar = Calendar::default();
    let token = |digit: &str| digit.repeat(64);
    let rows = [
        (json!({"kind": "team", "fields": {"team_id": "t", "model_aliases": {"x": "y"}}}), ""),
        (json!({"kind": "team", "fields": {"team_id": "t", "team_alias": "T"}}), "already exists"),
        (
            json!({"kind": "team", "fields": {"team_id": "u",
                "team_member_permissions": ["/team/delete"]}}),
            "`/team/delete` is none of",
        ),
        (
            json!({"kind": "key", "fields": {"token": token("a"), "allowed_routes": ["chat"]}}),
            "`chat` is neither a path nor one of",
        ),
        (
            json!({"kind": "key", "fields": {"token": token("b"), "allowed_routes": ["/chat"],
                "team_id": "t", "key_alias": "k"}}),
            "",
        ),
        (
            json!({"kind": "key", "fields": {"token": token("c"), "key_alias": "k"}}),
            "Key aliases must be unique",
        ),
        (
            json!({"kind": "key", "fields": {"token": token("d"), "model_rpm_limit": {"fast": 1}}}),
            "is no model's own name",
        ),
        (
            json!({"kind": "key", "fields": {"token": token("e"), "team_id": "t",
                "model_rpm_limit": {"x": 1}}}),
            "is no model's own name",
        ),
        (json!({"kind": "key", "fields": {"token": token("f"), "rpm_limit": -1}}), "rpm_limit"),
        (json!({"kind": "table", "fields": {}}), "no row to import"),
    ];
    let preview = Preview {
        catalog: &catalog,
        calendar: &calendar,
        master_key: None,
        now: UnixMillis(10_000),
    };
    let told = preview.refusals(rows.iter().map(|(row, _)| row));
    for ((row, expected), told) in rows.iter().zip(told) {
        let told = told.unwrap_or_default();
        assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{row}: {told}");
    }
}
