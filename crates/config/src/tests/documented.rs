//! The users' document names every setting that is read and not in force, or refused.

use std::fmt::Write;

use crate::keys::{self, Keys, Standing};

const DOCUMENT: &str = include_str!("../../../../docs/litellm.md");
const BEGIN: &str = "<!-- made from crates/config/src/keys.rs: begin -->\n";
const END: &str = "<!-- made from crates/config/src/keys.rs: end -->\n";
const WIDTH: usize = 100;

fn list(title: &str, which: impl Fn(&Keys) -> Vec<&'static str>) -> String {
    let mut out = format!("{title}\n\n");
    for keys in keys::ALL {
        let mut words = which(keys);
        words.sort_unstable();
        if words.is_empty() {
            continue;
        }
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let text = format!("- {}: {}", keys.section, words.join(", "));
        let mut line = String::new();
        for word in text.split(' ') {
            if line.len() + word.len() >= WIDTH {
                writeln!(out, "{}", line.trim_end()).expect("a text");
                line = "  ".to_owned();
            }
            line += word;
            line.push(' ');
        }
        writeln!(out, "{}", line.trim_end()).expect("a text");
    }
    out
}

#[test]
fn every_setting_that_is_not_in_force_is_named() {
    let absent = list("Read, and not in force; a node says so at start:", Keys::absent);
    let refused = |keys: &Keys| {
        let is_refused = |word: &&str| matches!(keys.standing(word), Some(Standing::Refused(_)));
        keys.words().filter(is_refused).collect()
    };
    let refused = list("Refused with the reason:", refused);
    let expected = format!("{BEGIN}{absent}\n{refused}{END}");
    let from = DOCUMENT.find(BEGIN).expect("the document has the list");
    let to = DOCUMENT.find(END).expect("the list has an end") + END.len();
    assert!(DOCUMENT[from..to] == expected, "docs/litellm.md must have this list:\n{expected}");
}
