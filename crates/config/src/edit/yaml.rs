//! A tree as YAML that says the same: a file in block form, or a value in one line.

use crate::parse::plain_value;
use crate::tree::{Node, Value, json_number, quoted};

/// A file.
pub(crate) fn block(root: &Node) -> String {
    let mut out = String::new();
    match &root.value {
        Value::Map(map) if map.entries.is_empty() => {}
        Value::Null => {}
        Value::Map(_) | Value::List(_) => lines(root, 0, &mut out),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => out = flow(root) + "\n",
    }
    out
}

fn lines(node: &Node, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    if let Value::Map(map) = &node.value {
        for (key, child) in &map.entries {
            *out += &format!("{pad}{}:", scalar(&key.text));
            below(child, indent + 2, out);
        }
    }
    for item in node.items() {
        *out += &format!("{pad}-");
        if let Value::Map(map) = &item.value
            && !map.entries.is_empty()
        {
            // The first entry stands behind the dash.
            let mut inner = String::new();
            lines(item, indent + 2, &mut inner);
            *out += " ";
            *out += inner.trim_start_matches(' ');
        } else {
            below(item, indent + 2, out);
        }
    }
}

/// What stands behind a colon or a dash.
fn below(node: &Node, indent: usize, out: &mut String) {
    let is_large = match &node.value {
        Value::Map(map) => !map.entries.is_empty(),
        Value::List(items) => items.iter().any(|item| item.as_map().is_some()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => false,
    };
    if is_large {
        out.push('\n');
        lines(node, indent, out);
    } else {
        *out += &format!(" {}\n", flow(node));
    }
}

/// A value in one line.
pub(crate) fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(text) => json_number(text),
        Value::Text(text) => scalar(text),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let entries = map.entries.iter();
            let entries: Vec<_> = entries
                .map(|(key, child)| format!("{}: {}", scalar(&key.text), flow(child)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A text, quoted unless it is plainly one.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && matches!(plain_value(text), Value::Text(_));
    if is_plain { text.to_owned() } else { quoted(text) }
}
