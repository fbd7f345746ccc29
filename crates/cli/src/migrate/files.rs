//! The files of a dump, line by line: none of them is held.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use dunlin_migrate::{Dump, Unreadable};
use flate2::read::MultiGzDecoder;

use super::unreadable;
use crate::failure::{Failure, Result};

/// No database writes a longer line of one row.
const MAX_LINE_BYTES: u64 = 1 << 30;
const MAKE_PLAIN: &str = "make a plain dump: pg_dump --no-owner \"$DATABASE_URL\" > dump.sql; to \
                          convert another format: pg_restore --no-owner -f dump.sql FILE";
const NAME_TABLES: &str = "name CSV files after their tables, such as LiteLLM_TeamTable.csv";

/// Reads all of them.
pub(super) fn read(paths: &[PathBuf]) -> Result<Dump> {
    let mut dump = Dump::new();
    for path in paths {
        if path.is_dir() { folder(&mut dump, path)? } else { file(&mut dump, path)? }
    }
    if dump.is_litellms() {
        return Ok(dump);
    }
    let what = "--dump contains no LiteLLM table";
    Err(unreadable(what, "dump the database that LiteLLM's DATABASE_URL names"))
}

fn folder(dump: &mut Dump, path: &Path) -> Result {
    let shown = path.display();
    if path.join("toc.dat").exists() {
        let what = format!("{shown} is a dump in PostgreSQL's directory format");
        return Err(unreadable(&what, MAKE_PLAIN));
    }
    let failed = |error| unreadable(&format!("cannot read {shown}: {error}"), "");
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if table_of(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(unreadable(&format!("there is no CSV file in {shown}"), NAME_TABLES));
    }
    files.iter().try_for_each(|path| file(dump, path))
}

/// The table whose rows a CSV file holds, by its name; none for a dump.
fn table_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let name = name.strip_suffix(".csv")?;
    // Some tools put the schema in front.
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}

fn file(dump: &mut Dump, path: &Path) -> Result {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| unreadable(&format!("cannot read {shown}: {error}"), "");
    let mut input = BufReader::new(File::open(path).map_err(failed)?);
    let packed = input.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let lines: Box<dyn BufRead> =
        if packed { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) };
    let told = |error: Unreadable| {
        let help = match error {
            Unreadable::NotPlain { .. } => MAKE_PLAIN,
            Unreadable::Cut { .. } => "dump it again, with enough room for all of it",
            Unreadable::Encoding { .. }
            | Unreadable::TooLong { .. }
            | Unreadable::NoColumns { .. } => "",
        };
        unreadable(&format!("{shown}: {error}"), help)
    };
    match table_of(path) {
        Some(table) => {
            let mut reader = dump.csv(&shown, &table);
            each_line(lines, &shown, |line| reader.line(line).map_err(told))?;
            reader.end().map_err(told)
        }
        None => {
            let mut reader = dump.sql(&shown);
            each_line(lines, &shown, |line| reader.line(line).map_err(told))?;
            reader.end().map_err(told)
        }
    }
}

fn each_line(
    mut input: Box<dyn BufRead>,
    shown: &str,
    mut take: impl FnMut(&[u8]) -> Result,
) -> Result {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            Failure::usage(format!("cannot read {shown} to its end: {error}"), "")
        })?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == MAX_LINE_BYTES {
            let what = format!("{shown} has a line of more than {MAX_LINE_BYTES} bytes");
            return Err(unreadable(&what, MAKE_PLAIN));
        }
        take(line.strip_suffix(b"\n").unwrap_or(&line))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_file_is_named_for_its_table() {
        let table = |path: &str| table_of(Path::new(path));
        let name = Some("LiteLLM_TeamTable".to_owned());
        for path in
            ["x/LiteLLM_TeamTable.csv", "LiteLLM_TeamTable.csv.gz", "public.LiteLLM_TeamTable.csv"]
        {
            assert_eq!(table(path), name, "{path}");
        }
        assert_eq!(table("dump.sql"), None);
        assert_eq!(table("dump.sql.gz"), None);
    }
}
