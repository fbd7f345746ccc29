//! Reads values of the kind a setting takes, and collects everything there is to say on the way.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::tree::{Map, Node, Value};

/// Longer times are slips: about 31 years.
const MAX_SECONDS: f64 = 1e9;

/// A line to say once at start: what takes a setting's place, or that it is not yet in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note(String);

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A setting that was found, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// With its section in front.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a setting that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does what it says, or needs nothing to be done.
    Kept,
    /// This takes its place.
    Replaced(&'static str),
    /// It does nothing yet.
    NotYet,
}

/// What was found so far.
pub(crate) struct Report {
    strict: bool,
    names_dangle: bool,
    accepted: bool,
    diagnostics: Vec<Diagnostic>,
    notes: BTreeSet<Note>,
    not_yet: BTreeSet<String>,
    settings: Vec<Setting>,
}

impl Report {
    pub(crate) fn new(strict: bool) -> Self {
        let (diagnostics, notes, not_yet, settings) = Default::default();
        let (names_dangle, accepted) = (false, false);
        Self { strict, names_dangle, accepted, diagnostics, notes, not_yet, settings }
    }

    /// Whether what a name stands for may come or go while the config is in force.
    pub(crate) fn let_names_dangle(&mut self, may: bool) {
        self.names_dangle = may;
    }

    /// Whether the cluster has the config in force.
    pub(crate) fn is_accepted(&mut self, accepted: bool) {
        self.accepted = accepted;
    }

    /// What was taken before it was refused: who has it in force goes on without it.
    pub(crate) fn outdated(&mut self, mut diagnostic: Diagnostic) {
        if self.accepted {
            diagnostic.severity = Severity::Warning;
        }
        self.push(diagnostic);
    }

    /// A name that leads nowhere.
    pub(crate) fn dangling(&mut self, mut diagnostic: Diagnostic) {
        if self.names_dangle {
            diagnostic.severity = Severity::Warning;
        }
        self.push(diagnostic);
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.diagnostics.extend(diagnostics);
    }

    /// A warning about a key, which is an error if the caller asked for strictness.
    pub(crate) fn lenient(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.severity = if self.strict { Severity::Error } else { Severity::Warning };
        self.push(diagnostic);
    }

    /// Notes a setting that is known and not refused.
    pub(crate) fn saw(&mut self, name: String, place: Place, fate: Fate) {
        self.settings.push(Setting { name, place, fate });
    }

    pub(crate) fn replaced(&mut self, setting: &str, by: &str) {
        self.notes.insert(Note(format!("{setting}: {by}")));
    }

    pub(crate) fn not_yet(&mut self, setting: impl Into<String>) {
        self.not_yet.insert(setting.into());
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    pub(crate) fn has_errors_of(&self, code: Code) -> bool {
        self.diagnostics.iter().any(|found| found.code == code)
    }

    /// Everything found, in the order of the files, the notes, and the settings.
    pub(crate) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Note>, Vec<Setting>) {
        let place = |found: &Diagnostic| found.place.as_ref().map(|(at, _)| (at.file, at.start));
        self.diagnostics.sort_by_key(|found| (place(found), found.code));
        self.diagnostics.dedup();
        if !self.not_yet.is_empty() {
            let settings: Vec<String> = self.not_yet.into_iter().collect();
            self.notes.insert(Note(format!("read but not yet in force: {}", settings.join(", "))));
        }
        self.settings.sort_by_key(|setting| (setting.place.file, setting.place.start));
        (self.diagnostics, self.notes.into_iter().collect(), self.settings)
    }

    /// The node unless it is null; a variable that is not set is warned of.
    pub(crate) fn present<'n>(&mut self, what: &str, node: Option<&'n Node>) -> Option<&'n Node> {
        let node = node?;
        if let Some(variable) = node.missing() {
            let message = format!("environment variable `{variable}` is not set");
            let label = format!("{what} counts as absent");
            self.push(Diagnostic::warning(Code::UnsetVariable, message).at(node.place, label));
        }
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    pub(crate) fn text<'n>(&mut self, what: &str, node: Option<&'n Node>) -> Option<&'n str> {
        let node = self.present(what, node)?;
        let text = node.as_text();
        self.expect(what, node, "a text", text)
    }

    pub(crate) fn flag(&mut self, what: &str, node: Option<&Node>) -> Option<bool> {
        let node = self.present(what, node)?;
        let flag = match &node.value {
            Value::Bool(yes) => Some(*yes),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::Null | Value::Text(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                None
            }
        };
        self.expect(what, node, "true or false", flag)
    }

    /// A number of zero or more.
    pub(crate) fn amount(&mut self, what: &str, node: Option<&Node>) -> Option<f64> {
        let node = self.present(what, node)?;
        let number = self.expect(what, node, "a number", node.number())?;
        if number < 0.0 {
            return self.wrong_value(what, node, "must not be negative");
        }
        Some(number)
    }

    /// A whole number of zero or more.
    pub(crate) fn count<T: TryFrom<u64>>(&mut self, what: &str, node: Option<&Node>) -> Option<T> {
        let number = self.amount(what, node)?;
        // Exact: a whole number within 2⁵³ is its own text.
        let whole = format!("{number}").parse().ok().and_then(|whole: u64| T::try_from(whole).ok());
        let node = node?;
        match whole {
            Some(whole) => Some(whole),
            None => self.wrong_value(what, node, "must be a whole number, and a smaller one"),
        }
    }

    pub(crate) fn seconds(&mut self, what: &str, node: Option<&Node>) -> Option<Duration> {
        let number = self.amount(what, node)?;
        if number > MAX_SECONDS {
            return self.wrong_value(what, node?, "must be at most 1000000000 seconds");
        }
        Some(Duration::from_secs_f64(number))
    }

    /// A time that something may take, so more than zero.
    pub(crate) fn bound(&mut self, what: &str, node: Option<&Node>) -> Option<Duration> {
        let time = self.seconds(what, node)?;
        if time.is_zero() {
            return self.wrong_value(what, node?, "must be more than 0 seconds");
        }
        Some(time)
    }

    pub(crate) fn map<'n>(&mut self, what: &str, node: Option<&'n Node>) -> Option<&'n Map> {
        let node = self.present(what, node)?;
        self.expect(what, node, "a map", node.as_map())
    }

    pub(crate) fn list<'n>(&mut self, what: &str, node: Option<&'n Node>) -> &'n [Node] {
        let Some(node) = self.present(what, node) else { return &[] };
        let list = matches!(node.value, Value::List(_)).then(|| node.items());
        self.expect(what, node, "a list", list).unwrap_or_default()
    }

    pub(crate) fn wrong_value<T>(&mut self, what: &str, node: &Node, must: &str) -> Option<T> {
        let message = format!("{what} {must}");
        self.push(Diagnostic::error(Code::WrongValue, message).at(node.place, ""));
        None
    }

    pub(crate) fn expect<T>(
        &mut self,
        what: &str,
        node: &Node,
        expected: &str,
        read: Option<T>,
    ) -> Option<T> {
        if read.is_none() {
            let message = format!("{what} is {}, not {expected}", node.kind());
            let from = node.variable.as_deref().map(|variable| format!("the value of {variable}"));
            let problem = Diagnostic::error(Code::WrongType, message);
            self.push(problem.at(node.place, from.unwrap_or_default()));
        }
        read
    }
}
