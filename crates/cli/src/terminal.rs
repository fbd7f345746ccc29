//! The three streams of the process.

use std::io::{self, IsTerminal, Write};

use crate::failure::{Failure, Result};
use crate::table::plain;

/// Data for pipes goes to stdout.
///
/// # Errors
/// Nobody reads, or there is no room.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Words for people go to stderr. Nobody is left to be told if that fails.
pub fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// What is done only if somebody wants it who knows what it is about.
pub(crate) struct Deed<'a> {
    /// What comes of it, as a sentence.
    pub(crate) warning: &'a str,
    /// What is done, such as `delete key app`.
    pub(crate) what: &'a str,
    /// What has to be typed: its name or id.
    pub(crate) name: &'a str,
}

impl Deed<'_> {
    /// Asks on the terminal, unless `--yes` says so already.
    pub(crate) fn confirm(&self, yes: bool) -> Result {
        let Self { warning, what, name } = self;
        if yes {
            return Ok(());
        }
        match ask(&plain(format!("{warning} Type {name} to {what}: ").trim_start())) {
            Some(typed) if typed == *name => Ok(()),
            Some(_) => Err(Failure::usage(format!("that is not {name}; nothing was changed"), "")),
            None => {
                let message = format!("cannot {what} without confirmation");
                Err(Failure::usage(message, "there is no terminal to ask on: use --yes"))
            }
        }
    }
}

/// Asks on stderr and returns the answer; `None` if there is no terminal.
fn ask(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    say(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}
