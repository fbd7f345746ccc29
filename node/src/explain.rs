//! `dunlin explain CODE`: the longer story of an error code.

use dunlin_cli::Output;
use serde_json::json;

use crate::{Exit, say};

/// Prints what `code` means, or what codes there are.
pub(crate) fn run(code: &str, output: Output) -> Exit {
    let code = code.to_uppercase();
    if let Some(text) = dunlin_config::explain(&code) {
        let json = json!({"code": code, "text": text});
        // A reader that has left is no failure of ours.
        drop(output.show("dunlin.explain/1", json, &format!("{code}\n\n{text}\n")));
        return Exit::Done;
    }
    let known: Vec<_> = dunlin_config::codes().collect();
    say(&format!("error: there is no code `{code}`; the codes are {}\n", known.join(", ")));
    Exit::NotFound
}
