//! A table as CSV (RFC 4180) with a line of column names. A value without quotes and without text is
//! null, as `COPY ... CSV` writes it.

use crate::dump::{Dump, MAX_ROW_BYTES, Target, Unreadable};

/// Reads the lines of a CSV file.
#[derive(Debug)]
pub struct CsvReader<'d> {
    dump: &'d mut Dump,
    table: String,
    line: u64,
    /// None before the line of column names.
    target: Option<Target>,
    /// A record that goes over several lines, and where it begins.
    open: Option<(u64, Vec<u8>)>,
    /// Within such a record of a table that does not matter.
    quoted: bool,
}

impl<'d> CsvReader<'d> {
    pub(crate) fn new(dump: &'d mut Dump, table: &str) -> Self {
        let (line, table) = (0, table.to_owned());
        Self { dump, table, line, target: None, open: None, quoted: false }
    }

    /// Takes the next line, without its end.
    ///
    /// # Errors
    /// [`Unreadable`]: no further line makes sense.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        self.line += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let odd = line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        if let Some(target) = self.target.as_ref().filter(|target| !target.wanted) {
            let begins = !self.quoted;
            self.quoted ^= odd;
            if begins && !line.is_empty() {
                self.dump.count(target, self.line);
            }
            return Ok(());
        }
        let (begins, record) = match self.open.take() {
            Some((begins, mut record)) => {
                record.push(b'\n');
                record.extend_from_slice(line);
                (begins, record)
            }
            None => (self.line, line.to_vec()),
        };
        if record.len() > MAX_ROW_BYTES {
            return Err(Unreadable::TooLong { line: begins, table: self.table.clone() });
        }
        self.quoted ^= odd;
        if self.quoted {
            self.open = Some((begins, record));
        } else {
            self.record(begins, &record);
        }
        Ok(())
    }

    /// There are no more lines.
    ///
    /// # Errors
    /// [`Unreadable::Cut`].
    pub fn end(self) -> Result<(), Unreadable> {
        if self.quoted { Err(Unreadable::Cut { table: self.table }) } else { Ok(()) }
    }

    fn record(&mut self, line: u64, record: &[u8]) {
        if record.is_empty() {
            return;
        }
        let cells = match std::str::from_utf8(record) {
            Ok(text) => cells(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => Err("it is not UTF-8".to_owned()),
        };
        match &self.target {
            Some(target) => self.dump.add(target, line, cells),
            None => {
                let names = cells.unwrap_or_default().into_iter().map(Option::unwrap_or_default);
                self.target = Some(self.dump.table(&self.table, names.collect()));
            }
        }
    }
}

fn cells(text: &str) -> Result<Vec<Option<String>>, String> {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        let (cell, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (cell, behind) = quoted_cell(quoted)?;
                (Some(cell), behind)
            }
            None => {
                let (cell, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (Some(cell.to_owned()).filter(|cell| !cell.is_empty()), behind)
            }
        };
        cells.push(cell);
        if behind.is_empty() {
            return Ok(cells);
        }
        rest = behind.strip_prefix(',').ok_or("there is text behind a quoted value")?;
    }
}

/// A value up to its closing quote, and what follows.
fn quoted_cell(text: &str) -> Result<(String, &str), String> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or("a quoted value does not end")?;
        cell += part;
        match behind.strip_prefix('"') {
            Some(behind) => {
                cell.push('"');
                rest = behind;
            }
            None => return Ok((cell, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_the_empty_text_are_two_things() {
        assert_eq!(
            cells(r#"a,,"","b ""c"", d""#),
            Ok(vec![
                Some("a".to_owned()),
                None,
                Some(String::new()),
                Some(r#"b "c", d"#.to_owned())
            ])
        );
        assert!(cells(r#""a"b,c"#).is_err());
        assert_eq!(cells("a,"), Ok(vec![Some("a".to_owned()), None]));
    }

    #[test]
    fn a_record_may_go_over_lines_and_is_told_by_its_first() {
        let mut dump = Dump::new();
        let mut reader = dump.csv("t.csv", "LiteLLM_TagTable");
        for line in ["tag_name,description", "\"a\",\"one", "two\"", "", "b,"] {
            reader.line(line.as_bytes()).expect("readable");
        }
        reader.end().expect("whole");
        let rows = &dump.tables["LiteLLM_TagTable"].rows;
        assert_eq!((rows.len(), rows[0].line, rows[1].line), (2, 2, 5));
        assert_eq!(rows[0].get("description"), Some("one\ntwo"));
        assert_eq!(rows[1].get("description"), None);

        let mut reader = dump.csv("l.csv", "LiteLLM_SpendLogs");
        for line in ["request_id,messages", "\"1\",\"one", "two\"", "2,x"] {
            reader.line(line.as_bytes()).expect("readable");
        }
        reader.line(b"3,\"open").expect("readable");
        assert_eq!(reader.end(), Err(Unreadable::Cut { table: "LiteLLM_SpendLogs".to_owned() }));
        let logs = &dump.tables["LiteLLM_SpendLogs"];
        assert_eq!((logs.count, logs.rows.len()), (3, 0));
    }
}
