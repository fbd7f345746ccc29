//! The table: one row a model, sorted by name, all texts and rates in two shared vectors.

use std::ops::Range;

use dunlin_ledger::{Premiums, Rate, Sheet};
use dunlin_types::{PicoUsd, PriceError};
use sha2::{Digest, Sha256};

use crate::facts::{Abilities, Day, Facts, Mode};
use crate::{litellm, text};

/// What is known of models. The default knows none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    version: String,
    fingerprint: String,
    texts: String,
    rates: Vec<(Rate, PicoUsd)>,
    /// Sorted by name.
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Debug)]
struct Row {
    name: Range<u32>,
    provider: Range<u32>,
    rates: Range<u32>,
    about: About,
}

/// What a row says of itself.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct About {
    pub(crate) mode: Option<Mode>,
    pub(crate) max_input: Option<u64>,
    pub(crate) max_output: Option<u64>,
    pub(crate) abilities: Abilities,
    pub(crate) ends: Option<Day>,
    pub(crate) searches_once: bool,
    pub(crate) premiums: Premiums,
}

/// Why a text is not a table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct TableError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: Why,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Why {
    /// Neither of the two forms.
    #[error(
        "this is not a price table: expected `# dunlin-prices 1` in the first lines, or LiteLLM's JSON"
    )]
    NotATable,
    /// Not JSON, or not of LiteLLM's form.
    #[error("{0}")]
    Json(String),
    /// Fewer fields than every model has.
    #[error("expected: name provider mode most-input most-output abilities end rates")]
    Fields,
    /// Not a value of its field.
    #[error("`{value}` is not {expected}")]
    Value {
        /// As written.
        value: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A number out of range.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// Another name for nothing.
    #[error("`{0}` is another name for a model that is not in the table")]
    Alias(String),
    /// Named before.
    #[error("`{0}` is in the table twice")]
    Twice(String),
    /// More than can be counted.
    #[error("the table is too large")]
    TooLarge,
}

impl Why {
    pub(crate) fn value(value: &str, expected: &'static str) -> Self {
        Self::Value { value: value.to_owned(), expected }
    }
}

/// So many bytes of a hash tell texts apart that nobody makes alike on purpose.
const FINGERPRINT_BYTES: usize = 8;

const EMBEDDED: &str = include_str!("../table.txt");

impl Table {
    /// The table that is compiled in.
    #[must_use]
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("a test reads the table that is compiled in")
    }

    /// Reads a table of our form, or LiteLLM's `model_prices_and_context_window.json`.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let mut draft = Draft::default();
        if text.trim_start().starts_with('{') {
            litellm::read(text, &mut draft)?;
        } else {
            text::read(text, &mut draft)?;
        }
        let mut table = draft.finish()?;
        table.fingerprint = hex::encode(&Sha256::digest(text)[..FINGERPRINT_BYTES]);
        Ok(table)
    }

    /// What the table calls itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tells tables apart that were made from different texts.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// All rows, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Facts<'_>> {
        self.rows.iter().map(|row| self.facts(row))
    }

    /// The row whose name compares as equal.
    pub(crate) fn search(&self, compare: impl Fn(&str) -> std::cmp::Ordering) -> Option<Facts<'_>> {
        let found = self.rows.binary_search_by(|row| compare(self.text(&row.name)));
        found.ok().map(|at| self.facts(&self.rows[at]))
    }

    fn text(&self, range: &Range<u32>) -> &str {
        &self.texts[range.start as usize..range.end as usize]
    }

    fn facts(&self, row: &Row) -> Facts<'_> {
        let About { mode, max_input, max_output, abilities, ends, searches_once, premiums } =
            row.about;
        Facts {
            name: self.text(&row.name),
            provider: self.text(&row.provider),
            mode,
            max_input,
            max_output,
            ends,
            abilities,
            rates: &self.rates[row.rates.start as usize..row.rates.end as usize],
            searches_once,
            premiums,
        }
    }
}

/// A table in the making.
#[derive(Default)]
pub(crate) struct Draft {
    version: String,
    texts: String,
    rates: Vec<(Rate, PicoUsd)>,
    rows: Vec<(Row, usize)>,
    /// Name, what it stands for, line.
    aliases: Vec<(String, String, usize)>,
}

impl Draft {
    pub(crate) fn version(&mut self, version: &str) {
        version.clone_into(&mut self.version);
    }

    pub(crate) fn alias(&mut self, name: &str, of: &str, line: usize) {
        self.aliases.push((name.to_owned(), of.to_owned(), line));
    }

    pub(crate) fn row(
        &mut self,
        (name, line): (&str, usize),
        provider: &str,
        about: About,
        sheet: &Sheet,
    ) -> Result<(), Why> {
        let rates_from = self.rates.len();
        self.rates.extend(sheet.rates());
        let rates = range(rates_from, self.rates.len())?;
        let start = self.texts.len();
        self.texts.push_str(name);
        let name_range = range(start, self.texts.len())?;
        let provider = if name.starts_with(provider) {
            range(start, start + provider.len())?
        } else {
            let start = self.texts.len();
            self.texts.push_str(provider);
            range(start, self.texts.len())?
        };
        self.rows.push((Row { name: name_range, provider, rates, about }, line));
        Ok(())
    }

    fn finish(mut self) -> Result<Table, TableError> {
        self.sort()?;
        let mut others = Vec::with_capacity(self.aliases.len());
        for (name, of, line) in std::mem::take(&mut self.aliases) {
            let wrong = |why| TableError { line, why };
            let found = self.rows.binary_search_by(|(row, _)| self.text(row).cmp(&of));
            let Ok(at) = found else { return Err(wrong(Why::Alias(name))) };
            let start = self.texts.len();
            self.texts.push_str(&name);
            let name = range(start, self.texts.len()).map_err(wrong)?;
            others.push((Row { name, ..self.rows[at].0.clone() }, line));
        }
        self.rows.append(&mut others);
        self.sort()?;
        let rows = self.rows.into_iter().map(|(row, _)| row).collect();
        let (version, fingerprint) = (self.version, String::new());
        Ok(Table { version, fingerprint, texts: self.texts, rates: self.rates, rows })
    }

    fn text(&self, row: &Row) -> &str {
        &self.texts[row.name.start as usize..row.name.end as usize]
    }

    fn sort(&mut self) -> Result<(), TableError> {
        let texts = &self.texts;
        let name = |row: &Row| &texts[row.name.start as usize..row.name.end as usize];
        self.rows.sort_by(|(a, _), (b, _)| name(a).cmp(name(b)));
        let twice = self.rows.windows(2).find(|pair| name(&pair[0].0) == name(&pair[1].0));
        match twice {
            Some([(row, first), (_, second)]) => {
                let why = Why::Twice(name(row).to_owned());
                Err(TableError { line: *first.max(second), why })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn range(start: usize, end: usize) -> Result<Range<u32>, Why> {
    let small = |at| u32::try_from(at).map_err(|_| Why::TooLarge);
    Ok(small(start)?..small(end)?)
}
