//! What every source file owes its reader.

use crate::tree::{self, Report, Source};

/// Lines of code in one file, tests apart. 300 is the aim and not enforced.
const MOST_LINES: usize = 500;

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
