//! Who uses whom: every `Cargo.toml` against the table, what pure crates may touch, and the one
//! crate at which each third-party type stops.

use std::collections::BTreeSet;

use crate::table::{self, Kind};
use crate::tree::{self, Report, Source};

/// Crates outside `crates/` and what they may use. `node` may use all and is not listed.
const OUTSIDE: &[(&str, &[&str])] =
    &[("proto", &[]), ("cluster", &["admin-api"]), ("bench", &["cluster", "mock-upstream"])];
/// What `chaos` may use beside every pure crate.
const CHAOS: &[&str] = &["cluster", "mock-upstream"];

/// What a pure crate may take from outside: encoders, value types, hashes, ciphers, a persistent
/// map, a calendar, patterns.
const PURE_DEPENDENCIES: &[&str] = &[
    "base64",
    "bytes",
    "crc32fast",
    "hex",
    "hmac",
    "http",
    "imbl",
    "jiff",
    "memchr",
    "poly1305",
    "regex",
    "ring",
    "salsa20",
    "serde",
    "granit-parser",
    "serde_json",
    "sha2",
    "strsim",
    "subtle",
    "thiserror",
];

/// Words that have no place in a pure crate, and what each would bring in.
const IMPURE: &[(&str, &str)] = &[
    (".await", "async"),
    ("async fn", "async"),
    ("std::thread", "threads"),
    ("thread_local!", "globals"),
    ("static mut", "globals"),
    ("OnceLock", "globals"),
    ("LazyLock", "globals"),
    ("AtomicU", "shared mutable state"),
    ("Mutex<", "shared mutable state"),
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("std::process", "processes"),
    ("TcpStream", "sockets"),
    ("UdpSocket", "sockets"),
    ("ToSocketAddrs", "name resolution"),
    ("SystemTime", "the clock"),
    ("Instant::", "the clock"),
    ("Timestamp::now", "the clock"),
    ("Zoned::now", "the clock"),
    ("TimeZone::get", "the machine's zones"),
    ("TimeZone::system", "the machine's zone"),
    ("RandomState", "randomness"),
];

/// Keeps what follows from constants alone, which no caller can tell from working it out anew.
const MEMO: &str = "crates/llm/src/word.rs";

/// Third-party crates whose types one crate (or two) keeps to itself. Test crates, `bench`,
/// `cluster` and `node` speak to the product over HTTP and may use what they like.
const HOMES: &[(&str, &[&str])] = &[
    ("axum", &["proxy", "admin"]),
    ("chitchat", &["gossip"]),
    ("hyper-rustls", &["egress"]),
    ("openraft", &["consensus"]),
    ("prometheus", &["metrics"]),
    ("prost", &["rpc"]),
    ("sled", &["consensus"]),
    ("tonic", &["rpc"]),
];

struct Manifest {
    path: String,
    toml: toml::Table,
}

impl Manifest {
    fn of(folder: &str) -> Self {
        let path = format!("{folder}/Cargo.toml");
        let toml = tree::read(&path).parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, toml }
    }

    /// The names in one kind of dependency section.
    fn names(&self, section: &str) -> BTreeSet<String> {
        let section = self.toml.get(section).and_then(toml::Value::as_table);
        section.map(|table| table.keys().cloned().collect()).unwrap_or_default()
    }

    /// Our own crates in one kind of dependency section, by folder name.
    fn ours(&self, section: &str) -> BTreeSet<String> {
        let names = self.names(section).into_iter();
        names.filter_map(|name| name.strip_prefix("dunlin-").map(str::to_owned)).collect()
    }
}

#[test]
fn the_table_names_every_crate_and_no_other() {
    let rows = table::read();
    let mut report = Report::default();
    let folders: BTreeSet<String> =
        tree::names_in("crates").into_iter().filter(|name| !name.contains('.')).collect();
    for folder in &folders {
        if !rows.contains_key(folder) {
            let mend = "add its row to crates/README.md: name, kind, lines, may use, purpose";
            report.add(&format!("crates/{folder}"), "is not in the table of crates", mend);
        }
    }
    for (name, row) in &rows {
        if !folders.contains(name) {
            let mend = "add the crate, or take the row out until it exists";
            report.add("crates/README.md", &format!("row `{name}` has no folder"), mend);
        }
        for used in &row.may_use {
            if !folders.contains(used) && used != "proto" {
                let wrong = format!("`{name}` may use `{used}`, which is no crate");
                report.add("crates/README.md", &wrong, "correct the name under `may use`");
            }
        }
    }
    report.done();
}

#[test]
fn crates_use_what_the_table_lets_them_use() {
    let rows = table::read();
    let test_crates: BTreeSet<&str> =
        rows.iter().filter(|(_, row)| row.kind == Kind::Test).map(|(name, _)| &**name).collect();
    let mut report = Report::default();
    for (name, row) in &rows {
        let manifest = Manifest::of(&format!("crates/{name}"));
        let mend = "use what is allowed; a new edge is a design change and its own commit, \
                    with the table in crates/README.md";
        for used in manifest.ours("dependencies").difference(&row.may_use) {
            report.add(&manifest.path, &format!("`{name}` may not use `{used}`"), mend);
        }
        for used in manifest.ours("dev-dependencies").difference(&row.may_use) {
            if !test_crates.contains(used.as_str()) {
                report.add(
                    &manifest.path,
                    &format!("tests of `{name}` may not use `{used}`"),
                    mend,
                );
            }
        }
    }
    report.done();
}

#[test]
fn crates_outside_the_table_keep_to_theirs() {
    let rows = table::read();
    let pure = rows.iter().filter(|(_, row)| row.kind == Kind::Pure).map(|(name, _)| &**name);
    let chaos: Vec<&str> = pure.chain(CHAOS.iter().copied()).collect();
    let mut report = Report::default();
    for (folder, allowed) in OUTSIDE.iter().copied().chain([("chaos", &*chaos)]) {
        if !tree::root().join(folder).join("Cargo.toml").is_file() {
            continue;
        }
        let manifest = Manifest::of(folder);
        for used in manifest.ours("dependencies") {
            if !allowed.contains(&used.as_str()) {
                let mend = format!("`{folder}` uses only: {}", allowed.join(", "));
                report.add(&manifest.path, &format!("`{folder}` may not use `{used}`"), &mend);
            }
        }
    }
    report.done();
}

#[test]
fn package_names_carry_the_product_and_inherit_the_lints() {
    let mut report = Report::default();
    for source in tree::files("").iter().filter(|source| source.name() == "Cargo.toml") {
        let Some((folder, _)) = source.path.rsplit_once('/') else { continue };
        let manifest = Manifest::of(folder);
        let short = folder.rsplit('/').next().unwrap_or(folder);
        let expected = if short == "node" { "dunlin".into() } else { format!("dunlin-{short}") };
        let at = |keys: [&str; 2]| manifest.toml.get(keys[0]).and_then(|table| table.get(keys[1]));
        let name = at(["package", "name"]).and_then(toml::Value::as_str);
        if name != Some(&expected) {
            report.add(&source.path, "the package is not named for its folder", &expected);
        }
        if at(["lints", "workspace"]).and_then(toml::Value::as_bool) != Some(true) {
            report.add(&source.path, "the lints are not inherited", "[lints]\nworkspace = true");
        }
        if manifest.toml.contains_key("features") {
            let mend = "our crates have no features: make it always so, or not at all";
            report.add(&source.path, "declares features", mend);
        }
    }
    report.done();
}

#[test]
fn pure_crates_are_pure() {
    let mut report = Report::default();
    for (name, _) in table::read().iter().filter(|(_, row)| row.kind == Kind::Pure) {
        let folder = format!("crates/{name}");
        let manifest = Manifest::of(&folder);
        for used in manifest.names("dependencies") {
            if !used.starts_with("dunlin-") && !PURE_DEPENDENCIES.contains(&used.as_str()) {
                let mend =
                    "do it at the edge and hand the value in; see `Pure` in crates/README.md";
                report.add(&manifest.path, &format!("a pure crate depends on `{used}`"), mend);
            }
        }
        for source in tree::files(&format!("{folder}/src")) {
            impurities(&source, &mut report);
        }
    }
    report.done();
}

fn impurities(source: &Source, report: &mut Report) {
    if !source.is_rust() || source.is_test() {
        return;
    }
    for (number, line) in source.code().lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        for (word, brings) in IMPURE {
            if code.contains(word) && (source.path != MEMO || *word != "OnceLock") {
                let place = format!("{}:{}", source.path, number + 1);
                let mend = "take the value as an argument; the edge gets it";
                report.add(&place, &format!("`{word}` brings {brings} into a pure crate"), mend);
            }
        }
    }
}

#[test]
fn impurity_is_seen_in_code_and_not_in_comments_or_tests() {
    let check = |text: &str| {
        let source = Source { path: "crates/x/src/lib.rs".to_owned(), text: text.to_owned() };
        let mut report = Report::default();
        impurities(&source, &mut report);
        report.len()
    };
    assert_eq!(check("let now = Instant::now();"), 1);
    assert_eq!(check("// std::fs is for the edge"), 0);
    assert_eq!(check("fn a() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}"), 0);
}

#[test]
fn third_party_types_stop_at_one_crate() {
    let mut report = Report::default();
    for (name, row) in table::read() {
        let manifest = Manifest::of(&format!("crates/{name}"));
        let used = manifest.names("dependencies");
        for (library, homes) in HOMES {
            if row.kind != Kind::Test && used.contains(*library) && !homes.contains(&&*name) {
                let mend = format!("only {} may know {library}; ask it", homes.join(" and "));
                report.add(&manifest.path, &format!("`{name}` depends on {library}"), &mend);
            }
        }
    }
    report.done();
}
