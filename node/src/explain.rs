//! `dunlin explain CODE`: the longer story of an error code.

use crate::{Exit, say};

/// Prints what `code` means, or what codes there are.
pub(crate) fn run(code: &str) -> Exit {
    let code = code.to_uppercase();
    if let Some(text) = dunlin_config::explain(&code) {
        crate::print(&format!("{code}\n\n{text}\n"));
        return Exit::Done;
    }
    let known: Vec<_> = dunlin_config::codes().collect();
    say(&format!("error: no code `{code}`; there are {}\n", known.join(", ")));
    Exit::NotFound
}
