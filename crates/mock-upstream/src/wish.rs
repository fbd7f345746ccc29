//! What a request wishes of the mock beyond what its dialect can say.
//!
//! A wish is a word and, after a colon, its argument. It comes in the last message of the user as
//! `[[word:argument]]`, or as a header `x-mock-word: argument`. In a message, words that are no
//! wish are left alone; a header that is none is refused.

use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::Value;

use crate::answer::{Call, Finish};
use crate::fault::Fault;

const HEADER: &str = "x-mock-";
/// What is thought unless something else is wished for.
pub(crate) const THOUGHT: &str = "hm hm hm ";

/// The wishes of one request.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) calls: Vec<Call>,
    pub(crate) think: Option<String>,
    pub(crate) say: Option<String>,
    pub(crate) refuse: Option<String>,
    pub(crate) echo: bool,
    pub(crate) finish: Option<Finish>,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<String>,
    pub(crate) tokens: Option<u32>,
    pub(crate) delay: Duration,
    pub(crate) cached: u64,
    pub(crate) cache_written: u64,
    pub(crate) fault: Option<Fault>,
}

impl Wishes {
    /// Reads the wishes out of a request's headers, its body's `upstream_*` and its last message.
    pub(crate) fn read(headers: &HeaderMap, body: &Value, text: &str) -> Result<Self, String> {
        let mut wishes = Self::default();
        for (name, value) in headers {
            let Some(word) = name.as_str().strip_prefix(HEADER) else { continue };
            let argument = value.to_str().map_err(|_| format!("`{name}` is not text"))?;
            wishes.add(word, argument)?;
        }
        for (field, word) in [("delay_ms", "delay"), ("tokens", "tokens"), ("status", "status")] {
            if let Some(number) = body[format!("upstream_{field}")].as_u64() {
                wishes.add(word, &number.to_string())?;
            }
        }
        for (word, argument) in spells(text) {
            // An ordinary message may well have doubled brackets.
            let _ = wishes.add(word, argument);
        }
        Ok(wishes)
    }

    fn add(&mut self, word: &str, argument: &str) -> Result<(), String> {
        let number =
            || argument.trim().parse::<u32>().map_err(|_| format!("`{word}` needs a number"));
        let or = |text: &str| if argument.is_empty() { text } else { argument }.to_owned();
        match word {
            "tool" => self.calls.push(call(argument)?),
            "think" => self.think = Some(or(THOUGHT)),
            "say" => self.say = Some(argument.to_owned()),
            "refuse" => self.refuse = Some(or("I cannot help with that.")),
            "echo" => self.echo = true,
            "finish" => self.finish = Some(Finish::named(argument)),
            "status" => {
                self.status = Some(
                    u16::try_from(number()?)
                        .ok()
                        .filter(|code| (200..1000).contains(code))
                        .ok_or_else(|| format!("`{argument}` is no status"))?,
                );
            }
            "retry-after" => self.retry_after = Some(argument.to_owned()),
            "tokens" => self.tokens = Some(number()?),
            "delay" => self.delay = Duration::from_millis(number()?.into()),
            "cached" => self.cached = number()?.into(),
            "cache-written" => self.cache_written = number()?.into(),
            "fault" => {
                let (name, count) = argument.split_once(' ').unwrap_or((argument, ""));
                let count = (!count.is_empty()).then(|| count.trim().parse()).transpose();
                let count = count.map_err(|_| format!("`{argument}` needs a number"))?;
                let fault = Fault::named(name, count);
                self.fault = Some(fault.ok_or_else(|| format!("`{name}` is no fault"))?);
            }
            _ => return Err(format!("the mock knows no wish `{word}`")),
        }
        Ok(())
    }
}

/// A call as `name {"argument": …}`; without arguments, `{}`.
fn call(argument: &str) -> Result<Call, String> {
    let (name, arguments) = argument.split_once(' ').unwrap_or((argument, "{}"));
    let arguments = serde_json::from_str(arguments).map_err(|error| format!("`tool`: {error}"))?;
    Ok(Call { name: name.to_owned(), arguments })
}

/// The words and arguments between doubled brackets.
fn spells(text: &str) -> impl Iterator<Item = (&str, &str)> {
    cut(text)
        .filter_map(|(_, spell)| spell)
        .map(|spell| spell.split_once(':').unwrap_or((spell, "")))
}

/// A text without what stands between doubled brackets.
pub(crate) fn plain(text: &str) -> String {
    cut(text).map(|(before, _)| before).collect::<String>().trim().to_owned()
}

/// Pieces of plain text, each with the spell that follows it. A spell may hold JSON, so it ends at
/// the last bracket of its run: `[[tool:f {"a":[[1]]}]]` ends where no bracket follows.
fn cut(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((before, after)) = text.split_once("[[") else {
            rest = None;
            return Some((text, None));
        };
        let Some(end) = closing(after) else {
            rest = None;
            return Some((text, None));
        };
        rest = Some(&after[end + 2..]);
        Some((before, Some(&after[..end])))
    })
}

/// Where the brackets close that were opened before this text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => open += 1,
            b']' if !quoted && open > 0 => open -= 1,
            b']' if !quoted && text.as_bytes().get(at + 1) == Some(&b']') => return Some(at),
            _ => {}
        }
    }
    // A single quotation mark in a text quotes nothing.
    text.find("]]")
}
