//! The table of crates in `crates/README.md`: the one place that says what may use what.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

const TABLE: &str = "crates/README.md";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pure,
    Edge,
    Test,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) may_use: BTreeSet<String>,
}

/// The table by folder name.
pub(crate) fn read() -> BTreeMap<String, Row> {
    let markdown = tree::read(TABLE);
    let rows = parse(&markdown);
    let count = markdown.lines().filter_map(row).count();
    assert_eq!(rows.len(), count, "{TABLE}: a crate has one row");
    assert!(
        !rows.is_empty(),
        "{TABLE}: no row of the form | `crate` | kind | lines | may use | … |"
    );
    rows
}

fn parse(markdown: &str) -> BTreeMap<String, Row> {
    markdown.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<(String, Row)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [name, kind, _lines, may_use, ..] = cells.as_slice() else { return None };
    let kind = match *kind {
        "pure" => Kind::Pure,
        "edge" => Kind::Edge,
        "test" => Kind::Test,
        _ => return None,
    };
    let may_use = may_use
        .split([' ', ','])
        .map(|word| word.trim_matches('`'))
        .filter(|word| !matches!(*word, "" | "–" | "-" | "—"))
        .map(str::to_owned)
        .collect();
    Some((name.trim_matches('`').to_owned(), Row { kind, may_use }))
}

#[test]
fn a_row_is_read_as_people_read_it() {
    let rows = parse(
        "| crate | kind | lines | may use | purpose |\n\
         |---|---|---|---|---|\n\
         | `types` | pure | 300 | – | words |\n\
         | `rpc` | edge | 600 | types `proto` | calls |\n",
    );
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["rpc", "types"]);
    assert!(rows["types"].may_use.is_empty());
    assert_eq!(rows["rpc"].kind, Kind::Edge);
    assert!(rows["rpc"].may_use.contains("proto"));
}
