//! Changes of single settings, as the admin API makes them: an edit of the config's text that keeps
//! what it does not name, comments included. The result is judged like a file that a node proposes;
//! and what a person at a distance sets is trusted less than a file: see `edit/allowed.rs`.

mod allowed;
mod text;
mod tree;
pub(crate) mod yaml;

pub use allowed::{of_files, of_no_settings};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::additions::{Additions, Basis, told_at_once};
use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::document::{self, Document};
use crate::parse;
use crate::tree::{Map, Node, Value as Written};
use crate::{Options, Outcome, load_with};

/// One setting that is changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The section, the setting, and names of maps inside it.
    pub path: Vec<String>,
    /// What it becomes; none: it is not set any more.
    pub value: Option<Json>,
}

/// A config after its edits.
#[derive(Clone, Debug)]
pub struct Edited {
    /// What it says.
    pub document: Document,
    /// What is odd about it that was not before.
    pub warnings: Vec<String>,
    /// A line each: what does nothing yet, and what takes a setting's place.
    pub notes: Vec<String>,
}

/// Why an edit is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditProblem {
    /// The setting, such as `router_settings.num_retries`; empty: the config as a whole.
    pub path: String,
    /// What is wrong with it, and how it is mended.
    pub told: String,
}

impl EditProblem {
    fn at(path: &[String], told: impl Into<String>) -> Self {
        Self { path: path.join("."), told: told.into() }
    }
}

impl Basis {
    /// The config that `edits` make of `document`, if it may be made over the API and loads beside
    /// `additions` as a file would.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the edits and then of the text.
    pub fn edit(
        &self,
        document: &Document,
        additions: &Additions,
        edits: &[Edit],
    ) -> Result<Edited, Vec<EditProblem>> {
        let mut problems = Vec::new();
        let mut edited = document.clone();
        for edit in edits {
            let before = problems.len();
            problems.extend(allowed::problems(self, edit));
            if problems.len() == before
                && let Err(told) = apply(&mut edited, edit)
            {
                problems.push(EditProblem::at(&edit.path, told));
            }
        }
        let judged = self.judge_edit(document, &edited, additions);
        problems.extend(judged.problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Edited { document: edited, warnings: judged.warnings, notes: judged.notes })
    }

    /// What is to be said of `after` and was not to be said of `before`.
    fn judge_edit(&self, before: &Document, after: &Document, additions: &Additions) -> JudgedEdit {
        let load = |document: &Document, accepted: bool| {
            let options = Options { strict: !accepted, accepted, ..self.options().clone() };
            load_with(document, additions, self.environment(), &options)
        };
        let known = load(before, false);
        let said: BTreeSet<(Code, &str)> =
            known.diagnostics.iter().map(|found| (found.code, &*found.message)).collect();
        let is_new = |found: &&Diagnostic| !said.contains(&(found.code, &*found.message));
        let proposed = load(after, false);
        let told = |severity| {
            let new = proposed.diagnostics.iter().filter(is_new);
            new.filter(move |found| found.severity == severity)
        };
        let problem = |found: &Diagnostic| EditProblem {
            path: found.place.as_ref().map(|(at, _)| path_at(after, *at)).unwrap_or_default(),
            told: told_at_once(found),
        };
        let mut problems: Vec<_> = told(Severity::Error).map(problem).collect();
        let Outcome { diagnostics, loaded, .. } = load(after, true);
        if problems.is_empty() && loaded.is_none() {
            let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error);
            problems.extend(errors.map(problem));
        }
        let new_notes = proposed.notes.iter().filter(|note| !known.notes.contains(note));
        JudgedEdit {
            problems,
            warnings: told(Severity::Warning).map(told_at_once).collect(),
            notes: new_notes.map(ToString::to_string).collect(),
        }
    }
}

struct JudgedEdit {
    problems: Vec<EditProblem>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

/// Makes one edit in the file that holds its section.
fn apply(document: &mut Document, edit: &Edit) -> Result<(), String> {
    let (root, problems) = document::merged(document);
    let broken = || "the config in force cannot be read: roll it back first".to_owned();
    let root = root.filter(|_| problems.iter().all(|found| found.severity != Severity::Error));
    let root = root.ok_or_else(broken)?;
    let section = root.as_map().and_then(|map| map.get(&edit.path[0]));
    let index = section.map_or(0, |section| section.place.file);
    let file = document.files.get_mut(index).ok_or_else(broken)?;
    let before = parse::parse(&file.text, index).0.ok_or_else(broken)?;
    let mut after = before.clone();
    if !tree::apply(&mut after, edit)? {
        return Ok(());
    }
    let expected = after.canonical(true);
    let says_so = |text: &String| {
        let (tree, problems) = parse::parse(text, index);
        problems.is_empty() && tree.is_some_and(|tree| tree.canonical(true) == expected)
    };
    // Layouts that the text's edit does not know, such as merge keys, cost the file its comments.
    let edited = text::edited(&file.text, &before, edit).filter(says_so);
    file.text = edited.unwrap_or_else(|| yaml::block(&after));
    if says_so(&file.text) { Ok(()) } else { Err("cannot be written into the config".to_owned()) }
}

/// The setting that stands at a place, as a path of names.
fn path_at(document: &Document, place: Place) -> String {
    let Some(file) = document.files.get(place.file) else { return String::new() };
    let (tree, _) = parse::parse(&file.text, place.file);
    let mut path = Vec::new();
    let mut node = tree.as_ref();
    while let Some(found) = node.and_then(|node| child_at(node, place)) {
        path.push(found.0);
        node = Some(found.1);
    }
    path.join(".")
}

fn child_at(node: &Node, place: Place) -> Option<(String, &Node)> {
    let spans = |of: Place| of.start <= place.start && place.start < of.end.max(of.start + 1);
    match &node.value {
        Written::Map(map) => {
            let mut entries = map.entries.iter();
            let found = entries.find(|(key, child)| spans(key.place.until(child.place)));
            found.map(|(key, child)| (key.text.clone(), child))
        }
        Written::List(items) => {
            let mut items = items.iter().enumerate();
            let found = items.find(|(_, item)| spans(item.place));
            found.map(|(index, item)| (index.to_string(), item))
        }
        Written::Null | Written::Bool(_) | Written::Number(_) | Written::Text(_) => None,
    }
}

/// What a config says of one setting: references to the environment as they are written. It may hold
/// secrets.
#[must_use]
pub fn setting(document: &Document, path: &[&str]) -> Option<Json> {
    let root = document::merged(document).0?;
    let found = path.iter().try_fold(&root, |node, name| node.as_map()?.get(name))?;
    serde_json::from_str(&found.json()).ok()
}

/// The same without secrets.
#[must_use]
pub fn shown_setting(document: &Document, path: &[&str]) -> Option<Json> {
    let root = shown(document);
    let found = path.iter().try_fold(&root, |node, name| node.as_map()?.get(name))?;
    serde_json::from_str(&found.json()).ok()
}

/// The settings that were changed over the API between a file, `base`, and what is in force, and that
/// another file says otherwise.
#[must_use]
pub fn undone(base: &Document, in_force: &Document, file: &Document) -> Vec<String> {
    let trees = [base, in_force, file].map(|document| document::merged(document).0);
    let mut names = BTreeSet::new();
    for section in allowed::SECTIONS {
        let settings = |tree: &Option<Node>| -> BTreeMap<String, String> {
            let section = tree.as_ref().and_then(|tree| tree.as_map()?.get(section)?.as_map());
            let entries = section.into_iter().flat_map(|map| &map.entries);
            entries.map(|(key, node)| (key.text.clone(), node.canonical(true))).collect()
        };
        let [base, in_force, file] = [0, 1, 2].map(|index| settings(&trees[index]));
        let all = base.keys().chain(in_force.keys());
        let lost = all.filter(|name| {
            base.get(*name) != in_force.get(*name) && file.get(*name) != in_force.get(*name)
        });
        names.extend(lost.map(|name| format!("{section}.{name}")));
    }
    names.into_iter().collect()
}

/// All that a config says but `cluster:`, in one file's form, without secrets.
#[must_use]
pub fn shown_yaml(document: &Document) -> String {
    yaml::block(&shown(document))
}

/// The same for one section, as JSON.
#[must_use]
pub fn shown_section(document: &Document, section: &str) -> serde_json::Map<String, Json> {
    let shown = shown(document);
    let section = shown.as_map().and_then(|map| map.get(section));
    let json = section.and_then(|section| serde_json::from_str(&section.json()).ok());
    json.unwrap_or_default()
}

fn shown(document: &Document) -> Node {
    let nothing = || Node::new(Written::Map(Map::default()), Place::new(0, 0, 0));
    let mut root = document::merged(document).0.unwrap_or_else(nothing);
    if let Written::Map(map) = &mut root.value {
        map.remove("cluster");
        map.remove("include");
    }
    allowed::star(&mut root);
    root
}
