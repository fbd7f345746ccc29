//! The files of a config: how they are found, put together, hashed and carried between nodes.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::parse;
use crate::tree::{Map, Node, Value};

/// Includes beyond this many files are refused.
const MAX_FILES: usize = 100;

/// A config as text: the root file first, then what it includes. May hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Never empty.
    pub files: Vec<SourceFile>,
}

/// One file of a config.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// As named to the reader, for people and for `include`.
    pub path: String,
    /// The whole file.
    pub text: String,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({}, {} bytes)", self.path, self.text.len())
    }
}

/// Bytes that are no config revision.
#[derive(Debug, thiserror::Error)]
#[error("the bytes are not a config revision: {reason}")]
pub struct BadRevision {
    reason: String,
}

/// Reads `root` and, through `include`, all files it needs. `read` maps a path to its text or to
/// the reason why there is none. What cannot be read is diagnosed; the rest is returned.
pub fn gather(
    root: &str,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> (Document, Vec<Diagnostic>) {
    let mut document = Document { files: Vec::new() };
    let mut problems = Vec::new();
    let text = read(root).unwrap_or_else(|reason| {
        let message = format!("cannot read {root}: {reason}");
        problems.push(Diagnostic::error(Code::Include, message));
        String::new()
    });
    document.files.push(SourceFile { path: root.to_owned(), text });
    let mut next = 0;
    while next < document.files.len() && document.files.len() <= MAX_FILES {
        let (tree, _) = parse::parse(&document.files[next].text, next);
        for entry in tree.iter().flat_map(includes) {
            let Some(name) = entry.as_text() else { continue };
            let candidates = candidates(&document, next, name);
            if candidates.iter().any(|path| document.find(path).is_some()) {
                continue;
            }
            let mut reason = String::new();
            let found = candidates.into_iter().find_map(|path| match read(&path) {
                Ok(text) => Some(SourceFile { path, text }),
                Err(error) => {
                    reason = error;
                    None
                }
            });
            match found {
                Some(file) => document.files.push(file),
                None => problems.push(
                    Diagnostic::error(Code::Include, format!("cannot read {name}: {reason}"))
                        .at(entry.place, "included here"),
                ),
            }
        }
        next += 1;
    }
    (document, problems)
}

/// The bytes that are replicated: the files, `cluster:` sections blanked, since they stay on their
/// node. Line numbers are kept. Holds secrets that were written in place.
#[must_use]
pub fn revision_bytes(document: &Document) -> Vec<u8> {
    let files = document.files.iter().enumerate().map(|(index, file)| SourceFile {
        path: file.path.clone(),
        text: without_cluster(&file.text, index),
    });
    serde_json::to_vec(&Document { files: files.collect() }).expect("texts are always JSON")
}

/// The bytes whose hash names a revision: the same for files that say the same, whatever their
/// comments, order of keys, split into includes and `cluster:` sections.
#[must_use]
pub fn hashed_bytes(document: &Document) -> Vec<u8> {
    let (tree, problems) = merged(document);
    match tree {
        Some(tree) if problems.is_empty() => {
            let mut tree = tree;
            if let Value::Map(map) = &mut tree.value {
                map.remove("cluster");
                map.remove("include");
            }
            tree.canonical(true).into_bytes()
        }
        Some(_) | None => revision_bytes(document),
    }
}

/// The document that [`revision_bytes`] made.
///
/// # Errors
/// The bytes come from elsewhere.
pub fn document_from(bytes: &[u8]) -> Result<Document, BadRevision> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| BadRevision { reason: error.to_string() })?;
    if document.files.is_empty() {
        return Err(BadRevision { reason: "it has no file".to_owned() });
    }
    Ok(document)
}

/// All files as one tree, as LiteLLM joins them: lists of an included file are appended, anything
/// else replaces what was there. `None` if the root file has no tree.
pub(crate) fn merged(document: &Document) -> (Option<Node>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let trees = document.files.iter().enumerate().map(|(index, file)| {
        let (tree, found) = parse::parse(&file.text, index);
        problems.extend(found);
        tree
    });
    let mut joining = Joining { document, trees: trees.collect(), problems, seen: BTreeSet::new() };
    let root = joining.join(0);
    (root, joining.problems)
}

struct Joining<'d> {
    document: &'d Document,
    trees: Vec<Option<Node>>,
    problems: Vec<Diagnostic>,
    seen: BTreeSet<usize>,
}

impl Joining<'_> {
    fn join(&mut self, index: usize) -> Option<Node> {
        self.seen.insert(index);
        let mut tree = self.trees.get_mut(index)?.take()?;
        let Value::Map(map) = &mut tree.value else {
            let message = format!("{} is {}, not a map of sections", self.path(index), tree.kind());
            self.problems.push(Diagnostic::error(Code::WrongType, message).at(tree.place, ""));
            return None;
        };
        for entry in map.get("include").map(entries).unwrap_or_default() {
            let Some(included) = self.included(index, &entry) else { continue };
            if let Some(Value::Map(included)) = self.join(included).map(|tree| tree.value) {
                overlay(map, included);
            }
        }
        Some(tree)
    }

    fn included(&mut self, by: usize, entry: &Node) -> Option<usize> {
        let Some(name) = entry.as_text() else {
            let message = format!("include takes paths, not {}", entry.kind());
            self.problems.push(Diagnostic::error(Code::WrongType, message).at(entry.place, ""));
            return None;
        };
        let problem = |message: String, label: &str| {
            Diagnostic::error(Code::Include, message).at(entry.place, label)
        };
        let paths = candidates(self.document, by, name);
        let found = paths.iter().find_map(|path| self.document.find(path));
        match found {
            None => self.problems.push(problem(format!("{name} was not read"), "included here")),
            Some(index) if self.seen.contains(&index) => {
                let message = format!("{name} is included twice, or includes itself");
                self.problems.push(problem(message, "included again here"));
            }
            Some(index) => {
                if paths.first() != Some(&self.document.files[index].path) {
                    let message = format!("{name} was found beside the root file only");
                    let label = "paths are relative to the file that names them";
                    let warning = Diagnostic::warning(Code::Include, message);
                    self.problems.push(warning.at(entry.place, label));
                }
                return Some(index);
            }
        }
        None
    }

    fn path(&self, index: usize) -> &str {
        &self.document.files[index].path
    }
}

impl Document {
    fn find(&self, path: &str) -> Option<usize> {
        self.files.iter().position(|file| file.path == path)
    }
}

fn includes(tree: &Node) -> Vec<Node> {
    tree.as_map().and_then(|map| map.get("include")).map(entries).unwrap_or_default()
}

/// A list, or one value where a list is meant.
fn entries(node: &Node) -> Vec<Node> {
    match &node.value {
        Value::List(items) => items.clone(),
        Value::Null => Vec::new(),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => vec![node.clone()],
    }
}

fn overlay(map: &mut Map, included: Map) {
    for (key, node) in included.entries {
        match (map.get_mut(&key.text), node) {
            (
                Some(Node { value: Value::List(before), .. }),
                Node { value: Value::List(more), .. },
            ) => {
                if key.text != "include" {
                    before.extend(more);
                }
            }
            (Some(before), node) => *before = node,
            (None, node) => map.entries.push((key, node)),
        }
    }
}

/// Where `name` may be: beside the file that includes it, then beside the root file.
fn candidates(document: &Document, by: usize, name: &str) -> Vec<String> {
    let mut paths = vec![beside(&document.files[by].path, name)];
    let at_root = beside(&document.files[0].path, name);
    if !paths.contains(&at_root) {
        paths.push(at_root);
    }
    paths
}

/// `name` relative to the folder of `file`, with `.` and `..` folded so that one file has one path.
fn beside(file: &str, name: &str) -> String {
    let mut path = PathBuf::new();
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    for part in folder.join(name).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(path.components().next_back(), Some(Component::Normal(_))) =>
            {
                path.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => {
                path.push(part);
            }
        }
    }
    path.to_string_lossy().into_owned()
}

/// The text with its `cluster:` section as spaces, or as it is if no file would be left.
fn without_cluster(text: &str, file: usize) -> String {
    let tree = parse::parse(text, file).0;
    let section = tree.as_ref().and_then(Node::as_map).and_then(|map| map.find("cluster"));
    let Some(Place { start, end, .. }) = section.map(|(key, node)| key.place.until(node.place))
    else {
        return text.to_owned();
    };
    let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else {
        return text.to_owned();
    };
    let blank: String = text[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
    let blanked = format!("{before}{blank}{after}");
    if parse::parse(&blanked, file).0.is_some() { blanked } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
