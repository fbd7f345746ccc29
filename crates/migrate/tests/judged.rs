//! What the API would refuse is not said to move: a preview that keeps a row is believed.

use dunlin_ledger::Calendar;
use dunlin_migrate::{Dump, Options, Outcome, Way, plan};
use dunlin_types::UnixMillis;

/// What becomes of a key with one cell, and where it stands.
fn outcome(column: &str, cell: &str) -> String {
    let mut dump = Dump::new();
    let mut reader = dump.csv("keys.csv", "LiteLLM_VerificationToken");
    let quoted = cell.replace('"', "\"\"");
    let row = format!("{},\"{quoted}\"", "a".repeat(64));
    for line in [format!("token,{column}"), row] {
        reader.line(line.as_bytes()).expect("CSV");
    }
    reader.end().expect("a whole table");
    let (now, calendar) = (UnixMillis(0), Calendar::default());
    let options = Options { now, calendar, salt: None, master: None, drop_guards: false };
    let planned = plan(&dump, &options);
    let item = &planned.items[0];
    let place = format!("{}:{}", item.place.file, item.place.line);
    match &item.outcome {
        Outcome::Kept => format!("{place} kept"),
        Outcome::Needless(why) => format!("{place} needless: {why}"),
        Outcome::Changed(findings) => format!("{place} changed: {}", findings[0].reason),
        Outcome::Unsupported(findings) => format!("{place} unsupported: {}", findings[0].reason),
    }
}

#[test]
fn each_value_is_judged_as_the_import_judges_it() {
    let long = "n".repeat(257);
    for (column, cell, word) in [
        ("max_budget", "5", "kept"),
        ("max_budget", "0.000000001", "kept"),
        ("max_budget", "18446744073", "kept"),
        ("max_budget", "18446744074", "unsupported"),
        ("max_budget", "1e40", "unsupported"),
        ("max_budget", "1e400", "unsupported"),
        ("max_budget", "1e-13", "unsupported"),
        ("max_budget", "-1e-13", "unsupported"),
        ("max_budget", "-1", "changed"),
        ("max_budget", "NaN", "changed"),
        ("max_budget", "-Infinity", "changed"),
        ("max_budget", "five", "unsupported"),
        ("spend", "0", "kept"),
        ("spend", "1e-13", "kept"),
        ("spend", "1e40", "unsupported"),
        ("spend", "-1", "changed"),
        ("spend", "NaN", "changed"),
        ("rpm_limit", "9223372036854775807", "kept"),
        ("rpm_limit", "-1", "changed"),
        ("rpm_limit", "1.5", "unsupported"),
        ("budget_duration", "30d", "kept"),
        ("budget_duration", "0d", "unsupported"),
        ("budget_duration", "2mo", "unsupported"),
        ("budget_duration", "often", "changed"),
        ("budget_limits", r#"[{"budget_duration": "1d", "max_budget": 1e40}]"#, "unsupported"),
        ("budget_limits", r#"[{"budget_duration": "0s", "max_budget": 1}]"#, "unsupported"),
        ("budget_limits", r#"[{"budget_duration": "1d", "max_budget": "5"}]"#, "changed"),
        (
            "budget_limits",
            r#"[{"budget_duration": "1d", "max_budget": 5}, {"budget_duration": "1d", "max_budget": 6}]"#,
            "unsupported",
        ),
        ("model_max_budget", r#"{"a": 5}"#, "changed"),
        ("model_max_budget", r#"{"a": -5}"#, "unsupported"),
        ("model_max_budget", r#"{"a": {"max_budget": 1e-13}}"#, "unsupported"),
        ("model_max_budget", r#"{"a": {"rpm_limit": -1}}"#, "unsupported"),
        ("model_max_budget", r#"{"a": {"max_budget": 1, "budget_limit": 2}}"#, "unsupported"),
        ("metadata", r#"{"model_rpm_limit": {"a": 5}}"#, "kept"),
        ("metadata", r#"{"model_rpm_limit": {"a": -5}}"#, "unsupported"),
        ("key_alias", "app", "kept"),
        ("key_alias", &long, "unsupported"),
    ] {
        let found = outcome(column, cell);
        assert!(found.starts_with(&format!("keys.csv:2 {word}")), "{column} {cell}: {found}");
    }
    let windows: Vec<_> = (1..=17)
        .map(|days| format!(r#"{{"budget_duration": "{days}d", "max_budget": 5}}"#))
        .collect();
    let told = outcome("budget_limits", &format!("[{}]", windows.join(",")));
    assert_eq!(told, "keys.csv:2 unsupported: it has 17 entries, and may have 16");
    let told = outcome("max_budget", "1e40");
    let expected = "1e+40 would be refused: Input should be at most 18 billion";
    assert_eq!(told, format!("keys.csv:2 unsupported: {expected}"));
}

/// What such a row of keys tells the cluster of the end of its period.
fn ends(duration: &str) -> Option<String> {
    let mut dump = Dump::new();
    let mut reader = dump.csv("keys.csv", "LiteLLM_VerificationToken");
    let row = format!("{},0,{duration},2027-01-15 11:22:33.456", "a".repeat(64));
    let head = "token,spend,budget_duration,budget_reset_at".to_owned();
    for line in [head, row] {
        reader.line(line.as_bytes()).expect("CSV");
    }
    reader.end().expect("a whole table");
    let (now, calendar) = (UnixMillis(0), Calendar::default());
    let options = Options { now, calendar, salt: None, master: None, drop_guards: false };
    let planned = plan(&dump, &options);
    let Some(Way::Import(row)) = &planned.items[0].way else { panic!("{:?}", planned.items[0]) };
    let row: serde_json::Value = serde_json::from_str(row.get()).expect("JSON");
    row["fields"]["budget_reset_at"].as_str().map(str::to_owned)
}

#[test]
fn a_period_that_is_counted_from_a_day_goes_on_though_nothing_was_spent_in_it() {
    assert_eq!(ends("90d").as_deref(), Some("2027-01-15T11:22:33.456Z"));
    assert_eq!(ends("30d"), None, "the calendar says when it begins");
}
