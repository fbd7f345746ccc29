//! What must come with its evidence: providers with recordings, endpoints with tests, folders
//! with a README, crates with a head.

use crate::tree::{self, Report};

const READMES: &[&str] = &["", "crates", "proto", "cluster", "chaos", "bench"];

#[test]
fn every_provider_has_recordings() {
    let mut report = Report::default();
    for source in tree::files("crates/providers/src") {
        if !source.code().contains("static PROVIDER:") || source.is_test() {
            continue;
        }
        let name = source.name().trim_end_matches(".rs");
        let folder = format!("crates/providers/testdata/{name}");
        if tree::files(&folder).is_empty() {
            let mend = format!("drop recorded answers into {folder}/");
            report.add(&source.path, "the provider has no recordings", &mend);
        }
    }
    report.done();
}

#[test]
fn every_admin_endpoint_has_a_test() {
    let mut report = Report::default();
    for source in tree::files("crates/admin/src/endpoints") {
        if source.is_test() {
            continue;
        }
        let apart = format!("{}/tests.rs", source.path.trim_end_matches(".rs"));
        let apart = std::fs::read_to_string(tree::root().join(apart)).unwrap_or_default();
        if ![source.text, apart].iter().any(|text| text.contains("test]")) {
            let mend = "call its handler and look at the answer, in `mod tests` of the same file";
            report.add(&source.path, "the endpoint has no test", mend);
        }
    }
    report.done();
}

#[test]
fn readmes_stand_where_people_look() {
    let mut report = Report::default();
    for folder in READMES {
        let path = tree::root().join(folder);
        let readme = path.join("README.md");
        if path.is_dir() && !readme.is_file() {
            report.add(folder, "has no README.md", "say what it is and what to read first");
        }
    }
    report.done();
}

#[test]
fn every_crate_says_what_it_does_not_know() {
    let mut report = Report::default();
    for name in tree::names_in("crates").iter().filter(|name| !name.contains('.')) {
        let path = format!("crates/{name}/src/lib.rs");
        let text = tree::read(&path);
        let head = text.lines().take_while(|line| line.starts_with("//!")).count();
        if head < 3 {
            let mend = "purpose, what it does not know, invariants, the file to read first";
            report.add(&path, &format!("the head has {head} lines"), mend);
        }
    }
    report.done();
}
