//! How a command ends: the exit codes, and the message of a failure.

use std::{fmt, io};

use crate::table::plain;
use crate::terms::Flag;

/// How a command ended. The numbers are a promise to scripts; `dunlin --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Not done.
    Failed = 1,
    /// The command line or the config is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// The key is missing, wrong or not enough.
    Unauthorised = 4,
    /// It contradicts what the cluster holds.
    Conflict = 5,
    /// No node can be reached, or none can decide now. Nothing was begun.
    Unavailable = 6,
    /// No answer came in time; a change may still take effect.
    OutcomeUnknown = 7,
    /// A check did its work and found problems.
    ProblemsFound = 10,
}

impl Exit {
    /// All codes for `--help`.
    pub const HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or config error, 3 not found, 4 the key is missing or not
enough, 5 conflict, 6 no node can be reached or none can decide now, 7 no answer in time (a change
may still take effect), 10 a check found problems.";
}

/// What the options for a stretch of time are called by nodes, and here.
pub(crate) const SINCE_UNTIL: [(&str, &str); 2] =
    [("start_date", "--since"), ("end_date", "--until")];

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Why a command was not carried out. Its exit code is its kind.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Without the word `error`.
    pub(crate) message: String,
    /// What to do about it; empty if that is plain.
    help: &'static str,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>, help: &'static str) -> Self {
        Self { exit, message: message.into(), help }
    }

    pub(crate) fn usage(message: impl Into<String>, help: &'static str) -> Self {
        Self::new(Exit::Usage, message, help)
    }

    /// The same with what to do about it, if it ends so.
    pub(crate) fn with_help(mut self, exit: Exit, help: &'static str) -> Self {
        if self.exit == exit {
            self.help = help;
        }
        self
    }

    /// The same, where what a node told begins with a field's name: it is the flag that sets it.
    pub(crate) fn of_flags(mut self, flags: impl IntoIterator<Item = Flag>) -> Self {
        for (flag, field) in flags {
            let (said, named) = (format!(": {field}: "), format!(": --{flag}: "));
            self.message = self.message.replacen(&said, &named, 1);
        }
        self
    }

    /// The same in the words of the command line: each parameter is the option that sets it.
    pub(crate) fn naming(mut self, options: &[(&str, &str)]) -> Self {
        for (parameter, option) in options {
            self.message = self.message.replace(parameter, option);
        }
        self
    }

    /// A failure of this machine.
    pub(crate) fn here(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message, "")
    }

    /// What was to be shown could not be. A reader who has left, as `head` does, has what it wanted.
    pub(crate) fn unwritten(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, "", "");
        }
        Self::here(format!("cannot write the output: {error}"))
    }

    /// Whether there is nothing to be told.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

/// As it is told to people, with nothing that would move a terminal's cursor.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.message.lines().map(plain).collect();
        writeln!(f, "error: {}", lines.join("\n  "))?;
        if self.help.is_empty() { Ok(()) } else { writeln!(f, "help: {}", self.help) }
    }
}
