//! What is wrong with a config, said to a person: the place, the text underlined, the way out.

use std::fmt::Write;

use crate::document::Document;
use crate::words;

pub(crate) use crate::explain::Code;

/// A stretch of a document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Document::files`].
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Place {
    pub(crate) fn new(file: usize, start: usize, end: usize) -> Self {
        Self { file, start, end }
    }

    /// From here to the end of `last`, if that comes later in the same file.
    pub(crate) fn until(self, last: Place) -> Self {
        if last.file == self.file { Self { end: last.end.max(self.end), ..self } } else { self }
    }
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The config is not applied.
    Error,
    /// The config is applied, without what the message names.
    Warning,
}

/// One finding about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, and the key to [`crate::explain`].
    pub code: Code,
    /// Whether the config can be applied all the same.
    pub severity: Severity,
    /// One sentence that names the thing and the value, never a secret.
    pub message: String,
    /// Where, and what to say under the marked text.
    pub place: Option<(Place, String)>,
    /// Other places that matter, and why.
    pub related: Vec<(Place, String)>,
    /// Consequences and ways out.
    pub notes: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        let (related, notes) = (Vec::new(), Vec::new());
        Self { code, severity: Severity::Error, message, place: None, related, notes }
    }

    pub(crate) fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(crate) fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.place = Some((place, label.into()));
        self
    }

    pub(crate) fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The first line of [`Diagnostic::render`], without colour: `error[DL0103]: …`.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{}[{}]: {}", self.severity.word(), self.code.as_str(), self.message)
    }

    /// The whole finding over the lines it speaks of, in at most a dozen lines. Credentials in
    /// those lines are masked. Ends without a line break.
    #[must_use]
    pub fn render(&self, document: &Document, color: bool) -> String {
        let paint = Paint { color, code: self.severity.color() };
        let word = format!("{}[{}]", self.severity.word(), self.code.as_str());
        let mut out =
            format!("{}{}", paint.strong(&word), paint.bold(&format!(": {}", self.message)));
        let mut places = vec![];
        places.extend(self.place.as_ref().map(|(place, label)| ("-->", '^', place, label)));
        places.extend(self.related.iter().map(|(place, label)| (":::", '-', place, label)));
        let located: Vec<_> = places
            .into_iter()
            .filter_map(|(arrow, mark, place, label)| {
                Some((arrow, mark, Located::new(document, *place)?, label))
            })
            .collect();
        let widest = located.iter().map(|(_, _, at, _)| at.line.to_string().len()).max();
        let margin = " ".repeat(widest.unwrap_or(1) + 1);
        for (arrow, mark, at, label) in &located {
            let Located { path, line, column, text, .. } = at;
            let number = format!("{line:>width$}", width = margin.len() - 1);
            let marked = format!("{} {label}", mark.to_string().repeat(at.width));
            let marked = if *mark == '^' { paint.strong(marked.trim_end()) } else { marked };
            let indent = " ".repeat(column - 1);
            let _infallible = write!(
                out,
                "\n{margin}{arrow} {path}:{line}:{column}\n{margin} |\n {number} | {text}\n{margin} | \
                 {indent}{marked}",
                margin = margin
            );
        }
        for note in &self.notes {
            let _infallible = write!(out, "\n{margin} = note: {note}");
        }
        let _infallible = write!(out, "\n{margin} = help: dunlin explain {}", self.code.as_str());
        out
    }
}

impl Place {
    /// The file and the line, from 1, in which it begins.
    #[must_use]
    pub fn line<'d>(&self, document: &'d Document) -> (&'d str, u64) {
        let file = &document.files[self.file];
        let before = file.text.as_bytes().iter().take(self.start);
        (&file.path, before.filter(|byte| **byte == b'\n').count() as u64 + 1)
    }

    /// The file, and the line and column, from 1, at which it begins.
    #[must_use]
    pub fn begins<'d>(&self, document: &'d Document) -> Option<(&'d str, usize, usize)> {
        let found = Located::new(document, *self)?;
        Some((found.path, found.line, found.column))
    }
}

impl Severity {
    /// As it is told.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Error => "31",
            Self::Warning => "33",
        }
    }
}

/// `2 errors, 1 warning`; `no errors` if there is nothing to say.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let plural = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts =
        [plural(count(Severity::Error), "error"), plural(count(Severity::Warning), "warning")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no errors".to_owned() } else { parts.join(", ") }
}

/// A place as people count: lines and columns from 1.
struct Located<'d> {
    path: &'d str,
    line: usize,
    column: usize,
    /// The line, tabs as single spaces, credentials masked.
    text: String,
    /// Characters to underline, at least one and within the line.
    width: usize,
}

impl<'d> Located<'d> {
    fn new(document: &'d Document, place: Place) -> Option<Self> {
        let file = document.files.get(place.file)?;
        let (before, after) = file.text.split_at_checked(place.start.min(file.text.len()))?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = after.lines().next().unwrap_or_default();
        let line_end = before.len() + rest.len();
        let marked = file.text.get(before.len()..place.end.clamp(before.len(), line_end))?;
        let text = file.text.get(line_start..line_end)?.replace('\t', " ");
        Some(Self {
            path: &file.path,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text: words::mask(&text),
            width: marked.trim_end().chars().count().max(1),
        })
    }
}

struct Paint {
    color: bool,
    code: &'static str,
}

impl Paint {
    fn strong(&self, text: &str) -> String {
        if self.color { format!("\x1b[1;{}m{text}\x1b[0m", self.code) } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}
