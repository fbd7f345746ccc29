//! Plain SQL as `pg_dump` writes it: rows in `COPY ... FROM stdin` blocks, or in `INSERT`s. All other
//! statements are passed over, but for the definitions of tables, which name their columns.

mod copy;
mod insert;

use std::collections::BTreeMap;

use crate::dump::{Dump, MAX_ROW_BYTES, Target, Unreadable};

/// Reads the lines of a dump.
#[derive(Debug)]
pub struct SqlReader<'d> {
    dump: &'d mut Dump,
    line: u64,
    state: State,
    /// The columns of the tables that were defined so far.
    defined: BTreeMap<String, Vec<String>>,
}

#[derive(Debug)]
enum State {
    /// Between two statements.
    Between,
    /// In the rows of a table.
    Copy(Target),
    /// In the definition of a table.
    Create { table: String, columns: Vec<String> },
    /// In an `INSERT` that has not ended.
    Insert(insert::Open),
}

impl<'d> SqlReader<'d> {
    pub(crate) fn new(dump: &'d mut Dump) -> Self {
        Self { dump, line: 0, state: State::Between, defined: BTreeMap::new() }
    }

    /// Takes the next line, without its end.
    ///
    /// # Errors
    /// [`Unreadable`]: no further line makes sense.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        self.line += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.state = match std::mem::replace(&mut self.state, State::Between) {
            State::Between => self.begin(line)?,
            State::Copy(target) => self.copied(target, line)?,
            State::Create { table, columns } => self.define(table, columns, line),
            State::Insert(open) => self.insert(open, line)?,
        };
        Ok(())
    }

    /// There are no more lines.
    ///
    /// # Errors
    /// [`Unreadable::Cut`].
    pub fn end(self) -> Result<(), Unreadable> {
        let table = match self.state {
            State::Between => return Ok(()),
            State::Copy(target) => target.name,
            State::Create { table, .. } => table,
            State::Insert(open) => open.table,
        };
        Err(Unreadable::Cut { table })
    }

    fn begin(&mut self, line: &[u8]) -> Result<State, Unreadable> {
        if self.line == 1 {
            check_plain(line)?;
        }
        if line.starts_with(b"INSERT INTO ") {
            return self.insert(insert::Open::new(self.line), line);
        }
        let Ok(text) = std::str::from_utf8(line) else { return Ok(State::Between) };
        if let Some(rest) = text.strip_prefix("COPY ") {
            let Some((table, columns)) = copy::header(rest) else { return Ok(State::Between) };
            let columns = self.columns(&table, columns)?;
            return Ok(State::Copy(self.dump.table(&table, columns)));
        }
        if let Some(rest) = text.strip_prefix("CREATE TABLE ") {
            let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
            let name = rest.strip_suffix(" (").and_then(|name| qualified(name.trim()));
            let open = |(table, _)| State::Create { table, columns: Vec::new() };
            return Ok(name.map_or(State::Between, open));
        }
        if let Some(version) = text.strip_prefix("-- Dumped from database version ") {
            self.dump.made_by = Some(version.to_owned());
        }
        if let Some(rest) = text.strip_prefix("SET client_encoding = '")
            && let Some(encoding) = rest.strip_suffix("';")
            && !["UTF8", "UTF-8", "SQL_ASCII"].contains(&encoding)
        {
            return Err(Unreadable::Encoding { encoding: encoding.to_owned() });
        }
        Ok(State::Between)
    }

    fn copied(&mut self, target: Target, line: &[u8]) -> Result<State, Unreadable> {
        if line == b"\\." {
            return Ok(State::Between);
        }
        if !target.wanted {
            self.dump.count(&target, self.line);
            return Ok(State::Copy(target));
        }
        if line.len() > MAX_ROW_BYTES {
            return Err(Unreadable::TooLong { line: self.line, table: target.name });
        }
        self.dump.add(&target, self.line, copy::row(line));
        Ok(State::Copy(target))
    }

    fn define(&mut self, table: String, mut columns: Vec<String>, line: &[u8]) -> State {
        if line.starts_with(b")") {
            self.defined.insert(table, columns);
            return State::Between;
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        // Constraints of the whole table have no name of a column in front.
        if !["CONSTRAINT ", "PRIMARY ", "UNIQUE ", "FOREIGN ", "CHECK "]
            .iter()
            .any(|word| text.starts_with(word))
        {
            columns.extend(name(text).map(|(name, _)| name));
        }
        State::Create { table, columns }
    }

    fn insert(&mut self, mut open: insert::Open, line: &[u8]) -> Result<State, Unreadable> {
        let ended = open.push(line, self.line)?;
        if !ended {
            return Ok(State::Insert(open));
        }
        let (table, begins) = (open.table.clone(), open.line);
        if !open.wanted {
            let target = self.dump.table(&table, Vec::new());
            for _ in 0..open.rows() {
                self.dump.count(&target, begins);
            }
            return Ok(State::Between);
        }
        let statement = open.statement();
        let columns = match insert::columns(&statement) {
            Some(columns) => columns,
            None => self
                .defined
                .get(&table)
                .cloned()
                .ok_or_else(|| Unreadable::NoColumns { line: begins, table: table.clone() })?,
        };
        let target = self.dump.table(&table, columns);
        for (line, cells) in insert::rows(&statement) {
            self.dump.add(&target, begins + line, cells);
        }
        Ok(State::Between)
    }

    /// The columns that a statement names, or those of the table's definition.
    fn columns(&self, table: &str, named: Option<Vec<String>>) -> Result<Vec<String>, Unreadable> {
        let defined = || self.defined.get(table).cloned();
        named
            .or_else(defined)
            .ok_or_else(|| Unreadable::NoColumns { line: self.line, table: table.to_owned() })
    }
}

/// What is known by its first bytes not to be plain SQL.
fn check_plain(line: &[u8]) -> Result<(), Unreadable> {
    let what = if line.starts_with(b"PGDMP") {
        "a dump in PostgreSQL's custom format"
    } else if line.starts_with(&[0x1f, 0x8b]) {
        "a gzip file"
    } else if line.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        "a zstd file"
    } else if line.starts_with(b"PK\x03\x04") {
        "a zip file"
    } else if line.starts_with(b"toc.dat") {
        "a dump in PostgreSQL's tar format"
    } else if line.contains(&0) {
        "a binary file"
    } else {
        return Ok(());
    };
    Err(Unreadable::NotPlain { what })
}

/// A name at the beginning of a text, in quotes or not, and what follows.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let (part, behind) = rest.split_once('"')?;
            name += part;
            rest = behind;
            match rest.strip_prefix('"') {
                Some(behind) => (name.push('"'), rest = behind).1,
                None => return Some((name, rest)),
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// The name of a table, whatever its schema is, and what follows.
fn qualified(text: &str) -> Option<(String, &str)> {
    let (first, rest) = name(text)?;
    match rest.strip_prefix('.') {
        Some(rest) => name(rest),
        None => Some((first, rest)),
    }
}

/// `(a, "b")`, and what follows.
fn list(text: &str) -> Option<(Vec<String>, &str)> {
    let mut rest = text.strip_prefix('(')?;
    let mut names = Vec::new();
    loop {
        let (name, behind) = name(rest.trim_start())?;
        names.push(name);
        rest = behind.trim_start();
        if let Some(behind) = rest.strip_prefix(')') {
            return Some((names, behind));
        }
        rest = rest.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests;
