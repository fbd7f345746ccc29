//! Rows that stand in a dump more than once, such as in two exports of one table: the first moves.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use super::{Finding, Item, Outcome};
use crate::dump::{Dump, Row};
use crate::tables;

/// A row, and the one before it that is told apart by nothing.
pub(super) struct Double<'d> {
    table: &'static str,
    id: &'static [&'static str],
    /// Its place among the rows of its table.
    at: usize,
    row: &'d Row,
    first: &'d Row,
}

/// All of a dump.
pub(super) fn find(dump: &Dump) -> Vec<Double<'_>> {
    let mut doubles = Vec::new();
    for (name, content) in &dump.tables {
        let Some(table) = tables::find(name) else { continue };
        let mut firsts: BTreeMap<Vec<&str>, &Row> = BTreeMap::new();
        for (at, row) in content.rows.iter().enumerate() {
            let id: Option<Vec<&str>> = table.id.iter().map(|column| row.get(column)).collect();
            let Some(id) = id else { continue };
            let first = *firsts.entry(id).or_insert(row);
            if !std::ptr::eq(first, row) {
                doubles.push(Double { table: table.name, id: table.id, at, row, first });
            }
        }
    }
    doubles
}

/// Where those of a table stand among its rows.
pub(super) fn places(doubles: &[Double<'_>], table: &str) -> BTreeSet<usize> {
    doubles.iter().filter(|double| double.table == table).map(|double| double.at).collect()
}

impl Double<'_> {
    /// What becomes of it.
    pub(super) fn item(&self, world: &World<'_>) -> Item {
        let Self { table, id, row, first, .. } = self;
        let place = |row: &Row| world.place(row.file, row.line);
        let (file, line) = (place(first).file, place(first).line);
        let outcome = if row.is_like(first) {
            Outcome::Needless(format!("the same row stands in line {line} of {file}"))
        } else {
            let reason = format!(
                "another row of the same {} stands in line {line} of {file}, and that one counts: \
                 leave one of them in the dump",
                id.join(" and ")
            );
            Outcome::Unsupported(vec![Finding { field: id[0].to_owned(), reason }])
        };
        let object = "a row that is there already".to_owned();
        Item { table, place: place(row), object, outcome, way: None }
    }
}
