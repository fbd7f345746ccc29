//! The tables beside this file: one row for each request, in the order in which they are asked.
//!
//! ```text
//! shape key                           a name for fields, used as @key or info.@key
//!     key_name:str token:hash
//! POST /key/generate                  a row: method, path; {NAME} is what an earlier row kept
//!     send {"key_alias": "app"}       the body; `form a=b file=@name:text` for a form
//!     with x-litellm-call-id: abc     a header
//!     by dev                          who asks: the master key's bearer if it is not said
//!     is 200 @key expires:iso|null    the status, and fields with types or (`name="app"`) values
//!     echo info except key            each field that was sent is shown again, under `info`
//!     head x-litellm-call-id:str      headers of the answer; `!name` is not there
//!     says "text"                     part of the body
//!     keep KEY=key                    for later rows; `DAY=created_at:10` keeps the beginning
//!     also /end_user/new              the same at another path
//!     until                           asked again until it is so: spend is summed in the background
//!     differs "the words"             deliberate, and told in these words by the user documents
//! columns master viewer none          who asks in the rows below
//! GET /key/list => 200 200 401        a row of a matrix: the status that each of them gets
//! ```

use std::collections::BTreeMap;

/// One request and what is expected of its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// File and line.
    pub(crate) at: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) by: String,
    pub(crate) send: Option<String>,
    /// Parts of a multipart form: `name=value`, or `name=@file name:content`.
    pub(crate) form: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// None in a matrix.
    pub(crate) status: Option<u16>,
    pub(crate) fields: Vec<String>,
    pub(crate) heads: Vec<String>,
    /// Where the fields that were sent are shown again, and which are not.
    pub(crate) echo: Option<(String, Vec<String>)>,
    pub(crate) keeps: Vec<(String, String)>,
    pub(crate) also: Vec<String>,
    pub(crate) says: Vec<String>,
    /// It may take a moment.
    pub(crate) until: bool,
    pub(crate) differs: Vec<String>,
    /// Who else asks, and which status each gets.
    pub(crate) may: Vec<(String, u16)>,
}

/// Reads a table.
///
/// # Panics
/// It cannot be read: the table is part of the test.
pub(crate) fn read(name: &str, text: &str) -> Vec<Row> {
    let mut reader =
        Reader { name, shapes: BTreeMap::new(), columns: Vec::new(), rows: Vec::new() };
    for (at, entry) in entries(text) {
        reader.entry(&format!("{name}:{at}"), &entry);
    }
    reader.rows
}

/// Each entry as its lines, the first one at the margin, and where it begins. A line that begins with
/// no word of ours goes on from the one before.
fn entries(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut entries: Vec<(usize, Vec<String>)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let said = line.trim();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            entries.push((number, vec![said.to_owned()]));
            continue;
        }
        let (_, lines) = entries.last_mut().expect("the first line is at the margin");
        let is_word = WORDS.contains(&said.split(' ').next().unwrap_or_default());
        if is_word && !lines[0].starts_with("shape ") {
            lines.push(said.to_owned());
        } else {
            let last = lines.last_mut().expect("there is a line");
            last.push(' ');
            last.push_str(said);
        }
    }
    entries
}

const WORDS: &[&str] = &[
    "also", "by", "differs", "echo", "form", "head", "is", "keep", "says", "send", "until", "with",
];

struct Reader<'t> {
    name: &'t str,
    shapes: BTreeMap<String, Vec<String>>,
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Reader<'_> {
    fn entry(&mut self, at: &str, lines: &[String]) {
        let (word, rest) = lines[0].split_once(' ').unwrap_or_else(|| panic!("{at}: one word"));
        match word {
            "shape" => {
                let (name, fields) = rest.split_once(' ').expect("a name and fields");
                let fields = self.fields(at, fields);
                self.shapes.insert(name.to_owned(), fields);
            }
            "columns" => self.columns = words(rest),
            method => {
                let mut row = Row { at: at.to_owned(), by: "master".to_owned(), ..Row::default() };
                row.method = method.to_owned();
                self.head(&mut row, rest);
                for line in &lines[1..] {
                    self.line(&mut row, line);
                }
                let is_whole = row.status.is_some() || !row.may.is_empty();
                assert!(is_whole, "{}:{at}: the row expects nothing", self.name);
                self.rows.push(row);
            }
        }
    }

    /// `/path`, in a matrix with a body and `=> 200 401`.
    fn head(&self, row: &mut Row, rest: &str) {
        let asked = match rest.split_once(" => ") {
            None => rest,
            Some((asked, statuses)) => {
                let statuses = words(statuses);
                assert_eq!(statuses.len(), self.columns.len(), "{}: one for each column", row.at);
                let may = self.columns.iter().cloned().zip(statuses);
                row.may =
                    may.map(|(who, status)| (who, status.parse().expect("a status"))).collect();
                asked
            }
        };
        let (path, body) = asked.split_once(' ').unwrap_or((asked, ""));
        row.path = path.to_owned();
        row.send = Some(body.to_owned()).filter(|body| !body.is_empty());
    }

    fn line(&self, row: &mut Row, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let quoted = || rest.trim_matches('"').to_owned();
        match word {
            "send" => row.send = Some(rest.to_owned()),
            "form" => row.form.extend(rest.split(" & ").map(str::to_owned)),
            "with" => {
                let (name, value) = rest.split_once(": ").expect("name: value");
                row.headers.push((name.to_owned(), value.to_owned()));
            }
            "by" => row.by = rest.to_owned(),
            "is" => {
                let (status, fields) = rest.split_once(' ').unwrap_or((rest, ""));
                row.status = Some(status.parse().expect("a status"));
                row.fields.extend(self.fields(&row.at, fields));
            }
            "echo" => {
                let (under, except) = rest.split_once("except ").unwrap_or((rest, ""));
                row.echo = Some((under.trim().to_owned(), words(except)));
            }
            "head" => row.heads.extend(self.fields(&row.at, rest)),
            "keep" => {
                let (name, path) = rest.split_once('=').expect("NAME=path");
                row.keeps.push((name.to_owned(), path.to_owned()));
            }
            "also" => row.also.extend(words(rest)),
            "says" => row.says.push(quoted()),
            "until" => row.until = true,
            "differs" => row.differs.push(quoted()),
            _ => panic!("{}: `{word}` is no word of the table", row.at),
        }
    }

    /// Fields one by one, those of shapes in their place.
    fn fields(&self, at: &str, text: &str) -> Vec<String> {
        let mut fields = Vec::new();
        for field in words(text) {
            let shape = field.split_once('@').filter(|(under, _)| !under.contains('='));
            let Some((under, name)) = shape else {
                fields.push(field);
                continue;
            };
            let shape = self.shapes.get(name).unwrap_or_else(|| panic!("{at}: no shape `{name}`"));
            fields.extend(shape.iter().map(|field| format!("{under}{field}")));
        }
        fields
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
