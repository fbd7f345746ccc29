//! `INSERT` statements, which may go over many lines: texts in them hold line breaks as they are.

use crate::dump::{MAX_ROW_BYTES, Unreadable};
use crate::tables::{self, Use};

/// A statement that has not ended yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) table: String,
    pub(super) wanted: bool,
    /// Where it begins.
    pub(super) line: u64,
    /// Groups in brackets so far: rows, and the names of the columns.
    groups: u64,
    names_columns: bool,
    text: Vec<u8>,
    /// In a text, and whether backslashes mean something in it.
    quoted: Option<bool>,
    depth: u32,
    escaped: bool,
    last: u8,
}

impl Open {
    pub(super) fn new(line: u64) -> Self {
        Self {
            table: String::new(),
            wanted: false,
            line,
            groups: 0,
            names_columns: false,
            text: Vec::new(),
            quoted: None,
            depth: 0,
            escaped: false,
            last: b' ',
        }
    }

    /// Takes a line; whether it ends the statement. Nothing is held of a table that does not matter.
    pub(super) fn push(&mut self, line: &[u8], number: u64) -> Result<bool, Unreadable> {
        if number == self.line {
            let head = String::from_utf8_lossy(line);
            let head = head.strip_prefix("INSERT INTO ").and_then(super::qualified);
            let (table, rest) = head.unwrap_or_default();
            self.names_columns = super::list(rest.trim_start()).is_some();
            self.table = table;
            let table = tables::find(&self.table);
            self.wanted = table.is_some_and(|table| matches!(table.r#use, Use::Read));
        }
        if self.wanted {
            if self.text.len() + line.len() > MAX_ROW_BYTES {
                return Err(Unreadable::TooLong { line: self.line, table: self.table.clone() });
            }
            self.text.extend_from_slice(line);
            self.text.push(b'\n');
        }
        let ended = line.iter().any(|byte| self.step(*byte));
        if !ended {
            self.step(b'\n');
        }
        Ok(ended)
    }

    /// Whether a byte is the end of the statement.
    fn step(&mut self, byte: u8) -> bool {
        let before = std::mem::replace(&mut self.last, byte);
        match self.quoted {
            Some(_) if self.escaped => self.escaped = false,
            Some(true) if byte == b'\\' => self.escaped = true,
            // A doubled quote closes and opens again, which comes to the same.
            Some(_) if byte == b'\'' => self.quoted = None,
            Some(_) => {}
            None => match byte {
                b'\'' => self.quoted = Some(matches!(before, b'E' | b'e')),
                b'(' => {
                    self.groups += u64::from(self.depth == 0);
                    self.depth += 1;
                }
                b')' => self.depth = self.depth.saturating_sub(1),
                b';' => return true,
                _ => {}
            },
        }
        false
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> u64 {
        self.groups - u64::from(self.names_columns)
    }

    /// The whole statement.
    pub(super) fn statement(self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// The columns that a statement names.
pub(super) fn columns(statement: &str) -> Option<Vec<String>> {
    let (_, rest) = super::qualified(statement.strip_prefix("INSERT INTO ")?)?;
    super::list(rest.trim_start()).map(|(columns, _)| columns)
}

type Cells = Result<Vec<Option<String>>, String>;

/// The rows of a statement, and on which of its lines each begins.
pub(super) fn rows(statement: &str) -> Vec<(u64, Cells)> {
    let behind_name = statement.strip_prefix("INSERT INTO ").and_then(super::qualified);
    let Some((_, rest)) = behind_name else { return Vec::new() };
    let rest = super::list(rest.trim_start()).map_or(rest, |(_, rest)| rest);
    let Some(at) = rest.find("VALUES") else { return Vec::new() };
    let mut rest = &rest[at + "VALUES".len()..];
    let mut rows = Vec::new();
    while let Some(at) = rest.find(['(', ';']) {
        let Some(group) = rest[at..].strip_prefix('(') else { break };
        let before = &statement[..statement.len() - group.len()];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() as u64;
        let mut reader = Values { rest: group };
        let cells = reader.group();
        let broken = cells.is_err();
        rows.push((line, cells));
        if broken || !reader.rest.trim_start().starts_with(',') {
            break;
        }
        rest = reader.rest;
    }
    rows
}

/// What is left of a group of values.
struct Values<'t> {
    rest: &'t str,
}

impl<'t> Values<'t> {
    /// Up to and with the closing bracket.
    fn group(&mut self) -> Cells {
        let mut cells = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            cells.push(self.value()?);
            self.skip_cast();
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(cells);
            }
            self.rest = self.rest.strip_prefix(',').ok_or("its values cannot be told apart")?;
        }
    }

    fn value(&mut self) -> Result<Option<String>, String> {
        if let Some(rest) = self.rest.strip_prefix('\'') {
            return self.text(rest, false).map(Some);
        }
        if let Some(rest) = self.rest.strip_prefix("E'") {
            return self.text(rest, true).map(Some);
        }
        let end = self.rest.find([',', ')', ':']).ok_or("its last value does not end")?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let word = word.trim();
        match word {
            "NULL" | "DEFAULT" => Ok(None),
            _ if word.contains(['\'', '(']) => Err(format!("`{word}` is no plain value")),
            _ => Ok(Some(word.to_owned())),
        }
    }

    /// A text up to its closing quote; `escapes` says whether backslashes mean something in it.
    fn text(&mut self, text: &'t str, escapes: bool) -> Result<String, String> {
        let mut value = String::new();
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' if chars.next_if(|(_, c)| *c == '\'').is_some() => value.push('\''),
                '\'' => {
                    self.rest = &text[at + 1..];
                    return Ok(value);
                }
                '\\' if escapes => match chars.next().ok_or("half an escape")?.1 {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    'b' => value.push('\u{8}'),
                    'f' => value.push('\u{c}'),
                    other => value.push(other),
                },
                c => value.push(c),
            }
        }
        Err("a text in it does not end".to_owned())
    }

    /// `::type`.
    fn skip_cast(&mut self) {
        if let Some(rest) = self.rest.strip_prefix("::") {
            let end = rest.find([',', ')']).unwrap_or(rest.len());
            self.rest = &rest[end..];
        }
    }
}
