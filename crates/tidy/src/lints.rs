//! The lints and bans themselves: taking one out must be seen.

use crate::tree::{self, Report};

const RUST: &[(&str, &str)] = &[("unsafe_code", "forbid"), ("unreachable_pub", "deny")];
const CLIPPY: &[&str] = &[
    "unwrap_used",
    "todo",
    "dbg_macro",
    "print_stdout",
    "wildcard_enum_match_arm",
    "too_many_lines",
    "too_many_arguments",
    "allow_attributes_without_reason",
    "await_holding_lock",
    "unused_async",
];
const BANS: &[&str] = &[
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "tokio::time::Instant::now",
    "tokio::spawn",
    "tokio::sync::mpsc::unbounded_channel",
    "std::env::var",
    "std::process::exit",
    "std::collections::HashMap::iter",
    "std::collections::HashMap::keys",
    "std::collections::HashMap::values",
];
const THRESHOLDS: &[(&str, i64)] =
    &[("too-many-lines-threshold", 70), ("too-many-arguments-threshold", 6)];

fn parse(path: &str) -> toml::Table {
    tree::read(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_lints_are_in_force() {
    let manifest = parse("Cargo.toml");
    let level = |tool: &str, lint: &str| {
        let lints = manifest.get("workspace")?.get("lints")?.get(tool)?;
        Some(lints.get(lint)?.as_str()?.to_owned())
    };
    let mut report = Report::default();
    let clippy = CLIPPY.iter().map(|lint| ("clippy", *lint, "deny"));
    let rust = RUST.iter().map(|(lint, at)| ("rust", *lint, *at));
    for (tool, lint, expected) in rust.chain(clippy) {
        if level(tool, lint).as_deref() != Some(expected) {
            let mend = format!("[workspace.lints.{tool}] {lint} = \"{expected}\"");
            report.add("Cargo.toml", &format!("lint `{lint}` is not at its level"), &mend);
        }
    }
    report.done();
}

#[test]
fn the_bans_are_in_force_and_give_their_reason() {
    let clippy = parse(".clippy.toml");
    let banned = clippy.get("disallowed-methods").and_then(toml::Value::as_array);
    let banned = banned.expect(".clippy.toml: disallowed-methods is a list");
    let mut report = Report::default();
    for path in BANS {
        let ban = banned.iter().find(|ban| ban.get("path").and_then(|p| p.as_str()) == Some(path));
        if ban.and_then(|ban| ban.get("reason")).is_none() {
            let mend = format!("{{ path = \"{path}\", reason = \"…\" }} in disallowed-methods");
            report.add(".clippy.toml", &format!("`{path}` is not banned with a reason"), &mend);
        }
    }
    for (name, value) in THRESHOLDS {
        if clippy.get(*name).and_then(toml::Value::as_integer) != Some(*value) {
            report.add(".clippy.toml", &format!("{name} differs"), &format!("{name} = {value}"));
        }
    }
    report.done();
}
