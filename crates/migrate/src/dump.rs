//! A dump as it is read: the rows of the tables that matter, and how many the others have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::csv::CsvReader;
use crate::sql::SqlReader;
use crate::tables::{self, Use};

/// A row, or a statement with several, of a table that matters has at most so many bytes.
pub(crate) const MAX_ROW_BYTES: usize = 64 << 20;

/// Why a file is not read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not in plain text.
    #[error("this is {what}, not plain SQL")]
    NotPlain {
        /// What it is, as a noun phrase.
        what: &'static str,
    },
    /// It ends too early.
    #[error("the file ends in the middle of table {table}: it was cut short")]
    Cut {
        /// The table.
        table: String,
    },
    /// Not in UTF-8.
    #[error("the dump was made in {encoding}; make it with `pg_dump --encoding=UTF8`")]
    Encoding {
        /// As the dump names it.
        encoding: String,
    },
    /// Longer than any row is.
    #[error("line {line}: a row of {table} has more than {MAX_ROW_BYTES} bytes")]
    TooLong {
        /// Where it begins.
        line: u64,
        /// Whose it is.
        table: String,
    },
    /// Values without the names of their columns.
    #[error(
        "line {line}: the rows of {table} come without the names of their columns, and the dump does \
         not define the table; make it without --data-only, or with --column-inserts"
    )]
    NoColumns {
        /// Where.
        line: u64,
        /// Whose.
        table: String,
    },
}

/// One row of a table that matters. A column that is null or not there has no cell.
#[derive(Debug)]
pub(crate) struct Row {
    /// Which file, by its place in [`Dump::files`].
    pub(crate) file: usize,
    pub(crate) line: u64,
    cells: Vec<(&'static str, Box<str>)>,
    /// Columns that this version does not know, in which something stands.
    pub(crate) strange: Box<[Arc<str>]>,
}

impl Row {
    /// A cell's text as the database writes it.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        let (_, text) = self.cells.iter().find(|(name, _)| *name == column)?;
        Some(text)
    }

    /// Whether both say the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let sorted = |row: &Self| {
            let mut cells = row.cells.clone();
            cells.sort_unstable();
            cells
        };
        sorted(self) == sorted(other)
    }
}

/// What is there of one table.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// All its rows.
    pub(crate) count: u64,
    /// Where the first one stands.
    pub(crate) first: Option<(usize, u64)>,
    /// Columns that this version does not know, in which a row has something.
    pub(crate) strange: BTreeSet<Arc<str>>,
    /// Rows that could not be read: file, line, why.
    pub(crate) faults: Vec<(usize, u64, String)>,
    /// Empty for tables that do not matter.
    pub(crate) rows: Vec<Row>,
}

/// All that was read so far, of one file or of several.
#[derive(Debug, Default)]
pub struct Dump {
    pub(crate) files: Vec<String>,
    pub(crate) tables: BTreeMap<String, Content>,
    /// The version of the database, as the dump tells it.
    pub(crate) made_by: Option<String>,
}

impl Dump {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a plain SQL dump: its lines go to the reader, one by one. `name` is how lines of it are
    /// told.
    pub fn sql(&mut self, name: &str) -> SqlReader<'_> {
        self.files.push(name.to_owned());
        SqlReader::new(self)
    }

    /// Reads one table as CSV with a line of column names.
    pub fn csv(&mut self, name: &str, table: &str) -> CsvReader<'_> {
        self.files.push(name.to_owned());
        CsvReader::new(self, table)
    }

    /// Whether a table of LiteLLM's is in it.
    #[must_use]
    pub fn is_litellms(&self) -> bool {
        self.tables.keys().any(|name| name.starts_with("LiteLLM_"))
    }

    /// Where rows of a table go.
    pub(crate) fn table(&mut self, name: &str, columns: Vec<String>) -> Target {
        self.tables.entry(name.to_owned()).or_default();
        let wanted = tables::find(name).filter(|table| matches!(table.r#use, Use::Read));
        let names = wanted.into_iter().flat_map(|table| table.columns.split_whitespace());
        let column = |name: String| match names.clone().find(|known| *known == name) {
            Some(known) => Column::Known(known),
            None => Column::Strange(name.into()),
        };
        let columns = columns.into_iter().map(column).collect();
        Target { name: name.to_owned(), wanted: wanted.is_some(), columns }
    }

    pub(crate) fn count(&mut self, target: &Target, line: u64) {
        let file = self.files.len() - 1;
        let content = self.tables.entry(target.name.clone()).or_default();
        content.count += 1;
        content.first.get_or_insert((file, line));
    }

    /// Adds a row of a table that matters, or notes why it is none.
    pub(crate) fn add(
        &mut self,
        target: &Target,
        line: u64,
        cells: Result<Vec<Option<String>>, String>,
    ) {
        self.count(target, line);
        let file = self.files.len() - 1;
        let content = self.tables.entry(target.name.clone()).or_default();
        let cells = cells.and_then(|cells| {
            let (has, wants) = (cells.len(), target.columns.len());
            if has == wants { Ok(cells) } else { Err(format!("it has {has} values, not {wants}")) }
        });
        match cells {
            Ok(cells) => {
                let (mut known, mut strange) = (Vec::new(), Vec::new());
                for (column, text) in target.columns.iter().zip(cells) {
                    let Some(text) = text else { continue };
                    match column {
                        Column::Known(name) => known.push((*name, text.into_boxed_str())),
                        Column::Strange(name) if says(&text) => strange.push(Arc::clone(name)),
                        Column::Strange(_) => {}
                    }
                }
                content.strange.extend(strange.iter().cloned());
                let strange = strange.into_boxed_slice();
                content.rows.push(Row { file, line, cells: known, strange });
            }
            Err(why) => content.faults.push((file, line, why)),
        }
    }
}

/// Where rows of one table go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// Whether its rows are kept.
    pub(crate) wanted: bool,
    columns: Vec<Column>,
}

/// A column, by its name.
#[derive(Debug)]
enum Column {
    Known(&'static str),
    /// Not known to this version.
    Strange(Arc<str>),
}

/// Whether a cell of which nothing is known says more than what such columns say of themselves.
fn says(text: &str) -> bool {
    !["", "{}", "[]", "null", "f", "false"].contains(&text.trim())
}
