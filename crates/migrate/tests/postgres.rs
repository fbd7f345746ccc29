//! Dumps that a real PostgreSQL made of tables in LiteLLM's layout, in every form that is read: what
//! becomes of each row.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dunlin_ledger::Calendar;
use dunlin_migrate::{Dump, Item, Options, Outcome, Plan, Way, plan};
use dunlin_types::{KeyDigest, Secret, UnixMillis};
use serde_json::{Value, json};

/// Makes dumps anew; what it made once is beside it.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/postgres/dump.sh")
}

fn recorded() -> PathBuf {
    script().with_file_name("recorded")
}

/// What is read of a folder in one form.
fn read(folder: &Path, form: &str) -> Dump {
    let mut dump = Dump::new();
    if form != "csv" {
        let text = fs::read(folder.join(form)).expect("a dump");
        let mut reader = dump.sql(form);
        for line in text.split(|byte| *byte == b'\n') {
            reader.line(line).expect("plain SQL");
        }
        reader.end().expect("a whole dump");
        return dump;
    }
    for entry in fs::read_dir(folder.join("csv")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let table = path.file_stem().and_then(|stem| stem.to_str()).expect("a table").to_owned();
        let mut reader = dump.csv(&table, &table);
        let text = fs::read(&path).expect("a table");
        for line in text.split(|byte| *byte == b'\n') {
            reader.line(line).expect("CSV");
        }
        reader.end().expect("a whole table");
    }
    dump
}

fn planned(folder: &Path, form: &str, drop_guards: bool) -> Plan {
    let made = fs::read_to_string(folder.join("made-by")).expect("when it was made");
    let now = made.trim().rsplit('|').next().and_then(|ms| ms.parse().ok()).expect("a time");
    let options = Options {
        now: UnixMillis(now),
        calendar: Calendar::default(),
        salt: Some(Secret::new("sk-salt-of-the-test-0123")),
        master: None,
        drop_guards,
    };
    plan(&read(folder, form), &options)
}

/// An outcome and the fields it is about.
fn told(outcome: &Outcome) -> String {
    let (word, findings) = match outcome {
        Outcome::Kept => return "kept".to_owned(),
        Outcome::Needless(_) => return "needless".to_owned(),
        Outcome::Changed(findings) => ("changed", findings),
        Outcome::Unsupported(findings) => ("unsupported", findings),
    };
    let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
    format!("{word}: {}", fields.join(" "))
}

const TEAM_KEY: &str = "key sk-...6789 (tab\tnew\nline \\N \"quoted\" {curly,list} ünïcode ✓)";

const OUTCOMES: &[(&str, &str)] = &[
    ("budget `free`", "kept"),
    ("budget `org`", "kept"),
    ("budget `member`", "kept"),
    ("budget `scoped`", "changed: allowed_models"),
    ("organization `acme`", "kept"),
    ("user `default_user_id`", "needless"),
    ("user `ann` (Ann@Example.com)", "changed: password"),
    ("user `ann2` (ann@example.com)", "changed: user_email user_role"),
    ("user `bob`", "changed: max_budget"),
    ("user `dora`", "unsupported: policies"),
    ("team `Blue 'team'` (blue)", "changed: access_group_ids metadata.logging"),
    ("team `red`", "kept"),
    ("team `Guarded` (guarded)", "unsupported: policies"),
    ("team `old`", "kept"),
    ("user `ann` in organization `acme`", "kept"),
    ("user `ann` in team `blue`", "changed: budget_reset_at"),
    ("user `bob` in team `blue`", "kept"),
    ("user `gone` in team `blue`", "needless"),
    ("user `carl` in team `old`", "kept"),
    ("user `eve` in team `old`", "kept"),
    ("user `left` in team `old`", "needless"),
    ("tag `prod`", "kept"),
    ("tag `routed`", "changed: models"),
    ("customer `seen`", "needless"),
    ("customer `paying`", "changed: budget_reset_at"),
    ("customer `bad`", "kept"),
    ("customer `eu`", "kept"),
    ("key sk-...6789 (app)", "kept"),
    (TEAM_KEY, "kept"),
    ("key sk-...6789 (spent)", "kept"),
    ("key sk-...6789 (month)", "kept"),
    ("key sk-...6789 (over)", "changed: spend"),
    ("key sk-...6789 (app)", "changed: key_alias budget_duration budget_reset_at"),
    ("key sk-...6789 (blocked)", "kept"),
    ("key sk-...6789 (shared)", "changed: budget_reset_at"),
    ("key sk-...ui", "needless"),
    ("key sk-...rded", "unsupported: guardrails"),
    ("key sk-...ools", "unsupported: object_permission"),
    ("key sk-...phan", "unsupported: team_id"),
    ("key sk-...6789", "changed: budget_limits model_max_budget model_max_budget"),
    ("key sk-...hash", "unsupported: token"),
    ("key sk-...dora", "unsupported: user_id"),
    ("key sk-...carl", "kept"),
    ("key sk-...left", "unsupported: team_id"),
    ("the former text of a key", "kept"),
    ("the former text of a key", "needless"),
    ("model `boxed`", "kept"),
    ("model `gcm`", "kept"),
    ("model `lost`", "unsupported: litellm_params.model"),
    ("credential `upstream`", "kept"),
    ("general_settings", "unsupported: "),
    ("litellm_settings", "needless"),
    ("environment_variables", "unsupported: "),
];

const FORMS: &[&str] = &["copy.sql", "inserts.sql", "column-inserts.sql", "csv"];

/// Every row once, in any order, in every form alike.
fn check(folder: &Path) {
    for form in FORMS {
        let plan = planned(folder, form, false);
        let mut found: Vec<_> =
            plan.items.iter().map(|item| (item.object.clone(), told(&item.outcome))).collect();
        let mut expected: Vec<_> = OUTCOMES
            .iter()
            .map(|(object, outcome)| ((*object).to_owned(), (*outcome).to_owned()))
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{form}");
        check_rows(&plan, form);
        check_tables(&plan, form);
    }
}

fn item<'p>(plan: &'p Plan, object: &str) -> &'p Item {
    plan.items.iter().find(|item| item.object == object).unwrap_or_else(|| panic!("{object}"))
}

fn fields(plan: &Plan, object: &str) -> Value {
    let way = item(plan, object).way.as_ref().unwrap_or_else(|| panic!("{object} moves"));
    let read = |row: &str| -> Value { serde_json::from_str(row).expect("JSON") };
    match way {
        Way::Import(row) => read(row.get())["fields"].take(),
        Way::Post(_, body) => read(body.get()),
    }
}

fn check_rows(plan: &Plan, form: &str) {
    assert_eq!(
        fields(plan, "organization `acme`")["organization_alias"],
        "Acme \"R&D\"\tand\nSons \\ Töchter",
        "{form}"
    );
    let ann = fields(plan, "user `ann` (Ann@Example.com)");
    assert_eq!(ann["metadata"]["note"], "tab\t, newline\n, quote \", backslash \\, ✓");
    assert_eq!(ann["created_at"], "2024-02-03T04:05:06.789Z");
    let blue = fields(plan, "team `Blue 'team'` (blue)");
    assert_eq!(blue["model_aliases"], json!({"mine": "chat"}));
    assert_eq!(blue["models"], json!(["chat", "other"]), "with those of its access group");
    assert_eq!(blue["team_member_budget_id"], "member");
    assert_eq!(blue["metadata"]["tags"], json!(["prod", "a, b"]));
    assert_eq!((&blue["spend"], &blue["organization_id"]), (&json!(7.5), &json!("acme")));
    let member = fields(plan, "user `ann` in team `blue`");
    assert_eq!((&member["role"], &member["spend"]), (&json!("admin"), &json!(0.0625)));
    let key = fields(plan, TEAM_KEY);
    assert_eq!(key["token"], KeyDigest::of("sk-moved-team-0123456789").to_string());
    assert_eq!(key["key_alias"], "tab\tnew\nline \\N \"quoted\" {curly,list} ünïcode ✓");
    assert_eq!(key["models"], json!(["chat", "with space", "a,b", "q\"q", "b\\s"]), "{form}");
    assert_eq!(key["tpm_limit"], json!(9_007_199_254_740_993_u64));
    assert_eq!(key["expires"], "2099-12-31T23:59:59.999Z");
    assert_eq!(key["enforced_params"], json!(["user"]));
    assert_eq!(key["blocked"], json!(false));
    let app = fields(plan, "key sk-...6789 (app)");
    assert_eq!(app["spend"], json!(0.000_012_3));
    let former = KeyDigest::of("sk-moved-former-0123456789").to_string();
    assert_eq!(app["former"], json!([{"token": former, "until": "2098-12-31T18:30:00.000Z"}]));
    assert_eq!(fields(plan, "key sk-...6789 (spent)")["spend"], json!(2.000_000_001));
    let over = fields(plan, "key sk-...6789 (over)");
    assert_eq!((&over["spend"], &over["max_budget"]), (&Value::Null, &json!(5.0)));
    let boxed = fields(plan, "model `boxed`");
    let params = json!({"model": "openai/gpt-4o", "api_key": "sk-upstream-of-the-test", "rpm": 5,
        "use_in_pass_through": false});
    assert_eq!((&boxed["litellm_params"], &boxed["model_info"]["id"]), (&params, &json!("m-box")));
    let secret = &fields(plan, "credential `upstream`")["credential_values"]["api_key"];
    assert_eq!(secret, "sk-upstream-of-the-test");
    let limited = fields(plan, "key sk-...6789");
    assert_eq!(
        limited["model_max_budget"],
        json!({"chat": {"budget_limit": 1, "time_period": "1d"}})
    );
    assert_eq!(limited["budget_limits"], json!([{"budget_duration": "1d", "max_budget": 3}]));
}

fn check_tables(plan: &Plan, form: &str) {
    let told: Vec<_> = plan
        .tables
        .iter()
        .map(|table| (table.name.as_str(), table.rows, told(&table.outcome)))
        .collect();
    let expected = [
        ("LiteLLM_AccessGroupTable", 1, "needless"),
        ("LiteLLM_DeletedVerificationToken", 1, "needless"),
        ("LiteLLM_GuardrailsTable", 1, "unsupported: "),
        ("LiteLLM_ModelTable", 1, "needless"),
        ("LiteLLM_ObjectPermissionTable", 2, "needless"),
        ("LiteLLM_SomethingNew", 1, "unsupported: "),
        ("LiteLLM_SpendLogs", 2, "needless"),
    ];
    let expected = expected.map(|(name, rows, outcome)| (name, rows, outcome.to_owned()));
    assert_eq!(told, expected, "{form}");
    let none: [(String, String); 0] = [];
    assert_eq!(plan.strange, none, "{form}: nothing stands in `from_the_future`");
}

#[test]
fn a_recorded_dump_is_planned_alike_in_every_form() {
    check(&recorded());
}

#[test]
fn every_row_is_told_with_its_line() {
    let text = fs::read_to_string(recorded().join("copy.sql")).expect("the dump");
    let lines: Vec<_> = text.lines().collect();
    let plan = planned(&recorded(), "copy.sql", false);
    for (object, begins) in [
        ("budget `free`", "free\t1.5\t"),
        ("team `red`", "red\t\\N\t"),
        ("user `bob` in team `blue`", "bob\tblue\t"),
        ("customer `eu`", "eu\t"),
    ] {
        let place = &item(&plan, object).place;
        let line = lines[usize::try_from(place.line).expect("small") - 1];
        assert!(line.starts_with(begins), "{object} is said to be in line {}: {line}", place.line);
        assert_eq!(place.file.as_ref(), "copy.sql");
    }
    assert!(plan.made_by.is_some_and(|version| version.starts_with("15.")));
}

#[test]
fn guards_that_are_not_enforced_are_dropped_only_on_request() {
    let plan = planned(&recorded(), "copy.sql", true);
    for (object, outcome) in [
        ("key sk-...rded", "changed: guardrails"),
        ("team `Guarded` (guarded)", "changed: policies"),
        ("key sk-...dora", "kept"),
        ("key sk-...phan", "unsupported: team_id"),
    ] {
        assert_eq!(told(&item(&plan, object).outcome), outcome, "{object}");
    }
    let guarded = fields(&plan, "key sk-...rded");
    assert_eq!(guarded.get("guardrails"), None);
}

#[test]
fn nothing_that_is_told_is_secret() {
    let plan = planned(&recorded(), "copy.sql", false);
    let told = dunlin_migrate::text(&[], Some(&plan));
    let whole = Value::Object(dunlin_migrate::json(&[], Some(&plan))).to_string();
    for secret in ["sk-upstream-of-the-test", "sk-salt-of-the-test", "v3:gcm:", "scrypt:x"] {
        assert!(!told.contains(secret) && !whole.contains(secret), "{secret}");
    }
    assert!(told.contains("LiteLLM_SpendLogs, 2 rows: "), "{told}");
    assert!(told.contains("copy.sql:"), "{told}");
    let obeyed = told.chars().any(|c| c.is_control() && c != '\n');
    assert!(!obeyed, "a name must not steer the terminal: {told}");
}

/// Where there is a PostgreSQL, what it makes today is planned like what was recorded.
#[test]
fn a_fresh_dump_is_planned_like_the_recorded_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new(script()).arg(folder.path()).output().expect("bash");
    match made.status.code() {
        Some(0) => check(folder.path()),
        Some(3) => eprintln!("no PostgreSQL on this machine: only the recorded dump was read"),
        _ => panic!("{}", String::from_utf8_lossy(&made.stderr)),
    }
}
