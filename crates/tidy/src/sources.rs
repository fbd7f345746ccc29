//! What every source file owes its reader.

use crate::tree::{self, Report, Source};

/// Lines of code in one file, tests apart. 300 is the aim and not enforced.
const MOST_LINES: usize = 500;
/// Columns of a line of prose. Paragraphs are wrapped at 100; a small edit need not reflow one.
const MOST_COLUMNS: usize = 104;

#[test]
fn files_are_short_enough_to_read() {
    let mut report = Report::default();
    for source in tree::files("").iter().filter(|source| source.is_rust() && !source.is_test()) {
        let lines = source.code().lines().count();
        if lines > MOST_LINES {
            let wrong = format!("{lines} lines of code; the limit is {MOST_LINES}, the aim is 300");
            report.add(&source.path, &wrong, "find the second noun and give it its own file");
        }
    }
    report.done();
}

#[test]
fn files_open_with_what_they_are() {
    let mut report = Report::default();
    for source in tree::files("").iter().filter(|source| source.is_rust()) {
        if !source.text.starts_with("//! ") {
            let mend = "open with `//! ` and one sentence: what it is, what to know first";
            report.add(&source.path, "has no head", mend);
        }
    }
    report.done();
}

#[test]
fn prose_is_wrapped() {
    let mut report = Report::default();
    for source in tree::files("") {
        for (place, line) in prose(&source) {
            let columns = line.chars().count();
            if columns > MOST_COLUMNS {
                let wrong = format!("{columns} columns of prose; the limit is {MOST_COLUMNS}");
                report.add(&place, &wrong, "wrap the paragraph at 100 columns");
            }
        }
    }
    report.done();
}

/// Comments of Rust files and paragraphs of Markdown, without code, tables and links.
fn prose(source: &Source) -> impl Iterator<Item = (String, &str)> {
    let (is_rust, is_markdown) = (source.is_rust(), source.path.ends_with(".md"));
    let mut is_code = false;
    numbered(source).filter(move |(_, line)| {
        let text = line.trim_start();
        let text = if is_rust { text.trim_start_matches(['/', '!']).trim_start() } else { text };
        let is_prose = (is_rust && line.trim_start().starts_with("//"))
            || (is_markdown && !line.starts_with("    "));
        is_code ^= is_prose && text.starts_with("```");
        is_prose && !is_code && !text.starts_with('|') && !text.contains("](http")
    })
}

#[test]
fn code_tables_and_links_are_not_prose() {
    let text = "one\n```sh\ntwo\n```\n| three |\n    four\n[five](https://5)\n- six";
    let source = Source { path: "a.md".to_owned(), text: text.to_owned() };
    let lines: Vec<_> = prose(&source).map(|(_, line)| line).collect();
    assert_eq!(lines, ["one", "```", "- six"]);
    let text = "//! one\nlet two = 2; // two\n    /// | three |";
    let source = Source { path: "a.rs".to_owned(), text: text.to_owned() };
    assert_eq!(prose(&source).map(|(_, line)| line).collect::<Vec<_>>(), ["//! one"]);
}

#[test]
fn nothing_is_silenced_or_left_for_later() {
    // Written apart, so that this file does not find itself.
    let words = [
        (concat!("#[", "allow("), "use #[expect(lint, reason = \"…\")]"),
        (concat!("#![", "allow("), "use #[expect(lint, reason = \"…\")] where it applies"),
        (concat!("#[", "ignore"), "make the test run everywhere, or delete it"),
        (concat!("TO", "DO"), "do it, or leave it out"),
        (concat!("FIX", "ME"), "mend it, or leave it out"),
        (concat!("unimplemented", "!("), "write it, or leave it out"),
    ];
    let mut report = Report::default();
    for source in tree::files("").iter().filter(|source| source.is_rust()) {
        for (place, line) in numbered(source) {
            for (word, mend) in words {
                if line.contains(word) {
                    report.add(&place, &format!("`{word}`"), mend);
                }
            }
        }
    }
    report.done();
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    let mut report = Report::default();
    for source in tree::files("").iter().filter(|source| source.name() != "Cargo.lock") {
        for (place, line) in numbered(source) {
            if let Some(path) = machine_path(line) {
                let mend = "write it relative to the repository, or as a variable the reader sets";
                report.add(&place, &format!("`{path}…` is a path of one machine"), mend);
            }
        }
    }
    report.done();
}

/// The first of the folders that only one machine has, standing at the start of a path.
fn machine_path(line: &str) -> Option<String> {
    let folders = ["work", "farm", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    folders.into_iter().find(|folder| {
        line.match_indices(folder.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|c| !(c.is_ascii_alphanumeric() || "_.-}*".contains(c)))
        })
    })
}

#[test]
fn a_machine_path_is_told_from_a_route() {
    let machine = format!("see /{}/me/file", "home");
    assert!(machine_path(&machine).is_some());
    assert!(machine_path("https://example.org/work/item").is_none());
    assert!(machine_path("./root/file and docs/home/page").is_none());
}

fn numbered(source: &Source) -> impl Iterator<Item = (String, &str)> {
    let lines = source.text.lines().enumerate();
    lines.map(|(number, line)| (format!("{}:{}", source.path, number + 1), line))
}
