//! What may stand where, and under which name.

use crate::tree::{self, Report};

/// All that the root may hold.
const ROOT: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "bench",
    "chaos",
    "cluster",
    "crates",
    "docs",
    "node",
    "proto",
];
/// File names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager"];

#[test]
fn the_root_holds_only_what_is_listed() {
    let mut report = Report::default();
    for name in tree::names_in("") {
        if !ROOT.contains(&name.as_str()) {
            let mend = "move it into the folder it belongs to, or list it in tidy with the reason";
            report.add(&name, "does not belong in the root", mend);
        }
    }
    report.done();
}

#[test]
fn names_say_what_is_inside() {
    let mut report = Report::default();
    for source in tree::files("").iter().filter(|source| source.is_rust()) {
        let mut parts = source.path.split(['/', '.']);
        if let Some(empty) = parts.find(|part| EMPTY_NAMES.contains(part)) {
            let mend = "name it for the type it acts on, and put it beside that type";
            report.add(&source.path, &format!("`{empty}` says nothing"), mend);
        }
    }
    report.done();
}
