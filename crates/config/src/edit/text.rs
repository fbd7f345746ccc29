//! An edit of a file's text in place, so that comments and layout stay. It need not know every
//! layout: the caller compares what the text says afterwards with what it must say.

use serde_json::Value as Json;

use super::{Edit, yaml};
use crate::additions::node;
use crate::tree::{Key, Node, Value};

/// The text after an edit of it. None: this layout is not known here.
pub(super) fn edited(text: &str, tree: &Node, edit: &Edit) -> Option<String> {
    match &edit.value {
        Some(value) => set(text, tree, &edit.path, value),
        None => unset(text, tree, &edit.path),
    }
}

fn set(text: &str, root: &Node, path: &[String], value: &Json) -> Option<String> {
    let mut at = root;
    for (depth, name) in path.iter().enumerate() {
        let rest = &path[depth + 1..];
        let Some((key, child)) = own(at, name) else {
            return insert(text, at, name, &nested(rest, value));
        };
        let goes_on = child.as_map().is_some_and(|map| !map.entries.is_empty());
        if rest.is_empty() || !goes_on {
            return replace(text, key, child, &nested(rest, value));
        }
        at = child;
    }
    None
}

/// The value below names that are not there yet, in one line.
fn nested(rest: &[String], value: &Json) -> String {
    rest.iter().rev().fold(yaml::flow(&node(value)), |inner, name| {
        format!("{{{}: {inner}}}", yaml::scalar(name))
    })
}

/// An entry that is written in this very map, and not merged into it from another.
fn own<'n>(map: &'n Node, name: &str) -> Option<(&'n Key, &'n Node)> {
    let (key, child) = map.as_map()?.find(name)?;
    let within = map.place.start <= key.place.start && key.place.start < map.place.end;
    within.then_some((key, child))
}

/// Just behind the colon of an entry.
fn colon(text: &str, key: &Key) -> Option<usize> {
    let after = text.get(key.place.end..)?;
    let at = after.find(':')?;
    after[..at].trim().is_empty().then_some(key.place.end + at + 1)
}

fn replace(text: &str, key: &Key, child: &Node, value: &str) -> Option<String> {
    let start = colon(text, key)?;
    // What is empty stands nowhere, and what an alias names elsewhere.
    let end = if child.place.start >= start { child.place.end } else { start };
    let end = end - usize::from(end > start && text.get(..end)?.ends_with('\n'));
    Some(format!("{} {value}{}", text.get(..start)?, text.get(end..)?))
}

fn insert(text: &str, map: &Node, name: &str, value: &str) -> Option<String> {
    let entry = format!("{}: {value}", yaml::scalar(name));
    let is_empty = map.as_map()?.entries.is_empty();
    let start = map.place.start;
    if text.get(start..)?.starts_with('{') {
        let comma = if is_empty { "" } else { ", " };
        return Some(format!("{}{entry}{comma}{}", &text[..=start], &text[start + 1..]));
    }
    if is_empty {
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{line}{entry}\n"));
    }
    let line = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let indent = " ".repeat(text[line..start].chars().count());
    // A new section comes last, behind all comments.
    let end = if indent.is_empty() { text.len() } else { line_end(text, map.place.end)? };
    let (before, after) = text.split_at_checked(end)?;
    let line = if before.ends_with('\n') { "" } else { "\n" };
    Some(format!("{before}{line}{indent}{entry}\n{after}"))
}

/// The end of the line in which something ends, its line break included.
fn line_end(text: &str, end: usize) -> Option<usize> {
    let before = text.get(..end)?;
    if before.ends_with('\n') {
        return Some(end);
    }
    Some(text[end..].find('\n').map_or(text.len(), |at| end + at + 1))
}

fn unset(text: &str, root: &Node, path: &[String]) -> Option<String> {
    // What would be left empty goes as a whole.
    let mut chain = Vec::new();
    let mut at = root;
    for name in path {
        let (key, child) = own(at, name)?;
        chain.push((at, key, child));
        at = child;
    }
    let holds_one = |node: &Node| node.as_map().is_some_and(|map| map.entries.len() == 1);
    while chain.len() > 1 && chain.last().is_some_and(|(map, ..)| holds_one(map)) {
        chain.pop();
    }
    let (map, key, child) = chain.pop()?;
    let start = key.place.start;
    let end = child.place.end.max(colon(text, key)?);
    let is_elsewhere = child.place.start < start && !matches!(child.value, Value::Null);
    if is_elsewhere {
        return None;
    }
    if text.get(map.place.start..)?.starts_with('{') {
        return Some(without_flow_entry(text, start, end));
    }
    let line = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let is_alone = text[line..start].trim().is_empty();
    let end = line_end(text, end)?;
    is_alone.then(|| format!("{}{}", &text[..line], &text[end..]))
}

/// Takes an entry of a flow map and one comma beside it.
fn without_flow_entry(text: &str, start: usize, end: usize) -> String {
    let (before, after) = (&text[..start], &text[end..]);
    match after.trim_start().strip_prefix(',') {
        Some(rest) => format!("{before}{}", rest.trim_start_matches(' ')),
        None => {
            let kept = before.trim_end();
            format!("{}{after}", kept.strip_suffix(',').unwrap_or(before))
        }
    }
}
