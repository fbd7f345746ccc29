//! LiteLLM's newest columns: a guard in one of them moves, or its row is named.

mod planned;

use dunlin_migrate::{Outcome, Plan, Way};
use planned::planned;
use serde_json::{Value, json};

/// The fields of a row that moves, and in which of them it changes.
fn moved(plan: &Plan, object: &str) -> (Value, Vec<String>) {
    let item = plan.items.iter().find(|item| item.object == object);
    let item = item.unwrap_or_else(|| panic!("{object}"));
    let changed = match &item.outcome {
        Outcome::Kept => Vec::new(),
        Outcome::Changed(findings) => findings.iter().map(|f| f.field.clone()).collect(),
        Outcome::Unsupported(_) | Outcome::Needless(_) => panic!("{object}: {:?}", item.outcome),
    };
    let Some(Way::Import(row)) = &item.way else { panic!("{object} is imported") };
    let row: Value = serde_json::from_str(row.get()).expect("JSON");
    (row["fields"].clone(), changed)
}

fn check(plan: &Plan, object: &str, expected: &Value, changes: &[&str]) {
    let (fields, changed) = moved(plan, object);
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(&fields[name], value, "{object}: {name}");
    }
    assert_eq!(changed, changes, "{object}");
}

#[test]
fn guards_in_the_newest_columns_move() {
    let key = "a".repeat(64);
    let keys = format!(
        "token,key_name,tpd_limit,budget_fallbacks,key_type,total_spend,settings_updated_at\n\
         {key},sk-...0001,7,\"{{\"\"a\"\": [\"\"b\"\"]}}\",llm_api,4,1970-01-01 00:00:00"
    );
    let plan = planned(&[
        (
            "LiteLLM_BudgetTable",
            "budget_id,max_budget,tpd_limit,allowed_models,temp_budget_increase,temp_budget_expiry\n\
             more,5,9,{},2.5,1970-01-02 00:00:00\nover,5,,{},2.5,1970-01-01 00:00:00\n\
             scoped,5,,{chat},,",
        ),
        ("LiteLLM_TeamTable", "team_id,tpd_limit\nred,8"),
        ("LiteLLM_EndUserTable", "user_id,models,blocked\nheld,{gpt-4o},f\nfree,{},f"),
        ("LiteLLM_VerificationToken", &keys),
    ]);
    let more = json!({
        "tpd_limit": 9, "temp_budget_increase": 2.5,
        "temp_budget_expiry": "1970-01-02T00:00:00.000Z"
    });
    check(&plan, "budget `more`", &more, &[]);
    check(&plan, "budget `over`", &json!({"temp_budget_increase": null}), &[]);
    check(&plan, "budget `scoped`", &json!({"allowed_models": null}), &["allowed_models"]);
    check(&plan, "team `red`", &json!({"tpd_limit": 8}), &[]);
    check(&plan, "customer `held`", &json!({"models": ["gpt-4o"]}), &[]);
    let key = json!({"tpd_limit": 7, "budget_fallbacks": {"a": ["b"]}, "key_type": "llm_api"});
    check(&plan, "key sk-...0001", &key, &[]);
    let free = plan.items.iter().find(|item| item.object == "customer `free`").expect("a row");
    assert!(matches!(free.outcome, Outcome::Needless(_)), "{:?}", free.outcome);
    assert!(!plan.leaves_out(), "all of it moves");
}

#[test]
fn an_unknown_column_is_told_of_each_row_in_which_something_stands() {
    let plan = planned(&[
        ("LiteLLM_TeamTable", "team_id,members,walls,doors\nred,{ann},,{}\nblue,{},high,"),
        ("LiteLLM_EndUserTable", "user_id,walls\nseen,\nheld,high"),
    ]);
    check(&plan, "team `red`", &json!({}), &[]);
    check(&plan, "user `ann` in team `red`", &json!({}), &[]);
    check(&plan, "team `blue`", &json!({}), &["walls"]);
    check(&plan, "customer `held`", &json!({}), &["walls"]);
    let pair = |table: &str| (table.to_owned(), "walls".to_owned());
    assert_eq!(plan.strange, [pair("LiteLLM_EndUserTable"), pair("LiteLLM_TeamTable")]);
    assert!(plan.leaves_out(), "who reads the exit code alone must know");
}

#[test]
fn what_was_counted_before_the_move_is_known_as_history() {
    let tables = ["LiteLLM_BudgetWindowSpend", "LiteLLM_DailyGlobalSpend"];
    let plan = planned(&tables.map(|table| (table, "id,spend\nx,1")));
    assert_eq!(plan.tables.len(), tables.len());
    assert!(!plan.leaves_out(), "{:?}", plan.tables);
    let guards = "LiteLLM_ModelAccessGroupBudgetTable";
    let plan = planned(&[(guards, "access_group_name,budget_id\nbeta,b")]);
    let [note] = &plan.tables[..] else { panic!("{:?}", plan.tables) };
    let Outcome::Unsupported(findings) = &note.outcome else { panic!("{:?}", note.outcome) };
    assert!(findings[0].reason.contains("PUT /access_group/"), "{findings:?}");
}
