//! The three streams of the process.

use std::io::{self, IsTerminal, Write};

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

/// Asks on stderr and returns the answer; `None` if there is no terminal.
pub(crate) fn ask(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    say(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}
