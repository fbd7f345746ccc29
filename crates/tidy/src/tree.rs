//! The repository as a list of texts, and the report that a check fills.

use std::fs;
use std::path::{Path, PathBuf};

/// Never part of the tree, wherever they appear: what git, cargo and npm make.
const MADE: &[&str] = &[".git", "target", "node_modules"];

/// One file: its path from the root with `/` between parts, and its text if it is text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is test code: `node/tests/…`, `foo/tests.rs`, `foo/tests/…`.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// The text up to an inline `mod tests`.
    pub(crate) fn code(&self) -> &str {
        let tests = self.text.find("#[cfg(test)]\nmod tests {");
        &self.text[..tests.unwrap_or(self.text.len())]
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The names directly inside a folder, sorted; none if there is no such folder.
pub(crate) fn names_in(folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned())
        .filter(|name| !MADE.contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// Every file below a folder (`""` is the root), sorted by path. Binary files have no text.
pub(crate) fn files(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for name in names_in(folder) {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let absolute = root().join(&path);
        if absolute.is_dir() {
            found.extend(files(&path));
        } else {
            let text = fs::read_to_string(&absolute).unwrap_or_default();
            found.push(Source { path, text });
        }
    }
    found
}

/// One file that a check cannot do without.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a check found. [`Report::done`] fails the test with all of it.
#[derive(Default)]
pub(crate) struct Report {
    found: Vec<String>,
}

impl Report {
    /// Notes that at `place` something is `wrong`, and how to `mend` it.
    pub(crate) fn add(&mut self, place: &str, wrong: &str, mend: &str) {
        self.found.push(format!("{place}: {wrong}\n    mend: {mend}"));
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    #[track_caller]
    pub(crate) fn done(self) {
        let found = self.found;
        assert!(found.is_empty(), "{} findings:\n{}\n", found.len(), found.join("\n"));
    }
}
