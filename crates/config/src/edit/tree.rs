//! An edit of a config's tree: what the text must say after its own edit.

use serde_json::Value as Json;

use super::Edit;
use crate::additions::{key, node};
use crate::tree::{Map, Node, Value};

/// Makes an edit in the tree of a file. False: it says so already.
///
/// # Errors
/// What stands in the way, as it is written.
pub(super) fn apply(root: &mut Node, edit: &Edit) -> Result<bool, String> {
    let before = root.canonical(true);
    match &edit.value {
        Some(value) => set(root, &edit.path, value)?,
        None => {
            unset(root, &edit.path);
        }
    }
    Ok(root.canonical(true) != before)
}

fn set(at: &mut Node, path: &[String], value: &Json) -> Result<(), String> {
    let Some((name, rest)) = path.split_first() else {
        *at = node(value);
        return Ok(());
    };
    if matches!(at.value, Value::Null) {
        at.value = Value::Map(Map::default());
    }
    let kind = at.kind();
    let Value::Map(map) = &mut at.value else {
        return Err(format!("`{name}` cannot be set: its parent is {kind}, not a map"));
    };
    if map.get(name).is_none() {
        map.entries.push((key(name), node(&Json::Null)));
    }
    let child = map.get_mut(name).expect("it was put there");
    set(child, rest, value)
}

/// Takes an entry away, and what holds nothing any more without it. True: nothing is left here.
fn unset(at: &mut Node, path: &[String]) -> bool {
    let Some((name, rest)) = path.split_first() else { return true };
    let Value::Map(map) = &mut at.value else { return false };
    let Some(child) = map.get_mut(name) else { return false };
    if !unset(child, rest) {
        return false;
    }
    map.remove(name);
    map.entries.is_empty()
}
