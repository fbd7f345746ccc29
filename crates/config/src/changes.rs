//! How two configs differ, line by line, as `diff -u` says it. Secrets are starred out after the lines
//! were compared, so that a changed one shows as a changed line.

use std::fmt::Write;

use crate::document::{Document, SourceFile};
use crate::words;

/// Lines of one file that are compared; of a longer one the rest is taken as one change.
const MAX_LINES: usize = 4_000;
/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

/// A config's text with every credential starred out.
#[must_use]
pub fn masked(text: &str) -> String {
    words::mask_all(&text.lines().collect::<Vec<_>>()).into_iter().map(|line| line + "\n").collect()
}

/// What `to` changes in `from`. Empty: nothing. The first file of each is the config itself, by
/// whatever name a node was started with it; those that it includes are told apart by their names.
#[must_use]
pub fn diff(from: &Document, to: &Document) -> String {
    let mut out = String::new();
    let (main_before, included_before) = parts(from);
    let (main_after, included_after) = parts(to);
    file(main_before, main_after, &mut out);
    for before in included_before {
        let after = included_after.iter().find(|after| after.path == before.path);
        file(Some(before), after, &mut out);
    }
    let is_new = |after: &&SourceFile| included_before.iter().all(|one| one.path != after.path);
    included_after.iter().filter(is_new).for_each(|after| file(None, Some(after), &mut out));
    out
}

fn parts(document: &Document) -> (Option<&SourceFile>, &[SourceFile]) {
    let (main, included) = document.files.split_at(document.files.len().min(1));
    (main.first(), included)
}

fn file(before: Option<&SourceFile>, after: Option<&SourceFile>, out: &mut String) {
    let text = |file: Option<&SourceFile>| file.map_or("", |file| file.text.as_str()).to_owned();
    let (old, new) = (text(before), text(after));
    if old == new {
        return;
    }
    let name =
        |file: Option<&SourceFile>| file.map_or("/dev/null", |file| file.path.as_str()).to_owned();
    let _infallible = writeln!(out, "--- {}\n+++ {}", name(before), name(after));
    hunks(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>(), out);
}

/// One line of both texts, or of one of them.
#[derive(Clone, Copy, PartialEq)]
enum Line<'t> {
    Both(&'t str),
    Gone(&'t str),
    New(&'t str),
}

fn hunks(before: &[&str], after: &[&str], out: &mut String) {
    let lines = compare(before, after);
    let (shown_before, shown_after) = (words::mask_all(before), words::mask_all(after));
    let changed = |at: usize| !matches!(lines[at], Line::Both(_));
    let near =
        |at: usize| (at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(lines.len())).any(changed);
    let (mut old, mut new, mut open) = (1, 1, false);
    for (at, line) in lines.iter().enumerate() {
        let shown = near(at);
        if shown && !open {
            let _infallible = writeln!(out, "@@ -{old} +{new} @@");
        }
        open = shown;
        let (sign, text) = match line {
            Line::Both(_) => (' ', &shown_after[new - 1]),
            Line::Gone(_) => ('-', &shown_before[old - 1]),
            Line::New(_) => ('+', &shown_after[new - 1]),
        };
        old += usize::from(sign != '+');
        new += usize::from(sign != '-');
        if shown {
            let _infallible = writeln!(out, "{sign}{text}");
        }
    }
}

/// The longest common subsequence, between what both begin and end with.
fn compare<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<Line<'t>> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = before.iter().zip(after).take_while(same).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut lines: Vec<Line<'t>> = before[..head].iter().map(|line| Line::Both(line)).collect();
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        lines.extend(old.iter().map(|line| Line::Gone(line)));
        lines.extend(new.iter().map(|line| Line::New(line)));
    } else {
        lines.extend(subsequence(old, new));
    }
    lines.extend(before[before.len() - tail..].iter().map(|line| Line::Both(line)));
    lines
}

fn subsequence<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let width = new.len() + 1;
    // How many lines the rest of both have in common, from each pair of lines on.
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(Line::Gone(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(files: &[(&str, &str)]) -> Document {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Document { files: files.iter().map(file).collect() }
    }

    #[test]
    fn changed_lines_are_shown_with_what_is_around_them_and_no_secret() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\napi_key: sk-old\nh: 8\n";
        let after = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\napi_key: sk-new\nh: 8\ni: 9\n";
        let from = document(&[("config.yaml", before), ("gone.yaml", "x: 1\n")]);
        let to = document(&[("config.yaml", after)]);
        let expected = "--- config.yaml\n+++ config.yaml\n@@ -5 +5 @@\n e: 5\n f: 6\n g: 7\n\
                        -api_key: ******\n+api_key: ******\n h: 8\n+i: 9\n\
                        --- gone.yaml\n+++ /dev/null\n@@ -1 +1 @@\n-x: 1\n";
        assert_eq!(diff(&from, &to), expected);
        assert_eq!(diff(&from, &from), "");
    }

    #[test]
    fn a_config_by_another_name_is_compared_all_the_same() {
        let from = document(&[("/etc/a.yaml", "x: 1\n"), ("more.yaml", "y: 1\n")]);
        let to = document(&[("b.yaml", "x: 2\n"), ("more.yaml", "y: 1\n")]);
        assert_eq!(diff(&from, &to), "--- /etc/a.yaml\n+++ b.yaml\n@@ -1 +1 @@\n-x: 1\n+x: 2\n");
        let renamed = document(&[("c.yaml", "x: 1\n"), ("more.yaml", "y: 1\n")]);
        assert_eq!(diff(&from, &renamed), "");
    }

    #[test]
    fn lines_that_moved_or_repeat_are_told_as_few() {
        let from = document(&[("c", "a\nb\na\nc\n")]);
        let to = document(&[("c", "b\na\nd\nc\na\n")]);
        let text = diff(&from, &to);
        let signs = |sign: char| text.lines().skip(2).filter(|line| line.starts_with(sign)).count();
        assert_eq!((signs('-'), signs('+'), signs(' ')), (1, 2, 3), "{text}");
        let long =
            |start: usize| (start..start + 5_000).map(|n| format!("{n}\n")).collect::<String>();
        let text = diff(&document(&[("c", &long(0))]), &document(&[("c", &long(9_000))]));
        assert_eq!(text.lines().count(), 2 + 1 + 10_000);
    }
}
